//! What an operator may set, and where each value came from.
//!
//! Owns the list of keys, their defaults and limits, and the order flags > environment > file > defaults. It must not
//! open a socket or make a folder: it only reads. A key exists only if no good value can be chosen for everyone; each
//! key of the list says why. Unknown keys are refused with a suggestion, since a misspelt key that is silently
//! ignored is found only when it mattered.

mod keys;
mod layers;

pub use keys::{KEYS, Key, Kind};
pub use layers::{ConfigError, Origin};

use crate::api::facade::Text;
use crate::api::types::{ConfigEntry, ConfigReport};
use crate::texts::Lang;
use layers::Layers;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// Name of the file in the data folder that is read if no other is named.
pub const FILE_NAME: &str = "crossport.toml";
/// The operators' socket in the data folder.
pub const OPERATOR_SOCKET: &str = "operator.sock";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Everything that can be set, checked. See [`KEYS`] for the meaning of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub data_dir: PathBuf,
    /// Needed only when the company is made.
    pub company: Option<String>,
    pub listen_tcp: Option<SocketAddr>,
    pub listen_quic: Option<SocketAddr>,
    pub announce: Vec<String>,
    pub api_listen: SocketAddr,
    /// Base URL that links to this node begin with, without a slash at the end.
    pub api_url: String,
    pub passphrase_file: Option<PathBuf>,
    pub lang: Lang,
    pub log: String,
    pub log_format: LogFormat,
    pub overdue_after_s: u64,
    pub notice_after_s: u64,
    pub invitation_expires_s: u64,
    pub activation_expires_s: u64,
    pub dial_backoff_max_s: u64,
    pub tick_ms: u64,
    pub index_cache_mib: u64,
    pub journal_segment_mib: u64,
    report: ConfigReport,
}

/// Where values may come from; the command line fills it. Nothing here reads the process's own environment, so that
/// tests and several nodes in one process cannot disturb each other.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `key` and value as typed, with the flag's name for the origin.
    pub flags: Vec<(String, String, String)>,
    /// The whole environment; only names that belong to a key are looked at.
    pub environment: BTreeMap<String, String>,
    /// The file to read; absent = `crossport.toml` in the data folder, which need not exist.
    pub file: Option<PathBuf>,
}

impl Sources {
    /// Flags of this call with the process's environment.
    pub fn of_process(flags: Vec<(String, String, String)>, file: Option<PathBuf>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            flags,
            environment,
            file,
        }
    }
}

impl Config {
    /// Reads and checks all layers.
    ///
    /// # Errors
    /// [`ConfigError`] names the key, the origin and what would be right.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let layers = Layers::read(sources)?;
        let api_listen: SocketAddr = layers
            .address("api_listen")?
            .ok_or_else(|| layers.invalid("api_listen", Text::key("setting-not-off")))?;
        let api_url = layers.text("api_url")?;
        let config = Self {
            data_dir: PathBuf::from(layers.text("data_dir")?),
            company: some(layers.text("company")?),
            listen_tcp: layers.address("listen_tcp")?,
            listen_quic: layers.address("listen_quic")?,
            announce: layers.list("announce")?,
            api_listen,
            api_url: if api_url.is_empty() {
                format!("http://{api_listen}")
            } else {
                api_url.trim_end_matches('/').to_owned()
            },
            passphrase_file: some(layers.text("passphrase_file")?).map(PathBuf::from),
            lang: layers.choice("lang", &[("en", Lang::En), ("ru", Lang::Ru)])?,
            log: layers.text("log")?,
            log_format: layers.choice(
                "log_format",
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )?,
            overdue_after_s: layers.number("overdue_after_s")?,
            notice_after_s: layers.number("notice_after_s")?,
            invitation_expires_s: layers.number("invitation_expires_s")?,
            activation_expires_s: layers.number("activation_expires_s")?,
            dial_backoff_max_s: layers.number("dial_backoff_max_s")?,
            tick_ms: layers.number("tick_ms")?,
            index_cache_mib: layers.number("index_cache_mib")?,
            journal_segment_mib: layers.number("journal_segment_mib")?,
            report: layers.report(),
        };
        if config.data_dir.as_os_str().is_empty() {
            return Err(layers.invalid("data_dir", Text::key("setting-no-home")));
        }
        if config.listen_tcp.is_none() && config.listen_quic.is_none() {
            return Err(layers.invalid("listen_tcp", Text::key("setting-unreachable")));
        }
        Ok(config)
    }

    /// The operators' socket of this data folder.
    pub fn operator_socket(&self) -> PathBuf {
        self.data_dir.join(OPERATOR_SOCKET)
    }

    /// Every key with value and origin, for `config show --origin` and the API.
    pub const fn report(&self) -> &ConfigReport {
        &self.report
    }

    /// Names of environment variables that look like ours but belong to no key: a typing error, most likely. They are
    /// reported and not refused, because orchestrators inject variables with the service's name as prefix.
    pub fn unknown_environment(sources: &Sources) -> Vec<String> {
        let known: Vec<String> = KEYS.iter().map(Key::environment).collect();
        let others = [
            "CROSSPORT_CONFIG",
            "CROSSPORT_CREDENTIALS",
            "CROSSPORT_PROFILE",
        ];
        let ours = |name: &&String| name.starts_with("CROSSPORT_");
        let unknown = |name: &&String| !known.contains(name) && !others.contains(&name.as_str());
        sources
            .environment
            .keys()
            .filter(ours)
            .filter(unknown)
            .cloned()
            .collect()
    }
}

/// The data folder that flags, environment and defaults give, without reading any file: what a client needs to find
/// the operators' socket even when the file is broken.
pub fn data_dir(sources: &Sources) -> PathBuf {
    PathBuf::from(layers::data_dir(sources).0)
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A row of the report.
fn entry(key: &Key, value: String, origin: &Origin) -> ConfigEntry {
    ConfigEntry {
        key: key.name.to_owned(),
        value,
        origin: origin.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(
        file_text: &str,
        environment: &[(&str, &str)],
        flags: &[(&str, &str)],
    ) -> (tempfile::TempDir, Sources) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join(FILE_NAME);
        std::fs::write(&file, file_text).expect("writes");
        let mut all: BTreeMap<String, String> = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        all.insert(
            "CROSSPORT_DATA".to_owned(),
            folder.path().display().to_string(),
        );
        let flags = flags
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned(), format!("--{k}")))
            .collect();
        (
            folder,
            Sources {
                flags,
                environment: all,
                file: None,
            },
        )
    }

    fn refusal(file_text: &str, environment: &[(&str, &str)]) -> String {
        let (_folder, sources) = sources(file_text, environment, &[]);
        Config::load(&sources).expect_err("is refused").to_string()
    }

    #[test]
    fn defaults_make_a_node() {
        let sources = Sources {
            environment: BTreeMap::from([("HOME".into(), "/people/anna".into())]),
            ..Sources::default()
        };
        let config = Config::load(&sources).expect("defaults are valid");
        assert_eq!(
            config.data_dir,
            PathBuf::from("/people/anna/.local/share/crossport")
        );
        assert_eq!(config.api_url, "http://127.0.0.1:8460");
        assert_eq!(
            config.operator_socket(),
            PathBuf::from("/people/anna/.local/share/crossport/operator.sock")
        );
        assert!(KEYS.len() < 30, "every key costs an operator a decision");
        assert_eq!(config.report().entries.len(), KEYS.len());
        assert!(
            config
                .report()
                .entries
                .iter()
                .all(|entry| entry.origin == "default")
        );
    }

    #[test]
    fn flags_beat_environment_beats_file_beats_default() {
        let file = "tick_ms = 20\nlog = \"debug\"\ncompany = \"File\"\n";
        let environment = [
            ("CROSSPORT_TICK_MS", "30"),
            ("CROSSPORT_COMPANY", "Environment"),
        ];
        let (folder, sources) = sources(file, &environment, &[("company", "Flag")]);
        let config = Config::load(&sources).expect("valid");
        assert_eq!(
            (
                config.company.as_deref(),
                config.tick_ms,
                config.log.as_str()
            ),
            (Some("Flag"), 30, "debug")
        );
        let origin = |key: &str| {
            config
                .report()
                .entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| entry.origin.clone())
        };
        assert_eq!(origin("company").as_deref(), Some("flag --company"));
        assert_eq!(
            origin("tick_ms").as_deref(),
            Some("environment CROSSPORT_TICK_MS")
        );
        assert_eq!(
            origin("log"),
            Some(format!("file {}", folder.path().join(FILE_NAME).display()))
        );
        assert_eq!(origin("lang").as_deref(), Some("default"));
    }

    #[test]
    fn a_misspelt_key_is_refused_with_a_suggestion() {
        let text = refusal("listen_tpc = \"0.0.0.0:1\"\n", &[]);
        assert!(
            text.contains("listen_tpc") && text.contains("did you mean listen_tcp?"),
            "{text}"
        );
        let text = refusal("colour_of_the_moon = 1\n", &[]);
        assert!(
            text.contains("colour_of_the_moon") && !text.contains("did you mean"),
            "{text}"
        );
    }

    #[test]
    fn wrong_values_name_key_and_origin() {
        assert!(refusal("tick_ms = \"often\"\n", &[]).contains("tick_ms"));
        let text = refusal("", &[("CROSSPORT_TICK_MS", "0")]);
        assert!(
            text.contains("CROSSPORT_TICK_MS") && text.contains("5 to 1000"),
            "{text}"
        );
        assert!(refusal("api_listen = \"localhost\"\n", &[]).contains("an IP and a port"));
        assert!(
            refusal("listen_tcp = \"off\"\nlisten_quic = \"off\"\n", &[]).contains("no partner")
        );
        assert!(refusal("lang = \"de\"\n", &[]).contains("en, ru"));
        assert!(refusal("tick_ms = \n", &[]).contains("line 1"));
    }

    #[test]
    fn lists_come_from_files_and_environment_alike() {
        let (_folder, from_file) = sources(
            "announce = [\"chat.acme.example:8461\", \"198.51.100.7:8461\"]\n",
            &[],
            &[],
        );
        let (_folder2, from_environment) = sources(
            "",
            &[(
                "CROSSPORT_ANNOUNCE",
                "chat.acme.example:8461, 198.51.100.7:8461",
            )],
            &[],
        );
        let lists = [from_file, from_environment]
            .map(|sources| Config::load(&sources).expect("valid").announce);
        assert_eq!(lists[0], ["chat.acme.example:8461", "198.51.100.7:8461"]);
        assert_eq!(lists[0], lists[1]);
    }

    #[test]
    fn a_named_file_must_exist() {
        let sources = Sources {
            file: Some(PathBuf::from("/nonexistent/crossport.toml")),
            environment: BTreeMap::from([("HOME".into(), "/people/anna".into())]),
            ..Sources::default()
        };
        assert!(matches!(
            Config::load(&sources),
            Err(ConfigError::FileUnreadable { .. })
        ));
    }

    #[test]
    fn unknown_variables_of_ours_are_named() {
        let (_folder, sources) =
            sources("", &[("CROSSPORT_LSITEN_TCP", "x"), ("PATH", "/bin")], &[]);
        assert_eq!(
            Config::unknown_environment(&sources),
            ["CROSSPORT_LSITEN_TCP"]
        );
    }
}
