//! The one task that owns the swarm.
//!
//! Owns every connection, every partner's back-off and every deadline that is not a session's own. It waits only for its inputs:
//! commands, notices, the swarm, deadlines and tasks. It never waits for the node above or for a partner, so one that is slow
//! stops nobody else; what it has to report while nobody listens is kept in a bounded list.

mod connections;
mod dialing;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use libp2p::identity::Keypair;
use libp2p::swarm::{Config, ConnectionId, NetworkBehaviour, Swarm};
use libp2p::{Multiaddr, PeerId, TransportError, connection_limits, identify};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::address::{Address, ListenAddress, Transport};
use super::event::{NetworkEvent, RefusedReason};
use super::handle::Command;
use super::key::NodeKey;
use super::limits::NetworkLimits;
use super::partner::Notice;
use super::rates::{AddressRates, TokenBucket};
use super::streams;
use super::transport;
use super::{Context, NetworkError};

use connections::Connection;
use dialing::{Dial, PartnerEntry, Resolved};

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    streams: streams::Behaviour,
}

pub(super) struct Service {
    context: Arc<Context>,
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    notices: mpsc::Receiver<Notice>,
    partners: HashMap<NodeKey, PartnerEntry>,
    /// Tasks of removed partners that have not ended yet.
    ending: HashMap<NodeKey, CancellationToken>,
    /// Dials under way, by the connection that they will become.
    dials: HashMap<ConnectionId, Dial>,
    connections: HashMap<ConnectionId, Connection>,
    deadlines: BTreeSet<(Instant, Deadline)>,
    resolving: JoinSet<Resolved>,
    /// Serving and asking strangers; each reports what was wrong, if anything.
    errands: JoinSet<Option<RefusedReason>>,
    partner_tasks: JoinSet<()>,
    outbox: VecDeque<NetworkEvent>,
    pair_rate: TokenBucket,
    pair_address_rates: AddressRates,
    pair_slots: Arc<Semaphore>,
    ask_slots: Arc<Semaphore>,
}

/// What happens at a moment. Deadlines that no longer apply are ignored when they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    Redial(NodeKey),
    Connection(ConnectionId),
}

/// Reports kept while the node above does not take events. Frames and sessions never wait here.
const MAX_OUTBOX: usize = 256;

/// What this node says of itself to whoever connects: that it is Crossport, and no more. The version stays out of it, so that
/// nobody can look for nodes that lack a fix.
const AGENT: &str = "crossport";

impl Service {
    pub(super) fn new(
        keys: &Keypair,
        listen: &[ListenAddress],
        context: Arc<Context>,
        commands: mpsc::Receiver<Command>,
        notices: mpsc::Receiver<Notice>,
    ) -> Result<Self, NetworkError> {
        let limits = &context.shared.limits;
        let mut swarm = build_swarm(keys, &context)?;
        for address in listen {
            for (transport, multiaddr) in address.multiaddrs() {
                listen_on(&mut swarm, *address, transport, multiaddr)?;
            }
        }
        Ok(Self {
            swarm,
            commands,
            notices,
            partners: HashMap::new(),
            ending: HashMap::new(),
            dials: HashMap::new(),
            connections: HashMap::new(),
            deadlines: BTreeSet::new(),
            resolving: JoinSet::new(),
            errands: JoinSet::new(),
            partner_tasks: JoinSet::new(),
            outbox: VecDeque::new(),
            pair_rate: TokenBucket::new(
                limits.pair_burst,
                limits.pair_per_second.into(),
                Instant::now(),
            ),
            pair_address_rates: AddressRates::new(
                limits.pair_address_burst,
                f64::from(limits.pair_address_per_minute) / 60.0,
            ),
            pair_slots: Arc::new(Semaphore::new(limits.pair_concurrent)),
            ask_slots: Arc::new(Semaphore::new(limits.pair_concurrent)),
            context,
        })
    }

    pub(super) async fn run(mut self) {
        let done = self.serve().await;
        self.stop().await;
        if let Some(done) = done {
            // Whoever asked to stop may have given up waiting.
            let _gone = done.send(());
        }
    }

    async fn serve(&mut self) -> Option<oneshot::Sender<()>> {
        loop {
            let due = self
                .deadlines
                .first()
                .map(|(due, _)| tokio::time::Instant::from_std(*due));
            let events = self.context.events.sender.clone();
            tokio::select! {
                // What partners' tasks noticed comes before what the node above commands: it may react to an event that was
                // sent after the notice. The swarm comes last, because strangers can keep it busy.
                biased;
                Some(notice) = self.notices.recv() => self.notice(notice),
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown { done }) => return Some(done),
                    Some(command) => self.command(command),
                    None => return None,
                },
                () = sleep_until(due), if due.is_some() => self.deadlines_due(),
                Some(resolved) = self.resolving.join_next() => if let Some(resolved) = self.unless_failed(resolved) {
                    self.resolved(resolved);
                },
                Some(errand) = self.errands.join_next() => if let Some(Some(reason)) = self.unless_failed(errand) {
                    self.refuse(reason, None);
                },
                Some(ended) = self.partner_tasks.join_next_with_id() => self.partner_task_ended(ended),
                permit = events.reserve(), if !self.outbox.is_empty() => match (permit, self.outbox.pop_front()) {
                    (Ok(permit), Some(event)) => permit.send(event.into()),
                    (Ok(_), None) => {}
                    (Err(_), _) => return None,
                },
                () = events.closed() => return None,
                event = futures::StreamExt::select_next_some(&mut self.swarm) => self.swarm_event(event),
            }
        }
    }

    async fn stop(&mut self) {
        for partner in self.partners.values() {
            partner.stops.finished.cancel();
        }
        let stopped = async {
            // Notices are still taken, because a partner's task waits to hand them over.
            loop {
                tokio::select! {
                    ended = self.partner_tasks.join_next() => if ended.is_none() { break },
                    Some(_) = self.notices.recv() => {}
                    _ = futures::StreamExt::select_next_some(&mut self.swarm) => {}
                }
            }
        };
        let patience = self.context.shared.limits.drain + Duration::from_secs(1);
        if tokio::time::timeout(patience, stopped).await.is_err() {
            tracing::warn!("some sessions did not end in time");
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::SetPartner {
                key,
                peer,
                addresses,
                done,
            } => {
                // The caller may have given up waiting; the partner is set all the same.
                let _gone = done.send(self.set_partner(key, peer, addresses));
            }
            Command::RemovePartner { key, peer } => self.remove_partner(key, peer),
            Command::PausePartner { key, peer } => self.pause_partner(key, peer),
            Command::DialNow { key } => self.dial_now(key),
            Command::Pair { addresses, order } => self.pair(addresses, order),
            Command::Shutdown { .. } => {}
        }
    }

    fn deadlines_due(&mut self) {
        let now = Instant::now();
        while let Some((due, deadline)) = self
            .deadlines
            .first()
            .copied()
            .filter(|(due, _)| *due <= now)
        {
            self.deadlines.remove(&(due, deadline));
            match deadline {
                Deadline::Redial(key) => self.redial_due(key, now),
                Deadline::Connection(connection) => self.connection_due(connection),
            }
        }
    }

    fn at(&mut self, due: Instant, deadline: Deadline) {
        self.deadlines.insert((due, deadline));
    }

    fn unless_failed<T>(&self, result: Result<T, JoinError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("a task of the network failed");
                    self.context.shared.counters.panics.add(1);
                }
                None
            }
        }
    }

    fn refuse(&mut self, reason: RefusedReason, key: Option<NodeKey>) {
        self.context.shared.counters.refuse(reason);
        tracing::debug!(%reason, ?key, "refused");
        self.report(NetworkEvent::Refused { reason, key });
    }

    /// Reports what may be lost. Strangers can cause these without end, so beyond the bound they are only counted.
    fn report(&mut self, event: NetworkEvent) {
        if self.outbox.len() < MAX_OUTBOX {
            self.outbox.push_back(event);
        } else {
            self.context.shared.counters.events_dropped.add(1);
        }
    }

    fn listening(&mut self, address: &Multiaddr) {
        let Some(address) = Address::of_multiaddr(address) else {
            return;
        };
        tracing::debug!(%address, "listening");
        self.context
            .shared
            .addresses
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(address.clone());
        // Not through `report`: there are as many as interfaces, and the node above waits for them.
        self.outbox.push_back(NetworkEvent::Listening { address });
    }

    fn no_longer_listening(&mut self, address: &Multiaddr) {
        let Some(address) = Address::of_multiaddr(address) else {
            return;
        };
        tracing::info!(%address, "no longer listening");
        self.context
            .shared
            .addresses
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|found| *found != address);
    }
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn build_swarm(keys: &Keypair, context: &Context) -> Result<Swarm<Behaviour>, NetworkError> {
    let limits = &context.shared.limits;
    let transport = transport::build(keys, context.partners.clone(), limits)?;
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(connection_limits(limits)),
        identify: identify::Behaviour::new(
            identify::Config::new("/crossport/0".to_owned(), keys.public())
                .with_agent_version(AGENT.to_owned())
                // Addresses learnt this way are never dialled: a partner's come from what people approved.
                .with_cache_size(0)
                .with_hide_listen_addrs(true),
        ),
        streams: streams::Behaviour::new(context.partners.clone(), limits.clone()),
    };
    let config = Config::with_tokio_executor()
        .with_idle_connection_timeout(limits.stranger_idle)
        .with_max_negotiating_inbound_streams(limits.stranger_streams)
        .with_smart_dial();
    Ok(Swarm::new(
        transport,
        behaviour,
        PeerId::from(keys.public()),
        config,
    ))
}

fn connection_limits(limits: &NetworkLimits) -> connection_limits::ConnectionLimits {
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits.pending_inbound))
        .with_max_established(Some(limits.connections))
}

fn listen_on(
    swarm: &mut Swarm<Behaviour>,
    address: ListenAddress,
    transport: Transport,
    multiaddr: Multiaddr,
) -> Result<(), NetworkError> {
    let failed = |cause: io::Error| NetworkError::Listen {
        address: address.socket,
        transport,
        cause,
    };
    if transport == Transport::Tcp && address.socket.port() != 0 {
        // libp2p binds with SO_REUSEPORT: a second node on the same port would start, and each would get half of the
        // connections. Binding once without it finds that out.
        drop(TcpListener::bind(address.socket).map_err(failed)?);
    }
    swarm.listen_on(multiaddr).map_err(|error| {
        failed(match error {
            TransportError::Other(cause) => cause,
            other => io::Error::other(other.to_string()),
        })
    })?;
    Ok(())
}
