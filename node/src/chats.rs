//! Chats: making them, who takes part, reading, marking as read, and acting on messages.
//!
//! Each use case reads, lets `protocol` decide, and leaves the rest (commit, answer, announce) to the round of the core.

mod acting;
mod actions;
mod commands;
mod members;
mod naming;
mod passing;
mod receipts;
mod threads;
mod twins;

use crossport_protocol::event::{Event, MemberAction, MemberAsk, Notice, chat::notice};
use crossport_protocol::fold::Actor;
use crossport_protocol::ids::{ChatId, CompanyId, EventId, Handle, LocalId, UserId};
use crossport_protocol::owner_log::{ChatKind as WireKind, History};
use crossport_protocol::replicator::{Draft, OwnerActError};

use crate::api::facade::{Answer, Caller, Made, Refused};
use crate::api::types::{
    Chat, ChatKind, Code, MarkRead, MessageDetail, MessagePage, MessagePageQuery, NewChat, Page,
    PageQuery, Person, Revision, SetTopic,
};
use crate::core::{Core, last_clock, now, person_id, time_text};
use crate::directory::User;
use crate::paging::{self, limit_of};
use crate::store::Row;

const TITLE_CHARS_MAX: usize = 200;
const PEOPLE_MAX: usize = 100;
/// An invitation waits for a partner that is away.
const INVITATION_MS: u64 = 30 * 24 * 3600 * 1000;

/// Somebody whom a client named.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    Colleague(Box<User>),
    Partner(CompanyId, String),
}

impl Core {
    pub fn chats(&self, caller: Caller, page: &PageQuery) -> Answer<Page<Chat>> {
        let mut chats = self.chats_of(&caller.user);
        chats.retain(|chat| self.shown_twin(chat, &caller.user) == *chat);
        let last = |chat: &ChatId| {
            let twins = self.twins(chat, &caller.user);
            twins.iter().map(|twin| last_clock(self, twin)).max()
        };
        chats.sort_by_cached_key(|chat| (std::cmp::Reverse(last(chat)), *chat));
        let (slice, next) = paging::slice(&chats, page)?;
        let items = slice
            .iter()
            .map(|chat| self.chat_row(chat, &caller.user))
            .collect::<Answer<Vec<Chat>>>()?;
        Ok(Page { items, next })
    }

    pub fn new_chat(&mut self, caller: Caller, new: &NewChat) -> Answer<Made<Chat>> {
        let key = crate::core::client_key(&new.client_id);
        let posted = self.store.posted(&caller.user, &key);
        if let Some(made) = self.sound(posted) {
            return self
                .chat_row(&ChatId(made.envelope.0), &caller.user)
                .map(Made::Existing);
        }
        let user = self
            .directory
            .user(&caller.user)
            .cloned()
            .ok_or(Code::NotSignedIn)?;
        let people = self.named_people(&new.people, &user)?;
        let title = check_title(new)?;
        let origin = match &new.from {
            Some(_) if new.kind == ChatKind::Direct => {
                return Err(Refused::new(Code::ValueInvalid, "from"));
            }
            Some(message) => Some(self.origin(caller, message)?),
            None => None,
        };
        let kind = match new.kind {
            ChatKind::Direct => WireKind::DIRECT,
            ChatKind::Group => WireKind::GROUP,
            other => {
                return Err(Refused::new(
                    Code::ChatKindForbids,
                    format!("{other:?}").to_lowercase(),
                ));
            }
        };
        if kind == WireKind::DIRECT {
            let [only] = people.as_slice() else {
                return Err(Refused::new(Code::ChatKindForbids, "direct"));
            };
            if let Some(chat) = self.direct_with(&caller.user, only) {
                return self.chat_row(&chat, &caller.user).map(Made::Existing);
            }
        }
        let created = self.replicate(|replicator, cx| {
            replicator.create_chat(cx, kind, History::FULL, title.as_deref())
        });
        let chat = created.map_err(|error| refused_act(&error))?;
        let join = self.join_draft(&chat, &user);
        self.append(chat, vec![join])?;
        // The chat's id in place of an event's: a repeated request finds the chat.
        let made = EventId {
            envelope: crossport_protocol::ids::Hash(chat.0),
            place: 0,
        };
        let done = self.store.stage_fact(&crate::store::Fact::Posted {
            entries: vec![(caller.user, key, made)],
        });
        self.sound(done);
        self.bring_in(chat, &caller.user, &people)?;
        if let Some(origin) = origin {
            self.begin_with(chat, &caller.user, origin)?;
        }
        self.chat_row(&chat, &caller.user).map(Made::New)
    }

    fn direct_with(&self, user: &LocalId, other: &Named) -> Option<ChatId> {
        let own = self.replicator.company();
        let matches = |chat: &ChatId| {
            let direct = self.replicator.chat(chat).is_some_and(|held| {
                held.owner().kind() == WireKind::DIRECT
                    && !held.owner().is_frozen()
                    && held.owner().is_member(&own)
            });
            let people = self.cached_people(chat);
            direct
                && match other {
                    Named::Colleague(colleague) => people.is_some_and(|people| {
                        people.values().any(|member| {
                            member.user
                                == UserId {
                                    company: own,
                                    local: colleague.local,
                                }
                        })
                    }),
                    Named::Partner(company, nickname) => {
                        let joined = people.is_some_and(|people| {
                            people.values().any(|member| {
                                member.user.company == *company && member.nickname == *nickname
                            })
                        });
                        joined || self.asked(chat).contains(&(*company, nickname.clone()))
                    }
                }
        };
        self.readable_by(user).into_iter().find(matches)
    }

    /// Colleagues join; partners' companies are invited and asked for their people.
    pub(crate) fn bring_in(
        &mut self,
        chat: ChatId,
        inviter: &LocalId,
        people: &[Named],
    ) -> Answer<()> {
        let actor = self.handle_of(&chat, inviter).unwrap_or(Handle::ZERO);
        let direct = self
            .replicator
            .chat(&chat)
            .is_some_and(|held| held.owner().kind() == WireKind::DIRECT);
        let mut asked = self.asked(&chat);
        let mut drafts = Vec::new();
        for person in people {
            match person {
                Named::Colleague(colleague) => {
                    if self.handle_of(&chat, &colleague.local).is_none() {
                        let own = self.replicator.company();
                        drafts.push(ask_in(actor, own, colleague.nickname.clone()));
                        drafts.push(self.join_draft(&chat, colleague));
                    }
                }
                Named::Partner(company, nickname) => {
                    if self.invite_company(chat, *company)? && !direct {
                        drafts.push(company_notice(actor, notice::COMPANY_ADDED, *company));
                    }
                    drafts.push(ask_in(actor, *company, nickname.clone()));
                    if !asked.contains(&(*company, nickname.clone())) {
                        asked.push((*company, nickname.clone()));
                    }
                }
            }
        }
        self.set_asked(&chat, &asked);
        if drafts.is_empty() {
            Ok(())
        } else {
            self.append(chat, drafts)
        }
    }

    /// Says whether the company is new to the chat.
    fn invite_company(&mut self, chat: ChatId, company: CompanyId) -> Answer<bool> {
        let held = self.replicator.chat(&chat).ok_or(Code::ChatNotFound)?;
        let open = held
            .owner()
            .invitation(&company)
            .is_some_and(|open| open.expires > now());
        if held.owner().is_member(&company) || open {
            return Ok(false);
        }
        let expires = now().plus_ms(INVITATION_MS);
        let invited =
            self.replicate(|replicator, cx| replicator.invite(cx, chat, company, expires));
        invited.map_err(|error| refused_act(&error))?;
        Ok(true)
    }

    pub(crate) fn append(&mut self, chat: ChatId, drafts: Vec<Draft>) -> Answer<()> {
        let written = self.replicate(|replicator, cx| replicator.append(cx, chat, &drafts));
        written
            .map(|_| ())
            .map_err(|error| crate::core::refused_append(&error))
    }

    pub(crate) fn named_people(&self, names: &[String], user: &User) -> Answer<Vec<Named>> {
        if names.len() > PEOPLE_MAX {
            return Err(Refused::new(Code::ValueInvalid, "people"));
        }
        let named = names.iter().map(|name| self.named_person(name));
        let people = named.collect::<Answer<Vec<Named>>>()?;
        let others = people
            .into_iter()
            .filter(|person| !matches!(person, Named::Colleague(held) if held.local == user.local));
        Ok(others.collect())
    }

    pub(crate) fn named_person(&self, name: &str) -> Answer<Named> {
        let not_found = || Refused::new(Code::PersonNotFound, name);
        let own = self.replicator.company();
        if let Some((nickname, company)) = name.split_once('@') {
            let partner = self.find_partner(company)?;
            if partner.removed {
                return Err(Refused::new(Code::PartnerNotActive, company));
            }
            return Ok(Named::Partner(partner.company, nickname.to_lowercase()));
        }
        if let Some(user) = self.directory.user_by_nickname(&name.to_lowercase()) {
            return Ok(Named::Colleague(Box::new(user.clone())));
        }
        if let Some(user) = self.directory.users().find(|user| {
            person_id(&UserId {
                company: own,
                local: user.local,
            }) == name
        }) {
            return Ok(Named::Colleague(Box::new(user.clone())));
        }
        let known = self.known_people();
        let member = known
            .into_iter()
            .find(|(user, _, _)| person_id(user) == name);
        member
            .map(|(user, nickname, _)| Named::Partner(user.company, nickname))
            .ok_or_else(not_found)
    }

    /// Partners' people who were met in chats: (user, nickname, person).
    fn known_people(&self) -> Vec<(UserId, String, Person)> {
        let own = self.replicator.company();
        let mut known: std::collections::BTreeMap<UserId, (String, Person)> =
            std::collections::BTreeMap::new();
        for (chat, _) in self.replicator.chats() {
            for member in self
                .cached_people(chat)
                .into_iter()
                .flat_map(|people| people.values())
            {
                if member.user.company != own {
                    known.insert(
                        member.user,
                        (member.nickname.clone(), self.person_of_member(member)),
                    );
                }
            }
        }
        known
            .into_iter()
            .map(|(user, (nickname, person))| (user, nickname, person))
            .collect()
    }

    pub fn contacts(&self, caller: Caller, page: &PageQuery) -> Answer<Page<Person>> {
        let query = page.query.clone().unwrap_or_default().to_lowercase();
        let colleagues = self
            .directory
            .users()
            .filter(|user| user.local != caller.user)
            .map(|user| self.person_of_user(user));
        // External people are known from chats that the caller takes part in; nobody else's contacts show.
        let shared = self.readable_by(&caller.user);
        let own = self.replicator.company();
        let mut met: Vec<Person> = Vec::new();
        for member in shared
            .iter()
            .filter_map(|chat| self.cached_people(chat))
            .flat_map(|people| people.values())
        {
            if member.user.company != own {
                met.push(self.person_of_member(member));
            }
        }
        let matches = |person: &Person| {
            query.is_empty()
                || person.name.to_lowercase().contains(&query)
                || person.nickname.contains(&query)
        };
        let mut people: Vec<Person> = colleagues.chain(met).filter(matches).collect();
        people.sort_by(|one, other| {
            (&one.company.name, &one.name, &one.id).cmp(&(
                &other.company.name,
                &other.name,
                &other.id,
            ))
        });
        people.dedup_by(|one, other| one.id == other.id);
        let (slice, next) = paging::slice(&people, page)?;
        Ok(Page {
            items: slice.to_vec(),
            next,
        })
    }

    /// Gives a chat another title; its owner's people may. Everybody is told.
    pub fn set_topic(&mut self, caller: Caller, text: &str, topic: &SetTopic) -> Answer<Chat> {
        let chat = self.find_chat(text, &caller.user)?;
        let held = self.replicator.chat(&chat).ok_or(Code::ChatNotFound)?;
        if held.owner().kind() == WireKind::DIRECT {
            return Err(Refused::new(Code::ChatKindForbids, "direct"));
        }
        let title = sound_title(Some(&topic.title))?;
        if self.title_of(&chat).as_deref() == Some(title.as_str()) {
            return self.chat_row(&chat, &caller.user);
        }
        let changed = self.replicate(|replicator, cx| replicator.set_title(cx, chat, &title));
        changed.map_err(|error| refused_act(&error))?;
        let notice = Notice {
            code: notice::TITLE_CHANGED,
            words: vec![title],
        };
        let actor = self.handle_of(&chat, &caller.user).unwrap_or(Handle::ZERO);
        let event = Event::Notice(notice);
        self.append(chat, vec![Draft { actor, event }])?;
        self.chat_row(&chat, &caller.user)
    }

    // ---- Reading ----

    pub fn messages(
        &self,
        caller: Caller,
        text: &str,
        query: &MessagePageQuery,
    ) -> Answer<MessagePage> {
        let chat = self.find_chat(text, &caller.user)?;
        let limit = limit_of(query.limit)?;
        let before = query
            .before
            .as_deref()
            .map(|cursor| self.cursor(cursor, &caller.user))
            .transpose()?;
        let after = query
            .after
            .as_deref()
            .map(|cursor| self.cursor(cursor, &caller.user))
            .transpose()?;
        if before.is_some() && after.is_some() {
            return Err(Refused::new(Code::ValueInvalid, "before, after"));
        }
        let mut rows: Vec<(ChatId, Row)> = Vec::new();
        for twin in self.twins(&chat, &caller.user) {
            let page = self
                .store
                .page(&twin, before, after, limit.saturating_add(1));
            let page = page.map_err(|error| crate::node::store_refusal(&error))?;
            rows.extend(page.into_iter().map(|row| (twin, row)));
        }
        rows.sort_by_key(|(_, row)| (row.clock, row.id));
        let more = rows.len() > limit;
        if more && after.is_some() {
            rows.truncate(limit);
        } else if more {
            rows.drain(..rows.len() - limit);
        }
        let cursor = |row: &(ChatId, Row)| row.1.id.to_string();
        let older = if after.is_some() {
            rows.first().map(cursor)
        } else {
            rows.first().filter(|_| more).map(cursor)
        };
        let newer = if before.is_some() {
            rows.last().map(cursor)
        } else {
            rows.last().filter(|_| more && after.is_some()).map(cursor)
        };
        let counted = rows.iter().filter(|(chat, row)| !self.is_barred(chat, row));
        let messages = counted
            .map(|(chat, row)| self.message_of(chat, row, &caller.user))
            .collect();
        Ok(MessagePage {
            messages,
            older,
            newer,
        })
    }

    fn cursor(
        &self,
        text: &str,
        user: &LocalId,
    ) -> Answer<(crossport_protocol::clock::Clock, EventId)> {
        let (_, row) = self.find_message(text, user)?;
        Ok((row.clock, row.id))
    }

    pub fn message(&self, caller: Caller, text: &str) -> Answer<MessageDetail> {
        let (chat, row) = self.find_message(text, &caller.user)?;
        let message = self.message_of(&chat, &row, &caller.user);
        let author = row.actor;
        let mut revisions: Vec<(crossport_protocol::clock::Clock, String)> = Vec::new();
        if message.text.is_some() {
            if let Some(Event::Message(first)) = self.open_row(&chat, &row) {
                revisions.push((row.clock, first.text));
            }
            for fact in self
                .related_facts(&chat, &row.id)
                .into_iter()
                .filter(|fact| fact.actor == author)
            {
                if let Event::Edit(edit) = fact.event {
                    revisions.push((fact.clock, edit.text));
                }
            }
        }
        revisions.sort();
        let revisions = revisions
            .into_iter()
            .map(|(clock, text)| Revision {
                text,
                at: time_text(clock.time()),
            })
            .collect();
        Ok(MessageDetail { message, revisions })
    }

    pub fn mark_read(&mut self, caller: Caller, text: &str, read: &MarkRead) -> Answer<Chat> {
        let chat = self.find_chat(text, &caller.user)?;
        let named = read
            .up_to
            .as_deref()
            .map(|message| self.find_message(message, &caller.user))
            .transpose()?;
        for twin in self.twins(&chat, &caller.user) {
            let upto = match &named {
                Some((of, row)) if *of == twin => row.arrival.unwrap_or(0),
                Some((_, row)) => self.arrival_before(&twin, row),
                None => self.sound(self.store.arrivals(&twin)),
            };
            self.mark_read_at(twin, &caller.user, upto);
        }
        self.chat_row(&chat, &caller.user)
    }

    /// The arrival of what stands just before a row in another chat's order.
    fn arrival_before(&self, chat: &ChatId, row: &Row) -> u64 {
        let before = Some((row.clock, row.id));
        let rows = self.sound(self.store.page(chat, before, None, 1));
        rows.first().and_then(|row| row.arrival).unwrap_or(0)
    }

    fn mark_read_at(&mut self, chat: ChatId, user: &LocalId, arrival: u64) {
        let Some(handle) = self.handle_of(&chat, user) else {
            return;
        };
        let newest = arrival >= self.sound(self.store.arrivals(&chat));
        let heads = match self.replicator.chat(&chat) {
            Some(held) if newest => held.delivered(),
            _ => self.sound(self.store.heads_at_arrival(&chat, arrival)),
        };
        if arrival > self.read_arrival(&chat, user) {
            self.set_read_arrival(&chat, user, arrival, &heads);
        }
        let changed =
            self.replicate(|replicator, cx| replicator.mark_read(cx, chat, handle, &heads));
        if changed {
            let actor = Actor {
                company: self.replicator.company(),
                handle,
            };
            self.store.note_read(&chat, &actor, now(), &heads);
            self.tell_chat(chat);
        }
    }
}

/// Asks a person in. A colleague's company is this one, and the answer follows at once: then it says who asked.
fn ask_in(actor: Handle, company: CompanyId, nickname: String) -> Draft {
    let ask = MemberAsk {
        company,
        action: MemberAction::JOIN,
        nickname,
    };
    Draft {
        actor,
        event: Event::MemberAsk(ask),
    }
}

/// What the chat is told of a company that came or went.
pub(crate) fn company_notice(actor: Handle, code: u16, company: CompanyId) -> Draft {
    let words = vec![company.to_string()];
    Draft {
        actor,
        event: Event::Notice(Notice { code, words }),
    }
}

/// A refusal of the owner's acts in the client's words.
pub(crate) fn refused_act(error: &OwnerActError) -> Refused {
    let code = match error {
        OwnerActError::NoChat => Code::ChatNotFound,
        OwnerActError::NotOwner => Code::NotAllowed,
        OwnerActError::Unsure => Code::NotReady,
        OwnerActError::NoKey | OwnerActError::NeedsNewerVersion | OwnerActError::Record(_) => {
            Code::ChatClosed
        }
    };
    Refused::new(code, "").because(crate::reasons::owner_act(error), error)
}

fn check_title(new: &NewChat) -> Answer<Option<String>> {
    match new.kind {
        ChatKind::Direct => Ok(None),
        _ => sound_title(new.title.as_deref()).map(Some),
    }
}

/// A title is a name of at most 200 characters; as one it fits the notice that tells of it.
fn sound_title(title: Option<&str>) -> Answer<String> {
    let title = title.map(str::trim).unwrap_or_default();
    let fits = (1..=TITLE_CHARS_MAX).contains(&title.chars().count());
    if fits && crossport_protocol::event::check_name(title).is_ok() {
        Ok(title.to_owned())
    } else {
        Err(Refused::new(Code::ValueInvalid, "title"))
    }
}
