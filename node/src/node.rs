//! The composition root: opens keys, store and network, starts the core thread and the API, and joins them.
//!
//! The only place where everything is visible. A [`Node`] is a cheap handle: whoever holds it sends closures to the core
//! thread and waits for the end of the round in which they ran.

mod sending;
mod signing_in;
mod starting;
mod use_cases;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossport_protocol::ids::{CompanyId, NodeKey};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::api::facade::{Answer, Refused};
use crate::api::types::Code;
use crate::core::{AfterCommit, Core, LiveLink, RoundDone, now};
use crate::metrics::{Metrics, Side};
use crate::network::{Address, NetworkEvent, NetworkHandle, NodeKey as PeerKey, RefusedReason};
use crate::partners::NetworkWish;
use crate::people::passwords::Hashing;
use crate::people::signed_in::SignedIn;
use crate::store::StoreError;

use sending::{Sending, Sent};
pub(crate) use starting::bare_replicator;
pub use starting::{InitError, NAME_CHARS_MAX, NodeError, StartedNode, describe, init, start};
use waiting::{Arrival, Content, Piece, Waiting};

/// Inputs that may wait for the core: bounds memory, and slows clients and partners down when the disk is slow.
const INPUTS: usize = 4_096;
/// Inputs of one round: more would only make the first of them wait.
const ROUND_INPUTS: usize = INPUTS;
/// Frames are handled for so long in one round, or as long as the end of the last round took: then at least half of the
/// time goes to frames, whatever a commit costs. What an honest partner waits behind a flood is a few rounds; under load
/// this is still a hundred messages to one commit.
const ROUND_FRAMES: Duration = Duration::from_millis(4);
/// And never longer than this, however slow the disk is.
const ROUND_FRAMES_MOST: Duration = Duration::from_millis(50);
/// A link that broke the protocol or outran its queue is taken up again after this.
const BOUNCE: Duration = Duration::from_secs(2);

type Command = Box<dyn FnOnce(&mut Core) + Send>;

/// What the core thread is told.
pub(crate) enum Input {
    Command(Command),
    AfterCommit(AfterCommit),
    Network(NetworkEvent),
    /// A partner's queue that was full is half empty.
    Room(CompanyId, u64),
    Tick,
    Stop,
}

/// A handle on a running node.
#[derive(Clone)]
pub struct Node {
    inputs: mpsc::Sender<Input>,
    network: NetworkHandle,
    signed_in: SignedIn,
    hashing: Hashing,
    metrics: Metrics,
    journal: crate::journal::JournalReader,
    stopped: watch::Receiver<Option<Arc<str>>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

impl Node {
    /// Changes something: answered after the commit of the round in which it ran.
    pub async fn change<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Core) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let command: Command = Box::new(move |core| {
            let result = act(core);
            core.after_commit(Box::new(move |_, committed| {
                let result = committed.map_err(store_refusal).and(result);
                // Whoever asked may have gone away; what was decided stands.
                drop(reply.send(result));
            }));
        });
        self.send(Input::Command(command)).await?;
        answer.await.map_err(|_| Refused::from(Code::NotReady))?
    }

    /// Looks at something: runs after the commit, so that nothing is seen that is not on disk.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Core) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let after: AfterCommit = Box::new(move |core, _| drop(reply.send(look(core))));
        self.send(Input::AfterCommit(after)).await?;
        answer.await.map_err(|_| Refused::from(Code::NotReady))?
    }

    async fn send(&self, input: Input) -> Answer<()> {
        self.inputs
            .send(input)
            .await
            .map_err(|_| Refused::from(Code::NotReady))
    }

    /// The person plane's real address: a port of 0 was chosen by the system.
    pub(crate) async fn listens_at(&self, address: std::net::SocketAddr) {
        let told = self.change(move |core| {
            core.api_listens_at(address);
            Ok(())
        });
        if let Err(refused) = told.await {
            tracing::warn!(%refused, "the node ended while it started");
        }
    }

    pub fn network(&self) -> &NetworkHandle {
        &self.network
    }
}

/// A failure of the store in the client's words.
pub fn store_refusal(error: &StoreError) -> Refused {
    let code = if crate::core::is_recoverable(error) {
        Code::DiskFull
    } else {
        Code::StorageFailed
    };
    Refused::new(code, "").detail(error)
}

/// The core thread: rounds until it is told to stop or the disk fails.
pub(crate) struct CoreThread {
    core: Core,
    inputs: mpsc::Receiver<Input>,
    wishes: mpsc::UnboundedSender<NetworkWish>,
    nodes: BTreeMap<CompanyId, NodeKey>,
    waiting: Waiting,
    sending: Sending,
}

impl CoreThread {
    /// Returns the reason when the node must stop because of its disk.
    pub(crate) fn run(mut self) -> Result<(), StoreError> {
        for wish in self.core.all_network_wishes() {
            self.wish(wish);
        }
        let mut last_end = Duration::ZERO;
        loop {
            let first = if self.waiting.is_empty() {
                let Some(first) = self.inputs.blocking_recv() else {
                    break;
                };
                Some(first)
            } else {
                self.inputs.try_recv().ok()
            };
            let mut stop = first.is_some_and(|first| self.take(first));
            let mut taken = 1;
            while taken < ROUND_INPUTS && !stop {
                let Ok(next) = self.inputs.try_recv() else {
                    break;
                };
                stop = self.take(next);
                taken += 1;
            }
            self.serve_partners(last_end.clamp(ROUND_FRAMES, ROUND_FRAMES_MOST));
            let began = Instant::now();
            let done = self.core.finish_round()?;
            self.after_round(done);
            last_end = began.elapsed();
            if stop {
                break;
            }
        }
        let Core { store, .. } = self.core;
        store.close()
    }

    /// Frames of all partners in turn, for a while: whoever asked something in this round waits no longer than that.
    fn serve_partners(&mut self, a_while: Duration) {
        let began = Instant::now();
        let mut at = began;
        while at.duration_since(began) < a_while {
            let Some(piece) = self.waiting.next() else {
                return;
            };
            let company = piece.company;
            self.handle(piece);
            let done = Instant::now();
            self.waiting.served(company, done.duration_since(at));
            at = done;
        }
    }

    fn handle(&mut self, piece: Piece) {
        let (company, link) = (piece.company, piece.link);
        match piece.content {
            Content::Up(live) => {
                let name = company.to_string();
                self.core.metrics.partner_connected(&name, true);
                self.core.link_up(company, live);
            }
            Content::Frame(frame) => self.core.frame(company, link, *frame),
            Content::Garbage(bytes) => self.core.garbage(company, link, &bytes),
            Content::Down(reason) => {
                tracing::debug!(partner = %company.short(), %reason, "session ended");
                let name = company.to_string();
                self.core.metrics.partner_connected(&name, false);
                self.core.link_down(company, link);
                self.sending.forget(&company);
            }
        }
    }

    fn take(&mut self, input: Input) -> bool {
        match input {
            Input::Command(command) => command(&mut self.core),
            Input::AfterCommit(after) => self.core.after_commit(after),
            Input::Network(event) => self.network_event(event),
            Input::Room(company, link) => {
                if self.sending.room(company, link) {
                    self.core.replicator.hold(company, false);
                }
            }
            Input::Tick => self.core.tick(),
            Input::Stop => return true,
        }
        false
    }

    fn network_event(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Listening { address } => self.core.listening.push(address.to_string()),
            NetworkEvent::PartnerUp {
                key,
                link,
                address,
                transport,
            } => {
                if let Some(company) = self.company_of(key) {
                    let node = NodeKey(key.0);
                    let live = LiveLink {
                        node,
                        link,
                        address: address.to_string(),
                        transport: transport.to_string(),
                        since: now(),
                    };
                    self.nodes.insert(company, node);
                    self.waiting.push(company, link, Arrival::Up(live));
                }
            }
            NetworkEvent::PartnerDown { key, link, reason } => {
                if let Some(company) = self.company_of(key) {
                    self.waiting.push(company, link, Arrival::Down(reason));
                }
            }
            NetworkEvent::Frame {
                key,
                link,
                bytes,
                share,
            } => {
                if let Some(company) = self.company_of(key) {
                    let frame = Arrival::Frame(bytes, share);
                    self.waiting.push(company, link, frame);
                }
            }
            NetworkEvent::PairRequest {
                key,
                request,
                reply,
                ..
            } => {
                let answer = self.core.pair_requested(NodeKey(key.0), &request);
                // Paired means on disk: the answer leaves after the commit.
                self.core.after_commit(Box::new(move |_, committed| {
                    if committed.is_ok() {
                        drop(reply.send(Bytes::from(answer)));
                    }
                }));
            }
            NetworkEvent::DialFailed {
                key,
                reason,
                retry_in,
            } => {
                let company = self.company_of(key).map(|company| company.short());
                tracing::debug!(partner = company, %reason, retry_in_ms = retry_in.as_millis() as u64, "not reached");
            }
            NetworkEvent::Refused { reason, .. } => {
                tracing::debug!(%reason, "connection refused");
                self.core
                    .metrics
                    .refused(Side::Connection, reason_name(reason));
            }
        }
    }

    fn company_of(&self, key: PeerKey) -> Option<CompanyId> {
        let node = NodeKey(key.0);
        let linked = self
            .nodes
            .iter()
            .find(|(_, held)| **held == node)
            .map(|(company, _)| *company);
        linked.or_else(|| {
            self.core
                .directory
                .partner_by_node(&node)
                .map(|partner| partner.company)
        })
    }

    fn after_round(&mut self, done: RoundDone) {
        for outgoing in done.sends {
            let Some(link) = self.core.links.get(&outgoing.partner) else {
                continue;
            };
            let (company, node, id) = (outgoing.partner, link.node, link.link);
            let frame = Bytes::from(outgoing.frame);
            match self.sending.send(company, node, id, frame) {
                Sent::Left | Sent::Ended => {}
                Sent::Held => self.core.replicator.hold(company, true),
                Sent::TooLong => {
                    tracing::error!(partner = %company.short(), "a frame is too long for any link; the link starts anew");
                    self.core.link_down(company, id);
                    self.sending.forget(&company);
                    self.bounce(company, node);
                }
            }
        }
        for company in done.disconnect {
            self.waiting.forget(&company);
            self.sending.forget(&company);
            let link = self.core.links.get(&company);
            if let Some((node, id)) = link.map(|link| (link.node, link.link)) {
                self.core.link_down(company, id);
                self.bounce(company, node);
            }
        }
        for wish in std::mem::take(&mut self.core.network_wishes) {
            self.wish(wish);
        }
    }

    fn bounce(&mut self, company: CompanyId, node: NodeKey) {
        let addresses = self
            .core
            .directory
            .partner(&company)
            .map(|partner| partner.addresses.clone())
            .unwrap_or_default();
        self.wish(NetworkWish::Bounce { node, addresses });
    }

    fn wish(&self, wish: NetworkWish) {
        // The receiver lives as long as the network: without it there is nobody to connect to.
        drop(self.wishes.send(wish));
    }
}

/// The stable names that counters use.
fn reason_name(reason: RefusedReason) -> &'static str {
    match reason {
        RefusedReason::UnknownPeer => "unknown_peer",
        RefusedReason::PausedPartner => "paused_partner",
        RefusedReason::ForeignKey => "foreign_key",
        RefusedReason::TooManyConnections => "too_many_connections",
        RefusedReason::ConnectionRate => "connection_rate",
        RefusedReason::StreamFlood => "stream_flood",
        RefusedReason::BadHandshake => "bad_handshake",
        RefusedReason::SilentStream => "silent_stream",
        RefusedReason::FrameTooLong => "frame_too_long",
        RefusedReason::Garbage => "garbage",
        RefusedReason::Stalled => "stalled",
        RefusedReason::PairingRate => "pairing_rate",
        RefusedReason::PairingTooLong => "pairing_too_long",
    }
}

/// Does what the core wishes of the network, in order.
pub(crate) async fn fulfil(
    network: NetworkHandle,
    mut wishes: mpsc::UnboundedReceiver<NetworkWish>,
) {
    let mut bounces = Bounces::default();
    loop {
        let wish = tokio::select! {
            wish = wishes.recv() => wish,
            Some(due) = bounces.under_way.join_next() => match due {
                Ok(bounced) if bounces.still_wished(&bounced) => Some(NetworkWish::Connect {
                    node: bounced.node,
                    addresses: bounced.addresses,
                }),
                _ => continue,
            },
        };
        let Some(wish) = wish else { return };
        let done = match wish {
            NetworkWish::Connect { node, addresses } => {
                bounces.wished(node, true);
                network
                    .set_partner(PeerKey(node.0), parsed(&addresses))
                    .await
            }
            NetworkWish::Pause { node } => {
                bounces.wished(node, false);
                network.pause_partner(PeerKey(node.0)).await
            }
            NetworkWish::Remove { node } => {
                bounces.wished(node, false);
                network.remove_partner(PeerKey(node.0)).await
            }
            NetworkWish::Bounce { node, addresses } => {
                if !bounces.begin(node, addresses) {
                    continue;
                }
                network.remove_partner(PeerKey(node.0)).await
            }
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the network did not take a partner");
        }
    }
}

/// Partners whose link ends for a moment. A frame that does not leave a link which was just paused or removed asks for a
/// bounce too: it must not bring back a partner that is not welcome any more.
#[derive(Default)]
struct Bounces {
    /// Numbers the wishes about a node, and says whether the last one welcomed it.
    latest: BTreeMap<NodeKey, (u64, bool)>,
    under_way: JoinSet<Bounced>,
}

struct Bounced {
    node: NodeKey,
    addresses: Vec<String>,
    number: u64,
}

impl Bounces {
    fn wished(&mut self, node: NodeKey, welcome: bool) -> u64 {
        let (number, was_welcome) = self.latest.entry(node).or_default();
        *number += 1;
        *was_welcome = welcome;
        *number
    }

    /// False when the partner is not welcome.
    fn begin(&mut self, node: NodeKey, addresses: Vec<String>) -> bool {
        if !self.latest.get(&node).is_some_and(|(_, welcome)| *welcome) {
            return false;
        }
        let number = self.wished(node, true);
        self.under_way.spawn(async move {
            tokio::time::sleep(BOUNCE).await;
            Bounced {
                node,
                addresses,
                number,
            }
        });
        true
    }

    /// Nothing else was wished meanwhile.
    fn still_wished(&self, bounced: &Bounced) -> bool {
        self.latest.get(&bounced.node) == Some(&(bounced.number, true))
    }
}

fn parsed(addresses: &[String]) -> Vec<Address> {
    addresses
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bounce_never_brings_back_who_was_paused_or_removed() {
        let node = NodeKey([1; 32]);
        let mut bounces = Bounces::default();
        assert!(!bounces.begin(node, Vec::new()), "it was never welcome");
        bounces.wished(node, true);
        assert!(bounces.begin(node, Vec::new()));
        let due = bounces.under_way.join_next().await;
        let due = due.expect("one is under way").expect("it does not panic");
        assert!(bounces.still_wished(&due));
        bounces.wished(node, false);
        assert!(!bounces.still_wished(&due), "paused meanwhile");
        assert!(!bounces.begin(node, Vec::new()), "paused before");
    }
}
