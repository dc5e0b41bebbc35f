//! Reading single things for people: an event, what was said about it, arrivals and unread, what was posted. Committed
//! things only, unless a function says otherwise.

use std::collections::BTreeMap;

use crossport_protocol::fold::Actor;
use crossport_protocol::ids::{ChatId, EventId, LocalId};
use crossport_protocol::owner_log::StreamCut;

use super::page::Row;
use super::record::{self, Fact};
use super::{Store, StoreError};
use crate::index::rows::{self, ActorRow, HashRow, PlaceRow, PostedRow, RelatedRow, Spot};
use crate::index::{Direction, IndexError, View};
use crate::journal::Position;

/// Matches of a short id that are returned; a person who gets so many types one more digit.
pub const MAX_MATCHES: usize = 16;

/// Reactions at one message that are looked at, for each stream. A message is shown anew with every reaction, so without a
/// bound a partner who sends many makes each more expensive than the one before.
const MAX_REACTIONS: usize = 1_024;

impl Store {
    /// One event that counts.
    pub fn row(&self, chat: &ChatId, id: EventId) -> Result<Option<Row>, StoreError> {
        let Some(chat) = self.index.chat(View::Committed, chat)? else {
            return Ok(None);
        };
        self.row_in(chat, id)
    }

    /// Edits, deletes and reactions that name an event, of envelopes that count; of reactions at most [`MAX_REACTIONS`] of
    /// one company's stream. Rows lie in the order of their hashes, so every node leaves out the same.
    pub fn related(&self, chat: &ChatId, target: EventId) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        let mut reactions: BTreeMap<u32, usize> = BTreeMap::new();
        let Some(chat) = self.index.chat(View::Committed, chat)? else {
            return Ok(found);
        };
        for row in self
            .index
            .prefix(View::Committed, &rows::related_of(chat, &target))
        {
            let row: RelatedRow = rows::decode(&row?.1)?;
            if row.target != target {
                continue;
            }
            let counted = reactions.entry(row.stream).or_insert(0);
            *counted += usize::from(row.is_reaction);
            if !row.is_reaction || *counted <= MAX_REACTIONS {
                found.extend(self.row_in(chat, row.id)?);
            }
        }
        Ok(found)
    }

    /// Events whose envelope's hash begins with these hexadecimal digits, at this place, in these chats. Nothing when
    /// `digits` is no such prefix; at most [`MAX_MATCHES`].
    pub fn find_event(
        &self,
        digits: &str,
        place: u16,
        chats: &[ChatId],
    ) -> Result<Vec<(ChatId, EventId)>, StoreError> {
        let mut found = Vec::new();
        let digits = digits.to_ascii_lowercase();
        let whole = digits.get(..digits.len() & !1).map(hex::decode);
        let Some(Ok(prefix)) = whole.filter(|_| digits.len() <= 64 && !digits.is_empty()) else {
            return Ok(found);
        };
        let mut ordinals = Vec::with_capacity(chats.len());
        for chat in chats {
            if let Some(ordinal) = self.index.chat(View::Committed, chat)? {
                ordinals.push((ordinal, *chat));
            }
        }
        for row in self.index.prefix(View::Committed, &rows::hashes(&prefix)) {
            let (key, row) = row?;
            let at: HashRow = rows::decode(&row)?;
            let Some((_, chat)) = ordinals.iter().find(|(ordinal, _)| *ordinal == at.chat) else {
                continue;
            };
            let hash = rows::short_of(&key).ok_or(IndexError::Missing("a hash"))?;
            let spot = Spot { seq: at.seq, hash };
            let row = self
                .index
                .envelope(View::Committed, at.stream, &spot)?
                .filter(|row| !row.void && row.arrival.is_some())
                .filter(|row| row.hash.to_string().starts_with(&digits))
                .filter(|row| u64::from(place) <= row.last_seq.saturating_sub(row.first_seq));
            if let Some(row) = row {
                let envelope = row.hash;
                found.push((*chat, EventId { envelope, place }));
            }
            if found.len() >= MAX_MATCHES {
                break;
            }
        }
        Ok(found)
    }

    /// What a person's client posted under its own id; staged posts included, so that a quick retry finds the first.
    pub fn posted(&self, user: &LocalId, client: &[u8; 16]) -> Result<Option<EventId>, StoreError> {
        let row: Option<PostedRow> = self.index.row(View::Staged, &rows::posted(user, client))?;
        Ok(row.map(|row| row.event))
    }

    /// Message events of a chat that have arrived here so far. Numbers of arrivals are this index's own: after a rebuild
    /// they may be others, so what must last is kept as heads; see [`Store::arrivals_covered`].
    pub fn arrivals(&self, chat: &ChatId) -> Result<u64, StoreError> {
        match self.index.chat(View::Committed, chat)? {
            Some(chat) => Ok(self.index.meta(View::Committed, chat)?.arrivals),
            None => Ok(0),
        }
    }

    /// The number of a message among the arrivals, beginning with 1.
    pub fn arrival_of(&self, chat: &ChatId, id: EventId) -> Result<Option<u64>, StoreError> {
        Ok(self.row(chat, id)?.and_then(|row| row.arrival))
    }

    /// Heads of every stream when this arrival had come in: what "everything up to here was shown" means as heads. An
    /// envelope of which only a part had come in by then is not inside.
    pub fn heads_at_arrival(
        &self,
        chat: &ChatId,
        arrival: u64,
    ) -> Result<Vec<StreamCut>, StoreError> {
        match self.index.chat(View::Committed, chat)? {
            Some(chat) => Ok(self.index.heads_at(View::Committed, chat, arrival)?),
            None => Ok(Vec::new()),
        }
    }

    /// The opposite of [`Store::heads_at_arrival`]: the last arrival such that all up to it lie inside these heads.
    pub fn arrivals_covered(&self, chat: &ChatId, heads: &[StreamCut]) -> Result<u64, StoreError> {
        match self.index.chat(View::Committed, chat)? {
            Some(chat) => Ok(self.index.covered(View::Committed, chat, heads)?),
            None => Ok(0),
        }
    }

    /// Messages that an own person wrote after an arrival.
    pub fn authored_after(
        &self,
        chat: &ChatId,
        actor: &Actor,
        arrival: u64,
    ) -> Result<u64, StoreError> {
        let Some((chat, Some(actor))) = self.chat_and_actor(chat, actor)? else {
            return Ok(0);
        };
        let authored = self
            .index
            .authored_after(View::Committed, chat, actor, arrival)?;
        Ok(authored)
    }

    /// Messages after an arrival that an own person did not write, without those that a cut excluded since.
    pub fn unread(&self, chat: &ChatId, actor: &Actor, arrival: u64) -> Result<u64, StoreError> {
        let after = self.arrivals(chat)?.saturating_sub(arrival);
        let own = self.authored_after(chat, actor, arrival)?;
        let void = match self.chat_and_actor(chat, actor)? {
            Some((chat, actor)) => {
                self.index
                    .voided_after(View::Committed, chat, actor, arrival)?
            }
            None => 0,
        };
        Ok(after.saturating_sub(own).saturating_sub(void))
    }

    /// Audit facts, newest first, before a position.
    pub fn audit(
        &self,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Fact)>, StoreError> {
        let mut found = Vec::new();
        let high = rows::audit(before.map_or(u64::MAX, |position| position.0));
        let newest_first = self
            .index
            .scan(View::Committed, Direction::Down, rows::AUDIT, &high);
        for row in newest_first.take(limit) {
            let PlaceRow { position } = rows::decode(&row?.1)?;
            let position = Position(position);
            let record = self.reader.read(position)?;
            let fact = record::decode_fact(&record.payload)
                .map_err(|cause| StoreError::Record { position, cause })?;
            found.push((position, fact));
        }
        Ok(found)
    }

    fn row_in(&self, chat: u32, id: EventId) -> Result<Option<Row>, StoreError> {
        let Some((at, row)) = self.index.find(View::Committed, &id.envelope)? else {
            return Ok(None);
        };
        if at.chat != chat || row.void || row.arrival.is_none() {
            return Ok(None);
        }
        let rows = self.rows_of(at.stream, &row)?;
        Ok(rows.into_iter().nth(usize::from(id.place)))
    }

    /// The ordinals of a chat and of a person there, if they have one.
    fn chat_and_actor(
        &self,
        chat: &ChatId,
        actor: &Actor,
    ) -> Result<Option<(u32, Option<u32>)>, StoreError> {
        let Some(chat) = self.index.chat(View::Committed, chat)? else {
            return Ok(None);
        };
        let row: Option<ActorRow> = self.index.row(View::Committed, &rows::actor(chat, actor))?;
        Ok(Some((chat, row.map(|row| row.actor))))
    }
}
