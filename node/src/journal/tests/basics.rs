//! Appending, reading back, opening again, comparing heads.

use super::*;

#[test]
fn what_was_appended_is_read_back_in_order_by_position_and_by_scan() {
    let place = Place::new();
    let (mut journal, report) = place.open();
    assert!(report.created && !report.clean);
    let first = append(&mut journal, &[open_text(b"one"), local_fact(b"two")]);
    let second = append(&mut journal, &[open_text(b"")]);
    let reader = journal.reader();
    let two = reader.read(first[1]).expect("readable");
    assert_eq!(
        (two.kind, two.payload.as_slice(), two.erased.len()),
        (2, b"two".as_slice(), 0)
    );
    assert_eq!(reader.read(second[0]).expect("readable").payload, b"");
    assert_eq!(
        payloads(&journal),
        [b"one".to_vec(), b"two".to_vec(), b"".to_vec()]
    );
    let from_next: Vec<_> = reader
        .scan(two.next)
        .map(|record| record.expect("no damage").position)
        .collect();
    assert_eq!(from_next, second);
    let head = journal.head();
    assert!(matches!(
        reader.read(head.position),
        Err(ReadError::BeyondHead { .. })
    ));
    assert!(reader.scan(head.position).next().is_none());
}

#[test]
fn a_clean_stop_needs_no_scan_and_a_crash_scans_only_the_last_segment() {
    let place = Place::with_segments_of(4_096);
    let (mut journal, _) = place.open();
    let payload = [9; 700];
    let places: Vec<_> = (0..40)
        .flat_map(|_| append(&mut journal, &[open_text(&payload)]))
        .collect();
    let head = journal.head();
    journal.close().expect("closing");
    assert!(place.segments().len() > 5, "segments were begun");

    let (journal, report) = place.open();
    assert!(
        report.clean && report.scanned_bytes == 0 && report.damage.is_empty(),
        "{report:?}"
    );
    assert_eq!(journal.head(), head);
    drop(journal);

    let (journal, report) = place.open();
    assert!(
        !report.clean && report.torn_bytes == 0 && report.damage.is_empty(),
        "{report:?}"
    );
    assert!(
        report.scanned_bytes < 4_096 && report.scanned_bytes > 0,
        "{report:?}"
    );
    assert_eq!(journal.head(), head);
    let found: Vec<_> = journal
        .reader()
        .scan(Position::START)
        .map(|r| r.expect("no damage").position)
        .collect();
    assert_eq!(found, places);
    let verification = journal.reader().verify_all();
    assert_eq!(
        (
            verification.records,
            verification.groups,
            verification.damaged
        ),
        (40, 40, 0)
    );
}

#[test]
fn a_crash_just_after_a_segment_was_begun_changes_nothing() {
    let place = Place::with_segments_of(1_024);
    let (mut journal, _) = place.open();
    append_each(&mut journal, &[&[1; 600], &[2; 100]]);
    let head = journal.head();
    let segment = Segment::create(&RealDisk, place.path(), &KEY, &head).expect("a further segment");
    drop((journal, segment));
    let (mut journal, report) = place.open();
    assert_eq!((journal.head(), report.segments), (head, 3));
    let next = append_each(&mut journal, &[&[3; 100]]);
    assert!(next[0] > head.position);
    assert_eq!(payloads(&journal).len(), 3);
    assert_eq!(journal.reader().verify_all().damaged, 0);
}

#[test]
fn an_append_at_another_position_than_the_head_is_refused() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    append_each(&mut journal, &[b"one"]);
    let refused = journal.append(Position::START, &[open_text(b"two")]);
    assert!(
        matches!(
            refused,
            Err(JournalError::Conflict {
                expected: Position(0),
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(payloads(&journal), [b"one".to_vec()]);
}

#[test]
fn records_and_groups_over_the_limits_and_reserved_kinds_are_refused() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    let large = vec![1; MAX_RECORD_BYTES];
    append(&mut journal, &[open_text(&large), local_fact(&large)]);
    assert_eq!(payloads(&journal), [large.clone(), large.clone()]);
    let at = journal.head().position;
    let over = vec![1; MAX_RECORD_BYTES + 1];
    assert!(matches!(
        journal.append(at, &[open_text(&over)]),
        Err(JournalError::RecordTooLarge { .. })
    ));
    assert!(matches!(
        journal.append(at, &[open_text(&large); 4]),
        Err(JournalError::GroupTooLarge { .. })
    ));
    let many = vec![open_text(b""); MAX_GROUP_RECORDS + 1];
    assert!(matches!(
        journal.append(at, &many),
        Err(JournalError::GroupTooLarge { .. })
    ));
    let reserved = NewRecord {
        kind: RESERVED_KINDS,
        sealed: false,
        payload: b"",
    };
    assert!(matches!(
        journal.append(at, &[reserved]),
        Err(JournalError::ReservedKind(_))
    ));
    assert_eq!(journal.head().position, at);
    assert!(journal.append(at, &[]).expect("nothing to do").is_empty());
}

#[test]
fn two_writers_a_wrong_key_and_foreign_files_are_refused_by_name() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    append_each(&mut journal, &[b"one"]);
    let second = Journal::open(place.path(), &KEY, Options::default());
    assert!(matches!(second, Err(JournalError::InUse { .. })));
    drop(journal);
    let wrong = Journal::open(place.path(), &[8; 32], Options::default());
    assert!(matches!(wrong, Err(JournalError::WrongKey { .. })));

    let other = Place::with_segments_of(300);
    let (mut journal, _) = other.open();
    append_each(&mut journal, &[&[1; 300], &[2; 300]]);
    drop(journal);
    let stray = other.segments().pop().expect("two segments");
    fs::copy(
        &stray,
        place.path().join(stray.file_name().expect("a name")),
    )
    .expect("copying");
    assert!(matches!(
        Journal::open(place.path(), &KEY, Options::default()),
        Err(JournalError::Foreign { .. })
    ));
}

#[test]
fn no_plaintext_of_a_local_fact_is_in_any_file() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    let canary = b"canary: lunch with Boris at noon";
    append(
        &mut journal,
        &[
            local_fact(canary),
            open_text(b"sealed already by its author"),
        ],
    );
    journal.close().expect("closing");
    assert!(
        !place.contains(&canary[..12]),
        "the local fact is readable on the disk"
    );
    assert!(
        place.contains(b"sealed already by its author"),
        "the search finds what is there"
    );
    let (journal, _) = place.open();
    assert_eq!(payloads(&journal)[0], canary);
}

#[test]
fn the_running_hash_is_known_at_every_border_of_a_group_and_nowhere_else() {
    let place = Place::with_segments_of(2_048);
    let (mut journal, _) = place.open();
    let mut heads = vec![journal.head()];
    let mut inner = Vec::new();
    for _ in 0..12 {
        inner.push(append(&mut journal, &[open_text(&[1; 100]), open_text(&[2; 200])])[1]);
        heads.push(journal.head());
    }
    drop(journal);
    let (journal, _) = place.open();
    let reader = journal.reader();
    for head in &heads[..12] {
        let bytes = journal.head().position.0 - head.position.0;
        assert_eq!(
            reader.standing(head).expect("readable"),
            Standing::Behind { bytes }
        );
        let other = Head {
            running_hash: [1; 32],
            ..*head
        };
        assert_eq!(
            reader.standing(&other).expect("readable"),
            Standing::OtherHistory
        );
    }
    for position in inner {
        assert_eq!(reader.running_hash_at(position).expect("readable"), None);
    }
    assert_eq!(
        reader.standing(&heads[12]).expect("readable"),
        Standing::Equal
    );
    let ahead = Head {
        position: Position(heads[12].position.0 + 1),
        ..heads[12]
    };
    assert_eq!(reader.standing(&ahead).expect("readable"), Standing::Ahead);
    let foreign = Head {
        generation: [0; 16],
        ..heads[3]
    };
    assert_eq!(
        reader.standing(&foreign).expect("readable"),
        Standing::OtherGeneration
    );
}

#[test]
fn the_anchor_tells_a_crash_from_an_older_copy() {
    let place = Place::new();
    let outside = tempfile::tempdir().expect("a temporary folder");
    let file = outside.path().join("anchor");
    let compare = |journal: &Journal| {
        let head = anchor::read(&file).expect("readable");
        anchor::compare(head.as_ref(), &journal.reader())
    };
    use anchor::{Comparison, Doubt};

    let (mut journal, _) = place.open();
    assert_eq!(compare(&journal), Comparison::Unknown(Doubt::NoAnchor));
    append_each(&mut journal, &[b"one"]);
    let backup = place.copy();
    append_each(&mut journal, &[b"two"]);
    anchor::write(&file, &journal.head()).expect("writing");
    assert_eq!(compare(&journal), Comparison::Equal);
    append_each(&mut journal, &[b"three"]);
    drop(journal);
    let (journal, _) = place.open();
    assert!(
        matches!(compare(&journal), Comparison::Behind { bytes } if bytes > 0),
        "a crash before the anchor"
    );

    let (mut restored, _) = backup.open();
    assert_eq!(compare(&restored), Comparison::Unknown(Doubt::Shorter));
    append_each(&mut restored, &[b"two'", b"and more, past the anchor"]);
    assert_eq!(compare(&restored), Comparison::Unknown(Doubt::OtherHistory));
    let (stranger, _) = Place::new().open();
    assert_eq!(compare(&stranger), Comparison::Unknown(Doubt::OtherJournal));

    change(&file, |bytes| bytes[20] ^= 1);
    assert!(matches!(
        anchor::read(&file),
        Err(anchor::AnchorError::Damaged { .. })
    ));
}

#[test]
fn a_reader_in_another_thread_sees_whole_groups_only() {
    let place = Place::with_segments_of(8_192);
    let (mut journal, _) = place.open();
    let reader = journal.reader();
    let counting = std::thread::spawn(move || {
        let mut seen = 0;
        while seen < 300 {
            let records: Result<Vec<Record>, Damage> = reader.scan(Position::START).collect();
            seen = records.expect("no damage").len();
            assert_eq!(seen % 3, 0, "a part of a group was visible");
        }
    });
    for _ in 0..100 {
        append(
            &mut journal,
            &[open_text(b"one"), local_fact(b"two"), open_text(b"three")],
        );
    }
    counting.join().expect("the reader saw only whole groups");
}

#[test]
fn the_bytes_of_format_1_stay_as_they_are() {
    // Computed by another program from the description in `format`. A change of these bytes makes existing journals unreadable: it needs a new format number and a migration.
    let checksum = format::Checksum::of_generation(&[0xaa; 16]);
    let header = RecordHeader::new(checksum, Position(0x1234), 5, false, b"hello").encode();
    assert_eq!(
        hex::encode(header),
        "585052310500000005000000fc2f2df03412000000000000808892a3000000000000000000000000"
    );
    let group = Group {
        before: [1; 32],
        content: [2; 32],
        records: 3,
        length: 4,
    };
    let hash = hex::encode(group.running_hash(Position(256)));
    assert_eq!(
        hash,
        "bda2c252e0da654ee2ea8e4ed619dd837ea82605ce8d57bb2673575c3f1a5508"
    );
    assert_eq!(
        hex::encode(format::first_hash(&[0xaa; 16])),
        "58e84f40eb07b8ea029da3532870ed4ede7722a266b24e103d4d5fcb62d46a92"
    );
}
