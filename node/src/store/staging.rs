//! Staging: what the next commit will make durable, with the rows that follow from it.
//!
//! Owns the encoded records that wait and the changes of registers that wait. It must not write anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crossport_protocol::clock::Clock;
use crossport_protocol::codec::{self, CodecError};
use crossport_protocol::frame::EnvelopeItem;
use crossport_protocol::identity::SignedIdentity;
use crossport_protocol::ids::{ChatId, CompanyId, EventId, Hash};
use crossport_protocol::limits;
use crossport_protocol::owner_log::{RecordHeader, SignedRecord};
use crossport_protocol::replicator::{ChatCore, Record};

use super::record::{self, Fact, kind};
use super::{Doubt, Store, StoreError, Stored};
use crate::index::rows::{
    self, EnvelopeRow, ErasureRow, ExposureRow, HashRow, NO_POSITION, PlaceRow, PostedRow, Spot,
};
use crate::index::{Direction, Index, IndexError, View};
use crate::journal::Position;

/// Last envelopes of streams that are remembered; without one, a fork is looked for in the index.
const MAX_LATEST: usize = 16_384;

/// One record on its way into the journal.
#[derive(Debug)]
pub(super) struct StagedRecord {
    pub kind: u16,
    pub payload: Vec<u8>,
    /// Rows that wait for the record's position.
    pub rows: Vec<Vec<u8>>,
    pub is_audit: bool,
    /// Known as soon as the record is durable.
    pub position: Option<Position>,
}

/// Changes of registers that wait.
#[derive(Debug, Default)]
pub(super) struct RegisterChanges {
    pub values: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// One of them must be on the disk when the commit returns.
    pub durable: bool,
}

impl Store {
    /// A record of the replicator: readable through `ReadLog` at once, durable with the next commit.
    ///
    /// # Errors
    /// Only of the index; see [`StoreError::Index`].
    pub fn stage(&mut self, record: Record) -> Result<(), StoreError> {
        let (kind, payload) = record::encode(&record);
        let rows = self.index_record(record, NO_POSITION)?;
        self.staged.push(StagedRecord {
            kind,
            payload,
            rows,
            is_audit: false,
            position: None,
        });
        Ok(())
    }

    /// A record that [`Store::next_unapplied`] gave: only the index learns of it.
    pub fn stage_replayed(&mut self, position: Position, record: Record) -> Result<(), StoreError> {
        self.replayed = true;
        self.index_record(record, position.0)?;
        self.index_replayed_erasures(position)
    }

    /// A local fact, durable with the next commit.
    pub fn stage_fact(&mut self, fact: &Fact) -> Result<(), StoreError> {
        let rows = self.index_fact(fact, NO_POSITION)?;
        self.staged.push(StagedRecord {
            kind: kind::FACT,
            payload: record::encode_fact(fact),
            rows,
            is_audit: matches!(fact, Fact::Audit { .. }),
            position: None,
        });
        Ok(())
    }

    /// Sets or removes a register with the next commit. `durable` waits for the disk there; without it a power cut may
    /// take the change back. Keys that begin with a zero byte are the store's own.
    pub fn put_register(&mut self, key: Vec<u8>, value: Option<Vec<u8>>, durable: bool) {
        self.register_changes.values.insert(key, value);
        self.register_changes.durable |= durable;
    }

    /// There is room for registers of others: they may take half of what registers may take, so that they never keep this
    /// node from writing its own.
    pub fn has_room_for_foreign_registers(&self) -> bool {
        self.registers.live_bytes() <= crate::registers::MAX_LIVE_BYTES / 2
    }

    /// The latest value, staged ones included.
    pub fn register(&self, key: &[u8]) -> Option<&[u8]> {
        match self.register_changes.values.get(key) {
            Some(staged) => staged.as_deref(),
            None => self.registers.get(key),
        }
    }

    /// All registers whose key begins with `prefix`, in the order of their keys, staged ones included.
    pub fn registers_with_prefix(&self, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let written = self.registers.prefix(prefix);
        let mut found: BTreeMap<Vec<u8>, Vec<u8>> = written
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect();
        for (key, value) in &self.register_changes.values {
            match value {
                Some(value) if key.starts_with(prefix) => {
                    found.insert(key.clone(), value.clone());
                }
                Some(_) => {}
                None => {
                    found.remove(key);
                }
            }
        }
        found.into_iter().collect()
    }

    /// The state of a chat after what is staged, for the next start.
    pub fn put_chat(&mut self, core: &ChatCore) {
        self.index.put(rows::core(&core.owner.chat()), core);
    }

    /// The node's last clock, for the next start.
    pub fn put_clock(&mut self, clock: Clock) {
        let head = self.index.head_mut();
        head.clock = head.clock.max(clock);
        self.read_notes.time_is(clock.time());
    }

    /// After a loss of continuity: the journal says of every chat that nothing from before is continued, so that later
    /// starts and replays know it too. Nothing to do while a replay may still bring chats.
    pub(super) fn stage_doubt(&mut self) -> Result<(), StoreError> {
        if self.doubt != Doubt::Unwritten || self.replay.is_some() {
            return Ok(());
        }
        let mut chats = BTreeSet::new();
        for table in [rows::CHATS, rows::CORES] {
            for row in self.index.prefix(View::Staged, table) {
                chats.extend(rows::chat_of(&row?.0));
            }
        }
        for chat in chats {
            self.stage(Record::Footing {
                chat,
                own: None,
                owner_sure: false,
            })?;
        }
        self.doubt = Doubt::Staged;
        Ok(())
    }

    /// The rows of a record; returns those that wait for its position.
    fn index_record(&mut self, record: Record, position: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        match record {
            Record::Envelope { chat, item } => self.index_envelope(&chat, item, position),
            Record::Owner { chat, record } => self.index_owner(&chat, &record, position),
            Record::Identity { company, record } => {
                self.index_identity(&company, &record, position)
            }
            Record::Exposure { partner, until } => {
                self.index
                    .put(rows::exposure(&partner), &ExposureRow { until });
                Ok(Vec::new())
            }
            Record::Footing {
                chat,
                own,
                owner_sure,
            } => {
                let key = rows::core(&chat);
                if let Some(mut core) = self.index.row::<ChatCore>(View::Staged, &key)? {
                    (core.own, core.owner_sure) = (own, owner_sure);
                    self.index.put(key, &core);
                }
                Ok(Vec::new())
            }
        }
    }

    fn index_envelope(
        &mut self,
        chat: &ChatId,
        item: EnvelopeItem,
        position: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let stored = Stored::of(item).map_err(|cause| StoreError::Record {
            position: Position(position),
            cause,
        })?;
        let (header, hash) = (&stored.envelope.header, stored.envelope.hash);
        // A replay may meet what the index has: it must not lose what was counted.
        if position != NO_POSITION && self.index.find(View::Staged, &hash)?.is_some() {
            return Ok(Vec::new());
        }
        let chat = self.index.chat_or_new(chat)?;
        let stream = self.index.stream_or_new(chat, &header.stream)?;
        let (head, parent) = (stored.envelope.head(), stored.envelope.parent());
        self.note_fork(stream, &Spot::of(&parent), Spot::of(&head))?;
        let row = EnvelopeRow {
            position,
            hash,
            prev: header.prev,
            first_seq: header.first_seq,
            last_seq: head.seq,
            clock: header.last_clock(),
            owner_at: header.owner_at,
            identity_seq: header.identity_at.seq,
            epoch: header.epoch,
            void: false,
            erased: false,
            arrival: None,
            messages: 0,
        };
        let key = rows::envelope(stream, &Spot::of(&head));
        self.index.put(key.clone(), &row);
        let seq = head.seq;
        self.index
            .put(rows::hash(&hash), &HashRow { chat, stream, seq });
        if position == NO_POSITION {
            self.fresh.insert(hash, Arc::new(stored));
        } else {
            self.cache().insert(Arc::new(stored));
        }
        Ok(vec![key])
    }

    /// Notices when an envelope does not continue the end of its stream.
    fn note_fork(&mut self, stream: u32, parent: &Spot, spot: Spot) -> Result<(), IndexError> {
        if self.latest.len() >= MAX_LATEST {
            self.latest.clear();
        }
        let continues = self.latest.get(&stream) == Some(parent);
        if !continues && has_envelope_after(&self.index, stream, parent.seq)? {
            let mut facts = self.index.stream_facts(View::Staged, stream)?;
            let before = facts.fork_after.unwrap_or(u64::MAX);
            if parent.seq < before {
                facts.fork_after = Some(parent.seq);
                self.index.put(rows::stream_facts(stream), &facts);
            }
        }
        let latest = self.latest.entry(stream).or_insert(spot);
        if spot.seq >= latest.seq {
            *latest = spot;
        }
        Ok(())
    }

    fn index_owner(
        &mut self,
        chat: &ChatId,
        record: &SignedRecord,
        position: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let header: RecordHeader = codec::decode(&record.header.0, limits::RECORD_BYTES)
            .map_err(|_| unreadable(position))?;
        let chat = self.index.chat_or_new(chat)?;
        let key = rows::owner_records_from(chat, header.seq);
        self.index.put(key.clone(), &PlaceRow { position });
        Ok(vec![key])
    }

    fn index_identity(
        &mut self,
        company: &CompanyId,
        record: &SignedIdentity,
        position: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let header = record.decode_header().map_err(|_| unreadable(position))?;
        let key = rows::identity(company, header.seq);
        let row = self.sealer.seal(&key, record)?;
        self.index.put_bytes(key, row);
        Ok(Vec::new())
    }

    /// The rows of a fact; returns those that wait for its position.
    pub(super) fn index_fact(
        &mut self,
        fact: &Fact,
        position: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        match fact {
            Fact::Posted { entries } => {
                for (user, client, event) in entries {
                    let row = PostedRow { event: *event };
                    self.index.put(rows::posted(user, client), &row);
                }
                Ok(Vec::new())
            }
            Fact::Audit { .. } => {
                if position != NO_POSITION {
                    self.index
                        .put(rows::audit(position), &PlaceRow { position });
                }
                Ok(Vec::new())
            }
            Fact::Read {
                chat,
                reader,
                time,
                heads,
            } => {
                self.index_read(chat, reader, *time, heads)?;
                Ok(Vec::new())
            }
            Fact::Erased { proof, targets, .. } => {
                self.index_erased(&proof.hash(), targets, position)
            }
            Fact::Unknown { .. } => Ok(Vec::new()),
        }
    }

    fn index_erased(
        &mut self,
        proof: &Hash,
        targets: &[(EventId, u16)],
        position: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut keys = Vec::new();
        for (target, place) in targets {
            let Some((at, mut row)) = self.index.find(View::Staged, &target.envelope)? else {
                continue;
            };
            let spot = Spot::of(&row.head());
            let key = rows::erasure(at.stream, &spot, target.place);
            let by = EventId {
                envelope: *proof,
                place: *place,
            };
            self.index.put(key.clone(), &ErasureRow { position, by });
            keys.push(key);
            row.erased = true;
            self.index.put(rows::envelope(at.stream, &spot), &row);
            self.cache().remove(&target.envelope);
            self.erasing.destroy.insert(*target);
        }
        Ok(keys)
    }
}

fn has_envelope_after(index: &Index, stream: u32, seq: u64) -> Result<bool, IndexError> {
    let low = rows::envelopes_from(stream, seq.saturating_add(1));
    let mut rows = index.scan(
        View::Staged,
        Direction::Up,
        &low,
        &rows::envelopes_end(stream),
    );
    Ok(rows.next().transpose()?.is_some())
}

fn unreadable(position: u64) -> StoreError {
    StoreError::Record {
        position: Position(position),
        cause: CodecError::Malformed,
    }
}
