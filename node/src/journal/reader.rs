//! Reading the journal: one record, a scan, and the comparison of a remembered head with this history.
//!
//! Owns what readers share with the writer: the list of segments and the head. It never writes. Every payload that it
//! hands out has passed its checksum, and a local fact its seal as well; what does not pass comes out as [`Damage`].

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::error::{Damage, DamageReason, ReadError};
use super::format::{
    Checksum, Erased, ErasedBy, Group, Head, KIND_ERASED, KIND_GROUP, Position, RECORD_HEADER,
    RESERVED_KINDS, RecordHeader, SEGMENT_HEADER, first_hash,
};
use super::seal::SEAL_OVERHEAD;
use super::segment::{OnReadError, Segment, Step, Walk};

/// The first read of a record takes this much, so that most records need one system call.
const FIRST_READ: u64 = 2048;

/// One record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub position: Position,
    /// Where to go on: the place behind it.
    pub next: Position,
    /// The caller's kind.
    pub kind: u16,
    /// The payload; erased parts read as zeros.
    pub payload: Vec<u8>,
    /// Which parts were erased: sorted, apart from each other, in bytes of `payload`.
    pub erased: Vec<Range<u32>>,
}

/// How a remembered head stands to this journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is this journal's head.
    Equal,
    /// It lies on this journal's history; so many bytes came after it.
    Behind {
        /// Bytes between the remembered head and the head.
        bytes: u64,
    },
    /// It lies beyond the head: this journal is shorter than it once was.
    Ahead,
    /// Its place is inside this journal, and another history, or damage, is there.
    OtherHistory,
    /// It belongs to another journal.
    OtherGeneration,
}

/// Reads a journal while it is being written. Cheap to clone, to be used from any thread.
#[derive(Debug, Clone)]
pub struct JournalReader {
    pub(super) shared: Arc<Shared>,
}

/// What the writer and all readers have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub checksum: Checksum,
    pub segments: RwLock<Vec<Arc<Segment>>>,
    pub head: RwLock<Head>,
    /// Held while bytes are overwritten in place, so that a reader that saw half of it can look again.
    pub overwriting: Mutex<()>,
    /// The control of the tests: payload checksums are computed and ignored.
    #[cfg(test)]
    pub payload_checks_off: bool,
}

/// A record as stored.
pub(super) struct Raw {
    pub segment: Arc<Segment>,
    pub header: RecordHeader,
    pub stored: Vec<u8>,
}

/// Where a position lies: its segment, the end of the readable part of the file, and where the next segment starts.
pub(super) struct Place {
    pub segment: Arc<Segment>,
    pub end: u64,
    pub next_base: Position,
}

impl JournalReader {
    /// Where the journal ends now.
    pub fn head(&self) -> Head {
        self.shared.head()
    }

    /// Reads the record at `position`, which must be one that `append` returned or a scan named.
    pub fn read(&self, position: Position) -> Result<Record, ReadError> {
        let raw = self.shared.raw(position)?;
        if raw.header.kind >= RESERVED_KINDS {
            return Err(ReadError::Internal(position));
        }
        if let Ok(record) = self.shared.finish(raw) {
            return Ok(record);
        }
        // An erasure may have been halfway; look again when it is not.
        let _still = self
            .shared
            .overwriting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(self.shared.finish(self.shared.raw(position)?)?)
    }

    /// Yields every record from `from` up to the head of this moment, and damage where it is, in order.
    pub fn scan(&self, from: Position) -> Scan {
        Scan {
            reader: self.clone(),
            end: self.head().position,
            at: from,
            walk: None,
        }
    }

    /// The running hash at a group's border, or `None` where no group ends or starts. Two reads at most.
    pub fn running_hash_at(&self, position: Position) -> Result<Option<[u8; 32]>, ReadError> {
        let head = self.head();
        if position == head.position {
            return Ok(Some(head.running_hash));
        }
        if position == Position::START {
            return Ok(Some(first_hash(&head.generation)));
        }
        if position > head.position {
            return Err(ReadError::BeyondHead {
                position,
                head: head.position,
            });
        }
        let place = self.shared.place(position)?;
        // A segment's first group stands behind its header; both places mean the same border.
        let position = match place.segment.offset(position) {
            0 => Position(place.segment.base + SEGMENT_HEADER),
            _ => position,
        };
        if position.0 == place.segment.base + SEGMENT_HEADER && place.segment.running_hash.is_some()
        {
            return Ok(place.segment.running_hash);
        }
        let raw = self.shared.raw(position)?;
        if raw.header.kind != KIND_GROUP {
            return Ok(None);
        }
        match Group::decode(&self.shared.checked(&raw)?) {
            Some(group) => Ok(Some(group.before)),
            None => Err(damage(&raw.header, DamageReason::Payload).into()),
        }
    }

    /// Compares a head that somebody remembered with this journal, without scanning it.
    pub fn standing(&self, remembered: &Head) -> Result<Standing, ReadError> {
        let head = self.head();
        if remembered.generation != head.generation {
            return Ok(Standing::OtherGeneration);
        }
        if remembered == &head {
            return Ok(Standing::Equal);
        }
        if remembered.position > head.position {
            return Ok(Standing::Ahead);
        }
        match self.running_hash_at(remembered.position) {
            Ok(Some(hash)) if hash == remembered.running_hash => Ok(Standing::Behind {
                bytes: head.position.0 - remembered.position.0,
            }),
            // In another history the place lies anywhere, mostly inside a record: that cannot be told from damage.
            Ok(_) | Err(ReadError::Damaged(_)) => Ok(Standing::OtherHistory),
            Err(failure) => Err(failure),
        }
    }
}

impl Shared {
    pub fn head(&self) -> Head {
        *self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the segment of a position that is before the head.
    pub fn place(&self, position: Position) -> Result<Place, ReadError> {
        let head = self.head().position;
        if position >= head {
            return Err(ReadError::BeyondHead { position, head });
        }
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = segments.partition_point(|segment| segment.base <= position.0);
        let next_base = segments.get(after).map_or(head, |next| Position(next.base));
        let Some(segment) = after.checked_sub(1).and_then(|index| segments.get(index)) else {
            return Err(Damage {
                position,
                end: next_base,
                reason: DamageReason::Missing,
            }
            .into());
        };
        let length = segment.offset(next_base);
        let end = segment
            .closed_length
            .map_or(length, |closed| closed.min(length));
        Ok(Place {
            segment: segment.clone(),
            end,
            next_base,
        })
    }

    /// Reads the bytes of the record at `position`; only the header's checksum is checked.
    pub fn raw(&self, position: Position) -> Result<Raw, ReadError> {
        let Place { segment, end, .. } = self.place(position)?;
        let offset = segment.offset(position);
        let failed = |source: io::Error| ReadError::Io { position, source };
        let nothing = || Damage {
            position,
            end: position,
            reason: DamageReason::Header,
        };
        let available = end
            .checked_sub(offset)
            .filter(|_| offset >= SEGMENT_HEADER)
            .unwrap_or(0);
        let mut stored = vec![0; available.min(FIRST_READ) as usize];
        segment
            .file
            .read_exact_at(&mut stored, offset)
            .map_err(failed)?;
        let header = RecordHeader::decode(self.checksum, position, &stored).ok_or_else(nothing)?;
        if header.stored() > available {
            let end = header.next();
            return Err(Damage {
                position,
                end,
                reason: DamageReason::Missing,
            }
            .into());
        }
        let first = stored.len();
        stored.resize(header.stored() as usize, 0);
        if let Some(rest) = stored.get_mut(first..).filter(|rest| !rest.is_empty()) {
            segment
                .file
                .read_exact_at(rest, offset + first as u64)
                .map_err(failed)?;
        }
        stored.drain(..RECORD_HEADER);
        Ok(Raw {
            segment,
            header,
            stored,
        })
    }

    /// The stored payload of a record of the journal's own, checked.
    pub fn checked(&self, raw: &Raw) -> Result<Vec<u8>, Damage> {
        if self.checksum.over(&raw.stored) != raw.header.payload_crc {
            return Err(damage(&raw.header, DamageReason::Payload));
        }
        Ok(raw.stored.clone())
    }

    /// The note that a record was erased.
    pub fn erased(&self, target: &RecordHeader, by: Position) -> Result<Erased, Damage> {
        let unreadable = || damage(target, DamageReason::Erasure);
        let raw = self.raw(by).map_err(|_| unreadable())?;
        if raw.header.kind != KIND_ERASED {
            return Err(unreadable());
        }
        let note = self.checked(&raw).map_err(|_| unreadable())?;
        let erased = Erased::decode(&note).ok_or_else(unreadable)?;
        let names_it = erased.target == target.position && erased.target_crc == target.header_crc;
        if names_it {
            Ok(erased)
        } else {
            Err(unreadable())
        }
    }

    /// Checks a record against its checksum, or against that of its erasure, and opens the seal.
    pub fn finish(&self, raw: Raw) -> Result<Record, Damage> {
        let Raw {
            segment,
            header,
            stored,
        } = raw;
        let (ranges, crc) = match header.erased_by {
            ErasedBy::Nothing | ErasedBy::Damaged => (Vec::new(), header.payload_crc),
            ErasedBy::Record(by) => {
                let erased = self.erased(&header, by)?;
                if erased.damaged {
                    return Err(damage(&header, DamageReason::Payload));
                }
                (erased.ranges, erased.payload_crc)
            }
        };
        if self.checksum.over(&stored) != crc && self.checks_payloads() {
            return Err(damage(&header, DamageReason::Payload));
        }
        let (payload, erased) = match header.sealed {
            false => (stored, ranges),
            true if !ranges.is_empty() => {
                let length = stored.len().saturating_sub(SEAL_OVERHEAD);
                (vec![0; length], std::iter::once(0..length as u32).collect())
            }
            true => match segment.sealer.open(header.position, header.kind, &stored) {
                Some(plaintext) => (plaintext, Vec::new()),
                None => return Err(damage(&header, DamageReason::Seal)),
            },
        };
        Ok(Record {
            position: header.position,
            next: header.next(),
            kind: header.kind,
            payload,
            erased,
        })
    }

    #[cfg(test)]
    fn checks_payloads(&self) -> bool {
        !self.payload_checks_off
    }

    #[cfg(not(test))]
    fn checks_payloads(&self) -> bool {
        true
    }
}

/// Names the record of this header as damaged.
pub(super) fn damage(header: &RecordHeader, reason: DamageReason) -> Damage {
    Damage {
        position: header.position,
        end: header.next(),
        reason,
    }
}

/// Records in the order of their positions; see [`JournalReader::scan`].
#[derive(Debug)]
pub struct Scan {
    reader: JournalReader,
    end: Position,
    at: Position,
    walk: Option<(Walk, Position)>,
}

impl Iterator for Scan {
    type Item = Result<Record, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.raw_step()? {
                Err(lost) => return Some(Err(lost)),
                Ok(raw) if raw.header.kind >= RESERVED_KINDS => {}
                Ok(raw) => {
                    let header = raw.header;
                    let shared = &self.reader.shared;
                    let first = shared.finish(raw);
                    return Some(first.or_else(|found| self.second_look(&header, found)));
                }
            }
        }
    }
}

impl Scan {
    /// The next record as stored, the journal's own included.
    pub(super) fn raw_step(&mut self) -> Option<Result<Raw, Damage>> {
        loop {
            if self.at >= self.end {
                return None;
            }
            if self.walk.is_none()
                && let Err(missing) = self.enter_segment()
            {
                return Some(Err(missing));
            }
            let (walk, next_base) = self.walk.as_mut()?;
            let base = walk.segment.base;
            match walk.step() {
                Ok(Some(Step::Record(header))) => {
                    self.at = header.next();
                    let (segment, at) = (walk.segment.clone(), header.position.0 - base);
                    let lost = walk.payload(&header).map(<[u8]>::to_vec);
                    let unreadable = lost.is_err() || walk.is_unreadable(at..at + header.stored());
                    return Some(match lost {
                        Ok(stored) if !unreadable => Ok(Raw {
                            segment,
                            header,
                            stored,
                        }),
                        _ => Err(damage(&header, DamageReason::Unreadable)),
                    });
                }
                Ok(Some(Step::Lost { from, to, reason })) => {
                    let (position, end) = (Position(base + from), Position(base + to));
                    self.at = end;
                    return Some(Err(Damage {
                        position,
                        end,
                        reason,
                    }));
                }
                Ok(None) => {
                    // Shorter than the next segment says: cut by somebody.
                    let (position, end) = (self.at, *next_base);
                    self.walk = None;
                    self.at = end;
                    if position < end {
                        return Some(Err(Damage {
                            position,
                            end,
                            reason: DamageReason::Missing,
                        }));
                    }
                }
                Err(_) => {
                    let (position, end) = (self.at, *next_base);
                    self.walk = None;
                    self.at = end;
                    return Some(Err(Damage {
                        position,
                        end,
                        reason: DamageReason::Unreadable,
                    }));
                }
            }
        }
    }

    fn enter_segment(&mut self) -> Result<(), Damage> {
        match self.reader.shared.place(self.at) {
            Ok(Place {
                segment,
                end,
                next_base,
            }) => {
                let end = end.min(segment.offset(self.end));
                let from = segment.offset(self.at).max(SEGMENT_HEADER);
                self.at = segment.position(from);
                self.walk = Some((
                    Walk::new(segment, from, end, OnReadError::GoOn),
                    next_base.min(self.end),
                ));
                Ok(())
            }
            Err(ReadError::Damaged(missing)) => {
                self.at = missing.end;
                Err(missing)
            }
            // The scan ends before the head, and the head never goes back.
            Err(_) => {
                let position = std::mem::replace(&mut self.at, self.end);
                Err(Damage {
                    position,
                    end: self.end,
                    reason: DamageReason::Missing,
                })
            }
        }
    }

    /// The bytes were read ahead and may have been overwritten by an erasure since.
    fn second_look(&self, header: &RecordHeader, found: Damage) -> Result<Record, Damage> {
        match self.reader.read(header.position) {
            Ok(record) => Ok(record),
            Err(ReadError::Damaged(now)) => Err(now),
            Err(_) => Err(found),
        }
    }
}
