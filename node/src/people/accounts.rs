//! Accounts: inviting a person, redeeming the invitation, the list of people, and resetting access.
//!
//! An invitation is the one-time secret of a person who is not here yet; a reset makes another for one who is. There is no
//! second way in.

use crossport_protocol::event::{Event, Notice, chat::notice};
use crossport_protocol::ids::{Handle, LocalId, UserId};
use crossport_protocol::replicator::Draft;

use super::sessions::check_device;
use super::{new_secret, secret_hash};
use crate::api::facade::{Answer, By, Refused};
use crate::api::types::{
    Code, NewUser, Redeem, Session as ApiSession, User as ApiUser, UserActivation,
};
use crate::core::{Core, now, person_id, random_array, time_text};
use crate::directory::{Password, User};

const NICKNAME_CHARS_MAX: usize = 32;
const NAME_CHARS_MAX: usize = 128;

impl Core {
    /// Invites a person.
    pub fn add_user(&mut self, by: By, new: &NewUser) -> Answer<UserActivation> {
        self.check_administers(by)?;
        check_nickname(&new.nickname)?;
        let name = new.name.clone().unwrap_or_else(|| new.nickname.clone());
        check_name(&name)?;
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
        self.audit(
            &self.administers(by),
            "user.add",
            Some(user.nickname.clone()),
        );
        Ok(self.issue_secret(user))
    }

    /// Ends every session and token of a person, forgets their password, and issues a new one-time secret.
    pub fn reset_user(&mut self, by: By, name: &str, client_id: &str) -> Answer<UserActivation> {
        self.check_administers(by)?;
        let user = self.find_user(name)?;
        if user.reset_id == client_id {
            return if user.activated {
                Err(Refused::new(Code::ClientIdReused, client_id))
            } else {
                Ok(self.issue_secret(user))
            };
        }
        self.end_sessions(user.local, None);
        self.end_tokens(user.local);
        self.directory
            .put_password(&mut self.store, user.local, None);
        self.audit(
            &self.administers(by),
            "user.reset",
            Some(user.nickname.clone()),
        );
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

    pub fn users(&self, by: By) -> Answer<Vec<ApiUser>> {
        self.check_administers(by)?;
        let mut users: Vec<&User> = self.directory.users().collect();
        users.sort_by(|one, other| one.nickname.cmp(&other.nickname));
        Ok(users.into_iter().map(|user| self.api_user(user)).collect())
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

    /// The person whose open secret this is.
    fn invited(&self, secret: &str) -> Answer<&User> {
        let user = self.directory.user_by_activation(&secret_hash(secret));
        user.filter(|user| user.activation.is_some_and(|(_, expires)| expires >= now()))
            .ok_or_else(|| Code::ActivationRefused.into())
    }

    /// Whether a secret can be redeemed as asked, before its password costs anything. Returns who the person will be.
    pub fn check_redeem(&self, redeem: &Redeem) -> Answer<User> {
        check_device(&redeem.device)?;
        let invited = self.invited(&redeem.secret)?.clone();
        let nickname = redeem.nickname.clone().unwrap_or(invited.nickname.clone());
        check_nickname(&nickname)?;
        let held = self.directory.user_by_nickname(&nickname);
        if held.is_some_and(|held| held.local != invited.local) {
            return Err(Refused::new(Code::NicknameTaken, nickname));
        }
        let name = redeem.name.clone().unwrap_or(invited.name.clone());
        check_name(&name)?;
        Ok(User {
            activation: None,
            activated: true,
            nickname,
            name,
            ..invited
        })
    }

    /// Redeems a secret: it is used up, and this device is signed in. Without a password it is the only one that is.
    pub fn redeem(&mut self, redeem: &Redeem, password: Option<Password>) -> Answer<ApiSession> {
        let user = self.check_redeem(redeem)?;
        let before = self.directory.user(&user.local).cloned();
        self.directory.put_user(&mut self.store, user.clone());
        if password.is_some() {
            self.directory
                .put_password(&mut self.store, user.local, password);
        }
        if before.is_some_and(|before| before.nickname != user.nickname || before.name != user.name)
        {
            self.show_anew(&user);
        }
        Ok(self.open_session(&user, &redeem.device))
    }

    /// Tells the person's chats how they are shown from now on.
    pub(super) fn show_anew(&mut self, user: &User) {
        for chat in self.readable_by(&user.local) {
            let Some(handle) = self.handle_of(&chat, &user.local) else {
                continue;
            };
            let draft = self.card_draft(handle, user);
            let written = self.replicate(|replicator, cx| replicator.append(cx, chat, &[draft]));
            if let Err(error) = written {
                // A chat that this company left or cannot write to now: nobody there would be told anything.
                tracing::warn!(chat = %chat.short(), %error, "a new card could not be shown");
            }
        }
    }
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

fn check_name(name: &str) -> Answer<()> {
    let sound = !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    if sound {
        Ok(())
    } else {
        Err(Refused::new(Code::ValueInvalid, "name"))
    }
}
