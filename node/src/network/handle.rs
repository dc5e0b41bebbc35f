//! What the rest of the node holds of the network: a handle that is cheap to clone.
//!
//! Owns no state of its own. `send` and the questions about what is up go straight to the links; everything that changes the
//! network goes through a bounded queue to its one task.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::PeerId;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::address::Address;
use super::counters::NetworkCounters;
use super::key::{InvalidKey, NodeKey};
use super::limits::MAX_PAIR_BYTES;
use super::link::{ConnectionStatus, PingError, SendError};
use super::pairing::PairError;

#[derive(Debug, Clone)]
pub struct NetworkHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) shared: Arc<Shared>,
}

/// Why a change of the network was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    InvalidKey(#[from] InvalidKey),
    #[error("that key is this node's own")]
    OwnKey,
    #[error("no more than {0} partners can be connected")]
    TooManyPartners(usize),
    #[error("the network has stopped")]
    Stopped,
}

#[derive(Debug)]
pub(super) enum Command {
    SetPartner {
        key: NodeKey,
        peer: PeerId,
        addresses: Vec<Address>,
        done: oneshot::Sender<Result<(), CommandError>>,
    },
    RemovePartner {
        key: NodeKey,
        peer: PeerId,
    },
    PausePartner {
        key: NodeKey,
        peer: PeerId,
    },
    DialNow {
        key: NodeKey,
    },
    Pair {
        addresses: Vec<Address>,
        order: PairOrder,
    },
    Shutdown {
        done: oneshot::Sender<()>,
    },
}

#[derive(Debug)]
pub(super) struct PairOrder {
    pub peer: PeerId,
    pub request: Bytes,
    pub reply: oneshot::Sender<Result<Bytes, PairError>>,
}

impl NetworkHandle {
    /// This node's own key.
    pub fn key(&self) -> NodeKey {
        self.shared.own_key
    }

    /// Allows a partner and keeps it connected, dialling until it answers. Setting it again with other addresses dials at once;
    /// an empty list waits for the partner to dial.
    pub async fn set_partner(
        &self,
        key: NodeKey,
        addresses: Vec<Address>,
    ) -> Result<(), CommandError> {
        if key == self.key() {
            return Err(CommandError::OwnKey);
        }
        let peer = key.peer_id()?;
        let (done, answer) = oneshot::channel();
        self.command(Command::SetPartner {
            key,
            peer,
            addresses,
            done,
        })
        .await?;
        self.answer(answer).await.ok_or(CommandError::Stopped)?
    }

    /// Disconnects a partner; from now on it is a stranger.
    pub async fn remove_partner(&self, key: NodeKey) -> Result<(), CommandError> {
        let peer = key.peer_id()?;
        self.command(Command::RemovePartner { key, peer }).await
    }

    /// Disconnects a partner and tells it so when it dials. `set_partner` ends the pause.
    pub async fn pause_partner(&self, key: NodeKey) -> Result<(), CommandError> {
        let peer = key.peer_id()?;
        self.command(Command::PausePartner { key, peer }).await
    }

    /// Dials a partner at once instead of at the end of its pause. Nothing happens if it is connected or unknown.
    pub async fn dial_now(&self, key: NodeKey) -> Result<(), CommandError> {
        self.command(Command::DialNow { key }).await
    }

    /// Queues a frame for a partner; at most 1 MiB. A frame that was accepted may still be lost with its link: what must arrive is
    /// sent again from the log after the next `PartnerUp`.
    pub fn send(&self, key: NodeKey, frame: Bytes) -> Result<(), SendError> {
        self.shared
            .links
            .find(&key)
            .ok_or(SendError::NotConnected)?
            .send(frame)
    }

    /// Queues a frame only if this very link is still up, so that an answer never lands in another session.
    pub fn send_on(&self, key: NodeKey, link: u64, frame: Bytes) -> Result<(), SendError> {
        let found = self
            .shared
            .links
            .find(&key)
            .filter(|found| found.id == link);
        found.ok_or(SendError::NotConnected)?.send(frame)
    }

    /// Waits until this link's queue is at most half full: what to do after `QueueFull`.
    pub async fn room(&self, key: NodeKey, link: u64) -> Result<(), SendError> {
        let found = self
            .shared
            .links
            .find(&key)
            .filter(|found| found.id == link);
        found.ok_or(SendError::NotConnected)?.room().await
    }

    /// Bytes that wait to be written to a partner; zero if it is not connected.
    pub fn queued_bytes(&self, key: NodeKey) -> usize {
        self.shared
            .links
            .find(&key)
            .map_or(0, |link| link.queued_bytes())
    }

    /// Measures the round trip of the session itself, from this node's queue to the partner's reader and back.
    pub async fn ping(&self, key: NodeKey) -> Result<Duration, PingError> {
        let link = self
            .shared
            .links
            .find(&key)
            .ok_or(PingError::NotConnected)?;
        let measured = link.measure()?;
        tokio::select! {
            () = link.ended.cancelled() => Err(PingError::NotConnected),
            measured = tokio::time::timeout(self.shared.limits.silence, measured) => match measured {
                Ok(Ok(round_trip)) => Ok(round_trip),
                Ok(Err(_)) | Err(_) => Err(PingError::NoAnswer),
            },
        }
    }

    /// Asks a node that may be a stranger, once. `expected` must answer there; the request and the answer are at most 64 KiB.
    pub async fn pair(
        &self,
        addresses: Vec<Address>,
        expected: NodeKey,
        request: Bytes,
    ) -> Result<Bytes, PairError> {
        if request.len() > MAX_PAIR_BYTES {
            return Err(PairError::TooLong);
        }
        let peer = expected.peer_id()?;
        let (reply, answer) = oneshot::channel();
        let order = PairOrder {
            peer,
            request,
            reply,
        };
        self.command(Command::Pair { addresses, order })
            .await
            .map_err(|_| PairError::Stopped)?;
        self.answer(answer).await.unwrap_or(Err(PairError::Stopped))
    }

    /// The addresses that this node listens on.
    pub fn addresses(&self) -> Vec<Address> {
        self.shared
            .addresses
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The sessions that are up, in the order of keys.
    pub fn connections(&self) -> Vec<ConnectionStatus> {
        let now = Instant::now();
        self.shared
            .links
            .all()
            .iter()
            .map(|link| link.status(now))
            .collect()
    }

    pub fn counters(&self) -> NetworkCounters {
        self.shared.counters.snapshot()
    }

    /// Writes what is queued, as far as that goes quickly, closes everything and stops.
    pub async fn shutdown(&self) {
        let (done, stopped) = oneshot::channel();
        if self.command(Command::Shutdown { done }).await.is_ok() {
            // No answer means that the network has stopped already.
            let _stopped = self.answer(stopped).await;
        }
    }

    /// `None` if the network stops before it answers. A command that is sent while the network's task ends stays in the queue,
    /// and its answer with it, so the end of the queue is awaited as well.
    async fn answer<T>(&self, answer: oneshot::Receiver<T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = answer => answer.ok(),
            () = self.commands.closed() => None,
        }
    }

    async fn command(&self, command: Command) -> Result<(), CommandError> {
        self.commands
            .send(command)
            .await
            .map_err(|_| CommandError::Stopped)
    }
}
