//! Bringing the index up to date from the journal: after a crash from where it stands, after its loss from the beginning.
//!
//! The core drives it, because what a record means is the replicator's: `next_unapplied`, `Replicator::replay`,
//! `stage_replayed`, `counted` and the like, `commit` now and then. Facts are this node's own and are indexed here.

use std::collections::BTreeMap;
use std::mem;

use crossport_protocol::ids::EventId;
use crossport_protocol::replicator::Record;

use super::record::{self, Fact, JournalEntry, kind};
use super::{Store, StoreError, Stored};
use crate::index::View;
use crate::index::rows::{self, ErasureRow, Spot};
use crate::journal::{JournalReader, Position, Scan};

/// Entries after which whoever replays commits: some tens of megabytes of rows that are not written.
pub const COMMIT_EVERY: usize = 4_096;

/// How far a replay has come.
#[derive(Debug)]
pub(super) struct Replay {
    scan: Scan,
    at: Position,
    from: Position,
    end: Position,
    /// Where the facts are that say why payloads further back are gone; read when the first such payload is met.
    facts: Option<BTreeMap<EventId, (Position, u16)>>,
    /// The erasures of the entry that was given last.
    last: Vec<(u16, ErasureRow)>,
}

impl Replay {
    /// None when nothing lies behind `applied`.
    pub fn begin(reader: &JournalReader, applied: u64) -> Option<Replay> {
        let (from, end) = (Position(applied), reader.head().position);
        (from < end).then(|| Replay {
            scan: reader.scan(from),
            at: from,
            from,
            end,
            facts: None,
            last: Vec::new(),
        })
    }

    /// Everything before this was given.
    pub fn at(&self) -> Position {
        self.at
    }
}

impl Store {
    /// The next record that the index has not seen, or None when it is up to date. Commit every [`COMMIT_EVERY`] entries
    /// and after the last one.
    ///
    /// # Errors
    /// Only of the index. Damage is an entry: it is to be reported, and the replay goes on behind it.
    pub fn next_unapplied(&mut self) -> Result<Option<(Position, JournalEntry)>, StoreError> {
        let Some(replay) = self.replay.as_mut() else {
            self.stage_doubt()?;
            return Ok(None);
        };
        self.replayed = true;
        replay.last.clear();
        let found = match replay.scan.next() {
            None => {
                self.replay = None;
                self.stage_doubt()?;
                return Ok(None);
            }
            Some(Err(damage)) => {
                replay.at = damage.end;
                return Ok(Some((damage.position, JournalEntry::Damaged(damage))));
            }
            Some(Ok(found)) => found,
        };
        replay.at = found.next;
        let position = found.position;
        let mut entry = record::decode(found.kind, &found.payload, &found.erased);
        if let JournalEntry::Protocol(Record::Envelope { item, .. }) = &mut entry
            && !found.erased.is_empty()
        {
            self.prove_erasures(item)?;
        }
        if let JournalEntry::Fact(fact) = &entry {
            self.index_fact(fact, position.0)?;
        }
        Ok(Some((position, entry)))
    }

    /// How far the replay is, in bytes of the journal: done, and all that there were to do.
    pub fn replay_progress(&self) -> Option<(u64, u64)> {
        let replay = self.replay.as_ref()?;
        let from = replay.from.0;
        Some((
            replay.at.0.saturating_sub(from),
            replay.end.0.saturating_sub(from),
        ))
    }

    /// Drops the whole index. The replicator begins anew and replays everything; staged things must be committed before.
    pub fn rebuild_index(&mut self) -> Result<(), StoreError> {
        self.commit()?;
        let clock = self.index.head().clock;
        self.index.clear()?;
        self.index.head_mut().clock = clock;
        self.latest.clear();
        self.replay = Replay::begin(&self.reader, 0);
        self.replayed = true;
        Ok(())
    }

    /// Adds the proofs of what was erased from an envelope after it was stored.
    fn prove_erasures(
        &mut self,
        item: &mut crossport_protocol::frame::EnvelopeItem,
    ) -> Result<(), StoreError> {
        let stored = Stored::of(item.clone()).map_err(|cause| StoreError::Record {
            position: Position(0),
            cause,
        })?;
        let Some(replay) = self.replay.as_mut() else {
            return Ok(());
        };
        if replay.facts.is_none() {
            replay.facts = Some(erased_facts(&self.reader, replay.at));
        }
        let hash = stored.envelope.hash;
        let mut last = Vec::new();
        for place in stored.unproven() {
            let target = EventId {
                envelope: hash,
                place,
            };
            let facts = self
                .replay
                .as_ref()
                .and_then(|replay| replay.facts.as_ref());
            let Some((position, proof_place)) = facts.and_then(|facts| facts.get(&target)).copied()
            else {
                continue;
            };
            let proof = self.read_proof(position.0)?;
            let by = EventId {
                envelope: proof.hash(),
                place: proof_place,
            };
            item.erasures
                .push(super::erasing::erasure(&proof, place, proof_place));
            let row = ErasureRow {
                position: position.0,
                by,
            };
            last.push((place, row));
        }
        item.erasures.sort_by_key(|erasure| erasure.place);
        if let Some(replay) = self.replay.as_mut() {
            replay.last = last;
        }
        Ok(())
    }

    /// The rows of the erasures of the envelope that is being replayed.
    pub(super) fn index_replayed_erasures(&mut self, position: Position) -> Result<(), StoreError> {
        let Some(replay) = self.replay.as_mut() else {
            return Ok(());
        };
        let erasures = mem::take(&mut replay.last);
        if erasures.is_empty() {
            return Ok(());
        }
        let found = self.reader.read(position)?;
        let (_, item) = record::decode_envelope(&found.payload, &found.erased)
            .map_err(|cause| StoreError::Record { position, cause })?;
        if let Some((at, mut row)) = self.index.find(View::Staged, &item.envelope.hash())? {
            let spot = Spot::of(&row.head());
            for (place, erasure) in erasures {
                self.index
                    .put(rows::erasure(at.stream, &spot, place), &erasure);
            }
            row.erased = true;
            self.index.put(rows::envelope(at.stream, &spot), &row);
        }
        Ok(())
    }
}

/// The facts about erasures from a position on, by event.
pub(crate) fn erased_facts(
    reader: &JournalReader,
    from: Position,
) -> BTreeMap<EventId, (Position, u16)> {
    let mut facts = BTreeMap::new();
    // Damage is reported when the replay comes to it.
    for found in reader.scan(from).flatten() {
        if found.kind != kind::FACT {
            continue;
        }
        if let Ok(Fact::Erased { targets, .. }) = record::decode_fact(&found.payload) {
            for (target, place) in targets {
                facts.entry(target).or_insert((found.position, place));
            }
        }
    }
    facts
}
