//! People as clients see them, and a person's own session.
//!
//! Must not know how access is proven or kept: only what goes over the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A company, as a badge at a person, chat or receipt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct CompanyBadge {
    /// 64 hex digits.
    pub id: String,
    /// The alias if this company gave one, else the company's own name.
    pub name: String,
}

/// A colleague, or an employee of a partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Person {
    /// `<64 hex digits of the company>.<local id>`.
    pub id: String,
    pub nickname: String,
    /// The full name; the nickname if none was given.
    pub name: String,
    pub company: CompanyBadge,
    /// Works for another company: shown in light brown, with the company's name (S33).
    pub external: bool,
    /// False after the person left their company.
    pub active: bool,
}

/// `POST /v0/redeem`: open an account with the secret of an invitation or of a reset. It works once.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Redeem {
    pub client_id: String,
    /// The part of the link after `#`.
    pub secret: String,
    /// How the person recognises this device in the list of sessions, for example `laptop, terminal`.
    pub device: String,
    /// As the invitation says, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// Full name; as the invitation says, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// 10 characters or more. Without one the account is open on this device only, until one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// For browsers: the session is a cookie, and no token is in the answer.
    #[serde(default)]
    pub cookie: bool,
}

impl std::fmt::Debug for Redeem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secret and password stay out of logs and panics.
        formatter
            .debug_struct("Redeem")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// `POST /v0/login`: sign in on another device.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub client_id: String,
    /// Nickname.
    pub name: String,
    pub password: String,
    /// How the person recognises this device in the list of sessions, for example `laptop, terminal`.
    pub device: String,
    /// For browsers: the session is a cookie, and no token is in the answer.
    #[serde(default)]
    pub cookie: bool,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Login")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// `POST /v0/me/password`. Ends the person's other sessions.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    pub client_id: String,
    /// The present one; absent only if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// 10 characters or more.
    pub password: String,
}

impl std::fmt::Debug for ChangePassword {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ChangePassword")
            .finish_non_exhaustive()
    }
}

/// The answer to a program that signed in: shown once, kept by the client.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Bearer token of this device.
    pub token: String,
    pub me: Me,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("me", &self.me)
            .finish_non_exhaustive()
    }
}

/// The answer to a browser that signed in: its token is a cookie that no script can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrowserSession {
    pub me: Me,
}

/// Signed in, with or without a cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SignedIn {
    Program(Session),
    Browser(BrowserSession),
}

/// `GET /v0/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    pub person: Person,
    pub administrator: bool,
    /// Name of this device, as given at login.
    pub device: String,
    pub signed_in_at: String,
    /// Without one, a new link is the only way to sign in elsewhere.
    #[serde(default)]
    pub has_password: bool,
}
