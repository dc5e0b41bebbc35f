//! The end of a message by an administrator who takes part in the chat: of its author's company, or of the chat's owner.
//!
//! Who is an administrator is the word of their company, which signs; which company may speak about which message is a rule
//! (`fold::may_delete`) over headers alone, so that everybody judges alike whether they can read it or not.

use serde::{Deserialize, Serialize};

use crate::ids::EventId;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminDelete {
    pub target: EventId,
}
