//! Frames: what two linked partners say to each other. A number, then the body.
//!
//! A frame of an unknown number is skipped, so that newer nodes can say more. Everything in a frame that matters is
//! signed by its author; the link is not trusted beyond knowing which partner is at its other end.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::codec::{self, Blob, CodecError};
use crate::envelope::{EnvelopeHeader, SealedEnvelope};
use crate::event::kind;
use crate::fields::Fields;
use crate::identity::SignedIdentity;
use crate::ids::{ChatId, CompanyId, NodeKey, Position};
use crate::limits;
use crate::owner_log::{Acceptance, SignedRecord, StreamCut};
use crate::read::ReadRegister;
use crate::statement::Statement;
use crate::wrap::{PrekeyBundle, Wrap};

/// The version of what is said on links. Both ends must speak the same; what newer nodes add within it, older ones skip or
/// carry (see the chapter on growth). Version 0 was never frozen and is refused.
pub const VERSION: u16 = 1;
/// Which program says hello: for people who look for a fault, never compared.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub version: u16,
    pub build: String,
    pub company: CompanyId,
    pub generation: u64,
    pub identity_at: Position,
    pub prekey: PrekeyBundle,
    pub time: Time,
    /// What a newer node can do, for example.
    pub fields: Fields,
}

/// A short hash per shared chat: chats that agree cost 48 bytes a reconnect and nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    pub entries: Vec<(ChatId, [u8; 16])>,
    /// No more entries follow.
    pub last: bool,
}

/// What the sender holds of a chat: hello, acknowledgement and resume cursor at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct FrontierBody {
    pub owner_at: Option<Position>,
    pub streams: Vec<StreamCut>,
    /// Heads whose past the sender lacks though it is entitled to it, because only a company that joined later had the
    /// rest when the sender was restored.
    pub gaps: Vec<StreamCut>,
    pub statements: Vec<(NodeKey, u64)>,
    /// The newest read register held of each part of each node.
    pub reads: Vec<(NodeKey, u16, u64)>,
    /// Epochs whose keys the sender lacks.
    pub missing_epochs: Vec<u32>,
    /// The greatest [`EnvelopesFrame::sent_bytes`] that the sender has processed on this link.
    pub processed: u64,
    /// The sender wants the receiver's frontier in return.
    pub reply: bool,
    /// This is the return: it replaces what was believed of the sender. Others only acknowledge.
    pub answers: bool,
    pub fields: Fields,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    pub chat: ChatId,
    pub body: FrontierBody,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityFrame {
    pub company: CompanyId,
    pub records: Vec<SignedIdentity>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerFrame {
    pub chat: ChatId,
    pub records: Vec<SignedRecord>,
}

/// Why a payload is missing. The proof is encoded as its kind says; what proves an erasure in another way than a delete
/// will be another kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    pub place: u16,
    /// See [`proof_kind`].
    pub kind: u16,
    pub proof: Blob,
}

/// The numbers of the kinds of proof. A number is never used again for another meaning.
pub mod proof_kind {
    /// By its author.
    pub const DELETED: u16 = 1;
    /// By an administrator.
    pub const DELETED_BY_ADMINISTRATOR: u16 = 2;
}

/// The event that deleted the payload, with only that event's payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteProof {
    pub place: u16,
    pub envelope: SealedEnvelope,
}

impl DeleteProof {
    /// A proof that does not hold a delete by an administrator is taken for one by the author, and refused as such.
    fn kind(&self) -> u16 {
        let header: Result<EnvelopeHeader, CodecError> =
            codec::decode(&self.envelope.header.0, limits::HEADER_BYTES);
        let event = header.ok().and_then(|header| {
            let event = header.events.get(usize::from(self.place));
            event.map(|event| event.kind)
        });
        match event {
            Some(kind::ADMIN_DELETE) => proof_kind::DELETED_BY_ADMINISTRATOR,
            _ => proof_kind::DELETED,
        }
    }
}

impl Erasure {
    /// The kind of proof follows from the kind of the deleting event.
    pub fn deleted(place: u16, proof: &DeleteProof) -> Erasure {
        Erasure {
            place,
            kind: proof.kind(),
            proof: Blob(codec::encode(proof)),
        }
    }

    /// The delete that proves it; None when the proof is of another kind.
    pub fn delete(&self) -> Option<Result<DeleteProof, CodecError>> {
        matches!(
            self.kind,
            proof_kind::DELETED | proof_kind::DELETED_BY_ADMINISTRATOR
        )
        .then(|| codec::decode(&self.proof.0, limits::PROOF_BYTES))
    }

    /// An event of this kind is what this kind of proof must hold.
    pub fn is_proven_by(&self, number: u16) -> bool {
        match self.kind {
            proof_kind::DELETED => number == kind::DELETE,
            proof_kind::DELETED_BY_ADMINISTRATOR => number == kind::ADMIN_DELETE,
            _ => false,
        }
    }

    fn wire_bytes(&self) -> usize {
        self.proof.0.len().saturating_add(12)
    }
}

/// An envelope with the proofs of what was erased from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeItem {
    pub envelope: SealedEnvelope,
    pub erasures: Vec<Erasure>,
}

impl EnvelopeItem {
    pub fn whole(envelope: SealedEnvelope) -> EnvelopeItem {
        EnvelopeItem {
            envelope,
            erasures: Vec::new(),
        }
    }

    pub fn wire_bytes(&self) -> usize {
        let proofs: usize = self.erasures.iter().map(Erasure::wire_bytes).sum();
        self.envelope
            .wire_bytes()
            .saturating_add(8)
            .saturating_add(proofs)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopesFrame {
    pub chat: ChatId,
    /// Bytes of envelope frames that were sent on this link, with this one.
    pub sent_bytes: u64,
    pub items: Vec<EnvelopeItem>,
}

/// One sample of a chain, for finding where two branches part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locate {
    pub chat: ChatId,
    pub streams: Vec<StreamCut>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Hello(Hello),
    Digests(Digests),
    Frontier(Frontier),
    Identity(IdentityFrame),
    Owner(OwnerFrame),
    Envelopes(EnvelopesFrame),
    Wraps(Vec<Wrap>),
    Statements(Vec<Statement>),
    Reads(Vec<ReadRegister>),
    Accept(Acceptance),
    Locate(Locate),
    /// The companies that the sender is linked with now, of those that share a chat with the receiver: nobody needs to
    /// relay between them.
    Direct(Vec<CompanyId>),
    /// Of a number that this build does not know.
    Unknown(u16),
}

impl Frame {
    pub fn number(&self) -> u16 {
        match self {
            Frame::Hello(_) => 1,
            Frame::Digests(_) => 2,
            Frame::Frontier(_) => 3,
            Frame::Identity(_) => 4,
            Frame::Owner(_) => 5,
            Frame::Envelopes(_) => 6,
            Frame::Wraps(_) => 7,
            Frame::Statements(_) => 8,
            Frame::Reads(_) => 9,
            Frame::Accept(_) => 10,
            Frame::Locate(_) => 11,
            Frame::Direct(_) => 12,
            Frame::Unknown(number) => *number,
        }
    }

    /// The same content in frames of at most so many items, in order, for a node that serves its partners in turn. What
    /// cannot be cut stays whole.
    pub fn pieces(self, most: usize) -> Vec<Frame> {
        match self {
            Frame::Envelopes(EnvelopesFrame {
                chat,
                sent_bytes,
                items,
            }) if items.len() > most => {
                let mut pieces: Vec<EnvelopesFrame> = chunks(items, most)
                    .map(|items| EnvelopesFrame {
                        chat,
                        sent_bytes: 0,
                        items,
                    })
                    .collect();
                // Only with its last piece is the frame processed.
                if let Some(last) = pieces.last_mut() {
                    last.sent_bytes = sent_bytes;
                }
                pieces.into_iter().map(Frame::Envelopes).collect()
            }
            Frame::Wraps(wraps) if wraps.len() > most => {
                chunks(wraps, most).map(Frame::Wraps).collect()
            }
            Frame::Statements(statements) if statements.len() > most => {
                chunks(statements, most).map(Frame::Statements).collect()
            }
            Frame::Reads(reads) if reads.len() > most => {
                chunks(reads, most).map(Frame::Reads).collect()
            }
            whole => vec![whole],
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let body = match self {
            Frame::Hello(body) => codec::encode(body),
            Frame::Digests(body) => codec::encode(body),
            Frame::Frontier(body) => codec::encode(body),
            Frame::Identity(body) => codec::encode(body),
            Frame::Owner(body) => codec::encode(body),
            Frame::Envelopes(body) => codec::encode(body),
            Frame::Wraps(body) => codec::encode(body),
            Frame::Statements(body) => codec::encode(body),
            Frame::Reads(body) => codec::encode(body),
            Frame::Accept(body) => codec::encode(body),
            Frame::Locate(body) => codec::encode(body),
            Frame::Direct(body) => codec::encode(body),
            Frame::Unknown(_) => Vec::new(),
        };
        [self.number().to_le_bytes().as_slice(), &body].concat()
    }

    pub fn decode(bytes: &[u8]) -> Result<Frame, CodecError> {
        let limit = limits::FRAME_BYTES;
        if bytes.len() > limit {
            let found = bytes.len();
            return Err(CodecError::TooLong { found, limit });
        }
        let (number, body) = bytes
            .split_first_chunk::<2>()
            .ok_or(CodecError::Malformed)?;
        let frame = match u16::from_le_bytes(*number) {
            1 => Frame::Hello(codec::decode(body, limit)?),
            2 => Frame::Digests(codec::decode(body, limit)?),
            3 => Frame::Frontier(codec::decode(body, limit)?),
            4 => Frame::Identity(codec::decode(body, limit)?),
            5 => Frame::Owner(codec::decode(body, limit)?),
            6 => Frame::Envelopes(codec::decode(body, limit)?),
            7 => Frame::Wraps(codec::decode(body, limit)?),
            8 => Frame::Statements(codec::decode(body, limit)?),
            9 => Frame::Reads(codec::decode(body, limit)?),
            10 => Frame::Accept(codec::decode(body, limit)?),
            11 => Frame::Locate(codec::decode(body, limit)?),
            12 => Frame::Direct(codec::decode(body, limit)?),
            other => Frame::Unknown(other),
        };
        let sound = match &frame {
            Frame::Hello(hello) => hello.fields.is_well_formed(),
            Frame::Frontier(frontier) => frontier.body.fields.is_well_formed(),
            _ => true,
        };
        if sound {
            Ok(frame)
        } else {
            Err(CodecError::Malformed)
        }
    }
}

fn chunks<T>(items: Vec<T>, most: usize) -> impl Iterator<Item = Vec<T>> {
    let mut items = items.into_iter();
    std::iter::from_fn(move || {
        let chunk: Vec<T> = items.by_ref().take(most.max(1)).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Blob;
    use crate::suite::Signature;

    #[test]
    fn pieces_are_the_frame_in_order_and_only_the_last_counts_as_processed() {
        let item = |number: u8| {
            EnvelopeItem::whole(SealedEnvelope {
                header: Blob(vec![number]),
                signature: Signature::from_bytes([0; 64]),
                payloads: Vec::new(),
            })
        };
        let frame = EnvelopesFrame {
            chat: ChatId([1; 32]),
            sent_bytes: 77,
            items: (0..10).map(item).collect(),
        };
        let whole = Frame::Envelopes(frame.clone());
        assert_eq!(whole.clone().pieces(10), vec![whole.clone()]);
        let pieces = whole.pieces(4);
        let cut = |piece: &Frame| match piece {
            Frame::Envelopes(piece) => (piece.sent_bytes, piece.items.clone()),
            other => panic!("{other:?}"),
        };
        let (counted, items): (Vec<u64>, Vec<_>) = pieces.iter().map(cut).unzip();
        assert_eq!(counted, [0, 0, 77]);
        assert_eq!(items.concat(), frame.items);
    }
}
