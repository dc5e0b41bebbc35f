//! Who acts in the vectors: three companies with fixed keys, and randomness that is not random.
//!
//! Every secret here is public by design. Nothing outside the vectors may use it.

use crossport_protocol::clock::{Clock, Time};
use crossport_protocol::identity::{IdentityDraft, IdentityLog, root_commitment};
use crossport_protocol::ids::{CompanyId, Handle, Hash, LocalId, NodeKey, Position};
use crossport_protocol::seal::EpochKey;
use crossport_protocol::suite::{Random, SecretKey, Suite};
use crossport_protocol::wrap::{PrekeyBundle, PrekeySecret};

pub const SUITE: Suite = Suite::Ed25519;
/// 2027-01-15T08:00:00Z.
pub const NOON: Time = Time(1_800_000_000_000);

/// 32 bytes that stand for a name.
pub fn seed(name: &str) -> [u8; 32] {
    Hash::of(&[b"crossport vectors\0", name.as_bytes()]).0
}

/// The same bytes at every run: SHA-256 of a name and a counter.
#[derive(Debug)]
pub struct Fixed {
    name: &'static str,
    count: u64,
}

impl Fixed {
    pub fn new(name: &'static str) -> Fixed {
        Fixed { name, count: 0 }
    }
}

impl Random for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = Hash::of(&[&seed(self.name), &self.count.to_le_bytes()]);
            self.count += 1;
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }
}

/// A clock so many milliseconds after noon.
pub fn clock(ms: u64) -> Clock {
    Clock::at(NOON.plus_ms(ms))
}

pub fn secret(name: &str) -> SecretKey {
    SecretKey::from_bytes(seed(name))
}

pub fn public(name: &str) -> NodeKey {
    secret(name).public(SUITE)
}

pub fn handle(name: &str) -> Handle {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&seed(name)[..16]);
    Handle(bytes)
}

pub fn local(name: &str) -> LocalId {
    LocalId(handle(name).0)
}

pub fn epoch_key(number: u32) -> EpochKey {
    EpochKey::from_bytes(seed(&format!("epoch {number}")))
}

/// A company with its keys.
#[derive(Debug)]
pub struct Company {
    pub name: &'static str,
    pub node: SecretKey,
    pub identity: IdentityLog,
    pub prekey: PrekeySecret,
}

impl Company {
    pub fn id(&self) -> CompanyId {
        self.identity.company()
    }

    pub fn node_key(&self) -> NodeKey {
        self.node.public(SUITE)
    }

    pub fn at(&self) -> Position {
        self.identity.head()
    }

    pub fn bundle(&self) -> PrekeyBundle {
        let public = self.prekey.public();
        PrekeyBundle::sign(SUITE, &self.node, self.id(), 3, NOON, public)
    }
}

pub fn draft(name: &str, nodes: &[&str], next_root: &str) -> IdentityDraft {
    IdentityDraft {
        time: NOON,
        name: name.to_owned(),
        domains: vec![format!("{}.example", name.to_lowercase())],
        node_keys: nodes.iter().map(|node| public(node)).collect(),
        next_root: root_commitment(&public(next_root)),
    }
}

fn company(name: &'static str) -> Company {
    let (root, node) = (format!("{name} root 1"), format!("{name} node 1"));
    Company {
        name,
        node: secret(&node),
        identity: IdentityLog::create(SUITE, &secret(&root), draft(name, &[&node], &root)),
        prekey: PrekeySecret::from_bytes(seed(&format!("{name} prekey"))),
    }
}

/// The owner of the chats; its log has a second record, with a second node.
pub fn acme() -> Company {
    let mut acme = company("Acme");
    let draft = draft("Acme", &["Acme node 1", "Acme node 2"], "Acme root 2");
    acme.identity
        .extend(&secret("Acme root 1"), draft)
        .expect("the committed key");
    acme
}

pub fn globex() -> Company {
    company("Globex")
}

/// A company that shares no chat with the others.
pub fn initech() -> Company {
    company("Initech")
}
