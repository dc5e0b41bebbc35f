//! Passing a message on: into another chat, or as the beginning of a new one.
//!
//! Owns what is asserted of a message's origin, and that its reader may read it at that moment. The words are passed on
//! without the mentions: who was named there need not be told here.

use crossport_protocol::actions::Action;
use crossport_protocol::event::forward::Forwarded;
use crossport_protocol::event::{Event, Message as Content, Notice, chat::notice};
use crossport_protocol::fields::Fields;
use crossport_protocol::ids::{ChatId, EventId, Handle, LocalId, UserId};
use crossport_protocol::replicator::Draft;

use crate::api::facade::{Answer, Caller, Refused};
use crate::api::types::{Code, ForwardedFrom, Person};
use crate::core::{Core, person_id, time_text};
use crate::store::Row;

/// A message that a new chat begins with.
pub(super) struct Origin {
    chat: ChatId,
    quoted: Content,
}

impl Core {
    /// The event that a message becomes in another chat.
    pub fn draft_forward(&self, caller: Caller, text: &str, into: &str) -> Answer<(ChatId, Event)> {
        let (of, row) = self.find_message(text, &caller.user)?;
        self.check_action(Action::Forward, &of, &row, &caller.user, text)?;
        let chat = self.find_chat(into, &caller.user)?;
        let twins = self.twins(&chat, &caller.user);
        let open = twins.into_iter().find(|twin| self.is_open(twin));
        let quoted = self.quoted(caller, &of, &row, text, None)?;
        Ok((open.unwrap_or(chat), Event::Message(quoted)))
    }

    /// The message that a new chat is to begin with, if this person may make one of it.
    pub(super) fn origin(&self, caller: Caller, text: &str) -> Answer<Origin> {
        let (chat, row) = self.find_message(text, &caller.user)?;
        self.check_action(Action::NewChat, &chat, &row, &caller.user, text)?;
        let source = Some((chat, row.id));
        let quoted = self.quoted(caller, &chat, &row, text, source)?;
        Ok(Origin { chat, quoted })
    }

    /// The new chat opens with the message; the old one shows where it went on.
    pub(super) fn begin_with(
        &mut self,
        chat: ChatId,
        user: &LocalId,
        origin: Origin,
    ) -> Answer<()> {
        let said = |actor: Option<Handle>, event| Draft {
            actor: actor.unwrap_or(Handle::ZERO),
            event,
        };
        let actor = self.handle_of(&chat, user);
        self.append(chat, vec![said(actor, Event::Message(origin.quoted))])?;
        let continued = Notice {
            code: notice::CONTINUED,
            words: vec![chat.to_string()],
        };
        let actor = self.handle_of(&origin.chat, user);
        self.append(origin.chat, vec![said(actor, Event::Notice(continued))])
    }

    fn quoted(
        &self,
        caller: Caller,
        chat: &ChatId,
        row: &Row,
        text: &str,
        source: Option<(ChatId, EventId)>,
    ) -> Answer<Content> {
        let message = self.message_of(chat, row, &caller.user);
        let words = message
            .text
            .ok_or_else(|| Refused::new(Code::MessageGone, text))?;
        let earlier = match self.open_row(chat, row) {
            Some(Event::Message(content)) => Forwarded::of(&content.fields),
            _ => None,
        };
        let forwarded = match earlier {
            // Who said it first, not who passed it on.
            Some(earlier) => Forwarded { source, ..earlier },
            None => Forwarded {
                author: self.user_of(chat, row),
                name: message.author.name,
                nickname: message.author.nickname,
                time: row.clock.time(),
                source,
            },
        };
        Ok(Content {
            text: words,
            reply_to: None,
            fields: forwarded.into_fields(Fields::none()),
        })
    }

    fn user_of(&self, chat: &ChatId, row: &Row) -> UserId {
        let people = self.cached_people(chat);
        let member = people.and_then(|people| people.get(&row.actor));
        member.map_or(
            UserId {
                company: row.actor.company,
                local: LocalId([0; 16]),
            },
            |member| member.user,
        )
    }

    /// The origin as the API tells it: what the forwarder's node asserts, and a way there for who may read it.
    pub(crate) fn forwarded_from(&self, fields: &Fields, user: &LocalId) -> Option<ForwardedFrom> {
        let forwarded = Forwarded::of(fields)?;
        let readable = forwarded
            .source
            .filter(|(chat, _)| self.cached_handle(chat, user).is_some());
        let company = forwarded.author.company;
        let author = Person {
            id: person_id(&forwarded.author),
            name: forwarded.name.clone(),
            nickname: forwarded.nickname.clone(),
            company: self.badge(&company),
            external: company != self.replicator.company(),
            active: true,
        };
        Some(ForwardedFrom {
            author,
            at: time_text(forwarded.time),
            chat: readable.map(|(chat, _)| self.shown_twin(&chat, user).to_string()),
            message: readable.map(|(_, message)| message.to_string()),
        })
    }
}
