//! Who may depend on whom, and where a foreign crate may be named.
//!
//! Owns the two tables below: edges between our crates, and the one place of each crate that touches wire, disk or
//! network. Must not know why a crate was chosen; the decision records say that. A foreign crate behind one module can be
//! replaced by changing one module.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::rust_text::{split, words};
use super::tree::Source;

/// Our crates and the ones of ours each may name. Nothing points back.
const EDGES: [(&str, &[&str]); 4] = [
    ("crossport-protocol", &[]),
    ("crossport-node", &["crossport-protocol"]),
    ("crossport", &["crossport-node", "crossport-protocol"]),
    (
        "crossport-tests",
        &["crossport", "crossport-node", "crossport-protocol"],
    ),
];

/// Crates that only some of ours may name; a trailing `*` stands for the rest of the name.
const OWNERS: [(&str, &[&str]); 14] = [
    ("pulldown-cmark", &["crossport-node"]),
    ("bincode", &["crossport-protocol"]),
    ("ed25519-dalek", &["crossport-protocol"]),
    ("x25519-dalek", &["crossport-protocol"]),
    ("curve25519-dalek", &["crossport-protocol"]),
    ("hpke", &["crossport-protocol"]),
    ("libp2p*", &["crossport-node"]),
    ("redb", &["crossport-node"]),
    ("axum*", &["crossport-node"]),
    ("argon2", &["crossport-node"]),
    ("clap*", &["crossport"]),
    ("indicatif", &["crossport"]),
    ("anyhow", &["crossport", "crossport-tests"]),
    ("thiserror", &["crossport-protocol", "crossport-node"]),
];

/// Where tests alone may name a crate of another owner, as a dev-dependency: the command line is tried against a stand-in
/// node that answers as it is told.
const STAND_INS: [(&str, &str); 1] = [("crossport", "axum")];

/// All that `protocol` may stand on. Each is free of clock, disk, socket and randomness of its own (`rand_core` holds the
/// traits by which randomness is handed in); a new one needs a decision record.
const PROTOCOL_STANDS_ON: [&str; 13] = [
    "bincode",
    "chacha20poly1305",
    "ed25519-dalek",
    "hkdf",
    "hpke",
    "proptest",
    "rand_core",
    "serde",
    "sha2",
    "subtle",
    "thiserror",
    "x25519-dalek",
    "zeroize",
];

/// Words that may stand in code only below these paths. A trailing `*` covers `libp2p_stream` and its like.
const PLACES: [(&str, &[&str]); 4] = [
    ("pulldown_cmark", &["node/src/markdown.rs"]),
    ("libp2p*", &["node/src/network.rs", "node/src/network/"]),
    ("redb", &["node/src/index.rs", "node/src/index/"]),
    ("bincode", &["protocol/src/codec.rs"]),
];

/// A workspace member as `cargo metadata` tells it.
#[derive(Debug, Deserialize)]
pub struct Package {
    pub name: String,
    pub dependencies: Vec<Dependency>,
}

/// A line of a manifest: dev and build dependencies count as much as the others.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// Nothing, or `dev` or `build`.
    pub kind: Option<String>,
    /// Features that the line switches on.
    #[serde(default)]
    pub features: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// Reads `cargo metadata --no-deps`.
pub fn packages(metadata: &str) -> Result<Vec<Package>> {
    let read: Metadata =
        serde_json::from_str(metadata).context("cargo metadata is not what it was")?;
    Ok(read.packages)
}

/// `cli -> node -> protocol`; `tests` sees all; nothing points back; no fifth crate appears unnoticed.
pub fn direction(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, _) in EDGES {
        if !packages.iter().any(|package| package.name == name) {
            findings.push(format!("crate {name} is gone: change the table of edges together with the architecture page"));
        }
    }
    for package in packages {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            findings.push(format!(
                "crate {} has no place in the table of edges",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            if dependency.name.starts_with("crossport")
                && !allowed.contains(&dependency.name.as_str())
            {
                findings.push(format!(
                    "{} must not depend on {}",
                    package.name, dependency.name
                ));
            }
        }
    }
    findings
}

/// Manifests name a crate only where it belongs.
pub fn owners(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in packages {
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let stands_in = dependency.kind.as_deref() == Some("dev")
                && STAND_INS.contains(&(&package.name, name));
            for (_, owners) in OWNERS.iter().filter(|(pattern, _)| matches(pattern, name)) {
                if !stands_in && !owners.contains(&package.name.as_str()) {
                    findings.push(format!(
                        "{} names {name}, which belongs to {}",
                        package.name,
                        owners.join(", ")
                    ));
                }
            }
        }
    }
    findings
}

/// `protocol` stands on its short list only.
pub fn protocol_stands_on(packages: &[Package]) -> Vec<String> {
    let protocol = packages
        .iter()
        .filter(|package| package.name == "crossport-protocol");
    let named = protocol.flat_map(|package| &package.dependencies);
    let strange =
        named.filter(|dependency| !PROTOCOL_STANDS_ON.contains(&dependency.name.as_str()));
    strange
        .map(|dependency| {
            format!(
                "protocol depends on {}, which is not on its list",
                dependency.name
            )
        })
        .collect()
}

/// The simulator and its planted bugs are switched on by `tests` alone, so that an installed binary carries neither.
pub fn simulator_stays_in_tests(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in packages
        .iter()
        .filter(|package| package.name != "crossport-tests")
    {
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| dependency.name == "crossport-protocol")
        {
            if dependency.features.iter().any(|feature| feature == "sim") {
                findings.push(format!(
                    "{} switches on protocol's feature `sim`",
                    package.name
                ));
            }
        }
    }
    findings
}

/// Sources name a foreign crate only in the module that wraps it.
pub fn places(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let code = split(&source.text).code;
        for (line, word) in words(&code) {
            for (pattern, allowed) in PLACES {
                if matches(pattern, word)
                    && !allowed.iter().any(|place| source.path.starts_with(place))
                {
                    let allowed = allowed.join(" or ");
                    findings.push(format!(
                        "{}:{line}: `{word}` is named outside {allowed}",
                        source.path
                    ));
                }
            }
        }
    }
    findings
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(edges: &[(&str, &str)]) -> Vec<Package> {
        let package = |name: &str| Package {
            name: name.to_owned(),
            dependencies: edges
                .iter()
                .filter(|(from, _)| *from == name)
                .map(|(_, to)| Dependency {
                    name: (*to).to_owned(),
                    kind: None,
                    features: vec!["sim".to_owned()],
                })
                .collect(),
        };
        EDGES.iter().map(|(name, _)| package(name)).collect()
    }

    #[test]
    fn an_edge_that_points_back_is_found() {
        let sound = [
            ("crossport", "crossport-node"),
            ("crossport-node", "crossport-protocol"),
        ];
        assert_eq!(direction(&workspace(&sound)), Vec::<String>::new());
        assert_eq!(
            direction(&workspace(&[("crossport-protocol", "crossport-node")])).len(),
            1
        );
        assert_eq!(
            direction(&workspace(&[("crossport-node", "crossport")])).len(),
            1
        );
        assert_eq!(direction(&workspace(&[])[1..]).len(), 1, "a missing crate");
    }

    #[test]
    fn a_crate_in_a_strange_manifest_is_found() {
        assert_eq!(
            owners(&workspace(&[("crossport-node", "libp2p-stream")])),
            Vec::<String>::new()
        );
        for planted in [
            ("crossport", "libp2p-stream"),
            ("crossport-protocol", "redb"),
            ("crossport-node", "bincode"),
        ] {
            assert_eq!(owners(&workspace(&[planted])).len(), 1, "{planted:?}");
        }
        let mut tested = workspace(&[("crossport", "axum")]);
        assert_eq!(owners(&tested).len(), 1, "a product that names a stand-in");
        for dependency in tested
            .iter_mut()
            .flat_map(|package| &mut package.dependencies)
        {
            dependency.kind = Some("dev".to_owned());
        }
        assert_eq!(owners(&tested), Vec::<String>::new());
        assert_eq!(
            protocol_stands_on(&workspace(&[("crossport-protocol", "tokio")])).len(),
            1
        );
    }

    #[test]
    fn a_simulator_in_the_product_is_found() {
        assert_eq!(
            simulator_stays_in_tests(&workspace(&[("crossport-tests", "crossport-protocol")]))
                .len(),
            0
        );
        assert_eq!(
            simulator_stays_in_tests(&workspace(&[("crossport-node", "crossport-protocol")])).len(),
            1
        );
    }

    #[test]
    fn a_name_in_a_strange_source_is_found() {
        let sound = [
            Source::new("node/src/network/link.rs", "use libp2p_stream::Control;"),
            Source::new("node/src/store.rs", "// libp2p is not known here"),
            Source::new("protocol/src/codec.rs", "bincode::options()"),
        ];
        assert_eq!(places(&sound), Vec::<String>::new());
        let planted = [
            Source::new("node/src/federation.rs", "use libp2p_stream::Control;"),
            Source::new("node/src/store.rs", "fn f(db: redb::Database) {}"),
            Source::new("protocol/src/seal.rs", "bincode::options()"),
            Source::new("node/src/networking.rs", "use libp2p::Swarm;"),
        ];
        assert_eq!(places(&planted).len(), planted.len());
    }
}
