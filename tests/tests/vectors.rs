//! Golden vectors and the specification: what `protocol` makes and reads must be what stands in `tests/vectors` and in the book.
//!
//! Owns the comparison and the one way to make the files anew:
//! `CROSSPORT_VECTORS=write cargo test -p crossport-tests --test vectors`. A change of these files is a change of the protocol.
//! What `frozen.txt` lists does not change any more; a new version adds to it with `CROSSPORT_VECTORS=freeze`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use crossport_protocol::suite::Domain;
use crossport_tests::house::{settle, tree};
use crossport_tests::vectors::book;
use crossport_tests::vectors::judge::judge;
use crossport_tests::vectors::{Group, groups, text};
use serde_json::Value;
use sha2::{Digest, Sha256};

const WRITE: &str = "CROSSPORT_VECTORS";

#[test]
fn vectors_are_what_the_protocol_makes() -> Result<()> {
    let folder = tree::root().join("tests/vectors");
    let write = std::env::var(WRITE).is_ok_and(|value| value == "write");
    let mut names = BTreeSet::new();
    for (name, group) in groups() {
        let path = folder.join(format!("{name}.json"));
        let made = text(&group);
        if write {
            std::fs::write(&path, &made)?;
        }
        let held = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "no {}; try: {WRITE}=write cargo test --test vectors",
                path.display()
            )
        })?;
        ensure!(
            held == made,
            "{name}.json is not what the protocol makes. A change here is a change of the protocol: write it into \
             docs/src/spec, then {WRITE}=write cargo test --test vectors"
        );
        for vector in &group.vectors {
            ensure!(
                names.insert((name, vector.of.clone(), vector.name.clone())),
                "{name}: two vectors are called {}",
                vector.name
            );
        }
    }
    Ok(())
}

/// Version 1 is frozen: what stood in its vectors stays, whatever is added. The list holds a hash of each.
#[test]
fn frozen_vectors_never_change() -> Result<()> {
    let path = tree::root().join("tests/vectors/frozen.txt");
    let mut made = BTreeMap::new();
    for (name, group) in groups() {
        for vector in group.vectors {
            let hash = Sha256::digest(serde_json::to_vec(&vector)?);
            let place = format!("{name} / {} / {}", vector.of, vector.name);
            made.insert(place, hex::encode(&hash[..16]));
        }
    }
    if std::env::var(WRITE).is_ok_and(|value| value == "freeze") {
        let lines = made.iter().map(|(place, hash)| format!("{hash} {place}\n"));
        std::fs::write(&path, lines.collect::<String>())?;
    }
    let held = std::fs::read_to_string(&path)?;
    let changed: Vec<&str> = held
        .lines()
        .filter(|line| {
            let (hash, place) = line.split_once(' ').unwrap_or_default();
            made.get(place).is_none_or(|made| made != hash)
        })
        .collect();
    ensure!(
        changed.is_empty(),
        "these bytes were promised and are made otherwise now; nodes in the field would misread them:\n{}",
        changed.join("\n")
    );
    ensure!(
        held.lines().count() > 280,
        "the list of frozen vectors is short"
    );
    Ok(())
}

#[test]
fn vectors_are_judged_as_they_say() -> Result<()> {
    let (mut sound, mut refused) = (0, 0);
    for (name, _) in groups() {
        let path = tree::root().join(format!("tests/vectors/{name}.json"));
        let group: Group = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        for vector in &group.vectors {
            let found = judge(vector).with_context(|| format!("{name}: {}", vector.name))?;
            match (&vector.refused, &found) {
                (Some(reason), Err(found)) => {
                    ensure!(
                        reason == found,
                        "{name}: {}: {found} for {reason}",
                        vector.name
                    );
                    refused += 1;
                }
                (None, Ok(value)) => {
                    let agrees = agrees(value, vector.value.as_ref());
                    ensure!(agrees, "{name}: {}: {value}", vector.name);
                    sound += 1;
                }
                _ => ensure!(false, "{name}: {}: {found:?}", vector.name),
            }
        }
    }
    println!("{sound} sound vectors, {refused} refused ones");
    ensure!(
        sound > 80 && refused > 100,
        "{sound} sound, {refused} refused: some are missing"
    );
    Ok(())
}

/// Everything that was found stands in the file. The judge leaves out what it has compared as bytes.
fn agrees(found: &Value, written: Option<&Value>) -> bool {
    match (found, written) {
        (Value::Null, _) => true,
        (Value::Object(found), Some(Value::Object(written))) => found
            .iter()
            .all(|(name, value)| written.get(name) == Some(value)),
        (found, written) => Some(found) == written,
    }
}

fn page(name: &str) -> Result<String> {
    read(&format!("docs/src/spec/{name}.md"))
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(tree::root().join(path)).with_context(|| format!("cannot read {path}"))
}

#[test]
fn limits_stand_in_the_book() -> Result<()> {
    let page = page("limits")?;
    let own = book::section(&page, "## `protocol/src/limits.rs`");
    let own = book::limits(&book::rows(own), &read("protocol/src/limits.rs")?, true);
    let elsewhere = book::rows(book::section(&page, "## Elsewhere"));
    let mut findings = Vec::new();
    let mut compared = 0;
    for row in elsewhere {
        let path = row
            .get(2)
            .map(|path| path.trim_matches('`').to_owned())
            .unwrap_or_default();
        if path.ends_with(".rs") {
            findings.extend(book::limits(&[row], &read(&path)?, false));
            compared += 1;
        }
    }
    ensure!(compared > 5, "the table of other limits was not understood");
    settle([("limits.rs", own), ("elsewhere", findings)])
}

/// Numbers in the book are those of the constants, and each constant has its row.
fn same_numbers(table: &[Vec<String>], source: &str, module: &str) -> Vec<String> {
    let start = source
        .find(&format!("pub mod {module} {{"))
        .unwrap_or(source.len());
    let end = source[start..]
        .find("\n}")
        .map_or(source.len(), |end| start + end);
    let numbers: BTreeSet<u64> = book::constants(&source[start..end]).into_values().collect();
    let written: BTreeSet<u64> = book::numbered(table).into_keys().collect();
    let differing = numbers.symmetric_difference(&written);
    let mut findings: Vec<String> = differing.map(|number| format!("number {number}")).collect();
    if numbers.is_empty() {
        findings.push(format!("no constants in {module}"));
    }
    findings
}

#[test]
fn numbers_tags_and_refusals_stand_in_the_book() -> Result<()> {
    let (encoding, links) = (page("encoding")?, page("links")?);
    let untold = |domain: &Domain| {
        let tag = String::from_utf8_lossy(domain.tag()).replace('\0', "\u{2400}");
        (!encoding.contains(&format!("| {domain:?} | `{tag}` |")))
            .then(|| format!("{domain:?} {tag}"))
    };
    let frame = read("protocol/src/frame.rs")?;
    let frames = book::numbered(&book::rows(&links));
    let unlisted = frames
        .iter()
        .filter(|(number, name)| !frame.contains(&format!("Frame::{name}(_) => {number},")))
        .map(|(number, name)| format!("{number} {name}"));
    let known = frame.matches("(_) => ").count() - frame.matches("Unknown(_) => ").count();
    ensure!(
        frames.len() == known,
        "{} frames in the book, {known} in the source",
        frames.len()
    );
    let refusals = book::literals(
        &read("protocol/src/replicator/refusal.rs")?,
        "pub fn name(&self)",
        "\n    }\n}",
    );
    let validity = page("validity")?;
    let written = book::names(&book::rows(book::section(&validity, "## Refusals")));
    ensure!(
        refusals.len() > 20,
        "the names of refusals were not understood"
    );
    let refusals = refusals.symmetric_difference(&written).cloned().collect();
    let chats = page("chats")?;
    let kinds = book::rows(book::section(&chats, "## Kinds"));
    let envelopes = page("envelopes")?;
    let events = book::rows(book::section(&envelopes, "## Kinds of events"));
    settle([
        (
            "domain tags",
            Domain::ALL.iter().filter_map(untold).collect(),
        ),
        ("frames", unlisted.collect()),
        ("refusals", refusals),
        (
            "kinds of owner records",
            same_numbers(&kinds, &read("protocol/src/owner_log.rs")?, "kind"),
        ),
        (
            "kinds of events",
            same_numbers(&events, &read("protocol/src/event.rs")?, "kind"),
        ),
    ])
}
