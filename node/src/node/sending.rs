//! Frames on their way out: to the network's queue of each partner, or held here until that has room.
//!
//! Owns what did not fit. A catch-up may be longer than a queue; the replicator then makes nothing more for that partner, so
//! what is held is never more than it made at once, and nobody else waits. It must not know what a frame means.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use crossport_protocol::ids::{CompanyId, NodeKey};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::Input;
use crate::network::{NetworkHandle, NodeKey as PeerKey, SendError};

/// What waits for room, by partner.
pub(crate) struct Sending {
    network: NetworkHandle,
    /// Weak: this end must not keep the core's inputs open.
    inputs: mpsc::WeakSender<Input>,
    runtime: Handle,
    held: BTreeMap<CompanyId, Held>,
}

struct Held {
    node: NodeKey,
    link: u64,
    frames: VecDeque<Bytes>,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Left,
    /// It is held, and leaves later, in its turn.
    Held,
    /// The link has ended; its end is reported by the network.
    Ended,
    /// It can never leave.
    TooLong,
}

impl Sending {
    pub(crate) fn new(network: NetworkHandle, inputs: mpsc::WeakSender<Input>) -> Sending {
        Sending {
            network,
            inputs,
            runtime: Handle::current(),
            held: BTreeMap::new(),
        }
    }

    pub(crate) fn send(
        &mut self,
        company: CompanyId,
        node: NodeKey,
        link: u64,
        frame: Bytes,
    ) -> Sent {
        if let Some(held) = self.held.get_mut(&company)
            && held.link == link
        {
            held.frames.push_back(frame);
            return Sent::Held;
        }
        match self.network.send_on(PeerKey(node.0), link, frame.clone()) {
            Ok(()) => Sent::Left,
            Err(SendError::NotConnected) => Sent::Ended,
            Err(SendError::TooLong) => Sent::TooLong,
            Err(SendError::QueueFull) => {
                let frames = VecDeque::from([frame]);
                self.held.insert(company, Held { node, link, frames });
                self.wait(company, node, link);
                Sent::Held
            }
        }
    }

    /// There is room on this link. True when nothing is held any more.
    pub(crate) fn room(&mut self, company: CompanyId, link: u64) -> bool {
        let Some(held) = self.held.get_mut(&company) else {
            return false;
        };
        if held.link != link {
            return false;
        }
        let node = held.node;
        while let Some(frame) = held.frames.front() {
            match self.network.send_on(PeerKey(node.0), link, frame.clone()) {
                Err(SendError::QueueFull) => {
                    self.wait(company, node, link);
                    return false;
                }
                // With an ended link its frames are gone; the log is the outbox.
                Ok(()) | Err(SendError::NotConnected | SendError::TooLong) => {
                    held.frames.pop_front();
                }
            }
        }
        self.held.remove(&company);
        true
    }

    /// The link has ended.
    pub(crate) fn forget(&mut self, company: &CompanyId) {
        self.held.remove(company);
    }

    fn wait(&self, company: CompanyId, node: NodeKey, link: u64) {
        let (network, inputs) = (self.network.clone(), self.inputs.clone());
        self.runtime.spawn(async move {
            let room = network.room(PeerKey(node.0), link).await;
            if let (Ok(()), Some(inputs)) = (room, inputs.upgrade()) {
                // The core may have ended meanwhile: then nothing is to be sent.
                drop(inputs.send(Input::Room(company, link)).await);
            }
        });
    }
}
