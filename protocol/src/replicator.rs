//! The replicator: decides what a node stores, sends and believes. A state machine, not a service.
//!
//! Every call takes `now`, randomness and a read-only view of the log, and leaves [`Output`]s. The shell's rule, in this
//! order: call -> [`Replicator::publish`] -> make everything to store durable in one append -> call [`Replicator::pump`] and
//! send what it returns.
//! What was stored is readable through [`ReadLog`] at once. A crash in between only means that things are sent again:
//! the log is the outbox, and what a partner lacks is this log less the partner's frontier.

mod author;
mod chat;
mod cut;
mod delivery;
mod erasure;
mod frontier;
mod greeting;
mod identities;
mod ingest;
mod lacking;
mod link;
mod owner;
mod past;
mod pump;
mod refusal;
mod registers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Time};
use crate::envelope::VerifiedEnvelope;
use crate::frame::EnvelopeItem;
use crate::identity::{IdentityLog, SignedIdentity};
use crate::ids::{ChatId, CompanyId, EventId, Handle, Hash, Head, NodeKey, StreamId};
use crate::limits;
use crate::owner_log::SignedRecord;
use crate::read::ReadRegister;
use crate::roster::Roster;
use crate::seal::EpochKey;
use crate::statement::Statement;
use crate::stream::Tip;
use crate::suite::{Random, SecretKey, Suite};
use crate::wrap::{PrekeyBundle, PrekeySecret};

use past::Fresh;

pub use author::{AppendError, Draft, RecallError};
pub use chat::{Chat, ChatCore};
pub use ingest::Origin;
pub use link::{Partner, ProtocolBreach};
pub use owner::OwnerActError;
pub use refusal::Refusal;

/// Where an envelope stands in the chains that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub stream: StreamId,
    pub parent: Head,
    pub tip: Tip,
}

/// The stored past, as far as the replicator must look back. Synchronous and read-only; the node's store and a map in
/// memory both implement it. Envelopes that a cut excluded are not in it.
pub trait ReadLog {
    fn link(&self, chat: &ChatId, hash: &Hash) -> Option<Link>;
    fn envelope(&self, chat: &ChatId, hash: &Hash) -> Option<EnvelopeItem>;
    /// What leads to `to` and does not lead to `from`, oldest first, at most about `max_bytes` (but at least one).
    fn path(
        &self,
        chat: &ChatId,
        stream: &StreamId,
        from: Head,
        to: Head,
        max_bytes: usize,
    ) -> Vec<EnvelopeItem>;
    /// Owner records after a position, oldest first, at most about `max_bytes` (but at least one).
    fn records(&self, chat: &ChatId, after: u64, max_bytes: usize) -> Vec<SignedRecord>;
}

/// A durable fact of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    Identity {
        company: CompanyId,
        record: SignedIdentity,
    },
    Owner {
        chat: ChatId,
        record: SignedRecord,
    },
    Envelope {
        chat: ChatId,
        item: EnvelopeItem,
    },
    /// While `until` is None a partner may be sent anything; a message is certainly unsent only when its clock is
    /// later than every partner's `until`.
    Exposure {
        partner: CompanyId,
        until: Option<Clock>,
    },
    /// What the node may rely on of its own past in a chat: the incarnation that it continues (None: the next event
    /// opens a new one), and whether the owner log that it writes is surely the newest. Only the latest counts.
    Footing {
        chat: ChatId,
        own: Option<u64>,
        owner_sure: bool,
    },
}

/// A signed value of which only the newest counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Register {
    Statement(Statement),
    Read(ReadRegister),
}

/// Something that a person should look at. Nothing here stops the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// Two envelopes at one position of a stream: both are kept as a proof.
    Fork {
        chat: ChatId,
        stream: StreamId,
        first: Hash,
        second: Hash,
    },
    /// Two owner records at one position: the chat is frozen there.
    OwnerFork { chat: ChatId, seq: u64 },
    /// Partners hold more of this node's own stream than it does: it was restored from an older copy.
    Rollback { chat: ChatId, partner: CompanyId },
    /// Two identity records at one position.
    IdentityFork { company: CompanyId, seq: u64 },
}

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Make durable before anything is sent or shown.
    Store(Record),
    /// Keep; may be made durable with the next append.
    StoreRegister(Register),
    /// Keep in the keystore before the envelopes that it opens count as delivered.
    StoreKey {
        chat: ChatId,
        epoch: u32,
        key: EpochKey,
    },
    /// An envelope that counts, with its opened payloads (None: erased or finally unreadable).
    Delivered {
        chat: ChatId,
        envelope: Box<VerifiedEnvelope>,
        plains: Vec<Option<Vec<u8>>>,
        origin: Origin,
    },
    /// Envelopes that no longer count: a cut excludes them.
    Voided {
        chat: ChatId,
        envelopes: Vec<Hash>,
    },
    /// The payload of `target` is to be destroyed; `by` is the delete event.
    Erase {
        chat: ChatId,
        target: EventId,
        by: EventId,
    },
    /// Companies, title, bars or freezing of a chat changed.
    ChatChanged {
        chat: ChatId,
    },
    /// A signed statement of another node about what it delivered.
    StatementArrived {
        chat: ChatId,
        statement: Box<Statement>,
    },
    ReadsArrived {
        chat: ChatId,
        register: Box<ReadRegister>,
    },
    Refused {
        partner: CompanyId,
        chat: Option<ChatId>,
        refusal: Refusal,
    },
    Alarm(Alarm),
}

/// A frame for a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    pub partner: CompanyId,
    pub frame: Vec<u8>,
}

/// What a call may use.
pub struct Context<'a> {
    pub now: Time,
    pub log: &'a dyn ReadLog,
    pub random: &'a mut dyn Random,
    pub out: &'a mut Vec<Output>,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl Random for &mut (dyn Random + '_) {
    fn fill(&mut self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}

/// Who this node is.
#[derive(Debug, Clone)]
pub struct Config {
    pub suite: Suite,
    pub identity: IdentityLog,
    pub node: SecretKey,
    /// Random per database; a restored copy keeps it until the shell knows better.
    pub generation: u64,
    /// False when the node cannot know that its log is the newest one it ever had: then it opens new incarnations.
    pub continuity: bool,
    /// Newest last.
    pub prekeys: Vec<(u32, Time, PrekeySecret)>,
}

/// Planted bugs: each must turn the simulator red. A release build of a node cannot name them.
#[cfg(feature = "sim")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    SkipSignature,
    ReusePosition,
    SkipCut,
    SkipScope,
    SendBeforeCommit,
    CounterIncarnation,
    SingleReadWatermark,
    AckBeforeSync,
    SkipErasure,
    NaiveEveryCut,
    KeepEpochOnRemoval,
    ForgetFork,
    /// A restored owner decides at once, without asking what its partners know.
    TrustOldOwnerLog,
    /// A recall does not ask what may have left.
    ForgetExposure,
    /// Whoever takes part is given every key that there is.
    SkipEntitlement,
    /// Of a shell: nobody is told of two branches.
    SilentFork,
    /// Of a shell: random numbers are part of what a backup puts back.
    ReusedRandom,
}

/// The state of one node's federation. See the module's head for how it is driven.
#[derive(Debug, Clone)]
pub struct Replicator {
    suite: Suite,
    company: CompanyId,
    node: SecretKey,
    node_key: NodeKey,
    generation: u64,
    continuity: bool,
    roster: Roster,
    partners: BTreeMap<CompanyId, Partner>,
    chats: BTreeMap<ChatId, Chat>,
    keys: BTreeMap<(ChatId, u32), EpochKey>,
    prekeys: BTreeMap<u32, PrekeySecret>,
    bundle: PrekeyBundle,
    clock: Clock,
    /// The greatest clock ever used here. [`Self::clock`] follows a wall clock that was set back; this does not.
    highest: Clock,
    /// What follows from having been restored is done.
    settled: bool,
    exposed: BTreeMap<CompanyId, Option<Clock>>,
    rejected: Rejected,
    /// Envelopes taken in the present call, which the log does not have yet.
    fresh: Fresh,
    #[cfg(feature = "sim")]
    bug: Option<Bug>,
}

/// Hashes of what the bytes alone condemned, so that it is not verified again. Bounded.
#[derive(Debug, Clone, Default)]
struct Rejected {
    known: BTreeSet<Hash>,
    order: VecDeque<Hash>,
}

impl Rejected {
    fn insert(&mut self, hash: Hash) {
        if self.known.insert(hash) {
            self.order.push_back(hash);
        }
        if self.order.len() > limits::REJECTED_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    fn contains(&self, hash: &Hash) -> bool {
        self.known.contains(hash)
    }
}

impl Replicator {
    /// A node without chats. What it had is brought back with the `restore_*` calls, oldest first: identities, chats,
    /// keys, registers, exposures, then [`Self::replay`] of what the index had not seen.
    pub fn new(config: Config) -> Replicator {
        let Config {
            suite,
            identity,
            node,
            generation,
            continuity,
            prekeys,
        } = config;
        let company = identity.company();
        let newest = prekeys.last().expect("a node has at least one prekey");
        let public = newest.2.public_under(suite);
        let bundle = PrekeyBundle::sign(suite, &node, company, newest.0, newest.1, public);
        Replicator {
            suite,
            company,
            node_key: node.public(suite),
            node,
            generation,
            continuity,
            roster: Roster::new(suite, identity),
            partners: BTreeMap::new(),
            chats: BTreeMap::new(),
            keys: BTreeMap::new(),
            prekeys: prekeys
                .into_iter()
                .map(|(version, _, secret)| (version, secret))
                .collect(),
            bundle,
            clock: Clock(0),
            highest: Clock(0),
            settled: false,
            exposed: BTreeMap::new(),
            rejected: Rejected::default(),
            fresh: Fresh::default(),
            #[cfg(feature = "sim")]
            bug: None,
        }
    }

    #[cfg(feature = "sim")]
    pub fn plant(&mut self, bug: Option<Bug>) {
        self.bug = bug;
    }

    #[cfg(feature = "sim")]
    pub(crate) fn has_bug(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub fn company(&self) -> CompanyId {
        self.company
    }

    pub fn node_key(&self) -> NodeKey {
        self.node_key
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    pub fn chat(&self, chat: &ChatId) -> Option<&Chat> {
        self.chats.get(chat)
    }

    pub fn chats(&self) -> impl Iterator<Item = (&ChatId, &Chat)> {
        self.chats.iter()
    }

    pub fn partners(&self) -> impl Iterator<Item = (&CompanyId, &Partner)> {
        self.partners.iter()
    }

    pub fn key(&self, chat: &ChatId, epoch: u32) -> Option<&EpochKey> {
        self.keys.get(&(*chat, epoch))
    }

    /// The node's last clock: the shell keeps it with its snapshots.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    // ---- Bringing back what is stored, before any partner is up. ----

    pub fn restore_identity(&mut self, company: CompanyId, records: &[SignedIdentity]) {
        // The own log was verified when it was written; a damaged one is found by `verify`, not here.
        let _held = self.roster.merge(company, records);
    }

    pub fn restore_chat(&mut self, core: ChatCore) {
        let chat = Chat::from_core(core, self.continuity);
        self.clock = chat.own_clock(&self.node_key).max(self.clock);
        self.highest = self.highest.max(self.clock);
        self.chats.insert(chat.id(), chat);
    }

    pub fn restore_clock(&mut self, clock: Clock) {
        self.clock = self.clock.max(clock);
        self.highest = self.highest.max(clock);
    }

    pub fn restore_key(&mut self, chat: ChatId, epoch: u32, key: EpochKey) {
        self.keys.insert((chat, epoch), key);
    }

    /// To be called after the keys and chats are back: the own read register is opened.
    pub fn restore_register(&mut self, register: Register) {
        if let Register::Read(register) = &register {
            self.restore_own_reads(register);
        }
        self.keep_register(register);
    }

    /// Exposure that was open when the node stopped stays open until the next local event: it cannot know what left.
    pub fn restore_exposure(&mut self, partner: CompanyId, until: Option<Clock>) {
        self.exposed.insert(partner, until);
    }

    /// Applies a journal record that the index had not seen yet.
    pub fn replay(&mut self, cx: &mut Context<'_>, record: Record) -> Result<(), Refusal> {
        self.fresh.clear();
        match record {
            Record::Identity { company, record } => self
                .roster
                .merge(company, &[record])
                .map(|_| ())
                .map_err(Refusal::Identity),
            Record::Owner { chat, record } => self.apply_record(cx, Origin::Replay, chat, &record),
            Record::Envelope { chat, item } => {
                self.ingest(cx, Origin::Replay, chat, &item).map(|_| ())
            }
            Record::Exposure { partner, until } => {
                self.restore_exposure(partner, until);
                Ok(())
            }
            Record::Footing {
                chat,
                own,
                owner_sure,
            } => {
                if let Some(chat) = self.chats.get_mut(&chat)
                    && self.continuity
                {
                    chat.core.own = own;
                    chat.core.owner_sure = owner_sure;
                }
                Ok(())
            }
        }
    }

    /// May this person's event count? Bars are rules of the fold, not of the chain.
    pub fn is_barred(
        &self,
        chat: &ChatId,
        envelope: &VerifiedEnvelope,
        actor: &Handle,
        log: &dyn ReadLog,
    ) -> bool {
        let Some(chat_state) = self.chats.get(chat) else {
            return false;
        };
        chat_state.is_barred(chat, envelope, actor, log)
    }
}
