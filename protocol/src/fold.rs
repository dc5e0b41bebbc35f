//! From events to what is shown. Folds are free of order: every branch of every stream counts, whatever came first.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Clock;
use crate::event::{Event, kind};
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
    /// When the text that is shown was written, if it is an edit, and which.
    pub edited: Option<Clock>,
    pub edit: Option<EventId>,
    pub deleted_by: Option<Actor>,
    pub deleted_at: Option<Clock>,
    pub reactions: BTreeMap<String, BTreeSet<Actor>>,
}

/// Folds a message with the events that name it, in any order.
///
/// `author` is who wrote the message; `text` is None when its payload is not here. Only the author edits; who may delete
/// says [`may_delete`], and the first of several deletes is the one that is shown.
pub fn fold_message(
    author: Actor,
    owner: &CompanyId,
    text: Option<&str>,
    related: &[Fact],
) -> MessageState {
    let mut state = MessageState {
        text: text.map(str::to_owned),
        ..MessageState::default()
    };
    let by_author = || related.iter().filter(|fact| fact.actor == author);
    let edits = by_author().filter_map(|fact| match &fact.event {
        Event::Edit(edit) => Some(((fact.clock, fact.id), &edit.text)),
        _ => None,
    });
    if let Some(((clock, id), text)) = edits.max_by_key(|(order, _)| *order) {
        state.text = Some(text.clone());
        state.edited = Some(clock);
        state.edit = Some(id);
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
    let deletes = related
        .iter()
        .filter(|fact| may_delete(fact.event.kind(), &fact.actor, &author, owner));
    if let Some(first) = deletes.min_by_key(|fact| (fact.clock, fact.id)) {
        state = MessageState {
            deleted_by: Some(first.actor),
            deleted_at: Some(first.clock),
            ..MessageState::default()
        };
    }
    state
}

/// Whether an event of this kind, by this actor, ends what `author` said: the author's own delete, or an administrator's of
/// the author's company or of the company that owns the chat.
pub fn may_delete(number: u16, by: &Actor, author: &Actor, owner: &CompanyId) -> bool {
    match number {
        kind::DELETE => by == author,
        kind::ADMIN_DELETE => {
            by.handle != Handle::ZERO && (by.company == author.company || by.company == *owner)
        }
        _ => false,
    }
}

/// The message that an event is about, if it is about one.
pub fn target_of(event: &Event) -> Option<EventId> {
    match event {
        Event::Edit(edit) => Some(edit.target),
        Event::Delete(delete) => Some(delete.target),
        Event::AdminDelete(delete) => Some(delete.target),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AdminDelete, Delete};
    use crate::ids::Hash;

    const ACME: CompanyId = CompanyId([1; 32]);
    const GLOBEX: CompanyId = CompanyId([2; 32]);
    const INITECH: CompanyId = CompanyId([3; 32]);

    fn actor(company: CompanyId, handle: u8) -> Actor {
        Actor {
            company,
            handle: Handle([handle; 16]),
        }
    }

    #[test]
    fn s34_who_may_delete_follows_from_companies_alone() {
        let boris = actor(GLOBEX, 1);
        let may = |number, by: Actor| may_delete(number, &by, &boris, &ACME);
        assert!(may(kind::DELETE, boris));
        assert!(!may(kind::DELETE, actor(GLOBEX, 2)));
        assert!(may(kind::ADMIN_DELETE, actor(GLOBEX, 2)));
        assert!(may(kind::ADMIN_DELETE, actor(ACME, 9)));
        assert!(!may(kind::ADMIN_DELETE, actor(INITECH, 9)));
        // A node by itself is nobody's administrator.
        assert!(!may(kind::ADMIN_DELETE, actor(ACME, 0)));
        assert!(!may(kind::EDIT, boris));
    }

    #[test]
    fn s34_the_first_delete_is_shown_whatever_came_first() {
        let target = EventId {
            envelope: Hash([7; 32]),
            place: 0,
        };
        let fact = |clock, actor, event| Fact {
            id: EventId {
                envelope: Hash([clock as u8; 32]),
                place: 0,
            },
            clock: Clock(clock),
            actor,
            event,
        };
        let boris = actor(GLOBEX, 1);
        let mut facts = vec![
            fact(
                30,
                actor(ACME, 9),
                Event::AdminDelete(AdminDelete { target }),
            ),
            fact(20, boris, Event::Delete(Delete { target })),
            fact(
                10,
                actor(INITECH, 9),
                Event::AdminDelete(AdminDelete { target }),
            ),
        ];
        let state = fold_message(boris, &ACME, Some("text"), &facts);
        assert_eq!(state.deleted_by, Some(boris));
        assert_eq!(
            (state.text.clone(), state.deleted_at),
            (None, Some(Clock(20)))
        );
        facts.reverse();
        assert_eq!(fold_message(boris, &ACME, Some("text"), &facts), state);
    }
}
