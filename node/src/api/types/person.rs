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

/// `POST /v0/login`: redeem an activation secret. It works once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub client_id: String,
    /// The part of the activation link after `#`.
    pub secret: String,
    /// How the person recognises this device in the list of sessions, for example `laptop, terminal`.
    pub device: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secret stays out of logs and panics.
        formatter
            .debug_struct("Login")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// The answer to a login: shown once, kept by the client.
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

/// `GET /v0/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    pub person: Person,
    pub administrator: bool,
    /// Name of this device, as given at login.
    pub device: String,
    pub signed_in_at: String,
}
