//! The index: what can be found without reading the journal. A cache in redb, and the only user of redb.
//!
//! Owns one table with prefixed keys (the tables of the index are in `index/rows.rs`), the rows that are not written yet,
//! and where in the journal the written ones stand: (generation, applied position, running hash) are in the same
//! transaction as the rows. It must not read the journal nor know a record. Losing it costs a rebuild and nothing else, so
//! rows are gathered in memory and written some thousands at a time: a row that changes with every message is written once
//! for hundreds, and after a crash the index is behind by what the journal replays in a moment.
//!
//! There are two views. What was committed is what people may be shown; what is staged as well is what the next decision
//! follows from. A row lives in one of three layers, the newest hides the older: staged, committed, written.

pub mod arrivals;
pub mod rows;
mod scan;
pub mod timeline;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use crossport_protocol::codec::CodecError;
use crossport_protocol::ids::{ChatId, Hash, StreamId};
use redb::{ReadOnlyTable, ReadableDatabase, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use rows::{ChatMeta, ChatRow, EnvelopeRow, HashRow, HeadRow, Spot, StreamOrdinal, StreamRow};
pub use scan::{Direction, Scan};

/// Layout of all tables. Another number is a rebuild.
pub const FORMAT: u32 = 5;
/// Committed rows that are gathered before they are written: some megabytes, and a second of a busy node's work. Writing
/// them takes some tens of milliseconds, and the replay of as many after a crash not much longer.
const GATHERED_ROWS: usize = 8_192;
/// Ordinals of streams that are kept in memory; a few megabytes.
const MAX_KNOWN_STREAMS: usize = 16_384;
const DATABASE: &str = "rows.redb";
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// Present when the index must not be trusted at the next open.
const DISTRUST_MARK: &str = "rebuild";

/// The bytes of a row; cheap to clone.
pub type RowBytes = Bytes;
/// Rows that are not in the database yet; `None` removes one.
type Rows = BTreeMap<Vec<u8>, Option<RowBytes>>;
type Written = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Why the index failed. Whatever it is, a rebuild is the way out.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("the index cannot be used: {0}")]
    Database(#[from] redb::Error),
    #[error("a row of the index is not what this version writes: {0}")]
    Row(#[from] CodecError),
    #[error("the index lacks a row that another names: {0}")]
    Missing(&'static str),
    #[error("the folder of the index: {0}")]
    Folder(#[from] io::Error),
    #[error("a row of the index does not open with this node's key")]
    Seal,
}

/// What rows a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Durable in the journal.
    Committed,
    /// What the next commit will write as well.
    Staged,
}

/// The index and its unwritten rows. One owner; reading takes `&self`.
pub struct Index {
    folder: PathBuf,
    database: redb::Database,
    written: Written,
    committed: Rows,
    staged: Rows,
    head: HeadRow,
    known_streams: BTreeMap<(u32, StreamId), u32>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("head", &self.head)
            .field("committed", &self.committed.len())
            .field("staged", &self.staged.len())
            .finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the index of the journal `generation`, with so much memory for pages (inner pages of millions of rows fit into
    /// a few megabytes; the system caches the others), or begins an empty one. The reason says why it had to be begun anew
    /// although there should have been one. After a crash of the process or the machine it is as it was last written.
    ///
    /// # Errors
    /// Only when even an empty one cannot be made (no space, no permission).
    pub fn open(
        folder: &Path,
        cache_bytes: usize,
        generation: [u8; 16],
    ) -> Result<(Index, Option<String>), IndexError> {
        let existed = folder.join(DATABASE).exists();
        let reason = if folder.join(DISTRUST_MARK).exists() {
            "it failed while it was last used".to_owned()
        } else {
            match Index::open_existing(folder, cache_bytes, generation) {
                Ok(Ok(index)) => return Ok((index, None)),
                Ok(Err(reason)) => reason,
                Err(failure) => failure.to_string(),
            }
        };
        let index = Index::create(folder, cache_bytes, generation)?;
        Ok((index, existed.then_some(reason)))
    }

    /// Drops every row and begins anew.
    pub fn clear(&mut self) -> Result<(), IndexError> {
        self.committed.clear();
        self.staged.clear();
        transact(&self.database, |transaction| {
            transaction.delete_table(ROWS)?;
            transaction.open_table(ROWS)?;
            Ok(())
        })?;
        self.written = written(&self.database)?;
        self.known_streams.clear();
        self.head = empty_head(self.head.generation);
        Ok(())
    }

    /// Makes the next open begin anew: the rows may be wrong.
    pub fn distrust(&self) -> io::Result<()> {
        fs::write(self.folder.join(DISTRUST_MARK), b"")
    }

    pub fn head(&self) -> &HeadRow {
        &self.head
    }

    pub fn head_mut(&mut self) -> &mut HeadRow {
        &mut self.head
    }

    pub fn bytes(&self, view: View, key: &[u8]) -> Result<Option<RowBytes>, IndexError> {
        if view == View::Staged
            && let Some(staged) = self.staged.get(key)
        {
            return Ok(staged.clone());
        }
        if let Some(committed) = self.committed.get(key) {
            return Ok(committed.clone());
        }
        let written = self.written.get(key).map_err(redb::Error::from)?;
        Ok(written.map(|row| Bytes::copy_from_slice(row.value())))
    }

    pub fn row<T: Serialize + DeserializeOwned>(
        &self,
        view: View,
        key: &[u8],
    ) -> Result<Option<T>, IndexError> {
        match self.bytes(view, key)? {
            Some(bytes) => Ok(Some(rows::decode(&bytes)?)),
            None => Ok(None),
        }
    }

    /// Rows from `low` (included) to `high` (not included).
    pub fn scan(&self, view: View, direction: Direction, low: &[u8], high: &[u8]) -> Scan<'_> {
        let staged = (view == View::Staged).then_some(&self.staged);
        let layers = staged.into_iter().chain([&self.committed]);
        Scan::new(&self.written, layers, direction, low, high)
    }

    /// Rows whose key begins with `prefix`, in order.
    pub fn prefix(&self, view: View, prefix: &[u8]) -> Scan<'_> {
        self.scan(view, Direction::Up, prefix, &scan::end_of(prefix))
    }

    pub fn put<T: Serialize>(&mut self, key: Vec<u8>, row: &T) {
        self.put_bytes(key, rows::encode(row));
    }

    pub fn put_bytes(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.staged.insert(key, Some(value.into()));
    }

    pub fn remove(&mut self, key: Vec<u8>) {
        self.staged.insert(key, None);
    }

    /// Rows wait to be written.
    pub fn is_staged(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Fills in the journal's position of a staged row that begins with one.
    pub fn place(&mut self, key: &[u8], position: u64) {
        if let Some(Some(row)) = self.staged.get_mut(key) {
            *row = rows::with_position(row, position).into();
        }
    }

    /// What was staged is committed: the journal has it. Written only once enough has come together.
    pub fn commit(&mut self) -> Result<(), IndexError> {
        while let Some((key, row)) = self.staged.pop_first() {
            self.committed.insert(key, row);
        }
        if self.committed.len() >= GATHERED_ROWS {
            self.write()?;
        }
        Ok(())
    }

    /// Writes all committed rows and the head in one transaction, durably.
    fn write(&mut self) -> Result<(), IndexError> {
        let head = rows::encode(&self.head);
        transact(&self.database, |transaction| {
            let mut table = transaction.open_table(ROWS)?;
            for (key, row) in &self.committed {
                match row {
                    Some(row) => drop(table.insert(key.as_slice(), row.as_ref())?),
                    None => drop(table.remove(key.as_slice())?),
                }
            }
            table.insert(rows::HEAD, head.as_slice())?;
            Ok(())
        })?;
        self.committed.clear();
        self.written = written(&self.database)?;
        Ok(())
    }

    /// Writes everything, so that the next start has nothing to replay.
    pub fn close(mut self) -> Result<(), IndexError> {
        self.write()
    }

    // ---- Ordinals ----

    pub fn chat(&self, view: View, id: &ChatId) -> Result<Option<u32>, IndexError> {
        let row: Option<ChatRow> = self.row(view, &rows::chat(id))?;
        Ok(row.map(|row| row.chat))
    }

    pub fn chat_or_new(&mut self, id: &ChatId) -> Result<u32, IndexError> {
        if let Some(chat) = self.chat(View::Staged, id)? {
            return Ok(chat);
        }
        let chat = self.head.chats;
        self.head.chats = self.head.chats.saturating_add(1);
        self.put(rows::chat(id), &ChatRow { chat });
        Ok(chat)
    }

    pub fn stream(&self, view: View, chat: u32, id: &StreamId) -> Result<Option<u32>, IndexError> {
        if let Some(stream) = self.known_streams.get(&(chat, *id)) {
            return Ok(Some(*stream));
        }
        let row: Option<StreamOrdinal> = self.row(view, &rows::stream(chat, id))?;
        Ok(row.map(|row| row.stream))
    }

    pub fn stream_or_new(&mut self, chat: u32, id: &StreamId) -> Result<u32, IndexError> {
        let stream = match self.stream(View::Staged, chat, id)? {
            Some(stream) => stream,
            None => {
                let stream = self.head.streams;
                self.head.streams = self.head.streams.saturating_add(1);
                self.put(rows::stream(chat, id), &StreamOrdinal { stream });
                let facts = StreamRow {
                    id: *id,
                    chat,
                    fork_after: None,
                };
                self.put(rows::stream_facts(stream), &facts);
                stream
            }
        };
        if self.known_streams.len() >= MAX_KNOWN_STREAMS {
            self.known_streams.clear();
        }
        self.known_streams.insert((chat, *id), stream);
        Ok(stream)
    }

    pub fn stream_facts(&self, view: View, stream: u32) -> Result<StreamRow, IndexError> {
        self.row(view, &rows::stream_facts(stream))?
            .ok_or(IndexError::Missing("stream facts"))
    }

    /// Ordinals and ids of the streams of a chat.
    pub fn streams(&self, view: View, chat: u32) -> Result<Vec<(u32, StreamId)>, IndexError> {
        let mut streams = Vec::new();
        for row in self.prefix(view, &rows::streams_of(chat)) {
            let StreamOrdinal { stream } = rows::decode(&row?.1)?;
            streams.push((stream, self.stream_facts(view, stream)?.id));
        }
        Ok(streams)
    }

    // ---- Envelopes ----

    pub fn hash(&self, view: View, hash: &Hash) -> Result<Option<HashRow>, IndexError> {
        self.row(view, &rows::hash(hash))
    }

    pub fn envelope(
        &self,
        view: View,
        stream: u32,
        spot: &Spot,
    ) -> Result<Option<EnvelopeRow>, IndexError> {
        self.row(view, &rows::envelope(stream, spot))
    }

    /// The envelope with this very hash, void or not, with the ordinals of its chat and stream.
    pub fn find(
        &self,
        view: View,
        hash: &Hash,
    ) -> Result<Option<(HashRow, EnvelopeRow)>, IndexError> {
        let Some(place) = self.hash(view, hash)? else {
            return Ok(None);
        };
        let spot = Spot {
            seq: place.seq,
            hash: rows::short(hash),
        };
        let row = self.envelope(view, place.stream, &spot)?;
        Ok(row.filter(|row| row.hash == *hash).map(|row| (place, row)))
    }

    pub fn meta(&self, view: View, chat: u32) -> Result<ChatMeta, IndexError> {
        Ok(self.row(view, &rows::meta(chat))?.unwrap_or_default())
    }

    // ---- Opening ----

    fn open_existing(
        folder: &Path,
        cache_bytes: usize,
        generation: [u8; 16],
    ) -> Result<Result<Index, String>, IndexError> {
        let opened = panic::catch_unwind(AssertUnwindSafe(|| {
            let database = open_database(folder, cache_bytes)?;
            let written = written(&database)?;
            let head = written.get(rows::HEAD).map_err(redb::Error::from)?;
            let head = head.map(|row| row.value().to_vec());
            Ok::<_, IndexError>((database, written, head))
        }));
        let (database, written, head) = match opened {
            Ok(opened) => opened?,
            Err(_) => return Ok(Err("its files are damaged".to_owned())),
        };
        let Some(head) = head else {
            return Ok(Err("it is empty".to_owned()));
        };
        let head: HeadRow = rows::decode(&head)?;
        if head.format != FORMAT {
            return Ok(Err(format!(
                "it has format {}, this version writes {FORMAT}",
                head.format
            )));
        }
        if head.generation != generation {
            return Ok(Err("it belongs to another journal".to_owned()));
        }
        Ok(Ok(Index::of(folder, database, written, head)))
    }

    fn create(
        folder: &Path,
        cache_bytes: usize,
        generation: [u8; 16],
    ) -> Result<Index, IndexError> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let database = open_database(folder, cache_bytes)?;
        transact(&database, |transaction| {
            transaction.open_table(ROWS)?;
            Ok(())
        })?;
        let written = written(&database)?;
        Ok(Index::of(folder, database, written, empty_head(generation)))
    }

    fn of(folder: &Path, database: redb::Database, written: Written, head: HeadRow) -> Index {
        Index {
            folder: folder.to_owned(),
            database,
            written,
            committed: Rows::new(),
            staged: Rows::new(),
            head,
            known_streams: BTreeMap::new(),
        }
    }
}

fn open_database(folder: &Path, cache_bytes: usize) -> Result<redb::Database, IndexError> {
    let opened = redb::Database::builder()
        .set_cache_size(cache_bytes)
        .create(folder.join(DATABASE));
    Ok(opened.map_err(redb::Error::from)?)
}

/// The rows as of the last transaction.
fn written(database: &redb::Database) -> Result<Written, IndexError> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    Ok(transaction.open_table(ROWS).map_err(redb::Error::from)?)
}

fn transact(
    database: &redb::Database,
    change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), IndexError> {
    let mut transaction = database.begin_write().map_err(redb::Error::from)?;
    // An open after a crash then costs nothing, however many rows there are.
    transaction.set_quick_repair(true);
    change(&transaction)?;
    Ok(transaction.commit().map_err(redb::Error::from)?)
}

fn empty_head(generation: [u8; 16]) -> HeadRow {
    HeadRow {
        format: FORMAT,
        generation,
        applied: 0,
        border: 0,
        border_hash: [0; 32],
        clock: crossport_protocol::clock::Clock(0),
        chats: 0,
        streams: 0,
    }
}
