//! The bytes of a journal: segment header, record header, the journal's own records. Encoding and decoding only.
//!
//! It must not open a file or hold a key. All integers are little endian. The layout (format 1):
//!
//! ```text
//! segment  = header copy (128) | header copy (128) | group*
//! header   = "XPJOURN1" | version u16 | 0 (6) | generation (16) | base u64 | running hash (32) | key check (16)
//!            | crc u32 | 0...
//! group    = group record | record*                  written by one write, made durable by one fdatasync
//! record   = magic "XPR1" | kind u16 | flags u8 | 0 u8 | payload length u32 | payload crc u32 | position u64
//!            | header crc u32 | erased by u64 | crc of that u32 | payload
//! group record's payload  = running hash before (32) | SHA-256 of the group's other bytes (32) | records u32
//!                           | length of the whole group u32
//! erased record's payload = position u64 | header crc of that record u32 | new payload crc u32 | flags u8
//!                           | ranges u32 | (from u32, to u32)*
//! ```
//!
//! Why it is so: a record states its own position, and its header checksum starts from the journal's generation, so
//! that neither a misplaced block nor bytes inside a payload pass for a record while resynchronising. "Erased by" is
//! the one part of a header that changes later; it stands apart, with its own checksum, directly before the payload
//! that it excuses, so that nothing about erasures has to be kept in memory or found by a scan. Header copies are two
//! because the header is the only thing that cannot be found again by looking around.

use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

/// Format of new segments.
pub(super) const VERSION: u16 = 1;
/// Both copies of the segment header.
pub(super) const SEGMENT_HEADER: u64 = 2 * HEADER_COPY as u64;
/// A record header.
pub(super) const RECORD_HEADER: usize = 40;
/// From here to the end of the header: what an erasure changes.
pub(super) const POINTER_OFFSET: usize = 28;
/// The length of a group record, header and payload.
pub(super) const GROUP_RECORD: usize = RECORD_HEADER + GROUP_PAYLOAD;
/// Kinds from here on are the journal's own.
pub const RESERVED_KINDS: u16 = 0xff00;
/// Starts every group.
pub(super) const KIND_GROUP: u16 = 0xff01;
/// Says that parts of an earlier record are erased.
pub(super) const KIND_ERASED: u16 = 0xff02;
/// The payload is nonce, ciphertext and tag.
pub(super) const FLAG_SEALED: u8 = 1;
/// Ranges in one erasure: an envelope has at most 256 payloads, and neighbours merge.
pub(super) const MAX_ERASED_RANGES: usize = 512;
/// Starts every record header.
pub(super) const RECORD_MAGIC: [u8; 4] = *b"XPR1";

const HEADER_COPY: usize = 128;
const HEADER_CRC_OFFSET: usize = 88;
const SEGMENT_MAGIC: [u8; 8] = *b"XPJOURN1";
const GROUP_PAYLOAD: usize = 72;
const ERASED_FIXED: usize = 21;

/// A place in the journal: a byte offset over all segments, strictly increasing. Zero is before everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// Before the first record: scanning from here yields everything.
    pub const START: Position = Position(0);
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// Where a journal ends and what it contains, in 56 bytes: what an index or an anchor remembers of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Random name of the journal, chosen when it was created.
    pub generation: [u8; 16],
    /// The end of the last group.
    pub position: Position,
    /// Chain over every group up to there.
    pub running_hash: [u8; 32],
}

/// What one segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub generation: [u8; 16],
    pub base: u64,
    pub running_hash: [u8; 32],
    pub key_check: [u8; 16],
}

/// What was found at the start of a segment file.
pub(super) enum FoundHeader {
    Valid(SegmentHeader),
    Newer(u16),
    Damaged,
}

impl SegmentHeader {
    pub fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(HEADER_COPY);
        copy.extend_from_slice(&SEGMENT_MAGIC);
        copy.extend_from_slice(&VERSION.to_le_bytes());
        copy.extend_from_slice(&[0; 6]);
        copy.extend_from_slice(&self.generation);
        copy.extend_from_slice(&self.base.to_le_bytes());
        copy.extend_from_slice(&self.running_hash);
        copy.extend_from_slice(&self.key_check);
        let crc = crc32fast::hash(&copy);
        copy.extend_from_slice(&crc.to_le_bytes());
        copy.resize(HEADER_COPY, 0);
        copy.repeat(2)
    }

    pub fn decode(bytes: &[u8]) -> FoundHeader {
        let mut newer = None;
        for copy in bytes.chunks(HEADER_COPY).take(2) {
            match decode_copy(copy) {
                Some(Ok(header)) => return FoundHeader::Valid(header),
                Some(Err(version)) => newer = Some(version),
                None => {}
            }
        }
        newer.map_or(FoundHeader::Damaged, FoundHeader::Newer)
    }
}

fn decode_copy(copy: &[u8]) -> Option<Result<SegmentHeader, u16>> {
    let mut fields = Fields(copy);
    if fields.array::<8>()? != SEGMENT_MAGIC {
        return None;
    }
    let covered = copy.get(..HEADER_CRC_OFFSET)?;
    let version = u16::from_le_bytes(fields.array()?);
    fields.array::<6>()?;
    let header = SegmentHeader {
        generation: fields.array()?,
        base: fields.u64()?,
        running_hash: fields.array()?,
        key_check: fields.array()?,
    };
    if fields.u32()? != crc32fast::hash(covered) {
        return None;
    }
    Some(if version == VERSION {
        Ok(header)
    } else {
        Err(version)
    })
}

/// Checksums of one journal: they start from its generation, so that another journal's bytes never fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checksum(u32);

impl Checksum {
    pub fn of_generation(generation: &[u8; 16]) -> Checksum {
        Checksum(crc32fast::hash(generation))
    }

    pub fn over(self, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// The changeable end of a record header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErasedBy {
    /// Never erased.
    Nothing,
    /// The record at this position says which parts are gone.
    Record(Position),
    /// The pointer itself is damaged: the payload is then held to its first checksum.
    Damaged,
}

/// A record header whose checksum held.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordHeader {
    pub position: Position,
    pub kind: u16,
    pub sealed: bool,
    pub length: u32,
    pub payload_crc: u32,
    pub header_crc: u32,
    pub erased_by: ErasedBy,
}

impl RecordHeader {
    /// The header of a new record with this stored payload.
    pub fn new(
        checksum: Checksum,
        position: Position,
        kind: u16,
        sealed: bool,
        payload: &[u8],
    ) -> RecordHeader {
        let length = u32::try_from(payload.len()).expect("limits keep payloads below 4 GiB");
        let (payload_crc, erased_by) = (checksum.over(payload), ErasedBy::Nothing);
        let mut header = RecordHeader {
            position,
            kind,
            sealed,
            length,
            payload_crc,
            header_crc: 0,
            erased_by,
        };
        header.header_crc = checksum.over(&header.encode()[..24]);
        header
    }

    /// The bytes as first written, before any erasure.
    pub fn encode(&self) -> [u8; RECORD_HEADER] {
        let mut bytes = [0; RECORD_HEADER];
        bytes[0..4].copy_from_slice(&RECORD_MAGIC);
        bytes[4..6].copy_from_slice(&self.kind.to_le_bytes());
        bytes[6] = if self.sealed { FLAG_SEALED } else { 0 };
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.position.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.header_crc.to_le_bytes());
        bytes
    }

    /// Decodes the header of the record at `position`, or says that there is none.
    pub fn decode(checksum: Checksum, position: Position, bytes: &[u8]) -> Option<RecordHeader> {
        let mut fields = Fields(bytes);
        if fields.array::<4>()? != RECORD_MAGIC {
            return None;
        }
        let kind = u16::from_le_bytes(fields.array()?);
        let [flags, reserved] = fields.array()?;
        let (length, payload_crc, stated, header_crc) =
            (fields.u32()?, fields.u32()?, fields.u64()?, fields.u32()?);
        let sound = stated == position.0 && flags <= FLAG_SEALED && reserved == 0;
        if !sound || header_crc != checksum.over(bytes.get(..24)?) {
            return None;
        }
        let erased_by = decode_pointer(checksum, position, &fields.array()?);
        let sealed = flags == FLAG_SEALED;
        Some(RecordHeader {
            position,
            kind,
            sealed,
            length,
            payload_crc,
            header_crc,
            erased_by,
        })
    }

    /// Length of header and payload together.
    pub fn stored(&self) -> u64 {
        RECORD_HEADER as u64 + u64::from(self.length)
    }

    /// Where the next record starts.
    pub fn next(&self) -> Position {
        Position(self.position.0.saturating_add(self.stored()))
    }
}

/// The twelve bytes that mark the record at `target` as erased by the record at `by`.
pub(super) fn encode_pointer(checksum: Checksum, target: Position, by: Position) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&by.0.to_le_bytes());
    bytes[8..].copy_from_slice(&pointer_crc(checksum, target, by).to_le_bytes());
    bytes
}

fn decode_pointer(checksum: Checksum, target: Position, bytes: &[u8; 12]) -> ErasedBy {
    if bytes == &[0; 12] {
        return ErasedBy::Nothing;
    }
    let mut fields = Fields(bytes);
    match (fields.u64(), fields.u32()) {
        (Some(by), Some(crc)) if crc == pointer_crc(checksum, target, Position(by)) => {
            ErasedBy::Record(Position(by))
        }
        _ => ErasedBy::Damaged,
    }
}

fn pointer_crc(checksum: Checksum, target: Position, by: Position) -> u32 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&target.0.to_le_bytes());
    bytes[8..].copy_from_slice(&by.0.to_le_bytes());
    checksum.over(&bytes)
}

/// What a group says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    pub before: [u8; 32],
    pub content: [u8; 32],
    pub records: u32,
    pub length: u32,
}

impl Group {
    pub fn encode(&self) -> [u8; GROUP_PAYLOAD] {
        let mut bytes = [0; GROUP_PAYLOAD];
        bytes[..32].copy_from_slice(&self.before);
        bytes[32..64].copy_from_slice(&self.content);
        bytes[64..68].copy_from_slice(&self.records.to_le_bytes());
        bytes[68..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    pub fn decode(payload: &[u8]) -> Option<Group> {
        let mut fields = Fields(payload);
        let (before, content) = (fields.array()?, fields.array()?);
        let (records, length) = (fields.u32()?, fields.u32()?);
        fields.finished()?;
        // A group contains at least its own record.
        (length as usize >= GROUP_RECORD).then_some(Group {
            before,
            content,
            records,
            length,
        })
    }

    /// The running hash after this group, if it stands at `position`.
    pub fn running_hash(&self, position: Position) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(b"crossport journal group 1");
        hasher.update(position.0.to_le_bytes());
        hasher.update(self.encode());
        hasher.finalize().into()
    }
}

/// The running hash of a journal that has no group yet.
pub(super) fn first_hash(generation: &[u8; 16]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"crossport journal start 1");
    hasher.update(generation);
    hasher.finalize().into()
}

/// The journal's own note that parts of the record at `target` are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Erased {
    pub target: Position,
    pub target_crc: u32,
    pub payload_crc: u32,
    /// The payload was damaged before: what is left of it never counts as read well.
    pub damaged: bool,
    /// Sorted, apart from each other, in stored bytes.
    pub ranges: Vec<Range<u32>>,
}

impl Erased {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ERASED_FIXED + 8 * self.ranges.len());
        bytes.extend_from_slice(&self.target.0.to_le_bytes());
        bytes.extend_from_slice(&self.target_crc.to_le_bytes());
        bytes.extend_from_slice(&self.payload_crc.to_le_bytes());
        bytes.push(u8::from(self.damaged));
        let count = u32::try_from(self.ranges.len()).expect("limited to MAX_ERASED_RANGES");
        bytes.extend_from_slice(&count.to_le_bytes());
        for range in &self.ranges {
            bytes.extend_from_slice(&range.start.to_le_bytes());
            bytes.extend_from_slice(&range.end.to_le_bytes());
        }
        bytes
    }

    pub fn decode(payload: &[u8]) -> Option<Erased> {
        let mut fields = Fields(payload);
        let target = Position(fields.u64()?);
        let (target_crc, payload_crc) = (fields.u32()?, fields.u32()?);
        let [damaged] = fields.array()?;
        let count = usize::try_from(fields.u32()?)
            .ok()
            .filter(|count| *count <= MAX_ERASED_RANGES)?;
        let mut ranges = Vec::with_capacity(count);
        for _ in 0..count {
            ranges.push(fields.u32()?..fields.u32()?);
        }
        fields.finished()?;
        Some(Erased {
            target,
            target_crc,
            payload_crc,
            damaged: damaged != 0,
            ranges,
        })
    }
}

/// Takes fixed fields from the front of bytes that may be anything.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn finished(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
