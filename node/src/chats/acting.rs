//! Acting on messages: what a person's wish becomes as an event, and taking back what has not left.
//!
//! Drafts only; writing them belongs to the round of the core.

use crossport_protocol::event::{Delete, Edit, Event, Message as Content, Reaction};
use crossport_protocol::fields::Fields;
use crossport_protocol::ids::{ChatId, EventId};
use crossport_protocol::replicator::RecallError;

use crate::api::facade::{Answer, Caller, Refused};
use crate::api::types::{Code, Message};
use crate::core::Core;
use crate::store::Row;

impl Core {
    /// The event that a new message becomes, and the chat that takes it.
    pub fn draft_message(
        &self,
        caller: Caller,
        text: &str,
        message: String,
        reply_to: Option<&str>,
    ) -> Answer<(ChatId, Event)> {
        let chat = self.find_chat(text, &caller.user)?;
        let reply_to = reply_to
            .map(|id| self.find_message(id, &caller.user))
            .transpose()?
            .map(|(_, row)| row.id);
        let chat = self
            .twins(&chat, &caller.user)
            .into_iter()
            .find(|twin| self.is_open(twin))
            .unwrap_or(chat);
        Ok((
            chat,
            Event::Message(Content {
                text: message,
                reply_to,
                fields: Fields::none(),
            }),
        ))
    }

    fn is_open(&self, chat: &ChatId) -> bool {
        let own = self.replicator.company();
        self.replicator
            .chat(chat)
            .is_some_and(|held| !held.owner().is_frozen() && held.owner().is_member(&own))
    }

    pub fn draft_edit(
        &self,
        caller: Caller,
        text: &str,
        edited: String,
    ) -> Answer<(ChatId, EventId, Event)> {
        let (chat, row) = self.own_message(caller, text)?;
        Ok((
            chat,
            row.id,
            Event::Edit(Edit {
                target: row.id,
                text: edited,
                fields: Fields::none(),
            }),
        ))
    }

    pub fn draft_delete(&self, caller: Caller, text: &str) -> Answer<(ChatId, EventId, Event)> {
        let (chat, row) = self.own_message(caller, text)?;
        Ok((chat, row.id, Event::Delete(Delete { target: row.id })))
    }

    pub fn draft_reaction(
        &self,
        caller: Caller,
        text: &str,
        emoji: String,
        on: bool,
    ) -> Answer<(ChatId, EventId, Event)> {
        let (chat, row) = self.find_message(text, &caller.user)?;
        self.check_not_gone(&chat, &row, text)?;
        Ok((
            chat,
            row.id,
            Event::Reaction(Reaction {
                target: row.id,
                emoji,
                present: on,
            }),
        ))
    }

    fn own_message(&self, caller: Caller, text: &str) -> Answer<(ChatId, Row)> {
        let (chat, row) = self.find_message(text, &caller.user)?;
        let mine = self.is_own(&chat, &row, &caller.user);
        if !mine || row.kind != crossport_protocol::event::kind::MESSAGE {
            return Err(Refused::new(Code::NotYourMessage, text));
        }
        self.check_not_gone(&chat, &row, text)?;
        Ok((chat, row))
    }

    fn check_not_gone(&self, chat: &ChatId, row: &Row, text: &str) -> Answer<()> {
        let gone = row.is_erased()
            || self
                .related_facts(chat, &row.id)
                .iter()
                .any(|fact| matches!(fact.event, Event::Delete(_)));
        if gone {
            Err(Refused::new(Code::MessageGone, text))
        } else {
            Ok(())
        }
    }

    pub fn recall(&mut self, caller: Caller, text: &str) -> Answer<Message> {
        let (chat, row) = self.own_message(caller, text)?;
        let recalled =
            self.replicate(|replicator, cx| replicator.recall(cx, chat, row.id, row.actor.handle));
        recalled.map_err(|error| match &error {
            RecallError::MayHaveLeft(companies) => {
                let names: Vec<String> = companies
                    .iter()
                    .map(|company| self.badge(company).name)
                    .collect();
                Refused::new(Code::RecallTooLate, names.join(", "))
            }
            RecallError::NotFound => Refused::new(Code::MessageNotFound, text),
            RecallError::Append(error) => crate::core::refused_append(error),
        })?;
        self.set_recalled(&chat, &row.id);
        let mut message = self.shown_message(&chat, &row.id, &caller.user)?;
        message.kind = crate::api::types::MessageKind::Recalled;
        message.text = None;
        Ok(message)
    }
}
