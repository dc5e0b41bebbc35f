//! Partners, and the dials that keep them connected.

use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol as AddressPart;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::mpsc;
use tokio::task::{self, JoinError};

use super::super::address::{self, Address};
use super::super::dial::Redial;
use super::super::event::{DialFailure, DownReason, NetworkEvent, RefusedReason};
use super::super::handle::{CommandError, PairOrder};
use super::super::key::NodeKey;
use super::super::pairing::PairError;
use super::super::partner::{Candidate, Notice, Partner, Stops};
use super::super::streams::{NotAdmitted, Standing};
use super::{Deadline, Service};

#[derive(Debug)]
pub(super) struct PartnerEntry {
    pub peer: PeerId,
    pub addresses: Vec<Address>,
    pub redial: Redial,
    /// The connection that carries the session.
    pub session: Option<ConnectionId>,
    pub candidates: mpsc::Sender<Candidate>,
    pub stops: Stops,
    task: task::Id,
}

/// What a connection is dialled for.
#[derive(Debug)]
pub(super) enum Dial {
    Partner(NodeKey),
    Pair(PairOrder),
}

#[derive(Debug)]
pub(super) struct Resolved {
    dial: Dial,
    addresses: Vec<Multiaddr>,
}

/// Streams waiting for a partner's task. It takes them at once unless the node above is slow.
const CANDIDATES: usize = 4;

/// A dial that has not ended by now was lost somewhere; it counts as failed. Longer than resolving, dialling and agreeing.
const LOST_DIAL: Duration = Duration::from_secs(60);

/// Before a dial is tried again that had to wait for others.
const CROWDED: Duration = Duration::from_millis(250);

impl Service {
    pub(super) fn set_partner(
        &mut self,
        key: NodeKey,
        peer: PeerId,
        addresses: Vec<Address>,
    ) -> Result<(), CommandError> {
        let now = Instant::now();
        let known = self.partners.contains_key(&key);
        if !known && self.partners.len() >= self.context.shared.limits.partners {
            return Err(CommandError::TooManyPartners(
                self.context.shared.limits.partners,
            ));
        }
        self.context.partners.set(peer, Some(Standing::Active));
        self.swarm.behaviour_mut().limits.bypass_peer_id(&peer);
        match self.partners.get_mut(&key) {
            Some(partner) => {
                if partner.addresses != addresses {
                    partner.addresses = addresses;
                    if partner.session.is_none() {
                        partner.redial.reset(now);
                    }
                }
            }
            None => {
                let entry = self.spawn_partner(key, peer, addresses, now);
                self.partners.insert(key, entry);
            }
        }
        self.at(now, Deadline::Redial(key));
        Ok(())
    }

    fn spawn_partner(
        &mut self,
        key: NodeKey,
        peer: PeerId,
        addresses: Vec<Address>,
        now: Instant,
    ) -> PartnerEntry {
        let (candidates, receiver) = mpsc::channel(CANDIDATES);
        let stops = Stops::default();
        let partner = Partner::new(key, self.context.clone(), receiver, stops.clone());
        let older = self.ending.remove(&key);
        let task = self.partner_tasks.spawn(partner.run(older)).id();
        let redial = Redial::new(&self.context.shared.limits, now);
        PartnerEntry {
            peer,
            addresses,
            redial,
            session: None,
            candidates,
            stops,
            task,
        }
    }

    pub(super) fn remove_partner(&mut self, key: NodeKey, peer: PeerId) {
        self.context.partners.set(peer, None);
        self.disconnect(key, peer);
    }

    pub(super) fn pause_partner(&mut self, key: NodeKey, peer: PeerId) {
        // A node that is no partner cannot be paused; that would promise it more than it has.
        if self.partners.contains_key(&key) {
            self.context.partners.set(peer, Some(Standing::Paused));
            self.disconnect(key, peer);
        }
    }

    fn disconnect(&mut self, key: NodeKey, peer: PeerId) {
        self.swarm.behaviour_mut().limits.remove_peer_id(&peer);
        // First the reason, or the session might see its connection close and call it broken.
        if let Some(link) = self.context.shared.links.find(&key) {
            link.end(DownReason::Removed);
        }
        if let Some(partner) = self.partners.remove(&key) {
            partner.stops.removed.cancel();
            self.ending.insert(key, partner.stops.ended);
        }
        self.close_all_of(peer);
    }

    pub(super) fn dial_now(&mut self, key: NodeKey) {
        let now = Instant::now();
        if let Some(partner) = self
            .partners
            .get_mut(&key)
            .filter(|partner| partner.session.is_none())
        {
            partner.redial.reset(now);
            self.at(now, Deadline::Redial(key));
        }
    }

    pub(super) fn redial_due(&mut self, key: NodeKey, now: Instant) {
        let crowded = self.dials.len() + self.resolving.len()
            >= self.context.shared.limits.pending_outbound as usize;
        let Some(partner) = self.partners.get_mut(&key) else {
            return;
        };
        if partner.redial.is_lost(now, LOST_DIAL) {
            self.partner_dial_failed(key, Some(DialFailure::Unreachable("no result".to_owned())));
            return;
        }
        match partner.redial.due() {
            Some(due) if due <= now && !partner.addresses.is_empty() => {}
            _ => return,
        }
        if crowded {
            self.at(now + CROWDED, Deadline::Redial(key));
            return;
        }
        partner.redial.started(now);
        let addresses = partner.addresses.clone();
        self.at(now + LOST_DIAL, Deadline::Redial(key));
        self.resolving.spawn(async move {
            Resolved {
                dial: Dial::Partner(key),
                addresses: address::resolve(&addresses).await,
            }
        });
        self.context.shared.counters.dials.add(1);
    }

    pub(super) fn pair(&mut self, addresses: Vec<Address>, order: PairOrder) {
        if self.dials.len() + self.resolving.len()
            >= self.context.shared.limits.pending_outbound as usize
        {
            let _gone = order.reply.send(Err(PairError::Busy));
            return;
        }
        self.resolving.spawn(async move {
            Resolved {
                dial: Dial::Pair(order),
                addresses: address::resolve(&addresses).await,
            }
        });
    }

    pub(super) fn resolved(&mut self, resolved: Resolved) {
        let Resolved { dial, addresses } = resolved;
        let peer = match &dial {
            Dial::Pair(order) => order.peer,
            Dial::Partner(key) => match self.partners.get(key) {
                Some(partner) if partner.session.is_none() => partner.peer,
                Some(_) | None => return,
            },
        };
        if addresses.is_empty() {
            self.dial_failed(dial, DialFailure::NoAddress);
            return;
        }
        let options = DialOpts::peer_id(peer)
            .addresses(addresses)
            .condition(PeerCondition::Always)
            // Dialling from the listening port makes two nodes that dial each other fight for one pair of ports.
            .allocate_new_port()
            .build();
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dials.insert(connection, dial);
            }
            Err(error) => self.dial_failed(dial, dial_failure(error)),
        }
    }

    pub(super) fn dial_error(&mut self, connection: ConnectionId, error: DialError) {
        if let Some(dial) = self.dials.remove(&connection) {
            self.dial_failed(dial, dial_failure(error));
        }
    }

    fn dial_failed(&mut self, dial: Dial, failure: DialFailure) {
        match dial {
            Dial::Pair(order) => {
                let _gone = order.reply.send(Err(PairError::Dial(failure)));
            }
            Dial::Partner(key) => self.partner_dial_failed(key, Some(failure)),
        }
    }

    /// `None` if the dial came to nothing only because the partner's own was first.
    pub(super) fn partner_dial_failed(&mut self, key: NodeKey, failure: Option<DialFailure>) {
        let now = Instant::now();
        let Some(partner) = self.partners.get_mut(&key) else {
            return;
        };
        if partner.session.is_some() {
            partner.redial.connected();
            return;
        }
        if !partner.redial.is_dialing() {
            // The same failure is seen twice when a connection ends together with its stream.
            return;
        }
        let retry_in = partner.redial.failed(now, random());
        self.at(now + retry_in, Deadline::Redial(key));
        if let Some(reason) = failure {
            self.context.shared.counters.dials_failed.add(1);
            tracing::debug!(?key, %reason, ?retry_in, "dial failed");
            self.report(NetworkEvent::DialFailed {
                key,
                reason,
                retry_in,
            });
        }
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::SessionUp { key, connection } => {
                if let Some(partner) = self.partners.get_mut(&key) {
                    partner.session = Some(connection);
                    partner.redial.connected();
                }
            }
            Notice::SessionDown {
                key,
                connection,
                lasted,
                refused,
            } => {
                if let Some(reason) = refused {
                    self.refuse(reason, Some(key));
                }
                self.session_down(key, connection, lasted);
                self.close(connection);
            }
            Notice::NotAgreed {
                key,
                connection,
                dialed,
                failure,
                refused,
            } => {
                if let Some(reason) = refused {
                    self.refuse(reason, Some(key));
                }
                // The lesser half of a simultaneous dial is closed by the side that decided.
                if failure.is_some() {
                    self.close(connection);
                }
                if dialed {
                    self.partner_dial_failed(key, failure);
                }
            }
            Notice::Close { connection } => self.close(connection),
        }
    }

    fn session_down(&mut self, key: NodeKey, connection: ConnectionId, lasted: Duration) {
        let now = Instant::now();
        let Some(partner) = self
            .partners
            .get_mut(&key)
            .filter(|partner| partner.session == Some(connection))
        else {
            return;
        };
        partner.session = None;
        let retry_in = partner.redial.ended(now, lasted, random());
        self.at(now + retry_in, Deadline::Redial(key));
    }

    pub(super) fn partner_task_ended(&mut self, ended: Result<(task::Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.unless_failed(ended);
        self.ending.retain(|_, ended| !ended.is_cancelled());
        // A task that was told to stop belongs to no entry any more. One that failed is started anew.
        let found = self
            .partners
            .iter()
            .find(|(_, partner)| partner.task == id)
            .map(|(key, _)| *key);
        let Some((key, partner)) = found.and_then(|key| self.partners.remove_entry(&key)) else {
            return;
        };
        let now = Instant::now();
        let mut entry = self.spawn_partner(key, partner.peer, partner.addresses, now);
        let retry_in = entry.redial.failed(now, random());
        self.partners.insert(key, entry);
        self.at(now + retry_in, Deadline::Redial(key));
    }
}

fn dial_failure(error: DialError) -> DialFailure {
    match error {
        DialError::LocalPeerId { .. } => DialFailure::ThisNode,
        DialError::NoAddresses => DialFailure::NoAddress,
        DialError::WrongPeerId { obtained, .. } => {
            let found = NodeKey::of_peer(&obtained)
                .map_or_else(|| obtained.to_string(), |key| key.to_string());
            DialFailure::WrongNode { found }
        }
        DialError::Denied { cause } => match cause.downcast_ref::<NotAdmitted>() {
            Some(NotAdmitted(RefusedReason::TooManyConnections)) => DialFailure::TooManyConnections,
            _ => DialFailure::Unreachable(cause.to_string()),
        },
        DialError::Transport(errors) => {
            let texts = errors.into_iter().map(|(address, error)| {
                // The peer id at the end says nothing that the partner's name does not.
                let shown: Multiaddr = address
                    .iter()
                    .filter(|part| !matches!(part, AddressPart::P2p(_)))
                    .collect();
                format!("{shown}: {}", root_cause(&error))
            });
            DialFailure::Unreachable(texts.collect::<Vec<_>>().join("; "))
        }
        DialError::DialPeerConditionFalse(_) | DialError::Aborted => {
            DialFailure::Unreachable("aborted".to_owned())
        }
    }
}

/// The innermost error is the one that a person can act on ("connection refused").
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn random() -> f64 {
    // Chance only spreads dials over time; without it they are merely less spread.
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}
