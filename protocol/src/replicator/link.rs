//! The conversation with one linked partner: hello, digests, frontiers, and who may say what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::frontier::Asking;
use super::identities::{COMPANIES, Introduced};
use super::{Context, Origin, Output, Record, Refusal, Replicator};
use crate::clock::Time;
use crate::frame::{EnvelopesFrame, Frame, Hello, OwnerFrame, VERSION};
use crate::ids::{ChatId, CompanyId, Head, NodeKey, Position, StreamId};
use crate::owner_log::{Body, RecordError, StreamCut};
use crate::wrap::{self, Wrap};

/// Chats in one digest frame: 48 bytes each, well below a frame.
pub(super) const DIGESTS_A_FRAME: usize = 10_000;
/// A link on which nothing has moved for this long compares digests again. Transports do not lose frames; this is for
/// the ones that think so and are wrong.
pub(super) const IDLE_COMPARE_MS: u64 = 10_000;
/// Pending refusals ask a partner to start a chat afresh at most this often, and ever more rarely while nothing new
/// comes of it: what can never be taken must not keep two nodes busy.
pub(super) const ASK_AGAIN_MS: u64 = 1_000;
pub(super) const ASK_AGAIN_MOST_MS: u64 = 600_000;

/// An approved partner.
#[derive(Debug, Clone, Default)]
pub struct Partner {
    pub(super) link: Option<PartnerLink>,
}

impl Partner {
    pub fn is_linked(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.hello.is_some())
    }

    /// The partner's clock less ours when it said hello, in milliseconds.
    pub fn clock_difference_ms(&self) -> Option<i64> {
        self.link.as_ref().and_then(|link| link.clock_difference_ms)
    }

    /// Chats in which this partner is known or suspected to lack something.
    pub fn dirty_chats(&self) -> usize {
        self.link.as_ref().map_or(0, |link| link.dirty.len())
    }
}

/// A breach of the order of a link: the shell drops the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolBreach {
    #[error("the first frame must be a hello")]
    NoHello,
    #[error("the hello names another company than the one that was approved")]
    OtherCompany,
    #[error(
        "the partner speaks version {0} of the protocol, this node version {VERSION}; the older one has to be renewed"
    )]
    OtherVersion(u16),
    #[error("the hello's prekey is not signed by a node key of the company")]
    BadPrekey,
}

/// What is known of a live link. Gone when it ends.
#[derive(Debug, Clone, Default)]
pub(super) struct PartnerLink {
    pub since: Time,
    pub hello: Option<Hello>,
    pub hello_sent: bool,
    pub digests_sent: bool,
    pub clock_difference_ms: Option<i64>,
    pub theirs: BTreeMap<ChatId, Theirs>,
    /// Chats named by the partner's digests.
    pub named: BTreeSet<ChatId>,
    pub dirty: BTreeSet<ChatId>,
    /// Chats whose frontier is owed to the partner.
    pub owed: BTreeMap<ChatId, Asking>,
    /// Chats that wait for an author's own delivery before this node relays.
    pub relay_later: BTreeMap<ChatId, Time>,
    pub told: BTreeMap<CompanyId, u64>,
    pub introduced: Introduced,
    /// Nothing is to be made for it until its queue has room again.
    pub held: bool,
    pub located: BTreeSet<(ChatId, StreamId, Head)>,
    /// The companies that the partner is linked with.
    pub direct: BTreeSet<CompanyId>,
    pub direct_told: BTreeSet<CompanyId>,
    pub direct_due: bool,
    /// When pending refusals last asked for a fresh start, and when they will.
    pub asked_again: BTreeMap<ChatId, Asked>,
    pub ask_later: BTreeMap<ChatId, Time>,
    pub sent_bytes: u64,
    pub acked_bytes: u64,
    pub acked_at: Time,
    pub processed_bytes: u64,
    /// What was sent and is not acknowledged: a frontier that was on its way meanwhile does not know of it.
    pub in_flight: VecDeque<InFlight>,
    pub progress_at: Time,
    /// How long nothing must move before digests are compared again; grows while they agree.
    pub compare_after_ms: u64,
}

/// When a chat was asked for afresh, and how long not to ask again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub at: Time,
    pub pause_ms: u64,
}

/// The heads of a stream that the partner holds once it has processed so many bytes.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    pub sent_bytes: u64,
    pub chat: ChatId,
    pub stream: StreamId,
    pub heads: Vec<Head>,
}

/// What the partner holds of a chat, as far as this node knows or has sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Theirs {
    pub known: bool,
    pub asked: bool,
    pub owner_seq: u64,
    pub heads: BTreeMap<StreamId, Vec<Head>>,
    /// Heads whose past the partner lacks.
    pub gaps: BTreeMap<StreamId, Vec<Head>>,
    /// All heads of those streams as the partner said them: what is on its way must not hide where a gap begins.
    pub beside_gaps: BTreeMap<StreamId, Vec<Head>>,
    pub statements: BTreeMap<NodeKey, u64>,
    pub reads: BTreeMap<(NodeKey, u16), u64>,
    pub missing_epochs: BTreeSet<u32>,
    /// The records after the fork of the owner log were sent as its proof.
    pub fork_told: bool,
    /// The invitation whose acceptance was sent.
    pub accepted: Option<Position>,
}

impl Theirs {
    /// The partner holds these heads, and lacks what lies before some of them.
    pub(super) fn hold(&mut self, streams: Vec<StreamCut>, gaps: Vec<StreamCut>) {
        let by_stream = |cuts: Vec<StreamCut>| {
            let cuts = cuts.into_iter().map(|cut| (cut.stream, cut.heads));
            cuts.collect::<BTreeMap<StreamId, Vec<Head>>>()
        };
        self.heads = by_stream(streams);
        self.gaps = by_stream(gaps);
        self.beside_gaps = self.heads.clone();
        self.beside_gaps
            .retain(|stream, _| self.gaps.contains_key(stream));
    }
}

impl PartnerLink {
    /// The partner has processed so many bytes.
    pub(super) fn acknowledge(&mut self, now: Time, processed: u64) {
        let acked = self.acked_bytes.max(processed.min(self.sent_bytes));
        if acked > self.acked_bytes {
            self.acked_bytes = acked;
            self.acked_at = now;
        }
        while self
            .in_flight
            .front()
            .is_some_and(|sent| sent.sent_bytes <= acked)
        {
            self.in_flight.pop_front();
        }
    }

    /// Whatever is not acknowledged counts as lost: the frontiers that follow say what.
    pub(super) fn give_up_unacknowledged(&mut self, now: Time) {
        self.acked_bytes = self.sent_bytes;
        self.acked_at = now;
        self.in_flight.clear();
    }

    pub(super) fn owe(&mut self, chat: ChatId, asking: Asking) {
        let owed = self.owed.entry(chat).or_insert(asking);
        *owed = owed.or(asking);
    }
}

impl Replicator {
    /// Approves a partner: its identity is in the roster, its links are welcome.
    pub fn set_partner(&mut self, company: CompanyId) {
        self.partners.entry(company).or_default();
    }

    /// Takes a company's identity log that was given by pairing.
    pub fn learn_identity(
        &mut self,
        cx: &mut Context<'_>,
        company: CompanyId,
        records: &[crate::identity::SignedIdentity],
    ) -> Result<(), crate::identity::IdentityError> {
        for record in self.roster.merge(company, records)? {
            cx.out
                .push(Output::Store(Record::Identity { company, record }));
        }
        Ok(())
    }

    pub fn remove_partner(&mut self, cx: &mut Context<'_>, company: CompanyId) {
        self.partner_down(cx, company);
        self.partners.remove(&company);
    }

    /// A link is up. From now on things may leave to this partner: that is stored before [`Self::pump`] sends any.
    pub fn partner_up(&mut self, cx: &mut Context<'_>, company: CompanyId) {
        if !self.partners.contains_key(&company) {
            return;
        }
        self.settle_restored(cx);
        self.partner_down(cx, company);
        if let Some(partner) = self.partners.get_mut(&company) {
            partner.link = Some(PartnerLink {
                since: cx.now,
                progress_at: cx.now,
                acked_at: cx.now,
                compare_after_ms: IDLE_COMPARE_MS,
                direct_due: true,
                ..PartnerLink::default()
            });
        }
        self.store_footings_due(cx);
        self.note_statements_due();
        self.open_exposure(cx, company);
    }

    pub fn partner_down(&mut self, cx: &mut Context<'_>, company: CompanyId) {
        let link = self
            .partners
            .get_mut(&company)
            .and_then(|partner| partner.link.take());
        if link.is_some() {
            self.close_exposure(cx, company);
            self.note_direct_changed();
        }
    }

    pub(super) fn link_mut(&mut self, company: CompanyId) -> Option<&mut PartnerLink> {
        self.partners.get_mut(&company)?.link.as_mut()
    }

    pub(super) fn note_theirs(
        &mut self,
        company: CompanyId,
        chat: ChatId,
        note: impl FnOnce(&mut Theirs),
    ) {
        if let Some(link) = self.link_mut(company) {
            note(link.theirs.entry(chat).or_default());
        }
    }

    /// Something of the chat may be lacking at every linked partner that may see it.
    pub(super) fn mark_dirty(&mut self, chat_id: ChatId) {
        let Some(chat) = self.chats.get(&chat_id) else {
            return;
        };
        for (company, partner) in &mut self.partners {
            if let Some(link) = partner.link.as_mut()
                && chat.core.owner.visible_to(company) > 0
            {
                link.dirty.insert(chat_id);
            }
        }
    }

    /// In chats of three or more companies others may have to relay, or need no longer.
    pub(super) fn note_direct_changed(&mut self) {
        let links = self.partners.values_mut();
        for link in links.filter_map(|partner| partner.link.as_mut()) {
            link.direct_due = true;
        }
    }

    fn receive_direct(&mut self, partner: CompanyId, companies: Vec<CompanyId>) {
        let Some(link) = self.link_mut(partner) else {
            return;
        };
        let direct: BTreeSet<CompanyId> = companies.into_iter().take(COMPANIES).collect();
        let gone: Vec<CompanyId> = link.direct.difference(&direct).copied().collect();
        link.direct = direct;
        if gone.is_empty() {
            return;
        }
        let concerned: Vec<ChatId> = self
            .chats
            .iter()
            .filter(|(_, chat)| chat.owner().is_member(&partner))
            .filter(|(_, chat)| gone.iter().any(|company| chat.owner().is_member(company)))
            .map(|(chat, _)| *chat)
            .collect();
        if let Some(link) = self.link_mut(partner) {
            link.dirty.extend(concerned);
        }
    }

    /// Takes a frame of a linked partner. Everything that is wrong with it becomes a [`Output::Refused`]; a breach is
    /// returned as well, because the link must end.
    pub fn receive(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        bytes: &[u8],
    ) -> Result<(), ProtocolBreach> {
        match Frame::decode(bytes) {
            Ok(frame) => self.receive_frame(cx, partner, frame),
            Err(_) => {
                if let Some(link) = self.link_mut(partner) {
                    link.progress_at = cx.now;
                    refuse(cx, partner, None, Refusal::BadFrame);
                }
                Ok(())
            }
        }
    }

    /// The same with a frame that is decoded, perhaps one of the pieces of a longer one.
    pub fn receive_frame(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        frame: Frame,
    ) -> Result<(), ProtocolBreach> {
        let Some(link) = self.link_mut(partner) else {
            return Ok(());
        };
        let said_hello = link.hello.is_some();
        link.progress_at = cx.now;
        self.fresh.clear();
        let breach = match frame {
            Frame::Hello(hello) => self.receive_hello(cx, partner, hello).err(),
            _ if !said_hello => Some(ProtocolBreach::NoHello),
            frame => {
                self.dispatch(cx, partner, frame);
                None
            }
        };
        match breach {
            Some(breach) => {
                refuse(cx, partner, None, Refusal::Breach(breach.clone()));
                Err(breach)
            }
            None => Ok(()),
        }
    }

    fn dispatch(&mut self, cx: &mut Context<'_>, partner: CompanyId, frame: Frame) {
        match frame {
            Frame::Digests(digests) => self.receive_digests(partner, digests),
            Frame::Frontier(frontier) => self.receive_frontier(cx, partner, frontier),
            Frame::Identity(identity) => self.receive_identity(cx, partner, identity),
            Frame::Owner(owner) => self.receive_owner(cx, partner, owner),
            Frame::Envelopes(envelopes) => self.receive_envelopes(cx, partner, envelopes),
            Frame::Wraps(wraps) => wraps
                .iter()
                .for_each(|wrap| self.receive_wrap(cx, partner, wrap)),
            Frame::Statements(statements) => {
                for statement in statements {
                    let chat = statement.content.chat;
                    let taken = self.receive_statement(cx, partner, statement);
                    self.settle(cx, partner, chat, taken);
                }
            }
            Frame::Reads(registers) => {
                for register in registers {
                    let chat = register.content.chat;
                    let taken = self.receive_read(cx, partner, register);
                    self.settle(cx, partner, chat, taken);
                }
            }
            Frame::Accept(acceptance) => {
                let chat = acceptance.chat;
                let taken = self.receive_acceptance(cx, partner, acceptance);
                self.settle(cx, partner, chat, taken);
            }
            Frame::Locate(locate) => self.receive_locate(cx, partner, &locate),
            Frame::Direct(companies) => self.receive_direct(partner, companies),
            Frame::Hello(_) | Frame::Unknown(_) => {}
        }
    }

    /// A refusal is told; one that only lacks context asks the partner to start this chat afresh.
    fn settle(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        chat: ChatId,
        taken: Result<(), Refusal>,
    ) {
        let Err(refusal) = taken else { return };
        if refusal.is_pending()
            && let Some(link) = self.link_mut(partner)
        {
            let asked = link.asked_again.get(&chat);
            let next = asked.map_or(cx.now, |asked| asked.at.plus_ms(asked.pause_ms));
            link.ask_later.entry(chat).or_insert(next.max(cx.now));
        }
        refuse(cx, partner, Some(chat), refusal);
    }

    fn receive_hello(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        hello: Hello,
    ) -> Result<(), ProtocolBreach> {
        if hello.company != partner {
            return Err(ProtocolBreach::OtherCompany);
        }
        if hello.version != VERSION {
            return Err(ProtocolBreach::OtherVersion(hello.version));
        }
        let prekey = &hello.prekey;
        if prekey.company != partner
            || !prekey.verify(self.suite)
            || !self.roster.lists(&partner, &prekey.node)
        {
            return Err(ProtocolBreach::BadPrekey);
        }
        let now = cx.now.0 as i64;
        if let Some(link) = self.link_mut(partner) {
            link.clock_difference_ms = Some((hello.time.0 as i64).saturating_sub(now));
            link.hello = Some(hello);
        }
        self.note_direct_changed();
        Ok(())
    }

    fn receive_owner(&mut self, cx: &mut Context<'_>, partner: CompanyId, frame: OwnerFrame) {
        let chat_id = frame.chat;
        let allowed = match self.chats.get(&chat_id) {
            // Any company that may see the log may bring it: records are signed by the owner.
            // It may have been added by the very records that it brings.
            Some(chat) => chat.owner().visible_to(&partner) > 0 || self.concerns(&frame, &partner),
            None => self.concerns(&frame, &self.company),
        };
        if !allowed {
            return refuse(cx, partner, Some(chat_id), Refusal::NotShared);
        }
        let head = |replicator: &Replicator| {
            let chat = replicator.chats.get(&chat_id);
            chat.map_or(0, |chat| chat.owner().head().seq)
        };
        let before = head(self);
        for record in &frame.records {
            let taken = self.apply_record(cx, Origin::Partner(partner), chat_id, record);
            if let Err(Refusal::Record(RecordError::Fork(seq))) = &taken {
                // The partner gets the other record in return: that is its proof.
                let common = seq.saturating_sub(1);
                self.note_theirs(partner, chat_id, |theirs| {
                    if !std::mem::replace(&mut theirs.fork_told, true) {
                        theirs.owner_seq = theirs.owner_seq.min(common);
                    }
                });
                self.mark_dirty(chat_id);
            }
            let stop = taken.is_err();
            self.settle(cx, partner, chat_id, taken);
            if stop {
                return;
            }
        }
        let head = head(self);
        if let Some(link) = self.link_mut(partner) {
            let theirs = link.theirs.entry(chat_id).or_default();
            theirs.owner_seq = theirs.owner_seq.max(head);
            if head > before {
                link.asked_again.remove(&chat_id);
                link.owe(chat_id, Asking::Nothing);
            }
        }
    }

    /// The records make, invite or add a company. An unknown chat is only taken when they do so with this one.
    fn concerns(&self, frame: &OwnerFrame, company: &CompanyId) -> bool {
        frame
            .records
            .iter()
            .any(|record| match record.verify(self.suite) {
                Ok((_, Body::Invite(invite))) => invite.company == *company,
                Ok((_, Body::Add(add))) => add.acceptance.company == *company,
                Ok((header, Body::Genesis(_))) => header.owner == *company,
                _ => false,
            })
    }

    fn receive_envelopes(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        frame: EnvelopesFrame,
    ) {
        let chat_id = frame.chat;
        if let Some(link) = self.link_mut(partner) {
            link.processed_bytes = link.processed_bytes.max(frame.sent_bytes);
            link.owe(chat_id, Asking::Nothing);
        }
        let shared = self.chats.get(&chat_id).is_some_and(|chat| {
            chat.owner().is_member(&partner) && chat.owner().is_member(&self.company)
        });
        #[cfg(feature = "sim")]
        let shared =
            shared || self.has_bug(super::Bug::SkipScope) && self.chats.contains_key(&chat_id);
        if !shared {
            return refuse(cx, partner, Some(chat_id), Refusal::NotShared);
        }
        let mut any = false;
        for item in &frame.items {
            match self.ingest(cx, Origin::Partner(partner), chat_id, item) {
                Ok(ingested) => {
                    any |= ingested.new;
                    // Who sends an envelope holds it.
                    self.note_their_head(cx.log, partner, chat_id, ingested.stream, ingested.head);
                }
                Err(refusal) => {
                    if refusal == Refusal::BeyondCut {
                        self.note_excluded_branch(cx.log, partner, chat_id, item);
                    }
                    self.settle(cx, partner, chat_id, Err(refusal));
                }
            }
        }
        if any {
            if let Some(link) = self.link_mut(partner) {
                link.asked_again.remove(&chat_id);
            }
            self.mark_dirty(chat_id);
        }
    }

    fn receive_wrap(&mut self, cx: &mut Context<'_>, partner: CompanyId, wrap: &Wrap) {
        let chat_id = wrap.chat;
        let taken = self.take_wrap(cx, partner, wrap);
        let learned = taken.is_ok();
        self.settle(cx, partner, chat_id, taken);
        if learned {
            self.deliver_waiting(cx, Origin::Partner(partner), chat_id);
            self.mark_dirty(chat_id);
            if let Some(link) = self.link_mut(partner) {
                link.owe(chat_id, Asking::Nothing);
            }
        }
    }

    fn take_wrap(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        wrap: &Wrap,
    ) -> Result<(), Refusal> {
        let chat = self.chats.get(&wrap.chat).ok_or(Refusal::NotShared)?;
        if !chat.owner().is_member(&partner) || wrap.recipient != self.company {
            return Err(Refusal::NotShared);
        }
        if self.keys.contains_key(&(wrap.chat, wrap.epoch)) {
            return Ok(());
        }
        if !chat.owner().entitled(&self.company).contains(&wrap.epoch) {
            return Err(Refusal::NeedsOwner);
        }
        let commitment = chat
            .owner()
            .commitment(wrap.epoch)
            .ok_or(Refusal::NeedsOwner)?;
        let secret = self
            .prekeys
            .get(&wrap.prekey_version)
            .ok_or(Refusal::BadWrap)?;
        let key = wrap::unwrap(self.suite, wrap, secret).ok_or(Refusal::BadWrap)?;
        if key.commitment(&wrap.chat, wrap.epoch) != commitment {
            return Err(Refusal::BadWrap);
        }
        self.learn_key(cx, wrap.chat, wrap.epoch, key);
        Ok(())
    }
}

pub(super) fn refuse(
    cx: &mut Context<'_>,
    partner: CompanyId,
    chat: Option<ChatId>,
    refusal: Refusal,
) {
    cx.out.push(Output::Refused {
        partner,
        chat,
        refusal,
    });
}
