//! Every output of every call, looked at once.

use std::rc::Rc;

use super::{Cause, Checked, Watch, known_of};
use crate::envelope::VerifiedEnvelope;
use crate::frame::EnvelopeItem;
use crate::ids::{ChatId, EventId, Hash, Head, NodeKey, StreamId};
use crate::owner_log::{Body, Standing, StreamCut};
use crate::read::ReadRegister;
use crate::replicator::{Alarm, Output, Record, Register};
use crate::seal::{EpochKey, NONCE_BYTES};
use crate::sim::counts::{Fault, Invariant, Violation};
use crate::sim::log::header_of;
use crate::sim::shell::Shell;
use crate::statement::Statement;

impl Watch {
    /// Looks at what one call left. `shell` has taken the outputs already.
    pub fn observe(
        &mut self,
        index: usize,
        shell: &Shell,
        cause: Cause,
        outputs: &[Output],
    ) -> Checked {
        for output in outputs {
            match output {
                Output::Store(Record::Envelope { chat, item }) => {
                    self.sees_stored(index, shell, cause, *chat, item)?
                }
                Output::Store(Record::Owner { chat, record }) => {
                    let body = record.verify(shell.replicator.suite());
                    if let Ok((_, Body::Remove(remove))) = body {
                        self.sees_removal(index, shell, *chat, remove.company)?;
                    }
                }
                Output::StoreKey { chat, epoch, key } => {
                    self.sees_key(index, shell, *chat, *epoch, key)?
                }
                Output::StoreRegister(Register::Read(register)) => {
                    self.sees_nonce(&register.content.sealed.0)?
                }
                Output::Delivered { chat, envelope, .. } => {
                    self.sees_delivered(index, shell, *chat, envelope)?
                }
                Output::Voided { chat, envelopes } => self.sees_voided(index, *chat, envelopes),
                Output::Erase { chat, target, .. } => {
                    self.node_mut(index)
                        .erased_uncommitted
                        .push((*chat, *target));
                }
                Output::Alarm(alarm) => self.sees_alarm(index, alarm)?,
                Output::StatementArrived { chat, statement } => {
                    self.sees_statement(index, shell, *chat, statement)?
                }
                Output::ReadsArrived { chat, register } => {
                    self.sees_reads(index, shell, *chat, register)?
                }
                Output::Refused { refusal, .. } => {
                    *self.counts.refusals.entry(refusal.name()).or_default() += 1;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn sees_stored(
        &mut self,
        index: usize,
        shell: &Shell,
        cause: Cause,
        chat: ChatId,
        item: &EnvelopeItem,
    ) -> Checked {
        let hash = item.envelope.hash();
        if cause == Cause::Local {
            self.sees_written(index, hash, item)?;
        } else {
            self.sees_received(index, hash, item)?;
        }
        if let Cause::From(from) = cause {
            let partner = self.company(from);
            let owner = shell.replicator.chat(&chat).map(|chat| chat.owner());
            let member = owner.is_some_and(|owner| owner.is_member(&partner));
            self.counts.check(Invariant::FromMembersOnly, member, || {
                format!("node {index} took {hash:?} from node {from}, who takes no part")
            })?;
            let author = header_of(&item.envelope).stream.company;
            if author != partner {
                self.counts.fault(Fault::Relay);
            }
        }
        for (place, payload) in item.envelope.payloads.iter().enumerate() {
            let event = EventId {
                envelope: hash,
                place: place as u16,
            };
            let erased = self.node(index).erased.contains(&(chat, event));
            let gone = erased || self.recalled.contains_key(&event);
            if gone {
                self.counts
                    .check(Invariant::ErasedStaysErased, payload.0.is_empty(), || {
                        format!("node {index} took the text of {event} again")
                    })?;
            }
        }
        self.node_mut(index).uncommitted.push((chat, hash));
        Ok(())
    }

    /// The node wrote it itself.
    fn sees_written(&mut self, index: usize, hash: Hash, item: &EnvelopeItem) -> Checked {
        let header = header_of(&item.envelope);
        for payload in &item.envelope.payloads {
            self.sees_nonce(&payload.0)?;
        }
        let rolled_back = self.node(index).rolled_back;
        let node = self.node_mut(index);
        let held = node.clocks.iter().map(|(stream, clock)| (*stream, *clock));
        let waiting = node.clocks_uncommitted.iter().copied();
        let mut earlier = held
            .chain(waiting)
            .filter(|(stream, _)| *stream == header.stream);
        let later = rolled_back || earlier.all(|(_, last)| last < header.first_clock());
        node.clocks_uncommitted
            .push((header.stream, header.last_clock()));
        self.counts.check(Invariant::ClocksNeverBack, later, || {
            format!("node {index} wrote {hash:?} with an earlier clock than before")
        })?;
        self.counts.events += header.events.len() as u64;
        Rc::make_mut(&mut self.known).insert(hash, known_of(item));
        Ok(())
    }

    fn sees_received(&mut self, index: usize, hash: Hash, item: &EnvelopeItem) -> Checked {
        let Some(known) = self.known.get(&hash) else {
            return Err(Violation {
                invariant: Invariant::NothingForged,
                detail: format!("node {index} took {hash:?}, which nobody wrote"),
            });
        };
        self.taken_bytes += item.wire_bytes() as u64;
        let payloads = item.envelope.payloads.iter().zip(&known.payloads);
        let genuine = item.envelope.signature == known.signature
            && payloads
                .clone()
                .all(|(payload, hash)| payload.0.is_empty() || Hash::of(&[&payload.0]) == *hash);
        let committed = known.committed;
        self.counts.check(Invariant::NothingForged, genuine, || {
            format!("node {index} took an altered copy of {hash:?}")
        })?;
        self.counts
            .check(Invariant::SentAfterCommit, committed, || {
                format!("node {index} has {hash:?}, which its author has not made durable")
            })
    }

    pub(super) fn sees_nonce(&mut self, sealed: &[u8]) -> Checked {
        let Some((nonce, _)) = sealed.split_first_chunk::<NONCE_BYTES>() else {
            return Ok(());
        };
        let hash = Hash::of(&[sealed]);
        let nonces = Rc::make_mut(&mut self.nonces);
        let held = *nonces.entry(*nonce).or_insert(hash);
        self.counts.check(Invariant::NonceOnce, held == hash, || {
            format!("the nonce {nonce:02x?} sealed two different things")
        })
    }

    fn sees_key(
        &mut self,
        index: usize,
        shell: &Shell,
        chat: ChatId,
        epoch: u32,
        key: &EpochKey,
    ) -> Checked {
        let held = *self.keys.entry(*key.expose()).or_insert((chat, epoch));
        self.counts
            .check(Invariant::KeysOnlyToEntitled, held == (chat, epoch), || {
                format!(
                    "epoch {epoch} has the key of epoch {}: whoever was removed reads on",
                    held.1
                )
            })?;
        // A key that is made comes before the record that introduces it.
        let owner = shell.replicator.chat(&chat).map(|chat| chat.owner());
        let company = shell.id();
        let entitled = owner.is_none_or(|owner| {
            owner.owner() == company || owner.entitled(&company).contains(&epoch)
        });
        self.counts
            .check(Invariant::KeysOnlyToEntitled, entitled, || {
                format!("node {index} took the key of epoch {epoch}")
            })
    }

    fn sees_delivered(
        &mut self,
        index: usize,
        shell: &Shell,
        chat: ChatId,
        envelope: &VerifiedEnvelope,
    ) -> Checked {
        for place in 0..envelope.header.events.len() {
            let event = envelope.event_id(place);
            let node = self.node(index);
            let again = node.shown.contains(&(chat, event))
                || node.shown_uncommitted.contains(&(chat, event))
                || node.voided.contains(&envelope.hash);
            self.counts.check(Invariant::ShownOnce, !again, || {
                format!("node {index} showed {event} twice, or after it was void")
            })?;
            self.node_mut(index).shown_uncommitted.push((chat, event));
        }
        let counts = self.counts_for(shell, chat, envelope.head());
        self.counts.check(Invariant::NothingBeyondCut, counts, || {
            format!(
                "node {index} showed {:?}, which a cut excludes",
                envelope.hash
            )
        })
    }

    /// Whether an envelope counts, as far as the owner log of a node says: worked out from all that was ever written.
    pub(in crate::sim) fn counts_for(&self, shell: &Shell, chat: ChatId, head: Head) -> bool {
        let Some(chat) = shell.replicator.chat(&chat) else {
            return true;
        };
        let Some(known) = self.known.get(&head.hash) else {
            return true;
        };
        let owner = chat.owner();
        let Some(cited) = owner.position(known.cited) else {
            return true;
        };
        match owner.standing(&known.stream.company, &cited) {
            Standing::Member(span) => span.until.as_ref().is_none_or(|(_, cuts)| {
                let cut = cuts.iter().find(|cut| cut.stream == known.stream);
                cut.is_some_and(|cut| {
                    // While what leads to an accepted head is not here, what may lead to it is shown.
                    let lacks = |end: &Head| {
                        let mut at = *end;
                        while at.seq > head.seq {
                            match shell.log.stored(&chat.id(), &at.hash) {
                                Some(stored) => at = stored.link.parent,
                                None => return true,
                            }
                        }
                        false
                    };
                    self.is_inside(head, &cut.heads) || cut.heads.iter().any(lacks)
                })
            }),
            _ => false,
        }
    }

    fn sees_removal(
        &mut self,
        index: usize,
        shell: &Shell,
        chat: ChatId,
        company: crate::ids::CompanyId,
    ) -> Checked {
        self.counts.fault(Fault::Removal);
        let facts = shell.facts.get(&chat).into_iter().flatten();
        let envelopes: std::collections::BTreeSet<Hash> = facts
            .filter(|(_, seen)| seen.actor.company == company)
            .map(|(event, _)| event.envelope)
            .collect();
        for hash in envelopes {
            let Some(stored) = shell.log.stored(&chat, &hash) else {
                continue;
            };
            let counts = self.counts_for(shell, chat, stored.link.tip.head);
            self.counts.check(Invariant::NothingBeyondCut, counts, || {
                format!("node {index} still shows {hash:?} after the removal of {company:?}")
            })?;
        }
        Ok(())
    }

    fn sees_voided(&mut self, index: usize, chat: ChatId, envelopes: &[Hash]) {
        let bytes = envelopes.iter().filter_map(|hash| self.known.get(hash));
        self.voided_bytes += bytes.map(|known| known.bytes).sum::<u64>();
        let node = self.node_mut(index);
        node.voided.extend(envelopes);
        let is_void = |hash: &Hash| envelopes.contains(hash);
        node.committed.retain(|(_, hash)| !is_void(hash));
        node.uncommitted.retain(|(_, hash)| !is_void(hash));
        node.shown
            .retain(|(at, event)| *at != chat || !is_void(&event.envelope));
        node.shown_uncommitted
            .retain(|(_, event)| !is_void(&event.envelope));
    }

    fn sees_alarm(&mut self, index: usize, alarm: &Alarm) -> Checked {
        if let Alarm::Fork { chat, stream, .. } = alarm {
            self.node_mut(index).told_forks.insert((*chat, *stream));
        }
        let (fault, suspect) = match alarm {
            Alarm::Fork { stream, .. } => (Some(Fault::StreamFork), self.index_of(&stream.company)),
            Alarm::OwnerFork { .. } => (Some(Fault::OwnerFork), None),
            Alarm::Rollback { .. } => (None, Some(index)),
            Alarm::IdentityFork { .. } => (None, None),
        };
        if let Some(fault) = fault {
            self.counts.fault(fault);
        }
        let Some(suspect) = suspect else {
            return Ok(());
        };
        let node = self.node(suspect);
        let excused = match alarm {
            Alarm::Fork { .. } => node.rolled_back,
            _ => node.rolled_back || node.restored,
        };
        self.counts
            .check(Invariant::NoForkWithoutRollback, excused, || {
                format!("node {index} raised {alarm:?} against node {suspect}, which lost nothing")
            })
    }

    fn sees_statement(
        &mut self,
        index: usize,
        shell: &Shell,
        chat: ChatId,
        statement: &Statement,
    ) -> Checked {
        let content = &statement.content;
        let Some(author) = self.index_of(&content.company) else {
            return Ok(());
        };
        let owner = shell.replicator.chat(&chat).map(|chat| chat.owner());
        let spans = owner.into_iter().flat_map(|owner| owner.spans());
        let base: Vec<(StreamId, Head)> = spans
            .filter(|(company, _)| **company == content.company)
            .flat_map(|(_, spans)| spans.iter().flat_map(|span| &span.base))
            .map(|(stream, tip)| (*stream, tip.head))
            .collect();
        let begins = |head: &Head| base.iter().any(|(_, begin)| begin == head);
        let ever = &self.node(author).ever_committed;
        let heads = content.heads.iter().flat_map(|cut| &cut.heads);
        // An observer that is behind does not know where the author's history begins.
        let behind = !owner.is_some_and(|owner| owner.holds(&content.owner_at));
        let durable = heads
            .clone()
            .all(|head| ever.contains(&head.hash) || behind || begins(head));
        self.counts
            .check(Invariant::StatedAfterCommit, durable, || {
                format!("node {author} stated what it had not made durable: {statement:?}")
            })?;
        let key = (chat, content.node);
        let before = self
            .node_mut(index)
            .stated
            .insert(key, content.heads.clone());
        let lost = self.node(author).restored || self.node(author).rolled_back;
        let excused = lost || behind || owner.is_some_and(|owner| owner.members().count() < 2);
        // A history that began anew holds nothing of what lies before.
        let mut before = before.unwrap_or_default();
        for cut in &mut before {
            let begun = |head: &Head| {
                let mut begins = base.iter().filter(|(stream, _)| *stream == cut.stream);
                begins.any(|(_, begin)| head.seq <= begin.seq)
            };
            cut.heads.retain(|head| !begun(head));
        }
        let kept = self.covers(shell, chat, &content.heads, &before);
        self.counts
            .check(Invariant::DeliveredNeverBack, excused || kept, || {
                format!(
                    "node {author} states less than before to node {index}: {before:?} {content:?}"
                )
            })
    }

    /// `new` goes at least as far as `old`, apart from what a cut has voided since.
    fn covers(&self, shell: &Shell, chat: ChatId, new: &[StreamCut], old: &[StreamCut]) -> bool {
        old.iter().all(|cut| {
            let now = new.iter().find(|now| now.stream == cut.stream);
            let now = now.map_or(&[][..], |now| &now.heads);
            let kept = |head: &Head| {
                now.contains(head)
                    || self.is_inside(*head, now)
                    || !self.counts_for(shell, chat, *head)
                    || !self.is_reachable(now, head)
            };
            cut.heads.iter().all(kept)
        })
    }

    /// Heads beyond which nothing was ever written here can still be compared; a base that skips history cannot.
    fn is_reachable(&self, now: &[Head], head: &Head) -> bool {
        self.known.contains_key(&head.hash)
            && now.iter().all(|end| self.known.contains_key(&end.hash))
    }

    fn sees_reads(
        &mut self,
        index: usize,
        shell: &Shell,
        chat: ChatId,
        register: &ReadRegister,
    ) -> Checked {
        let content = &register.content;
        let node: NodeKey = content.node;
        let (Some(author), Some(entries)) = (
            self.index_of(&content.company),
            shell.replicator.open_reads(register),
        ) else {
            return Ok(());
        };
        let excused = self.node(author).restored || self.node(author).rolled_back;
        for entry in entries {
            let key = (chat, node, entry.handle);
            let before = self.node_mut(index).read.insert(key, entry.heads.clone());
            let before = before.unwrap_or_default();
            let kept = excused || self.covers(shell, chat, &entry.heads, &before);
            self.counts.check(Invariant::ReadsNeverBack, kept, || {
                format!(
                    "node {author} took back what was read, says node {index}: {before:?} {entry:?}"
                )
            })?;
        }
        Ok(())
    }
}
