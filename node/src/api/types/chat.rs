//! Chats and their members as one person sees them.
//!
//! Every [`Chat`] is rendered for one reader: unread counters, title of a direct chat and `external` are theirs.

use super::{CompanyBadge, Mark, MessageKind, Person};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who can be in a chat (S1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// Two people.
    Direct,
    /// Private, by invitation.
    Group,
    /// Any colleague of the owning company finds and joins it.
    Open,
    /// Few write, all read.
    Channel,
    /// Everyone of one company.
    Company,
}

/// Where the reader stands in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    Member,
    /// Left; the history until then stays readable.
    Left,
    /// Removed, or the company was.
    Removed,
}

/// Why nothing can be written into a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Frozen {
    /// The company that owns the chat signed two histories of who is in it; people have to decide.
    OwnerForked,
}

/// A row of the chat list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Chat {
    pub id: String,
    pub kind: ChatKind,
    /// For a direct chat the other person's name.
    pub title: String,
    /// The other person of a direct chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// Somebody of another company takes part (S33).
    pub external: bool,
    pub owner: CompanyBadge,
    /// Every company that takes part, the reader's own first unless it was removed.
    pub companies: Vec<CompanyBadge>,
    pub people: u32,
    pub membership: Membership,
    /// Messages of others that arrived since the reader last read.
    pub unread: u32,
    /// How many of these name the reader; at most 1,000 are counted.
    #[serde(default)]
    pub mentions: u32,
    /// The greatest [`Message::arrival`](super::Message::arrival) so far; 0 if nothing arrived.
    pub arrival: u64,
    /// Time of the last message, of the creation if there is none.
    pub last_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastMessage>,
    /// Companies that lack something of this chat beyond the deadline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overdue: Vec<CompanyLag>,
    /// Why nothing can be written now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
}

/// The last message of a chat, short enough for a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastMessage {
    pub id: String,
    pub author: Person,
    pub kind: MessageKind,
    /// The first 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    pub sent_at: String,
    /// Only at the reader's own messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// Amber: some company lacks it beyond the deadline.
    #[serde(default)]
    pub overdue: bool,
}

/// A company that has not stored everything of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CompanyLag {
    pub company: CompanyBadge,
    pub not_delivered_since: String,
    /// So long that the sender is told without asking (`notice_after_s`).
    #[serde(default)]
    pub notice: bool,
}

/// `POST /v0/chats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChat {
    pub client_id: String,
    pub kind: ChatKind,
    /// Required unless direct; 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// `nickname` (a colleague), `nickname@company` (company = unique name, alias or id prefix of an approved partner)
    /// or a person id. The caller is always a member and need not be listed. Exactly one for a direct chat.
    pub people: Vec<String>,
    /// A message that the new chat begins with (S31); the chat where it stands shows that it went on here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// A person in a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    pub person: Person,
    /// Administrator of the chat: a participating administrator of the owner company.
    pub administrator: bool,
    pub since: String,
    /// The person's company has not confirmed yet (it was away since the invitation).
    #[serde(default)]
    pub invited: bool,
}

/// Everyone in a chat, by company name, then by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Members {
    pub members: Vec<Member>,
}

/// `POST /v0/chats/{chat}/members`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMembers {
    pub client_id: String,
    /// As in [`NewChat::people`], 1 to 100.
    pub people: Vec<String>,
}

/// `PUT /v0/chats/{chat}/topic`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetTopic {
    pub client_id: String,
    /// 1 to 200 characters.
    pub title: String,
}

/// `GET /v0/commands`: what a composer offers on `/` (S21).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Commands {
    pub commands: Vec<Command>,
}

/// A slash command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Command {
    /// Without the slash.
    pub name: String,
    /// In the language of `Accept-Language`.
    pub description: String,
    /// What comes behind the name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    pub done_by: DoneBy,
    /// What the client calls for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CommandCall>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DoneBy {
    /// A way of writing: send the line as a message, the node makes of it what is meant.
    Node,
    /// The client does it, by `call` where there is one.
    Client,
}

/// Method and path, with `{chat}` for the chat that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandCall {
    pub method: String,
    pub path: String,
}

/// `POST /v0/chats/{chat}/read`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    pub client_id: String,
    /// Everything that arrived at this node no later than this message was shown (see [`Message::arrival`]).
    /// Absent: everything that the node has shown to clients so far, that is, all of it.
    ///
    /// [`Message::arrival`]: super::Message::arrival
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<String>,
}
