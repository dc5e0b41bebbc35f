//! A new text for an earlier message. The greatest (clock, event id) of the author's edits is shown.

use serde::{Deserialize, Serialize};

use super::{ContentError, check_text, mention};
use crate::fields::Fields;
use crate::ids::EventId;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    pub target: EventId,
    pub text: String,
    pub fields: Fields,
}

impl Edit {
    pub(super) fn check(&self) -> Result<(), ContentError> {
        if !self.fields.is_well_formed() {
            return Err(ContentError::Shape("numbered fields"));
        }
        check_text(&self.text)?;
        mention::check(&self.text, &self.fields)
    }
}
