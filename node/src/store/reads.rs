//! When which person had read how far, for "read at" of a single message.
//!
//! Owns the notes that wait, so that a reader costs at most one fact a second however often they scroll. What people have
//! read now is a register's business, not this file's.

use std::collections::BTreeMap;

use crossport_protocol::clock::Time;
use crossport_protocol::fold::Actor;
use crossport_protocol::ids::{ChatId, EventId, Head};
use crossport_protocol::owner_log::StreamCut;

use super::record::Fact;
use super::{Store, StoreError};
use crate::index::rows::{self, ActorRow, EnvelopeRow, ReadRow, Spot};
use crate::index::{Direction, View};

/// One fact of a reader in a chat per this many milliseconds.
const INTERVAL_MS: u64 = 1_000;
/// Readers whose last fact is remembered; without it the next one is taken at once.
const MAX_READERS: usize = 16_384;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct ReadNotes {
    last: BTreeMap<(ChatId, Actor), Time>,
    waiting: BTreeMap<(ChatId, Actor), (Time, Vec<StreamCut>)>,
    now: Time,
}

impl ReadNotes {
    pub fn time_is(&mut self, time: Time) {
        self.now = self.now.max(time);
    }
}

impl Store {
    /// A reader came this far at this time. What comes within a second of the reader's last fact waits for a later
    /// commit; its newest heads count.
    pub fn note_read(&mut self, chat: &ChatId, reader: &Actor, time: Time, heads: &[StreamCut]) {
        let notes = &mut self.read_notes;
        notes.time_is(time);
        let waiting = notes.waiting.entry((*chat, *reader));
        let (at, waiting) = waiting.or_insert_with(|| (time, Vec::new()));
        *at = time;
        *waiting = heads.to_vec();
    }

    /// Stages the notes that are due; all of them at a stop.
    pub(super) fn flush_read_notes(&mut self, all: bool) -> Result<(), StoreError> {
        let notes = &mut self.read_notes;
        let (last, now) = (&notes.last, notes.now);
        let is_due = |key: &(ChatId, Actor)| {
            let before = last.get(key);
            all || before.is_none_or(|at| now.since(*at) >= INTERVAL_MS)
        };
        let due: Vec<_> = notes.waiting.keys().copied().filter(is_due).collect();
        for key in due {
            let notes = &mut self.read_notes;
            let Some((time, heads)) = notes.waiting.remove(&key) else {
                continue;
            };
            if notes.last.len() >= MAX_READERS {
                notes.last.clear();
            }
            notes.last.insert(key, time);
            let (chat, reader) = key;
            let heads = self.new_heads(&chat, &reader, heads)?;
            if !heads.is_empty() {
                self.stage_fact(&Fact::Read {
                    chat,
                    reader,
                    time,
                    heads,
                })?;
            }
        }
        Ok(())
    }

    /// When the reader had first read this event, as far as this node knows.
    pub fn read_at(
        &self,
        chat: &ChatId,
        reader: &Actor,
        event: EventId,
    ) -> Result<Option<Time>, StoreError> {
        let Some((at, row)) = self.index.find(View::Committed, &event.envelope)? else {
            return Ok(None);
        };
        if row.void || self.index.chat(View::Committed, chat)? != Some(at.chat) {
            return Ok(None);
        }
        let key = rows::actor(at.chat, reader);
        let Some(ActorRow { actor }) = self.index.row(View::Committed, &key)? else {
            return Ok(None);
        };
        let low = rows::read(at.chat, actor, at.stream, &lowest(row.last_seq));
        let high = rows::read(at.chat, actor, at.stream, &lowest(u64::MAX));
        for found in self.index.scan(View::Committed, Direction::Up, &low, &high) {
            let (key, found) = found?;
            let ReadRow { time } = rows::decode(&found)?;
            let Some(spot) = rows::spot_of(&key) else {
                continue;
            };
            if self.leads_to(at.stream, &row, spot)? {
                return Ok(Some(time));
            }
        }
        Ok(None)
    }

    /// The rows of a fact about reading.
    pub(super) fn index_read(
        &mut self,
        chat: &ChatId,
        reader: &Actor,
        time: Time,
        heads: &[StreamCut],
    ) -> Result<(), StoreError> {
        let chat = self.index.chat_or_new(chat)?;
        let mut meta = self.index.meta(View::Staged, chat)?;
        let actor = self.actor_or_new(chat, &mut meta, reader)?;
        self.index.put(rows::meta(chat), &meta);
        for cut in heads {
            let stream = self.index.stream_or_new(chat, &cut.stream)?;
            for head in &cut.heads {
                let key = rows::read(chat, actor, stream, &Spot::of(head));
                if self.index.bytes(View::Staged, &key)?.is_none() {
                    self.index.put(key, &ReadRow { time });
                }
            }
        }
        Ok(())
    }

    /// The heads that this reader had not reached before, of streams that are here.
    fn new_heads(
        &self,
        chat: &ChatId,
        reader: &Actor,
        heads: Vec<StreamCut>,
    ) -> Result<Vec<StreamCut>, StoreError> {
        let Some(chat) = self.index.chat(View::Staged, chat)? else {
            return Ok(Vec::new());
        };
        let key = rows::actor(chat, reader);
        let actor: Option<ActorRow> = self.index.row(View::Staged, &key)?;
        let mut new = Vec::new();
        for cut in heads {
            let Some(stream) = self.index.stream(View::Staged, chat, &cut.stream)? else {
                continue;
            };
            let mut fresh: Vec<Head> = Vec::new();
            for head in cut.heads {
                let known = match &actor {
                    Some(row) => {
                        let key = rows::read(chat, row.actor, stream, &Spot::of(&head));
                        self.index.bytes(View::Staged, &key)?.is_some()
                    }
                    None => false,
                };
                if !known {
                    fresh.push(head);
                }
            }
            if !fresh.is_empty() {
                new.push(StreamCut {
                    stream: cut.stream,
                    heads: fresh,
                });
            }
        }
        Ok(new)
    }

    /// The envelope lies at or before this place of its stream.
    fn leads_to(&self, stream: u32, row: &EnvelopeRow, spot: Spot) -> Result<bool, StoreError> {
        let target = Spot::of(&row.head());
        let facts = self.index.stream_facts(View::Committed, stream)?;
        let is_line = facts.fork_after.is_none_or(|after| target.seq <= after);
        let mut at = spot;
        while at.seq > target.seq && !is_line {
            match self.index.envelope(View::Committed, stream, &at)? {
                Some(row) => at = Spot::of(&row.parent()),
                None => return Ok(false),
            }
        }
        Ok(is_line || at == target)
    }
}

fn lowest(seq: u64) -> Spot {
    Spot { seq, hash: [0; 16] }
}
