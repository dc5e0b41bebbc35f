//! The index: what can be found without reading the journal. A cache in sled, and the only user of sled.
//!
//! Owns one tree with prefixed keys (the tables are in `index/rows.rs`), the rows that are not written yet, and where in
//! the journal the written ones stand: (generation, applied position, running hash) are in the same batch as the rows.
//! It must not read the journal nor know a record. Losing it costs a rebuild and nothing else, so sled is never waited
//! for: its own flushing is off, and after a crash it may be behind.
//!
//! There are two views. What was committed is what people may be shown; what is staged as well is what the next decision
//! follows from.

pub mod arrivals;
pub mod rows;
mod scan;
pub mod timeline;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use crossport_protocol::codec::CodecError;
use crossport_protocol::ids::{ChatId, Hash, StreamId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use rows::{ChatMeta, ChatRow, EnvelopeRow, HashRow, HeadRow, Spot, StreamOrdinal, StreamRow};
pub use scan::{Direction, RowBytes, Scan};

/// Layout of all tables. Another number is a rebuild.
pub const FORMAT: u32 = 1;
/// sled's page cache. Inner pages of millions of rows fit; leaves come from the system's cache. sled takes several times
/// this for itself: about 100 MiB in all with a million messages.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Ordinals of streams that are kept in memory; a few megabytes.
const MAX_KNOWN_STREAMS: usize = 16_384;
const DATABASE: &str = "sled";
/// Present when the index must not be trusted at the next open.
const DISTRUST_MARK: &str = "rebuild";
/// Says during which run of the machine the index was last open.
const RUN_MARK: &str = "run";
/// Another value after every start of the machine.
const RUN_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Why the index failed. Whatever it is, a rebuild is the way out.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("the index cannot be used: {0}")]
    Database(#[from] sled::Error),
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
    tree: sled::Tree,
    database: sled::Db,
    pending: BTreeMap<Vec<u8>, Option<sled::IVec>>,
    head: HeadRow,
    known_streams: BTreeMap<(u32, StreamId), u32>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("head", &self.head)
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the index of the journal `generation`, or begins an empty one. The reason says why it had to be begun anew
    /// although there should have been one. After a crash of the process the files are as they were; after one of the
    /// machine nobody knows which of them reached the disk, so such an index is not trusted.
    ///
    /// # Errors
    /// Only when even an empty one cannot be made (no space, no permission).
    pub fn open(
        folder: &Path,
        generation: [u8; 16],
        was_clean: bool,
    ) -> Result<(Index, Option<String>), IndexError> {
        let existed = folder.join(DATABASE).exists();
        let reason = if folder.join(DISTRUST_MARK).exists() {
            "it failed while it was last used".to_owned()
        } else if !was_clean && fs::read(folder.join(RUN_MARK)).ok() != run_id() {
            "the machine stopped while it was open".to_owned()
        } else {
            match Index::open_existing(folder, generation) {
                Ok(Ok(index)) => return Ok((index, None)),
                Ok(Err(reason)) => reason,
                Err(failure) => failure.to_string(),
            }
        };
        let index = Index::create(folder, generation)?;
        Ok((index, existed.then_some(reason)))
    }

    /// Drops every row and begins anew.
    pub fn clear(&mut self) -> Result<(), IndexError> {
        // First the head: without it, what a crash leaves of the rest is not taken for an index.
        self.tree.remove(rows::HEAD)?;
        self.tree.clear()?;
        self.pending.clear();
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
            && let Some(staged) = self.pending.get(key)
        {
            return Ok(staged.clone());
        }
        Ok(self.tree.get(key)?)
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
        let staged = (view == View::Staged).then_some(&self.pending);
        Scan::new(&self.tree, staged, direction, low, high)
    }

    /// Rows whose key begins with `prefix`, in order.
    pub fn prefix(&self, view: View, prefix: &[u8]) -> Scan<'_> {
        self.scan(view, Direction::Up, prefix, &scan::end_of(prefix))
    }

    pub fn put<T: Serialize>(&mut self, key: Vec<u8>, row: &T) {
        self.put_bytes(key, rows::encode(row));
    }

    pub fn put_bytes(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.pending.insert(key, Some(value.into()));
    }

    pub fn remove(&mut self, key: Vec<u8>) {
        self.pending.insert(key, None);
    }

    /// Rows wait to be written.
    pub fn is_staged(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Fills in the journal's position of a staged row that begins with one.
    pub fn place(&mut self, key: &[u8], position: u64) {
        if let Some(Some(row)) = self.pending.get_mut(key) {
            *row = rows::with_position(row, position).into();
        }
    }

    /// Writes all staged rows and the head as one batch. Does not wait for the disk.
    pub fn write(&mut self) -> Result<(), IndexError> {
        let mut batch = sled::Batch::default();
        for (key, row) in &self.pending {
            match row {
                Some(row) => batch.insert(key.as_slice(), row),
                None => batch.remove(key.as_slice()),
            }
        }
        batch.insert(rows::HEAD, rows::encode(&self.head));
        self.tree.apply_batch(batch)?;
        self.pending.clear();
        Ok(())
    }

    /// Hands everything to the disk; at a clean stop, so that the next start has nothing to replay.
    pub fn close(self) -> Result<(), IndexError> {
        self.database.flush()?;
        // sled asks the kernel to begin writing and not to finish it.
        sync_folder(&self.folder.join(DATABASE))?;
        Ok(())
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
        generation: [u8; 16],
    ) -> Result<Result<Index, String>, IndexError> {
        let opened = panic::catch_unwind(AssertUnwindSafe(|| {
            let (database, tree) = open_database(folder)?;
            let head = tree.get(rows::HEAD)?;
            Ok::<_, IndexError>((database, tree, head))
        }));
        let (database, tree, head) = match opened {
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
        mark_run(folder)?;
        Ok(Ok(Index::of(folder, database, tree, head)))
    }

    fn create(folder: &Path, generation: [u8; 16]) -> Result<Index, IndexError> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let (database, tree) = open_database(folder)?;
        mark_run(folder)?;
        Ok(Index::of(folder, database, tree, empty_head(generation)))
    }

    fn of(folder: &Path, database: sled::Db, tree: sled::Tree, head: HeadRow) -> Index {
        Index {
            folder: folder.to_owned(),
            tree,
            database,
            pending: BTreeMap::new(),
            head,
            known_streams: BTreeMap::new(),
        }
    }
}

fn open_database(folder: &Path) -> Result<(sled::Db, sled::Tree), IndexError> {
    let database = sled::Config::new()
        .path(folder.join(DATABASE))
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None)
        .open()?;
    let tree = (*database).clone();
    Ok((database, tree))
}

/// What tells this run of the machine from others; None where the system does not say.
fn run_id() -> Option<Vec<u8>> {
    fs::read(RUN_ID).ok()
}

fn mark_run(folder: &Path) -> io::Result<()> {
    match run_id() {
        Some(id) => fs::write(folder.join(RUN_MARK), id),
        None => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_folder(&path)?;
        } else {
            fs::File::open(&path)?.sync_all()?;
        }
    }
    fs::File::open(folder)?.sync_all()
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
