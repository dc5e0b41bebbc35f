//! What the records of an owner log add up to: who takes part at which position, cuts, epochs, bars.
//!
//! The state knows its own history, because events are judged at the position they cite, which is rarely the newest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Acceptance, Add, Body, ChatKind, History, IGNORABLE_KINDS, NewEpoch, RecordError, RecordHeader,
    Remove, SignedRecord, StreamCut,
};
use crate::clock::Time;
use crate::ids::{ChatId, CompanyId, Handle, Hash, Position, StreamId};
use crate::limits;
use crate::stream::Tip;
use crate::suite::Suite;

/// One uninterrupted membership of a company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub from: u64,
    /// The removal that ended it, with the heads that count.
    pub until: Option<(u64, Vec<StreamCut>)>,
    /// Where the company's history begins.
    pub base: Vec<(StreamId, Tip)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenInvitation {
    pub at: Position,
    pub expires: Time,
}

/// A person who may not write, since when and up to which heads their earlier events count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barred {
    pub company: CompanyId,
    pub handle: Handle,
    pub from: u64,
    pub until: Option<u64>,
    pub cut: Vec<StreamCut>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EpochFact {
    from: u64,
    epoch: u32,
    commitment: Hash,
}

/// What a company may do at a cited position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It took part; the span says until which heads its events count.
    Member(&'a Span),
    NotMember,
    /// The position is not held yet.
    Unknown,
    /// The position contradicts the log that is held.
    Contradicts,
}

/// A verified owner log, folded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerLog {
    chat: ChatId,
    owner: CompanyId,
    kind: ChatKind,
    history: History,
    hashes: Vec<Hash>,
    spans: BTreeMap<CompanyId, Vec<Span>>,
    invitations: BTreeMap<CompanyId, OpenInvitation>,
    epochs: Vec<EpochFact>,
    bars: Vec<Barred>,
    title_at: Option<u64>,
    frozen: bool,
    needs_newer_version: bool,
}

impl OwnerLog {
    /// Starts from a genesis whose signature [`SignedRecord::verify`] found good.
    pub fn start(
        signed: &SignedRecord,
        header: &RecordHeader,
        body: &Body,
    ) -> Result<OwnerLog, RecordError> {
        let Body::Genesis(genesis) = body else {
            return Err(RecordError::Rule("a chat starts with its genesis"));
        };
        if header.seq != 1 || !header.prev.is_zero() || !header.chat.is_zero() {
            return Err(RecordError::WrongPrev);
        }
        if genesis.suite != header.suite {
            return Err(RecordError::Unsupported(header.version, genesis.suite));
        }
        let hash = signed.hash();
        let owner_span = Span {
            from: 1,
            until: None,
            base: Vec::new(),
        };
        Ok(OwnerLog {
            chat: ChatId(hash.0),
            owner: header.owner,
            kind: genesis.kind,
            history: genesis.history,
            hashes: vec![hash],
            spans: BTreeMap::from([(header.owner, vec![owner_span])]),
            invitations: BTreeMap::new(),
            epochs: vec![EpochFact {
                from: 1,
                epoch: 1,
                commitment: genesis.commitment,
            }],
            bars: Vec::new(),
            title_at: None,
            frozen: false,
            needs_newer_version: !genesis.is_known(),
        })
    }

    /// Applies the next record, whose signature was found good. `Ok(false)` when it is held already.
    pub fn push(
        &mut self,
        suite: Suite,
        signed: &SignedRecord,
        header: &RecordHeader,
        body: &Body,
    ) -> Result<bool, RecordError> {
        let hash = signed.hash();
        let index = usize::try_from(
            header
                .seq
                .checked_sub(1)
                .ok_or(RecordError::Shape("position"))?,
        )
        .map_err(|_| RecordError::Shape("position"))?;
        let held = self.hashes.get(index);
        if held == Some(&hash) {
            return Ok(false);
        }
        // A fork freezes the chat, so a record of another owner or of another chat must never look like one.
        if header.owner != self.owner {
            return Err(RecordError::NotOwner);
        }
        if index == 0 || header.chat != self.chat || header.term != 0 {
            return Err(RecordError::WrongPrev);
        }
        if held.is_some() {
            return Err(RecordError::Fork(header.seq));
        }
        if self.frozen {
            return Err(RecordError::Frozen);
        }
        let expected = self.hashes.len() as u64 + 1;
        if header.seq != expected {
            return Err(RecordError::Gap {
                expected,
                found: header.seq,
            });
        }
        if header.prev != self.head().hash {
            return Err(RecordError::WrongPrev);
        }
        self.apply(suite, header, body)?;
        self.hashes.push(hash);
        if let (Body::Invite(invite), at) = (body, self.head()) {
            self.invitations.insert(
                invite.company,
                OpenInvitation {
                    at,
                    expires: invite.expires,
                },
            );
        }
        Ok(true)
    }

    fn apply(
        &mut self,
        suite: Suite,
        header: &RecordHeader,
        body: &Body,
    ) -> Result<(), RecordError> {
        match body {
            Body::Genesis(_) => return Err(RecordError::Rule("a second genesis")),
            Body::Invite(invite) => {
                if self.is_member(&invite.company) {
                    return Err(RecordError::Rule("the company takes part already"));
                }
                self.check_room(&invite.company)?;
            }
            Body::Add(add) => self.apply_add(suite, header, add)?,
            Body::Remove(remove) => self.apply_remove(header.seq, remove)?,
            Body::Title => self.title_at = Some(header.seq),
            Body::Bar(bar) => {
                if bar.barred {
                    let (from, cut) = (header.seq, bar.cut.clone());
                    self.bars.push(Barred {
                        company: bar.company,
                        handle: bar.handle,
                        from,
                        until: None,
                        cut,
                    });
                } else {
                    let open = |barred: &&mut Barred| {
                        barred.handle == bar.handle && barred.until.is_none()
                    };
                    self.bars
                        .iter_mut()
                        .filter(open)
                        .for_each(|barred| barred.until = Some(header.seq));
                }
            }
            Body::Epoch(epoch) => self.apply_epoch(header.seq, epoch)?,
            Body::Unknown(kind) => self.needs_newer_version |= *kind < IGNORABLE_KINDS,
        }
        Ok(())
    }

    fn apply_add(
        &mut self,
        suite: Suite,
        header: &RecordHeader,
        add: &Add,
    ) -> Result<(), RecordError> {
        let acceptance = &add.acceptance;
        let company = acceptance.company;
        self.check_acceptance(suite, acceptance)?;
        if (self.history == History::FULL) != add.epoch.is_none() {
            return Err(RecordError::Rule(
                "a joining company gets a new epoch unless history is full",
            ));
        }
        if let Some(epoch) = &add.epoch {
            self.apply_epoch(header.seq, epoch)?;
        }
        self.invitations.remove(&company);
        let span = Span {
            from: header.seq,
            until: None,
            base: add.base.clone(),
        };
        self.spans.entry(company).or_default().push(span);
        Ok(())
    }

    /// The acceptance is signed and answers the invitation that is open, and there is still room: an old one cannot be
    /// used again.
    pub fn check_acceptance(
        &self,
        suite: Suite,
        acceptance: &Acceptance,
    ) -> Result<(), RecordError> {
        let open = self
            .invitations
            .get(&acceptance.company)
            .ok_or(RecordError::Rule("no invitation is open"))?;
        if acceptance.chat != self.chat || acceptance.invitation != open.at {
            return Err(RecordError::Rule(
                "the acceptance is for another invitation",
            ));
        }
        // Counted here as well: many may have been invited while there was room for one.
        self.check_room(&acceptance.company)?;
        if !acceptance.verify(suite) {
            Err(RecordError::BadSignature)
        } else {
            Ok(())
        }
    }

    /// There is room for a company, now and among all that ever took part: what those wrote stays and is named in every
    /// frontier.
    fn check_room(&self, company: &CompanyId) -> Result<(), RecordError> {
        let known = self.spans.contains_key(company);
        let full = self.members().count() >= limits::CHAT_COMPANIES
            || !known && self.spans.len() >= limits::CHAT_COMPANIES_EVER;
        if full {
            return Err(RecordError::Rule(
                "the chat has as many companies as it may have",
            ));
        }
        Ok(())
    }

    fn apply_remove(&mut self, seq: u64, remove: &Remove) -> Result<(), RecordError> {
        if remove.company == self.owner {
            return Err(RecordError::Rule("the owner cannot be removed"));
        }
        if !self.is_member(&remove.company) {
            return Err(RecordError::Rule("the company does not take part"));
        }
        self.apply_epoch(seq, &remove.epoch)?;
        if let Some(span) = self
            .spans
            .get_mut(&remove.company)
            .and_then(|spans| spans.last_mut())
        {
            span.until = Some((seq, remove.cut.clone()));
        }
        Ok(())
    }

    fn apply_epoch(&mut self, seq: u64, epoch: &NewEpoch) -> Result<(), RecordError> {
        let next = self
            .epochs
            .last()
            .map_or(Some(1), |last| last.epoch.checked_add(1));
        if next != Some(epoch.epoch) {
            return Err(RecordError::Rule("epochs are numbered one by one"));
        }
        self.epochs.push(EpochFact {
            from: seq,
            epoch: epoch.epoch,
            commitment: epoch.commitment,
        });
        Ok(())
    }

    /// The owner log has forked: nothing is appended after the common part until people decide.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    pub fn needs_newer_version(&self) -> bool {
        self.needs_newer_version
    }

    pub fn chat(&self) -> ChatId {
        self.chat
    }

    pub fn owner(&self) -> CompanyId {
        self.owner
    }

    pub fn kind(&self) -> ChatKind {
        self.kind
    }

    pub fn history(&self) -> History {
        self.history
    }

    pub fn head(&self) -> Position {
        let seq = self.hashes.len() as u64;
        self.hashes.last().map_or(Position::START, |hash| Position {
            term: 0,
            seq,
            hash: *hash,
        })
    }

    /// The position of a held record.
    pub fn position(&self, seq: u64) -> Option<Position> {
        let hash = self
            .hashes
            .get(usize::try_from(seq.checked_sub(1)?).ok()?)?;
        Some(Position {
            term: 0,
            seq,
            hash: *hash,
        })
    }

    /// True when the position is one of this log.
    pub fn holds(&self, position: &Position) -> bool {
        self.position(position.seq) == Some(*position)
    }

    pub fn title_at(&self) -> Option<u64> {
        self.title_at
    }

    /// Companies that take part now.
    pub fn members(&self) -> impl Iterator<Item = CompanyId> + '_ {
        self.spans
            .iter()
            .filter(|(_, spans)| is_open(spans))
            .map(|(company, _)| *company)
    }

    /// Since which position a company takes part, if it does.
    pub fn joined_at(&self, company: &CompanyId) -> Option<u64> {
        let span = self.spans.get(company)?.last()?;
        span.until.is_none().then_some(span.from)
    }

    /// Where the history of a company that takes part begins, by stream; empty when it has all of it.
    pub fn base(&self, company: &CompanyId) -> &[(StreamId, Tip)] {
        self.spans
            .get(company)
            .and_then(|spans| spans.last())
            .map_or(&[], |span| &span.base)
    }

    pub fn is_member(&self, company: &CompanyId) -> bool {
        self.spans.get(company).is_some_and(|spans| is_open(spans))
    }

    /// Companies that ever took part, with their spans.
    pub fn spans(&self) -> impl Iterator<Item = (&CompanyId, &[Span])> {
        self.spans
            .iter()
            .map(|(company, spans)| (company, spans.as_slice()))
    }

    pub fn invitation(&self, company: &CompanyId) -> Option<&OpenInvitation> {
        self.invitations.get(company)
    }

    pub fn invitations(&self) -> impl Iterator<Item = (&CompanyId, &OpenInvitation)> {
        self.invitations.iter()
    }

    /// The record up to which a company may be told of this log: all of it for a member, its invitation for an invited
    /// company, its removal for one that is out.
    pub fn visible_to(&self, company: &CompanyId) -> u64 {
        if self.is_member(company) {
            return self.head().seq;
        }
        let invited = self
            .invitations
            .get(company)
            .map_or(0, |invitation| invitation.at.seq);
        let removed = self
            .spans
            .get(company)
            .and_then(|spans| spans.last())
            .and_then(|span| span.until.as_ref());
        invited.max(removed.map_or(0, |(seq, _)| *seq))
    }

    /// What the company may do at a cited position.
    pub fn standing(&self, company: &CompanyId, cited: &Position) -> Standing<'_> {
        match self.position(cited.seq) {
            None => return Standing::Unknown,
            Some(held) if held != *cited => return Standing::Contradicts,
            Some(_) => {}
        }
        let spans = self.spans.get(company).map_or(&[][..], |spans| spans);
        let covers = |span: &&Span| {
            span.from <= cited.seq
                && span
                    .until
                    .as_ref()
                    .is_none_or(|(until, _)| cited.seq < *until)
        };
        spans
            .iter()
            .find(covers)
            .map_or(Standing::NotMember, Standing::Member)
    }

    /// The epoch in force at a position of this log.
    pub fn epoch_at(&self, seq: u64) -> u32 {
        self.epochs
            .iter()
            .rev()
            .find(|fact| fact.from <= seq)
            .map_or(0, |fact| fact.epoch)
    }

    pub fn epoch(&self) -> u32 {
        self.epoch_at(u64::MAX)
    }

    /// The epochs that records after a position introduced.
    pub fn epochs_after(&self, seq: u64) -> impl Iterator<Item = u32> + '_ {
        let later = self.epochs.iter().filter(move |fact| fact.from > seq);
        later.map(|fact| fact.epoch)
    }

    pub fn commitment(&self, epoch: u32) -> Option<Hash> {
        self.epochs
            .iter()
            .find(|fact| fact.epoch == epoch)
            .map(|fact| fact.commitment)
    }

    /// Epochs whose keys the company may hold: those in force while it takes part, and with full history all earlier
    /// ones. Nothing from its removal on.
    pub fn entitled(&self, company: &CompanyId) -> Vec<u32> {
        let Some(spans) = self.spans.get(company) else {
            return Vec::new();
        };
        let readable = |fact: &EpochFact, next: Option<u64>| {
            spans.iter().any(|span| {
                let begins_before_end = span
                    .until
                    .as_ref()
                    .is_none_or(|(until, _)| fact.from < *until);
                let lasts_into_span = next.is_none_or(|next| next > span.from);
                begins_before_end && (lasts_into_span || self.history == History::FULL)
            })
        };
        let nexts = self
            .epochs
            .iter()
            .skip(1)
            .map(|fact| Some(fact.from))
            .chain([None]);
        self.epochs
            .iter()
            .zip(nexts)
            .filter(|(fact, next)| readable(fact, *next))
            .map(|(fact, _)| fact.epoch)
            .collect()
    }

    pub fn bars(&self) -> &[Barred] {
        &self.bars
    }
}

fn is_open(spans: &[Span]) -> bool {
    spans.last().is_some_and(|span| span.until.is_none())
}

#[cfg(test)]
mod tests;
