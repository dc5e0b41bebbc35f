//! How far messages got: marks, readers, and what a company still lacks, computed from statements and read registers.
//!
//! Nothing here is stored: facts are, marks follow from them.

use crossport_protocol::clock::Time;
use crossport_protocol::codec;
use crossport_protocol::fold::Actor;
use crossport_protocol::ids::{ChatId, CompanyId, Head};
use crossport_protocol::limits;
use crossport_protocol::owner_log::StreamCut;
use crossport_protocol::replicator::ReadLog;

use super::{Core, now};
use crate::api::types::{Mark, ReadBy};
use crate::store::Row;

impl Core {
    /// How far an own message got: mark, overdue, "read by 3 of 7".
    pub fn marks(
        &self,
        chat: &ChatId,
        row: &Row,
        mine: bool,
    ) -> (Option<Mark>, bool, Option<ReadBy>) {
        if !mine {
            return (None, false, None);
        }
        let Some(held) = self.replicator.chat(chat) else {
            return (Some(Mark::StoredHere), false, None);
        };
        let own = self.replicator.company();
        let covered = |heads: &[StreamCut]| self.covers(chat, heads, row);
        let stored = |company: &CompanyId| {
            held.statements().any(|statement| {
                statement.content.company == *company && covered(&statement.content.heads)
            })
        };
        let everywhere = held
            .owner()
            .members()
            .filter(|company| *company != own)
            .all(|company| stored(&company));
        let readers = self.readers(chat, row);
        let of = self.cached_people(chat).map_or(0, |people| {
            people
                .values()
                .filter(|member| self.takes_part(chat, member))
                .count()
        });
        let read_by = ReadBy {
            people: readers.len() as u32,
            of: of.saturating_sub(1) as u32,
        };
        let mark = match (readers.is_empty(), everywhere) {
            (false, _) => Mark::Read,
            (true, true) => Mark::StoredEverywhere,
            (true, false) => Mark::StoredHere,
        };
        let overdue = !everywhere
            && now().since(row.clock.time()) >= self.config.overdue_after_s.saturating_mul(1000);
        (Some(mark), overdue, Some(read_by))
    }

    /// True when the heads reach the row's event. Only a forked stream needs a walk back along the chain.
    pub fn covers(&self, chat: &ChatId, heads: &[StreamCut], row: &Row) -> bool {
        let (stream, last) = (row.stream(), row.envelope.head());
        let forked = self.replicator.chat(chat).is_some_and(|held| {
            held.streams()
                .any(|(id, state)| *id == stream && state.is_forked())
        });
        let reaches = |head: &Head| {
            let mut at = *head;
            while forked && at.seq > last.seq {
                match self.store.link(chat, &at.hash) {
                    Some(link) => at = link.parent,
                    None => return false,
                }
            }
            at == last || !forked && at.seq > last.seq
        };
        heads
            .iter()
            .filter(|cut| cut.stream == stream)
            .flat_map(|cut| cut.heads.iter())
            .any(reaches)
    }

    /// Everyone but the author whose read frontier covers a row.
    pub fn readers(&self, chat: &ChatId, row: &Row) -> Vec<Actor> {
        let Some(held) = self.replicator.chat(chat) else {
            return Vec::new();
        };
        let author = row.actor;
        let own = self.replicator.company();
        let mut readers = Vec::new();
        for entry in held.own_reads().values() {
            if self.covers(chat, &entry.heads, row) {
                readers.push(Actor {
                    company: own,
                    handle: entry.handle,
                });
            }
        }
        for register in held
            .reads()
            .filter(|register| register.content.company != own)
        {
            for entry in self.replicator.open_reads(register).into_iter().flatten() {
                if self.covers(chat, &entry.heads, row) {
                    readers.push(Actor {
                        company: register.content.company,
                        handle: entry.handle,
                    });
                }
            }
        }
        readers.retain(|reader| *reader != author);
        readers.sort_unstable();
        readers.dedup();
        readers
    }

    /// Since when a company lacks something of this company's in a chat; None when its node stated that it has all.
    pub fn not_delivered_since(&self, chat: &ChatId, company: &CompanyId) -> Option<Time> {
        let held = self.replicator.chat(chat)?;
        let own = self.replicator.company();
        let stated: Vec<&[StreamCut]> = held
            .statements()
            .filter(|statement| statement.content.company == *company)
            .map(|statement| statement.content.heads.as_slice())
            .collect();
        let own_streams = held.streams().filter(|(stream, _)| stream.company == own);
        let oldest = own_streams.filter_map(|(stream, state)| {
            let tip = state.heads().max()?;
            let reached = stated
                .iter()
                .flat_map(|heads| heads.iter())
                .filter(|cut| cut.stream == *stream);
            let reached = reached.flat_map(|cut| cut.heads.iter().copied()).max();
            let reached = reached.unwrap_or(Head::START);
            if reached.seq >= tip.seq {
                return None;
            }
            let first = self
                .store
                .path(chat, stream, reached, tip, 1)
                .into_iter()
                .next()?;
            let verified: crossport_protocol::envelope::EnvelopeHeader =
                codec::decode(&first.envelope.header.0, limits::HEADER_BYTES).ok()?;
            Some(verified.first_clock().time())
        });
        oldest.min()
    }
}
