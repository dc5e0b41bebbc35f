//! Arrivals: in which order envelopes came to count on this node. Unread goes by this order, because a message that
//! comes late lies far back on the timeline and is new all the same.
//!
//! Owns pages of entries (one row for 32 envelopes, with the heads of all streams before it) and the counts of what each
//! own person wrote. Only message events have a number, beginning with 1. It must not know who has read what.
//!
//! The numbers are this index's own: a rebuild may count in another order, because keys that came late are there from
//! the beginning. What must outlast a rebuild is kept as heads; see [`Index::covered`].

use std::collections::BTreeSet;

use crossport_protocol::ids::{Hash, Head};
use crossport_protocol::owner_log::StreamCut;

use super::rows::{
    self, ArrivalEntry, ArrivalPage, ChatMeta, EnvelopeRow, Spot, VoidRow, WrittenRow,
};
use super::{Direction, Index, IndexError, View};

/// Entries of a page. It is written anew with every commit that adds to it, so it is kept at one or two kilobytes.
pub const PAGE_ENTRIES: u32 = 32;

impl Index {
    /// Adds an envelope; returns how many arrivals came before it. The caller stores `meta`.
    pub fn arrive(
        &mut self,
        chat: u32,
        meta: &mut ChatMeta,
        entry: ArrivalEntry,
    ) -> Result<u64, IndexError> {
        let base = meta.arrivals;
        let mut page = self.open_page(chat, meta)?;
        for author in own(&entry.authors) {
            let count = entry.authors.iter().filter(|by| **by == author).count() as u64;
            let messages = self.written(View::Staged, chat, author, None)? + count;
            let key = rows::written(chat, author, meta.page);
            self.put(key, &WrittenRow { messages });
        }
        meta.arrivals = meta.arrivals.saturating_add(entry.authors.len() as u64);
        meta.page_entries += 1;
        page.entries.push(entry);
        self.put(rows::arrivals(chat, meta.page_base, meta.page), &page);
        Ok(base)
    }

    /// Notes that the messages of a counted envelope no longer count.
    pub fn void_arrival(
        &mut self,
        chat: u32,
        base: u64,
        row: &EnvelopeRow,
    ) -> Result<(), IndexError> {
        if row.messages == 0 {
            return Ok(());
        }
        let spot = Spot::of(&row.head());
        let (_, _, page) = self
            .page_at(View::Staged, chat, base)?
            .ok_or(IndexError::Missing("a page of arrivals"))?;
        let entry = page.entries.into_iter().find(|entry| entry.spot == spot);
        let authors = entry
            .ok_or(IndexError::Missing("an entry of arrivals"))?
            .authors;
        self.put(rows::voids(chat, base, &row.hash), &VoidRow { authors });
        Ok(())
    }

    /// Heads of every stream when `arrival` had come in, with everything that is no message up to the next message. An
    /// envelope that had come in only with a later arrival is not in it.
    pub fn heads_at(
        &self,
        view: View,
        chat: u32,
        arrival: u64,
    ) -> Result<Vec<StreamCut>, IndexError> {
        let Some((base, _, page)) = self.page_at(view, chat, arrival)? else {
            return Ok(Vec::new());
        };
        let mut heads = page.before;
        let mut before = base;
        for entry in &page.entries {
            let through = before.saturating_add(entry.authors.len() as u64);
            if through > arrival {
                break;
            }
            advance(&mut heads, entry);
            before = through;
        }
        let mut cuts = Vec::with_capacity(heads.len());
        for (stream, spots) in heads {
            let mut heads = Vec::with_capacity(spots.len());
            for spot in spots {
                heads.extend(self.sound_head(view, stream, spot)?);
            }
            heads.sort_unstable();
            heads.dedup();
            if !heads.is_empty() {
                let stream = self.stream_facts(view, stream)?.id;
                cuts.push(StreamCut { stream, heads });
            }
        }
        cuts.sort_by_key(|cut| cut.stream);
        Ok(cuts)
    }

    /// The greatest arrival such that every message up to it lies at or before these heads.
    pub fn covered(&self, view: View, chat: u32, heads: &[StreamCut]) -> Result<u64, IndexError> {
        let mut covered = self.meta(view, chat)?.arrivals;
        for (stream, id) in self.streams(view, chat)? {
            let heads = heads
                .iter()
                .find(|cut| cut.stream == id)
                .map_or(&[][..], |cut| &cut.heads);
            if let Some(first) = self.first_uncovered(view, stream, heads)? {
                covered = covered.min(first);
            }
        }
        Ok(covered)
    }

    /// Messages of an own person that came after `arrival`.
    pub fn authored_after(
        &self,
        view: View,
        chat: u32,
        actor: u32,
        arrival: u64,
    ) -> Result<u64, IndexError> {
        let all = self.written(view, chat, actor, None)?;
        let Some((base, number, page)) = self.page_at(view, chat, arrival)? else {
            return Ok(all);
        };
        let before = self.written(view, chat, actor, Some(number))?;
        let within = usize::try_from(arrival.saturating_sub(base)).unwrap_or(usize::MAX);
        let authors = page.entries.iter().flat_map(|entry| &entry.authors);
        let through = authors.take(within).filter(|by| **by == actor).count() as u64;
        Ok(all.saturating_sub(before.saturating_add(through)))
    }

    /// Messages of others than `actor` that came after `arrival` and that a cut excluded since.
    pub fn voided_after(
        &self,
        view: View,
        chat: u32,
        actor: Option<u32>,
        arrival: u64,
    ) -> Result<u64, IndexError> {
        let mut count = 0_u64;
        for row in self.prefix(view, &rows::voids_of(chat)) {
            let (key, row) = row?;
            let base = rows::base_of_void(&key).ok_or(IndexError::Missing("a void's place"))?;
            let VoidRow { authors } = rows::decode(&row)?;
            let behind = usize::try_from(arrival.saturating_sub(base)).unwrap_or(usize::MAX);
            let others = authors.iter().skip(behind).filter(|by| Some(**by) != actor);
            count = count.saturating_add(others.count() as u64);
        }
        Ok(count)
    }

    fn open_page(&mut self, chat: u32, meta: &mut ChatMeta) -> Result<ArrivalPage, IndexError> {
        let key = rows::arrivals(chat, meta.page_base, meta.page);
        let page: ArrivalPage = self.row(View::Staged, &key)?.unwrap_or_default();
        if meta.page_entries < PAGE_ENTRIES {
            return Ok(page);
        }
        let mut before = page.before;
        page.entries
            .iter()
            .for_each(|entry| advance(&mut before, entry));
        meta.page = meta.page.saturating_add(1);
        meta.page_base = meta.arrivals;
        meta.page_entries = 0;
        Ok(ArrivalPage {
            before,
            entries: Vec::new(),
        })
    }

    /// The last page that begins at or before an arrival: what came before it, its number, itself.
    fn page_at(
        &self,
        view: View,
        chat: u32,
        arrival: u64,
    ) -> Result<Option<(u64, u32, ArrivalPage)>, IndexError> {
        let low = rows::arrivals_of(chat);
        let mut high = rows::arrivals(chat, arrival, u32::MAX);
        high.push(0);
        let Some(row) = self.scan(view, Direction::Down, &low, &high).next() else {
            return Ok(None);
        };
        let (key, page) = row?;
        let (base, number) =
            rows::place_of_arrivals(&key).ok_or(IndexError::Missing("a page's place"))?;
        Ok(Some((base, number, rows::decode(&page)?)))
    }

    /// Messages of an own person up to the end of the page before `page`, or of all pages.
    fn written(
        &self,
        view: View,
        chat: u32,
        actor: u32,
        page: Option<u32>,
    ) -> Result<u64, IndexError> {
        let low = rows::written_by(chat, actor);
        let mut high = rows::written(chat, actor, page.unwrap_or(u32::MAX));
        if page.is_none() {
            high.push(0);
        }
        match self.scan(view, Direction::Down, &low, &high).next() {
            Some(row) => {
                let WrittenRow { messages } = rows::decode(&row?.1)?;
                Ok(messages)
            }
            None => Ok(0),
        }
    }

    /// The head itself, or what is left before it if a cut excluded it since.
    fn sound_head(&self, view: View, stream: u32, spot: Spot) -> Result<Option<Head>, IndexError> {
        let mut at = spot;
        while let Some(row) = self.envelope(view, stream, &at)? {
            if !row.void {
                return Ok(Some(row.head()));
            }
            at = Spot::of(&row.parent());
        }
        Ok(None)
    }

    /// The arrivals before the earliest message of a stream that lies neither at nor before one of these heads.
    fn first_uncovered(
        &self,
        view: View,
        stream: u32,
        heads: &[Head],
    ) -> Result<Option<u64>, IndexError> {
        let forks = self.stream_facts(view, stream)?.fork_after;
        let highest = heads.iter().map(|head| head.seq).max().unwrap_or(0);
        let line = highest.min(forks.unwrap_or(u64::MAX));
        let mut inside: BTreeSet<Hash> = BTreeSet::new();
        for head in heads.iter().filter(|head| head.seq > line) {
            let mut at = Spot::of(head);
            while at.seq > line {
                let Some(row) = self.envelope(view, stream, &at)? else {
                    break;
                };
                if !inside.insert(row.hash) {
                    break;
                }
                at = Spot::of(&row.parent());
            }
        }
        let mut first: Option<u64> = None;
        let low = rows::envelopes_from(stream, line.saturating_add(1));
        for row in self.scan(view, Direction::Up, &low, &rows::envelopes_end(stream)) {
            let row: EnvelopeRow = rows::decode(&row?.1)?;
            let (false, Some(arrival), true) = (row.void, row.arrival, row.messages > 0) else {
                continue;
            };
            if inside.contains(&row.hash) {
                continue;
            }
            first = Some(first.map_or(arrival, |first| first.min(arrival)));
            if forks.is_none() {
                break;
            }
        }
        Ok(first)
    }
}

/// The own authors among these, each once.
fn own(authors: &[u32]) -> BTreeSet<u32> {
    let own = authors.iter().filter(|author| **author != rows::STRANGER);
    own.copied().collect()
}

/// Puts the entry's head in the place of its parent, or beside the others.
fn advance(heads: &mut Vec<(u32, Vec<Spot>)>, entry: &ArrivalEntry) {
    let place = match heads.iter().position(|(stream, _)| *stream == entry.stream) {
        Some(place) => place,
        None => {
            heads.push((entry.stream, Vec::new()));
            heads.len() - 1
        }
    };
    if let Some((_, spots)) = heads.get_mut(place) {
        match spots.iter_mut().find(|spot| **spot == entry.parent) {
            Some(spot) => *spot = entry.spot,
            None => spots.push(entry.spot),
        }
    }
}
