//! Acting on messages: what a person's wish becomes as an event, and taking back what has not left.
//!
//! Drafts only; writing them belongs to the round of the core.

use crossport_protocol::actions::Action;
use crossport_protocol::event::{AdminDelete, Delete, Edit, Event, Message as Content, Reaction};
use crossport_protocol::ids::{ChatId, EventId};
use crossport_protocol::replicator::RecallError;

use super::commands;
use crate::api::facade::{Answer, Caller, Refused};
use crate::api::types::{Code, Message};
use crate::core::Core;

impl Core {
    /// The event that a new message becomes, and the chat that takes it.
    pub fn draft_message(
        &self,
        caller: Caller,
        text: &str,
        message: String,
        reply_to: Option<&str>,
    ) -> Answer<(ChatId, Event)> {
        let message = commands::meant(message)?;
        let chat = self.find_chat(text, &caller.user)?;
        let reply_to = reply_to
            .map(|id| self.replied_to(caller, &chat, id))
            .transpose()?;
        let chat = self
            .twins(&chat, &caller.user)
            .into_iter()
            .find(|twin| self.is_open(twin))
            .unwrap_or(chat);
        Ok((
            chat,
            Event::Message(Content {
                fields: self.named_in(&chat, &caller.user, &message),
                text: message,
                reply_to,
            }),
        ))
    }

    /// A message of the same chat that may be replied to.
    fn replied_to(&self, caller: Caller, chat: &ChatId, text: &str) -> Answer<EventId> {
        let (of, row) = self.find_message(text, &caller.user)?;
        if !self.twins(chat, &caller.user).contains(&of) {
            return Err(Refused::new(Code::MessageNotFound, text));
        }
        self.check_action(Action::Reply, &of, &row, &caller.user, text)?;
        Ok(row.id)
    }

    pub(super) fn is_open(&self, chat: &ChatId) -> bool {
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
        let (chat, row) = self.find_message(text, &caller.user)?;
        self.check_action(Action::Edit, &chat, &row, &caller.user, text)?;
        Ok((
            chat,
            row.id,
            Event::Edit(Edit {
                target: row.id,
                fields: self.named_in(&chat, &caller.user, &edited),
                text: edited,
            }),
        ))
    }

    /// The deletes of a message and of its edits, each of which carries a text of its own; the message's first.
    pub fn draft_delete(
        &self,
        caller: Caller,
        text: &str,
    ) -> Answer<(ChatId, EventId, Event, Vec<Event>)> {
        let (chat, row) = self.find_message(text, &caller.user)?;
        let stance = self.check_action(Action::Delete, &chat, &row, &caller.user, text)?;
        let delete = |target| {
            if stance.is_own() {
                Event::Delete(Delete { target })
            } else {
                Event::AdminDelete(AdminDelete { target })
            }
        };
        let related = self.related_facts(&chat, &row.id).into_iter();
        let edits = related
            .filter(|fact| fact.actor == row.actor && matches!(fact.event, Event::Edit(_)))
            .map(|fact| delete(fact.id));
        Ok((chat, row.id, delete(row.id), edits.collect()))
    }

    pub fn draft_reaction(
        &self,
        caller: Caller,
        text: &str,
        emoji: String,
        on: bool,
    ) -> Answer<(ChatId, EventId, Event)> {
        let (chat, row) = self.find_message(text, &caller.user)?;
        self.check_action(Action::React, &chat, &row, &caller.user, text)?;
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

    pub fn recall(&mut self, caller: Caller, text: &str) -> Answer<Message> {
        let (chat, row) = self.find_message(text, &caller.user)?;
        let stance = self.check_action(Action::Delete, &chat, &row, &caller.user, text)?;
        if !stance.is_own() {
            return Err(Refused::new(Code::NotYourMessage, text));
        }
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
