//! A person's own account: the devices that are signed in and the tokens of their programs.
//!
//! Must not know how access is proven or kept: only what goes over the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A device that is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// 16 hex digits.
    pub id: String,
    /// As given when it signed in.
    pub name: String,
    pub signed_in_at: String,
    /// Exact to some minutes; absent if it was not used since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<String>,
    /// The one that asks.
    pub current: bool,
}

/// What a token reaches. The account itself (password, devices, tokens) is reached by none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// Sees what the person sees.
    Read,
    /// Acts in chats as the person; does not see by itself.
    Write,
    /// Administers people, as long as the person is an administrator.
    Admin,
}

/// `POST /v0/me/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    pub client_id: String,
    /// How the person recognises it, for example the program's name.
    pub name: String,
    /// At least one.
    pub scopes: Vec<TokenScope>,
    /// Seconds until it is void; without end if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// A token as the list shows it: without what opens anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgramToken {
    /// 16 hex digits.
    pub id: String,
    pub name: String,
    pub scopes: Vec<TokenScope>,
    pub created_at: String,
    /// Exact to some minutes; absent if it was not used yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A token that was just made. Shown once, kept only as a hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MadeToken {
    pub token: ProgramToken,
    /// The bearer token itself.
    pub secret: String,
}

impl std::fmt::Debug for MadeToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("MadeToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
