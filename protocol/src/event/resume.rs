//! The first event of an incarnation that a restored node opens: it names the heads of the old streams that it knows.
//! It voids nothing; every branch counts.

use serde::{Deserialize, Serialize};

use super::ContentError;
use crate::ids::{Head, StreamId};
use crate::limits;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    pub old: Vec<(StreamId, Head)>,
}

impl Resume {
    pub(super) fn check(&self) -> Result<(), ContentError> {
        if self.old.len() > limits::HEADS_PER_COMPANY {
            Err(ContentError::Shape("heads of a resume"))
        } else {
            Ok(())
        }
    }
}
