//! `protocol` has no clock, no randomness, no disk, no socket, no thread, no hidden order.
//!
//! Owns the scan of its sources, the second fence behind `protocol/clippy.toml`: clippy sees through renamed imports, but
//! lists single functions and only speaks when it is run; this scan bars whole modules of `std` and always runs.

use super::rust_text::{split, std_modules, words};
use super::tree::Source;

/// Modules of `std` that reach outside. `std::time` stays for `Duration`, `std::io` for its traits.
const BARRED_MODULES: [&str; 7] = ["env", "fs", "net", "os", "process", "random", "thread"];

/// Words that mean a clock, randomness, an order that differs from run to run, a wait or a print.
const BARRED_WORDS: [(&str, &str); 23] = [
    ("SystemTime", "`now` is an argument"),
    ("Instant", "`now` is an argument"),
    ("HashMap", "use BTreeMap"),
    ("HashSet", "use BTreeSet"),
    ("RandomState", "a hidden source of randomness"),
    ("DefaultHasher", "its output is not stable"),
    ("OsRng", "randomness is an argument"),
    ("SysRng", "randomness is an argument"),
    ("ThreadRng", "randomness is an argument"),
    ("thread_rng", "randomness is an argument"),
    ("getrandom", "randomness is an argument"),
    ("rand", "randomness is an argument"),
    ("thread_local", "state is an argument"),
    ("async", "protocol decides, it does not wait"),
    ("await", "protocol decides, it does not wait"),
    ("tokio", "protocol has no runtime"),
    ("futures", "protocol has no runtime"),
    ("println", "protocol has no terminal"),
    ("eprintln", "protocol has no terminal"),
    ("stdin", "protocol has no terminal"),
    ("stdout", "protocol has no terminal"),
    ("stderr", "protocol has no terminal"),
    ("unsafe", "forbidden in our crates"),
];

/// Scans what stands under `protocol/src`.
pub fn purity(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.is_rust() && source.path.starts_with("protocol/src/"))
    {
        let code = split(&source.text).code;
        for (line, word) in words(&code) {
            if let Some((_, reason)) = BARRED_WORDS.iter().find(|(barred, _)| *barred == word) {
                findings.push(format!("{}:{line}: `{word}`: {reason}", source.path));
            }
        }
        for (line, module) in std_modules(&code) {
            if BARRED_MODULES.contains(&module.as_str()) {
                findings.push(format!(
                    "{}:{line}: `std::{module}` reaches outside",
                    source.path
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_out_is_found() {
        let planted = [
            "let t = std::time::SystemTime::now();",
            "use std::time::{Duration, Instant};",
            "use std::collections::{BTreeMap, HashMap};",
            "type Seen = std::collections::HashSet<u8>;",
            "std::fs::read(path)",
            "use std::{collections::BTreeMap, net};",
            "std::thread::spawn(f)",
            "use ::std::env;",
            "getrandom::fill(&mut nonce)",
            "rand::rng()",
            "pub async fn f() {}",
        ];
        for text in planted {
            assert_eq!(
                purity(&[Source::new("protocol/src/x.rs", text)]).len(),
                1,
                "{text}"
            );
        }
    }

    #[test]
    fn pure_code_and_other_crates_are_left_alone() {
        let pure = "//! No HashMap, no std::fs.\nuse std::collections::BTreeMap;\nuse std::time::Duration;\nlet s = \"Instant\";";
        assert_eq!(
            purity(&[Source::new("protocol/src/x.rs", pure)]),
            Vec::<String>::new()
        );
        assert_eq!(
            purity(&[Source::new("node/src/x.rs", "std::fs::read(path)")]),
            Vec::<String>::new()
        );
    }
}
