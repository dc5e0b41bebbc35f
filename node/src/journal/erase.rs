//! Erasing: destroying bytes of records that are already in the journal.
//!
//! Owns the order that makes it certain: first a durable note (`Erased`: which record, which ranges, the checksum that
//! the rest has from then on), then the overwriting in place, then fdatasync. A crash in between leaves the note, and
//! opening the journal finishes the work. The pointer to the note is written into the record's own header together
//! with the zeros, so that reading needs no list of erasures. What "destroyed" means is what the disk makes of it:
//! a file system that copies on write or a flash controller may keep an older copy of the block for a while.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::PoisonError;

use super::error::{Damage, EraseError, JournalError, ReadError};
use super::format::{
    Erased, ErasedBy, KIND_ERASED, MAX_ERASED_RANGES, POINTER_OFFSET, Position, RECORD_HEADER,
    RESERVED_KINDS, encode_pointer,
};
use super::reader::{JournalReader, Raw, Shared};
use super::seal::SEAL_OVERHEAD;
use super::{Journal, NewRecord};

/// Imported erasures are carried out in groups of this; a note has at most 4 KiB, so a group stays within its limit.
const ERASURES_AT_ONCE: usize = 1_024;
/// Zeros are written in pieces of this.
const ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];

/// An erasure to carry along with newer backups, for older copies that still have the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The record.
    pub position: Position,
    /// Checksum of that record's header, so that another record at the same place is left alone.
    pub record: u32,
    /// What is gone, in stored bytes.
    pub ranges: Vec<Range<u32>>,
}

/// What [`Journal::apply_erasures`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedErasures {
    /// Erased now.
    pub applied: usize,
    /// Were erased already.
    pub already: usize,
    /// Of records that this copy does not have: nothing to do, unless they come back by another way.
    pub beyond_head: usize,
    /// Not applied, for this reason each: damaged here, or another record stands there.
    pub failed: Vec<(Position, String)>,
}

impl Journal {
    /// Destroys `ranges` of the payload of the record at `position`; two fdatasyncs. Erasing twice is no error.
    ///
    /// # Errors
    /// Nothing is erased if it fails with anything but [`JournalError::Stopped`]; after that, opening finishes it.
    pub fn erase(&mut self, position: Position, ranges: &[Range<u32>]) -> Result<(), EraseError> {
        self.erase_many(&[(position, ranges.to_vec())])
    }

    /// Destroys the whole payload of the record at `position`.
    pub fn erase_whole(&mut self, position: Position) -> Result<(), EraseError> {
        self.erase_whole_many(&[position])
    }

    /// As [`Journal::erase_whole`] for many records, with one note group and one fdatasync per segment touched.
    pub fn erase_whole_many(&mut self, positions: &[Position]) -> Result<(), EraseError> {
        let shared = self.shared.clone();
        let mut plan = Plan::default();
        for position in positions {
            let raw = target(&shared, *position)?;
            let everything = 0..raw.header.length;
            plan.add(&shared, raw, std::iter::once(everything).collect())?;
        }
        self.carry_out(plan)
    }

    /// As [`Journal::erase`] for many records, with one note group and one fdatasync per segment touched.
    pub fn erase_many(
        &mut self,
        targets: &[(Position, Vec<Range<u32>>)],
    ) -> Result<(), EraseError> {
        let shared = self.shared.clone();
        let mut plan = Plan::default();
        for (position, ranges) in targets {
            let raw = target(&shared, *position)?;
            let stored = stored_ranges(&raw, ranges)?;
            plan.add(&shared, raw, stored)?;
        }
        self.carry_out(plan)
    }

    /// Applies erasures exported from a newer copy of the same journal. Stops only if the journal itself does.
    pub fn apply_erasures(
        &mut self,
        erasures: &[Erasure],
    ) -> Result<AppliedErasures, JournalError> {
        let mut outcome = AppliedErasures::default();
        for some in erasures.chunks(ERASURES_AT_ONCE) {
            let shared = self.shared.clone();
            let mut plan = Plan::default();
            for erasure in some {
                match plan.add_exported(&shared, erasure) {
                    Ok(true) => outcome.applied += 1,
                    Ok(false) => outcome.already += 1,
                    Err(EraseError::Read(ReadError::BeyondHead { .. })) => outcome.beyond_head += 1,
                    Err(refusal) => outcome.failed.push((erasure.position, refusal.to_string())),
                }
            }
            match self.carry_out(plan) {
                Ok(()) => {}
                Err(EraseError::Journal(failure)) => return Err(failure),
                // The plan was checked above, and this journal has only one writer.
                Err(other) => {
                    return Err(JournalError::Stopped {
                        cause: other.to_string(),
                    });
                }
            }
        }
        Ok(outcome)
    }

    /// Finishes an erasure whose note is durable: at open, after a crash. Returns whether there was work.
    pub(super) fn redo(
        &self,
        note: Position,
        erased: &Erased,
        always: bool,
    ) -> Result<bool, JournalError> {
        let raw = match self.shared.raw(erased.target) {
            Ok(raw) if raw.header.header_crc == erased.target_crc => raw,
            // The header itself is damaged now: there is nothing left that could be read as this record.
            Ok(_) | Err(ReadError::Damaged(_)) => return Ok(false),
            Err(ReadError::Io { source, .. }) => {
                return Err(JournalError::io("reading", &self.folder, source));
            }
            Err(_) => return Ok(false),
        };
        let done = matches!(raw.header.erased_by, ErasedBy::Record(by) if by > note || (by == note && !always));
        if done {
            return Ok(false);
        }
        let segment = raw.segment.clone();
        overwrite(&self.shared, &raw, note, &erased.ranges)
            .and_then(|()| segment.file.sync_data())
            .map_err(|failure| JournalError::io("erasing in", &segment.path, failure))?;
        Ok(true)
    }

    fn carry_out(&mut self, plan: Plan) -> Result<(), EraseError> {
        if plan.work.is_empty() {
            return Ok(());
        }
        let notes: Vec<Vec<u8>> = plan
            .work
            .values()
            .map(|(_, erased)| erased.encode())
            .collect();
        let records: Vec<NewRecord<'_>> = notes
            .iter()
            .map(|note| NewRecord {
                kind: KIND_ERASED,
                sealed: false,
                payload: note,
            })
            .collect();
        let places = self.append_any(self.head().position, &records)?;
        let mut touched = BTreeMap::new();
        for (note, (raw, erased)) in places.iter().zip(plan.work.values()) {
            if let Err(failure) = overwrite(&self.shared, raw, *note, &erased.ranges) {
                return Err(self.stop("erasing in", &raw.segment.path, &failure).into());
            }
            touched.insert(raw.segment.base, raw.segment.clone());
        }
        for segment in touched.values() {
            if let Err(failure) = segment.file.sync_data() {
                return Err(self
                    .stop("fdatasync after erasing in", &segment.path, &failure)
                    .into());
            }
        }
        Ok(())
    }
}

impl JournalReader {
    /// Every erasure in this journal, one per record, with the damage met on the way: reads the whole journal.
    pub fn erasures(&self) -> (Vec<Erasure>, Vec<Damage>) {
        let mut found: BTreeMap<Position, Erasure> = BTreeMap::new();
        let mut damage = Vec::new();
        let mut scan = self.scan(Position::START);
        while let Some(step) = scan.raw_step() {
            let raw = match step {
                Ok(raw) if raw.header.kind == KIND_ERASED => raw,
                Ok(_) => continue,
                Err(lost) => {
                    damage.push(lost);
                    continue;
                }
            };
            match self
                .shared
                .checked(&raw)
                .map(|payload| Erased::decode(&payload))
            {
                Ok(Some(Erased {
                    target,
                    target_crc,
                    ranges,
                    ..
                })) => {
                    // A later note of the same record contains the earlier ones.
                    found.insert(
                        target,
                        Erasure {
                            position: target,
                            record: target_crc,
                            ranges,
                        },
                    );
                }
                Ok(None) => damage.push(super::reader::damage(
                    &raw.header,
                    super::DamageReason::Payload,
                )),
                Err(broken) => damage.push(broken),
            }
        }
        (found.into_values().collect(), damage)
    }
}

/// What is to be erased, by record: one note each, however often a record is named.
#[derive(Default)]
struct Plan {
    work: BTreeMap<Position, (Raw, Erased)>,
}

impl Plan {
    /// Says whether there is anything left to erase.
    fn add(
        &mut self,
        shared: &Shared,
        mut raw: Raw,
        mut ranges: Vec<Range<u32>>,
    ) -> Result<bool, EraseError> {
        let position = raw.header.position;
        let mut before = Vec::new();
        if let Some((_, planned)) = self.work.get(&position) {
            before.clone_from(&planned.ranges);
        } else if let ErasedBy::Record(by) = raw.header.erased_by {
            // An unreadable note of an earlier erasure loses nothing here: those bytes are zeros already, and what is
            // left of the record counts as damaged.
            before = shared
                .erased(&raw.header, by)
                .map(|erased| erased.ranges)
                .unwrap_or_default();
        }
        ranges.extend(before.iter().cloned());
        let ranges = merged(ranges);
        if ranges.len() > MAX_ERASED_RANGES {
            return Err(EraseError::Ranges {
                payload: raw.header.length,
            });
        }
        if ranges == before {
            return Ok(false);
        }
        let erased = note(shared, &raw, ranges);
        // A plan may name thousands of records; only their places are needed from here on.
        raw.stored = Vec::new();
        self.work.insert(position, (raw, erased));
        Ok(true)
    }

    fn add_exported(&mut self, shared: &Shared, erasure: &Erasure) -> Result<bool, EraseError> {
        let raw = target(shared, erasure.position)?;
        if raw.header.header_crc != erasure.record {
            return Err(EraseError::OtherRecord(erasure.position));
        }
        let length = raw.header.length;
        let sound = |range: &Range<u32>| range.start <= range.end && range.end <= length;
        if erasure.ranges.iter().all(sound) {
            self.add(shared, raw, erasure.ranges.clone())
        } else {
            Err(EraseError::Ranges { payload: length })
        }
    }
}

fn target(shared: &Shared, position: Position) -> Result<Raw, EraseError> {
    let raw = shared.raw(position)?;
    if raw.header.kind >= RESERVED_KINDS {
        return Err(ReadError::Internal(position).into());
    }
    Ok(raw)
}

/// Ranges of the payload as ranges of the stored bytes.
fn stored_ranges(raw: &Raw, ranges: &[Range<u32>]) -> Result<Vec<Range<u32>>, EraseError> {
    let overhead = if raw.header.sealed {
        SEAL_OVERHEAD as u32
    } else {
        0
    };
    let payload = raw.header.length.saturating_sub(overhead);
    let sound = |range: &Range<u32>| range.start < range.end && range.end <= payload;
    if ranges.is_empty() || !ranges.iter().all(sound) {
        return Err(EraseError::Ranges { payload });
    }
    if !raw.header.sealed {
        return Ok(ranges.to_vec());
    }
    match merged(ranges.to_vec()).as_slice() {
        [whole] if *whole == (0..payload) => Ok(std::iter::once(0..raw.header.length).collect()),
        _ => Err(EraseError::SealedInPart),
    }
}

fn note(shared: &Shared, raw: &Raw, ranges: Vec<Range<u32>>) -> Erased {
    let mut rest = raw.stored.clone();
    for range in &ranges {
        if let Some(part) = rest.get_mut(range.start as usize..range.end as usize) {
            part.fill(0);
        }
    }
    let whole = ranges
        .iter()
        .map(|range| (range.end - range.start) as usize)
        .sum::<usize>()
        == rest.len();
    // A checksum over a damaged rest would declare the damage to be right.
    let intact = match raw.header.erased_by {
        ErasedBy::Record(by) => shared.erased(&raw.header, by).is_ok_and(|erased| {
            !erased.damaged && erased.payload_crc == shared.checksum.over(&raw.stored)
        }),
        ErasedBy::Nothing | ErasedBy::Damaged => {
            shared.checksum.over(&raw.stored) == raw.header.payload_crc
        }
    };
    Erased {
        target: raw.header.position,
        target_crc: raw.header.header_crc,
        payload_crc: shared.checksum.over(&rest),
        damaged: !intact && !whole,
        ranges,
    }
}

fn overwrite(
    shared: &Shared,
    raw: &Raw,
    note: Position,
    ranges: &[Range<u32>],
) -> std::io::Result<()> {
    let _readers_look_again = shared
        .overwriting
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let (segment, start) = (&raw.segment, raw.segment.offset(raw.header.position));
    for range in ranges {
        let mut at = start + RECORD_HEADER as u64 + u64::from(range.start);
        let end = start + RECORD_HEADER as u64 + u64::from(range.end.min(raw.header.length));
        while at < end {
            let piece = ((end - at) as usize).min(ZEROS.len());
            segment
                .file
                .write_all_at(ZEROS.get(..piece).unwrap_or(&ZEROS), at)?;
            at += piece as u64;
        }
    }
    let pointer = encode_pointer(shared.checksum, raw.header.position, note);
    segment
        .file
        .write_all_at(&pointer, start + POINTER_OFFSET as u64)
}

/// Sorted, overlapping and touching ranges joined, empty ones dropped.
fn merged(mut ranges: Vec<Range<u32>>) -> Vec<Range<u32>> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<u32>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}
