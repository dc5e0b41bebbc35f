//! Receipts and the road of a message: who stored it, who read it, and why it is not there yet.

use crossport_protocol::codec;
use crossport_protocol::fold::Actor;
use crossport_protocol::ids::{ChatId, CompanyId, Handle, Hash};

use crate::api::facade::{Answer, Caller};
use crate::api::types::{CompanyReceipt, Hop, HopStep, PersonReceipt, ReadBy, Receipts, Why};
use crate::core::{Core, now, time_text};
use crate::store::Row;

impl Core {
    pub fn receipts(&self, caller: Caller, text: &str) -> Answer<Receipts> {
        let (chat, row) = self.find_message(text, &caller.user)?;
        let (mark, overdue, _) =
            self.marks(&chat, &row, row.actor.company == self.replicator.company());
        let companies: Vec<CompanyReceipt> = self.company_receipts(&chat, &row);
        let readers = self.readers(&chat, &row);
        let author = row.actor;
        let people = self.cached_people(&chat).cloned().unwrap_or_default();
        let others = people
            .iter()
            .filter(|(actor, member)| **actor != author && member.present);
        let people: Vec<PersonReceipt> = others
            .map(|(actor, member)| PersonReceipt {
                person: self.person_of_member(member),
                read_at: readers
                    .contains(actor)
                    .then(|| {
                        self.sound(self.store.read_at(&chat, actor, row.id))
                            .unwrap_or_else(now)
                    })
                    .map(time_text),
            })
            .collect();
        let read = people
            .iter()
            .filter(|receipt| receipt.read_at.is_some())
            .count() as u32;
        let read_by = ReadBy {
            people: read,
            of: people.len() as u32,
        };
        Ok(Receipts {
            message: row.id.to_string(),
            mark,
            overdue,
            companies,
            people,
            read_by,
        })
    }

    fn company_receipts(&self, chat: &ChatId, row: &Row) -> Vec<CompanyReceipt> {
        let Some(held) = self.replicator.chat(chat) else {
            return Vec::new();
        };
        held.owner()
            .members()
            .map(|company| self.company_receipt(chat, row, company))
            .collect()
    }

    fn company_receipt(&self, chat: &ChatId, row: &Row, company: CompanyId) -> CompanyReceipt {
        let author = company == row.actor.company;
        let here = company == self.replicator.company();
        let statements = self
            .replicator
            .chat(chat)
            .into_iter()
            .flat_map(|held| held.statements());
        let proof = statements
            .filter(|statement| statement.content.company == company)
            .find(|statement| self.covers(chat, &statement.content.heads, row));
        let stored_at = match (author, here, proof) {
            (true, _, _) => Some(row.clock.time()),
            (false, true, _) => Some(self.arrived_at(chat, row)),
            (false, false, Some(statement)) => {
                let node = Actor {
                    company,
                    handle: Handle::ZERO,
                };
                Some(
                    self.sound(self.store.read_at(chat, &node, row.id))
                        .unwrap_or(statement.content.time),
                )
            }
            (false, false, None) => None,
        };
        let since = row.clock.time();
        let overdue_after = self.config.overdue_after_s.saturating_mul(1000);
        CompanyReceipt {
            company: self.badge(&company),
            own: author,
            stored_at: stored_at.map(time_text),
            not_delivered_since: stored_at.is_none().then(|| time_text(since)),
            overdue: stored_at.is_none() && now().since(since) >= overdue_after,
            statement: proof.map(|statement| Hash::of(&[&codec::encode(statement)]).to_string()),
        }
    }

    /// Every hop of a message that this node knows of.
    pub fn why(&self, caller: Caller, text: &str) -> Answer<Why> {
        let (chat, row) = self.find_message(text, &caller.user)?;
        let own = self.replicator.company();
        let hop = |step, at, company: Option<&CompanyId>, detail: Option<String>| Hop {
            step,
            at,
            company: company.map(|company| self.badge(company)),
            person: None,
            detail,
        };
        let place = format!(
            "stream {:016x} seq {} epoch {}",
            row.stream().incarnation,
            row.envelope.head().seq,
            row.epoch()
        );
        let mut hops = vec![hop(
            HopStep::Signed,
            Some(time_text(row.clock.time())),
            Some(&row.actor.company),
            Some(place),
        )];
        if row.actor.company == own {
            hops.push(hop(
                HopStep::Stored,
                Some(time_text(self.arrived_at(&chat, &row))),
                Some(&own),
                None,
            ));
        } else {
            hops.push(hop(
                HopStep::Received,
                Some(time_text(self.arrived_at(&chat, &row))),
                Some(&row.actor.company),
                None,
            ));
        }
        for receipt in self
            .company_receipts(&chat, &row)
            .into_iter()
            .filter(|receipt| !receipt.own && receipt.company.id != own.to_string())
        {
            let company: Option<CompanyId> = receipt.company.id.parse().ok();
            let Some(company) = company else { continue };
            if row.actor.company == own {
                hops.extend(self.departure(&chat, &row, &company));
            }
            match receipt.stored_at {
                Some(at) => hops.push(hop(
                    HopStep::Delivered,
                    Some(at),
                    Some(&company),
                    receipt.statement.map(|hash| format!("statement {hash}")),
                )),
                None => hops.push(hop(
                    HopStep::NotDelivered,
                    receipt.not_delivered_since,
                    Some(&company),
                    self.link_detail(&company),
                )),
            }
        }
        let people = self.cached_people(&chat).cloned().unwrap_or_default();
        for reader in self.readers(&chat, &row) {
            let at = self
                .sound(self.store.read_at(&chat, &reader, row.id))
                .map(time_text);
            let person = people
                .get(&reader)
                .map(|member| self.person_of_member(member));
            hops.push(Hop {
                step: HopStep::Read,
                at,
                company: Some(self.badge(&reader.company)),
                person,
                detail: None,
            });
        }
        Ok(Why {
            message: row.id.to_string(),
            hops,
        })
    }

    fn departure(&self, chat: &ChatId, row: &Row, company: &CompanyId) -> Option<Hop> {
        let left = self
            .replicator
            .may_have_left(chat, row.clock)
            .contains(company);
        left.then(|| Hop {
            step: HopStep::Released,
            at: None,
            company: Some(self.badge(company)),
            person: None,
            detail: self.link_detail(company),
        })
    }

    fn link_detail(&self, company: &CompanyId) -> Option<String> {
        match self.links.get(company) {
            Some(link) => Some(format!(
                "linked by {} with {}",
                link.transport, link.address
            )),
            None => Some("no link".to_owned()),
        }
    }
}
