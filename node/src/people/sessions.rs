//! Sessions: opened by a secret or a password, each one device, ended by the person, by a new password or by a reset.
//!
//! Only hashes of tokens are kept. Ending a session takes effect with the next request, and its open streams end at once.

use crossport_protocol::ids::LocalId;

use super::signed_in::Access;
use super::{new_secret, secret_hash};
use crate::api::facade::{Answer, Caller, Refused, Scopes, TokenHash};
use crate::api::types::{Code, Me, Session as ApiSession};
use crate::core::{Core, now, time_text};
use crate::directory::{Password, Session, User};

const DEVICE_CHARS_MAX: usize = 128;

pub(super) fn check_device(device: &str) -> Answer<()> {
    if device.chars().count() > DEVICE_CHARS_MAX || device.chars().any(char::is_control) {
        return Err(Refused::new(Code::ValueInvalid, "device"));
    }
    Ok(())
}

impl Core {
    /// Who signs in by this name, and what is kept of their password.
    pub fn by_login_name(&self, name: &str) -> Option<(LocalId, Password)> {
        let user = self.directory.user_by_nickname(&name.to_lowercase())?;
        let password = self.directory.password(&user.local)?;
        Some((user.local, password.clone()))
    }

    /// Opens a session for somebody whose password was right a moment ago: it must be the same still.
    pub fn login(&mut self, proven: &(LocalId, Password), device: &str) -> Answer<ApiSession> {
        check_device(device)?;
        let (local, password) = proven;
        let user = self.directory.user(local).cloned();
        let user = user.filter(|_| self.directory.password(local) == Some(password));
        let user = user.ok_or(Code::SignInRefused)?;
        Ok(self.open_session(&user, device))
    }

    pub(super) fn open_session(&mut self, user: &User, device: &str) -> ApiSession {
        self.make_room_for_device(user.local);
        let token = new_secret();
        let session = Session {
            user: user.local,
            device: device.to_owned(),
            since: now(),
        };
        let hash = secret_hash(&token);
        self.directory
            .open_session(&mut self.store, hash, session.clone());
        let access = Access {
            user: user.local,
            administrator: user.administrator,
            scopes: Scopes::ALL,
            expires: None,
        };
        self.signed_in.insert(hash, access);
        let me = self.me_of(user, &session);
        ApiSession { token, me }
    }

    /// The password that a person would change.
    pub fn own_password(&self, caller: Caller) -> Option<Password> {
        self.directory.password(&caller.user).cloned()
    }

    /// A new password ends the person's other sessions: whoever knew the old one is out. `before` is what was proven.
    pub fn change_password(
        &mut self,
        caller: Caller,
        before: Option<&Password>,
        password: Password,
    ) -> Answer<()> {
        if self.directory.password(&caller.user) != before {
            return Err(Code::SignInRefused.into());
        }
        self.directory
            .put_password(&mut self.store, caller.user, Some(password));
        self.end_sessions(caller.user, Some(&caller.session));
        Ok(())
    }

    /// Ends the sessions of a person, perhaps but for one.
    pub(super) fn end_sessions(&mut self, user: LocalId, but: Option<&TokenHash>) {
        let sessions: Vec<TokenHash> = self
            .directory
            .sessions_of(user)
            .map(|(hash, _)| *hash)
            .filter(|hash| Some(hash) != but)
            .collect();
        for hash in sessions {
            self.end_session(&hash);
        }
    }

    /// Ends a session or a token.
    pub(super) fn end_session(&mut self, hash: &TokenHash) {
        if self.directory.token(hash).is_some() {
            self.directory.put_token(&mut self.store, *hash, None);
        } else {
            self.directory.end_session(&mut self.store, hash);
        }
        self.directory.forget_seen(&mut self.store, hash);
        // Before the streams end: a client comes back at once, and must not find the door still open.
        self.signed_in.remove(hash);
        self.changes.end_session(hash);
    }

    pub fn logout(&mut self, caller: Caller) {
        self.end_session(&caller.session);
    }

    pub fn me(&self, caller: Caller) -> Answer<Me> {
        let user = self.directory.user(&caller.user).ok_or(Code::NotSignedIn)?;
        let (directory, hash) = (&self.directory, &caller.session);
        if let Some(session) = directory.session(hash) {
            return Ok(self.me_of(user, session));
        }
        // A program is its token, as far as lists go.
        let token = directory.token(hash).ok_or(Code::NotSignedIn)?;
        let session = Session {
            user: user.local,
            device: token.name.clone(),
            since: token.since,
        };
        Ok(self.me_of(user, &session))
    }

    fn me_of(&self, user: &User, session: &Session) -> Me {
        Me {
            person: self.person_of_user(user),
            administrator: user.administrator,
            device: session.device.clone(),
            signed_in_at: time_text(session.since),
            has_password: self.directory.password(&user.local).is_some(),
        }
    }
}
