//! Where a scenario takes place: two companies, paired, Anna and Boris in a direct chat, and numbered messages.
//!
//! Owns the numbers: each message of a scenario has one of its own, so that what is lost or doubled shows.

use super::load::{self, Target};
use super::machine::cpu_of;
use super::receiver::Receiver;
use super::report::Scenario;
use crate::errors::Failure;
use crate::stage::{Company, Person, pair, until};
use crossport_node::api::types::ChatKind;
use crossport_node::texts::Texts;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

/// Messages that the posting client has under way.
pub const IN_FLIGHT: usize = 64;
/// Longest wait for a chat to appear at the other company.
const APPEARS_WITHIN: Duration = Duration::from_secs(20);
/// Metrics whose growth tells where the time went.
const COUNTED: [&str; 6] = [
    "crossport_journal_commit_seconds_sum",
    "crossport_journal_commit_seconds_count",
    "crossport_journal_records_total",
    "crossport_delivery_seconds_sum",
    "crossport_delivery_seconds_count",
    "crossport_refusals_total",
];

#[derive(Debug)]
pub struct Ground {
    pub acme: Company,
    pub globex: Company,
    pub anna: Person,
    pub boris: Person,
    pub chat: String,
    pub texts: &'static Texts,
    next: u32,
}

/// What both nodes and this program had used at some moment.
#[derive(Debug, Clone)]
pub struct Used {
    at: Instant,
    nodes: Duration,
    driver: Duration,
    metrics: BTreeMap<String, f64>,
}

impl Ground {
    /// Two new companies below this folder.
    pub async fn open(folder: &Path, texts: &'static Texts) -> Result<Self, Failure> {
        let (acme, globex) = companies(folder, texts).await?;
        pair(&acme, &globex).await?;
        let anna = acme.person("anna").await?;
        let boris = globex.person("boris").await?;
        let chat = anna
            .new_chat(ChatKind::Direct, None, &["boris@globex"])
            .await?
            .id;
        appears(&boris, &chat, texts).await?;
        Ok(Self {
            acme,
            globex,
            anna,
            boris,
            chat,
            texts,
            next: 0,
        })
    }

    /// So many numbers that were not used before.
    pub fn numbers(&mut self, count: u32) -> Range<u32> {
        let first = self.next;
        self.next += count;
        first..self.next
    }

    pub fn target(&self) -> Result<Target, Failure> {
        Target::new(&self.anna, &self.chat, self.texts)
    }

    /// Anna writes so many, and Boris has them.
    pub async fn fill(&mut self, count: u32) -> Result<(), Failure> {
        let numbers = self.numbers(count);
        let mut receiver =
            Receiver::open(&self.boris, &self.chat, numbers.clone(), self.texts).await?;
        let target = self.target()?;
        let posting = load::post(&target, numbers, IN_FLIGHT);
        let (posted, received) = tokio::join!(posting, receiver.until_all());
        posted?;
        received.map(drop)
    }

    pub async fn used(&self) -> Result<Used, Failure> {
        let mut metrics = BTreeMap::new();
        for company in [&self.acme, &self.globex] {
            let text = company.operator.read_text("/v0/operator/metrics").await?;
            for name in COUNTED {
                let key = format!(
                    "{}.{}",
                    company.name.to_lowercase(),
                    name.trim_start_matches("crossport_")
                );
                metrics.insert(key, sum_of(&text, name));
            }
        }
        let pids = [self.acme.node()?.pid(), self.globex.node()?.pid()];
        let nodes = cpu_of(pids[0], self.texts)? + cpu_of(pids[1], self.texts)?;
        let driver = cpu_of(std::process::id(), self.texts)?;
        Ok(Used {
            at: Instant::now(),
            nodes,
            driver,
            metrics,
        })
    }

    /// SIGTERM to both; a node that does not end cleanly is a failure.
    pub async fn close(mut self) -> Result<(), Failure> {
        let (acme, globex) = tokio::join!(self.acme.stop(), self.globex.stop());
        acme.and(globex)
    }
}

impl Used {
    /// Milliseconds of both nodes' processor time since then, per message.
    pub fn node_cpu_ms(&self, since: &Self, messages: u32) -> f64 {
        (self.nodes - since.nodes).as_secs_f64() * 1_000.0 / f64::from(messages)
    }

    /// Writes into the scenario where the time since then went.
    pub fn count(&self, since: &Self, messages: u32, scenario: &mut Scenario) {
        let wall = (self.at - since.at).as_secs_f64();
        scenario.count("wall_s", wall);
        scenario.count("nodes.cpu_s", (self.nodes - since.nodes).as_secs_f64());
        scenario.count("driver.cpu_s", (self.driver - since.driver).as_secs_f64());
        let grown: BTreeMap<&str, f64> = self
            .metrics
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str(),
                    value - since.metrics.get(name).copied().unwrap_or_default(),
                )
            })
            .collect();
        for (name, value) in &grown {
            scenario.count(*name, *value);
        }
        for company in ["acme", "globex"] {
            let of = |name: &str| {
                grown
                    .get(format!("{company}.{name}").as_str())
                    .copied()
                    .unwrap_or_default()
            };
            let (commits, seconds) = (
                of("journal_commit_seconds_count"),
                of("journal_commit_seconds_sum"),
            );
            if commits > 0.0 && wall > 0.0 {
                scenario.count(
                    format!("{company}.commit_ms_mean"),
                    seconds * 1_000.0 / commits,
                );
                scenario.count(
                    format!("{company}.messages_per_commit"),
                    f64::from(messages) / commits,
                );
                scenario.count(
                    format!("{company}.share_of_time_committing"),
                    seconds / wall,
                );
            }
        }
    }
}

/// Two companies that are not partners yet.
pub async fn companies(
    folder: &Path,
    texts: &'static Texts,
) -> Result<(Company, Company), Failure> {
    let made = std::fs::create_dir_all(folder);
    made.map_err(|error| Failure::io(texts, &folder.display().to_string(), &error))?;
    let (acme, globex) = tokio::join!(
        Company::start("Acme", folder, &[], texts),
        Company::start("Globex", folder, &[], texts)
    );
    Ok((acme?, globex?))
}

/// Waits until somebody has a chat.
pub async fn appears(person: &Person, chat: &str, texts: &'static Texts) -> Result<(), Failure> {
    let what = format!("chat at {}", person.who.nickname);
    let there = until(&what, APPEARS_WITHIN, texts, async || {
        Ok(person
            .chats()
            .await?
            .items
            .into_iter()
            .find(|one| one.id == chat)
            .map(drop))
    });
    there.await.map(drop)
}

/// Waits until somebody's newest page has a message.
pub async fn arrives(
    person: &Person,
    chat: &str,
    message: &str,
    texts: &'static Texts,
) -> Result<(), Failure> {
    let what = format!("message at {}", person.who.nickname);
    let there = until(&what, APPEARS_WITHIN, texts, async || {
        let page = person.page(chat, None, 50).await?;
        Ok(page
            .messages
            .iter()
            .find(|one| one.id == message)
            .map(|_| ()))
    });
    there.await.map(drop)
}

/// All samples of a metric together, whatever their labels (OpenMetrics text).
fn sum_of(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let labelled = rest.starts_with('{') || rest.starts_with(' ');
        labelled.then(|| rest.rsplit_once(' ')?.1.parse::<f64>().ok())?
    });
    samples.sum()
}

#[cfg(test)]
mod tests {
    use super::sum_of;

    #[test]
    fn samples_of_all_labels_are_added() {
        let text =
            "# TYPE a counter\na_total{x=\"1\"} 2\na_total{x=\"2\"} 3.5\na_total_more 9\nb 1\n";
        assert_eq!(sum_of(text, "a_total"), 5.5);
        assert_eq!(sum_of(text, "b"), 1.0);
        assert_eq!(sum_of(text, "c"), 0.0);
    }
}
