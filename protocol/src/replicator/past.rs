//! The stored past together with what the present call has taken and the shell could not store yet.

use std::collections::{BTreeMap, BTreeSet};

use super::{Link, ReadLog};
use crate::codec;
use crate::envelope::{EnvelopeHeader, SealedEnvelope, VerifiedEnvelope};
use crate::frame::EnvelopeItem;
use crate::ids::{ChatId, CompanyId, EventId, Handle, Hash, Head, StreamId};
use crate::limits;
use crate::owner_log::SignedRecord;
use crate::stream::Tip;

/// Envelopes taken in the present call.
#[derive(Debug, Clone, Default)]
pub(super) struct Fresh {
    envelopes: BTreeMap<Hash, (Link, Vec<Written>)>,
    erased: BTreeSet<EventId>,
}

/// What the signed header says of one event, and whether its payload is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub company: CompanyId,
    pub actor: Handle,
    pub kind: u16,
    pub erased: bool,
}

impl Fresh {
    pub(super) fn clear(&mut self) {
        self.envelopes.clear();
        self.erased.clear();
    }

    pub(super) fn insert(&mut self, envelope: &VerifiedEnvelope) {
        let link = Link {
            stream: envelope.header.stream,
            parent: envelope.parent(),
            tip: Tip::of(&envelope.header, envelope.head()),
        };
        let written = written_in(&envelope.header, &envelope.sealed);
        self.envelopes.insert(envelope.hash, (link, written));
    }

    pub(super) fn erase(&mut self, event: EventId) {
        self.erased.insert(event);
    }

    pub(super) fn is_erased(&self, event: &EventId) -> bool {
        self.erased.contains(event)
    }

    pub(super) fn remove(&mut self, hash: &Hash) {
        self.envelopes.remove(hash);
    }

    pub(super) fn over<'a>(&'a self, log: &'a dyn ReadLog) -> Past<'a> {
        Past { fresh: self, log }
    }
}

/// A log that knows the fresh envelopes too.
#[derive(Clone, Copy)]
pub(super) struct Past<'a> {
    fresh: &'a Fresh,
    log: &'a dyn ReadLog,
}

impl Past<'_> {
    /// Who wrote an event, if its envelope is here.
    pub(super) fn written(&self, chat: &ChatId, event: &EventId) -> Option<Written> {
        let place = usize::from(event.place);
        if let Some((_, written)) = self.fresh.envelopes.get(&event.envelope) {
            return written.get(place).copied();
        }
        let item = self.log.envelope(chat, &event.envelope)?;
        let header: EnvelopeHeader =
            codec::decode(&item.envelope.header.0, limits::HEADER_BYTES).ok()?;
        written_in(&header, &item.envelope).get(place).copied()
    }
}

fn written_in(header: &EnvelopeHeader, sealed: &SealedEnvelope) -> Vec<Written> {
    header
        .events
        .iter()
        .zip(&sealed.payloads)
        .map(|(event, payload)| Written {
            company: header.stream.company,
            actor: event.actor,
            kind: event.kind,
            erased: payload.0.is_empty(),
        })
        .collect()
}

impl ReadLog for Past<'_> {
    fn link(&self, chat: &ChatId, hash: &Hash) -> Option<Link> {
        match self.fresh.envelopes.get(hash) {
            Some((link, _)) => Some(*link),
            None => self.log.link(chat, hash),
        }
    }

    fn envelope(&self, chat: &ChatId, hash: &Hash) -> Option<EnvelopeItem> {
        self.log.envelope(chat, hash)
    }

    fn path(
        &self,
        chat: &ChatId,
        stream: &StreamId,
        from: Head,
        to: Head,
        max_bytes: usize,
    ) -> Vec<EnvelopeItem> {
        self.log.path(chat, stream, from, to, max_bytes)
    }

    fn records(&self, chat: &ChatId, after: u64, max_bytes: usize) -> Vec<SignedRecord> {
        self.log.records(chat, after, max_bytes)
    }
}
