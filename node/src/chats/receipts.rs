//! Receipts and the road of a message: who stored it, who read it, and why it is not there yet.

use crossport_protocol::actions::Action;
use crossport_protocol::codec;
use crossport_protocol::fold::Actor;
use crossport_protocol::ids::{ChatId, CompanyId, Handle, Hash};

use crate::api::facade::{Answer, Caller};
use crate::api::types::{CompanyReceipt, Hop, HopStep, PersonReceipt, ReadBy, Receipts, Why};
use crate::core::{Core, now, time_text};
use crate::network::Address;
use crate::say;
use crate::store::Row;
use crate::texts::Texts;

impl Core {
    pub fn receipts(&self, caller: Caller, text: &str) -> Answer<Receipts> {
        let (chat, row) = self.find_message(text, &caller.user)?;
        self.check_action(Action::WhoRead, &chat, &row, &caller.user, text)?;
        let (mark, overdue, _) =
            self.marks(&chat, &row, row.actor.company == self.replicator.company());
        let companies: Vec<CompanyReceipt> = self.company_receipts(&chat, &row);
        let readers = self.readers(&chat, &row);
        let author = row.actor;
        let people = self.cached_people(&chat).cloned().unwrap_or_default();
        let others = people
            .iter()
            .filter(|(actor, member)| **actor != author && self.takes_part(&chat, member));
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
        let receipt = |company| self.company_receipt(chat, row, company);
        let mut receipts: Vec<CompanyReceipt> = held.owner().members().map(receipt).collect();
        // The author's company first, as everything begins there.
        receipts.sort_by_key(|receipt| !receipt.own);
        receipts
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
        let mut hops = self.hops_here(&chat, &row);
        hops.extend(self.hops_to_companies(&chat, &row, Texts::of(caller.lang)));
        hops.extend(self.hops_to_readers(&chat, &row));
        Ok(Why {
            message: row.id.to_string(),
            hops,
        })
    }

    fn hop(
        &self,
        step: HopStep,
        at: Option<String>,
        company: &CompanyId,
        detail: Option<String>,
    ) -> Hop {
        Hop {
            step,
            at,
            company: Some(self.badge(company)),
            person: None,
            detail,
        }
    }

    fn hops_here(&self, chat: &ChatId, row: &Row) -> Vec<Hop> {
        let author = row.actor.company;
        let (incarnation, seq, epoch) = (
            row.stream().incarnation,
            row.envelope.head().seq,
            row.epoch(),
        );
        let place = format!("stream {incarnation:016x} seq {seq} epoch {epoch}");
        let own = author == self.replicator.company();
        let here = if own {
            HopStep::Stored
        } else {
            HopStep::Received
        };
        let arrived = time_text(self.arrived_at(chat, row));
        vec![
            self.hop(
                HopStep::Signed,
                Some(time_text(row.clock.time())),
                &author,
                Some(place),
            ),
            self.hop(here, Some(arrived), &author, None),
        ]
    }

    fn hops_to_companies(&self, chat: &ChatId, row: &Row, texts: &Texts) -> Vec<Hop> {
        let own = self.replicator.company();
        let mut hops = Vec::new();
        let members = self
            .replicator
            .chat(chat)
            .into_iter()
            .flat_map(|held| held.owner().members());
        for company in members.filter(|company| *company != own && *company != row.actor.company) {
            let receipt = self.company_receipt(chat, row, company);
            if row.actor.company == own {
                hops.extend(self.departure(chat, row, &company, texts));
            }
            let statement = receipt
                .statement
                .map(|hash| say!(texts, "road-statement", statement = hash));
            hops.push(match receipt.stored_at {
                Some(at) => self.hop(HopStep::Delivered, Some(at), &company, statement),
                None => {
                    let since = receipt.not_delivered_since;
                    let link = self.link_detail(&company, texts);
                    self.hop(HopStep::NotDelivered, since, &company, link)
                }
            });
        }
        hops
    }

    fn hops_to_readers(&self, chat: &ChatId, row: &Row) -> Vec<Hop> {
        let people = self.cached_people(chat).cloned().unwrap_or_default();
        let hop = |reader: Actor| {
            let at = self
                .sound(self.store.read_at(chat, &reader, row.id))
                .map(time_text);
            let person = people
                .get(&reader)
                .map(|member| self.person_of_member(member));
            Hop {
                person,
                ..self.hop(HopStep::Read, at, &reader.company, None)
            }
        };
        self.readers(chat, row).into_iter().map(hop).collect()
    }

    fn departure(
        &self,
        chat: &ChatId,
        row: &Row,
        company: &CompanyId,
        texts: &Texts,
    ) -> Option<Hop> {
        let left = self
            .replicator
            .may_have_left(chat, row.clock)
            .contains(company);
        left.then(|| Hop {
            step: HopStep::Released,
            at: None,
            company: Some(self.badge(company)),
            person: None,
            detail: self.link_detail(company, texts),
        })
    }

    fn link_detail(&self, company: &CompanyId, texts: &Texts) -> Option<String> {
        Some(match self.links.get(company) {
            Some(link) => say!(
                texts,
                "road-linked",
                transport = link.transport.as_str(),
                address = Address::for_people(std::slice::from_ref(&link.address)).join("")
            ),
            None => say!(texts, "road-no-link"),
        })
    }
}
