//! Tickets and pairing: how two companies come to know each other.
//!
//! A ticket is the inviter's approval: company id, node key, addresses, a one-time token and an expiry, as one line that
//! people pass on by a way they trust. Using it is the other side's approval. The text form is
//! `crossport1` + base32 (RFC 4648 lower case, no padding) of the encoded ticket and four bytes of checksum.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::codec::{self, CodecError};
use crate::fields::Fields;
use crate::identity::SignedIdentity;
use crate::ids::{CompanyId, Hash, NodeKey};
use crate::suite::{Domain, SecretKey, Signature, Suite};

/// A ticket's prefix; the digit is its version.
pub const PREFIX: &str = "crossport1";
/// A ticket, a request and a reply with an identity log stay below this.
pub const PAIRING_BYTES: usize = 64 * 1024;
const CHECKSUM_BYTES: usize = 4;
const ADDRESSES: usize = 16;
const ADDRESS_BYTES: usize = 256;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    pub company: CompanyId,
    pub node: NodeKey,
    pub token: [u8; 16],
    pub expires: Time,
    pub addresses: Vec<String>,
}

/// Why a text is not a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    #[error("a ticket starts with {PREFIX}")]
    Prefix,
    #[error("the ticket is damaged: its checksum does not match")]
    Checksum,
    #[error("the ticket does not decode: {0}")]
    Codec(#[from] CodecError),
    #[error("the ticket breaks a limit")]
    Shape,
}

impl Ticket {
    pub fn to_text(&self) -> String {
        let mut bytes = codec::encode(self);
        let checksum = Hash::of(&[Domain::Ticket.tag(), &bytes]);
        bytes.extend_from_slice(&checksum.0[..CHECKSUM_BYTES]);
        format!("{PREFIX}{}", base32(&bytes))
    }

    /// Reads a ticket, forgiving white space around and within, and upper case.
    pub fn from_text(text: &str) -> Result<Ticket, TicketError> {
        let text: String = text
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect::<String>()
            .to_lowercase();
        let bytes = text.strip_prefix(PREFIX).ok_or(TicketError::Prefix)?;
        let bytes = unbase32(bytes).ok_or(TicketError::Checksum)?;
        let split = bytes
            .len()
            .checked_sub(CHECKSUM_BYTES)
            .ok_or(TicketError::Checksum)?;
        let (content, checksum) = bytes.split_at(split);
        if Hash::of(&[Domain::Ticket.tag(), content]).0[..CHECKSUM_BYTES] != *checksum {
            return Err(TicketError::Checksum);
        }
        let ticket: Ticket = codec::decode(content, PAIRING_BYTES)?;
        let sound = ticket.addresses.len() <= ADDRESSES
            && ticket
                .addresses
                .iter()
                .all(|address| address.len() <= ADDRESS_BYTES);
        if sound {
            Ok(ticket)
        } else {
            Err(TicketError::Shape)
        }
    }
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut buffer, mut bits) = (0u16, 0);
    for byte in bytes {
        buffer = (buffer << 8 & 0xFF00) | u16::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[usize::from(buffer >> bits & 31)]));
            buffer &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[usize::from(buffer << (5 - bits) & 31)]));
    }
    text
}

fn unbase32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut buffer, mut bits) = (0u16, 0);
    for c in text.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == c)?;
        buffer = (buffer << 5) | value as u16;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
            buffer &= (1 << bits) - 1;
        }
    }
    // A last digit that carries no bit of a byte would be a second spelling.
    (buffer == 0 && bits < 5).then_some(bytes)
}

/// What the accepting company says to the inviter's node over the pairing protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRequest {
    pub company: CompanyId,
    pub node: NodeKey,
    pub token: [u8; 16],
    pub addresses: Vec<String>,
    pub identity: Vec<SignedIdentity>,
    pub fields: Fields,
    pub signature: Signature,
}

/// The inviter's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairReply {
    /// 0 is accepted; other numbers are in [`refusal`].
    pub outcome: u16,
    pub identity: Vec<SignedIdentity>,
    pub fields: Fields,
}

/// Why a pairing was refused.
pub mod refusal {
    pub const UNKNOWN_TOKEN: u16 = 1;
    pub const EXPIRED: u16 = 2;
    pub const BAD_REQUEST: u16 = 3;
    pub const BUSY: u16 = 4;
}

impl PairRequest {
    pub fn sign(
        suite: Suite,
        key: &SecretKey,
        company: CompanyId,
        token: [u8; 16],
        addresses: Vec<String>,
        identity: Vec<SignedIdentity>,
    ) -> PairRequest {
        let mut request = PairRequest {
            company,
            node: key.public(suite),
            token,
            addresses,
            identity,
            fields: Fields::none(),
            signature: Signature::from_bytes([0; 64]),
        };
        request.signature = suite.sign(key, Domain::PairRequest, &request.signed_bytes());
        request
    }

    pub fn verify(&self, suite: Suite) -> bool {
        let bytes = self.signed_bytes();
        suite.verify(&self.node, Domain::PairRequest, &bytes, &self.signature)
            && self.fields.is_well_formed()
            && self.addresses.len() <= ADDRESSES
            && self
                .addresses
                .iter()
                .all(|address| address.len() <= ADDRESS_BYTES)
    }

    fn signed_bytes(&self) -> Vec<u8> {
        codec::encode(&(
            self.company,
            self.node,
            self.token,
            &self.addresses,
            &self.identity,
            &self.fields,
        ))
    }
}

/// Words that two people compare to be sure of each other's company: 96 bits of a hash of the id, as 12 syllables
/// of 8 bits each (4 + 2 + 2) that both languages can read aloud, two a word.
pub fn fingerprint(company: &CompanyId) -> String {
    let hash = Hash::of(&[b"crossport/0/fingerprint\0", &company.0]);
    let bytes = hash.0.iter().take(12).copied();
    let syllables: Vec<String> = bytes.map(syllable).collect();
    syllables
        .chunks(2)
        .map(|pair| pair.concat())
        .collect::<Vec<_>>()
        .join("-")
}

fn syllable(byte: u8) -> String {
    const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
    const VOWELS: &[u8; 4] = b"aiou";
    let consonant = CONSONANTS[usize::from(byte >> 4)];
    let vowel = VOWELS[usize::from(byte >> 2 & 3)];
    let end = CONSONANTS[usize::from(byte & 3) * 4 + 3];
    [consonant, vowel, end].map(char::from).iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_says_96_bits() {
        let syllables: std::collections::BTreeSet<String> = (0..=u8::MAX).map(syllable).collect();
        assert_eq!(syllables.len(), 256, "each byte has a syllable of its own");
        let words = fingerprint(&CompanyId([7; 32]));
        assert_eq!(words.replace('-', "").len(), 12 * 3);
    }

    #[test]
    fn a_ticket_reads_back_and_a_damaged_one_does_not() {
        let ticket = Ticket {
            company: CompanyId([3; 32]),
            node: NodeKey([4; 32]),
            token: [5; 16],
            expires: Time(6),
            addresses: vec!["/ip4/127.0.0.1/tcp/4001".into()],
        };
        let text = ticket.to_text();
        assert_eq!(Ticket::from_text(&text), Ok(ticket.clone()));
        let shouted = format!("  {}\n {} ", text[..40].to_uppercase(), &text[40..]);
        assert_eq!(Ticket::from_text(&shouted), Ok(ticket));
        for index in PREFIX.len()..text.len() {
            let mut bad = text.clone().into_bytes();
            bad[index] = if bad[index] == b'a' { b'b' } else { b'a' };
            let bad = String::from_utf8(bad).expect("ASCII");
            assert!(Ticket::from_text(&bad).is_err(), "character {index}");
        }
        assert!(
            Ticket::from_text(&format!("{text}a")).is_err(),
            "a digit more"
        );
        assert_eq!(Ticket::from_text("hello"), Err(TicketError::Prefix));
        assert_eq!(
            Ticket::from_text(&text[..text.len() - 9]),
            Err(TicketError::Checksum)
        );
    }
}
