//! People of this company: their accounts, how they prove who they are, and where they are signed in.
//!
//! Nobody can become another person: an administrator can only issue a one-time secret. Once it is redeemed, access can
//! only be reset, which ends every session, is audited, and is announced in the person's chats.

mod accounts;
mod devices;
pub mod passwords;
mod sessions;
pub mod signed_in;
mod tokens;

use sha2::{Digest, Sha256};

use crate::api::facade::{Answer, By, Operator, Refused, TokenHash};
use crate::api::types::Code;
use crate::core::{Core, random_array};

/// SHA-256 of a secret or token in its text form.
pub fn secret_hash(text: &str) -> TokenHash {
    Sha256::digest(text.as_bytes()).into()
}

/// 256 random bits as text.
fn new_secret() -> String {
    hex::encode(random_array::<32>())
}

/// How an operator is named in the audit log.
pub fn operator(by: Operator) -> String {
    format!("operator uid {}", by.uid)
}

impl Core {
    /// The edge lets only administrators through; between then and now the role may have been taken away.
    fn check_administers(&self, by: By) -> Answer<()> {
        match by {
            By::Operator(_) => Ok(()),
            By::Administrator(caller) => self
                .directory
                .user(&caller.user)
                .filter(|user| user.administrator)
                .map(|_| ())
                .ok_or_else(|| Refused::new(Code::NotAllowed, "administrator")),
        }
    }

    /// How whoever administers is named in the audit log: a nickname may be another person's later, an id never is.
    fn administers(&self, by: By) -> String {
        match by {
            By::Operator(by) => operator(by),
            By::Administrator(caller) => {
                let user = self.directory.user(&caller.user);
                let nickname = user.map_or("", |user| user.nickname.as_str());
                format!("{nickname} {}", caller.user)
            }
        }
    }
}
