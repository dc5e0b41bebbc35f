//! The change feed: `GET /v0/changes`, server-sent events.
//!
//! The `id:` of each event is the change token. A client that comes back gives the last one as `Last-Event-ID` and gets
//! what changed since, coalesced: one event per chat or message with its present state, however often it changed.
//!
//! | `event:` | `data:` | The client |
//! | --- | --- | --- |
//! | `reset` | [`Reset`] | forgets the order it knew, reads the lists, then follows. Always first when no token or an unknown one was given |
//! | `chat` | [`Chat`] | replaces the row |
//! | `message` | [`Message`] | replaces or inserts the message |
//! | `receipt` | [`ReceiptChange`] | updates marks of own messages |
//! | `gap` | [`Gap`] | it was too slow and some events were dropped: reads again what the event names |
//!
//! `?chat=ID` restricts the feed to one chat. A comment line every 15 s keeps the connection alive.

use super::{Chat, Mark, Message, ReadBy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Seconds between two comment lines on a silent feed.
pub const FEED_KEEP_ALIVE_S: u64 = 15;

/// One event of the feed, with its name as tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum Change {
    Reset(Reset),
    Chat(Box<Chat>),
    Message(Box<Message>),
    Receipt(ReceiptChange),
    Gap(Gap),
}

impl Change {
    /// The name on the `event:` line.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reset(_) => "reset",
            Self::Chat(_) => "chat",
            Self::Message(_) => "message",
            Self::Receipt(_) => "receipt",
            Self::Gap(_) => "gap",
        }
    }
}

/// Why the client must start from the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reset {
    pub reason: ResetReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// No token was given.
    NewClient,
    /// The token is older than what the node keeps.
    TokenTooOld,
    /// The node's database was rebuilt or restored.
    NewGeneration,
}

/// A reader of an own message, or a company that stored it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptChange {
    pub chat: String,
    pub message: String,
    pub mark: Mark,
    pub overdue: bool,
    pub read_by: ReadBy,
}

/// Events were dropped because the client read too slowly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// Chats to read again; empty = all.
    #[serde(default)]
    pub chats: Vec<String>,
}
