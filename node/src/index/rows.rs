//! The rows of the index: their keys and their values. Bytes only.
//!
//! It must not know the database, nor what the rows are used for. Integers in keys are big endian, so that rows sort by
//! them. Every value begins with its version; because the index is a cache, the predecessor of a version is a rebuild.
//!
//! | table | key | value | written when |
//! | --- | --- | --- | --- |
//! | head | `H` | [`HeadRow`] | every batch |
//! | chat | `c` chat id (32) | [`ChatRow`]: the chat's ordinal | the chat is first seen |
//! | core | `C` chat id (32) | `ChatCore` of the protocol | the chat changed |
//! | meta | `b` chat (4) | [`ChatMeta`]: counters | something of the chat was counted |
//! | stream | `m` chat (4), stream id (72) | [`StreamOrdinal`] | the stream is first seen |
//! | stream facts | `n` stream (4) | [`StreamRow`] | first seen, and at its first fork |
//! | hash | `h` short hash (16) | [`HashRow`]: where the envelope stands | an envelope is stored |
//! | envelope | `s` stream (4), last seq (8), short hash (16) | [`EnvelopeRow`] | stored, counted, voided, erased |
//! | erasure | `e` stream (4), last seq (8), short hash (16), place (2) | [`ErasureRow`] | a payload is erased |
//! | timeline | `t` chat (4), level (1), last clock (8), short hash (16) | [`TimelineRow`] | an envelope with something to show is counted |
//! | related | `r` chat (4), short hash and place of the target (18), short hash and place (18) | [`RelatedRow`] | an edit, delete or reaction is counted |
//! | person | `u` chat (4), company (32), handle (16), clock (8), short hash (16), place (2) | sealed `PersonRow` | a member event is counted |
//! | ask | `k` chat (4), mark of the person who is asked for (16), clock (8), short hash (16), place (2) | [`AskRow`]: who asked | a question for somebody is counted |
//! | actor | `v` chat (4), company (32), handle (16) | [`ActorRow`]: an ordinal | an own person first writes, or anyone first reads |
//! | arrivals | `a` chat (4), arrivals before (8), page (4) | [`ArrivalPage`] | an envelope is counted |
//! | written | `w` chat (4), actor (4), page (4) | [`WrittenRow`]: messages of an own person up to the page's end | such a message is counted |
//! | mention | `j` chat (4), local id (16), arrival (8) | `MentionRow`: a message that names an own person | such a message is counted |
//! | reply | `y` chat (4), short hash and place of the target (18), short hash and place (18) | `ReplyRow` | a reply is counted |
//! | void arrivals | `z` chat (4), arrivals before (8), short hash (16) | [`VoidRow`] | a counted envelope is voided |
//! | read | `q` chat (4), actor (4), stream (4), seq (8), short hash (16) | [`ReadRow`]: when | a reader came that far |
//! | owner record | `o` chat (4), seq (8) | [`PlaceRow`] | an owner record is stored |
//! | identity | `i` company (32), seq (8) | the signed record, sealed | an identity record is stored |
//! | exposure | `x` company (32) | [`ExposureRow`] | exposure opens or closes |
//! | posted | `p` local id (16), client's id (16) | [`PostedRow`] | a person's client posted |
//! | audit | `d` position (8) | [`PlaceRow`] | an audit fact is stored |

pub mod naming;

use crossport_protocol::clock::{Clock, Time};
use crossport_protocol::codec::{self, CodecError};
use crossport_protocol::fold::Actor;
use crossport_protocol::ids::{
    ChatId, CompanyId, EventId, Handle, Hash, Head, LocalId, Position as CitedPosition, StreamId,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::IndexError;

/// The first bytes of a hash, as keys use them. Two envelopes with one short hash cost an attacker 2^64 steps, and all
/// that is won is that one of the attacker's own two envelopes is not found.
pub type Short = [u8; 16];

/// Version of every row. Changing any layout means a new number, and so a rebuild.
const VERSION: u8 = 1;
/// The largest row: a chat's state with a long owner log. Rows are own bytes, so this only stops nonsense.
const MAX_ROW_BYTES: usize = 64 * 1024 * 1024;
/// Where the position stands in rows that begin with one: behind the version.
const POSITION_AT: usize = 1;
/// A position that is not known before the journal has the record.
pub const NO_POSITION: u64 = u64::MAX;

/// Where the index stands, and the counters that give out ordinals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadRow {
    /// Layout of all tables; another one is a rebuild.
    pub format: u32,
    /// The journal that the rows follow from.
    pub generation: [u8; 16],
    /// Everything before this position is in the rows.
    pub applied: u64,
    /// A border between groups at or before `applied`, and the running hash there.
    pub border: u64,
    pub border_hash: [u8; 32],
    pub clock: Clock,
    pub chats: u32,
    pub streams: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatRow {
    pub chat: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ChatMeta {
    /// Message events counted so far.
    pub arrivals: u64,
    /// Which levels of the timeline have rows, as bits.
    pub levels: u64,
    /// Ordinals given to actors.
    pub actors: u32,
    /// The page of arrivals that is being filled: its number, what came before it, how many entries it has.
    pub page: u32,
    pub page_base: u64,
    pub page_entries: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamOrdinal {
    pub stream: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRow {
    pub id: StreamId,
    pub chat: u32,
    /// Up to this sequence number the stream is one line; None while it has no fork at all.
    pub fork_after: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashRow {
    pub chat: u32,
    pub stream: u32,
    pub seq: u64,
}

/// One stored envelope. The position comes first, because it is filled in when the journal has given it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeRow {
    pub position: u64,
    pub hash: Hash,
    pub prev: Hash,
    pub first_seq: u64,
    pub last_seq: u64,
    pub clock: Clock,
    pub owner_at: CitedPosition,
    pub identity_seq: u64,
    pub epoch: u32,
    /// A cut excluded it: it is unknown to everyone who asks, and stays for those behind it.
    pub void: bool,
    /// There are erasure rows.
    pub erased: bool,
    /// Message events of the chat that were counted before this envelope was; None until it counts.
    pub arrival: Option<u64>,
    /// Message events in it.
    pub messages: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRow {
    /// The fact in the journal that carries the proof.
    pub position: u64,
    pub by: EventId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineRow {
    pub stream: u32,
    pub seq: u64,
    pub first_clock: Clock,
    pub has_message: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelatedRow {
    pub stream: u32,
    pub seq: u64,
    pub id: EventId,
    pub target: EventId,
    pub is_reaction: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRow {
    pub local: LocalId,
    pub name: String,
    pub nickname: String,
    pub title: String,
    pub present: bool,
    pub event: EventId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskRow {
    pub company: CompanyId,
    pub handle: Handle,
    pub event: EventId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRow {
    pub actor: u32,
}

/// A place in a stream, short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spot {
    pub seq: u64,
    pub hash: Short,
}

/// One envelope in the order in which envelopes came to count here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalEntry {
    pub stream: u32,
    pub parent: Spot,
    pub spot: Spot,
    /// Per message event: the ordinal of its author, or [`STRANGER`] if another company employs them.
    pub authors: Vec<u32>,
}

/// Stands for everyone who is not of the own company.
pub const STRANGER: u32 = u32::MAX;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ArrivalPage {
    /// Heads of every stream before the page.
    pub before: Vec<(u32, Vec<Spot>)>,
    pub entries: Vec<ArrivalEntry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenRow {
    pub messages: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidRow {
    pub authors: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRow {
    pub time: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceRow {
    pub position: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposureRow {
    pub until: Option<Clock>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostedRow {
    pub event: EventId,
}

/// A value as stored: its version, then the row.
pub fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    codec::encode(&(VERSION, row))
}

/// A stored value; an error means that the index is not what this build writes.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, IndexError> {
    let (version, row): (u8, T) = codec::decode(bytes, MAX_ROW_BYTES)?;
    if version == VERSION {
        Ok(row)
    } else {
        Err(CodecError::Malformed.into())
    }
}

/// Fills in the position of a row that begins with one.
pub fn with_position(row: &[u8], position: u64) -> Vec<u8> {
    let mut row = row.to_vec();
    if let Some(place) = row.get_mut(POSITION_AT..POSITION_AT + 8) {
        place.copy_from_slice(&position.to_le_bytes());
    }
    row
}

pub fn short(hash: &Hash) -> Short {
    let mut short = [0; 16];
    short.copy_from_slice(&hash.0[..16]);
    short
}

impl Spot {
    pub fn of(head: &Head) -> Spot {
        Spot {
            seq: head.seq,
            hash: short(&head.hash),
        }
    }
}

impl EnvelopeRow {
    pub fn head(&self) -> Head {
        Head {
            seq: self.last_seq,
            hash: self.hash,
        }
    }

    pub fn parent(&self) -> Head {
        Head {
            seq: self.first_seq.saturating_sub(1),
            hash: self.prev,
        }
    }
}

// ---- Keys ----

pub const HEAD: &[u8] = b"H";
pub const CHATS: &[u8] = b"c";
pub const CORES: &[u8] = b"C";
pub const IDENTITIES: &[u8] = b"i";
pub const EXPOSURES: &[u8] = b"x";
pub const AUDIT: &[u8] = b"d";

fn key(table: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() + 1;
    let mut key = Vec::with_capacity(length);
    key.push(table);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub fn chat(id: &ChatId) -> Vec<u8> {
    key(b'c', &[&id.0])
}

pub fn core(id: &ChatId) -> Vec<u8> {
    key(b'C', &[&id.0])
}

pub fn meta(chat: u32) -> Vec<u8> {
    key(b'b', &[&chat.to_be_bytes()])
}

pub fn streams_of(chat: u32) -> Vec<u8> {
    key(b'm', &[&chat.to_be_bytes()])
}

pub fn stream(chat: u32, id: &StreamId) -> Vec<u8> {
    let incarnation = id.incarnation.to_be_bytes();
    key(
        b'm',
        &[&chat.to_be_bytes(), &id.company.0, &id.node.0, &incarnation],
    )
}

pub fn stream_facts(stream: u32) -> Vec<u8> {
    key(b'n', &[&stream.to_be_bytes()])
}

pub fn hash(hash: &Hash) -> Vec<u8> {
    key(b'h', &[&short(hash)])
}

/// All hashes that begin with these bytes.
pub fn hashes(prefix: &[u8]) -> Vec<u8> {
    key(b'h', &[prefix.get(..16).unwrap_or(prefix)])
}

pub fn envelope(stream: u32, spot: &Spot) -> Vec<u8> {
    key(
        b's',
        &[&stream.to_be_bytes(), &spot.seq.to_be_bytes(), &spot.hash],
    )
}

/// Every envelope key of a stream from this sequence number on is at or after this key.
pub fn envelopes_from(stream: u32, seq: u64) -> Vec<u8> {
    key(b's', &[&stream.to_be_bytes(), &seq.to_be_bytes()])
}

/// Behind every envelope key of the stream.
pub fn envelopes_end(stream: u32) -> Vec<u8> {
    key(b's', &[&stream.to_be_bytes(), &[0xff; 25]])
}

pub fn erasures_of(stream: u32, spot: &Spot) -> Vec<u8> {
    key(
        b'e',
        &[&stream.to_be_bytes(), &spot.seq.to_be_bytes(), &spot.hash],
    )
}

pub fn erasure(stream: u32, spot: &Spot, place: u16) -> Vec<u8> {
    let mut key = erasures_of(stream, spot);
    key.extend_from_slice(&place.to_be_bytes());
    key
}

pub fn timeline(chat: u32, level: u8, clock: Clock, hash: &Short) -> Vec<u8> {
    let mut key = timeline_from(chat, level, clock);
    key.extend_from_slice(hash);
    key
}

pub fn timeline_from(chat: u32, level: u8, clock: Clock) -> Vec<u8> {
    key(
        b't',
        &[&chat.to_be_bytes(), &[level], &clock.0.to_be_bytes()],
    )
}

/// Behind every key of the level with this clock.
pub fn timeline_through(chat: u32, level: u8, clock: Clock) -> Vec<u8> {
    let mut key = timeline_from(chat, level, clock);
    key.extend_from_slice(&[0xff; 17]);
    key
}

/// The last clock in a timeline key.
pub fn clock_of_timeline(key: &[u8]) -> Option<Clock> {
    let (bytes, _) = key.get(6..)?.split_first_chunk::<8>()?;
    Some(Clock(u64::from_be_bytes(*bytes)))
}

/// The short hash at the end of a timeline or envelope key.
pub fn short_of(key: &[u8]) -> Option<Short> {
    key.split_last_chunk::<16>().map(|(_, short)| *short)
}

pub fn related_of(chat: u32, target: &EventId) -> Vec<u8> {
    key(
        b'r',
        &[
            &chat.to_be_bytes(),
            &short(&target.envelope),
            &target.place.to_be_bytes(),
        ],
    )
}

pub fn related(chat: u32, target: &EventId, id: &EventId) -> Vec<u8> {
    let mut key = related_of(chat, target);
    key.extend_from_slice(&short(&id.envelope));
    key.extend_from_slice(&id.place.to_be_bytes());
    key
}

pub fn people_of(chat: u32) -> Vec<u8> {
    key(b'u', &[&chat.to_be_bytes()])
}

pub fn person(chat: u32, actor: &Actor, clock: Clock, id: &EventId) -> Vec<u8> {
    key(
        b'u',
        &[
            &chat.to_be_bytes(),
            &actor.company.0,
            &actor.handle.0,
            &clock.0.to_be_bytes(),
            &short(&id.envelope),
            &id.place.to_be_bytes(),
        ],
    )
}

/// The actor and the clock in a person key.
pub fn actor_of_person(key: &[u8]) -> Option<(Actor, Clock)> {
    let (company, rest) = key.get(5..)?.split_first_chunk::<32>()?;
    let (handle, rest) = rest.split_first_chunk::<16>()?;
    let (clock, _) = rest.split_first_chunk::<8>()?;
    let actor = Actor {
        company: CompanyId(*company),
        handle: Handle(*handle),
    };
    Some((actor, Clock(u64::from_be_bytes(*clock))))
}

/// Where questions for one person begin that were asked at `clock` or later.
pub fn asks_from(chat: u32, person: &[u8; 16], clock: Clock) -> Vec<u8> {
    key(b'k', &[&chat.to_be_bytes(), person, &clock.0.to_be_bytes()])
}

pub fn ask(chat: u32, person: &[u8; 16], clock: Clock, id: &EventId) -> Vec<u8> {
    let mut key = asks_from(chat, person, clock);
    key.extend_from_slice(&short(&id.envelope));
    key.extend_from_slice(&id.place.to_be_bytes());
    key
}

pub fn actor(chat: u32, actor: &Actor) -> Vec<u8> {
    key(
        b'v',
        &[&chat.to_be_bytes(), &actor.company.0, &actor.handle.0],
    )
}

pub fn arrivals_of(chat: u32) -> Vec<u8> {
    key(b'a', &[&chat.to_be_bytes()])
}

pub fn arrivals(chat: u32, base: u64, page: u32) -> Vec<u8> {
    key(
        b'a',
        &[
            &chat.to_be_bytes(),
            &base.to_be_bytes(),
            &page.to_be_bytes(),
        ],
    )
}

/// How many arrivals came before the page, and its number, from its key.
pub fn place_of_arrivals(key: &[u8]) -> Option<(u64, u32)> {
    let (base, rest) = key.get(5..)?.split_first_chunk::<8>()?;
    let (page, _) = rest.split_first_chunk::<4>()?;
    Some((u64::from_be_bytes(*base), u32::from_be_bytes(*page)))
}

pub fn written_by(chat: u32, actor: u32) -> Vec<u8> {
    key(b'w', &[&chat.to_be_bytes(), &actor.to_be_bytes()])
}

pub fn written(chat: u32, actor: u32, page: u32) -> Vec<u8> {
    let mut key = written_by(chat, actor);
    key.extend_from_slice(&page.to_be_bytes());
    key
}

pub fn voids_of(chat: u32) -> Vec<u8> {
    key(b'z', &[&chat.to_be_bytes()])
}

pub fn voids(chat: u32, base: u64, hash: &Hash) -> Vec<u8> {
    key(
        b'z',
        &[&chat.to_be_bytes(), &base.to_be_bytes(), &short(hash)],
    )
}

/// How many arrivals came before a voided envelope, from its key.
pub fn base_of_void(key: &[u8]) -> Option<u64> {
    let (base, _) = key.get(5..)?.split_first_chunk::<8>()?;
    Some(u64::from_be_bytes(*base))
}

pub fn reads_of(chat: u32, actor: u32, stream: u32) -> Vec<u8> {
    key(
        b'q',
        &[
            &chat.to_be_bytes(),
            &actor.to_be_bytes(),
            &stream.to_be_bytes(),
        ],
    )
}

pub fn read(chat: u32, actor: u32, stream: u32, spot: &Spot) -> Vec<u8> {
    let mut key = reads_of(chat, actor, stream);
    key.extend_from_slice(&spot.seq.to_be_bytes());
    key.extend_from_slice(&spot.hash);
    key
}

/// The place in the stream at the end of a read key.
pub fn spot_of(key: &[u8]) -> Option<Spot> {
    let (rest, hash) = key.split_last_chunk::<16>()?;
    let (_, seq) = rest.split_last_chunk::<8>()?;
    Some(Spot {
        seq: u64::from_be_bytes(*seq),
        hash: *hash,
    })
}

pub fn owner_records_from(chat: u32, seq: u64) -> Vec<u8> {
    key(b'o', &[&chat.to_be_bytes(), &seq.to_be_bytes()])
}

pub fn owner_records_end(chat: u32) -> Vec<u8> {
    key(b'o', &[&chat.to_be_bytes(), &[0xff; 9]])
}

pub fn identity(company: &CompanyId, seq: u64) -> Vec<u8> {
    key(b'i', &[&company.0, &seq.to_be_bytes()])
}

/// The id in a chat or core key.
pub fn chat_of(key: &[u8]) -> Option<ChatId> {
    let (chat, _) = key.get(1..)?.split_first_chunk::<32>()?;
    Some(ChatId(*chat))
}

/// The company in an identity or exposure key.
pub fn company_of(key: &[u8]) -> Option<CompanyId> {
    let (company, _) = key.get(1..)?.split_first_chunk::<32>()?;
    Some(CompanyId(*company))
}

pub fn exposure(company: &CompanyId) -> Vec<u8> {
    key(b'x', &[&company.0])
}

pub fn posted(user: &LocalId, client: &[u8; 16]) -> Vec<u8> {
    key(b'p', &[&user.0, client])
}

pub fn audit(position: u64) -> Vec<u8> {
    key(b'd', &[&position.to_be_bytes()])
}
