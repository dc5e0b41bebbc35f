//! The past as the replicator asks for it: links, envelopes, paths, owner records. Staged ones included.
//!
//! `ReadLog` cannot return a failure, so one of the index is remembered and the next commit refuses to build upon it; a
//! damaged record of the journal is said and counts as not held, because its envelope can come back from a partner.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use crossport_protocol::frame::EnvelopeItem;
use crossport_protocol::ids::{ChatId, Hash, Head, StreamId};
use crossport_protocol::owner_log::SignedRecord;
use crossport_protocol::replicator::{Link, ReadLog, Record};
use crossport_protocol::stream::Tip;

use super::record::{self, JournalEntry};
use super::{Store, StoreError, Stored};
use crate::index::rows::{self, EnvelopeRow, NO_POSITION, PlaceRow, Spot};
use crate::index::{Direction, View};
use crate::journal::Position;

/// Steps of a walk that are remembered for the next call: a few megabytes.
const MAX_WALK: usize = 65_536;

/// A walk back over a forked stream, oldest step first, for whoever asks on from where the last answer ended.
#[derive(Debug)]
pub(super) struct Walk {
    stream: u32,
    from: Head,
    to: Head,
    steps: VecDeque<Spot>,
}

impl ReadLog for Store {
    fn link(&self, chat: &ChatId, hash: &Hash) -> Option<Link> {
        self.noted(self.try_link(chat, hash)).flatten()
    }

    fn envelope(&self, chat: &ChatId, hash: &Hash) -> Option<EnvelopeItem> {
        self.noted(self.try_envelope(View::Staged, chat, hash))
            .flatten()
            .map(|stored| stored.item())
    }

    fn path(
        &self,
        chat: &ChatId,
        stream: &StreamId,
        from: Head,
        to: Head,
        max_bytes: usize,
    ) -> Vec<EnvelopeItem> {
        self.noted(self.try_path(chat, stream, from, to, max_bytes))
            .unwrap_or_default()
    }

    fn records(&self, chat: &ChatId, after: u64, max_bytes: usize) -> Vec<SignedRecord> {
        self.noted(self.try_records(chat, after, max_bytes))
            .unwrap_or_default()
    }
}

impl Store {
    /// The value, or None with the failure remembered.
    fn noted<T>(&self, outcome: Result<T, StoreError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(StoreError::Read(failure)) => {
                tracing::error!(%failure, "a stored record cannot be read and counts as missing");
                None
            }
            Err(failure) => {
                tracing::error!(%failure, "the store cannot be read");
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(failure.to_string());
                None
            }
        }
    }

    fn try_link(&self, chat: &ChatId, hash: &Hash) -> Result<Option<Link>, StoreError> {
        let Some((at, row)) = self.index.find(View::Staged, hash)? else {
            return Ok(None);
        };
        if row.void || self.index.chat(View::Staged, chat)? != Some(at.chat) {
            return Ok(None);
        }
        let tip = Tip {
            head: row.head(),
            clock: row.clock,
            owner_at: row.owner_at,
            identity_seq: row.identity_seq,
            epoch: row.epoch,
        };
        Ok(Some(Link {
            stream: self.index.stream_facts(View::Staged, at.stream)?.id,
            parent: row.parent(),
            tip,
        }))
    }

    /// The envelope, unless a cut excluded it.
    pub(super) fn try_envelope(
        &self,
        view: View,
        chat: &ChatId,
        hash: &Hash,
    ) -> Result<Option<Arc<Stored>>, StoreError> {
        let Some((at, row)) = self.index.find(view, hash)? else {
            return Ok(None);
        };
        if row.void || self.index.chat(view, chat)? != Some(at.chat) {
            return Ok(None);
        }
        self.load(view, at.stream, &row).map(Some)
    }

    /// The content of a row: from memory, or from the journal with what was erased since.
    pub(super) fn load(
        &self,
        view: View,
        stream: u32,
        row: &EnvelopeRow,
    ) -> Result<Arc<Stored>, StoreError> {
        if let Some(fresh) = self.fresh.get(&row.hash) {
            return Ok(fresh.clone());
        }
        if let Some(known) = self.cache().find(&row.hash) {
            return Ok(known);
        }
        if row.position == NO_POSITION {
            return Err(StoreError::UnknownEnvelope(row.hash));
        }
        let position = Position(row.position);
        let found = self.reader.read(position)?;
        let broken = |cause| StoreError::Record { position, cause };
        let (_, mut item) =
            record::decode_envelope(&found.payload, &found.erased).map_err(broken)?;
        if row.erased {
            item = self.with_erasures(view, stream, row, item)?;
        }
        let stored = Arc::new(Stored::of(item).map_err(broken)?);
        self.cache().insert(stored.clone());
        Ok(stored)
    }

    fn try_path(
        &self,
        chat: &ChatId,
        stream: &StreamId,
        from: Head,
        to: Head,
        max_bytes: usize,
    ) -> Result<Vec<EnvelopeItem>, StoreError> {
        let Some(chat) = self.index.chat(View::Staged, chat)? else {
            return Ok(Vec::new());
        };
        let Some(stream) = self.index.stream(View::Staged, chat, stream)? else {
            return Ok(Vec::new());
        };
        let facts = self.index.stream_facts(View::Staged, stream)?;
        let line = facts.fork_after.unwrap_or(u64::MAX).min(to.seq);
        if from.seq < line
            && let Some(items) = self.along_line(stream, from, line, max_bytes)?
        {
            return Ok(items);
        }
        if facts.fork_after.is_none() && from.seq >= to.seq {
            return Ok(Vec::new());
        }
        self.walk(stream, from, to, max_bytes)
    }

    /// The part of a stream up to `line` in which no fork lies: one scan. None when it does not begin at `from`.
    fn along_line(
        &self,
        stream: u32,
        from: Head,
        line: u64,
        max_bytes: usize,
    ) -> Result<Option<Vec<EnvelopeItem>>, StoreError> {
        let mut items = Vec::new();
        let (mut bytes, mut at) = (0_usize, from);
        let low = rows::envelopes_from(stream, from.seq.saturating_add(1));
        let high = rows::envelopes_from(stream, line.saturating_add(1));
        for row in self.index.scan(View::Staged, Direction::Up, &low, &high) {
            let row: EnvelopeRow = rows::decode(&row?.1)?;
            // Where a history begins at a base head, nothing leads back to the start.
            let follows = row.parent() == at || (items.is_empty() && from == Head::START);
            if row.void || !follows {
                break;
            }
            let stored = self.load(View::Staged, stream, &row)?;
            bytes = bytes.saturating_add(stored.wire_bytes());
            if bytes > max_bytes && !items.is_empty() {
                break;
            }
            items.push(stored.item());
            at = row.head();
        }
        Ok((!items.is_empty()).then_some(items))
    }

    /// Back from `to` until what leads to `from` as well.
    fn walk(
        &self,
        stream: u32,
        from: Head,
        to: Head,
        max_bytes: usize,
    ) -> Result<Vec<EnvelopeItem>, StoreError> {
        let remembered = self
            .walk
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .filter(|walk| (walk.stream, walk.from, walk.to) == (stream, from, to));
        let mut steps = match remembered {
            Some(walk) => walk.steps,
            None => self.steps(stream, from, to)?,
        };
        let (mut items, mut bytes, mut reached) = (Vec::new(), 0_usize, from);
        while let Some(spot) = steps.front() {
            let row = self
                .index
                .envelope(View::Staged, stream, spot)?
                .ok_or(crate::index::IndexError::Missing("an envelope"))?;
            let stored = self.load(View::Staged, stream, &row)?;
            bytes = bytes.saturating_add(stored.wire_bytes());
            if bytes > max_bytes && !items.is_empty() {
                break;
            }
            items.push(stored.item());
            reached = row.head();
            steps.pop_front();
        }
        if !steps.is_empty() {
            let rest = Walk {
                stream,
                from: reached,
                to,
                steps,
            };
            *self.walk.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        }
        Ok(items)
    }

    /// The oldest steps of the way back from `to`, as many as are remembered.
    fn steps(&self, stream: u32, from: Head, to: Head) -> Result<VecDeque<Spot>, StoreError> {
        let mut steps = VecDeque::new();
        let (mut at, mut other) = (Spot::of(&to), Spot::of(&from));
        let start = Spot::of(&Head::START);
        while at != other && at != start {
            if other.seq >= at.seq && other != start {
                other = match self.index.envelope(View::Staged, stream, &other)? {
                    Some(row) => Spot::of(&row.parent()),
                    None => start,
                };
                continue;
            }
            match self.index.envelope(View::Staged, stream, &at)? {
                Some(row) if !row.void => {
                    steps.push_front(at);
                    steps.truncate(MAX_WALK);
                    at = Spot::of(&row.parent());
                }
                // Here the history that is held begins.
                Some(_) | None => break,
            }
        }
        Ok(steps)
    }

    fn try_records(
        &self,
        chat: &ChatId,
        after: u64,
        max_bytes: usize,
    ) -> Result<Vec<SignedRecord>, StoreError> {
        let Some(chat) = self.index.chat(View::Staged, chat)? else {
            return Ok(Vec::new());
        };
        let (mut records, mut bytes) = (Vec::new(), 0_usize);
        let low = rows::owner_records_from(chat, after.saturating_add(1));
        let high = rows::owner_records_end(chat);
        for row in self.index.scan(View::Staged, Direction::Up, &low, &high) {
            let (key, row) = row?;
            let PlaceRow { position } = rows::decode(&row)?;
            let record = self.owner_record(&key, position)?;
            let size = record.header.0.len() + record.payload.0.len() + 80;
            bytes = bytes.saturating_add(size);
            if bytes > max_bytes && !records.is_empty() {
                break;
            }
            records.push(record);
        }
        Ok(records)
    }

    fn owner_record(&self, key: &[u8], position: u64) -> Result<SignedRecord, StoreError> {
        let at = Position(position);
        let entry = if position == NO_POSITION {
            let waits = |staged: &&super::StagedRecord| staged.rows.iter().any(|row| row == key);
            let staged = self.staged.iter().find(waits);
            let staged = staged.ok_or(crate::index::IndexError::Missing("an owner record"))?;
            record::decode(staged.kind, &staged.payload, &[])
        } else {
            let found = self.reader.read(at)?;
            record::decode(found.kind, &found.payload, &found.erased)
        };
        match entry {
            JournalEntry::Protocol(Record::Owner { record, .. }) => Ok(record),
            _ => Err(StoreError::Record {
                position: at,
                cause: crossport_protocol::codec::CodecError::Malformed,
            }),
        }
    }
}
