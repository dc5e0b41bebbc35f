//! `crossport metrics`: what the node counts, as Prometheus reads it, or the same figures as a document.
//!
//! It must not know any metric: those are the node's.

use crate::context::Context;
use crate::errors::Failure;
use serde::Serialize;
use std::collections::BTreeMap;

/// `metrics --json`.
#[derive(Debug, PartialEq, Serialize)]
struct Figures {
    metrics: Vec<Figure>,
}

/// One line of the text.
#[derive(Debug, PartialEq, Serialize)]
struct Figure {
    name: String,
    labels: BTreeMap<String, String>,
    /// A text for what JSON has no number for: `NaN`, `+Inf`.
    value: serde_json::Value,
}

pub async fn metrics(context: &mut Context) -> Result<(), Failure> {
    let text = context.operator().read_text("/v0/operator/metrics").await?;
    let metrics = text.lines().filter_map(figure).collect();
    context.output.raw_or(&text, &Figures { metrics })
}

/// `name{label="value"} 1.5`; comments and what cannot be read are no figures.
fn figure(line: &str) -> Option<Figure> {
    let (head, value) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    let (name, labels) = match head.split_once('{') {
        Some((name, rest)) => (name, labels(rest.strip_suffix('}')?)?),
        None => (head, BTreeMap::new()),
    };
    let number = value.parse().ok().and_then(serde_json::Number::from_f64);
    Some(Figure {
        name: name.to_owned(),
        labels,
        value: number.map_or_else(|| value.into(), serde_json::Value::Number),
    })
}

fn labels(mut rest: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    while !rest.is_empty() {
        let (name, quoted) = rest.split_once("=\"")?;
        let (mut value, mut end) = (String::new(), None);
        let mut letters = quoted.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    end = Some(at);
                    break;
                }
                '\\' => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                other => value.push(other),
            }
        }
        found.insert(name.to_owned(), value);
        rest = quoted.get(end? + 1..)?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_names_labels_and_values() {
        /// Name, labels and value.
        type Sample<'a> = (&'a str, &'a [(&'a str, &'a str)], serde_json::Value);
        let check = |line: &str, expected: Option<Sample<'_>>| {
            let expected = expected.map(|(name, labels, value)| Figure {
                name: name.to_owned(),
                labels: labels
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
                value,
            });
            assert_eq!(figure(line), expected, "{line}");
        };
        check("# HELP a b", None);
        check("# EOF", None);
        check("a_total 3", Some(("a_total", &[], 3.0.into())));
        let labels = [("le", "+Inf"), ("route", "/v0/{chat}, \"x\"")];
        check(
            "a_bucket{le=\"+Inf\",route=\"/v0/{chat}, \\\"x\\\"\"} 0.5",
            Some(("a_bucket", &labels, 0.5.into())),
        );
        check("a NaN", Some(("a", &[], "NaN".into())));
        check("a{b=\"c} 1", None);
    }
}
