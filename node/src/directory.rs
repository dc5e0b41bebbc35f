//! Who is who: the company's people with their sessions, the partners, and the tickets that were issued.
//!
//! Owns the registers `u` (user), `s` (session), `p` (partner) and `t` (ticket) and those of [`accounts`], all in memory and
//! durable before anyone is told. Secrets and tokens are kept only as hashes. It knows nothing of chats and decides no refusal texts.

mod accounts;

use std::collections::BTreeMap;

use crossport_protocol::clock::Time;
use crossport_protocol::codec;
use crossport_protocol::ids::{CompanyId, LocalId, NodeKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::store::Store;

pub use accounts::{Password, Token};

const USER: u8 = b'u';
const SESSION: u8 = b's';
const PARTNER: u8 = b'p';
const TICKET: u8 = b't';
/// No directory entry is near this.
const ENTRY_BYTES_MAX: usize = 32 * 1024;

/// SHA-256 of a secret or token of 256 random bits: no slow hash is needed for what cannot be guessed.
pub type SecretHash = [u8; 32];

/// A person of this company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub local: LocalId,
    pub nickname: String,
    pub name: String,
    pub administrator: bool,
    pub created: Time,
    /// The one-time secret that is open, with its expiry.
    pub activation: Option<(SecretHash, Time)>,
    pub activated: bool,
    /// The client id that made the user, so that a repeated request makes no second one.
    pub client_id: String,
    /// The client id of the newest reset.
    pub reset_id: String,
}

/// A device on which a person is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub user: LocalId,
    pub device: String,
    pub since: Time,
}

/// An approved partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    pub company: CompanyId,
    pub node: NodeKey,
    pub alias: Option<String>,
    pub addresses: Vec<String>,
    pub since: Time,
    pub verified: Option<Time>,
    pub paused: bool,
    pub removed: bool,
    pub last_seen: Option<Time>,
}

/// A ticket that this company issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedTicket {
    pub expires: Time,
    pub alias: Option<String>,
    pub used_by: Option<CompanyId>,
}

/// The directory, read from the registers at start.
#[derive(Debug, Default)]
pub struct Directory {
    users: BTreeMap<LocalId, User>,
    sessions: BTreeMap<SecretHash, Session>,
    partners: BTreeMap<CompanyId, Partner>,
    tickets: BTreeMap<SecretHash, IssuedTicket>,
    passwords: BTreeMap<LocalId, Password>,
    tokens: BTreeMap<SecretHash, Token>,
    seen: BTreeMap<SecretHash, Time>,
}

impl Directory {
    pub fn read(store: &Store) -> Directory {
        Directory {
            users: read_all(store, USER, LocalId),
            sessions: read_all(store, SESSION, |hash| hash),
            partners: read_all(store, PARTNER, CompanyId),
            tickets: read_all(store, TICKET, |hash| hash),
            passwords: read_all(store, accounts::PASSWORD, LocalId),
            tokens: read_all(store, accounts::TOKEN, |hash| hash),
            seen: read_all(store, accounts::SEEN, |hash| hash),
        }
    }

    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    pub fn user(&self, local: &LocalId) -> Option<&User> {
        self.users.get(local)
    }

    pub fn user_by_nickname(&self, nickname: &str) -> Option<&User> {
        self.users.values().find(|user| user.nickname == nickname)
    }

    pub fn user_by_activation(&self, hash: &SecretHash) -> Option<&User> {
        self.users
            .values()
            .find(|user| user.activation.is_some_and(|(held, _)| held == *hash))
    }

    pub fn put_user(&mut self, store: &mut Store, user: User) {
        put(store, USER, &user.local.0, Some(&user));
        self.users.insert(user.local, user);
    }

    pub fn session(&self, hash: &SecretHash) -> Option<&Session> {
        self.sessions.get(hash)
    }

    pub fn sessions_of(&self, user: LocalId) -> impl Iterator<Item = (&SecretHash, &Session)> {
        self.sessions
            .iter()
            .filter(move |(_, session)| session.user == user)
    }

    pub fn open_session(&mut self, store: &mut Store, hash: SecretHash, session: Session) {
        put(store, SESSION, &hash, Some(&session));
        self.sessions.insert(hash, session);
    }

    pub fn end_session(&mut self, store: &mut Store, hash: &SecretHash) {
        put::<Session>(store, SESSION, hash, None);
        self.sessions.remove(hash);
    }

    pub fn partners(&self) -> impl Iterator<Item = &Partner> {
        self.partners.values()
    }

    pub fn partner(&self, company: &CompanyId) -> Option<&Partner> {
        self.partners.get(company)
    }

    /// The active partner whose node this is.
    pub fn partner_by_node(&self, node: &NodeKey) -> Option<&Partner> {
        self.partners
            .values()
            .find(|partner| partner.node == *node && !partner.removed)
    }

    pub fn put_partner(&mut self, store: &mut Store, partner: Partner) {
        put(store, PARTNER, &partner.company.0, Some(&partner));
        self.partners.insert(partner.company, partner);
    }

    pub fn ticket(&self, hash: &SecretHash) -> Option<&IssuedTicket> {
        self.tickets.get(hash)
    }

    pub fn put_ticket(&mut self, store: &mut Store, hash: SecretHash, ticket: IssuedTicket) {
        put(store, TICKET, &hash, Some(&ticket));
        self.tickets.insert(hash, ticket);
    }

    /// Forgets tickets that expired long ago, so that the list stays short.
    pub fn forget_tickets(&mut self, store: &mut Store, before: Time) {
        let old: Vec<SecretHash> = self
            .tickets
            .iter()
            .filter(|(_, ticket)| ticket.expires < before)
            .map(|(hash, _)| *hash)
            .collect();
        for hash in old {
            put::<IssuedTicket>(store, TICKET, &hash, None);
            self.tickets.remove(&hash);
        }
    }
}

fn read_all<K: Ord, V: Serialize + DeserializeOwned, const N: usize>(
    store: &Store,
    table: u8,
    key: impl Fn([u8; N]) -> K,
) -> BTreeMap<K, V> {
    let entry = |(name, value): (Vec<u8>, Vec<u8>)| {
        let id: [u8; N] = name.get(1..)?.try_into().ok()?;
        match codec::decode(&value, ENTRY_BYTES_MAX) {
            Ok(value) => Some((key(id), value)),
            Err(error) => {
                tracing::error!(table = %char::from(table), %error, "a directory entry cannot be read");
                None
            }
        }
    };
    store
        .registers_with_prefix(&[table])
        .into_iter()
        .filter_map(entry)
        .collect()
}

fn put<V: Serialize>(store: &mut Store, table: u8, id: &[u8], value: Option<&V>) {
    let name = [[table].as_slice(), id].concat();
    store.put_register(name, value.map(|value| codec::encode(value)), true);
}
