//! Who plays: two companies and two people of each, as Anna of the first company sees them.

use crate::errors::Failure;
use crate::stage::{Company, Person};
use crossport_node::api::types::{Message, MessageKind};

#[derive(Debug)]
pub struct Cast {
    pub acme: Company,
    pub globex: Company,
    pub anna: Person,
    pub alex: Person,
    pub boris: Person,
    pub bella: Person,
    /// Anna and Boris.
    pub direct: String,
    /// All four.
    pub group: String,
    /// Everything that was ever written, to look for where it must not be.
    pub said: Vec<String>,
}

/// Most messages of one chat in this story; one page holds them all.
pub const PAGE: u32 = 200;

impl Cast {
    /// Who writes the missed message with this number, which begins with 0. Only the author sees who has it.
    pub fn author_of_missed(&self, number: usize) -> &Person {
        if number % 3 == 1 {
            &self.alex
        } else {
            &self.anna
        }
    }

    pub fn everyone(&self) -> [&Person; 4] {
        [&self.anna, &self.alex, &self.boris, &self.bella]
    }

    /// What a person reads in a chat, in its order: id and text.
    pub async fn texts(reader: &Person, chat: &str) -> Result<Vec<(String, String)>, Failure> {
        let page = reader.page(chat, None, PAGE).await?;
        let written = |message: Message| {
            let text = message.text.filter(|_| message.kind == MessageKind::Text)?;
            Some((message.id, text))
        };
        Ok(page.messages.into_iter().filter_map(written).collect())
    }
}
