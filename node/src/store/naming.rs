//! What messages say of others: unread mentions of a person, and the replies to a message.

use crossport_protocol::fold::Actor;
use crossport_protocol::ids::{ChatId, EventId, LocalId};

use super::page::Row;
use super::{Store, StoreError};
use crate::index::rows::naming::{self, MentionRow, ReplyRow};
use crate::index::rows::{self, Spot};
use crate::index::{Direction, View};

/// Mentions are counted up to this many: each costs some look-ups, and nobody tells a thousand from two thousand.
pub const MAX_MENTIONS: usize = 1_000;
/// Replies to one message that are found. Rows lie in the order of their hashes, so every node finds the same.
pub const MAX_REPLIES: usize = 1_000;

impl Store {
    /// Messages after an arrival that name an own person, without those the person wrote, those that were deleted, and those
    /// that a cut excluded since. At most [`MAX_MENTIONS`].
    pub fn mentions(
        &self,
        chat: &ChatId,
        user: &LocalId,
        reader: &Actor,
        arrival: u64,
    ) -> Result<u64, StoreError> {
        let Some(chat) = self.index.chat(View::Committed, chat)? else {
            return Ok(0);
        };
        let low = naming::mention(chat, user, arrival.saturating_add(1));
        let high = naming::mentions_end(chat, user);
        let rows = self.index.scan(View::Committed, Direction::Up, &low, &high);
        let mut count = 0;
        for row in rows.take(MAX_MENTIONS) {
            let row: MentionRow = rows::decode(&row?.1)?;
            let by_reader = row.company == reader.company && row.author == reader.handle;
            count += u64::from(!by_reader && self.stands(&row.id)?);
        }
        Ok(count)
    }

    /// Messages that reply to this one, of envelopes that count. At most [`MAX_REPLIES`].
    pub fn replies(&self, chat: &ChatId, target: EventId) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        for id in self.reply_ids(chat, target)? {
            found.extend(self.row(chat, id)?);
        }
        Ok(found)
    }

    /// How many there are, without reading them.
    pub fn count_replies(&self, chat: &ChatId, target: EventId) -> Result<u64, StoreError> {
        let mut count = 0;
        for id in self.reply_ids(chat, target)? {
            count += u64::from(self.stands(&id)?);
        }
        Ok(count)
    }

    fn reply_ids(&self, chat: &ChatId, target: EventId) -> Result<Vec<EventId>, StoreError> {
        let Some(chat) = self.index.chat(View::Committed, chat)? else {
            return Ok(Vec::new());
        };
        let mut ids = Vec::new();
        let rows = self
            .index
            .prefix(View::Committed, &naming::replies_of(chat, &target));
        for row in rows.take(MAX_REPLIES) {
            let row: ReplyRow = rows::decode(&row?.1)?;
            if row.target == target {
                ids.push(row.id);
            }
        }
        Ok(ids)
    }

    /// The event counts still: no cut excluded it and its payload is there.
    fn stands(&self, id: &EventId) -> Result<bool, StoreError> {
        let Some((at, row)) = self.index.find(View::Committed, &id.envelope)? else {
            return Ok(false);
        };
        if row.void || !row.erased {
            return Ok(!row.void);
        }
        let erasure = rows::erasure(at.stream, &Spot::of(&row.head()), id.place);
        let erased: Option<rows::ErasureRow> = self.index.row(View::Committed, &erasure)?;
        Ok(erased.is_none())
    }
}
