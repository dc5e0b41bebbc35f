//! The one thread that owns the state of a node: replicator, store, keys and directory.
//!
//! It works in rounds: take everything that waits (posts, frames, commands), decide, commit once, and only then send,
//! answer and announce. So a round under load is one group: one envelope a chat, one append, one fdatasync. Because one
//! thread owns everything there are no locks to order; whoever wants something sends a closure (see `node.rs`).

mod absorb;
mod marks;
mod messages;
mod overdue;
mod posting;
mod views;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use crossport_protocol::clock::Time;
use crossport_protocol::fold::{Actor, Membership};
use crossport_protocol::frame::Frame;
use crossport_protocol::ids::{
    ChatId, CompanyId, EventId, Head, LocalId, NodeKey, StreamId, UserId,
};
use crossport_protocol::replicator::{
    Context, Output, ProtocolBreach, Replicator, Send as Outgoing,
};

use crate::api::facade::Scopes;
use crate::changes::Changes;
use crate::config::Config;
use crate::directory::Directory;
use crate::keystore::Keystore;
use crate::metrics::{Metrics, Side};
use crate::partners::NetworkWish;
use crate::people::signed_in::{Access, SignedIn};
use crate::random::OsRandom;
use crate::store::{Store, StoreError};

pub use posting::{Post, client_key, refused_append};
pub use views::PREVIEW_CHARS;
pub use views::{last_clock, person_id, random_array, time_text};

/// Who takes part in a chat, as the people of this node see it.
pub type People = BTreeMap<Actor, Membership>;

/// A live link with a partner.
#[derive(Debug, Clone)]
pub struct LiveLink {
    pub node: NodeKey,
    pub link: u64,
    pub address: String,
    pub transport: String,
    pub since: Time,
}

/// An own message whose marks may still change.
#[derive(Debug, Clone, Copy)]
struct Unsettled {
    id: EventId,
    stream: StreamId,
    head: Head,
    author: LocalId,
    at: Time,
    stored_everywhere: bool,
    told_overdue: bool,
}

/// Own messages that wait for marks are remembered up to this many for a chat; older ones are computed when asked for.
const UNSETTLED_MAX: usize = 8_192;

/// Garbled or forged items after which a link is ended; it is taken up again a little later. An honest node sends none;
/// checking so many takes some 10 ms.
const GARBLED_MAX: u32 = 256;
/// The reason under which that is counted.
const FLOOD: &str = "flood";

/// What happens after the commit of a round: answers to whoever waits.
pub type AfterCommit = Box<dyn FnOnce(&Core, Result<(), &StoreError>) + Send>;

/// The state of a node.
pub struct Core {
    pub config: Config,
    pub replicator: Replicator,
    pub store: Store,
    pub keystore: Keystore,
    pub directory: Directory,
    pub changes: Changes,
    pub metrics: Metrics,
    pub signed_in: SignedIn,
    /// When sessions were last looked through.
    pub(crate) sessions_kept: Time,
    /// Addresses that this node listens on.
    pub listening: Vec<String>,
    pub network_wishes: Vec<NetworkWish>,
    pub links: BTreeMap<CompanyId, LiveLink>,
    pub started: Time,
    pub generation: u64,
    people: BTreeMap<ChatId, People>,
    chats_of: BTreeMap<LocalId, BTreeSet<ChatId>>,
    /// Direct chats by a person of this company and the other person: more than one if both sides made one at once.
    pub(crate) directs: BTreeMap<(LocalId, UserId), BTreeSet<ChatId>>,
    titles: BTreeMap<ChatId, Option<String>>,
    unsettled: BTreeMap<ChatId, VecDeque<Unsettled>>,
    overdue: overdue::Overdue,
    outputs: Vec<Output>,
    changed_chats: BTreeSet<ChatId>,
    announcements: Vec<Announcement>,
    asks: VecDeque<absorb::Ask>,
    posts: Vec<Post>,
    after: Vec<AfterCommit>,
    pub refusals: BTreeMap<CompanyId, BTreeMap<&'static str, u64>>,
    /// What took long to tell, and when such things may be told again.
    costly: BTreeSet<Announcement>,
    costly_again: Instant,
    /// The minute, and how many questions for people who are not there came in it.
    unknown_asked: BTreeMap<ChatId, (u64, u32)>,
    /// Garbled or forged items on the present link of a partner.
    garbled: BTreeMap<CompanyId, u32>,
    to_disconnect: Vec<CompanyId>,
    starting: bool,
    /// Up to which arrival each person has read; the heads behind it are in registers.
    read_marks: RefCell<BTreeMap<(ChatId, LocalId), u64>>,
    /// A failure of the store that a reader met. The round ends with it.
    failure: RefCell<Option<StoreError>>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("company", &self.replicator.company())
            .finish_non_exhaustive()
    }
}

/// A change that is told after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Announcement {
    Chat(ChatId),
    Message(ChatId, EventId),
    Receipt(ChatId, EventId, LocalId),
}

/// What the shell does after a round.
#[derive(Debug, Default)]
pub struct RoundDone {
    pub sends: Vec<Outgoing>,
    pub disconnect: Vec<CompanyId>,
}

/// The parts that a core is made of.
#[derive(Debug)]
pub struct Parts {
    pub config: Config,
    pub replicator: Replicator,
    pub store: Store,
    pub keystore: Keystore,
    pub metrics: Metrics,
    pub boot: u64,
    pub generation: u64,
}

impl Core {
    pub fn new(parts: Parts) -> Core {
        let Parts {
            config,
            replicator,
            store,
            keystore,
            metrics,
            boot,
            generation,
        } = parts;
        let directory = Directory::read(&store);
        let signed_in = who_is_signed_in(&directory);
        Core {
            config,
            replicator,
            store,
            keystore,
            directory,
            changes: Changes::new(boot),
            metrics,
            signed_in,
            sessions_kept: Time(0),
            listening: Vec::new(),
            network_wishes: Vec::new(),
            links: BTreeMap::new(),
            started: now(),
            generation,
            people: BTreeMap::new(),
            chats_of: BTreeMap::new(),
            directs: BTreeMap::new(),
            titles: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            overdue: overdue::Overdue::default(),
            outputs: Vec::new(),
            changed_chats: BTreeSet::new(),
            announcements: Vec::new(),
            asks: VecDeque::new(),
            posts: Vec::new(),
            after: Vec::new(),
            refusals: BTreeMap::new(),
            costly: BTreeSet::new(),
            costly_again: Instant::now(),
            unknown_asked: BTreeMap::new(),
            garbled: BTreeMap::new(),
            to_disconnect: Vec::new(),
            starting: true,
            read_marks: RefCell::default(),
            failure: RefCell::default(),
        }
    }

    /// The value, or nothing and the end of the node: a store that fails to read must not look empty to anybody.
    pub fn sound<T: Default>(&self, read: Result<T, StoreError>) -> T {
        read.unwrap_or_else(|error| {
            tracing::error!(%error, "the store failed");
            self.failure.borrow_mut().get_or_insert(error);
            T::default()
        })
    }

    /// Brings the index up to the journal (progress in its bytes: done, all), then the memory up to the index. Nothing is sent or answered before.
    pub fn catch_up_with_journal(
        &mut self,
        progress: &dyn Fn(u64, u64),
    ) -> Result<u64, StoreError> {
        /// Records between two index batches: few enough to bound memory, many enough to amortise.
        const BATCH: u64 = 4_096;
        // Chats that the index knows take their registers now; those that only the journal knows, after it was read.
        self.read_registers();
        let mut done = 0u64;
        while let Some((position, entry)) = self.store.next_unapplied()? {
            self.apply_unapplied(position, entry)?;
            done = done.saturating_add(1);
            if done.is_multiple_of(BATCH) {
                self.keep_chats();
                self.store.commit()?;
                let (at, of) = self.store.replay_progress().unwrap_or_default();
                progress(at, of);
            }
        }
        self.keep_chats();
        self.store.commit()?;
        self.read_registers();
        self.read_people();
        for partner in self.directory.partners().filter(|partner| !partner.removed) {
            self.replicator.set_partner(partner.company);
        }
        self.announcements.clear();
        self.starting = false;
        self.expect_deadlines();
        Ok(done)
    }

    /// Calls the replicator and takes in what it decided.
    pub fn replicate<T>(&mut self, call: impl FnOnce(&mut Replicator, &mut Context<'_>) -> T) -> T {
        let mut random = OsRandom;
        let mut outputs = std::mem::take(&mut self.outputs);
        let mut context = Context {
            now: now(),
            log: &self.store,
            random: &mut random,
            out: &mut outputs,
        };
        let result = call(&mut self.replicator, &mut context);
        for output in outputs.drain(..) {
            self.absorb(output);
        }
        self.outputs = outputs;
        result
    }

    /// Links name the real port, if it was left to the system to choose one.
    pub fn api_listens_at(&mut self, address: std::net::SocketAddr) {
        if self.config.api_listen.port() == 0 {
            self.config.api_url = format!("http://{address}");
        }
    }

    /// Waits for the commit of this round before it is called.
    pub fn after_commit(&mut self, then: AfterCommit) {
        self.after.push(then);
    }

    pub fn post(&mut self, post: Post) {
        self.posts.push(post);
    }

    /// Ends a round: everything decided so far becomes durable, then it is answered, announced and sent.
    pub fn finish_round(&mut self) -> Result<RoundDone, StoreError> {
        self.write_posts();
        self.answer_asks();
        self.replicate(|replicator, cx| replicator.publish(cx));
        self.keep_chats();
        let began = Instant::now();
        let committed = self.store.commit();
        if let Ok(done) = &committed
            && done.records > 0
        {
            self.metrics
                .journal_committed(done.records as u64, began.elapsed());
        }
        for then in std::mem::take(&mut self.after) {
            then(self, committed.as_ref().map(|_| ()));
        }
        match committed {
            Ok(_) => {}
            Err(error) if is_recoverable(&error) => {
                tracing::error!(%error, "nothing new is accepted until there is space");
                return Ok(RoundDone::default());
            }
            Err(error) => return Err(error),
        }
        let sends = self.replicate(|replicator, cx| replicator.pump(cx));
        self.announce();
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        Ok(RoundDone {
            sends,
            disconnect: std::mem::take(&mut self.to_disconnect),
        })
    }

    fn keep_chats(&mut self) {
        for chat in std::mem::take(&mut self.changed_chats) {
            if let Some(held) = self.replicator.chat(&chat) {
                self.store.put_chat(held.core());
            }
        }
        self.store.put_clock(self.replicator.clock());
    }

    /// True when somebody waits for this round's end.
    pub fn has_work(&self) -> bool {
        !self.posts.is_empty() || !self.after.is_empty()
    }

    // ---- Links ----

    pub fn link_up(&mut self, company: CompanyId, link: LiveLink) {
        tracing::info!(partner = %company.short(), transport = %link.transport, "link up");
        self.garbled.remove(&company);
        self.links.insert(company, link);
        self.replicate(|replicator, cx| replicator.partner_up(cx, company));
        self.touch_partner(company);
    }

    pub fn link_down(&mut self, company: CompanyId, link: u64) {
        if self
            .links
            .get(&company)
            .is_some_and(|held| held.link == link)
        {
            tracing::info!(partner = %company.short(), "link down");
            self.links.remove(&company);
            self.replicate(|replicator, cx| replicator.partner_down(cx, company));
            self.touch_partner(company);
        }
    }

    fn touch_partner(&mut self, company: CompanyId) {
        if let Some(partner) = self.directory.partner(&company).cloned() {
            let seen = crate::directory::Partner {
                last_seen: Some(now()),
                ..partner
            };
            self.directory.put_partner(&mut self.store, seen);
        }
    }

    /// A frame, or a piece of one, that came on a link.
    pub fn frame(&mut self, company: CompanyId, link: u64, frame: Frame) {
        if self.is_linked_by(&company, link) {
            let received =
                self.replicate(|replicator, cx| replicator.receive_frame(cx, company, frame));
            self.end_after(company, received);
        }
    }

    /// Bytes that are no frame: the replicator says so.
    pub fn garbage(&mut self, company: CompanyId, link: u64, bytes: &[u8]) {
        if self.is_linked_by(&company, link) {
            let received = self.replicate(|replicator, cx| replicator.receive(cx, company, bytes));
            self.end_after(company, received);
        }
    }

    /// Nothing more is taken of a link that is about to be ended.
    fn is_linked_by(&self, company: &CompanyId, link: u64) -> bool {
        let held = self.links.get(company);
        held.is_some_and(|held| held.link == link) && !self.to_disconnect.contains(company)
    }

    fn end_after(&mut self, company: CompanyId, received: Result<(), ProtocolBreach>) {
        if let Err(breach) = received {
            tracing::warn!(partner = %company.short(), %breach, "the link is ended");
            self.to_disconnect.push(company);
        }
    }

    /// Counts what no honest node sends, and ends a link on which there is too much of it.
    fn note_garbled(&mut self, company: CompanyId) {
        let count = self.garbled.entry(company).or_insert(0);
        *count = count.saturating_add(1);
        if *count == GARBLED_MAX {
            tracing::warn!(partner = %company.short(), "the link is ended: too much on it is garbled or forged");
            self.metrics.refused(Side::Partner, FLOOD);
            let reasons = self.refusals.entry(company).or_default();
            let counted = reasons.entry(FLOOD).or_insert(0);
            *counted = counted.saturating_add(1);
            self.to_disconnect.push(company);
        }
    }

    /// The chat's row changed for its people.
    pub fn tell_chat(&mut self, chat: ChatId) {
        self.announcements.push(Announcement::Chat(chat));
    }

    /// Puts another replicator in the place of the present one, for a rebuild of the index.
    pub fn replace_replicator(&mut self, replicator: Replicator) {
        self.replicator = replicator;
        self.people.clear();
        self.chats_of.clear();
        self.directs.clear();
        self.titles.clear();
        self.starting = true;
    }

    /// Tells a fresh replicator of the links that are up.
    pub fn relink(&mut self) {
        let linked: Vec<(CompanyId, NodeKey)> = self
            .links
            .iter()
            .map(|(company, link)| (*company, link.node))
            .collect();
        self.links.clear();
        for (company, node) in linked {
            let addresses = self
                .directory
                .partner(&company)
                .map(|partner| partner.addresses.clone())
                .unwrap_or_default();
            self.network_wishes
                .push(NetworkWish::Bounce { node, addresses });
        }
    }

    pub fn tick(&mut self) {
        self.replicate(|replicator, cx| replicator.tick(cx));
        self.keep_sessions();
        self.judge_deadlines();
    }
}

/// Everybody whose session or token outlived the last stop.
fn who_is_signed_in(directory: &Directory) -> SignedIn {
    let signed_in = SignedIn::default();
    for user in directory.users() {
        let access = Access {
            user: user.local,
            administrator: user.administrator,
            scopes: Scopes::ALL,
            expires: None,
        };
        for (session, _) in directory.sessions_of(user.local) {
            signed_in.insert(*session, access);
        }
        let held = directory.tokens();
        for (hash, token) in held.filter(|(_, token)| token.user == user.local) {
            let (scopes, expires) = (Scopes::of_bits(token.scopes), token.expires);
            let access = Access {
                scopes,
                expires,
                ..access
            };
            signed_in.insert(*hash, access);
        }
    }
    signed_in
}

/// The node stays up: nothing was kept, and it works again once there is space.
pub fn is_recoverable(error: &StoreError) -> bool {
    matches!(error, StoreError::Full | StoreError::ReadOnly { .. })
}

/// The wall clock. The only place of the node that reads it for the protocol.
pub fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A machine that believes to live before 1970 writes at its epoch; partners see "clock behind" in `doctor`.
    Time(since.map_or(0, |duration| duration.as_millis() as u64))
}
