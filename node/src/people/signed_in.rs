//! Who is signed in, shared between the core, which decides it, and the edge, which asks for every request.
//!
//! Owns nothing durable: it is filled from the directory at the start, and changed with it. When something was last used is
//! noted here, because a request must not wait for the core to be let in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crossport_protocol::clock::Time;
use crossport_protocol::ids::LocalId;

use crate::api::facade::{Scopes, TokenHash};

/// What a session or a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub user: LocalId,
    pub administrator: bool,
    pub scopes: Scopes,
    /// Sessions have no end of their own.
    pub expires: Option<Time>,
}

#[derive(Debug)]
struct Held {
    access: Access,
    /// When it was last used, as far as this start of the node knows; 0 for not yet.
    seen: AtomicU64,
}

/// The sessions and tokens that are alive.
#[derive(Debug, Clone, Default)]
pub struct SignedIn(Arc<RwLock<HashMap<TokenHash, Held>>>);

impl SignedIn {
    pub fn insert(&self, hash: TokenHash, access: Access) {
        let seen = AtomicU64::new(0);
        self.write().insert(hash, Held { access, seen });
    }

    pub fn remove(&self, hash: &TokenHash) {
        self.write().remove(hash);
    }

    /// Access by a session or token that is alive now, without using it.
    pub fn find(&self, hash: &TokenHash, now: Time) -> Option<Access> {
        let held = self.read();
        let access = held.get(hash)?.access;
        let alive = access.expires.is_none_or(|expires| expires > now);
        alive.then_some(access)
    }

    /// The same for a request: it counts as used.
    pub fn used(&self, hash: &TokenHash, now: Time) -> Option<Access> {
        let access = self.find(hash, now)?;
        if let Some(held) = self.read().get(hash) {
            held.seen.store(now.0, Ordering::Relaxed);
        }
        Some(access)
    }

    /// When it was last used since the node started.
    pub fn seen(&self, hash: &TokenHash) -> Option<Time> {
        let seen = self.read().get(hash)?.seen.load(Ordering::Relaxed);
        (seen > 0).then_some(Time(seen))
    }

    /// A role was given or taken: it counts from the next request on.
    pub fn set_administrator(&self, user: LocalId, administrator: bool) {
        let mut held = self.write();
        for held in held.values_mut().filter(|held| held.access.user == user) {
            held.access.administrator = administrator;
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<TokenHash, Held>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<TokenHash, Held>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
