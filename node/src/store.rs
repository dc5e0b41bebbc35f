//! The store of a node: one write path for everything durable, and all reading of it.
//!
//! Owns the journal (the truth), the registers (values of which only the latest counts), the index (a cache) and what is
//! staged for the next commit. It must not decide anything: what is stored, what counts and what is void comes from the
//! replicator; keys of chats are not here, so payloads stay sealed.
//!
//! The road of a fact: `stage`, `counted`, `put_*` while a decision is made; then one [`Store::commit`]: one append with
//! one fdatasync, then what is to be destroyed is destroyed, then one batch of the index, then the registers. Only then
//! is anybody told. Staged things are visible to the next decision (`ReadLog`, [`Store::people`], [`Store::posted`]) and to
//! no reader. If the process dies in between, the index is behind the journal, and [`Store::next_unapplied`] gives the
//! records that it has not seen.

pub mod record;

mod anchoring;
mod cache;
mod committing;
mod counting;
mod erasing;
mod log;
mod naming;
mod page;
mod people;
mod reading;
mod reads;
mod replay;
mod staging;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossport_protocol::clock::Clock;
use crossport_protocol::codec::CodecError;
use crossport_protocol::identity::SignedIdentity;
use crossport_protocol::ids::{CompanyId, EventId, Hash};
use crossport_protocol::replicator::ChatCore;

use crate::index::rows::{self, ExposureRow};
use crate::index::{Index, IndexError, View};
use crate::journal::{self, Head, Journal, JournalReader, OpenReport, Position};
use crate::registers::{Registers, RegistersError, RegistersReport};

use anchoring::Anchoring;
use cache::{Cache, Stored};
use erasing::Erasing;
use log::Walk;
use people::RowSealer;
use reads::ReadNotes;
use replay::Replay;
use staging::{RegisterChanges, StagedRecord};

pub use committing::Committed;
pub(crate) use erasing::erasure;
pub use page::{MAX_PAGE, Row, is_shown};
pub use reading::MAX_MATCHES;
pub use record::{Fact, JournalEntry};
pub use replay::COMMIT_EVERY;
pub(crate) use replay::erased_facts;

const JOURNAL: &str = "journal";
const REGISTERS: &str = "registers";
const INDEX: &str = "index";
const ANCHOR: &str = "anchor";

/// How a store is kept.
#[derive(Debug, Clone)]
pub struct Options {
    pub journal: journal::Options,
    /// Memory for pages of the index.
    pub index_cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            journal: journal::Options::default(),
            index_cache_bytes: 16 * 1024 * 1024,
        }
    }
}

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space left. What is staged stays staged; a later commit tries again.
    #[error("no space left on the disk")]
    Full,
    /// The disk can be read and not written. What is staged stays staged.
    #[error("the disk cannot be written: {cause}")]
    ReadOnly { cause: String },
    /// Final for this instance: only opening the store anew can go on.
    #[error("the store has stopped: {cause}")]
    Stopped { cause: String },
    /// The journal could not be opened or refused for another reason.
    #[error(transparent)]
    Journal(journal::JournalError),
    #[error(transparent)]
    Registers(#[from] RegistersError),
    /// The index failed. Nothing durable is lost: open the store anew, it will rebuild the index.
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Read(#[from] journal::ReadError),
    #[error("a record at {position} is not what was stored there: {cause}")]
    Record {
        position: Position,
        cause: CodecError,
    },
    #[error("no envelope {0} is stored")]
    UnknownEnvelope(Hash),
    #[error("no event {0} is stored")]
    UnknownEvent(EventId),
    #[error("the machine has no randomness: {0}")]
    Randomness(getrandom::Error),
}

/// What opening found; the state is that of the index, which [`Store::next_unapplied`] brings up to date.
#[derive(Debug)]
pub struct Opened {
    /// The journal is certainly the newest that this node ever had. False after a restore, or when nobody can know.
    pub continuity: bool,
    pub journal: OpenReport,
    pub registers: RegistersReport,
    /// Random per database.
    pub generation: u64,
    pub chats: Vec<ChatCore>,
    pub identities: Vec<(CompanyId, Vec<SignedIdentity>)>,
    pub exposures: Vec<(CompanyId, Option<Clock>)>,
    pub clock: Clock,
    /// The index was begun anew, for this reason: everything is replayed.
    pub index_rebuilt: Option<String>,
}

/// See the module's head. One owner; everything is synchronous.
#[derive(Debug)]
pub struct Store {
    journal: Journal,
    reader: JournalReader,
    registers: Registers,
    index: Index,
    anchoring: Anchoring,
    sealer: RowSealer,

    staged: Vec<StagedRecord>,
    /// Envelopes among the staged ones.
    fresh: BTreeMap<Hash, Arc<Stored>>,
    register_changes: RegisterChanges,
    erasing: Erasing,
    read_notes: ReadNotes,
    replay: Option<Replay>,
    /// Something of the replay is not written yet, though it may have left no row.
    replayed: bool,
    doubt: Doubt,

    cache: Mutex<Cache>,
    walk: Mutex<Option<Walk>>,
    /// A failure of the index that a reader could not return.
    failure: Mutex<Option<String>>,
    /// Last envelopes of streams, to notice forks without looking.
    latest: BTreeMap<u32, rows::Spot>,
}

impl Store {
    /// Opens what is in `folder`, or begins a new store there. Both keys are kept by the keystore.
    ///
    /// # Errors
    /// The journal or the registers cannot be opened, or an empty index cannot be made. A damaged or missing index is no
    /// error; damage of the journal is in the report.
    pub fn open(
        folder: &Path,
        journal_key: &[u8; 32],
        registers_key: &[u8; 32],
        options: Options,
    ) -> Result<(Store, Opened), StoreError> {
        let disk = options.journal.disk.clone();
        let (journal, report) = Journal::open(&folder.join(JOURNAL), journal_key, options.journal)
            .map_err(StoreError::Journal)?;
        let reader = journal.reader();
        let (registers, registers_report) =
            Registers::open_on(disk, &folder.join(REGISTERS), registers_key)?;
        let generation = journal.head().generation;
        let (mut index, mut rebuilt) =
            open_index(&folder.join(INDEX), options.index_cache_bytes, &reader)?;
        let (anchoring, sure) = Anchoring::begin(&folder.join(ANCHOR), &reader, report.created);
        let sealer = RowSealer::new(journal_key);
        let state = settle(&mut index, &sealer, sure, &mut rebuilt)?;
        let mut store = Store {
            replay: Replay::begin(&reader, index.head().applied),
            journal,
            reader,
            registers,
            index,
            anchoring,
            sealer,
            staged: Vec::new(),
            fresh: BTreeMap::new(),
            register_changes: RegisterChanges::default(),
            erasing: Erasing::default(),
            read_notes: ReadNotes::default(),
            replayed: false,
            doubt: if sure { Doubt::None } else { Doubt::Unwritten },
            cache: Mutex::default(),
            walk: Mutex::default(),
            failure: Mutex::default(),
            latest: BTreeMap::new(),
        };
        if sure {
            store.anchoring.write_now(&store.reader.head());
        }
        let opened = Opened {
            continuity: sure,
            journal: report,
            registers: registers_report,
            generation: number_of(&generation),
            chats: state.chats,
            identities: state.identities,
            exposures: state.exposures,
            clock: store.index.head().clock,
            index_rebuilt: rebuilt,
        };
        Ok((store, opened))
    }

    /// Where the journal ends.
    pub fn head(&self) -> Head {
        self.journal.head()
    }

    /// A reader of the journal for other threads: verification, backup.
    pub fn reader(&self) -> JournalReader {
        self.reader.clone()
    }

    /// Bytes of the journal that the index has not seen.
    pub fn lag(&self) -> u64 {
        let head = self.journal.head().position.0;
        head.saturating_sub(self.index.head().applied)
    }

    /// Losses of continuity that the journal does not tell of yet: a replay of it would continue streams from before.
    pub fn doubts(&self) -> u64 {
        u64::from(self.doubt != Doubt::None)
    }

    /// Writes the anchor now: before the first bytes leave the node after a backup was taken. Not while the journal does
    /// not tell of a loss of continuity, or the next start would take an old copy for the newest.
    pub fn write_anchor(&mut self) {
        if self.doubt == Doubt::None {
            self.anchoring.write_now(&self.journal.head());
        }
    }

    /// Destroys what a newer copy of this journal had erased: after a restore, before anything is served.
    pub fn apply_erasures(
        &mut self,
        erasures: &[journal::Erasure],
    ) -> Result<journal::AppliedErasures, StoreError> {
        let applied = self
            .journal
            .apply_erasures(erasures)
            .map_err(committing::refused)?;
        *self.cache() = Cache::default();
        Ok(applied)
    }

    /// Commits what is staged and stops cleanly.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.flush_read_notes(true)?;
        self.commit()?;
        self.registers.sync()?;
        self.write_anchor();
        let Store { journal, index, .. } = self;
        index.close()?;
        journal.close().map_err(committing::refused)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A loss of continuity on its way into the journal, as a footing of every chat that continues nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    Unwritten,
    Staged,
}

/// The number that partners see for a database.
fn number_of(generation: &[u8; 16]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&generation[..8]);
    u64::from_le_bytes(bytes)
}

struct State {
    chats: Vec<ChatCore>,
    identities: Vec<(CompanyId, Vec<SignedIdentity>)>,
    exposures: Vec<(CompanyId, Option<Clock>)>,
}

/// The index, begun anew unless it follows from this very journal.
fn open_index(
    folder: &Path,
    cache_bytes: usize,
    reader: &JournalReader,
) -> Result<(Index, Option<String>), StoreError> {
    let generation = reader.head().generation;
    let (mut index, mut rebuilt) = Index::open(folder, cache_bytes, generation)?;
    let head = index.head();
    let border = Head {
        generation,
        position: Position(head.border),
        running_hash: head.border_hash,
    };
    let follows = head.border == 0
        || matches!(
            reader.standing(&border),
            Ok(journal::Standing::Equal | journal::Standing::Behind { .. })
        );
    if !follows || head.applied > reader.head().position.0 {
        index.clear()?;
        rebuilt = Some("the journal has another history than the one it follows".to_owned());
    }
    // A missing index is worth a word as well, unless there is nothing that it could have held.
    if rebuilt.is_none() && index.head().applied == 0 && has_records(reader) {
        rebuilt = Some("it was missing".to_owned());
    }
    Ok((index, rebuilt))
}

fn has_records(reader: &JournalReader) -> bool {
    reader.scan(Position::START).next().is_some()
}

/// Reads the state out of the index, beginning it anew if it cannot be read.
fn settle(
    index: &mut Index,
    sealer: &RowSealer,
    sure: bool,
    rebuilt: &mut Option<String>,
) -> Result<State, StoreError> {
    let mut read = read_state(index, sealer);
    if let Err(failure) = &read {
        *rebuilt = Some(failure.to_string());
        index.clear()?;
        read = read_state(index, sealer);
    }
    let mut state = read?;
    for core in state.chats.iter_mut().filter(|_| !sure) {
        core.own = None;
        core.owner_sure = false;
    }
    Ok(state)
}

fn read_state(index: &Index, sealer: &RowSealer) -> Result<State, IndexError> {
    let mut chats = Vec::new();
    for row in index.prefix(View::Committed, rows::CORES) {
        chats.push(rows::decode(&row?.1)?);
    }
    let mut identities: Vec<(CompanyId, Vec<SignedIdentity>)> = Vec::new();
    for row in index.prefix(View::Committed, rows::IDENTITIES) {
        let (key, record) = row?;
        let company = rows::company_of(&key).ok_or(IndexError::Missing("a company"))?;
        let record = sealer.open(&key, &record)?;
        match identities.last_mut() {
            Some((last, records)) if *last == company => records.push(record),
            _ => identities.push((company, vec![record])),
        }
    }
    let mut exposures = Vec::new();
    for row in index.prefix(View::Committed, rows::EXPOSURES) {
        let (key, row) = row?;
        let company = rows::company_of(&key).ok_or(IndexError::Missing("a company"))?;
        let ExposureRow { until } = rows::decode(&row)?;
        exposures.push((company, until));
    }
    Ok(State {
        chats,
        identities,
        exposures,
    })
}
