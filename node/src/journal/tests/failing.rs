//! Disks that fail: fdatasync errors, full, read-only, unreadable, dead at any step.

use super::failing_disk::FailingDisk;
use super::*;

fn failing(segment_bytes: u64) -> (Place, FailingDisk) {
    let disk = FailingDisk::default();
    let mut place = Place::with_segments_of(segment_bytes);
    place.options.disk = Arc::new(disk.clone());
    (place, disk)
}

#[test]
fn one_group_is_one_write_and_one_fdatasync() {
    let (place, disk) = failing(DEFAULT_SEGMENT_BYTES);
    let (mut journal, _) = place.open();
    let before = disk.with(|faults| (faults.writes, faults.syncs));
    append(&mut journal, &[open_text(&[1; 400]); 64]);
    let after = disk.with(|faults| (faults.writes, faults.syncs));
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
}

#[test]
fn after_a_failed_fdatasync_the_journal_has_stopped_and_never_tries_again() {
    let (place, disk) = failing(DEFAULT_SEGMENT_BYTES);
    let (mut journal, _) = place.open();
    let first = append_each(&mut journal, &[b"acknowledged"])[0];
    let head = journal.head();
    disk.with(|faults| faults.sync_fails = true);
    let failed = journal.append(head.position, &[open_text(b"not acknowledged")]);
    assert!(
        matches!(failed, Err(JournalError::Stopped { .. })),
        "{failed:?}"
    );
    disk.with(|faults| faults.sync_fails = false);
    let syncs = disk.with(|faults| faults.syncs);
    let again = journal.append(head.position, &[open_text(b"again")]);
    assert!(
        matches!(&again, Err(JournalError::Stopped { cause }) if cause.contains("fdatasync failed")),
        "{again:?}"
    );
    assert!(matches!(
        journal.erase_whole(first),
        Err(EraseError::Journal(JournalError::Stopped { .. }))
    ));
    assert_eq!(
        disk.with(|faults| faults.syncs),
        syncs,
        "the descriptor was used again"
    );
    assert!(journal.stopped().is_some());
    assert_eq!(
        (journal.head(), payloads(&journal)),
        (head, vec![b"acknowledged".to_vec()]),
        "reading goes on"
    );
    assert!(
        matches!(journal.close(), Err(JournalError::Stopped { .. })),
        "no clean mark after a failure"
    );
    // Opening reads the disk: the group may have survived, but then it is written once more.
    let writes = disk.with(|faults| faults.writes);
    let (journal, report) = place.open();
    assert!(!report.clean && disk.with(|faults| faults.writes) > writes);
    assert_eq!(payloads(&journal)[0], b"acknowledged");
}

#[test]
fn a_full_disk_refuses_the_group_keeps_the_rest_and_recovers_with_space() {
    let (place, disk) = failing(4_096);
    let (mut journal, _) = place.open();
    let mut stored = 0;
    for space in (0..6_000).step_by(97) {
        disk.with(|faults| faults.space = Some(space));
        let head = journal.head();
        let records = [open_text(&[1; 500]), local_fact(&[2; 500])];
        match journal.append(head.position, &records) {
            Ok(_) => stored += 2,
            Err(JournalError::Full) => {
                assert_eq!(journal.head(), head);
                // A crash just now finds nothing of the refused group.
                let mut crashed = place.copy();
                crashed.options.disk = Arc::new(RealDisk);
                let (crashed, report) = crashed.open();
                assert_eq!((crashed.head(), report.torn_bytes), (head, 0));
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(payloads(&journal).len(), stored, "space {space}");
    }
    assert!(stored > 0);
    disk.with(|faults| faults.space = None);
    append_each(&mut journal, &[b"space again"]);
    assert_eq!(journal.reader().verify_all().damaged, 0);
    let head = journal.head();
    drop(journal);
    let (journal, report) = place.open();
    assert_eq!(
        (journal.head(), report.torn_bytes, report.damage.len()),
        (head, 0, 0)
    );
    assert_eq!(payloads(&journal).len(), stored + 1);
}

#[test]
fn a_read_only_disk_is_told_by_name_and_passes() {
    let (place, disk) = failing(DEFAULT_SEGMENT_BYTES);
    let (mut journal, _) = place.open();
    append_each(&mut journal, &[b"one"]);
    disk.with(|faults| faults.read_only = true);
    let at = journal.head().position;
    let refused = journal.append(at, &[open_text(b"two")]);
    assert!(
        matches!(refused, Err(JournalError::ReadOnly { .. })),
        "{refused:?}"
    );
    assert_eq!(payloads(&journal), [b"one".to_vec()]);
    disk.with(|faults| faults.read_only = false);
    append_each(&mut journal, &[b"three"]);
    drop(journal);
    disk.with(|faults| faults.read_only = true);
    let opened = Journal::open(place.path(), &KEY, place.options.clone());
    assert!(
        matches!(opened, Err(JournalError::ReadOnly { .. })),
        "{opened:?}"
    );
}

#[test]
fn a_machine_that_dies_at_any_step_leaves_what_was_acknowledged_and_whole_groups() {
    for steps in 0..120 {
        let (mut place, disk) = failing(700);
        let (mut journal, _) = place.open();
        disk.with(|faults| faults.dies_after = Some(steps));
        let mut acknowledged = 0_u8;
        for group in 0..20_u8 {
            let (one, two) = ([group; 120], [group; 90]);
            match journal.append(
                journal.head().position,
                &[open_text(&one), local_fact(&two)],
            ) {
                Ok(_) => acknowledged += 1,
                Err(JournalError::Stopped { .. }) => break,
                Err(other) => panic!("{other}"),
            }
        }
        drop(journal);
        place.options.disk = Arc::new(RealDisk);
        let (mut journal, report) = place.open();
        assert!(report.damage.is_empty(), "{steps}: {report:?}");
        let found = payloads(&journal);
        assert_eq!(found.len() % 2, 0);
        assert!(
            found.len() >= usize::from(acknowledged) * 2,
            "{steps}: an acknowledged group is lost"
        );
        for (index, payload) in found.iter().enumerate() {
            assert_eq!(payload[0] as usize, index / 2);
        }
        append_each(&mut journal, &[b"goes on"]);
        assert_eq!(journal.reader().verify_all().damaged, 0, "{steps}");
    }
}

#[test]
fn a_disk_that_cannot_read_some_blocks_is_damage_in_a_scan_and_an_error_at_open() {
    let (place, disk) = failing(DEFAULT_SEGMENT_BYTES);
    let (mut journal, _) = place.open();
    let texts: Vec<Vec<u8>> = (0..40).map(|n| vec![n; 1_000]).collect();
    let places: Vec<_> = texts
        .iter()
        .flat_map(|text| append(&mut journal, &[open_text(text)]))
        .collect();
    disk.with(|faults| faults.unreadable = Some(10_000..10_001));
    let steps = readable(&journal);
    let whole: Vec<_> = steps.iter().flatten().cloned().collect();
    assert!((33..40).contains(&whole.len()), "{}", whole.len());
    assert!(whole.iter().all(|text| texts.contains(text)));
    assert!(steps.contains(&Err(DamageReason::Unreadable)));
    let failing = places
        .iter()
        .filter(|place| journal.reader().read(**place).is_err())
        .count();
    assert!(
        (1..4).contains(&failing),
        "a single read tries only its own bytes: {failing}"
    );
    drop(journal);
    // What to cut is never decided on bytes that could not be read.
    let opened = Journal::open(place.path(), &KEY, place.options.clone());
    assert!(matches!(opened, Err(JournalError::Io { .. })), "{opened:?}");
    disk.with(|faults| faults.unreadable = None);
    assert_eq!(payloads(&place.open().0), texts);
}
