//! Where histories end and begin: what a removal's cut excludes, and the base of a company that joins later.

use std::collections::BTreeMap;

use super::chat::{is_ancestor, may_lead_to};
use super::{Context, Output, ReadLog, Replicator};
use crate::ids::{ChatId, CompanyId, Hash, Head, Position, StreamId};
use crate::owner_log::Standing;
use crate::stream::{StreamState, Tip};

impl Replicator {
    /// Drops what a cut excludes from the streams of a company. What no longer counts is told as voided.
    pub(super) fn apply_cut(&mut self, cx: &mut Context<'_>, chat_id: ChatId, company: CompanyId) {
        #[cfg(feature = "sim")]
        if self.has_bug(super::Bug::SkipCut) {
            return;
        }
        let past = self.fresh.over(cx.log);
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
        let streams = chat.core.streams.iter_mut();
        for (stream, state) in streams.filter(|(stream, _)| stream.company == company) {
            let span = spans.iter().find(|span| span.from == state.span);
            let Some((_, cuts)) = span.and_then(|span| span.until.as_ref()) else {
                continue;
            };
            let cut = cuts.iter().find(|cut| cut.stream == *stream);
            let allowed = cut.map_or(&[][..], |cut| &cut.heads);
            void.extend(cut_stream(&past, &chat_id, state, allowed));
        }
        chat.core.streams.retain(|_, state| !state.tips.is_empty());
        if company == self.company {
            chat.core.own = None;
        }
        void.sort_unstable();
        void.dedup();
        void.iter().for_each(|hash| self.fresh.remove(hash));
        if !void.is_empty() {
            // What this node stated before names what is void now.
            if let Some(chat) = self.chats.get_mut(&chat_id) {
                chat.statement_due = true;
            }
            cx.out.push(Output::Voided {
                chat: chat_id,
                envelopes: void,
            });
        }
    }

    /// This company was added: what lies at or before the base counts as held, because it never comes.
    pub(super) fn begin_history(&mut self, cx: &Context<'_>, chat_id: ChatId) {
        let past = self.fresh.over(cx.log);
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        let owner = &chat.core.owner;
        let mut base: BTreeMap<StreamId, Vec<Tip>> = BTreeMap::new();
        for (stream, tip) in owner.base(&self.company) {
            base.entry(*stream).or_default().push(*tip);
        }
        let mut begun = Vec::new();
        for (stream, tips) in base {
            let cited = tips.first().map_or(Position::START, |tip| tip.owner_at);
            let Standing::Member(span) = owner.standing(&stream.company, &cited) else {
                continue;
            };
            let closed = span.until.as_ref().map(|(_, cuts)| {
                let cut = cuts.iter().find(|cut| cut.stream == stream);
                cut.map_or(Vec::new(), |cut| cut.heads.clone())
            });
            begun.push((stream, tips, span.from, closed));
        }
        // A head that only said where an earlier history began is nothing that is held, unless this one begins there too.
        let beginnings = begun.iter().flat_map(|(_, tips, _, _)| tips);
        let starts: Vec<Head> = beginnings.map(|tip| tip.head).collect();
        let is_held =
            |head: &Head| starts.contains(head) || past.link(&chat_id, &head.hash).is_some();
        for state in chat.core.streams.values_mut() {
            state.tips.retain(|tip| is_held(&tip.head));
            state.delivered.retain(is_held);
        }
        chat.core.streams.retain(|_, state| !state.tips.is_empty());
        for (stream, tips, span, closed) in begun {
            let state = chat.core.streams.entry(stream).or_default();
            state.span = span;
            state.closed = closed;
            let ends: Vec<Head> = state.heads().collect();
            state.begin(&tips, |head| {
                let mut after = ends.iter().filter(|end| **end != head);
                after.any(|end| is_ancestor(&past, &chat_id, head, *end))
            });
        }
    }
}

/// Shortens a stream to the heads that count; returns the hashes of what falls away.
fn cut_stream(
    log: &dyn ReadLog,
    chat: &ChatId,
    state: &mut StreamState,
    allowed: &[Head],
) -> Vec<Hash> {
    let counts = |head: Head| allowed.iter().any(|end| may_lead_to(log, chat, head, *end));
    let mut void = Vec::new();
    let mut kept: Vec<Tip> = Vec::new();
    for tip in &state.tips {
        let mut at = Some(*tip);
        while let Some(tip) = at.filter(|tip| !counts(tip.head)) {
            void.push(tip.head.hash);
            let link = log.link(chat, &tip.head.hash);
            let parent = link.map(|link| link.parent);
            at = parent
                .filter(|parent| *parent != Head::START)
                .map(|parent| {
                    // The base of this company's history has no link; a closed stream is not continued anyway.
                    let link = log.link(chat, &parent.hash);
                    link.map_or(Tip::start(parent), |link| link.tip)
                });
        }
        kept.extend(at.filter(|tip| !kept.contains(tip)));
    }
    // The rest of a branch that fell away may lie within another one.
    let ends: Vec<Head> = kept.iter().map(|tip| tip.head).collect();
    kept.retain(|tip| {
        let mut others = ends.iter().filter(|end| **end != tip.head);
        !others.any(|end| is_ancestor(log, chat, tip.head, *end))
    });
    let delivered = state.delivered.iter().filter_map(|head| {
        let mut at = *head;
        while void.contains(&at.hash) {
            at = log.link(chat, &at.hash)?.parent;
        }
        (at != Head::START).then_some(at)
    });
    let mut delivered: Vec<Head> = delivered.collect();
    let reached = delivered.clone();
    delivered.retain(|head| {
        let mut others = reached.iter().filter(|other| *other != head);
        !others.any(|other| is_ancestor(log, chat, *head, *other))
    });
    delivered.sort_unstable();
    delivered.dedup();
    state.delivered = delivered;
    state.tips = kept;
    state.closed = Some(allowed.to_vec());
    void
}
