//! Erasing: the payload of a deleted message is destroyed, and a proof of why stays.
//!
//! Owns the order: first the fact with the proof is in the journal, then the bytes are overwritten, then the index counts
//! it as done. Every step can be done again. From the commit on, readers get the envelope with that payload empty and the
//! proof beside it, whatever the disk still holds.

use std::collections::{BTreeMap, BTreeSet};

use crossport_protocol::envelope::SealedEnvelope;
use crossport_protocol::event::kind;
use crossport_protocol::fold::Actor;
use crossport_protocol::frame::{DeleteProof, EnvelopeItem, Erasure};
use crossport_protocol::ids::{ChatId, EventId, Hash};
use crossport_protocol::replicator::ReadLog;

use super::committing::refused_erasure;
use super::record::{self, Fact};
use super::{Store, StoreError, Stored};
use crate::index::View;
use crate::index::rows::{self, EnvelopeRow, ErasureRow, NO_POSITION, Spot};
use crate::journal::Position;

/// Records are overwritten in lots of this, so that one lot is one group of notes and few fdatasyncs.
const LOT: usize = 512;

/// The delete's envelope, and what it deletes: each target with the delete's place.
type Wanted = (SealedEnvelope, Vec<(EventId, u16)>);

/// Erasures on their way.
#[derive(Debug, Default)]
pub(super) struct Erasing {
    /// Deletes that are not staged as facts yet, by (chat, envelope of the delete): targets, with the delete's place.
    wanted: BTreeMap<(ChatId, Hash), Wanted>,
    /// Proofs of facts that are not durable yet.
    proofs: BTreeMap<EventId, Erasure>,
    /// Payloads to destroy at the commit.
    pub destroy: BTreeSet<EventId>,
    /// Envelopes that lost a payload in this commit.
    pub done: BTreeSet<Hash>,
}

impl Store {
    /// The payload of `target` is to be destroyed, because `by` deletes it: with the next commit. Twice is no error.
    ///
    /// # Errors
    /// [`StoreError::UnknownEvent`] when one of the two is not stored: without a proof nobody would believe it.
    pub fn erase(&mut self, chat: &ChatId, target: EventId, by: EventId) -> Result<(), StoreError> {
        let Some((at, row)) = self.index.find(View::Staged, &target.envelope)? else {
            return Err(StoreError::UnknownEvent(target));
        };
        let key = rows::erasure(at.stream, &Spot::of(&row.head()), target.place);
        let held: Option<ErasureRow> = self.index.row(View::Staged, &key)?;
        let waits = self.erasing.proofs.contains_key(&target);
        if held.is_some() || waits {
            return Ok(());
        }
        let delete = self
            .envelope(chat, &by.envelope)
            .ok_or(StoreError::UnknownEvent(by))?;
        let proof = delete.envelope;
        self.forget_person(at.chat, &at.stream, &row, &target)?;
        let erasure = erasure(&proof, target.place, by.place);
        self.erasing.proofs.insert(target, erasure);
        let (_, targets) = self
            .erasing
            .wanted
            .entry((*chat, by.envelope))
            .or_insert_with(|| (proof, Vec::new()));
        targets.push((target, by.place));
        Ok(())
    }

    /// One fact for all targets of one deleting envelope.
    pub(super) fn stage_erased_facts(&mut self) -> Result<(), StoreError> {
        while let Some(((chat, _), (proof, targets))) = self.erasing.wanted.pop_first() {
            let places: Vec<u16> = targets.iter().map(|(_, place)| *place).collect();
            let fact = Fact::Erased {
                chat,
                proof: Box::new(only(&proof, &places)),
                targets,
            };
            self.stage_fact(&fact)?;
        }
        Ok(())
    }

    /// Overwrites what is to be destroyed. The facts are durable by now.
    pub(super) fn destroy(&mut self) -> Result<(usize, Vec<(EventId, String)>), StoreError> {
        let mut places: BTreeMap<Position, Vec<EventId>> = BTreeMap::new();
        for target in &self.erasing.destroy {
            if let Some((_, row)) = self.index.find(View::Staged, &target.envelope)?
                && row.position != NO_POSITION
            {
                let targets = places.entry(Position(row.position)).or_default();
                targets.push(*target);
            }
        }
        let (mut erased, mut failed) = (0, Vec::new());
        let mut lot = Vec::new();
        let mut lot_targets = Vec::new();
        for (position, targets) in places {
            match self.ranges_of(position, &targets) {
                Ok(ranges) if ranges.is_empty() => {}
                Ok(ranges) => {
                    lot.push((position, ranges));
                    lot_targets.extend(targets);
                }
                Err(cause) => failed.extend(targets.iter().map(|id| (*id, cause.clone()))),
            }
            if lot.len() >= LOT {
                erased += self.overwrite(&mut lot, &mut lot_targets, &mut failed)?;
            }
        }
        erased += self.overwrite(&mut lot, &mut lot_targets, &mut failed)?;
        let done = std::mem::take(&mut self.erasing.destroy);
        self.erasing
            .done
            .extend(done.iter().map(|target| target.envelope));
        for hash in &self.erasing.done {
            self.cache().remove(hash);
        }
        self.erasing.proofs.clear();
        Ok((erased, failed))
    }

    /// What the erasure rows say of an envelope: where a payload is gone, and why.
    pub(super) fn with_erasures(
        &self,
        view: View,
        stream: u32,
        row: &EnvelopeRow,
        mut item: EnvelopeItem,
    ) -> Result<EnvelopeItem, StoreError> {
        let mut last: Option<(u64, SealedEnvelope)> = None;
        for found in self
            .index
            .prefix(view, &rows::erasures_of(stream, &Spot::of(&row.head())))
        {
            let (key, erasure) = found?;
            let erasure: ErasureRow = rows::decode(&erasure)?;
            let Some((_, place)) = key.split_last_chunk::<2>() else {
                continue;
            };
            let place = u16::from_be_bytes(*place);
            if let Some(payload) = item.envelope.payloads.get_mut(usize::from(place)) {
                payload.0.clear();
            }
            let target = EventId {
                envelope: row.hash,
                place,
            };
            if let Some(waiting) = self.erasing.proofs.get(&target) {
                item.erasures.push(waiting.clone());
                continue;
            }
            if last.as_ref().is_none_or(|(at, _)| *at != erasure.position) {
                last = Some((erasure.position, self.read_proof(erasure.position)?));
            }
            if let Some((_, proof)) = &last {
                item.erasures
                    .push(self::erasure(proof, place, erasure.by.place));
            }
        }
        item.erasures.sort_by_key(|erasure| erasure.place);
        item.erasures.dedup_by_key(|erasure| erasure.place);
        Ok(item)
    }

    /// The proof in the fact at this position.
    pub(super) fn read_proof(&self, position: u64) -> Result<SealedEnvelope, StoreError> {
        let position = Position(position);
        let found = self.reader.read(position)?;
        match record::decode_fact(&found.payload) {
            Ok(Fact::Erased { proof, .. }) => Ok(*proof),
            Ok(_) => Err(StoreError::Record {
                position,
                cause: crossport_protocol::codec::CodecError::Malformed,
            }),
            Err(cause) => Err(StoreError::Record { position, cause }),
        }
    }

    /// What is left to overwrite of these payloads.
    fn ranges_of(
        &self,
        position: Position,
        targets: &[EventId],
    ) -> Result<Vec<std::ops::Range<u32>>, String> {
        let found = self.reader.read(position).map_err(|e| e.to_string())?;
        let (_, item) =
            record::decode_envelope(&found.payload, &found.erased).map_err(|e| e.to_string())?;
        // Ranges follow from the bytes as they lie there, so erased payloads must still have their lengths.
        let (_, whole) = record::decode_envelope(&found.payload, &[]).map_err(|e| e.to_string())?;
        let ranges = record::payload_ranges(&whole.envelope);
        let left = targets.iter().filter_map(|target| {
            let place = usize::from(target.place);
            let payload = item.envelope.payloads.get(place)?;
            let range = ranges.get(place)?;
            (!payload.0.is_empty()).then(|| range.clone())
        });
        Ok(left.collect())
    }

    fn overwrite(
        &mut self,
        lot: &mut Vec<(Position, Vec<std::ops::Range<u32>>)>,
        targets: &mut Vec<EventId>,
        failed: &mut Vec<(EventId, String)>,
    ) -> Result<usize, StoreError> {
        let (lot, targets) = (std::mem::take(lot), std::mem::take(targets));
        if lot.is_empty() {
            return Ok(0);
        }
        match self.journal.erase_many(&lot) {
            Ok(()) => Ok(targets.len()),
            Err(failure) => {
                // Each was readable a moment ago, so this concerns the disk rather than one of them.
                let cause = refused_erasure(failure)?;
                failed.extend(targets.into_iter().map(|target| (target, cause.clone())));
                Ok(0)
            }
        }
    }

    /// A member event carries a name: its row goes with it.
    fn forget_person(
        &mut self,
        chat: u32,
        stream: &u32,
        row: &EnvelopeRow,
        target: &EventId,
    ) -> Result<(), StoreError> {
        let stored = self.load(View::Staged, *stream, row)?;
        let header = &stored.envelope.header;
        if let Some(event) = header.events.get(usize::from(target.place))
            && event.kind == kind::MEMBER
        {
            let actor = Actor {
                company: header.stream.company,
                handle: event.actor,
            };
            self.index
                .remove(rows::person(chat, &actor, event.clock, target));
        }
        Ok(())
    }
}

/// Why the payload at `place` is missing: the deleting envelope, with only the payload of the delete.
pub(crate) fn erasure(delete: &SealedEnvelope, place: u16, proof_place: u16) -> Erasure {
    let proof = DeleteProof {
        place: proof_place,
        envelope: only(delete, &[proof_place]),
    };
    Erasure::deleted(place, &proof)
}

/// The envelope with these payloads only: enough to prove them, nothing more.
fn only(envelope: &SealedEnvelope, places: &[u16]) -> SealedEnvelope {
    let mut proof = envelope.clone();
    for (place, payload) in proof.payloads.iter_mut().enumerate() {
        if !places.iter().any(|kept| usize::from(*kept) == place) {
            payload.0.clear();
        }
    }
    proof
}

impl Stored {
    /// Places whose payload is gone without a proof that came with the envelope.
    pub(super) fn unproven(&self) -> Vec<u16> {
        let payloads = self.envelope.sealed.payloads.iter().zip(0_u16..);
        let empty = payloads.filter(|(payload, _)| payload.0.is_empty());
        empty
            .map(|(_, place)| place)
            .filter(|place| !self.erasures.iter().any(|known| known.place == *place))
            .collect()
    }
}
