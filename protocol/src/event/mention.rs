//! Whom and which chats a text names: stretches of the text with the ids that they stand for.
//!
//! The author's node resolves names when it sends, so that a nickname that changes hands later still means the same person.
//! A mention never decides what anybody may see; a reader who cannot see a chat sees the words.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::ContentError;
use crate::codec::{self, Blob};
use crate::fields::Fields;
use crate::ids::{ChatId, CompanyId, LocalId, UserId};
use crate::limits;

/// The numbered field of a message and of an edit.
pub const FIELD: u16 = 1;

/// The numbers of what a mention names. A number is never used again for another meaning.
pub mod what {
    /// The id is a company (32 bytes) and the person's local id (16 bytes).
    pub const PERSON: u16 = 1;
    /// The id is a chat (32 bytes).
    pub const CHAT: u16 = 2;
}

/// One stretch of the text, in bytes of UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    pub start: u32,
    pub length: u32,
    /// See [`what`]; of a number that nobody knows only the words are shown.
    pub what: u16,
    pub id: Blob,
}

/// What a mention names, where this build knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mentioned {
    Person(UserId),
    Chat(ChatId),
}

impl Mention {
    pub fn of(start: u32, length: u32, mentioned: Mentioned) -> Mention {
        let (what, id) = match mentioned {
            Mentioned::Person(user) => {
                let id = [user.company.0.as_slice(), &user.local.0].concat();
                (what::PERSON, id)
            }
            Mentioned::Chat(chat) => (what::CHAT, chat.0.to_vec()),
        };
        Mention {
            start,
            length,
            what,
            id: Blob(id),
        }
    }

    pub fn mentioned(&self) -> Option<Mentioned> {
        match self.what {
            what::PERSON => {
                let (company, local) = self.id.0.split_first_chunk::<32>()?;
                let local: [u8; 16] = local.try_into().ok()?;
                Some(Mentioned::Person(UserId {
                    company: CompanyId(*company),
                    local: LocalId(local),
                }))
            }
            what::CHAT => {
                let chat: [u8; 32] = self.id.0.as_slice().try_into().ok()?;
                Some(Mentioned::Chat(ChatId(chat)))
            }
            _ => None,
        }
    }

    pub fn range(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start.saturating_add(self.length as usize)
    }

    /// A known number has its kind of id; of others only the length is bounded.
    fn has_sound_id(&self) -> bool {
        let is_known = matches!(self.what, what::PERSON | what::CHAT);
        self.mentioned().is_some() || !is_known && self.id.0.len() <= limits::MENTION_ID_BYTES
    }
}

/// The fields with these mentions; without any if there are none.
pub fn with_mentions(fields: Fields, mentions: &Vec<Mention>) -> Fields {
    if mentions.is_empty() {
        fields
    } else {
        fields.with(FIELD, codec::encode(mentions))
    }
}

/// The mentions in the fields of a message or an edit that keeps its rules.
pub fn mentions(fields: &Fields) -> Vec<Mention> {
    fields
        .value(FIELD)
        .and_then(|bytes| codec::decode(bytes, limits::PAYLOAD_BYTES).ok())
        .unwrap_or_default()
}

/// Stretches lie within the text, between whole characters, ascend, and do not overlap.
pub(super) fn check(text: &str, fields: &Fields) -> Result<(), ContentError> {
    let Some(bytes) = fields.value(FIELD) else {
        return Ok(());
    };
    let mentions: Vec<Mention> = codec::decode(bytes, limits::PAYLOAD_BYTES)?;
    let mut from = 0;
    let in_order = mentions.iter().all(|mention| {
        let range = mention.range();
        let ascends = range.start >= from && !range.is_empty();
        from = range.end;
        ascends && text.get(range).is_some() && mention.has_sound_id()
    });
    if in_order && (1..=limits::MENTIONS).contains(&mentions.len()) {
        Ok(())
    } else {
        Err(ContentError::Shape("mentions"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: UserId = UserId {
        company: CompanyId([1; 32]),
        local: LocalId([2; 16]),
    };

    fn checked(text: &str, mentions: &Vec<Mention>) -> bool {
        let fields = Fields::none().with(FIELD, codec::encode(mentions));
        check(text, &fields).is_ok()
    }

    fn at(start: u32, length: u32) -> Mention {
        Mention::of(start, length, Mentioned::Person(ANNA))
    }

    #[test]
    fn s19_mentions_lie_within_the_text_in_order() {
        let text = "@анна and @b";
        assert!(checked(text, &vec![at(0, 9), at(14, 2)]));
        for wrong in [
            vec![],
            vec![at(0, 0)],
            vec![at(0, 2)],
            vec![at(14, 3)],
            vec![at(u32::MAX, u32::MAX)],
            vec![at(14, 2), at(0, 9)],
            vec![at(0, 9), at(5, 4)],
            vec![at(0, 1); limits::MENTIONS + 1],
        ] {
            assert!(!checked(text, &wrong), "{wrong:?}");
        }
    }

    #[test]
    fn s19_ids_are_what_their_number_says() {
        let chat = Mentioned::Chat(ChatId([9; 32]));
        let mention = Mention::of(0, 1, chat);
        assert_eq!(mention.mentioned(), Some(chat));
        assert_eq!(at(0, 1).mentioned(), Some(Mentioned::Person(ANNA)));
        let short = Mention {
            id: Blob(vec![9; 31]),
            ..mention.clone()
        };
        assert!(!checked("#", &vec![short]));
        let newer = |bytes| Mention {
            what: 700,
            id: Blob(vec![0; bytes]),
            ..mention.clone()
        };
        assert!(checked("#", &vec![newer(limits::MENTION_ID_BYTES)]));
        assert!(!checked("#", &vec![newer(limits::MENTION_ID_BYTES + 1)]));
        assert_eq!(newer(3).mentioned(), None);
    }
}
