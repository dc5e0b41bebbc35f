//! From events to what is shown. Folds are free of order: every branch of every stream counts, whatever came first.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Clock;
use crate::event::Event;
use crate::ids::{CompanyId, EventId, Handle, UserId};

/// Who acted: a handle counts only together with the company that manages it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    pub company: CompanyId,
    pub handle: Handle,
}

/// One event that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub id: EventId,
    pub clock: Clock,
    pub actor: Actor,
    pub event: Event,
}

/// A message with everything that was said about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageState {
    /// The newest text; None when it is deleted, erased or not readable.
    pub text: Option<String>,
    /// When the text that is shown was written, if it is an edit.
    pub edited: Option<Clock>,
    pub deleted_by: Option<Actor>,
    pub reactions: BTreeMap<String, BTreeSet<Actor>>,
}

/// Folds a message with the events that name it, in any order.
///
/// `author` is who wrote the message; `text` is None when its payload is not here. Only the author edits and deletes
/// (deletion by administrators comes with roles).
pub fn fold_message(author: Actor, text: Option<&str>, related: &[Fact]) -> MessageState {
    let mut state = MessageState {
        text: text.map(str::to_owned),
        ..MessageState::default()
    };
    let by_author = || related.iter().filter(|fact| fact.actor == author);
    let edits = by_author().filter_map(|fact| match &fact.event {
        Event::Edit(edit) => Some(((fact.clock, fact.id), &edit.text)),
        _ => None,
    });
    if let Some(((clock, _), text)) = edits.max_by_key(|(order, _)| *order) {
        state.text = Some(text.clone());
        state.edited = Some(clock);
    }
    let mut last: BTreeMap<(Actor, &str), (Clock, EventId, bool)> = BTreeMap::new();
    for fact in related {
        if let Event::Reaction(reaction) = &fact.event {
            let entry = (fact.clock, fact.id, reaction.present);
            let held = last.entry((fact.actor, &reaction.emoji)).or_insert(entry);
            *held = (*held).max(entry);
        }
    }
    for ((actor, emoji), (_, _, present)) in last {
        if present {
            state
                .reactions
                .entry(emoji.to_owned())
                .or_default()
                .insert(actor);
        }
    }
    if by_author().any(|fact| matches!(fact.event, Event::Delete(_))) {
        state = MessageState {
            deleted_by: Some(author),
            ..MessageState::default()
        };
    }
    state
}

/// The message that an event is about, if it is about one.
pub fn target_of(event: &Event) -> Option<EventId> {
    match event {
        Event::Edit(edit) => Some(edit.target),
        Event::Delete(delete) => Some(delete.target),
        Event::Reaction(reaction) => Some(reaction.target),
        _ => None,
    }
}

/// Whom a handle stands for and whether that person takes part, by the greatest (clock, event id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub user: UserId,
    pub name: String,
    pub nickname: String,
    pub title: String,
    pub present: bool,
    pub since: Clock,
    pub event: EventId,
}

/// Folds one member event into the people of a chat.
pub fn fold_member(people: &mut BTreeMap<Actor, Membership>, fact: &Fact) {
    let Event::Member(member) = &fact.event else {
        return;
    };
    let new = Membership {
        user: UserId {
            company: fact.actor.company,
            local: member.card.local,
        },
        name: member.card.name.clone(),
        nickname: member.card.nickname.clone(),
        title: member.card.title.clone(),
        present: member.action == crate::event::MemberAction::JOIN,
        since: fact.clock,
        event: fact.id,
    };
    match people.get(&fact.actor) {
        Some(held) if (held.since, held.event) >= (new.since, new.event) => {}
        _ => {
            people.insert(fact.actor, new);
        }
    }
}
