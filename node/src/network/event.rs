//! What the network tells the node above, and the bounded channel that carries it.
//!
//! Owns the events and their memory bound: the channel is limited in number and in bytes, and whoever fills it waits. So a
//! slow node slows its partners down instead of growing. Every refusal is data with a reason.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::address::{Address, Transport};
use super::key::NodeKey;

#[derive(Debug)]
pub enum NetworkEvent {
    /// The node now listens here.
    Listening { address: Address },
    /// A session with a partner began. `link` tells it apart from earlier and later ones.
    PartnerUp {
        key: NodeKey,
        link: u64,
        address: Address,
        transport: Transport,
    },
    /// The session ended. Frames queued on it that were not written are gone.
    PartnerDown {
        key: NodeKey,
        link: u64,
        reason: DownReason,
    },
    /// One frame, in order within its link, never after the link's `PartnerDown`.
    Frame {
        key: NodeKey,
        link: u64,
        bytes: Bytes,
        /// To be dropped when the frame is done with: until then it counts among what waits.
        share: Share,
    },
    /// Somebody asks to pair. Dropping `reply` ends the request without an answer.
    PairRequest {
        key: NodeKey,
        address: Address,
        request: Bytes,
        reply: oneshot::Sender<Bytes>,
    },
    /// A partner could not be reached; it is tried again after `retry_in`.
    DialFailed {
        key: NodeKey,
        reason: DialFailure,
        retry_in: Duration,
    },
    /// Something from outside was refused. `key` is known only after the handshake.
    Refused {
        reason: RefusedReason,
        key: Option<NodeKey>,
    },
}

/// Why something from outside was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusedReason {
    /// A peer that is no partner asked for a session.
    UnknownPeer,
    /// A partner that this node has paused asked for a session.
    PausedPartner,
    /// A peer whose key is not ed25519.
    ForeignKey,
    TooManyConnections,
    /// One IP address connected too often.
    ConnectionRate,
    /// One connection opened streams too fast, or too many at once.
    StreamFlood,
    /// The other side never finished the transport's handshake, or spoke something else.
    BadHandshake,
    /// A stream was opened and nothing useful was said on it in time.
    SilentStream,
    FrameTooLong,
    /// Bytes that the session's framing does not allow.
    Garbage,
    /// The other side stopped reading.
    Stalled,
    PairingRate,
    PairingTooLong,
}

impl fmt::Display for RefusedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownPeer => "unknown peer",
            Self::PausedPartner => "paused partner",
            Self::ForeignKey => "key of a foreign kind",
            Self::TooManyConnections => "too many connections",
            Self::ConnectionRate => "connections too fast",
            Self::StreamFlood => "stream flood",
            Self::BadHandshake => "bad handshake",
            Self::SilentStream => "silent stream",
            Self::FrameTooLong => "frame too long",
            Self::Garbage => "garbage",
            Self::Stalled => "stalled",
            Self::PairingRate => "pairing too fast",
            Self::PairingTooLong => "pairing request too long",
        })
    }
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownReason {
    #[error("the partner closed the session")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("nothing was heard from the partner in time")]
    Silent,
    #[error("a newer session took over")]
    Replaced,
    #[error("the partner was removed or paused here")]
    Removed,
    #[error("this node stops")]
    Stopped,
    #[error("refused: {0}")]
    Refused(RefusedReason),
    #[error("a task of this session failed")]
    Panicked,
}

/// Why a partner could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialFailure {
    #[error("no address is known")]
    NoAddress,
    #[error("nothing answers: {0}")]
    Unreachable(String),
    #[error("another node answers there: {found}")]
    WrongNode { found: String },
    #[error("that is this node itself")]
    ThisNode,
    #[error("the partner does not know this node as a partner")]
    NotApproved,
    #[error("the partner has paused this node")]
    Paused,
    #[error("too many connections")]
    TooManyConnections,
    #[error("the session could not be agreed: {0}")]
    Handshake(String),
}

/// A frame's part of two bounds: of what one partner, and of what all partners together may have waiting here.
#[derive(Debug)]
pub struct Share {
    _of_partner: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

#[cfg(test)]
impl Share {
    /// Of nothing, for a frame that came from no network.
    pub(crate) fn none() -> Share {
        let permit = || {
            let bound = Arc::new(Semaphore::new(0));
            bound.try_acquire_many_owned(0).expect("nothing is free")
        };
        Share {
            _of_partner: permit(),
            _of_all: permit(),
        }
    }
}

/// The receiving end. Taking an event frees its share of the channel's memory bound; a frame keeps its own.
#[derive(Debug)]
pub struct NetworkEvents {
    receiver: mpsc::Receiver<Queued>,
}

impl NetworkEvents {
    /// `None` after the network has stopped.
    pub async fn recv(&mut self) -> Option<NetworkEvent> {
        Some(self.receiver.recv().await?.event)
    }

    /// Takes an event only if one is waiting.
    pub fn try_recv(&mut self) -> Result<NetworkEvent, mpsc::error::TryRecvError> {
        Ok(self.receiver.try_recv()?.event)
    }

    /// Events that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.receiver.len()
    }
}

#[derive(Debug)]
pub(super) struct Queued {
    event: NetworkEvent,
    _share: Option<OwnedSemaphorePermit>,
}

impl From<NetworkEvent> for Queued {
    fn from(event: NetworkEvent) -> Self {
        Self {
            event,
            _share: None,
        }
    }
}

/// The sending end, one for each task that reports.
#[derive(Debug, Clone)]
pub(super) struct EventSink {
    pub sender: mpsc::Sender<Queued>,
    bytes: Arc<Semaphore>,
    bytes_total: usize,
}

/// The node above is gone, so nobody is left to tell.
#[derive(Debug)]
pub(super) struct NobodyListens;

/// What an event costs beside its bytes, so that a flood of empty frames is bounded as well.
const EVENT_OVERHEAD_BYTES: usize = 128;

/// What a frame costs of its partner's share beside its bytes: so small frames are bounded in number too, and their turn
/// comes before a queue of them delays anything else.
const FRAME_OVERHEAD_BYTES: usize = 512;

pub(super) fn channel(events: usize, bytes: usize) -> (EventSink, NetworkEvents) {
    let (sender, receiver) = mpsc::channel(events);
    let sink = EventSink {
        sender,
        bytes: Arc::new(Semaphore::new(bytes)),
        bytes_total: bytes,
    };
    (sink, NetworkEvents { receiver })
}

impl EventSink {
    pub(super) async fn send(&self, event: NetworkEvent) -> Result<(), NobodyListens> {
        self.sender
            .send(event.into())
            .await
            .map_err(|_| NobodyListens)
    }

    /// A frame's share. Its partner's bound comes first, so that a flood waits for itself and not for the others.
    pub(super) async fn share(
        &self,
        inbox: &Arc<Semaphore>,
        inbox_bytes: usize,
        bytes: usize,
    ) -> Result<Share, NobodyListens> {
        let of_partner = acquire(inbox, inbox_bytes, bytes, FRAME_OVERHEAD_BYTES).await?;
        let of_all = acquire(&self.bytes, self.bytes_total, bytes, EVENT_OVERHEAD_BYTES).await?;
        Ok(Share {
            _of_partner: of_partner,
            _of_all: of_all,
        })
    }

    /// Sends an event that holds `bytes` of peer data; waits while the channel's memory bound is used up.
    pub(super) async fn send_sized(
        &self,
        event: NetworkEvent,
        bytes: usize,
    ) -> Result<(), NobodyListens> {
        let share = acquire(&self.bytes, self.bytes_total, bytes, EVENT_OVERHEAD_BYTES).await?;
        let queued = Queued {
            event,
            _share: Some(share),
        };
        self.sender.send(queued).await.map_err(|_| NobodyListens)
    }
}

async fn acquire(
    bound: &Arc<Semaphore>,
    total: usize,
    bytes: usize,
    overhead: usize,
) -> Result<OwnedSemaphorePermit, NobodyListens> {
    let wanted = bytes.saturating_add(overhead).min(total);
    let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
    let acquired = bound.clone().acquire_many_owned(wanted).await;
    acquired.map_err(|_| NobodyListens)
}
