//! Replies: what a message answers, in short, and everything that was answered to it.

use std::collections::{BTreeSet, VecDeque};

use crossport_protocol::ids::{ChatId, EventId, LocalId};

use crate::api::facade::{Answer, Caller, Refused};
use crate::api::types::{Code, MessagePage, MessagePageQuery, ReplyTo};
use crate::core::{Core, PREVIEW_CHARS};
use crate::paging::limit_of;
use crate::store::Row;

/// Replies of a thread that are gathered for one answer; they are sorted, so all of them are looked at for each page.
const THREAD_MAX: usize = 2_000;

impl Core {
    /// The replies to a message, those to replies included, in the order in which messages are shown.
    pub fn thread(
        &self,
        caller: Caller,
        text: &str,
        query: &MessagePageQuery,
    ) -> Answer<MessagePage> {
        let (chat, row) = self.find_message(text, &caller.user)?;
        let limit = limit_of(query.limit)?;
        if query.before.is_some() {
            return Err(Refused::new(Code::ValueInvalid, "before"));
        }
        let after = query.after.as_deref();
        let after = after
            .map(|cursor| self.find_message(cursor, &caller.user))
            .transpose()?
            .map(|(_, row)| row.order());
        let replies = self.replies_to(&chat, row.id, &caller.user);
        let from = replies.partition_point(|(_, row)| Some(row.order()) <= after);
        let rest = replies.get(from..).unwrap_or_default();
        let shown = rest.get(..limit).unwrap_or(rest);
        let last = shown.last().filter(|_| rest.len() > shown.len());
        Ok(MessagePage {
            messages: shown
                .iter()
                .map(|(chat, row)| self.message_of(chat, row, &caller.user))
                .collect(),
            older: None,
            newer: last.map(|(_, row)| row.id.to_string()),
        })
    }

    fn replies_to(&self, chat: &ChatId, root: EventId, user: &LocalId) -> Vec<(ChatId, Row)> {
        let twins = self.twins(chat, user);
        let mut seen = BTreeSet::from([root]);
        let mut waiting = VecDeque::from([root]);
        let mut found: Vec<(ChatId, Row)> = Vec::new();
        while let Some(target) = waiting.pop_front() {
            for twin in &twins {
                for reply in self.sound(self.store.replies(twin, target)) {
                    if found.len() < THREAD_MAX && seen.insert(reply.id) {
                        waiting.push_back(reply.id);
                        found.push((*twin, reply));
                    }
                }
            }
        }
        found.retain(|(chat, row)| !self.is_barred(chat, row));
        found.sort_by_key(|(_, row)| row.order());
        found
    }

    /// How many messages reply to this one directly.
    pub(crate) fn count_replies(&self, chat: &ChatId, id: EventId, user: &LocalId) -> u32 {
        let twins = self.twins(chat, user).into_iter();
        let count: u64 = twins
            .map(|twin| self.sound(self.store.count_replies(&twin, id)))
            .sum();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// What a message answers, short enough to stand above it; None when it is not here.
    pub(crate) fn reply_of(&self, chat: &ChatId, id: EventId, user: &LocalId) -> Option<ReplyTo> {
        let twins = self.twins(chat, user).into_iter();
        let (chat, row) = twins
            .filter_map(|twin| Some((twin, self.row(&twin, id)?)))
            .next()?;
        let (kind, state) = self.folded(&chat, &row);
        Some(ReplyTo {
            id: id.to_string(),
            author: self.person_of_actor(&chat, &row.actor),
            kind,
            text: state
                .text
                .map(|text| text.chars().take(PREVIEW_CHARS).collect()),
        })
    }
}
