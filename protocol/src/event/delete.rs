//! The end of a message. It wins over every edit and may arrive before its target; nodes erase the target's payload.

use serde::{Deserialize, Serialize};

use crate::ids::EventId;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    pub target: EventId,
}
