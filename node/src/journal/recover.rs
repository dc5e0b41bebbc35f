//! Finding the end of a journal that was not stopped cleanly.
//!
//! Owns the decision what of the last segment is kept and what is cut. It never writes. A group is one write and one
//! fdatasync and nothing is appended before the fdatasync has returned, so **only the last group can be torn**, and a
//! torn group was never acknowledged. Everything else that does not check is damage, which is kept and named: cutting
//! there would throw away what was acknowledged.
//!
//! How a torn last group is told from a damaged one: a torn write leaves the file too short or sectors that were never
//! written, which read as zeros. Damage does not look like that. In doubt the group is kept. A torn group is cut whole,
//! because its records belong together: half of it would be a state that nobody ever decided.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::error::{Damage, DamageReason};
use super::format::{
    Erased, ErasedBy, GROUP_RECORD, Group, KIND_ERASED, Position, RecordHeader, SEGMENT_HEADER,
};
use super::segment::{OnReadError, Segment, Step, Walk};

/// The unit in which disks write: it arrives whole or not at all.
const SECTOR: u64 = 512;
/// A stretch of zeros at a sector's border that is shorter than this may be chance.
const LEAST_ZEROS: u64 = 16;

/// What was found in the last segment.
#[derive(Debug)]
pub(super) struct Recovered {
    /// Offset at which the segment ends; what is behind it is cut.
    pub end: u64,
    /// Start of the last group that is kept: it may have been read from memory that never reached the disk.
    pub last_group: u64,
    pub running_hash: [u8; 32],
    /// Every erasure noted in this segment, with the place of the note.
    pub erasures: Vec<(Position, Erased)>,
    pub damage: Vec<Damage>,
}

/// Walks the last segment, whose file has `length` bytes. `before` is the running hash at its start.
pub(super) fn recover(
    segment: &Arc<Segment>,
    length: u64,
    before: Option<[u8; 32]>,
) -> io::Result<Recovered> {
    let mut survey = Survey::new(segment, length, before);
    while let Some(step) = survey.walk.step()? {
        match step {
            Step::Record(header) => survey.record(&header)?,
            Step::Lost { from, to, reason } => survey.note(from..to, Some(reason)),
        }
    }
    survey.conclude()
}

/// The running hash at the end of a whole segment: that of its last readable group.
pub(super) fn end_hash(segment: &Arc<Segment>, length: u64) -> io::Result<Option<[u8; 32]>> {
    let mut walk = Walk::new(segment.clone(), 0, length, OnReadError::Fail);
    let mut hash = segment.running_hash;
    while let Some(step) = walk.step()? {
        if let Step::Record(header) = step
            && let Some(group) = walk.group(&header)?
        {
            hash = Some(group.running_hash(header.position));
        }
    }
    Ok(hash)
}

/// A record or a lost stretch, as offsets.
struct Part {
    place: Range<u64>,
    damage: Option<DamageReason>,
}

/// The last group whose own record is readable.
struct LastGroup {
    start: u64,
    /// Where it ends by its own word.
    end: u64,
    /// Where its last part ends.
    reached: u64,
    before: [u8; 32],
    after: [u8; 32],
    parts: Vec<Part>,
}

struct Survey {
    walk: Walk,
    length: u64,
    before: Option<[u8; 32]>,
    last: Option<LastGroup>,
    /// What lies behind the last group and has no group record of its own.
    tail: Vec<Part>,
    erasures: Vec<(Position, Erased)>,
    damage: Vec<Damage>,
}

impl Survey {
    fn new(segment: &Arc<Segment>, length: u64, before: Option<[u8; 32]>) -> Survey {
        let walk = Walk::new(segment.clone(), 0, length, OnReadError::Fail);
        Survey {
            walk,
            length,
            before,
            last: None,
            tail: Vec::new(),
            erasures: Vec::new(),
            damage: Vec::new(),
        }
    }

    fn record(&mut self, header: &RecordHeader) -> io::Result<()> {
        let start = self.walk.segment.offset(header.position);
        let place = start..start + header.stored();
        if let Some(group) = self.walk.group(header)? {
            self.begin(start, &group, header.position);
            return Ok(());
        }
        let checksum = self.walk.segment.checksum;
        let payload = self.walk.payload(header)?;
        let holds = checksum.over(payload) == header.payload_crc;
        if holds
            && header.kind == KIND_ERASED
            && let Some(erased) = Erased::decode(payload)
        {
            self.erasures.push((header.position, erased));
        }
        // What was erased no longer matches its first checksum; reading it compares with the erasure's.
        let excused = matches!(header.erased_by, ErasedBy::Record(_));
        self.note(place, (!holds && !excused).then_some(DamageReason::Payload));
        Ok(())
    }

    fn begin(&mut self, start: u64, group: &Group, position: Position) {
        let expected = match &self.last {
            // After a stretch without a group record the chain starts anew from what the next group says.
            Some(last) => (last.end == start).then_some(last.after),
            None => self.before.filter(|_| start == SEGMENT_HEADER),
        };
        if expected.is_some_and(|hash| hash != group.before) {
            let end = Position(position.0 + GROUP_RECORD as u64);
            self.damage.push(Damage {
                position,
                end,
                reason: DamageReason::Chain,
            });
        }
        let end = start.saturating_add(u64::from(group.length));
        let after = group.running_hash(position);
        self.last = Some(LastGroup {
            start,
            end,
            reached: end,
            before: group.before,
            after,
            parts: Vec::new(),
        });
        self.tail.clear();
    }

    fn note(&mut self, place: Range<u64>, damage: Option<DamageReason>) {
        if let Some(reason) = damage {
            let segment = &self.walk.segment;
            let (position, end) = (segment.position(place.start), segment.position(place.end));
            self.damage.push(Damage {
                position,
                end,
                reason,
            });
        }
        let part = Part { place, damage };
        match &mut self.last {
            Some(last) if part.place.start < last.end => {
                // No record is cut in two because its group's length is wrong.
                last.reached = last.reached.max(part.place.end);
                last.parts.push(part);
            }
            _ => self.tail.push(part),
        }
    }

    fn conclude(mut self) -> io::Result<Recovered> {
        let start = self
            .last
            .as_ref()
            .map_or(SEGMENT_HEADER, |last| last.reached);
        let before = self.last.as_ref().map(|last| last.after).or(self.before);
        let readable_end = self
            .tail
            .iter()
            .rev()
            .find(|part| part.damage.is_none())
            .map(|part| part.place.end);
        if let Some(end) = readable_end {
            // Records follow whose group record does not check: torn if it was never written, else damaged.
            let torn = any_never_written(&mut self.walk, &self.tail, start)?;
            let before = before.unwrap_or([0; 32]);
            if torn {
                let last_group = self.last.as_ref().map_or(start, |last| last.start);
                return Ok(self.cut_at(start, last_group, before));
            }
            let hash = self.reconstruct(start..end, before)?;
            return Ok(self.cut_at(end, start, hash));
        }
        let Some(last) = self.last.take() else {
            let before = before.unwrap_or([0; 32]);
            return Ok(self.cut_at(SEGMENT_HEADER, SEGMENT_HEADER, before));
        };
        let too_short = last.end > self.length;
        if too_short || any_never_written(&mut self.walk, &last.parts, last.start)? {
            return Ok(self.cut_at(last.start, last.start, last.before));
        }
        Ok(self.cut_at(last.reached, last.start, last.after))
    }

    fn cut_at(self, end: u64, last_group: u64, running_hash: [u8; 32]) -> Recovered {
        let cut = self.walk.segment.position(end);
        let mut damage = self.damage;
        damage.retain(|found| found.position < cut);
        let mut erasures = self.erasures;
        erasures.retain(|(note, _)| *note < cut);
        Recovered {
            end,
            last_group,
            running_hash,
            erasures,
            damage,
        }
    }

    /// The running hash after a group whose own record is unreadable. If nothing else of it is damaged this is the very
    /// hash that was lost; otherwise it is another one, and an index or an anchor that knew the first does not match,
    /// which is the safe side.
    fn reconstruct(&mut self, place: Range<u64>, before: [u8; 32]) -> io::Result<[u8; 32]> {
        let body_start = place.start + GROUP_RECORD as u64;
        let body_length = usize::try_from(place.end.saturating_sub(body_start)).unwrap_or(0);
        let content = Sha256::digest(self.walk.bytes(body_start, body_length)?).into();
        let inside = |part: &&Part| part.place.start >= body_start && part.place.end <= place.end;
        let records = u32::try_from(self.tail.iter().filter(inside).count()).unwrap_or(u32::MAX);
        let length = u32::try_from(place.end - place.start).unwrap_or(u32::MAX);
        let group = Group {
            before,
            content,
            records,
            length,
        };
        Ok(group.running_hash(self.walk.segment.position(place.start)))
    }
}

/// Whether the damage in these parts is that of sectors which were never written.
fn any_never_written(walk: &mut Walk, parts: &[Part], group_start: u64) -> io::Result<bool> {
    for part in parts.iter().filter(|part| part.damage.is_some()) {
        let mut from = part.place.start.max(group_start);
        while from < part.place.end {
            let to = (from / SECTOR * SECTOR + SECTOR).min(part.place.end);
            let zeros = walk
                .bytes(from, (to - from) as usize)?
                .iter()
                .all(|byte| *byte == 0);
            if zeros && to - from >= LEAST_ZEROS {
                return Ok(true);
            }
            from = to;
        }
    }
    Ok(false)
}
