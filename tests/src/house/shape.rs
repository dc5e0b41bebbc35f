//! How the tree looks: folders, file openings, lengths, words that must not stay.
//!
//! Owns the limits of 600 lines a file and 70 a function, kept as a ratchet: what is over them stands in
//! `tests/house-exceptions.txt` with its present length, and that number may only fall. Must not know what the code does.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::rust_text::{functions, split, words};
use super::tree::Source;

/// A reader keeps a file of this length in mind; the longest of the well-kept projects we learnt from stay near it.
pub const FILE_LINES: usize = 600;
/// One function fits on one screen.
pub const FUNCTION_LINES: usize = 70;
/// Where the tolerated lengths stand.
pub const EXCEPTIONS: &str = "tests/house-exceptions.txt";

const FOLDERS: [&str; 6] = [".ci", "cli", "docs", "node", "protocol", "tests"];

/// Work left lying about: it belongs into the status page or an issue, where someone sees it.
const LEFTOVER_WORDS: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];
const LEFTOVER_CODE: [&str; 4] = ["todo!", "unimplemented!", "#[ignore", "dbg!"];

/// Paths that exist on one person's machine only. Spelt in two halves, so that this file passes its own rule.
const MACHINE_PATHS: [&str; 3] = [
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
];

/// Lengths that are tolerated: `path` for a file, `path::name` for a function.
pub type Exceptions = BTreeMap<String, usize>;

/// Reads the list: one `key lines` a line, `#` opens a comment.
pub fn exceptions(text: &str) -> Result<Exceptions> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (key, count) = line
            .rsplit_once(' ')
            .with_context(|| format!("expected `key lines`, found {line:?}"))?;
        let count = count
            .parse()
            .with_context(|| format!("expected a number of lines, found {count:?}"))?;
        Ok((key.trim().to_owned(), count))
    };
    lines.map(entry).collect()
}

/// Files and functions within the limits, or tolerated at exactly their present length.
pub fn lengths(sources: &[Source], exceptions: &Exceptions) -> Vec<String> {
    let mut over = BTreeMap::new();
    for source in sources {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            over.insert(source.path.clone(), lines);
        }
        if source.is_rust() {
            let long = functions(&split(&source.text).code)
                .into_iter()
                .filter(|f| f.lines > FUNCTION_LINES);
            over.extend(long.map(|f| (format!("{}::{}", source.path, f.name), f.lines)));
        }
    }
    let new = over.iter().filter_map(|(key, lines)| match exceptions.get(key) {
        None => Some(format!("{key} has {lines} lines: files up to {FILE_LINES}, functions up to {FUNCTION_LINES}")),
        Some(allowed) if allowed < lines => Some(format!("{key} grew from {allowed} to {lines} lines: it may only shrink")),
        Some(allowed) if allowed > lines => Some(format!("{key} shrank: write {lines} for {allowed} in {EXCEPTIONS}")),
        Some(_) => None,
    });
    let stale = exceptions.keys().filter(|key| !over.contains_key(*key));
    new.chain(stale.map(|key| format!("{key} is within the limits: take it out of {EXCEPTIONS}")))
        .collect()
}

/// Each Rust file opens with `//!`: what it owns, what it must not know, why it is so.
pub fn openings(sources: &[Source]) -> Vec<String> {
    let bare = sources
        .iter()
        .filter(|source| source.is_rust() && !source.text.starts_with("//! "));
    bare.map(|source| format!("{}: opens without `//!`", source.path))
        .collect()
}

/// `foo.rs` beside `foo/`; a tab named `mod.rs` tells nobody anything.
pub fn no_mod_rs(paths: &[String]) -> Vec<String> {
    let named_mod = paths
        .iter()
        .filter(|path| path.as_str() == "mod.rs" || path.ends_with("/mod.rs"));
    named_mod
        .map(|path| format!("{path}: name it after its folder, beside it"))
        .collect()
}

/// No work left lying about, no test that is switched off.
pub fn leftovers(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let (code, spoken) = if source.is_rust() {
            let parts = split(&source.text);
            (parts.code, parts.comments)
        } else {
            (String::new(), source.text.clone())
        };
        for (line, word) in words(&spoken).filter(|(_, word)| LEFTOVER_WORDS.contains(word)) {
            findings.push(format!(
                "{}:{line}: {word}: write an issue or a line in the status page instead",
                source.path
            ));
        }
        for (index, line) in code.lines().enumerate() {
            for mark in LEFTOVER_CODE.iter().filter(|mark| line.contains(*mark)) {
                findings.push(format!(
                    "{}:{}: `{mark}` must not stay",
                    source.path,
                    index + 1
                ));
            }
        }
    }
    findings
}

/// No path of the machine that somebody happens to build on.
pub fn machine_paths(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        for (index, line) in source.text.lines().enumerate() {
            for path in MACHINE_PATHS.iter().filter(|path| line.contains(*path)) {
                findings.push(format!(
                    "{}:{}: {path} exists on one machine only",
                    source.path,
                    index + 1
                ));
            }
        }
    }
    findings
}

/// The folders at the top are the allowed ones, all of them, besides what `.gitignore` names as `/folder`.
pub fn folders(found: &[String], gitignore: &str) -> Vec<String> {
    let ignored: Vec<&str> = gitignore
        .lines()
        .filter_map(|line| line.trim().strip_prefix('/'))
        .collect();
    let known = |name: &str| name == ".git" || FOLDERS.contains(&name) || ignored.contains(&name);
    let strange = found
        .iter()
        .filter(|name| !known(name))
        .map(|name| format!("{name}/ is no folder of this project"));
    let missing = FOLDERS
        .iter()
        .filter(|name| !found.iter().any(|found| found == *name));
    strange
        .chain(missing.map(|name| format!("{name}/ is missing")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long_function(lines: usize) -> Source {
        let body = "    step();\n".repeat(lines - 2);
        Source::new("node/src/x.rs", &format!("fn long() {{\n{body}}}\n"))
    }

    fn tolerated(key: &str, lines: usize) -> Exceptions {
        Exceptions::from([(key.to_owned(), lines)])
    }

    #[test]
    fn a_file_or_function_over_the_limit_is_found() {
        let none = Exceptions::new();
        assert_eq!(
            lengths(&[long_function(FUNCTION_LINES)], &none),
            Vec::<String>::new()
        );
        assert_eq!(
            lengths(&[long_function(FUNCTION_LINES + 1)], &none).len(),
            1
        );
        let file = Source::new("tests/vectors/check.py", &"x = 1\n".repeat(FILE_LINES + 1));
        assert_eq!(lengths(&[file], &none).len(), 1);
    }

    #[test]
    fn a_tolerated_length_may_only_fall() {
        let long = [long_function(80)];
        let key = "node/src/x.rs::long";
        assert_eq!(lengths(&long, &tolerated(key, 80)), Vec::<String>::new());
        assert!(lengths(&long, &tolerated(key, 79))[0].contains("grew"));
        assert!(lengths(&long, &tolerated(key, 81))[0].contains("shrank"));
        assert!(lengths(&[long_function(5)], &tolerated(key, 80))[0].contains("take it out"));
    }

    #[test]
    fn the_list_of_exceptions_is_read_strictly() {
        let read = exceptions("# why\n\nnode/src/x.rs::long 80\n").expect("a sound list");
        assert_eq!(read, tolerated("node/src/x.rs::long", 80));
        assert!(exceptions("node/src/x.rs eighty").is_err());
        assert!(exceptions("node/src/x.rs").is_err());
    }

    #[test]
    fn a_bare_opening_and_a_mod_rs_are_found() {
        assert_eq!(
            openings(&[Source::new("a.rs", "//! Owns.\n"), Source::new("a.py", "x")]),
            Vec::<String>::new()
        );
        assert_eq!(openings(&[Source::new("a.rs", "use b;\n")]).len(), 1);
        assert_eq!(
            no_mod_rs(&[
                "node/src/api/mod.rs".to_owned(),
                "node/src/api.rs".to_owned()
            ])
            .len(),
            1
        );
    }

    #[test]
    fn leftovers_are_found_in_code_and_comments_but_not_in_strings() {
        let planted = [
            "// TODO later",
            "/* FIXME */",
            "fn f() { todo!() }",
            "#[ignore]\nfn t() {}",
            "fn f() { dbg!(1); }",
        ];
        for text in planted {
            assert_eq!(leftovers(&[Source::new("a.rs", text)]).len(), 1, "{text}");
        }
        assert_eq!(leftovers(&[Source::new("a.py", "# TODO")]).len(), 1);
        assert_eq!(
            leftovers(&[Source::new("a.rs", "let s = \"TODO todo!\";")]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let planted = format!("cd {}anna/crossport", MACHINE_PATHS[0]);
        assert_eq!(
            machine_paths(&[Source::new("README.md", &planted)]).len(),
            1
        );
    }

    #[test]
    fn a_strange_or_missing_folder_is_found() {
        let mut found: Vec<String> = FOLDERS.iter().map(|name| (*name).to_owned()).collect();
        found.extend([".git".to_owned(), "target".to_owned()]);
        assert_eq!(folders(&found, "/target\n"), Vec::<String>::new());
        found.push("scripts".to_owned());
        assert_eq!(folders(&found, "/target\n").len(), 1);
        assert_eq!(folders(&found[1..], "/target\n/scripts\n").len(), 1);
    }
}
