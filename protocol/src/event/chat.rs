//! Notices: what a node tells the people of a chat, as a code that each reader's language turns into words.

use serde::{Deserialize, Serialize};

use super::{ContentError, check_name};

/// Codes of notices. A number is never used again for another meaning.
pub mod notice {
    /// The access of the person (first word: nickname) was reset by their company.
    pub const ACCESS_RESET: u16 = 1;
    /// A person who was asked for (first word: nickname) is not at that company.
    pub const NO_SUCH_PERSON: u16 = 2;
    /// The author took a person out of the chat (words: nickname, id of the person's company). Counts from the chat's owner
    /// and from the person's own company.
    pub const PERSON_REMOVED: u16 = 3;
    /// The author brought a company into the chat (word: its id). Counts from the chat's owner, as the next one.
    pub const COMPANY_ADDED: u16 = 4;
    /// The author took a company out of the chat (word: its id).
    pub const COMPANY_REMOVED: u16 = 5;
    /// The author went on with a message of this chat in a new one (word: its id).
    pub const CONTINUED: u16 = 6;
    /// The author gave the chat another title (word: the title). Counts from the chat's owner.
    pub const TITLE_CHANGED: u16 = 7;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub code: u16,
    pub words: Vec<String>,
}

impl Notice {
    pub(super) fn check(&self) -> Result<(), ContentError> {
        if self.words.len() > 8 {
            return Err(ContentError::Shape("words of a notice"));
        }
        self.words.iter().try_for_each(|word| check_name(word))
    }
}
