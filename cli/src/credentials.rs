//! The file in which people's tokens are kept on their own machine.
//!
//! One TOML file, several profiles: so that one person may have accounts at several nodes, and several people can be
//! tried on one machine with `--as`. Mode 0600 or it is refused. It must not know what a token opens.

use crate::errors::Failure;
use crossport_node::api::types::Code;
use crossport_node::texts::Texts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// One signed-in person at one node.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// `http://host:port` or `unix:/path`.
    pub endpoint: String,
    pub token: String,
    pub nickname: String,
    pub company: String,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Profile")
            .field("endpoint", &self.endpoint)
            .field("nickname", &self.nickname)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// The profile that is used without `--as`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// The opened file.
#[derive(Debug)]
pub struct Credentials {
    file: PathBuf,
    content: Content,
    texts: &'static Texts,
}

impl Credentials {
    /// Reads the file; one that does not exist is empty, one that others can read is refused.
    pub fn open(file: PathBuf, texts: &'static Texts) -> Result<Self, Failure> {
        let shown = file.display().to_string();
        let content = match std::fs::metadata(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(Failure::io(texts, &shown, &error)),
            Ok(data) if data.permissions().mode() & 0o077 != 0 => {
                return Err(Failure::new(texts, Code::CredentialsUnsafe, &shown)
                    .try_next(format!("chmod 600 {shown}")));
            }
            Ok(_) => {
                let text = std::fs::read_to_string(&file)
                    .map_err(|error| Failure::io(texts, &shown, &error))?;
                toml::from_str(&text)
                    .map_err(|error| Failure::content(texts, &shown, &error.message()))?
            }
        };
        Ok(Self {
            file,
            content,
            texts,
        })
    }

    /// The named profile (a unique beginning is enough), the current one, or the only one.
    pub fn profile(&self, name: Option<&str>) -> Result<(&str, &Profile), Failure> {
        let profiles = &self.content.profiles;
        let wanted = name.or(self.content.current.as_deref());
        let missing = || Failure::new(self.texts, Code::NoCredentials, wanted.unwrap_or("none"));
        let found = match wanted {
            Some(name) if profiles.contains_key(name) => profiles.get_key_value(name),
            Some(name) => {
                let mut matching = profiles.iter().filter(|(key, _)| key.starts_with(name));
                matching.next().filter(|_| matching.next().is_none())
            }
            None => profiles.first_key_value().filter(|_| profiles.len() == 1),
        };
        found
            .map(|(key, profile)| (key.as_str(), profile))
            .ok_or_else(missing)
    }

    /// Adds or replaces a profile and makes it the current one.
    pub fn put(&mut self, name: &str, profile: Profile) -> Result<(), Failure> {
        self.content.profiles.insert(name.to_owned(), profile);
        self.content.current = Some(name.to_owned());
        self.write()
    }

    /// Forgets a profile.
    pub fn remove(&mut self, name: &str) -> Result<(), Failure> {
        self.content.profiles.remove(name);
        if self.content.current.as_deref() == Some(name) {
            self.content.current = None;
        }
        self.write()
    }

    /// Written beside and renamed, so that a full disk cannot leave half a file; private from its first byte.
    fn write(&self) -> Result<(), Failure> {
        let shown = self.file.display().to_string();
        let failed = |error: &std::io::Error| Failure::io(self.texts, &shown, error);
        let text = toml::to_string(&self.content)
            .map_err(|error| Failure::content(self.texts, &shown, &error))?;
        let folder = self
            .file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.map_err(|error| failed(&error))?;
        // Temporary files are made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
        file.write_all(text.as_bytes())
            .map_err(|error| failed(&error))?;
        file.as_file().sync_all().map_err(|error| failed(&error))?;
        file.persist(&self.file)
            .map_err(|error| failed(&error.error))?;
        Ok(())
    }
}

/// `anna@acme`: a name that can be typed, whatever the company is called.
pub fn profile_name(nickname: &str, company: &str) -> String {
    let company: String = company
        .to_lowercase()
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    format!("{nickname}@{}", company.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossport_node::texts::Lang;

    fn profile(nickname: &str) -> Profile {
        let (endpoint, token) = (
            "http://127.0.0.1:8460".to_owned(),
            format!("token of {nickname}"),
        );
        Profile {
            endpoint,
            token,
            nickname: nickname.to_owned(),
            company: "Acme".to_owned(),
        }
    }

    fn open(file: &Path) -> Result<Credentials, Failure> {
        Credentials::open(file.to_owned(), Texts::of(Lang::En))
    }

    #[test]
    fn profiles_are_kept_privately_and_found_by_their_beginning() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("new/credentials.toml");
        let mut credentials = open(&file).expect("an absent file is empty");
        credentials
            .put("anna@acme", profile("anna"))
            .expect("writes");
        credentials
            .put("boris@acme", profile("boris"))
            .expect("writes");
        assert_eq!(
            std::fs::metadata(&file)
                .expect("is there")
                .permissions()
                .mode()
                & 0o777,
            0o600
        );

        let credentials = open(&file).expect("reads");
        assert_eq!(
            credentials.profile(None).expect("the last login").0,
            "boris@acme"
        );
        assert_eq!(
            credentials.profile(Some("anna")).expect("a beginning").1,
            &profile("anna")
        );
        let failure = credentials.profile(Some("vera")).expect_err("unknown");
        assert_eq!(failure.code(), Some(Code::NoCredentials));
    }

    #[test]
    fn an_ambiguous_beginning_finds_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut credentials = open(&folder.path().join("c.toml")).expect("empty");
        credentials
            .put("anna@acme", profile("anna"))
            .expect("writes");
        credentials
            .put("anna@globex", profile("anna"))
            .expect("writes");
        assert!(credentials.profile(Some("anna")).is_err());
        credentials.remove("anna@globex").expect("writes");
        assert_eq!(
            credentials.profile(Some("anna")).expect("unique now").0,
            "anna@acme"
        );
        assert_eq!(
            credentials.profile(None).expect("the only one").0,
            "anna@acme"
        );
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("c.toml");
        std::fs::write(&file, "").expect("writes");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("sets");
        let failure = open(&file).expect_err("refused");
        assert_eq!(failure.code(), Some(Code::CredentialsUnsafe));
        assert!(
            failure
                .problem()
                .try_next
                .as_deref()
                .is_some_and(|text| text.starts_with("chmod 600 "))
        );
    }

    #[test]
    fn names_can_be_typed() {
        assert_eq!(profile_name("anna", "Acme & Sons"), "anna@acme---sons");
        assert_eq!(profile_name("борис", "Ромашка"), "борис@ромашка");
    }
}
