//! Tests of the registers: latest wins, batches are whole, nothing readable on the disk, damage by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::journal::failing_disk::FailingDisk;

const KEY: [u8; 32] = [9; 32];

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn open(folder: &Path) -> (Registers, RegistersReport) {
    Registers::open(folder, &KEY).expect("the registers open")
}

fn set(key: &str, value: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.as_bytes().to_vec(), Some(value.as_bytes().to_vec()))
}

fn put(registers: &mut Registers, changes: &[(Vec<u8>, Option<Vec<u8>>)]) {
    registers.put_all(changes, true).expect("putting");
}

fn all(registers: &Registers) -> BTreeMap<Vec<u8>, Vec<u8>> {
    registers
        .prefix(b"")
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect()
}

/// Opens a copy of the file after a change, so that the file itself stays as it is.
fn open_changed(
    original: &[u8],
    change: impl FnOnce(&mut Vec<u8>),
) -> (
    TempDir,
    Result<(Registers, RegistersReport), RegistersError>,
) {
    let copy = folder();
    let mut bytes = original.to_vec();
    change(&mut bytes);
    fs::write(copy.path().join(FILE), bytes).expect("writing");
    let opened = Registers::open(copy.path(), &KEY);
    (copy, opened)
}

#[test]
fn the_latest_value_counts_and_removed_registers_are_gone_also_after_opening_again() {
    let place = folder();
    let (mut registers, report) = open(place.path());
    assert!(report.created);
    put(
        &mut registers,
        &[
            set("read/anna", "1"),
            set("read/boris", "1"),
            set("card/anna", "A"),
        ],
    );
    put(
        &mut registers,
        &[
            set("read/anna", "2"),
            (b"read/boris".to_vec(), None),
            set("empty", ""),
        ],
    );
    for _ in 0..2 {
        assert_eq!(registers.get(b"read/anna"), Some(b"2".as_slice()));
        assert_eq!(registers.get(b"read/boris"), None);
        assert_eq!(registers.get(b"empty"), Some(b"".as_slice()));
        let read: Vec<_> = registers.prefix(b"read/").collect();
        assert_eq!(read, [(b"read/anna".as_slice(), b"2".as_slice())]);
        drop(registers);
        let (again, report) = open(place.path());
        assert_eq!(report, RegistersReport::default());
        registers = again;
    }
}

#[test]
fn no_key_and_no_value_is_readable_on_the_disk() {
    let place = folder();
    let (mut registers, _) = open(place.path());
    put(
        &mut registers,
        &[set("canary-key-of-anna", "canary-value-of-anna")],
    );
    drop(registers);
    let bytes = fs::read(place.path().join(FILE)).expect("reading");
    assert!(!bytes.windows(6).any(|window| window == b"canary"));
    assert_eq!(
        open(place.path()).0.get(b"canary-key-of-anna"),
        Some(b"canary-value-of-anna".as_slice())
    );
}

#[test]
fn a_wrong_key_a_second_owner_and_an_unreadable_header_are_refused_by_name() {
    let place = folder();
    let (mut registers, _) = open(place.path());
    put(&mut registers, &[set("a", "1")]);
    assert!(matches!(
        Registers::open(place.path(), &KEY),
        Err(RegistersError::InUse { .. })
    ));
    drop(registers);
    assert!(matches!(
        Registers::open(place.path(), &[1; 32]),
        Err(RegistersError::WrongKey { .. })
    ));
    let bytes = fs::read(place.path().join(FILE)).expect("reading");
    let (_copy, one) = open_changed(&bytes, |bytes| bytes[30] ^= 1);
    assert_eq!(
        one.expect("the other copy is whole").0.get(b"a"),
        Some(b"1".as_slice())
    );
    let (_copy, both) = open_changed(&bytes, |bytes| bytes[..128].fill(7));
    assert!(matches!(both, Err(RegistersError::Unreadable { .. })));
}

#[test]
fn a_batch_that_was_torn_off_is_gone_whole_and_the_one_before_is_there() {
    let place = folder();
    let (mut registers, _) = open(place.path());
    put(&mut registers, &[set("a", "1"), set("b", "1")]);
    let before = usize::try_from(registers.stored_bytes()).expect("small");
    put(
        &mut registers,
        &[set("a", "2"), set("b", "2"), set("c", "2")],
    );
    let bytes = fs::read(place.path().join(FILE)).expect("reading");
    for length in before..bytes.len() {
        let (_copy, opened) = open_changed(&bytes, |bytes| bytes.truncate(length));
        let (registers, report) = opened.expect("a torn tail is tolerated");
        assert_eq!(
            all(&registers).into_values().collect::<Vec<_>>(),
            [b"1", b"1"],
            "cut at {length}"
        );
        assert_eq!(report.torn_bytes, (length - before) as u64);
        assert!(report.damaged.is_empty());
    }
}

#[test]
fn a_damaged_entry_is_named_with_its_register_and_the_others_are_read() {
    let place = folder();
    let (mut registers, _) = open(place.path());
    put(&mut registers, &[set("a", "1"), set("b", "1")]);
    let start = usize::try_from(registers.stored_bytes()).expect("small");
    put(&mut registers, &[set("a", "2")]);
    put(&mut registers, &[set("b", "2")]);
    let bytes = fs::read(place.path().join(FILE)).expect("reading");
    let (_copy, opened) = open_changed(&bytes, |bytes| bytes[start + 40] ^= 1);
    let (registers, report) = opened.expect("damage is no reason to refuse");
    let named = DamagedEntry {
        offset: start as u64,
        key: Some(b"a".to_vec()),
    };
    assert_eq!(report.damaged, [named]);
    assert_eq!(
        (registers.get(b"a"), registers.get(b"b")),
        (Some(b"1".as_slice()), Some(b"2".as_slice()))
    );
    let (_copy, opened) = open_changed(&bytes, |bytes| bytes[start + 9] ^= 1);
    let (registers, report) = opened.expect("damage is no reason to refuse");
    assert_eq!(
        report.damaged,
        [DamagedEntry {
            offset: start as u64,
            key: None
        }]
    );
    assert_eq!(registers.get(b"b"), Some(b"2".as_slice()));
}

#[test]
fn every_flipped_bit_leaves_values_that_were_written_at_some_time() {
    let place = folder();
    let (mut registers, _) = open(place.path());
    for round in ["1", "2", "3"] {
        put(&mut registers, &[set("a", round), set("b", round)]);
    }
    let bytes = fs::read(place.path().join(FILE)).expect("reading");
    let mut stale = 0;
    for bit in 0..bytes.len() * 8 {
        let (_copy, opened) = open_changed(&bytes, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let (registers, report) = opened.expect("one flipped bit is no reason to refuse");
        for (key, value) in all(&registers) {
            assert!(
                [b"a", b"b"].contains(&&[key[0]]) && [b"1", b"2", b"3"].contains(&&[value[0]]),
                "bit {bit}"
            );
        }
        let newest = registers.get(b"a") == Some(b"3") && registers.get(b"b") == Some(b"3");
        assert!(
            newest || !report.damaged.is_empty(),
            "bit {bit}: an older value without a word"
        );
        stale += usize::from(!newest);
    }
    assert!(stale > 500, "{stale}");
}

#[test]
fn the_file_is_compacted_when_more_than_half_of_it_is_garbage() {
    let place = folder();
    let (mut registers, _) = open(place.path());
    let value = "x".repeat(500);
    let kept: Vec<_> = (0..20).map(|n| set(&format!("kept/{n}"), &value)).collect();
    put(&mut registers, &kept);
    let mut largest = 0;
    for round in 0..600 {
        registers
            .put_all(&[set("counter", &format!("{round}{value}"))], false)
            .expect("putting");
        largest = largest.max(registers.stored_bytes());
    }
    assert!(
        largest < 2 * LEAST_COMPACTED_BYTES,
        "{largest} bytes for 21 registers"
    );
    let expected = all(&registers);
    drop(registers);
    let (registers, report) = open(place.path());
    assert_eq!(
        (all(&registers), report),
        (expected, RegistersReport::default())
    );
}

#[test]
fn limits_are_refused_and_change_nothing() {
    let place = folder();
    let (mut registers, _) = open(place.path());
    let key = vec![1; MAX_KEY_BYTES + 1];
    let value = vec![1; MAX_VALUE_BYTES + 1];
    for change in [(key, Some(vec![])), (vec![1], Some(value))] {
        let refused = registers.put_all(&[set("a", "1"), change], true);
        assert!(
            matches!(refused, Err(RegistersError::TooLarge { .. })),
            "{refused:?}"
        );
    }
    assert!(all(&registers).is_empty());
    put(
        &mut registers,
        &[(vec![1; MAX_KEY_BYTES], Some(vec![1; MAX_VALUE_BYTES]))],
    );
    drop(registers);
    assert_eq!(all(&open(place.path()).0).len(), 1);
}

#[test]
fn a_full_disk_keeps_what_is_there_and_a_failed_fdatasync_stops() {
    let place = folder();
    let disk = FailingDisk::default();
    let (mut registers, _) =
        Registers::open_on(Arc::new(disk.clone()), place.path(), &KEY).expect("opening");
    put(&mut registers, &[set("a", "1")]);
    disk.with(|faults| faults.space = Some(100));
    let refused = registers.put_all(&[set("a", "2"), set("b", "2")], true);
    assert!(matches!(refused, Err(RegistersError::Full)), "{refused:?}");
    assert_eq!(all(&registers).len(), 1);
    disk.with(|faults| faults.space = None);
    put(&mut registers, &[set("a", "3")]);
    disk.with(|faults| faults.sync_fails = true);
    let failed = registers.put_all(&[set("a", "4")], true);
    assert!(
        matches!(failed, Err(RegistersError::Stopped { .. })),
        "{failed:?}"
    );
    disk.with(|faults| faults.sync_fails = false);
    assert!(matches!(
        registers.put_all(&[set("a", "5")], false),
        Err(RegistersError::Stopped { .. })
    ));
    assert_eq!(registers.get(b"a"), Some(b"3".as_slice()));
    drop(registers);
    assert!(open(place.path()).1.damaged.is_empty());
}

#[test]
fn a_machine_that_dies_at_any_step_keeps_every_durable_batch_also_while_compacting() {
    let value = "x".repeat(3_000);
    for steps in 0..90 {
        let place = folder();
        let disk = FailingDisk::default();
        let (mut registers, _) =
            Registers::open_on(Arc::new(disk.clone()), place.path(), &KEY).expect("opening");
        disk.with(|faults| faults.dies_after = Some(steps));
        let mut durable = 0;
        for round in 1..=40_u32 {
            let changes = [
                set("a", &format!("{round:08}{value}")),
                set("b", &format!("{round:08}")),
            ];
            match registers.put_all(&changes, true) {
                Ok(()) => durable = round,
                Err(RegistersError::Stopped { .. }) => break,
                Err(other) => panic!("{other}"),
            }
        }
        drop(registers);
        let (registers, report) = open(place.path());
        assert!(report.damaged.is_empty(), "{steps}: {report:?}");
        let round = |key: &[u8]| {
            let text = registers
                .get(key)
                .and_then(|value| std::str::from_utf8(value.get(..8)?).ok());
            text.map_or(0, |text| text.parse::<u32>().expect("a number"))
        };
        assert_eq!(round(b"a"), round(b"b"), "{steps}: half a batch");
        assert!(round(b"a") >= durable, "{steps}: {durable} was durable");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn registers_are_a_map(
        batches in proptest::collection::vec(
            (proptest::collection::vec((0_u8..12, proptest::option::of(0_usize..3_000)), 0..6), any::<bool>(), 0_u8..6),
            0..40,
        ),
    ) {
        let place = folder();
        let (mut registers, _) = open(place.path());
        let mut expected = BTreeMap::new();
        for (batch, durable, stop) in batches {
            let changes: Vec<_> = batch
                .iter()
                .map(|(key, length)| (vec![*key; 4], length.map(|length| vec![*key; length])))
                .collect();
            registers.put_all(&changes, durable).expect("putting");
            for (key, value) in changes {
                match value {
                    Some(value) => expected.insert(key, value),
                    None => expected.remove(&key),
                };
            }
            if stop == 0 {
                drop(registers);
                registers = open(place.path()).0;
            }
            prop_assert_eq!(&all(&registers), &expected);
        }
    }
}
