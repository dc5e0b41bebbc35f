//! One segment file: its place in the journal, its open file, its key. And the walk over the records in it.
//!
//! It knows record headers and not what records mean. The walk never ends at something it cannot read: it looks for
//! the next valid record header and names the stretch in between. It reads ahead in large pieces, because at open and
//! in a scan it is the number of system calls that costs.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::error::{DamageReason, JournalError};
use super::format::{
    Checksum, FoundHeader, Group, KIND_GROUP, Position, RECORD_HEADER, RECORD_MAGIC, RecordHeader,
    SEGMENT_HEADER, SegmentHeader,
};
use super::seal::Sealer;
use super::{MAX_STORED_BYTES, disk};

/// Read ahead in a walk: large against the cost of a system call, small against memory.
const READ_AHEAD: usize = 512 * 1024;
/// An unreadable stretch is narrowed down in steps of this, the usual block of disks and file systems.
const BLOCK: usize = 4096;

/// An open segment file.
#[derive(Debug)]
pub(super) struct Segment {
    pub base: u64,
    pub path: PathBuf,
    pub file: Box<dyn DiskFile>,
    pub sealer: Sealer,
    pub checksum: Checksum,
    /// The running hash at `base`; `None` if both copies of the header are damaged.
    pub running_hash: Option<[u8; 32]>,
    /// How long the file was at open, if it was closed by then: it may have been cut short by somebody.
    pub closed_length: Option<u64>,
}

impl Segment {
    /// Creates the segment durably, under its final name only once it is whole.
    pub fn create(
        disk: &dyn Disk,
        folder: &Path,
        key: &[u8; 32],
        head: &super::Head,
    ) -> Result<Segment, JournalError> {
        let (base, generation) = (head.position.0, head.generation);
        let path = folder.join(file_name(base));
        let sealer = Sealer::of_segment(key, &generation, base);
        let header = SegmentHeader {
            generation,
            base,
            running_hash: head.running_hash,
            key_check: sealer.key_check(),
        };
        disk::replace(disk, &path, &header.encode())
            .map_err(|e| JournalError::io("creating", &path, e))?;
        let file = disk
            .open(&path)
            .map_err(|e| JournalError::io("opening", &path, e))?;
        let checksum = Checksum::of_generation(&generation);
        let running_hash = Some(head.running_hash);
        Ok(Segment {
            base,
            path,
            file,
            sealer,
            checksum,
            running_hash,
            closed_length: None,
        })
    }

    /// The offset of a position in this file.
    pub fn offset(&self, position: Position) -> u64 {
        position.0.saturating_sub(self.base)
    }

    /// The position of an offset in this file.
    pub fn position(&self, offset: u64) -> Position {
        Position(self.base.saturating_add(offset))
    }
}

/// The name of the segment that starts at `base`.
pub(super) fn file_name(base: u64) -> String {
    format!("{base:016x}.segment")
}

/// The base in a segment's file name.
pub(super) fn base_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".segment")?;
    (digits.len() == 16)
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

/// Reads the header of an open segment file.
pub(super) fn read_header(file: &dyn DiskFile) -> io::Result<FoundHeader> {
    if file.length()? < SEGMENT_HEADER {
        return Ok(FoundHeader::Damaged);
    }
    let mut bytes = [0; SEGMENT_HEADER as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(SegmentHeader::decode(&bytes))
}

/// What a walk does when the disk reports a read error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnReadError {
    /// Give up: used where the answer decides what is cut away.
    Fail,
    /// Treat the unreadable blocks as damage and go on: used where the answer is only shown.
    GoOn,
}

/// One step of a walk.
#[derive(Debug)]
pub(super) enum Step {
    Record(RecordHeader),
    /// No valid header from here to there (offsets in the file).
    Lost {
        from: u64,
        to: u64,
        reason: DamageReason,
    },
}

/// Goes over the records of one segment, from an offset to an end.
#[derive(Debug)]
pub(super) struct Walk {
    pub segment: Arc<Segment>,
    offset: u64,
    end: u64,
    on_read_error: OnReadError,
    buffer: Vec<u8>,
    buffer_start: u64,
    unreadable: Vec<Range<u64>>,
}

impl Walk {
    /// `end` must not be past the end of the file.
    pub fn new(segment: Arc<Segment>, from: u64, end: u64, on_read_error: OnReadError) -> Walk {
        let offset = from.max(SEGMENT_HEADER);
        Walk {
            segment,
            offset,
            end,
            on_read_error,
            buffer: Vec::new(),
            buffer_start: 0,
            unreadable: Vec::new(),
        }
    }

    /// The next record or lost stretch, or `None` at the end.
    pub fn step(&mut self) -> io::Result<Option<Step>> {
        if self.offset >= self.end {
            return Ok(None);
        }
        let from = self.offset;
        if let Some(header) = self.header_at(from)? {
            self.offset = from + header.stored();
            return Ok(Some(Step::Record(header)));
        }
        let to = self.resynchronise(from + 1)?;
        self.offset = to;
        let reason = if self.is_unreadable(from..to) {
            DamageReason::Unreadable
        } else {
            DamageReason::Header
        };
        Ok(Some(Step::Lost { from, to, reason }))
    }

    /// The stored payload of a record that this walk has just stepped over.
    pub fn payload(&mut self, header: &RecordHeader) -> io::Result<&[u8]> {
        let start = self.segment.offset(header.position) + RECORD_HEADER as u64;
        self.bytes(start, header.length as usize)
    }

    /// The group that starts with this record, if it is a group record and whole.
    pub fn group(&mut self, header: &RecordHeader) -> io::Result<Option<Group>> {
        if header.kind != KIND_GROUP {
            return Ok(None);
        }
        let checksum = self.segment.checksum;
        let payload = self.payload(header)?;
        Ok(Group::decode(payload).filter(|_| checksum.over(payload) == header.payload_crc))
    }

    /// Bytes of the file, for whoever judges a damaged stretch.
    pub fn bytes(&mut self, start: u64, length: usize) -> io::Result<&[u8]> {
        let inside = start
            .checked_sub(self.buffer_start)
            .and_then(|skip| usize::try_from(skip).ok());
        let held = |skip: usize| {
            skip.checked_add(length)
                .is_some_and(|end| end <= self.buffer.len())
        };
        let skip = match inside.filter(|skip| held(*skip)) {
            Some(skip) => skip,
            None => {
                self.fill(start, length)?;
                0
            }
        };
        self.buffer
            .get(skip..skip + length)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Whether the disk reported a read error in this stretch.
    pub fn is_unreadable(&self, stretch: Range<u64>) -> bool {
        self.unreadable
            .iter()
            .any(|part| part.start < stretch.end && stretch.start < part.end)
    }

    fn header_at(&mut self, offset: u64) -> io::Result<Option<RecordHeader>> {
        let end = self.end;
        if end - offset < RECORD_HEADER as u64 {
            return Ok(None);
        }
        let (position, checksum) = (self.segment.position(offset), self.segment.checksum);
        let header = RecordHeader::decode(checksum, position, self.bytes(offset, RECORD_HEADER)?);
        let fits = |header: &RecordHeader| {
            header.length as usize <= MAX_STORED_BYTES
                && offset
                    .checked_add(header.stored())
                    .is_some_and(|to| to <= end)
        };
        Ok(header.filter(fits))
    }

    /// The offset of the next valid header at or after `offset`, or the end.
    fn resynchronise(&mut self, mut offset: u64) -> io::Result<u64> {
        while self.end.saturating_sub(offset) >= RECORD_HEADER as u64 {
            let length = READ_AHEAD.min(usize::try_from(self.end - offset).unwrap_or(READ_AHEAD));
            let window = self.bytes(offset, length)?;
            let found = window
                .windows(RECORD_MAGIC.len())
                .position(|four| four == RECORD_MAGIC);
            match found {
                Some(skip) => {
                    let candidate = offset + skip as u64;
                    if self.header_at(candidate)?.is_some() {
                        return Ok(candidate);
                    }
                    offset = candidate + 1;
                }
                // The magic may lie across the border of two windows.
                None => offset += (length - (RECORD_MAGIC.len() - 1)) as u64,
            }
        }
        Ok(self.end)
    }

    fn fill(&mut self, start: u64, length: usize) -> io::Result<()> {
        let available = usize::try_from(self.end.saturating_sub(start)).unwrap_or(usize::MAX);
        if length > available {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let wanted = length.max(READ_AHEAD.min(available));
        self.buffer.resize(wanted, 0);
        self.buffer_start = start;
        match self.segment.file.read_exact_at(&mut self.buffer, start) {
            Err(_) if self.on_read_error == OnReadError::GoOn => {
                self.fill_block_by_block(start);
                Ok(())
            }
            Err(failure) => {
                self.buffer.clear();
                Err(failure)
            }
            Ok(()) => Ok(()),
        }
    }

    fn fill_block_by_block(&mut self, start: u64) {
        let mut offset = start;
        for block in self.buffer.chunks_mut(BLOCK) {
            let end = offset + block.len() as u64;
            if self.segment.file.read_exact_at(block, offset).is_err() {
                // Zeros pass no checksum of a header; what lies here is reported as unreadable by the caller.
                block.fill(0);
                let known = self
                    .unreadable
                    .last()
                    .is_some_and(|last| last.start <= offset && end <= last.end);
                if !known {
                    self.unreadable.push(offset..end);
                }
            }
            offset = end;
        }
    }
}
