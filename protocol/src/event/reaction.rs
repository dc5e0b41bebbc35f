//! A like or an emoji at a message: the last writer counts per (message, person, emoji).

use serde::{Deserialize, Serialize};

use super::ContentError;
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
        let sound = !self.emoji.is_empty()
            && self.emoji.len() <= limits::EMOJI_BYTES
            && !self.emoji.is_ascii()
            && !self
                .emoji
                .chars()
                .any(|c| c.is_control() || c.is_whitespace());
        if sound {
            Ok(())
        } else {
            Err(ContentError::NotAnEmoji(
                self.emoji.chars().take(16).collect(),
            ))
        }
    }
}
