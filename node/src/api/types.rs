//! The JSON that crosses the HTTP API, and the table of endpoints that speak it.
//!
//! Owns every wire type of the API. It must not know how anything is stored, signed or sent: handlers fill these
//! types, clients read them, and both sides compile against the same definitions so that they cannot drift apart.
//!
//! # Planes
//!
//! One router, two planes. The **operator plane** (`/v0/operator/...`) answers on the unix socket
//! `<data folder>/operator.sock` only, and only to the uid that runs the node or to root; elsewhere it is `404`.
//! It never returns a text, a title or a file of a chat. The **person plane** (everything else under `/v0`) answers on
//! TCP and on the socket, and needs `Authorization: Bearer TOKEN`, whoever opened the socket. Browsers use a cookie instead.
//!
//! # Operator plane
//!
//! | Method and path | Request | Answer |
//! | --- | --- | --- |
//! | `GET /v0/operator/status` | | `200` [`Status`] |
//! | `GET /v0/operator/doctor` | | `200` [`Doctor`] |
//! | `GET /v0/operator/company` | | `200` [`Company`] |
//! | `GET /v0/operator/config` | | `200` [`ConfigReport`] (secrets are shown as `***`) |
//! | `GET /v0/operator/partners` | `?cursor&limit` | `200` [`Page`]`<`[`Partner`]`>`, waiting and quarantined ones too |
//! | `POST /v0/operator/partners/invitations` | [`Invite`] | `201` [`Invitation`] |
//! | `POST /v0/operator/partners/accept` | [`AcceptInvitation`] | `200` [`Partner`]: `active` once both approved, else `waiting` |
//! | `GET /v0/operator/partners/{partner}` | | `200` [`Partner`] |
//! | `POST /v0/operator/partners/{partner}/verify` | [`VerifyPartner`] | `200` [`Partner`]; `409 X0307` if the words differ |
//! | `POST /v0/operator/partners/{partner}/pause` | [`Repeatable`] | `200` [`Partner`] |
//! | `POST /v0/operator/partners/{partner}/resume` | [`Repeatable`] | `200` [`Partner`] |
//! | `POST /v0/operator/partners/{partner}/ping` | [`Repeatable`] | `200` [`Ping`]; `504 X0309` after 10 s |
//! | `DELETE /v0/operator/partners/{partner}` | `?client_id` | `200` [`Partner`] (state `removed`) |
//! | `GET /v0/operator/users` | `?cursor&limit` | `200` [`Page`]`<`[`User`]`>` |
//! | `POST /v0/operator/users` | [`NewUser`] | `201` [`UserActivation`]; `409 X0410` nickname taken |
//! | `POST /v0/operator/users/{user}/reset` | [`Repeatable`] | `200` [`UserActivation`]; ends every session of that person |
//! | `GET /v0/operator/audit` | `?cursor&limit` | `200` [`Page`]`<`[`AuditEntry`]`>`, newest first |
//! | `POST /v0/operator/verify` | | event stream: `progress` [`Progress`]..., then `report` [`VerifyReport`] or `problem` [`Problem`] |
//! | `POST /v0/operator/rebuild` | | event stream: `progress` [`Progress`]..., then `report` [`RebuildReport`] or `problem` [`Problem`] |
//! | `GET /v0/operator/metrics`, `GET /metrics` | | `200` Prometheus text |
//!
//! Making a company is no endpoint: before it there is no node that could answer. The command line does it in process.
//!
//! `{partner}` is a company id, a unique prefix of at least 4 hex digits, a unique name or an alias (names compare
//! without case); none is `404 X0301`, several are `409 X0302`. `{user}` is a nickname of this company or a person id.
//! A repeated `POST .../users` or `.../reset` (same `client_id`) makes no second user and ends no second set of sessions;
//! as secrets are kept only as hashes, it gives a new secret in place of the unused one, and `409 X0104` once that was used.
//!
//! # Person plane
//!
//! | Method and path | Who | Request | Answer |
//! | --- | --- | --- | --- |
//! | `GET /healthz`, `GET /readyz` | anyone | | `200` or `503`, text |
//! | `GET /v0/openapi.json` | anyone | | `200` this API as OpenAPI 3.1 |
//! | `POST /v0/redeem` | anyone with an unused activation secret | [`Redeem`] | `201` [`SignedIn`]; `403 X0202` |
//! | `POST /v0/login` | anyone with a password | [`Login`] | `201` [`SignedIn`]; `403 X0204` |
//! | `POST /v0/logout` | signed in | | `204`; this token is void |
//! | `GET /v0/me` | signed in | | `200` [`Me`] |
//! | `POST /v0/me/password` | signed in | [`ChangePassword`] | `204`; the person's other sessions end; `403 X0204` |
//! | `GET /v0/me/devices` | signed in | | `200` [`Page`]`<`[`Device`]`>` |
//! | `DELETE /v0/me/devices/{device}` | signed in | `?client_id` | `200` what is left; its session and its streams end |
//! | `DELETE /v0/me/devices` | signed in | `?client_id` | `200` what is left: this one |
//! | `GET /v0/me/tokens`, `POST /v0/me/tokens` | signed in | [`NewToken`] | `200` [`Page`]`<`[`ProgramToken`]`>`, `201` [`MadeToken`] |
//! | `DELETE /v0/me/tokens/{token}` | signed in | `?client_id` | `200` what is left |
//! | `GET /v0/users`, `POST /v0/users`, `POST /v0/users/{user}/reset` | administrator | as on the operator plane | as on the operator plane |
//! | `GET /v0/contacts` | signed in | `?query&cursor&limit` | `200` [`Page`]`<`[`Person`]`>`: colleagues and known partner people |
//! | `GET /v0/chats` | signed in | `?cursor&limit` | `200` [`Page`]`<`[`Chat`]`>`, last message first, own chats only |
//! | `POST /v0/chats` | signed in | [`NewChat`] | `201` [`Chat`]; `200` if a direct chat with that person exists |
//! | `GET /v0/chats/{chat}` | member | | `200` [`Chat`] |
//! | `GET /v0/chats/{chat}/messages` | member | `?before&after&limit` | `200` [`MessagePage`], newest page without parameters |
//! | `POST /v0/chats/{chat}/messages` | member | [`SendMessage`] | `201` [`Message`], durable when answered |
//! | `POST /v0/chats/{chat}/read` | member | [`MarkRead`] | `200` [`Chat`] |
//! | `PUT /v0/chats/{chat}/topic` | member of the owner's company | [`SetTopic`] | `200` [`Chat`] |
//! | `GET /v0/commands` | signed in | | `200` [`Commands`] |
//! | `GET /v0/chats/{chat}/members` | member | | `200` [`Members`] |
//! | `POST /v0/chats/{chat}/members` | member whose role allows it | [`AddMembers`] | `200` [`Members`] |
//! | `DELETE /v0/chats/{chat}/members/{person}` | member whose role allows it | `?client_id` | `200` [`Members`] |
//! | `POST /v0/chats/{chat}/leave` | member | [`Repeatable`] | `204` |
//! | `GET /v0/messages/{message}` | member of its chat | | `200` [`MessageDetail`] |
//! | `PUT /v0/messages/{message}` | author | [`EditMessage`] | `200` [`Message`] |
//! | `DELETE /v0/messages/{message}` | author, or administrator by S34 | `?client_id` | `200` [`Message`] (kind `deleted`) |
//! | `PUT /v0/messages/{message}/reactions` | member of its chat | [`React`] | `200` [`Message`] |
//! | `POST /v0/messages/{message}/forward` | member of both chats | [`Forward`] | `201` [`Message`] in the other chat |
//! | `GET /v0/messages/{message}/thread` | member of its chat | `?after&limit` | `200` [`MessagePage`] of replies, oldest first |
//! | `POST /v0/messages/{message}/recall` | author | [`Repeatable`] | `200` [`Message`] (kind `recalled`); `409 X0407` if a byte may have left |
//! | `GET /v0/messages/{message}/receipts` | author | | `200` [`Receipts`] |
//! | `GET /v0/messages/{message}/why` | member of its chat | | `200` [`Why`] |
//! | `GET /v0/changes` | signed in | `?chat`, header `Last-Event-ID` | event stream, see [`Change`] |
//!
//! A chat or message that the caller may not read is `404`, exactly as if it did not exist. `{chat}` and `{message}`
//! accept a unique prefix among what the caller can read (at least 4 hex digits); several matches are `409 X0405`. A
//! prefix of a message may carry its place (`3fa9c2e1.0`); without one the envelope must hold a single message.
//! `{person}` is a person id or what [`NewChat::people`] accepts.
//!
//! # Rules for every endpoint
//!
//! - **Ids are opaque strings.** Company and chat: 64 hex digits. Message: `<64 hex digits>.<place>`, place 0 to 255;
//!   people see the first 8 digits. Person: `<64 hex digits of the company>.<local id>`.
//! - **Times** are RFC 3339 in UTC with milliseconds.
//! - **Every write carries a `client_id`** made by the client, 1 to 64 characters. Same id and same content: same answer,
//!   nothing done twice. Same id, other content: `409 X0104`.
//! - **Pages**: `limit` 1 to 200 (50 if absent), `cursor` is the `next` of the page before, absent `next` = the end.
//! - **Refusals** are `application/problem+json`: [`Problem`]. Its texts follow `Accept-Language` (`en`, `ru`).
//! - Unknown fields in requests are refused, so that a misspelt option never passes silently; clients ignore unknown
//!   fields in answers, so that a node may be newer than its client.

mod account;
mod change;
mod chat;
mod message;
mod operator;
mod person;
mod problem;
mod token;

pub use account::*;
pub use change::*;
pub use chat::*;
pub use message::*;
pub use operator::*;
pub use person::*;
pub use problem::*;
pub use token::*;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Longest `client_id`: room for a UUID or a hash, short enough to be an index key.
pub const CLIENT_ID_CHARS_MAX: usize = 64;
/// Largest page: its answer stays far below a megabyte for usual texts.
pub const PAGE_LIMIT_MAX: u32 = 200;
/// Page size when the client names none: about two screens.
pub const PAGE_LIMIT_DEFAULT: u32 = 50;
/// Shortest id prefix that is looked up: fewer digits collide in the first hundred chats.
pub const ID_PREFIX_CHARS_MIN: usize = 4;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give this as `cursor` for the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The query of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only `GET /v0/contacts`: words to look for in names and nicknames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// A write that says nothing but "do it"; also the query of every `DELETE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Repeatable {
    /// Made by the client, 1 to 64 characters; see the rules above.
    pub client_id: String,
}
