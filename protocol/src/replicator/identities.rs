//! Identity logs that partners bring: whose are kept, and what happens when two do not agree.

use std::collections::BTreeMap;

use super::link::refuse;
use super::{Alarm, Context, Output, Record, Refusal, Replicator};
use crate::frame::IdentityFrame;
use crate::identity::{IdentityError, SignedIdentity};
use crate::ids::CompanyId;

/// Companies whose identity this node keeps: far above any real circle of partners, little enough to keep in memory.
pub(super) const COMPANIES: usize = 10_000;

/// Logs that a partner introduced and nothing has named yet: a chat's identities come before its owner log.
const INTRODUCED: usize = 256;
/// The bytes of those logs.
const INTRODUCED_BYTES: usize = 4 * 1024 * 1024;

/// Identity logs that came before what names their companies. Held in memory, for as long as the link.
#[derive(Debug, Clone, Default)]
pub(super) struct Introduced {
    logs: BTreeMap<CompanyId, Vec<SignedIdentity>>,
    bytes: usize,
}

impl Introduced {
    /// False when there is no room.
    fn put(&mut self, frame: IdentityFrame) -> bool {
        self.take(&frame.company);
        let bytes = size(&frame.records);
        let fits = self.bytes.saturating_add(bytes) <= INTRODUCED_BYTES;
        if !fits || self.logs.len() >= INTRODUCED {
            return false;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.logs.insert(frame.company, frame.records);
        true
    }

    fn take(&mut self, company: &CompanyId) -> Option<Vec<SignedIdentity>> {
        let records = self.logs.remove(company)?;
        self.bytes = self.bytes.saturating_sub(size(&records));
        Some(records)
    }
}

fn size(records: &[SignedIdentity]) -> usize {
    records
        .iter()
        .map(|record| record.header.0.len() + 64)
        .sum()
}

impl Replicator {
    /// Kept are the logs of companies that this node has to do with. Any other waits until something names its company.
    pub(super) fn receive_identity(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        frame: IdentityFrame,
    ) {
        let company = frame.company;
        if self.roster.log(&company).is_some() || company == partner || self.is_named(&company) {
            return self.keep_identity(cx, partner, company, &frame.records);
        }
        let introduced = self.link_mut(partner).map(|link| &mut link.introduced);
        if introduced.is_some_and(|introduced| !introduced.put(frame)) {
            refuse(cx, partner, None, Refusal::IdentityNotNeeded);
        }
    }

    /// An owner record names the company, so its log is needed, if the partner has brought it.
    pub(super) fn adopt_identity(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        company: CompanyId,
    ) {
        let link = self.link_mut(partner);
        if let Some(records) = link.and_then(|link| link.introduced.take(&company)) {
            self.keep_identity(cx, partner, company, &records);
        }
    }

    /// It owns a chat that is here, or takes or took part in one.
    fn is_named(&self, company: &CompanyId) -> bool {
        let mut owners = self.chats.values().map(|chat| chat.owner());
        owners.any(|owner| {
            owner.owner() == *company || owner.spans().any(|(member, _)| member == company)
        })
    }

    fn keep_identity(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        company: CompanyId,
        records: &[SignedIdentity],
    ) {
        let known = self.roster.log(&company).is_some();
        if !known && self.roster.companies().count() >= COMPANIES {
            return refuse(cx, partner, None, Refusal::IdentityNotNeeded);
        }
        match self.roster.merge(company, records) {
            Ok(new) => {
                for record in new {
                    cx.out
                        .push(Output::Store(Record::Identity { company, record }));
                }
            }
            Err(error) => {
                if let IdentityError::Fork(seq) = error {
                    cx.out
                        .push(Output::Alarm(Alarm::IdentityFork { company, seq }));
                }
                refuse(cx, partner, None, Refusal::Identity(error));
            }
        }
    }
}
