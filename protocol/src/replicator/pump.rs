//! What goes out: for every linked partner the difference between this log and the partner's frontier.
//!
//! Live delivery, catch-up, relaying and recovery are one path. Nothing is queued: a dirty chat is looked at again until
//! nothing is lacking or the window of unacknowledged bytes is full.

use serde::Serialize;

use super::frontier::Asking;
use super::lacking::{
    Couriers, Lacking, Sending, fill_gaps, heads_of, lacking, relay_wait, samples,
};
use super::link::{
    ASK_AGAIN_MOST_MS, ASK_AGAIN_MS, Asked, IDLE_COMPARE_MS, InFlight, PartnerLink, refuse,
};
use super::{Context, Refusal, Replicator, Send};
use crate::clock::Time;
use crate::codec;
use crate::frame::{Frame, IdentityFrame, Locate, OwnerFrame};
use crate::ids::{ChatId, CompanyId};
use crate::limits;
use crate::owner_log::StreamCut;
use crate::wrap;

/// Items are gathered into frames up to about this size.
pub(super) const BATCH_BYTES: usize = limits::FRAME_BYTES / 2;
/// The longest pause between two comparisons on a link on which nothing moves.
const IDLE_COMPARE_MOST_MS: u64 = 600_000;

impl Replicator {
    /// Makes the registers that are due. To be called before everything so far is made durable: what was sent of them and
    /// then forgotten in a crash would let others see a node take back what it said.
    pub fn publish(&mut self, cx: &mut Context<'_>) {
        self.publish_due(cx);
    }

    /// To be called after everything in the outputs so far is durable. Returns the frames to send.
    pub fn pump(&mut self, cx: &mut Context<'_>) -> Vec<Send> {
        let linked: Vec<CompanyId> = self
            .partners
            .iter()
            .filter(|(_, partner)| partner.link.as_ref().is_some_and(|link| !link.held))
            .map(|(company, _)| *company)
            .collect();
        let mut sends = Vec::new();
        for partner in linked {
            for frame in self.pump_partner(cx, partner) {
                let frame = frame.encode();
                if frame.len() <= limits::FRAME_BYTES {
                    sends.push(Send { partner, frame });
                } else {
                    // Only an owner that lists what never was can bring this about, in its own chat.
                    refuse(cx, partner, None, Refusal::FrameTooLong);
                }
            }
        }
        sends
    }

    /// What was made for a partner does not all fit its queue: until told otherwise nothing more is made. What it lacks is
    /// remembered as always.
    pub fn hold(&mut self, partner: CompanyId, held: bool) {
        if let Some(link) = self.link_mut(partner) {
            link.held = held;
        }
    }

    /// When [`Self::pump`] has something to do although nothing happens.
    pub fn next_wake(&self) -> Option<Time> {
        let links = self
            .partners
            .values()
            .filter_map(|partner| partner.link.as_ref());
        let waits = links.flat_map(|link| link.relay_later.values().chain(link.ask_later.values()));
        waits.copied().chain(self.next_publication()).min()
    }

    /// Looks for links on which something may have been lost without the link ending.
    pub fn tick(&mut self, cx: &mut Context<'_>) {
        self.settle_restored(cx);
        for partner in self.partners.values_mut() {
            let Some(link) = partner.link.as_mut() else {
                continue;
            };
            // A clock that was set back must not stop this.
            link.progress_at = link.progress_at.min(cx.now);
            link.acked_at = link.acked_at.min(cx.now);
            let idle = cx.now.since(link.progress_at) >= link.compare_after_ms;
            let stuck =
                !link.in_flight.is_empty() && cx.now.since(link.acked_at) >= IDLE_COMPARE_MS;
            if idle || stuck {
                link.progress_at = cx.now;
                let next = link.compare_after_ms.saturating_mul(2);
                link.compare_after_ms = next.min(IDLE_COMPARE_MOST_MS);
                link.digests_sent = false;
                link.located.clear();
                link.give_up_unacknowledged(cx.now);
                if link.hello.is_none() {
                    link.hello_sent = false;
                }
            }
        }
    }

    fn pump_partner(&mut self, cx: &mut Context<'_>, partner: CompanyId) -> Vec<Frame> {
        let mut frames = self.pump_greeting(cx, partner);
        let Some(link) = self.link_mut(partner) else {
            return frames;
        };
        if link.hello.is_none() {
            return frames;
        }
        let due: Vec<ChatId> = link
            .relay_later
            .iter()
            .filter(|(_, at)| is_due(**at, cx.now, limits::RELAY_DELAY_MS))
            .map(|(chat, _)| *chat)
            .collect();
        for chat in due {
            link.relay_later.remove(&chat);
            link.dirty.insert(chat);
        }
        let asks: Vec<ChatId> = link
            .ask_later
            .iter()
            .filter(|(_, at)| is_due(**at, cx.now, ASK_AGAIN_MOST_MS))
            .map(|(chat, _)| *chat)
            .collect();
        for chat in asks {
            link.ask_later.remove(&chat);
            let pause_ms = link.asked_again.get(&chat).map_or(ASK_AGAIN_MS, |asked| {
                asked.pause_ms.saturating_mul(2).min(ASK_AGAIN_MOST_MS)
            });
            link.asked_again.insert(
                chat,
                Asked {
                    at: cx.now,
                    pause_ms,
                },
            );
            link.owe(chat, Asking::Reply);
        }
        let owed = std::mem::take(&mut link.owed);
        let processed = link.processed_bytes;
        frames.extend(self.direct_frame(partner));
        for (chat, asking) in &owed {
            frames.push(Frame::Frontier(
                self.frontier(*chat, &partner, *asking, processed),
            ));
        }
        let dirty: Vec<ChatId> = self
            .link_mut(partner)
            .map(|link| link.dirty.iter().copied().collect())
            .unwrap_or_default();
        for chat in dirty {
            let finished = self.pump_chat(cx, partner, chat, &mut frames);
            if finished && let Some(link) = self.link_mut(partner) {
                link.dirty.remove(&chat);
            }
        }
        frames
    }

    /// Returns true when nothing more is lacking that may be sent now.
    fn pump_chat(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        chat_id: ChatId,
        frames: &mut Vec<Frame>,
    ) -> bool {
        let Some(chat) = self.chats.get(&chat_id) else {
            return true;
        };
        let visible = chat.owner().visible_to(&partner);
        let both_members =
            chat.owner().is_member(&partner) && chat.owner().is_member(&self.company);
        let Some(link) = self.link_mut(partner) else {
            return true;
        };
        let theirs = link.theirs.entry(chat_id).or_default();
        if !theirs.known {
            if !std::mem::replace(&mut theirs.asked, true) {
                let processed = self.processed(partner);
                let frontier = self.frontier(chat_id, &partner, Asking::Reply, processed);
                frames.push(Frame::Frontier(frontier));
            }
            return true;
        }
        self.pump_identities(partner, chat_id, frames);
        self.pump_owner(cx, partner, chat_id, visible, frames);
        self.accept_invitation(cx, chat_id);
        self.pump_acceptance(partner, chat_id, frames);
        if !both_members {
            return true;
        }
        self.pump_wraps(cx, partner, chat_id, frames);
        if self.may_be_removed(partner, chat_id) {
            return true;
        }
        let finished = self.pump_streams(cx, partner, chat_id, frames);
        self.pump_registers(partner, chat_id, frames);
        finished
    }

    /// The partner knows owner records that this node lacks, and says nothing of what it holds: either of the two was
    /// removed there. Its records tell; until then nothing is sent that it may hold, or may not take.
    fn may_be_removed(&self, partner: CompanyId, chat_id: ChatId) -> bool {
        let link = self.partners.get(&partner);
        let link = link.and_then(|partner| partner.link.as_ref());
        let theirs = link.and_then(|link| link.theirs.get(&chat_id));
        let chat = self.chats.get(&chat_id);
        theirs.zip(chat).is_some_and(|(theirs, chat)| {
            let owner = chat.owner();
            theirs.heads.is_empty() && theirs.owner_seq > owner.head().seq && !owner.is_frozen()
        })
    }

    fn processed(&self, partner: CompanyId) -> u64 {
        let link = self
            .partners
            .get(&partner)
            .and_then(|partner| partner.link.as_ref());
        link.map_or(0, |link| link.processed_bytes)
    }

    /// Identity logs of everyone in the chat, before anything that they signed.
    fn pump_identities(&mut self, partner: CompanyId, chat_id: ChatId, frames: &mut Vec<Frame>) {
        let Some(chat) = self.chats.get(&chat_id) else {
            return;
        };
        let companies: Vec<CompanyId> = chat.owner().spans().map(|(company, _)| *company).collect();
        for company in companies.into_iter().filter(|company| *company != partner) {
            let head = self.roster.head(&company).seq;
            let records: Vec<_> = self
                .roster
                .log(&company)
                .map(|log| log.records().cloned().collect())
                .unwrap_or_default();
            let Some(link) = self.link_mut(partner) else {
                return;
            };
            let told = link.told.entry(company).or_insert(0);
            if *told < head {
                *told = head;
                frames.push(Frame::Identity(IdentityFrame { company, records }));
            }
        }
    }

    fn pump_owner(
        &mut self,
        cx: &Context<'_>,
        partner: CompanyId,
        chat_id: ChatId,
        visible: u64,
        frames: &mut Vec<Frame>,
    ) {
        let link = self
            .partners
            .get_mut(&partner)
            .and_then(|partner| partner.link.as_mut());
        let theirs = link.and_then(|link| link.theirs.get_mut(&chat_id));
        let (Some(chat), Some(theirs)) = (self.chats.get(&chat_id), theirs) else {
            return;
        };
        while theirs.owner_seq < visible {
            let mut records = cx.log.records(&chat_id, theirs.owner_seq, BATCH_BYTES);
            let lacking =
                usize::try_from(visible.saturating_sub(theirs.owner_seq)).unwrap_or(usize::MAX);
            records.truncate(lacking);
            if records.is_empty() {
                return;
            }
            // Keys follow the records that introduce them, so that nobody is without when this node goes away.
            let since = theirs.owner_seq;
            theirs.owner_seq = since.saturating_add(records.len() as u64);
            theirs
                .missing_epochs
                .extend(chat.owner().epochs_after(since));
            let owner_frame = |records| {
                Frame::Owner(OwnerFrame {
                    chat: chat_id,
                    records,
                })
            };
            split(records, owner_frame, frames);
        }
    }

    fn pump_acceptance(&mut self, partner: CompanyId, chat_id: ChatId, frames: &mut Vec<Frame>) {
        let Some(chat) = self.chats.get(&chat_id) else {
            return;
        };
        let (owner, accepted) = (chat.owner().owner(), chat.core.accepted.clone());
        let Some(acceptance) = accepted.filter(|_| owner == partner) else {
            return;
        };
        self.note_theirs(partner, chat_id, |theirs| {
            if theirs.accepted.replace(acceptance.invitation) != Some(acceptance.invitation) {
                frames.push(Frame::Accept(acceptance));
            }
        });
    }

    /// Wraps the keys that the partner says it lacks and is entitled to.
    fn pump_wraps(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        chat_id: ChatId,
        frames: &mut Vec<Frame>,
    ) {
        let Some(chat) = self.chats.get(&chat_id) else {
            return;
        };
        let entitled = chat.owner().entitled(&partner);
        #[cfg(feature = "sim")]
        let entitled = match self.has_bug(super::Bug::SkipEntitlement) {
            true => (0..=chat.owner().epoch()).collect(),
            false => entitled,
        };
        let Some(link) = self
            .partners
            .get_mut(&partner)
            .and_then(|partner| partner.link.as_mut())
        else {
            return;
        };
        let Some(prekey) = link.hello.as_ref().map(|hello| hello.prekey.clone()) else {
            return;
        };
        let Some(theirs) = link.theirs.get_mut(&chat_id) else {
            return;
        };
        let mut wraps = Vec::new();
        for epoch in std::mem::take(&mut theirs.missing_epochs) {
            if !entitled.contains(&epoch) {
                continue;
            }
            match self.keys.get(&(chat_id, epoch)) {
                Some(key) => wraps.extend(wrap::wrap(
                    self.suite,
                    &mut cx.random,
                    chat_id,
                    epoch,
                    key,
                    &prekey,
                )),
                None => {
                    theirs.missing_epochs.insert(epoch);
                }
            }
        }
        split(wraps, Frame::Wraps, frames);
    }

    fn pump_streams(
        &mut self,
        cx: &Context<'_>,
        partner: CompanyId,
        chat_id: ChatId,
        frames: &mut Vec<Frame>,
    ) -> bool {
        let own_company = self.company;
        let near = self.linked_companies(partner);
        let link = self
            .partners
            .get_mut(&partner)
            .and_then(|partner| partner.link.as_mut());
        let (Some(chat), Some(link)) = (self.chats.get(&chat_id), link) else {
            return true;
        };
        let couriers = Couriers::of(link, near);
        let mut locate = Vec::new();
        let mut finished = true;
        for (stream, state) in &chat.core.streams {
            let wait = relay_wait(chat, &couriers, stream, own_company, cx.now);
            for tip in state.heads() {
                let Some(theirs) = link.theirs.get_mut(&chat_id) else {
                    break;
                };
                let heads = heads_of(theirs, chat, &partner, stream);
                let ends = [&own_company, &partner];
                match lacking(cx.log, chat, ends, stream, &heads, tip) {
                    Lacking::Nothing => {}
                    Lacking::Unknown(head) => {
                        if link.located.insert((chat_id, *stream, head)) {
                            let heads = samples(cx.log, &chat_id, tip);
                            locate.push(StreamCut {
                                stream: *stream,
                                heads,
                            });
                        }
                    }
                    Lacking::After(_) if wait.is_some() => {
                        link.relay_later
                            .entry(chat_id)
                            .or_insert(wait.unwrap_or(cx.now));
                    }
                    Lacking::After(from) => {
                        let mut sending = Sending {
                            chat: chat_id,
                            stream: *stream,
                            sent_bytes: link.sent_bytes,
                            budget: link.acked_bytes.saturating_add(limits::WINDOW_BYTES as u64),
                            heads,
                        };
                        finished &= sending.send_path(cx.log, from, tip, frames);
                        theirs.heads.insert(*stream, sending.heads.clone());
                        note_sent(link, sending, cx.now);
                    }
                }
            }
        }
        finished &= fill_gaps(cx.log, chat_id, link, frames);
        let locate_frame = |streams| {
            Frame::Locate(Locate {
                chat: chat_id,
                streams,
            })
        };
        split(locate, locate_frame, frames);
        finished
    }

    fn pump_registers(&mut self, partner: CompanyId, chat_id: ChatId, frames: &mut Vec<Frame>) {
        let Some(chat) = self.chats.get(&chat_id) else {
            return;
        };
        let Some(link) = self
            .partners
            .get_mut(&partner)
            .and_then(|partner| partner.link.as_mut())
        else {
            return;
        };
        let Some(theirs) = link.theirs.get_mut(&chat_id) else {
            return;
        };
        let mut statements = Vec::new();
        for statement in chat.statements() {
            let held = theirs.statements.entry(statement.content.node).or_insert(0);
            if *held < statement.content.number {
                *held = statement.content.number;
                statements.push(statement.clone());
            }
        }
        let mut reads = Vec::new();
        for register in chat.reads() {
            let held = theirs
                .reads
                .entry((register.content.node, register.content.part))
                .or_insert(0);
            if *held < register.content.number {
                *held = register.content.number;
                reads.push(register.clone());
            }
        }
        split(statements, Frame::Statements, frames);
        split(reads, Frame::Reads, frames);
    }
}

/// The time has come, or lies further ahead than anything is ever put off: then the clock was set back.
fn is_due(at: Time, now: Time, longest_ms: u64) -> bool {
    at <= now || at > now.plus_ms(longest_ms)
}

/// Items in as many frames as they take, none if there are none. One item always fits a frame.
fn split<T: Serialize>(items: Vec<T>, frame: impl Fn(Vec<T>) -> Frame, frames: &mut Vec<Frame>) {
    let alone = items.len() == 1;
    let (mut batch, mut bytes) = (Vec::new(), 0usize);
    for item in items {
        let size = if alone { 0 } else { codec::encode(&item).len() };
        if bytes.saturating_add(size) > BATCH_BYTES && !batch.is_empty() {
            frames.push(frame(std::mem::take(&mut batch)));
            bytes = 0;
        }
        bytes = bytes.saturating_add(size);
        batch.push(item);
    }
    if !batch.is_empty() {
        frames.push(frame(batch));
    }
}

/// Remembers what is on its way, until the partner says that it has processed it.
fn note_sent(link: &mut PartnerLink, sending: Sending, now: Time) {
    if link.in_flight.is_empty() {
        link.acked_at = now;
    }
    link.sent_bytes = sending.sent_bytes;
    link.in_flight.push_back(InFlight {
        sent_bytes: sending.sent_bytes,
        chat: sending.chat,
        stream: sending.stream,
        heads: sending.heads,
    });
    link.compare_after_ms = IDLE_COMPARE_MS;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_for_one_frame_comes_in_several() {
        let cut = |frame: &Frame| match frame {
            Frame::Direct(companies) => companies.clone(),
            other => panic!("{other:?}"),
        };
        for count in [0usize, 1, 7, 40_000] {
            let items: Vec<CompanyId> = (0..count).map(|n| CompanyId([n as u8; 32])).collect();
            let mut frames = Vec::new();
            split(items.clone(), Frame::Direct, &mut frames);
            assert_eq!(frames.iter().map(cut).collect::<Vec<_>>().concat(), items);
            assert_eq!(frames.len(), (count * 32).div_ceil(BATCH_BYTES));
        }
    }
}
