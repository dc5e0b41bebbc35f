//! What people and owners do in a world.

use super::{Made, World};
use crate::event::{Event, Member, MemberAction, UserCard};
use crate::fields::Fields;
use crate::ids::{ChatId, EventId, Handle, Head, LocalId};
use crate::owner_log::{ChatKind, History, StreamCut};
use crate::replicator::{AppendError, Draft, OwnerActError, ReadLog, RecallError};
use crate::sim::counts::{Fault, Invariant, Violation};
use crate::sim::quiet::{admin_delete, delete, edit, message, reaction};
use crate::sim::shell::Seen;
use crate::sim::watch::{Cause, Checked};

/// Chats of one world: few, so that they get into each other's way.
const CHATS: usize = 3;

impl World {
    pub(super) fn act(&mut self) -> Checked {
        let up: Vec<usize> = (0..self.nodes.len())
            .filter(|index| self.is_up(*index))
            .collect();
        let Some(mut node) = self.random.pick(&up).copied() else {
            return Ok(());
        };
        if self.chats.is_empty() || self.chats.len() < CHATS && self.random.one_in(40) {
            return self.make_chat(node);
        }
        let Some(made) = self.random.pick(&self.chats).copied() else {
            return Ok(());
        };
        if self.is_up(made.owner) && self.random.one_in(6) {
            return self.decide(made);
        }
        let writers: Vec<usize> = up
            .into_iter()
            .filter(|index| self.may_write(*index, &made.id))
            .collect();
        // Now and then somebody tries who may not.
        if !self.random.one_in(20) {
            let Some(writer) = self.random.pick(&writers) else {
                return Ok(());
            };
            node = *writer;
        }
        match self.random.below(20) {
            0..=8 => self.post(node, made.id),
            9..=10 => self.change(node, made.id, Fault::Edit),
            11 => self.change(node, made.id, Fault::Delete),
            12 => self.change(node, made.id, Fault::AdminDelete),
            13..=14 => self.change(node, made.id, Fault::Reaction),
            15 => self.join_or_leave(node, made.id),
            16 => self.recall(node, made.id),
            _ => self.read(node, made.id),
        }
    }

    fn may_write(&self, node: usize, chat: &ChatId) -> bool {
        let replicator = &self.node(node).replicator;
        replicator.chat(chat).is_some_and(|held| {
            let owner = held.owner();
            owner.is_member(&replicator.company()) && replicator.key(chat, owner.epoch()).is_some()
        })
    }

    /// It takes part again after a removal.
    fn was_readded(&self, node: usize, chat: &ChatId) -> bool {
        let company = self.watch.company(node);
        let held = self.node(node).replicator.chat(chat);
        held.is_some_and(|held| {
            let mut spans = held.owner().spans();
            held.owner().is_member(&company)
                && spans.any(|(at, spans)| *at == company && spans.len() > 1)
        })
    }

    pub(super) fn make_chat(&mut self, node: usize) -> Checked {
        // The first company knows all others, so that its chats have guests.
        let owner = if self.chats.is_empty() && self.is_up(0) {
            0
        } else {
            node
        };
        let (history, fault) = if self.random.one_in(2) {
            (History::FULL, Fault::FullHistory)
        } else {
            (History::FROM_JOINING, Fault::FromJoining)
        };
        self.watch.counts.fault(fault);
        let made = self.call(owner, Cause::Local, |replicator, cx| {
            replicator.create_chat(cx, ChatKind::GROUP, history, Some("Plans"))
        })?;
        let id = made.map_err(|error| unexpected(owner, &error))?;
        self.chats.push(Made { id, owner });
        for guest in 0..self.nodes.len() {
            if guest != owner && self.random.below(4) > 0 {
                self.invite(Made { id, owner }, guest)?;
            }
        }
        self.settle(owner)
    }

    /// The owner changes who takes part, or the key, or who may write.
    fn decide(&mut self, made: Made) -> Checked {
        let guest = self.random.below(self.nodes.len());
        if guest == made.owner {
            return self.rotate(made);
        }
        let company = self.watch.company(guest);
        let owner = self.node(made.owner).replicator.chat(&made.id);
        let Some(owner) = owner.map(|chat| chat.owner()) else {
            return Ok(());
        };
        let (is_member, was_member) = (
            owner.is_member(&company),
            owner.spans().any(|(held, _)| *held == company),
        );
        match (is_member, self.random.below(4)) {
            (true, 0 | 1) => {
                let done = self.call(made.owner, Cause::Local, |replicator, cx| {
                    replicator.remove(cx, made.id, company)
                })?;
                self.decided(made.owner, done)?;
            }
            (true, _) => self.bar(made, guest)?,
            (false, _) => {
                if was_member {
                    self.watch.counts.fault(Fault::Readding);
                }
                self.invite(made, guest)?;
            }
        }
        self.settle(made.owner)
    }

    pub(super) fn invite(&mut self, made: Made, guest: usize) -> Checked {
        let company = self.watch.company(guest);
        let expires = self.now_at(made.owner).plus_ms(24 * 3_600_000);
        let done = self.call(made.owner, Cause::Local, |replicator, cx| {
            replicator.invite(cx, made.id, company, expires)
        })?;
        self.decided(made.owner, done)
    }

    pub(super) fn rotate(&mut self, made: Made) -> Checked {
        self.watch.counts.fault(Fault::RotatedEpoch);
        let done = self.call(made.owner, Cause::Local, |replicator, cx| {
            replicator.rotate(cx, made.id)
        })?;
        self.decided(made.owner, done)?;
        self.settle(made.owner)
    }

    fn bar(&mut self, made: Made, guest: usize) -> Checked {
        self.watch.counts.fault(Fault::Bar);
        let (company, handle) = (self.watch.company(guest), self.person(guest, 1));
        let barred = self.random.one_in(2);
        let done = self.call(made.owner, Cause::Local, |replicator, cx| {
            replicator.bar(cx, made.id, company, handle, barred)
        })?;
        self.decided(made.owner, done)
    }

    /// What an owner may be refused: it is not sure of its log, the chat is frozen, the act makes no sense.
    pub(super) fn decided(&mut self, owner: usize, done: Result<(), OwnerActError>) -> Checked {
        use crate::owner_log::RecordError;
        match done {
            Ok(())
            | Err(
                OwnerActError::Unsure
                | OwnerActError::NoChat
                | OwnerActError::Record(RecordError::Frozen | RecordError::Rule(_)),
            ) => Ok(()),
            Err(error) => Err(unexpected(owner, &error)),
        }
    }

    pub(super) fn append(&mut self, node: usize, chat: ChatId, drafts: Vec<Draft>) -> Checked {
        let again = self.was_readded(node, &chat);
        let done = self.call(node, Cause::Local, |replicator, cx| {
            replicator.append(cx, chat, &drafts)
        })?;
        let refused = matches!(done, Err(AppendError::Refused(_) | AppendError::Content(_)));
        let facts = self.node(node).facts.get(&chat);
        let shows = |id: &EventId| facts.is_some_and(|facts| facts.contains_key(id));
        let shown = done.iter().flatten().all(shows);
        let invariant = if again {
            Invariant::ReaddedCounts
        } else {
            Invariant::OwnEventsAccepted
        };
        self.watch.counts.check(invariant, !refused && shown, || {
            format!("node {node} cannot write: {done:?}")
        })?;
        self.settle(node)
    }

    fn post(&mut self, node: usize, chat: ChatId) -> Checked {
        self.watch.counts.fault(Fault::Post);
        let count = 1 + self.random.below(3);
        let drafts = (0..count)
            .map(|_| {
                let which = self.random.below(2);
                let event = if self.random.one_in(20) {
                    self.watch.counts.fault(Fault::UnknownKind);
                    Event::Unknown {
                        kind: 999,
                        plain: vec![1, 2, 3],
                    }
                } else {
                    message(&format!("text {}", self.random.below(1_000_000)))
                };
                Draft {
                    actor: self.person(node, which),
                    event,
                }
            })
            .collect();
        self.append(node, chat, drafts)
    }

    /// A message that a node shows, its own or anybody's.
    fn some_message(&mut self, node: usize, chat: ChatId, own: bool) -> Option<(EventId, Seen)> {
        let company = self.watch.company(node);
        let facts = self.node(node).facts.get(&chat)?;
        let messages: Vec<EventId> = facts
            .iter()
            .filter(|(_, seen)| matches!(seen.event, Some(Event::Message(_))))
            .filter(|(_, seen)| !own || seen.actor.company == company)
            .map(|(id, _)| *id)
            .collect();
        let id = self.random.pick(&messages).copied()?;
        let seen = self.node(node).facts.get(&chat)?.get(&id)?.clone();
        Some((id, seen))
    }

    fn change(&mut self, node: usize, chat: ChatId, what: Fault) -> Checked {
        let own = match what {
            Fault::Reaction => false,
            Fault::AdminDelete => !self.owns(node, &chat),
            _ => true,
        };
        let by_author = matches!(what, Fault::Edit | Fault::Delete);
        let Some((target, seen)) = self.some_message(node, chat, own) else {
            return self.post(node, chat);
        };
        self.watch.counts.fault(what);
        let actor = if by_author {
            seen.actor.handle
        } else {
            self.person(node, 0)
        };
        let events = match what {
            Fault::Edit => vec![edit(
                target,
                &format!("new text {}", self.random.below(1_000_000)),
            )],
            Fault::Delete => self.deletes(node, chat, target, actor),
            Fault::AdminDelete => vec![admin_delete(target)],
            _ => vec![reaction(target, self.random.one_in(2))],
        };
        let drafts = events.into_iter().map(|event| Draft { actor, event });
        self.append(node, chat, drafts.collect())
    }

    fn owns(&self, node: usize, chat: &ChatId) -> bool {
        let replicator = &self.node(node).replicator;
        let held = replicator.chat(chat);
        held.is_some_and(|held| held.owner().owner() == replicator.company())
    }

    /// Deleting a message deletes what its author had made of it, too: an edit carries a text of its own.
    fn deletes(&self, node: usize, chat: ChatId, target: EventId, actor: Handle) -> Vec<Event> {
        let facts = self.node(node).facts.get(&chat).into_iter().flatten();
        let edits = facts.filter(|(_, seen)| {
            let of_target = matches!(&seen.event, Some(Event::Edit(edit)) if edit.target == target);
            of_target && seen.actor.handle == actor
        });
        let edits = edits.map(|(id, _)| delete(*id));
        [delete(target)].into_iter().chain(edits).collect()
    }

    fn join_or_leave(&mut self, node: usize, chat: ChatId) -> Checked {
        self.watch.counts.fault(Fault::Member);
        let action = if self.random.one_in(2) {
            MemberAction::JOIN
        } else {
            MemberAction::LEAVE
        };
        let which = self.random.below(2);
        let card = UserCard {
            local: LocalId([which as u8 + 1; 16]),
            name: "Anna".to_owned(),
            nickname: "anna".to_owned(),
            title: String::new(),
            fields: Fields::none(),
        };
        let draft = Draft {
            actor: self.person(node, which),
            event: Event::Member(Member { action, card }),
        };
        self.append(node, chat, vec![draft])
    }

    fn recall(&mut self, node: usize, chat: ChatId) -> Checked {
        let Some((target, seen)) = self.some_message(node, chat, true) else {
            return Ok(());
        };
        let done = self.call(node, Cause::Local, |replicator, cx| {
            replicator.recall(cx, chat, target, seen.actor.handle)
        })?;
        match done {
            Ok(_) => {
                self.watch.counts.fault(Fault::Recall);
                self.watch.recalled(node, &self.nodes, chat, target)?;
            }
            Err(RecallError::MayHaveLeft(_)) => self.watch.counts.fault(Fault::RecallRefused),
            Err(_) => {}
        }
        self.settle(node)
    }

    /// A person reads up to somewhere in some streams.
    fn read(&mut self, node: usize, chat: ChatId) -> Checked {
        let Some(held) = self.node(node).replicator.chat(&chat) else {
            return Ok(());
        };
        let delivered = held.delivered();
        let mut heads = Vec::new();
        for cut in delivered {
            if self.random.one_in(3) {
                continue;
            }
            let back = self.random.below(3);
            let shown = cut
                .heads
                .iter()
                .map(|head| self.some_way_back(node, &chat, *head, back));
            heads.push(StreamCut {
                stream: cut.stream,
                heads: shown.filter(|head| *head != Head::START).collect(),
            });
        }
        heads.retain(|cut| !cut.heads.is_empty());
        self.watch.counts.fault(Fault::Read);
        let which = self.random.below(2);
        let handle = self.person(node, which);
        self.watch.asked_to_mark_read(node, chat, handle, &heads);
        self.call(node, Cause::Local, |replicator, cx| {
            replicator.mark_read(cx, chat, handle, &heads)
        })?;
        self.settle(node)
    }

    fn some_way_back(&self, node: usize, chat: &ChatId, head: Head, steps: usize) -> Head {
        let mut at = head;
        for _ in 0..steps {
            match self.node(node).log.link(chat, &at.hash) {
                Some(link) => at = link.parent,
                None => break,
            }
        }
        at
    }
}

fn unexpected(node: usize, error: &OwnerActError) -> Violation {
    Violation {
        invariant: Invariant::OwnEventsAccepted,
        detail: format!("node {node} cannot decide: {error}"),
    }
}
