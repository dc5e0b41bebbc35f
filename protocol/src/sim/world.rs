//! One random world: nodes, a faulty network between them, and the order in which things happen. All of it follows
//! from a seed.

mod acts;
mod deleted;
pub(super) mod explored;
mod faults;
mod heal;
mod tell;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tell::{told, told_frame};

use super::counts::{Counts, Fault, Violation};
use super::random::Seeded;
use super::shell::{Company, Entry, Shell};
use super::watch::{Cause, Checked, Watch};
use crate::clock::Time;
use crate::ids::{ChatId, CompanyId, Handle};
use crate::replicator::{Bug, Context, Output, Record, Replicator};
use crate::suite::Suite;

/// Steps of a world before it is healed: at least the first, fewer than both together.
const STEPS: usize = 300;
const MORE_STEPS: usize = 100;
/// Events that a world has at least before it may be healed.
const EVENTS: u64 = 40;
/// Steps after which a world that still has too few events gets a new chat.
const SILENT_STEPS: u64 = 2 * STEPS as u64;
/// 2027-01-15T08:00:00Z: any time far from zero will do.
const BEGINNING: Time = Time(1_800_000_000_000);

/// A failed world: its seed is all that is needed to see it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub seed: u64,
    pub step: u64,
    pub violation: Violation,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "seed {} step {}: {}",
            self.seed, self.step, self.violation
        )
    }
}

/// Runs one world to its end.
pub fn run(seed: u64, bug: Option<Bug>) -> Result<Counts, Failure> {
    run_world(World::new(seed, bug), seed)
}

/// The same, telling line by line what happens.
pub fn run_telling(
    seed: u64,
    bug: Option<Bug>,
    tell: impl FnMut(String) + 'static,
) -> Result<Counts, Failure> {
    let mut world = World::new(seed, bug);
    world.tell = Some(Rc::new(RefCell::new(tell)));
    run_world(world, seed)
}

fn run_world(mut world: World, seed: u64) -> Result<Counts, Failure> {
    let ended = world.live().and_then(|()| world.heal());
    let mut counts = std::mem::take(&mut world.watch.counts);
    counts.worlds = 1;
    counts.fewest_steps = counts.steps;
    counts.fewest_events = counts.events;
    match ended {
        Ok(()) => Ok(counts),
        Err(violation) => Err(Failure {
            seed,
            step: counts.steps,
            violation,
        }),
    }
}

/// How often this world's faults happen: once in so many chances, 0 for never. Worlds differ, because a fault that is
/// always there hides others.
#[derive(Debug, Clone, Copy, Default)]
struct Habits {
    loss: usize,
    duplicate: usize,
    reorder: usize,
    corrupt: usize,
    partition: usize,
    link_down: usize,
    crash: usize,
    restore: usize,
    rollback: usize,
    clock_jump: usize,
    owner_dies: usize,
    group_commit: usize,
    checkpoint: usize,
}

/// Frames under way between two nodes; `up` is what both believe.
#[derive(Debug, Clone)]
struct Wire {
    ends: [usize; 2],
    up: bool,
    blocked: bool,
    /// Towards the first end, towards the second.
    queues: [VecDeque<Vec<u8>>; 2],
}

/// What the simulation knows of a chat without asking a node.
#[derive(Debug, Clone, Copy)]
struct Made {
    id: ChatId,
    owner: usize,
}

/// Whom a world tells what happens in it.
type Tell = Rc<RefCell<dyn FnMut(String)>>;

/// A world between two steps. A copy of it goes its own way.
#[derive(Clone)]
pub(super) struct World {
    random: Seeded,
    now: Time,
    bug: Option<Bug>,
    /// Shared between copies of a world until one of them touches a node.
    nodes: Vec<Rc<Shell>>,
    /// A node that is down runs nothing; a dead one never comes back.
    down: Vec<bool>,
    dead: Vec<bool>,
    offsets_ms: Vec<i64>,
    wires: Vec<Wire>,
    chats: Vec<Made>,
    habits: Habits,
    watch: Watch,
    /// Bytes of envelope frames that were sent.
    data_bytes: u64,
    tell: Option<Tell>,
}

fn habit(random: &mut Seeded, one_in: usize) -> usize {
    if random.one_in(2) {
        0
    } else {
        one_in / 2 + random.below(one_in)
    }
}

impl Habits {
    fn draw(random: &mut Seeded) -> Habits {
        Habits {
            loss: habit(random, 20),
            duplicate: habit(random, 20),
            reorder: habit(random, 10),
            corrupt: habit(random, 60),
            partition: habit(random, 80),
            link_down: habit(random, 40),
            crash: habit(random, 80),
            restore: habit(random, 200),
            rollback: habit(random, 300),
            clock_jump: habit(random, 120),
            owner_dies: habit(random, 300),
            group_commit: habit(random, 6),
            checkpoint: 40,
        }
    }
}

impl World {
    fn new(seed: u64, bug: Option<Bug>) -> World {
        let mut random = Seeded::new(seed);
        let suite = if random.one_in(10) {
            Suite::Ed25519
        } else {
            Suite::KeyedHash
        };
        let count = 3 + random.below(4);
        let companies = companies(suite, count, &mut random);
        let ends = partnerships(&mut random, count);
        let mut world = World::of(companies, &ends, random, bug);
        world.watch.counts.fault(match suite {
            Suite::Ed25519 => Fault::Ed25519,
            Suite::KeyedHash => Fault::KeyedHash,
        });
        world.habits = Habits::draw(&mut world.random);
        world
    }

    /// Companies that are partners as `ends` say, without any chat; nothing goes wrong of itself.
    fn of(
        companies: Vec<Rc<Company>>,
        ends: &[[usize; 2]],
        mut random: Seeded,
        bug: Option<Bug>,
    ) -> World {
        let count = companies.len();
        let node = |(index, company): (usize, &Rc<Company>)| {
            let is_partner = |other: &usize| ends.contains(&[index.min(*other), index.max(*other)]);
            let partners = (0..count).filter(is_partner);
            let partners = partners.filter_map(|other| companies.get(other).cloned());
            let mut shell = Shell::new(company.clone(), partners.collect(), random.split());
            shell.plant(bug);
            Rc::new(shell)
        };
        let nodes: Vec<Rc<Shell>> = companies.iter().enumerate().map(node).collect();
        let wires = ends.iter().map(|ends| Wire {
            ends: *ends,
            up: false,
            blocked: false,
            queues: [VecDeque::new(), VecDeque::new()],
        });
        World {
            wires: wires.collect(),
            down: vec![false; count],
            dead: vec![false; count],
            offsets_ms: vec![0; count],
            now: BEGINNING,
            chats: Vec::new(),
            data_bytes: 0,
            tell: None,
            watch: Watch::new(&nodes),
            habits: Habits::default(),
            random,
            bug,
            nodes,
        }
    }

    /// The part of its life in which things go wrong.
    fn live(&mut self) -> Checked {
        for wire in 0..self.wires.len() {
            self.link_up(wire)?;
        }
        let steps = STEPS + self.random.below(MORE_STEPS);
        while self.watch.counts.steps < steps as u64 || self.watch.counts.events < EVENTS {
            self.step()?;
            if self.watch.counts.steps.is_multiple_of(SILENT_STEPS) {
                self.begin_anew()?;
            }
        }
        Ok(())
    }

    /// Where nobody may write any more (every owner is dead, every chat is frozen), somebody makes another chat.
    fn begin_anew(&mut self) -> Checked {
        let node = self.random.below(self.nodes.len());
        self.start(node, true, usize::MAX)?;
        if self.watch.counts.events >= EVENTS || !self.is_up(node) {
            return Ok(());
        }
        self.make_chat(node)
    }

    fn step(&mut self) -> Checked {
        self.watch.counts.steps += 1;
        match self.random.below(100) {
            0..=54 => self.deliver_some(),
            55..=74 => self.act(),
            75..=86 => self.pass_time(),
            87..=93 => self.mend(),
            _ => self.flush_some(),
        }?;
        self.go_wrong()
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        let step = self.watch.counts.steps;
        if let Some(tell) = &self.tell {
            (tell.borrow_mut())(format!("{step} {}", line()));
        }
    }

    fn node(&self, index: usize) -> &Shell {
        self.nodes.get(index).expect("as many as there are nodes")
    }

    fn node_mut(&mut self, index: usize) -> &mut Shell {
        let node = self.nodes.get_mut(index);
        Rc::make_mut(node.expect("as many as there are nodes"))
    }

    fn is_up(&self, index: usize) -> bool {
        !self.down.get(index).copied().unwrap_or(true)
    }

    fn now_at(&self, index: usize) -> Time {
        let offset = self.offsets_ms.get(index).copied().unwrap_or(0);
        Time(self.now.0.saturating_add_signed(offset))
    }

    fn person(&self, node: usize, which: usize) -> Handle {
        let mut bytes = [0; 16];
        bytes[0] = node as u8 + 1;
        bytes[1] = which as u8 + 1;
        Handle(bytes)
    }

    /// One call of a node's replicator, looked at from all sides.
    fn call<T>(
        &mut self,
        index: usize,
        cause: Cause,
        act: impl FnOnce(&mut Replicator, &mut Context<'_>) -> T,
    ) -> Result<T, Violation> {
        let now = self.now_at(index);
        let (result, outputs) = self.node_mut(index).call(now, act);
        for output in &outputs {
            self.note(|| format!("  node {index}: {}", told(output)));
        }
        let node = self.nodes.get(index).expect("as many as there are nodes");
        self.watch.observe(index, node, cause, &outputs)?;
        if !outputs.is_empty() {
            self.watch.inspect(index, node)?;
        }
        Ok(result)
    }

    /// Commits and sends, or leaves both for later as a busy node does.
    fn settle(&mut self, index: usize) -> Checked {
        let later = self.habits.group_commit;
        if later > 0 && self.random.one_in(later) {
            self.watch.counts.fault(Fault::GroupCommit);
            return Ok(());
        }
        self.flush(index)
    }

    /// The shell's rule: make durable, then send.
    fn flush(&mut self, index: usize) -> Checked {
        let hurries = self.hurries(index);
        let now = self.now_at(index);
        let published = self.node_mut(index).publish(now);
        self.look_at(index, &published)?;
        if !hurries {
            self.commit(index);
        }
        let (sends, outputs) = self.node_mut(index).pump(now);
        self.look_at(index, &outputs)?;
        for send in sends {
            self.watch.counts.frames += 1;
            let node = self.nodes.get(index).expect("as many as there are nodes");
            self.watch.sends(index, node, send.partner, &send.frame)?;
            if send.frame.first() == Some(&6) {
                self.data_bytes += send.frame.len() as u64;
            }
            self.enqueue(index, send.partner, send.frame);
        }
        Ok(())
    }

    fn look_at(&mut self, index: usize, outputs: &[Output]) -> Checked {
        for output in outputs {
            self.note(|| format!("  node {index}: {}", told(output)));
        }
        let node = self.nodes.get(index).expect("as many as there are nodes");
        self.watch.observe(index, node, Cause::Timer, outputs)
    }

    fn commit(&mut self, index: usize) {
        self.node_mut(index).commit();
        self.watch.committed(index);
        let rarely = self.habits.checkpoint;
        if rarely > 0 && self.random.one_in(rarely) {
            self.node_mut(index).take_checkpoint();
        }
    }

    /// The planted bugs of a shell that does not wait for its disk.
    fn hurries(&mut self, index: usize) -> bool {
        let company = self.watch.company(index);
        let waits = |own: bool| {
            self.node(index).pending.iter().any(|entry| {
                matches!(entry.as_ref(), Entry::Record(Record::Envelope { item, .. })
                    if (super::log::header_of(&item.envelope).stream.company == company) == own)
            })
        };
        let planted = match self.bug {
            Some(Bug::SendBeforeCommit) => waits(true),
            Some(Bug::AckBeforeSync) => waits(false),
            _ => false,
        };
        planted && self.random.one_in(2)
    }

    fn enqueue(&mut self, from: usize, to: CompanyId, frame: Vec<u8>) {
        let Some(to) = self.watch.index_of(&to) else {
            return;
        };
        let ends = [from.min(to), from.max(to)];
        let wire = self.wires.iter_mut().find(|wire| wire.ends == ends);
        if let Some(wire) = wire.filter(|wire| wire.up) {
            let side = usize::from(ends[1] == to);
            wire.queues[side].push_back(frame);
        }
    }

    fn index_of_wire(&self, a: usize, b: usize) -> Option<usize> {
        let ends = [a.min(b), a.max(b)];
        self.wires.iter().position(|wire| wire.ends == ends)
    }

    /// Delivers a frame of some wire, if any is under way.
    fn deliver_some(&mut self) -> Checked {
        let busy: Vec<(usize, usize)> = self
            .wires
            .iter()
            .enumerate()
            .flat_map(|(index, wire)| [(index, 0, wire), (index, 1, wire)])
            .filter(|(_, side, wire)| !wire.queues[*side].is_empty())
            .map(|(index, side, _)| (index, side))
            .collect();
        let Some((wire, side)) = self.random.pick(&busy).copied() else {
            return self.act();
        };
        self.deliver(wire, side)
    }

    fn deliver(&mut self, wire_index: usize, side: usize) -> Checked {
        let Some(frame) = self.next_frame(wire_index, side) else {
            return Ok(());
        };
        let wire = self.wires.get(wire_index).expect("chosen among them");
        let (from, to) = (wire.ends[1 - side], wire.ends[side]);
        self.note(|| format!("{from} -> {to}: {}", told_frame(&frame)));
        let partner = self.watch.company(from);
        let taken = self.call(to, Cause::From(from), |replicator, cx| {
            replicator.receive(cx, partner, &frame)
        })?;
        if taken.is_err() {
            // The order of the link is broken, here only by reordering: it ends.
            self.link_down(wire_index)?;
        }
        self.settle(to)
    }

    fn pass_time(&mut self) -> Checked {
        let ms = match self.random.below(20) {
            0 => 15_000,
            1..=3 => 2_500,
            _ => self.random.below(300) as u64,
        };
        self.now = self.now.plus_ms(ms);
        let ticks = ms >= 2_500;
        for index in 0..self.nodes.len() {
            let due = self.node(index).replicator.next_wake();
            let is_due = due.is_some_and(|due| due <= self.now_at(index));
            if !self.is_up(index) || !(ticks || is_due) {
                continue;
            }
            if ticks {
                self.call(index, Cause::Timer, Replicator::tick)?;
            }
            self.settle(index)?;
        }
        Ok(())
    }

    fn flush_some(&mut self) -> Checked {
        let index = self.random.below(self.nodes.len());
        if self.is_up(index) {
            self.flush(index)?;
        }
        Ok(())
    }

    fn link_up(&mut self, wire_index: usize) -> Checked {
        let Some(wire) = self.wires.get(wire_index) else {
            return Ok(());
        };
        let ends = wire.ends;
        if wire.up || wire.blocked || !self.is_up(ends[0]) || !self.is_up(ends[1]) {
            return Ok(());
        }
        let wire = self.wires.get_mut(wire_index).expect("found above");
        wire.up = true;
        self.note(|| format!("link up {ends:?}"));
        let wire = self.wires.get_mut(wire_index).expect("found above");
        wire.queues = [VecDeque::new(), VecDeque::new()];
        for (at, partner) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            let partner = self.watch.company(partner);
            self.call(at, Cause::Timer, |replicator, cx| {
                replicator.partner_up(cx, partner)
            })?;
            self.settle(at)?;
        }
        Ok(())
    }

    fn link_down(&mut self, wire_index: usize) -> Checked {
        let Some(wire) = self.wires.get_mut(wire_index).filter(|wire| wire.up) else {
            return Ok(());
        };
        wire.up = false;
        wire.queues = [VecDeque::new(), VecDeque::new()];
        let ends = wire.ends;
        self.note(|| format!("link down {ends:?}"));
        for (at, partner) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            if !self.is_up(at) {
                continue;
            }
            let partner = self.watch.company(partner);
            self.call(at, Cause::Timer, |replicator, cx| {
                replicator.partner_down(cx, partner)
            })?;
            self.settle(at)?;
        }
        Ok(())
    }
}

fn companies(suite: Suite, count: usize, random: &mut Seeded) -> Vec<Rc<Company>> {
    let name = |index: usize| format!("company {index}");
    let companies = (0..count).map(|index| Company::new(suite, &name(index), random));
    companies.map(Rc::new).collect()
}

/// Who is a partner of whom. The first company knows everybody; others may lack a link with each other.
fn partnerships(random: &mut Seeded, count: usize) -> Vec<[usize; 2]> {
    let sparse = random.below(3);
    let mut ends = Vec::new();
    for a in 0..count {
        for b in a + 1..count {
            let linked = match sparse {
                0 => true,
                1 => a == 0,
                _ => a == 0 || random.one_in(2),
            };
            if linked {
                ends.push([a, b]);
            }
        }
    }
    ends
}
