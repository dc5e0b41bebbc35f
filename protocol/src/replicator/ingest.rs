//! The one funnel for envelopes: written here, live, caught up, relayed, pulled back after a restore, replayed.

use serde::{Deserialize, Serialize};

use super::chat::Chat;
use super::{Alarm, Context, Output, Record, Replicator};
use crate::codec;
use crate::envelope::{EnvelopeError, VerifiedEnvelope};
use crate::event::{Delete, Event, kind};
use crate::frame::{EnvelopeItem, Erasure};
use crate::identity::IdentityError;
use crate::ids::{ChatId, CompanyId, EventId, Hash, Head, StreamId};
use crate::limits;
use crate::owner_log::{RecordError, Standing};
use crate::stream::{ChainError, StreamState, Tip};

/// Where something came from. It is an argument of the funnel, never a second funnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    Local,
    Partner(CompanyId),
    Replay,
}

/// Why something was not taken. Typed, counted, visible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Envelope(EnvelopeError),
    #[error(transparent)]
    Record(RecordError),
    #[error(transparent)]
    Identity(IdentityError),
    #[error("it was refused before")]
    RejectedBefore,
    #[error("the chat is not shared with this company")]
    NotShared,
    #[error("the envelope names another chat than its frame")]
    OtherChat,
    #[error("its author's company did not take part at the position it cites")]
    NotMember,
    #[error("it cites an owner record that contradicts the chat's log")]
    ContradictsOwner,
    #[error("it cites an owner record that is not here yet")]
    NeedsOwner,
    #[error("it cites an identity record that is not here yet")]
    NeedsIdentity,
    #[error("its node key is not one of its company's at the identity position it cites")]
    UnknownKey,
    #[error("it uses an epoch that was not in force at the position it cites")]
    WrongEpoch,
    #[error("it lies beyond the cut of its company's removal")]
    BeyondCut,
    #[error("its stream belongs to an earlier membership")]
    OtherSpan,
    #[error("its predecessor is not here yet")]
    Gap,
    #[error("it cannot continue its chain: {0}")]
    Chain(ChainError),
    #[error("its stream has more branches than count")]
    TooManyBranches,
    #[error("its company has more streams in this chat than count")]
    TooManyStreams,
    #[error("a payload is missing and nothing proves that it was deleted")]
    UnprovenErasure,
    #[error("the key that would prove an erasure is not here yet")]
    NeedsKey,
    #[error("a signed register is not by a node of the company it names")]
    BadRegister,
    #[error("a register names heads that are not here")]
    UnknownHeads,
    #[error("no wrap of this kind was wanted")]
    BadWrap,
    #[error("an acceptance was refused: {0}")]
    BadAcceptance(RecordError),
    #[error("the frame does not decode")]
    BadFrame,
    #[error("the frame breaks the order of a link: {0}")]
    Breach(super::link::ProtocolBreach),
}

impl Refusal {
    /// True when the same bytes may be taken later, once their context is here.
    pub fn is_pending(&self) -> bool {
        matches!(
            self,
            Refusal::NeedsOwner
                | Refusal::NeedsIdentity
                | Refusal::Gap
                | Refusal::NeedsKey
                | Refusal::Record(RecordError::Gap { .. } | RecordError::NeedsIdentity)
                | Refusal::UnknownHeads
        )
    }

    /// The field's short name of the reason, for counters.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Envelope(EnvelopeError::BadSignature)
            | Refusal::Record(RecordError::BadSignature) => "bad_signature",
            Refusal::Envelope(_) => "bad_envelope",
            Refusal::Record(RecordError::Fork(_)) => "owner_fork",
            Refusal::Record(_) => "bad_record",
            Refusal::Identity(_) => "bad_identity",
            Refusal::RejectedBefore => "rejected_before",
            Refusal::NotShared => "not_shared",
            Refusal::OtherChat => "other_chat",
            Refusal::NotMember => "not_member",
            Refusal::ContradictsOwner => "contradicts_owner",
            Refusal::NeedsOwner => "needs_owner",
            Refusal::NeedsIdentity => "needs_identity",
            Refusal::UnknownKey => "unknown_key",
            Refusal::WrongEpoch => "wrong_epoch",
            Refusal::BeyondCut => "beyond_cut",
            Refusal::OtherSpan => "other_span",
            Refusal::Gap => "gap",
            Refusal::Chain(_) => "chain",
            Refusal::TooManyBranches => "too_many_branches",
            Refusal::TooManyStreams => "too_many_streams",
            Refusal::UnprovenErasure => "unproven_erasure",
            Refusal::NeedsKey => "needs_key",
            Refusal::BadRegister => "bad_register",
            Refusal::UnknownHeads => "unknown_heads",
            Refusal::BadWrap => "bad_wrap",
            Refusal::BadAcceptance(_) => "bad_acceptance",
            Refusal::BadFrame => "bad_frame",
            Refusal::Breach(_) => "breach",
        }
    }
}

/// What became of an envelope that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ingested {
    Held,
    AlreadyHeld,
}

/// What the checks of an envelope find out on the way.
struct Admission {
    span: u64,
    closed: Option<Vec<Head>>,
    parent: Head,
}

impl Replicator {
    pub(super) fn ingest(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        chat_id: ChatId,
        item: &EnvelopeItem,
    ) -> Result<Ingested, Refusal> {
        let envelope = self.verify_envelope(item)?;
        if envelope.header.chat != chat_id {
            return Err(Refusal::OtherChat);
        }
        self.admit(cx, origin, item, envelope)
    }

    /// The part of the funnel after the bytes are known to be good: an own envelope enters here.
    pub(super) fn admit(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        item: &EnvelopeItem,
        envelope: VerifiedEnvelope,
    ) -> Result<Ingested, Refusal> {
        let chat_id = envelope.header.chat;
        let chat = self.chats.get(&chat_id).ok_or(Refusal::NotShared)?;
        let stream = envelope.header.stream;
        let held = chat
            .core
            .streams
            .get(&stream)
            .is_some_and(|state| state.has_head(&envelope.head()));
        if held || cx.log.link(&chat_id, &envelope.hash).is_some() && origin != Origin::Replay {
            return Ok(Ingested::AlreadyHeld);
        }
        let admission = self.check_admission(cx, chat, &envelope)?;
        if origin != Origin::Local {
            self.check_erasures(item, &envelope)?;
        }
        self.keep(cx, origin, item, envelope, admission);
        Ok(Ingested::Held)
    }

    fn verify_envelope(&mut self, item: &EnvelopeItem) -> Result<VerifiedEnvelope, Refusal> {
        let hash = item.envelope.hash();
        if self.rejected.contains(&hash) {
            return Err(Refusal::RejectedBefore);
        }
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::SkipSignature)
            && let Ok(header) = codec::decode(&item.envelope.header.0, limits::HEADER_BYTES)
        {
            return Ok(VerifiedEnvelope {
                hash,
                header,
                sealed: item.envelope.clone(),
            });
        }
        item.envelope.verify(self.suite).map_err(|error| {
            // A bad signature or payload may be a garbled copy of a good envelope: the same header can still come
            // with the right bytes beside it. Only what the header itself condemns is remembered.
            if !matches!(
                error,
                EnvelopeError::BadSignature | EnvelopeError::PayloadHash(_)
            ) {
                self.rejected.insert(hash);
            }
            Refusal::Envelope(error)
        })
    }

    fn check_admission(
        &self,
        cx: &Context<'_>,
        chat: &Chat,
        envelope: &VerifiedEnvelope,
    ) -> Result<Admission, Refusal> {
        let header = &envelope.header;
        let (company, node) = (header.stream.company, header.stream.node);
        let owner = &chat.core.owner;
        let span = match owner.standing(&company, &header.owner_at) {
            Standing::Member(span) => span,
            Standing::NotMember => return Err(self.not_member()),
            Standing::Unknown => return Err(Refusal::NeedsOwner),
            Standing::Contradicts => return Err(Refusal::ContradictsOwner),
        };
        match self.roster.lists_at(&company, &header.identity_at, &node) {
            Some(true) => {}
            Some(false) => return Err(Refusal::UnknownKey),
            None => return Err(Refusal::NeedsIdentity),
        }
        if header.epoch != owner.epoch_at(header.owner_at.seq) {
            return Err(Refusal::WrongEpoch);
        }
        let parent = envelope.parent();
        let closed = self.check_cut(span, envelope)?;
        let base = self.base_of(chat, header.stream, parent);
        let state = chat.core.streams.get(&header.stream);
        match state {
            Some(state) if state.span != span.from => return Err(Refusal::OtherSpan),
            None => {
                let streams = chat
                    .core
                    .streams
                    .keys()
                    .filter(|stream| stream.company == company)
                    .count();
                if streams >= limits::STREAMS_PER_COMPANY {
                    return Err(Refusal::TooManyStreams);
                }
            }
            Some(_) => {}
        }
        self.check_chain(cx, chat, state, base, envelope)?;
        Ok(Admission {
            span: span.from,
            closed,
            parent,
        })
    }

    fn not_member(&self) -> Refusal {
        Refusal::NotMember
    }

    /// The heads that a cut allows for this stream, if one closed it; a refusal when the envelope lies beyond.
    fn check_cut(
        &self,
        span: &crate::owner_log::state::Span,
        envelope: &VerifiedEnvelope,
    ) -> Result<Option<Vec<Head>>, Refusal> {
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::SkipCut) {
            return Ok(None);
        }
        let Some((_, cuts)) = &span.until else {
            return Ok(None);
        };
        let cut = cuts
            .iter()
            .find(|cut| cut.stream == envelope.header.stream)
            .ok_or(Refusal::BeyondCut)?;
        let (head, parent) = (envelope.head(), envelope.parent());
        let may_lead_inside = cut
            .heads
            .iter()
            .any(|end| end.seq > head.seq || *end == head);
        if !may_lead_inside || cut.heads.contains(&parent) {
            return Err(Refusal::BeyondCut);
        }
        Ok(Some(cut.heads.clone()))
    }

    /// The base head of this company's own membership that the envelope continues, if its history begins there.
    fn base_of(&self, chat: &Chat, stream: StreamId, parent: Head) -> Option<Head> {
        let spans = chat
            .core
            .owner
            .spans()
            .find(|(company, _)| **company == self.company)?
            .1;
        let begins =
            |(at, head): &(StreamId, Head)| (*at == stream && *head == parent).then_some(*head);
        spans
            .iter()
            .flat_map(|span| span.base.iter())
            .find_map(begins)
    }

    fn check_chain(
        &self,
        cx: &Context<'_>,
        chat: &Chat,
        state: Option<&StreamState>,
        base: Option<Head>,
        envelope: &VerifiedEnvelope,
    ) -> Result<(), Refusal> {
        let parent = envelope.parent();
        let on_tip = state.and_then(|state| state.tips.iter().find(|tip| tip.head == parent));
        let tip = match on_tip {
            Some(tip) => *tip,
            None => {
                let tip = if parent == Head::START || base.is_some() {
                    Tip::start(parent)
                } else {
                    let link = cx.log.link(&chat.id(), &parent.hash).ok_or(Refusal::Gap)?;
                    if link.stream != envelope.header.stream || link.tip.head != parent {
                        return Err(Refusal::Gap);
                    }
                    link.tip
                };
                if state.is_some_and(|state| !state.may_branch()) {
                    return Err(Refusal::TooManyBranches);
                }
                tip
            }
        };
        tip.allows(&envelope.header).map_err(Refusal::Chain)
    }

    /// Every missing payload comes with the event that deleted it.
    fn check_erasures(
        &self,
        item: &EnvelopeItem,
        envelope: &VerifiedEnvelope,
    ) -> Result<(), Refusal> {
        for place in 0..envelope.header.events.len() {
            if !envelope.is_erased(place) {
                continue;
            }
            let erasure = item
                .erasures
                .iter()
                .find(|erasure| usize::from(erasure.place) == place);
            self.check_erasure(erasure.ok_or(Refusal::UnprovenErasure)?, envelope, place)?;
        }
        Ok(())
    }

    fn check_erasure(
        &self,
        erasure: &Erasure,
        envelope: &VerifiedEnvelope,
        place: usize,
    ) -> Result<(), Refusal> {
        let proof = erasure
            .proof
            .verify(self.suite)
            .map_err(Refusal::Envelope)?;
        let by = usize::from(erasure.proof_place);
        let (target, event) = (
            envelope.header.events.get(place),
            proof.header.events.get(by),
        );
        let (Some(target), Some(event)) = (target, event) else {
            return Err(Refusal::UnprovenErasure);
        };
        let same_author = proof.header.chat == envelope.header.chat
            && proof.header.stream.company == envelope.header.stream.company
            && event.actor == target.actor
            && event.kind == kind::DELETE;
        if !same_author {
            return Err(Refusal::UnprovenErasure);
        }
        let key = self
            .keys
            .get(&(proof.header.chat, proof.header.epoch))
            .ok_or(Refusal::NeedsKey)?;
        let plain = proof.open(by, key).ok_or(Refusal::UnprovenErasure)?;
        let delete: Delete =
            codec::decode(&plain, limits::PAYLOAD_BYTES).map_err(|_| Refusal::UnprovenErasure)?;
        if delete.target == envelope.event_id(place) {
            Ok(())
        } else {
            Err(Refusal::UnprovenErasure)
        }
    }

    fn keep(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        item: &EnvelopeItem,
        envelope: VerifiedEnvelope,
        admission: Admission,
    ) {
        let Admission {
            span,
            closed,
            parent,
        } = admission;
        let chat_id = envelope.header.chat;
        let stream = envelope.header.stream;
        if origin != Origin::Replay {
            cx.out.push(Output::Store(Record::Envelope {
                chat: chat_id,
                item: item.clone(),
            }));
        }
        let own = stream.node == self.node_key && stream.company == self.company;
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        let state = chat.core.streams.entry(stream).or_default();
        state.span = span;
        state.closed = closed;
        let was_whole = state.is_delivered_whole();
        let sibling = state.tips.first().map(|tip| tip.head.hash);
        let forked = state.advance(parent, Tip::of(&envelope.header, envelope.head()));
        chat.arrived.insert(stream, cx.now);
        if own {
            self.clock = self.clock.max(envelope.header.last_clock());
            match origin {
                Origin::Partner(_) if chat.core.own == Some(stream.incarnation) => {
                    chat.core.own = None
                }
                Origin::Replay if self.continuity => chat.core.own = Some(stream.incarnation),
                _ => {}
            }
        }
        if let (true, Some(first)) = (forked, sibling) {
            cx.out.push(Output::Alarm(Alarm::Fork {
                chat: chat_id,
                stream,
                first,
                second: envelope.hash,
            }));
        }
        if was_whole {
            self.deliver(cx, origin, envelope);
        }
    }

    /// Counts an envelope as delivered if its key is here; otherwise it waits for [`Self::deliver_waiting`].
    pub(super) fn deliver(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        envelope: VerifiedEnvelope,
    ) -> bool {
        let chat_id = envelope.header.chat;
        let Some(key) = self.keys.get(&(chat_id, envelope.header.epoch)) else {
            return false;
        };
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return false;
        };
        let plains: Vec<_> = (0..envelope.header.events.len())
            .map(|place| envelope.open(place, key))
            .collect();
        let own = envelope.header.stream.company == self.company;
        let state = chat.core.streams.entry(envelope.header.stream).or_default();
        state.deliver(envelope.parent(), envelope.head());
        chat.statement_due |= !own && origin != Origin::Replay;
        self.note_deletes(cx, &envelope, &plains);
        cx.out.push(Output::Delivered {
            chat: chat_id,
            envelope: Box::new(envelope),
            plains,
            origin,
        });
        true
    }

    /// After a key arrived: what is held but was not readable becomes delivered, in order.
    pub(super) fn deliver_waiting(&mut self, cx: &mut Context<'_>, chat_id: ChatId) {
        const BATCH_BYTES: usize = limits::FRAME_BYTES;
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
            for tip in state
                .tips
                .iter()
                .map(|tip| tip.head)
                .filter(|head| !state.delivered.contains(head))
            {
                let mut from = state.delivered.iter().copied().max().unwrap_or(Head::START);
                loop {
                    let items = cx.log.path(&chat_id, &stream, from, tip, BATCH_BYTES);
                    let reached = self.deliver_items(cx, &items);
                    match reached {
                        Some(head) if head != from && head != tip => from = head,
                        _ => break,
                    }
                }
            }
        }
    }

    fn deliver_items(&mut self, cx: &mut Context<'_>, items: &[EnvelopeItem]) -> Option<Head> {
        let mut reached = None;
        for item in items {
            let envelope = item.envelope.verify(self.suite).ok()?;
            let head = envelope.head();
            if !self.deliver(cx, Origin::Replay, envelope) {
                return None;
            }
            reached = Some(head);
        }
        if let Some(chat) = items
            .first()
            .and_then(|item| {
                codec::decode::<crate::envelope::EnvelopeHeader>(
                    &item.envelope.header.0,
                    limits::HEADER_BYTES,
                )
                .ok()
            })
            .and_then(|header| self.chats.get_mut(&header.chat))
        {
            chat.statement_due = true;
        }
        reached
    }

    /// Deletes destroy payloads: of targets that are here at once, of others when they arrive.
    fn note_deletes(
        &mut self,
        cx: &mut Context<'_>,
        envelope: &VerifiedEnvelope,
        plains: &[Option<Vec<u8>>],
    ) {
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::SkipErasure) {
            return;
        }
        let chat_id = envelope.header.chat;
        for (place, (event, plain)) in envelope.header.events.iter().zip(plains).enumerate() {
            let id = envelope.event_id(place);
            if event.kind == kind::DELETE
                && let Some(Ok(Event::Delete(delete))) =
                    plain.as_ref().map(|plain| Event::decode(event.kind, plain))
            {
                self.note_delete(cx, chat_id, envelope, event.actor, delete.target, id);
            }
            let Some(chat) = self.chats.get_mut(&chat_id) else {
                return;
            };
            if let Some(by) = chat.core.deletes_ahead.remove(&id)
                && self.is_by_author(cx, chat_id, by, envelope, event.actor)
                && !envelope.is_erased(place)
            {
                cx.out.push(Output::Erase {
                    chat: chat_id,
                    target: id,
                    by,
                });
            }
        }
    }

    fn note_delete(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        delete: &VerifiedEnvelope,
        actor: crate::ids::Handle,
        target: EventId,
        by: EventId,
    ) {
        let place = usize::from(target.place);
        let found = if target.envelope == delete.hash {
            Some((
                delete.header.stream.company,
                delete.header.events.get(place).map(|event| event.actor),
                delete.is_erased(place),
            ))
        } else {
            let item = cx.log.envelope(&chat_id, &target.envelope);
            item.and_then(|item| item.envelope.verify(self.suite).ok())
                .map(|held| {
                    (
                        held.header.stream.company,
                        held.header.events.get(place).map(|event| event.actor),
                        held.is_erased(place),
                    )
                })
        };
        match found {
            Some((company, Some(author), false))
                if company == delete.header.stream.company && author == actor =>
            {
                cx.out.push(Output::Erase {
                    chat: chat_id,
                    target,
                    by,
                });
            }
            Some(_) => {}
            None => {
                if let Some(chat) = self.chats.get_mut(&chat_id)
                    && chat.core.deletes_ahead.len() < limits::PENDING_ITEMS
                {
                    chat.core.deletes_ahead.insert(target, by);
                }
            }
        }
    }

    /// The delete event that came first is by the very author of its target.
    fn is_by_author(
        &self,
        cx: &Context<'_>,
        chat_id: ChatId,
        by: EventId,
        target: &VerifiedEnvelope,
        actor: crate::ids::Handle,
    ) -> bool {
        let Some(item) = cx.log.envelope(&chat_id, &by.envelope) else {
            return false;
        };
        let Ok(header) = codec::decode::<crate::envelope::EnvelopeHeader>(
            &item.envelope.header.0,
            limits::HEADER_BYTES,
        ) else {
            return false;
        };
        let event = header.events.get(usize::from(by.place));
        header.stream.company == target.header.stream.company
            && event.is_some_and(|event| event.actor == actor)
    }

    /// Drops what a cut excludes from the streams of a company. Returns the envelopes that no longer count.
    pub(super) fn apply_cut(&mut self, cx: &mut Context<'_>, chat_id: ChatId, company: CompanyId) {
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::SkipCut) {
            return;
        }
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        let spans: Vec<_> = chat
            .core
            .owner
            .spans()
            .filter(|(of, _)| **of == company)
            .flat_map(|(_, spans)| spans.to_vec())
            .collect();
        let mut void: Vec<Hash> = Vec::new();
        let mut emptied = Vec::new();
        for (stream, state) in chat
            .core
            .streams
            .iter_mut()
            .filter(|(stream, _)| stream.company == company)
        {
            let Some(span) = spans.iter().find(|span| span.from == state.span) else {
                continue;
            };
            let Some((_, cuts)) = &span.until else {
                continue;
            };
            let allowed = cuts
                .iter()
                .find(|cut| cut.stream == *stream)
                .map_or(&[][..], |cut| &cut.heads);
            void.extend(cut_stream(cx.log, &chat_id, state, allowed));
            if state.tips.is_empty() {
                emptied.push(*stream);
            }
        }
        for stream in emptied {
            chat.core.streams.remove(&stream);
        }
        if company == self.company {
            chat.core.own = None;
        }
        if !void.is_empty() {
            void.sort_unstable();
            void.dedup();
            cx.out.push(Output::Voided {
                chat: chat_id,
                envelopes: void,
            });
        }
    }
}

/// Shortens a stream to the heads that count; returns the hashes of what falls away.
fn cut_stream(
    log: &dyn super::ReadLog,
    chat: &ChatId,
    state: &mut StreamState,
    allowed: &[Head],
) -> Vec<Hash> {
    let mut void = Vec::new();
    let mut kept: Vec<Tip> = Vec::new();
    let highest = allowed.iter().map(|head| head.seq).max().unwrap_or(0);
    for tip in &state.tips {
        let mut at = *tip;
        loop {
            let inside =
                allowed.contains(&at.head) || allowed.iter().any(|end| end.seq > at.head.seq);
            if inside && (at.head.seq < highest || allowed.contains(&at.head)) {
                if !kept.iter().any(|kept| kept.head == at.head) {
                    kept.push(at);
                }
                break;
            }
            void.push(at.head.hash);
            let Some(link) = log.link(chat, &at.head.hash) else {
                break;
            };
            match log.link(chat, &link.parent.hash) {
                Some(parent) => at = parent.tip,
                None => break,
            }
        }
    }
    let delivered: Vec<Head> = state
        .delivered
        .iter()
        .filter_map(|head| {
            let mut at = *head;
            while void.contains(&at.hash) {
                at = log.link(chat, &at.hash)?.parent;
            }
            (at != Head::START).then_some(at)
        })
        .collect();
    state.delivered = delivered;
    state.delivered.sort_unstable();
    state.delivered.dedup();
    state.tips = kept;
    state.closed = Some(allowed.to_vec());
    void
}
