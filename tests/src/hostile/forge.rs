//! Hand-made envelopes, records and registers: each part may be set wrong before it is signed.
//!
//! Owns the making of bytes that no honest node makes. It must not know which of them are refused.

use anyhow::{Context as _, Result};
use crossport_node::core::now;
use crossport_node::random::OsRandom;
use crossport_protocol::clock::Clock;
use crossport_protocol::codec::{self, Blob};
use crossport_protocol::envelope::{DraftEvent, EnvelopeHeader, Place, SealedEnvelope, author};
use crossport_protocol::event::{Event, Message};
use crossport_protocol::frame::{EnvelopeItem, EnvelopesFrame, Frame};
use crossport_protocol::ids::{ChatId, Hash, Head, StreamId};
use crossport_protocol::limits;
use crossport_protocol::seal::EpochKey;
use crossport_protocol::suite::{Domain, Random, SecretKey, Signature, Suite};

use super::Hand;

/// The suite of every real node.
pub const SUITE: Suite = Suite::Ed25519;

/// An envelope in the making. As it comes from [`Hand::draft`] it is good.
#[derive(Debug, Clone)]
pub struct Forgery {
    pub place: Place,
    pub key: EpochKey,
    pub signer: SecretKey,
    pub events: Vec<DraftEvent>,
}

impl Hand {
    /// A good envelope with one text, the first of a stream of its own.
    pub fn draft(&self, chat: ChatId, text: &str) -> Result<Forgery> {
        self.draft_of(chat, &Event::Message(Message::text(text)))
    }

    /// A good envelope with one event, the first of a stream of its own.
    pub fn draft_of(&self, chat: ChatId, event: &Event) -> Result<Forgery> {
        self.draft_raw(chat, event.kind(), event.encode())
    }

    /// The same with content that need not be of any known form.
    pub fn draft_raw(&self, chat: ChatId, kind: u16, plain: Vec<u8>) -> Result<Forgery> {
        let owner = self
            .replicator
            .chat(&chat)
            .context("Mallory has the chat")?
            .owner();
        let epoch = owner.epoch();
        let stream = StreamId {
            company: self.company,
            node: self.node.public(SUITE),
            incarnation: u64::from_le_bytes(OsRandom.array()),
        };
        let place = Place {
            chat,
            stream,
            after: Head::START,
            owner_at: owner.head(),
            identity_at: self.identity.head(),
            epoch,
        };
        let key = self
            .replicator
            .key(&chat, epoch)
            .context("Mallory has the key")?
            .clone();
        let actor = *self.handles.get(&chat).context("Mallory takes part")?;
        let event = DraftEvent {
            clock: Clock::at(now()),
            kind,
            actor,
            plain,
        };
        Ok(Forgery {
            place,
            key,
            signer: self.node.clone(),
            events: vec![event],
        })
    }
}

impl Forgery {
    pub fn sealed(&self) -> SealedEnvelope {
        author(
            SUITE,
            &self.signer,
            &self.key,
            self.place,
            &self.events,
            &mut OsRandom,
        )
        .sealed
    }

    /// Changes the header after sealing and signs it anew.
    pub fn with_header(&self, change: impl FnOnce(&mut EnvelopeHeader)) -> SealedEnvelope {
        let mut sealed = self.sealed();
        let mut header = header_of(&sealed);
        change(&mut header);
        sealed.header = Blob(codec::encode(&header));
        sealed.signature = SUITE.sign(&self.signer, Domain::Envelope, &sealed.header.0);
        sealed
    }

    /// What follows this envelope in its stream, with another text.
    pub fn next(&self, text: &str) -> Forgery {
        let sealed = self.sealed();
        self.after(&sealed, text)
    }

    /// What follows a certain envelope of this stream.
    pub fn after(&self, sealed: &SealedEnvelope, text: &str) -> Forgery {
        let header = header_of(sealed);
        let mut next = self.clone();
        next.place.after = Head {
            seq: header.last_seq(),
            hash: sealed.hash(),
        };
        let last = header.last_clock();
        for event in &mut next.events {
            event.clock = Clock(last.0.saturating_add(1));
            event.plain = Event::Message(Message::text(text)).encode();
        }
        next
    }

    /// Another text at the same place.
    pub fn saying(&self, text: &str) -> Forgery {
        let mut other = self.clone();
        for event in &mut other.events {
            event.plain = Event::Message(Message::text(text)).encode();
        }
        other
    }

    pub fn frame(&self) -> Vec<u8> {
        frame_of(self.place.chat, vec![self.sealed()])
    }
}

/// A frame with these envelopes.
pub fn frame_of(chat: ChatId, envelopes: Vec<SealedEnvelope>) -> Vec<u8> {
    let items = envelopes.into_iter().map(EnvelopeItem::whole).collect();
    Frame::Envelopes(EnvelopesFrame {
        chat,
        sent_bytes: 0,
        items,
    })
    .encode()
}

/// The header of an envelope that this crate made.
pub fn header_of(sealed: &SealedEnvelope) -> EnvelopeHeader {
    codec::decode(&sealed.header.0, limits::HEADER_BYTES)
        .expect("a hand-made envelope has a header")
}

/// The same signature with the group's order added to its scalar: a lax check takes both.
pub fn malleable(signature: Signature) -> Signature {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = signature.to_bytes();
    let mut carry = 0u16;
    for (byte, add) in bytes.iter_mut().skip(32).zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    Signature::from_bytes(bytes)
}

/// The point that a lax check takes every signature for, and such a signature.
pub fn low_order() -> ([u8; 32], Signature) {
    let mut point = [0; 32];
    point[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    (point, Signature::from_bytes(signature))
}

pub fn random_hash() -> Hash {
    Hash(OsRandom.array())
}
