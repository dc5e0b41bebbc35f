//! Who takes part. Each company manages its own people in its own stream and is believed about them; another company
//! can only ask.

use serde::{Deserialize, Serialize};

use super::{ContentError, check_name};
use crate::fields::Fields;
use crate::ids::{CompanyId, LocalId};

/// How a person is shown to companies that share a chat with them. The latest wins; it never decides validity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCard {
    pub local: LocalId,
    pub name: String,
    pub nickname: String,
    pub title: String,
    pub fields: Fields,
}

/// Numbers of a card's fields. Whoever does not know one keeps it and shows the rest.
pub mod card {
    /// Empty. The person took part already: only how they are shown is new, nobody came in.
    pub const RENEWED: u16 = 1;
}

impl UserCard {
    /// Not an arrival: see [`card::RENEWED`].
    pub fn is_renewed(&self) -> bool {
        self.fields.value(card::RENEWED).is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberAction(pub u16);

impl MemberAction {
    pub const JOIN: MemberAction = MemberAction(1);
    pub const LEAVE: MemberAction = MemberAction(2);
}

/// The event's actor handle now stands for this person, or no longer does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub action: MemberAction,
    pub card: UserCard,
}

impl Member {
    pub(super) fn check(&self) -> Result<(), ContentError> {
        if !self.card.fields.is_well_formed() {
            return Err(ContentError::Shape("numbered fields"));
        }
        [&self.card.name, &self.card.nickname, &self.card.title]
            .into_iter()
            .try_for_each(|text| check_name(text))
    }
}

/// Asks a company to let one of its people join (by nickname) or leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberAsk {
    pub company: CompanyId,
    pub action: MemberAction,
    pub nickname: String,
}

impl MemberAsk {
    pub(super) fn check(&self) -> Result<(), ContentError> {
        if self.nickname.is_empty() {
            Err(ContentError::Empty)
        } else {
            check_name(&self.nickname)
        }
    }
}
