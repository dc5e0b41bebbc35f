//! Pages of a chat: events in the order in which they are shown, (clock, event id), read from any place.
//!
//! Owns the merge that makes a page exact although envelopes overlap in time. Payloads stay sealed: a row brings its
//! envelope, with which its reader opens it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossport_protocol::clock::Clock;
use crossport_protocol::envelope::VerifiedEnvelope;
use crossport_protocol::event::{SILENT_KINDS, kind};
use crossport_protocol::fold::Actor;
use crossport_protocol::ids::{ChatId, EventId, StreamId};
use crossport_protocol::seal::EpochKey;

use super::{Store, StoreError};
use crate::index::rows::EnvelopeRow;
use crate::index::timeline::Stretch;
use crate::index::{Direction, View};

/// The longest page: what one answer may hold in memory.
pub const MAX_PAGE: usize = 1_000;

/// One event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: EventId,
    pub clock: Clock,
    pub actor: Actor,
    pub kind: u16,
    /// The envelope that carries it: its header says the epoch, the positions cited and the head.
    pub envelope: Arc<VerifiedEnvelope>,
    /// Its number among the message events that arrived here, beginning with 1; None for other kinds.
    pub arrival: Option<u64>,
}

impl Row {
    /// Where the event is shown.
    pub fn order(&self) -> (Clock, EventId) {
        (self.clock, self.id)
    }

    pub fn stream(&self) -> StreamId {
        self.envelope.header.stream
    }

    pub fn epoch(&self) -> u32 {
        self.envelope.header.epoch
    }

    /// Its payload was destroyed.
    pub fn is_erased(&self) -> bool {
        self.envelope.is_erased(usize::from(self.id.place))
    }

    /// The sealed payload; empty when it was destroyed.
    pub fn sealed(&self) -> &[u8] {
        let payloads = &self.envelope.sealed.payloads;
        payloads
            .get(usize::from(self.id.place))
            .map_or(&[], |payload| &payload.0)
    }

    /// The plain payload; None when it is erased or the key is another.
    pub fn open(&self, key: &EpochKey) -> Option<Vec<u8>> {
        self.envelope.open(usize::from(self.id.place), key)
    }
}

/// Is an event of this kind a line of its own in a chat? Kinds of later versions are, as "needs a newer version",
/// unless their number says that they are only about another event.
pub fn is_shown(number: u16) -> bool {
    number < SILENT_KINDS
        && !matches!(
            number,
            kind::EDIT
                | kind::DELETE
                | kind::ADMIN_DELETE
                | kind::REACTION
                | kind::MEMBER_ASK
                | kind::RESUME
        )
}

/// Which events a page is made of.
struct Wanted {
    before: Option<(Clock, EventId)>,
    after: Option<(Clock, EventId)>,
    only_messages: bool,
    limit: usize,
}

impl Store {
    /// Events that are shown, newest first: those nearest before `before` (or the newest), and not at or before `after`.
    /// With `after` alone, those nearest after it. At most [`MAX_PAGE`].
    pub fn page(
        &self,
        chat: &ChatId,
        before: Option<(Clock, EventId)>,
        after: Option<(Clock, EventId)>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let wanted = Wanted {
            before,
            after,
            only_messages: false,
            limit: limit.min(MAX_PAGE),
        };
        self.find_page(chat, &wanted)
    }

    /// The message that is shown last.
    pub fn last_message(&self, chat: &ChatId) -> Result<Option<Row>, StoreError> {
        let wanted = Wanted {
            before: None,
            after: None,
            only_messages: true,
            limit: 1,
        };
        Ok(self.find_page(chat, &wanted)?.pop())
    }

    fn find_page(&self, chat: &ChatId, wanted: &Wanted) -> Result<Vec<Row>, StoreError> {
        let Some(chat) = self.index.chat(View::Committed, chat)? else {
            return Ok(Vec::new());
        };
        let (direction, from) = match (wanted.before, wanted.after) {
            (None, Some((clock, _))) => (Direction::Up, clock),
            (Some((clock, _)), _) => (Direction::Down, clock),
            (None, None) => (Direction::Down, Clock(u64::MAX)),
        };
        let end = wanted.after.map_or(Clock(0), |(clock, _)| clock);
        let mut timeline = self
            .index
            .timeline(View::Committed, chat, direction, from)?;
        let mut near: BTreeMap<(Clock, EventId), Row> = BTreeMap::new();
        let mut page = Vec::new();
        while page.len() < wanted.limit {
            // Envelopes that may hold something nearer than the nearest event so far come first.
            let nearest = match direction {
                Direction::Down => near.last_key_value(),
                Direction::Up => near.first_key_value(),
            };
            let nearest = nearest.map(|((clock, _), _)| *clock);
            let bound = timeline.bound().filter(|bound| match direction {
                Direction::Down => *bound >= end && nearest.is_none_or(|near| *bound >= near),
                Direction::Up => nearest.is_none_or(|near| *bound <= near),
            });
            if bound.is_some() {
                if let Some(stretch) = timeline.advance()? {
                    self.take_events(&stretch, wanted, &mut near)?;
                }
                continue;
            }
            let next = match direction {
                Direction::Down => near.pop_last(),
                Direction::Up => near.pop_first(),
            };
            match next {
                Some((_, row)) => page.push(row),
                None => break,
            }
        }
        if direction == Direction::Up {
            page.reverse();
        }
        Ok(page)
    }

    fn take_events(
        &self,
        stretch: &Stretch,
        wanted: &Wanted,
        near: &mut BTreeMap<(Clock, EventId), Row>,
    ) -> Result<(), StoreError> {
        let too_new = wanted
            .before
            .is_some_and(|(clock, _)| stretch.first_clock > clock);
        let too_old = wanted
            .after
            .is_some_and(|(clock, _)| stretch.last_clock < clock);
        if too_new || too_old || (wanted.only_messages && !stretch.has_message) {
            return Ok(());
        }
        let row = self
            .index
            .envelope(View::Committed, stretch.stream, &stretch.spot)?
            .ok_or(crate::index::IndexError::Missing("a shown envelope"))?;
        let is_wanted = |row: &Row| {
            let kind_fits = if wanted.only_messages {
                row.kind == kind::MESSAGE
            } else {
                is_shown(row.kind)
            };
            kind_fits
                && wanted.before.is_none_or(|before| row.order() < before)
                && wanted.after.is_none_or(|after| row.order() > after)
        };
        let rows = self.rows_of(stretch.stream, &row)?;
        near.extend(
            rows.into_iter()
                .filter(is_wanted)
                .map(|row| (row.order(), row)),
        );
        Ok(())
    }

    /// All events of an envelope.
    pub(super) fn rows_of(&self, stream: u32, row: &EnvelopeRow) -> Result<Vec<Row>, StoreError> {
        let stored = self.load(View::Committed, stream, row)?;
        let header = &stored.envelope.header;
        let mut messages = 0;
        let mut rows = Vec::with_capacity(header.events.len());
        for (place, event) in header.events.iter().enumerate() {
            let is_message = event.kind == kind::MESSAGE;
            messages += u64::from(is_message);
            rows.push(Row {
                id: stored.envelope.event_id(place),
                clock: event.clock,
                actor: Actor {
                    company: header.stream.company,
                    handle: event.actor,
                },
                kind: event.kind,
                envelope: stored.envelope.clone(),
                arrival: row
                    .arrival
                    .filter(|_| is_message)
                    .map(|before| before.saturating_add(messages)),
            });
        }
        Ok(rows)
    }
}
