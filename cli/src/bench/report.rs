//! What a benchmark found: figures with their runs, their aims, and what others reach.
//!
//! Owns the JSON document (`docs/src/reference/bench.md`) and the judgement "reached". It must not know how anything is
//! measured. Names of figures are stable; their titles and the rivals' figures are in the catalogue (`bench-*`).

use super::machine::{Calibration, Machine};
use crate::demo::decimal;
use crate::output::{Cell, Column};
use crossport_node::say;
use crossport_node::texts::Texts;
use serde::Serialize;
use std::collections::BTreeMap;

/// Changes when a field changes its meaning.
pub const SCHEMA: &str = "crossport-bench-federation/1";

/// Every figure and the key of its title.
const TITLES: [(&str, &str); 23] = [
    (
        "throughput.messages_per_s",
        "bench-throughput-messages-per-s",
    ),
    (
        "throughput.cpu_ms_per_message",
        "bench-throughput-cpu-ms-per-message",
    ),
    ("group.messages_per_s", "bench-group-messages-per-s"),
    ("latency.p50_ms", "bench-latency-p50-ms"),
    ("latency.p99_ms", "bench-latency-p99-ms"),
    (
        "latency.acknowledged_p50_ms",
        "bench-latency-acknowledged-p50-ms",
    ),
    ("receipt.p50_ms", "bench-receipt-p50-ms"),
    ("receipt.in_a_row_p50_ms", "bench-receipt-in-a-row-p50-ms"),
    ("catch_up.link_s", "bench-catch-up-link-s"),
    ("catch_up.all_s", "bench-catch-up-all-s"),
    ("kill.lost", "bench-kill-lost"),
    ("kill.doubled", "bench-kill-doubled"),
    ("join.newest_page_s", "bench-join-newest-page-s"),
    ("join.all_s", "bench-join-all-s"),
    ("idle.memory_mib", "bench-idle-memory-mib"),
    ("idle.start_s", "bench-idle-start-s"),
    ("size.memory_mib", "bench-size-memory-mib"),
    (
        "size.memory_restarted_mib",
        "bench-size-memory-restarted-mib",
    ),
    ("size.disk_mib_per_10k", "bench-size-disk-mib-per-10k"),
    ("size.page_ms", "bench-size-page-ms"),
    ("size.start_s", "bench-size-start-s"),
    ("size.killed_start_s", "bench-size-killed-start-s"),
    ("size.rebuild_s", "bench-size-rebuild-s"),
];

#[derive(Debug, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub version: &'static str,
    pub started_at: String,
    pub scale: super::Scale,
    /// Runs of which each value is the median.
    pub runs: usize,
    pub machine: Machine,
    pub calibration: Calibration,
    pub scenarios: Vec<Scenario>,
}

/// One scenario.
#[derive(Debug, Serialize)]
pub struct Scenario {
    pub name: &'static str,
    pub took_s: f64,
    pub figures: Vec<Figure>,
    /// Where the time went: counters of the nodes and of `/proc`, of the last run.
    pub counted: BTreeMap<String, f64>,
    /// Why there are no figures, or not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// One measured thing.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// `throughput.messages_per_s`.
    pub name: &'static str,
    pub unit: &'static str,
    /// Median of the runs; their sum for `kill.*`.
    pub value: f64,
    pub runs: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aim: Option<Aim>,
    /// Absent where there is no aim, or where the scale is not the aim's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<bool>,
    /// How far from the aim: 1.6 = 1.6 times too slow, too large; below 1 = better than the aim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times_aim: Option<f64>,
    /// What others reach on the same path, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rivals: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    name: &'static str,
    title: String,
    value: String,
    aim: String,
    reached: String,
    rivals: String,
    spread: String,
}

pub const COLUMNS: &[Column<Row>] = &[
    Column {
        title: "column-figure",
        cell: |row| Cell::Text(row.title.clone()),
    },
    Column {
        title: "column-value",
        cell: |row| Cell::Text(row.value.clone()),
    },
    Column {
        title: "column-spread",
        cell: |row| Cell::Text(row.spread.clone()),
    },
    Column {
        title: "column-aim",
        cell: |row| Cell::Text(row.aim.clone()),
    },
    Column {
        title: "column-reached",
        cell: |row| Cell::Text(row.reached.clone()),
    },
    Column {
        title: "column-rivals",
        cell: |row| Cell::Text(row.rivals.clone()),
    },
];

impl Figure {
    /// The median of these runs, without an aim.
    pub fn new(name: &'static str, unit: &'static str, runs: Vec<f64>) -> Self {
        Self {
            name,
            unit,
            value: median(&runs),
            runs,
            aim: None,
            reached: None,
            times_aim: None,
            rivals: None,
        }
    }

    /// The sum of these runs: for what must not happen in any of them.
    pub fn sum(name: &'static str, unit: &'static str, runs: Vec<f64>) -> Self {
        let value = runs.iter().sum();
        Self {
            value,
            ..Self::new(name, unit, runs)
        }
    }

    /// Judged against an aim.
    #[must_use]
    pub fn aim(mut self, aim: Aim) -> Self {
        let (reached, times) = judge(self.value, aim);
        self.aim = Some(aim);
        self.reached = Some(reached);
        self.times_aim = times.is_finite().then_some(times);
        self
    }

    /// The aim is told, but was set for another amount of data: not judged.
    #[must_use]
    pub fn aim_elsewhere(mut self, aim: Aim) -> Self {
        self.aim = Some(aim);
        self
    }

    /// With an aim that is judged only at full scale.
    #[must_use]
    pub fn aim_if(self, full: bool, aim: Aim) -> Self {
        if full {
            self.aim(aim)
        } else {
            self.aim_elsewhere(aim)
        }
    }

    pub fn row(&self, texts: &Texts) -> Row {
        let key = text_key(self.name);
        let number = |value: f64| {
            format!("{} {}", number(value, texts), self.unit)
                .trim_end()
                .to_owned()
        };
        let (low, high) = self
            .runs
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), run| {
                (low.min(*run), high.max(*run))
            });
        Row {
            name: self.name,
            title: texts.format(key, &[]),
            value: number(self.value),
            aim: match self.aim {
                None => String::new(),
                Some(Aim::AtLeast(aim)) => format!("≥ {}", number(aim)),
                Some(Aim::AtMost(aim)) => format!("≤ {}", number(aim)),
            },
            reached: self.verdict(texts),
            rivals: texts.attribute(key, "rivals", &[]).unwrap_or_default(),
            spread: if self.runs.len() > 1 {
                format!("{}…{}", self::number(low, texts), self::number(high, texts))
            } else {
                String::new()
            },
        }
    }

    /// `yes`, `no, 3.1x off`, `not judged`.
    fn verdict(&self, texts: &Texts) -> String {
        match (self.reached, self.times_aim, self.aim) {
            (Some(true), _, _) => say!(texts, "word-yes"),
            (Some(false), Some(times), _) => {
                say!(
                    texts,
                    "bench-missed",
                    times = decimal(times, 1 + usize::from(times < 1.1), texts)
                )
            }
            (Some(false), None, _) => say!(texts, "word-no"),
            (None, _, Some(_)) => say!(texts, "bench-not-judged"),
            (None, _, None) => String::new(),
        }
    }
}

impl Scenario {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            took_s: 0.0,
            figures: Vec::new(),
            counted: BTreeMap::new(),
            failed: None,
        }
    }

    pub fn count(&mut self, name: impl Into<String>, value: f64) {
        self.counted.insert(name.into(), value);
    }

    /// Fills in what others reach, in the language of the reader.
    pub fn with_rivals(mut self, texts: &Texts) -> Self {
        for figure in &mut self.figures {
            figure.rivals = texts.attribute(text_key(figure.name), "rivals", &[]);
        }
        self
    }
}

impl Row {
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// The middle of the runs; of two, their mean. Nothing measured is NaN, which no aim is reached by.
pub fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.get(half), sorted.len() % 2) {
        (Some(middle), 1) => *middle,
        (Some(upper), _) => sorted
            .get(half.wrapping_sub(1))
            .map_or(*upper, |lower| f64::midpoint(*lower, *upper)),
        (None, _) => f64::NAN,
    }
}

/// The value that `share` of the values do not exceed (nearest rank).
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

/// Reached, and how many times the aim was missed by.
fn judge(value: f64, aim: Aim) -> (bool, f64) {
    match aim {
        Aim::AtLeast(aim) => (value >= aim, aim / value),
        Aim::AtMost(aim) => (value <= aim, value / aim),
    }
}

/// The key of a figure's title; a figure that the table lacks is shown by its name.
fn text_key(name: &'static str) -> &'static str {
    let known = TITLES.iter().find(|(figure, _)| *figure == name);
    known.map_or(name, |(_, key)| key)
}

/// As many digits as say something.
fn number(value: f64, texts: &Texts) -> String {
    let places = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        0.0 => 0,
        _ if value.fract() == 0.0 => 0,
        1.0.. => 2,
        _ => 3,
    };
    decimal(value, places, texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossport_node::texts::Lang;

    #[test]
    fn medians_and_percentiles() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 0.99), 99.0);
        assert_eq!(percentile(&hundred, 0.5), 50.0);
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
    }

    #[test]
    fn an_aim_is_judged_honestly() {
        let texts = Texts::of(Lang::En);
        let figure = |runs: &[f64]| Figure::new("throughput.messages_per_s", "1/s", runs.to_vec());
        let good = figure(&[11_000.0]).aim(Aim::AtLeast(10_000.0));
        assert_eq!(good.reached, Some(true));
        let bad = figure(&[5_000.0]).aim(Aim::AtLeast(10_000.0));
        assert_eq!((bad.reached, bad.times_aim), (Some(false), Some(2.0)));
        assert!(
            bad.row(texts).reached.contains("2.0"),
            "{:?}",
            bad.row(texts)
        );
        let slow = figure(&[3.0]).aim(Aim::AtMost(2.5));
        assert_eq!(slow.reached, Some(false));
        let small = figure(&[1.0]).aim_if(false, Aim::AtMost(2.5));
        assert_eq!(small.reached, None, "another amount of data is not judged");
        let nothing = figure(&[]).aim(Aim::AtMost(2.5));
        assert_eq!(
            nothing.reached,
            Some(false),
            "nothing measured reaches nothing"
        );
    }

    #[test]
    fn figures_have_titles_in_both_languages() {
        for lang in Lang::ALL {
            for (name, key) in TITLES {
                assert!(Texts::of(lang).has(key), "{name} in {lang:?}");
                assert_eq!(key, format!("bench-{}", name.replace(['.', '_'], "-")));
            }
        }
    }

    /// Each figure that a scenario makes is in the table.
    #[test]
    fn scenarios_make_only_figures_with_titles() {
        let sources = [
            include_str!("scenarios/absence.rs"),
            include_str!("scenarios/flow.rs"),
            include_str!("scenarios/history.rs"),
            include_str!("scenarios/size.rs"),
        ];
        let is_name = |text: &&str| {
            let known_start = TITLES
                .iter()
                .any(|(name, _)| name.split('.').next() == text.split('.').next());
            known_start && text.contains('.') && !text.contains([' ', '/', '{'])
        };
        let mut found = 0;
        for text in sources
            .iter()
            .flat_map(|source| source.split('"').skip(1).step_by(2))
            .filter(is_name)
        {
            found += 1;
            assert!(TITLES.iter().any(|(name, _)| *name == text), "{text}");
        }
        assert!(found >= TITLES.len(), "{found} of {}", TITLES.len());
    }
}
