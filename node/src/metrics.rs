//! What a node counts, for people who watch many nodes.
//!
//! Owns every metric and its name. It must not know who counts or who asks: parts of the node hold a clone and call one
//! function per fact, and `GET /metrics` renders the text.
//!
//! The registry and the text format are those of `prometheus-client`, the crate of the Prometheus project itself: label
//! values are escaped there, and its counters and histograms are plain atomics. Names and labels follow the Prometheus
//! guide: base units (seconds, bytes), and only labels whose values are few. A partner is named by its company id, never
//! by a name that it chose itself; no label ever names a person, a chat or a message.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Content type of [`Metrics::text`] (OpenMetrics 1.0, which Prometheus reads since 2.5).
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Which side of the node refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A request of a client; the reason is the number of the problem's code.
    Api,
    /// A frame of a partner; the reason is the stable name of the refusal.
    Partner,
    /// A connection before anybody could be named.
    Connection,
}

impl Side {
    const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Partner => "partner",
            Self::Connection => "connection",
        }
    }
}

/// Where a message entered this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Local,
    Partner,
}

impl Origin {
    const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Partner => "partner",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    side: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OriginLabels {
    origin: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartnerLabels {
    partner: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: Arc<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    method: &'static str,
    route: Arc<String>,
    status: u16,
}

type Seconds = Gauge<f64, AtomicU64>;

/// Buckets of one histogram family; a type, because the family must be `Clone` and comparable to nothing.
#[derive(Debug, Clone, Copy)]
struct Buckets {
    first: f64,
    factor: f64,
    count: u16,
}

impl Buckets {
    /// 50 us to 26 s by doubling: an fdatasync on a good disk takes 0.1 to 0.3 ms, a request some tens of us more.
    const LOCAL: Self = Self {
        first: 50e-6,
        factor: 2.0,
        count: 20,
    };
    /// 1 ms to about 12 days by tripling: from two nodes in one room to a partner that was away for a week.
    const DELIVERY: Self = Self {
        first: 1e-3,
        factor: 3.0,
        count: 20,
    };
}

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(self.first, self.factor, self.count))
    }
}

/// All metrics of one node; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    refusals: Family<RefusalLabels, Counter>,
    messages: Family<OriginLabels, Counter>,
    journal_commit: Histogram,
    journal_records: Counter,
    delivery: Family<PartnerLabels, Histogram, Buckets>,
    partner_behind: Family<PartnerLabels, Seconds>,
    partner_connected: Family<PartnerLabels, Gauge>,
    index_lag: Gauge,
    connections: Gauge,
    feeds: Gauge,
    panics: Counter,
    answers: Family<AnswerLabels, Counter>,
    answer_time: Family<RouteLabels, Histogram, Buckets>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("crossport"),
            refusals: Family::default(),
            messages: Family::default(),
            journal_commit: Buckets::LOCAL.new_metric(),
            journal_records: Counter::default(),
            delivery: Family::new_with_constructor(Buckets::DELIVERY),
            partner_behind: Family::default(),
            partner_connected: Family::default(),
            index_lag: Gauge::default(),
            connections: Gauge::default(),
            feeds: Gauge::default(),
            panics: Counter::default(),
            answers: Family::default(),
            answer_time: Family::new_with_constructor(Buckets::LOCAL),
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// Something was refused, and why.
    pub fn refused(&self, side: Side, reason: &'static str) {
        self.0
            .refusals
            .get_or_create(&RefusalLabels {
                side: side.name(),
                reason,
            })
            .inc();
    }

    /// A message became durable here.
    pub fn message_stored(&self, origin: Origin) {
        self.0
            .messages
            .get_or_create(&OriginLabels {
                origin: origin.name(),
            })
            .inc();
    }

    /// One group commit: from the first byte written to the end of `fdatasync`.
    pub fn journal_committed(&self, records: u64, took: Duration) {
        self.0.journal_commit.observe(took.as_secs_f64());
        self.0.journal_records.inc_by(records);
    }

    /// A partner stated that it stored something that became durable here that long ago.
    pub fn delivered(&self, partner: &str, took: Duration) {
        self.0
            .delivery
            .get_or_create(&partner_labels(partner))
            .observe(took.as_secs_f64());
    }

    /// Age of the oldest thing that a partner lacks; zero if it has everything.
    pub fn partner_behind(&self, partner: &str, age: Duration) {
        self.0
            .partner_behind
            .get_or_create(&partner_labels(partner))
            .set(age.as_secs_f64());
    }

    pub fn partner_connected(&self, partner: &str, connected: bool) {
        self.0
            .partner_connected
            .get_or_create(&partner_labels(partner))
            .set(i64::from(connected));
    }

    /// A removed partner is no longer shown.
    pub fn forget_partner(&self, partner: &str) {
        let labels = partner_labels(partner);
        self.0.delivery.remove(&labels);
        self.0.partner_behind.remove(&labels);
        self.0.partner_connected.remove(&labels);
    }

    /// Journal records that the index does not carry yet.
    pub fn index_behind(&self, records: u64) {
        self.0
            .index_lag
            .set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Connections of clients that are open now; counts as long as the guard lives.
    pub fn connection_opened(&self) -> Open {
        Open::new(&self.0.connections)
    }

    /// Change feeds that are open now; counts as long as the guard lives.
    pub fn feed_opened(&self) -> Open {
        Open::new(&self.0.feeds)
    }

    /// A handler panicked; its request was answered with `X0503`.
    pub fn panicked(&self) {
        self.0.panics.inc();
    }

    /// The metrics of one endpoint; asked for once. `route` is the template (`/v0/chats/{chat}`), never a path.
    pub fn route(&self, method: &'static str, route: &str) -> RouteMetrics {
        let route = Arc::new(route.to_owned());
        let labels = RouteLabels {
            method,
            route: Arc::clone(&route),
        };
        RouteMetrics {
            answers: self.0.answers.clone(),
            time: self.0.answer_time.get_or_create_owned(&labels),
            method,
            route,
        }
    }

    /// Everything as [`METRICS_CONTENT_TYPE`].
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("writing to a string cannot fail");
        text
    }
}

impl Inner {
    /// The names; a counter gets its `_total` and a timed metric its `_seconds` from the encoder.
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "refusals",
            "Refused requests, frames and connections by reason",
            self.refusals.clone(),
        );
        registry.register(
            "messages_stored",
            "Messages made durable by this node",
            self.messages.clone(),
        );
        registry.register(
            "journal_records",
            "Records made durable since the start",
            self.journal_records.clone(),
        );
        registry.register(
            "partner_connected",
            "1 while the partner is connected",
            self.partner_connected.clone(),
        );
        registry.register(
            "index_lag_records",
            "Journal records the index does not carry yet",
            self.index_lag.clone(),
        );
        registry.register(
            "api_connections",
            "Open connections of clients",
            self.connections.clone(),
        );
        registry.register("api_feeds", "Open change feeds", self.feeds.clone());
        registry.register("api_panics", "Handlers that panicked", self.panics.clone());
        registry.register("api_answers", "Answered requests", self.answers.clone());
        let commits = self.journal_commit.clone();
        registry.register_with_unit(
            "journal_commit",
            "One group commit with fdatasync",
            Unit::Seconds,
            commits,
        );
        let delivery = self.delivery.clone();
        registry.register_with_unit(
            "delivery",
            "From durable here to stated by the partner",
            Unit::Seconds,
            delivery,
        );
        let behind = self.partner_behind.clone();
        registry.register_with_unit(
            "partner_behind",
            "Age of the oldest thing the partner lacks",
            Unit::Seconds,
            behind,
        );
        let answers = self.answer_time.clone();
        registry.register_with_unit(
            "api_answer_time",
            "From the parsed head to the answer",
            Unit::Seconds,
            answers,
        );
    }
}

fn partner_labels(partner: &str) -> PartnerLabels {
    PartnerLabels {
        partner: partner.to_owned(),
    }
}

/// What is counted for one endpoint.
#[derive(Clone)]
pub struct RouteMetrics {
    answers: Family<AnswerLabels, Counter>,
    time: Histogram,
    method: &'static str,
    route: Arc<String>,
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RouteMetrics({} {})", self.method, self.route)
    }
}

impl RouteMetrics {
    /// A request was answered; for a stream, its head was.
    pub fn answered(&self, status: u16, took: Duration) {
        let labels = AnswerLabels {
            method: self.method,
            route: Arc::clone(&self.route),
            status,
        };
        self.answers.get_or_create(&labels).inc();
        self.time.observe(took.as_secs_f64());
    }
}

/// One more, until it is dropped.
#[derive(Debug)]
pub struct Open(Gauge);

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_text_carries_what_was_counted() {
        let metrics = Metrics::new();
        metrics.refused(Side::Partner, "bad_signature");
        metrics.refused(Side::Partner, "bad_signature");
        metrics.refused(Side::Api, "X0201");
        metrics.journal_committed(3, Duration::from_micros(180));
        metrics.delivered("ab12", Duration::from_millis(40));
        metrics.partner_behind("ab12", Duration::from_secs(90));
        metrics.index_behind(7);
        let feed = metrics.feed_opened();
        metrics
            .route("GET", "/v0/chats/{chat}")
            .answered(200, Duration::from_micros(30));
        let text = metrics.text();
        for line in [
            "crossport_refusals_total{side=\"partner\",reason=\"bad_signature\"} 2",
            "crossport_refusals_total{side=\"api\",reason=\"X0201\"} 1",
            "crossport_journal_records_total 3",
            "crossport_journal_commit_seconds_bucket{le=\"0.0002\"} 1",
            "crossport_delivery_seconds_count{partner=\"ab12\"} 1",
            "crossport_partner_behind_seconds{partner=\"ab12\"} 90.0",
            "crossport_index_lag_records 7",
            "crossport_api_feeds 1",
            "crossport_api_answers_total{method=\"GET\",route=\"/v0/chats/{chat}\",status=\"200\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        drop(feed);
        metrics.forget_partner("ab12");
        let text = metrics.text();
        assert!(
            text.contains("crossport_api_feeds 0") && !text.contains("ab12"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    /// Every metric stands in the operators' reference, and nothing else does.
    #[test]
    fn the_reference_names_every_metric() {
        let page = include_str!("../../docs/src/reference/metrics.md");
        let rows = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `crossport_"));
        let written: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        // A metric with labels is shown once it has a value.
        let metrics = Metrics::new();
        metrics.refused(Side::Connection, "broken");
        metrics.message_stored(Origin::Local);
        metrics.delivered("ab12", Duration::ZERO);
        metrics.partner_behind("ab12", Duration::ZERO);
        metrics.partner_connected("ab12", true);
        metrics
            .route("GET", "/healthz")
            .answered(200, Duration::ZERO);
        let text = metrics.text();
        let types = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE crossport_"));
        let found: BTreeSet<&str> = types.filter_map(|line| line.split(' ').next()).collect();
        assert!(found.len() > 10, "{text}");
        assert_eq!(written, found);
    }
}
