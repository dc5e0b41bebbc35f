//! Everything that a person sees, as lines of text: what an attack changed is the difference of two snapshots.
//!
//! Owns what counts as "shown". Times, marks and unread counters are left out, because honest traffic changes them too;
//! tests that are about them look at them themselves.

use std::collections::BTreeMap;

use anyhow::Result;
use crossport_node::api::facade::{Caller, UseCases};
use crossport_node::api::types::{Message, MessagePageQuery, Person};

use crate::world::Company;

/// Lines with how often each occurs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, usize>);

impl Snapshot {
    /// All chats of a person: rows, members, messages.
    pub async fn of(company: &Company, reader: Caller) -> Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        for chat in company.chats(reader).await? {
            let name = chat.title.clone();
            snapshot.add(format!(
                "chat {:?} {name:?} of {:?}",
                chat.kind, chat.owner.name
            ));
            for member in company
                .node()
                .members(reader, chat.id.clone())
                .await?
                .members
            {
                let invited = if member.invited { " (invited)" } else { "" };
                snapshot.add(format!(
                    "{name:?} member {}{invited}",
                    person(&member.person)
                ));
            }
            let mut before = None;
            loop {
                let query = MessagePageQuery {
                    limit: Some(200),
                    before,
                    ..MessagePageQuery::default()
                };
                let page = company
                    .node()
                    .messages(reader, chat.id.clone(), query)
                    .await?;
                page.messages
                    .iter()
                    .for_each(|message| snapshot.add(format!("{name:?} {}", line(message))));
                before = page.older;
                if before.is_none() {
                    break;
                }
            }
        }
        Ok(snapshot)
    }

    /// Lines that are here and were not there.
    pub fn since(&self, earlier: &Snapshot) -> Vec<String> {
        let more = |(line, count): (&String, &usize)| {
            let before = earlier.0.get(line).copied().unwrap_or(0);
            vec![line.clone(); count.saturating_sub(before)]
        };
        self.0.iter().flat_map(more).collect()
    }

    fn add(&mut self, line: String) {
        *self.0.entry(line).or_insert(0) += 1;
    }
}

fn person(person: &Person) -> String {
    format!(
        "{:?} {:?} of {:?}",
        person.nickname, person.name, person.company.name
    )
}

fn line(message: &Message) -> String {
    let mut line = format!(
        "{:?} {:?} by {}",
        message.kind,
        message.text.as_deref().unwrap_or_default(),
        person(&message.author)
    );
    if let Some(service) = &message.service {
        line.push_str(&format!(" service {:?} {:?}", service.what, service.title));
    }
    if let Some(deleted) = &message.deleted {
        line.push_str(&format!(" deleted by {}", person(&deleted.by)));
    }
    if message.edited_at.is_some() {
        line.push_str(" edited");
    }
    for reaction in &message.reactions {
        let people: Vec<String> = reaction.people.iter().map(person).collect();
        line.push_str(&format!(" {:?} by {people:?}", reaction.emoji));
    }
    line
}
