//! What a partner lacks of a stream, and sending it.

use std::collections::BTreeSet;

use super::ReadLog;
use super::chat::{Chat, is_ancestor};
use super::link::{PartnerLink, Theirs};
use super::pump::BATCH_BYTES;
use crate::clock::Time;
use crate::codec;
use crate::envelope::EnvelopeHeader;
use crate::frame::{EnvelopeItem, EnvelopesFrame, Frame};
use crate::ids::{ChatId, CompanyId, Head, StreamId};
use crate::limits;

/// What a partner lacks of a branch.
pub(super) enum Lacking {
    Nothing,
    /// Everything after this head.
    After(Head),
    /// The partner holds a head that this node does not know: where the branches part must be found first.
    Unknown(Head),
}

pub(super) fn lacking(
    log: &dyn ReadLog,
    chat: &Chat,
    [own, partner]: [&CompanyId; 2],
    stream: &StreamId,
    heads: &[Head],
    tip: Head,
) -> Lacking {
    let [base, their_base] = [own, partner].map(|company| base_of(chat, company, stream));
    let chat = &chat.id();
    // What lies before the partner's history counts as held there, on every branch.
    if heads.contains(&tip) || their_base.iter().any(|head| tip.seq <= head.seq) {
        return Lacking::Nothing;
    }
    let begins = base.iter().map(|head| head.seq).max().unwrap_or(0);
    let known = |head: &Head| {
        *head == Head::START || base.contains(head) || log.link(chat, &head.hash).is_some()
    };
    if let Some(unknown) = heads.iter().find(|head| !known(head)) {
        // Further on than this node: either it continues this branch, or the partner will send its own samples.
        return match unknown.seq {
            seq if seq > tip.seq => Lacking::Nothing,
            // From before this node's history: what it has follows, with a gap that others may fill.
            seq if seq < begins => Lacking::After(Head::START),
            // Where the partner's history begins there is nothing before it to be found: this is another branch.
            seq if their_base.contains(unknown) => Lacking::After(back_to(log, chat, tip, seq)),
            seq if back_to(log, chat, tip, seq).seq > seq => Lacking::After(Head::START),
            _ => Lacking::Unknown(*unknown),
        };
    }
    let mut beyond = heads.iter().filter(|head| head.seq > tip.seq);
    if beyond.any(|head| is_ancestor(log, chat, tip, *head)) {
        return Lacking::Nothing;
    }
    if let [only] = heads {
        return Lacking::After(*only);
    }
    // On a branch the nearest head before the tip; otherwise any: the path begins where they part.
    let on_branch = heads
        .iter()
        .filter(|head| is_ancestor(log, chat, **head, tip));
    let from = on_branch.max().or(heads.iter().max());
    Lacking::After(from.copied().unwrap_or(Head::START))
}

/// The last head before `tip` that is not beyond a position; one beyond it where the chain before it is not here.
fn back_to(log: &dyn ReadLog, chat: &ChatId, tip: Head, seq: u64) -> Head {
    let mut at = tip;
    while at.seq > seq
        && let Some(link) = log.link(chat, &at.hash)
    {
        at = link.parent;
    }
    at
}

/// What the partner holds of a stream; a newcomer at least what lies before its history.
pub(super) fn heads_of(
    theirs: &Theirs,
    chat: &Chat,
    partner: &CompanyId,
    stream: &StreamId,
) -> Vec<Head> {
    match theirs.heads.get(stream) {
        Some(heads) if heads.iter().any(|head| *head != Head::START) => heads.clone(),
        _ => base_of(chat, partner, stream),
    }
}

/// Where the history of a company begins in a stream.
pub(super) fn base_of(chat: &Chat, company: &CompanyId, stream: &StreamId) -> Vec<Head> {
    let base = chat.owner().base(company).iter();
    let base = base.filter(|(at, _)| at == stream);
    base.map(|(_, tip)| tip.head).collect()
}

/// Who else brings a partner what its authors write.
pub(super) struct Couriers {
    /// The companies that the partner is linked with.
    pub direct: BTreeSet<CompanyId>,
    /// Those that this node is linked with: where a link has just begun, theirs to the partner may be about to.
    pub near: BTreeSet<CompanyId>,
    /// When the link to the partner began.
    pub linked_at: Time,
}

impl Couriers {
    pub(super) fn of(link: &PartnerLink, near: BTreeSet<CompanyId>) -> Couriers {
        Couriers {
            direct: link.direct.clone(),
            near,
            linked_at: link.since,
        }
    }
}

/// Until when to wait before relaying a stream whose author brings it to the partner itself, or may be about to.
pub(super) fn relay_wait(
    chat: &Chat,
    couriers: &Couriers,
    stream: &StreamId,
    own: CompanyId,
    now: Time,
) -> Option<Time> {
    if stream.company == own {
        return None;
    }
    let settled = couriers.linked_at.plus_ms(limits::LINKS_SETTLE_MS);
    let until = if couriers.direct.contains(&stream.company) {
        let arrived = *chat.arrived.get(stream)?;
        arrived.plus_ms(limits::RELAY_DELAY_MS).max(settled)
    } else if couriers.near.contains(&stream.company) {
        settled
    } else {
        return None;
    };
    // A clock that was set back must not delay anybody.
    (until > now && until <= now.plus_ms(limits::RELAY_DELAY_MS)).then_some(until)
}

/// One branch on its way to one partner.
pub(super) struct Sending {
    pub chat: ChatId,
    pub stream: StreamId,
    /// Bytes sent on the link so far, and how far they may go.
    pub sent_bytes: u64,
    pub budget: u64,
    /// What the partner holds, with what is sent.
    pub heads: Vec<Head>,
}

impl Sending {
    /// True when everything up to `tip` is sent, false when the budget ended before.
    pub(super) fn send_path(
        &mut self,
        log: &dyn ReadLog,
        mut from: Head,
        tip: Head,
        frames: &mut Vec<Frame>,
    ) -> bool {
        let chat = self.chat;
        while from != tip {
            if self.sent_bytes >= self.budget {
                return false;
            }
            let items = log.path(&chat, &self.stream, from, tip, BATCH_BYTES);
            let ends = items
                .first()
                .and_then(ends_of)
                .zip(items.last().and_then(ends_of));
            let Some(((parent, _), (_, last))) = ends else {
                return true;
            };
            // A path that parts earlier leaves the partner's other branch as it is.
            if parent == from {
                self.heads.retain(|head| *head != from);
            }
            self.heads.push(last);
            from = last;
            for items in frames_of(items) {
                let mut frame = EnvelopesFrame {
                    chat,
                    sent_bytes: 0,
                    items,
                };
                let bytes = codec::encode(&frame).len() as u64;
                self.sent_bytes = self.sent_bytes.saturating_add(bytes);
                frame.sent_bytes = self.sent_bytes;
                frames.push(Frame::Envelopes(frame));
            }
        }
        true
    }
}

/// Sends what leads to heads whose past the partner lacks. True when everything that is here is sent.
pub(super) fn fill_gaps(
    log: &dyn ReadLog,
    chat: ChatId,
    link: &mut PartnerLink,
    frames: &mut Vec<Frame>,
) -> bool {
    let Some(theirs) = link.theirs.get_mut(&chat) else {
        return true;
    };
    let mut finished = true;
    for (stream, gaps) in std::mem::take(&mut theirs.gaps) {
        let heads = theirs.heads.get(&stream).cloned().unwrap_or_default();
        for gap in gaps
            .iter()
            .filter(|gap| log.link(&chat, &gap.hash).is_some())
        {
            let said = theirs.beside_gaps.get(&stream).into_iter().flatten();
            let before = heads
                .iter()
                .chain(said)
                .filter(|head| is_ancestor(log, &chat, **head, *gap));
            let mut sending = Sending {
                chat,
                stream,
                sent_bytes: link.sent_bytes,
                budget: link.acked_bytes.saturating_add(limits::WINDOW_BYTES as u64),
                heads: heads.clone(),
            };
            let from = before.max().copied().unwrap_or(Head::START);
            let filled = sending.send_path(log, from, *gap, frames);
            link.sent_bytes = sending.sent_bytes;
            if !filled {
                // The rest follows when the partner says how far it has come.
                theirs.gaps.entry(stream).or_default().push(*gap);
                theirs.heads.insert(stream, sending.heads);
                finished = false;
            }
        }
    }
    finished
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

/// The head that an envelope continues, and its own.
fn ends_of(item: &EnvelopeItem) -> Option<(Head, Head)> {
    let header: EnvelopeHeader =
        codec::decode(&item.envelope.header.0, limits::HEADER_BYTES).ok()?;
    let head = Head {
        seq: header.last_seq(),
        hash: item.envelope.hash(),
    };
    let parent = Head {
        seq: header.first_seq.saturating_sub(1),
        hash: header.prev,
    };
    Some((parent, head))
}

/// Heads at exponentially growing distances before `tip`, ending with the start.
pub(super) fn samples(log: &dyn ReadLog, chat: &ChatId, tip: Head) -> Vec<Head> {
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
