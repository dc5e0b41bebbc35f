//! The owner log in use: what the owner decides, what members take over, and how an invited company answers.

use std::collections::BTreeMap;

use super::chat::Chat;
use super::{Alarm, Context, Origin, Output, Record, Refusal, Replicator};
use crate::clock::Time;
use crate::codec::Blob;
use crate::fields::Fields;
use crate::ids::{ChatId, CompanyId, Handle, Hash, Head, NodeKey, Position, StreamId};
use crate::owner_log::{
    Acceptance, Add, Bar, Body, ChatKind, Genesis, History, Invite, NewEpoch, OwnerLog, RULES,
    RecordError, RecordHeader, Remove, SignedRecord, StreamCut, VERSION,
};
use crate::seal::EpochKey;
use crate::stream::Tip;
use crate::suite::Random;

/// Why an act of the owner was not done. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwnerActError {
    #[error("there is no such chat here")]
    NoChat,
    #[error("only the company that owns the chat may do this")]
    NotOwner,
    #[error(
        "this node was restored from a copy and waits until partners confirm that they know no later decision"
    )]
    Unsure,
    #[error("the chat's present key is not here")]
    NoKey,
    #[error("the chat needs a newer version of crossport")]
    NeedsNewerVersion,
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Replicator {
    /// Makes a chat that this company owns.
    pub fn create_chat(
        &mut self,
        cx: &mut Context<'_>,
        kind: ChatKind,
        history: History,
        title: Option<&str>,
    ) -> Result<ChatId, OwnerActError> {
        let key = EpochKey::random(&mut cx.random);
        let nonce: [u8; 16] = (&mut cx.random).array();
        let commitment = key.commitment(&ChatId::ZERO, 1);
        let genesis = Genesis {
            rules: RULES,
            suite: self.suite.number(),
            kind,
            history,
            nonce,
            commitment,
        };
        let header = self.record_header(
            cx,
            ChatId::ZERO,
            Position::START,
            1,
            &Body::Genesis(genesis),
        );
        let record = SignedRecord::sign(self.suite, &self.node, &header, Vec::new());
        let chat_id = ChatId(record.hash().0);
        self.learn_key(cx, chat_id, 1, key);
        self.apply_record(cx, Origin::Local, chat_id, &record)
            .map_err(act_error)?;
        if let Some(title) = title {
            self.set_title(cx, chat_id, title)?;
        }
        Ok(chat_id)
    }

    pub fn set_title(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        title: &str,
    ) -> Result<(), OwnerActError> {
        self.check_may_act(chat_id)?;
        let owner = self
            .chats
            .get(&chat_id)
            .ok_or(OwnerActError::NoChat)?
            .owner();
        let (head, epoch) = (owner.head(), owner.epoch());
        let key = self
            .keys
            .get(&(chat_id, epoch))
            .ok_or(OwnerActError::NoKey)?
            .clone();
        let mut header = self.record_header(cx, chat_id, head, epoch, &Body::Title);
        let sealed = key.seal(
            (&mut cx.random).array(),
            &header.associated(),
            title.as_bytes(),
        );
        header.payload_len = sealed.len() as u32;
        header.payload_hash = Hash::of(&[&sealed]);
        let record = SignedRecord::sign(self.suite, &self.node, &header, sealed);
        self.apply_record(cx, Origin::Local, chat_id, &record)
            .map_err(act_error)
    }

    /// Invites a company. Its acceptance adds it; that needs nobody here.
    pub fn invite(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        company: CompanyId,
        expires: Time,
    ) -> Result<(), OwnerActError> {
        self.act(cx, chat_id, |_, _, _| {
            Ok(Body::Invite(Invite { company, expires }))
        })
    }

    /// Removes a company: a cut at what this node holds of it, and a new epoch, in one record.
    pub fn remove(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        company: CompanyId,
    ) -> Result<(), OwnerActError> {
        self.act(cx, chat_id, |replicator, cx, chat| {
            let cut = replicator.cut_of(chat, company);
            let epoch = replicator.new_epoch(cx, chat);
            Ok(Body::Remove(Remove {
                company,
                cut,
                epoch,
            }))
        })
    }

    /// Bars a person of any company from writing, or lifts the bar.
    pub fn bar(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        company: CompanyId,
        handle: Handle,
        barred: bool,
    ) -> Result<(), OwnerActError> {
        self.act(cx, chat_id, |replicator, _, chat| {
            let cut = replicator.cut_of(chat, company);
            Ok(Body::Bar(Bar {
                company,
                handle,
                barred,
                cut,
            }))
        })
    }

    /// Starts a new epoch, for example by age.
    pub fn rotate(&mut self, cx: &mut Context<'_>, chat_id: ChatId) -> Result<(), OwnerActError> {
        self.act(cx, chat_id, |replicator, cx, chat| {
            Ok(Body::Epoch(replicator.new_epoch(cx, chat)))
        })
    }

    fn act(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        decide: impl FnOnce(&mut Self, &mut Context<'_>, ChatId) -> Result<Body, OwnerActError>,
    ) -> Result<(), OwnerActError> {
        self.store_footings_due(cx);
        self.check_may_act(chat_id)?;
        let body = decide(self, cx, chat_id)?;
        let owner = self
            .chats
            .get(&chat_id)
            .ok_or(OwnerActError::NoChat)?
            .owner();
        let header = self.record_header(cx, chat_id, owner.head(), owner.epoch(), &body);
        let record = SignedRecord::sign(self.suite, &self.node, &header, Vec::new());
        self.apply_record(cx, Origin::Local, chat_id, &record)
            .map_err(act_error)
    }

    fn check_may_act(&self, chat_id: ChatId) -> Result<(), OwnerActError> {
        let chat = self.chats.get(&chat_id).ok_or(OwnerActError::NoChat)?;
        if chat.owner().owner() != self.company {
            return Err(OwnerActError::NotOwner);
        }
        if chat.owner().is_frozen() {
            return Err(OwnerActError::Record(RecordError::Frozen));
        }
        if chat.owner().needs_newer_version() {
            return Err(OwnerActError::NeedsNewerVersion);
        }
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::TrustOldOwnerLog) {
            return Ok(());
        }
        if !chat.core.owner_sure && !is_confirmed(chat, &self.company) {
            Err(OwnerActError::Unsure)
        } else {
            Ok(())
        }
    }

    fn cut_of(&self, chat_id: ChatId, company: CompanyId) -> Vec<StreamCut> {
        let heads = self
            .chats
            .get(&chat_id)
            .map(Chat::heads)
            .unwrap_or_default();
        heads
            .into_iter()
            .filter(|cut| cut.stream.company == company)
            .collect()
    }

    fn new_epoch(&mut self, cx: &mut Context<'_>, chat_id: ChatId) -> NewEpoch {
        let epoch = self
            .chats
            .get(&chat_id)
            .map_or(0, |chat| chat.owner().epoch())
            .saturating_add(1);
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::KeepEpochOnRemoval)
            && let Some(key) = self.keys.get(&(chat_id, epoch.saturating_sub(1))).cloned()
        {
            let commitment = key.commitment(&chat_id, epoch);
            self.learn_key(cx, chat_id, epoch, key);
            return NewEpoch { epoch, commitment };
        }
        let key = EpochKey::random(&mut cx.random);
        let commitment = key.commitment(&chat_id, epoch);
        self.learn_key(cx, chat_id, epoch, key);
        NewEpoch { epoch, commitment }
    }

    fn record_header(
        &mut self,
        cx: &Context<'_>,
        chat: ChatId,
        head: Position,
        epoch: u32,
        body: &Body,
    ) -> RecordHeader {
        self.clock = self.clock.next(cx.now).unwrap_or(self.clock);
        RecordHeader {
            version: VERSION,
            suite: self.suite.number(),
            chat,
            term: 0,
            seq: head.seq.saturating_add(1),
            prev: head.hash,
            owner: self.company,
            node: self.node_key,
            identity_at: self.roster.head(&self.company),
            clock: self.clock,
            kind: body.kind(),
            body: Blob(body.encode()),
            epoch,
            payload_len: 0,
            payload_hash: Hash::ZERO,
            fields: Fields::none(),
        }
    }

    /// Takes an owner record, whoever brings it: it is signed by the owner.
    pub(super) fn apply_record(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        chat_id: ChatId,
        record: &SignedRecord,
    ) -> Result<(), Refusal> {
        let (header, body) = record.verify(self.suite).map_err(Refusal::Record)?;
        if let Origin::Partner(partner) = origin {
            self.adopt_identity(cx, partner, header.owner);
            if let Body::Add(add) = &body {
                self.adopt_identity(cx, partner, add.acceptance.company);
            }
        }
        self.check_listed(&header.owner, &header.identity_at, &header.node)?;
        if let Body::Add(add) = &body {
            // An owner cannot add a company by a key that it made up for it.
            let accepted = &add.acceptance;
            self.check_listed(&accepted.company, &accepted.identity_at, &accepted.node)?;
        }
        let new = match self.chats.get_mut(&chat_id) {
            Some(chat) => chat.core.owner.push(self.suite, record, &header, &body),
            None => {
                let log = OwnerLog::start(record, &header, &body).map_err(Refusal::Record)?;
                if log.chat() != chat_id {
                    return Err(Refusal::Record(RecordError::WrongPrev));
                }
                let continuity = self.continuity || origin != Origin::Replay;
                let mut chat = Chat::new(log, continuity);
                // An own chat that comes from a partner was forgotten here: it may have gone on since.
                if matches!(origin, Origin::Partner(_)) && header.owner == self.company {
                    chat.core.owner_sure = false;
                    chat.footing_due = true;
                }
                self.chats.insert(chat_id, chat);
                Ok(true)
            }
        };
        match new {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(RecordError::Fork(seq)) => return Err(self.freeze(cx, chat_id, seq)),
            Err(error) => return Err(Refusal::Record(error)),
        }
        if origin != Origin::Replay {
            cx.out.push(Output::Store(Record::Owner {
                chat: chat_id,
                record: record.clone(),
            }));
        }
        self.after_record(cx, origin, chat_id, &body);
        Ok(())
    }

    /// The key is one of the company's at the cited identity position.
    fn check_listed(
        &self,
        company: &CompanyId,
        at: &Position,
        node: &NodeKey,
    ) -> Result<(), Refusal> {
        match self.roster.lists_at(company, at, node) {
            Some(true) => Ok(()),
            Some(false) => Err(Refusal::Record(RecordError::UnknownKey)),
            None => Err(Refusal::Record(RecordError::NeedsIdentity)),
        }
    }

    fn freeze(&mut self, cx: &mut Context<'_>, chat_id: ChatId, seq: u64) -> Refusal {
        if let Some(chat) = self.chats.get_mut(&chat_id)
            && !chat.core.owner.is_frozen()
        {
            chat.core.owner.freeze();
            cx.out
                .push(Output::Alarm(Alarm::OwnerFork { chat: chat_id, seq }));
            cx.out.push(Output::ChatChanged { chat: chat_id });
        }
        Refusal::Record(RecordError::Fork(seq))
    }

    /// This company takes part again and still has what it held. To a stranger its partners said nothing of what they
    /// hold: asked once more, they are not sent all of it.
    fn ask_what_members_hold(&mut self, chat_id: ChatId) {
        let chat = self.chats.get(&chat_id);
        if chat.is_none_or(|chat| chat.core.streams.is_empty()) {
            return;
        }
        let partners = self.partners.values_mut();
        let links = partners.filter_map(|partner| partner.link.as_mut());
        for theirs in links.filter_map(|link| link.theirs.get_mut(&chat_id)) {
            theirs.known = false;
            theirs.asked = false;
        }
    }

    fn after_record(&mut self, cx: &mut Context<'_>, origin: Origin, chat_id: ChatId, body: &Body) {
        match body {
            Body::Add(add) if add.acceptance.company == self.company => {
                if let Some(chat) = self.chats.get_mut(&chat_id) {
                    chat.core.accepted = None;
                }
                self.ask_what_members_hold(chat_id);
                self.begin_history(cx, chat_id);
                self.deliver_waiting(cx, origin, chat_id);
            }
            Body::Add(add) => {
                // What was heard of an earlier membership is over: its history begins anew.
                let base = add.base.iter().map(|(stream, tip)| (*stream, tip.head));
                let mut heads: BTreeMap<StreamId, Vec<Head>> = BTreeMap::new();
                base.for_each(|(stream, head)| heads.entry(stream).or_default().push(head));
                self.note_theirs(add.acceptance.company, chat_id, |theirs| {
                    theirs.heads.extend(heads)
                });
            }
            Body::Remove(remove) => {
                self.apply_cut(cx, chat_id, remove.company);
                // What waited for a key that this company will never get waits no longer.
                self.deliver_waiting(cx, origin, chat_id);
            }
            _ => {}
        }
        if matches!(body, Body::Add(_) | Body::Remove(_)) {
            self.note_direct_changed();
        }
        self.mark_dirty(chat_id);
        cx.out.push(Output::ChatChanged { chat: chat_id });
    }

    /// Approved partners' invitations are accepted at once; agreements will say otherwise one day.
    pub(super) fn accept_invitation(&mut self, cx: &Context<'_>, chat_id: ChatId) {
        let identity_at = self.roster.head(&self.company);
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        // Nobody takes part by rules that they do not know: the invitation waits for the newer version.
        if chat.core.owner.needs_newer_version() {
            return;
        }
        let Some(open) = chat.core.owner.invitation(&self.company) else {
            return;
        };
        let answered = chat
            .core
            .accepted
            .as_ref()
            .is_some_and(|accepted| accepted.invitation == open.at);
        if answered
            || open.expires < cx.now
            || !self.partners.contains_key(&chat.core.owner.owner())
        {
            return;
        }
        let acceptance = Acceptance::sign(
            self.suite,
            &self.node,
            chat_id,
            open.at,
            identity_at,
            self.bundle.clone(),
        );
        chat.core.accepted = Some(acceptance);
    }

    /// The owner takes an acceptance: the company is added.
    pub(super) fn receive_acceptance(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        acceptance: Acceptance,
    ) -> Result<(), Refusal> {
        let chat_id = acceptance.chat;
        let chat = self.chats.get(&chat_id).ok_or(Refusal::NotShared)?;
        let owner = chat.owner();
        if owner.owner() != self.company || acceptance.company != partner {
            return Err(Refusal::NotShared);
        }
        if owner.is_member(&partner) {
            return Ok(());
        }
        let expired = owner
            .invitation(&partner)
            .is_some_and(|open| open.expires < cx.now);
        if expired {
            return Err(Refusal::BadAcceptance(RecordError::Rule(
                "the invitation has expired",
            )));
        }
        owner
            .check_acceptance(self.suite, &acceptance)
            .map_err(Refusal::BadAcceptance)?;
        if !self.roster.lists(&acceptance.company, &acceptance.node) {
            return Err(Refusal::UnknownKey);
        }
        let full = owner.history() == History::FULL;
        let done = self.act(cx, chat_id, |replicator, cx, chat_id| {
            let base = if full {
                Vec::new()
            } else {
                replicator.base_for_newcomer(chat_id)
            };
            let epoch = (!full).then(|| replicator.new_epoch(cx, chat_id));
            Ok(Body::Add(Box::new(Add {
                acceptance,
                epoch,
                base,
            })))
        });
        match done {
            Err(OwnerActError::Record(error)) => Err(Refusal::BadAcceptance(error)),
            // An owner that is not sure of its log yet is asked again at the next sync.
            Err(_) | Ok(()) => Ok(()),
        }
    }

    fn base_for_newcomer(&self, chat_id: ChatId) -> Vec<(StreamId, Tip)> {
        let Some(chat) = self.chats.get(&chat_id) else {
            return Vec::new();
        };
        let mut base: Vec<(StreamId, Tip)> = chat
            .core
            .streams
            .iter()
            .flat_map(|(stream, state)| state.tips.iter().map(move |tip| (*stream, *tip)))
            .collect();
        base.sort_unstable_by_key(|(stream, tip)| (*stream, tip.head));
        base
    }

    pub(super) fn learn_key(
        &mut self,
        cx: &mut Context<'_>,
        chat: ChatId,
        epoch: u32,
        key: EpochKey,
    ) {
        self.keys.insert((chat, epoch), key.clone());
        cx.out.push(Output::StoreKey { chat, epoch, key });
    }
}

/// More than half of the other member companies said that they know no later record.
pub(super) fn is_confirmed(chat: &Chat, company: &CompanyId) -> bool {
    let others: Vec<CompanyId> = chat
        .owner()
        .members()
        .filter(|member| member != company)
        .collect();
    let confirmed = others
        .iter()
        .filter(|member| chat.confirmed.contains(*member))
        .count();
    others.is_empty() || confirmed.saturating_mul(2) > others.len()
}

fn act_error(refusal: Refusal) -> OwnerActError {
    match refusal {
        Refusal::Record(error) => OwnerActError::Record(error),
        _ => OwnerActError::NoChat,
    }
}
