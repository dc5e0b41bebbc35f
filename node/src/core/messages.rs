//! A message as one reader sees it: opened, folded with its edits, deletes and reactions, and marked.

use std::collections::{BTreeMap, BTreeSet};

use crossport_protocol::clock::Time;
use crossport_protocol::event::{
    Event, MemberAction, Message as Content, Notice, chat::notice, kind,
};
use crossport_protocol::fold::{self, Actor, Fact as FoldFact, MessageState};
use crossport_protocol::ids::{ChatId, CompanyId, EventId, Handle, Head, LocalId};
use crossport_protocol::limits;
use crossport_protocol::owner_log::ChatKind;
use crossport_protocol::replicator::ReadLog as _;

use super::views::time_text;
use super::{Core, now};
use crate::api::facade::Answer;
use crate::api::types::{
    Code, Deleted, Message, MessageKind, Person, Reaction, Service, ServiceKind, Token,
};
use crate::markdown;
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

    /// Taken back before it left, as this node remembers: for everyone else it is a deletion like any other.
    pub fn is_recalled(&self, chat: &ChatId, id: &EventId) -> bool {
        self.store.register(&recalled_name(chat, id)).is_some()
    }

    pub fn set_recalled(&mut self, chat: &ChatId, id: &EventId) {
        self.store
            .put_register(recalled_name(chat, id), Some(Vec::new()), true);
    }

    pub fn event_of(&self, chat: &ChatId, id: &EventId) -> Option<Event> {
        self.open_row(chat, &self.row(chat, *id)?)
    }

    pub fn owner_of(&self, chat: &ChatId) -> Option<CompanyId> {
        let held = self.replicator.chat(chat)?;
        Some(held.owner().owner())
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
        let content = content_of(&event);
        let owner = self.owner_of(chat).unwrap_or(actor.company);
        let text = content.map(|message| message.text.as_str());
        let state = fold::fold_message(actor, &owner, text, &related);
        let mine = self.is_own(chat, row, user);
        let service = event
            .as_ref()
            .and_then(|event| self.service_of(chat, row, event))
            .map(|service| self.led_on(service, user));
        let deleted = state.deleted_by.is_some();
        let (mark, overdue, read_by) = self.marks(chat, row, mine && row.kind == kind::MESSAGE);
        let sent_at = row.clock.time();
        let reply_to = content.and_then(|message| message.reply_to);
        let fields = content.map(|message| &message.fields);
        let kind = if deleted && self.is_recalled(chat, &row.id) {
            MessageKind::Recalled
        } else {
            kind_of(&event, deleted, service.is_some(), row)
        };
        Message {
            id: row.id.to_string(),
            chat: self.shown_twin(chat, user).to_string(),
            author: self.person_of_actor(chat, &actor),
            mine,
            kind,
            actions: self.stance(chat, row, kind, user).offered(),
            tokens: self.tokens_of(chat, &event, &state, &related, user),
            text: state.text,
            sent_at: time_text(sent_at),
            arrived_at: time_text(self.arrived_at(chat, row)),
            arrival: row.arrival.unwrap_or(0),
            clock_ahead: row.clock.ahead_of(now()) > limits::CLOCK_AHEAD_MS,
            unread: !mine
                && row
                    .arrival
                    .is_some_and(|arrival| arrival > self.read_arrival(chat, user)),
            mentioned: !mine && fields.is_some_and(|fields| self.names(fields, user)),
            reply: reply_to.and_then(|id| self.reply_of(chat, id, user)),
            reply_to: reply_to.map(|id| id.to_string()),
            replies: self.count_replies(chat, row.id, user),
            forwarded: fields
                .filter(|_| !deleted)
                .and_then(|fields| self.forwarded_from(fields, user)),
            edited_at: state.edited.map(|clock| time_text(clock.time())),
            deleted: state.deleted_by.map(|by| Deleted {
                by: self.person_of_actor(chat, &by),
                at: time_text(state.deleted_at.map_or(sent_at, |clock| clock.time())),
            }),
            service,
            reactions: self.reactions_of(chat, state.reactions, user),
            mark,
            overdue,
            read_by,
            client_id: None,
        }
    }

    /// What a message is now and what it says, for whoever only needs that.
    pub(crate) fn folded(&self, chat: &ChatId, row: &Row) -> (MessageKind, MessageState) {
        let event = self.open_row(chat, row);
        let text = content_of(&event).map(|message| message.text.as_str());
        let owner = self.owner_of(chat).unwrap_or(row.actor.company);
        let related = self.related_facts(chat, &row.id);
        let state = fold::fold_message(row.actor, &owner, text, &related);
        let is_service = event
            .as_ref()
            .is_some_and(|event| self.service_of(chat, row, event).is_some());
        let kind = kind_of(&event, state.deleted_by.is_some(), is_service, row);
        (kind, state)
    }

    /// The shown text as a tree, with the mentions of the edit that it comes from.
    fn tokens_of(
        &self,
        chat: &ChatId,
        event: &Option<Event>,
        state: &MessageState,
        related: &[FoldFact],
        user: &LocalId,
    ) -> Vec<Token> {
        let Some(text) = &state.text else {
            return Vec::new();
        };
        let edit = related.iter().find(|fact| Some(fact.id) == state.edit);
        let fields = match (edit.map(|fact| &fact.event), event) {
            (Some(Event::Edit(edit)), _) => &edit.fields,
            (_, Some(Event::Message(message))) => &message.fields,
            _ => return markdown::tokens(text, &[]),
        };
        markdown::tokens(text, &self.placed(chat, user, text, fields))
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

    fn service_of(&self, chat: &ChatId, row: &Row, event: &Event) -> Option<Service> {
        let company = row.actor.company;
        match event {
            Event::Member(member) if member.card.is_renewed() => {
                Some(line(ServiceKind::CardChanged))
            }
            Event::Member(member) if member.action == MemberAction::JOIN => {
                Some(self.arrival_line(chat, row, &member.card.nickname))
            }
            Event::Member(_) => Some(line(ServiceKind::MemberLeft)),
            Event::Notice(held) => self.notice_line(chat, &row.actor, held),
            Event::Resume(_) => Some(Service {
                company: Some(self.badge(&company)),
                ..line(ServiceKind::Resumed)
            }),
            _ => None,
        }
    }

    /// The other chat of a line, for who may read it: its title, and its id as they see it.
    fn led_on(&self, service: Service, user: &LocalId) -> Service {
        let named = service.chat.as_deref().and_then(|chat| chat.parse().ok());
        let chat = named.filter(|chat: &ChatId| self.cached_handle(chat, user).is_some());
        match chat {
            Some(chat) => Service {
                title: self.title_of(&chat),
                chat: Some(chat.to_string()),
                ..service
            },
            None => Service {
                chat: None,
                ..service
            },
        }
    }

    /// How somebody came in: made the chat, was brought in, or simply joined. In a direct chat it goes without saying.
    fn arrival_line(&self, chat: &ChatId, row: &Row, nickname: &str) -> Service {
        let joined = line(ServiceKind::MemberJoined);
        let Some(held) = self.replicator.chat(chat) else {
            return joined;
        };
        if held.owner().kind() == ChatKind::DIRECT {
            return joined;
        }
        let company = row.actor.company;
        let asked = self.store.asked_by(chat, &company, nickname, row.clock);
        if let Some(by) = self.sound(asked).filter(|by| *by != row.actor) {
            return Service {
                people: vec![self.person_of_actor(chat, &by)],
                ..line(ServiceKind::MemberAdded)
            };
        }
        // By its place in the owner's stream, not by its time: anybody may claim to have written before it.
        let first = || {
            let link = self.store.link(chat, &row.id.envelope);
            row.id.place == 0 && link.is_some_and(|link| link.parent == Head::START)
        };
        if company == held.owner().owner() && first() {
            return Service {
                title: self.title_of(chat),
                ..line(ServiceKind::ChatCreated)
            };
        }
        joined
    }

    /// A notice in the words of the API; None where its author may not say this, or a later version says it.
    fn notice_line(&self, chat: &ChatId, actor: &Actor, held: &Notice) -> Option<Service> {
        let owner = self.replicator.chat(chat)?.owner().owner();
        let by_owner = actor.company == owner;
        let first = held.words.first().map(String::as_str).unwrap_or_default();
        let person = |what, company: CompanyId| Service {
            what,
            people: vec![self.person_called(chat, company, first)],
            company: Some(self.badge(&company)),
            ..line(what)
        };
        let company = |what| {
            let company = first.parse().ok()?;
            Some(Service {
                company: Some(self.badge(&company)),
                ..line(what)
            })
        };
        match held.code {
            notice::ACCESS_RESET => Some(person(ServiceKind::AccessReset, actor.company)),
            notice::NO_SUCH_PERSON => Some(person(ServiceKind::NoSuchPerson, actor.company)),
            notice::PERSON_REMOVED => {
                let of: CompanyId = held.words.get(1)?.parse().ok()?;
                let may = by_owner || of == actor.company;
                may.then(|| person(ServiceKind::MembersRemoved, of))
            }
            notice::COMPANY_ADDED if by_owner => company(ServiceKind::CompanyAdded),
            notice::COMPANY_REMOVED if by_owner => company(ServiceKind::CompanyRemoved),
            notice::TITLE_CHANGED if by_owner => Some(Service {
                title: Some(first.to_owned()),
                ..line(ServiceKind::TitleChanged)
            }),
            notice::CONTINUED => Some(Service {
                chat: Some(first.parse::<ChatId>().ok()?.to_string()),
                ..line(ServiceKind::Continued)
            }),
            _ => None,
        }
    }

    /// A person of the chat by nickname; one who never joined is known by that alone.
    pub fn person_called(&self, chat: &ChatId, company: CompanyId, nickname: &str) -> Person {
        let people = self.cached_people(chat);
        let mut members = people.into_iter().flat_map(|people| people.values());
        let found = members
            .find(|member| member.user.company == company && member.nickname == nickname)
            .map(|member| self.person_of_member(member));
        found.unwrap_or_else(|| Person {
            id: format!("{company}."),
            name: nickname.to_owned(),
            nickname: nickname.to_owned(),
            company: self.badge(&company),
            external: company != self.replicator.company(),
            active: true,
        })
    }
}

fn line(what: ServiceKind) -> Service {
    Service {
        what,
        people: Vec::new(),
        company: None,
        title: None,
        chat: None,
    }
}

/// What a person said, if it is that.
fn content_of(event: &Option<Event>) -> Option<&Content> {
    match event {
        Some(Event::Message(message)) => Some(message),
        _ => None,
    }
}

fn recalled_name(chat: &ChatId, id: &EventId) -> Vec<u8> {
    let place = id.place.to_be_bytes();
    [b"w".as_slice(), &chat.0, &id.envelope.0, &place].concat()
}

fn kind_of(event: &Option<Event>, deleted: bool, is_service: bool, row: &Row) -> MessageKind {
    if deleted {
        return MessageKind::Deleted;
    }
    match event {
        Some(Event::Message(_)) => MessageKind::Text,
        Some(_) if is_service => MessageKind::Service,
        Some(_) => MessageKind::NeedsNewer,
        None if row.is_erased() => MessageKind::Deleted,
        None => MessageKind::Unreadable,
    }
}
