//! What a forwarded message says of its origin: as the forwarder's node asserts it. Nobody else vouches for it.

use serde::{Deserialize, Serialize};

use super::{ContentError, check_name};
use crate::clock::Time;
use crate::codec;
use crate::fields::Fields;
use crate::ids::{ChatId, EventId, UserId};
use crate::limits;

/// The numbered field of a message.
pub const FIELD: u16 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// Who said it, and of which company.
    pub author: UserId,
    pub name: String,
    pub nickname: String,
    /// When it was said.
    pub time: Time,
    /// Where it stands, if whoever reads this may be led there.
    pub source: Option<(ChatId, EventId)>,
}

impl Forwarded {
    pub fn into_fields(&self, fields: Fields) -> Fields {
        fields.with(FIELD, codec::encode(self))
    }

    /// The origin in the fields of a message that keeps its rules.
    pub fn of(fields: &Fields) -> Option<Forwarded> {
        codec::decode(fields.value(FIELD)?, limits::FORWARDED_BYTES).ok()
    }
}

pub(super) fn check(fields: &Fields) -> Result<(), ContentError> {
    let Some(bytes) = fields.value(FIELD) else {
        return Ok(());
    };
    let forwarded: Forwarded = codec::decode(bytes, limits::FORWARDED_BYTES)?;
    check_name(&forwarded.name)?;
    check_name(&forwarded.nickname)
}
