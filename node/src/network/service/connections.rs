//! Connections and the streams that come in on them: which become a session, which are served as a stranger's, which are
//! refused.

use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionError, ConnectionId, ListenError, SwarmEvent};
use libp2p::{PeerId, Stream, connection_limits};

use super::super::address::{Address, Transport};
use super::super::event::{DialFailure, RefusedReason};
use super::super::handle::PairOrder;
use super::super::handshake::{self, Welcome};
use super::super::key::NodeKey;
use super::super::muxer;
use super::super::pairing::{self, PairError};
use super::super::partner::{Candidate, Notice, Source};
use super::super::streams::{Inbound, NotAdmitted, Protocol, Standing};
use super::dialing::Dial;
use super::{BehaviourEvent, Deadline, Service};

#[derive(Debug)]
pub(super) struct Connection {
    peer: PeerId,
    address: Address,
    transport: Transport,
    inbound: bool,
}

/// Strangers being served or refused at once. Beyond it their connections are closed without a word.
const MAX_ERRANDS: usize = 64;

/// How long a refused stranger may take to say its greeting and to read the refusal.
const REFUSAL: Duration = Duration::from_secs(5);

/// Between the end of a handshake's own deadline and that of its connection, so that the more telling reason comes first.
const GRACE: Duration = Duration::from_secs(2);

impl Service {
    pub(super) fn swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Streams(inbound)) => self.inbound_stream(inbound),
            SwarmEvent::Behaviour(_) => {}
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                self.context.shared.counters.connections_opened.add(1);
                self.established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed {
                connection_id,
                cause,
                ..
            } => {
                self.context.shared.counters.connections_closed.add(1);
                self.closed(connection_id, cause);
            }
            SwarmEvent::IncomingConnectionError { error, peer_id, .. } => {
                let key = peer_id.as_ref().and_then(NodeKey::of_peer);
                self.refuse(refusal_of(&error), key);
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                error,
                ..
            } => self.dial_error(connection_id, error),
            SwarmEvent::NewListenAddr { address, .. } => self.listening(&address),
            SwarmEvent::ExpiredListenAddr { address, .. } => self.no_longer_listening(&address),
            SwarmEvent::ListenerClosed {
                addresses, reason, ..
            } => {
                if let Err(error) = reason {
                    tracing::error!(%error, "a listener failed");
                }
                for address in &addresses {
                    self.no_longer_listening(address);
                }
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listener"),
            _ => {}
        }
    }

    fn established(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let now = Instant::now();
        let dial = self.dials.remove(&id);
        let remote = endpoint.get_remote_address();
        let Some((address, transport)) = Address::of_multiaddr(remote)
            .and_then(|address| address.transport().map(|transport| (address, transport)))
        else {
            tracing::error!(%remote, "a connection over a transport that this node does not open");
            self.close(id);
            return;
        };
        tracing::debug!(%address, dialed = dial.is_some(), "connected");
        let partner = self.context.partners.is_active(&peer);
        let lifetime = if partner {
            self.context.shared.limits.session_handshake + GRACE
        } else {
            self.context.shared.limits.stranger_lifetime
        };
        self.at(now + lifetime, Deadline::Connection(id));
        let inbound = endpoint.is_listener();
        self.connections.insert(
            id,
            Connection {
                peer,
                address,
                transport,
                inbound,
            },
        );
        match dial {
            Some(Dial::Partner(key)) => self.open_session(key, peer, id),
            Some(Dial::Pair(order)) => self.ask(order, peer, id),
            // A dial whose purpose has gone meanwhile.
            None if !inbound => self.close(id),
            None => {}
        }
    }

    fn open_session(&mut self, key: NodeKey, peer: PeerId, connection: ConnectionId) {
        let wanted = self
            .partners
            .get(&key)
            .is_some_and(|partner| partner.session.is_none());
        if !wanted {
            self.close(connection);
            return;
        }
        let opened = self
            .swarm
            .behaviour_mut()
            .streams
            .open(peer, connection, Protocol::Session);
        self.candidate(key, connection, Source::Opening(opened));
    }

    fn candidate(&mut self, key: NodeKey, connection: ConnectionId, source: Source) {
        let (Some(partner), Some(found)) =
            (self.partners.get(&key), self.connections.get(&connection))
        else {
            self.close(connection);
            return;
        };
        let candidate = Candidate {
            connection,
            source,
            address: found.address.clone(),
            transport: found.transport,
        };
        let dialed = !found.inbound;
        if partner.candidates.try_send(candidate).is_err() {
            // Its task waits for the node above. Whoever dialled tries again later.
            self.close(connection);
            if dialed {
                let busy = "this node is busy".to_owned();
                self.partner_dial_failed(key, Some(DialFailure::Handshake(busy)));
            }
        }
    }

    fn ask(&mut self, order: PairOrder, peer: PeerId, connection: ConnectionId) {
        let PairOrder { request, reply, .. } = order;
        let Ok(slot) = self.ask_slots.clone().try_acquire_owned() else {
            let _gone = reply.send(Err(PairError::Busy));
            self.close(connection);
            return;
        };
        let opened = self
            .swarm
            .behaviour_mut()
            .streams
            .open(peer, connection, Protocol::Pair);
        let (notices, deadline) = (
            self.context.notices.clone(),
            self.context.shared.limits.pair_deadline,
        );
        self.errands.spawn(async move {
            let answer = tokio::time::timeout(deadline, pairing::ask(opened, request)).await;
            let _gone = reply.send(answer.unwrap_or(Err(PairError::Deadline)));
            drop(slot);
            let _stopping = notices.send(Notice::Close { connection }).await;
            None
        });
    }

    fn closed(&mut self, id: ConnectionId, cause: Option<ConnectionError>) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        let reason = cause
            .as_ref()
            .map_or_else(|| "closed".to_owned(), ToString::to_string);
        tracing::debug!(address = %connection.address, reason, "disconnected");
        if let Some(ConnectionError::IO(error)) = &cause
            && muxer::flooded(error)
        {
            self.refuse(
                RefusedReason::StreamFlood,
                NodeKey::of_peer(&connection.peer),
            );
        }
    }

    /// The time of a connection without a session is up.
    pub(super) fn connection_due(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let key = NodeKey::of_peer(&connection.peer);
        let partner = key.and_then(|key| self.partners.get(&key));
        if partner.is_some_and(|partner| partner.session == Some(id)) {
            return;
        }
        if partner.is_some() && connection.inbound {
            self.refuse(RefusedReason::SilentStream, key);
        }
        self.close(id);
    }

    fn inbound_stream(&mut self, inbound: Inbound) {
        let Inbound {
            peer,
            connection,
            protocol,
            stream,
        } = inbound;
        let Some(key) = NodeKey::of_peer(&peer) else {
            self.refuse(RefusedReason::ForeignKey, None);
            self.close(connection);
            return;
        };
        match (protocol, self.context.partners.standing(&peer)) {
            (Protocol::Session, Some(Standing::Active)) => {
                self.session_stream(key, connection, stream)
            }
            (Protocol::Session, Some(Standing::Paused)) => {
                self.turn_away(
                    key,
                    connection,
                    stream,
                    Welcome::Paused,
                    RefusedReason::PausedPartner,
                );
            }
            (Protocol::Session, None) => {
                self.turn_away(
                    key,
                    connection,
                    stream,
                    Welcome::Unknown,
                    RefusedReason::UnknownPeer,
                );
            }
            (Protocol::Pair, _) => self.pair_stream(key, connection, stream),
        }
    }

    fn session_stream(&mut self, key: NodeKey, connection: ConnectionId, stream: Stream) {
        // The side that dialled the connection opens the session; a stream the other way is nothing that a node does.
        if self
            .connections
            .get(&connection)
            .is_some_and(|connection| connection.inbound)
        {
            self.candidate(key, connection, Source::Inbound(stream));
        } else {
            self.refuse(RefusedReason::Garbage, Some(key));
            self.close(connection);
        }
    }

    fn turn_away(
        &mut self,
        key: NodeKey,
        connection: ConnectionId,
        mut stream: Stream,
        welcome: Welcome,
        reason: RefusedReason,
    ) {
        self.refuse(reason, Some(key));
        if self.errands.len() >= MAX_ERRANDS {
            self.close(connection);
            return;
        }
        let notices = self.context.notices.clone();
        self.errands.spawn(async move {
            let told = async {
                // The boot number is for partners only: it would tell a stranger when this node started anew.
                handshake::welcome(&mut stream, 0, welcome).await?;
                stream.close().await?;
                let end = stream.read(&mut [0]).await?;
                Ok::<usize, handshake::HandshakeError>(end)
            };
            // Whether it was heard does not matter: the connection goes either way.
            let _heard = tokio::time::timeout(REFUSAL, told).await;
            let _stopping = notices.send(Notice::Close { connection }).await;
            None
        });
    }

    fn pair_stream(&mut self, key: NodeKey, connection: ConnectionId, stream: Stream) {
        let Some(found) = self.connections.get(&connection) else {
            return;
        };
        let (address, now) = (found.address.clone(), Instant::now());
        // The address goes first, so that what one asks too much is not taken from all others.
        let within = address
            .ip()
            .is_none_or(|ip| self.pair_address_rates.take(ip, now))
            && self.pair_rate.take(now);
        let slot = self.pair_slots.clone().try_acquire_owned();
        let (true, Ok(slot)) = (within, slot) else {
            self.refuse(RefusedReason::PairingRate, Some(key));
            self.close(connection);
            return;
        };
        let context = self.context.clone();
        self.errands.spawn(async move {
            let _slot = slot;
            pairing::answer(stream, key, address, &context).await.err()
        });
    }

    pub(super) fn close(&mut self, connection: ConnectionId) {
        self.swarm.close_connection(connection);
    }

    pub(super) fn close_all_of(&mut self, peer: PeerId) {
        let of_peer = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.peer == peer);
        let ids: Vec<_> = of_peer.map(|(id, _)| *id).collect();
        for id in ids {
            self.close(id);
        }
    }
}

fn refusal_of(error: &ListenError) -> RefusedReason {
    match error {
        ListenError::Denied { cause } => match cause.downcast_ref::<NotAdmitted>() {
            Some(NotAdmitted(reason)) => *reason,
            None if cause
                .downcast_ref::<connection_limits::Exceeded>()
                .is_some() =>
            {
                RefusedReason::TooManyConnections
            }
            None => RefusedReason::BadHandshake,
        },
        ListenError::Aborted
        | ListenError::WrongPeerId { .. }
        | ListenError::LocalPeerId { .. }
        | ListenError::Transport(_) => RefusedReason::BadHandshake,
    }
}
