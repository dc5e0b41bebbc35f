//! The one funnel for envelopes: written here, live, caught up, relayed, pulled back after a restore, replayed.

use serde::{Deserialize, Serialize};

use super::chat::{Chat, is_ancestor, may_lead_to};
use super::{Alarm, Context, Output, ReadLog, Record, Refusal, Replicator};
use crate::envelope::VerifiedEnvelope;
use crate::frame::EnvelopeItem;
use crate::ids::{ChatId, CompanyId, Hash, Head, StreamId};
use crate::owner_log::Standing;
use crate::owner_log::state::Span;
use crate::stream::{StreamState, Tip};

/// Where something came from. It is an argument of the funnel, never a second funnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    Local,
    Partner(CompanyId),
    Replay,
}

/// What became of an envelope that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ingested {
    /// False when it was held before.
    pub new: bool,
    pub stream: StreamId,
    pub head: Head,
}

/// What the checks of an envelope find out on the way.
struct Admission {
    span: u64,
    closed: Option<Vec<Head>>,
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
        let mut ingested = Ingested {
            new: false,
            stream,
            head: envelope.head(),
        };
        let is_tip = chat
            .core
            .streams
            .get(&stream)
            .is_some_and(|state| state.has_head(&ingested.head));
        // What lies before this company's history counts as held without being here.
        let is_before = ingested.head.seq <= self.begins_at(chat, &stream);
        let past = self.fresh.over(cx.log);
        let stored = origin != Origin::Replay && past.link(&chat_id, &envelope.hash).is_some();
        if is_tip || is_before || stored {
            return Ok(ingested);
        }
        let admission = self.check_admission(cx, chat, &envelope)?;
        if origin != Origin::Local {
            self.check_erasures(item, &envelope)?;
        }
        let from_partner = matches!(origin, Origin::Partner(_));
        if from_partner && self.would_be_passed_over(&envelope) {
            return Err(Refusal::NeedsKey);
        }
        self.keep(cx, origin, item, envelope, admission);
        ingested.new = true;
        Ok(ingested)
    }

    fn verify_envelope(&mut self, item: &EnvelopeItem) -> Result<VerifiedEnvelope, Refusal> {
        let hash = item.envelope.hash();
        if self.rejected.contains(&hash) {
            return Err(Refusal::RejectedBefore);
        }
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::SkipSignature)
            && let Ok(header) =
                crate::codec::decode(&item.envelope.header.0, crate::limits::HEADER_BYTES)
        {
            return Ok(VerifiedEnvelope {
                hash,
                header,
                sealed: item.envelope.clone(),
            });
        }
        item.envelope.verify(self.suite).map_err(|error| {
            // Only what the header itself condemns is remembered.
            if error.condemns_header() {
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
            Standing::NotMember => return Err(Refusal::NotMember),
            // A frozen log never grows: what it lacks lies on the other branch.
            Standing::Unknown if owner.is_frozen() => return Err(Refusal::ContradictsOwner),
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
        let state = chat.core.streams.get(&header.stream);
        let closed = self.check_cut(cx, chat, span, envelope)?;
        match state {
            Some(state) if state.span != span.from => return Err(Refusal::OtherSpan),
            Some(_) => {}
            None if !chat.has_room(&company) => return Err(Refusal::TooManyHeads),
            None => {}
        }
        self.check_chain(cx, chat, state, envelope)?;
        Ok(Admission {
            span: span.from,
            closed,
        })
    }

    /// The heads that a cut allows for this stream, if one closed it; a refusal when the envelope lies beyond. While
    /// an allowed head is not here yet, what may lead to it is taken; the cut is applied again when it arrives.
    fn check_cut(
        &self,
        cx: &Context<'_>,
        chat: &Chat,
        span: &Span,
        envelope: &VerifiedEnvelope,
    ) -> Result<Option<Vec<Head>>, Refusal> {
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::SkipCut) {
            return Ok(None);
        }
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::NaiveEveryCut) {
            check_every_cut(chat, envelope)?;
        }
        let Some((_, cuts)) = &span.until else {
            return Ok(None);
        };
        let stream = envelope.header.stream;
        let cut = cuts
            .iter()
            .find(|cut| cut.stream == stream)
            .ok_or(Refusal::BeyondCut)?;
        let (head, parent) = (envelope.head(), envelope.parent());
        if cut.heads.contains(&head) {
            return Ok(Some(cut.heads.clone()));
        }
        let past = self.fresh.over(cx.log);
        let may_lead_inside = cut
            .heads
            .iter()
            .any(|end| end.seq > head.seq && may_lead_to(&past, &chat.id(), head, *end));
        if !may_lead_inside || cut.heads.contains(&parent) {
            return Err(Refusal::BeyondCut);
        }
        Ok(Some(cut.heads.clone()))
    }

    fn check_chain(
        &self,
        cx: &Context<'_>,
        chat: &Chat,
        state: Option<&StreamState>,
        envelope: &VerifiedEnvelope,
    ) -> Result<(), Refusal> {
        let parent = envelope.parent();
        let on_tip = state.and_then(|state| state.tips.iter().find(|tip| tip.head == parent));
        let tip = match on_tip {
            Some(tip) => *tip,
            None => {
                if state.is_some_and(|state| !state.may_branch()) {
                    return Err(Refusal::TooManyBranches);
                }
                if state.is_some() && !chat.has_room(&envelope.header.stream.company) {
                    return Err(Refusal::TooManyHeads);
                }
                let link = self.fresh.over(cx.log).link(&chat.id(), &parent.hash);
                match link {
                    _ if parent == Head::START => Tip::start(parent),
                    Some(link) if link.stream == envelope.header.stream => link.tip,
                    Some(_) => return Err(Refusal::Gap),
                    // Nobody but a later joiner may have the rest of the stream: it is taken with a gap before it.
                    None => match attested(chat, &envelope.header.stream, &parent) {
                        Some(tip) => tip,
                        // A branch that parts before this company's history begins: its predecessor never comes.
                        None if self.begins_at(chat, &envelope.header.stream) >= parent.seq => {
                            Tip::start(parent)
                        }
                        None => return Err(Refusal::Gap),
                    },
                }
            }
        };
        if tip.head != parent {
            return Err(Refusal::Gap);
        }
        tip.allows(&envelope.header).map_err(Refusal::Chain)
    }

    /// The position of a stream where this company's history begins; 0 when it has all of it.
    pub(super) fn begins_at(&self, chat: &Chat, stream: &StreamId) -> u64 {
        let base = chat.core.owner.base(&self.company).iter();
        base.filter(|(at, _)| at == stream)
            .map(|(_, tip)| tip.head.seq)
            .max()
            .unwrap_or(0)
    }

    /// It closes a gap below what is delivered already, and it or something before it cannot be read yet. Once the gap is
    /// closed nobody would look for it again, so it is taken when it can be shown.
    fn would_be_passed_over(&self, envelope: &VerifiedEnvelope) -> bool {
        let (chat_id, epoch) = (envelope.header.chat, envelope.header.epoch);
        let chat = self.chats.get(&chat_id);
        let state = chat.and_then(|chat| chat.core.streams.get(&envelope.header.stream));
        let lacks_key =
            || !self.keys.contains_key(&(chat_id, epoch)) && self.is_entitled(&chat_id, epoch);
        state.is_some_and(|state| {
            let closes = state.gaps.contains(&envelope.head());
            closes && (!state.is_delivered_whole() || lacks_key())
        })
    }

    /// This company may get the key of an epoch, sooner or later.
    pub(super) fn is_entitled(&self, chat: &ChatId, epoch: u32) -> bool {
        self.chats.get(chat).is_some_and(|chat| {
            let owner = chat.owner();
            epoch > owner.epoch() || owner.entitled(&self.company).contains(&epoch)
        })
    }

    fn keep(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        item: &EnvelopeItem,
        envelope: VerifiedEnvelope,
        admission: Admission,
    ) {
        let chat_id = envelope.header.chat;
        let stream = envelope.header.stream;
        if origin != Origin::Replay {
            let (chat, item) = (chat_id, item.clone());
            cx.out.push(Output::Store(Record::Envelope { chat, item }));
        }
        self.fresh.insert(&envelope);
        let own = stream.node == self.node_key && stream.company == self.company;
        let parent = envelope.parent();
        let past = self.fresh.over(cx.log);
        let chat = self.chats.get(&chat_id);
        let begins = chat.map_or(0, |chat| self.begins_at(chat, &stream));
        let detached = parent != Head::START && past.link(&chat_id, &parent.hash).is_none();
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        let state = chat.core.streams.entry(stream).or_default();
        state.span = admission.span;
        state.closed = admission.closed;
        let detached = detached && !state.has_head(&parent);
        if detached && parent.seq > begins {
            state.gaps.push(parent);
        }
        let gap = state.gaps.iter().map(|gap| gap.seq).max().unwrap_or(0);
        let fills = state.gaps.contains(&envelope.head());
        state.gaps.retain(|gap| *gap != envelope.head());
        let was_whole = state.is_delivered_whole();
        let sibling = state.tips.first().map(|tip| tip.head.hash);
        #[cfg(feature = "sim")]
        if self.bug == Some(super::Bug::ForgetFork) && !state.has_head(&envelope.parent()) {
            state.tips.clear();
        }
        let forked = state.advance(
            envelope.parent(),
            Tip::of(&envelope.header, envelope.head()),
        );
        if detached || fills {
            let past = self.fresh.over(cx.log);
            state.join_branches(|tip, end| is_ancestor(&past, &chat_id, tip, end));
        }
        // Now it can be seen which branches lead to what a cut allows.
        let completes_cut = state.closed.is_some()
            && state.is_forked()
            && (fills || state.ends_at(&envelope.head()));
        chat.arrived.insert(stream, cx.now);
        if own {
            self.keep_own(cx, origin, &envelope);
        }
        // What lies before this company's history or before a gap is no fork but a belated part.
        let is_before = begins > 0 && parent.seq <= begins;
        let belated = detached || is_before || envelope.head().seq <= gap;
        if let (true, false, Some(first)) = (forked, belated, sibling) {
            cx.out
                .push(fork_alarm(chat_id, stream, first, envelope.hash));
        }
        if was_whole {
            self.deliver(cx, origin, envelope);
        }
        if completes_cut {
            self.apply_cut(cx, chat_id, stream.company);
        }
    }

    /// An own envelope that a partner brings proves that this node is a restored copy: it no longer continues that
    /// incarnation, because it cannot know whether that was the last one.
    fn keep_own(&mut self, cx: &mut Context<'_>, origin: Origin, envelope: &VerifiedEnvelope) {
        self.highest = self.highest.max(envelope.header.last_clock());
        self.clock = self.clock.max(envelope.header.last_clock());
        let Origin::Partner(partner) = origin else {
            return;
        };
        let (chat_id, incarnation) = (envelope.header.chat, envelope.header.stream.incarnation);
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        chat.doubted_by.remove(&partner);
        if chat.core.own == Some(incarnation) {
            chat.core.own = None;
            self.store_footing(cx, chat_id);
        }
    }

    pub(super) fn store_footing(&mut self, cx: &mut Context<'_>, chat_id: ChatId) {
        if let Some(chat) = self.chats.get_mut(&chat_id) {
            chat.footing_due = false;
            cx.out.push(Output::Store(Record::Footing {
                chat: chat_id,
                own: chat.core.own,
                owner_sure: chat.core.owner_sure,
            }));
        }
    }

    /// A node that cannot rely on its past says so durably before it does anything that follows from it.
    pub(super) fn store_footings_due(&mut self, cx: &mut Context<'_>) {
        let due: Vec<ChatId> = self
            .chats
            .iter()
            .filter(|(_, chat)| chat.footing_due)
            .map(|(chat, _)| *chat)
            .collect();
        due.into_iter()
            .for_each(|chat| self.store_footing(cx, chat));
    }
}

fn fork_alarm(chat: ChatId, stream: StreamId, first: Hash, second: Hash) -> Output {
    Output::Alarm(Alarm::Fork {
        chat,
        stream,
        first,
        second,
    })
}

/// What the owner wrote down of a head when it let a company's history begin there.
fn attested(chat: &Chat, stream: &StreamId, head: &Head) -> Option<Tip> {
    let spans = chat.core.owner.spans().flat_map(|(_, spans)| spans);
    let mut base = spans.flat_map(|span| span.base.iter());
    base.find(|(at, tip)| at == stream && tip.head == *head)
        .map(|(_, tip)| *tip)
}

/// The planted bug: re-adding does not help, because every cut that ever was must include the envelope.
#[cfg(feature = "sim")]
fn check_every_cut(chat: &Chat, envelope: &VerifiedEnvelope) -> Result<(), Refusal> {
    let stream = envelope.header.stream;
    let spans = chat
        .core
        .owner
        .spans()
        .filter(|(company, _)| **company == stream.company)
        .flat_map(|(_, spans)| spans);
    for (_, cuts) in spans.filter_map(|span| span.until.as_ref()) {
        let inside = cuts.iter().any(|cut| {
            let ends = cut.heads.iter();
            cut.stream == stream && ends.max().is_some_and(|end| end.seq >= envelope.head().seq)
        });
        if !inside {
            return Err(Refusal::BeyondCut);
        }
    }
    Ok(())
}
