//! Commands that the pages show must be commands that the program knows.
//!
//! Owns finding `crossport ...` in Markdown and asking the real program about each. Must not know any command itself. A
//! command is asked with `--help` at its end, so that every word before it is parsed and nothing is done. A block may say
//! `planned` behind its fence: then it is not asked, and turns red as soon as the program knows all of it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::pages::{blocks, prose};
use super::tree::Source;

/// Commands of one block, or of one inline piece.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    pub path: String,
    pub line: usize,
    pub planned: bool,
    /// Arguments behind the program's name, one list a command.
    pub commands: Vec<Vec<String>>,
}

/// Everything that these pages show of the program.
pub fn shown(pages: &[Source]) -> Vec<Shown> {
    let mut found = Vec::new();
    for page in pages {
        for (line, info, body) in blocks(&page.text) {
            let commands: Vec<_> = body.lines().filter_map(command).collect();
            let planned = info.split([' ', ',']).any(|word| word == "planned");
            found.push(Shown {
                path: page.path.clone(),
                line,
                planned,
                commands,
            });
        }
        for (line, text) in prose(&page.text) {
            for piece in text.split('`').skip(1).step_by(2) {
                let commands = command(piece).into_iter().collect();
                found.push(Shown {
                    path: page.path.clone(),
                    line,
                    planned: false,
                    commands,
                });
            }
        }
    }
    found.retain(|shown| !shown.commands.is_empty());
    found
}

/// Asks about each command; `known` says whether the program knows one.
pub fn unknown(shown: &[Shown], known: impl Fn(&[String]) -> Result<bool>) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for group in shown {
        let mut strange = Vec::new();
        for command in &group.commands {
            if !known(command)? {
                strange.push(command.join(" "));
            }
        }
        let place = format!("{}:{}", group.path, group.line);
        if group.planned && strange.is_empty() {
            findings.push(format!(
                "{place}: all of this exists now: drop the word `planned`"
            ));
        } else if !group.planned {
            findings.extend(
                strange
                    .iter()
                    .map(|command| format!("{place}: no such command: crossport {command}")),
            );
        }
    }
    Ok(findings)
}

/// Asks the built program itself.
pub fn ask(command: &[String]) -> Result<bool> {
    let program = program()?;
    let version = Command::new(&program).arg("--version").output()?;
    if !version.stdout.starts_with(b"crossport ") {
        return Ok(false);
    }
    let answer = Command::new(&program)
        .args(command)
        .arg("--help")
        .output()?;
    Ok(answer.status.success())
}

/// The program of the same build as this test: two folders up from `target/PROFILE/deps/TEST`.
pub fn program() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test
        .ancestors()
        .nth(2)
        .context("a test stands in target/PROFILE/deps")?;
    let program = folder.join(format!("crossport{}", std::env::consts::EXE_SUFFIX));
    ensure!(
        program.exists(),
        "{} is not built; try: cargo build --workspace (with --release if the tests are)",
        program.display()
    );
    Ok(program)
}

/// `acme$ crossport up --company Acme  # comment` gives its arguments. `cargo run ... -- demo` counts as the program.
fn command(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    let line = line
        .split_once("$ ")
        .filter(|(prompt, _)| !prompt.contains(' '))
        .map_or(line, |(_, rest)| rest);
    let words = words(line);
    let rest = match words.first()?.as_str() {
        "crossport" => &words[1..],
        "cargo" if words.get(1).is_some_and(|word| word == "run") => {
            &words[words.iter().position(|word| word == "--")? + 1..]
        }
        _ => return None,
    };
    let end = rest
        .iter()
        .position(|word| matches!(word.as_str(), "#" | "|" | ">" | "&&" | "&" | "\\"));
    let rest = &rest[..end.unwrap_or(rest.len())];
    (!rest.is_empty()).then(|| rest.to_vec())
}

/// Splits like a shell as far as spaces and quotes go.
pub fn words(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut open = false;
    for c in line.chars() {
        match c {
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                open = true;
            }
            _ if quote == Some(c) => quote = None,
            ' ' if quote.is_none() => {
                if open {
                    found.push(std::mem::take(&mut word));
                }
                open = false;
            }
            _ => {
                word.push(c);
                open = true;
            }
        }
    }
    if open {
        found.push(word);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["up --company Acme", "chat send team hello there"];

    fn findings(text: &str) -> usize {
        let shown = shown(&[Source::new("README.md", text)]);
        unknown(&shown, |command| {
            Ok(KNOWN.contains(&command.join(" ").as_str()))
        })
        .expect("known answers")
        .len()
    }

    #[test]
    fn a_command_that_does_not_exist_is_found() {
        assert_eq!(
            findings("```sh\nacme$ crossport up --company Acme   # init if needed\n```"),
            0
        );
        assert_eq!(
            findings("```\n$ crossport chat send team \"hello there\" | cat\n```"),
            0
        );
        assert_eq!(
            findings(
                "Run `crossport` or `cargo build` or `cargo run --release -- up --company Acme`."
            ),
            0
        );
        assert_eq!(findings("```sh\ncrossport fly\n```"), 1);
        assert_eq!(findings("Run `crossport up --colour`."), 1);
        assert_eq!(findings("Run `cargo run --release -- fly`."), 1);
    }

    #[test]
    fn a_planned_block_is_left_alone_until_all_of_it_exists() {
        assert_eq!(
            findings("```sh planned\ncrossport up --company Acme\ncrossport fly\n```"),
            0
        );
        assert_eq!(
            findings("```sh planned\ncrossport up --company Acme\n```"),
            1
        );
    }
}
