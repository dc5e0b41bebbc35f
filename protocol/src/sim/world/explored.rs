//! A small world that is led step by step: what an exploration may do next, and doing it. Nothing here is left to
//! chance, so that two orders of the same steps that end alike are one state.

use std::fmt::Write;

use super::{BEGINNING, Made, World, companies};
use crate::event::Event;
use crate::ids::{ChatId, EventId, Head};
use crate::limits;
use crate::owner_log::{ChatKind, History, StreamCut};
use crate::replicator::{Bug, Draft, Replicator};
use crate::sim::counts::{Counts, Invariant, Violation};
use crate::sim::quiet::{delete, edit, message};
use crate::sim::random::Seeded;
use crate::sim::watch::{Cause, Checked};
use crate::suite::Suite;

/// What people and misfortune do. Nodes are numbered; the first one owns the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Post(usize),
    /// Of a node's first message that is still readable there.
    Edit(usize),
    Delete(usize),
    /// Of a node's last message.
    Recall(usize),
    /// What the owner wrote, as far as it is shown there, and nothing of what others wrote.
    Read(usize),
    Invite(usize),
    Remove(usize),
    Rotate,
    Link(usize, usize),
    Unlink(usize, usize),
    /// Stops at once and starts again.
    Crash(usize),
    /// Never comes back.
    Die(usize),
    /// Goes on from a copy that is so many commits old, and knows it.
    Restore(usize, usize),
    /// The same, without being able to know.
    RollBack(usize, usize),
    Wait(u64),
}

/// What arrives in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// What is under way to one end of a link.
    End,
    /// Everything on a link, and what is said to that, until it is silent: fewer orders, for more nodes.
    Link,
}

/// A beginning, and what several actors then do, each in its own order and at any time.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub nodes: usize,
    pub links: &'static [[usize; 2]],
    pub history: History,
    pub grain: Grain,
    /// Each brought to rest before the next.
    pub before: &'static [Step],
    pub lanes: &'static [&'static [Step]],
    /// Nobody is put back without knowing: the owner log never forks.
    pub never_forks: bool,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Choice {
    /// The next step of a lane.
    Lane(usize),
    /// Everything that is under way on one side of a wire arrives.
    Deliver(usize, usize),
    /// A wire falls silent.
    Exchange(usize),
}

/// Frames of one exchange: far more than any needs, and an end to one that would never fall silent.
const FRAMES_OF_AN_EXCHANGE: usize = 2_000;

/// A state of an exploration.
#[derive(Clone)]
pub(in crate::sim) struct Explored {
    world: World,
    scenario: Scenario,
    done: Vec<usize>,
    /// What identifies each node's state.
    prints: Vec<Print>,
}

impl Explored {
    pub fn begin(scenario: Scenario, bug: Option<Bug>) -> Result<Explored, Violation> {
        let mut random = Seeded::new(7);
        let companies = companies(Suite::KeyedHash, scenario.nodes, &mut random);
        let mut world = World::of(companies, scenario.links, random, None);
        world.now = BEGINNING;
        for wire in 0..world.wires.len() {
            world.link_up(wire)?;
        }
        world.let_links_settle();
        let made = world.call(0, Cause::Local, |replicator, cx| {
            replicator.create_chat(cx, ChatKind::GROUP, scenario.history, Some("Plans"))
        })?;
        let id = made.map_err(|error| Violation {
            invariant: Invariant::OwnEventsAccepted,
            detail: error.to_string(),
        })?;
        world.chats.push(Made { id, owner: 0 });
        world.settle(0)?;
        for step in scenario.before {
            world.perform(*step)?;
            world.drain()?;
        }
        world.bug = bug;
        (0..scenario.nodes).for_each(|node| world.node_mut(node).plant(bug));
        let mut state = Explored {
            prints: vec![Print::default(); scenario.nodes],
            done: vec![0; scenario.lanes.len()],
            world,
            scenario,
        };
        (0..scenario.nodes).for_each(|node| state.reprint(node));
        Ok(state)
    }

    pub fn choices(&self) -> Vec<Choice> {
        let lanes = self.scenario.lanes.iter().zip(&self.done).enumerate();
        let lanes = lanes.filter(|(_, (lane, done))| **done < lane.len());
        let wires = self.world.wires.iter().enumerate();
        let grain = self.scenario.grain;
        let arrivals = wires.flat_map(|(wire, held)| {
            let busy = (0..2).filter(|side| !held.queues[*side].is_empty());
            let busy = busy.map(move |side| match grain {
                Grain::End => Choice::Deliver(wire, side),
                Grain::Link => Choice::Exchange(wire),
            });
            busy.take(if grain == Grain::End { 2 } else { 1 })
        });
        let lanes = lanes.map(|(lane, _)| Choice::Lane(lane));
        lanes.chain(arrivals).collect()
    }

    pub fn take(&mut self, choice: Choice) -> Checked {
        let before = self.world.nodes.clone();
        match choice {
            Choice::Lane(lane) => {
                let at = self.done[lane];
                self.done[lane] += 1;
                self.world.perform(self.scenario.lanes[lane][at])?;
            }
            Choice::Deliver(wire, side) => {
                for _ in 0..self.world.wires[wire].queues[side].len() {
                    self.world.deliver(wire, side)?;
                }
            }
            Choice::Exchange(wire) => self.world.exchange(wire)?,
        }
        for (node, held) in before.iter().enumerate() {
            let same = self.world.nodes.get(node);
            if !same.is_some_and(|same| std::rc::Rc::ptr_eq(same, held)) {
                self.reprint(node);
            }
        }
        Ok(())
    }

    /// Brings everything to rest and checks that all agree. What was counted on the way there is in the result.
    pub fn end(mut self) -> Result<Counts, Violation> {
        self.world.heal()?;
        let chats: Vec<ChatId> = self.world.chats.iter().map(|made| made.id).collect();
        let forked = chats.iter().any(|chat| self.world.is_forked(chat));
        let excused = !self.scenario.never_forks;
        let counts = &mut self.world.watch.counts;
        counts.check(Invariant::NoForkWithoutRollback, excused || !forked, || {
            "the owner log forked although nobody was put back without knowing".to_owned()
        })?;
        Ok(std::mem::take(counts))
    }

    pub fn told(&self, choice: Choice) -> String {
        match choice {
            Choice::Lane(lane) => format!("{:?}", self.scenario.lanes[lane][self.done[lane]]),
            Choice::Deliver(wire, side) => {
                let ends = self.world.wires[wire].ends;
                format!("{} -> {}", ends[1 - side], ends[side])
            }
            Choice::Exchange(wire) => {
                let ends = self.world.wires[wire].ends;
                format!("{} <-> {}", ends[0], ends[1])
            }
        }
    }

    /// What tells this state from others: all nodes, all that is under way, and what is still to be done. What the
    /// watcher remembers of the way here is left out.
    pub fn print(&self) -> u128 {
        let mut print = Print::default();
        for node in &self.prints {
            print.word(node.0);
            print.word(node.1);
        }
        for wire in &self.world.wires {
            print.word(u64::from(wire.up));
            for frame in wire.queues.iter().flatten() {
                print.bytes(frame);
            }
            print.word(wire.queues[0].len() as u64);
        }
        for done in &self.done {
            print.word(*done as u64);
        }
        print.word(self.world.now.0);
        u128::from(print.0) << 64 | u128::from(print.1)
    }

    fn reprint(&mut self, node: usize) {
        let mut print = Print::default();
        let shell = self.world.node(node);
        let alive = (self.world.down[node], self.world.dead[node]);
        let told = write!(
            print,
            "{:?} {:?} {:?} {:?} {alive:?} {}",
            shell.replicator,
            shell.random,
            shell.pending,
            shell.facts,
            shell.journal.len()
        );
        told.expect("a print takes everything");
        self.prints[node] = print;
    }
}

impl World {
    fn exchange(&mut self, wire: usize) -> Checked {
        for frame in 0..FRAMES_OF_AN_EXCHANGE {
            let queues = &self.wires[wire].queues;
            // Both ends speak in turn.
            let turn = frame % 2;
            let side = [turn, 1 - turn].into_iter();
            let Some(side) = side.clone().find(|side| !queues[*side].is_empty()) else {
                return Ok(());
            };
            self.deliver(wire, side)?;
        }
        Err(Violation {
            invariant: Invariant::Quiescence,
            detail: "two nodes talk without end".to_owned(),
        })
    }

    fn perform(&mut self, step: Step) -> Checked {
        self.note(|| format!("{step:?}"));
        let Some(made) = self.chats.first().copied() else {
            return Ok(());
        };
        match step {
            Step::Post(node) => {
                let written = self
                    .node(node)
                    .facts
                    .get(&made.id)
                    .map_or(0, |facts| facts.len());
                let event = message(&format!("{written} from {node}"));
                self.write(node, made.id, event)
            }
            Step::Edit(node) => match self.own_messages(node, made.id).first().copied() {
                Some(target) => self.write(node, made.id, edit(target, "better")),
                None => Ok(()),
            },
            Step::Delete(node) => match self.own_messages(node, made.id).first().copied() {
                Some(target) => self.write(node, made.id, delete(target)),
                None => Ok(()),
            },
            Step::Recall(node) => self.recall_last(node, made.id),
            Step::Read(node) => self.read_owner(node, made.id),
            Step::Invite(guest) if self.is_up(0) => {
                self.invite(made, guest)?;
                self.settle(0)
            }
            Step::Remove(guest) if self.is_up(0) => {
                let company = self.watch.company(guest);
                let done = self.call(0, Cause::Local, |replicator, cx| {
                    replicator.remove(cx, made.id, company)
                })?;
                self.decided(0, done)?;
                self.settle(0)
            }
            Step::Rotate if self.is_up(0) => self.rotate(made),
            Step::Invite(_) | Step::Remove(_) | Step::Rotate => Ok(()),
            other => self.suffer(other),
        }
    }

    /// What no person does.
    fn suffer(&mut self, step: Step) -> Checked {
        match step {
            Step::Link(a, b) => match self.index_of_wire(a, b) {
                Some(wire) => {
                    self.link_up(wire)?;
                    self.let_links_settle();
                    Ok(())
                }
                None => Ok(()),
            },
            Step::Unlink(a, b) => match self.index_of_wire(a, b) {
                Some(wire) => self.link_down(wire),
                None => Ok(()),
            },
            Step::Crash(node) => {
                self.crash(node)?;
                self.start(node, true, usize::MAX)?;
                self.links_up(node)
            }
            Step::Die(node) => {
                self.crash(node)?;
                self.dead[node] = true;
                Ok(())
            }
            Step::Restore(node, commits) => self.put_back_by(node, commits, false),
            Step::RollBack(node, commits) => self.put_back_by(node, commits, true),
            Step::Wait(ms) => {
                self.now = self.now.plus_ms(ms);
                for node in 0..self.nodes.len() {
                    if self.is_up(node) {
                        self.call(node, Cause::Timer, Replicator::tick)?;
                        self.settle(node)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn put_back_by(&mut self, node: usize, commits: usize, continuity: bool) -> Checked {
        self.crash(node)?;
        let kept = self.node(node).length_before(commits);
        self.watch.put_back(node, continuity);
        self.start(node, continuity, kept)?;
        self.links_up(node)
    }

    fn links_up(&mut self, node: usize) -> Checked {
        for wire in 0..self.wires.len() {
            if self.wires[wire].ends.contains(&node) {
                self.link_up(wire)?;
            }
        }
        self.let_links_settle();
        Ok(())
    }

    /// Time stands still but for what a scenario waits: without this nothing would be relayed over a new link.
    fn let_links_settle(&mut self) {
        self.now = self.now.plus_ms(limits::LINKS_SETTLE_MS);
    }

    fn write(&mut self, node: usize, chat: ChatId, event: Event) -> Checked {
        if !self.is_up(node) {
            return Ok(());
        }
        let actor = self.person(node, 0);
        self.append(node, chat, vec![Draft { actor, event }])
    }

    /// In the order of their clocks.
    fn own_messages(&self, node: usize, chat: ChatId) -> Vec<EventId> {
        let company = self.watch.company(node);
        let facts = self.node(node).facts.get(&chat).into_iter().flatten();
        let own = facts.filter(|(_, seen)| {
            seen.actor.company == company && matches!(seen.event, Some(Event::Message(_)))
        });
        let mut own: Vec<_> = own.map(|(id, seen)| (seen.clock, *id)).collect();
        own.sort_unstable();
        own.into_iter().map(|(_, id)| id).collect()
    }

    fn recall_last(&mut self, node: usize, chat: ChatId) -> Checked {
        let Some(target) = self.own_messages(node, chat).last().copied() else {
            return Ok(());
        };
        if !self.is_up(node) {
            return Ok(());
        }
        let actor = self.person(node, 0);
        let done = self.call(node, Cause::Local, |replicator, cx| {
            replicator.recall(cx, chat, target, actor)
        })?;
        if done.is_ok() {
            self.watch.recalled(node, &self.nodes, chat, target)?;
        }
        self.settle(node)
    }

    fn read_owner(&mut self, node: usize, chat: ChatId) -> Checked {
        let held = self.node(node).replicator.chat(&chat);
        let Some(heads) = held
            .map(|held| held.delivered())
            .filter(|_| self.is_up(node))
        else {
            return Ok(());
        };
        let owner = self.watch.company(0);
        let seen = |cut: &StreamCut| {
            cut.stream.company == owner && cut.heads.iter().any(|head| *head != Head::START)
        };
        let heads: Vec<StreamCut> = heads.into_iter().filter(seen).collect();
        let handle = self.person(node, 0);
        self.watch.asked_to_mark_read(node, chat, handle, &heads);
        self.call(node, Cause::Local, |replicator, cx| {
            replicator.mark_read(cx, chat, handle, &heads)
        })?;
        self.settle(node)
    }
}

/// A fingerprint of 128 bits: fast, and good enough to tell states of one program from each other.
#[derive(Debug, Clone, Copy, Default)]
struct Print(u64, u64);

impl Print {
    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
        self.1 = (self.1.rotate_left(5) ^ word).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        self.word(bytes.len() as u64);
    }
}

impl Write for Print {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
