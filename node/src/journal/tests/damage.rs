//! Torn tails, damaged bytes, missing files: what is cut, what is kept, and by which name it is told.

use super::*;

/// The offset in the only segment's file, which starts at position zero.
fn at(position: Position) -> usize {
    usize::try_from(position.0).expect("small")
}

fn five(place: &Place) -> Vec<Position> {
    let (mut journal, _) = place.open();
    append_each(&mut journal, &[b"one", b"two", b"three", b"four", b"five"])
}

#[test]
fn a_torn_group_is_cut_at_every_length_and_what_was_acknowledged_stays() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    append_each(&mut journal, &[b"acknowledged"]);
    let head = journal.head();
    append(
        &mut journal,
        &[
            open_text(&[5; 300]),
            local_fact(&[6; 300]),
            open_text(&[7; 300]),
        ],
    );
    let whole = journal.head();
    drop(journal);
    let file = &place.segments()[0];
    let bytes = fs::read(file).expect("reading");
    for length in at(head.position)..bytes.len() {
        fs::write(file, &bytes[..length]).expect("writing");
        let (journal, report) = place.open();
        assert_eq!(journal.head(), head, "cut at {length}");
        assert_eq!(report.torn_bytes, (length - at(head.position)) as u64);
        assert_eq!(payloads(&journal), [b"acknowledged".to_vec()]);
    }
    fs::write(file, &bytes).expect("writing");
    assert_eq!(place.open().0.head(), whole);
}

#[test]
fn a_last_group_with_sectors_that_were_never_written_is_torn_wherever_they_are() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    append_each(&mut journal, &[b"acknowledged"]);
    let head = journal.head();
    let records: Vec<Vec<u8>> = (1..=20).map(|n| vec![n; 400]).collect();
    let records: Vec<_> = records.iter().map(|payload| open_text(payload)).collect();
    append(&mut journal, &records);
    drop(journal);
    let file = &place.segments()[0];
    let bytes = fs::read(file).expect("reading");
    let start = at(head.position);
    for sector in (start / 512)..bytes.len().div_ceil(512) {
        let lost = (sector * 512).max(start)..(sector * 512 + 512).min(bytes.len());
        let mut torn = bytes.clone();
        torn[lost.clone()].fill(0);
        fs::write(file, &torn).expect("writing");
        let (mut journal, report) = place.open();
        if lost.len() < 16 {
            continue; // Too few zeros to be sure: kept and named.
        }
        assert_eq!(journal.head(), head, "sector {sector}");
        assert_eq!(report.torn_bytes as usize, bytes.len() - start);
        append_each(&mut journal, &[b"goes on"]);
        assert_eq!(
            payloads(&journal),
            [b"acknowledged".to_vec(), b"goes on".to_vec()]
        );
        assert_eq!(journal.reader().verify_all().damaged, 0);
    }
}

#[test]
fn a_damaged_payload_is_named_and_everything_behind_it_is_read() {
    let place = Place::new();
    let places = five(&place);
    change(&place.segments()[0], |bytes| {
        bytes[at(places[1]) + format::RECORD_HEADER] ^= 1
    });
    let (mut journal, report) = place.open();
    assert_eq!(report.torn_bytes, 0);
    assert_eq!(report.damage.len(), 1, "{report:?}");
    let text = |text: &str| Ok(text.as_bytes().to_vec());
    let expected = [
        text("one"),
        Err(DamageReason::Payload),
        text("three"),
        text("four"),
        text("five"),
    ];
    assert_eq!(readable(&journal), expected);
    let read = journal.reader().read(places[1]);
    assert!(
        matches!(&read, Err(ReadError::Damaged(damage)) if damage.position == places[1]),
        "{read:?}"
    );
    append_each(&mut journal, &[b"six"]);
    assert_eq!(readable(&journal).len(), 6);
    let verification = journal.reader().verify_all();
    assert_eq!(
        (verification.records, verification.damaged),
        (5, 2),
        "the record and its group: {verification:?}"
    );
}

#[test]
fn a_damaged_record_header_is_named_as_a_lost_stretch_up_to_the_next_group() {
    let place = Place::new();
    let places = five(&place);
    change(&place.segments()[0], |bytes| {
        bytes[at(places[1]) + 9] ^= 0x40
    });
    let (journal, report) = place.open();
    assert_eq!(
        (report.torn_bytes, report.damage.len()),
        (0, 1),
        "{report:?}"
    );
    let lost: Vec<_> = journal
        .reader()
        .scan(Position::START)
        .filter_map(Result::err)
        .collect();
    let next_group = Position(places[2].0 - GROUP_RECORD as u64);
    assert_eq!(
        lost,
        [Damage {
            position: places[1],
            end: next_group,
            reason: DamageReason::Header
        }]
    );
    assert_eq!(readable(&journal).len(), 5);
}

#[test]
fn damage_in_the_last_group_is_kept_and_named_even_in_its_own_record() {
    for (offset, expected_head) in [
        (0, false),
        (format::RECORD_HEADER as u64, false),
        (GROUP_RECORD as u64 + 44, true),
    ] {
        let place = Place::new();
        let (mut journal, _) = place.open();
        append_each(&mut journal, &[b"one"]);
        let start = journal.head().position;
        append(&mut journal, &[open_text(b"two"), open_text(b"three")]);
        let head = journal.head();
        drop(journal);
        change(&place.segments()[0], |bytes| {
            bytes[at(start) + offset as usize] ^= 1
        });
        let (journal, report) = place.open();
        assert_eq!(
            (report.torn_bytes, journal.head().position),
            (0, head.position),
            "offset {offset}: {report:?}"
        );
        let whole = readable(&journal).into_iter().flatten().count();
        assert_eq!(whole, if expected_head { 2 } else { 3 }, "offset {offset}");
        // All records of the group are there, so even a damaged group record gives the same running hash again.
        assert_eq!(journal.head(), head, "offset {offset}");
    }
}

/// Rewrites the header of a record so that it checks and is as long as `length` says.
fn forge_length(file: &Path, position: Position, length: u32) {
    change(file, |bytes| {
        let generation: [u8; 16] = bytes[16..32].try_into().expect("sixteen bytes");
        let checksum = format::Checksum::of_generation(&generation);
        let header = &mut bytes[at(position)..at(position) + format::RECORD_HEADER];
        header[8..12].copy_from_slice(&length.to_le_bytes());
        let crc = checksum.over(&header[..24]);
        header[24..28].copy_from_slice(&crc.to_le_bytes());
    });
}

#[test]
fn a_record_that_claims_more_than_its_group_swallows_nothing_that_is_appended_behind_it() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    let last = append_each(&mut journal, &[b"one", b"two"])[1];
    drop(journal);
    for length in [4, 100, 200] {
        forge_length(&place.segments()[0], last, length);
        let (mut journal, report) = place.open();
        assert_eq!(report.torn_bytes, 0);
        let new = append(&mut journal, &[open_text(b"behind the damage")]);
        drop(journal);
        let (journal, _) = place.open();
        let found = readable(&journal);
        assert_eq!(found.first(), Some(&Ok(b"one".to_vec())));
        assert_eq!(found[1], Err(DamageReason::Header), "length {length}");
        assert_eq!(found.last(), Some(&Ok(b"behind the damage".to_vec())));
        let read = journal.reader().read(new[0]).expect("acknowledged");
        assert_eq!(read.payload, b"behind the damage");
    }
}

#[test]
fn what_looks_like_a_record_inside_a_payload_is_not_taken_for_one() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    append_each(&mut journal, &[b"a record of this very journal"]);
    let inner = fs::read(&place.segments()[0]).expect("reading")[format::SEGMENT_HEADER as usize..]
        .to_vec();
    let outer = append_each(&mut journal, &[&inner, b"behind"]);
    drop(journal);
    change(&place.segments()[0], |bytes| bytes[at(outer[0]) + 9] ^= 1);
    let (journal, _) = place.open();
    let texts: Vec<_> = readable(&journal).into_iter().flatten().collect();
    assert_eq!(
        texts,
        [
            b"a record of this very journal".to_vec(),
            b"behind".to_vec()
        ]
    );
}

#[test]
fn one_damaged_copy_of_a_segment_header_is_harmless_and_two_are_named() {
    let place = Place::with_segments_of(1_024);
    let (mut journal, _) = place.open();
    let texts: Vec<Vec<u8>> = (0..6).map(|n| vec![n; 500]).collect();
    for text in &texts {
        append(&mut journal, &[local_fact(text)]);
    }
    let head = journal.head();
    drop(journal);
    let segments = place.segments();
    change(&segments[1], |bytes| bytes[20] ^= 1);
    let (journal, report) = place.open();
    assert!(report.damage.is_empty(), "{report:?}");
    drop(journal);
    for damaged in [1, segments.len() - 1] {
        change(&segments[damaged], |bytes| bytes[..256].fill(0x55));
        let (journal, report) = place.open();
        assert!(
            report
                .damage
                .iter()
                .any(|damage| damage.reason == DamageReason::SegmentHeader),
            "{report:?}"
        );
        assert_eq!((payloads(&journal), journal.head()), (texts.clone(), head));
    }
    for segment in &segments {
        change(segment, |bytes| bytes[..256].fill(0x55));
    }
    let opened = Journal::open(place.path(), &KEY, place.options.clone());
    assert!(matches!(opened, Err(JournalError::Unreadable { .. })));
}

#[test]
fn a_missing_or_shortened_segment_in_the_middle_is_a_named_gap() {
    let place = Place::with_segments_of(1_024);
    let (mut journal, _) = place.open();
    let places = append_each(&mut journal, &[&[0; 700], &[1; 700], &[2; 700], &[3; 700]]);
    drop(journal);
    let segments = place.segments();
    change(&segments[2], |bytes| bytes.truncate(600));
    fs::remove_file(&segments[1]).expect("removing");
    let (mut journal, report) = place.open();
    assert!(
        report
            .damage
            .iter()
            .any(|damage| damage.reason == DamageReason::Missing),
        "{report:?}"
    );
    let texts: Vec<_> = readable(&journal).into_iter().flatten().collect();
    assert_eq!(texts, [vec![0; 700], vec![3; 700]]);
    for lost in [places[1], places[2]] {
        assert!(matches!(
            journal.reader().read(lost),
            Err(ReadError::Damaged(_))
        ));
    }
    assert!(journal.reader().verify_all().damaged >= 2);
    append_each(&mut journal, &[b"goes on"]);
    drop(journal);
    fs::remove_file(&segments[0]).expect("removing");
    let (journal, _) = place.open();
    assert_eq!(readable(&journal).into_iter().flatten().count(), 2);
    assert!(matches!(
        journal.reader().read(places[0]),
        Err(ReadError::Damaged(_))
    ));
}

#[test]
fn a_journal_cut_after_a_clean_stop_is_noticed() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    append_each(&mut journal, &[b"one", b"two"]);
    let head = journal.head().position;
    journal.close().expect("closing");
    change(&place.segments()[0], |bytes| {
        bytes.truncate(bytes.len() - 150)
    });
    let (journal, report) = place.open();
    assert!(!report.clean);
    let lost = report
        .damage
        .iter()
        .find(|damage| damage.reason == DamageReason::Missing)
        .expect("named");
    assert_eq!((lost.position, lost.end), (journal.head().position, head));
    journal.close().expect("closing");
    fs::remove_file(&place.segments()[0]).expect("removing");
    let opened = Journal::open(place.path(), &KEY, Options::default());
    assert!(
        matches!(opened, Err(JournalError::Unreadable { .. })),
        "an empty journal would hide the loss"
    );
}

#[test]
fn a_sealed_record_that_was_moved_or_changed_on_purpose_does_not_open() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    let places: Vec<_> = [b"pay 1".as_slice(), b"pay 9"]
        .iter()
        .flat_map(|text| append(&mut journal, &[local_fact(text)]))
        .collect();
    let checksum = format::Checksum::of_generation(&journal.head().generation);
    drop(journal);
    change(&place.segments()[0], |bytes| {
        let body = format::RECORD_HEADER;
        let (from, to) = (at(places[1]) + body, at(places[0]) + body);
        let sealed = bytes[from..from + 45].to_vec();
        bytes[to..to + 45].copy_from_slice(&sealed);
        // Whoever writes on the disk can make every checksum fit.
        let header = RecordHeader::new(checksum, places[0], 2, true, &sealed);
        bytes[to - body..to].copy_from_slice(&header.encode());
    });
    let (journal, _) = place.open();
    assert_eq!(
        readable(&journal),
        [Err(DamageReason::Seal), Ok(b"pay 9".to_vec())]
    );
    assert!(
        journal
            .reader()
            .verify_all()
            .damage
            .iter()
            .any(|damage| damage.reason == DamageReason::Content)
    );
}
