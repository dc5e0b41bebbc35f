//! The stored past of one simulated node: what a journal with its index would answer, in ordered maps.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::codec;
use crate::envelope::{EnvelopeHeader, SealedEnvelope};
use crate::frame::{DeleteProof, EnvelopeItem, Erasure};
use crate::ids::{ChatId, EventId, Hash, Head, StreamId};
use crate::limits;
use crate::owner_log::SignedRecord;
use crate::replicator::{Link, ReadLog};
use crate::stream::Tip;

/// An envelope as stored. Shared between copies of a log, because worlds are copied often.
#[derive(Debug, Clone)]
pub struct Stored {
    pub item: Rc<EnvelopeItem>,
    pub link: Link,
}

#[derive(Debug, Clone, Default)]
struct ChatLog {
    envelopes: BTreeMap<Hash, Stored>,
    records: Vec<SignedRecord>,
}

/// What is stored of every chat.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog {
    chats: BTreeMap<ChatId, ChatLog>,
}

/// The signed header of an envelope that some node accepted.
pub fn header_of(envelope: &SealedEnvelope) -> EnvelopeHeader {
    codec::decode(&envelope.header.0, limits::HEADER_BYTES)
        .expect("only accepted envelopes are stored")
}

impl MemoryLog {
    pub fn insert(&mut self, chat: ChatId, item: &EnvelopeItem) {
        let header = header_of(&item.envelope);
        let hash = item.envelope.hash();
        let head = Head {
            seq: header.last_seq(),
            hash,
        };
        let parent = Head {
            seq: header.first_seq.saturating_sub(1),
            hash: header.prev,
        };
        let link = Link {
            stream: header.stream,
            parent,
            tip: Tip::of(&header, head),
        };
        let stored = Stored {
            item: Rc::new(item.clone()),
            link,
        };
        self.chats
            .entry(chat)
            .or_default()
            .envelopes
            .insert(hash, stored);
    }

    pub fn insert_record(&mut self, chat: ChatId, record: &SignedRecord) {
        self.chats
            .entry(chat)
            .or_default()
            .records
            .push(record.clone());
    }

    /// What a cut excluded is no longer part of the past.
    pub fn remove(&mut self, chat: &ChatId, hash: &Hash) {
        if let Some(chat) = self.chats.get_mut(chat) {
            chat.envelopes.remove(hash);
        }
    }

    /// Destroys a payload and keeps the proof that its author wanted it. False when it is gone already.
    pub fn erase(&mut self, chat: &ChatId, target: EventId, by: EventId) -> bool {
        let Some(chat) = self.chats.get_mut(chat) else {
            return false;
        };
        let Some(proof) = chat.envelopes.get(&by.envelope).map(|stored| {
            let mut proof = stored.item.envelope.clone();
            for (place, payload) in proof.payloads.iter_mut().enumerate() {
                if place != usize::from(by.place) {
                    payload.0.clear();
                }
            }
            proof
        }) else {
            return false;
        };
        let Some(stored) = chat.envelopes.get_mut(&target.envelope) else {
            return false;
        };
        let item = Rc::make_mut(&mut stored.item);
        let payload = item.envelope.payloads.get_mut(usize::from(target.place));
        let Some(payload) = payload.filter(|payload| !payload.0.is_empty()) else {
            return false;
        };
        payload.0.clear();
        let proof = DeleteProof {
            place: by.place,
            envelope: proof,
        };
        item.erasures.push(Erasure::deleted(target.place, &proof));
        item.erasures.sort_by_key(|erasure| erasure.place);
        true
    }

    pub fn stored(&self, chat: &ChatId, hash: &Hash) -> Option<&Stored> {
        self.chats.get(chat)?.envelopes.get(hash)
    }

    pub fn envelopes(&self, chat: &ChatId) -> impl Iterator<Item = (&Hash, &Stored)> {
        self.chats
            .get(chat)
            .into_iter()
            .flat_map(|chat| chat.envelopes.iter())
    }

    /// The bytes that all envelopes of a chat take in frames.
    pub fn wire_bytes(&self, chat: &ChatId) -> usize {
        self.envelopes(chat)
            .map(|(_, stored)| stored.item.wire_bytes())
            .sum()
    }

    fn parent(&self, chat: &ChatId, head: Head) -> Option<Head> {
        self.stored(chat, &head.hash)
            .map(|stored| stored.link.parent)
    }
}

impl ReadLog for MemoryLog {
    fn link(&self, chat: &ChatId, hash: &Hash) -> Option<Link> {
        self.stored(chat, hash).map(|stored| stored.link)
    }

    fn envelope(&self, chat: &ChatId, hash: &Hash) -> Option<EnvelopeItem> {
        self.stored(chat, hash)
            .map(|stored| stored.item.as_ref().clone())
    }

    fn path(
        &self,
        chat: &ChatId,
        _stream: &StreamId,
        from: Head,
        to: Head,
        max_bytes: usize,
    ) -> Vec<EnvelopeItem> {
        let (mut at, mut other) = (to, from);
        let mut chain = Vec::new();
        while at != other && at != Head::START {
            if other.seq >= at.seq && other != Head::START {
                other = self.parent(chat, other).unwrap_or(Head::START);
                continue;
            }
            let Some(stored) = self.stored(chat, &at.hash) else {
                break;
            };
            chain.push(stored);
            at = stored.link.parent;
        }
        let mut bytes = 0usize;
        let mut items = Vec::new();
        for stored in chain.into_iter().rev() {
            bytes = bytes.saturating_add(stored.item.wire_bytes());
            if bytes > max_bytes && !items.is_empty() {
                break;
            }
            items.push(stored.item.as_ref().clone());
        }
        items
    }

    fn records(&self, chat: &ChatId, after: u64, max_bytes: usize) -> Vec<SignedRecord> {
        let Some(chat) = self.chats.get(chat) else {
            return Vec::new();
        };
        let mut bytes = 0usize;
        let mut records = Vec::new();
        for record in chat.records.iter().skip(after as usize) {
            bytes = bytes.saturating_add(record.header.0.len() + record.payload.0.len() + 80);
            if bytes > max_bytes && !records.is_empty() {
                break;
            }
            records.push(record.clone());
        }
        records
    }
}
