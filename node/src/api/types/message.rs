//! Messages, their marks, receipts and the trace of one message through every hop.

use super::{CompanyBadge, Person, Token};
use crossport_protocol::actions::Action as Rule;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What a message is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    Text,
    /// A member came or went, the chat was renamed: see [`Message::service`].
    Service,
    /// Deleted: see [`Message::deleted`].
    Deleted,
    /// Taken back before it left the author's company.
    Recalled,
    /// The key or the payload is not here (yet).
    Unreadable,
    /// Written by a newer version; kept and passed on unchanged.
    NeedsNewer,
}

/// An entry of the menu at a message. More come with later versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Reply,
    Quote,
    Edit,
    Delete,
    Forward,
    CopyText,
    CopyLink,
    React,
    MarkUnread,
    WhoRead,
    CreateTask,
    CreateMeeting,
    NewChat,
    SaveFile,
    CopyFile,
}

impl From<Rule> for Action {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Reply => Self::Reply,
            Rule::Quote => Self::Quote,
            Rule::Edit => Self::Edit,
            Rule::Delete => Self::Delete,
            Rule::Forward => Self::Forward,
            Rule::CopyText => Self::CopyText,
            Rule::CopyLink => Self::CopyLink,
            Rule::React => Self::React,
            Rule::MarkUnread => Self::MarkUnread,
            Rule::WhoRead => Self::WhoRead,
            Rule::CreateTask => Self::CreateTask,
            Rule::CreateMeeting => Self::CreateMeeting,
            Rule::NewChat => Self::NewChat,
            Rule::SaveFile => Self::SaveFile,
            Rule::CopyFile => Self::CopyFile,
        }
    }
}

/// How far an own message got (S12). A clock (only on the device) is the client's own affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Stored by the own company's node: one hollow mark.
    StoredHere,
    /// Stored by every company's node: one solid mark.
    StoredEverywhere,
    /// Read by at least one other participant: two marks.
    Read,
}

/// A message as one reader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// `<64 hex digits>.<place>`.
    pub id: String,
    pub chat: String,
    pub author: Person,
    /// Written by the reader.
    pub mine: bool,
    pub kind: MessageKind,
    /// What the reader may do with it, in the order of a menu; everything else is refused (S7).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// Present exactly if kind is `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The text as a tree, made once so that no client parses Markdown; never HTML.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Token>,
    /// By the author's clock; the order shown is that of the page.
    pub sent_at: String,
    /// When this node stored it.
    pub arrived_at: String,
    /// Place in the order of arrival within this chat at this node; unread goes by it.
    pub arrival: u64,
    /// The author's clock ran more than 5 minutes ahead of this node's.
    #[serde(default)]
    pub clock_ahead: bool,
    pub unread: bool,
    /// Names the reader, who is told of it even where the chat is muted (S19). An edit tells nobody.
    #[serde(default)]
    pub mentioned: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// What is replied to, in short; absent while it is not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<ReplyTo>,
    /// Messages that reply to this one directly; at most 1,000 are counted.
    #[serde(default)]
    pub replies: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<ForwardedFrom>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Deleted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// Only at the reader's own messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// Amber: some company still lacks it after the deadline; may go with any mark but `stored_everywhere`.
    #[serde(default)]
    pub overdue: bool,
    /// How many other participants have read it, of how many. Only at own messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_by: Option<ReadBy>,
    /// The client's own id, only to its author: matches an answer of the feed with an outbox row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// What a message answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplyTo {
    pub id: String,
    pub author: Person,
    /// `deleted` when there is nothing left to show.
    pub kind: MessageKind,
    /// The first 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Where a forwarded message comes from, as whoever forwarded it asserts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForwardedFrom {
    pub author: Person,
    pub at: String,
    /// The chat and the message, at the first message of a new chat that was made of it and for who may read it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// "Read by 3 of 7."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadBy {
    pub people: u32,
    pub of: u32,
}

/// Who deleted a message, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    pub by: Person,
    pub at: String,
}

/// A line that the system writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    pub what: ServiceKind,
    /// Whom it concerns, besides the author.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<CompanyBadge>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Another chat, if the reader may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    /// The author made the chat.
    ChatCreated,
    /// Somebody of `people` brought the author in.
    MemberAdded,
    /// The author took `people` out of the chat.
    MembersRemoved,
    /// The author came into the chat; by whom is not known.
    MemberJoined,
    /// The author is no longer in the chat.
    MemberLeft,
    /// The author is shown under another name or title from now on.
    CardChanged,
    /// The author, of the chat's owner, brought `company` in.
    CompanyAdded,
    /// The author, of the chat's owner, took `company` out.
    CompanyRemoved,
    CompanyLeft,
    TitleChanged,
    RoleChanged,
    MemberBarred,
    /// A person's access was reset by their administrator.
    AccessReset,
    /// `people` were asked for, and their company knows nobody of that nickname.
    NoSuchPerson,
    /// The node continued after a restore.
    Resumed,
    /// The author went on with a message of this chat in another: `chat` and `title`, for who may read it.
    Continued,
}

/// One emoji and who set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reaction {
    pub emoji: String,
    pub people: Vec<Person>,
    pub mine: bool,
}

/// `GET /v0/chats/{chat}/messages`: oldest first within the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagePage {
    pub messages: Vec<Message>,
    /// Give as `before` for what came earlier; absent at the beginning of the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older: Option<String>,
    /// Give as `after` for what comes later; absent at the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<String>,
}

/// The query of a [`MessagePage`]; at most one of `before` and `after`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessagePageQuery {
    /// A cursor of a page, or a message id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `GET /v0/messages/{message}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageDetail {
    pub message: Message,
    /// Every text it ever had, oldest first, the present one last; empty once deleted.
    pub revisions: Vec<Revision>,
}

/// One text of an edited message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revision {
    pub text: String,
    pub at: String,
}

/// `POST /v0/chats/{chat}/messages`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    pub client_id: String,
    /// 1 to 65,536 Unicode scalar values.
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

/// `PUT /v0/messages/{message}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditMessage {
    pub client_id: String,
    pub text: String,
}

/// `POST /v0/messages/{message}/forward`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    pub client_id: String,
    /// Where it goes.
    pub chat: String,
}

/// `PUT /v0/messages/{message}/reactions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct React {
    pub client_id: String,
    /// One emoji, at most 32 bytes.
    pub emoji: String,
    /// False takes it back.
    pub on: bool,
}

/// `GET /v0/messages/{message}/receipts` (S13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipts {
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    pub overdue: bool,
    pub companies: Vec<CompanyReceipt>,
    /// Everyone but the author.
    pub people: Vec<PersonReceipt>,
    pub read_by: ReadBy,
}

/// One company: exactly one of `stored_at` and `not_delivered_since` is present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CompanyReceipt {
    pub company: CompanyBadge,
    /// The company of the author: stored there by definition.
    pub own: bool,
    /// As that company's node stated under its signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_delivered_since: Option<String>,
    pub overdue: bool,
    /// Hash of the signed delivery statement that proves it, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonReceipt {
    pub person: Person,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<String>,
}

/// `GET /v0/messages/{message}/why`: everything this node knows about the road of one message, in order of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    pub message: String,
    pub hops: Vec<Hop>,
}

/// One step of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hop {
    pub step: HopStep,
    /// Absent while it has not happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The company at the other end, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<CompanyBadge>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// Positions, transports, reasons: for experts, not translated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HopStep {
    /// Signed by the author's node.
    Signed,
    /// Durable in this node's journal.
    Stored,
    /// Received by this node from `company`.
    Received,
    /// Permission to leave towards `company` was journalled (recall ends here).
    Released,
    /// Handed to the connection to `company`.
    Sent,
    /// `company` states that it stored it.
    Delivered,
    /// `company` has not stated it yet; `at` is since when.
    NotDelivered,
    Read,
    /// Found void; `detail` names the rule.
    Void,
}
