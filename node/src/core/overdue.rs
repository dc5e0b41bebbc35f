//! Messages that some company still lacks after the deadline: told when it passes, not only when somebody asks.
//!
//! Owns when each chat is looked at again, and what was told of it: one moment a chat, however many messages wait in it, looked at
//! by the core's tick. What is overdue is never stored; it follows from clocks and statements.

use std::collections::BTreeMap;

use crossport_protocol::clock::{Clock, Time};
use crossport_protocol::event::kind;
use crossport_protocol::ids::{ChatId, CompanyId, EventId, Hash};
use crossport_protocol::replicator::Replicator;
use crossport_protocol::statement::Statement;

use super::absorb::covers;
use super::{Announcement, Core, UNSETTLED_MAX, Unsettled, now};
use crate::store::MAX_PAGE;

/// A chat is judged at most so often for its messages: in a busy one a deadline passes at every moment.
const JUDGED_EVERY_MS: u64 = 1_000;

/// What is waited for, and what was told.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    /// When a chat is judged next. Chats in which nothing waits are not here.
    due: BTreeMap<ChatId, Time>,
    /// The companies that were last told to lack something of a chat, and whether as a notice.
    told: BTreeMap<ChatId, Vec<(CompanyId, bool)>>,
}

/// What the companies of a chat have stated.
pub(super) struct Delivered<'a> {
    others: Vec<CompanyId>,
    statements: Vec<&'a Statement>,
}

impl<'a> Delivered<'a> {
    pub fn of(replicator: &'a Replicator, chat: &ChatId) -> Option<Delivered<'a>> {
        let own = replicator.company();
        let held = replicator.chat(chat)?;
        let members = held.owner().members();
        Some(Delivered {
            others: members.filter(|company| *company != own).collect(),
            statements: held.statements().collect(),
        })
    }

    /// Every other company has stored the message.
    pub fn everywhere(&self, message: &Unsettled) -> bool {
        let stated = |company: &CompanyId, held: &Statement| {
            held.content.company == *company && covers(&held.content.heads, message)
        };
        self.others.iter().all(|company| {
            let mut statements = self.statements.iter();
            statements.any(|held| stated(company, held))
        })
    }
}

impl Core {
    fn overdue_after_ms(&self) -> u64 {
        self.config.overdue_after_s.saturating_mul(1000)
    }

    fn notice_after_ms(&self) -> u64 {
        self.config.notice_after_s.saturating_mul(1000)
    }

    /// Companies that lack something of this company's beyond the deadline: since when, and whether lists name them.
    pub fn lags(&self, chat: &ChatId) -> Vec<(CompanyId, Time, bool)> {
        let now = now();
        let late = self
            .lacking(chat)
            .into_iter()
            .filter_map(|(company, since)| {
                let age = now.since(since);
                (age >= self.overdue_after_ms())
                    .then(|| (company, since, age >= self.notice_after_ms()))
            });
        late.collect()
    }

    fn lacking(&self, chat: &ChatId) -> Vec<(CompanyId, Time)> {
        let own = self.replicator.company();
        let held = self.replicator.chat(chat).into_iter();
        let others = held
            .flat_map(|held| held.owner().members())
            .filter(|company| *company != own);
        others
            .filter_map(|company| Some((company, self.not_delivered_since(chat, &company)?)))
            .collect()
    }

    /// A message was written here: its chat is judged when the message's deadline passes, or earlier.
    pub(super) fn note_deadline(&mut self, chat: ChatId, written: Time) {
        let due = written.plus_ms(self.overdue_after_ms());
        self.overdue.due.entry(chat).or_insert(due);
    }

    /// A company stated what it has: a chat that was told to be late may not be late any more.
    pub(super) fn judge_again(&mut self, chat: ChatId) {
        if self.overdue.told.contains_key(&chat) {
            self.overdue.due.insert(chat, now());
        }
    }

    /// After a start: what may still become overdue is waited for, and what is late already is known, as clients read it anew.
    pub(super) fn expect_deadlines(&mut self) {
        let chats: Vec<ChatId> = self.replicator.chats().map(|(chat, _)| *chat).collect();
        for chat in chats {
            if self.lacking(&chat).is_empty() {
                continue;
            }
            if !self.unsettled.contains_key(&chat) {
                self.remember_unsettled(chat);
            }
            let told = self.told_of(&chat);
            if !told.is_empty() {
                self.overdue.told.insert(chat, told);
            }
            self.overdue.due.insert(chat, now());
        }
    }

    /// Own messages of which the deadline has not passed.
    fn remember_unsettled(&mut self, chat: ChatId) {
        let from = Time(now().0.saturating_sub(self.overdue_after_ms()));
        let envelope = Hash([0; 32]);
        let mut after = (Clock::at(from), EventId { envelope, place: 0 });
        let own = self.replicator.company();
        for _ in 0..UNSETTLED_MAX / MAX_PAGE {
            let page = self.store.page(&chat, None, Some(after), MAX_PAGE);
            let rows = self.sound(page);
            let Some(last) = rows.last() else {
                return;
            };
            after = last.order();
            for row in &rows {
                if row.kind == kind::MESSAGE && row.actor.company == own {
                    let (stream, head) = (row.stream(), row.envelope.head());
                    let at = row.clock.time();
                    self.note_unsettled(chat, stream, head, row.actor, row.id, at);
                }
            }
        }
    }

    /// Tells what became late since the last tick.
    pub(super) fn judge_deadlines(&mut self) {
        let now = now();
        let due = self.overdue.due.iter().filter(|(_, at)| **at <= now);
        let due: Vec<ChatId> = due.map(|(chat, _)| *chat).collect();
        for chat in due {
            self.overdue.due.remove(&chat);
            let messages = self.tell_overdue(chat, now);
            let companies = self.tell_lags(chat, now);
            if let Some(next) = [messages, companies].into_iter().flatten().min() {
                self.overdue.due.insert(chat, next);
            }
        }
    }

    /// Says so to the authors, and when the next message falls due.
    fn tell_overdue(&mut self, chat: ChatId, now: Time) -> Option<Time> {
        let deadline = self.overdue_after_ms();
        let delivered = Delivered::of(&self.replicator, &chat)?;
        let waiting = self.unsettled.get_mut(&chat)?;
        let mut next: Option<Time> = None;
        for message in waiting.iter_mut() {
            if message.stored_everywhere || message.told_overdue {
                continue;
            }
            if delivered.everywhere(message) {
                message.stored_everywhere = true;
                continue;
            }
            let due = message.at.plus_ms(deadline);
            if due > now {
                next = Some(next.map_or(due, |next| next.min(due)));
                continue;
            }
            message.told_overdue = true;
            let told = Announcement::Receipt(chat, message.id, message.author);
            self.announcements.push(told);
        }
        next.map(|due| due.max(now.plus_ms(JUDGED_EVERY_MS)))
    }

    /// Tells the chat's people when another company is late, or no longer is; and when that may change by itself.
    fn tell_lags(&mut self, chat: ChatId, now: Time) -> Option<Time> {
        let told = self.told_of(&chat);
        let before = if told.is_empty() {
            self.overdue.told.remove(&chat)
        } else {
            self.overdue.told.insert(chat, told.clone())
        };
        if before.unwrap_or_default() != told {
            self.announcements.push(Announcement::Chat(chat));
        }
        let after = [self.overdue_after_ms(), self.notice_after_ms()];
        let lacking = self.lacking(&chat).into_iter();
        let moments = lacking.flat_map(|(_, since)| after.map(|after| since.plus_ms(after)));
        moments.filter(|moment| *moment > now).min()
    }

    fn told_of(&self, chat: &ChatId) -> Vec<(CompanyId, bool)> {
        let lags = self.lags(chat).into_iter();
        lags.map(|(company, _, notice)| (company, notice)).collect()
    }
}
