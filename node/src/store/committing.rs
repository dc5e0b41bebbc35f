//! The commit: journal, then destruction, then index, then registers, then the anchor.
//!
//! Why in this order: nothing may be shown or sent that is not in the journal; the index may be behind the journal and
//! never ahead of it; and a payload that is to be destroyed must be gone before the index counts it as done, so that a
//! crash in between is made good by the replay.

use std::mem;

use super::record;
use super::staging::StagedRecord;
use super::{Doubt, Store, StoreError};
use crate::index::rows::{self, PlaceRow};
use crate::journal::{
    EraseError, Head, Journal, JournalError, MAX_GROUP_BYTES, MAX_GROUP_RECORDS, NewRecord,
    Position,
};
use crate::registers::RegistersError;
use crossport_protocol::ids::EventId;

/// What the journal adds to a record at most: its header, and a seal.
const RECORD_OVERHEAD: usize = 128;

/// What a commit did.
#[derive(Debug)]
pub struct Committed {
    pub head: Head,
    /// Records that became durable.
    pub records: usize,
    /// Payloads that were destroyed.
    pub erased: usize,
    /// Payloads that could not be destroyed, with the cause: their records cannot be read.
    pub not_erased: Vec<(EventId, String)>,
    /// Why the registers wait for a later commit. The records are durable all the same.
    pub registers_wait: Option<RegistersError>,
}

impl Store {
    /// Makes everything durable that is staged, in order; without anything staged it does nothing.
    ///
    /// More than the journal takes in one group goes in several: each is whole or not there, in order.
    ///
    /// # Errors
    /// [`StoreError::Full`] and [`StoreError::ReadOnly`] leave what is staged as it is: the replicator's memory has moved
    /// on already, so the next commit tries the same again, and until then nothing of it is told to anybody. Everything
    /// else is final for this instance.
    pub fn commit(&mut self) -> Result<Committed, StoreError> {
        self.check_readers()?;
        self.flush_read_notes(false)?;
        self.stage_doubt()?;
        self.stage_erased_facts()?;
        let records = self.append_staged()?;
        let (erased, not_erased) = self.destroy()?;
        self.write_index()?;
        self.keep_fresh();
        let registers_wait = self.write_registers()?;
        let head = self.journal.head();
        if self.doubt == Doubt::Staged {
            self.doubt = Doubt::None;
        }
        if self.doubt == Doubt::None {
            self.anchoring.write_if_due(&head);
        }
        Ok(Committed {
            head,
            records,
            erased,
            not_erased,
            registers_wait,
        })
    }

    /// Appends what has no position yet; returns how many records that were.
    fn append_staged(&mut self) -> Result<usize, StoreError> {
        let mut appended = 0;
        loop {
            let waiting = self
                .staged
                .iter()
                .position(|record| record.position.is_none());
            let Some(rest) = waiting.and_then(|first| self.staged.get_mut(first..)) else {
                return Ok(appended);
            };
            let positions = append_group(&mut self.journal, rest)?;
            appended += positions.len();
            for (record, position) in rest.iter_mut().zip(positions) {
                record.position = Some(position);
                for key in mem::take(&mut record.rows) {
                    self.index.place(&key, position.0);
                }
                if record.is_audit {
                    let row = PlaceRow {
                        position: position.0,
                    };
                    self.index.put(rows::audit(position.0), &row);
                }
            }
        }
    }

    /// Everything before the head of the journal is in the rows, unless a replay is under way.
    fn write_index(&mut self) -> Result<(), StoreError> {
        let applied = match &self.replay {
            Some(replay) => replay.at(),
            None => self.journal.head().position,
        };
        if !self.index.is_staged() && !self.replayed {
            return Ok(());
        }
        let border = match &self.replay {
            Some(_) => self.reader.running_hash_at(applied).unwrap_or(None),
            None => Some(self.journal.head().running_hash),
        };
        let head = self.index.head_mut();
        head.applied = applied.0;
        if let Some(hash) = border {
            head.border = applied.0;
            head.border_hash = hash;
        }
        self.replayed = false;
        let written = self.index.commit();
        if written.is_err() {
            self.distrust();
        }
        Ok(written?)
    }

    /// What was fresh is an ordinary stored envelope now.
    fn keep_fresh(&mut self) {
        self.staged.clear();
        let erased = mem::take(&mut self.erasing.done);
        for (hash, stored) in mem::take(&mut self.fresh) {
            if !erased.contains(&hash) {
                self.cache().insert(stored);
            }
        }
    }

    fn write_registers(&mut self) -> Result<Option<RegistersError>, StoreError> {
        if self.register_changes.values.is_empty() {
            return Ok(None);
        }
        let values = &self.register_changes.values;
        let changes: Vec<_> = values
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        match self
            .registers
            .put_all(&changes, self.register_changes.durable)
        {
            Ok(()) => {
                self.register_changes = Default::default();
                Ok(None)
            }
            Err(passing @ (RegistersError::Full | RegistersError::ReadOnly { .. })) => {
                Ok(Some(passing))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// A reader met a failure that it could not return: nothing is built upon it.
    fn check_readers(&mut self) -> Result<(), StoreError> {
        let failure = self
            .failure
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match failure.clone() {
            None => Ok(()),
            Some(cause) => {
                self.distrust();
                Err(StoreError::Stopped { cause })
            }
        }
    }

    fn distrust(&self) {
        if let Err(failure) = self.index.distrust() {
            tracing::error!(%failure, "the index failed and could not be marked: remove it by hand");
        }
    }
}

/// Appends as many records as one group takes.
fn append_group(
    journal: &mut Journal,
    records: &[StagedRecord],
) -> Result<Vec<Position>, StoreError> {
    let mut bytes = RECORD_OVERHEAD;
    let mut group = Vec::new();
    for staged in records.iter().take(MAX_GROUP_RECORDS) {
        bytes = bytes.saturating_add(staged.payload.len() + RECORD_OVERHEAD);
        if bytes > MAX_GROUP_BYTES && !group.is_empty() {
            break;
        }
        group.push(NewRecord {
            kind: staged.kind,
            sealed: record::is_sealed(staged.kind),
            payload: &staged.payload,
        });
    }
    journal
        .append(journal.head().position, &group)
        .map_err(refused)
}

/// Sorts a refusal of the journal into what callers treat differently.
pub(super) fn refused(failure: JournalError) -> StoreError {
    match failure {
        JournalError::Full => StoreError::Full,
        read_only @ JournalError::ReadOnly { .. } => StoreError::ReadOnly {
            cause: read_only.to_string(),
        },
        JournalError::Stopped { cause } => StoreError::Stopped { cause },
        other => StoreError::Journal(other),
    }
}

/// An erasure that cannot be done for now or at all; None when only this one record is concerned.
pub(super) fn refused_erasure(failure: EraseError) -> Result<String, StoreError> {
    match failure {
        EraseError::Journal(failure) => Err(refused(failure)),
        other => Ok(other.to_string()),
    }
}
