//! The anchor: a small file *outside* the journal and outside every backup that remembers the journal's head.
//!
//! Owns its bytes and the comparison. It must not decide what follows from the answer. It is how a node notices that
//! its disk is an old copy: an honest node that does not notice would use its positions a second time and look like a
//! liar to its partners.
//!
//! The anchor may lag, because it is written now and then and not with every append. So a journal that goes on from
//! its anchor is the same one after a crash ([`Comparison::Behind`]); a journal that is shorter than its anchor, or
//! has another history at its place, was put there by somebody ([`Comparison::Unknown`]). What lag costs: a copy
//! that was taken *after* the last anchor cannot be told from the journal itself. So write the anchor often while
//! the journal grows, and in any case before the first bytes leave the node after a backup was taken; the question to
//! the partners at every reconnect covers the rest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{self, Disk, RealDisk};
use super::format::{Fields, Head, Position};
use super::reader::{JournalReader, Standing};

const MAGIC: [u8; 8] = *b"XPANCHO1";

/// Why an anchor file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// The file exists and is not a whole anchor.
    #[error("the anchor {} is damaged", .path.display())]
    Damaged {
        /// The anchor file.
        path: PathBuf,
    },
    /// The kernel refused.
    #[error("the anchor {}: {source}", .path.display())]
    Io {
        /// The anchor file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// How the journal stands to its anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The journal ends where the anchor says.
    Equal,
    /// The anchor lags: the journal has gone on from it by so many bytes. What a crash leaves.
    Behind {
        /// Bytes that came after the anchor.
        bytes: u64,
    },
    /// The journal may be an old or foreign copy, for this reason.
    Unknown(Doubt),
}

/// Why a journal cannot be taken for the one that its anchor saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// There is no anchor, or it is damaged.
    NoAnchor,
    /// The journal is shorter than its anchor: restored from an older copy.
    Shorter,
    /// At the anchor's place the journal has another history (restored, and written since) or is damaged.
    OtherHistory,
    /// The anchor belongs to another journal.
    OtherJournal,
    /// The disk does not let us read the place that the anchor points to.
    Unreadable,
}

/// Reads the anchor; `None` if there is none.
pub fn read(path: &Path) -> Result<Option<Head>, AnchorError> {
    match fs::read(path) {
        Ok(bytes) => match decode(&bytes) {
            Some(head) => Ok(Some(head)),
            None => Err(AnchorError::Damaged {
                path: path.to_owned(),
            }),
        },
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AnchorError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Replaces the anchor, durably: after a crash it is the old one or this one. About two fsyncs.
pub fn write(path: &Path, head: &Head) -> Result<(), AnchorError> {
    write_on(&RealDisk, path, head)
}

/// Compares what [`read`] gave with the journal.
pub fn compare(anchor: Option<&Head>, journal: &JournalReader) -> Comparison {
    let Some(anchor) = anchor else {
        return Comparison::Unknown(Doubt::NoAnchor);
    };
    match journal.standing(anchor) {
        Ok(Standing::Equal) => Comparison::Equal,
        Ok(Standing::Behind { bytes }) => Comparison::Behind { bytes },
        Ok(Standing::Ahead) => Comparison::Unknown(Doubt::Shorter),
        Ok(Standing::OtherHistory) => Comparison::Unknown(Doubt::OtherHistory),
        Ok(Standing::OtherGeneration) => Comparison::Unknown(Doubt::OtherJournal),
        Err(_) => Comparison::Unknown(Doubt::Unreadable),
    }
}

/// As [`write`], on a disk of the caller's.
pub(crate) fn write_on(disk: &dyn Disk, path: &Path, head: &Head) -> Result<(), AnchorError> {
    disk::replace(disk, path, &encode(MAGIC, head)).map_err(|source| AnchorError::Io {
        path: path.to_owned(),
        source,
    })
}

/// A head in 68 bytes: magic, generation, position, running hash, checksum. Also used by the mark of a clean stop.
pub(super) fn encode(magic: [u8; 8], head: &Head) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend_from_slice(&head.generation);
    bytes.extend_from_slice(&head.position.0.to_le_bytes());
    bytes.extend_from_slice(&head.running_hash);
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// The head in what [`encode`] made.
pub(super) fn decode_as(magic: [u8; 8], bytes: &[u8]) -> Option<Head> {
    let covered = bytes.get(..bytes.len().checked_sub(4)?)?;
    let mut fields = Fields(bytes);
    if fields.array::<8>()? != magic {
        return None;
    }
    let head = Head {
        generation: fields.array()?,
        position: Position(fields.u64()?),
        running_hash: fields.array()?,
    };
    let crc = fields.u32()?;
    fields.finished()?;
    (crc == crc32fast::hash(covered)).then_some(head)
}

fn decode(bytes: &[u8]) -> Option<Head> {
    decode_as(MAGIC, bytes)
}
