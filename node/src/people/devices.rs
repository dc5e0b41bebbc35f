//! The devices on which a person is signed in: the list, taking one's access away, and forgetting what is not used.

use crossport_protocol::clock::Time;
use crossport_protocol::ids::LocalId;

use crate::api::facade::{Answer, Caller, Refused, TokenHash};
use crate::api::types::{Code, Device, Page};
use crate::core::{Core, now, time_text};
use crate::directory::Session;

/// A device that was not used for so long has to sign in again: longer than any holiday, shorter than a laptop is forgotten.
const SESSION_IDLE_MS: u64 = 90 * 24 * 3600 * 1000;
/// How exactly the disk knows when something was last used: a crash forgets no more.
const SEEN_KEPT_MS: u64 = 5 * 60 * 1000;
/// Between two looks at what has expired. An expired token opens nothing from its very moment; its open streams end now.
const LOOK_EVERY_MS: u64 = 500;
/// Nobody carries as many; a program that signs in anew each time must not grow the list without end.
const DEVICES_MAX: usize = 100;

/// What people see of the hash of a token: it opens nothing, and is short enough to type.
pub(super) fn shown_id(hash: &TokenHash) -> String {
    hex::encode(hash.first_chunk::<8>().unwrap_or(&[0; 8]))
}

impl Core {
    /// When a session or token was last used.
    pub(super) fn last_seen(&self, hash: &TokenHash) -> Option<Time> {
        let here = self.signed_in.seen(hash);
        here.max(self.directory.seen(hash))
    }

    pub fn devices(&self, caller: Caller) -> Page<Device> {
        let mut sessions: Vec<(&TokenHash, &Session)> =
            self.directory.sessions_of(caller.user).collect();
        sessions.sort_by_key(|(hash, session)| {
            let seen = self.last_seen(hash).unwrap_or(session.since);
            (std::cmp::Reverse(seen), **hash)
        });
        let device = |(hash, session): (&TokenHash, &Session)| Device {
            id: shown_id(hash),
            name: session.device.clone(),
            signed_in_at: time_text(session.since),
            last_seen_at: self.last_seen(hash).map(time_text),
            current: *hash == caller.session,
        };
        Page {
            items: sessions.into_iter().map(device).collect(),
            next: None,
        }
    }

    /// Ends the session of a device; revoking it again finds it gone, which is what was asked for.
    pub fn revoke_device(&mut self, caller: Caller, device: &str) -> Answer<Page<Device>> {
        let is_id = device.len() == 16 && device.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return Err(Refused::new(Code::ValueInvalid, "device"));
        }
        let sessions = self.directory.sessions_of(caller.user);
        let hashes: Vec<TokenHash> = sessions.map(|(hash, _)| *hash).collect();
        for hash in hashes.iter().filter(|hash| shown_id(hash) == device) {
            self.end_session(hash);
        }
        Ok(self.devices(caller))
    }

    pub fn revoke_other_devices(&mut self, caller: Caller) -> Page<Device> {
        self.end_sessions(caller.user, Some(&caller.session));
        self.devices(caller)
    }

    /// Makes room for one more device: the one that was not used for longest has to sign in again.
    pub(super) fn make_room_for_device(&mut self, user: LocalId) {
        let sessions = self.directory.sessions_of(user);
        let mut seen: Vec<(Time, TokenHash)> = sessions
            .map(|(hash, session)| (self.last_seen(hash).unwrap_or(session.since), *hash))
            .collect();
        if seen.len() < DEVICES_MAX {
            return;
        }
        seen.sort_unstable();
        let too_many = seen.len().saturating_sub(DEVICES_MAX - 1);
        for (_, hash) in seen.into_iter().take(too_many) {
            self.end_session(&hash);
        }
    }

    /// Ends what has expired, and keeps when the rest was used.
    pub fn keep_sessions(&mut self) {
        let now = now();
        if now < self.sessions_kept.plus_ms(LOOK_EVERY_MS) && now >= self.sessions_kept {
            return;
        }
        self.sessions_kept = now;
        let idle = |since: Time, hash: &TokenHash| {
            let seen = self.last_seen(hash).unwrap_or(since);
            seen.plus_ms(SESSION_IDLE_MS) < now
        };
        let sessions = self.directory.sessions();
        let unused = sessions.filter(|(hash, session)| idle(session.since, hash));
        let tokens = self.directory.tokens();
        let expired = tokens.filter(|(_, token)| token.expires.is_some_and(|at| at <= now));
        let ended: Vec<TokenHash> = unused
            .map(|(hash, _)| *hash)
            .chain(expired.map(|(hash, _)| *hash))
            .collect();
        for hash in ended {
            self.end_session(&hash);
        }
        self.keep_seen();
    }

    fn keep_seen(&mut self) {
        let sessions = self.directory.sessions().map(|(hash, _)| *hash);
        let tokens = self.directory.tokens().map(|(hash, _)| *hash);
        let stale = |hash: &TokenHash| {
            let seen = self.signed_in.seen(hash)?;
            let kept = self.directory.seen(hash).unwrap_or(Time(0));
            (kept.plus_ms(SEEN_KEPT_MS) < seen).then_some(seen)
        };
        let found: Vec<(TokenHash, Time)> = sessions
            .chain(tokens)
            .filter_map(|hash| Some((hash, stale(&hash)?)))
            .collect();
        for (hash, seen) in found {
            self.directory.put_seen(&mut self.store, hash, seen);
        }
    }
}
