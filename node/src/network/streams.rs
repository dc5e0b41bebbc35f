//! Streams of our own protocols on libp2p connections, and who may connect at all.
//!
//! Owns the swarm behaviour that opens a stream on a *given* connection and reports each inbound stream with the connection it
//! came on. libp2p-stream does neither, drops streams when its reader is busy, and keeps a sender for every connection ever
//! made. Also owns the admission of connections: partners always, strangers few. It does not read or write a single byte of a
//! stream.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::net::IpAddr;
use std::sync::RwLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::multiaddr::Protocol as AddressPart;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use tokio::sync::oneshot;

use super::event::RefusedReason;
use super::limits::NetworkLimits;
use super::rates::AddressRates;

/// The protocols that nodes speak. Files will have their own streams, `/crossport/blobs/0`, so that bulk never waits in front
/// of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Session,
    Pair,
}

impl Protocol {
    const ALL: [Self; 2] = [Self::Session, Self::Pair];

    fn name(self) -> StreamProtocol {
        StreamProtocol::new(match self {
            Self::Session => "/crossport/session/0",
            Self::Pair => "/crossport/pair/0",
        })
    }
}

/// Who is a partner. Shared by the transport, which grants strangers smaller windows, and this behaviour.
#[derive(Debug, Default)]
pub(super) struct Partners {
    active: RwLock<HashMap<PeerId, Standing>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Active,
    Paused,
}

impl Partners {
    pub(super) fn standing(&self, peer: &PeerId) -> Option<Standing> {
        self.active
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .get(peer)
            .copied()
    }

    pub(super) fn is_active(&self, peer: &PeerId) -> bool {
        self.standing(peer) == Some(Standing::Active)
    }

    pub(super) fn set(&self, peer: PeerId, standing: Option<Standing>) {
        let mut active = self
            .active
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        match standing {
            Some(standing) => active.insert(peer, standing),
            None => active.remove(&peer),
        };
    }
}

/// A connection that was not admitted.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotAdmitted(pub RefusedReason);

/// An inbound stream, negotiated but unread.
#[derive(Debug)]
pub(super) struct Inbound {
    pub peer: PeerId,
    pub connection: ConnectionId,
    pub protocol: Protocol,
    pub stream: Stream,
}

/// Why a stream was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("the other side does not speak this protocol")]
    Unsupported,
    #[error("no answer in time")]
    Timeout,
    #[error(transparent)]
    Io(io::Error),
}

pub(super) type Opened = Result<Stream, OpenError>;

pub(super) struct Behaviour {
    partners: std::sync::Arc<Partners>,
    limits: NetworkLimits,
    connections: HashMap<PeerId, Vec<ConnectionId>>,
    addresses: AddressRates,
    actions: VecDeque<ToSwarm<Inbound, Open>>,
    waker: Option<Waker>,
}

impl Behaviour {
    pub(super) fn new(partners: std::sync::Arc<Partners>, limits: NetworkLimits) -> Self {
        let addresses = AddressRates::new(limits.address_burst, limits.address_per_second.into());
        Self {
            partners,
            limits,
            connections: HashMap::new(),
            addresses,
            actions: VecDeque::new(),
            waker: None,
        }
    }

    /// Opens a stream on this very connection. The receiver fails if the connection ends before.
    pub(super) fn open(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        protocol: Protocol,
    ) -> oneshot::Receiver<Opened> {
        let (reply, opened) = oneshot::channel();
        let event = Open {
            protocol,
            reply,
            timeout: self.limits.session_handshake,
        };
        self.actions.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(connection),
            event,
        });
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        opened
    }

    fn admit(&self, peer: &PeerId) -> Result<(), NotAdmitted> {
        let of_peer = self.connections.get(peer).map_or(0, Vec::len);
        if self.partners.is_active(peer) {
            return if of_peer < self.limits.partner_connections {
                Ok(())
            } else {
                Err(TOO_MANY)
            };
        }
        let strangers: usize = self
            .connections
            .iter()
            .filter(|(peer, _)| !self.partners.is_active(peer))
            .map(|(_, of)| of.len())
            .sum();
        let room = of_peer < self.limits.stranger_connections_per_peer
            && strangers < self.limits.stranger_connections;
        if room { Ok(()) } else { Err(TOO_MANY) }
    }

    fn admit_address(&mut self, address: &Multiaddr, now: Instant) -> Result<(), NotAdmitted> {
        let ip = address.iter().find_map(|part| match part {
            AddressPart::Ip4(ip) => Some(IpAddr::V4(ip)),
            AddressPart::Ip6(ip) => Some(IpAddr::V6(ip)),
            _ => None,
        });
        if ip.is_none_or(|ip| self.addresses.take(ip, now)) {
            Ok(())
        } else {
            Err(NotAdmitted(RefusedReason::ConnectionRate))
        }
    }
}

const TOO_MANY: NotAdmitted = NotAdmitted(RefusedReason::TooManyConnections);

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Inbound;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.admit_address(remote, Instant::now())
            .map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        self.admit(&peer).map_err(ConnectionDenied::new)?;
        Ok(Handler::new(self.partners.is_active(&peer)))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        // Whom this node dials was decided before; the swarm has checked that this very peer answered.
        Ok(Handler::new(self.partners.is_active(&peer)))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                self.connections
                    .entry(event.peer_id)
                    .or_default()
                    .push(event.connection_id);
            }
            FromSwarm::ConnectionClosed(event) => {
                if let Some(of_peer) = self.connections.get_mut(&event.peer_id) {
                    of_peer.retain(|connection| *connection != event.connection_id);
                    if of_peer.is_empty() {
                        self.connections.remove(&event.peer_id);
                    }
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        let (protocol, stream) = event;
        // One event is taken from a connection at a time, and the swarm polls this behaviour before it takes the next.
        self.actions.push_back(ToSwarm::GenerateEvent(Inbound {
            peer,
            connection,
            protocol,
            stream,
        }));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Inbound, THandlerInEvent<Self>>> {
        match self.actions.pop_front() {
            Some(action) => Poll::Ready(action),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behaviour")
            .field("peers", &self.connections.len())
            .finish_non_exhaustive()
    }
}

/// An order to open a stream.
#[derive(Debug)]
pub(super) struct Open {
    protocol: Protocol,
    reply: oneshot::Sender<Opened>,
    timeout: Duration,
}

/// The end of the behaviour that lives with one connection.
#[derive(Debug)]
pub(super) struct Handler {
    keep_alive: bool,
    orders: VecDeque<Open>,
    inbound: VecDeque<(Protocol, Stream)>,
}

impl Handler {
    fn new(keep_alive: bool) -> Self {
        Self {
            keep_alive,
            orders: VecDeque::new(),
            inbound: VecDeque::new(),
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = (Protocol, Stream);
    type InboundProtocol = Select;
    type OutboundProtocol = Select;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = oneshot::Sender<Opened>;

    fn listen_protocol(&self) -> SubstreamProtocol<Select> {
        // Strangers are offered the session as well, so that their attempt is seen, answered and counted.
        SubstreamProtocol::new(Select(Protocol::ALL.to_vec()), ())
    }

    fn connection_keep_alive(&self) -> bool {
        // A partner's connection is closed by the session's own deadlines, a stranger's when it is idle.
        self.keep_alive
    }

    fn on_behaviour_event(&mut self, order: Open) {
        self.orders.push_back(order);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            Self::InboundProtocol,
            Self::OutboundProtocol,
            (),
            Self::OutboundOpenInfo,
        >,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (protocol, stream),
                ..
            }) => {
                self.inbound.push_back((protocol, stream));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (_, stream),
                info,
            }) => {
                let _gone = info.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(failed) => {
                let error = match failed.error {
                    StreamUpgradeError::Timeout => OpenError::Timeout,
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
                    StreamUpgradeError::Io(error) => OpenError::Io(error),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                let _gone = failed.info.send(Err(error));
            }
            _ => {}
        }
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Select, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        // Both queues are filled only by calls after which the connection polls again, so no waker is needed.
        if let Some(inbound) = self.inbound.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(inbound));
        }
        if let Some(order) = self.orders.pop_front() {
            let protocol = SubstreamProtocol::new(Select(vec![order.protocol]), order.reply)
                .with_timeout(order.timeout);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }
}

/// Negotiates one of our protocols and hands the bare stream over.
#[derive(Debug, Clone)]
pub(super) struct Select(Vec<Protocol>);

/// A protocol with its name, as the negotiation wants to see it.
#[derive(Debug, Clone)]
pub(super) struct Named(Protocol, StreamProtocol);

impl AsRef<str> for Named {
    fn as_ref(&self) -> &str {
        self.1.as_ref()
    }
}

impl UpgradeInfo for Select {
    type Info = Named;
    type InfoIter = std::vec::IntoIter<Named>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0
            .iter()
            .map(|protocol| Named(*protocol, protocol.name()))
            .collect::<Vec<_>>()
            .into_iter()
    }
}

impl InboundUpgrade<Stream> for Select {
    type Output = (Protocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, named: Named) -> Self::Future {
        ready(Ok((named.0, stream)))
    }
}

impl OutboundUpgrade<Stream> for Select {
    type Output = (Protocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, named: Named) -> Self::Future {
        ready(Ok((named.0, stream)))
    }
}
