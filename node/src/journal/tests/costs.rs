//! What appending and opening cost, printed; the bounds are wide, so that only a change of kind turns them red.

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::*;

const GROUPS: u32 = 200;

#[test]
fn a_group_costs_little_beyond_its_fdatasync() {
    let place = Place::new();
    let bare = fs::File::create(place.path().join("bare")).expect("a file");
    let group = vec![1; 64 * 450];
    let started = Instant::now();
    for number in 0..u64::from(GROUPS) {
        bare.write_all_at(&group, number * group.len() as u64)
            .expect("writing");
        bare.sync_data().expect("fdatasync");
    }
    let fdatasync = started.elapsed() / GROUPS;

    let (mut journal, _) = place.open();
    let payload = [1; 400];
    let mut cost = [Duration::ZERO; 2];
    for (cost, record) in cost
        .iter_mut()
        .zip([open_text(&payload), local_fact(&payload)])
    {
        let started = Instant::now();
        for _ in 0..GROUPS {
            append(&mut journal, &[record; 64]);
        }
        *cost = started.elapsed() / GROUPS;
    }
    let [envelopes, local_facts] = cost;
    eprintln!(
        "64 records of 400 B: bare {fdatasync:?}, envelopes {envelopes:?}, local facts {local_facts:?}"
    );
    assert!(envelopes < fdatasync * 5 + Duration::from_millis(5));
}

#[test]
fn a_large_journal_opens_at_once() {
    let place = Place::new();
    let (mut journal, _) = place.open();
    let payload = vec![7; 700];
    let records = vec![open_text(&payload); 5_000];
    let long = std::env::var_os("CROSSPORT_LONG").is_some_and(|value| value == "1");
    let bytes = if long { 400_000_000 } else { 150_000_000 };
    while journal.head().position.0 < bytes {
        append(&mut journal, &records);
    }
    let head = journal.head();
    drop(journal);
    let started = Instant::now();
    let (journal, report) = place.open();
    let after_crash = started.elapsed();
    let scanned = report.scanned_bytes;
    assert_eq!((journal.head(), report.clean), (head, false));
    assert!(scanned <= DEFAULT_SEGMENT_BYTES);
    journal.close().expect("closing");
    let started = Instant::now();
    let (journal, report) = place.open();
    let after_stop = started.elapsed();
    let started = Instant::now();
    let verified = journal.reader().verify_all();
    eprintln!(
        "{bytes} bytes: opened in {after_stop:?}, after a crash in {after_crash:?} ({scanned} scanned), verified in {:?}",
        started.elapsed(),
    );
    assert!(report.clean && verified.damaged == 0);
    assert!(after_stop < Duration::from_secs(1) && after_crash < Duration::from_secs(20));
}
