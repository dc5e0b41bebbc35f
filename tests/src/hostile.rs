//! Mallory: a partner company whose node does what it likes.
//!
//! Owns a real identity, a real libp2p node and a real replicator, so that Mallory is a partner like any other: invited
//! with a ticket, a member of chats, in possession of their keys. What it may do beyond that is the point: any frame of
//! any bytes, at any time, in any order. It must not know what the honest node ought to answer; tests say that.
//!
//! One thread owns Mallory's state and is told closures, as the honest node's core is. While `obedient` it behaves, and
//! lies only with what a test hands it; otherwise it says nothing by itself.

pub mod forge;
pub mod scene;
pub mod snapshot;
pub mod storm;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use crossport_node::api::facade::UseCases;
use crossport_node::api::types::Invite;
use crossport_node::core::now;
use crossport_node::network::{
    Address, ListenAddress, Network, NetworkConfig, NetworkEvent, NetworkEvents, NetworkHandle,
    NetworkLimits, NodeKey as PeerKey, SendError,
};
use crossport_node::random::OsRandom;
use crossport_protocol::codec;
use crossport_protocol::event::{Event, Member, MemberAction, UserCard};
use crossport_protocol::fields::Fields;
use crossport_protocol::frame::Frame;
use crossport_protocol::identity::{IdentityDraft, IdentityLog, root_commitment};
use crossport_protocol::ids::{ChatId, CompanyId, Handle, LocalId, NodeKey};
use crossport_protocol::owner_log::{Acceptance, Body, SignedRecord};
use crossport_protocol::pairing::{PAIRING_BYTES, PairReply, PairRequest, Ticket};
use crossport_protocol::replicator::{
    Config, Context, Draft, Output, ReadLog as _, Record, Replicator,
};
use crossport_protocol::sim::log::MemoryLog;
use crossport_protocol::suite::{Random, SecretKey, Suite};
use crossport_protocol::wrap::PrekeySecret;
use tokio::sync::{mpsc, oneshot};

use crate::world::{Company, DEADLINE, OPERATOR, eventually};

/// Frames from the honest node that are remembered, newest last.
const HEARD_MAX: usize = 20_000;
const TICK: Duration = Duration::from_millis(10);
/// The nickname of the only person at Mallory's.
pub const NICKNAME: &str = "mallory";

type Command = Box<dyn FnOnce(&mut Hand) + Send>;

/// A handle on a running Mallory.
#[derive(Debug, Clone)]
pub struct Mallory {
    pub company: CompanyId,
    pub name: String,
    pub network: NetworkHandle,
    commands: mpsc::UnboundedSender<Command>,
}

/// What Mallory has in hand.
pub struct Hand {
    pub company: CompanyId,
    pub root: SecretKey,
    pub node: SecretKey,
    /// A second key that the identity log lists.
    pub second: SecretKey,
    pub identity: IdentityLog,
    pub replicator: Replicator,
    pub log: MemoryLog,
    pub handles: BTreeMap<ChatId, Handle>,
    /// What the honest node said, newest last.
    pub heard: VecDeque<Frame>,
    pub heard_frames: u64,
    /// Behaves like an honest node whenever it is not told otherwise.
    pub obedient: bool,
    /// Reads nothing from the network.
    pub deaf: bool,
    /// The company that Mallory attacks, and its node.
    pub victim: Option<(CompanyId, NodeKey)>,
    pub links: u64,
    pub refused: BTreeSet<&'static str>,
    asked: Vec<ChatId>,
    linked: bool,
    outputs: Vec<Output>,
    network: NetworkHandle,
}

impl std::fmt::Debug for Hand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hand")
            .field("company", &self.company)
            .finish_non_exhaustive()
    }
}

impl Mallory {
    /// Makes the company and starts its node on loopback.
    pub fn start(name: &str) -> Result<Mallory> {
        Mallory::start_with(name, |_| {})
    }

    /// The same with a change to its first identity record.
    pub fn start_with(name: &str, change: impl FnOnce(&mut IdentityDraft)) -> Result<Mallory> {
        let mut random = OsRandom;
        let [root, node, second] = [(), (), ()].map(|()| SecretKey::random(&mut random));
        let suite = Suite::Ed25519;
        let mut draft = IdentityDraft {
            time: now(),
            name: name.to_owned(),
            domains: Vec::new(),
            node_keys: vec![node.public(suite), second.public(suite)],
            next_root: root_commitment(&root.public(suite)),
        };
        change(&mut draft);
        let identity = IdentityLog::create(suite, &root, draft);
        let listen: ListenAddress = "tcp://127.0.0.1:0"
            .parse()
            .map_err(|error| anyhow!("{error}"))?;
        let limits = NetworkLimits {
            redial_first: Duration::from_millis(20),
            redial_longest: Duration::from_millis(200),
            ..NetworkLimits::default()
        };
        let config = NetworkConfig {
            limits,
            ..NetworkConfig::new(*node.expose(), vec![listen])
        };
        let (network, events) = Network::start(config)?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let company = identity.company();
        let handle = tokio::runtime::Handle::current();
        let mallory = Mallory {
            company,
            name: name.to_owned(),
            network: network.clone(),
            commands,
        };
        std::thread::Builder::new()
            .name("mallory".to_owned())
            .spawn(move || {
                let hand = Hand::new(root, node, second, identity, network);
                handle.block_on(hand.run(events, receiver));
            })?;
        Ok(mallory)
    }

    /// Does something with what Mallory has in hand.
    pub async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Hand) -> T + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        // Whoever asked may have given up waiting.
        let command: Command = Box::new(move |hand| drop(reply.send(act(hand))));
        self.commands
            .send(command)
            .map_err(|_| anyhow!("Mallory's thread has ended"))?;
        answer.await.context("Mallory's thread has ended")
    }

    /// Waits until something holds for what Mallory has in hand.
    pub async fn until(
        &self,
        awaited: &str,
        holds: impl Fn(&Hand) -> bool + Clone + Send + 'static,
    ) -> Result<()> {
        eventually(awaited, || {
            let holds = holds.clone();
            async move { self.act(move |hand| holds(hand)).await }
        })
        .await
    }

    /// Pairs with a company by a real ticket and waits until the link is up.
    pub async fn pair(&self, inviter: &Company) -> Result<()> {
        let invite = Invite {
            client_id: format!("invite-{}", self.name),
            expires_in_s: None,
            alias: None,
        };
        let invitation = inviter.node().invite_partner(OPERATOR, invite).await?;
        let reply = self.present(&invitation.ticket, |_| {}).await?;
        ensure!(
            reply.outcome == 0,
            "the ticket was refused with {}",
            reply.outcome
        );
        let ticket = Ticket::from_text(&invitation.ticket)?;
        self.act(move |hand| hand.befriend(&ticket, &reply))
            .await??;
        let ticket = Ticket::from_text(&invitation.ticket)?;
        self.network
            .set_partner(PeerKey(ticket.node.0), addresses(&ticket))
            .await?;
        self.until("Mallory is linked", |hand| hand.is_linked())
            .await
    }

    /// Presents a ticket with a request that a test may change; the changed request is signed as it is.
    pub async fn present(
        &self,
        text: &str,
        change: impl FnOnce(&mut PairRequest) + Send + 'static,
    ) -> Result<PairReply> {
        let ticket = Ticket::from_text(text)?;
        let (peer, to) = (PeerKey(ticket.node.0), addresses(&ticket));
        let request = self
            .act(move |hand| {
                let records = hand.identity.records().cloned().collect();
                let mut request = PairRequest::sign(
                    Suite::Ed25519,
                    &hand.node,
                    hand.company,
                    ticket.token,
                    Vec::new(),
                    records,
                );
                change(&mut request);
                codec::encode(&request)
            })
            .await?;
        let reply = self.network.pair(to, peer, request.into()).await?;
        Ok(codec::decode(&reply, PAIRING_BYTES)?)
    }

    /// Sends frames as they are, waiting while the queue is full. Fails when the link ends.
    pub async fn send(&self, frames: Vec<Vec<u8>>) -> Result<()> {
        let (_, key) = self
            .act(|hand| hand.victim)
            .await?
            .context("Mallory is paired")?;
        for frame in frames {
            send_patiently(&self.network, key, frame).await?;
        }
        Ok(())
    }

    /// Ends Mallory's node.
    pub async fn stop(self) {
        self.network.shutdown().await;
    }
}

async fn send_patiently(network: &NetworkHandle, key: NodeKey, frame: Vec<u8>) -> Result<()> {
    let frame = bytes::Bytes::from(frame);
    let began = std::time::Instant::now();
    loop {
        match network.send(PeerKey(key.0), frame.clone()) {
            Ok(()) => return Ok(()),
            Err(SendError::QueueFull) if began.elapsed() < DEADLINE => {
                tokio::time::sleep(Duration::from_millis(1)).await
            }
            Err(error) => bail!("a frame was not sent: {error}"),
        }
    }
}

fn addresses(ticket: &Ticket) -> Vec<Address> {
    ticket
        .addresses
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect()
}

impl Hand {
    fn new(
        root: SecretKey,
        node: SecretKey,
        second: SecretKey,
        identity: IdentityLog,
        network: NetworkHandle,
    ) -> Hand {
        let mut random = OsRandom;
        let replicator = Replicator::new(Config {
            suite: Suite::Ed25519,
            identity: identity.clone(),
            node: node.clone(),
            generation: 1,
            continuity: true,
            prekeys: vec![(1, now(), PrekeySecret::random(&mut random))],
        });
        Hand {
            company: identity.company(),
            root,
            node,
            second,
            identity,
            replicator,
            log: MemoryLog::default(),
            handles: BTreeMap::new(),
            heard: VecDeque::new(),
            heard_frames: 0,
            obedient: true,
            deaf: false,
            victim: None,
            links: 0,
            refused: BTreeSet::new(),
            asked: Vec::new(),
            linked: false,
            outputs: Vec::new(),
            network,
        }
    }

    async fn run(
        mut self,
        mut events: NetworkEvents,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                event = events.recv(), if !self.deaf => match event {
                    Some(event) => self.hear(event),
                    None => return,
                },
                command = commands.recv() => match command {
                    Some(command) => command(&mut self),
                    None => return,
                },
                _ = tick.tick() => self.call(|replicator, cx| replicator.tick(cx)),
            }
            self.speak();
        }
    }

    /// Calls Mallory's own replicator.
    pub fn call<T>(&mut self, act: impl FnOnce(&mut Replicator, &mut Context<'_>) -> T) -> T {
        let mut random = OsRandom;
        let mut outputs = std::mem::take(&mut self.outputs);
        let mut context = Context {
            now: now(),
            log: &self.log,
            random: &mut random,
            out: &mut outputs,
        };
        let result = act(&mut self.replicator, &mut context);
        for output in outputs.drain(..) {
            self.absorb(output);
        }
        self.outputs = outputs;
        result
    }

    /// Writes an honest text into a chat; it leaves with the next pump.
    pub fn say(&mut self, chat: ChatId, text: &str) -> Result<()> {
        let actor = *self
            .handles
            .get(&chat)
            .context("Mallory takes part in the chat")?;
        let event = Event::Message(crossport_protocol::event::Message::text(text));
        self.call(|replicator, cx| replicator.append(cx, chat, &[Draft { actor, event }]))?;
        Ok(())
    }

    pub fn is_linked(&self) -> bool {
        self.linked
            && self
                .replicator
                .partners()
                .any(|(_, partner)| partner.is_linked())
    }

    /// Takes part with a key of the present epoch and a person.
    pub fn is_in(&self, chat: &ChatId) -> bool {
        let keyed = self.replicator.chat(chat).is_some_and(|held| {
            let owner = held.owner();
            owner.is_member(&self.company) && self.replicator.key(chat, owner.epoch()).is_some()
        });
        keyed && self.handles.contains_key(chat)
    }

    /// The records of a chat's owner log, oldest first.
    pub fn records_of(&self, chat: &ChatId) -> Vec<SignedRecord> {
        self.log.records(chat, 0, usize::MAX)
    }

    /// The acceptance by which Mallory was added to a chat.
    pub fn acceptance_of(&self, chat: &ChatId) -> Option<Acceptance> {
        let bodies = self
            .records_of(chat)
            .into_iter()
            .filter_map(|record| record.verify(Suite::Ed25519).ok());
        let added = bodies.filter_map(|(_, body)| match body {
            Body::Add(add) if add.acceptance.company == self.company => Some(add.acceptance),
            _ => None,
        });
        added.fold(None, |_, newest| Some(newest))
    }

    /// Forgets what was heard, so that what follows can be told apart.
    pub fn forget_heard(&mut self) {
        self.heard.clear();
    }

    fn befriend(&mut self, ticket: &Ticket, reply: &PairReply) -> Result<()> {
        IdentityLog::read(Suite::Ed25519, ticket.company, &reply.identity)?;
        self.replicator
            .restore_identity(ticket.company, &reply.identity);
        self.replicator.set_partner(ticket.company);
        self.victim = Some((ticket.company, ticket.node));
        Ok(())
    }

    fn hear(&mut self, event: NetworkEvent) {
        let Some((victim, _)) = self.victim else {
            return;
        };
        match event {
            NetworkEvent::PartnerUp { .. } => {
                self.linked = true;
                self.links += 1;
                if self.obedient {
                    self.call(|replicator, cx| replicator.partner_up(cx, victim));
                }
            }
            NetworkEvent::PartnerDown { .. } => {
                self.linked = false;
                self.call(|replicator, cx| replicator.partner_down(cx, victim));
            }
            NetworkEvent::Frame { bytes, .. } => {
                self.heard_frames += 1;
                if let Ok(frame) = Frame::decode(&bytes) {
                    self.heard.push_back(frame);
                }
                if self.heard.len() > HEARD_MAX {
                    self.heard.pop_front();
                }
                // What an honest node says never breaches the order of a link; if it did, Mallory would not mind.
                let _breach = self.call(|replicator, cx| replicator.receive(cx, victim, &bytes));
            }
            _ => {}
        }
    }

    fn speak(&mut self) {
        if !self.obedient || !self.linked {
            return;
        }
        for chat in std::mem::take(&mut self.asked) {
            self.join(chat);
        }
        self.call(|replicator, cx| replicator.publish(cx));
        let sends = self.call(|replicator, cx| replicator.pump(cx));
        for send in sends {
            let Some((_, key)) = self.victim else { return };
            // A full queue or a link that just ended: Mallory's log is an outbox too.
            let _lost = self.network.send(PeerKey(key.0), send.frame.into());
        }
    }

    fn join(&mut self, chat: ChatId) {
        let actor = Handle(OsRandom.array());
        let card = UserCard {
            local: LocalId([7; 16]),
            name: "Mallory".to_owned(),
            nickname: NICKNAME.to_owned(),
            title: String::new(),
            fields: Fields::none(),
        };
        let event = Event::Member(Member {
            action: MemberAction::JOIN,
            card,
        });
        match self.call(|replicator, cx| replicator.append(cx, chat, &[Draft { actor, event }])) {
            Ok(_) => {
                self.handles.insert(chat, actor);
            }
            // The key has not come yet: asked again at the next turn.
            Err(_) => self.asked.push(chat),
        }
    }

    fn absorb(&mut self, output: Output) {
        match output {
            Output::Store(Record::Owner { chat, record }) => self.log.insert_record(chat, &record),
            Output::Store(Record::Envelope { chat, item }) => self.log.insert(chat, &item),
            Output::Voided { chat, envelopes } => envelopes
                .iter()
                .for_each(|hash| self.log.remove(&chat, hash)),
            Output::Erase { chat, target, by } => {
                self.log.erase(&chat, target, by);
            }
            Output::Refused { refusal, .. } => {
                self.refused.insert(refusal.name());
            }
            Output::Delivered {
                chat,
                envelope,
                plains,
                ..
            } => {
                for (header, plain) in envelope.header.events.iter().zip(plains) {
                    let event = plain.and_then(|plain| Event::decode(header.kind, &plain).ok());
                    let ours = matches!(&event, Some(Event::MemberAsk(ask)) if ask.company == self.company);
                    if ours && !self.handles.contains_key(&chat) && !self.asked.contains(&chat) {
                        self.asked.push(chat);
                    }
                }
            }
            _ => {}
        }
    }
}
