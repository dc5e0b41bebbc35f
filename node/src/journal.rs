//! The journal: the append-only log that is the truth of a node. Everything else on the disk can be rebuilt from it.
//!
//! Owns durability (one write and one fdatasync for a group), the sealing of local facts, erasing, and the finding and
//! naming of damage. It must not know what a record means, nor how the index, the network or the API use it. The
//! interface is small on purpose (append at an expected position, read, scan, erase), so that another log can stand in
//! its place for companies that outgrow one machine.
//!
//! The files: `<base>.segment` (the position of its first byte in 16 hex digits; the layout is in `format`), `clean`
//! after a clean stop, and `lock`. What a group is: the records of one [`Journal::append`]; after a crash either all of
//! them are there or none.

pub(crate) mod disk;
mod erase;
mod error;
mod format;
mod open;
mod reader;
mod recover;
mod seal;
mod segment;
mod verify;

pub mod anchor;

#[cfg(test)]
pub(crate) mod failing_disk;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use format::{GROUP_RECORD, Group, KIND_GROUP, RECORD_HEADER, RecordHeader, SEGMENT_HEADER};
use reader::Shared;
use seal::{NONCE, SEAL_OVERHEAD};
use segment::Segment;

pub use disk::{Disk, DiskFile, RealDisk};
pub use erase::{AppliedErasures, Erasure};
pub use error::{Damage, DamageReason, EraseError, JournalError, ReadError};
pub(crate) use format::Fields;
pub use format::{Head, Position, RESERVED_KINDS};
pub use open::OpenReport;
pub use reader::{JournalReader, Record, Scan, Standing};
pub use verify::{MAX_NAMED_DAMAGE, Verification};

/// The largest payload: an envelope stops growing at 512 KiB of payloads and one payload has at most 320 KiB, so this
/// leaves room for headers and for the largest local fact, and still bounds what one read can allocate.
pub const MAX_RECORD_BYTES: usize = 2 * 1024 * 1024;
/// The largest group: bounds memory and how long one write can keep all others waiting.
pub const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Most records in a group; many times what one group commit collects.
pub const MAX_GROUP_RECORDS: usize = 8_192;
/// A new segment is begun after this: small enough that the scan after a crash takes a moment, large enough that the
/// number of files and open descriptors stays low (1,600 for 100 GB).
pub const DEFAULT_SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

const MAX_STORED_BYTES: usize = MAX_RECORD_BYTES + SEAL_OVERHEAD;
/// The write buffer is given back to the system when one group made it larger than this.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

/// One record to append.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    /// The caller's kind, below [`RESERVED_KINDS`].
    pub kind: u16,
    /// A local fact: encrypted here, because no plaintext of it may be on the disk. A federated envelope is sealed
    /// already and is stored as it is.
    pub sealed: bool,
    /// At most [`MAX_RECORD_BYTES`].
    pub payload: &'a [u8],
}

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// A new segment is begun when the last one would grow over this many bytes.
    pub segment_bytes: u64,
    /// The disk; a test gives one that fails.
    pub disk: Arc<dyn Disk>,
    /// The control of the damage tests: payload checksums are ignored.
    #[cfg(test)]
    pub(crate) payload_checks_off: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: DEFAULT_SEGMENT_BYTES,
            disk: Arc::new(RealDisk),
            #[cfg(test)]
            payload_checks_off: false,
        }
    }
}

/// The writing end of a journal. There is one; readers are made by [`Journal::reader`].
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    key: Zeroizing<[u8; 32]>,
    options: Options,
    shared: Arc<Shared>,
    active: Arc<Segment>,
    /// Nothing is appended behind damage: a damaged length that reaches too far would then take the new bytes for its own.
    active_is_damaged: bool,
    buffer: Vec<u8>,
    stopped: Option<String>,
    /// Held as long as the journal is open.
    _lock: File,
}

impl Journal {
    /// Opens the journal in `folder`, or creates it. `key` is random, chosen once for this journal and kept (wrapped)
    /// by the keystore: the keys of the segments are derived from it.
    ///
    /// # Errors
    /// In use, wrong or foreign files, read-only disk, other refusals of the kernel. Damage is not an error but in the
    /// report, as long as one segment header is readable.
    pub fn open(
        folder: &Path,
        key: &[u8; 32],
        options: Options,
    ) -> Result<(Journal, OpenReport), JournalError> {
        open::open(folder, key, options)
    }

    /// Where the journal ends.
    pub fn head(&self) -> Head {
        self.shared.head()
    }

    /// A reader that sees every group as soon as it is durable.
    pub fn reader(&self) -> JournalReader {
        JournalReader {
            shared: self.shared.clone(),
        }
    }

    /// Appends a group durably and says where its records stand. `expected` is the head that the caller decided on.
    ///
    /// # Errors
    /// Nothing of the group is kept after any error. [`JournalError::Full`] and [`JournalError::ReadOnly`] leave the
    /// journal usable; [`JournalError::Stopped`] is final for this instance.
    pub fn append(
        &mut self,
        expected: Position,
        records: &[NewRecord<'_>],
    ) -> Result<Vec<Position>, JournalError> {
        if let Some(record) = records.iter().find(|record| record.kind >= RESERVED_KINDS) {
            return Err(JournalError::ReservedKind(record.kind));
        }
        self.append_any(expected, records)
    }

    /// Whether an earlier failure has stopped the journal, and why.
    pub fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// Stops cleanly: the next open need not scan. Dropping the journal instead is like a crash, and as safe.
    pub fn close(self) -> Result<(), JournalError> {
        if let Some(cause) = self.stopped {
            return Err(JournalError::Stopped { cause });
        }
        let path = self.folder.join(open::CLEAN_MARK);
        let mark = anchor::encode(open::CLEAN_MAGIC, &self.shared.head());
        disk::replace(self.options.disk.as_ref(), &path, &mark)
            .map_err(|e| JournalError::io("writing", &path, e))
    }

    fn append_any(
        &mut self,
        expected: Position,
        records: &[NewRecord<'_>],
    ) -> Result<Vec<Position>, JournalError> {
        if let Some(cause) = &self.stopped {
            return Err(JournalError::Stopped {
                cause: cause.clone(),
            });
        }
        let head = self.head();
        if expected != head.position {
            return Err(JournalError::Conflict {
                expected,
                head: head.position,
            });
        }
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let length = group_length(records)?;
        let mut offset = self.active.offset(head.position).max(SEGMENT_HEADER);
        let is_over = self.active_is_damaged || offset + length as u64 > self.options.segment_bytes;
        if offset > SEGMENT_HEADER && is_over {
            self.begin_segment(&head)?;
            offset = SEGMENT_HEADER;
        }
        let (places, running_hash) = self.encode_group(&head, offset, records)?;
        self.write_group(offset)?;
        let position = self.active.position(offset + self.buffer.len() as u64);
        let next = Head {
            generation: head.generation,
            position,
            running_hash,
        };
        *self
            .shared
            .head
            .write()
            .unwrap_or_else(PoisonError::into_inner) = next;
        if self.buffer.capacity() > KEPT_BUFFER_BYTES {
            self.buffer = Vec::new();
        }
        Ok(places)
    }

    /// Fills the buffer with the bytes of a group at `offset` of the active segment.
    fn encode_group(
        &mut self,
        head: &Head,
        offset: u64,
        records: &[NewRecord<'_>],
    ) -> Result<(Vec<Position>, [u8; 32]), JournalError> {
        let (segment, checksum) = (&self.active, self.shared.checksum);
        let mut random = vec![0; NONCE * records.iter().filter(|record| record.sealed).count()];
        getrandom::fill(&mut random).map_err(JournalError::Randomness)?;
        let mut nonces = random.chunks_exact(NONCE);
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer.resize(GROUP_RECORD, 0);
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            let start = buffer.len();
            let position = segment.position(offset + start as u64);
            buffer.resize(start + RECORD_HEADER, 0);
            if record.sealed {
                let nonce = nonces
                    .next()
                    .and_then(|nonce| nonce.try_into().ok())
                    .expect("one nonce per sealed record");
                segment
                    .sealer
                    .seal(buffer, nonce, position, record.kind, record.payload);
            } else {
                buffer.extend_from_slice(record.payload);
            }
            let (front, payload) = buffer.split_at_mut(start + RECORD_HEADER);
            let header = RecordHeader::new(checksum, position, record.kind, record.sealed, payload);
            front[start..].copy_from_slice(&header.encode());
            places.push(position);
        }
        let (first, body) = buffer.split_at_mut(GROUP_RECORD);
        let content = Sha256::digest(&*body).into();
        let count = u32::try_from(records.len()).expect("limited to MAX_GROUP_RECORDS");
        let length = u32::try_from(GROUP_RECORD + body.len()).expect("limited to MAX_GROUP_BYTES");
        let group = Group {
            before: head.running_hash,
            content,
            records: count,
            length,
        };
        let position = segment.position(offset);
        let payload = group.encode();
        let header = RecordHeader::new(checksum, position, KIND_GROUP, false, &payload);
        first[..RECORD_HEADER].copy_from_slice(&header.encode());
        first[RECORD_HEADER..].copy_from_slice(&payload);
        Ok((places, group.running_hash(position)))
    }

    /// One write, one fdatasync. On a full or read-only disk the file is put back to the head.
    fn write_group(&mut self, offset: u64) -> Result<(), JournalError> {
        let segment = self.active.clone();
        if let Err(failure) = segment.file.write_all_at(&self.buffer, offset) {
            let refused = JournalError::io("writing", &segment.path, failure);
            return match refused {
                JournalError::Full | JournalError::ReadOnly { .. } => {
                    match put_back(&segment, offset) {
                        Ok(()) => Err(refused),
                        Err(second) => Err(self.stop("putting back", &segment.path, &second)),
                    }
                }
                other => Err(self.stop("writing", &segment.path, &other)),
            };
        }
        // Never retried: after a failed fdatasync the kernel has dropped the pages and would report success.
        segment
            .file
            .sync_data()
            .map_err(|failure| self.stop("fdatasync of", &segment.path, &failure))
    }

    fn begin_segment(&mut self, head: &Head) -> Result<(), JournalError> {
        match Segment::create(self.options.disk.as_ref(), &self.folder, &self.key, head) {
            Ok(segment) => {
                self.active = Arc::new(segment);
                self.active_is_damaged = false;
                let mut segments = self
                    .shared
                    .segments
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                segments.push(self.active.clone());
                Ok(())
            }
            // Nothing of it is in use yet, and the next append tries again.
            Err(passing @ (JournalError::Full | JournalError::ReadOnly { .. })) => Err(passing),
            Err(failure) => {
                Err(self.stop("beginning a segment in", &self.folder.clone(), &failure))
            }
        }
    }

    fn stop(&mut self, what: &str, path: &Path, failure: &dyn std::error::Error) -> JournalError {
        let cause = format!("{what} {}: {failure}", path.display());
        tracing::error!(%cause, "the journal has stopped");
        self.stopped = Some(cause.clone());
        JournalError::Stopped { cause }
    }
}

/// The bytes that a group takes on the disk, if it is within the limits.
fn group_length(records: &[NewRecord<'_>]) -> Result<usize, JournalError> {
    let mut length = GROUP_RECORD;
    for record in records {
        if record.payload.len() > MAX_RECORD_BYTES {
            return Err(JournalError::RecordTooLarge {
                length: record.payload.len(),
            });
        }
        let seal = if record.sealed { SEAL_OVERHEAD } else { 0 };
        length = length.saturating_add(RECORD_HEADER + seal + record.payload.len());
    }
    if records.len() > MAX_GROUP_RECORDS || length > MAX_GROUP_BYTES {
        return Err(JournalError::GroupTooLarge {
            records: records.len(),
            bytes: length,
        });
    }
    Ok(length)
}

fn put_back(segment: &Segment, length: u64) -> io::Result<()> {
    if segment.file.length()? > length {
        segment.file.set_length(length)?;
    }
    Ok(())
}
