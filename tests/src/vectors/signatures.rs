//! Signatures under every domain tag, and the edges at which verifiers differ.

use crossport_protocol::ids::NodeKey;
use crossport_protocol::suite::{Domain, Signature};

use super::cast::{SUITE, public, secret};
use super::{Group, Vector};

/// A good signature of the message `mixed order` with a point of order 8 added to R, and one of a key to which that point was
/// added. Made outside this program: it cannot sign so.
const MIXED_ORDER: [(&str, &str, &str); 2] = [
    (
        "R with a component of small order",
        "eb262fb74addb6daec3dac85117cf5cd4d79ae9f648b3fb321bce40a0ce3305e",
        "6a84d583f06569edb3f5ed77df65544b27d6948b4f0b2cb76f33dd8413b20719\
         5ad9bb17b981c591a180c4cb567dada15da5cbd24f1b59757daa0f2c63d71c01",
    ),
    (
        "key with a component of small order",
        "1f1f6b10164a29249a58e66bf66cbe995db3edc103e744c6d1a2e103784d894e",
        "7767a3242dc9b58bbc68488c1265cc6cc5f26c6f3c88a5d55e901b0734dca572\
         a8b9bb02a0c22ffc3b39acf003b883f25474d8cb21026e0e53b791286bac1401",
    ),
];

/// The order of the group, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub fn group() -> Group {
    let key = secret("signer");
    let sound = Domain::ALL.into_iter().map(|domain| {
        let signature = SUITE.sign(&key, domain, b"message");
        let name = name_of(domain);
        vector(name, domain, &public("signer"), b"message", signature)
    });
    let mut vectors: Vec<Vector> = sound.collect();
    vectors.extend(refused());
    Group {
        about: "Ed25519 over domain tag and message; `bytes` is key, signature, message".to_owned(),
        vectors,
    }
}

fn refused() -> Vec<Vector> {
    let (key, signer) = (secret("signer"), public("signer"));
    let good = SUITE.sign(&key, Domain::Envelope, b"message");
    let statement = SUITE.sign(&key, Domain::Statement, b"message");
    let malleable = Signature::from_bytes(plus_order(good.to_bytes()));
    let (mut neutral, mut forged) = ([0; 32], [0; 64]);
    (neutral[0], forged[0]) = (1, 1);
    let forged = Signature::from_bytes(forged);
    let refused = |name: &str, key: &NodeKey, message: &[u8], signature: Signature| {
        vector(name, Domain::Envelope, key, message, signature).refused("bad_signature")
    };
    let mixed = MIXED_ORDER.map(|(name, key, signature)| {
        let mut bytes = [0; 64];
        hex::decode_to_slice(signature, &mut bytes).expect("a signature");
        let key = key.parse().expect("a key");
        refused(name, &key, b"mixed order", Signature::from_bytes(bytes))
    });
    let mut vectors = vec![
        refused("other domain tag", &signer, b"message", statement),
        refused("other message", &signer, b"massage", good),
        refused("other key", &public("stranger"), b"message", good),
        refused("S beyond the group order", &signer, b"message", malleable),
        refused("key of small order", &NodeKey(neutral), b"message", forged),
    ];
    vectors.extend(mixed);
    vectors
}

fn vector(
    name: &str,
    domain: Domain,
    key: &NodeKey,
    message: &[u8],
    signature: Signature,
) -> Vector {
    let bytes = [key.as_bytes(), &signature.to_bytes(), message].concat();
    Vector::new("signature", name, &bytes).given("domain", name_of(domain))
}

pub fn name_of(domain: Domain) -> &'static str {
    match domain {
        Domain::Identity => "identity",
        Domain::Prekey => "prekey",
        Domain::Genesis => "genesis",
        Domain::OwnerRecord => "owner-record",
        Domain::Acceptance => "acceptance",
        Domain::Envelope => "envelope",
        Domain::Statement => "statement",
        Domain::ReadRegister => "read-register",
        Domain::Ticket => "ticket",
        Domain::PairRequest => "pair-request",
        Domain::PairReply => "pair-reply",
    }
}

fn plus_order(mut signature: [u8; 64]) -> [u8; 64] {
    let mut carry = 0u16;
    for (byte, add) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    signature
}
