//! What people see: chats, messages and persons in the words of the API, made from the index and the journal.

use std::time::{Duration, Instant};

use crossport_protocol::clock::{Clock, Time};
use crossport_protocol::codec::{self, Blob};
use crossport_protocol::event::{Event, Member, MemberAction, UserCard, card, check_name};
use crossport_protocol::fields::{Field, Fields};
use crossport_protocol::fold::{Actor, Membership};
use crossport_protocol::ids::{ChatId, CompanyId, Handle, LocalId, UserId};
use crossport_protocol::limits;
use crossport_protocol::owner_log::{Body, ChatKind as WireKind, StreamCut};
use crossport_protocol::replicator::{Draft, ReadLog};

use super::{Announcement, Core, People};
use crate::api::facade::{Answer, Refused};
use crate::api::types::{
    Change, Chat, ChatKind, Code, CompanyBadge, CompanyLag, Frozen, LastMessage,
    Membership as ApiMembership, Person, ReceiptChange,
};
use crate::changes::Topic;
use crate::directory::User;
use crate::store::Row;

/// Telling one thing to everybody who listens takes a few microseconds for each; what takes longer than this is put off when
/// it is told again and again.
const COSTLY: Duration = Duration::from_millis(2);
/// What was costly is remembered up to this many.
const COSTLY_REMEMBERED: usize = 1_024;
/// Characters of a message that a list shows.
pub const PREVIEW_CHARS: usize = 200;

/// RFC 3339 in UTC with milliseconds.
pub fn time_text(time: Time) -> String {
    let millisecond = i64::try_from(time.0).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(millisecond).unwrap_or(jiff::Timestamp::MAX);
    format!("{stamp:.3}")
}

pub fn person_id(user: &UserId) -> String {
    format!("{}.{}", user.company, user.local)
}

impl Core {
    // ---- People ----

    pub(super) fn read_people(&mut self) {
        let chats: Vec<ChatId> = self.replicator.chats().map(|(chat, _)| *chat).collect();
        for chat in chats {
            let people = self.sound(self.store.people(&chat));
            self.set_people(chat, people);
        }
    }

    pub(super) fn set_people(&mut self, chat: ChatId, people: People) {
        let own = self.replicator.company();
        for member in people.values().filter(|member| member.user.company == own) {
            self.chats_of
                .entry(member.user.local)
                .or_default()
                .insert(chat);
        }
        self.note_direct(chat, &people);
        self.people.insert(chat, people);
    }

    /// People of a chat, those who left included.
    pub fn people_of(&mut self, chat: &ChatId) -> &People {
        if !self.people.contains_key(chat) {
            let people = self.sound(self.store.people(chat));
            self.set_people(*chat, people);
        }
        self.people.entry(*chat).or_default()
    }

    pub fn cached_people(&self, chat: &ChatId) -> Option<&People> {
        self.people.get(chat)
    }

    /// Takes part now: came in, did not leave, and the company is in the chat.
    pub fn takes_part(&self, chat: &ChatId, member: &Membership) -> bool {
        let held = self.replicator.chat(chat);
        member.present && held.is_some_and(|held| held.owner().is_member(&member.user.company))
    }

    /// The handle under which a person of this company takes part now.
    pub fn handle_of(&mut self, chat: &ChatId, user: &LocalId) -> Option<Handle> {
        self.people_of(chat);
        self.cached_handle(chat, user)
    }

    pub fn cached_handle(&self, chat: &ChatId, user: &LocalId) -> Option<Handle> {
        let own = self.replicator.company();
        let people = self.people.get(chat)?;
        let is_user = |(actor, member): &(&Actor, &Membership)| {
            actor.company == own && member.user.local == *user && member.present
        };
        people.iter().find(is_user).map(|(actor, _)| actor.handle)
    }

    /// Chats of a person: those they take part in and those they left.
    pub fn chats_of(&self, user: &LocalId) -> Vec<ChatId> {
        self.chats_of
            .get(user)
            .map(|chats| chats.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The chats that a person may read now.
    pub fn readable_by(&self, user: &LocalId) -> Vec<ChatId> {
        self.chats_of(user)
            .into_iter()
            .filter(|chat| self.cached_handle(chat, user).is_some())
            .collect()
    }

    pub fn join_draft(&mut self, chat: &ChatId, user: &User) -> Draft {
        let handle = self.new_handle(chat, user);
        Draft {
            actor: handle,
            event: Event::Member(Member {
                action: MemberAction::JOIN,
                card: card_of(user),
            }),
        }
    }

    /// How a person who takes part is shown from now on. It is no arrival: the card says so.
    pub fn card_draft(&self, handle: Handle, user: &User) -> Draft {
        let renewed = Field {
            number: card::RENEWED,
            value: Blob(Vec::new()),
        };
        let card = card_of(user);
        let fields = Fields(card.fields.0.into_iter().chain([renewed]).collect());
        Draft {
            actor: handle,
            event: Event::Member(Member {
                action: MemberAction::JOIN,
                card: UserCard { fields, ..card },
            }),
        }
    }

    pub fn leave_draft(&self, handle: Handle, user: &User) -> Draft {
        Draft {
            actor: handle,
            event: Event::Member(Member {
                action: MemberAction::LEAVE,
                card: card_of(user),
            }),
        }
    }

    /// The person's earlier handle in the chat, else a new random one.
    fn new_handle(&mut self, chat: &ChatId, user: &User) -> Handle {
        let own = self.replicator.company();
        let people = self.people_of(chat);
        let earlier = people
            .iter()
            .find(|(actor, member)| actor.company == own && member.user.local == user.local);
        earlier.map_or_else(|| Handle(random_array()), |(actor, _)| actor.handle)
    }

    // ---- Words ----

    pub fn badge(&self, company: &CompanyId) -> CompanyBadge {
        let alias = self
            .directory
            .partner(company)
            .and_then(|partner| partner.alias.clone());
        CompanyBadge {
            id: company.to_string(),
            name: alias.unwrap_or_else(|| self.replicator.roster().name(company)),
        }
    }

    pub fn person_of_member(&self, member: &Membership) -> Person {
        Person {
            id: person_id(&member.user),
            nickname: member.nickname.clone(),
            name: if member.name.is_empty() {
                member.nickname.clone()
            } else {
                member.name.clone()
            },
            company: self.badge(&member.user.company),
            external: member.user.company != self.replicator.company(),
            active: true,
        }
    }

    pub fn person_of_user(&self, user: &User) -> Person {
        let company = self.replicator.company();
        Person {
            id: person_id(&UserId {
                company,
                local: user.local,
            }),
            nickname: user.nickname.clone(),
            name: if user.name.is_empty() {
                user.nickname.clone()
            } else {
                user.name.clone()
            },
            company: self.badge(&company),
            external: false,
            active: true,
        }
    }

    pub fn person_of_actor(&self, chat: &ChatId, actor: &Actor) -> Person {
        match self.people.get(chat).and_then(|people| people.get(actor)) {
            Some(member) => self.person_of_member(member),
            // A node's own events, and people whose introduction is not here.
            None => Person {
                id: format!("{}.", actor.company),
                nickname: String::new(),
                name: self.badge(&actor.company).name,
                company: self.badge(&actor.company),
                external: actor.company != self.replicator.company(),
                active: true,
            },
        }
    }

    // ---- Chats ----

    pub(crate) fn title_of(&self, chat: &ChatId) -> Option<String> {
        if let Some(title) = self.titles.get(chat) {
            return title.clone();
        }
        let owner = self.replicator.chat(chat)?.owner();
        let at = owner.title_at()?;
        let record = self
            .store
            .records(chat, at.saturating_sub(1), 1)
            .into_iter()
            .next()?;
        let (header, body) = record.verify(self.replicator.suite()).ok()?;
        let key = self.replicator.key(chat, header.epoch)?;
        let plain = key.open(&header.associated(), &record.payload.0)?;
        let title = String::from_utf8(plain)
            .ok()
            .filter(|title| check_name(title).is_ok());
        title.filter(|_| matches!(body, Body::Title))
    }

    /// The arrival up to which a person has read. Kept as heads, because arrivals are numbered anew by a rebuild.
    pub fn read_arrival(&self, chat: &ChatId, user: &LocalId) -> u64 {
        if let Some(arrival) = self.read_marks.borrow().get(&(*chat, *user)) {
            return *arrival;
        }
        let kept = self.store.register(&read_mark_name(chat, user));
        let heads: Vec<StreamCut> = kept
            .and_then(|bytes| codec::decode(bytes, limits::FRAME_BYTES).ok())
            .unwrap_or_default();
        let arrival = self.sound(self.store.arrivals_covered(chat, &heads));
        self.read_marks.borrow_mut().insert((*chat, *user), arrival);
        arrival
    }

    pub fn set_read_arrival(
        &mut self,
        chat: &ChatId,
        user: &LocalId,
        arrival: u64,
        heads: &Vec<StreamCut>,
    ) {
        self.read_marks.borrow_mut().insert((*chat, *user), arrival);
        self.store.put_register(
            read_mark_name(chat, user),
            Some(codec::encode(heads)),
            false,
        );
    }

    pub fn unread(&self, chat: &ChatId, user: &LocalId) -> u32 {
        let Some(handle) = self.cached_handle(chat, user) else {
            return 0;
        };
        let actor = Actor {
            company: self.replicator.company(),
            handle,
        };
        let unread = self.sound(
            self.store
                .unread(chat, &actor, self.read_arrival(chat, user)),
        );
        u32::try_from(unread).unwrap_or(u32::MAX)
    }

    /// Written by this person under their present handle.
    pub fn is_own(&self, chat: &ChatId, row: &Row, user: &LocalId) -> bool {
        row.actor.company == self.replicator.company()
            && self.cached_handle(chat, user) == Some(row.actor.handle)
    }

    pub fn chat_row(&self, chat: &ChatId, user: &LocalId) -> Answer<Chat> {
        let held = self.replicator.chat(chat).ok_or(Code::ChatNotFound)?;
        let people = self.cached_people(chat).ok_or(Code::ChatNotFound)?;
        let owner = held.owner();
        let own = self.replicator.company();
        let mut companies: Vec<CompanyId> = owner.members().collect();
        companies.sort_by_key(|company| *company != own);
        let twins = self.twins(chat, user);
        let last = twins
            .iter()
            .filter_map(|twin| Some((*twin, self.sound(self.store.last_message(twin))?)))
            .max_by_key(|(_, row)| row.clock);
        let created = self.store.records(chat, 0, 1).into_iter().next();
        let created = created.and_then(|record| record.verify(self.replicator.suite()).ok());
        let created = created.map_or(Time(0), |(header, _)| header.clock.time());
        let lag = |(company, since, notice)| CompanyLag {
            company: self.badge(&company),
            not_delivered_since: time_text(since),
            notice,
        };
        Ok(Chat {
            id: chat.to_string(),
            kind: api_kind(owner.kind()),
            title: self.title_for(chat, owner.kind(), people, user),
            external: people.keys().any(|actor| actor.company != own) || companies.len() > 1,
            owner: self.badge(&owner.owner()),
            companies: companies
                .iter()
                .map(|company| self.badge(company))
                .collect(),
            people: people
                .values()
                .filter(|member| self.takes_part(chat, member))
                .count() as u32,
            membership: self.membership_of(chat, user, companies.contains(&own)),
            unread: twins.iter().map(|twin| self.unread(twin, user)).sum(),
            mentions: twins
                .iter()
                .map(|twin| self.unread_mentions(twin, user))
                .sum(),
            person: self.other_person_of(owner.kind(), people, user),
            arrival: self.sound(self.store.arrivals(chat)),
            last_at: time_text(last.as_ref().map_or(created, |(_, row)| row.clock.time())),
            last: last.map(|(twin, row)| self.last_of(&twin, &row, user)),
            overdue: self.lags(chat).into_iter().map(lag).collect(),
            frozen: owner.is_frozen().then_some(Frozen::OwnerForked),
        })
    }

    fn other_person_of(&self, kind: WireKind, people: &People, user: &LocalId) -> Option<Person> {
        let own = UserId {
            company: self.replicator.company(),
            local: *user,
        };
        let other = people
            .values()
            .find(|member| member.user != own)
            .filter(|_| kind == WireKind::DIRECT);
        other.map(|member| self.person_of_member(member))
    }

    fn membership_of(
        &self,
        chat: &ChatId,
        user: &LocalId,
        company_takes_part: bool,
    ) -> ApiMembership {
        match (self.cached_handle(chat, user), company_takes_part) {
            (_, false) => ApiMembership::Removed,
            (Some(_), true) => ApiMembership::Member,
            (None, true) => ApiMembership::Left,
        }
    }

    fn title_for(&self, chat: &ChatId, kind: WireKind, people: &People, user: &LocalId) -> String {
        let own = self.replicator.company();
        if kind == WireKind::DIRECT {
            let other = people
                .iter()
                .find(|(actor, member)| !(actor.company == own && member.user.local == *user));
            if let Some((_, member)) = other {
                return self.person_of_member(member).name;
            }
            if let Some((company, nickname)) = self.asked(chat).into_iter().next() {
                return format!("{nickname}@{}", self.badge(&company).name);
            }
        }
        self.title_of(chat).unwrap_or_else(|| chat.short())
    }

    fn last_of(&self, chat: &ChatId, row: &Row, user: &LocalId) -> LastMessage {
        let message = self.message_of(chat, row, user);
        LastMessage {
            id: message.id,
            author: message.author,
            kind: message.kind,
            text: message
                .text
                .map(|text| text.chars().take(PREVIEW_CHARS).collect()),
            sent_at: message.sent_at,
            mark: message.mark,
            overdue: message.overdue,
        }
    }

    /// People of other companies who were asked for and have not joined.
    pub fn asked(&self, chat: &ChatId) -> Vec<(CompanyId, String)> {
        let value = self.store.register(&asked_name(chat));
        value
            .and_then(|bytes| codec::decode(bytes, 64 * 1024).ok())
            .unwrap_or_default()
    }

    pub fn set_asked(&mut self, chat: &ChatId, asked: &Vec<(CompanyId, String)>) {
        let value = (!asked.is_empty()).then(|| codec::encode(asked));
        self.store.put_register(asked_name(chat), value, true);
    }

    // ---- Telling ----

    pub(super) fn announce(&mut self) {
        let mut announcements = std::mem::take(&mut self.announcements);
        if announcements.is_empty() {
            return;
        }
        let mut seen = std::collections::BTreeSet::new();
        announcements.retain(|announcement| seen.insert(*announcement));
        let listeners = self.changes.listeners();
        let now = Instant::now();
        for announcement in announcements {
            let costly = self.costly.contains(&announcement);
            if costly && now < self.costly_again {
                self.announcements.push(announcement);
                continue;
            }
            let began = Instant::now();
            let (chat, topic) = match announcement {
                Announcement::Chat(chat) => (chat, Topic::Chat(chat)),
                Announcement::Message(chat, id) | Announcement::Receipt(chat, id, _) => {
                    (chat, Topic::Message(chat, id))
                }
            };
            let number = self.changes.note(topic);
            for user in &listeners {
                let concerned = self.cached_handle(&chat, user).is_some()
                    && !matches!(announcement, Announcement::Receipt(_, _, author) if author != *user);
                if let Some(change) = concerned
                    .then(|| self.change_for(announcement, user))
                    .flatten()
                {
                    let shown = self.shown_twin(&chat, user);
                    self.changes.send(*user, shown, number, &change);
                }
            }
            self.note_cost(announcement, began.elapsed());
        }
    }

    /// A message with a thousand reactions is told anew with each of them. Whatever is that costly takes its turns, so that
    /// all of it together takes a fifth of the time.
    fn note_cost(&mut self, announcement: Announcement, cost: Duration) {
        if cost < COSTLY {
            self.costly.remove(&announcement);
            return;
        }
        if self.costly.len() >= COSTLY_REMEMBERED {
            self.costly.pop_first();
        }
        self.costly.insert(announcement);
        let pause = cost.saturating_mul(4);
        self.costly_again = self.costly_again.max(Instant::now() + pause);
    }

    fn change_for(&self, announcement: Announcement, user: &LocalId) -> Option<Change> {
        match announcement {
            Announcement::Chat(chat) => self
                .chat_row(&self.shown_twin(&chat, user), user)
                .ok()
                .map(|row| Change::Chat(Box::new(row))),
            Announcement::Message(chat, id) => self
                .shown_message(&chat, &id, user)
                .ok()
                .map(|message| Change::Message(Box::new(message))),
            Announcement::Receipt(chat, id, _) => {
                let row = self.row(&chat, id)?;
                let (mark, overdue, read_by) = self.marks(&chat, &row, true);
                let receipt = ReceiptChange {
                    chat: self.shown_twin(&chat, user).to_string(),
                    message: id.to_string(),
                    mark: mark?,
                    overdue,
                    read_by: read_by?,
                };
                Some(Change::Receipt(receipt))
            }
        }
    }

    /// What a topic looks like now, for a client that comes back.
    pub fn change_of_topic(&self, topic: Topic, user: &LocalId) -> Option<Change> {
        let announcement = match topic {
            Topic::Chat(chat) => Announcement::Chat(chat),
            Topic::Message(chat, id) => Announcement::Message(chat, id),
        };
        let (Topic::Chat(chat) | Topic::Message(chat, _)) = topic;
        self.cached_handle(&chat, user)?;
        self.change_for(announcement, user)
    }

    /// The chat that a client's id or unique prefix names, among those that the person may read.
    pub fn find_chat(&self, text: &str, user: &LocalId) -> Answer<ChatId> {
        if let Ok(chat) = text.parse::<ChatId>() {
            return if self.cached_handle(&chat, user).is_some() {
                Ok(chat)
            } else {
                Err(Refused::new(Code::ChatNotFound, text))
            };
        }
        let prefix = text.to_lowercase();
        let matches: Vec<ChatId> = if prefix.len() < crate::api::types::ID_PREFIX_CHARS_MIN {
            Vec::new()
        } else {
            self.readable_by(user)
                .into_iter()
                .filter(|chat| chat.to_string().starts_with(&prefix))
                .collect()
        };
        match matches.as_slice() {
            [chat] => Ok(*chat),
            [] => Err(Refused::new(Code::ChatNotFound, text)),
            _ => Err(Refused::new(Code::IdAmbiguous, text)),
        }
    }

    /// The message that a client's id or unique prefix names, among those that the person may read.
    pub fn find_message(&self, text: &str, user: &LocalId) -> Answer<(ChatId, Row)> {
        let not_found = || Refused::new(Code::MessageNotFound, text);
        let (prefix, place) = match text.split_once('.') {
            Some((prefix, place)) => (prefix, place.parse::<u16>().map_err(|_| not_found())?),
            None => (text, 0),
        };
        if prefix.len() < crate::api::types::ID_PREFIX_CHARS_MIN {
            return Err(not_found());
        }
        let chats = self.readable_by(user);
        let matches = self.sound(self.store.find_event(prefix, place, &chats));
        match matches.as_slice() {
            [(chat, id)] => Ok((*chat, self.row(chat, *id).ok_or_else(not_found)?)),
            [] => Err(not_found()),
            _ => Err(Refused::new(Code::IdAmbiguous, text)),
        }
    }
}

fn read_mark_name(chat: &ChatId, user: &LocalId) -> Vec<u8> {
    [b"m".as_slice(), &user.0, &chat.0].concat()
}

fn asked_name(chat: &ChatId) -> Vec<u8> {
    [b"k".as_slice(), &chat.0].concat()
}

fn card_of(user: &User) -> UserCard {
    UserCard {
        local: user.local,
        name: user.name.clone(),
        nickname: user.nickname.clone(),
        title: String::new(),
        fields: Fields::none(),
    }
}

pub fn random_array<const N: usize>() -> [u8; N] {
    use crossport_protocol::suite::Random;
    crate::random::OsRandom.array()
}

fn api_kind(kind: WireKind) -> ChatKind {
    match kind {
        WireKind::DIRECT => ChatKind::Direct,
        WireKind::OPEN => ChatKind::Open,
        WireKind::CHANNEL => ChatKind::Channel,
        WireKind::COMPANY => ChatKind::Company,
        _ => ChatKind::Group,
    }
}

/// For sorting by what was last said.
pub fn last_clock(core: &Core, chat: &ChatId) -> Clock {
    core.sound(core.store.last_message(chat))
        .map_or(Clock(0), |row| row.clock)
}
