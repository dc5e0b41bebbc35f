//! Read registers: up to where each person of a node has read a chat, sealed with the chat's epoch key and signed.
//!
//! Per person the entry holds heads per stream rather than one "last event": a single watermark would mark a message
//! as read that arrived late behind it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::codec::{self, Blob};
use crate::fields::Fields;
use crate::ids::{ChatId, CompanyId, Handle, NodeKey};
use crate::limits;
use crate::owner_log::StreamCut;
use crate::seal::{self, EpochKey};
use crate::suite::{Domain, Random, SecretKey, Signature, Suite};

pub const VERSION: u16 = 0;

/// Up to where one person has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadEntry {
    pub handle: Handle,
    pub time: Time,
    pub heads: Vec<StreamCut>,
    /// Up to where the person heard or confirmed, for example.
    pub fields: Fields,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterContent {
    pub version: u16,
    pub chat: ChatId,
    pub company: CompanyId,
    pub node: NodeKey,
    /// Each part is a register of its own, so that the people of a large company need not fit one frame.
    pub part: u16,
    /// Grows with every publication: 44 bits of max(now in milliseconds, those of the last + 1), then 20 random bits.
    pub number: u64,
    pub epoch: u32,
    /// The sealed list of [`ReadEntry`].
    pub sealed: Blob,
    pub fields: Fields,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRegister {
    pub content: RegisterContent,
    pub signature: Signature,
}

/// What a register is signed as and bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterPlace {
    pub chat: ChatId,
    pub company: CompanyId,
    pub node: NodeKey,
    pub part: u16,
    pub number: u64,
    pub epoch: u32,
}

impl ReadEntry {
    /// Bytes that the entry takes in a register.
    pub fn wire_bytes(&self) -> usize {
        codec::encode(self).len()
    }
}

/// How many parts the entries of a node make, so that none is long: a power of two, at least as many as before.
pub fn parts_of<'a>(entries: impl Iterator<Item = &'a ReadEntry> + Clone, before: u16) -> u16 {
    let longest = |parts: u16| {
        let mut bytes: BTreeMap<u16, usize> = BTreeMap::new();
        for entry in entries.clone() {
            let held = bytes.entry(part_of(&entry.handle, parts)).or_default();
            *held = held.saturating_add(entry.wire_bytes());
        }
        bytes.into_values().max().unwrap_or(0)
    };
    let mut parts = before.clamp(1, limits::READ_PARTS).next_power_of_two();
    while parts < limits::READ_PARTS && longest(parts) > limits::READ_PART_BYTES {
        parts *= 2;
    }
    parts
}

/// The part of a person. Handles are random, so the parts grow alike.
pub fn part_of(handle: &Handle, parts: u16) -> u16 {
    let [first, ..] = handle.0;
    u16::from(first) % parts.max(1)
}

/// What a register takes beside its entries: place, seal, signature, and some room to grow.
const BESIDE_ENTRIES: usize = 4_096;

/// What of a part fits one register: what was read longest ago is left out.
pub fn fitting(mut entries: Vec<ReadEntry>) -> Vec<ReadEntry> {
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.time, entry.handle)));
    let mut room = limits::REGISTER_BYTES.saturating_sub(BESIDE_ENTRIES);
    entries.retain(|entry| {
        let bytes = entry.wire_bytes();
        let fits = bytes <= room;
        room = room.saturating_sub(if fits { bytes } else { 0 });
        fits
    });
    entries.sort_by_key(|entry| entry.handle);
    entries
}

fn associated(place: &RegisterPlace) -> Vec<u8> {
    let mut bytes = b"crossport/0/read-entries\0".to_vec();
    bytes.extend(codec::encode(&(
        place.chat,
        place.company,
        place.node,
        place.part,
        place.number,
        place.epoch,
    )));
    bytes
}

impl ReadRegister {
    pub fn sign(
        suite: Suite,
        signer: &SecretKey,
        key: &EpochKey,
        place: RegisterPlace,
        entries: &Vec<ReadEntry>,
        random: &mut impl Random,
    ) -> ReadRegister {
        let nonce = random.array::<{ seal::NONCE_BYTES }>();
        let sealed = key.seal(nonce, &associated(&place), &codec::encode(entries));
        let RegisterPlace {
            chat,
            company,
            node,
            part,
            number,
            epoch,
        } = place;
        let content = RegisterContent {
            version: VERSION,
            chat,
            company,
            node,
            part,
            number,
            epoch,
            sealed: Blob(sealed),
            fields: Fields::none(),
        };
        let signature = suite.sign(signer, Domain::ReadRegister, &codec::encode(&content));
        ReadRegister { content, signature }
    }

    /// The signature is good. Whether `node` is a key of `company` is the roster's question.
    pub fn verify(&self, suite: Suite) -> bool {
        let bytes = codec::encode(&self.content);
        self.content.version == VERSION
            && self.content.part < limits::READ_PARTS
            && self.content.fields.is_well_formed()
            && suite.verify(
                &self.content.node,
                Domain::ReadRegister,
                &bytes,
                &self.signature,
            )
    }

    /// The entries; None with another key or when they do not decode.
    pub fn open(&self, key: &EpochKey) -> Option<Vec<ReadEntry>> {
        let RegisterContent {
            chat,
            company,
            node,
            part,
            number,
            epoch,
            ..
        } = self.content;
        let place = RegisterPlace {
            chat,
            company,
            node,
            part,
            number,
            epoch,
        };
        let plain = key.open(&associated(&place), &self.content.sealed.0)?;
        let entries: Vec<ReadEntry> = codec::decode(&plain, limits::FRAME_BYTES).ok()?;
        let sound = entries.iter().all(|entry| entry.fields.is_well_formed());
        sound.then_some(entries)
    }
}
