//! What the directory keeps of a person's account besides their name: how they prove who they are.
//!
//! Owns the registers `W` (password). Every record is a table of its own, because these change apart
//! from each other and a folder written before one of them existed still opens.

use crossport_protocol::clock::Time;
use crossport_protocol::ids::LocalId;
use serde::{Deserialize, Serialize};

use super::{Directory, put};
use crate::store::Store;

pub(super) const PASSWORD: u8 = b'W';

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

impl Directory {
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
