//! What the HTTP API asks of a node: one trait, one function for each use case.
//!
//! Owns the boundary between "in the client's words" and "what happens": arguments are the wire types of
//! [`types`](super::types), ids are still the strings that a client sent, and a refusal is data without a language.
//! It must not know HTTP (no status, no header) nor how a use case is done.
//!
//! Two implementors: the node, and the stand-in of the router's tests, which needs no disk and no network.
//!
//! Rules for an implementor:
//! - Every function may be called at the same time from many tasks, and its future may be dropped half way (the client
//!   went away): what was begun is finished or never happened.
//! - Nothing here may block a thread; waiting is `.await`.
//! - The edge has checked only the shape of a request. Limits of values, roles and existence are checked inside.

use std::fmt;
use std::future::Future;

use crossport_protocol::ids::LocalId;
use futures::stream::BoxStream;

use super::types::{
    AcceptInvitation, AddMembers, AuditEntry, Change, ChangePassword, Chat, Code, Commands,
    Company, ConfigReport, Device, Doctor, EditMessage, Forward, Invitation, Invite, Login,
    MadeToken, MarkRead, Me, Members, Message, MessageDetail, MessagePage, MessagePageQuery,
    NewChat, NewToken, NewUser, Page, PageQuery, Partner, Person, Ping, ProgramToken, Progress,
    React, RebuildReport, Receipts, Redeem, Repeatable, SendMessage, Session, SetTopic, Status,
    User, UserActivation, VerifyPartner, VerifyReport, Why,
};
use crate::metrics::Metrics;
pub use crate::texts::Lang;

/// SHA-256 of a bearer token: what the node keeps of it, and the name of the session.
pub type TokenHash = [u8; 32];

/// What a session or a token reaches: a set. A person's own session reaches everything that the person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Nothing more than knowing who one is.
    pub const NONE: Scopes = Scopes(0);
    /// Sees what the person sees.
    pub const READ: Scopes = Scopes(1);
    /// Acts in chats as the person.
    pub const WRITE: Scopes = Scopes(2);
    /// Administers people, if the person may.
    pub const ADMIN: Scopes = Scopes(4);
    /// The person's own account: password, devices, tokens. No token has it, or whoever found one could make it permanent.
    pub const ACCOUNT: Scopes = Scopes(8);
    pub const ALL: Scopes = Scopes(15);

    /// As they are kept.
    pub const fn bits(self) -> u8 {
        self.0
    }

    pub const fn of_bits(bits: u8) -> Scopes {
        Scopes(bits & Scopes::ALL.0)
    }

    pub const fn contains(self, other: Scopes) -> bool {
        self.0 & other.0 == other.0
    }

    #[must_use]
    pub const fn with(self, other: Scopes) -> Scopes {
        Scopes(self.0 | other.0)
    }

    /// The word for a single one.
    pub const fn name(self) -> &'static str {
        match self.0 {
            1 => "read",
            2 => "write",
            4 => "admin",
            8 => "account",
            _ => "several",
        }
    }
}

/// Who asks on the person plane, proven by a token of this very request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub user: LocalId,
    /// Names the session: logging out ends exactly this one.
    pub session: TokenHash,
    /// Administrator of the company; says nothing about any chat.
    pub administrator: bool,
    /// What the session or token reaches; the edge looks at it.
    pub scopes: Scopes,
    /// For texts inside answers; refusals are translated by the edge.
    pub lang: Lang,
}

impl fmt::Debug for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The hash opens nothing, but it links lines of a log to a device.
        formatter
            .debug_struct("Caller")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Who asks on the operator plane, proven by the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    /// Uid of the process at the other end, for the audit log.
    pub uid: u32,
    /// For texts inside answers (what `doctor` says); refusals are translated by the edge.
    pub lang: Lang,
}

/// Who administers people: the operator at the machine, or an administrator who is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Operator(Operator),
    Administrator(Caller),
}

impl From<Operator> for By {
    fn from(by: Operator) -> Self {
        Self::Operator(by)
    }
}

impl From<Caller> for By {
    fn from(by: Caller) -> Self {
        Self::Administrator(by)
    }
}

/// Why a use case did not do what was asked: a code, what it concerns, and optional texts of the case.
///
/// Title, usual cause and usual next step come from the catalogue by the code; `subject` is their only variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: Code,
    /// The name or number that it is about: a partner as the client named it, a field, a limit. Never a text of a chat.
    pub subject: String,
    /// For experts, not translated: positions, reasons, system errors.
    pub detail: Option<String>,
    /// In place of the catalogue's usual cause.
    pub cause: Option<Box<Text>>,
    /// In place of the catalogue's usual next step.
    pub try_next: Option<Box<Text>>,
}

/// What most functions answer.
pub type Answer<T> = Result<T, Refused>;

impl Refused {
    pub fn new(code: Code, subject: impl Into<String>) -> Self {
        Self {
            code,
            subject: subject.into(),
            detail: None,
            cause: None,
            try_next: None,
        }
    }

    #[must_use]
    pub fn detail(mut self, text: impl fmt::Display) -> Self {
        self.detail = Some(text.to_string());
        self
    }

    #[must_use]
    pub fn cause(mut self, text: Text) -> Self {
        self.cause = Some(Box::new(text));
        self
    }

    /// The cause if it has words of its own, else the error as it is, for experts.
    #[must_use]
    pub fn because(self, words: Option<Text>, error: impl fmt::Display) -> Self {
        match words {
            Some(words) => self.cause(words),
            None => self.detail(error),
        }
    }

    #[must_use]
    pub fn try_next(mut self, text: Text) -> Self {
        self.try_next = Some(Box::new(text));
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.code.number(), self.subject)?;
        self.detail
            .iter()
            .try_for_each(|detail| write!(formatter, ": {detail}"))
    }
}

impl std::error::Error for Refused {}

impl From<Code> for Refused {
    /// For codes whose texts name nothing.
    fn from(code: Code) -> Self {
        Self::new(code, "")
    }
}

/// A text before it has a language: a key of the catalogue and its variables, or something that is the same everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    Key {
        key: &'static str,
        values: Vec<(&'static str, TextValue)>,
    },
    /// A command line, a name, a system error.
    Verbatim(String),
}

/// A variable of a text; numbers stay numbers, so that plural forms work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextValue {
    Word(String),
    Number(u64),
    /// A part that has its own key.
    Text(Box<Text>),
}

impl Text {
    pub const fn key(key: &'static str) -> Self {
        Self::Key {
            key,
            values: Vec::new(),
        }
    }

    pub fn verbatim(text: impl Into<String>) -> Self {
        Self::Verbatim(text.into())
    }

    /// With one more variable; a verbatim text has none and stays as it is.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<TextValue>) -> Self {
        if let Self::Key { values, .. } = &mut self {
            values.push((name, value.into()));
        }
        self
    }
}

impl From<String> for TextValue {
    fn from(word: String) -> Self {
        Self::Word(word)
    }
}

impl From<&str> for TextValue {
    fn from(word: &str) -> Self {
        Self::Word(word.to_owned())
    }
}

impl From<Text> for TextValue {
    fn from(text: Text) -> Self {
        Self::Text(Box::new(text))
    }
}

impl From<u64> for TextValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

/// The answer to a write that may find its work already done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made<T> {
    New(T),
    Existing(T),
}

/// Told how far a long work is; cheap, never waits, may be called for every record.
pub type OnProgress = Box<dyn Fn(Progress) + Send + Sync>;

/// One change and the token to come back with after it.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedItem {
    /// Visible ASCII without spaces: it travels in a header.
    pub token: String,
    pub change: Change,
}

/// A person's change feed. It gives `gap` rather than growing when it is read too slowly, and **ends** when its session
/// is revoked or the node stops. Items that are there are given without waiting, so that the edge can send many at once.
pub type Feed = BoxStream<'static, FeedItem>;

/// Everything that a client may ask, in the order of the table in [`types`](super::types).
pub trait UseCases: Clone + Send + Sync + 'static {
    /// The node's counters; the edge counts requests and refusals there.
    fn metrics(&self) -> &Metrics;
    /// Refreshes what is only computed when somebody looks (ages, lags), then renders [`Metrics::text`].
    fn metrics_text(&self) -> impl Future<Output = Answer<String>> + Send;
    /// Refuses while the node starts, stops or cannot write.
    fn ready(&self) -> impl Future<Output = Answer<()>> + Send;
    /// The session of this token, if it is alive. Asked for every request: a lookup, no hashing. An error says that
    /// the node cannot tell (it stops), which must not look like "not signed in".
    fn authenticate(
        &self,
        token: TokenHash,
        lang: Lang,
    ) -> impl Future<Output = Answer<Option<Caller>>> + Send;

    fn status(&self, by: Operator) -> impl Future<Output = Answer<Status>> + Send;
    fn doctor(&self, by: Operator) -> impl Future<Output = Answer<Doctor>> + Send;
    fn company(&self, by: Operator) -> impl Future<Output = Answer<Company>> + Send;
    fn config(&self, by: Operator) -> impl Future<Output = Answer<ConfigReport>> + Send;
    fn partners(
        &self,
        by: Operator,
        page: PageQuery,
    ) -> impl Future<Output = Answer<Page<Partner>>> + Send;
    fn invite_partner(
        &self,
        by: Operator,
        invite: Invite,
    ) -> impl Future<Output = Answer<Invitation>> + Send;
    fn accept_partner(
        &self,
        by: Operator,
        accept: AcceptInvitation,
    ) -> impl Future<Output = Answer<Partner>> + Send;
    fn partner(
        &self,
        by: Operator,
        partner: String,
    ) -> impl Future<Output = Answer<Partner>> + Send;
    fn verify_partner(
        &self,
        by: Operator,
        partner: String,
        words: VerifyPartner,
    ) -> impl Future<Output = Answer<Partner>> + Send;
    fn pause_partner(
        &self,
        by: Operator,
        partner: String,
        write: Repeatable,
    ) -> impl Future<Output = Answer<Partner>> + Send;
    fn resume_partner(
        &self,
        by: Operator,
        partner: String,
        write: Repeatable,
    ) -> impl Future<Output = Answer<Partner>> + Send;
    fn ping_partner(
        &self,
        by: Operator,
        partner: String,
        write: Repeatable,
    ) -> impl Future<Output = Answer<Ping>> + Send;
    fn remove_partner(
        &self,
        by: Operator,
        partner: String,
        write: Repeatable,
    ) -> impl Future<Output = Answer<Partner>> + Send;
    fn users(
        &self,
        by: impl Into<By> + Send,
        page: PageQuery,
    ) -> impl Future<Output = Answer<Page<User>>> + Send;
    fn add_user(
        &self,
        by: impl Into<By> + Send,
        user: NewUser,
    ) -> impl Future<Output = Answer<UserActivation>> + Send;
    fn reset_user(
        &self,
        by: impl Into<By> + Send,
        user: String,
        write: Repeatable,
    ) -> impl Future<Output = Answer<UserActivation>> + Send;
    fn audit(
        &self,
        by: Operator,
        page: PageQuery,
    ) -> impl Future<Output = Answer<Page<AuditEntry>>> + Send;
    fn verify_journal(
        &self,
        by: Operator,
        told: OnProgress,
    ) -> impl Future<Output = Answer<VerifyReport>> + Send;
    /// Goes on when the client goes away: half an index is of no use.
    fn rebuild_index(
        &self,
        by: Operator,
        told: OnProgress,
    ) -> impl Future<Output = Answer<RebuildReport>> + Send;

    fn redeem(&self, redeem: Redeem) -> impl Future<Output = Answer<Session>> + Send;
    fn login(&self, login: Login) -> impl Future<Output = Answer<Session>> + Send;
    fn logout(&self, caller: Caller) -> impl Future<Output = Answer<()>> + Send;
    fn me(&self, caller: Caller) -> impl Future<Output = Answer<Me>> + Send;
    fn change_password(
        &self,
        caller: Caller,
        change: ChangePassword,
    ) -> impl Future<Output = Answer<()>> + Send;
    fn devices(&self, caller: Caller) -> impl Future<Output = Answer<Page<Device>>> + Send;
    fn revoke_device(
        &self,
        caller: Caller,
        device: String,
        write: Repeatable,
    ) -> impl Future<Output = Answer<Page<Device>>> + Send;
    fn revoke_other_devices(
        &self,
        caller: Caller,
        write: Repeatable,
    ) -> impl Future<Output = Answer<Page<Device>>> + Send;
    fn tokens(&self, caller: Caller) -> impl Future<Output = Answer<Page<ProgramToken>>> + Send;
    fn add_token(
        &self,
        caller: Caller,
        token: NewToken,
    ) -> impl Future<Output = Answer<MadeToken>> + Send;
    fn revoke_token(
        &self,
        caller: Caller,
        token: String,
        write: Repeatable,
    ) -> impl Future<Output = Answer<Page<ProgramToken>>> + Send;
    fn contacts(
        &self,
        caller: Caller,
        page: PageQuery,
    ) -> impl Future<Output = Answer<Page<Person>>> + Send;
    fn chats(
        &self,
        caller: Caller,
        page: PageQuery,
    ) -> impl Future<Output = Answer<Page<Chat>>> + Send;
    fn new_chat(
        &self,
        caller: Caller,
        chat: NewChat,
    ) -> impl Future<Output = Answer<Made<Chat>>> + Send;
    fn chat(&self, caller: Caller, chat: String) -> impl Future<Output = Answer<Chat>> + Send;
    fn messages(
        &self,
        caller: Caller,
        chat: String,
        page: MessagePageQuery,
    ) -> impl Future<Output = Answer<MessagePage>> + Send;
    fn send_message(
        &self,
        caller: Caller,
        chat: String,
        message: SendMessage,
    ) -> impl Future<Output = Answer<Message>> + Send;
    fn set_topic(
        &self,
        caller: Caller,
        chat: String,
        topic: SetTopic,
    ) -> impl Future<Output = Answer<Chat>> + Send;
    fn commands(&self, caller: Caller) -> impl Future<Output = Answer<Commands>> + Send;
    fn mark_read(
        &self,
        caller: Caller,
        chat: String,
        read: MarkRead,
    ) -> impl Future<Output = Answer<Chat>> + Send;
    fn members(&self, caller: Caller, chat: String)
    -> impl Future<Output = Answer<Members>> + Send;
    fn add_members(
        &self,
        caller: Caller,
        chat: String,
        people: AddMembers,
    ) -> impl Future<Output = Answer<Members>> + Send;
    fn remove_member(
        &self,
        caller: Caller,
        chat: String,
        person: String,
        write: Repeatable,
    ) -> impl Future<Output = Answer<Members>> + Send;
    fn leave(
        &self,
        caller: Caller,
        chat: String,
        write: Repeatable,
    ) -> impl Future<Output = Answer<()>> + Send;
    fn message(
        &self,
        caller: Caller,
        message: String,
    ) -> impl Future<Output = Answer<MessageDetail>> + Send;
    fn edit(
        &self,
        caller: Caller,
        message: String,
        edit: EditMessage,
    ) -> impl Future<Output = Answer<Message>> + Send;
    fn delete(
        &self,
        caller: Caller,
        message: String,
        write: Repeatable,
    ) -> impl Future<Output = Answer<Message>> + Send;
    fn forward(
        &self,
        caller: Caller,
        message: String,
        forward: Forward,
    ) -> impl Future<Output = Answer<Message>> + Send;
    fn thread(
        &self,
        caller: Caller,
        message: String,
        page: MessagePageQuery,
    ) -> impl Future<Output = Answer<MessagePage>> + Send;
    fn react(
        &self,
        caller: Caller,
        message: String,
        react: React,
    ) -> impl Future<Output = Answer<Message>> + Send;
    fn recall(
        &self,
        caller: Caller,
        message: String,
        write: Repeatable,
    ) -> impl Future<Output = Answer<Message>> + Send;
    fn receipts(
        &self,
        caller: Caller,
        message: String,
    ) -> impl Future<Output = Answer<Receipts>> + Send;
    fn why(&self, caller: Caller, message: String) -> impl Future<Output = Answer<Why>> + Send;
    /// `chat` restricts the feed; `last_event_id` is the token of the last change that the client has, from any node
    /// and any time: one that is not understood is a `reset`, never a refusal.
    fn changes(
        &self,
        caller: Caller,
        chat: Option<String>,
        last_event_id: Option<String>,
    ) -> impl Future<Output = Answer<Feed>> + Send;
}
