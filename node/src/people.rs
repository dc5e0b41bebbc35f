//! People of this company: adding them, their one-time activation, their sessions, and resetting access.
//!
//! Nobody can become another person: an administrator can only issue a one-time secret. Once it is redeemed, access can
//! only be reset, which ends every session, is audited, and is announced in the person's chats.

use crossport_protocol::event::{Event, Notice, chat::notice};
use crossport_protocol::ids::{Handle, LocalId, UserId};
use crossport_protocol::replicator::Draft;
use sha2::{Digest, Sha256};

use crate::api::facade::{Answer, Caller, Lang, Operator, Refused, TokenHash};
use crate::api::types::{
    Code, Login, Me, NewUser, Session as ApiSession, User as ApiUser, UserActivation,
};
use crate::core::{Core, now, person_id, random_array, time_text};
use crate::directory::{Session, User};

const NICKNAME_CHARS_MAX: usize = 32;
const NAME_CHARS_MAX: usize = 128;
const DEVICE_CHARS_MAX: usize = 128;

/// SHA-256 of a secret or token in its text form.
pub fn secret_hash(text: &str) -> TokenHash {
    Sha256::digest(text.as_bytes()).into()
}

/// 256 random bits as text.
fn new_secret() -> String {
    hex::encode(random_array::<32>())
}

impl Core {
    pub fn add_user(&mut self, by: Operator, new: &NewUser) -> Answer<UserActivation> {
        check_nickname(&new.nickname)?;
        let name = new.name.clone().unwrap_or_else(|| new.nickname.clone());
        if name.trim().is_empty()
            || name.chars().count() > NAME_CHARS_MAX
            || name.chars().any(char::is_control)
        {
            return Err(Refused::new(Code::ValueInvalid, "name"));
        }
        let user = match self.directory.user_by_nickname(&new.nickname).cloned() {
            Some(held) if held.client_id != new.client_id => {
                return Err(Refused::new(Code::NicknameTaken, new.nickname.clone()));
            }
            Some(held) if held.activated => {
                return Err(Refused::new(Code::ClientIdReused, new.client_id.clone()));
            }
            Some(held) => held,
            None => User {
                local: LocalId(random_array()),
                nickname: new.nickname.clone(),
                name,
                administrator: new.administrator,
                created: now(),
                activation: None,
                activated: false,
                client_id: new.client_id.clone(),
                reset_id: String::new(),
            },
        };
        self.audit(&operator(by), "user.add", Some(user.nickname.clone()));
        Ok(self.issue_secret(user))
    }

    /// Ends every session of a person and issues a new one-time secret.
    pub fn reset_user(
        &mut self,
        by: Operator,
        name: &str,
        client_id: &str,
    ) -> Answer<UserActivation> {
        let user = self.find_user(name)?;
        if user.reset_id == client_id {
            return if user.activated {
                Err(Refused::new(Code::ClientIdReused, client_id))
            } else {
                Ok(self.issue_secret(user))
            };
        }
        self.end_sessions(user.local);
        self.audit(&operator(by), "user.reset", Some(user.nickname.clone()));
        self.announce_reset(&user);
        Ok(self.issue_secret(User {
            activated: false,
            reset_id: client_id.to_owned(),
            ..user
        }))
    }

    fn announce_reset(&mut self, user: &User) {
        for chat in self.readable_by(&user.local) {
            let notice = Notice {
                code: notice::ACCESS_RESET,
                words: vec![user.nickname.clone()],
            };
            let draft = Draft {
                actor: Handle::ZERO,
                event: Event::Notice(notice),
            };
            let written = self.replicate(|replicator, cx| replicator.append(cx, chat, &[draft]));
            if let Err(error) = written {
                // A chat that this company left or cannot write to now; the audit entry stands in any case.
                tracing::warn!(chat = %chat.short(), %error, "a reset of access could not be announced");
            }
        }
    }

    fn end_sessions(&mut self, user: LocalId) {
        let sessions: Vec<TokenHash> = self
            .directory
            .sessions_of(user)
            .map(|(hash, _)| *hash)
            .collect();
        for hash in sessions {
            self.end_session(&hash);
        }
    }

    fn end_session(&mut self, hash: &TokenHash) {
        self.directory.end_session(&mut self.store, hash);
        // Before the streams end: a client comes back at once, and must not find the door still open.
        self.signed_in.remove(hash);
        self.changes.end_session(hash);
    }

    fn issue_secret(&mut self, user: User) -> UserActivation {
        let secret = new_secret();
        let expires = now().plus_ms(self.config.activation_expires_s.saturating_mul(1000));
        let user = User {
            activation: Some((secret_hash(&secret), expires)),
            ..user
        };
        self.directory.put_user(&mut self.store, user.clone());
        UserActivation {
            user: self.api_user(&user),
            link: format!("{}/#{secret}", self.config.api_url),
            secret,
            expires_at: time_text(expires),
        }
    }

    pub fn users(&self) -> Vec<ApiUser> {
        let mut users: Vec<&User> = self.directory.users().collect();
        users.sort_by(|one, other| one.nickname.cmp(&other.nickname));
        users.into_iter().map(|user| self.api_user(user)).collect()
    }

    fn api_user(&self, user: &User) -> ApiUser {
        ApiUser {
            person: self.person_of_user(user),
            administrator: user.administrator,
            activated: user.activated,
            sessions: self.directory.sessions_of(user.local).count() as u32,
            created_at: time_text(user.created),
        }
    }

    fn find_user(&self, name: &str) -> Answer<User> {
        let company = self.replicator.company();
        let named = |user: &&User| {
            user.nickname == name
                || person_id(&UserId {
                    company,
                    local: user.local,
                }) == name
        };
        self.directory
            .users()
            .find(named)
            .cloned()
            .ok_or_else(|| Refused::new(Code::PersonNotFound, name))
    }

    /// Redeems an activation secret.
    pub fn login(&mut self, login: &Login, _lang: Lang) -> Answer<ApiSession> {
        if login.device.chars().count() > DEVICE_CHARS_MAX
            || login.device.chars().any(char::is_control)
        {
            return Err(Refused::new(Code::ValueInvalid, "device"));
        }
        let hash = secret_hash(&login.secret);
        let user = self
            .directory
            .user_by_activation(&hash)
            .cloned()
            .ok_or(Code::ActivationRefused)?;
        let expired = user.activation.is_none_or(|(_, expires)| expires < now());
        if expired {
            return Err(Code::ActivationRefused.into());
        }
        let user = User {
            activation: None,
            activated: true,
            ..user
        };
        self.directory.put_user(&mut self.store, user.clone());
        let token = new_secret();
        let session = Session {
            user: user.local,
            device: login.device.clone(),
            since: now(),
        };
        let hash = secret_hash(&token);
        self.directory
            .open_session(&mut self.store, hash, session.clone());
        self.signed_in.insert(hash, user.local, user.administrator);
        let me = self.me_of(&user, &session);
        Ok(ApiSession { token, me })
    }

    pub fn logout(&mut self, caller: Caller) {
        self.end_session(&caller.session);
    }

    pub fn me(&self, caller: Caller) -> Answer<Me> {
        let session = self
            .directory
            .session(&caller.session)
            .ok_or(Code::NotSignedIn)?;
        let user = self.directory.user(&caller.user).ok_or(Code::NotSignedIn)?;
        Ok(self.me_of(user, session))
    }

    fn me_of(&self, user: &User, session: &Session) -> Me {
        Me {
            person: self.person_of_user(user),
            administrator: user.administrator,
            device: session.device.clone(),
            signed_in_at: time_text(session.since),
        }
    }
}

/// How an operator is named in the audit log.
pub fn operator(by: Operator) -> String {
    format!("operator uid {}", by.uid)
}

fn check_nickname(nickname: &str) -> Answer<()> {
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let sound = (1..=NICKNAME_CHARS_MAX).contains(&nickname.len()) && nickname.chars().all(allowed);
    if sound {
        Ok(())
    } else {
        Err(Refused::new(Code::ValueInvalid, "nickname"))
    }
}
