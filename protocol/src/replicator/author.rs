//! What this node writes itself: events of its people, recall, and the new incarnation after a restore.

use super::chat::Chat;
use super::{Context, Origin, Output, Record, Refusal, Replicator};
use crate::clock::Clock;
use crate::envelope::{self, DraftEvent, Place};
use crate::event::{ContentError, Event, Resume, kind};
use crate::frame::EnvelopeItem;
use crate::ids::{ChatId, CompanyId, EventId, Handle, Head, StreamId};
use crate::limits;
use crate::seal;

/// Stands for every company in an exposure.
const EVERYBODY: CompanyId = CompanyId::ZERO;

/// An event that a local person (or the node, with a zero handle) wants to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub actor: Handle,
    pub event: Event,
}

/// Why a local event was not written. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("there is no such chat here")]
    NoChat,
    #[error("this company does not take part in the chat")]
    NotMember,
    #[error("the chat's present key has not arrived yet")]
    NoKey,
    #[error("the chat needs a newer version of crossport")]
    NeedsNewerVersion,
    #[error("this machine's clock lies beyond what can be written down")]
    ClockBehind,
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("the content takes {found} bytes, at most {limit} fit")]
    TooLong { found: usize, limit: usize },
    #[error(
        "this company has {0} streams in this chat and no more count: it goes on in a new chat"
    )]
    TooManyHeads(usize),
    #[error("the envelope was refused by this node's own rules: {0}")]
    Refused(Refusal),
}

/// Why a message cannot be taken back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecallError {
    #[error("it may have left this node for {0:?} already")]
    MayHaveLeft(Vec<CompanyId>),
    #[error("there is no such event of this company here")]
    NotFound,
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Replicator {
    /// Writes events of one chat, in order, as few envelopes as the limits allow. Returns their ids.
    pub fn append(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        drafts: &[Draft],
    ) -> Result<Vec<EventId>, AppendError> {
        let mut drafts: Vec<Draft> = drafts.to_vec();
        drafts.iter().try_for_each(|draft| draft.event.check())?;
        self.check_may_append(chat_id)?;
        self.fresh.clear();
        self.settle_restored(cx);
        self.store_footings_due(cx);
        self.close_stale_exposures(cx);
        self.settle_clock(cx, chat_id)?;
        let resumed = self.open_incarnation(cx, chat_id, &mut drafts)?;
        let mut ids = Vec::with_capacity(drafts.len());
        let mut events = Vec::new();
        let (mut bytes, mut most) = (0usize, limits::ENVELOPE_EVENTS);
        for draft in drafts {
            let plain = draft.event.encode();
            let sealed = plain.len().saturating_add(seal::OVERHEAD_BYTES);
            if sealed > limits::PAYLOAD_BYTES {
                return Err(AppendError::TooLong {
                    found: sealed,
                    limit: limits::PAYLOAD_BYTES,
                });
            }
            let number = draft.event.kind();
            let full = events.len() >= most_events(number).min(most)
                || bytes.saturating_add(sealed) > limits::ENVELOPE_PAYLOAD_BYTES;
            if full && !events.is_empty() {
                ids.extend(self.sign(cx, chat_id, &std::mem::take(&mut events))?);
                (bytes, most) = (0, limits::ENVELOPE_EVENTS);
            }
            most = most.min(most_events(number));
            let clock = self.next_clock(cx)?;
            events.push(DraftEvent {
                clock,
                kind: number,
                actor: draft.actor,
                plain,
            });
            bytes = bytes.saturating_add(sealed);
        }
        if !events.is_empty() {
            ids.extend(self.sign(cx, chat_id, &events)?);
        }
        if resumed {
            ids.remove(0);
        }
        Ok(ids)
    }

    fn check_may_append(&self, chat_id: ChatId) -> Result<(), AppendError> {
        let chat = self.chats.get(&chat_id).ok_or(AppendError::NoChat)?;
        let owner = chat.owner();
        if !owner.is_member(&self.company) {
            return Err(AppendError::NotMember);
        }
        if owner.needs_newer_version() {
            return Err(AppendError::NeedsNewerVersion);
        }
        self.keys
            .contains_key(&(chat_id, owner.epoch()))
            .then_some(())
            .ok_or(AppendError::NoKey)
    }

    /// Makes sure that there is an incarnation to write to. Returns true when a `Resume` was put first.
    fn open_incarnation(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        drafts: &mut Vec<Draft>,
    ) -> Result<bool, AppendError> {
        let (company, node_key) = (self.company, self.node_key);
        #[cfg(feature = "sim")]
        let counter = self.has_bug(super::Bug::CounterIncarnation);
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return Err(AppendError::NoChat);
        };
        let span = chat
            .core
            .owner
            .spans()
            .find(|(of, _)| **of == company)
            .and_then(|(_, spans)| spans.last());
        let span = span.map_or(0, |span| span.from);
        if let Some(incarnation) = chat.core.own {
            let stream = StreamId {
                company,
                node: node_key,
                incarnation,
            };
            // A stream belongs to one membership: after re-adding a new one begins.
            if chat
                .core
                .streams
                .get(&stream)
                .is_none_or(|state| state.span == span && state.closed.is_none())
            {
                return Ok(false);
            }
        }
        let old: Vec<(StreamId, Head)> = own_heads(chat, company);
        if old.len() >= limits::HEADS_PER_COMPANY {
            return Err(AppendError::TooManyHeads(old.len()));
        }
        let mut bytes = [0; 8];
        cx.random.fill(&mut bytes);
        let incarnation = u64::from_le_bytes(bytes);
        #[cfg(feature = "sim")]
        let incarnation = if counter {
            old.len() as u64
        } else {
            incarnation
        };
        chat.core.own = Some(incarnation);
        self.store_footing(cx, chat_id);
        if old.is_empty() {
            return Ok(false);
        }
        drafts.insert(
            0,
            Draft {
                actor: Handle::ZERO,
                event: Event::Resume(Resume { old }),
            },
        );
        Ok(true)
    }

    /// When the wall clock went far back, later events use it in a new incarnation: clocks need only increase within a
    /// stream, and people must not wait until time has caught up. Only who has no incarnation left must.
    fn settle_clock(&mut self, cx: &Context<'_>, chat_id: ChatId) -> Result<(), AppendError> {
        if self.clock.next(cx.now).is_none() {
            self.clock = Clock::at(cx.now);
        }
        let next = self.clock.next(cx.now).unwrap_or(self.clock);
        let (node, company) = (self.node_key, self.company);
        if let Some(chat) = self.chats.get_mut(&chat_id)
            && chat.own_tip_clock(&node, company) >= next
        {
            if !chat.has_room(&company) {
                return Err(AppendError::ClockBehind);
            }
            chat.core.own = None;
        }
        Ok(())
    }

    fn next_clock(&mut self, cx: &Context<'_>) -> Result<Clock, AppendError> {
        self.clock = self.clock.next(cx.now).ok_or(AppendError::ClockBehind)?;
        self.highest = self.highest.max(self.clock);
        Ok(self.clock)
    }

    fn sign(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        events: &[DraftEvent],
    ) -> Result<Vec<EventId>, AppendError> {
        let chat = self.chats.get(&chat_id).ok_or(AppendError::NoChat)?;
        let incarnation = chat.core.own.ok_or(AppendError::NoChat)?;
        let stream = StreamId {
            company: self.company,
            node: self.node_key,
            incarnation,
        };
        let tip = chat
            .core
            .streams
            .get(&stream)
            .and_then(|state| state.tips.iter().max_by_key(|tip| tip.head));
        let after = tip.map_or(Head::START, |tip| tip.head);
        #[cfg(feature = "sim")]
        let after = if self.has_bug(super::Bug::ReusePosition) && after.seq > 3 {
            cx.log
                .link(&chat_id, &after.hash)
                .map_or(after, |link| link.parent)
        } else {
            after
        };
        let epoch = chat.core.owner.epoch();
        let key = self.keys.get(&(chat_id, epoch)).ok_or(AppendError::NoKey)?;
        let place = Place {
            chat: chat_id,
            stream,
            after,
            owner_at: chat.core.owner.head(),
            identity_at: self.roster.head(&self.company),
            epoch,
        };
        let envelope = envelope::author(self.suite, &self.node, key, place, events, &mut cx.random);
        let ids = (0..events.len())
            .map(|index| envelope.event_id(index))
            .collect();
        let item = EnvelopeItem::whole(envelope.sealed.clone());
        self.admit(cx, Origin::Local, &item, envelope)
            .map_err(AppendError::Refused)?;
        self.mark_dirty(chat_id);
        Ok(ids)
    }

    /// The companies of the chat that the event may have left for: those that were linked since it was written.
    pub fn may_have_left(&self, chat_id: &ChatId, clock: Clock) -> Vec<CompanyId> {
        let Some(chat) = self.chats.get(chat_id) else {
            return Vec::new();
        };
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::ForgetExposure) {
            return Vec::new();
        }
        let exposed = |company: &CompanyId| match self.exposed.get(company) {
            None => false,
            Some(None) => true,
            Some(Some(until)) => clock <= *until,
        };
        if exposed(&EVERYBODY) {
            return self.partners.keys().copied().collect();
        }
        // A company that was removed since may have got it all the same.
        chat.owner()
            .spans()
            .map(|(company, _)| *company)
            .filter(|company| *company != self.company)
            .filter(exposed)
            .collect()
    }

    /// Takes a message back while it provably has not left: the payload is destroyed, a delete follows it.
    pub fn recall(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        target: EventId,
        actor: Handle,
    ) -> Result<EventId, RecallError> {
        let item = cx
            .log
            .envelope(&chat_id, &target.envelope)
            .ok_or(RecallError::NotFound)?;
        let held = item
            .envelope
            .verify(self.suite)
            .map_err(|_| RecallError::NotFound)?;
        let event = held
            .header
            .events
            .get(usize::from(target.place))
            .ok_or(RecallError::NotFound)?;
        if held.header.stream.company != self.company || event.actor != actor {
            return Err(RecallError::NotFound);
        }
        let left = self.may_have_left(&chat_id, event.clock);
        if !left.is_empty() {
            return Err(RecallError::MayHaveLeft(left));
        }
        let delete = Event::Delete(crate::event::Delete { target });
        let ids = self.append(
            cx,
            chat_id,
            &[Draft {
                actor,
                event: delete,
            }],
        )?;
        ids.first().copied().ok_or(RecallError::NotFound)
    }

    pub(super) fn open_exposure(&mut self, cx: &mut Context<'_>, partner: CompanyId) {
        self.exposed.insert(partner, None);
        cx.out.push(Output::Store(Record::Exposure {
            partner,
            until: None,
        }));
    }

    /// An exposure that was open when the node stopped ends with the last event before the next one.
    fn close_stale_exposures(&mut self, cx: &mut Context<'_>) {
        let is_stale = |(company, until): (&CompanyId, &Option<Clock>)| {
            let partner = self.partners.get(company);
            let linked = partner.is_some_and(|partner| partner.link.is_some());
            (until.is_none() && !linked).then_some(*company)
        };
        let stale: Vec<CompanyId> = self.exposed.iter().filter_map(is_stale).collect();
        for company in stale {
            self.close_exposure(cx, company);
        }
    }

    /// A node that may have forgotten what it sent, and to whom, counts everything that it has as sent to everybody.
    pub(super) fn expose_all(&mut self, cx: &mut Context<'_>) {
        self.close_exposure(cx, EVERYBODY);
    }

    pub(super) fn close_exposure(&mut self, cx: &mut Context<'_>, partner: CompanyId) {
        let until = Some(self.highest);
        self.exposed.insert(partner, until);
        cx.out
            .push(Output::Store(Record::Exposure { partner, until }));
    }
}

impl Chat {
    fn own_tip_clock(&self, node: &crate::ids::NodeKey, company: CompanyId) -> Clock {
        let Some(incarnation) = self.core.own else {
            return Clock(0);
        };
        let stream = StreamId {
            company,
            node: *node,
            incarnation,
        };
        let tips = self
            .core
            .streams
            .get(&stream)
            .map(|state| state.tips.iter().map(|tip| tip.clock).max());
        tips.flatten().unwrap_or_default()
    }
}

/// A delete's envelope is small, because it proves every erasure.
fn most_events(number: u16) -> usize {
    if kind::deletes(number) {
        limits::DELETE_EVENTS
    } else {
        limits::ENVELOPE_EVENTS
    }
}

fn own_heads(chat: &Chat, company: CompanyId) -> Vec<(StreamId, Head)> {
    let own = chat
        .core
        .streams
        .iter()
        .filter(|(stream, _)| stream.company == company);
    own.flat_map(|(stream, state)| state.heads().map(|head| (*stream, head)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::event::{Delete, Message};
    use crate::identity::{IdentityDraft, IdentityLog, root_commitment};
    use crate::ids::Hash;
    use crate::owner_log::{ChatKind, History, SignedRecord};
    use crate::replicator::{Config, Link, ReadLog};
    use crate::suite::{Random, SecretKey, Suite};
    use crate::wrap::PrekeySecret;

    struct Nothing;

    impl ReadLog for Nothing {
        fn link(&self, _: &ChatId, _: &Hash) -> Option<Link> {
            None
        }
        fn envelope(&self, _: &ChatId, _: &Hash) -> Option<EnvelopeItem> {
            None
        }
        fn path(&self, _: &ChatId, _: &StreamId, _: Head, _: Head, _: usize) -> Vec<EnvelopeItem> {
            Vec::new()
        }
        fn records(&self, _: &ChatId, _: u64, _: usize) -> Vec<SignedRecord> {
            Vec::new()
        }
    }

    struct Counting(u64);

    impl Random for Counting {
        fn fill(&mut self, bytes: &mut [u8]) {
            self.0 += 1;
            let block = Hash::of(&[&self.0.to_le_bytes()]).0;
            bytes
                .iter_mut()
                .zip(block)
                .for_each(|(byte, next)| *byte = next);
        }
    }

    fn alone() -> Replicator {
        let suite = Suite::KeyedHash;
        let (root, node) = (
            SecretKey::from_bytes([1; 32]),
            SecretKey::from_bytes([2; 32]),
        );
        let draft = IdentityDraft {
            time: Time(0),
            name: "Acme".into(),
            domains: Vec::new(),
            node_keys: vec![node.public(suite)],
            next_root: root_commitment(&root.public(suite)),
        };
        Replicator::new(Config {
            suite,
            identity: IdentityLog::create(suite, &root, draft),
            node,
            generation: 1,
            continuity: true,
            prekeys: vec![(1, Time(0), PrekeySecret::from_bytes([3; 32]))],
        })
    }

    fn draft(event: Event) -> Draft {
        let actor = Handle([4; 16]);
        Draft { actor, event }
    }

    #[test]
    fn who_has_no_stream_left_is_told_and_heard_no_more() {
        let (mut replicator, mut random, mut out) = (alone(), Counting(0), Vec::new());
        let mut cx = Context {
            now: Time(1_000_000),
            log: &Nothing,
            random: &mut random,
            out: &mut out,
        };
        let (kind, history) = (ChatKind::GROUP, History::FULL);
        let chat = replicator
            .create_chat(&mut cx, kind, history, None)
            .expect("a chat");
        let hello = [draft(Event::Message(Message::text("hello")))];
        for _ in 0..limits::HEADS_PER_COMPANY {
            let state = replicator.chats.get_mut(&chat).expect("the chat");
            state.core.own = None;
            replicator
                .append(&mut cx, chat, &hello)
                .expect("a stream is left");
        }
        replicator
            .append(&mut cx, chat, &hello)
            .expect("the last stream goes on");
        let state = replicator.chats.get_mut(&chat).expect("the chat");
        let own = state.core.own;
        state.core.own = None;
        let most = limits::HEADS_PER_COMPANY;
        assert_eq!(
            replicator.append(&mut cx, chat, &hello),
            Err(AppendError::TooManyHeads(most))
        );
        // What is written all the same is refused by everybody.
        let state = replicator.chats.get_mut(&chat).expect("the chat");
        state.core.own = Some(77);
        let event = DraftEvent {
            clock: Clock(u64::MAX >> 1),
            kind: kind::MESSAGE,
            actor: Handle([4; 16]),
            plain: vec![1],
        };
        assert_eq!(
            replicator.sign(&mut cx, chat, &[event]),
            Err(AppendError::Refused(Refusal::TooManyHeads))
        );
        // A clock that was set back waits in the stream that there is, instead of losing it.
        let state = replicator.chats.get_mut(&chat).expect("the chat");
        state.core.own = own;
        cx.now = Time(0);
        assert_eq!(
            replicator.append(&mut cx, chat, &hello),
            Err(AppendError::ClockBehind)
        );
        cx.now = Time(1_000_001);
        replicator
            .append(&mut cx, chat, &hello)
            .expect("time has caught up");
    }

    #[test]
    fn deletes_go_into_envelopes_of_their_own_size() {
        let (mut replicator, mut random, mut out) = (alone(), Counting(0), Vec::new());
        let mut cx = Context {
            now: Time(1_000_000),
            log: &Nothing,
            random: &mut random,
            out: &mut out,
        };
        let (kind, history) = (ChatKind::GROUP, History::FULL);
        let chat = replicator
            .create_chat(&mut cx, kind, history, None)
            .expect("a chat");
        let text = |_| draft(Event::Message(Message::text("hello")));
        let target = EventId {
            envelope: Hash([9; 32]),
            place: 0,
        };
        let delete = |_| draft(Event::Delete(Delete { target }));
        let drafts = [
            (0..40).map(text).collect(),
            (0..40).map(delete).collect::<Vec<_>>(),
        ];
        let mut drafts: Vec<Draft> = drafts.concat();
        drafts.extend((0..40).map(text));
        let ids = replicator.append(&mut cx, chat, &drafts).expect("they fit");
        let mut sizes: Vec<usize> = Vec::new();
        for (at, id) in ids.iter().enumerate() {
            if at == 0 || ids[at - 1].envelope != id.envelope {
                sizes.push(0);
            }
            *sizes.last_mut().expect("pushed") += 1;
        }
        // 40 texts; 16 + 16 + 8 deletes, the last with 8 texts; the rest.
        assert_eq!(sizes, [40, 16, 16, 16, 32]);
    }
}
