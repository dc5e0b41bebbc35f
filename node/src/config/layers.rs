//! Layers of values: reading, merging and typed access, each value with its origin.
//!
//! Must not know what a key means to the node; it knows only its kind.

use super::{FILE_NAME, KEYS, Key, Kind, Sources, entry};
use crate::api::facade::Text;
use crate::api::types::ConfigReport;
use crate::texts::{Lang, Texts};
use std::{collections::BTreeMap, fmt, net::SocketAddr, path::Path, path::PathBuf};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    Environment(String),
    Flag(String),
}

impl Origin {
    /// For people; [`Display`](fmt::Display) is for scripts and never changes.
    pub fn text(&self) -> Text {
        match self {
            Self::Default => Text::key("origin-default"),
            Self::File(path) => Text::key("origin-file").with("name", path.display().to_string()),
            Self::Environment(name) => Text::key("origin-environment").with("name", name.as_str()),
            Self::Flag(name) => Text::key("origin-flag").with("name", name.as_str()),
        }
    }

    /// From what [`Display`](fmt::Display) wrote; anything else is a default.
    pub fn parse(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("file", path)) => Self::File(PathBuf::from(path)),
            Some(("environment", name)) => Self::Environment(name.to_owned()),
            Some(("flag", name)) => Self::Flag(name.to_owned()),
            _ => Self::Default,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path) => write!(formatter, "file {}", path.display()),
            Self::Environment(name) => write!(formatter, "environment {name}"),
            Self::Flag(name) => write!(formatter, "flag {name}"),
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    FileUnreadable {
        path: PathBuf,
        cause: std::io::Error,
    },
    FileMalformed {
        path: PathBuf,
        line: usize,
        /// What the reader of TOML says, in English.
        cause: String,
    },
    UnknownKey {
        key: String,
        origin: Origin,
        suggestion: Option<String>,
    },
    Invalid {
        key: String,
        value: String,
        origin: Origin,
        /// What would be right.
        reason: Text,
    },
}

impl ConfigError {
    /// What it is about: a key, or a file.
    pub fn subject(&self) -> String {
        match self {
            Self::FileUnreadable { path, .. } | Self::FileMalformed { path, .. } => {
                path.display().to_string()
            }
            Self::UnknownKey { key, .. } | Self::Invalid { key, .. } => key.clone(),
        }
    }

    /// Why it cannot be used, for people.
    pub fn text(&self) -> Text {
        match self {
            Self::FileUnreadable { cause, .. } => crate::reasons::system(cause),
            Self::FileMalformed { line, cause, .. } => Text::key("setting-malformed")
                .with("line", *line as u64)
                .with("cause", cause.as_str()),
            Self::UnknownKey {
                origin,
                suggestion: None,
                ..
            } => Text::key("setting-unknown").with("origin", origin.text()),
            Self::UnknownKey {
                origin,
                suggestion: Some(near),
                ..
            } => Text::key("setting-misspelt")
                .with("origin", origin.text())
                .with("near", near.as_str()),
            Self::Invalid {
                value,
                origin,
                reason,
                ..
            } => Text::key("setting-invalid")
                .with("origin", origin.text())
                .with("value", value.as_str())
                .with("reason", reason.clone()),
        }
    }
}

/// In English, for logs and tests.
impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = Texts::of(Lang::En).tell(&self.text());
        write!(formatter, "{}: {why}", self.subject())
    }
}

impl std::error::Error for ConfigError {}

/// The values in force. Every value is text as typed; lists are held as lists.
pub(super) struct Layers {
    values: BTreeMap<&'static str, (Value, Origin)>,
}

#[derive(Clone)]
enum Value {
    Text(String),
    List(Vec<String>),
}

impl Layers {
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let mut layers = Self {
            values: KEYS
                .iter()
                .map(|key| (key.name, (typed(key, key.default), Origin::Default)))
                .collect(),
        };
        let (folder, origin) = data_dir(sources);
        let file = sources
            .file
            .clone()
            .unwrap_or_else(|| Path::new(&folder).join(FILE_NAME));
        layers.set("data_dir", Value::Text(folder), origin.clone());
        layers.read_file(&file, sources.file.is_some(), origin == Origin::Default)?;
        for key in KEYS {
            if let Some(text) = sources.environment.get(&key.environment()) {
                layers.set(
                    key.name,
                    typed(key, text),
                    Origin::Environment(key.environment()),
                );
            }
        }
        for (name, text, flag) in &sources.flags {
            let origin = Origin::Flag(flag.clone());
            let key = find(name, &origin)?;
            layers.set(key.name, typed(key, text), origin);
        }
        Ok(layers)
    }

    pub fn text(&self, key: &'static str) -> Result<String, ConfigError> {
        Ok(self.shown(key))
    }

    pub fn list(&self, key: &'static str) -> Result<Vec<String>, ConfigError> {
        match self.value(key) {
            (Value::List(items), _) => Ok(items.clone()),
            (Value::Text(_), _) => Err(self.invalid(key, Text::key("setting-list"))),
        }
    }

    /// `None` is `off`.
    pub fn address(&self, key: &'static str) -> Result<Option<SocketAddr>, ConfigError> {
        let text = self.shown(key);
        if text == "off" {
            return Ok(None);
        }
        text.parse()
            .map(Some)
            .map_err(|_| self.invalid(key, Text::key("setting-address")))
    }

    pub fn number(&self, name: &'static str) -> Result<u64, ConfigError> {
        let Some(Kind::Number(least, most)) =
            KEYS.iter().find(|key| key.name == name).map(|key| key.kind)
        else {
            return Err(self.invalid(name, Text::key("setting-text")));
        };
        let number = self
            .shown(name)
            .parse::<u64>()
            .ok()
            .filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| self.invalid(name, whole_number(least, most)))
    }

    pub fn choice<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Result<T, ConfigError> {
        let text = self.shown(key);
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let found = choices
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        found.ok_or_else(|| {
            let reason = Text::key("setting-choice").with("choices", names.join(", "));
            self.invalid(key, reason)
        })
    }

    pub fn invalid(&self, key: &'static str, reason: Text) -> ConfigError {
        let (_, origin) = self.value(key);
        ConfigError::Invalid {
            key: key.to_owned(),
            value: self.shown(key),
            origin: origin.clone(),
            reason,
        }
    }

    pub fn report(&self) -> ConfigReport {
        let entries = KEYS
            .iter()
            .map(|key| entry(key, self.shown(key.name), &self.value(key.name).1))
            .collect();
        ConfigReport { entries }
    }

    fn read_file(
        &mut self,
        path: &Path,
        must_exist: bool,
        may_move_data: bool,
    ) -> Result<(), ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && !must_exist => {
                return Ok(());
            }
            Err(cause) => {
                return Err(ConfigError::FileUnreadable {
                    path: path.to_owned(),
                    cause,
                });
            }
        };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error
                .span()
                .and_then(|span| text.get(..span.start))
                .unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            ConfigError::FileMalformed {
                path: path.to_owned(),
                line,
                cause: error.message().to_owned(),
            }
        })?;
        for (name, value) in table {
            let origin = Origin::File(path.to_owned());
            let key = find(&name, &origin)?;
            let value = from_toml(key, &value).map_err(|reason| ConfigError::Invalid {
                key: name.clone(),
                value: value.to_string(),
                origin: origin.clone(),
                reason,
            })?;
            // Inside the data folder's own file the folder is already decided.
            if key.name == "data_dir" && !may_move_data {
                continue;
            }
            self.set(key.name, value, origin);
        }
        Ok(())
    }

    fn set(&mut self, key: &'static str, value: Value, origin: Origin) {
        self.values.insert(key, (value, origin));
    }

    fn value(&self, key: &'static str) -> &(Value, Origin) {
        self.values
            .get(key)
            .unwrap_or_else(|| panic!("{key} is in the list of keys"))
    }

    fn shown(&self, key: &'static str) -> String {
        match &self.value(key).0 {
            Value::Text(text) => text.clone(),
            Value::List(items) => items.join(", "),
        }
    }
}

/// The data folder by flag, environment or default; the file may still move it if it was named explicitly.
pub(super) fn data_dir(sources: &Sources) -> (String, Origin) {
    if let Some((_, text, flag)) = sources
        .flags
        .iter()
        .rev()
        .find(|(name, _, _)| name == "data_dir")
    {
        return (text.clone(), Origin::Flag(flag.clone()));
    }
    let variable = |name: &str| {
        sources
            .environment
            .get(name)
            .filter(|text| !text.is_empty())
    };
    if let Some(text) = variable("CROSSPORT_DATA") {
        return (
            text.clone(),
            Origin::Environment("CROSSPORT_DATA".to_owned()),
        );
    }
    // The XDG base directory specification, 0.8.
    let folder = match (variable("XDG_DATA_HOME"), variable("HOME")) {
        (Some(data), _) if data.starts_with('/') => format!("{data}/crossport"),
        (_, Some(home)) => format!("{home}/.local/share/crossport"),
        _ => String::new(),
    };
    (folder, Origin::Default)
}

fn typed(key: &Key, text: &str) -> Value {
    match key.kind {
        Kind::List => Value::List(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
        _ => Value::Text(text.to_owned()),
    }
}

fn from_toml(key: &Key, value: &toml::Value) -> Result<Value, Text> {
    match (key.kind, value) {
        (Kind::List, toml::Value::Array(items)) => {
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect();
            texts
                .map(Value::List)
                .ok_or_else(|| Text::key("setting-list"))
        }
        (Kind::Number(..), toml::Value::Integer(number)) => Ok(Value::Text(number.to_string())),
        (Kind::Number(least, most), _) => Err(whole_number(least, most)),
        (Kind::Text | Kind::Address | Kind::Choice(_), toml::Value::String(text)) => {
            Ok(Value::Text(text.clone()))
        }
        (Kind::List, _) => Err(Text::key("setting-list")),
        _ => Err(Text::key("setting-text")),
    }
}

fn whole_number(least: u64, most: u64) -> Text {
    Text::key("setting-number")
        .with("least", least)
        .with("most", most)
}

fn find(name: &str, origin: &Origin) -> Result<&'static Key, ConfigError> {
    KEYS.iter()
        .find(|key| key.name == name)
        .ok_or_else(|| ConfigError::UnknownKey {
            key: name.to_owned(),
            origin: origin.clone(),
            suggestion: nearest(name),
        })
}

/// The key that is at most a third of its length away.
fn nearest(name: &str) -> Option<String> {
    let distances = KEYS.iter().map(|key| (distance(name, key.name), key.name));
    let (distance, best) = distances.min()?;
    (distance * 3 <= best.len().max(3)).then(|| best.to_owned())
}

/// Edit distance (Levenshtein), by rows.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, a) in left.chars().enumerate() {
        let mut next = vec![line + 1];
        for (column, b) in right.iter().enumerate() {
            let swap = row.get(column).copied().unwrap_or(usize::MAX - 1) + usize::from(a != *b);
            let insert = next.last().copied().unwrap_or_default() + 1;
            let delete = row.get(column + 1).copied().unwrap_or_default() + 1;
            next.push(swap.min(insert).min(delete));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("listen_tpc", "listen_tcp"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
