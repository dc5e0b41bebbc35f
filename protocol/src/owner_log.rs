//! The owner log: the one signed, hash-linked list of decisions about a chat, written by the company that owns it.
//!
//! It alone decides which companies take part, since when, until which heads, and under which epoch key. Because it has
//! one writer, no state resolution is ever needed. This file holds the records; `owner_log/state.rs` what they add
//! up to.

pub mod state;

use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Time};
use crate::codec::{self, Blob, CodecError};
use crate::fields::Fields;
use crate::ids::{ChatId, CompanyId, Handle, Hash, Head, NodeKey, Position, StreamId};
use crate::limits;
use crate::seal;
use crate::stream::Tip;
use crate::suite::{Domain, SecretKey, Signature, Suite};
use crate::wrap::PrekeyBundle;

pub use state::{OwnerLog, Standing};

pub const VERSION: u16 = 0;

/// The numbers of the record kinds.
pub mod kind {
    pub const GENESIS: u16 = 1;
    pub const INVITE: u16 = 2;
    pub const ADD: u16 = 3;
    pub const REMOVE: u16 = 4;
    pub const TITLE: u16 = 5;
    pub const BAR: u16 = 6;
    pub const EPOCH: u16 = 7;
}

/// Unknown kinds from here on may be ignored: they are kept and relayed, and the chat goes on. An unknown kind below
/// changes who may do what, so that a node which does not know it stops writing.
pub const IGNORABLE_KINDS: u16 = 0x8000;
/// The validity rules of this build, as a genesis names them.
pub const RULES: u16 = 1;

/// What sort of chat it is (PRODUCT S1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChatKind(pub u16);

impl ChatKind {
    pub const DIRECT: ChatKind = ChatKind(1);
    pub const GROUP: ChatKind = ChatKind(2);
    pub const OPEN: ChatKind = ChatKind(3);
    pub const CHANNEL: ChatKind = ChatKind(4);
    pub const COMPANY: ChatKind = ChatKind(5);

    pub fn is_known(self) -> bool {
        (Self::DIRECT.0..=Self::COMPANY.0).contains(&self.0)
    }
}

/// What a company that joins later may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct History(pub u16);

impl History {
    /// Everything from the first message.
    pub const FULL: History = History(1);
    /// Only what follows its joining.
    pub const FROM_JOINING: History = History(2);

    pub fn is_known(self) -> bool {
        self == Self::FULL || self == Self::FROM_JOINING
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    pub rules: u16,
    pub suite: u16,
    pub kind: ChatKind,
    pub history: History,
    pub nonce: [u8; 16],
    /// Commitment to the key of epoch 1.
    pub commitment: Hash,
}

impl Genesis {
    /// True when this build knows what the chat is and by which rules it goes.
    pub fn is_known(&self) -> bool {
        self.rules == RULES && self.kind.is_known() && self.history.is_known()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    pub company: CompanyId,
    pub expires: Time,
}

/// The invited company's word, bound to one very invitation: it cannot be used for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    pub chat: ChatId,
    pub invitation: Position,
    pub company: CompanyId,
    pub node: NodeKey,
    pub identity_at: Position,
    pub prekey: PrekeyBundle,
    pub fields: Fields,
    pub signature: Signature,
}

/// A new epoch: its number is one more than the last, the commitment is to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEpoch {
    pub epoch: u32,
    pub commitment: Hash,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Add {
    pub acceptance: Acceptance,
    /// Present unless the chat's history is full.
    pub epoch: Option<NewEpoch>,
    /// Where the company's history begins: it is never sent anything at or before these heads. With what the next
    /// envelope is compared with, so that the newcomer judges it as everybody else does.
    pub base: Vec<(StreamId, Tip)>,
}

/// The accepted heads of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamCut {
    pub stream: StreamId,
    pub heads: Vec<Head>,
}

/// Removal and its new epoch are one record, so that no key outlives the membership. The cut lists every stream of
/// the company whose events count; a stream that it does not list has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    pub company: CompanyId,
    pub cut: Vec<StreamCut>,
    pub epoch: NewEpoch,
}

/// Bars a person of any company (or lifts the bar). Events of the handle beyond the cut do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    pub company: CompanyId,
    pub handle: Handle,
    pub barred: bool,
    pub cut: Vec<StreamCut>,
}

/// The signed part of a record. `body` is the plain, kind-specific part; a title lies in the sealed payload because it
/// may name a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordHeader {
    pub version: u16,
    pub suite: u16,
    /// Zero in the genesis, whose hash it becomes.
    pub chat: ChatId,
    pub term: u32,
    pub seq: u64,
    pub prev: Hash,
    pub owner: CompanyId,
    pub node: NodeKey,
    pub identity_at: Position,
    pub clock: Clock,
    pub kind: u16,
    pub body: Blob,
    pub epoch: u32,
    pub payload_len: u32,
    pub payload_hash: Hash,
    pub fields: Fields,
}

/// A record as it travels and as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRecord {
    pub header: Blob,
    pub signature: Signature,
    pub payload: Blob,
}

/// The decoded body of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Genesis(Genesis),
    Invite(Invite),
    Add(Box<Add>),
    Remove(Remove),
    Title,
    Bar(Bar),
    Epoch(NewEpoch),
    /// Of a kind that this build does not know: kept and relayed. Below [`IGNORABLE_KINDS`] the chat says that it needs
    /// a newer version.
    Unknown(u16),
}

/// Why a record does not extend an owner log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("owner record: {0}")]
    Codec(#[from] CodecError),
    #[error("owner record of version {0} or suite {1} is not understood")]
    Unsupported(u16, u16),
    #[error("owner record breaks a limit: {0}")]
    Shape(&'static str),
    #[error("owner record has a bad signature")]
    BadSignature,
    #[error("owner record {found} where {expected} was expected")]
    Gap { expected: u64, found: u64 },
    #[error("owner record does not continue the log it claims")]
    WrongPrev,
    #[error("owner record is not written by the owner of the chat")]
    NotOwner,
    #[error("the key that signed is not one of the owner's node keys")]
    UnknownKey,
    #[error("the owner's identity at the cited position is not known yet")]
    NeedsIdentity,
    #[error("two different owner records at position {0}")]
    Fork(u64),
    #[error("the chat is frozen: its owner log has forked")]
    Frozen,
    #[error("owner record is not allowed here: {0}")]
    Rule(&'static str),
}

impl Body {
    pub fn kind(&self) -> u16 {
        match self {
            Body::Genesis(_) => kind::GENESIS,
            Body::Invite(_) => kind::INVITE,
            Body::Add(_) => kind::ADD,
            Body::Remove(_) => kind::REMOVE,
            Body::Title => kind::TITLE,
            Body::Bar(_) => kind::BAR,
            Body::Epoch(_) => kind::EPOCH,
            Body::Unknown(number) => *number,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        match self {
            Body::Genesis(body) => codec::encode(body),
            Body::Invite(body) => codec::encode(body),
            Body::Add(body) => codec::encode(body.as_ref()),
            Body::Remove(body) => codec::encode(body),
            Body::Bar(body) => codec::encode(body),
            Body::Epoch(body) => codec::encode(body),
            Body::Title | Body::Unknown(_) => Vec::new(),
        }
    }

    pub fn decode(number: u16, bytes: &[u8]) -> Result<Body, CodecError> {
        let limit = limits::RECORD_BYTES;
        Ok(match number {
            kind::GENESIS => Body::Genesis(codec::decode(bytes, limit)?),
            kind::INVITE => Body::Invite(codec::decode(bytes, limit)?),
            kind::ADD => Body::Add(Box::new(codec::decode(bytes, limit)?)),
            kind::REMOVE => Body::Remove(codec::decode(bytes, limit)?),
            kind::TITLE if bytes.is_empty() => Body::Title,
            kind::TITLE => return Err(CodecError::Malformed),
            kind::BAR => Body::Bar(codec::decode(bytes, limit)?),
            kind::EPOCH => Body::Epoch(codec::decode(bytes, limit)?),
            _ => Body::Unknown(number),
        })
    }
}

impl Acceptance {
    pub fn sign(
        suite: Suite,
        key: &SecretKey,
        chat: ChatId,
        invitation: Position,
        identity_at: Position,
        prekey: PrekeyBundle,
    ) -> Acceptance {
        let (company, node) = (prekey.company, key.public(suite));
        let mut acceptance = Acceptance {
            chat,
            invitation,
            company,
            node,
            identity_at,
            prekey,
            fields: Fields::none(),
            signature: Signature::from_bytes([0; 64]),
        };
        let bytes = acceptance.signed_bytes();
        acceptance.signature = suite.sign(key, Domain::Acceptance, &bytes);
        acceptance
    }

    /// Both signatures are good and belong together. Whether `node` is a key of `company` is the roster's question.
    pub fn verify(&self, suite: Suite) -> bool {
        let bytes = self.signed_bytes();
        bytes.len() <= limits::ACCEPTANCE_BYTES
            && self.fields.is_well_formed()
            && self.prekey.company == self.company
            && self.prekey.node == self.node
            && self.prekey.verify(suite)
            && suite.verify(&self.node, Domain::Acceptance, &bytes, &self.signature)
    }

    fn signed_bytes(&self) -> Vec<u8> {
        codec::encode(&(
            self.chat,
            self.invitation,
            self.company,
            self.node,
            self.identity_at,
            &self.prekey,
            &self.fields,
        ))
    }
}

impl SignedRecord {
    pub fn sign(
        suite: Suite,
        key: &SecretKey,
        header: &RecordHeader,
        payload: Vec<u8>,
    ) -> SignedRecord {
        let bytes = codec::encode(header);
        let domain = if header.kind == kind::GENESIS {
            Domain::Genesis
        } else {
            Domain::OwnerRecord
        };
        let signature = suite.sign(key, domain, &bytes);
        SignedRecord {
            header: Blob(bytes),
            signature,
            payload: Blob(payload),
        }
    }

    pub fn hash(&self) -> Hash {
        Hash::of(&[&self.header.0])
    }

    /// Everything that the bytes alone decide.
    pub fn verify(&self, suite: Suite) -> Result<(RecordHeader, Body), RecordError> {
        let header: RecordHeader = codec::decode(&self.header.0, limits::RECORD_BYTES)?;
        if header.version != VERSION || header.suite != suite.number() {
            return Err(RecordError::Unsupported(header.version, header.suite));
        }
        if !header.fields.is_well_formed() {
            return Err(RecordError::Shape("numbered fields"));
        }
        let body = Body::decode(header.kind, &header.body.0)?;
        check_body(&body)?;
        header.check_payload(&self.payload.0)?;
        let domain = if header.kind == kind::GENESIS {
            Domain::Genesis
        } else {
            Domain::OwnerRecord
        };
        if !suite.verify(&header.node, domain, &self.header.0, &self.signature) {
            return Err(RecordError::BadSignature);
        }
        Ok((header, body))
    }
}

/// What a body of a known kind may hold at most. With these bounds every record fits its limit, and a frame.
fn check_body(body: &Body) -> Result<(), RecordError> {
    let sound = match body {
        Body::Add(add) => add.base.len() <= limits::CHAT_HEADS,
        Body::Remove(Remove { company, cut, .. }) | Body::Bar(Bar { company, cut, .. }) => {
            let heads: usize = cut.iter().map(|cut| cut.heads.len()).sum();
            cut.len() <= limits::HEADS_PER_COMPANY
                && heads <= limits::HEADS_PER_COMPANY
                && cut.iter().all(|cut| cut.stream.company == *company)
        }
        _ => true,
    };
    if sound {
        Ok(())
    } else {
        Err(RecordError::Rule("it lists what it must not"))
    }
}

impl RecordHeader {
    /// A payload is as long as what sealing adds, at least; without one the hash is zero, so that "none" has one form.
    fn check_payload(&self, payload: &[u8]) -> Result<(), RecordError> {
        let length = self.payload_len as usize;
        let stated = if length == 0 {
            self.payload_hash.is_zero()
        } else {
            (seal::OVERHEAD_BYTES..=limits::RECORD_PAYLOAD_BYTES).contains(&length)
        };
        let matches = payload.is_empty()
            || payload.len() == length && Hash::of(&[payload]) == self.payload_hash;
        if stated && matches {
            Ok(())
        } else {
            Err(RecordError::Shape("payload"))
        }
    }

    /// What the sealing of a title is bound to.
    pub fn associated(&self) -> Vec<u8> {
        let mut bytes = b"crossport/0/record-payload\0".to_vec();
        bytes.extend(codec::encode(&(
            self.chat, self.term, self.seq, self.prev, self.epoch, self.clock, self.kind,
        )));
        bytes
    }
}
