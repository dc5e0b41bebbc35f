//! How records and facts lie in the journal: kinds, versions, bytes.
//!
//! Owns the encoding and nothing else. Federated records are stored as they came, because their bytes are signed and
//! sealed by their authors; what is only this node's is sealed by the journal. The layout of a payload is a version, then
//! the body in the protocol's encoding (integers little endian):
//!
//! ```text
//! identity = 1 u16 | company (32) | signed record                 sealed: it names a partner
//! owner    = 1 u16 | chat (32) | signed record
//! envelope = 1 u16 | chat (32) | envelope | proofs of erased payloads that came with it
//! exposure = 1 u16 | partner (32) | until, an optional clock       sealed
//! footing  = 1 u16 | chat (32) | incarnation, an optional u64 | owner sure, a bool   sealed
//! fact     = 1 u16 | kind u16 | body                               sealed
//! ```

use std::ops::Range;

use crossport_protocol::clock::{Clock, Time};
use crossport_protocol::codec::{self, Blob, CodecError};
use crossport_protocol::envelope::SealedEnvelope;
use crossport_protocol::fold::Actor;
use crossport_protocol::frame::EnvelopeItem;
use crossport_protocol::identity::SignedIdentity;
use crossport_protocol::ids::{ChatId, CompanyId, EventId, Handle, Hash, LocalId};
use crossport_protocol::owner_log::{SignedRecord, StreamCut};
use crossport_protocol::replicator::Record;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::journal::{Damage, MAX_RECORD_BYTES};

/// Version of all payloads. The first one has no predecessor.
const VERSION: u16 = 1;
/// The chat's id stands between the version and the envelope.
const ENVELOPE_AT: usize = 2 + 32;
const LENGTH: usize = 8;
const SIGNATURE: usize = 64;

/// Kinds of journal records. A number is never used again for another meaning.
pub mod kind {
    pub const IDENTITY: u16 = 1;
    pub const OWNER: u16 = 2;
    pub const ENVELOPE: u16 = 3;
    pub const EXPOSURE: u16 = 4;
    pub const FACT: u16 = 5;
    pub const FOOTING: u16 = 6;
}

/// Kinds of facts. A number is never used again for another meaning.
pub mod fact {
    pub const POSTED: u16 = 1;
    pub const AUDIT: u16 = 2;
    pub const READ: u16 = 3;
    pub const ERASED: u16 = 4;
}

/// Something that only this node knows, and that outlasts the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// What clients posted, by the hash of their own id for it: a retry finds the first event.
    Posted {
        entries: Vec<(LocalId, [u8; 16], EventId)>,
    },
    /// What an operator or a person with rights did.
    Audit {
        at: Time,
        who: String,
        what: String,
        subject: Option<String>,
    },
    /// A person had read up to these heads at this time; only heads that are new since their last fact.
    Read {
        chat: ChatId,
        reader: Actor,
        time: Time,
        heads: Vec<StreamCut>,
    },
    /// Payloads that are destroyed (the event, and the place of its delete in `proof`), with the envelope that proves
    /// it to others: a copy, so that it stays whole whatever becomes of the envelope itself.
    Erased {
        chat: ChatId,
        proof: Box<SealedEnvelope>,
        targets: Vec<(EventId, u16)>,
    },
    /// Written by a later version.
    Unknown { kind: u16, body: Vec<u8> },
}

/// What the journal holds at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalEntry {
    Protocol(Record),
    Fact(Fact),
    /// A stretch that cannot be read; what was there is missing until it comes back from partners or a backup.
    Damaged(Damage),
    /// The bytes are as they were written, and this version cannot make sense of them.
    Unreadable {
        kind: u16,
        cause: CodecError,
    },
}

/// Whether the journal seals this kind.
pub fn is_sealed(kind: u16) -> bool {
    matches!(
        kind,
        kind::IDENTITY | kind::EXPOSURE | kind::FACT | kind::FOOTING
    )
}

/// The kind and the payload of a record.
pub fn encode(record: &Record) -> (u16, Vec<u8>) {
    match record {
        Record::Identity { company, record } => (kind::IDENTITY, versioned(&(company, record))),
        Record::Owner { chat, record } => (kind::OWNER, versioned(&(chat, record))),
        Record::Envelope { chat, item } => (kind::ENVELOPE, versioned(&(chat, item))),
        Record::Exposure { partner, until } => (kind::EXPOSURE, versioned(&(partner, until))),
        Record::Footing {
            chat,
            own,
            owner_sure,
        } => (kind::FOOTING, versioned(&(chat, own, owner_sure))),
    }
}

/// What was posted in one envelope: by whom, under which id of their client, at which place.
type PostedIn = (Hash, Vec<(LocalId, [u8; 16], u16)>);

/// Neighbours mostly share their envelope, whose hash is the larger part of an entry.
fn grouped(entries: &[(LocalId, [u8; 16], EventId)]) -> Vec<PostedIn> {
    let of_one = entries.chunk_by(|(_, _, one), (_, _, next)| one.envelope == next.envelope);
    let group = |entries: &[(LocalId, [u8; 16], EventId)]| {
        let (_, _, first) = entries.first()?;
        let places = entries.iter();
        let places = places.map(|(user, client, event)| (*user, *client, event.place));
        Some((first.envelope, places.collect()))
    };
    of_one.filter_map(group).collect()
}

fn ungrouped(groups: Vec<PostedIn>) -> Vec<(LocalId, [u8; 16], EventId)> {
    let entries = groups.into_iter().flat_map(|(envelope, places)| {
        places
            .into_iter()
            .map(move |(user, client, place)| (user, client, EventId { envelope, place }))
    });
    entries.collect()
}

/// The payload of a fact.
pub fn encode_fact(fact: &Fact) -> Vec<u8> {
    let (number, body) = match fact {
        Fact::Posted { entries } => (fact::POSTED, codec::encode(&grouped(entries))),
        Fact::Audit {
            at,
            who,
            what,
            subject,
        } => (fact::AUDIT, codec::encode(&(at, who, what, subject))),
        Fact::Read {
            chat,
            reader,
            time,
            heads,
        } => {
            let body = (chat, reader.company, reader.handle, time, heads);
            (fact::READ, codec::encode(&body))
        }
        Fact::Erased {
            chat,
            proof,
            targets,
        } => (fact::ERASED, codec::encode(&(chat, proof, targets))),
        Fact::Unknown { kind, body } => (*kind, body.clone()),
    };
    [
        VERSION.to_le_bytes().as_slice(),
        &number.to_le_bytes(),
        &body,
    ]
    .concat()
}

/// Understands a record of the journal. Erased parts of an envelope come out as empty payloads, without proof.
pub fn decode(number: u16, payload: &[u8], erased: &[Range<u32>]) -> JournalEntry {
    let entry = match number {
        kind::IDENTITY => body(payload)
            .map(
                |(company, record): (CompanyId, SignedIdentity)| Record::Identity {
                    company,
                    record,
                },
            )
            .map(JournalEntry::Protocol),
        kind::OWNER => body(payload)
            .map(|(chat, record): (ChatId, SignedRecord)| Record::Owner { chat, record })
            .map(JournalEntry::Protocol),
        kind::ENVELOPE => decode_envelope(payload, erased)
            .map(|(chat, item)| JournalEntry::Protocol(Record::Envelope { chat, item })),
        kind::EXPOSURE => body(payload)
            .map(|(partner, until): (CompanyId, Option<Clock>)| Record::Exposure { partner, until })
            .map(JournalEntry::Protocol),
        kind::FOOTING => body(payload)
            .map(|(chat, own, owner_sure)| Record::Footing {
                chat,
                own,
                owner_sure,
            })
            .map(JournalEntry::Protocol),
        kind::FACT => decode_fact(payload).map(JournalEntry::Fact),
        _ => Err(CodecError::Malformed),
    };
    entry.unwrap_or_else(|cause| JournalEntry::Unreadable {
        kind: number,
        cause,
    })
}

/// An envelope's record; payloads in `erased` ranges come out empty.
pub fn decode_envelope(
    payload: &[u8],
    erased: &[Range<u32>],
) -> Result<(ChatId, EnvelopeItem), CodecError> {
    let (chat, mut item): (ChatId, EnvelopeItem) = body(payload)?;
    if !erased.is_empty() {
        let ranges = payload_ranges(&item.envelope);
        for (payload, range) in item.envelope.payloads.iter_mut().zip(ranges) {
            let gone = |erased: &Range<u32>| erased.start < range.end && range.start < erased.end;
            if erased.iter().any(gone) {
                payload.0.clear();
            }
        }
    }
    Ok((chat, item))
}

/// Where the payloads of an envelope lie in its record, in bytes.
pub fn payload_ranges(envelope: &SealedEnvelope) -> Vec<Range<u32>> {
    let mut at = ENVELOPE_AT + LENGTH + envelope.header.0.len() + SIGNATURE + LENGTH;
    let mut ranges = Vec::with_capacity(envelope.payloads.len());
    for Blob(payload) in &envelope.payloads {
        let start = at + LENGTH;
        at = start + payload.len();
        ranges.push(start as u32..at as u32);
    }
    ranges
}

pub fn decode_fact(payload: &[u8]) -> Result<Fact, CodecError> {
    let (number, bytes) = unversioned(payload)?
        .split_first_chunk::<2>()
        .ok_or(CodecError::Malformed)?;
    let limit = MAX_RECORD_BYTES;
    Ok(match u16::from_le_bytes(*number) {
        fact::POSTED => Fact::Posted {
            entries: ungrouped(codec::decode(bytes, limit)?),
        },
        fact::AUDIT => {
            let (at, who, what, subject) = codec::decode(bytes, limit)?;
            Fact::Audit {
                at,
                who,
                what,
                subject,
            }
        }
        fact::READ => {
            type Body = (ChatId, CompanyId, Handle, Time, Vec<StreamCut>);
            let (chat, company, handle, time, heads): Body = codec::decode(bytes, limit)?;
            Fact::Read {
                chat,
                reader: Actor { company, handle },
                time,
                heads,
            }
        }
        fact::ERASED => {
            let (chat, proof, targets) = codec::decode(bytes, limit)?;
            Fact::Erased {
                chat,
                proof: Box::new(proof),
                targets,
            }
        }
        kind => Fact::Unknown {
            kind,
            body: bytes.to_vec(),
        },
    })
}

fn versioned<T: Serialize>(body: &T) -> Vec<u8> {
    codec::encode(&(VERSION, body))
}

fn unversioned(payload: &[u8]) -> Result<&[u8], CodecError> {
    let (version, body) = payload
        .split_first_chunk::<2>()
        .ok_or(CodecError::Malformed)?;
    if u16::from_le_bytes(*version) == VERSION {
        Ok(body)
    } else {
        Err(CodecError::Malformed)
    }
}

fn body<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, CodecError> {
    codec::decode(unversioned(payload)?, MAX_RECORD_BYTES)
}
