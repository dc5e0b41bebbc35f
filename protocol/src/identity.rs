//! The identity log of a company: who may sign for it.
//!
//! Record 1 (genesis) makes the company id. Record n+1 is signed by the root key whose hash record n committed to, so
//! that a stolen present root key cannot write the next record when the next key is kept elsewhere. A key may commit
//! to itself. This file knows nothing of chats.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::codec::{self, Blob, CodecError};
use crate::event::check_name;
use crate::fields::Fields;
use crate::ids::{CompanyId, Hash, NodeKey, Position};
use crate::limits;
use crate::suite::{Domain, SecretKey, Signature, Suite};

pub const VERSION: u16 = 0;
/// Node keys of one company at one time.
const NODE_KEYS: usize = 16;
const DOMAINS: usize = 16;
/// A whole log, so that it fits one frame beside others: a thousand changes of keys or name.
const LOG_BYTES: usize = 384 * 1024;

/// The signed content of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityHeader {
    pub version: u16,
    pub suite: u16,
    /// Zero in the genesis, whose hash it becomes.
    pub company: CompanyId,
    pub seq: u64,
    pub prev: Hash,
    pub time: Time,
    pub name: String,
    pub domains: Vec<String>,
    pub node_keys: Vec<NodeKey>,
    /// The root key that signs this record.
    pub root: NodeKey,
    /// SHA-256 of the root key that will sign the next record.
    pub next_root: Hash,
    pub fields: Fields,
}

/// One record as it travels: the exact header bytes and the signature over them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIdentity {
    pub header: Blob,
    pub signature: Signature,
}

/// Why an identity record does not extend a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("identity record: {0}")]
    Codec(#[from] CodecError),
    #[error("identity record of version {0} or suite {1} is not understood")]
    Unsupported(u16, u16),
    #[error("identity record breaks a limit")]
    Shape,
    #[error("the identity log is longer than {LOG_BYTES} bytes")]
    TooLong,
    #[error("identity record {found} where {expected} was expected")]
    Gap { expected: u64, found: u64 },
    #[error("identity record does not continue the log it claims")]
    WrongPrev,
    #[error("identity record is signed by a key that the log did not commit to")]
    WrongRoot,
    #[error("identity record has a bad signature")]
    BadSignature,
    #[error("two different identity records at position {0}")]
    Fork(u64),
}

impl SignedIdentity {
    pub fn hash(&self) -> Hash {
        Hash::of(&[&self.header.0])
    }

    pub fn decode_header(&self) -> Result<IdentityHeader, IdentityError> {
        let header: IdentityHeader = codec::decode(&self.header.0, limits::HEADER_BYTES)?;
        // A company's name stands beside everything that its people say: it must look like what it is.
        let sound = check_name(&header.name).is_ok()
            && header.domains.len() <= DOMAINS
            && header
                .domains
                .iter()
                .all(|domain| check_name(domain).is_ok())
            && header.node_keys.len() <= NODE_KEYS
            && header.fields.is_well_formed();
        if sound {
            Ok(header)
        } else {
            Err(IdentityError::Shape)
        }
    }
}

/// A verified identity log, oldest record first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityLog {
    suite: Suite,
    company: CompanyId,
    records: Vec<(SignedIdentity, IdentityHeader)>,
}

/// What the author of a new record decides.
#[derive(Debug, Clone)]
pub struct IdentityDraft {
    pub time: Time,
    pub name: String,
    pub domains: Vec<String>,
    pub node_keys: Vec<NodeKey>,
    pub next_root: Hash,
}

/// What a log says of a root key it commits to.
pub fn root_commitment(root: &NodeKey) -> Hash {
    Hash::of(&[b"crossport/0/next-root\0", &root.0])
}

impl IdentityLog {
    /// Makes a company.
    pub fn create(suite: Suite, root: &SecretKey, draft: IdentityDraft) -> IdentityLog {
        let signed = sign(suite, root, CompanyId::ZERO, 1, Hash::ZERO, draft);
        let mut log = IdentityLog {
            suite,
            company: CompanyId(signed.hash().0),
            records: Vec::new(),
        };
        log.push(&signed).expect("an own genesis is valid");
        log
    }

    /// Reads a log that must be the one of `company`.
    pub fn read(
        suite: Suite,
        company: CompanyId,
        records: &[SignedIdentity],
    ) -> Result<IdentityLog, IdentityError> {
        let mut log = IdentityLog {
            suite,
            company,
            records: Vec::new(),
        };
        records
            .iter()
            .try_for_each(|record| log.push(record).map(|_| ()))?;
        if log.records.is_empty() {
            Err(IdentityError::Gap {
                expected: 1,
                found: 0,
            })
        } else {
            Ok(log)
        }
    }

    /// Signs the next record and appends it.
    pub fn extend(
        &mut self,
        root: &SecretKey,
        draft: IdentityDraft,
    ) -> Result<SignedIdentity, IdentityError> {
        let head = self.head();
        let seq = head.seq.checked_add(1).ok_or(IdentityError::Shape)?;
        let signed = sign(self.suite, root, self.company, seq, head.hash, draft);
        self.push(&signed)?;
        Ok(signed)
    }

    /// Takes the next record. `Ok(false)` when it is held already.
    pub fn push(&mut self, signed: &SignedIdentity) -> Result<bool, IdentityError> {
        let header = signed.decode_header()?;
        if header.version != VERSION || header.suite != self.suite.number() {
            return Err(IdentityError::Unsupported(header.version, header.suite));
        }
        let index = usize::try_from(header.seq.checked_sub(1).ok_or(IdentityError::Shape)?)
            .map_err(|_| IdentityError::Shape)?;
        let held = self.records.get(index);
        if held.is_some_and(|(held, _)| held.header == signed.header) {
            return Ok(false);
        }
        let before = self.records.get(..index).ok_or(IdentityError::Gap {
            expected: self.records.len() as u64 + 1,
            found: header.seq,
        })?;
        self.check_link(before.last(), signed, &header)?;
        if !self.suite.verify(
            &header.root,
            Domain::Identity,
            &signed.header.0,
            &signed.signature,
        ) {
            return Err(IdentityError::BadSignature);
        }
        // A fork accuses the company, so only what its own root key signed for this very place is one.
        if held.is_some() {
            return Err(IdentityError::Fork(header.seq));
        }
        let bytes = |record: &SignedIdentity| record.header.0.len().saturating_add(128);
        let held: usize = self.records.iter().map(|(record, _)| bytes(record)).sum();
        if held.saturating_add(bytes(signed)) > LOG_BYTES {
            return Err(IdentityError::TooLong);
        }
        self.records.push((signed.clone(), header));
        Ok(true)
    }

    fn check_link(
        &self,
        before: Option<&(SignedIdentity, IdentityHeader)>,
        signed: &SignedIdentity,
        header: &IdentityHeader,
    ) -> Result<(), IdentityError> {
        match before {
            None if signed.hash().0 != self.company.0
                || !header.company.is_zero()
                || !header.prev.is_zero() =>
            {
                Err(IdentityError::WrongPrev)
            }
            None => Ok(()),
            Some((last, _)) if header.prev != last.hash() || header.company != self.company => {
                Err(IdentityError::WrongPrev)
            }
            Some((_, last)) if root_commitment(&header.root) != last.next_root => {
                Err(IdentityError::WrongRoot)
            }
            Some(_) => Ok(()),
        }
    }

    pub fn company(&self) -> CompanyId {
        self.company
    }

    pub fn head(&self) -> Position {
        let last = self.records.last();
        last.map_or(Position::START, |(signed, header)| Position {
            term: 0,
            seq: header.seq,
            hash: signed.hash(),
        })
    }

    /// The latest content. A log is never empty once made or read.
    pub fn latest(&self) -> Option<&IdentityHeader> {
        self.records.last().map(|(_, header)| header)
    }

    pub fn name(&self) -> &str {
        self.latest().map_or("", |header| &header.name)
    }

    pub fn records(&self) -> impl Iterator<Item = &SignedIdentity> {
        self.records.iter().map(|(signed, _)| signed)
    }

    /// The key is listed now.
    pub fn lists(&self, node: &NodeKey) -> bool {
        self.latest()
            .is_some_and(|header| header.node_keys.contains(node))
    }

    /// The key is listed at a cited position; None when that position is not known (yet) in this log.
    pub fn lists_at(&self, cited: &Position, node: &NodeKey) -> Option<bool> {
        let index = usize::try_from(cited.seq.checked_sub(1)?).ok()?;
        let (signed, header) = self.records.get(index)?;
        (cited.term == 0 && signed.hash() == cited.hash).then(|| header.node_keys.contains(node))
    }
}

fn sign(
    suite: Suite,
    root: &SecretKey,
    company: CompanyId,
    seq: u64,
    prev: Hash,
    draft: IdentityDraft,
) -> SignedIdentity {
    let header = IdentityHeader {
        version: VERSION,
        suite: suite.number(),
        company,
        seq,
        prev,
        time: draft.time,
        name: draft.name,
        domains: draft.domains,
        node_keys: draft.node_keys,
        root: root.public(suite),
        next_root: draft.next_root,
        fields: Fields::none(),
    };
    let bytes = codec::encode(&header);
    let signature = suite.sign(root, Domain::Identity, &bytes);
    SignedIdentity {
        header: Blob(bytes),
        signature,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(name: &str, next: &SecretKey) -> IdentityDraft {
        IdentityDraft {
            time: Time(1),
            name: name.into(),
            domains: vec![],
            node_keys: vec![NodeKey([1; 32])],
            next_root: root_commitment(&next.public(Suite::Ed25519)),
        }
    }

    #[test]
    fn only_the_committed_key_continues_the_log() {
        let [first, second, thief] = [1, 2, 3].map(|byte| SecretKey::from_bytes([byte; 32]));
        let mut log = IdentityLog::create(Suite::Ed25519, &first, draft("Acme", &second));
        let company = log.company();
        assert_eq!(
            log.clone().extend(&thief, draft("Acme", &thief)),
            Err(IdentityError::WrongRoot)
        );
        assert_eq!(
            log.clone().extend(&first, draft("Acme", &first)),
            Err(IdentityError::WrongRoot)
        );
        let mut forked = log.clone();
        log.extend(&second, draft("Acme Ltd", &second))
            .expect("the committed key");
        assert_eq!(log.name(), "Acme Ltd");
        let records: Vec<_> = log.records().cloned().collect();
        assert_eq!(
            IdentityLog::read(Suite::Ed25519, company, &records),
            Ok(log.clone())
        );
        let other = forked
            .extend(&second, draft("Evil", &second))
            .expect("the committed key can fork");
        assert_eq!(log.push(&other), Err(IdentityError::Fork(2)));
        let foreign = IdentityLog::create(Suite::Ed25519, &thief, draft("Evil", &thief));
        let forged = foreign.records().next().cloned().expect("a genesis");
        assert_eq!(
            log.push(&forged),
            Err(IdentityError::WrongPrev),
            "nobody else can make it look forked"
        );
        assert_eq!(
            IdentityLog::read(Suite::Ed25519, CompanyId([9; 32]), &records),
            Err(IdentityError::WrongPrev)
        );
        assert!(IdentityLog::read(Suite::Ed25519, company, &records[1..]).is_err());
    }
}
