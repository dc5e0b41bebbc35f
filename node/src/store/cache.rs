//! Envelopes that were stored or read a moment ago, decoded: the live path and a reader's next page need no disk.
//!
//! Bounded by bytes, oldest out first. It must not hold a payload that was erased.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crossport_protocol::codec::{self, CodecError};
use crossport_protocol::envelope::VerifiedEnvelope;
use crossport_protocol::frame::{EnvelopeItem, Erasure};
use crossport_protocol::ids::Hash;
use crossport_protocol::limits;

/// What all cached envelopes take together; some ten thousand ordinary messages.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// A stored envelope. It was verified before it was stored, which is why it may be called a verified one.
#[derive(Debug, Clone)]
pub struct Stored {
    pub envelope: Arc<VerifiedEnvelope>,
    pub erasures: Vec<Erasure>,
}

impl Stored {
    pub fn of(item: EnvelopeItem) -> Result<Stored, CodecError> {
        let header = codec::decode(&item.envelope.header.0, limits::HEADER_BYTES)?;
        let envelope = VerifiedEnvelope {
            hash: item.envelope.hash(),
            header,
            sealed: item.envelope,
        };
        Ok(Stored {
            envelope: Arc::new(envelope),
            erasures: item.erasures,
        })
    }

    pub fn item(&self) -> EnvelopeItem {
        EnvelopeItem {
            envelope: self.envelope.sealed.clone(),
            erasures: self.erasures.clone(),
        }
    }

    pub fn wire_bytes(&self) -> usize {
        let proofs = self.erasures.iter().map(|erasure| erasure.proof.0.len());
        self.envelope
            .sealed
            .wire_bytes()
            .saturating_add(proofs.sum())
            .saturating_add(8)
    }
}

/// See the module's head.
#[derive(Debug, Default)]
pub struct Cache {
    known: BTreeMap<Hash, Arc<Stored>>,
    order: VecDeque<Hash>,
    bytes: usize,
}

impl Cache {
    pub fn find(&self, hash: &Hash) -> Option<Arc<Stored>> {
        self.known.get(hash).cloned()
    }

    pub fn insert(&mut self, stored: Arc<Stored>) {
        let hash = stored.envelope.hash;
        self.bytes = self.bytes.saturating_add(size_of(&stored));
        match self.known.insert(hash, stored) {
            Some(before) => self.bytes = self.bytes.saturating_sub(size_of(&before)),
            None => self.order.push_back(hash),
        }
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.forget(&oldest);
        }
    }

    /// For one that is to be read anew.
    pub fn remove(&mut self, hash: &Hash) {
        self.forget(hash);
        self.order.retain(|known| known != hash);
    }

    fn forget(&mut self, hash: &Hash) {
        if let Some(stored) = self.known.remove(hash) {
            self.bytes = self.bytes.saturating_sub(size_of(&stored));
        }
    }
}

/// The sealed bytes, and what the decoded header takes beside them.
fn size_of(stored: &Stored) -> usize {
    stored.wire_bytes().saturating_mul(2).saturating_add(256)
}
