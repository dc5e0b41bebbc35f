//! Opening a journal: creating it, or finding its segments, its generation and its end.
//!
//! Owns the order of checks at open and the mark of a clean stop. After a clean stop nothing is scanned; after an
//! unclean one only the last segment is, because a segment is begun only when everything before it is durable, and
//! its header holds the running hash at its start. Damage never makes opening fail as long as one segment header is
//! readable: it is reported, and what can be read is served.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use zeroize::Zeroizing;

use super::anchor;
use super::disk::{self, DiskFile};
use super::error::{Damage, DamageReason, JournalError};
use super::format::{
    Checksum, FoundHeader, Head, Position, SEGMENT_HEADER, SegmentHeader, first_hash,
};
use super::reader::Shared;
use super::recover::{Recovered, end_hash, recover};
use super::seal::Sealer;
use super::segment::{self, Segment};
use super::verify::MAX_NAMED_DAMAGE;
use super::{Journal, Options};
use crate::lock;

/// Written by a clean stop and removed at open.
pub(super) const CLEAN_MARK: &str = "clean";
pub(super) const CLEAN_MAGIC: [u8; 8] = *b"XPCLEAN1";
const LOCK: &str = "lock";

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// There was no journal; an empty one was created.
    pub created: bool,
    /// The journal was stopped cleanly; nothing was scanned.
    pub clean: bool,
    /// Segment files found.
    pub segments: usize,
    /// Bytes of the last segment that were scanned.
    pub scanned_bytes: u64,
    /// Bytes at the end that belonged to a group which was never acknowledged, and were cut.
    pub torn_bytes: u64,
    /// Erasures that a crash had interrupted and that are finished now.
    pub erasures_redone: usize,
    /// Damage met on the way, at most [`MAX_NAMED_DAMAGE`] places. Not the whole truth: see `verify_all`.
    pub damage: Vec<Damage>,
}

pub(super) fn open(
    folder: &Path,
    key: &[u8; 32],
    options: Options,
) -> Result<(Journal, OpenReport), JournalError> {
    fs::create_dir_all(folder).map_err(|e| JournalError::io("creating", folder, e))?;
    let lock = take_lock(folder)?;
    let paths = segment_paths(folder)?;
    let mut report = OpenReport {
        segments: paths.len(),
        ..OpenReport::default()
    };
    let (segments, head) = if paths.is_empty() {
        report.created = true;
        create(folder, key, &options)?
    } else {
        let segments = open_segments(folder, key, &options, paths, &mut report)?;
        (segments, None)
    };
    let generation = segments.generation;
    let head = match head {
        Some(head) => Found {
            head,
            erasures: Vec::new(),
            last_note_group: Position::START,
            is_damaged: false,
        },
        None => find_end(folder, &options, &segments, &mut report)?,
    };
    let active = segments
        .list
        .last()
        .cloned()
        .ok_or_else(|| JournalError::Unreadable {
            folder: folder.to_owned(),
        })?;
    let shared = Arc::new(Shared {
        checksum: Checksum::of_generation(&generation),
        segments: RwLock::new(segments.list),
        head: RwLock::new(head.head),
        overwriting: Mutex::new(()),
        #[cfg(test)]
        payload_checks_off: options.payload_checks_off,
    });
    let journal = Journal {
        folder: folder.to_owned(),
        key: Zeroizing::new(*key),
        options,
        shared,
        active,
        active_is_damaged: head.is_damaged,
        buffer: Vec::new(),
        stopped: None,
        _lock: lock,
    };
    for (note, erased) in &head.erasures {
        // The last group may never have reached the disk before, so its overwriting is done again in any case.
        let redone = journal.redo(*note, erased, *note >= head.last_note_group)?;
        report.erasures_redone += usize::from(redone);
    }
    report.damage.truncate(MAX_NAMED_DAMAGE);
    Ok((journal, report))
}

struct Segments {
    generation: [u8; 16],
    list: Vec<Arc<Segment>>,
}

struct Found {
    head: Head,
    erasures: Vec<(Position, super::format::Erased)>,
    last_note_group: Position,
    /// Something of the last segment does not check.
    is_damaged: bool,
}

fn take_lock(folder: &Path) -> Result<File, JournalError> {
    let path = folder.join(LOCK);
    lock::take(&path).map_err(|error| match error {
        TryLockError::WouldBlock => JournalError::InUse {
            folder: folder.to_owned(),
        },
        TryLockError::Error(source) => JournalError::io("locking", &path, source),
    })
}

/// The segment files in order. Files that a crash left half-made are none.
fn segment_paths(folder: &Path) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let failed = |source: io::Error| JournalError::io("listing", folder, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Some(base) = entry.file_name().to_str().and_then(segment::base_of) {
            found.push((base, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

fn create(
    folder: &Path,
    key: &[u8; 32],
    options: &Options,
) -> Result<(Segments, Option<Head>), JournalError> {
    // A mark without segments means that the segments were taken away: starting anew would hide that.
    if folder.join(CLEAN_MARK).exists() {
        return Err(JournalError::Unreadable {
            folder: folder.to_owned(),
        });
    }
    let mut generation = [0; 16];
    getrandom::fill(&mut generation).map_err(JournalError::Randomness)?;
    let head = Head {
        generation,
        position: Position::START,
        running_hash: first_hash(&generation),
    };
    let first = Segment::create(options.disk.as_ref(), folder, key, &head)?;
    // The folder itself is new as well.
    let above = disk::folder_of(folder);
    options
        .disk
        .sync_folder(above)
        .map_err(|e| JournalError::io("syncing", above, e))?;
    Ok((
        Segments {
            generation,
            list: vec![Arc::new(first)],
        },
        Some(head),
    ))
}

struct Opened {
    base: u64,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    length: u64,
    header: Option<SegmentHeader>,
}

fn open_segments(
    folder: &Path,
    key: &[u8; 32],
    options: &Options,
    paths: Vec<(u64, PathBuf)>,
    report: &mut OpenReport,
) -> Result<Segments, JournalError> {
    let mut opened = Vec::with_capacity(paths.len());
    for (base, path) in paths {
        opened.push(open_one(options, base, path)?);
    }
    let known = opened
        .iter()
        .find_map(|one| one.header.as_ref().map(|header| header.generation));
    let generation = known.ok_or_else(|| JournalError::Unreadable {
        folder: folder.to_owned(),
    })?;
    let bases: Vec<u64> = opened.iter().map(|one| one.base).collect();
    let mut list = Vec::with_capacity(opened.len());
    let mut expected = 0;
    for (index, one) in opened.into_iter().enumerate() {
        if one.base > expected {
            let (position, end) = (Position(expected), Position(one.base));
            report.damage.push(Damage {
                position,
                end,
                reason: DamageReason::Missing,
            });
        }
        expected = one.base.saturating_add(one.length);
        let is_last = index + 1 == bases.len();
        list.push(Arc::new(admit(key, &generation, one, is_last, report)?));
    }
    Ok(Segments { generation, list })
}

fn open_one(options: &Options, base: u64, path: PathBuf) -> Result<Opened, JournalError> {
    let file = options
        .disk
        .open(&path)
        .map_err(|e| JournalError::io("opening", &path, e))?;
    let length = file
        .length()
        .map_err(|e| JournalError::io("reading", &path, e))?;
    let header = match segment::read_header(file.as_ref())
        .map_err(|e| JournalError::io("reading", &path, e))?
    {
        FoundHeader::Valid(header) if header.base != base => {
            return Err(JournalError::Foreign { path });
        }
        FoundHeader::Valid(header) => Some(header),
        FoundHeader::Newer(version) => return Err(JournalError::NewerFormat { path, version }),
        FoundHeader::Damaged => None,
    };
    Ok(Opened {
        base,
        path,
        file,
        length,
        header,
    })
}

fn admit(
    key: &[u8; 32],
    generation: &[u8; 16],
    opened: Opened,
    is_last: bool,
    report: &mut OpenReport,
) -> Result<Segment, JournalError> {
    let Opened {
        base,
        path,
        file,
        length,
        header,
    } = opened;
    let sealer = Sealer::of_segment(key, generation, base);
    match &header {
        Some(header) if header.generation != *generation => {
            return Err(JournalError::Foreign { path });
        }
        Some(header) if header.key_check != sealer.key_check() => {
            return Err(JournalError::WrongKey { path });
        }
        Some(_) => {}
        None => {
            let end = Position(base.saturating_add(SEGMENT_HEADER));
            report.damage.push(Damage {
                position: Position(base),
                end,
                reason: DamageReason::SegmentHeader,
            });
        }
    }
    let running_hash = header.map(|header| header.running_hash);
    let checksum = Checksum::of_generation(generation);
    let closed_length = (!is_last).then_some(length);
    Ok(Segment {
        base,
        path,
        file,
        sealer,
        checksum,
        running_hash,
        closed_length,
    })
}

/// Finds the head: by the mark of a clean stop, or by recovering the last segment, which is then put in order on disk.
fn find_end(
    folder: &Path,
    options: &Options,
    segments: &Segments,
    report: &mut OpenReport,
) -> Result<Found, JournalError> {
    let generation = segments.generation;
    let last = segments
        .list
        .last()
        .ok_or_else(|| JournalError::Unreadable {
            folder: folder.to_owned(),
        })?;
    let length = last
        .file
        .length()
        .map_err(|e| JournalError::io("reading", &last.path, e))?;
    let mark = take_clean_mark(folder, options)?.filter(|mark| mark.generation == generation);
    let stored = if length <= SEGMENT_HEADER { 0 } else { length };
    let file_end = Position(last.base.saturating_add(stored));
    if let Some(head) = mark.filter(|mark| mark.position == file_end) {
        report.clean = true;
        return Ok(Found {
            head,
            erasures: Vec::new(),
            last_note_group: Position::START,
            is_damaged: false,
        });
    }
    let failed = |source: io::Error| JournalError::io("reading", &last.path, source);
    let before = match (last.running_hash, segments.list.iter().rev().nth(1)) {
        (None, Some(previous)) => {
            let whole = previous
                .closed_length
                .unwrap_or(0)
                .min(last.base - previous.base);
            end_hash(previous, whole).map_err(failed)?
        }
        (hash, _) => hash,
    };
    report.scanned_bytes = length.saturating_sub(SEGMENT_HEADER);
    let found = recover(last, length, before).map_err(failed)?;
    settle(last, length, &found, report)?;
    let position = if found.end == SEGMENT_HEADER {
        Position(last.base)
    } else {
        last.position(found.end)
    };
    if let Some(lost) = mark.filter(|mark| mark.position > position) {
        report.damage.push(Damage {
            position,
            end: lost.position,
            reason: DamageReason::Missing,
        });
    }
    let is_damaged = !found.damage.is_empty() || last.running_hash.is_none();
    report.damage.extend(found.damage);
    Ok(Found {
        head: Head {
            generation,
            position,
            running_hash: found.running_hash,
        },
        erasures: found.erasures,
        last_note_group: last.position(found.last_group),
        is_damaged,
    })
}

/// Cuts what was never acknowledged, and writes the last group once more: after a crash of the program, or a failed
/// fdatasync, it may have been read from memory that never reached the disk, and the kernel would not write it again.
fn settle(
    last: &Segment,
    length: u64,
    found: &Recovered,
    report: &mut OpenReport,
) -> Result<(), JournalError> {
    let failed = |source: io::Error| JournalError::io("repairing", &last.path, source);
    let end = found.end.min(length);
    if end < length {
        last.file.set_length(end).map_err(failed)?;
        report.torn_bytes = length - end;
    }
    let mut group = vec![0; usize::try_from(end.saturating_sub(found.last_group)).unwrap_or(0)];
    last.file
        .read_exact_at(&mut group, found.last_group.min(end))
        .map_err(failed)?;
    last.file
        .write_all_at(&group, found.last_group.min(end))
        .map_err(failed)?;
    last.file.sync_data().map_err(failed)
}

fn take_clean_mark(folder: &Path, options: &Options) -> Result<Option<Head>, JournalError> {
    let path = folder.join(CLEAN_MARK);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(JournalError::io("reading", &path, source)),
    };
    disk::remove_if_there(options.disk.as_ref(), &path)
        .map_err(|e| JournalError::io("removing", &path, e))?;
    options
        .disk
        .sync_folder(folder)
        .map_err(|e| JournalError::io("syncing", folder, e))?;
    // A damaged mark is no mark: the last segment is then scanned as after a crash.
    Ok(anchor::decode_as(CLEAN_MAGIC, &bytes))
}
