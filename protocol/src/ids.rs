//! Ids as newtypes that parse once at the edge. Inside there are no strings.
//!
//! All ids are fixed-size bytes; their text form is lower-case hex. This file knows nothing of what an id names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("expected {expected} hexadecimal digits, found {found} characters")]
    Length { expected: usize, found: usize },
    #[error("character {0:?} is not a hexadecimal digit")]
    Digit(char),
    #[error("expected HASH.PLACE, for example 3fa9c2.0")]
    EventForm,
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    if text.len() != N * 2 {
        return Err(IdError::Length {
            expected: N * 2,
            found: text.chars().count(),
        });
    }
    let digit = |c: char| c.to_digit(16).ok_or(IdError::Digit(c));
    let mut bytes = [0; N];
    let mut digits = text.chars();
    for byte in &mut bytes {
        let high = digits.next().map_or(Err(IdError::EventForm), digit)?;
        let low = digits.next().map_or(Err(IdError::EventForm), digit)?;
        *byte = (high * 16 + low) as u8;
    }
    Ok(bytes)
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// All zero bytes: stands for "none" where the field cannot be absent.
            pub const ZERO: $name = $name([0; $len]);

            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            pub fn is_zero(&self) -> bool {
                *self == Self::ZERO
            }

            /// The first eight hex digits, for people and logs.
            pub fn short(&self) -> String {
                self.to_string().chars().take(8).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map($name)
            }
        }
    };
}

id!(
    /// SHA-256 of exact bytes.
    Hash, 32
);
id!(
    /// A company: SHA-256 of its identity genesis. Survives every key change.
    CompanyId, 32
);
id!(
    /// A chat: SHA-256 of its signed genesis record.
    ChatId, 32
);
id!(
    /// A node's ed25519 public key; also its libp2p peer id.
    NodeKey, 32
);
id!(
    /// A person within one chat: random per chat and user, so that headers name nobody.
    Handle, 16
);
id!(
    /// A person within their company. Never reused, so a re-hired namesake is somebody else.
    LocalId, 16
);

impl Hash {
    pub fn of(parts: &[&[u8]]) -> Hash {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Hash(hasher.finalize().into())
    }
}

/// One author stream: (company, node key, incarnation) within a chat. A restored node that cannot know what it
/// had written opens a new random incarnation instead of reusing positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    pub company: CompanyId,
    pub node: NodeKey,
    pub incarnation: u64,
}

/// The end of a branch: the last sequence number and the hash of the envelope that carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Head {
    pub seq: u64,
    pub hash: Hash,
}

impl Head {
    /// Before the first envelope of a stream.
    pub const START: Head = Head {
        seq: 0,
        hash: Hash::ZERO,
    };
}

/// A place in an owner log or identity log. `term` is 0 until succession is specified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub term: u32,
    pub seq: u64,
    pub hash: Hash,
}

impl Position {
    pub const START: Position = Position {
        term: 0,
        seq: 0,
        hash: Hash::ZERO,
    };

    /// What "earlier" and "later" of two positions means. A later term is later whatever the numbers: who takes over
    /// from an owner that is gone may not know its last records.
    pub fn place(&self) -> (u32, u64) {
        (self.term, self.seq)
    }
}

/// One event: the envelope that carries it and its place there. Message id = event id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId {
    pub envelope: Hash,
    pub place: u16,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.envelope, self.place)
    }
}

impl FromStr for EventId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (hash, place) = text.split_once('.').ok_or(IdError::EventForm)?;
        let place = place.parse().map_err(|_| IdError::EventForm)?;
        Ok(EventId {
            envelope: hash.parse()?,
            place,
        })
    }
}

/// A user everywhere: the company that employs them and their id there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UserId {
    pub company: CompanyId,
    pub local: LocalId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_parse_what_they_print_and_refuse_the_rest() {
        let id = CompanyId([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(
            "ab".parse::<Handle>(),
            Err(IdError::Length {
                expected: 32,
                found: 2
            })
        );
        assert_eq!("zz".repeat(16).parse::<Handle>(), Err(IdError::Digit('z')));
        assert_eq!("é".repeat(16).parse::<Handle>(), Err(IdError::Digit('é')));
        let event = EventId {
            envelope: Hash([7; 32]),
            place: 12,
        };
        assert_eq!(event.to_string().parse(), Ok(event));
        assert_eq!("0.x".parse::<EventId>(), Err(IdError::EventForm));
    }
}
