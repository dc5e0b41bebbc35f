//! Refusals as data: RFC 9457 problem documents and the registry of their codes.
//!
//! A code never changes its meaning and is never reused: scripts and support threads refer to it. It must not know
//! any language: titles live in the text catalogue under the code's name.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Content type of a [`Problem`].
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// Why a request was refused, and what to do next (RFC 9457 with three members of our own).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:crossport:problem:X0312`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line that names what failed, in the caller's language.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// `X0312`.
    pub code: String,
    /// What failed in this very case (names, numbers); never a text of a chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What to do next, usually a command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_next: Option<String>,
}

impl Problem {
    /// A problem with this title; texts of the case are added with [`detail`](Self::detail) and its neighbours.
    pub fn new(code: Code, title: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:crossport:problem:{}", code.number()),
            title: title.into(),
            status: code.status(),
            code: code.number().to_owned(),
            detail: None,
            cause: None,
            try_next: None,
        }
    }

    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into());
        self
    }

    #[must_use]
    pub fn cause(mut self, text: impl Into<String>) -> Self {
        self.cause = Some(text.into());
        self
    }

    #[must_use]
    pub fn try_next(mut self, text: impl Into<String>) -> Self {
        self.try_next = Some(text.into());
        self
    }
}

/// Declares the codes once: variant, number, HTTP status, key of its title in the catalogue.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $status:literal, $text:literal;)*) => {
        /// Every reason for a refusal that a person can meet. `X01` request, `X02` access, `X03` partners, `X04` chats,
        /// `X05` node, `X09` the command line itself (never sent by a node).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// All codes, in order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// `X0312`.
            pub const fn number(self) -> &'static str {
                match self { $(Self::$variant => $number,)* }
            }

            /// The HTTP status that carries it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Key of its title in the text catalogue.
            pub const fn text_key(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The code with this number, if this build knows it.
            pub fn parse(number: &str) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// The request is not JSON of the expected shape.
    RequestMalformed = "X0101", 400, "problem-request-malformed";
    /// A value is outside its limits (empty text, limit 0, bad id).
    ValueInvalid = "X0102", 400, "problem-value-invalid";
    /// Body or text longer than allowed.
    TooLarge = "X0103", 413, "problem-too-large";
    /// Same `client_id`, other content.
    ClientIdReused = "X0104", 409, "problem-client-id-reused";
    /// More requests than the node grants this caller.
    TooManyRequests = "X0105", 429, "problem-too-many-requests";
    /// No such address, or it is not served here.
    NoSuchEndpoint = "X0106", 404, "problem-no-such-endpoint";
    /// No valid token.
    NotSignedIn = "X0201", 401, "problem-not-signed-in";
    /// Activation secret unknown, used or expired.
    ActivationRefused = "X0202", 403, "problem-activation-refused";
    /// Signed in, but the role does not allow it.
    NotAllowed = "X0203", 403, "problem-not-allowed";
    /// Name or password is wrong; nobody is told which.
    SignInRefused = "X0204", 403, "problem-sign-in-refused";
    /// No partner by that name, alias or prefix.
    PartnerNotFound = "X0301", 404, "problem-partner-not-found";
    /// Several partners match.
    PartnerAmbiguous = "X0302", 409, "problem-partner-ambiguous";
    /// Not a ticket, or damaged (checksum).
    TicketUnreadable = "X0303", 400, "problem-ticket-unreadable";
    TicketExpired = "X0304", 409, "problem-ticket-expired";
    TicketUsed = "X0305", 409, "problem-ticket-used";
    /// The ticket was issued by this very company.
    TicketOwn = "X0306", 409, "problem-ticket-own";
    /// The fingerprint words differ: not the company one believes, or a typing error.
    WordsDiffer = "X0307", 409, "problem-words-differ";
    PartnerPaused = "X0308", 409, "problem-partner-paused";
    /// No answer from the partner's node in time.
    PartnerUnreachable = "X0309", 504, "problem-partner-unreachable";
    PartnerExists = "X0310", 409, "problem-partner-exists";
    /// Not mutually approved yet, or removed.
    PartnerNotActive = "X0311", 409, "problem-partner-not-active";
    /// The partner's node answered no.
    PartnerRefused = "X0312", 409, "problem-partner-refused";
    ChatNotFound = "X0401", 404, "problem-chat-not-found";
    PersonNotFound = "X0402", 404, "problem-person-not-found";
    /// Several people match.
    PersonAmbiguous = "X0403", 409, "problem-person-ambiguous";
    MessageNotFound = "X0404", 404, "problem-message-not-found";
    /// Several chats or messages start with that prefix.
    IdAmbiguous = "X0405", 409, "problem-id-ambiguous";
    /// Not the author, nor an administrator who may.
    NotYourMessage = "X0406", 403, "problem-not-your-message";
    /// A byte of it may have left the node.
    RecallTooLate = "X0407", 409, "problem-recall-too-late";
    /// Left, removed or frozen: nothing can be written there.
    ChatClosed = "X0408", 409, "problem-chat-closed";
    /// A direct chat takes no third person, and so on.
    ChatKindForbids = "X0409", 409, "problem-chat-kind-forbids";
    NicknameTaken = "X0410", 409, "problem-nickname-taken";
    /// Deleted messages take no edit and no reaction.
    MessageGone = "X0411", 409, "problem-message-gone";
    /// A device or a token that is not in the list.
    NotThere = "X0412", 404, "problem-not-there";
    /// No space left: nothing was accepted, the node stays up.
    DiskFull = "X0501", 507, "problem-disk-full";
    /// The disk failed; the node is stopping so that nothing is lost.
    StorageFailed = "X0502", 503, "problem-storage-failed";
    /// A defect of ours; the log names it.
    Internal = "X0503", 500, "problem-internal";
    /// Starting, stopping or catching up.
    NotReady = "X0504", 503, "problem-not-ready";
    /// Such long work is already under way.
    AlreadyRunning = "X0505", 409, "problem-already-running";
    NodeUnreachable = "X0901", 503, "problem-node-unreachable";
    /// The answer is not what this API speaks.
    AnswerUnreadable = "X0902", 502, "problem-answer-unreadable";
    TimedOut = "X0903", 504, "problem-timed-out";
    /// No credentials file for that profile.
    NoCredentials = "X0904", 401, "problem-no-credentials";
    CredentialsUnsafe = "X0905", 403, "problem-credentials-unsafe";
    ConfigInvalid = "X0906", 400, "problem-config-invalid";
    FileFailed = "X0907", 500, "problem-file-failed";
    /// The journal, a chain or a fingerprint did not verify.
    VerificationFailed = "X0908", 409, "problem-verification-failed";
    /// A question needs a person or `--yes`.
    NotConfirmed = "X0909", 400, "problem-not-confirmed";
    CompanyExists = "X0910", 409, "problem-company-exists";
    /// An error of the node that has no number of its own.
    Failed = "X0911", 500, "problem-failed";
    /// The command line was not understood.
    Usage = "X0912", 400, "problem-usage";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_ordered_and_found_again() {
        for pair in Code::ALL.windows(2) {
            assert!(
                pair[0].number() < pair[1].number(),
                "{} before {}",
                pair[0].number(),
                pair[1].number()
            );
        }
        for code in Code::ALL {
            assert_eq!(Code::parse(code.number()), Some(*code));
            assert!((400..600).contains(&code.status()), "{code:?}");
        }
        assert_eq!(Code::parse("X9999"), None);
    }

    #[test]
    fn a_problem_is_rfc_9457_json() {
        let problem = Problem::new(
            Code::PartnerRefused,
            "partner \"globex\" refused the invitation",
        )
        .cause("ticket expired 2 h ago")
        .try_next("crossport partner invite");
        let json = serde_json::to_value(&problem).expect("serialises");
        assert_eq!(
            json,
            serde_json::json!({
                "type": "urn:crossport:problem:X0312",
                "title": "partner \"globex\" refused the invitation",
                "status": 409,
                "code": "X0312",
                "cause": "ticket expired 2 h ago",
                "try_next": "crossport partner invite",
            })
        );
        assert_eq!(
            serde_json::from_value::<Problem>(json).expect("parses"),
            problem
        );
    }
}
