//! The all-seeing eye of a world: it knows every envelope that was ever written and checks each step of each node.
//!
//! It trusts nothing that the replicator says of itself: ancestors, cuts and durability are worked out again here, from
//! the signed headers and from what the simulated journals really hold.

mod observe;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::counts::{Counts, Invariant, Violation};
use super::log::header_of;
use super::shell::Shell;
use crate::clock::Clock;
use crate::frame::{EnvelopeItem, Frame};
use crate::ids::{ChatId, CompanyId, EventId, Handle, Hash, Head, NodeKey, StreamId};
use crate::owner_log::{OwnerLog, StreamCut};
use crate::replicator::Chat;
use crate::seal::NONCE_BYTES;
use crate::stream::Tip;
use crate::suite::Signature;

/// An envelope as its author made it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub stream: StreamId,
    pub parent: Head,
    pub cited: u64,
    signature: Signature,
    payloads: Vec<Hash>,
    /// Its author made it durable.
    committed: bool,
    bytes: u64,
}

/// What is known of one node.
#[derive(Debug, Clone, Default)]
pub(super) struct PerNode {
    /// Envelopes that are durable and count there.
    pub committed: BTreeSet<(ChatId, Hash)>,
    /// The same, voided or lost in a restore since or not.
    ever_committed: BTreeSet<Hash>,
    uncommitted: Vec<(ChatId, Hash)>,
    pub shown: BTreeSet<(ChatId, EventId)>,
    shown_uncommitted: Vec<(ChatId, EventId)>,
    voided: BTreeSet<Hash>,
    erased: BTreeSet<(ChatId, EventId)>,
    erased_uncommitted: Vec<(ChatId, EventId)>,
    recalled_uncommitted: Vec<EventId>,
    clocks: BTreeMap<StreamId, Clock>,
    clocks_uncommitted: Vec<(StreamId, Clock)>,
    /// The streams of which it said that they have branches.
    told_forks: BTreeSet<(ChatId, StreamId)>,
    /// It was put back to an older copy and knew it.
    pub restored: bool,
    /// It was put back to an older copy and could not know.
    pub rolled_back: bool,
    stated: BTreeMap<(ChatId, NodeKey), Vec<StreamCut>>,
    read: BTreeMap<(ChatId, NodeKey, Handle), Vec<StreamCut>>,
    asked: BTreeMap<(ChatId, Handle), Vec<Head>>,
}

impl PerNode {
    /// Something is not durable yet.
    fn waits(&self) -> bool {
        !(self.uncommitted.is_empty()
            && self.shown_uncommitted.is_empty()
            && self.clocks_uncommitted.is_empty()
            && self.erased_uncommitted.is_empty()
            && self.recalled_uncommitted.is_empty())
    }
}

/// How a call of the replicator came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Local,
    From(usize),
    Timer,
}

/// The watcher of one world.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    pub counts: Counts,
    companies: Vec<CompanyId>,
    nodes: Vec<NodeKey>,
    pub(super) known: Rc<BTreeMap<Hash, Known>>,
    nonces: Rc<BTreeMap<[u8; NONCE_BYTES], Hash>>,
    keys: BTreeMap<[u8; 32], (ChatId, u32)>,
    pub(super) per: Vec<Rc<PerNode>>,
    /// By whom.
    recalled: BTreeMap<EventId, usize>,
    /// Bytes of envelopes that nodes took from partners.
    pub(super) taken_bytes: u64,
    /// Bytes of envelopes that became void: partners may have sent on top of them before they knew.
    pub(super) voided_bytes: u64,
}

pub(super) type Checked = Result<(), Violation>;

impl Watch {
    pub fn new(shells: &[Rc<Shell>]) -> Watch {
        Watch {
            companies: shells.iter().map(|shell| shell.id()).collect(),
            nodes: shells
                .iter()
                .map(|shell| shell.replicator.node_key())
                .collect(),
            per: shells.iter().map(|_| Rc::default()).collect(),
            ..Watch::default()
        }
    }

    pub(super) fn index_of(&self, company: &CompanyId) -> Option<usize> {
        self.companies.iter().position(|held| held == company)
    }

    pub(super) fn company(&self, index: usize) -> CompanyId {
        self.companies
            .get(index)
            .copied()
            .unwrap_or(CompanyId::ZERO)
    }

    fn node(&self, index: usize) -> &PerNode {
        self.per.get(index).expect("as many as there are nodes")
    }

    fn node_mut(&mut self, index: usize) -> &mut PerNode {
        Rc::make_mut(self.per.get_mut(index).expect("as many as there are nodes"))
    }

    /// It was put back to an older copy, and could know so or not.
    pub(super) fn put_back(&mut self, index: usize, unknowing: bool) {
        let node = self.node_mut(index);
        node.restored |= !unknowing;
        node.rolled_back |= unknowing;
    }

    /// Whether a head is one of `ends` or lies before one; None when an end is nobody's envelope.
    pub(super) fn is_inside(&self, head: Head, ends: &[Head]) -> bool {
        ends.iter().any(|end| self.is_ancestor(head, *end))
    }

    pub(super) fn is_ancestor(&self, head: Head, end: Head) -> bool {
        let mut at = end;
        while at.seq > head.seq {
            match self.known.get(&at.hash) {
                Some(known) => at = known.parent,
                None => return false,
            }
        }
        at == head || head == Head::START
    }

    /// Whether a head lies after the place where a history begins in its stream. What lies before, and what branches
    /// off before, cannot be verified by whoever begins there.
    pub(super) fn is_owed(&self, head: Head, base: &[(StreamId, Head)]) -> bool {
        let stream = self.known.get(&head.hash).map(|known| known.stream);
        let begins = base.iter().filter(|(at, _)| Some(*at) == stream);
        let begins: Vec<Head> = begins.map(|(_, head)| *head).collect();
        let after = begins.iter().any(|begin| self.is_ancestor(*begin, head));
        begins.is_empty() || after && !self.is_inside(head, &begins)
    }

    /// Everything so far is durable at a node.
    pub fn committed(&mut self, index: usize) {
        if !self.node(index).waits() {
            return;
        }
        let own = self.nodes.get(index).copied();
        let node = Rc::make_mut(self.per.get_mut(index).expect("as many as there are nodes"));
        for (chat, hash) in node.uncommitted.drain(..) {
            node.committed.insert((chat, hash));
            node.ever_committed.insert(hash);
            let author = self.known.get(&hash).map(|known| known.stream.node);
            if author == own
                && let Some(known) = Rc::make_mut(&mut self.known).get_mut(&hash)
            {
                known.committed = true;
            }
        }
        node.shown.extend(node.shown_uncommitted.drain(..));
        node.clocks.extend(node.clocks_uncommitted.drain(..));
        node.erased.extend(node.erased_uncommitted.drain(..));
        let recalled = node.recalled_uncommitted.drain(..);
        self.recalled.extend(recalled.map(|event| (event, index)));
    }

    /// A node has started again. Without an older copy nothing that was durable may be missing.
    pub fn restarted(&mut self, index: usize, shell: &Shell, older_copy: bool) -> Checked {
        let node = Rc::make_mut(self.per.get_mut(index).expect("as many as there are nodes"));
        node.uncommitted.clear();
        node.clocks_uncommitted.clear();
        node.shown_uncommitted.clear();
        node.erased_uncommitted.clear();
        node.recalled_uncommitted.clear();
        if older_copy {
            let stored = |(chat, hash): &(ChatId, Hash)| shell.log.stored(chat, hash).is_some();
            node.committed.retain(stored);
            node.shown
                .retain(|(chat, event)| has_fact(shell, chat, event));
            node.erased.retain(|(chat, event)| {
                shell.log.stored(chat, &event.envelope).is_some()
                    && !has_payload(shell, chat, event)
            });
            node.voided.clear();
            node.stated.clear();
            node.read.clear();
            // An older copy does not know of its recalls.
            self.recalled.retain(|_, by| *by != index);
            return Ok(());
        }
        let (counts, node) = (&mut self.counts, &*node);
        for (chat, hash) in &node.committed {
            counts.check(
                Invariant::NothingLost,
                shell.log.stored(chat, hash).is_some(),
                || format!("node {index} lost {hash:?} in a crash"),
            )?;
        }
        for (chat, event) in &node.shown {
            counts.check(
                Invariant::DeliveredNeverBack,
                has_fact(shell, chat, event),
                || format!("node {index} showed {event} before a crash and does not now"),
            )?;
        }
        for (chat, event) in &node.erased {
            counts.check(
                Invariant::ErasedStaysErased,
                !has_payload(shell, chat, event),
                || format!("node {index} has the text of {event} again after a crash"),
            )?;
        }
        Ok(())
    }

    /// A person was shown everything up to these heads and the client said so.
    pub fn asked_to_mark_read(
        &mut self,
        index: usize,
        chat: ChatId,
        handle: Handle,
        heads: &[StreamCut],
    ) {
        let asked = self
            .node_mut(index)
            .asked
            .entry((chat, handle))
            .or_default();
        asked.extend(heads.iter().flat_map(|cut| cut.heads.iter().copied()));
        asked.sort_unstable();
        asked.dedup();
    }

    /// A message was taken back: nobody else may have its text, now or ever.
    pub fn recalled(
        &mut self,
        index: usize,
        shells: &[Rc<Shell>],
        chat: ChatId,
        event: EventId,
    ) -> Checked {
        if !self.node(index).rolled_back {
            self.node_mut(index).recalled_uncommitted.push(event);
        }
        for (other, shell) in shells
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
        {
            // Who was put back unknowingly has forgotten what it sent.
            let excused = self.node(index).rolled_back;
            self.counts.check(
                Invariant::RecallIsCertain,
                excused || !has_payload(shell, &chat, &event),
                || format!("node {index} recalled {event}, but node {other} has it"),
            )?;
        }
        Ok(())
    }

    /// What leaves for a partner is only what the sender knows the partner to be entitled to.
    pub fn sends(&mut self, index: usize, shell: &Shell, to: CompanyId, frame: &[u8]) -> Checked {
        let carries_data = matches!(frame.first(), Some(6..=9));
        let Some(Ok(frame)) = carries_data.then(|| Frame::decode(frame)) else {
            return Ok(());
        };
        let owner = |chat: &ChatId| shell.replicator.chat(chat).map(|chat| chat.owner());
        let is_member =
            |chat: &ChatId| owner(chat).is_some_and(|owner: &OwnerLog| owner.is_member(&to));
        let chats: Vec<ChatId> = match &frame {
            Frame::Envelopes(envelopes) => vec![envelopes.chat],
            Frame::Statements(held) => held.iter().map(|held| held.content.chat).collect(),
            Frame::Reads(held) => held.iter().map(|held| held.content.chat).collect(),
            Frame::Wraps(wraps) => {
                for wrap in wraps {
                    let entitled = owner(&wrap.chat)
                        .is_some_and(|owner| owner.entitled(&to).contains(&wrap.epoch));
                    self.counts
                        .check(Invariant::KeysOnlyToEntitled, entitled, || {
                            format!(
                                "node {index} sent the key of epoch {} to {to:?}",
                                wrap.epoch
                            )
                        })?;
                }
                Vec::new()
            }
            _ => Vec::new(),
        };
        for chat in chats {
            self.counts
                .check(Invariant::DataOnlyToMembers, is_member(&chat), || {
                    format!("node {index} sent data of {chat:?} to {to:?}, who takes no part")
                })?;
        }
        Ok(())
    }

    /// What one node says of itself fits together.
    pub fn inspect(&mut self, index: usize, shell: &Shell) -> Checked {
        for (_, chat) in shell.replicator.chats() {
            for (stream, state) in chat.streams() {
                let tips: Vec<Head> = state.heads().collect();
                let within = state
                    .delivered
                    .iter()
                    .all(|head| tips.contains(head) || self.is_inside(*head, &tips));
                self.counts
                    .check(Invariant::DeliveredWithinHeld, within, || {
                        format!(
                            "node {index} delivered more of {stream:?} than it holds: {state:?}"
                        )
                    })?;
                if state.is_forked() {
                    self.inspect_fork(index, chat, *stream)?;
                }
            }
            for (handle, entry) in chat.own_reads() {
                self.inspect_reads(index, chat, handle, &entry.heads)?;
            }
        }
        Ok(())
    }

    /// Two branches that a node holds it has told somebody of. Where a history begins within the stream, a branch may also
    /// be what was missing before that.
    fn inspect_fork(&mut self, index: usize, chat: &Chat, stream: StreamId) -> Checked {
        let mut spans = chat.owner().spans().flat_map(|(_, spans)| spans);
        if spans.any(|span| span.base.iter().any(|(at, _)| *at == stream)) {
            return Ok(());
        }
        let told = self.node(index).told_forks.contains(&(chat.id(), stream));
        self.counts.check(Invariant::ForksAreTold, told, || {
            format!("node {index} holds two branches of {stream:?} and told nobody")
        })
    }

    /// Where the history of a node's company began, each time that it was added.
    fn beginnings(&self, index: usize, chat: &Chat) -> Vec<(StreamId, Tip)> {
        let company = self.company(index);
        let spans = chat.owner().spans().filter(|(of, _)| **of == company);
        let spans = spans.flat_map(|(_, spans)| spans);
        spans.flat_map(|span| span.base.clone()).collect()
    }

    fn inspect_reads(
        &mut self,
        index: usize,
        chat: &Chat,
        handle: &Handle,
        heads: &[StreamCut],
    ) -> Checked {
        let delivered = chat.delivered();
        let base = self.beginnings(index, chat);
        let node = self.per.get(index).expect("as many as there are nodes");
        let asked = node
            .asked
            .get(&(chat.id(), *handle))
            .map_or(&[][..], |asked| asked);
        for cut in heads {
            let reached = delivered.iter().find(|held| held.stream == cut.stream);
            let reached = reached.map_or(&[][..], |held| &held.heads);
            for head in &cut.heads {
                let shown = self.is_inside(*head, asked);
                self.counts
                    .check(Invariant::ReadOnlyWhatWasShown, shown, || {
                        format!(
                            "node {index} has {head:?} read by {handle:?}, who was never shown it"
                        )
                    })?;
                // After a restore the own register may name what is still on its way back; after a cut what is void.
                let node = self.per.get(index).expect("as many as there are nodes");
                // Before a place where the history began nothing is delivered any more.
                let mut begins = base.iter().filter(|(stream, _)| *stream == cut.stream);
                let is_before = begins.any(|(_, tip)| head.seq <= tip.head.seq);
                let excused = node.restored
                    || node.rolled_back
                    || is_before
                    || node.voided.contains(&head.hash);
                let within = excused || self.is_inside(*head, reached);
                self.counts
                    .check(Invariant::ReadWithinDelivered, within, || {
                        format!(
                            "node {index} has {head:?} read by {handle:?}, which is not delivered"
                        )
                    })?;
            }
        }
        Ok(())
    }
}

fn has_fact(shell: &Shell, chat: &ChatId, event: &EventId) -> bool {
    shell
        .facts
        .get(chat)
        .is_some_and(|facts| facts.contains_key(event))
}

pub(super) fn has_payload(shell: &Shell, chat: &ChatId, event: &EventId) -> bool {
    shell
        .log
        .stored(chat, &event.envelope)
        .and_then(|stored| stored.item.envelope.payloads.get(usize::from(event.place)))
        .is_some_and(|payload| !payload.0.is_empty())
}

fn known_of(item: &EnvelopeItem) -> Known {
    let header = header_of(&item.envelope);
    Known {
        stream: header.stream,
        parent: Head {
            seq: header.first_seq.saturating_sub(1),
            hash: header.prev,
        },
        cited: header.owner_at.seq,
        signature: item.envelope.signature,
        payloads: header
            .events
            .iter()
            .map(|event| event.payload_hash)
            .collect(),
        committed: false,
        bytes: item.wire_bytes() as u64,
    }
}
