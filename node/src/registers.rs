//! Registers: small values of which only the latest counts (read frontiers, what is held, cards).
//!
//! Owns one log file that is compacted, and the map in memory that it describes. It must not know what a key or a value
//! means. Why these are not in the journal: they change with every read message, and the journal keeps for ever. Why
//! not in the index: the index is a cache that may be thrown away.
//!
//! A batch is applied whole or, if a crash tore it off the end, not at all. Keys are sealed like values, because a key
//! says who talks with whom. The file (integers little endian):
//!
//! ```text
//! file   = header copy (64) | header copy (64) | entry*
//! header = "XPREGIS1" | version u16 | 0 (6) | file id (16) | key check (16) | crc u32 | 0...
//! entry  = "XPE1" | flags u32 (1: last of its batch) | length u32 | key tag (8) | payload crc u32
//!          | crc u32 of file id, offset and these | nonce (24) | ciphertext | tag (16)
//! sealed = key length u32 | 1 if there is a value u8 | key | value
//! ```
//!
//! The key tag is a keyed hash: it names the register whose newest entry is damaged, and tells nothing without the key.

mod file;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::journal::disk::{self, Disk, DiskFile, RealDisk};
use crate::lock;
use file::{Codec, HEADER, Loaded};

/// The largest key; ids are 32 bytes and a key joins a few of them.
pub const MAX_KEY_BYTES: usize = 512;
/// The largest value: no register of the protocol is longer than half of this.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;
/// All live entries together: they are all in memory.
pub const MAX_LIVE_BYTES: u64 = 256 * 1024 * 1024;
/// A file smaller than this is not worth compacting.
const LEAST_COMPACTED_BYTES: u64 = 64 * 1024;
const FILE: &str = "registers.log";
const LOCK: &str = "lock";

/// Why registers could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum RegistersError {
    /// Another process has them.
    #[error("the registers in {} are used by another process", .folder.display())]
    InUse {
        /// Their folder.
        folder: PathBuf,
    },
    /// The key is not the one that they were made with.
    #[error("the key does not belong to the registers in {}", .folder.display())]
    WrongKey {
        /// Their folder.
        folder: PathBuf,
    },
    /// Both copies of the file's header are damaged, or it is no register file.
    #[error("the header of the registers in {} is unreadable", .folder.display())]
    Unreadable {
        /// Their folder.
        folder: PathBuf,
    },
    /// Written by a later version of this program.
    #[error("the registers have format {version}, which this version cannot read")]
    NewerFormat {
        /// The format that the file states.
        version: u16,
    },
    /// A key, a value, or everything together is over its limit.
    #[error("{what} of {bytes} bytes is over the limit")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        bytes: u64,
    },
    /// No space left. Nothing of the batch was kept; it works again once there is space.
    #[error("no space left on the disk for the registers")]
    Full,
    /// The disk can be read and not written.
    #[error("the disk cannot be written: {what}: {source}")]
    ReadOnly {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A write or fdatasync failed earlier. Only opening anew can go on.
    #[error("the registers have stopped: {cause}")]
    Stopped {
        /// What failed, in words.
        cause: String,
    },
    /// Anything else that the kernel refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The machine has no randomness, so nothing can be sealed.
    #[error("no randomness from the system: {0}")]
    Randomness(getrandom::Error),
}

/// An entry that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedEntry {
    /// Offset in the file.
    pub offset: u64,
    /// The register, where it can be told: it now shows an older value and should be fetched or computed anew.
    pub key: Option<Vec<u8>>,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistersReport {
    /// There were none; an empty file was created.
    pub created: bool,
    /// Bytes at the end that belonged to an unfinished batch.
    pub torn_bytes: u64,
    /// Entries that do not check.
    pub damaged: Vec<DamagedEntry>,
    /// Why the file could not be rewritten at open, which only costs space.
    pub compaction_failure: Option<String>,
}

/// All registers of a node. One owner; reading needs no disk.
#[derive(Debug)]
pub struct Registers {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    codec: Codec,
    file: Box<dyn DiskFile>,
    length: u64,
    live: u64,
    /// Compaction is tried when the file is longer than this.
    compact_above: u64,
    map: BTreeMap<Vec<u8>, Vec<u8>>,
    stopped: Option<String>,
    _lock: File,
}

impl Registers {
    /// Opens or creates the registers in `folder`; `key` is kept by the keystore. Reads all of them, and writes them
    /// anew: after a crash of the program what was read may never have reached the disk.
    pub fn open(
        folder: &Path,
        key: &[u8; 32],
    ) -> Result<(Registers, RegistersReport), RegistersError> {
        Registers::open_on(Arc::new(RealDisk), folder, key)
    }

    /// As [`Registers::open`], on a disk of the caller's.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        folder: &Path,
        key: &[u8; 32],
    ) -> Result<(Registers, RegistersReport), RegistersError> {
        fs::create_dir_all(folder)
            .map_err(|e| refused("creating the folder of the registers", e))?;
        let lock = take_lock(folder)?;
        let path = folder.join(FILE);
        let mut report = RegistersReport::default();
        let loaded = match fs::read(&path) {
            Ok(bytes) => file::load(&bytes, key, folder)?,
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => {
                report.created = true;
                let codec = Codec::new(key)?;
                let written = disk::replace(disk.as_ref(), &path, &codec.header());
                written.map_err(|e| refused("creating the registers", e))?;
                Loaded::empty(codec)
            }
            Err(failure) => return Err(refused("reading the registers", failure)),
        };
        report.torn_bytes = loaded.torn_bytes;
        report.damaged = loaded.damaged;
        let file = disk
            .open(&path)
            .map_err(|e| refused("opening the registers", e))?;
        let Loaded {
            codec, map, length, ..
        } = loaded;
        let live = map
            .iter()
            .map(|(key, value)| file::entry_length(key, Some(value)))
            .sum();
        let mut registers = Registers {
            path,
            disk,
            codec,
            file,
            length,
            live,
            compact_above: LEAST_COMPACTED_BYTES,
            map,
            stopped: None,
            _lock: lock,
        };
        if !report.created {
            registers.cut_back("cutting an unfinished batch")?;
            match registers.compact() {
                Err(RegistersError::Full) => {
                    report.compaction_failure = Some(RegistersError::Full.to_string());
                }
                other => other?,
            }
        }
        Ok((registers, report))
    }

    /// The latest value.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.map.get(key).map(Vec::as_slice)
    }

    /// All registers whose key starts with `prefix`, in the order of their keys.
    pub fn prefix<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.map
            .range::<[u8], _>((
                std::ops::Bound::Included(prefix),
                std::ops::Bound::Unbounded,
            ))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// Sets (`Some`) or removes (`None`) registers, all or none. `durable` waits for fdatasync; without it a power cut
    /// may take the change back, but never a durable one before it.
    pub fn put_all(
        &mut self,
        changes: &[(Vec<u8>, Option<Vec<u8>>)],
        durable: bool,
    ) -> Result<(), RegistersError> {
        self.check_running()?;
        self.check_sizes(changes)?;
        let mut bytes = Vec::new();
        for (index, (key, value)) in changes.iter().enumerate() {
            let is_last = index + 1 == changes.len();
            self.codec
                .encode(&mut bytes, self.length, is_last, key, value.as_deref())?;
        }
        if let Err(failure) = self.file.write_all_at(&bytes, self.length) {
            return Err(match refused("writing the registers", failure) {
                passing @ (RegistersError::Full | RegistersError::ReadOnly { .. }) => {
                    self.cut_back("putting back the registers")?;
                    passing
                }
                failure => self.stop(&failure),
            });
        }
        if durable {
            self.sync()?;
        }
        self.length += bytes.len() as u64;
        for (key, value) in changes {
            self.apply(key, value.as_deref());
        }
        self.compact_if_due()
    }

    /// Makes everything durable that was put without waiting.
    pub fn sync(&mut self) -> Result<(), RegistersError> {
        self.check_running()?;
        // Never retried: after a failed fdatasync the kernel has dropped the pages and would report success.
        self.file.sync_data().map_err(|failure| self.stop(&failure))
    }

    /// What all live entries take.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.live
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.length
    }

    fn apply(&mut self, key: &[u8], value: Option<&[u8]>) {
        let before = match value {
            Some(value) => {
                self.live += file::entry_length(key, Some(value));
                self.map.insert(key.to_vec(), value.to_vec())
            }
            None => self.map.remove(key),
        };
        if let Some(before) = before {
            self.live -= file::entry_length(key, Some(&before));
        }
    }

    fn compact_if_due(&mut self) -> Result<(), RegistersError> {
        let garbage = self.length.saturating_sub(HEADER + self.live);
        if self.length <= self.compact_above || garbage <= self.length / 2 {
            return Ok(());
        }
        match self.compact() {
            Err(passing @ (RegistersError::Full | RegistersError::ReadOnly { .. })) => {
                // The change itself is stored. Try again when the file has grown by a quarter.
                tracing::warn!(%passing, "the registers could not be compacted");
                self.compact_above = self.length + self.length / 4;
                Ok(())
            }
            other => other,
        }
    }

    /// Writes all live registers to a new file, durably, and puts it in the place of the old one.
    fn compact(&mut self) -> Result<(), RegistersError> {
        let codec = self.codec.renewed()?;
        let mut bytes = codec.header();
        for (key, value) in &self.map {
            codec.encode(&mut bytes, 0, true, key, Some(value))?;
        }
        let written = disk::replace(self.disk.as_ref(), &self.path, &bytes);
        if let Err(failure) = written.map_err(|e| refused("compacting the registers", e)) {
            return Err(match failure {
                passing @ (RegistersError::Full | RegistersError::ReadOnly { .. }) => passing,
                failure => self.stop(&failure),
            });
        }
        let file = self
            .disk
            .open(&self.path)
            .map_err(|failure| self.stop(&failure))?;
        self.length = bytes.len() as u64;
        (self.file, self.codec, self.compact_above) = (file, codec, LEAST_COMPACTED_BYTES);
        Ok(())
    }

    fn cut_back(&mut self, what: &'static str) -> Result<(), RegistersError> {
        let length = self.file.length().map_err(|e| refused(what, e))?;
        if length > self.length {
            self.file
                .set_length(self.length)
                .map_err(|failure| self.stop(&failure))?;
        }
        Ok(())
    }

    fn check_running(&self) -> Result<(), RegistersError> {
        match &self.stopped {
            Some(cause) => Err(RegistersError::Stopped {
                cause: cause.clone(),
            }),
            None => Ok(()),
        }
    }

    fn check_sizes(&self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), RegistersError> {
        let mut total = self.live;
        for (key, value) in changes {
            let value_bytes = value.as_ref().map_or(0, Vec::len);
            if key.len() > MAX_KEY_BYTES {
                return Err(RegistersError::TooLarge {
                    what: "a key",
                    bytes: key.len() as u64,
                });
            }
            if value_bytes > MAX_VALUE_BYTES {
                return Err(RegistersError::TooLarge {
                    what: "a value",
                    bytes: value_bytes as u64,
                });
            }
            total += file::entry_length(key, value.as_deref());
        }
        if total > MAX_LIVE_BYTES {
            return Err(RegistersError::TooLarge {
                what: "everything together",
                bytes: total,
            });
        }
        Ok(())
    }

    fn stop(&mut self, failure: &dyn std::error::Error) -> RegistersError {
        let cause = format!("{}: {failure}", self.path.display());
        tracing::error!(%cause, "the registers have stopped");
        self.stopped = Some(cause.clone());
        RegistersError::Stopped { cause }
    }
}

fn take_lock(folder: &Path) -> Result<File, RegistersError> {
    lock::take(&folder.join(LOCK)).map_err(|error| match error {
        TryLockError::WouldBlock => RegistersError::InUse {
            folder: folder.to_owned(),
        },
        TryLockError::Error(source) => refused("locking the registers", source),
    })
}

fn refused(what: &'static str, source: io::Error) -> RegistersError {
    if disk::is_full(&source) {
        RegistersError::Full
    } else if disk::is_read_only(&source) {
        RegistersError::ReadOnly { what, source }
    } else {
        RegistersError::Io { what, source }
    }
}
