//! Delivery statements: what a node asserts that it has stored and can show, signed, with its time.
//!
//! A statement is a register: the newest of a node replaces its earlier ones, and any member may relay it. The proof for
//! one message is the statement together with the headers up to the head that it names. It proves what that node
//! asserted, not that a person saw anything.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::codec;
use crate::fields::Fields;
use crate::ids::{ChatId, CompanyId, NodeKey, Position};
use crate::owner_log::StreamCut;
use crate::suite::{Domain, SecretKey, Signature, Suite};

pub const VERSION: u16 = 0;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementContent {
    pub version: u16,
    pub chat: ChatId,
    pub company: CompanyId,
    pub node: NodeKey,
    /// Random per database of the node: a restored node's statements are told apart.
    pub generation: u64,
    /// Grows with every statement: 44 bits of max(now in milliseconds, those of the last + 1), then 20 random bits.
    pub number: u64,
    pub time: Time,
    pub owner_at: Position,
    /// Delivered heads of every stream.
    pub heads: Vec<StreamCut>,
    pub fields: Fields,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub content: StatementContent,
    pub signature: Signature,
}

impl Statement {
    pub fn sign(suite: Suite, key: &SecretKey, content: StatementContent) -> Statement {
        let signature = suite.sign(key, Domain::Statement, &codec::encode(&content));
        Statement { content, signature }
    }

    /// The signature is good. Whether `node` is a key of `company` is the roster's question.
    pub fn verify(&self, suite: Suite) -> bool {
        let bytes = codec::encode(&self.content);
        self.content.version == VERSION
            && self.content.fields.is_well_formed()
            && suite.verify(
                &self.content.node,
                Domain::Statement,
                &bytes,
                &self.signature,
            )
    }
}
