//! Identity logs that partners bring: whose are kept, and what happens when two do not agree.

use super::link::refuse;
use super::{Alarm, Context, Output, Record, Refusal, Replicator};
use crate::frame::IdentityFrame;
use crate::identity::IdentityError;
use crate::ids::CompanyId;

/// Companies whose identity this node keeps: far above any real circle of partners, little enough to keep in memory.
pub(super) const COMPANIES: usize = 10_000;

impl Replicator {
    pub(super) fn receive_identity(
        &mut self,
        cx: &mut Context<'_>,
        partner: CompanyId,
        frame: IdentityFrame,
    ) {
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
                if let IdentityError::Fork(seq) = error {
                    cx.out.push(Output::Alarm(Alarm::IdentityFork {
                        company: frame.company,
                        seq,
                    }));
                }
                refuse(cx, partner, None, Refusal::Identity(error));
            }
        }
    }
}
