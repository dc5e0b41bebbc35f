//! Partners: tickets, pairing from both ends, and the acts of an operator on a partnership.
//!
//! A ticket is this company's approval; whoever presents its token with a signed request becomes a partner. Both sides
//! pin the other's company id and node key. The network is told by the shell, which reads [`Core::network_wishes`].

use crossport_protocol::codec;
use crossport_protocol::fields::Fields;
use crossport_protocol::identity::IdentityLog;
use crossport_protocol::ids::{CompanyId, NodeKey};
use crossport_protocol::pairing::{self, PairReply, PairRequest, Ticket, TicketError, refusal};

use crate::api::facade::{Answer, Operator, Refused, Text};
use crate::api::types::{
    Code, Company, Invitation, Invite, Partner as ApiPartner, PartnerLine, PartnerState,
};
use crate::core::{Core, now, random_array, time_text};
use crate::directory::{IssuedTicket, Partner};
use crate::people::{operator, secret_hash};

const EXPIRES_S_MIN: u64 = 1;
const EXPIRES_S_MAX: u64 = 30 * 24 * 3600;
/// Tickets are forgotten this long after their expiry: until then a late use is told "expired", not "unknown".
const FORGET_TICKETS_MS: u64 = 30 * 24 * 3600 * 1000;
const ALIAS_CHARS_MAX: usize = 64;

/// What the network is to know of a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkWish {
    Connect {
        node: NodeKey,
        addresses: Vec<String>,
    },
    Pause {
        node: NodeKey,
    },
    Remove {
        node: NodeKey,
    },
    /// End the link and take it up again a little later.
    Bounce {
        node: NodeKey,
        addresses: Vec<String>,
    },
}

impl Core {
    pub fn own_addresses(&self) -> Vec<String> {
        if self.config.announce.is_empty() {
            self.listening.clone()
        } else {
            self.config.announce.clone()
        }
    }

    pub fn company(&self) -> Company {
        let id = self.replicator.company();
        let log = self.replicator.roster().log(&id);
        let created = log
            .and_then(|log| log.records().next()?.decode_header().ok())
            .map(|header| header.time);
        Company {
            id: id.to_string(),
            name: self.replicator.roster().name(&id),
            fingerprint_words: words(&id),
            node: self.replicator.node_key().to_string(),
            addresses: self.own_addresses(),
            created_at: time_text(created.unwrap_or_default()),
        }
    }

    pub fn invite_partner(&mut self, by: Operator, invite: &Invite) -> Answer<Invitation> {
        let expires_in = invite
            .expires_in_s
            .unwrap_or(self.config.invitation_expires_s);
        if !(EXPIRES_S_MIN..=EXPIRES_S_MAX).contains(&expires_in) {
            return Err(Refused::new(Code::ValueInvalid, "expires_in_s"));
        }
        check_alias(invite.alias.as_deref())?;
        let expires = now().plus_ms(expires_in.saturating_mul(1000));
        let token: [u8; 16] = random_array();
        let hash = secret_hash(&hex::encode(token));
        let before = crossport_protocol::clock::Time(now().0.saturating_sub(FORGET_TICKETS_MS));
        self.directory.forget_tickets(&mut self.store, before);
        let issued = IssuedTicket {
            expires,
            alias: invite.alias.clone(),
            used_by: None,
        };
        self.directory.put_ticket(&mut self.store, hash, issued);
        self.audit(&operator(by), "partner.invite", None);
        let company = self.replicator.company();
        let addresses = self.own_addresses();
        let ticket = Ticket {
            company,
            node: self.replicator.node_key(),
            token,
            expires,
            addresses: addresses.clone(),
        };
        Ok(Invitation {
            ticket: ticket.to_text(),
            expires_at: time_text(expires),
            fingerprint_words: words(&company),
            addresses,
        })
    }

    /// Checks a ticket and makes the request that the inviter's node is to be sent.
    pub fn pair_request(&self, text: &str) -> Answer<(Ticket, PairRequest)> {
        let ticket =
            Ticket::from_text(text).map_err(|error: TicketError| unreadable_ticket(&error))?;
        let company = self.replicator.company();
        if ticket.company == company {
            return Err(Code::TicketOwn.into());
        }
        if ticket.expires < now() {
            return Err(Refused::new(Code::TicketExpired, time_text(ticket.expires)));
        }
        let known = self.directory.partner(&ticket.company);
        if known.is_some_and(|partner| !partner.removed) {
            return Err(Refused::new(
                Code::PartnerExists,
                self.replicator.roster().name(&ticket.company),
            ));
        }
        let identity = self
            .replicator
            .roster()
            .log(&company)
            .map(|log| log.records().cloned().collect());
        let request = PairRequest::sign(
            self.replicator.suite(),
            &self.keystore.node,
            company,
            ticket.token,
            self.own_addresses(),
            identity.unwrap_or_default(),
        );
        Ok((ticket, request))
    }

    /// The inviter answered: from now on it is a partner, or the reason why not.
    pub fn finish_pairing(
        &mut self,
        by: Operator,
        ticket: &Ticket,
        alias: Option<&str>,
        reply: &[u8],
    ) -> Answer<ApiPartner> {
        check_alias(alias)?;
        let unreadable = || Refused::new(Code::PartnerRefused, ticket.company.short());
        let reply: PairReply = codec::decode(reply, pairing::PAIRING_BYTES)
            .map_err(|error| unreadable().detail(error))?;
        match reply.outcome {
            0 => {}
            refusal::EXPIRED => {
                return Err(Refused::new(Code::TicketExpired, time_text(ticket.expires)));
            }
            refusal::UNKNOWN_TOKEN => return Err(Code::TicketUsed.into()),
            other => return Err(unreadable().detail(format!("refusal {other}"))),
        }
        let log = IdentityLog::read(self.replicator.suite(), ticket.company, &reply.identity);
        let log = log.map_err(|error| unreadable().detail(error))?;
        if !log.lists(&ticket.node) {
            return Err(unreadable().cause(Text::key("reason-not-their-node")));
        }
        self.approve(
            ticket.company,
            ticket.node,
            alias.map(str::to_owned),
            ticket.addresses.clone(),
            &reply.identity,
        )?;
        self.audit(
            &operator(by),
            "partner.accept",
            Some(ticket.company.to_string()),
        );
        self.partner_view(&ticket.company)
    }

    /// A stranger presents a ticket's token.
    pub fn pair_requested(&mut self, node: NodeKey, bytes: &[u8]) -> Vec<u8> {
        let outcome = self.judge_request(node, bytes).err().unwrap_or(0);
        if outcome != 0 {
            tracing::warn!(node = %node.short(), outcome, "pairing refused");
            self.metrics
                .refused(crate::metrics::Side::Connection, "pairing_refused");
        }
        let own = self.replicator.company();
        let identity = match outcome {
            0 => self
                .replicator
                .roster()
                .log(&own)
                .map(|log| log.records().cloned().collect())
                .unwrap_or_default(),
            _ => Vec::new(),
        };
        codec::encode(&PairReply {
            outcome,
            identity,
            fields: Fields::none(),
        })
    }

    fn judge_request(&mut self, node: NodeKey, bytes: &[u8]) -> Result<(), u16> {
        let suite = self.replicator.suite();
        let request: PairRequest =
            codec::decode(bytes, pairing::PAIRING_BYTES).map_err(|_| refusal::BAD_REQUEST)?;
        if request.node != node
            || !request.verify(suite)
            || request.company == self.replicator.company()
        {
            return Err(refusal::BAD_REQUEST);
        }
        let log = IdentityLog::read(suite, request.company, &request.identity)
            .map_err(|_| refusal::BAD_REQUEST)?;
        if !log.lists(&node) {
            return Err(refusal::BAD_REQUEST);
        }
        let hash = secret_hash(&hex::encode(request.token));
        let ticket = self
            .directory
            .ticket(&hash)
            .cloned()
            .ok_or(refusal::UNKNOWN_TOKEN)?;
        match ticket.used_by {
            // The answer may have been lost on its way: the same company may ask again.
            Some(company) if company == request.company => return Ok(()),
            Some(_) => return Err(refusal::UNKNOWN_TOKEN),
            None if ticket.expires < now() => return Err(refusal::EXPIRED),
            None => {}
        }
        let approved = self.approve(
            request.company,
            node,
            ticket.alias.clone(),
            request.addresses,
            &request.identity,
        );
        approved.map_err(|_| refusal::BAD_REQUEST)?;
        let used = IssuedTicket {
            used_by: Some(request.company),
            ..ticket
        };
        self.directory.put_ticket(&mut self.store, hash, used);
        self.audit(
            "ticket",
            "partner.paired",
            Some(request.company.to_string()),
        );
        Ok(())
    }

    fn approve(
        &mut self,
        company: CompanyId,
        node: NodeKey,
        alias: Option<String>,
        addresses: Vec<String>,
        identity: &[crossport_protocol::identity::SignedIdentity],
    ) -> Answer<()> {
        let learned =
            self.replicate(|replicator, cx| replicator.learn_identity(cx, company, identity));
        learned
            .map_err(|error| Refused::new(Code::PartnerRefused, company.short()).detail(error))?;
        let since = self
            .directory
            .partner(&company)
            .map_or_else(now, |held| held.since);
        let partner = Partner {
            company,
            node,
            alias,
            addresses: addresses.clone(),
            since,
            verified: None,
            paused: false,
            removed: false,
            last_seen: None,
        };
        self.directory.put_partner(&mut self.store, partner);
        self.replicator.set_partner(company);
        self.network_wishes
            .push(NetworkWish::Connect { node, addresses });
        Ok(())
    }

    pub fn find_partner(&self, text: &str) -> Answer<Partner> {
        let lower = text.to_lowercase();
        let named = |partner: &&Partner| {
            let id = partner.company.to_string();
            let alias = partner
                .alias
                .as_ref()
                .is_some_and(|alias| alias.to_lowercase() == lower);
            let name = self
                .replicator
                .roster()
                .name(&partner.company)
                .to_lowercase()
                == lower;
            let prefix =
                lower.len() >= crate::api::types::ID_PREFIX_CHARS_MIN && id.starts_with(&lower);
            alias || name || prefix
        };
        let mut matches: Vec<&Partner> = self.directory.partners().filter(named).collect();
        // One that ended does not stand in the way of the one that is meant.
        if matches.len() > 1 && matches.iter().any(|partner| !partner.removed) {
            matches.retain(|partner| !partner.removed);
        }
        match matches.as_slice() {
            [partner] => Ok((*partner).clone()),
            [] => Err(Refused::new(Code::PartnerNotFound, text)),
            _ => Err(Refused::new(Code::PartnerAmbiguous, text)),
        }
    }

    pub fn partner_view(&self, company: &CompanyId) -> Answer<ApiPartner> {
        let partner = self
            .directory
            .partner(company)
            .ok_or_else(|| Refused::new(Code::PartnerNotFound, company.short()))?;
        let link = self.links.get(company);
        Ok(ApiPartner {
            id: company.to_string(),
            name: self.replicator.roster().name(company),
            alias: partner.alias.clone(),
            state: state_of(partner),
            fingerprint_words: words(company),
            verified_at: partner.verified.map(time_text),
            addresses: partner.addresses.clone(),
            connected: link.is_some(),
            transport: link.map(|link| link.transport.clone()),
            last_seen_at: link
                .map_or(partner.last_seen, |_| Some(now()))
                .map(time_text),
            chats: self.shared_chats(company).len() as u32,
            not_delivered_since: self.partner_behind_since(company).map(time_text),
            refusals: self
                .refusals
                .get(company)
                .map(|reasons| {
                    reasons
                        .iter()
                        .map(|(name, count)| ((*name).to_owned(), *count))
                        .collect()
                })
                .unwrap_or_default(),
            since: time_text(partner.since),
        })
    }

    fn shared_chats(&self, company: &CompanyId) -> Vec<crossport_protocol::ids::ChatId> {
        self.replicator
            .chats()
            .filter(|(_, chat)| chat.owner().is_member(company))
            .map(|(id, _)| *id)
            .collect()
    }

    /// The age of the oldest thing that a partner lacks.
    pub fn partner_behind_since(
        &self,
        company: &CompanyId,
    ) -> Option<crossport_protocol::clock::Time> {
        self.shared_chats(company)
            .iter()
            .filter_map(|chat| self.not_delivered_since(chat, company))
            .min()
    }

    pub fn partner_lines(&self) -> Vec<PartnerLine> {
        let line = |partner: &Partner| PartnerLine {
            id: partner.company.to_string(),
            name: self.badge(&partner.company).name,
            state: state_of(partner),
            connected: self.links.contains_key(&partner.company),
            not_delivered_since: self.partner_behind_since(&partner.company).map(time_text),
        };
        self.directory
            .partners()
            .filter(|partner| !partner.removed)
            .map(line)
            .collect()
    }

    pub fn verify_partner(
        &mut self,
        by: Operator,
        text: &str,
        said: &[String],
    ) -> Answer<ApiPartner> {
        let partner = self.find_partner(text)?;
        let said: String = said.join("-").to_lowercase().replace(' ', "-");
        if said != pairing::fingerprint(&partner.company) {
            return Err(Refused::new(
                Code::WordsDiffer,
                self.badge(&partner.company).name,
            ));
        }
        let company = partner.company;
        self.audit(&operator(by), "partner.verify", Some(company.to_string()));
        self.directory.put_partner(
            &mut self.store,
            Partner {
                verified: Some(now()),
                ..partner
            },
        );
        self.partner_view(&company)
    }

    pub fn pause_partner(&mut self, by: Operator, text: &str, paused: bool) -> Answer<ApiPartner> {
        let partner = self.find_partner(text)?;
        if partner.removed {
            return Err(Refused::new(Code::PartnerNotActive, text));
        }
        let (company, node) = (partner.company, partner.node);
        self.audit(
            &operator(by),
            if paused {
                "partner.pause"
            } else {
                "partner.resume"
            },
            Some(company.to_string()),
        );
        self.network_wishes.push(if paused {
            NetworkWish::Pause { node }
        } else {
            NetworkWish::Connect {
                node,
                addresses: partner.addresses.clone(),
            }
        });
        self.directory
            .put_partner(&mut self.store, Partner { paused, ..partner });
        self.partner_view(&company)
    }

    pub fn remove_partner(&mut self, by: Operator, text: &str) -> Answer<ApiPartner> {
        let partner = self.find_partner(text)?;
        let (company, node) = (partner.company, partner.node);
        self.audit(&operator(by), "partner.remove", Some(company.to_string()));
        self.network_wishes.push(NetworkWish::Remove { node });
        self.links.remove(&company);
        self.replicate(|replicator, cx| replicator.remove_partner(cx, company));
        self.directory.put_partner(
            &mut self.store,
            Partner {
                removed: true,
                ..partner
            },
        );
        self.partner_view(&company)
    }

    /// What the network must be told of every partner at a start.
    pub fn all_network_wishes(&self) -> Vec<NetworkWish> {
        let wish = |partner: &Partner| match (partner.removed, partner.paused) {
            (true, _) => NetworkWish::Remove { node: partner.node },
            (false, true) => NetworkWish::Pause { node: partner.node },
            (false, false) => NetworkWish::Connect {
                node: partner.node,
                addresses: partner.addresses.clone(),
            },
        };
        self.directory.partners().map(wish).collect()
    }
}

fn state_of(partner: &Partner) -> PartnerState {
    match (partner.removed, partner.paused) {
        (true, _) => PartnerState::Removed,
        (false, true) => PartnerState::Paused,
        (false, false) => PartnerState::Active,
    }
}

pub(crate) fn words(company: &CompanyId) -> Vec<String> {
    pairing::fingerprint(company)
        .split('-')
        .map(str::to_owned)
        .collect()
}

fn unreadable_ticket(error: &TicketError) -> Refused {
    let refused = Refused::new(Code::TicketUnreadable, "");
    match crate::reasons::ticket(error) {
        Some(cause) => refused.cause(cause),
        // The usual cause says it.
        None => refused,
    }
}

fn check_alias(alias: Option<&str>) -> Answer<()> {
    let sound = |alias: &str| {
        (1..=ALIAS_CHARS_MAX).contains(&alias.chars().count())
            && !alias.chars().any(char::is_control)
    };
    if alias.is_none_or(sound) {
        Ok(())
    } else {
        Err(Refused::new(Code::ValueInvalid, "alias"))
    }
}
