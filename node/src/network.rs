//! Frames between this node and its partners, over the internet as it is.
//!
//! Owns connections, sessions, back-off, and every defence that works below the meaning of a frame: who may connect, how much
//! a peer may send, how long it may be silent. A partner is a 32-byte node key and a frame is opaque bytes: this module knows
//! no companies, no chats and nothing of the protocol crate. It alone names libp2p, so that the transport can change
//! without anything above noticing.
//!
//! How it hangs together:
//!
//! - `service` is the one task that owns the swarm. It never waits for anything but its inputs.
//! - `partner` is one task for each partner: it agrees on one session and reports it.
//! - `session` is the reader and the writer of the session that is up; `link` is the bounded queue between them and `send`.
//! - `streams` admits connections and opens streams; `muxer` and `transport` carry them; `pairing` serves strangers.
//!
//! Liveness is measured on the session's own stream and not by libp2p's ping: an answer then proves that the partner's reader
//! and writer work, not only its socket.

mod address;
mod counters;
mod dial;
mod event;
mod framing;
mod handle;
mod handshake;
mod key;
mod limits;
mod link;
mod muxer;
mod pairing;
mod partner;
mod rates;
mod service;
mod session;
mod streams;
#[cfg(test)]
mod tests;
mod transport;

pub use address::{Address, AddressError, ListenAddress, Transport};
pub use counters::NetworkCounters;
pub use event::{DialFailure, DownReason, NetworkEvent, NetworkEvents, RefusedReason, Share};
pub use handle::{CommandError, NetworkHandle};
pub use key::{InvalidKey, NodeKey};
pub use limits::{MAX_FRAME_BYTES, MAX_PAIR_BYTES, NetworkLimits};
pub use link::{ConnectionStatus, PingError, SendError};
pub use pairing::PairError;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use libp2p::identity::Keypair;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use counters::Counters;
use event::EventSink;
use link::Links;
use partner::Notice;
use streams::Partners;

/// What a network needs to start.
#[derive(Clone)]
pub struct NetworkConfig {
    /// The secret half of the node key.
    pub node_secret: Zeroizing<[u8; 32]>,
    pub listen: Vec<ListenAddress>,
    pub limits: NetworkLimits,
}

impl NetworkConfig {
    pub fn new(node_secret: [u8; 32], listen: Vec<ListenAddress>) -> Self {
        Self {
            node_secret: Zeroizing::new(node_secret),
            listen,
            limits: NetworkLimits::default(),
        }
    }
}

impl fmt::Debug for NetworkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret stays out of every log line.
        f.debug_struct("NetworkConfig")
            .field("listen", &self.listen)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("the node key cannot be used: {0}")]
    Keys(String),
    #[error("cannot listen on {address} ({transport}): {cause}")]
    Listen {
        address: SocketAddr,
        transport: Transport,
        cause: io::Error,
    },
    #[error("no random numbers: {0}")]
    Random(String),
}

/// What the handles and the tasks of the network share.
#[derive(Debug)]
struct Shared {
    own_key: NodeKey,
    limits: NetworkLimits,
    counters: Counters,
    links: Links,
    addresses: RwLock<Vec<Address>>,
}

/// What the tasks share beside it. Handles do not have it: the events end when the last task does, not when the last handle
/// is dropped.
#[derive(Debug)]
struct Context {
    shared: Arc<Shared>,
    /// Random for each start, so that a partner can tell a node that started anew from one that it still knows.
    boot: u64,
    partners: Arc<Partners>,
    events: EventSink,
    notices: mpsc::Sender<Notice>,
}

/// Starts networks.
#[derive(Debug)]
pub struct Network;

impl Network {
    /// Binds every listen address and starts. Must be called within a tokio runtime. The network stops when it is told to, when
    /// every handle is dropped, or when the events are dropped.
    pub fn start(config: NetworkConfig) -> Result<(NetworkHandle, NetworkEvents), NetworkError> {
        let NetworkConfig {
            node_secret,
            listen,
            limits,
        } = config;
        let keys = Keypair::ed25519_from_bytes(*node_secret)
            .map_err(|error| NetworkError::Keys(error.to_string()))?;
        let own_key = NodeKey::of_peer(&keys.public().to_peer_id())
            .ok_or_else(|| NetworkError::Keys("not an ed25519 key".to_owned()))?;
        let boot = getrandom::u64().map_err(|error| NetworkError::Random(error.to_string()))?;
        let (events, receiver) = event::channel(limits.events, limits.event_bytes);
        let (notices, notice_receiver) = mpsc::channel(limits.commands);
        let (commands, command_receiver) = mpsc::channel(limits.commands);
        let shared = Arc::new(Shared {
            own_key,
            limits,
            counters: Counters::default(),
            links: Links::default(),
            addresses: RwLock::default(),
        });
        let partners = Arc::new(Partners::default());
        let context = Arc::new(Context {
            shared: shared.clone(),
            boot,
            partners,
            events,
            notices,
        });
        let service =
            service::Service::new(&keys, &listen, context, command_receiver, notice_receiver)?;
        tokio::spawn(service.run());
        Ok((NetworkHandle { commands, shared }, receiver))
    }
}
