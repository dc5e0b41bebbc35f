//! Tests of the journal, by what they attack. What they share: a folder, a key, and reading everything back.

mod basics;
mod costs;
mod damage;
mod erasing;
mod failing;
mod random;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

pub(super) const KEY: [u8; 32] = [7; 32];

/// A journal in a folder of its own.
pub(super) struct Place {
    folder: TempDir,
    pub options: Options,
}

impl Place {
    pub fn new() -> Place {
        Place {
            folder: tempfile::tempdir().expect("a temporary folder"),
            options: Options::default(),
        }
    }

    pub fn with_segments_of(segment_bytes: u64) -> Place {
        let mut place = Place::new();
        place.options.segment_bytes = segment_bytes;
        place
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn open(&self) -> (Journal, OpenReport) {
        Journal::open(self.path(), &KEY, self.options.clone()).expect("the journal opens")
    }

    /// A copy of all files, as a backup would make it.
    pub fn copy(&self) -> Place {
        let mut copy = Place::new();
        copy.options = self.options.clone();
        for entry in fs::read_dir(self.path()).expect("listing") {
            let entry = entry.expect("listing");
            fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copying");
        }
        copy
    }

    pub fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path())
            .expect("listing")
            .map(|entry| entry.expect("listing").path());
        let mut found: Vec<PathBuf> = entries
            .filter(|path| path.extension().is_some_and(|e| e == "segment"))
            .collect();
        found.sort();
        found
    }

    /// Whether these bytes stand in any file of the folder.
    pub fn contains(&self, needle: &[u8]) -> bool {
        fs::read_dir(self.path()).expect("listing").any(|entry| {
            let bytes = fs::read(entry.expect("listing").path()).expect("reading");
            bytes.windows(needle.len()).any(|window| window == needle)
        })
    }
}

pub(super) fn open_text(payload: &[u8]) -> NewRecord<'_> {
    NewRecord {
        kind: 1,
        sealed: false,
        payload,
    }
}

pub(super) fn local_fact(payload: &[u8]) -> NewRecord<'_> {
    NewRecord {
        kind: 2,
        sealed: true,
        payload,
    }
}

/// Appends one group at the head.
pub(super) fn append(journal: &mut Journal, records: &[NewRecord<'_>]) -> Vec<Position> {
    journal
        .append(journal.head().position, records)
        .expect("appending")
}

/// Appends each payload as a group of its own.
pub(super) fn append_each(journal: &mut Journal, payloads: &[&[u8]]) -> Vec<Position> {
    payloads
        .iter()
        .flat_map(|payload| append(journal, &[open_text(payload)]))
        .collect()
}

pub(super) fn payloads(journal: &Journal) -> Vec<Vec<u8>> {
    journal
        .reader()
        .scan(Position::START)
        .map(|record| record.expect("no damage").payload)
        .collect()
}

/// Payloads, with damage in words.
pub(super) fn readable(journal: &Journal) -> Vec<Result<Vec<u8>, DamageReason>> {
    journal
        .reader()
        .scan(Position::START)
        .map(|step| {
            step.map(|record| record.payload)
                .map_err(|damage| damage.reason)
        })
        .collect()
}

/// Changes bytes of a file behind the journal's back.
pub(super) fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("reading");
    change(&mut bytes);
    fs::write(path, bytes).expect("writing");
}
