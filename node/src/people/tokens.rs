//! Tokens for programs: named, limited to scopes, perhaps with an end; shown once and kept as a hash.
//!
//! A token acts as the person who made it and never reaches the account itself. What a scope covers is said by the table of
//! endpoints.

use crossport_protocol::ids::LocalId;

use super::devices::shown_id;
use super::sessions::check_device;
use super::signed_in::Access;
use super::{new_secret, secret_hash};
use crate::api::facade::{Answer, Caller, Refused, Scopes, TokenHash};
use crate::api::types::{Code, MadeToken, NewToken, Page, ProgramToken as ApiToken, TokenScope};
use crate::core::{Core, now, time_text};
use crate::directory::Token;

/// More programs than one person runs; a script that makes one each time it starts must not grow the list without end.
const TOKENS_MAX: usize = 100;
/// Ten years: whoever wants longer wants no end.
const EXPIRES_S_MAX: u64 = 10 * 366 * 24 * 3600;

const SCOPES: [(TokenScope, Scopes); 3] = [
    (TokenScope::Read, Scopes::READ),
    (TokenScope::Write, Scopes::WRITE),
    (TokenScope::Admin, Scopes::ADMIN),
];

impl Core {
    pub fn tokens(&self, caller: Caller) -> Page<ApiToken> {
        let held = self.directory.tokens();
        let mut own: Vec<(&TokenHash, &Token)> = held
            .filter(|(_, token)| token.user == caller.user)
            .collect();
        own.sort_by_key(|(hash, token)| (token.since, **hash));
        let items = own.into_iter();
        Page {
            items: items
                .map(|(hash, token)| self.api_token(hash, token))
                .collect(),
            next: None,
        }
    }

    fn api_token(&self, hash: &TokenHash, token: &Token) -> ApiToken {
        let held = Scopes::of_bits(token.scopes);
        let scopes = SCOPES.iter().filter(|(_, scope)| held.contains(*scope));
        ApiToken {
            id: shown_id(hash),
            name: token.name.clone(),
            scopes: scopes.map(|(name, _)| *name).collect(),
            created_at: time_text(token.since),
            last_used_at: self.last_seen(hash).map(time_text),
            expires_at: token.expires.map(time_text),
        }
    }

    /// Makes a token. Repeated with the same client id it gives another in its place, as the first was kept as a hash.
    pub fn add_token(&mut self, caller: Caller, new: &NewToken) -> Answer<MadeToken> {
        let user = self.directory.user(&caller.user).ok_or(Code::NotSignedIn)?;
        let administrator = user.administrator;
        let token = self.checked_token(caller, new)?;
        let repeated = self.own_token(caller, |_, held| held.client_id == new.client_id);
        if let Some((hash, held)) = repeated {
            if (&held.name, held.scopes) != (&token.name, token.scopes) {
                return Err(Refused::new(Code::ClientIdReused, new.client_id.clone()));
            }
            self.end_session(&hash);
        }
        let secret = new_secret();
        let hash = secret_hash(&secret);
        let access = Access {
            user: caller.user,
            administrator,
            scopes: Scopes::of_bits(token.scopes),
            expires: token.expires,
        };
        self.directory
            .put_token(&mut self.store, hash, Some(token.clone()));
        self.signed_in.insert(hash, access);
        Ok(MadeToken {
            token: self.api_token(&hash, &token),
            secret,
        })
    }

    fn checked_token(&self, caller: Caller, new: &NewToken) -> Answer<Token> {
        check_device(&new.name).map_err(|_| Refused::new(Code::ValueInvalid, "name"))?;
        if new.name.trim().is_empty() {
            return Err(Refused::new(Code::ValueInvalid, "name"));
        }
        let wanted = SCOPES.iter().filter(|(name, _)| new.scopes.contains(name));
        let scopes = wanted.fold(Scopes::NONE, |all, (_, scope)| all.with(*scope));
        if scopes == Scopes::NONE {
            return Err(Refused::new(Code::ValueInvalid, "scopes"));
        }
        let sound = |seconds: u64| (1..=EXPIRES_S_MAX).contains(&seconds);
        if !new.expires_in_s.is_none_or(sound) {
            return Err(Refused::new(Code::ValueInvalid, "expires_in_s"));
        }
        let held = self.directory.tokens();
        let others =
            held.filter(|(_, token)| token.user == caller.user && token.client_id != new.client_id);
        if others.count() >= TOKENS_MAX {
            return Err(Refused::new(Code::TooLarge, "tokens"));
        }
        let end = |seconds: u64| now().plus_ms(seconds.saturating_mul(1000));
        Ok(Token {
            user: caller.user,
            name: new.name.clone(),
            scopes: scopes.bits(),
            since: now(),
            expires: new.expires_in_s.map(end),
            client_id: new.client_id.clone(),
        })
    }

    /// Revoking one again finds it gone, which is what was asked for.
    pub fn revoke_token(&mut self, caller: Caller, token: &str) -> Answer<Page<ApiToken>> {
        let is_id = token.len() == 16 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return Err(Refused::new(Code::ValueInvalid, "token"));
        }
        if let Some((hash, _)) = self.own_token(caller, |hash, _| shown_id(hash) == token) {
            self.end_session(&hash);
        }
        Ok(self.tokens(caller))
    }

    fn own_token(
        &self,
        caller: Caller,
        is_meant: impl Fn(&TokenHash, &Token) -> bool,
    ) -> Option<(TokenHash, Token)> {
        let mut held = self.directory.tokens();
        held.find(|(hash, held)| held.user == caller.user && is_meant(hash, held))
            .map(|(hash, held)| (*hash, held.clone()))
    }

    /// Ends every token of a person.
    pub(super) fn end_tokens(&mut self, user: LocalId) {
        let held = self.directory.tokens();
        let own: Vec<TokenHash> = held
            .filter(|(_, token)| token.user == user)
            .map(|(hash, _)| *hash)
            .collect();
        for hash in own {
            self.end_session(&hash);
        }
    }
}
