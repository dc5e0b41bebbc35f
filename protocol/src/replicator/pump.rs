//! What goes out: for every linked partner the difference between this log and the partner's frontier.
//!
//! Live delivery, catch-up, relaying and recovery are one path. Nothing is queued: a dirty chat is looked at again until
//! nothing is lacking or the window of unacknowledged bytes is full.

use super::chat::Chat;
use super::link::{DIGESTS_A_FRAME, Theirs};
use super::{Context, ReadLog, Replicator, Send};
use crate::clock::Time;
use crate::codec;
use crate::envelope::EnvelopeHeader;
use crate::frame::{
    Digests, EnvelopeItem, EnvelopesFrame, Frame, IdentityFrame, Locate, OwnerFrame,
};
use crate::ids::{ChatId, CompanyId, Head, StreamId};
use crate::limits;
use crate::owner_log::StreamCut;
use crate::wrap;

/// Items are gathered into frames up to about this size.
const BATCH_BYTES: usize = limits::FRAME_BYTES / 2;
/// A link on which nothing has moved for this long compares digests again.
const IDLE_COMPARE_MS: u64 = 10_000;

impl Replicator {
    /// To be called after everything in the outputs so far is durable. Returns the frames to send.
    pub fn pump(&mut self, cx: &mut Context<'_>) -> Vec<Send> {
        self.publish_due(cx);
        let linked: Vec<CompanyId> = self
            .partners
            .iter()
            .filter(|(_, partner)| partner.link.is_some())
            .map(|(company, _)| *company)
            .collect();
        let mut sends = Vec::new();
        for partner in linked {
            let frames = self.pump_partner(cx, partner);
            sends.extend(frames.into_iter().map(|frame| Send {
                partner,
                frame: frame.encode(),
            }));
        }
        sends
    }

    /// When [`Self::pump`] has something to do although nothing happens.
    pub fn next_wake(&self) -> Option<Time> {
        let links = self
            .partners
            .values()
            .filter_map(|partner| partner.link.as_ref());
        let relays = links.flat_map(|link| link.relay_later.values().copied());
        relays.chain(self.next_publication()).min()
    }

    /// Looks for links on which something may have been lost without the link ending.
    pub fn tick(&mut self, cx: &mut Context<'_>) {
        for partner in self.partners.values_mut() {
            let Some(link) = partner.link.as_mut() else {
                continue;
            };
            if cx.now.since(link.progress_at) >= IDLE_COMPARE_MS {
                link.progress_at = cx.now;
                link.digests_sent = false;
                link.located.clear();
                // Whatever is not acknowledged by now was lost: the frontiers that follow say what.
                link.acked_bytes = link.sent_bytes;
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
            .filter(|(_, at)| **at <= cx.now)
            .map(|(chat, _)| *chat)
            .collect();
        for chat in due {
            link.relay_later.remove(&chat);
            link.dirty.insert(chat);
        }
        let owed = std::mem::take(&mut link.owed);
        let processed = link.processed_bytes;
        for (chat, reply) in &owed {
            frames.push(Frame::Frontier(
                self.frontier(*chat, &partner, *reply, processed),
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

    fn pump_greeting(&mut self, cx: &Context<'_>, partner: CompanyId) -> Vec<Frame> {
        let hello = self.hello(cx.now);
        let own: Vec<_> = self
            .roster
            .log(&self.company)
            .map(|log| log.records().cloned().collect())
            .unwrap_or_default();
        let company = self.company;
        let Some(link) = self.link_mut(partner) else {
            return Vec::new();
        };
        let mut frames = Vec::new();
        if !link.hello_sent {
            link.hello_sent = true;
            link.told.insert(company, own.len() as u64);
            frames.push(Frame::Hello(hello));
            frames.push(Frame::Identity(IdentityFrame {
                company,
                records: own,
            }));
        }
        if link.hello.is_some() && !link.digests_sent {
            link.digests_sent = true;
            frames.extend(self.digest_frames(&partner));
        }
        frames
    }

    fn digest_frames(&self, partner: &CompanyId) -> Vec<Frame> {
        let entries = self.shared_digests(partner);
        let mut chunks: Vec<Digests> = entries
            .chunks(DIGESTS_A_FRAME)
            .map(|chunk| Digests {
                entries: chunk.to_vec(),
                last: false,
            })
            .collect();
        match chunks.last_mut() {
            Some(last) => last.last = true,
            None => chunks.push(Digests {
                entries: Vec::new(),
                last: true,
            }),
        }
        chunks.into_iter().map(Frame::Digests).collect()
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
        let frontier = self.frontier(chat_id, &partner, true, self.processed(partner));
        let Some(link) = self.link_mut(partner) else {
            return true;
        };
        let theirs = link.theirs.entry(chat_id).or_default();
        if !theirs.known {
            if !theirs.asked {
                theirs.asked = true;
                frames.push(Frame::Frontier(frontier));
            }
            return true;
        }
        self.pump_identities(partner, chat_id, frames);
        self.pump_owner(cx, partner, chat_id, visible, frames);
        self.pump_acceptance(partner, chat_id, frames);
        if !both_members {
            return true;
        }
        self.pump_wraps(cx, partner, chat_id, frames);
        let finished = self.pump_streams(cx, partner, chat_id, frames);
        self.pump_registers(partner, chat_id, frames);
        finished
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
        let Some(link) = self.link_mut(partner) else {
            return;
        };
        let Some(theirs) = link.theirs.get_mut(&chat_id) else {
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
            theirs.owner_seq = theirs.owner_seq.saturating_add(records.len() as u64);
            frames.push(Frame::Owner(OwnerFrame {
                chat: chat_id,
                records,
            }));
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
            if !theirs.acceptance_sent {
                theirs.acceptance_sent = true;
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
                None => theirs.missing_epochs.push(epoch),
            }
        }
        if !wraps.is_empty() {
            frames.push(Frame::Wraps(wraps));
        }
    }

    fn pump_streams(
        &mut self,
        cx: &Context<'_>,
        partner: CompanyId,
        chat_id: ChatId,
        frames: &mut Vec<Frame>,
    ) -> bool {
        let own_company = self.company;
        let Some(chat) = self.chats.get(&chat_id) else {
            return true;
        };
        let Some(link) = self
            .partners
            .get_mut(&partner)
            .and_then(|partner| partner.link.as_mut())
        else {
            return true;
        };
        let mut locate = Vec::new();
        for (stream, state) in &chat.core.streams {
            let Some(theirs) = link.theirs.get_mut(&chat_id) else {
                return true;
            };
            let wait = relay_wait(chat, theirs, stream, own_company, cx.now);
            for tip in state.tips.iter().map(|tip| tip.head) {
                let lacking = lacking(cx.log, &chat_id, theirs, stream, tip);
                if let (Some(at), Lacking::After(_)) = (wait, &lacking) {
                    link.relay_later.entry(chat_id).or_insert(at);
                    continue;
                }
                match lacking {
                    Lacking::Nothing => {}
                    Lacking::Unknown(head) => {
                        if link.located.insert((chat_id, *stream, head)) {
                            locate.push(StreamCut {
                                stream: *stream,
                                heads: samples(cx.log, &chat_id, tip),
                            });
                        }
                    }
                    Lacking::After(from) => {
                        let used = link.sent_bytes.saturating_sub(link.acked_bytes);
                        let budget = (limits::WINDOW_BYTES as u64).saturating_sub(used);
                        let sent =
                            send_path(cx.log, chat_id, stream, theirs, from, tip, budget, frames);
                        link.sent_bytes = link.sent_bytes.saturating_add(sent.bytes);
                        if !sent.finished {
                            return false;
                        }
                    }
                }
            }
        }
        if !locate.is_empty() {
            frames.push(Frame::Locate(Locate {
                chat: chat_id,
                streams: locate,
            }));
        }
        true
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
        for statement in chat.statements.values() {
            let held = theirs.statements.entry(statement.content.node).or_insert(0);
            if *held < statement.content.number {
                *held = statement.content.number;
                statements.push(statement.clone());
            }
        }
        let mut reads = Vec::new();
        for register in chat.reads.values() {
            let held = theirs.reads.entry(register.content.node).or_insert(0);
            if *held < register.content.number {
                *held = register.content.number;
                reads.push(register.clone());
            }
        }
        if !statements.is_empty() {
            frames.push(Frame::Statements(statements));
        }
        if !reads.is_empty() {
            frames.push(Frame::Reads(reads));
        }
    }
}

/// What a partner lacks of a branch.
enum Lacking {
    Nothing,
    /// Everything after this head.
    After(Head),
    /// The partner holds a head that this node does not know: where the branches part must be found first.
    Unknown(Head),
}

fn lacking(
    log: &dyn ReadLog,
    chat: &ChatId,
    theirs: &Theirs,
    stream: &StreamId,
    tip: Head,
) -> Lacking {
    let heads = theirs.heads.get(stream).map_or(&[][..], |heads| heads);
    if heads.contains(&tip) {
        return Lacking::Nothing;
    }
    let known = |head: &Head| *head == Head::START || log.link(chat, &head.hash).is_some();
    if let Some(unknown) = heads.iter().find(|head| !known(head)) {
        // Further on than this node: either it continues this branch, or the partner will send its own samples.
        return if unknown.seq > tip.seq {
            Lacking::Nothing
        } else {
            Lacking::Unknown(*unknown)
        };
    }
    let before = heads
        .iter()
        .filter(|head| head.seq <= tip.seq)
        .max()
        .copied()
        .unwrap_or(Head::START);
    let beyond = heads.iter().filter(|head| head.seq > tip.seq);
    if beyond
        .into_iter()
        .any(|head| super::chat::is_ancestor(log, chat, tip, *head))
    {
        return Lacking::Nothing;
    }
    Lacking::After(before)
}

/// Until when to wait before relaying a stream whose author has its own link to the partner.
fn relay_wait(
    chat: &Chat,
    theirs: &Theirs,
    stream: &StreamId,
    own: CompanyId,
    now: Time,
) -> Option<Time> {
    if stream.company == own || !theirs.direct.contains(&stream.company) {
        return None;
    }
    let until = chat.arrived.get(stream)?.plus_ms(limits::RELAY_DELAY_MS);
    (until > now).then_some(until)
}

struct Sent {
    bytes: u64,
    finished: bool,
}

#[allow(clippy::too_many_arguments)]
fn send_path(
    log: &dyn ReadLog,
    chat: ChatId,
    stream: &StreamId,
    theirs: &mut Theirs,
    mut from: Head,
    tip: Head,
    budget: u64,
    frames: &mut Vec<Frame>,
) -> Sent {
    let mut bytes = 0u64;
    while from != tip {
        if bytes >= budget {
            return Sent {
                bytes,
                finished: false,
            };
        }
        let items = log.path(&chat, stream, from, tip, BATCH_BYTES);
        let Some(last) = items.last().and_then(head_of) else {
            return Sent {
                bytes,
                finished: true,
            };
        };
        let heads = theirs.heads.entry(*stream).or_default();
        heads.retain(|head| *head != from);
        heads.push(last);
        from = last;
        for items in frames_of(items) {
            let frame = Frame::Envelopes(EnvelopesFrame { chat, items });
            bytes = bytes.saturating_add(frame_bytes(&frame));
            frames.push(frame);
        }
    }
    Sent {
        bytes,
        finished: true,
    }
}

fn frame_bytes(frame: &Frame) -> u64 {
    match frame {
        // The number, the chat and the count; then the items exactly as they are encoded.
        Frame::Envelopes(envelopes) => 2 + codec::encode(envelopes).len() as u64,
        _ => 0,
    }
}

/// Splits items so that no frame is too long, whatever the sizes.
fn frames_of(items: Vec<EnvelopeItem>) -> Vec<Vec<EnvelopeItem>> {
    let mut frames: Vec<Vec<EnvelopeItem>> = Vec::new();
    let mut bytes = usize::MAX;
    for item in items {
        let size = item.wire_bytes();
        if bytes.saturating_add(size) > BATCH_BYTES {
            frames.push(Vec::new());
            bytes = 0;
        }
        bytes = bytes.saturating_add(size);
        if let Some(frame) = frames.last_mut() {
            frame.push(item);
        }
    }
    frames
}

fn head_of(item: &EnvelopeItem) -> Option<Head> {
    let header: EnvelopeHeader =
        codec::decode(&item.envelope.header.0, limits::HEADER_BYTES).ok()?;
    Some(Head {
        seq: header.last_seq(),
        hash: item.envelope.hash(),
    })
}

/// Heads at exponentially growing distances before `tip`, ending with the start.
fn samples(log: &dyn ReadLog, chat: &ChatId, tip: Head) -> Vec<Head> {
    const SAMPLES: usize = 64;
    let mut heads = vec![tip];
    let mut at = tip;
    let mut step = 1u32;
    while at != Head::START && heads.len() < SAMPLES {
        for _ in 0..step {
            let Some(link) = log.link(chat, &at.hash) else {
                break;
            };
            at = link.parent;
            if at == Head::START {
                break;
            }
        }
        step = step.saturating_mul(2);
        if heads.last() == Some(&at) {
            break;
        }
        heads.push(at);
    }
    heads.sort_unstable();
    heads
}
