//! Delivery statements and read registers: made here, taken from others, relayed by anyone.

use std::collections::{BTreeMap, BTreeSet};

use super::chat::{Chat, is_ancestor};
use super::{Alarm, Context, Output, ReadLog, Refusal, Register, Replicator};
use crate::clock::Time;
use crate::codec;
use crate::fields::Fields;
use crate::ids::{ChatId, CompanyId, Handle, Head, StreamId};
use crate::limits;
use crate::owner_log::StreamCut;
use crate::read::{self, ReadEntry, ReadRegister, RegisterPlace};
use crate::statement::{self, Statement, StatementContent};
use crate::suite::Random;

impl Replicator {
    /// Moves the read frontier of a local person: up to these heads everything was shown. Published by [`Self::pump`].
    pub fn mark_read(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        handle: Handle,
        heads: &[StreamCut],
    ) -> bool {
        #[cfg(feature = "sim")]
        let heads = &self.planted_watermark(chat_id, heads)[..];
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return false;
        };
        let delivered = chat.delivered();
        let clamped: Vec<StreamCut> = heads
            .iter()
            .map(|cut| clamp(cx.log, &chat_id, cut, &delivered))
            .collect();
        let entry = chat.own_reads.entry(handle).or_insert(ReadEntry {
            handle,
            time: cx.now,
            heads: Vec::new(),
            fields: Fields::none(),
        });
        let changed = merge_heads(cx.log, &chat_id, &mut entry.heads, &clamped);
        if changed {
            entry.time = cx.now;
            chat.read_due.insert(handle);
        }
        changed
    }

    /// The planted bug: everything up to the newest clock counts as read, late arrivals too.
    #[cfg(feature = "sim")]
    fn planted_watermark(&self, chat_id: ChatId, heads: &[StreamCut]) -> Vec<StreamCut> {
        if self.has_bug(super::Bug::SingleReadWatermark) {
            return self
                .chats
                .get(&chat_id)
                .map(super::Chat::heads)
                .unwrap_or_default();
        }
        heads.to_vec()
    }

    pub(super) fn publish_due(&mut self, cx: &mut Context<'_>) {
        let chats: Vec<ChatId> = self
            .chats
            .iter()
            .filter(|(_, c)| c.statement_due || !c.read_due.is_empty())
            .map(|(id, _)| *id)
            .collect();
        for chat_id in chats {
            self.publish_statement(cx, chat_id);
            self.publish_reads(cx, chat_id);
        }
    }

    fn publish_statement(&mut self, cx: &mut Context<'_>, chat_id: ChatId) {
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        let waited = cx.now.since(chat.statement_at) >= limits::STATEMENT_INTERVAL_MS
            || cx.now < chat.statement_at;
        if !waited || !chat.may_state(&self.company) {
            return;
        }
        let last = chat
            .statements
            .get(&self.node_key)
            .map_or(0, |statement| statement.content.number);
        let content = StatementContent {
            version: statement::VERSION,
            chat: chat_id,
            company: self.company,
            node: self.node_key,
            generation: self.generation,
            number: number_after(last, cx.now, cx.random),
            time: cx.now,
            owner_at: chat.owner().head(),
            heads: chat.delivered(),
            fields: Fields::none(),
        };
        chat.statement_due = false;
        chat.statement_at = cx.now;
        let statement = Statement::sign(self.suite, &self.node, content);
        if is_too_long(&statement) {
            return;
        }
        chat.statements.insert(self.node_key, statement.clone());
        cx.out
            .push(Output::StoreRegister(Register::Statement(statement)));
        self.mark_dirty(chat_id);
    }

    fn publish_reads(&mut self, cx: &mut Context<'_>, chat_id: ChatId) {
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        let waited =
            cx.now.since(chat.read_at) >= limits::READ_INTERVAL_MS || cx.now < chat.read_at;
        if !waited || !chat.may_publish_reads(&self.company) {
            return;
        }
        let epoch = chat.owner().epoch();
        let Some(key) = self.keys.get(&(chat_id, epoch)) else {
            return;
        };
        chat.read_at = cx.now;
        for (part, entries) in chat.due_parts() {
            let last = chat
                .reads
                .get(&(self.node_key, part))
                .map_or(0, |register| register.content.number);
            let place = RegisterPlace {
                chat: chat_id,
                company: self.company,
                node: self.node_key,
                part,
                number: number_after(last, cx.now, cx.random),
                epoch,
            };
            let register =
                ReadRegister::sign(self.suite, &self.node, key, place, &entries, &mut cx.random);
            chat.reads.insert((self.node_key, part), register.clone());
            cx.out.push(Output::StoreRegister(Register::Read(register)));
        }
        self.mark_dirty(chat_id);
    }

    /// When the next register of any chat may be published, if one waits.
    pub(super) fn next_publication(&self) -> Option<Time> {
        let due = self.chats.iter().flat_map(|(id, chat)| {
            let statement = chat
                .may_state(&self.company)
                .then(|| chat.statement_at.plus_ms(limits::STATEMENT_INTERVAL_MS));
            let has_key = self.keys.contains_key(&(*id, chat.owner().epoch()));
            let read = (has_key && chat.may_publish_reads(&self.company))
                .then(|| chat.read_at.plus_ms(limits::READ_INTERVAL_MS));
            [statement, read].into_iter().flatten()
        });
        due.min()
    }

    pub(super) fn receive_statement(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        statement: Statement,
    ) -> Result<(), Refusal> {
        let content = &statement.content;
        let chat_id = content.chat;
        self.check_register(partner, chat_id, content.company, &content.node)?;
        let number = content.number;
        if content.company == partner {
            self.note_stated_heads(cx, partner, &statement);
        }
        self.note_theirs(partner, chat_id, |theirs| {
            raise(&mut theirs.statements, statement.content.node, number)
        });
        let chat = self.chats.get(&chat_id).ok_or(Refusal::NotShared)?;
        if chat
            .statements
            .get(&content.node)
            .is_some_and(|held| held.content.number >= number)
        {
            return Ok(());
        }
        if is_too_long(&statement) || !statement.verify(self.suite) {
            return Err(Refusal::BadRegister);
        }
        if content.company == self.company {
            // An own statement from before a restore: later ones must be numbered after it.
            self.keep_register(Register::Statement(statement.clone()));
            cx.out
                .push(Output::StoreRegister(Register::Statement(statement)));
            if let Some(chat) = self.chats.get_mut(&chat_id) {
                chat.statement_due = true;
            }
            self.mark_dirty(chat_id);
            return Ok(());
        }
        if let Err(refusal) = self.check_own_heads(cx, chat_id, &content.heads) {
            self.doubt_own_past(cx, chat_id, content.company);
            return Err(refusal);
        }
        self.keep_register(Register::Statement(statement.clone()));
        self.mark_dirty(chat_id);
        cx.out.push(Output::StoreRegister(Register::Statement(
            statement.clone(),
        )));
        cx.out.push(Output::StatementArrived {
            chat: chat_id,
            statement: Box::new(statement),
        });
        Ok(())
    }

    /// What the partner itself states to have delivered it holds: nobody needs to relay it any more. What it stated
    /// before this link began may be from before a restore and says nothing.
    fn note_stated_heads(&mut self, cx: &Context<'_>, partner: CompanyId, statement: &Statement) {
        let content = &statement.content;
        let known = self
            .partners
            .get(&partner)
            .and_then(|partner| partner.link.as_ref())
            .and_then(|link| link.theirs.get(&content.chat))
            .and_then(|theirs| theirs.statements.get(&content.node).copied());
        if known.is_none_or(|known| known >= content.number) {
            return;
        }
        for cut in &content.heads {
            for head in &cut.heads {
                if cx.log.link(&content.chat, &head.hash).is_some() {
                    self.note_their_head(cx.log, partner, content.chat, cut.stream, *head);
                }
            }
        }
    }

    /// After a restart the last statement may have been lost, or never made: what was delivered is stated again.
    pub(super) fn note_statements_due(&mut self) {
        let (company, node) = (self.company, self.node_key);
        for chat in self.chats.values_mut() {
            let foreign = |cut: &&StreamCut| cut.stream.company != company;
            let stated = chat.statements.get(&node).map(|held| &held.content.heads);
            let stated = stated.into_iter().flatten().filter(foreign);
            chat.statement_due |= !stated.eq(chat.delivered().iter().filter(foreign));
        }
    }

    /// Nobody can have delivered what this node never wrote. Only of the stream that it writes now can that be said:
    /// others may have been forgotten in a restore, or a cut has closed them.
    fn check_own_heads(
        &self,
        cx: &Context<'_>,
        chat_id: ChatId,
        heads: &[StreamCut],
    ) -> Result<(), Refusal> {
        let Some(chat) = self.chats.get(&chat_id) else {
            return Ok(());
        };
        let present = chat.core.own.map(|incarnation| StreamId {
            company: self.company,
            node: self.node_key,
            incarnation,
        });
        for cut in heads.iter().filter(|cut| Some(cut.stream) == present) {
            let state = chat.core.streams.get(&cut.stream);
            let known = |head: &Head| {
                state.is_some_and(|state| state.has_head(head))
                    || cx.log.link(&chat_id, &head.hash).is_some()
            };
            if !cut.heads.iter().all(known) {
                return Err(Refusal::UnknownHeads);
            }
        }
        Ok(())
    }

    /// A company has seen what this node does not know to have written. It may lie, or this node was put back to an
    /// older copy without knowing. As with what partners claim to hold, it is believed once: the next event opens a new
    /// incarnation, and what was said of the old one is taken when it comes again.
    fn doubt_own_past(&mut self, cx: &mut Context<'_>, chat_id: ChatId, by: CompanyId) {
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        if chat.doubted_by.insert(by) && chat.core.own.take().is_some() {
            self.store_footing(cx, chat_id);
            cx.out.push(Output::Alarm(Alarm::Rollback {
                chat: chat_id,
                partner: by,
            }));
        }
    }

    pub(super) fn receive_read(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        register: ReadRegister,
    ) -> Result<(), Refusal> {
        let content = &register.content;
        let chat_id = content.chat;
        self.check_register(partner, chat_id, content.company, &content.node)?;
        if content.part >= limits::READ_PARTS {
            return Err(Refusal::BadRegister);
        }
        let (number, place) = (content.number, (content.node, content.part));
        self.note_theirs(partner, chat_id, |theirs| {
            raise(&mut theirs.reads, place, number)
        });
        let chat = self.chats.get(&chat_id).ok_or(Refusal::NotShared)?;
        if chat
            .reads
            .get(&place)
            .is_some_and(|held| held.content.number >= number)
        {
            return Ok(());
        }
        if is_too_long(&register) || !register.verify(self.suite) {
            return Err(Refusal::BadRegister);
        }
        if content.company == self.company && content.node == self.node_key {
            self.merge_own_reads(cx, &register);
        } else if let Err(refusal) = self.check_read_heads(cx, &register) {
            self.doubt_own_past(cx, chat_id, register.content.company);
            return Err(refusal);
        }
        self.keep_register(Register::Read(register.clone()));
        self.mark_dirty(chat_id);
        cx.out
            .push(Output::StoreRegister(Register::Read(register.clone())));
        cx.out.push(Output::ReadsArrived {
            chat: chat_id,
            register: Box::new(register),
        });
        Ok(())
    }

    /// Nobody can have read what this node never wrote. What a cut excluded may have been read before.
    fn check_read_heads(&self, cx: &Context<'_>, register: &ReadRegister) -> Result<(), Refusal> {
        let chat_id = register.content.chat;
        let chat = self.chats.get(&chat_id).ok_or(Refusal::NotShared)?;
        let entries = self.open_reads(register).unwrap_or_default();
        for cut in entries.iter().flat_map(|entry| &entry.heads) {
            let open = chat
                .core
                .streams
                .get(&cut.stream)
                .is_some_and(|state| state.closed.is_none());
            if open && cut.stream.node == self.node_key {
                self.check_own_heads(cx, chat_id, std::slice::from_ref(cut))?;
            }
        }
        Ok(())
    }

    /// After a restore the own register comes back from partners; what it says is never taken back.
    fn merge_own_reads(&mut self, cx: &Context<'_>, register: &ReadRegister) {
        let content = &register.content;
        let chat_id = content.chat;
        let Some(entries) = self.open_reads(register) else {
            return;
        };
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        for entry in entries {
            let own = chat.own_reads.entry(entry.handle).or_insert(ReadEntry {
                heads: Vec::new(),
                ..entry.clone()
            });
            merge_heads(cx.log, &chat_id, &mut own.heads, &entry.heads);
            own.time = own.time.max(entry.time);
            chat.read_due.insert(entry.handle);
        }
        chat.note_own_part(content.part);
        chat.reads_unsure = false;
    }

    /// The entries of a register, if its key is here.
    pub fn open_reads(&self, register: &ReadRegister) -> Option<Vec<ReadEntry>> {
        let content = &register.content;
        register.open(self.keys.get(&(content.chat, content.epoch))?)
    }

    fn check_register(
        &self,
        partner: CompanyId,
        chat_id: ChatId,
        company: CompanyId,
        node: &crate::ids::NodeKey,
    ) -> Result<(), Refusal> {
        let chat = self.chats.get(&chat_id).ok_or(Refusal::NotShared)?;
        if !chat.owner().is_member(&partner) || !chat.owner().is_member(&company) {
            return Err(Refusal::NotShared);
        }
        if self.roster.lists(&company, node) {
            Ok(())
        } else {
            Err(Refusal::BadRegister)
        }
    }

    /// The own register as it was stored last says what the people here have read.
    pub(super) fn restore_own_reads(&mut self, register: &ReadRegister) {
        let content = &register.content;
        if content.node != self.node_key {
            return;
        }
        let entries = self.open_reads(register).unwrap_or_default();
        if let Some(chat) = self.chats.get_mut(&content.chat) {
            let entries = entries.into_iter().map(|entry| (entry.handle, entry));
            chat.own_reads.extend(entries);
            chat.note_own_part(content.part);
        }
    }

    pub(super) fn keep_register(&mut self, register: Register) {
        match register {
            Register::Statement(statement) => {
                if let Some(chat) = self.chats.get_mut(&statement.content.chat) {
                    chat.statements.insert(statement.content.node, statement);
                }
            }
            Register::Read(register) => {
                if let Some(chat) = self.chats.get_mut(&register.content.chat) {
                    let place = (register.content.node, register.content.part);
                    chat.reads.insert(place, register);
                }
            }
        }
    }
}

/// Nobody takes it, so it is not even made: marks of this chat stand still, messages do not.
fn is_too_long<T: serde::Serialize>(register: &T) -> bool {
    codec::encode(register).len() > limits::REGISTER_BYTES
}

impl Chat {
    /// The parts of the own register that must be published, with their entries. When there are more parts than before,
    /// all of them.
    fn due_parts(&mut self) -> Vec<(u16, Vec<ReadEntry>)> {
        let due = std::mem::take(&mut self.read_due);
        let parts = read::parts_of(self.own_reads.values(), self.read_parts);
        let all = std::mem::replace(&mut self.read_parts, parts) != parts;
        let concerned: BTreeSet<u16> = due.iter().map(|who| read::part_of(who, parts)).collect();
        let mut split: BTreeMap<u16, Vec<ReadEntry>> = BTreeMap::new();
        for (handle, entry) in &self.own_reads {
            let part = read::part_of(handle, parts);
            if all || concerned.contains(&part) {
                split.entry(part).or_default().push(entry.clone());
            }
        }
        let fitted = |(part, entries)| (part, read::fitting(entries));
        split.into_iter().map(fitted).collect()
    }

    /// This node once published such a part: it never publishes fewer.
    fn note_own_part(&mut self, part: u16) {
        let parts = part.saturating_add(1).next_power_of_two();
        self.read_parts = self.read_parts.max(parts.min(limits::READ_PARTS));
    }
}

pub(super) fn raise<K: Ord>(numbers: &mut BTreeMap<K, u64>, of: K, number: u64) {
    let held = numbers.entry(of).or_insert(0);
    *held = (*held).max(number);
}

/// The number of the next register. A node that was put back to an older copy may number anew what others hold of it; the
/// part that is left to chance keeps two different registers from bearing one number, which nobody could tell apart.
fn number_after(last: u64, now: Time, random: &mut dyn Random) -> u64 {
    const CHANCE_BITS: u32 = 20;
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    let chance = u64::from(u32::from_le_bytes(bytes) >> (u32::BITS - CHANCE_BITS));
    let ms = now.0.max((last >> CHANCE_BITS).saturating_add(1));
    let number = (ms.min(u64::MAX >> CHANCE_BITS) << CHANCE_BITS) | chance;
    number.max(last.saturating_add(1))
}

/// Limits heads to what is delivered: a head that is not delivered yet counts as the delivered one before it.
fn clamp(log: &dyn ReadLog, chat: &ChatId, cut: &StreamCut, delivered: &[StreamCut]) -> StreamCut {
    let limit = delivered
        .iter()
        .find(|other| other.stream == cut.stream)
        .map_or(&[][..], |other| &other.heads);
    let inside = |head: &Head| {
        limit.contains(head) || limit.iter().any(|end| is_ancestor(log, chat, *head, *end))
    };
    let mut heads: Vec<Head> = cut.heads.iter().copied().filter(inside).collect();
    if heads.is_empty() {
        let reached = |end: &Head| {
            cut.heads
                .iter()
                .any(|head| is_ancestor(log, chat, *end, *head))
        };
        heads = limit.iter().copied().filter(reached).collect();
    }
    StreamCut {
        stream: cut.stream,
        heads,
    }
}

/// Pointwise maximum: adds the heads that go further, drops those that they cover. True when anything changed.
fn merge_heads(
    log: &dyn ReadLog,
    chat: &ChatId,
    held: &mut Vec<StreamCut>,
    new: &[StreamCut],
) -> bool {
    let mut changed = false;
    for cut in new.iter().filter(|cut| !cut.heads.is_empty()) {
        let index = match held.iter().position(|have| have.stream == cut.stream) {
            Some(index) => index,
            None => {
                held.push(StreamCut {
                    stream: cut.stream,
                    heads: Vec::new(),
                });
                held.len() - 1
            }
        };
        let Some(have) = held.get_mut(index) else {
            continue;
        };
        for head in &cut.heads {
            if have
                .heads
                .iter()
                .any(|old| is_ancestor(log, chat, *head, *old))
            {
                continue;
            }
            have.heads
                .retain(|old| !is_ancestor(log, chat, *old, *head));
            have.heads.push(*head);
            have.heads.sort_unstable();
            changed = true;
        }
    }
    held.sort_by_key(|cut| cut.stream);
    changed
}
