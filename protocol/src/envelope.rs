//! Envelopes: the signed, sealed unit that is stored, sent and relayed as it came.
//!
//! One envelope carries 1 to 256 consecutive events of one stream under one signature. The header is signed; payloads
//! lie apart from it, named by their hashes, so that a payload can be erased while the chain still verifies.

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::codec::{self, Blob, CodecError};
use crate::event::kind;
use crate::fields::Fields;
use crate::ids::{ChatId, EventId, Handle, Hash, Head, Position, StreamId};
use crate::limits;
use crate::seal::{self, EpochKey, PayloadKey};
use crate::suite::{Domain, Random, SecretKey, Signature, Suite};

pub const VERSION: u16 = 0;

/// What is signed of one event. Nothing here names a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHeader {
    pub clock: Clock,
    pub kind: u16,
    pub actor: Handle,
    /// Bytes of the sealed payload.
    pub payload_len: u32,
    /// SHA-256 of the sealed payload (nonce and ciphertext).
    pub payload_hash: Hash,
}

/// The signed part of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeHeader {
    pub version: u16,
    pub chat: ChatId,
    pub stream: StreamId,
    /// Sequence number of the first event; the first of a stream is 1.
    pub first_seq: u64,
    /// Hash of the previous envelope's header; zero before the first.
    pub prev: Hash,
    pub owner_at: Position,
    pub identity_at: Position,
    pub epoch: u32,
    pub fields: Fields,
    pub events: Vec<EventHeader>,
}

/// An envelope as it travels and as it is stored. An erased payload is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedEnvelope {
    pub header: Blob,
    pub signature: Signature,
    pub payloads: Vec<Blob>,
}

/// Why an envelope is refused by its bytes alone, whatever else is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("envelope: {0}")]
    Codec(#[from] CodecError),
    #[error("envelope of version {0} is not understood")]
    Version(u16),
    #[error("envelope breaks a limit: {0}")]
    Shape(&'static str),
    #[error("envelope's clocks do not increase")]
    ClockOrder,
    #[error("envelope has another number of payloads than events")]
    PayloadCount,
    #[error("payload {0} does not match its hash")]
    PayloadHash(usize),
    #[error("envelope has a bad signature")]
    BadSignature,
}

impl EnvelopeError {
    /// True when the header's own bytes are at fault. Otherwise it may be a garbled copy of a good envelope: the same
    /// header can still come with the right signature and payloads beside it.
    pub fn condemns_header(&self) -> bool {
        match self {
            EnvelopeError::Codec(_)
            | EnvelopeError::Version(_)
            | EnvelopeError::Shape(_)
            | EnvelopeError::ClockOrder => true,
            EnvelopeError::PayloadCount
            | EnvelopeError::PayloadHash(_)
            | EnvelopeError::BadSignature => false,
        }
    }
}

impl EnvelopeHeader {
    /// The sequence number of the last event.
    pub fn last_seq(&self) -> u64 {
        self.first_seq
            .saturating_add(self.events.len() as u64)
            .saturating_sub(1)
    }

    pub fn last_clock(&self) -> Clock {
        self.events.last().map_or(Clock(0), |event| event.clock)
    }

    pub fn first_clock(&self) -> Clock {
        self.events.first().map_or(Clock(0), |event| event.clock)
    }

    /// What the sealing of the payload at `place` is bound to: everything signed of it but its hash, which depends
    /// on the sealed bytes.
    pub fn associated(&self, place: usize) -> Vec<u8> {
        let Some(event) = self.events.get(place) else {
            return Vec::new();
        };
        associated(self, place as u64, event.clock, event.kind, event.actor)
    }

    /// An envelope that holds a delete is small, because its header travels with every payload that it erases.
    fn fits_proofs(&self, header_bytes: usize) -> bool {
        let mut deletes = self.events.iter().filter(|event| kind::deletes(event.kind));
        let small =
            |delete: &EventHeader| delete.payload_len as usize <= limits::DELETE_PAYLOAD_BYTES;
        let fits = self.events.len() <= limits::DELETE_EVENTS
            && header_bytes <= limits::DELETE_HEADER_BYTES;
        deletes.all(|delete| fits && small(delete))
    }

    fn check_shape(&self) -> Result<(), EnvelopeError> {
        let shape = |ok: bool, what| {
            if ok {
                Ok(())
            } else {
                Err(EnvelopeError::Shape(what))
            }
        };
        shape(
            !self.events.is_empty() && self.events.len() <= limits::ENVELOPE_EVENTS,
            "number of events",
        )?;
        shape(self.first_seq >= 1, "first sequence number")?;
        shape(
            self.first_seq
                .checked_add(limits::ENVELOPE_EVENTS as u64)
                .is_some(),
            "sequence number",
        )?;
        shape(
            (self.first_seq == 1) == self.prev.is_zero(),
            "previous hash",
        )?;
        shape(self.fields.is_well_formed(), "numbered fields")?;
        let lengths = || self.events.iter().map(|event| event.payload_len as usize);
        let fits = |length: usize| (seal::OVERHEAD_BYTES..=limits::PAYLOAD_BYTES).contains(&length);
        shape(lengths().all(fits), "payload length")?;
        // At most 256 lengths below 2^19: the sum cannot overflow.
        shape(
            lengths().sum::<usize>() <= limits::ENVELOPE_PAYLOAD_BYTES,
            "payloads together",
        )?;
        let increasing = self
            .events
            .iter()
            .zip(self.events.iter().skip(1))
            .all(|(one, next)| one.clock < next.clock);
        if increasing {
            Ok(())
        } else {
            Err(EnvelopeError::ClockOrder)
        }
    }
}

fn associated(
    header: &EnvelopeHeader,
    place: u64,
    clock: Clock,
    kind: u16,
    actor: Handle,
) -> Vec<u8> {
    let mut bytes = b"crossport/0/payload\0".to_vec();
    let seq = header.first_seq.saturating_add(place);
    bytes.extend(codec::encode(&(
        header.chat,
        header.stream,
        seq,
        header.epoch,
        clock,
        kind,
        actor,
    )));
    bytes
}

impl SealedEnvelope {
    /// The envelope's hash: of the exact header bytes, without the signature, so that the link is the same whichever
    /// valid signature travels.
    pub fn hash(&self) -> Hash {
        Hash::of(&[&self.header.0])
    }

    /// Everything that the bytes alone decide. This is the one check for live, relayed, caught-up and restored
    /// envelopes.
    pub fn verify(&self, suite: Suite) -> Result<VerifiedEnvelope, EnvelopeError> {
        let header: EnvelopeHeader = codec::decode(&self.header.0, limits::HEADER_BYTES)?;
        if header.version != VERSION {
            return Err(EnvelopeError::Version(header.version));
        }
        header.check_shape()?;
        if !header.fits_proofs(self.header.0.len()) {
            return Err(EnvelopeError::Shape("an envelope with a delete"));
        }
        if self.payloads.len() != header.events.len() {
            return Err(EnvelopeError::PayloadCount);
        }
        for (place, (payload, event)) in self.payloads.iter().zip(&header.events).enumerate() {
            let erased = payload.0.is_empty();
            let matches = payload.0.len() == event.payload_len as usize
                && Hash::of(&[&payload.0]) == event.payload_hash;
            if !erased && !matches {
                return Err(EnvelopeError::PayloadHash(place));
            }
        }
        if !suite.verify(
            &header.stream.node,
            Domain::Envelope,
            &self.header.0,
            &self.signature,
        ) {
            return Err(EnvelopeError::BadSignature);
        }
        Ok(VerifiedEnvelope {
            hash: self.hash(),
            header,
            sealed: self.clone(),
        })
    }

    /// Bytes that this envelope takes in a frame.
    pub fn wire_bytes(&self) -> usize {
        let payloads: usize = self
            .payloads
            .iter()
            .map(|payload| payload.0.len().saturating_add(8))
            .sum();
        self.header
            .0
            .len()
            .saturating_add(80)
            .saturating_add(payloads)
    }
}

/// An envelope whose signature and payload hashes are good. Whether it counts is decided by the logs it cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEnvelope {
    pub hash: Hash,
    pub header: EnvelopeHeader,
    pub sealed: SealedEnvelope,
}

impl VerifiedEnvelope {
    pub fn head(&self) -> Head {
        Head {
            seq: self.header.last_seq(),
            hash: self.hash,
        }
    }

    /// The head that this envelope continues.
    pub fn parent(&self) -> Head {
        Head {
            seq: self.header.first_seq.saturating_sub(1),
            hash: self.header.prev,
        }
    }

    pub fn event_id(&self, place: usize) -> EventId {
        EventId {
            envelope: self.hash,
            place: place as u16,
        }
    }

    pub fn is_erased(&self, place: usize) -> bool {
        self.sealed
            .payloads
            .get(place)
            .is_none_or(|payload| payload.0.is_empty())
    }

    /// The plain payload; None when it is erased or the key is another.
    pub fn open(&self, place: usize, key: &EpochKey) -> Option<Vec<u8>> {
        let payload = self.sealed.payloads.get(place)?;
        if payload.0.is_empty() {
            return None;
        }
        key.open(&self.header.associated(place), &payload.0)
    }

    /// The key of one payload alone: who is shown it can read this event and no other.
    pub fn payload_key(&self, place: usize, key: &EpochKey) -> Option<PayloadKey> {
        let payload = self.sealed.payloads.get(place)?;
        key.key_of(&self.header.associated(place), &payload.0)
    }

    /// The plain payload for somebody who was shown its key; None when it is not the key that it was sealed with.
    pub fn open_shown(&self, place: usize, key: &PayloadKey) -> Option<Vec<u8>> {
        let payload = self.sealed.payloads.get(place)?;
        key.open(&self.header.associated(place), &payload.0)
    }
}

/// An event that is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftEvent {
    pub clock: Clock,
    pub kind: u16,
    pub actor: Handle,
    pub plain: Vec<u8>,
}

/// Where an author's next envelope goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub chat: ChatId,
    pub stream: StreamId,
    pub after: Head,
    pub owner_at: Position,
    pub identity_at: Position,
    pub epoch: u32,
}

/// Seals and signs events that the node built itself. At most [`limits::ENVELOPE_EVENTS`], at least one.
pub fn author(
    suite: Suite,
    node: &SecretKey,
    key: &EpochKey,
    place: Place,
    drafts: &[DraftEvent],
    random: &mut impl Random,
) -> VerifiedEnvelope {
    let mut header = EnvelopeHeader {
        version: VERSION,
        chat: place.chat,
        stream: place.stream,
        first_seq: place.after.seq.saturating_add(1),
        prev: place.after.hash,
        owner_at: place.owner_at,
        identity_at: place.identity_at,
        epoch: place.epoch,
        fields: Fields::none(),
        events: Vec::with_capacity(drafts.len()),
    };
    let mut payloads = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.iter().enumerate() {
        let associated = associated(&header, index as u64, draft.clock, draft.kind, draft.actor);
        let sealed = key.seal(
            random.array::<{ seal::NONCE_BYTES }>(),
            &associated,
            &draft.plain,
        );
        header.events.push(EventHeader {
            clock: draft.clock,
            kind: draft.kind,
            actor: draft.actor,
            payload_len: sealed.len() as u32,
            payload_hash: Hash::of(&[&sealed]),
        });
        payloads.push(Blob(sealed));
    }
    let bytes = Blob(codec::encode(&header));
    let signature = suite.sign(node, Domain::Envelope, &bytes.0);
    let sealed = SealedEnvelope {
        header: bytes,
        signature,
        payloads,
    };
    VerifiedEnvelope {
        hash: sealed.hash(),
        header,
        sealed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CompanyId;

    struct Fixed;
    impl Random for Fixed {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn sample() -> (EpochKey, VerifiedEnvelope) {
        let node = SecretKey::from_bytes([4; 32]);
        let key = EpochKey::from_bytes([5; 32]);
        let stream = StreamId {
            company: CompanyId([1; 32]),
            node: node.public(Suite::Ed25519),
            incarnation: 8,
        };
        let place = Place {
            chat: ChatId([2; 32]),
            stream,
            after: Head::START,
            owner_at: Position::START,
            identity_at: Position::START,
            epoch: 1,
        };
        let draft = |clock| DraftEvent {
            clock: Clock(clock),
            kind: 1,
            actor: Handle([3; 16]),
            plain: vec![clock as u8],
        };
        (
            key.clone(),
            author(
                Suite::Ed25519,
                &node,
                &key,
                place,
                &[draft(10), draft(11)],
                &mut Fixed,
            ),
        )
    }

    #[test]
    fn an_authored_envelope_verifies_and_opens() {
        let (key, envelope) = sample();
        assert_eq!(envelope.sealed.verify(Suite::Ed25519), Ok(envelope.clone()));
        assert_eq!(envelope.open(1, &key), Some(vec![11]));
        assert_eq!(envelope.head().seq, 2);
        assert!(
            envelope.sealed.verify(Suite::KeyedHash).is_err(),
            "another suite refuses it"
        );
    }

    #[test]
    fn every_flipped_bit_is_refused_and_erasure_is_not() {
        let (_, envelope) = sample();
        for index in 0..envelope.sealed.header.0.len() {
            let mut bad = envelope.sealed.clone();
            bad.header.0[index] ^= 1;
            assert!(bad.verify(Suite::Ed25519).is_err(), "header byte {index}");
        }
        for index in 0..envelope.sealed.payloads[0].0.len() {
            let mut bad = envelope.sealed.clone();
            bad.payloads[0].0[index] ^= 1;
            assert_eq!(
                bad.verify(Suite::Ed25519),
                Err(EnvelopeError::PayloadHash(0))
            );
        }
        let mut fewer = envelope.sealed.clone();
        fewer.payloads.pop();
        let error = fewer.verify(Suite::Ed25519).expect_err("a payload is gone");
        assert!(
            !error.condemns_header(),
            "a garbled copy must not condemn the true envelope: {error}"
        );
        let mut erased = envelope.sealed.clone();
        erased.payloads[0].0.clear();
        let erased = erased
            .verify(Suite::Ed25519)
            .expect("an erased payload keeps the chain");
        assert_eq!(erased.hash, envelope.hash);
        assert!(erased.is_erased(0) && !erased.is_erased(1));
    }

    #[test]
    fn one_message_is_shown_without_the_key_of_its_epoch() {
        let (epoch, envelope) = sample();
        let shown = envelope.payload_key(1, &epoch).expect("a payload");
        assert_eq!(envelope.open_shown(1, &shown), Some(vec![11]));
        assert_eq!(envelope.open_shown(0, &shown), None);
    }

    fn resigned(change: impl FnOnce(&mut EnvelopeHeader)) -> Result<(), EnvelopeError> {
        let node = SecretKey::from_bytes([4; 32]);
        let mut header = sample().1.header;
        change(&mut header);
        let bytes = codec::encode(&header);
        let sealed = SealedEnvelope {
            signature: Suite::Ed25519.sign(&node, Domain::Envelope, &bytes),
            header: Blob(bytes),
            payloads: vec![Blob::default(); header.events.len()],
        };
        sealed.verify(Suite::Ed25519).map(|_| ())
    }

    fn events(count: usize, kind: u16, payload_len: usize) -> Vec<EventHeader> {
        let event = |at| EventHeader {
            clock: Clock(100 + at as u64),
            kind,
            actor: Handle([3; 16]),
            payload_len: payload_len as u32,
            payload_hash: Hash([1; 32]),
        };
        (0..count).map(event).collect()
    }

    #[test]
    fn payloads_fit_alone_and_together() {
        let shape = |what| Err(EnvelopeError::Shape(what));
        let of = |count, length| resigned(|header| header.events = events(count, 1, length));
        assert_eq!(of(256, limits::ENVELOPE_PAYLOAD_BYTES / 256), Ok(()));
        assert_eq!(
            of(256, limits::ENVELOPE_PAYLOAD_BYTES / 256 + 1),
            shape("payloads together")
        );
        assert_eq!(of(1, limits::PAYLOAD_BYTES), Ok(()));
        assert_eq!(of(1, limits::PAYLOAD_BYTES + 1), shape("payload length"));
        assert_eq!(of(1, seal::OVERHEAD_BYTES), Ok(()));
        for short in [0, seal::OVERHEAD_BYTES - 1] {
            assert_eq!(of(1, short), shape("payload length"));
        }
    }

    #[test]
    fn an_envelope_with_a_delete_is_small() {
        let delete = kind::DELETE;
        let refused = Err(EnvelopeError::Shape("an envelope with a delete"));
        let of = |count, length| resigned(|header| header.events = events(count, delete, length));
        let longest = limits::DELETE_PAYLOAD_BYTES;
        assert_eq!(of(limits::DELETE_EVENTS, longest), Ok(()));
        assert_eq!(of(limits::DELETE_EVENTS + 1, longest), refused);
        assert_eq!(of(1, longest + 1), refused);
        let fielded = |value_bytes| {
            resigned(|header| {
                header.events = events(limits::DELETE_EVENTS, delete, longest);
                let value = Blob(vec![0; value_bytes]);
                header.fields = Fields(vec![crate::fields::Field { number: 9, value }]);
            })
        };
        let room = limits::DELETE_HEADER_BYTES - (254 + 62 * limits::DELETE_EVENTS) - 10;
        assert_eq!(fielded(room), Ok(()));
        assert_eq!(fielded(room + 1), refused);
    }
}
