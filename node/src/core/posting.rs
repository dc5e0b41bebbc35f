//! Posting: messages of a round are gathered by chat, so that under load one signature and one append carry many.

use std::collections::BTreeMap;

use crossport_protocol::event::Event;
use crossport_protocol::event::forward::Forwarded;
use crossport_protocol::ids::{ChatId, EventId, LocalId};
use crossport_protocol::replicator::{AppendError, Draft};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::Core;
use crate::api::facade::{Answer, Refused};
use crate::api::types::{Code, Message};
use crate::store::Fact;

/// An event that a person wants written, once.
#[derive(Debug)]
pub struct Post {
    pub user: LocalId,
    pub chat: ChatId,
    pub event: Event,
    /// Written together with it, in the same name.
    pub also: Vec<Event>,
    pub client_id: String,
    /// The message that the answer shows: the written one if None.
    pub shows: Option<EventId>,
    pub reply: oneshot::Sender<Answer<Message>>,
}

/// Names a client's own id in the index: with the person, because ids of two people may be equal. A UUID stays what it
/// is: version 7 (RFC 9562) begins with the time, so that rows of neighbours lie side by side; anything else is hashed.
pub fn client_key(client_id: &str) -> [u8; 16] {
    if let Ok(id) = uuid::Uuid::try_parse(client_id) {
        return id.into_bytes();
    }
    let digest = Sha256::digest(client_id.as_bytes());
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

impl Core {
    pub(super) fn write_posts(&mut self) {
        let mut by_chat: BTreeMap<ChatId, Vec<Post>> = BTreeMap::new();
        for post in std::mem::take(&mut self.posts) {
            by_chat.entry(post.chat).or_default().push(post);
        }
        for (chat, posts) in by_chat {
            self.write_posts_of(chat, posts);
        }
    }

    fn write_posts_of(&mut self, chat: ChatId, posts: Vec<Post>) {
        let mut new: Vec<(Post, Vec<Draft>)> = Vec::with_capacity(posts.len());
        let mut repeated: Vec<Post> = Vec::new();
        for post in posts {
            let key = client_key(&post.client_id);
            let in_round = new.iter().any(|(other, _)| is_repetition(other, &post));
            if in_round {
                repeated.push(post);
                continue;
            }
            let posted = self.store.posted(&post.user, &key);
            if let Some(id) = self.sound(posted) {
                self.answer_repeated(post, id);
                continue;
            }
            match self.drafts_of(&post) {
                Ok(drafts) => new.push((post, drafts)),
                Err(refused) => drop(post.reply.send(Err(refused))),
            }
        }
        if new.is_empty() {
            return;
        }
        let drafts: Vec<Draft> = new.iter().flat_map(|(_, drafts)| drafts.clone()).collect();
        let written = self.replicate(|replicator, cx| replicator.append(cx, chat, &drafts));
        match written {
            Ok(ids) => {
                let mut ids = ids.into_iter();
                let mut first_of = |(post, drafts): (Post, Vec<Draft>)| {
                    // What was written besides goes without an answer of its own.
                    let id = ids.by_ref().take(drafts.len()).collect::<Vec<_>>();
                    id.first().map(|id| (post, *id))
                };
                let written = new.into_iter().filter_map(&mut first_of).collect();
                self.answer_new(chat, written, repeated);
            }
            Err(error) => {
                let refused = refused_append(&error);
                let all = new.into_iter().map(|(post, _)| post).chain(repeated);
                all.for_each(|post| drop(post.reply.send(Err(refused.clone()))));
            }
        }
    }

    /// The post's own event first.
    fn drafts_of(&self, post: &Post) -> Answer<Vec<Draft>> {
        post.event
            .check()
            .map_err(|error| refused_append(&AppendError::Content(error)))?;
        let actor = self
            .cached_handle(&post.chat, &post.user)
            .ok_or(Code::ChatNotFound)?;
        let events = std::iter::once(&post.event).chain(&post.also);
        let draft = |event: &Event| Draft {
            actor,
            event: event.clone(),
        };
        Ok(events.map(draft).collect())
    }

    /// An administrator's deletion of what somebody else said is an administrative act.
    fn audit_deletions(&mut self, written: &[(Post, EventId)]) {
        for (post, _) in written {
            if let Event::AdminDelete(delete) = &post.event {
                let user = self.directory.user(&post.user);
                let who = user.map_or_else(String::new, |user| user.nickname.clone());
                let subject = format!("message {} chat {}", delete.target, post.chat);
                self.audit(&who, "message.delete", Some(subject));
            }
        }
    }

    fn answer_new(&mut self, chat: ChatId, written: Vec<(Post, EventId)>, repeated: Vec<Post>) {
        self.audit_deletions(&written);
        let entries = written
            .iter()
            .map(|(post, id)| (post.user, client_key(&post.client_id), *id))
            .collect();
        let done = self.store.stage_fact(&Fact::Posted { entries });
        self.sound(done);
        let twice = repeated.into_iter().filter_map(|post| {
            let first = written
                .iter()
                .find(|(other, _)| is_repetition(other, &post));
            let id = first.map(|(_, id)| *id)?;
            Some((post, id))
        });
        let answers: Vec<(Post, EventId)> = twice.collect();
        self.after_commit(Box::new(move |core, committed| {
            for (post, id) in written.into_iter().chain(answers) {
                let answer = match committed {
                    Ok(()) => core.shown_message(&chat, &post.shows.unwrap_or(id), &post.user),
                    Err(error) => Err(crate::node::store_refusal(error)),
                };
                // Whoever asked may have gone away; the message is written all the same.
                drop(post.reply.send(answer));
            }
        }));
    }

    fn answer_repeated(&mut self, post: Post, id: EventId) {
        let chat = post.chat;
        self.after_commit(Box::new(move |core, _| {
            let same_content = match (&post.event, core.event_of(&chat, &id)) {
                // Whom a name stands for may have changed since.
                (Event::Message(new), Some(Event::Message(held))) => {
                    new.text == held.text
                        && new.reply_to == held.reply_to
                        && Forwarded::of(&new.fields) == Forwarded::of(&held.fields)
                }
                (Event::Edit(new), Some(Event::Edit(held))) => {
                    new.text == held.text && new.target == held.target
                }
                (new, Some(held)) => *new == held,
                // Its payload is gone (deleted meanwhile): the repetition is taken at its word.
                (_, None) => true,
            };
            let answer = if same_content {
                core.shown_message(&chat, &post.shows.unwrap_or(id), &post.user)
            } else {
                Err(Refused::new(Code::ClientIdReused, post.client_id.clone()))
            };
            drop(post.reply.send(answer));
        }));
    }
}

fn is_repetition(first: &Post, second: &Post) -> bool {
    first.user == second.user && client_key(&first.client_id) == client_key(&second.client_id)
}

/// A refusal of the protocol in the client's words.
pub fn refused_append(error: &AppendError) -> Refused {
    use crossport_protocol::event::ContentError;
    let code = match error {
        AppendError::NoChat => Code::ChatNotFound,
        AppendError::NotMember
        | AppendError::NoKey
        | AppendError::NeedsNewerVersion
        | AppendError::TooManyHeads(_) => Code::ChatClosed,
        AppendError::Content(ContentError::TooLong { .. }) | AppendError::TooLong { .. } => {
            Code::TooLarge
        }
        AppendError::Content(_) => Code::ValueInvalid,
        AppendError::ClockBehind | AppendError::Refused(_) => Code::Internal,
    };
    let subject = match error {
        AppendError::Content(ContentError::NotAnEmoji(found)) => found,
        AppendError::Content(_) | AppendError::TooLong { .. } => "text",
        _ => "",
    };
    Refused::new(code, subject).because(crate::reasons::append(error), error)
}
