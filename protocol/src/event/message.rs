//! A chat message.

use serde::{Deserialize, Serialize};

use super::{ContentError, check_text, forward, mention};
use crate::fields::Fields;
use crate::ids::EventId;

/// A text that a person wrote. Numbered fields: 1 whom it names (`mention`), 2 where it comes from
/// (`forward`); files and the like will come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub text: String,
    pub reply_to: Option<EventId>,
    pub fields: Fields,
}

impl Message {
    pub fn text(text: impl Into<String>) -> Message {
        Message {
            text: text.into(),
            reply_to: None,
            fields: Fields::none(),
        }
    }

    pub(super) fn check(&self) -> Result<(), ContentError> {
        if !self.fields.is_well_formed() {
            return Err(ContentError::Shape("numbered fields"));
        }
        check_text(&self.text)?;
        mention::check(&self.text, &self.fields)?;
        forward::check(&self.fields)
    }
}
