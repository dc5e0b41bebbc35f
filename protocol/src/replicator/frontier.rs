//! What two partners hold, compared: digests, frontiers, and the search for where two branches part.

use std::collections::{BTreeMap, BTreeSet};

use super::chat::{Chat, is_ancestor};
use super::link::{Partner, Theirs, refuse};
use super::{Alarm, Context, Refusal, Replicator};
use super::{Output, ReadLog};
use crate::codec;
use crate::envelope::EnvelopeHeader;
use crate::frame::{Digests, EnvelopeItem, Frontier, FrontierBody, Locate};
use crate::ids::{ChatId, CompanyId, Head, NodeKey, StreamId};
use crate::limits;
use crate::owner_log::StreamCut;

/// What an own frontier says of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    /// Only an acknowledgement.
    Nothing,
    /// The partner's frontier is wanted in return.
    Reply,
    /// This is that return.
    Answer,
}

impl Asking {
    /// When two are owed at once: a question is answered by a question.
    pub(super) fn or(self, other: Asking) -> Asking {
        match (self, other) {
            (Asking::Reply, _) | (_, Asking::Reply) => Asking::Reply,
            (Asking::Answer, _) | (_, Asking::Answer) => Asking::Answer,
            _ => Asking::Nothing,
        }
    }
}

impl Replicator {
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
    fn digest_with(&self, chat: &Chat, partner: &CompanyId) -> [u8; 16] {
        let less = if chat.owner().is_member(&self.company) {
            partner
        } else {
            &self.company
        };
        chat.digest_for(less)
    }

    pub(super) fn receive_digests(&mut self, partner: CompanyId, digests: Digests) {
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
        let keyless: Vec<ChatId> = agreed
            .iter()
            .filter(|chat| self.lacks_key(chat))
            .copied()
            .collect();
        let unanswered: Vec<ChatId> = agreed
            .into_iter()
            .filter(|chat| self.awaits_admission(chat))
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
        link.theirs.extend(in_sync);
        link.dirty.extend(unanswered);
        for chat in differing {
            link.owe(chat, Asking::Reply);
        }
        // Digests say nothing of keys.
        for chat in keyless {
            link.owe(chat, Asking::Nothing);
        }
        if digests.last {
            let named = std::mem::take(&mut link.named);
            for chat in shared.into_iter().filter(|chat| !named.contains(chat)) {
                link.owe(chat, Asking::Reply);
            }
        }
    }

    /// This company is invited, and the owner has not added it yet.
    fn awaits_admission(&self, chat: &ChatId) -> bool {
        self.chats.get(chat).is_some_and(|chat| {
            let owner = chat.owner();
            owner.invitation(&self.company).is_some() && !owner.is_member(&self.company)
        })
    }

    /// An epoch that this company is entitled to has no key here.
    fn lacks_key(&self, chat_id: &ChatId) -> bool {
        self.chats.get(chat_id).is_some_and(|chat| {
            let owner = chat.owner();
            owner.is_member(&self.company)
                && owner
                    .entitled(&self.company)
                    .iter()
                    .any(|epoch| !self.keys.contains_key(&(*chat_id, *epoch)))
        })
    }

    /// When digests agree, the partner holds exactly what this node holds.
    fn theirs_as_ours(&self, chat_id: ChatId, partner: &CompanyId) -> Theirs {
        let Some(chat) = self.chats.get(&chat_id) else {
            return Theirs::default();
        };
        let heads = chat.heads().into_iter();
        Theirs {
            known: true,
            owner_seq: chat.owner().visible_to(partner),
            heads: heads.map(|cut| (cut.stream, cut.heads)).collect(),
            statements: chat.statement_numbers().into_iter().collect(),
            reads: by_part(chat.read_numbers()),
            ..Theirs::default()
        }
    }

    /// What this node says that it holds. A company that does not take part is told nothing of the streams.
    pub(super) fn frontier(
        &self,
        chat_id: ChatId,
        partner: &CompanyId,
        asking: Asking,
        processed: u64,
    ) -> Frontier {
        let mut body = FrontierBody {
            processed,
            reply: asking == Asking::Reply,
            answers: asking == Asking::Answer,
            ..FrontierBody::default()
        };
        if let Some(chat) = self.chats.get(&chat_id) {
            let owner = chat.owner();
            body.owner_at = owner.position(owner.visible_to(partner).min(owner.head().seq));
            if owner.is_member(partner) && owner.is_member(&self.company) {
                body.streams = chat.heads();
                body.gaps = chat.gaps();
                body.statements = chat.statement_numbers();
                body.reads = chat.read_numbers();
                let lacks = |epoch: &u32| !self.keys.contains_key(&(chat_id, *epoch));
                let entitled = owner.entitled(&self.company).into_iter();
                let lacking = entitled.filter(lacks);
                body.missing_epochs = lacking.take(limits::FRONTIER_EPOCHS).collect();
            }
        }
        Frontier {
            chat: chat_id,
            body,
        }
    }

    pub(super) fn receive_frontier(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        frontier: Frontier,
    ) {
        let Frontier {
            chat: chat_id,
            body,
        } = frontier;
        let Some(chat) = self.chats.get(&chat_id) else {
            if let (Some(link), true) = (self.link_mut(partner), body.reply) {
                link.owe(chat_id, Asking::Answer);
            }
            return;
        };
        let owner = chat.owner();
        if owner.visible_to(&partner) == 0 {
            return refuse(cx, partner, Some(chat_id), Refusal::NotShared);
        }
        let is_member = owner.is_member(&partner);
        // A position that contradicts this log: everything is sent, so that the two records meet.
        let owner_seq = body.owner_at.map_or(0, |position| {
            let contradicts = position.seq <= owner.head().seq && !owner.holds(&position);
            if contradicts { 0 } else { position.seq }
        });
        // Said before the partner knew that its history begins anew.
        let joined = owner.joined_at(&partner).unwrap_or(0);
        let base = owner.base(&partner).iter().filter(|_| owner_seq < joined);
        let stale: BTreeSet<StreamId> = base.map(|(stream, _)| *stream).collect();
        if is_member {
            self.note_rollback(cx, chat_id, partner, &body);
            self.note_confirmation(cx, chat_id, partner, &body);
            self.note_own_reads(chat_id, &body);
        }
        let Some(link) = self.link_mut(partner) else {
            return;
        };
        link.acknowledge(cx.now, body.processed);
        let theirs = link.theirs.entry(chat_id).or_default();
        if body.reply && theirs.known {
            // The partner asks again because it lacked context: identities may have been lost too.
            link.told.clear();
        }
        if body.reply || body.answers || !theirs.known {
            theirs.known = true;
            let streams = body.streams.into_iter();
            let streams = streams.filter(|cut| !stale.contains(&cut.stream));
            theirs.hold(streams.collect(), body.gaps);
            theirs.statements = body.statements.into_iter().collect();
            theirs.reads = by_part(body.reads);
            if !theirs.fork_told {
                theirs.owner_seq = owner_seq;
            }
            theirs.accepted = None;
            for sent in link.in_flight.iter().filter(|sent| sent.chat == chat_id) {
                theirs.heads.insert(sent.stream, sent.heads.clone());
            }
        }
        theirs.missing_epochs = body.missing_epochs.into_iter().collect();
        link.dirty.insert(chat_id);
        if body.reply {
            link.owe(chat_id, Asking::Answer);
        }
    }

    /// A partner holds events of this very node that it does not hold itself: it was restored from an older copy. A
    /// claim is believed at once, but only once until the partner proves it by bringing such an event: otherwise it
    /// could make this node open incarnations without end.
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
        if !chat.owner().is_member(&company) || chat.doubted_by.contains(&partner) {
            return;
        }
        // Who does not know how this company's memberships ended still holds what the cuts have excluded.
        let knows = body.owner_at.map_or(0, |position| position.seq);
        if chat.last_end_of(&company) > knows {
            return;
        }
        let streams = &chat.core.streams;
        let own = body
            .streams
            .iter()
            .filter(|cut| cut.stream.company == company && cut.stream.node == node);
        let lost = |cut: &&StreamCut| {
            let state = streams.get(&cut.stream);
            let is_here = |head: &Head| {
                *head == Head::START
                    || state.is_some_and(|state| state.has_head(head))
                    || cx.log.link(&chat_id, &head.hash).is_some()
            };
            // What a cut excluded is not lost.
            state.is_none_or(|state| state.closed.is_none()) && !cut.heads.iter().all(is_here)
        };
        let lost: Vec<StreamId> = own.filter(lost).map(|cut| cut.stream).collect();
        if lost.is_empty() {
            return;
        }
        chat.doubted_by.insert(partner);
        let present = chat.core.own;
        if present.is_some_and(|own| lost.iter().any(|stream| stream.incarnation == own)) {
            chat.core.own = None;
            self.store_footing(cx, chat_id);
        }
        cx.out.push(Output::Alarm(Alarm::Rollback {
            chat: chat_id,
            partner,
        }));
    }

    /// The owner compares its log with its partners': one that knows more proves that this node is a restored copy,
    /// and a majority that knows no more lets it act again.
    fn note_confirmation(
        &mut self,
        cx: &mut Context<'_>,
        chat_id: ChatId,
        partner: CompanyId,
        body: &FrontierBody,
    ) {
        let company = self.company;
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        if chat.owner().owner() != company {
            return;
        }
        let knows_more = body
            .owner_at
            .is_some_and(|position| !chat.owner().holds(&position));
        let before = chat.core.owner_sure;
        if knows_more {
            chat.confirmed.remove(&partner);
            chat.core.owner_sure = false;
        } else {
            chat.confirmed.insert(partner);
            chat.core.owner_sure |= super::owner::is_confirmed(chat, &company);
        }
        if chat.core.owner_sure != before {
            self.store_footing(cx, chat_id);
        }
    }

    /// A partner that has no newer read register of this node than this node itself: nothing was forgotten.
    fn note_own_reads(&mut self, chat_id: ChatId, body: &FrontierBody) {
        let node = self.node_key;
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        let own = |part: u16| {
            let held = chat.reads.get(&(node, part));
            held.map_or(0, |held| held.content.number)
        };
        let mut theirs = body.reads.iter().filter(|(of, ..)| *of == node);
        if theirs.all(|(_, part, number)| *number <= own(*part)) {
            chat.reads_unsure = false;
        }
    }

    /// The partner does not know this node's head: it sends samples of its chain; the newest known one is common.
    pub(super) fn receive_locate(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        locate: &Locate,
    ) {
        let chat_id = locate.chat;
        let chat = self.chats.get(&chat_id);
        let Some(chat) = chat.filter(|chat| chat.owner().is_member(&partner)) else {
            return refuse(cx, partner, Some(chat_id), Refusal::NotShared);
        };
        let own_base = chat.owner().base(&self.company).to_vec();
        let begins: Vec<(StreamId, Head)> = chat
            .owner()
            .base(&partner)
            .iter()
            .map(|(stream, tip)| (*stream, tip.head))
            .collect();
        for cut in &locate.streams {
            let own = own_base.iter().filter(|(stream, _)| *stream == cut.stream);
            let own: Vec<Head> = own.map(|(_, tip)| tip.head).collect();
            let known =
                |head: &&Head| own.contains(head) || cx.log.link(&chat_id, &head.hash).is_some();
            let first = begins.iter().filter(|(stream, _)| *stream == cut.stream);
            let common = cut
                .heads
                .iter()
                .filter(known)
                .max()
                .copied()
                .or(first.map(|(_, head)| *head).max())
                .unwrap_or(Head::START);
            self.note_theirs(partner, chat_id, |theirs| {
                theirs.heads.insert(cut.stream, vec![common]);
            });
        }
        if let Some(link) = self.link_mut(partner) {
            link.dirty.insert(chat_id);
        }
    }

    /// The partner holds this head, and with it everything before.
    pub(super) fn note_their_head(
        &mut self,
        log: &dyn ReadLog,
        partner: CompanyId,
        chat_id: ChatId,
        stream: StreamId,
        head: Head,
    ) {
        let past = self.fresh.over(log);
        let theirs = self
            .partners
            .get_mut(&partner)
            .and_then(|partner: &mut Partner| partner.link.as_mut())
            .map(|link| link.theirs.entry(chat_id).or_default());
        let Some(theirs) = theirs else { return };
        let heads = theirs.heads.entry(stream).or_default();
        let covered =
            |held: &Head| held.seq >= head.seq && is_ancestor(&past, &chat_id, head, *held);
        if heads.iter().any(covered) {
            return;
        }
        heads.retain(|held| !is_ancestor(&past, &chat_id, *held, head));
        heads.push(head);
    }

    /// The partner holds a branch that a cut excludes here. It is not taken, but where it parts from what is held says
    /// from where on the partner lacks the accepted one.
    pub(super) fn note_excluded_branch(
        &mut self,
        log: &dyn ReadLog,
        partner: CompanyId,
        chat_id: ChatId,
        item: &EnvelopeItem,
    ) {
        let header = codec::decode(&item.envelope.header.0, limits::HEADER_BYTES);
        let Ok(header): Result<EnvelopeHeader, _> = header else {
            return;
        };
        let parent = Head {
            seq: header.first_seq.saturating_sub(1),
            hash: header.prev,
        };
        let past = self.fresh.over(log);
        let is_known =
            |head: &Head| *head == Head::START || past.link(&chat_id, &head.hash).is_some();
        if !is_known(&parent) {
            return;
        }
        let link = self.partners.get_mut(&partner);
        let Some(link) = link.and_then(|partner| partner.link.as_mut()) else {
            return;
        };
        let theirs = link.theirs.entry(chat_id).or_default();
        let heads = theirs.heads.entry(header.stream).or_default();
        heads.retain(is_known);
        if !heads.contains(&parent) {
            heads.push(parent);
        }
        link.dirty.insert(chat_id);
    }
}

/// Numbers of read registers by node and part.
fn by_part(numbers: Vec<(NodeKey, u16, u64)>) -> BTreeMap<(NodeKey, u16), u64> {
    let keyed = |(node, part, number)| ((node, part), number);
    numbers.into_iter().map(keyed).collect()
}
