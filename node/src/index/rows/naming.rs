//! Rows of what messages say of others: whom they mention, and what they reply to.

use crossport_protocol::ids::{CompanyId, EventId, Handle, LocalId};
use serde::{Deserialize, Serialize};

use super::{key, short};

/// A message that names an own person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MentionRow {
    pub id: EventId,
    pub company: CompanyId,
    pub author: Handle,
}

/// A message that replies to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyRow {
    pub id: EventId,
    pub target: EventId,
}

pub fn mention(chat: u32, user: &LocalId, arrival: u64) -> Vec<u8> {
    key(
        b'j',
        &[&chat.to_be_bytes(), &user.0, &arrival.to_be_bytes()],
    )
}

/// Behind every mention of the person in the chat.
pub fn mentions_end(chat: u32, user: &LocalId) -> Vec<u8> {
    key(b'j', &[&chat.to_be_bytes(), &user.0, &[0xff; 9]])
}

pub fn replies_of(chat: u32, target: &EventId) -> Vec<u8> {
    key(
        b'y',
        &[
            &chat.to_be_bytes(),
            &short(&target.envelope),
            &target.place.to_be_bytes(),
        ],
    )
}

pub fn reply(chat: u32, target: &EventId, id: &EventId) -> Vec<u8> {
    let mut key = replies_of(chat, target);
    key.extend_from_slice(&short(&id.envelope));
    key.extend_from_slice(&id.place.to_be_bytes());
    key
}
