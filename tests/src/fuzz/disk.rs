//! Targets for files that a disk gives back damaged, or that somebody put there: journal, registers, anchor.
//!
//! Each input is tried as it came and once more with its checksums made right again, because otherwise every mutation
//! would end at a checksum. The layouts are known here a second time, from the documentation at the head of the modules.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use crossport_node::journal::{Journal, NewRecord, Options, Position, Record, anchor};
use crossport_node::registers::Registers;
use crossport_protocol::ids::Hash;
use tempfile::TempDir;

use super::Outcome;
use super::wire::reason;

/// The key of every journal and register file here.
pub const KEY: [u8; 32] = [3; 32];
/// The first segment of a journal.
pub const SEGMENT: &str = "0000000000000000.segment";
pub const REGISTERS: &str = "registers.log";

thread_local! {
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// Runs with an empty folder, in memory where the system has such a place: the content counts here, not the disk.
fn with_folder<T>(act: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with_borrow_mut(|held| {
        let folder = held.get_or_insert_with(|| {
            let shared = Path::new("/dev/shm");
            if shared.is_dir() {
                tempfile::tempdir_in(shared)
            } else {
                tempfile::tempdir()
            }
            .expect("a temporary folder")
        });
        let inside = folder.path().join("files");
        if inside.exists() {
            fs::remove_dir_all(&inside).expect("own folder");
        }
        fs::create_dir(&inside).expect("own folder");
        act(&inside)
    })
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("the temporary folder can be written");
    path
}

/// A segment file.
pub fn journal(bytes: &[u8]) -> Outcome {
    let as_it_came = with_folder(|folder| journal_in(folder, bytes));
    let repaired = repair_segment(bytes);
    if repaired == bytes {
        return as_it_came;
    }
    with_folder(|folder| journal_in(folder, &repaired))
}

fn journal_in(folder: &Path, bytes: &[u8]) -> Outcome {
    put(folder, SEGMENT, bytes);
    let (mut journal, report) = Journal::open(folder, &KEY, Options::default()).map_err(reason)?;
    let first = readable(&journal);
    let verified = journal.reader().verify_all();
    assert_eq!(verified.records, first.len() as u64);
    let head = journal.head();
    let new = NewRecord {
        kind: 1,
        sealed: true,
        payload: b"after the damage",
    };
    let places = match journal.append(head.position, &[new]) {
        Ok(places) => places,
        Err(error) => return Err(reason(error)),
    };
    drop(journal);
    let (journal, _) = Journal::open(folder, &KEY, Options::default())
        .unwrap_or_else(|error| panic!("opened once, not again: {error}"));
    let second = readable(&journal);
    let (old, new) = second.split_at(second.len().saturating_sub(1));
    assert_eq!(old, first, "another journal after one append");
    assert!(
        matches!(new, [record] if Some(&record.position) == places.first()
        && record.payload == b"after the damage")
    );
    if verified.damaged == 0 && report.damage.is_empty() {
        Ok(())
    } else {
        Err("damaged".to_owned())
    }
}

fn readable(journal: &Journal) -> Vec<Record> {
    let reader = journal.reader();
    let records: Vec<Record> = reader.scan(Position::START).flatten().collect();
    for record in &records {
        let alone = reader.read(record.position);
        assert_eq!(alone.as_ref().ok(), Some(record), "scanned, not read alone");
    }
    assert!(records.is_sorted_by(|one, next| one.next <= next.position));
    records
}

pub fn registers(bytes: &[u8]) -> Outcome {
    let as_it_came = with_folder(|folder| registers_in(folder, bytes));
    let repaired = repair_registers(bytes);
    if repaired == bytes {
        return as_it_came;
    }
    with_folder(|folder| registers_in(folder, &repaired))
}

fn registers_in(folder: &Path, bytes: &[u8]) -> Outcome {
    put(folder, REGISTERS, bytes);
    let (mut registers, report) = Registers::open(folder, &KEY).map_err(reason)?;
    registers
        .put_all(&[(b"new".to_vec(), Some(b"value".to_vec()))], true)
        .map_err(reason)?;
    let everything = |registers: &Registers| -> Vec<(Vec<u8>, Vec<u8>)> {
        let all = registers.prefix(b"");
        all.map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect()
    };
    let before = everything(&registers);
    drop(registers);
    let (registers, again) = Registers::open(folder, &KEY)
        .unwrap_or_else(|error| panic!("opened once, not again: {error}"));
    assert_eq!(
        everything(&registers),
        before,
        "other registers after a start"
    );
    assert_eq!(registers.get(b"new"), Some(b"value".as_slice()));
    assert_eq!(
        again.torn_bytes, 0,
        "what was torn off is cut at the first start"
    );
    if report.damaged.is_empty() {
        Ok(())
    } else {
        Err("damaged".to_owned())
    }
}

pub fn anchor(bytes: &[u8]) -> Outcome {
    with_folder(|folder| {
        let path = put(folder, "anchor", bytes);
        let head = anchor::read(&path).map_err(reason)?.ok_or("no anchor")?;
        anchor::write(&path, &head).expect("the temporary folder can be written");
        let written = fs::read(&path).expect("just written");
        assert_eq!(written, bytes, "two byte strings for one anchor");
        Ok(())
    })
}

const SEGMENT_COPY: usize = 128;
const RECORD_HEADER: usize = 40;
const GROUP: u16 = 0xff01;
const GROUP_PAYLOAD: usize = 72;

/// Right checksums, positions, content hashes and chain of groups, wherever something looks like a record.
fn repair_segment(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for copy in [0, SEGMENT_COPY] {
        fix_crc(&mut bytes, 0, copy..copy + 88, copy + 88);
    }
    let Some(generation) = bytes.get(16..32) else {
        return bytes;
    };
    let initial = crc32fast::hash(generation);
    let base = u64_at(&bytes, 32).unwrap_or_default();
    let mut chain = bytes.get(40..72).map(<[u8]>::to_vec).unwrap_or_default();
    let starts = occurrences(&bytes, b"XPR1", 2 * SEGMENT_COPY);
    // Records first, groups after them: a group hashes its records.
    for groups in [false, true] {
        for &start in &starts {
            if (u16_at(&bytes, start + 4) == Some(GROUP)) != groups {
                continue;
            }
            let length = u32_at(&bytes, start + 8).unwrap_or_default() as usize;
            let payload = start + RECORD_HEADER..start + RECORD_HEADER + length;
            let position = base.wrapping_add(start as u64);
            if groups && length == GROUP_PAYLOAD {
                chain = fix_group(&mut bytes, start, position, &chain);
            }
            fix_crc(&mut bytes, initial, payload, start + 12);
            overwrite(&mut bytes, start + 16, &position.to_le_bytes());
            fix_crc(&mut bytes, initial, start..start + 24, start + 24);
            let pointer = bytes.get(start + 28..start + 36).map(<[u8]>::to_vec);
            if let Some(by) = pointer.filter(|by| by.iter().any(|byte| *byte != 0)) {
                let covered = [position.to_le_bytes().as_slice(), &by].concat();
                let crc = crc_over(initial, &covered);
                overwrite(&mut bytes, start + 36, &crc.to_le_bytes());
            }
        }
    }
    bytes
}

/// Makes a group's payload right and returns the running hash behind it.
fn fix_group(bytes: &mut [u8], start: usize, position: u64, before: &[u8]) -> Vec<u8> {
    let payload = start + RECORD_HEADER;
    let length = u32_at(bytes, payload + 68).unwrap_or_default() as usize;
    let content = bytes.get(payload + GROUP_PAYLOAD..start.saturating_add(length));
    let content = Hash::of(&[content.unwrap_or_default()]);
    overwrite(bytes, payload, before);
    overwrite(bytes, payload + 32, &content.0);
    let whole = bytes
        .get(payload..payload + GROUP_PAYLOAD)
        .unwrap_or_default();
    let label = b"crossport journal group 1";
    Hash::of(&[label, &position.to_le_bytes(), whole])
        .0
        .to_vec()
}

/// Right checksums of a register file.
fn repair_registers(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for copy in [0, 64] {
        fix_crc(&mut bytes, 0, copy..copy + 48, copy + 48);
    }
    let Some(file) = bytes.get(16..32).map(<[u8]>::to_vec) else {
        return bytes;
    };
    for start in occurrences(&bytes, b"XPE1", 128) {
        let length = u32_at(&bytes, start + 8).unwrap_or_default() as usize;
        let payload = start + 28..start.saturating_add(28).saturating_add(length);
        fix_crc(&mut bytes, 0, payload, start + 20);
        let header = bytes.get(start..start + 24).unwrap_or_default();
        let covered = [&file, (start as u64).to_le_bytes().as_slice(), header].concat();
        let crc = crc_over(0, &covered);
        overwrite(&mut bytes, start + 24, &crc.to_le_bytes());
    }
    bytes
}

fn occurrences(bytes: &[u8], magic: &[u8; 4], from: usize) -> Vec<usize> {
    let windows = bytes.windows(4).enumerate().skip(from);
    windows
        .filter(|(_, window)| window == magic)
        .map(|(at, _)| at)
        .collect()
}

fn crc_over(initial: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(initial);
    hasher.update(bytes);
    hasher.finalize()
}

fn fix_crc(bytes: &mut [u8], initial: u32, covered: std::ops::Range<usize>, at: usize) {
    if let Some(crc) = bytes.get(covered).map(|bytes| crc_over(initial, bytes)) {
        overwrite(bytes, at, &crc.to_le_bytes());
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(with.len())) {
        place.copy_from_slice(with);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let rest = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*rest))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let rest = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*rest))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let rest = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*rest))
}
