//! A like or an emoji at a message: the last writer counts per (message, person, emoji).

use serde::{Deserialize, Serialize};

use super::{ContentError, reorders_or_hides};
use crate::ids::EventId;
use crate::limits;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    pub target: EventId,
    pub emoji: String,
    pub present: bool,
}

impl Reaction {
    pub(super) fn check(&self) -> Result<(), ContentError> {
        // The joiner is part of many emoji, and alone is none.
        const JOINER: char = '\u{200D}';
        let unfit =
            |c: char| c.is_control() || c.is_whitespace() || (c != JOINER && reorders_or_hides(c));
        let sound = self.emoji.len() <= limits::EMOJI_BYTES
            && !self.emoji.is_ascii()
            && !self.emoji.chars().any(unfit)
            && self.emoji.chars().any(|c| c != JOINER);
        if sound {
            Ok(())
        } else {
            Err(ContentError::NotAnEmoji(
                self.emoji.chars().take(16).collect(),
            ))
        }
    }
}
