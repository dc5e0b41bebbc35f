//! Notices: what a node tells the people of a chat, as a code that each reader's language turns into words.

use serde::{Deserialize, Serialize};

use super::{ContentError, check_name};

/// Codes of notices. A number is never used again for another meaning.
pub mod notice {
    /// The access of the person (first word: nickname) was reset by their company.
    pub const ACCESS_RESET: u16 = 1;
    /// A person who was asked for (first word: nickname) is not at that company.
    pub const NO_SUCH_PERSON: u16 = 2;
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
