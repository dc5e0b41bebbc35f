//! The keys of a node: root key, node key, the keys of journal and registers, prekeys and the epoch keys of chats.
//!
//! Owns the folder `keys`. Keys are never in the journal, so that a copy of the journal alone opens nothing. The long-lived
//! keys stand in one small sealed file, the `keyring`; prekeys and epoch keys, which come and go, in sealed registers
//! beside it. Without a passphrase the keyring is sealed with a key derived from its own salt: that keeps keys out of
//! greps and accidents, not out of the hands of a thief of the whole disk. It knows nothing of what the keys are for.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use argon2::Argon2;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use crossport_protocol::clock::Time;
use crossport_protocol::codec::{self, Blob};
use crossport_protocol::ids::ChatId;
use crossport_protocol::seal::EpochKey;
use crossport_protocol::suite::{Random, SecretKey};
use crossport_protocol::wrap::PrekeySecret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::random::OsRandom;
use crate::registers::{Registers, RegistersError};

const KEYRING: &str = "keyring";
const MAGIC: &[u8; 16] = b"crossport-keys\0\0";
const VERSION: u16 = 1;
/// A keyring is a few hundred bytes; anything larger is not one.
const KEYRING_BYTES_MAX: usize = 64 * 1024;
/// A new prekey is made after this. A stolen old one opens only wraps of its own weeks.
const PREKEY_AGE_MS: u64 = 7 * 24 * 3600 * 1000;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    #[error("{path}: {cause}")]
    Io {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("{path} may be read by others (mode {mode:o})")]
    Permissions { path: PathBuf, mode: u32 },
    #[error("{0} is not a keyring of crossport, or it is damaged")]
    NotAKeyring(PathBuf),
    #[error("the passphrase does not open {0}")]
    WrongPassphrase(PathBuf),
    #[error("the keyring is sealed with a passphrase; name its file with passphrase_file")]
    NeedsPassphrase,
    #[error("the passphrase cannot be hashed: {0}")]
    Hash(String),
    #[error(transparent)]
    Registers(#[from] RegistersError),
}

/// The long-lived secrets.
#[derive(Serialize, Deserialize)]
struct Secrets {
    root: [u8; 32],
    node: [u8; 32],
    journal: [u8; 32],
    registers: [u8; 32],
    epochs: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    magic: [u8; 16],
    version: u16,
    /// 0: no passphrase; 1: argon2id with the crate's default cost (19 MiB, 2 passes).
    derivation: u16,
    salt: [u8; 16],
    nonce: [u8; 24],
    content: Blob,
}

/// An opened keystore.
#[derive(Debug)]
pub struct Keystore {
    pub root: SecretKey,
    pub node: SecretKey,
    journal: Zeroizing<[u8; 32]>,
    registers: Zeroizing<[u8; 32]>,
    changing: Registers,
}

impl Keystore {
    /// True when the folder holds a keyring.
    pub fn exists(folder: &Path) -> bool {
        folder.join(KEYRING).exists()
    }

    /// Makes new keys; refuses to replace a keyring.
    pub fn create(folder: &Path, passphrase: Option<&str>) -> Result<Keystore, KeystoreError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|cause| io(folder, cause))?;
        let mut random = OsRandom;
        let secrets = Secrets {
            root: random.array(),
            node: random.array(),
            journal: random.array(),
            registers: random.array(),
            epochs: random.array(),
        };
        write_keyring(&folder.join(KEYRING), &secrets, passphrase)?;
        Keystore::open(folder, passphrase)
    }

    /// Opens existing keys.
    pub fn open(folder: &Path, passphrase: Option<&str>) -> Result<Keystore, KeystoreError> {
        let path = folder.join(KEYRING);
        check_private(folder)?;
        check_private(&path)?;
        let secrets = read_keyring(&path, passphrase)?;
        let (changing, _report) = Registers::open(&folder.join("changing"), &secrets.epochs)?;
        Ok(Keystore {
            root: SecretKey::from_bytes(secrets.root),
            node: SecretKey::from_bytes(secrets.node),
            journal: Zeroizing::new(secrets.journal),
            registers: Zeroizing::new(secrets.registers),
            changing,
        })
    }

    pub fn journal_key(&self) -> &[u8; 32] {
        &self.journal
    }

    pub fn registers_key(&self) -> &[u8; 32] {
        &self.registers
    }

    /// Keeps the key of an epoch, durably: what it opens counts as delivered right after.
    pub fn keep_epoch(
        &mut self,
        chat: ChatId,
        epoch: u32,
        key: &EpochKey,
    ) -> Result<(), KeystoreError> {
        let name = epoch_name(&chat, epoch);
        Ok(self
            .changing
            .put_all(&[(name, Some(key.expose().to_vec()))], true)?)
    }

    pub fn epochs(&self) -> Vec<(ChatId, u32, EpochKey)> {
        let parsed = self.changing.prefix(b"e").filter_map(|(name, value)| {
            let (chat, epoch) = name.get(1..)?.split_first_chunk::<32>()?;
            let epoch = u32::from_be_bytes(epoch.try_into().ok()?);
            Some((
                ChatId(*chat),
                epoch,
                EpochKey::from_bytes(value.try_into().ok()?),
            ))
        });
        parsed.collect()
    }

    /// The prekeys, newest last; makes one when there is none or the newest is older than a week.
    pub fn prekeys(&mut self, now: Time) -> Result<Vec<(u32, Time, PrekeySecret)>, KeystoreError> {
        let mut prekeys = self.stored_prekeys();
        let newest = prekeys
            .last()
            .map(|(version, created, _)| (*version, *created));
        if newest.is_none_or(|(_, created)| now.since(created) >= PREKEY_AGE_MS) {
            let version = newest.map_or(1, |(version, _)| version.saturating_add(1));
            let secret = PrekeySecret::random(&mut OsRandom);
            let value = codec::encode(&(now, *secret.expose()));
            self.changing
                .put_all(&[(prekey_name(version), Some(value))], true)?;
            prekeys.push((version, now, secret));
        }
        Ok(prekeys)
    }

    fn stored_prekeys(&self) -> Vec<(u32, Time, PrekeySecret)> {
        let parsed = self.changing.prefix(b"p").filter_map(|(name, value)| {
            let version = u32::from_be_bytes(name.get(1..)?.try_into().ok()?);
            let (created, secret): (Time, [u8; 32]) = codec::decode(value, 64).ok()?;
            Some((version, created, PrekeySecret::from_bytes(secret)))
        });
        parsed.collect()
    }
}

fn epoch_name(chat: &ChatId, epoch: u32) -> Vec<u8> {
    [b"e".as_slice(), &chat.0, &epoch.to_be_bytes()].concat()
}

fn prekey_name(version: u32) -> Vec<u8> {
    [b"p".as_slice(), &version.to_be_bytes()].concat()
}

fn io(path: &Path, cause: std::io::Error) -> KeystoreError {
    KeystoreError::Io {
        path: path.to_owned(),
        cause,
    }
}

fn check_private(path: &Path) -> Result<(), KeystoreError> {
    let mode = fs::metadata(path)
        .map_err(|cause| io(path, cause))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(KeystoreError::Permissions {
            path: path.to_owned(),
            mode,
        })
    }
}

fn wrapping_key(
    derivation: u16,
    salt: &[u8; 16],
    passphrase: Option<&str>,
) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let mut key = Zeroizing::new([0; 32]);
    match (derivation, passphrase) {
        (0, _) => {
            *key = Sha256::new()
                .chain_update(b"crossport keyring without passphrase")
                .chain_update(salt)
                .finalize()
                .into();
        }
        (_, None) => return Err(KeystoreError::NeedsPassphrase),
        (_, Some(passphrase)) => {
            let hashed = Argon2::default().hash_password_into(
                passphrase.as_bytes(),
                salt,
                key.as_mut_slice(),
            );
            hashed.map_err(|error| KeystoreError::Hash(error.to_string()))?;
        }
    }
    Ok(key)
}

fn write_keyring(
    path: &Path,
    secrets: &Secrets,
    passphrase: Option<&str>,
) -> Result<(), KeystoreError> {
    let mut random = OsRandom;
    let (salt, nonce): ([u8; 16], [u8; 24]) = (random.array(), random.array());
    let derivation = u16::from(passphrase.is_some());
    let key = wrapping_key(derivation, &salt, passphrase)?;
    let plain = Zeroizing::new(codec::encode(secrets));
    let cipher = XChaCha20Poly1305::new((&*key).into());
    let payload = Payload {
        msg: &plain,
        aad: MAGIC,
    };
    let content = cipher
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| KeystoreError::NotAKeyring(path.to_owned()))?;
    let sealed = Sealed {
        magic: *MAGIC,
        version: VERSION,
        derivation,
        salt,
        nonce,
        content: Blob(content),
    };
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(|cause| io(&temporary, cause))?;
    let written = file
        .write_all(&codec::encode(&sealed))
        .and_then(|()| file.sync_all());
    written.map_err(|cause| io(&temporary, cause))?;
    // A hard link never replaces an existing keyring, however two starts may race.
    fs::hard_link(&temporary, path).map_err(|cause| io(path, cause))?;
    fs::remove_file(&temporary).map_err(|cause| io(&temporary, cause))?;
    let folder = path.parent().unwrap_or(path);
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|cause| io(folder, cause))
}

fn read_keyring(path: &Path, passphrase: Option<&str>) -> Result<Secrets, KeystoreError> {
    let bytes = Zeroizing::new(fs::read(path).map_err(|cause| io(path, cause))?);
    let not_a_keyring = || KeystoreError::NotAKeyring(path.to_owned());
    let sealed: Sealed = codec::decode(&bytes, KEYRING_BYTES_MAX).map_err(|_| not_a_keyring())?;
    if sealed.magic != *MAGIC || sealed.version != VERSION || sealed.derivation > 1 {
        return Err(not_a_keyring());
    }
    let key = wrapping_key(sealed.derivation, &sealed.salt, passphrase)?;
    let cipher = XChaCha20Poly1305::new((&*key).into());
    let payload = Payload {
        msg: &sealed.content.0,
        aad: MAGIC,
    };
    let plain = cipher
        .decrypt(&XNonce::from(sealed.nonce), payload)
        .map_err(|_| match sealed.derivation {
            0 => not_a_keyring(),
            _ => KeystoreError::WrongPassphrase(path.to_owned()),
        })?;
    codec::decode(&Zeroizing::new(plain), KEYRING_BYTES_MAX).map_err(|_| not_a_keyring())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_only_with_their_passphrase() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let keys = folder.path().join("keys");
        let made = Keystore::create(&keys, Some("correct horse")).expect("new keys");
        let node = *made.node.expose();
        drop(made);
        assert!(matches!(
            Keystore::open(&keys, None),
            Err(KeystoreError::NeedsPassphrase)
        ));
        assert!(matches!(
            Keystore::open(&keys, Some("wrong")),
            Err(KeystoreError::WrongPassphrase(_))
        ));
        assert_eq!(
            *Keystore::open(&keys, Some("correct horse"))
                .expect("the passphrase")
                .node
                .expose(),
            node
        );
        assert!(
            Keystore::create(&keys, None).is_err(),
            "an existing keyring is never replaced"
        );
    }

    #[test]
    fn a_keyring_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let keys = folder.path().join("keys");
        drop(Keystore::create(&keys, None).expect("new keys"));
        fs::set_permissions(keys.join(KEYRING), fs::Permissions::from_mode(0o640))
            .expect("own file");
        assert!(matches!(
            Keystore::open(&keys, None),
            Err(KeystoreError::Permissions { mode: 0o640, .. })
        ));
    }

    #[test]
    fn prekeys_and_epoch_keys_are_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let keys = folder.path().join("keys");
        let mut made = Keystore::create(&keys, None).expect("new keys");
        made.keep_epoch(ChatId([1; 32]), 2, &EpochKey::from_bytes([3; 32]))
            .expect("kept");
        assert_eq!(made.prekeys(Time(1)).expect("made").len(), 1);
        assert_eq!(made.prekeys(Time(2)).expect("kept").len(), 1);
        assert_eq!(
            made.prekeys(Time(PREKEY_AGE_MS + 1))
                .expect("rotated")
                .len(),
            2
        );
        drop(made);
        let opened = Keystore::open(&keys, None).expect("opens");
        assert_eq!(
            opened.epochs(),
            vec![(ChatId([1; 32]), 2, EpochKey::from_bytes([3; 32]))]
        );
        assert_eq!(opened.stored_prekeys().last().expect("two").0, 2);
    }
}
