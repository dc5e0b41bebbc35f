//! The end of a world: everything is repaired, nobody writes any more, and all must agree.

use std::collections::{BTreeMap, BTreeSet};

use super::deleted::owner_of;
use super::{Habits, Made, World};
use crate::event::{Event, kind};
use crate::fold::{Actor, Fact, fold_message, target_of};
use crate::ids::{ChatId, CompanyId, EventId, Hash, Head, StreamId};
use crate::owner_log::{History, OwnerLog, StreamCut};

use crate::replicator::{Chat, ReadLog, Replicator};
use crate::sim::counts::{Fault, Invariant, Violation};
use crate::sim::shell::{Seen, Shell};
use crate::sim::watch::{Cause, Checked, Watch, has_payload};

/// Rounds in which time passes and links compare what they hold.
const ROUNDS: usize = 24;
/// Who wants to be woken later than this is left to the passing of time.
const SOON_MS: u64 = 5_000;
/// Frames of one healing: far more than any world needs, and an end to one that talks for ever.
const FRAMES: u64 = 60_000;

impl World {
    pub(super) fn heal(&mut self) -> Checked {
        self.habits = Habits::default();
        self.note(|| "healing".to_owned());
        for index in 0..self.nodes.len() {
            self.start(index, true, usize::MAX)?;
        }
        for index in 0..self.nodes.len() {
            if self.is_up(index) {
                self.flush(index)?;
            }
        }
        for wire in &mut self.wires {
            wire.blocked = false;
        }
        let useful = |watch: &Watch| watch.taken_bytes + watch.voided_bytes;
        let before = (useful(&self.watch), self.data_bytes);
        let mut apart = None;
        for round in 0..ROUNDS {
            // Frames that were put out of order before may still end a link: nodes come back to each other.
            for wire in 0..self.wires.len() {
                self.link_up(wire)?;
            }
            self.drain()?;
            let ms = if round < 12 { 11_000 } else { 700_000 };
            self.now = self.now.plus_ms(ms);
            for index in (0..self.nodes.len())
                .filter(|index| !self.down[*index])
                .collect::<Vec<_>>()
            {
                self.call(index, Cause::Timer, Replicator::tick)?;
                self.flush(index)?;
            }
            self.drain()?;
            if round == 0 {
                continue;
            }
            apart = self.apart();
            if apart.is_none() {
                break;
            }
        }
        if let Some(detail) = apart {
            return Err(Violation {
                invariant: Invariant::EqualFrontiers,
                detail,
            });
        }
        self.check_catch_up(before)?;
        self.check_end()
    }

    /// Delivers until nothing is under way and nobody wants to be woken soon.
    pub(super) fn drain(&mut self) -> Checked {
        let limit = self.watch.counts.frames + FRAMES;
        for _ in 0..400 {
            while let Some((wire, side)) = self.busy_wire() {
                self.deliver(wire, side)?;
                let frames = self.watch.counts.frames;
                self.watch
                    .counts
                    .check(Invariant::Quiescence, frames < limit, || {
                        "the nodes talk without end".to_owned()
                    })?;
            }
            let waits = (0..self.nodes.len())
                .filter(|index| self.is_up(*index))
                .filter_map(|index| {
                    let due = self.node(index).replicator.next_wake()?;
                    Some((due.since(self.now_at(index)), index))
                })
                .min();
            let Some((ms, index)) = waits.filter(|(ms, _)| *ms <= SOON_MS) else {
                return Ok(());
            };
            self.now = self.now.plus_ms(ms);
            self.call(index, Cause::Timer, Replicator::tick)?;
            self.flush(index)?;
        }
        Err(Violation {
            invariant: Invariant::Quiescence,
            detail: "the nodes are woken without end".to_owned(),
        })
    }

    fn busy_wire(&self) -> Option<(usize, usize)> {
        self.wires.iter().enumerate().find_map(|(index, wire)| {
            let side = wire.queues.iter().position(|queue| !queue.is_empty())?;
            Some((index, side))
        })
    }

    /// Envelopes that were sent while healing, against what was lacking. Several partners may answer one question at
    /// once, so the bound grows with them; two nodes alone are measured exactly elsewhere.
    fn check_catch_up(&mut self, before: (u64, u64)) -> Checked {
        let forked = |made: &Made| self.is_forked(&made.id);
        if self.chats.iter().any(forked) {
            return Ok(());
        }
        let gained = self.watch.taken_bytes + self.watch.voided_bytes - before.0;
        let sent = self.data_bytes.saturating_sub(before.1);
        let partners = self.nodes.len() as u64;
        let bound = 2 * partners * gained + 20_000 * self.chats.len() as u64;
        self.watch
            .counts
            .check(Invariant::CatchUpBytes, sent <= bound, || {
                format!("{sent} bytes were sent for {gained} that were lacking")
            })
    }

    /// Nodes that should agree in a chat: alive, taking part as far as the longest log within reach says, and linked
    /// with each other. Chats whose owner log has forked wait for people.
    fn circles(&self, chat: &ChatId) -> Vec<Vec<usize>> {
        let here: BTreeSet<usize> = (0..self.nodes.len())
            .filter(|index| self.is_up(*index) && self.owner_log(*index, chat).is_some())
            .collect();
        let mut circles = Vec::new();
        let mut open = self.connected(&here);
        while let Some(reach) = open.pop() {
            let longest = reach
                .iter()
                .filter_map(|index| self.owner_log(*index, chat))
                .max_by_key(|owner| owner.head().seq);
            let Some(longest) = longest else { continue };
            let members: BTreeSet<usize> = reach
                .iter()
                .copied()
                .filter(|index| longest.is_member(&self.watch.company(*index)))
                .collect();
            // Who takes no part passes nothing on: what it knows counts only among those who are left when it is not.
            match members.len() == reach.len() {
                true => circles.push(reach),
                false => open.extend(self.connected(&members)),
            }
        }
        circles
    }

    fn connected(&self, among: &BTreeSet<usize>) -> Vec<Vec<usize>> {
        let mut left = among.clone();
        let mut groups = Vec::new();
        while let Some(first) = left.pop_first() {
            let mut group = vec![first];
            let mut at = 0;
            while let Some(node) = group.get(at).copied() {
                at += 1;
                let next: Vec<usize> = left
                    .iter()
                    .copied()
                    .filter(|other| self.index_of_wire(node, *other).is_some())
                    .collect();
                left.retain(|other| !next.contains(other));
                group.extend(next);
            }
            groups.push(group);
        }
        groups
    }

    fn owner_log(&self, index: usize, chat: &ChatId) -> Option<&OwnerLog> {
        Some(self.node(index).replicator.chat(chat)?.owner())
    }

    /// Two owner records at one position, anywhere: people must decide, agreement is not to be had.
    pub(super) fn is_forked(&self, chat: &ChatId) -> bool {
        let logs: Vec<&OwnerLog> = (0..self.nodes.len())
            .filter_map(|index| self.owner_log(index, chat))
            .collect();
        logs.iter().any(|one| {
            one.is_frozen()
                || logs.iter().any(|other| {
                    let seq = one.head().seq.min(other.head().seq);
                    one.position(seq) != other.position(seq)
                })
        })
    }

    /// The first difference between nodes that should agree.
    fn apart(&mut self) -> Option<String> {
        let chats: Vec<ChatId> = self.chats.iter().map(|made| made.id).collect();
        chats
            .iter()
            .filter(|chat| !self.is_forked(chat))
            .find_map(|chat| {
                self.circles(chat).iter().find_map(|circle| {
                    let (first, rest) = circle.split_first()?;
                    rest.iter()
                        .find_map(|other| self.differ(chat, *first, *other))
                })
            })
    }

    fn differ(&self, chat_id: &ChatId, one: usize, other: usize) -> Option<String> {
        let [a, b] = [one, other].map(|index| self.node(index).replicator.chat(chat_id));
        let (a, b) = (a?, b?);
        let what = if a.owner().head() != b.owner().head() {
            format!("owner log {:?} {:?}", a.owner().head(), b.owner().head())
        } else if !self.has_lost_key(a, one)
            && !self.has_lost_key(b, other)
            && self.known_heads(a, [one, other]) != self.known_heads(b, [one, other])
        {
            let [first, second] = [a, b].map(|chat| self.known_heads(chat, [one, other]));
            let only = |these: &[StreamCut], those: &[StreamCut]| {
                let others = these.iter().filter(|cut| !those.contains(cut));
                others.map(told_cut).collect::<Vec<_>>()
            };
            let bases = |chat: &Chat| {
                let of = [one, other].map(|index| self.watch.company(index));
                let begins = of.iter().flat_map(|company| chat.owner().base(company));
                begins.map(|(_, tip)| tip.head).collect::<Vec<_>>()
            };
            format!(
                "heads only at {one} {:?}, only at {other} {:?}, histories begin at {:?}",
                only(&first, &second),
                only(&second, &first),
                bases(a)
            )
        } else if self.waits(a, one) || self.waits(b, other) {
            format!("delivered {:?} {:?}", a.delivered(), b.delivered())
        } else if !a.statements().eq(b.statements()) {
            let only = |these: &Chat, those: &Chat| {
                let mut held = these.statements();
                held.find(|one| !those.statements().any(|other| other == *one))
                    .cloned()
            };
            format!("statements {:?} {:?}", only(a, b), only(b, a))
        } else if !a.reads().eq(b.reads()) {
            let numbers = |chat: &Chat| {
                let held = chat.reads().map(|held| &held.content);
                held.map(|held| (held.node, held.number))
                    .collect::<Vec<_>>()
            };
            format!("read registers {:?} {:?}", numbers(a), numbers(b))
        } else {
            return None;
        };
        Some(format!(
            "nodes {one} and {other} differ in {chat_id:?}: {what}"
        ))
    }

    /// Something held is not delivered although a partner has every key that this needs.
    fn waits(&self, chat: &Chat, index: usize) -> bool {
        let whole = chat.streams().all(|(_, state)| state.is_delivered_whole());
        !whole && !self.has_lost_key(chat, index)
    }

    /// A node is entitled to a key that nobody within its reach has any more. What it sealed waits for ever, and so does
    /// what a delete under it erased: nobody can prove any more what was to be deleted.
    fn has_lost_key(&self, chat: &Chat, index: usize) -> bool {
        let (id, company) = (chat.id(), self.watch.company(index));
        let has = |other: usize, epoch: u32| {
            let linked = self.is_up(other) && self.index_of_wire(index, other).is_some();
            // Who was removed is not asked any more.
            let member = chat.owner().is_member(&self.watch.company(other));
            linked && member && self.node(other).replicator.key(&id, epoch).is_some()
        };
        let mut lacking = chat.owner().entitled(&company).into_iter();
        lacking.any(|epoch| {
            self.node(index).replicator.key(&id, epoch).is_none()
                && !(0..self.nodes.len()).any(|other| has(other, epoch))
        })
    }

    /// The heads of a chat that two nodes can bring to each other. Apart from these are heads that only say where the
    /// history of one of them begins, and which neither has: they may be what nobody has any more.
    fn known_heads(&self, chat: &Chat, nodes: [usize; 2]) -> Vec<StreamCut> {
        let id = chat.id();
        let mut heads = chat.heads();
        for cut in &mut heads {
            let is_here = |head: &Head| {
                let mut logs = nodes.iter().map(|node| &self.node(*node).log);
                logs.any(|log| log.stored(&id, &head.hash).is_some())
            };
            let begins = nodes.iter().flat_map(|node| {
                let company = self.watch.company(*node);
                let base = chat.owner().base(&company).iter();
                base.filter(|(stream, _)| *stream == cut.stream)
            });
            let begins = begins.map(|(_, tip)| tip.head.seq).max().unwrap_or(0);
            cut.heads.retain(|head| head.seq > begins && is_here(head));
        }
        heads.retain(|cut| !cut.heads.is_empty());
        heads
    }

    fn check_end(&mut self) -> Checked {
        let chats: Vec<ChatId> = self.chats.iter().map(|made| made.id).collect();
        for chat in chats {
            for index in 0..self.nodes.len() {
                self.check_deleted(index, &chat)?;
                self.check_cuts(index, &chat)?;
                self.check_readded(index, &chat)?;
            }
            if self.is_forked(&chat) {
                continue;
            }
            self.watch
                .counts
                .check(Invariant::EqualFrontiers, true, String::new)?;
            for circle in self.circles(&chat) {
                let lost = circle.iter().any(|index| {
                    let held = self.node(*index).replicator.chat(&chat);
                    held.is_some_and(|held| self.has_lost_key(held, *index))
                });
                if lost {
                    self.watch.counts.fault(Fault::KeyLost);
                }
                self.check_state(&chat, &circle)?;
            }
        }
        Ok(())
    }

    fn check_cuts(&mut self, index: usize, chat: &ChatId) -> Checked {
        let shell = self.nodes.get(index).expect("as many as there are nodes");
        let envelopes: BTreeSet<Hash> = shell
            .facts
            .get(chat)
            .into_iter()
            .flatten()
            .map(|(event, _)| event.envelope)
            .collect();
        for hash in envelopes {
            let Some(stored) = shell.log.stored(chat, &hash) else {
                continue;
            };
            let counts = self.watch.counts_for(shell, *chat, stored.link.tip.head);
            self.watch
                .counts
                .check(Invariant::NothingBeyondCut, counts, || {
                    format!("node {index} shows {hash:?}, which a cut excludes")
                })?;
        }
        Ok(())
    }

    /// What a company wrote after it was added again, and what no cut excludes, is shown wherever it is held.
    fn check_readded(&mut self, index: usize, chat: &ChatId) -> Checked {
        let shell = self.nodes.get(index).expect("as many as there are nodes");
        let Some(held) = shell.replicator.chat(chat) else {
            return Ok(());
        };
        let facts = shell.facts.get(chat);
        for (company, spans) in held.owner().spans() {
            let Some(again) = spans.get(1) else { continue };
            for (hash, stored) in shell.log.envelopes(chat) {
                let state = held.streams().find(|(id, _)| **id == stored.link.stream);
                let is_whole = state.is_some_and(|(_, state)| state.is_delivered_whole());
                let after = stored.link.tip.owner_at.seq >= again.from;
                if stored.link.stream.company != *company || !after || !is_whole {
                    continue;
                }
                let event = EventId {
                    envelope: *hash,
                    place: 0,
                };
                let shown = facts.is_some_and(|facts| facts.contains_key(&event));
                let counts = self.watch.counts_for(shell, *chat, stored.link.tip.head);
                self.watch
                    .counts
                    .check(Invariant::ReaddedCounts, shown || !counts, || {
                        format!("node {index} holds {event} of a company that was added again and does not show it")
                    })?;
            }
        }
        Ok(())
    }

    /// Everybody shows everything that anybody shows, apart from what lies before their history.
    fn check_state(&mut self, chat: &ChatId, circle: &[usize]) -> Checked {
        let mut all: BTreeMap<EventId, Head> = BTreeMap::new();
        for index in circle {
            let shell = self.node(*index);
            for event in shell
                .facts
                .get(chat)
                .into_iter()
                .flatten()
                .map(|(id, _)| id)
            {
                if let Some(stored) = shell.log.stored(chat, &event.envelope) {
                    all.insert(*event, stored.link.tip.head);
                }
            }
        }
        let mut hashes: BTreeMap<Hash, (usize, Hash)> = BTreeMap::new();
        for index in circle {
            let company = self.watch.company(*index);
            let Some(owner) = self.owner_log(*index, chat) else {
                continue;
            };
            let base: Vec<(StreamId, Head)> = owner
                .base(&company)
                .iter()
                .map(|(stream, tip)| (*stream, tip.head))
                .collect();
            let full = owner.history() == History::FULL;
            let facts = self.node(*index).facts.get(chat);
            let lacks = all.iter().find(|(event, head)| {
                !facts.is_some_and(|facts| facts.contains_key(event))
                    && self.watch.is_owed(**head, &base)
                    && !self.is_stuck(*index, chat, head)
                    && self.partner_shows(*index, circle, chat, event)
            });
            let lacks = lacks.map(|(event, _)| *event);
            self.watch
                .counts
                .check(Invariant::NothingLost, lacks.is_none(), || {
                    format!("node {index} does not show {lacks:?}, others of its circle do")
                })?;
            let (events, state) = self.state_hash(*index, chat)?;
            let (other, held) = *hashes.entry(events).or_insert((*index, state));
            self.watch
                .counts
                .check(Invariant::EqualState, held == state, || {
                    format!("nodes {index} and {other} fold the same events to different states")
                })?;
            let readable = full.then(|| self.unreadable(*index, chat));
            let unreadable = readable.flatten();
            self.watch
                .counts
                .check(Invariant::DeliveredNeverBack, unreadable.is_none(), || {
                    format!("node {index} cannot read {unreadable:?} though history is full")
                })?;
        }
        Ok(())
    }

    /// What a node holds of a stream waits for a key: whether anybody has it, [`Self::waits`] asks. Or nobody has it.
    fn is_stuck(&self, index: usize, chat: &ChatId, head: &Head) -> bool {
        let shell = self.node(index);
        let stored = shell.log.stored(chat, &head.hash);
        let held = shell.replicator.chat(chat);
        if held.is_some_and(|held| self.has_lost_key(held, index)) {
            return true;
        }
        stored.zip(held).is_some_and(|(stored, held)| {
            let mut streams = held.streams();
            streams
                .any(|(stream, state)| *stream == stored.link.stream && !state.is_delivered_whole())
        })
    }

    /// A node gets back what a partner of its own has; what lies behind one that joined later is out of reach.
    fn partner_shows(
        &self,
        index: usize,
        circle: &[usize],
        chat: &ChatId,
        event: &EventId,
    ) -> bool {
        let mut partners = circle
            .iter()
            .filter(|other| self.index_of_wire(index, **other).is_some());
        partners.any(|other| {
            let shell = self.node(*other);
            let Some(held) = shell.replicator.chat(chat) else {
                return false;
            };
            let mut ends = held.streams().flat_map(|(_, state)| state.heads());
            ends.any(|end| leads_to(shell, chat, end, &event.envelope))
        })
    }

    /// With full history whatever is not erased is readable.
    fn unreadable(&self, index: usize, chat: &ChatId) -> Option<EventId> {
        let shell = self.node(index);
        let facts = shell.facts.get(chat)?;
        let bad = facts
            .iter()
            .find(|(event, seen)| seen.event.is_none() && has_payload(shell, chat, event));
        bad.map(|(event, _)| *event)
    }

    /// The hash of which events a node can read, and the hash of what they fold to, folded in this node's own order.
    fn state_hash(&mut self, index: usize, chat: &ChatId) -> Result<(Hash, Hash), Violation> {
        let facts = self.node(index).facts.get(chat).cloned();
        let facts = facts.unwrap_or_default();
        let events: Vec<(EventId, bool)> = facts
            .iter()
            .map(|(event, seen)| (*event, seen.event.is_some()))
            .collect();
        let which = Hash::of(&[&crate::codec::encode(&events)]);
        let mut related: BTreeMap<EventId, Vec<Fact>> = BTreeMap::new();
        for (id, seen) in &facts {
            if let Some(event) = &seen.event
                && let Some(target) = target_of(event)
            {
                related
                    .entry(target)
                    .or_default()
                    .push(fact(*id, seen, event));
            }
        }
        let owner = owner_of(self.node(index), chat).unwrap_or(CompanyId([0; 32]));
        let mut states = Vec::new();
        for (id, seen) in facts.iter().filter(|(_, seen)| seen.kind == kind::MESSAGE) {
            let text = match &seen.event {
                Some(Event::Message(message)) => Some(message.text.as_str()),
                _ => None,
            };
            let about = related.remove(id).unwrap_or_default();
            let state = fold_message(seen.actor, &owner, text, &about);
            let mut shuffled = about;
            let by = self.random.below(shuffled.len().max(1));
            shuffled.rotate_left(by);
            let again = fold_message(seen.actor, &owner, text, &shuffled);
            let equal = state == again;
            self.watch
                .counts
                .check(Invariant::OrderFreeState, equal, || {
                    format!("the fold of {id} depends on the order of its events")
                })?;
            states.push((*id, format!("{state:?}")));
        }
        let folded = Hash::of(&[&crate::codec::encode(&states)]);
        Ok((which, folded))
    }
}

/// The unbroken chain before a head reaches an envelope.
fn leads_to(shell: &Shell, chat: &ChatId, end: Head, envelope: &Hash) -> bool {
    let mut at = end;
    while at.hash != *envelope {
        match shell.log.link(chat, &at.hash) {
            Some(link) => at = link.parent,
            None => return false,
        }
    }
    shell.log.link(chat, envelope).is_some()
}

fn told_cut(cut: &StreamCut) -> String {
    let heads = cut.heads.iter();
    let heads: Vec<String> = heads
        .map(|head| format!("{}:{}", head.seq, head.hash.short()))
        .collect();
    format!("{}={}", cut.stream.incarnation % 10_000, heads.join("+"))
}

fn fact(id: EventId, seen: &Seen, event: &Event) -> Fact {
    let Actor { company, handle } = seen.actor;
    Fact {
        id,
        clock: seen.clock,
        actor: Actor { company, handle },
        event: event.clone(),
    }
}
