//! One simulated node: a replicator, its log, and the shell's rule that nothing leaves before it is durable.
//!
//! The journal is a list in memory. What a crash loses is exactly what was not committed; what a restore loses is the
//! tail of the journal. Randomness goes on as it would from an operating system: it is never part of a snapshot.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::log::{MemoryLog, header_of};
use super::random::Seeded;
use crate::clock::{Clock, Time};
use crate::envelope::VerifiedEnvelope;
use crate::event::Event;
use crate::fold::Actor;
use crate::identity::{IdentityDraft, IdentityLog, root_commitment};
use crate::ids::{ChatId, CompanyId, EventId, Hash};
use crate::replicator::{
    Alarm, Bug, ChatCore, Config, Context, Output, Record, Refusal, Register, Replicator, Send,
};
use crate::seal::EpochKey;
use crate::suite::{SecretKey, Suite};
use crate::wrap::PrekeySecret;

/// What a company is before it talks to anybody.
#[derive(Debug)]
pub struct Company {
    pub suite: Suite,
    pub node: SecretKey,
    pub identity: IdentityLog,
    pub prekey: PrekeySecret,
}

impl Company {
    pub fn new(suite: Suite, name: &str, random: &mut Seeded) -> Company {
        let root = SecretKey::random(random);
        let node = SecretKey::random(random);
        let draft = IdentityDraft {
            time: Time(1),
            name: name.to_owned(),
            domains: Vec::new(),
            node_keys: vec![node.public(suite)],
            next_root: root_commitment(&root.public(suite)),
        };
        Company {
            suite,
            identity: IdentityLog::create(suite, &root, draft),
            node,
            prekey: PrekeySecret::random(random),
        }
    }

    pub fn id(&self) -> CompanyId {
        self.identity.company()
    }
}

/// A durable fact of a simulated journal.
#[derive(Debug, Clone)]
pub enum Entry {
    Record(Record),
    Register(Register),
    Key {
        chat: ChatId,
        epoch: u32,
        key: EpochKey,
    },
    Erased {
        chat: ChatId,
        target: EventId,
        by: EventId,
    },
}

/// An event that counts at a node, as far as it can be read there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub clock: Clock,
    pub actor: Actor,
    pub kind: u16,
    pub epoch: u32,
    /// None when it is erased or not readable.
    pub event: Option<Event>,
}

pub type Facts = BTreeMap<ChatId, BTreeMap<EventId, Seen>>;

/// A point from which a start need not replay everything.
#[derive(Debug, Clone)]
struct Checkpoint {
    entries: usize,
    cores: Vec<ChatCore>,
    clock: Clock,
    log: MemoryLog,
    facts: Facts,
}

/// One node of a world.
#[derive(Debug, Clone)]
pub struct Shell {
    pub company: Rc<Company>,
    pub replicator: Replicator,
    pub log: MemoryLog,
    pub journal: Vec<Rc<Entry>>,
    /// Lengths of the journal after each commit.
    commits: Vec<usize>,
    /// It was put back to an older copy and has made nothing durable since: its anchor still says so.
    discontinuous: bool,
    pub pending: Vec<Rc<Entry>>,
    pub facts: Facts,
    pub random: Seeded,
    partners: Vec<Rc<Company>>,
    checkpoint: Option<Checkpoint>,
    bug: Option<Bug>,
    /// For the planted bug whose randomness is part of the snapshot.
    randoms: Vec<(usize, Seeded)>,
}

impl Shell {
    pub fn new(company: Rc<Company>, partners: Vec<Rc<Company>>, random: Seeded) -> Shell {
        let mut shell = Shell {
            replicator: replicator(&company, true),
            company,
            log: MemoryLog::default(),
            journal: Vec::new(),
            commits: Vec::new(),
            discontinuous: false,
            pending: Vec::new(),
            facts: Facts::new(),
            random,
            partners,
            checkpoint: None,
            bug: None,
            randoms: Vec::new(),
        };
        shell.approve();
        shell
    }

    pub fn id(&self) -> CompanyId {
        self.company.id()
    }

    fn approve(&mut self) {
        for partner in &self.partners {
            let records: Vec<_> = partner.identity.records().cloned().collect();
            self.replicator.restore_identity(partner.id(), &records);
            self.replicator.set_partner(partner.id());
        }
    }

    /// One call of the replicator. Its outputs are readable at once and not durable before [`Shell::commit`].
    pub fn call<T>(
        &mut self,
        now: Time,
        act: impl FnOnce(&mut Replicator, &mut Context<'_>) -> T,
    ) -> (T, Vec<Output>) {
        let mut out = Vec::new();
        let result = act(
            &mut self.replicator,
            &mut Context {
                now,
                log: &self.log,
                random: &mut self.random,
                out: &mut out,
            },
        );
        if self.bug == Some(Bug::SilentFork) {
            out.retain(|output| !matches!(output, Output::Alarm(Alarm::Fork { .. })));
        }
        out.iter().for_each(|output| self.absorb(output));
        (result, out)
    }

    /// Plants a bug in the replicator or in this shell.
    pub fn plant(&mut self, bug: Option<Bug>) {
        self.bug = bug;
        self.replicator.plant(bug);
    }

    pub fn has_checkpoint(&self, entries: usize) -> bool {
        let checkpoint = self.checkpoint.as_ref();
        checkpoint.is_some_and(|checkpoint| checkpoint.entries <= entries)
    }

    /// Makes everything so far durable.
    pub fn commit(&mut self) {
        if self.bug == Some(Bug::ReusedRandom) {
            self.randoms.push((self.journal.len(), self.random.clone()));
        }
        self.discontinuous &= self.pending.is_empty();
        self.journal.append(&mut self.pending);
        if self.commits.last() != Some(&self.journal.len()) {
            self.commits.push(self.journal.len());
        }
    }

    /// How long the journal was some commits ago: what a copy taken then holds.
    pub fn length_before(&self, commits: usize) -> usize {
        let index = self.commits.len().checked_sub(commits.saturating_add(1));
        index
            .and_then(|index| self.commits.get(index))
            .copied()
            .unwrap_or(0)
    }

    /// The registers that are due. To be called before [`Shell::commit`].
    pub fn publish(&mut self, now: Time) -> Vec<Output> {
        self.call(now, |replicator, cx| replicator.publish(cx)).1
    }

    /// The frames that may leave now. To be called after [`Shell::commit`].
    pub fn pump(&mut self, now: Time) -> (Vec<Send>, Vec<Output>) {
        self.call(now, |replicator, cx| replicator.pump(cx))
    }

    fn absorb(&mut self, output: &Output) {
        let entry = match output {
            Output::Store(record) => {
                self.remember(record);
                Entry::Record(record.clone())
            }
            Output::StoreRegister(register) => Entry::Register(register.clone()),
            Output::StoreKey { chat, epoch, key } => Entry::Key {
                chat: *chat,
                epoch: *epoch,
                key: key.clone(),
            },
            Output::Erase { chat, target, by } => {
                if !self.erase(*chat, *target, *by) {
                    return;
                }
                Entry::Erased {
                    chat: *chat,
                    target: *target,
                    by: *by,
                }
            }
            Output::Delivered {
                envelope, plains, ..
            } => return self.show(envelope, plains),
            Output::Voided { chat, envelopes } => return self.forget(chat, envelopes),
            _ => return,
        };
        self.pending.push(Rc::new(entry));
    }

    fn remember(&mut self, record: &Record) {
        match record {
            Record::Envelope { chat, item } => self.log.insert(*chat, item),
            Record::Owner { chat, record } => self.log.insert_record(*chat, record),
            Record::Identity { .. } | Record::Exposure { .. } | Record::Footing { .. } => {}
        }
    }

    fn show(&mut self, envelope: &VerifiedEnvelope, plains: &[Option<Vec<u8>>]) {
        let header = &envelope.header;
        let facts = self.facts.entry(header.chat).or_default();
        for (place, (event, plain)) in header.events.iter().zip(plains).enumerate() {
            let seen = Seen {
                clock: event.clock,
                actor: Actor {
                    company: header.stream.company,
                    handle: event.actor,
                },
                kind: event.kind,
                epoch: header.epoch,
                event: plain
                    .as_ref()
                    .and_then(|plain| Event::decode(event.kind, plain).ok()),
            };
            facts.insert(envelope.event_id(place), seen);
        }
    }

    fn forget(&mut self, chat: &ChatId, envelopes: &[Hash]) {
        envelopes
            .iter()
            .for_each(|hash| self.log.remove(chat, hash));
        if let Some(facts) = self.facts.get_mut(chat) {
            facts.retain(|id, _| !envelopes.contains(&id.envelope));
        }
    }

    fn erase(&mut self, chat: ChatId, target: EventId, by: EventId) -> bool {
        let seen = self
            .facts
            .get_mut(&chat)
            .and_then(|facts| facts.get_mut(&target));
        if let Some(seen) = seen {
            seen.event = None;
        }
        self.log.erase(&chat, target, by)
    }

    /// Remembers the present state, so that a later start replays only what follows. Only what is durable counts.
    pub fn take_checkpoint(&mut self) {
        if !self.pending.is_empty() {
            return;
        }
        self.checkpoint = Some(Checkpoint {
            entries: self.journal.len(),
            cores: self
                .replicator
                .chats()
                .map(|(_, chat)| chat.core().clone())
                .collect(),
            clock: self.replicator.clock(),
            log: self.log.clone(),
            facts: self.facts.clone(),
        });
    }

    /// Loses what is not durable and starts again. With `entries` the journal itself is an older copy.
    pub fn restart(&mut self, now: Time, continuity: bool, entries: usize) -> Vec<Refusal> {
        self.pending.clear();
        self.journal.truncate(entries);
        self.commits.retain(|length| *length <= entries);
        self.discontinuous |= !continuity;
        self.replicator = replicator(&self.company, !self.discontinuous);
        self.replicator.plant(self.bug);
        if let Some((_, random)) = self.randoms.iter().rfind(|(at, _)| *at < entries) {
            self.random = random.clone();
        }
        self.approve();
        let checkpoint = self
            .checkpoint
            .take()
            .filter(|checkpoint| checkpoint.entries <= self.journal.len());
        for entry in self.journal.clone() {
            match entry.as_ref() {
                Entry::Key { chat, epoch, key } => {
                    self.replicator.restore_key(*chat, *epoch, key.clone())
                }
                Entry::Record(Record::Identity { company, record }) => self
                    .replicator
                    .restore_identity(*company, std::slice::from_ref(record)),
                _ => {}
            }
        }
        let from = match &checkpoint {
            Some(checkpoint) => {
                self.log = checkpoint.log.clone();
                self.facts = checkpoint.facts.clone();
                for core in &checkpoint.cores {
                    self.replicator.restore_chat(core.clone());
                }
                self.replicator.restore_clock(checkpoint.clock);
                checkpoint.entries
            }
            None => {
                self.log = MemoryLog::default();
                self.facts = Facts::new();
                0
            }
        };
        self.checkpoint = checkpoint;
        self.replay(now, from)
    }

    fn replay(&mut self, now: Time, from: usize) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for (index, entry) in self.journal.clone().iter().enumerate() {
            match entry.as_ref() {
                Entry::Record(Record::Exposure { partner, until }) => {
                    self.replicator.restore_exposure(*partner, *until)
                }
                Entry::Record(record) if index >= from => {
                    self.remember(record);
                    let (taken, _) =
                        self.call(now, |replicator, cx| replicator.replay(cx, record.clone()));
                    refusals.extend(taken.err());
                }
                Entry::Register(register) => self.replicator.restore_register(register.clone()),
                Entry::Erased { chat, target, by } if index >= from => {
                    self.erase(*chat, *target, *by);
                }
                _ => {}
            }
        }
        // What replaying found to erase again is in the journal already.
        self.pending.clear();
        self.call(now, Replicator::tick);
        refusals
    }

    /// Every stored header of a chat, for checks.
    pub fn stored_epochs(&self, chat: &ChatId) -> Vec<u32> {
        self.log
            .envelopes(chat)
            .map(|(_, stored)| header_of(&stored.item.envelope).epoch)
            .collect()
    }
}

fn replicator(company: &Company, continuity: bool) -> Replicator {
    Replicator::new(Config {
        suite: company.suite,
        identity: company.identity.clone(),
        node: company.node.clone(),
        generation: 1,
        continuity,
        prekeys: vec![(1, Time(1), company.prekey.clone())],
    })
}
