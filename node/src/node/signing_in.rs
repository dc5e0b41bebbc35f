//! Proving who one is: what waits for a slow hash, between a look at the core and a change of it.
//!
//! The core thread never hashes a password: it would stand still for everybody. What was looked at before is looked at
//! again when the hash is there, because a reset may have come between.

use super::Node;
use crate::api::facade::{Answer, Caller, Refused};
use crate::api::types::{ChangePassword, Code, Login, Redeem, Session};
use crate::people::passwords::Lane;

impl Node {
    pub(super) async fn redeem_secret(&self, mut redeem: Redeem) -> Answer<Session> {
        let password = redeem.password.take();
        let redeem = std::sync::Arc::new(redeem);
        let asked = std::sync::Arc::clone(&redeem);
        // Whoever has no invitation is not worth a hash.
        self.look(move |core| core.check_redeem(&asked).map(drop))
            .await?;
        let password = match password {
            Some(password) => Some(self.hashing.hash(Lane::Known, password).await?),
            None => None,
        };
        self.change(move |core| core.redeem(&redeem, password))
            .await
    }

    pub(super) async fn sign_in(&self, login: Login) -> Answer<Session> {
        let Login {
            name,
            password,
            device,
            ..
        } = login;
        let found = self.look(move |core| Ok(core.by_login_name(&name))).await?;
        let held = found.as_ref().map(|(_, password)| password.clone());
        let right = self.hashing.verify(Lane::Stranger, password, held).await?;
        let proven = found.filter(|_| right).ok_or(Code::SignInRefused)?;
        self.change(move |core| core.login(&proven, &device)).await
    }

    pub(super) async fn set_password(&self, caller: Caller, change: ChangePassword) -> Answer<()> {
        let before = self.look(move |core| Ok(core.own_password(caller))).await?;
        if before.is_some() {
            let current = change.current.unwrap_or_default();
            let right = self.hashing.verify(Lane::Known, current, before.clone());
            if !right.await? {
                return Err(Refused::from(Code::SignInRefused));
            }
        }
        let password = self.hashing.hash(Lane::Known, change.password).await?;
        self.change(move |core| core.change_password(caller, before.as_ref(), password))
            .await
    }
}
