//! What is said first on a link: who this is, whom it is linked with, and what both have to compare.
//!
//! It must not know what is sent of any chat; that is the pump's.

use std::collections::BTreeSet;

use super::chat::Chat;
use super::link::DIGESTS_A_FRAME;
use super::{Context, Replicator};
use crate::clock::Time;
use crate::fields::Fields;
use crate::frame::{BUILD, Digests, Frame, Hello, IdentityFrame, VERSION};
use crate::ids::CompanyId;

impl Replicator {
    /// A hello and the own identity log once a link is up; what both have to compare once the partner's hello is there.
    pub(super) fn pump_greeting(&mut self, cx: &Context<'_>, partner: CompanyId) -> Vec<Frame> {
        let link = self
            .partners
            .get_mut(&partner)
            .and_then(|partner| partner.link.as_mut());
        let Some(link) = link else {
            return Vec::new();
        };
        let says_hello = !std::mem::replace(&mut link.hello_sent, true);
        let compares = link.hello.is_some() && !std::mem::replace(&mut link.digests_sent, true);
        let mut frames = Vec::new();
        if says_hello {
            let company = self.company;
            let own = self.roster.log(&company);
            let records: Vec<_> = own
                .map(|log| log.records().cloned().collect())
                .unwrap_or_default();
            link.told.insert(company, records.len() as u64);
            frames.push(Frame::Hello(self.hello(cx.now)));
            frames.push(Frame::Identity(IdentityFrame { company, records }));
        }
        if compares {
            frames.extend(self.digest_frames(&partner));
        }
        frames
    }

    fn hello(&self, now: Time) -> Hello {
        Hello {
            version: VERSION,
            build: BUILD.to_owned(),
            company: self.company,
            generation: self.generation,
            identity_at: self.roster.head(&self.company),
            prekey: self.bundle.clone(),
            time: now,
            fields: Fields::none(),
        }
    }

    /// The companies that this node is linked with, of those that share a chat with the partner; when it changed.
    pub(super) fn direct_frame(&mut self, partner: CompanyId) -> Option<Frame> {
        let due = self.link_mut(partner)?;
        if !std::mem::replace(&mut due.direct_due, false) {
            return None;
        }
        let linked = self.linked_companies(partner);
        let shares = |company: &&CompanyId| {
            let mut owners = self.chats.values().map(Chat::owner);
            owners.any(|owner| owner.is_member(&partner) && owner.is_member(company))
        };
        let direct: BTreeSet<CompanyId> = linked.iter().filter(shares).copied().collect();
        let link = self.link_mut(partner)?;
        if link.direct_told == direct {
            return None;
        }
        link.direct_told = direct.clone();
        Some(Frame::Direct(direct.into_iter().collect()))
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

    /// The companies that this node is linked with, besides this partner.
    pub(super) fn linked_companies(&self, partner: CompanyId) -> BTreeSet<CompanyId> {
        let others = self.partners.iter();
        others
            .filter(|(company, held)| **company != partner && held.is_linked())
            .map(|(company, _)| *company)
            .collect()
    }
}
