//! The reference page of the command line, made from the command tree and compared with the one in the book.
//!
//! `CROSSPORT_UPDATE=1 cargo test -p crossport` writes it anew.

use crate::help::{localised, tests::walk};
use clap::Command;
use crossport_node::config::{KEYS, Kind};
use crossport_node::texts::{Lang, Texts};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/reference/cli.md");
const INTRODUCTION: &str = "\
# Command line

This page is made from the program itself; a test compares them.

Result on standard output, hints and errors on standard error. On a terminal lists are tables with short ids and relative
times. Piped, they are tab-separated lines without a header, with whole ids and RFC 3339 times. `--json` prints the
documents of the HTTP API, `--quiet` only ids. `NO_COLOR` is honoured. Everything that accepts an id accepts its
unique beginning of at least four digits; chats can also be named by their title.

## Exit codes

| Code | Meaning |
| --- | --- |
| 0 | done |
| 1 | failed |
| 2 | the command line or a value was not understood |
| 3 | the node cannot be reached |
| 4 | not allowed, or not signed in |
| 5 | not found |
| 6 | conflict: ambiguous, already there, too late |
| 7 | verification failed |
| 8 | timed out |

Errors look like this; with `--json` they are the API's problem documents (RFC 9457):

```text
error[X0312]: partner \"globex\" refused
cause: ticket expired 2 h ago
try: crossport partner invite
```

## Where things are found

Operators' commands talk to `operator.sock` in the data folder (`--data-dir`, `CROSSPORT_DATA`, else
`~/.local/share/crossport`). People's commands use the credentials that `crossport login` stored: in `--credentials`,
`CROSSPORT_CREDENTIALS`, else `~/.config/crossport/credentials.toml`, a file only its owner can read. It holds several
profiles; `--as anna` picks one by its beginning, the last login is used without it.

Every write carries an id made by the client. `--client-id` sets it, so that a script may repeat a call after a crash or a
time-out without doing anything twice.
";

fn page() -> String {
    let texts = Texts::of(Lang::En);
    let mut tree = localised(texts);
    tree.build();
    let mut page = INTRODUCTION.to_owned();
    walk(&tree, "cli", &[], &mut |command, key, words| {
        command_section(&mut page, command, key, words, texts)
    });
    page.push_str("\n## Configuration\n\nFlags win over environment variables, these over `crossport.toml` in the data folder, this over defaults. ");
    page.push_str("An unknown key is refused. `crossport config show --origin` tells where each value came from.\n\n");
    page.push_str("| Key | Default | Environment | Meaning |\n| --- | --- | --- | --- |\n");
    for key in KEYS {
        let limits = match key.kind {
            Kind::Number(least, most) => format!(" {least} to {most}."),
            Kind::Choice(choices) => format!(" One of: {}.", choices.join(", ")),
            _ => String::new(),
        };
        let default = if key.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", key.default)
        };
        let meaning = texts.format(&key.text_key(), &[]);
        page.push_str(&format!(
            "| `{}` | {default} | `{}` | {meaning}{limits} |\n",
            key.name,
            key.environment()
        ));
    }
    page
}

fn command_section(
    page: &mut String,
    command: &Command,
    key: &str,
    words: &[String],
    texts: &Texts,
) {
    let name = if words.is_empty() {
        "crossport".to_owned()
    } else {
        format!("crossport {}", words.join(" "))
    };
    page.push_str(&format!("\n## `{name}`\n\n{}\n", texts.format(key, &[])));
    if let Some(more) = texts.attribute(key, "more", &[]) {
        page.push_str(&format!("\n{more}\n"));
    }
    let aliases: Vec<String> = command
        .get_all_aliases()
        .map(|alias| format!("`{alias}`"))
        .collect();
    if !aliases.is_empty() {
        page.push_str(&format!("\nAlias: {}\n", aliases.join(", ")));
    }
    let usage = command.clone().render_usage().to_string();
    page.push_str(&format!("\n```text\n{}\n```\n", usage.trim()));
    // Global flags are listed once, at the top.
    let shown = |argument: &&clap::Arg| {
        argument.get_id() != "help" && (words.is_empty() || !argument.is_global_set())
    };
    let rows: Vec<String> = command
        .get_arguments()
        .filter(shown)
        .map(argument_row)
        .collect();
    if !rows.is_empty() {
        page.push_str(&format!(
            "\n| Argument | Meaning |\n| --- | --- |\n{}\n",
            rows.join("\n")
        ));
    }
    if let Some(examples) = texts.attribute(key, "examples", &[]) {
        page.push_str(&format!("\n```sh\n{examples}\n```\n"));
    }
}

fn argument_row(argument: &clap::Arg) -> String {
    let help = argument
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default()
        .replace('|', "\\|")
        .replace('\n', " ");
    let names = argument
        .get_value_names()
        .filter(|_| argument.get_action().takes_values())
        .unwrap_or_default();
    let value = names
        .iter()
        .map(|name| format!(" <{name}>"))
        .collect::<String>();
    let flags = [
        argument.get_short().map(|short| format!("-{short}")),
        argument.get_long().map(|long| format!("--{long}")),
    ];
    let flags = flags.into_iter().flatten().collect::<Vec<_>>().join(", ");
    format!("| `{}` | {help} |", format!("{flags}{value}").trim())
}

#[test]
fn the_page_in_the_book_is_current() {
    let page = page();
    if std::env::var_os("CROSSPORT_UPDATE").is_some() {
        std::fs::create_dir_all(std::path::Path::new(PAGE).parent().expect("has a folder"))
            .expect("makes the folder");
        std::fs::write(PAGE, &page).expect("writes the page");
    }
    let stored = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        stored == page,
        "docs/src/reference/cli.md is stale: CROSSPORT_UPDATE=1 cargo test -p crossport"
    );
}

/// Every text that the sources name exists, and every text of the catalogue is named somewhere.
#[test]
fn keys_and_catalogue_match() {
    let catalogue = include_str!("../../node/locales/en.ftl");
    let starts_key = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
    let keys: std::collections::BTreeSet<&str> = catalogue
        .lines()
        .filter(starts_key)
        .filter_map(|line| line.split_once(" ="))
        .map(|(key, _)| key)
        .collect();
    let areas: std::collections::BTreeSet<&str> = keys
        .iter()
        .filter_map(|key| key.split_once('-'))
        .map(|(area, _)| area)
        .collect();
    let mut named = std::collections::BTreeSet::new();
    for folder in ["cli/src", "node/src"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(folder);
        collect_literals(&folder, &mut named);
    }
    let is_key = |text: &&String| {
        let well_formed = text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !text.ends_with('-');
        well_formed
            && text
                .split_once('-')
                .is_some_and(|(area, _)| areas.contains(area))
    };
    let other_uses = ["last-event-id", "error-context", "config-file"];
    for text in named
        .iter()
        .filter(is_key)
        .filter(|text| !other_uses.contains(&text.as_str()))
    {
        assert!(
            keys.contains(text.as_str()),
            "{text} is used and not in the catalogue"
        );
    }
    for key in keys {
        let by_rule = key.starts_with("cli")
            || key.starts_with("config-")
            || key.starts_with("problem-")
            || key.starts_with("web-");
        assert!(
            by_rule || named.contains(key),
            "{key} is in the catalogue and not used"
        );
    }
}

/// String literals of all sources below a folder, roughly: what stands between quotation marks on one line.
fn collect_literals(folder: &std::path::Path, found: &mut std::collections::BTreeSet<String>) {
    for entry in std::fs::read_dir(folder)
        .expect("a source folder")
        .map(|entry| entry.expect("readable").path())
    {
        if entry.is_dir() {
            collect_literals(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&entry).expect("readable");
            found.extend(
                source
                    .lines()
                    .flat_map(|line| line.split('"').skip(1).step_by(2).map(str::to_owned)),
            );
        }
    }
}
