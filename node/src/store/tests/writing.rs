//! The write path: what is visible when, what a crash leaves, and what a full disk does.

use std::sync::Arc;

use crossport_protocol::clock::Time;

use super::*;
use crate::journal::failing_disk::FailingDisk;

#[test]
fn staged_things_are_seen_by_the_next_decision_and_by_no_reader() {
    let place = Place::new();
    let mut store = place.start();
    let mut anna = Author::new(ACME, 1);
    let hello = anna.say(10, ANNA, "hello");
    store.take(&hello);
    let link = store.link(&CHAT, &hello.hash).expect("known at once");
    assert_eq!((link.stream, link.parent), (anna.stream, Head::START));
    assert_eq!(link.tip.head, hello.head());
    let item = store
        .envelope(&CHAT, &hello.hash)
        .expect("readable at once");
    assert_eq!(item.envelope, hello.sealed);
    assert!(store.texts().is_empty(), "nobody may see it yet");
    assert_eq!(store.arrivals(&CHAT).unwrap(), 0);

    let committed = store.commit().expect("committing");
    assert_eq!(committed.records, 1);
    assert_eq!(store.texts(), ["hello"]);
    assert_eq!(store.link(&CHAT, &hello.hash), Some(link));
    assert!(store.link(&ChatId([1; 32]), &hello.hash).is_none());
    assert_eq!(store.lag(), 0);
}

#[test]
fn what_counts_counts_once() {
    let place = Place::new();
    let mut store = place.start();
    let mut anna = Author::new(ACME, 1);
    let hello = anna.say(10, ANNA, "hello");
    store.take(&hello);
    store.count(&hello);
    store.commit().unwrap();
    store.count(&hello);
    store.commit().unwrap();
    assert_eq!(store.arrivals(&CHAT).unwrap(), 1);
    assert_eq!(store.texts(), ["hello"]);
    let stranger = anna.say(11, ANNA, "never staged");
    let refused = store.counted(&CHAT, &stranger, &opened(&stranger), &ACME);
    assert!(matches!(refused, Err(StoreError::UnknownEnvelope(_))));
}

#[test]
fn a_crash_at_any_step_loses_nothing_that_was_committed() {
    let place = Place::new();
    let mut anna = Author::new(ACME, 1);
    let mut texts = Vec::new();
    for round in 0..6_u64 {
        let mut store = place.start();
        assert_eq!(store.texts(), texts, "round {round}");
        assert_eq!(store.arrivals(&CHAT).unwrap(), texts.len() as u64);
        for step in 0..round {
            let text = format!("{round}.{step}");
            store.take_all(&[&anna.say(round * 10 + step, ANNA, &text)]);
            texts.insert(0, text);
        }
        // Staged and never committed: gone, and nobody saw it.
        let head = anna.head;
        store.take(&anna.say(900, ANNA, "lost"));
        anna.head = head;
        if round % 2 == 0 {
            // An index that is older than the journal, as a power cut leaves it.
            drop(store);
            place.remove("index");
        }
    }
    assert_eq!(place.start().texts(), texts);
}

#[test]
fn a_clean_stop_leaves_nothing_to_replay() {
    let place = Place::new();
    let mut store = place.start();
    store.take_all(&[&Author::new(ACME, 1).say(10, ANNA, "hello")]);
    store.close().expect("closing");
    let (mut store, opened) = place.open();
    assert!(opened.journal.clean && opened.continuity);
    assert_eq!(opened.index_rebuilt, None);
    assert_eq!(store.catch_up(), 0);
    assert_eq!(store.texts(), ["hello"]);
}

#[test]
fn an_index_that_does_not_fit_is_made_anew() {
    let place = Place::new();
    let mut anna = Author::new(ACME, 1);
    let mut store = place.start();
    store.take_all(&[&anna.say(10, ANNA, "one"), &anna.say(11, ANNA, "two")]);
    store.close().unwrap();

    place.remove("index");
    let (mut store, opened) = place.open();
    assert!(opened.index_rebuilt.is_some());
    assert_eq!(store.catch_up(), 2);
    assert_eq!(store.texts(), ["two", "one"]);
    store.close().unwrap();

    let other = Place::new();
    let mut theirs = other.start();
    theirs.take_all(&[&anna.say(12, ANNA, "three")]);
    theirs.close().unwrap();
    place.remove("index");
    copy_folder(&other.path().join("index"), &place.path().join("index"));
    let (mut store, opened) = place.open();
    assert_eq!(
        opened.index_rebuilt.as_deref(),
        Some("it belongs to another journal")
    );
    store.catch_up();
    assert_eq!(store.texts(), ["two", "one"]);
    store.close().unwrap();

    for entry in fs::read_dir(place.path().join("index")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let length = fs::metadata(&path).unwrap().len() as usize;
            fs::write(&path, vec![0x5a; length]).unwrap();
        }
    }
    let (mut store, opened) = place.open();
    assert!(opened.index_rebuilt.is_some(), "garbage is noticed");
    store.catch_up();
    assert_eq!(store.texts(), ["two", "one"]);
    assert_eq!(store.arrivals(&CHAT).unwrap(), 2);
}

#[test]
fn what_a_crash_left_unwritten_is_replayed_and_what_was_written_is_not() {
    let place = Place::new();
    let mut anna = Author::new(ACME, 1);
    let mut store = place.start();
    store.take_all(&[&anna.say(10, ANNA, "one")]);
    store.close().unwrap();
    let (mut store, _) = place.open();
    assert_eq!(store.catch_up(), 0, "stopped cleanly");
    store.take_all(&[&anna.say(20, ANNA, "two")]);
    drop(store);
    let (mut store, opened) = place.open();
    assert_eq!(opened.index_rebuilt, None);
    assert_eq!(store.catch_up(), 1);
    assert_eq!(store.texts(), ["two", "one"]);
}

#[test]
fn an_index_ahead_of_its_journal_is_made_anew() {
    let place = Place::new();
    let mut anna = Author::new(ACME, 1);
    let mut store = place.start();
    store.take_all(&[&anna.say(10, ANNA, "one")]);
    store.close().unwrap();
    let backup = tempfile::tempdir().unwrap();
    copy_folder(&place.path().join("journal"), backup.path());

    let mut store = place.start();
    store.take_all(&[&anna.say(11, ANNA, "two")]);
    store.close().unwrap();
    place.remove("journal");
    copy_folder(backup.path(), &place.path().join("journal"));
    let (mut store, opened) = place.open();
    assert!(opened.index_rebuilt.is_some());
    assert!(!opened.continuity, "the journal is shorter than its anchor");
    store.catch_up();
    assert_eq!(store.texts(), ["one"]);
}

#[test]
fn a_rebuild_while_running_gives_the_same() {
    let place = Place::new();
    let mut anna = Author::new(ACME, 1);
    let mut store = place.start();
    for clock in 0..250 {
        store.take_all(&[&anna.say(clock, ANNA, &format!("{clock}"))]);
    }
    let before = store.texts();
    store.rebuild_index().unwrap();
    assert!(store.texts().is_empty());
    assert_eq!(store.replay_progress().unwrap().0, 0);
    assert_eq!(store.catch_up(), 250);
    assert_eq!(store.replay_progress(), None);
    assert_eq!(store.texts(), before);
    store.take_all(&[&anna.say(900, ANNA, "and on")]);
    assert_eq!(store.texts().first().map(String::as_str), Some("and on"));
}

#[test]
fn a_full_disk_keeps_what_is_staged_until_there_is_space() {
    let disk = FailingDisk::default();
    let mut place = Place::new();
    place.options.journal.disk = Arc::new(disk.clone());
    let mut anna = Author::new(ACME, 1);
    let mut store = place.start();
    store.take_all(&[&anna.say(10, ANNA, "one")]);
    disk.with(|faults| faults.space = Some(100));
    let two = anna.say(11, ANNA, "two");
    store.take(&two);
    store.put_register(b"r".to_vec(), Some(vec![1]), true);
    assert!(matches!(store.commit(), Err(StoreError::Full)));
    assert_eq!(store.texts(), ["one"], "what is not durable is not shown");
    assert!(store.link(&CHAT, &two.hash).is_some(), "it is still staged");
    store.take(&anna.say(12, ANNA, "three"));
    assert!(matches!(store.commit(), Err(StoreError::Full)));
    disk.with(|faults| faults.space = None);
    assert_eq!(store.commit().unwrap().records, 2);
    assert_eq!(store.texts(), ["three", "two", "one"]);
    drop(store);
    let store = place.start();
    assert_eq!(store.texts(), ["three", "two", "one"]);
    assert_eq!(store.register(b"r"), Some([1].as_slice()));
}

#[test]
fn after_a_failed_fdatasync_nothing_is_acknowledged_any_more() {
    let disk = FailingDisk::default();
    let mut place = Place::new();
    place.options.journal.disk = Arc::new(disk.clone());
    let mut anna = Author::new(ACME, 1);
    let mut store = place.start();
    store.take_all(&[&anna.say(10, ANNA, "one")]);
    disk.with(|faults| faults.sync_fails = true);
    store.take(&anna.say(11, ANNA, "two"));
    assert!(matches!(store.commit(), Err(StoreError::Stopped { .. })));
    disk.with(|faults| faults.sync_fails = false);
    assert!(matches!(store.commit(), Err(StoreError::Stopped { .. })));
    assert_eq!(store.texts(), ["one"]);
}

#[test]
fn a_batch_larger_than_a_group_goes_in_several() {
    let place = Place::new();
    let mut store = place.start();
    let mut anna = Author::new(ACME, 1);
    let long = "x".repeat(60_000);
    for clock in 0..200 {
        store.take(&anna.say(clock, ANNA, &long));
    }
    assert_eq!(store.commit().unwrap().records, 200);
    assert_eq!(store.arrivals(&CHAT).unwrap(), 200);
    drop(store);
    assert_eq!(place.start().arrivals(&CHAT).unwrap(), 200);
}

#[test]
fn facts_and_registers_last() {
    let place = Place::new();
    let mut store = place.start();
    let event = EventId {
        envelope: Hash([5; 32]),
        place: 2,
    };
    let (user, client) = (LocalId([1; 16]), [2; 16]);
    let entries = vec![(user, client, event)];
    store.stage_fact(&Fact::Posted { entries }).unwrap();
    assert_eq!(store.posted(&user, &client).unwrap(), Some(event));
    let audit = |number: u64| Fact::Audit {
        at: Time(number),
        who: "root".to_owned(),
        what: "user.reset".to_owned(),
        subject: Some("anna".to_owned()),
    };
    store.stage_fact(&audit(1)).unwrap();
    store.stage_fact(&audit(2)).unwrap();
    store.put_register(b"a/1".to_vec(), Some(vec![1]), true);
    store.put_register(b"a/2".to_vec(), Some(vec![2]), false);
    store.commit().unwrap();
    store.put_register(b"a/1".to_vec(), None, false);
    let staged = store.registers_with_prefix(b"a/");
    assert_eq!(staged, [(b"a/2".to_vec(), vec![2])]);
    drop(store);
    place.remove("index");
    let store = place.start();
    assert_eq!(store.posted(&user, &client).unwrap(), Some(event));
    assert_eq!(store.posted(&user, &[9; 16]).unwrap(), None);
    let facts = store.audit(None, 10).unwrap();
    let (first, second) = (facts[0].clone(), facts[1].clone());
    assert_eq!((first.1, second.1), (audit(2), audit(1)));
    assert_eq!(store.audit(Some(first.0), 10).unwrap().len(), 1);
    assert_eq!(
        store.register(b"a/1"),
        Some([1].as_slice()),
        "the removal was not committed"
    );
    assert!(!place.holds("journal", b"user.reset"), "facts are sealed");
}

#[test]
fn people_fold_by_their_last_card_and_are_nowhere_readable() {
    let place = Place::new();
    let mut store = place.start();
    let mut acme = Author::new(ACME, 1);
    let mut globex = Author::new(GLOBEX, 2);
    store.take(&acme.write(&[(10, ANNA, joins("anna-the-first"))]));
    let staged = store.people(&CHAT).unwrap();
    assert_eq!(staged.len(), 1, "the next decision sees staged people");
    store.take_all(&[
        &globex.write(&[(11, ANNA, joins("same-handle-elsewhere"))]),
        &acme.write(&[(12, ANNA, joins("anna-the-second"))]),
    ]);
    let people = store.people(&CHAT).unwrap();
    let of = |company| {
        let actor = crossport_protocol::fold::Actor {
            company,
            handle: ANNA,
        };
        people.get(&actor).expect("a person").nickname.clone()
    };
    assert_eq!(of(ACME), "anna-the-second");
    assert_eq!(of(GLOBEX), "same-handle-elsewhere");
    store.close().unwrap();
    for name in ["anna-the-first", "anna-the-second", "same-handle-elsewhere"] {
        assert!(
            !place.holds("index", name.as_bytes()),
            "{name} lies on the disk"
        );
    }
    assert_eq!(place.start().people(&CHAT).unwrap(), people);
}
