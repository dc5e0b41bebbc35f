//! What comes from outside: versions, licences, crates that are not let in.
//!
//! Owns the lists below. It reads `Cargo.lock` for what may be linked on any machine and `cargo tree` for what is linked
//! here. Must not ask the network: the public advisory database is a git clone that an offline machine cannot make, and it
//! misses some of these entries, so minimum versions stand here.

use std::collections::{BTreeMap, BTreeSet};

/// Lowest versions without a known hole, or the newest known where the peer's bytes go straight into the crate.
const MINIMUM: [(&str, [u64; 3]); 5] = [
    ("libp2p-gossipsub", [0, 49, 4]),
    ("yamux", [0, 13, 10]),
    ("quinn-proto", [0, 11, 19]),
    ("snow", [0, 9, 6]),
    ("h2", [0, 4, 20]),
];

/// Crates without a maintainer that we keep, who may pull them in, and why that is sound.
const UNMAINTAINED: [(&str, &[&str], &str); 1] = [(
    "bincode",
    &["crossport-protocol"],
    "its bytes are our specification, held by vectors and an independent decoder",
)];

/// Crates that must not be linked here, and why.
const BANNED: [(&str, &str); 17] = [
    ("openssl", "one TLS stack: rustls"),
    ("openssl-sys", "one TLS stack: rustls"),
    ("native-tls", "one TLS stack: rustls"),
    (
        "postcard",
        "accepts over-long integers; bytes are strict here",
    ),
    ("bitcode", "no stable format"),
    ("bincode_derive", "bincode stays at 1.3.3"),
    ("tantivy", "search is a thin index of our own"),
    (
        "libp2p-gossipsub",
        "drops under pressure; the log is the outbox",
    ),
    ("libp2p-kad", "partners are a closed set"),
    ("libp2p-mdns", "nothing is announced to strangers"),
    ("libp2p-floodsub", "the log is the outbox"),
    (
        "libp2p-request-response",
        "a substream a call costs several times a long-lived stream",
    ),
    ("rocksdb", "the index is redb"),
    (
        "sled",
        "loses and mixes pages in power cuts; the index is redb",
    ),
    ("async-std", "one runtime: tokio"),
    ("serde_yaml", "no maintainer; configuration is TOML"),
    ("figment", "configuration is one TOML struct"),
];

/// Licences that everyone may combine with MIT OR Apache-2.0.
const LICENCES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Single crates under another licence.
const LICENCE_EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "option-ext",
    "MPL-2.0",
    "file-level copyleft, used unchanged below `directories`",
)];

/// A package of `Cargo.lock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    pub name: String,
    pub version: String,
    /// Names only, without versions.
    pub dependencies: Vec<String>,
}

/// A package that `cargo tree` says is compiled here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Compiled {
    pub name: String,
    pub version: String,
    pub licence: String,
}

/// Reads `Cargo.lock`. Its layout is cargo's own and has one field a line.
pub fn locked(text: &str) -> Vec<Locked> {
    let mut packages: Vec<Locked> = Vec::new();
    for line in text.lines() {
        if line == "[[package]]" {
            packages.push(Locked {
                name: String::new(),
                version: String::new(),
                dependencies: Vec::new(),
            });
        }
        let Some(package) = packages.last_mut() else {
            continue;
        };
        if let Some(name) = quoted(line, "name = ") {
            package.name = name;
        } else if let Some(version) = quoted(line, "version = ") {
            package.version = version;
        } else if let Some(dependency) = quoted(line.trim_end_matches(','), " ") {
            package
                .dependencies
                .extend(dependency.split(' ').next().map(str::to_owned));
        }
    }
    packages
}

/// Reads lines of `name vVERSION ...|LICENCE`.
pub fn compiled(text: &str) -> BTreeSet<Compiled> {
    let package = |line: &str| {
        let (package, licence) = line.split_once('|')?;
        let mut words = package.split(' ');
        let name = words.next()?.to_owned();
        let version = words.next()?.trim_start_matches('v').to_owned();
        Some(Compiled {
            name,
            version,
            licence: licence.trim_end_matches(" (*)").to_owned(),
        })
    };
    text.lines().filter_map(package).collect()
}

/// No version below the list; every locked version of a name counts.
pub fn minimum_versions(locked: &[Locked]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in locked {
        for (_, minimum) in MINIMUM.iter().filter(|(name, _)| *name == package.name) {
            if number(&package.version) < *minimum {
                let [major, minor, patch] = minimum;
                findings.push(format!(
                    "{} {} is below {major}.{minor}.{patch}",
                    package.name, package.version
                ));
            }
        }
    }
    findings
}

/// An exception holds for the named users only, and goes when nothing needs it any more.
pub fn unmaintained(locked: &[Locked]) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, allowed, reason) in UNMAINTAINED {
        let users: Vec<&Locked> = locked
            .iter()
            .filter(|p| p.dependencies.iter().any(|d| d == name))
            .collect();
        if users.is_empty() {
            findings.push(format!(
                "{name} is gone: take it off the list of exceptions"
            ));
        }
        for user in users
            .iter()
            .filter(|user| !allowed.contains(&user.name.as_str()))
        {
            findings.push(format!(
                "{} pulls in {name}, which is tolerated elsewhere only because: {reason}",
                user.name
            ));
        }
    }
    findings
}

/// Nothing from the list of banned crates is compiled.
pub fn banned(compiled: &BTreeSet<Compiled>) -> Vec<String> {
    let mut findings = Vec::new();
    for package in compiled {
        for (name, reason) in BANNED.iter().filter(|(name, _)| *name == package.name) {
            findings.push(format!("{name} {} is compiled: {reason}", package.version));
        }
    }
    findings
}

/// One curve stack: two would double the code that has to be right, and let two ideas of a valid point meet.
pub fn one_curve_stack(compiled: &BTreeSet<Compiled>) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in compiled {
        versions
            .entry(&package.name)
            .or_default()
            .push(&package.version);
    }
    let stack = ["curve25519-dalek", "ed25519-dalek", "x25519-dalek"];
    let wrong = stack
        .iter()
        .filter_map(|name| match versions.get(name).map(Vec::as_slice) {
            Some([_]) => None,
            Some(several) => Some(format!(
                "{name} is compiled in {} versions: {}",
                several.len(),
                several.join(", ")
            )),
            None => Some(format!(
                "{name} is not compiled at all: this check has lost its subject"
            )),
        });
    wrong.collect()
}

/// Every compiled package is under a licence of the list, or a named exception that is still needed.
pub fn licences(compiled: &BTreeSet<Compiled>) -> Vec<String> {
    let mut findings = Vec::new();
    for package in compiled {
        let excepted = |(name, licence, _): &(&str, &str, &str)| {
            *name == package.name && *licence == package.licence
        };
        if !permits(&package.licence) && !LICENCE_EXCEPTIONS.iter().any(excepted) {
            findings.push(format!(
                "{} {} is under {:?}",
                package.name, package.version, package.licence
            ));
        }
    }
    for (name, _, _) in LICENCE_EXCEPTIONS {
        if !compiled.iter().any(|package| package.name == name) {
            findings.push(format!(
                "{name} is gone: take it off the licence exceptions"
            ));
        }
    }
    findings
}

/// Evaluates an SPDX expression: `OR` is a choice, `AND` binds tighter and wants both, an old `/` is a choice.
fn permits(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace(" WITH ", "~");
    let words: Vec<String> = spaced
        .split_whitespace()
        .map(|word| word.replace('~', " WITH "))
        .collect();
    let mut rest = words.as_slice();
    either(&mut rest) == Some(true) && rest.is_empty()
}

/// Each part returns nothing where the expression is broken off: what cannot be read is not permitted.
fn either(rest: &mut &[String]) -> Option<bool> {
    let mut permitted = both(rest)?;
    while let Some(tail) = after(rest, "OR") {
        *rest = tail;
        permitted |= both(rest)?;
    }
    Some(permitted)
}

fn both(rest: &mut &[String]) -> Option<bool> {
    let mut permitted = single(rest)?;
    while let Some(tail) = after(rest, "AND") {
        *rest = tail;
        permitted &= single(rest)?;
    }
    Some(permitted)
}

fn single(rest: &mut &[String]) -> Option<bool> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    if first != "(" {
        return Some(LICENCES.contains(&first.as_str()));
    }
    let permitted = either(rest)?;
    *rest = after(rest, ")")?;
    Some(permitted)
}

fn after<'a>(rest: &&'a [String], word: &str) -> Option<&'a [String]> {
    let (first, tail) = rest.split_first()?;
    (first == word).then_some(tail)
}

fn quoted(line: &str, start: &str) -> Option<String> {
    let inner = line
        .strip_prefix(start)?
        .trim_start()
        .strip_prefix('"')?
        .strip_suffix('"')?;
    Some(inner.to_owned())
}

/// The first three numbers of a version; a pre-release counts as its release.
fn number(version: &str) -> [u64; 3] {
    let mut numbers = version
        .split(['.', '-', '+'])
        .map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(packages: &[(&str, &str, &[&str])]) -> Vec<Locked> {
        let text = |(name, version, dependencies): &(&str, &str, &[&str])| {
            let lines: String = dependencies
                .iter()
                .map(|name| format!(" \"{name} 1.0.0\",\n"))
                .collect();
            format!(
                "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\ndependencies = [\n{lines}]\n"
            )
        };
        locked(&packages.iter().map(text).collect::<String>())
    }

    fn build(lines: &[&str]) -> BTreeSet<Compiled> {
        compiled(&lines.join("\n"))
    }

    #[test]
    fn the_lock_file_is_read() {
        let read = lock(&[("sled", "0.34.7", &["fxhash", "libc"])]);
        let expected = Locked {
            name: "sled".into(),
            version: "0.34.7".into(),
            dependencies: vec!["fxhash".into(), "libc".into()],
        };
        assert_eq!(read, [expected]);
    }

    #[test]
    fn an_old_version_is_found_beside_a_new_one() {
        assert_eq!(
            minimum_versions(&lock(&[("yamux", "0.14.1", &[]), ("snow", "0.10.0", &[])])),
            Vec::<String>::new()
        );
        for planted in [
            ("yamux", "0.13.9"),
            ("quinn-proto", "0.11.2"),
            ("snow", "0.9.5"),
            ("h2", "0.3.27"),
        ] {
            let both = [
                ("yamux", "0.14.1", &[][..]),
                (planted.0, planted.1, &[][..]),
            ];
            assert_eq!(minimum_versions(&lock(&both)).len(), 1, "{planted:?}");
        }
    }

    #[test]
    fn an_exception_holds_for_its_user_only() {
        let sound: [(&str, &str, &[&str]); 2] = [
            ("crossport-protocol", "0.1.0", &["bincode"]),
            ("crossport-node", "0.1.0", &["redb"]),
        ];
        assert_eq!(unmaintained(&lock(&sound)), Vec::<String>::new());
        let mut spread = sound.to_vec();
        spread.push(("crossport-node", "0.1.0", &["bincode"]));
        assert_eq!(unmaintained(&lock(&spread)).len(), 1);
        assert_eq!(
            unmaintained(&lock(&sound[1..])).len(),
            1,
            "an exception without a use"
        );
    }

    #[test]
    fn a_banned_crate_and_a_second_curve_are_found() {
        let sound = [
            "curve25519-dalek v5.0.0|MIT",
            "ed25519-dalek v3.0.0|MIT",
            "x25519-dalek v3.0.0|MIT",
        ];
        assert_eq!(banned(&build(&sound)), Vec::<String>::new());
        assert_eq!(one_curve_stack(&build(&sound)), Vec::<String>::new());
        assert_eq!(
            banned(&build(&[
                "openssl v0.10.0|Apache-2.0",
                "libp2p-kad v0.48.0|MIT"
            ]))
            .len(),
            2
        );
        let doubled = [&sound[..], &["curve25519-dalek v4.1.3|MIT"]].concat();
        assert_eq!(one_curve_stack(&build(&doubled)).len(), 1);
        assert_eq!(
            one_curve_stack(&build(&sound[1..])).len(),
            1,
            "the subject is gone"
        );
    }

    #[test]
    fn licence_expressions_are_evaluated() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-2.0-only OR MIT",
            "(MIT OR GPL-3.0) AND ISC",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(permits(good), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT",
            "MIT OR",
            "GPL-3.0 OR MIT AND AGPL-3.0",
        ] {
            assert!(!permits(bad), "{bad}");
        }
    }

    #[test]
    fn a_strange_licence_is_found() {
        let sound = [
            "option-ext v0.2.0|MPL-2.0",
            "tokio v1.54.0 (proc-macro)|MIT (*)",
        ];
        assert_eq!(licences(&build(&sound)), Vec::<String>::new());
        assert_eq!(
            licences(&build(&[sound[0], "viral v1.0.0|AGPL-3.0"])).len(),
            1
        );
        assert_eq!(licences(&build(&[sound[0], "unnamed v1.0.0|"])).len(), 1);
        assert_eq!(
            licences(&build(&[sound[0], "other v1.0.0|MPL-2.0"])).len(),
            1,
            "an exception is for one crate"
        );
        assert_eq!(
            licences(&build(&[sound[1]])).len(),
            1,
            "an exception without a use"
        );
    }
}
