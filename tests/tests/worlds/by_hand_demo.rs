//! The story that `crossport demo` tells, line by line against the catalogue that it is made from, in both languages.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use crossport_tests::house::commands::program;
use serde_json::Value;

const ENGLISH: &str = include_str!("../../../node/locales/en.ftl");
const RUSSIAN: &str = include_str!("../../../node/locales/ru.ftl");

/// Lines that a run with `--exit` does not tell: what failed, and what to type while the nodes stay up.
const UNTOLD: [&str; 6] = [
    "demo-line-away-more",
    "demo-expected",
    "demo-try",
    "demo-try-text",
    "demo-stays",
    "demo-name-olga",
];

/// The story as it came, with the locale that a terminal would have.
fn told(arguments: &[&str], locale: &str) -> Result<String> {
    let output = Command::new(program()?)
        .args(arguments)
        .env("LANG", locale)
        .env_remove("LC_ALL")
        .env_remove("LC_MESSAGES")
        .env_remove("CROSSPORT_LANG")
        .stdin(Stdio::null())
        .output()?;
    let (out, err) = (
        String::from_utf8(output.stdout)?,
        String::from_utf8(output.stderr)?,
    );
    ensure!(
        output.status.success(),
        "the demo ended with {}: {err}\n{out}",
        output.status
    );
    ensure!(err.is_empty(), "a true story needs no excuse: {err}");
    Ok(out)
}

/// The fixed parts of each text of the demo, in the order of the catalogue, which is that of the story.
fn lines(catalogue: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in catalogue.lines() {
        if let Some((key, text)) = line.split_once(" = ").filter(|_| line.starts_with("demo-")) {
            found.push((key.to_owned(), text.to_owned()));
        } else if let (true, Some((_, text))) = (line.starts_with("    "), found.last_mut()) {
            text.push_str("{}");
            text.push_str(line.trim());
        } else if let Some((_, text)) = found.last_mut().filter(|_| !line.is_empty()) {
            // The next area of the catalogue.
            text.push_str("{}");
            if line.starts_with("##") {
                break;
            }
        }
    }
    found
        .into_iter()
        .map(|(key, text)| (key, fixed(&text)))
        .collect()
}

/// What stands outside of braces; a choice between plural forms is left out as a whole.
fn fixed(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0_i32);
    for letter in text.chars() {
        match letter {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                parts.push(String::new());
            }
            _ if depth == 0 => {
                if let Some(part) = parts.last_mut() {
                    part.push(letter);
                }
            }
            _ => {}
        }
    }
    let parts = parts.iter().map(|part| part.trim().to_owned());
    parts
        .filter(|part| part.chars().any(char::is_alphabetic))
        .collect()
}

/// Every line of the catalogue was told.
fn complete(story: &str, catalogue: &str) -> Result<()> {
    let lines = lines(catalogue);
    let told = lines
        .iter()
        .filter(|(key, _)| !UNTOLD.contains(&key.as_str()));
    let mut count = 0;
    for (key, parts) in told {
        for part in parts {
            ensure!(
                story.contains(part),
                "{key} was not told: {part:?} in\n{story}"
            );
        }
        count += 1;
    }
    ensure!(count > 60, "only {count} lines were looked for");
    let is_key = |word: &str| word.starts_with("demo-");
    ensure!(
        !story.split_whitespace().any(is_key),
        "a key without a text: {story}"
    );
    ensure!(
        !story.contains("{$") && !story.contains("{ $"),
        "a variable without a value: {story}"
    );
    Ok(())
}

#[test]
fn the_demo_tells_every_chapter_in_english() -> Result<()> {
    let out = told(&["demo", "--exit", "--json", "--lang", "en"], "ru_RU.UTF-8")?;
    let told: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect::<Result<_>>()?;
    let story: Vec<&str> = told
        .iter()
        .filter_map(|line| line["text"].as_str())
        .collect();
    complete(&story.join("\n"), ENGLISH)?;
    let acts: Vec<u64> = told
        .iter()
        .filter(|line| line["kind"] == "act")
        .filter_map(|line| line["act"].as_u64())
        .collect();
    ensure!(acts == (1..=10).collect::<Vec<u64>>(), "{acts:?}");
    // A chapter that checks nothing proves nothing; the last one only sums up.
    for act in 1..=9 {
        let checks = told.iter().filter(|line| line["act"] == act);
        let checks: u64 = checks.filter_map(|line| line["checks"].as_u64()).sum();
        ensure!(checks > 0, "chapter {act} checked nothing");
    }
    Ok(())
}

/// Words in Latin letters that a Russian reader expects: names, commands, and what the system calls itself.
const LATIN: [&str; 15] = [
    "API",
    "Acme",
    "Crossport",
    "Globex",
    "SIGKILL",
    "TCP",
    "alex",
    "anna",
    "bella",
    "boris",
    "crossport",
    "demo",
    "http",
    "tmp",
    "up",
];

#[test]
fn the_demo_tells_every_chapter_in_russian() -> Result<()> {
    let story = told(&["demo", "--exit"], "ru_RU.UTF-8")?;
    complete(&story, RUSSIAN)?;
    let foreign = strange_words(&story);
    ensure!(
        foreign.is_empty(),
        "English in the Russian story: {foreign:?}\n{story}"
    );
    let control = strange_words("    ✓ all four have it");
    ensure!(control.len() == 4, "the control found {control:?}");
    Ok(())
}

/// Words of Latin letters alone that are neither known nor made by a machine (ids, tickets, check words, folders).
fn strange_words(story: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in story.lines() {
        // Check words stand behind "hears from ...:", each six letters, six of them.
        let spoken = line.rsplit_once(": ").map_or("", |(_, words)| words);
        let is_spoken =
            spoken.split(' ').count() == 6 && spoken.split(' ').all(|word| word.len() == 6);
        let line = if is_spoken {
            line.trim_end_matches(spoken)
        } else {
            line
        };
        for word in line.split(|c: char| !c.is_alphanumeric() && c != '-') {
            let latin = word.len() > 1 && word.chars().all(|c| c.is_ascii_alphabetic());
            let is_id = word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit());
            if latin && !is_id && !LATIN.contains(&word) {
                found.insert(word.to_owned());
            }
        }
    }
    found
}
