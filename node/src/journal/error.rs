//! What can go wrong with a journal, in types: refusals of a write, failures of a read, and named damage.
//!
//! Owns only the words. Damage is data, not an exception: a scan yields it between records and goes on.

use std::io;
use std::path::{Path, PathBuf};

use super::disk;
use super::format::Position;

/// Why a journal could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Two processes on one journal would destroy it.
    #[error("the journal in {} is used by another process", .folder.display())]
    InUse {
        /// The journal's folder.
        folder: PathBuf,
    },
    /// The key is not the one that this journal was made with.
    #[error("the key does not belong to the journal file {}", .path.display())]
    WrongKey {
        /// The file whose key check failed.
        path: PathBuf,
    },
    /// Files of two journals are mixed in one folder.
    #[error("the file {} belongs to another journal", .path.display())]
    Foreign {
        /// The file of the other generation.
        path: PathBuf,
    },
    /// Written by a later version of this program.
    #[error("the file {} has journal format {version}, which this version cannot read", .path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format that it states.
        version: u16,
    },
    /// Both copies of the header of every segment are damaged, so not even the generation is known.
    #[error("no segment of the journal in {} has a readable header", .folder.display())]
    Unreadable {
        /// The journal's folder.
        folder: PathBuf,
    },
    /// The disk can be read and not written.
    #[error("the disk cannot be written: {what} {}: {source}", .path.display())]
    ReadOnly {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No space left. Nothing of the group was kept; appending works again once there is space.
    #[error("no space left on the disk for the journal")]
    Full,
    /// A write or fdatasync failed earlier, so the state of the disk is unknown. Never retried: the kernel reports a
    /// lost page once and then forgets it. Only opening the journal anew (which reads the disk) can go on.
    #[error("the journal has stopped: {cause}")]
    Stopped {
        /// What failed, in words.
        cause: String,
    },
    /// Somebody else appended in between.
    #[error("the journal ends at {head}, not at {expected}")]
    Conflict {
        /// Where the caller thought it ended.
        expected: Position,
        /// Where it ends.
        head: Position,
    },
    /// One record is larger than [`super::MAX_RECORD_BYTES`].
    #[error("a record of {length} bytes is over the limit of {limit}", limit = super::MAX_RECORD_BYTES)]
    RecordTooLarge {
        /// Its size.
        length: usize,
    },
    /// The group is larger than [`super::MAX_GROUP_BYTES`] or [`super::MAX_GROUP_RECORDS`].
    #[error("a group of {records} records and {bytes} bytes is over the limit")]
    GroupTooLarge {
        /// How many records.
        records: usize,
        /// How many payload bytes.
        bytes: usize,
    },
    /// Kinds from [`super::RESERVED_KINDS`] on are the journal's own.
    #[error("record kind {0:#06x} is reserved for the journal itself")]
    ReservedKind(u16),
    /// Anything else that the kernel refused.
    #[error("{what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The machine has no randomness, so nothing can be sealed.
    #[error("no randomness from the system: {0}")]
    Randomness(getrandom::Error),
}

impl JournalError {
    /// Sorts a failure of the kernel into the kinds that callers treat differently.
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> JournalError {
        if disk::is_full(&source) {
            return JournalError::Full;
        }
        let path = path.to_owned();
        if disk::is_read_only(&source) {
            return JournalError::ReadOnly { what, path, source };
        }
        JournalError::Io { what, path, source }
    }
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The position is at or after the head.
    #[error("nothing is stored at {position} yet: the journal ends at {head}")]
    BeyondHead {
        /// What was asked for.
        position: Position,
        /// Where the journal ends.
        head: Position,
    },
    /// A record of the journal's own bookkeeping stands there.
    #[error("the record at {0} is the journal's own")]
    Internal(Position),
    /// The bytes on the disk are not those that were written, or there is no record at this position.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The kernel could not read.
    #[error("reading the journal at {position}: {source}")]
    Io {
        /// Where.
        position: Position,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// A stretch of the journal that cannot be read as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("journal damaged from {position} to {end}: {reason}")]
pub struct Damage {
    /// Where it starts: a record, or the first byte of a stretch where records are lost.
    pub position: Position,
    /// Where the next readable thing starts.
    pub end: Position,
    /// What is wrong.
    pub reason: DamageReason,
}

/// What is wrong with a stretch of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DamageReason {
    /// No valid record header is here; how many records are lost is unknown.
    #[error("no valid record header")]
    Header,
    /// The payload does not match its checksum.
    #[error("the payload does not match its checksum")]
    Payload,
    /// The checksum is right and the seal is not: other key, or changed on purpose.
    #[error("the seal does not open")]
    Seal,
    /// The record was erased and the record that says so is unreadable.
    #[error("erased, and the note of the erasure is unreadable")]
    Erasure,
    /// The kernel reports a read error here.
    #[error("the disk reports a read error")]
    Unreadable,
    /// The file ends too early or is not there at all.
    #[error("the file is missing or too short")]
    Missing,
    /// Both copies of a segment header are damaged.
    #[error("the segment header is unreadable")]
    SegmentHeader,
    /// A group does not continue the one before it.
    #[error("the running hash does not continue")]
    Chain,
    /// The bytes of a group are not those that its running hash covers.
    #[error("the group does not match its hash")]
    Content,
}

/// Why an erasure was refused or not completed.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The record to erase cannot be found.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A range is empty, reversed, past the end of the payload, or there are too many.
    #[error("these ranges cannot be erased in a payload of {payload} bytes")]
    Ranges {
        /// Length of the payload in bytes.
        payload: u32,
    },
    /// A sealed record is one ciphertext: it can only be erased as a whole.
    #[error("a sealed record can only be erased whole")]
    SealedInPart,
    /// The record there is another than the one that the erasure was made for.
    #[error("the record at {0} is not the one that was erased")]
    OtherRecord(Position),
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] JournalError),
}
