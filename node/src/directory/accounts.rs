//! What the directory keeps of a person's account besides their name: how they prove who they are.
//!
//! Owns the registers `W` (password), `T` (token) and `S` (when a session or token was last seen). Every record is a table of its own, because these change apart
//! from each other and a folder written before one of them existed still opens.

use crossport_protocol::clock::Time;
use crossport_protocol::ids::LocalId;
use serde::{Deserialize, Serialize};

use super::{Directory, SecretHash, Session, put};
use crate::store::Store;

pub(super) const PASSWORD: u8 = b'W';
pub(super) const TOKEN: u8 = b'T';
pub(super) const SEEN: u8 = b'S';

/// What is kept of a password: argon2id (RFC 9106) of it, and the cost, so that later ones may cost more.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Password {
    pub salt: [u8; 16],
    pub hash: [u8; 32],
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
    pub since: Time,
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Password")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// A token for programs, by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub user: LocalId,
    pub name: String,
    /// The bits of the scopes.
    pub scopes: u8,
    pub since: Time,
    pub expires: Option<Time>,
    /// The client id that made it, so that a repeated request makes no second one.
    pub client_id: String,
}

impl Directory {
    pub fn sessions(&self) -> impl Iterator<Item = (&SecretHash, &Session)> {
        self.sessions.iter()
    }

    pub fn tokens(&self) -> impl Iterator<Item = (&SecretHash, &Token)> {
        self.tokens.iter()
    }

    pub fn token(&self, hash: &SecretHash) -> Option<&Token> {
        self.tokens.get(hash)
    }

    pub fn put_token(&mut self, store: &mut Store, hash: SecretHash, token: Option<Token>) {
        put(store, TOKEN, &hash, token.as_ref());
        match token {
            Some(token) => self.tokens.insert(hash, token),
            None => self.tokens.remove(&hash),
        };
    }

    /// When a session or token was last used, as far as the disk knows.
    pub fn seen(&self, hash: &SecretHash) -> Option<Time> {
        self.seen.get(hash).copied()
    }

    pub fn put_seen(&mut self, store: &mut Store, hash: SecretHash, at: Time) {
        put(store, SEEN, &hash, Some(&at));
        self.seen.insert(hash, at);
    }

    /// Forgets when a session or token that ended was last used.
    pub fn forget_seen(&mut self, store: &mut Store, hash: &SecretHash) {
        if self.seen.remove(hash).is_some() {
            put::<Time>(store, SEEN, hash, None);
        }
    }

    pub fn password(&self, user: &LocalId) -> Option<&Password> {
        self.passwords.get(user)
    }

    pub fn put_password(&mut self, store: &mut Store, user: LocalId, password: Option<Password>) {
        put(store, PASSWORD, &user.0, password.as_ref());
        match password {
            Some(password) => self.passwords.insert(user, password),
            None => self.passwords.remove(&user),
        };
    }
}
