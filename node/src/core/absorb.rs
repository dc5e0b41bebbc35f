//! What the core does with each output of the replicator, in the order in which they come.

use std::time::Duration;

use crossport_protocol::clock::Time;
use crossport_protocol::codec;
use crossport_protocol::envelope::VerifiedEnvelope;
use crossport_protocol::event::{Event, MemberAction, MemberAsk, Notice, chat::notice};
use crossport_protocol::fold::{Actor, Fact as FoldFact, fold_member, target_of};
use crossport_protocol::ids::{ChatId, EventId, Handle, Head, LocalId, StreamId};
use crossport_protocol::limits;
use crossport_protocol::owner_log::StreamCut;
use crossport_protocol::read::ReadRegister;
use crossport_protocol::replicator::{Alarm, Draft, Output, Record, Register};
use crossport_protocol::statement::Statement;

use super::overdue::Delivered;
use super::{Announcement, Core, UNSETTLED_MAX, Unsettled, now};
use crate::journal::Position;
use crate::metrics::{Origin as MessageOrigin, Side};
use crate::store::{Fact, JournalEntry, StoreError};

/// The reason under which a register of others is counted that was not kept.
const REGISTERS_FULL: &str = "registers_full";
/// Questions for people who are not there that are answered in a minute, for each chat. Every answer is a message.
const UNKNOWN_PEOPLE: u32 = 32;
/// The reason under which the rest is counted.
const QUESTIONS: &str = "too_many_questions";

/// A partner asks that a person of this company joins or leaves.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    chat: ChatId,
    ask: MemberAsk,
}

impl Core {
    pub(super) fn absorb(&mut self, output: Output) {
        match output {
            Output::Store(record) => self.keep_record(record),
            Output::StoreRegister(register) => self.keep_register(&register),
            Output::StoreKey { chat, epoch, key } => {
                if let Err(error) = self.keystore.keep_epoch(chat, epoch, &key) {
                    // The key stays in memory; partners wrap it again after a restart.
                    tracing::error!(%error, "an epoch key could not be kept");
                }
            }
            Output::Delivered {
                chat,
                envelope,
                plains,
                ..
            } => self.count(chat, &envelope, &plains),
            Output::Voided { chat, envelopes } => {
                let done = self.store.voided(&chat, &envelopes);
                self.sound(done);
                self.people.remove(&chat);
                self.changed_chats.insert(chat);
                self.announcements.push(Announcement::Chat(chat));
            }
            Output::Erase { chat, target, by } => {
                let done = self.store.erase(&chat, target, by);
                self.sound(done);
            }
            Output::ChatChanged { chat } => {
                self.titles.remove(&chat);
                self.changed_chats.insert(chat);
                self.announcements.push(Announcement::Chat(chat));
            }
            Output::StatementArrived { chat, statement } => self.note_statement(chat, &statement),
            Output::ReadsArrived { chat, register } => self.note_reads(chat, &register),
            Output::Refused {
                partner,
                chat,
                refusal,
            } => {
                tracing::warn!(partner = %partner.short(), chat = chat.map(|chat| chat.short()), reason = refusal.name(), "refused");
                self.metrics.refused(Side::Partner, refusal.name());
                let count = self
                    .refusals
                    .entry(partner)
                    .or_default()
                    .entry(refusal.name())
                    .or_insert(0);
                *count = count.saturating_add(1);
                if refusal.is_garbled() {
                    self.note_garbled(partner);
                }
            }
            Output::Alarm(alarm) => self.alarm(&alarm),
        }
    }

    fn keep_record(&mut self, record: Record) {
        match &record {
            Record::Envelope { chat, .. }
            | Record::Owner { chat, .. }
            | Record::Footing { chat, .. } => {
                self.changed_chats.insert(*chat);
            }
            Record::Identity { .. } | Record::Exposure { .. } => {}
        }
        let done = self.store.stage(record);
        self.sound(done);
    }

    fn keep_register(&mut self, register: &Register) {
        let (name, value) = match register {
            Register::Statement(held) => (
                register_name(b'd', &held.content.chat, &held.content.node.0),
                codec::encode(held),
            ),
            Register::Read(held) => {
                let part = held.content.part.to_be_bytes();
                let node = [held.content.node.0.as_slice(), &part].concat();
                let name = register_name(b'r', &held.content.chat, &node);
                (name, codec::encode(held))
            }
        };
        let node = match register {
            Register::Statement(held) => held.content.node,
            Register::Read(held) => held.content.node,
        };
        let is_own = node == self.replicator.node_key();
        if !is_own && !self.store.has_room_for_foreign_registers() {
            // It stays in memory; its partner sends it again after a restart.
            self.metrics.refused(Side::Partner, REGISTERS_FULL);
            return;
        }
        self.store.put_register(name, Some(value), false);
        if let Register::Statement(held) = register
            && is_own
        {
            // When this node itself had stored what others wrote.
            let here = Actor {
                company: held.content.company,
                handle: Handle::ZERO,
            };
            self.store.note_read(
                &held.content.chat,
                &here,
                held.content.time,
                &held.content.heads,
            );
        }
    }

    /// Gives the replicator its registers back after a start.
    pub(super) fn read_registers(&mut self) {
        let limit = limits::FRAME_BYTES;
        for (_, value) in self.store.registers_with_prefix(b"d") {
            if let Ok(statement) = codec::decode::<Statement>(&value, limit) {
                self.replicator
                    .restore_register(Register::Statement(statement));
            }
        }
        for (_, value) in self.store.registers_with_prefix(b"r") {
            if let Ok(register) = codec::decode::<ReadRegister>(&value, limit) {
                self.replicator.restore_register(Register::Read(register));
            }
        }
    }

    pub(super) fn apply_unapplied(
        &mut self,
        position: Position,
        entry: JournalEntry,
    ) -> Result<(), StoreError> {
        match entry {
            JournalEntry::Protocol(record) => {
                self.store.stage_replayed(position, record.clone())?;
                if let Record::Envelope { chat, .. }
                | Record::Owner { chat, .. }
                | Record::Footing { chat, .. } = &record
                {
                    self.changed_chats.insert(*chat);
                }
                let replayed = self.replicate(|replicator, cx| replicator.replay(cx, record));
                if let Err(refusal) = replayed {
                    tracing::error!(reason = refusal.name(), %refusal, "a journal record is not taken by today's rules");
                }
            }
            JournalEntry::Fact(_) => {}
            JournalEntry::Damaged(damage) => {
                tracing::error!(%damage, "a stretch of the journal cannot be read; partners are asked for what it held");
            }
            JournalEntry::Unreadable { kind, cause } => {
                tracing::error!(kind, %cause, %position, "a journal record of a newer or unknown form is left as it is");
            }
        }
        Ok(())
    }

    /// An envelope counts: index it, show it, act on what concerns this company.
    fn count(&mut self, chat: ChatId, envelope: &VerifiedEnvelope, plains: &[Option<Vec<u8>>]) {
        let headers = &envelope.header.events;
        let events: Vec<Option<Event>> = headers
            .iter()
            .zip(plains)
            .map(|(header, plain)| {
                plain
                    .as_ref()
                    .and_then(|plain| Event::decode(header.kind, plain).ok())
            })
            .collect();
        let own = self.replicator.company();
        let done = self.store.counted(&chat, envelope, &events, &own);
        self.sound(done);
        self.changed_chats.insert(chat);
        let company = envelope.header.stream.company;
        for (place, (header, event)) in headers.iter().zip(events).enumerate() {
            let id = envelope.event_id(place);
            let actor = Actor {
                company,
                handle: header.actor,
            };
            let Some(event) = event else { continue };
            self.note_event(chat, envelope, actor, id, header.clock.time(), event);
        }
    }

    fn note_event(
        &mut self,
        chat: ChatId,
        envelope: &VerifiedEnvelope,
        actor: Actor,
        id: EventId,
        at: Time,
        event: Event,
    ) {
        match event {
            Event::Message(_) | Event::Notice(_) => {
                // The message that is answered has one reply more.
                if let Event::Message(message) = &event
                    && let Some(target) = message.reply_to
                {
                    self.announcements.push(Announcement::Message(chat, target));
                }
                let own = actor.company == self.replicator.company();
                // What is read back at a start was counted when it came.
                if !self.starting {
                    self.metrics.message_stored(if own {
                        MessageOrigin::Local
                    } else {
                        MessageOrigin::Partner
                    });
                }
                self.announcements.push(Announcement::Message(chat, id));
                let (stream, head) = (envelope.header.stream, envelope.head());
                self.note_unsettled(chat, stream, head, actor, id, at);
            }
            Event::Member(_) => {
                let clock = envelope
                    .header
                    .events
                    .get(usize::from(id.place))
                    .map(|header| header.clock);
                let fact = FoldFact {
                    id,
                    clock: clock.unwrap_or_default(),
                    actor,
                    event,
                };
                let mut people = self.people_of(&chat).clone();
                fold_member(&mut people, &fact);
                self.set_people(chat, people);
                self.announcements.push(Announcement::Chat(chat));
                self.announcements.push(Announcement::Message(chat, id));
            }
            // What this company asked of itself was done when it was asked; the question says by whom.
            Event::MemberAsk(ask) if ask.company == self.replicator.company() && !self.starting => {
                if actor.company != ask.company && self.may_ask(&chat, &actor, &ask) {
                    self.asks.push_back(Ask { chat, ask });
                }
            }
            Event::Edit(_) | Event::Delete(_) | Event::AdminDelete(_) | Event::Reaction(_) => {
                if let Some(target) = target_of(&event) {
                    self.announcements.push(Announcement::Message(chat, target));
                }
            }
            Event::MemberAsk(_) | Event::Resume(_) | Event::Unknown { .. } => {}
        }
    }

    /// Any company of the chat may ask somebody in; out only the owner, and a company its own people.
    fn may_ask(&self, chat: &ChatId, asker: &Actor, ask: &MemberAsk) -> bool {
        let owner = self.replicator.chat(chat).map(|held| held.owner().owner());
        ask.action == MemberAction::JOIN
            || Some(asker.company) == owner
            || asker.company == ask.company
    }

    pub(super) fn note_unsettled(
        &mut self,
        chat: ChatId,
        stream: StreamId,
        head: Head,
        actor: Actor,
        id: EventId,
        at: Time,
    ) {
        if actor.company != self.replicator.company() || self.starting {
            return;
        }
        let Some(author) = self
            .people_of(&chat)
            .get(&actor)
            .map(|member| member.user.local)
        else {
            return;
        };
        self.note_deadline(chat, at);
        let waiting = self.unsettled.entry(chat).or_default();
        waiting.push_back(Unsettled {
            id,
            stream,
            head,
            author,
            at,
            stored_everywhere: false,
            told_overdue: false,
        });
        if waiting.len() > UNSETTLED_MAX {
            waiting.pop_front();
        }
    }

    fn note_statement(&mut self, chat: ChatId, statement: &Statement) {
        let content = &statement.content;
        let node = Actor {
            company: content.company,
            handle: Handle::ZERO,
        };
        self.store
            .note_read(&chat, &node, content.time, &content.heads);
        let now = now();
        let newest = self.newest_covered(chat, &content.heads);
        if let Some(newest) = newest {
            self.metrics.delivered(
                &content.company.to_string(),
                Duration::from_millis(now.since(newest.at)),
            );
        }
        self.settle(chat);
        self.judge_again(chat);
    }

    fn note_reads(&mut self, chat: ChatId, register: &ReadRegister) {
        let company = register.content.company;
        let Some(entries) = self.replicator.open_reads(register) else {
            return;
        };
        for entry in entries {
            let actor = Actor {
                company,
                handle: entry.handle,
            };
            self.store
                .note_read(&chat, &actor, entry.time, &entry.heads);
            if let Some(newest) = self.newest_covered(chat, &entry.heads) {
                self.announcements
                    .push(Announcement::Receipt(chat, newest.id, newest.author));
            }
        }
    }

    fn newest_covered(&self, chat: ChatId, heads: &[StreamCut]) -> Option<Unsettled> {
        let waiting = self.unsettled.get(&chat)?;
        waiting.iter().rev().find(|own| covers(heads, own)).copied()
    }

    /// Own messages that every company has stored now are told once, by their newest.
    fn settle(&mut self, chat: ChatId) {
        let Some(delivered) = Delivered::of(&self.replicator, &chat) else {
            return;
        };
        let Some(waiting) = self.unsettled.get_mut(&chat) else {
            return;
        };
        let mut told: Vec<(LocalId, EventId)> = Vec::new();
        for message in waiting
            .iter_mut()
            .rev()
            .filter(|message| !message.stored_everywhere)
        {
            if !delivered.everywhere(message) {
                continue;
            }
            message.stored_everywhere = true;
            if !told.iter().any(|(author, _)| *author == message.author) {
                told.push((message.author, message.id));
            }
        }
        self.announcements.extend(
            told.into_iter()
                .map(|(author, id)| Announcement::Receipt(chat, id, author)),
        );
    }

    /// Lets the people join or leave that this company was asked for.
    pub(super) fn answer_asks(&mut self) {
        while let Some(Ask { chat, ask }) = self.asks.pop_front() {
            let drafts = self.answer_to(&chat, &ask);
            if drafts.is_empty() {
                continue;
            }
            let written = self.replicate(|replicator, cx| replicator.append(cx, chat, &drafts));
            if let Err(error) = written {
                tracing::warn!(chat = %chat.short(), %error, "an invitation could not be answered");
            }
        }
    }

    fn answer_to(&mut self, chat: &ChatId, ask: &MemberAsk) -> Vec<Draft> {
        let Some(user) = self.directory.user_by_nickname(&ask.nickname).cloned() else {
            let minute = now().0 / 60_000;
            let answered = self.unknown_asked.entry(*chat).or_default();
            if answered.0 != minute {
                *answered = (minute, 0);
            }
            answered.1 = answered.1.saturating_add(1);
            if answered.1 > UNKNOWN_PEOPLE {
                self.metrics.refused(Side::Partner, QUESTIONS);
                return Vec::new();
            }
            let notice = Notice {
                code: notice::NO_SUCH_PERSON,
                words: vec![ask.nickname.clone()],
            };
            return vec![Draft {
                actor: Handle::ZERO,
                event: Event::Notice(notice),
            }];
        };
        let present = self.handle_of(chat, &user.local);
        match (ask.action, present) {
            (MemberAction::JOIN, None) => vec![self.join_draft(chat, &user)],
            (MemberAction::LEAVE, Some(handle)) => vec![self.leave_draft(handle, &user)],
            _ => Vec::new(),
        }
    }

    fn alarm(&mut self, alarm: &Alarm) {
        let (what, subject) = match alarm {
            Alarm::Fork { chat, stream, .. } => (
                "alarm.fork",
                format!("chat {chat} company {}", stream.company),
            ),
            Alarm::OwnerFork { chat, seq } => {
                ("alarm.owner-fork", format!("chat {chat} record {seq}"))
            }
            Alarm::Rollback { chat, partner } => {
                ("alarm.rollback", format!("chat {chat} partner {partner}"))
            }
            Alarm::IdentityFork { company, seq } => (
                "alarm.identity-fork",
                format!("company {company} record {seq}"),
            ),
        };
        tracing::warn!(what, %subject, "alarm");
        self.metrics.refused(Side::Partner, what);
        self.audit("node", what, Some(subject));
    }

    /// Writes an administrative act down.
    pub fn audit(&mut self, who: &str, what: &str, subject: Option<String>) {
        let done = self.store.stage_fact(&Fact::Audit {
            at: now(),
            who: who.to_owned(),
            what: what.to_owned(),
            subject,
        });
        self.sound(done);
    }
}

/// True when the heads reach the message. Streams of this node are chains, so the sequence number decides.
pub(super) fn covers(heads: &[StreamCut], message: &Unsettled) -> bool {
    let of_stream = heads.iter().filter(|cut| cut.stream == message.stream);
    of_stream
        .flat_map(|cut| cut.heads.iter())
        .any(|head: &Head| head.seq >= message.head.seq)
}

fn register_name(table: u8, chat: &ChatId, node: &[u8]) -> Vec<u8> {
    [[table].as_slice(), &chat.0, node].concat()
}
