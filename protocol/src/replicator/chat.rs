//! One chat as this node holds it: the owner log, the streams, the newest registers, and what the node does next in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ReadLog;
use crate::clock::{Clock, Time};
use crate::envelope::VerifiedEnvelope;
use crate::ids::{ChatId, CompanyId, EventId, Handle, Hash, Head, NodeKey, StreamId};
use crate::limits;
use crate::owner_log::{Acceptance, OwnerLog, StreamCut};
use crate::read::{ReadEntry, ReadRegister};
use crate::statement::Statement;
use crate::stream::StreamState;

/// The part of a chat that follows from stored records: the index keeps it, so that a start reads no history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatCore {
    pub owner: OwnerLog,
    pub streams: BTreeMap<StreamId, StreamState>,
    /// The incarnation that this node continues; None when the next event opens a new one.
    pub own: Option<u64>,
    /// This company's answer to the invitation that is open.
    pub accepted: Option<Acceptance>,
    /// Deletes whose target has not arrived: (target, delete).
    pub deletes_ahead: BTreeMap<EventId, EventId>,
    /// False while this node, the owner's, cannot know that its owner log is the newest that it ever had.
    pub owner_sure: bool,
}

/// A chat with what is only in memory.
#[derive(Debug, Clone)]
pub struct Chat {
    pub(super) core: ChatCore,
    pub(super) statements: BTreeMap<NodeKey, Statement>,
    /// By node and part.
    pub(super) reads: BTreeMap<(NodeKey, u16), ReadRegister>,
    pub(super) own_reads: BTreeMap<Handle, ReadEntry>,
    pub(super) statement_due: bool,
    pub(super) statement_at: Time,
    /// The people whose entries are not published yet.
    pub(super) read_due: BTreeSet<Handle>,
    /// In how many parts the own entries are published.
    pub(super) read_parts: u16,
    pub(super) read_at: Time,
    /// Members who confirmed that they know no later owner record, while this node cannot be sure itself.
    pub(super) confirmed: BTreeSet<CompanyId>,
    /// The partners whose claim to hold more of this node's stream is believed and not proven yet.
    pub(super) doubted_by: BTreeSet<CompanyId>,
    /// This node may have forgotten what its people had read: partners say so before it publishes.
    pub(super) reads_unsure: bool,
    /// The footing differs from the one that is stored.
    pub(super) footing_due: bool,
    /// When something of a stream last arrived, for relaying.
    pub(super) arrived: BTreeMap<StreamId, Time>,
}

impl Chat {
    pub(super) fn new(owner: OwnerLog, continuity: bool) -> Chat {
        let core = ChatCore {
            owner,
            streams: BTreeMap::new(),
            own: None,
            accepted: None,
            deletes_ahead: BTreeMap::new(),
            owner_sure: true,
        };
        Chat::from_core(core, continuity)
    }

    pub(super) fn from_core(mut core: ChatCore, continuity: bool) -> Chat {
        if !continuity {
            core.own = None;
            core.owner_sure = false;
        }
        Chat {
            core,
            statements: BTreeMap::new(),
            reads: BTreeMap::new(),
            own_reads: BTreeMap::new(),
            statement_due: false,
            statement_at: Time(0),
            read_due: BTreeSet::new(),
            read_parts: 1,
            read_at: Time(0),
            confirmed: BTreeSet::new(),
            doubted_by: BTreeSet::new(),
            reads_unsure: !continuity,
            footing_due: !continuity,
            arrived: BTreeMap::new(),
        }
    }

    pub fn core(&self) -> &ChatCore {
        &self.core
    }

    pub fn id(&self) -> ChatId {
        self.core.owner.chat()
    }

    pub fn owner(&self) -> &OwnerLog {
        &self.core.owner
    }

    pub fn streams(&self) -> impl Iterator<Item = (&StreamId, &StreamState)> {
        self.core.streams.iter()
    }

    /// The newest statements of the companies that take part now.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        let current = |statement: &&Statement| self.owner().is_member(&statement.content.company);
        self.statements.values().filter(current)
    }

    /// The newest read registers of the companies that take part now.
    pub fn reads(&self) -> impl Iterator<Item = &ReadRegister> {
        let current = |register: &&ReadRegister| self.owner().is_member(&register.content.company);
        self.reads.values().filter(current)
    }

    pub(super) fn statement_numbers(&self) -> Vec<(NodeKey, u64)> {
        let statements = self.statements().map(|held| &held.content);
        statements.map(|held| (held.node, held.number)).collect()
    }

    pub(super) fn read_numbers(&self) -> Vec<(NodeKey, u16, u64)> {
        let reads = self.reads().map(|held| &held.content);
        reads
            .map(|held| (held.node, held.part, held.number))
            .collect()
    }

    pub fn own_reads(&self) -> &BTreeMap<Handle, ReadEntry> {
        &self.own_reads
    }

    /// The greatest clock that the node used here.
    pub(super) fn own_clock(&self, node: &NodeKey) -> Clock {
        let own = self
            .core
            .streams
            .iter()
            .filter(|(stream, _)| stream.node == *node);
        own.flat_map(|(_, state)| state.tips.iter().map(|tip| tip.clock))
            .max()
            .unwrap_or_default()
    }

    /// The position of the last removal of a company; 0 when there was none.
    pub(super) fn last_end_of(&self, company: &CompanyId) -> u64 {
        let spans = self.owner().spans().filter(|(of, _)| *of == company);
        let ends = spans.flat_map(|(_, spans)| spans.iter().filter_map(|span| span.until.as_ref()));
        ends.map(|(seq, _)| *seq).max().unwrap_or(0)
    }

    /// A statement is due and of use to somebody.
    pub(super) fn may_state(&self, company: &CompanyId) -> bool {
        self.statement_due && self.owner().is_member(company)
    }

    /// A read register is due, and nothing that was published before can be forgotten by it.
    pub(super) fn may_publish_reads(&self, company: &CompanyId) -> bool {
        let alone = self.owner().members().nth(1).is_none();
        !self.read_due.is_empty()
            && self.owner().is_member(company)
            && (alone || !self.reads_unsure)
    }

    /// Held heads of every stream, sorted: the frontier.
    pub fn heads(&self) -> Vec<StreamCut> {
        let cut = |(stream, state): (&StreamId, &StreamState)| StreamCut {
            stream: *stream,
            heads: state.sorted_heads(),
        };
        self.core.streams.iter().map(cut).collect()
    }

    /// One more stream or branch of the company counts.
    pub(super) fn has_room(&self, company: &CompanyId) -> bool {
        let own = self.core.streams.iter();
        let own = own.filter(|(stream, _)| stream.company == *company);
        let heads: usize = own.map(|(_, state)| state.tips.len()).sum();
        heads < limits::HEADS_PER_COMPANY
    }

    /// Heads whose past is not here and would be welcome: as many as a frontier names at once.
    pub(super) fn gaps(&self) -> Vec<StreamCut> {
        let gapped = self.core.streams.iter();
        let cut = |(stream, state): (&StreamId, &StreamState)| StreamCut {
            stream: *stream,
            heads: state.gaps.clone(),
        };
        let mut room = limits::FRONTIER_GAPS;
        let fitting = |mut cut: StreamCut| {
            cut.heads.truncate(room);
            room = room.saturating_sub(cut.heads.len());
            (!cut.heads.is_empty()).then_some(cut)
        };
        gapped.map(cut).filter_map(fitting).collect()
    }

    /// Delivered heads of every stream, sorted.
    pub fn delivered(&self) -> Vec<StreamCut> {
        let delivered = |(stream, state): (&StreamId, &StreamState)| {
            let heads = state.sorted_delivered();
            (!heads.is_empty()).then_some(StreamCut {
                stream: *stream,
                heads,
            })
        };
        self.core.streams.iter().filter_map(delivered).collect()
    }

    /// The 16 bytes that two nodes compare at a reconnect. For a company that does not take part only the part of the
    /// owner log that it may see counts.
    pub fn digest_for(&self, company: &CompanyId) -> [u8; 16] {
        let visible = self.core.owner.visible_to(company);
        let owner = self
            .core
            .owner
            .position(visible)
            .map_or(Hash::ZERO, |position| position.hash);
        let hash = if self.core.owner.is_member(company) {
            let state = crate::codec::encode(&(
                self.heads(),
                self.gaps(),
                self.statement_numbers(),
                self.read_numbers(),
            ));
            Hash::of(&[b"crossport/0/digest\0", &owner.0, &state])
        } else {
            Hash::of(&[b"crossport/0/digest\0", &owner.0])
        };
        let mut short = [0; 16];
        short.copy_from_slice(&hash.0[..16]);
        short
    }

    pub(super) fn is_barred(
        &self,
        chat: &ChatId,
        envelope: &VerifiedEnvelope,
        actor: &Handle,
        log: &dyn ReadLog,
    ) -> bool {
        let stream = envelope.header.stream;
        let cited = envelope.header.owner_at.seq;
        self.core.owner.bars().iter().any(|bar| {
            let concerns = bar.company == stream.company && bar.handle == *actor;
            // Cited after the bar was lifted: the bar says nothing of it.
            let over = bar.until.is_some_and(|until| cited >= until);
            let cut = bar.cut.iter().find(|cut| cut.stream == stream);
            concerns
                && !over
                && !cut.is_some_and(|cut| is_inside(log, chat, &cut.heads, envelope.head()))
        })
    }
}

/// True when `head` is equal to or an ancestor of one of `heads`.
pub(super) fn is_inside(log: &dyn ReadLog, chat: &ChatId, heads: &[Head], head: Head) -> bool {
    heads.iter().any(|end| is_ancestor(log, chat, head, *end))
}

/// True when `head` is `end` or lies before it, or may do so behind what is not held of the chain before `end`.
pub(super) fn may_lead_to(log: &dyn ReadLog, chat: &ChatId, head: Head, end: Head) -> bool {
    let mut at = end;
    while at.seq > head.seq {
        match log.link(chat, &at.hash) {
            Some(link) => at = link.parent,
            None => return true,
        }
    }
    at == head
}

/// True when `ancestor` is `head` or lies before it on its chain, as far as the chain is held.
pub(super) fn is_ancestor(log: &dyn ReadLog, chat: &ChatId, ancestor: Head, head: Head) -> bool {
    let mut at = head;
    while at.seq > ancestor.seq {
        match log.link(chat, &at.hash) {
            Some(link) => at = link.parent,
            None => return false,
        }
    }
    at == ancestor || ancestor == Head::START
}
