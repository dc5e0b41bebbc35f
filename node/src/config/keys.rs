//! The keys: name, kind, default, limits, and why each exists.
//!
//! One row a key; the reference page, the environment's names and the checks are made from it. It must not hold any
//! value that is in force. Descriptions are in the catalogue as `config-NAME` with dashes.

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// `host:port`, or `off`.
    Address,
    /// A TOML list, or comma-separated in environment and flags.
    List,
    /// Smallest and largest.
    Number(u64, u64),
    /// One of these.
    Choice(&'static [&'static str]),
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// As it would be typed; empty = none.
    pub default: &'static str,
}

impl Key {
    /// The name of its environment variable.
    pub fn environment(&self) -> String {
        match self.name {
            // Short, because every client needs it too.
            "data_dir" => "CROSSPORT_DATA".to_owned(),
            name => format!("CROSSPORT_{}", name.to_ascii_uppercase()),
        }
    }

    /// The key of its description in the catalogue.
    pub fn text_key(&self) -> String {
        format!("config-{}", self.name.replace('_', "-"))
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
    }
}

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;

/// All keys, in the order of the reference page.
pub const KEYS: &[Key] = &[
    // Where everything is; the file itself is found through it.
    key("data_dir", Kind::Text, ""),
    // Only a person knows the company's name.
    key("company", Kind::Text, ""),
    // Ports differ where several nodes share a machine; one transport may be blocked.
    key("listen_tcp", Kind::Address, "0.0.0.0:8461"),
    key("listen_quic", Kind::Address, "0.0.0.0:8461"),
    // A node behind a router cannot know its outer address.
    key("announce", Kind::List, ""),
    // Loopback by default: the outside belongs to a proxy that speaks TLS.
    key("api_listen", Kind::Address, "127.0.0.1:8460"),
    // Links to people carry the proxy's name.
    key("api_url", Kind::Text, ""),
    // Without it the keys on a stolen disk are readable; with it a restart needs the file or a person.
    key("passphrase_file", Kind::Text, ""),
    // The node's own texts (service messages, log) have no reader whose language is known.
    key("lang", Kind::Choice(&["en", "ru"]), "en"),
    // The network library tells at every start what `status` shows.
    key("log", Kind::Text, "info,libp2p=warn"),
    key("log_format", Kind::Choice(&["text", "json"]), "text"),
    // Companies differ in what counts as late.
    key("overdue_after_s", Kind::Number(1, DAY_S), "300"),
    key("notice_after_s", Kind::Number(1, 30 * DAY_S), "86400"),
    key(
        "invitation_expires_s",
        Kind::Number(60, 30 * DAY_S),
        "86400",
    ),
    key(
        "activation_expires_s",
        Kind::Number(1, 30 * DAY_S),
        "604800",
    ),
    // Partners that are off for weeks should not be dialled every second, tests want it short.
    key("dial_backoff_max_s", Kind::Number(1, HOUR_S), "60"),
    // Bounds how late timers fire; shorter costs idle wake-ups.
    key("tick_ms", Kind::Number(5, 1_000), "50"),
    // Memory against speed on small machines.
    key("index_cache_mib", Kind::Number(4, 4_096), "16"),
    // Backup tools copy whole segments.
    key("journal_segment_mib", Kind::Number(1, 1_024), "64"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::{Lang, Texts};

    #[test]
    fn every_key_is_described_in_both_languages() {
        for lang in Lang::ALL {
            for key in KEYS {
                assert!(
                    Texts::of(lang).has(&key.text_key()),
                    "{} in {lang:?}",
                    key.text_key()
                );
            }
        }
    }
}
