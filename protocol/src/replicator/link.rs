//! The conversation with one linked partner: hello, digests, frontiers, and who may say what.

use std::collections::{BTreeMap, BTreeSet};

use super::chat::is_ancestor;
use super::ingest::Ingested;
use super::{Alarm, Context, Origin, Output, Record, Refusal, Replicator};
use crate::clock::Time;
use crate::codec;
use crate::envelope::EnvelopeHeader;
use crate::frame::{
    BUILD, Digests, EnvelopesFrame, Frame, Frontier, FrontierBody, Hello, IdentityFrame, Locate,
    OwnerFrame, VERSION,
};
use crate::ids::{ChatId, CompanyId, Head, NodeKey, StreamId};
use crate::limits;
use crate::owner_log::{Body, StreamCut};
use crate::wrap::{self, Wrap};

/// Chats in one digest frame: 48 bytes each, well below a frame.
pub(super) const DIGESTS_A_FRAME: usize = 10_000;
/// Companies whose identity this node keeps: far above any real circle of partners, little enough to keep in memory.
const COMPANIES: usize = 10_000;

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
    #[error("the partner runs another build ({0}); before version 1 both must run the same")]
    OtherBuild(String),
    #[error("the hello's prekey is not signed by a node key of the company")]
    BadPrekey,
}

/// What is known of a live link. Gone when it ends.
#[derive(Debug, Clone, Default)]
pub(super) struct PartnerLink {
    pub hello: Option<Hello>,
    pub hello_sent: bool,
    pub digests_sent: bool,
    pub clock_difference_ms: Option<i64>,
    pub theirs: BTreeMap<ChatId, Theirs>,
    /// Chats named by the partner's digests.
    pub named: BTreeSet<ChatId>,
    pub dirty: BTreeSet<ChatId>,
    /// Chats whose frontier is owed to the partner; true asks for theirs.
    pub owed: BTreeMap<ChatId, bool>,
    /// Chats that wait for an author's own delivery before this node relays.
    pub relay_later: BTreeMap<ChatId, Time>,
    pub told: BTreeMap<CompanyId, u64>,
    pub located: BTreeSet<(ChatId, StreamId, Head)>,
    /// Pending refusals ask for a fresh start, at most this often.
    pub asked_again_at: BTreeMap<ChatId, Time>,
    pub sent_bytes: u64,
    pub acked_bytes: u64,
    pub processed_bytes: u64,
    pub progress_at: Time,
}

/// What the partner holds of a chat, as far as this node knows or has sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Theirs {
    pub known: bool,
    pub asked: bool,
    pub owner_seq: u64,
    pub heads: BTreeMap<StreamId, Vec<Head>>,
    pub statements: BTreeMap<NodeKey, u64>,
    pub reads: BTreeMap<NodeKey, u64>,
    pub direct: BTreeSet<CompanyId>,
    pub missing_epochs: Vec<u32>,
    pub acceptance_sent: bool,
}

impl Replicator {
    /// Approves a partner: its identity is in the roster, its links are welcome.
    pub fn set_partner(&mut self, company: CompanyId) {
        self.partners.entry(company).or_default();
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
        self.partner_down(cx, company);
        if let Some(partner) = self.partners.get_mut(&company) {
            partner.link = Some(PartnerLink {
                progress_at: cx.now,
                ..PartnerLink::default()
            });
        }
        self.open_exposure(cx, company);
    }

    pub fn partner_down(&mut self, cx: &mut Context<'_>, company: CompanyId) {
        let link = self
            .partners
            .get_mut(&company)
            .and_then(|partner| partner.link.take());
        if link.is_some() {
            self.close_exposure(cx, company);
            self.tell_direct_changed(company);
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
    fn tell_direct_changed(&mut self, company: CompanyId) {
        let concerned: Vec<ChatId> = self
            .chats
            .iter()
            .filter(|(_, chat)| {
                chat.owner().is_member(&company) && chat.owner().members().count() > 2
            })
            .map(|(chat, _)| *chat)
            .collect();
        for (other, partner) in &mut self.partners {
            let Some(link) = partner.link.as_mut().filter(|_| *other != company) else {
                continue;
            };
            for chat in concerned
                .iter()
                .filter(|chat| link.theirs.get(chat).is_some_and(|theirs| theirs.known))
            {
                link.owed.entry(*chat).or_insert(false);
            }
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
        let Some(link) = self.link_mut(partner) else {
            return Ok(());
        };
        let said_hello = link.hello.is_some();
        link.progress_at = cx.now;
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(_) => {
                refuse(cx, partner, None, Refusal::BadFrame);
                return Ok(());
            }
        };
        let breach = match frame {
            Frame::Hello(hello) => self.receive_hello(cx, partner, hello).err(),
            _ if !said_hello => Some(ProtocolBreach::NoHello),
            frame => {
                self.dispatch(cx, partner, frame, bytes.len());
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

    fn dispatch(&mut self, cx: &mut Context<'_>, partner: CompanyId, frame: Frame, bytes: usize) {
        match frame {
            Frame::Digests(digests) => self.receive_digests(partner, digests),
            Frame::Frontier(frontier) => self.receive_frontier(cx, partner, frontier),
            Frame::Identity(identity) => self.receive_identity(cx, partner, identity),
            Frame::Owner(owner) => self.receive_owner(cx, partner, owner),
            Frame::Envelopes(envelopes) => self.receive_envelopes(cx, partner, envelopes, bytes),
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
        const ASK_AGAIN_MS: u64 = 1_000;
        let Err(refusal) = taken else { return };
        if refusal.is_pending()
            && let Some(link) = self.link_mut(partner)
        {
            let last = link.asked_again_at.get(&chat);
            if last.is_none_or(|last| cx.now.since(*last) >= ASK_AGAIN_MS) {
                link.asked_again_at.insert(chat, cx.now);
                link.owed.insert(chat, true);
            }
        }
        refuse(cx, partner, Some(chat), refusal);
    }

    pub(super) fn hello(&self, now: Time) -> Hello {
        Hello {
            version: VERSION,
            build: BUILD.to_owned(),
            company: self.company,
            generation: self.generation,
            identity_at: self.roster.head(&self.company),
            prekey: self.bundle.clone(),
            time: now,
        }
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
        if hello.version != VERSION || hello.build != BUILD {
            let build: String = hello
                .build
                .chars()
                .filter(|c| c.is_ascii_graphic())
                .take(32)
                .collect();
            return Err(ProtocolBreach::OtherBuild(build));
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
        self.tell_direct_changed(partner);
        Ok(())
    }

    /// The chats that are compared with a partner at a reconnect.
    pub(super) fn shared_digests(&self, partner: &CompanyId) -> Vec<(ChatId, [u8; 16])> {
        let shared = self
            .chats
            .iter()
            .filter(|(_, chat)| chat.owner().visible_to(partner) > 0);
        shared
            .map(|(id, chat)| (*id, self.digest_with(chat, partner)))
            .collect()
    }

    /// Both ends must hash the same part: what the less entitled of the two may see.
    fn digest_with(&self, chat: &super::Chat, partner: &CompanyId) -> [u8; 16] {
        let owner = chat.owner();
        let less = if owner.is_member(&self.company) {
            partner
        } else {
            &self.company
        };
        chat.digest_for(less)
    }

    fn receive_digests(&mut self, partner: CompanyId, digests: Digests) {
        let mut agreed = Vec::new();
        let mut differing = Vec::new();
        for (chat, digest) in &digests.entries {
            match self.chats.get(chat) {
                Some(held) if self.digest_with(held, &partner) == *digest => agreed.push(*chat),
                _ => differing.push(*chat),
            }
        }
        let in_sync: Vec<(ChatId, Theirs)> = agreed
            .iter()
            .map(|chat| (*chat, self.theirs_as_ours(*chat, &partner)))
            .collect();
        let shared: Vec<ChatId> = self
            .shared_digests(&partner)
            .into_iter()
            .map(|(chat, _)| chat)
            .collect();
        let Some(link) = self.link_mut(partner) else {
            return;
        };
        link.named
            .extend(digests.entries.iter().map(|(chat, _)| *chat));
        for (chat, theirs) in in_sync {
            link.theirs.entry(chat).or_insert(theirs);
        }
        for chat in differing {
            link.owed.insert(chat, true);
        }
        if digests.last {
            let unnamed: Vec<ChatId> = shared
                .into_iter()
                .filter(|chat| !link.named.contains(chat))
                .collect();
            for chat in unnamed {
                link.owed.insert(chat, true);
            }
            link.named.clear();
        }
    }

    /// When digests agree, the partner holds exactly what this node holds.
    fn theirs_as_ours(&self, chat_id: ChatId, partner: &CompanyId) -> Theirs {
        let Some(chat) = self.chats.get(&chat_id) else {
            return Theirs::default();
        };
        Theirs {
            known: true,
            owner_seq: chat.owner().visible_to(partner),
            heads: chat
                .heads()
                .into_iter()
                .map(|cut| (cut.stream, cut.heads))
                .collect(),
            statements: chat
                .statements
                .values()
                .map(|held| (held.content.node, held.content.number))
                .collect(),
            reads: chat
                .reads
                .values()
                .map(|held| (held.content.node, held.content.number))
                .collect(),
            ..Theirs::default()
        }
    }

    /// What this node says that it holds. A company that does not take part is told nothing of the streams.
    pub(super) fn frontier(
        &self,
        chat_id: ChatId,
        partner: &CompanyId,
        reply: bool,
        processed: u64,
    ) -> Frontier {
        let mut body = FrontierBody {
            processed,
            reply,
            ..FrontierBody::default()
        };
        if let Some(chat) = self.chats.get(&chat_id) {
            let owner = chat.owner();
            body.owner_at = owner.position(owner.visible_to(partner).min(owner.head().seq));
            if owner.is_member(partner) && owner.is_member(&self.company) {
                body.streams = chat.heads();
                body.statements = chat
                    .statements
                    .values()
                    .map(|s| (s.content.node, s.content.number))
                    .collect();
                body.reads = chat
                    .reads
                    .values()
                    .map(|r| (r.content.node, r.content.number))
                    .collect();
                let linked = |company: &CompanyId| {
                    self.partners.get(company).is_some_and(Partner::is_linked)
                };
                body.direct = owner.members().filter(linked).collect();
            }
            let held = |epoch: &u32| self.keys.contains_key(&(chat_id, *epoch));
            body.missing_epochs = owner
                .entitled(&self.company)
                .into_iter()
                .filter(|epoch| !held(epoch))
                .collect();
        }
        Frontier {
            chat: chat_id,
            body,
        }
    }

    fn receive_frontier(&mut self, cx: &mut Context<'_>, partner: CompanyId, frontier: Frontier) {
        let Frontier {
            chat: chat_id,
            body,
        } = frontier;
        if let Some(chat) = self.chats.get(&chat_id)
            && chat.owner().visible_to(&partner) == 0
            && chat.owner().visible_to(&self.company) > 0
        {
            return refuse(cx, partner, Some(chat_id), Refusal::NotShared);
        }
        self.note_rollback(cx, chat_id, partner, &body);
        self.note_confirmation(chat_id, partner, &body);
        let Some(link) = self.link_mut(partner) else {
            return;
        };
        link.acked_bytes = link.acked_bytes.max(body.processed.min(link.sent_bytes));
        let theirs = link.theirs.entry(chat_id).or_default();
        if body.reply || !theirs.known {
            theirs.known = true;
            theirs.heads = body
                .streams
                .into_iter()
                .map(|cut| (cut.stream, cut.heads))
                .collect();
            theirs.owner_seq = body.owner_at.map_or(0, |position| position.seq);
            theirs.acceptance_sent = false;
        }
        // Registers only grow, so that what was sent meanwhile is not forgotten.
        body.statements.iter().for_each(|(node, number)| {
            super::registers::raise(&mut theirs.statements, *node, *number)
        });
        body.reads
            .iter()
            .for_each(|(node, number)| super::registers::raise(&mut theirs.reads, *node, *number));
        theirs.direct = body.direct.into_iter().collect();
        theirs.missing_epochs = body.missing_epochs;
        link.dirty.insert(chat_id);
        if body.reply {
            link.owed.entry(chat_id).or_insert(false);
        }
    }

    /// A partner holds events of this very node that it does not hold itself: it was restored from an older copy.
    fn note_rollback(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        partner: CompanyId,
        body: &FrontierBody,
    ) {
        let (company, node) = (self.company, self.node_key);
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        let own = body
            .streams
            .iter()
            .filter(|cut| cut.stream.company == company && cut.stream.node == node);
        let lost = |cut: &&StreamCut| {
            let closed = chat
                .core
                .streams
                .get(&cut.stream)
                .is_some_and(|state| state.closed.is_some());
            !closed
                && cut
                    .heads
                    .iter()
                    .any(|head| *head != Head::START && cx.log.link(&chat_id, &head.hash).is_none())
        };
        let lost_streams: Vec<StreamId> = own.filter(lost).map(|cut| cut.stream).collect();
        let was_removed = !chat.core.owner.is_member(&company);
        if lost_streams.is_empty() || was_removed {
            return;
        }
        if lost_streams
            .iter()
            .any(|stream| chat.core.own == Some(stream.incarnation))
        {
            chat.core.own = None;
        }
        cx.out.push(Output::Alarm(Alarm::Rollback {
            chat: chat_id,
            partner,
        }));
    }

    fn note_confirmation(&mut self, chat_id: ChatId, partner: CompanyId, body: &FrontierBody) {
        let company = self.company;
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        if chat.owner_unsure
            && chat.owner().is_member(&partner)
            && body
                .owner_at
                .is_none_or(|position| chat.owner().holds(&position))
        {
            chat.confirmed.insert(partner);
            if super::owner::is_confirmed(chat, &company) {
                chat.owner_unsure = false;
            }
        }
    }

    fn receive_identity(&mut self, cx: &mut Context<'_>, partner: CompanyId, frame: IdentityFrame) {
        let known = self.roster.log(&frame.company).is_some();
        if !known && self.roster.companies().count() >= COMPANIES {
            return refuse(cx, partner, None, Refusal::NotShared);
        }
        match self.roster.merge(frame.company, &frame.records) {
            Ok(new) => {
                for record in new {
                    cx.out.push(Output::Store(Record::Identity {
                        company: frame.company,
                        record,
                    }));
                }
            }
            Err(error) => {
                if let crate::identity::IdentityError::Fork(seq) = error {
                    cx.out.push(Output::Alarm(Alarm::IdentityFork {
                        company: frame.company,
                        seq,
                    }));
                }
                refuse(cx, partner, None, Refusal::Identity(error));
            }
        }
    }

    fn receive_owner(&mut self, cx: &mut Context<'_>, partner: CompanyId, frame: OwnerFrame) {
        let chat_id = frame.chat;
        let allowed = match self.chats.get(&chat_id) {
            // Any company that may see the log may bring it: records are signed by the owner.
            Some(chat) => chat.owner().visible_to(&partner) > 0,
            None => self.concerns_us(&frame),
        };
        if !allowed {
            return refuse(cx, partner, Some(chat_id), Refusal::NotShared);
        }
        let before = self
            .chats
            .get(&chat_id)
            .map_or(0, |chat| chat.owner().head().seq);
        for record in &frame.records {
            let taken = self.apply_record(cx, Origin::Partner(partner), chat_id, record);
            let stop = taken.is_err();
            self.settle(cx, partner, chat_id, taken);
            if stop {
                break;
            }
        }
        let head = self
            .chats
            .get(&chat_id)
            .map_or(0, |chat| chat.owner().head().seq);
        if let Some(link) = self.link_mut(partner) {
            let theirs = link.theirs.entry(chat_id).or_default();
            theirs.owner_seq = theirs.owner_seq.max(head);
            if head > before {
                link.owed.entry(chat_id).or_insert(false);
            }
        }
    }

    /// An unknown chat is only taken when its records invite or add this company.
    fn concerns_us(&self, frame: &OwnerFrame) -> bool {
        frame
            .records
            .iter()
            .any(|record| match record.verify(self.suite) {
                Ok((_, Body::Invite(invite))) => invite.company == self.company,
                Ok((_, Body::Add(add))) => add.acceptance.company == self.company,
                _ => false,
            })
    }

    fn receive_envelopes(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        frame: EnvelopesFrame,
        bytes: usize,
    ) {
        let chat_id = frame.chat;
        if let Some(link) = self.link_mut(partner) {
            link.processed_bytes = link.processed_bytes.saturating_add(bytes as u64);
            link.owed.entry(chat_id).or_insert(false);
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
                    any |= ingested == Ingested::Held;
                    self.note_their_envelope(cx, partner, chat_id, item);
                }
                Err(refusal) => self.settle(cx, partner, chat_id, Err(refusal)),
            }
        }
        if any {
            self.mark_dirty(chat_id);
        }
    }

    /// Who sends an envelope holds it.
    fn note_their_envelope(
        &mut self,
        cx: &Context<'_>,
        partner: CompanyId,
        chat_id: ChatId,
        item: &crate::frame::EnvelopeItem,
    ) {
        let Ok(header) =
            codec::decode::<EnvelopeHeader>(&item.envelope.header.0, limits::HEADER_BYTES)
        else {
            return;
        };
        let head = Head {
            seq: header.last_seq(),
            hash: item.envelope.hash(),
        };
        let parent = Head {
            seq: header.first_seq.saturating_sub(1),
            hash: header.prev,
        };
        let log = cx.log;
        self.note_theirs(partner, chat_id, |theirs| {
            let heads = theirs.heads.entry(header.stream).or_default();
            if heads
                .iter()
                .any(|held| held.seq >= head.seq && is_ancestor(log, &chat_id, head, *held))
            {
                return;
            }
            heads.retain(|held| *held != parent);
            heads.push(head);
        });
    }

    fn receive_wrap(&mut self, cx: &mut Context<'_>, partner: CompanyId, wrap: &Wrap) {
        let chat_id = wrap.chat;
        let taken = self.take_wrap(cx, partner, wrap);
        let learned = taken.is_ok();
        self.settle(cx, partner, chat_id, taken);
        if learned {
            self.deliver_waiting(cx, chat_id);
            self.mark_dirty(chat_id);
            if let Some(link) = self.link_mut(partner) {
                link.owed.entry(chat_id).or_insert(false);
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

    /// The partner does not know this node's head: it sends samples of its chain; the newest known one is common.
    fn receive_locate(&mut self, cx: &Context<'_>, partner: CompanyId, locate: &Locate) {
        let chat_id = locate.chat;
        let member = self
            .chats
            .get(&chat_id)
            .is_some_and(|chat| chat.owner().is_member(&partner));
        if !member {
            return;
        }
        for cut in &locate.streams {
            let known =
                |head: &&Head| **head == Head::START || cx.log.link(&chat_id, &head.hash).is_some();
            let common = cut
                .heads
                .iter()
                .filter(known)
                .max()
                .copied()
                .unwrap_or(Head::START);
            self.note_theirs(partner, chat_id, |theirs| {
                theirs.heads.insert(cut.stream, vec![common]);
            });
        }
        if let Some(link) = self.link_mut(partner) {
            link.dirty.insert(chat_id);
        }
    }
}

fn refuse(cx: &mut Context<'_>, partner: CompanyId, chat: Option<ChatId>, refusal: Refusal) {
    cx.out.push(Output::Refused {
        partner,
        chat,
        refusal,
    });
}
