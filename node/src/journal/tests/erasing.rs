//! Erasing: the bytes are gone from the file, stay gone, and a crash in the middle changes nothing about it.

// One range is what one mostly erases.
#![allow(clippy::single_range_in_vec_init)]

use std::ops::Range;

use super::failing_disk::FailingDisk;
use super::*;

const SECRET: &[u8] = b"the bytes that must be gone";

fn envelope() -> Vec<u8> {
    [b"header ".as_slice(), SECRET, b" trailer"].concat()
}

fn erased_envelope() -> Vec<u8> {
    [b"header ".as_slice(), &[0; SECRET.len()], b" trailer"].concat()
}

fn secret_range() -> Range<u32> {
    7..7 + SECRET.len() as u32
}

#[test]
fn erased_ranges_are_gone_from_the_file_and_read_as_zeros_also_after_opening_again() {
    let place = Place::with_segments_of(1_024);
    let (mut journal, _) = place.open();
    let position = append_each(&mut journal, &[&envelope()])[0];
    append_each(&mut journal, &[&[1; 900], b"after"]);
    assert!(place.contains(SECRET), "the search finds what is there");
    journal.erase(position, &[secret_range()]).expect("erasing");
    assert!(!place.contains(SECRET));
    for clean in [true, false] {
        let record = journal.reader().read(position).expect("readable");
        assert_eq!(record.payload, erased_envelope());
        assert_eq!(record.erased, [secret_range()]);
        let scanned = journal
            .reader()
            .scan(Position::START)
            .next()
            .expect("a record")
            .expect("no damage");
        assert_eq!(scanned, record);
        let verification = journal.reader().verify_all();
        assert_eq!(
            (
                verification.records,
                verification.erased,
                verification.damaged
            ),
            (3, 1, 0)
        );
        if clean {
            journal.close().expect("closing")
        } else {
            drop(journal)
        }
        journal = place.open().0;
    }
}

#[test]
fn ranges_add_up_and_erasing_again_appends_nothing() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    let position = append_each(&mut journal, &[b"0123456789"])[0];
    journal.erase(position, &[6..8, 1..3]).expect("erasing");
    journal.erase(position, &[3..4, 7..9]).expect("erasing");
    let head = journal.head();
    journal.erase(position, &[2..4, 6..9]).expect("erasing");
    assert_eq!(journal.head(), head);
    let record = journal.reader().read(position).expect("readable");
    assert_eq!(
        (record.payload.as_slice(), record.erased.as_slice()),
        (b"0\0\0\x0045\0\0\x009".as_slice(), &[1..4, 6..9][..])
    );
    journal.erase_whole(position).expect("erasing");
    let record = journal.reader().read(position).expect("readable");
    assert_eq!((record.payload, record.erased), (vec![0; 10], vec![0..10]));
}

#[test]
fn ranges_outside_the_payload_and_parts_of_sealed_records_are_refused() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    let places = append(
        &mut journal,
        &[open_text(b"0123456789"), local_fact(b"0123456789")],
    );
    for ranges in [
        vec![],
        vec![3..3],
        vec![Range { start: 4, end: 3 }],
        vec![8..11],
        vec![0..2, u32::MAX - 1..u32::MAX],
    ] {
        let refused = journal.erase(places[0], &ranges);
        assert!(
            matches!(refused, Err(EraseError::Ranges { payload: 10 })),
            "{ranges:?}: {refused:?}"
        );
    }
    assert!(matches!(
        journal.erase(places[1], &[0..9]),
        Err(EraseError::SealedInPart)
    ));
    assert!(matches!(
        journal.erase(Position(1 << 40), &[0..9]),
        Err(EraseError::Read(ReadError::BeyondHead { .. }))
    ));
    let own = Position(places[0].0 - GROUP_RECORD as u64);
    assert!(matches!(
        journal.erase(own, &[0..9]),
        Err(EraseError::Read(ReadError::Internal(_)))
    ));
    assert_eq!(
        payloads(&journal),
        [b"0123456789".to_vec(), b"0123456789".to_vec()]
    );
    journal
        .erase(places[1], &[0..10])
        .expect("the whole of a sealed record");
    let record = journal.reader().read(places[1]).expect("readable");
    assert_eq!((record.payload, record.erased), (vec![0; 10], vec![0..10]));
}

#[test]
fn a_crash_at_any_step_of_erasing_ends_in_all_or_nothing() {
    let mut outcomes = [0; 2];
    for steps in 0..8 {
        let disk = FailingDisk::default();
        let mut place = Place::new();
        let (mut journal, _) = place.open();
        let places = append_each(&mut journal, &[&envelope(), &envelope()]);
        drop(journal);
        place.options.disk = Arc::new(disk.clone());
        let (mut journal, _) = place.open();
        disk.with(|faults| faults.dies_after = Some(steps));
        let outcome = journal.erase_many(&[
            (places[0], vec![secret_range()]),
            (places[1], vec![secret_range()]),
        ]);
        let stopped = matches!(
            outcome,
            Err(EraseError::Journal(JournalError::Stopped { .. }))
        );
        assert_eq!(stopped, steps < 7, "{steps}: {outcome:?}");
        drop(journal);
        place.options.disk = Arc::new(RealDisk);
        let (journal, report) = place.open();
        let erased = payloads(&journal) == [erased_envelope(), erased_envelope()];
        // With one change allowed the note is written and its fdatasync fails: the note may have survived, then it counts.
        assert_eq!(erased, steps > 0, "{steps}");
        assert_eq!(place.contains(SECRET), !erased, "{steps}");
        assert_eq!(report.erasures_redone > 0, erased, "{steps}: {report:?}");
        assert_eq!(journal.reader().verify_all().damaged, 0, "{steps}");
        outcomes[usize::from(erased)] += 1;
    }
    assert!(outcomes[0] > 0 && outcomes[1] > 4, "{outcomes:?}");
}

#[test]
fn erasing_does_not_declare_damage_to_be_right() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    let position = append_each(&mut journal, &[&envelope()])[0];
    drop(journal);
    change(&place.segments()[0], |bytes| {
        let offset = position.0 as usize + format::RECORD_HEADER;
        bytes[offset] ^= 1;
    });
    let (mut journal, _) = place.open();
    journal.erase(position, &[secret_range()]).expect("erasing");
    assert!(
        !place.contains(SECRET),
        "damaged or not, the bytes are gone"
    );
    assert_eq!(readable(&journal), [Err(DamageReason::Payload)]);
    journal.erase(position, &[0..3]).expect("erasing");
    assert_eq!(readable(&journal), [Err(DamageReason::Payload)]);
    journal.erase_whole(position).expect("erasing");
    assert_eq!(readable(&journal), [Ok(vec![0; envelope().len()])]);
}

#[test]
fn erasures_travel_to_an_older_copy_and_leave_other_records_alone() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    let places = append(
        &mut journal,
        &[
            open_text(&envelope()),
            local_fact(b"a local fact"),
            open_text(b"kept"),
        ],
    );
    let older = place.copy();
    let much_older = Place::new();
    journal
        .erase(places[0], &[secret_range()])
        .expect("erasing");
    journal.erase_whole(places[1]).expect("erasing");
    let later = append(&mut journal, &[open_text(&envelope())])[0];
    journal.erase_whole(later).expect("erasing");
    let (erasures, damage) = journal.reader().erasures();
    assert_eq!((erasures.len(), damage.len()), (3, 0));

    let (mut restored, _) = older.open();
    assert!(older.contains(SECRET));
    let applied = restored.apply_erasures(&erasures).expect("applying");
    assert_eq!(
        (applied.applied, applied.beyond_head, applied.failed.len()),
        (2, 1, 0),
        "{applied:?}"
    );
    assert!(!older.contains(SECRET));
    assert_eq!(
        payloads(&restored),
        [erased_envelope(), vec![0; 12], b"kept".to_vec()]
    );
    let again = restored.apply_erasures(&erasures[..2]).expect("applying");
    assert_eq!((again.applied, again.already), (0, 2));
    // Where the copy has gone its own way, a record at the same place is another one.
    let own = append(&mut restored, &[open_text(b"x")])[0];
    let of_other = Erasure {
        position: own,
        ..erasures[2].clone()
    };
    let refused = restored.apply_erasures(&[of_other]).expect("applying");
    assert_eq!(refused.failed.len(), 1, "{refused:?}");
    assert_eq!(restored.reader().read(own).expect("readable").payload, b"x");
    let (mut stranger, _) = much_older.open();
    assert_eq!(
        stranger
            .apply_erasures(&erasures)
            .expect("applying")
            .beyond_head,
        3
    );
}

#[test]
fn an_unreadable_pointer_or_note_is_damage_and_never_another_payload() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    let position = append_each(&mut journal, &[&envelope()])[0];
    let note = journal.head().position.0 + GROUP_RECORD as u64;
    journal.erase(position, &[secret_range()]).expect("erasing");
    drop(journal);
    let pointer = position.0 as usize + format::POINTER_OFFSET;
    change(&place.segments()[0], |bytes| bytes[pointer] ^= 1);
    // The note is still there, so opening after a crash mends the pointer.
    let (journal, report) = place.open();
    assert_eq!(
        (report.erasures_redone, payloads(&journal)),
        (1, vec![erased_envelope()])
    );
    journal.close().expect("closing");
    change(&place.segments()[0], |bytes| bytes[pointer] ^= 1);
    let (journal, _) = place.open();
    assert_eq!(readable(&journal), [Err(DamageReason::Payload)]);
    journal.close().expect("closing");
    change(&place.segments()[0], |bytes| {
        bytes[pointer] ^= 1;
        bytes[note as usize + format::RECORD_HEADER + 13] ^= 1;
    });
    let (journal, _) = place.open();
    assert_eq!(readable(&journal)[0], Err(DamageReason::Erasure));
    assert!(journal.reader().verify_all().damaged > 0);
}

#[test]
fn a_reader_never_mistakes_an_erasure_in_progress_for_damage() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    let large = vec![0xee; 100_000];
    let places: Vec<_> = (0..60)
        .flat_map(|_| append(&mut journal, &[open_text(&large)]))
        .collect();
    let (reader, last) = (journal.reader(), places[59]);
    let reading = std::thread::spawn(move || {
        loop {
            for record in reader.scan(Position::START) {
                let record = record.expect("no damage");
                let zeros = record.payload.iter().filter(|byte| **byte == 0).count();
                assert_eq!(zeros, if record.erased.is_empty() { 0 } else { 90_000 });
            }
            if !reader.read(last).expect("no damage").erased.is_empty() {
                return;
            }
        }
    });
    for position in &places {
        journal.erase(*position, &[5_000..95_000]).expect("erasing");
    }
    reading.join().expect("the reader saw whole payloads only");
}
