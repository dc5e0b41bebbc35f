//! What begins to count, and what no longer does: the rows that people's reading is made of.
//!
//! It must not look into a payload by itself: contents come opened from the caller, who has the keys.

use std::sync::PoisonError;

use crossport_protocol::envelope::VerifiedEnvelope;
use crossport_protocol::event::mention::{Mentioned, mentions};
use crossport_protocol::event::{Event, Member, MemberAction, Message, kind};
use crossport_protocol::fold::{self, Actor};
use crossport_protocol::ids::{ChatId, CompanyId, Handle, Hash};

use super::page::is_shown;
use super::people::person_row;
use super::{Store, StoreError};
use crate::index::rows::naming::{self, MentionRow, ReplyRow};
use crate::index::rows::{
    self, ActorRow, ArrivalEntry, AskRow, ChatMeta, EnvelopeRow, HashRow, RelatedRow, STRANGER,
    Spot,
};
use crate::index::timeline::Stretch;
use crate::index::{IndexError, View};

impl Store {
    /// An envelope that counts, with its opened events (None: erased or not readable). Once is enough: a second call for
    /// the same envelope does nothing.
    ///
    /// # Errors
    /// [`StoreError::UnknownEnvelope`] when it was never staged.
    pub fn counted(
        &mut self,
        chat: &ChatId,
        envelope: &VerifiedEnvelope,
        events: &[Option<Event>],
        own_company: &CompanyId,
    ) -> Result<(), StoreError> {
        let unknown = || StoreError::UnknownEnvelope(envelope.hash);
        let (at, mut row) = self
            .index
            .find(View::Staged, &envelope.hash)?
            .ok_or_else(unknown)?;
        if self.index.chat(View::Staged, chat)? != Some(at.chat) {
            return Err(unknown());
        }
        if row.arrival.is_some() || row.void {
            return Ok(());
        }
        let mut meta = self.index.meta(View::Staged, at.chat)?;
        let is_own = envelope.header.stream.company == *own_company;
        let authors = self.authors(at.chat, &mut meta, envelope, is_own)?;
        row.messages = authors.len() as u16;
        let entry = ArrivalEntry {
            stream: at.stream,
            parent: Spot::of(&envelope.parent()),
            spot: Spot::of(&envelope.head()),
            authors,
        };
        row.arrival = Some(self.index.arrive(at.chat, &mut meta, entry)?);
        let spot = Spot::of(&row.head());
        self.index.put(rows::envelope(at.stream, &spot), &row);
        if envelope
            .header
            .events
            .iter()
            .any(|event| is_shown(event.kind))
        {
            let stretch = Stretch {
                stream: at.stream,
                spot,
                first_clock: envelope.header.first_clock(),
                last_clock: envelope.header.last_clock(),
                has_message: row.messages > 0,
            };
            self.index.show(at.chat, &mut meta, &stretch);
        }
        self.index.put(rows::meta(at.chat), &meta);
        let mut arrival = row.arrival.unwrap_or_default();
        for (place, event) in events.iter().enumerate() {
            let kind = envelope.header.events.get(place).map(|event| event.kind);
            arrival += u64::from(kind == Some(kind::MESSAGE));
            match event {
                Some(Event::Message(message)) => {
                    self.index_names(&at, envelope, place, arrival, message, own_company);
                }
                Some(event) => self.index_event(&at, envelope, place, event)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Envelopes that a cut excluded: nobody finds them any more.
    pub fn voided(&mut self, chat: &ChatId, envelopes: &[Hash]) -> Result<(), StoreError> {
        // Ways over them may be remembered.
        *self.walk.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        let chat = self.index.chat(View::Staged, chat)?;
        for hash in envelopes {
            match self.index.find(View::Staged, hash)? {
                Some((at, row)) if Some(at.chat) == chat && !row.void => self.void(&at, row)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn void(&mut self, at: &HashRow, mut row: EnvelopeRow) -> Result<(), StoreError> {
        let stored = self.load(View::Staged, at.stream, &row)?;
        let envelope = &stored.envelope;
        let header = &envelope.header;
        let spot = Spot::of(&row.head());
        let (first, last) = (header.first_clock(), header.last_clock());
        self.index.hide(at.chat, first, last, &spot.hash);
        for (place, event) in header.events.iter().enumerate() {
            if event.kind == kind::MEMBER {
                let actor = Actor {
                    company: header.stream.company,
                    handle: event.actor,
                };
                let id = envelope.event_id(place);
                self.index
                    .remove(rows::person(at.chat, &actor, event.clock, &id));
            }
        }
        if let Some(base) = row.arrival {
            self.index.void_arrival(at.chat, base, &row)?;
        }
        row.void = true;
        self.index.put(rows::envelope(at.stream, &spot), &row);
        Ok(())
    }

    /// Ordinals of the authors of the message events; strangers have none.
    fn authors(
        &mut self,
        chat: u32,
        meta: &mut ChatMeta,
        envelope: &VerifiedEnvelope,
        is_own: bool,
    ) -> Result<Vec<u32>, IndexError> {
        let mut authors = Vec::new();
        for event in &envelope.header.events {
            if event.kind != kind::MESSAGE {
                continue;
            }
            let author = if is_own {
                let actor = Actor {
                    company: envelope.header.stream.company,
                    handle: event.actor,
                };
                self.actor_or_new(chat, meta, &actor)?
            } else {
                STRANGER
            };
            authors.push(author);
        }
        Ok(authors)
    }

    /// The ordinal of a person of a chat. The caller stores `meta`.
    pub(super) fn actor_or_new(
        &mut self,
        chat: u32,
        meta: &mut ChatMeta,
        actor: &Actor,
    ) -> Result<u32, IndexError> {
        let key = rows::actor(chat, actor);
        if let Some(ActorRow { actor }) = self.index.row(View::Staged, &key)? {
            return Ok(actor);
        }
        let ordinal = meta.actors;
        meta.actors = meta.actors.saturating_add(1);
        self.index.put(key, &ActorRow { actor: ordinal });
        Ok(ordinal)
    }

    /// Whom of the own people a message names, and what it replies to.
    fn index_names(
        &mut self,
        at: &HashRow,
        envelope: &VerifiedEnvelope,
        place: usize,
        arrival: u64,
        message: &Message,
        own: &CompanyId,
    ) {
        let id = envelope.event_id(place);
        if let Some(target) = message.reply_to {
            let row = ReplyRow { id, target };
            self.index.put(naming::reply(at.chat, &target, &id), &row);
        }
        let author = envelope.header.events.get(place);
        let row = MentionRow {
            id,
            company: envelope.header.stream.company,
            author: author.map_or(Handle::ZERO, |event| event.actor),
        };
        for mention in mentions(&message.fields) {
            if let Some(Mentioned::Person(user)) = mention.mentioned()
                && user.company == *own
            {
                self.index
                    .put(naming::mention(at.chat, &user.local, arrival), &row);
            }
        }
    }

    fn index_event(
        &mut self,
        at: &HashRow,
        envelope: &VerifiedEnvelope,
        place: usize,
        event: &Event,
    ) -> Result<(), StoreError> {
        let id = envelope.event_id(place);
        if let Some(target) = fold::target_of(event) {
            let row = RelatedRow {
                stream: at.stream,
                seq: at.seq,
                id,
                target,
                is_reaction: matches!(event, Event::Reaction(_)),
            };
            self.index.put(rows::related(at.chat, &target, &id), &row);
        }
        let Some(header) = envelope.header.events.get(place) else {
            return Ok(());
        };
        let actor = Actor {
            company: envelope.header.stream.company,
            handle: header.actor,
        };
        if let Event::MemberAsk(ask) = event
            && ask.action == MemberAction::JOIN
        {
            let mark = self.sealer.mark(&ask.company, &ask.nickname);
            let key = rows::ask(at.chat, &mark, header.clock, &id);
            let Actor { company, handle } = actor;
            let row = AskRow {
                company,
                handle,
                event: id,
            };
            self.index.put(key, &row);
        }
        if let Event::Member(member) = event {
            let key = rows::person(at.chat, &actor, header.clock, &id);
            let Member { action, card } = member;
            let row = self.sealer.seal(&key, &person_row(*action, card, id))?;
            self.index.put_bytes(key, row);
        }
        Ok(())
    }
}
