//! From held to delivered: opening payloads with epoch keys, and destroying what a delete names.

use super::chat::is_ancestor;
use super::{Context, Origin, Output, Replicator};
use crate::envelope::{EventHeader, VerifiedEnvelope};
use crate::event::{Event, kind};
use crate::fold::{Actor, may_delete, target_of};
use crate::frame::EnvelopeItem;
use crate::ids::{ChatId, EventId, Handle, Head, StreamId};
use crate::limits;
use crate::stream::StreamState;

impl Replicator {
    /// Counts an envelope as delivered if its key is here or never will be; otherwise it waits for
    /// [`Self::deliver_waiting`].
    pub(super) fn deliver(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        envelope: VerifiedEnvelope,
    ) -> bool {
        let chat_id = envelope.header.chat;
        let epoch = envelope.header.epoch;
        let key = self.keys.get(&(chat_id, epoch));
        if key.is_none() && self.is_entitled(&chat_id, epoch) {
            return false;
        }
        // What an earlier part of this call erased is still in the copy at hand.
        let is_gone = |place| self.fresh.is_erased(&envelope.event_id(place));
        let plains: Vec<_> = (0..envelope.header.events.len())
            .map(|place| envelope.open(place, key?).filter(|_| !is_gone(place)))
            .collect();
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return false;
        };
        let own = envelope.header.stream.company == self.company;
        let state = chat.core.streams.entry(envelope.header.stream).or_default();
        state.deliver(envelope.parent(), envelope.head());
        chat.statement_due |= !own && origin != Origin::Replay;
        let erased = self.note_deletes(cx, &envelope, &plains);
        cx.out.push(Output::Delivered {
            chat: chat_id,
            envelope: Box::new(envelope),
            plains,
            origin,
        });
        for (target, by) in erased {
            self.fresh.erase(target);
            cx.out.push(Output::Erase {
                chat: chat_id,
                target,
                by,
            });
        }
        true
    }

    /// After a key arrived: what is held but was not readable becomes delivered, in order.
    pub(super) fn deliver_waiting(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        chat_id: ChatId,
    ) {
        let Some(chat) = self.chats.get(&chat_id) else {
            return;
        };
        let waiting: Vec<(StreamId, StreamState)> = chat
            .core
            .streams
            .iter()
            .filter(|(_, state)| !state.is_delivered_whole())
            .map(|(stream, state)| (*stream, state.clone()))
            .collect();
        for (stream, state) in waiting {
            let tips = state.heads().filter(|head| !state.delivered.contains(head));
            for tip in tips {
                self.deliver_branch(cx, origin, chat_id, &stream, tip);
            }
        }
    }

    /// The first thing after the restoring: what is here and readable counts, even if the key came just before the end.
    pub(super) fn settle_restored(&mut self, cx: &mut Context<'_>) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let chats: Vec<ChatId> = self.chats.keys().copied().collect();
        for chat in chats {
            self.deliver_waiting(cx, Origin::Replay, chat);
        }
        if !self.continuity {
            self.expose_all(cx);
            self.store_footings_due(cx);
        }
    }

    fn deliver_branch(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        chat_id: ChatId,
        stream: &StreamId,
        tip: Head,
    ) {
        const BATCH_BYTES: usize = limits::FRAME_BYTES;
        let delivered = self
            .chats
            .get(&chat_id)
            .and_then(|chat| chat.core.streams.get(stream))
            .map(|state| state.delivered.clone())
            .unwrap_or_default();
        // On a branch the nearest delivered head before the tip; otherwise any: the path begins where they part.
        let before = delivered
            .iter()
            .filter(|head| is_ancestor(cx.log, &chat_id, **head, tip))
            .max()
            .or(delivered.iter().max());
        let mut from = before.copied().unwrap_or(Head::START);
        while from != tip {
            let items = cx.log.path(&chat_id, stream, from, tip, BATCH_BYTES);
            match self.deliver_items(cx, origin, &items) {
                Some(head) if head != from => from = head,
                _ => break,
            }
        }
    }

    /// The last head that was delivered; None when an item must still wait.
    fn deliver_items(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        items: &[EnvelopeItem],
    ) -> Option<Head> {
        let mut reached = None;
        for item in items {
            let envelope = item.envelope.verify(self.suite).ok()?;
            let head = envelope.head();
            if !self.deliver(cx, origin, envelope) {
                return None;
            }
            reached = Some(head);
        }
        reached
    }

    /// Deletes destroy payloads: of targets that are here at once, of others when they arrive. Returns what is to be
    /// erased, with the delete that wants it.
    fn note_deletes(
        &mut self,
        cx: &Context<'_>,
        envelope: &VerifiedEnvelope,
        plains: &[Option<Vec<u8>>],
    ) -> Vec<(EventId, EventId)> {
        let mut erased = Vec::new();
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::SkipErasure) {
            return erased;
        }
        let chat_id = envelope.header.chat;
        for (place, (event, plain)) in envelope.header.events.iter().zip(plains).enumerate() {
            let id = envelope.event_id(place);
            if kind::deletes(event.kind)
                && let Some(Ok(delete)) =
                    plain.as_ref().map(|plain| Event::decode(event.kind, plain))
                && let Some(target) = target_of(&delete)
                && self.note_delete(cx, envelope, event, target, id)
            {
                erased.push((target, id));
            }
            let Some(chat) = self.chats.get_mut(&chat_id) else {
                return erased;
            };
            if let Some(by) = chat.core.deletes_ahead.remove(&id)
                && self.may_have_deleted(cx, chat_id, by, envelope, event.actor)
                && !kind::deletes(event.kind)
                && !envelope.is_erased(place)
            {
                erased.push((id, by));
            }
        }
        erased
    }

    /// True when the target is here and its payload is to be destroyed now.
    fn note_delete(
        &mut self,
        cx: &Context<'_>,
        delete: &VerifiedEnvelope,
        event: &EventHeader,
        target: EventId,
        by: EventId,
    ) -> bool {
        let chat_id = delete.header.chat;
        let past = self.fresh.over(cx.log);
        let deleting = Actor {
            company: delete.header.stream.company,
            handle: event.actor,
        };
        match past.written(&chat_id, &target) {
            // The payload of a delete is what proves the erasure to others: it stays.
            Some(written) => {
                let author = Actor {
                    company: written.company,
                    handle: written.actor,
                };
                self.may_delete(&chat_id, event.kind, &deleting, &author)
                    && !kind::deletes(written.kind)
                    && !written.erased
            }
            None => {
                if let Some(chat) = self.chats.get_mut(&chat_id)
                    && chat.core.deletes_ahead.len() < limits::PENDING_ITEMS
                {
                    chat.core.deletes_ahead.insert(target, by);
                }
                false
            }
        }
    }

    /// As the fold says it; who owns a chat that is not here is not known.
    pub(super) fn may_delete(
        &self,
        chat: &ChatId,
        number: u16,
        by: &Actor,
        author: &Actor,
    ) -> bool {
        let held = self.chats.get(chat);
        held.is_some_and(|held| may_delete(number, by, author, &held.owner().owner()))
    }

    /// The delete event that came first is by somebody who may delete its target.
    fn may_have_deleted(
        &self,
        cx: &Context<'_>,
        chat_id: ChatId,
        by: EventId,
        target: &VerifiedEnvelope,
        actor: Handle,
    ) -> bool {
        let past = self.fresh.over(cx.log);
        let author = Actor {
            company: target.header.stream.company,
            handle: actor,
        };
        past.written(&chat_id, &by).is_some_and(|written| {
            let by = Actor {
                company: written.company,
                handle: written.actor,
            };
            self.may_delete(&chat_id, written.kind, &by, &author)
        })
    }
}
