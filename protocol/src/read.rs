//! Read registers: up to where each person of a node has read a chat, sealed with the chat's epoch key and signed.
//!
//! Per person the entry holds heads per stream rather than one "last event": a single watermark would mark a message
//! as read that arrived late behind it.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::codec::{self, Blob};
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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterContent {
    pub version: u16,
    pub chat: ChatId,
    pub company: CompanyId,
    pub node: NodeKey,
    /// Grows with every publication: 44 bits of max(now in milliseconds, those of the last + 1), then 20 random bits.
    pub number: u64,
    pub epoch: u32,
    /// The sealed list of [`ReadEntry`].
    pub sealed: Blob,
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
    pub number: u64,
    pub epoch: u32,
}

fn associated(place: &RegisterPlace) -> Vec<u8> {
    let mut bytes = b"crossport/0/read-entries\0".to_vec();
    bytes.extend(codec::encode(&(
        place.chat,
        place.company,
        place.node,
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
            number,
            epoch,
        } = place;
        let content = RegisterContent {
            version: VERSION,
            chat,
            company,
            node,
            number,
            epoch,
            sealed: Blob(sealed),
        };
        let signature = suite.sign(signer, Domain::ReadRegister, &codec::encode(&content));
        ReadRegister { content, signature }
    }

    /// The signature is good. Whether `node` is a key of `company` is the roster's question.
    pub fn verify(&self, suite: Suite) -> bool {
        let bytes = codec::encode(&self.content);
        self.content.version == VERSION
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
            number,
            epoch,
            ..
        } = self.content;
        let place = RegisterPlace {
            chat,
            company,
            node,
            number,
            epoch,
        };
        let plain = key.open(&associated(&place), &self.content.sealed.0)?;
        codec::decode(&plain, limits::FRAME_BYTES).ok()
    }
}
