//! What people and nodes say in a chat, inside the sealed payload. One file per family: its content and its rule.
//!
//! Kinds are explicit numbers. A kind that this build does not know is stored, relayed and exported as it came.

pub mod admin_delete;
pub mod chat;
pub mod delete;
pub mod edit;
pub mod forward;
pub mod member;
pub mod mention;
pub mod message;
pub mod reaction;
pub mod resume;

use crate::codec::{self, CodecError};
use crate::limits;

pub use admin_delete::AdminDelete;
pub use chat::Notice;
pub use delete::Delete;
pub use edit::Edit;
pub use member::{Member, MemberAction, MemberAsk, UserCard, card};
pub use message::Message;
pub use reaction::Reaction;
pub use resume::Resume;

/// The numbers of the kinds. A number is never used again for another meaning.
pub mod kind {
    pub const MESSAGE: u16 = 1;
    pub const EDIT: u16 = 2;
    pub const DELETE: u16 = 3;
    pub const REACTION: u16 = 4;
    pub const MEMBER: u16 = 5;
    pub const MEMBER_ASK: u16 = 6;
    pub const NOTICE: u16 = 7;
    pub const RESUME: u16 = 8;
    pub const ADMIN_DELETE: u16 = 9;

    /// Ends another event and proves that its payload may be gone; is never erased itself.
    pub fn deletes(number: u16) -> bool {
        matches!(number, DELETE | ADMIN_DELETE)
    }
}

/// Unknown kinds from here on are no line of their own: votes, ticks and the like say something about another event, and
/// an older node would show a placeholder for each of them.
pub const SILENT_KINDS: u16 = 0x8000;

/// The content of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Message(Message),
    Edit(Edit),
    Delete(Delete),
    Reaction(Reaction),
    Member(Member),
    MemberAsk(MemberAsk),
    Notice(Notice),
    Resume(Resume),
    AdminDelete(AdminDelete),
    /// Of a kind that this build does not know: shown as "needs a newer version".
    Unknown {
        kind: u16,
        plain: Vec<u8>,
    },
}

/// Why the content of an event is not acceptable. A local author is told; from a partner it folds to a placeholder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    #[error("the content does not decode: {0}")]
    Codec(#[from] CodecError),
    #[error("the text is empty")]
    Empty,
    #[error("the text has {found} characters, at most {limit} are allowed")]
    TooLong { found: usize, limit: usize },
    #[error("the text contains a control character (U+{0:04X})")]
    Control(u32),
    #[error("{0} is not an emoji")]
    NotAnEmoji(String),
    #[error("the content breaks a limit: {0}")]
    Shape(&'static str),
}

impl Event {
    pub fn kind(&self) -> u16 {
        match self {
            Event::Message(_) => kind::MESSAGE,
            Event::Edit(_) => kind::EDIT,
            Event::Delete(_) => kind::DELETE,
            Event::Reaction(_) => kind::REACTION,
            Event::Member(_) => kind::MEMBER,
            Event::MemberAsk(_) => kind::MEMBER_ASK,
            Event::Notice(_) => kind::NOTICE,
            Event::Resume(_) => kind::RESUME,
            Event::AdminDelete(_) => kind::ADMIN_DELETE,
            Event::Unknown { kind, .. } => *kind,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        match self {
            Event::Message(content) => codec::encode(content),
            Event::Edit(content) => codec::encode(content),
            Event::Delete(content) => codec::encode(content),
            Event::Reaction(content) => codec::encode(content),
            Event::Member(content) => codec::encode(content),
            Event::MemberAsk(content) => codec::encode(content),
            Event::Notice(content) => codec::encode(content),
            Event::Resume(content) => codec::encode(content),
            Event::AdminDelete(content) => codec::encode(content),
            Event::Unknown { plain, .. } => plain.clone(),
        }
    }

    pub fn decode(number: u16, plain: &[u8]) -> Result<Event, ContentError> {
        let limit = limits::PAYLOAD_BYTES;
        let event = match number {
            kind::MESSAGE => Event::Message(codec::decode(plain, limit)?),
            kind::EDIT => Event::Edit(codec::decode(plain, limit)?),
            kind::DELETE => Event::Delete(codec::decode(plain, limit)?),
            kind::REACTION => Event::Reaction(codec::decode(plain, limit)?),
            kind::MEMBER => Event::Member(codec::decode(plain, limit)?),
            kind::MEMBER_ASK => Event::MemberAsk(codec::decode(plain, limit)?),
            kind::NOTICE => Event::Notice(codec::decode(plain, limit)?),
            kind::RESUME => Event::Resume(codec::decode(plain, limit)?),
            kind::ADMIN_DELETE => Event::AdminDelete(codec::decode(plain, limit)?),
            _ => Event::Unknown {
                kind: number,
                plain: plain.to_vec(),
            },
        };
        event.check()?;
        Ok(event)
    }

    /// The rule of the family, the same for what is written here and what comes from a partner.
    pub fn check(&self) -> Result<(), ContentError> {
        match self {
            Event::Message(content) => content.check(),
            Event::Edit(content) => content.check(),
            Event::Reaction(content) => content.check(),
            Event::Member(content) => content.check(),
            Event::MemberAsk(content) => content.check(),
            Event::Notice(content) => content.check(),
            Event::Resume(content) => content.check(),
            Event::Delete(_) | Event::AdminDelete(_) | Event::Unknown { .. } => Ok(()),
        }
    }
}

/// A text that people wrote: not empty, bounded, no control characters but line feed and tab.
fn check_text(text: &str) -> Result<(), ContentError> {
    if text.trim().is_empty() {
        return Err(ContentError::Empty);
    }
    let found = text.chars().count();
    if found > limits::TEXT_CHARS {
        return Err(ContentError::TooLong {
            found,
            limit: limits::TEXT_CHARS,
        });
    }
    check_controls(text.chars().filter(|c| !matches!(c, '\n' | '\t')))
}

/// A name, title or nickname: one line without characters that reorder or hide its neighbours.
pub fn check_name(name: &str) -> Result<(), ContentError> {
    if name.len() > limits::NAME_BYTES {
        return Err(ContentError::TooLong {
            found: name.len(),
            limit: limits::NAME_BYTES,
        });
    }
    if let Some(bad) = name.chars().find(|c| reorders_or_hides(*c)) {
        return Err(ContentError::Control(bad as u32));
    }
    check_controls(name.chars())
}

fn check_controls(mut chars: impl Iterator<Item = char>) -> Result<(), ContentError> {
    chars
        .find(|c| c.is_control())
        .map_or(Ok(()), |bad| Err(ContentError::Control(bad as u32)))
}

/// Bidirectional overrides and isolates, zero-width characters, separators (Unicode UAX 9 and UTS 39).
fn reorders_or_hides(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}
