//! Signing and hashing under a numbered suite, with one domain tag per signed type.
//!
//! Suite 1 is ed25519 with strict verification (RFC 8032; small-order keys and malleable signatures are refused).
//! Suite 2 is reserved for MLS. Suite 0xFFFF exists only in simulations: a keyed hash, some fifty times faster and
//! worthless as a signature; a real node refuses every object that names it.

use ed25519_dalek::{Signature as DalekSignature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::ids::{Hash, NodeKey};

/// Where random bytes come from: the operating system in a node, a seeded generator in a simulation.
pub trait Random {
    fn fill(&mut self, bytes: &mut [u8]);

    fn array<const N: usize>(&mut self) -> [u8; N]
    where
        Self: Sized,
    {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// What a signature is over. A signature of one type never verifies as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    Identity,
    Prekey,
    Genesis,
    OwnerRecord,
    Acceptance,
    Envelope,
    Statement,
    ReadRegister,
    Ticket,
    PairRequest,
    PairReply,
}

impl Domain {
    pub const ALL: [Domain; 11] = [
        Domain::Identity,
        Domain::Prekey,
        Domain::Genesis,
        Domain::OwnerRecord,
        Domain::Acceptance,
        Domain::Envelope,
        Domain::Statement,
        Domain::ReadRegister,
        Domain::Ticket,
        Domain::PairRequest,
        Domain::PairReply,
    ];

    /// The bytes before the signed ones. The zero at the end keeps one tag from being a prefix of another.
    pub fn tag(self) -> &'static [u8] {
        match self {
            Domain::Identity => b"crossport/0/identity\0",
            Domain::Prekey => b"crossport/0/prekey\0",
            Domain::Genesis => b"crossport/0/genesis\0",
            Domain::OwnerRecord => b"crossport/0/owner-record\0",
            Domain::Acceptance => b"crossport/0/acceptance\0",
            Domain::Envelope => b"crossport/0/envelope\0",
            Domain::Statement => b"crossport/0/statement\0",
            Domain::ReadRegister => b"crossport/0/read-register\0",
            Domain::Ticket => b"crossport/0/ticket\0",
            Domain::PairRequest => b"crossport/0/pair-request\0",
            Domain::PairReply => b"crossport/0/pair-reply\0",
        }
    }
}

/// A 64-byte signature, carried as two halves because serde knows arrays up to 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signature([u8; 32], [u8; 32]);

impl Signature {
    pub fn from_bytes(bytes: [u8; 64]) -> Signature {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..]);
        Signature(r, s)
    }

    pub fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.0);
        bytes[32..].copy_from_slice(&self.1);
        bytes
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

/// The numbered set of algorithms of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// ed25519, SHA-256, XChaCha20-Poly1305, HPKE base mode.
    Ed25519,
    /// Simulation only.
    KeyedHash,
}

impl Suite {
    pub fn number(self) -> u16 {
        match self {
            Suite::Ed25519 => 1,
            Suite::KeyedHash => 0xFFFF,
        }
    }

    pub fn sign(self, key: &SecretKey, domain: Domain, bytes: &[u8]) -> Signature {
        match self {
            Suite::Ed25519 => {
                let message = [domain.tag(), bytes].concat();
                Signature::from_bytes(SigningKey::from_bytes(&key.0).sign(&message).to_bytes())
            }
            Suite::KeyedHash => keyed_hash(&key.public(self), domain, bytes),
        }
    }

    /// True when `key` signed exactly these bytes as this type.
    pub fn verify(
        self,
        key: &NodeKey,
        domain: Domain,
        bytes: &[u8],
        signature: &Signature,
    ) -> bool {
        match self {
            Suite::Ed25519 => {
                let Ok(public) = VerifyingKey::from_bytes(&key.0) else {
                    return false;
                };
                let message = [domain.tag(), bytes].concat();
                public
                    .verify_strict(&message, &DalekSignature::from_bytes(&signature.to_bytes()))
                    .is_ok()
            }
            Suite::KeyedHash => keyed_hash(key, domain, bytes) == *signature,
        }
    }
}

fn keyed_hash(key: &NodeKey, domain: Domain, bytes: &[u8]) -> Signature {
    let hash = Hash::of(&[b"simulation", &key.0, domain.tag(), bytes]);
    Signature(hash.0, hash.0)
}

/// The private half of a node or root key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    pub fn from_bytes(bytes: [u8; 32]) -> SecretKey {
        SecretKey(bytes)
    }

    pub fn random(random: &mut impl Random) -> SecretKey {
        SecretKey(random.array())
    }

    /// For the keystore, which seals it, and for the transport, which needs the same key.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn public(&self, suite: Suite) -> NodeKey {
        match suite {
            Suite::Ed25519 => NodeKey(SigningKey::from_bytes(&self.0).verifying_key().to_bytes()),
            Suite::KeyedHash => NodeKey(Hash::of(&[b"simulation key", &self.0]).0),
        }
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_of_one_type_is_none_of_another() {
        let key = SecretKey::from_bytes([9; 32]);
        for suite in [Suite::Ed25519, Suite::KeyedHash] {
            for signed in Domain::ALL {
                let signature = suite.sign(&key, signed, b"bytes");
                for read in Domain::ALL {
                    assert_eq!(
                        suite.verify(&key.public(suite), read, b"bytes", &signature),
                        signed == read
                    );
                }
                assert!(!suite.verify(&key.public(suite), signed, b"bytez", &signature));
            }
        }
    }

    #[test]
    fn small_order_keys_and_malleable_signatures_are_refused() {
        // The identity point: with a lax check, (R = identity, S = 0) verifies for every message.
        let mut identity_point = [0; 32];
        identity_point[0] = 1;
        let mut forged = [0; 64];
        forged[0] = 1;
        assert!(!Suite::Ed25519.verify(
            &NodeKey(identity_point),
            Domain::Envelope,
            b"x",
            &Signature::from_bytes(forged)
        ));

        let key = SecretKey::from_bytes([9; 32]);
        let good = Suite::Ed25519.sign(&key, Domain::Envelope, b"x").to_bytes();
        let mut malleable = good;
        add_group_order(&mut malleable[32..]);
        assert_ne!(good, malleable);
        let public = key.public(Suite::Ed25519);
        assert!(!Suite::Ed25519.verify(
            &public,
            Domain::Envelope,
            b"x",
            &Signature::from_bytes(malleable)
        ));
    }

    fn add_group_order(scalar: &mut [u8]) {
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0u16;
        for (byte, add) in scalar.iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
    }
}
