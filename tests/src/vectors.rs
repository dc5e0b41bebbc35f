//! Golden vectors: bytes of every signed, sealed, stored or sent type, made from fixed seeds by the code of `protocol`.
//!
//! Owns what is in `tests/vectors/*.json` and the Rust judge that reads those files back: it accepts what is sound and refuses
//! the rest for the reason that stands in the file. `tests/vectors/check.py` judges the same files without sharing a line. Must
//! not know a rule of the protocol twice: it only calls public functions of `protocol`.

pub mod book;
pub mod cast;
pub mod chats;
pub mod companies;
pub mod content;
pub mod envelopes;
pub mod judge;
pub mod links;
pub mod registers;
pub mod signatures;

use crossport_protocol::codec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Below this many numbers a list stays a list: short lists of small numbers are rarely bytes.
const SHORTEST_HEX: usize = 8;

/// One file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// What the file holds, for people.
    pub about: String,
    pub vectors: Vec<Vector>,
}

/// One case: bytes of a type, what else a judge must know, and what it must find.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vector {
    pub name: String,
    #[serde(rename = "type")]
    pub of: String,
    /// Hexadecimal; of a text its UTF-8.
    pub bytes: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub given: Map<String, Value>,
    /// The decoded content, where the bytes are sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Why the bytes must be refused; absent where they are sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Vector {
    pub fn new(of: &str, name: &str, bytes: &[u8]) -> Vector {
        Vector {
            name: name.to_owned(),
            of: of.to_owned(),
            bytes: hex::encode(bytes),
            given: Map::new(),
            value: None,
            refused: None,
        }
    }

    pub fn encoded<T: Serialize>(of: &str, name: &str, value: &T) -> Vector {
        Vector::new(of, name, &codec::encode(value))
    }

    pub fn given(mut self, name: &str, value: impl Into<Value>) -> Vector {
        self.given.insert(name.to_owned(), value.into());
        self
    }

    /// The content as it must be decoded.
    pub fn value<T: Serialize>(mut self, value: &T) -> Vector {
        self.value = Some(tree(value));
        self
    }

    pub fn refused(mut self, reason: &str) -> Vector {
        self.refused = Some(reason.to_owned());
        self.value = None;
        self
    }

    /// The same case with other bytes, which must be refused.
    pub fn spoilt(&self, name: &str, reason: &str, bytes: &[u8]) -> Vector {
        Vector {
            name: name.to_owned(),
            bytes: hex::encode(bytes),
            value: None,
            refused: Some(reason.to_owned()),
            ..self.clone()
        }
    }

    pub fn raw(&self) -> Vec<u8> {
        hex::decode(&self.bytes).expect("vectors hold hexadecimal digits")
    }

    /// Three ways of spoiling that every type must survive: a byte too many, one too few, and a length that cannot be.
    /// `length_at` is where the first u64 length of the type stands.
    pub fn misshapen(&self, length_at: usize) -> Vec<Vector> {
        let good = self.raw();
        let name = |what: &str| format!("{}, {what}", self.name);
        let trailing = [good.as_slice(), &[0]].concat();
        let truncated = &good[..good.len() - 1];
        let mut endless = good.clone();
        endless[length_at..length_at + 8].fill(0xFF);
        vec![
            self.spoilt(&name("trailing byte"), "malformed", &trailing),
            self.spoilt(&name("truncated"), "malformed", truncated),
            self.spoilt(&name("length u64::MAX"), "malformed", &endless),
        ]
    }
}

/// Every file of `tests/vectors`, by name.
pub fn groups() -> Vec<(&'static str, Group)> {
    vec![
        ("signatures", signatures::group()),
        ("companies", companies::group()),
        ("chats", chats::group()),
        ("envelopes", envelopes::group()),
        ("content", content::group()),
        ("registers", registers::group()),
        ("links", links::group()),
    ]
}

/// As it is written to disk.
pub fn text(group: &Group) -> String {
    let mut text = serde_json::to_string_pretty(group).expect("vectors are plain data");
    text.push('\n');
    text
}

/// A value as JSON, bytes as hexadecimal digits.
pub fn tree<T: Serialize>(value: &T) -> Value {
    shorten(serde_json::to_value(value).expect("wire types are plain data"))
}

fn shorten(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let byte = |item: &Value| item.as_u64().and_then(|n| u8::try_from(n).ok());
            let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
            match bytes {
                Some(bytes) if bytes.len() >= SHORTEST_HEX => json!(hex::encode(bytes)),
                _ => Value::Array(items.into_iter().map(shorten).collect()),
            }
        }
        Value::Object(members) => {
            let members = members
                .into_iter()
                .map(|(name, value)| (name, shorten(value)));
            Value::Object(members.collect())
        }
        plain => plain,
    }
}
