//! A message as one reader sees it: opened, folded with its edits, deletes and reactions, and marked.

use std::collections::{BTreeMap, BTreeSet};

use crossport_protocol::clock::Time;
use crossport_protocol::event::{Event, MemberAction, chat::notice};
use crossport_protocol::fold::{self, Actor, Fact as FoldFact};
use crossport_protocol::ids::{ChatId, EventId, Handle, LocalId};
use crossport_protocol::limits;

use super::views::time_text;
use super::{Core, now};
use crate::api::facade::Answer;
use crate::api::types::{Code, Deleted, Message, MessageKind, Reaction, Service, ServiceKind};
use crate::store::Row;

impl Core {
    /// The opened content of a row.
    pub fn open_row(&self, chat: &ChatId, row: &Row) -> Option<Event> {
        if self.is_barred(chat, row) {
            return None;
        }
        let plain = row.open(self.replicator.key(chat, row.epoch())?)?;
        Event::decode(row.kind, &plain).ok()
    }

    /// The owner has barred its author, and it lies beyond what the bar lets stand: it does not count.
    pub fn is_barred(&self, chat: &ChatId, row: &Row) -> bool {
        self.replicator
            .is_barred(chat, &row.envelope, &row.actor.handle, &self.store)
    }

    /// When this node stored what a row shows: as it stated itself; at once for what was written here.
    pub fn arrived_at(&self, chat: &ChatId, row: &Row) -> Time {
        let own = self.replicator.company();
        if row.actor.company == own {
            return row.clock.time();
        }
        let here = Actor {
            company: own,
            handle: Handle::ZERO,
        };
        self.sound(self.store.read_at(chat, &here, row.id))
            .unwrap_or_else(|| row.clock.time())
    }

    pub fn row(&self, chat: &ChatId, id: EventId) -> Option<Row> {
        self.sound(self.store.row(chat, id))
    }

    pub fn event_of(&self, chat: &ChatId, id: &EventId) -> Option<Event> {
        self.open_row(chat, &self.row(chat, *id)?)
    }

    /// Edits, deletes and reactions of a message.
    pub fn related_facts(&self, chat: &ChatId, id: &EventId) -> Vec<FoldFact> {
        let rows = self.sound(self.store.related(chat, *id));
        let fact = |row: Row| {
            let event = self.open_row(chat, &row)?;
            Some(FoldFact {
                id: row.id,
                clock: row.clock,
                actor: row.actor,
                event,
            })
        };
        rows.into_iter().filter_map(fact).collect()
    }

    pub fn shown_message(&self, chat: &ChatId, id: &EventId, user: &LocalId) -> Answer<Message> {
        let row = self.row(chat, *id).ok_or(Code::MessageNotFound)?;
        Ok(self.message_of(chat, &row, user))
    }

    pub fn message_of(&self, chat: &ChatId, row: &Row, user: &LocalId) -> Message {
        let actor = row.actor;
        let event = self.open_row(chat, row);
        let related = self.related_facts(chat, &row.id);
        let text = match &event {
            Some(Event::Message(message)) => Some(message.text.as_str()),
            _ => None,
        };
        let state = fold::fold_message(actor, text, &related);
        let mine = self.is_own(chat, row, user);
        let deleted_at = related
            .iter()
            .find(|fact| matches!(fact.event, Event::Delete(_)))
            .map(|fact| fact.clock.time());
        let (mark, overdue, read_by) = self.marks(chat, row, mine);
        let sent_at = row.clock.time();
        Message {
            id: row.id.to_string(),
            chat: chat.to_string(),
            author: self.person_of_actor(chat, &actor),
            mine,
            kind: kind_of(&event, state.deleted_by.is_some(), row),
            text: state.text,
            sent_at: time_text(sent_at),
            arrived_at: time_text(self.arrived_at(chat, row)),
            arrival: row.arrival.unwrap_or(0),
            clock_ahead: row.clock.ahead_of(now()) > limits::CLOCK_AHEAD_MS,
            unread: !mine
                && row
                    .arrival
                    .is_some_and(|arrival| arrival > self.read_arrival(chat, user)),
            reply_to: match &event {
                Some(Event::Message(message)) => message.reply_to.map(|id| id.to_string()),
                _ => None,
            },
            edited_at: state.edited.map(|clock| time_text(clock.time())),
            deleted: state.deleted_by.map(|by| Deleted {
                by: self.person_of_actor(chat, &by),
                at: time_text(deleted_at.unwrap_or(sent_at)),
            }),
            service: event.as_ref().and_then(|event| self.service_of(event)),
            reactions: self.reactions_of(chat, state.reactions, user),
            mark,
            overdue,
            read_by,
            client_id: None,
        }
    }

    fn reactions_of(
        &self,
        chat: &ChatId,
        reactions: BTreeMap<String, BTreeSet<Actor>>,
        user: &LocalId,
    ) -> Vec<Reaction> {
        let own = self.cached_handle(chat, user).map(|handle| Actor {
            company: self.replicator.company(),
            handle,
        });
        let shown = reactions.into_iter().map(|(emoji, actors)| Reaction {
            emoji,
            mine: own.is_some_and(|own| actors.contains(&own)),
            people: actors
                .iter()
                .map(|actor| self.person_of_actor(chat, actor))
                .collect(),
        });
        shown.collect()
    }

    fn service_of(&self, event: &Event) -> Option<Service> {
        match event {
            Event::Member(member) => Some(Service {
                what: if member.action == MemberAction::JOIN {
                    ServiceKind::MembersAdded
                } else {
                    ServiceKind::MemberLeft
                },
                people: Vec::new(),
                company: None,
                title: None,
            }),
            Event::Notice(held) if held.code == notice::ACCESS_RESET => Some(Service {
                what: ServiceKind::AccessReset,
                people: Vec::new(),
                company: None,
                title: held.words.first().cloned(),
            }),
            Event::Notice(held) => Some(Service {
                what: ServiceKind::MembersRemoved,
                people: Vec::new(),
                company: None,
                title: held.words.first().cloned(),
            }),
            Event::Resume(_) => Some(Service {
                what: ServiceKind::Resumed,
                people: Vec::new(),
                company: None,
                title: None,
            }),
            _ => None,
        }
    }
}

fn kind_of(event: &Option<Event>, deleted: bool, row: &Row) -> MessageKind {
    if deleted {
        return MessageKind::Deleted;
    }
    match event {
        Some(Event::Message(_)) => MessageKind::Text,
        Some(Event::Unknown { .. }) => MessageKind::NeedsNewer,
        Some(_) => MessageKind::Service,
        None if row.is_erased() => MessageKind::Deleted,
        None => MessageKind::Unreadable,
    }
}
