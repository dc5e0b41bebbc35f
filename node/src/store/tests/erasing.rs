//! Erasing and voiding: what is gone is gone from the disk and from every answer, and the proof stays.

use super::*;

/// Says something, deletes it, and gives (the message's envelope, the delete's).
fn said_and_deleted(anna: &mut Author) -> (VerifiedEnvelope, VerifiedEnvelope) {
    let said = anna.write(&[(10, ANNA, message("secret")), (11, ANNA, message("stays"))]);
    let deleted = anna.write(&[
        (12, ANNA, message("more")),
        (13, ANNA, delete(said.event_id(0))),
    ]);
    (said, deleted)
}

fn check_erased(store: &Store, said: &VerifiedEnvelope, deleted: &VerifiedEnvelope) {
    let item = store.envelope(&CHAT, &said.hash).expect("still held");
    let held = item.envelope.verify(SUITE).expect("the chain verifies");
    assert!(held.is_erased(0) && !held.is_erased(1));
    assert_eq!(item.erasures.len(), 1);
    let erasure = &item.erasures[0];
    let delete = erasure.delete().expect("a delete").expect("a short one");
    assert_eq!((erasure.place, delete.place), (0, 1));
    let proof = delete.envelope.verify(SUITE).expect("a good proof");
    assert_eq!(proof.hash, deleted.hash);
    assert!(proof.is_erased(0), "only the delete's own payload is in it");
    assert_eq!(proof.open(1, &key()), deleted.open(1, &key()));
    let path = store.path(&CHAT, &said.header.stream, Head::START, said.head(), 1);
    assert_eq!(path, [item]);
    assert_eq!(store.texts(), ["more", "stays", "-"]);
}

#[test]
fn an_erased_payload_is_gone_and_proven_whatever_happens_next() {
    let place = Place::new();
    let mut store = place.start();
    let mut anna = Author::new(ACME, 1);
    let (said, deleted) = said_and_deleted(&mut anna);
    let secret = said.sealed.payloads[0].0.clone();
    store.take_all(&[&said]);
    assert!(
        place.holds("journal", &secret),
        "the search finds what is there"
    );
    store.take(&deleted);
    store
        .erase(&CHAT, said.event_id(0), deleted.event_id(1))
        .unwrap();
    let committed = store.commit().unwrap();
    assert_eq!((committed.erased, committed.not_erased.len()), (1, 0));
    check_erased(&store, &said, &deleted);
    assert!(!place.holds("journal", &secret));

    store
        .erase(&CHAT, said.event_id(0), deleted.event_id(1))
        .unwrap();
    assert_eq!(store.commit().unwrap().erased, 0, "twice is no error");
    store.close().unwrap();
    let store = place.start();
    check_erased(&store, &said, &deleted);
    drop(store);
    place.remove("index");
    let mut store = place.start();
    check_erased(&store, &said, &deleted);
    store.rebuild_index().unwrap();
    store.catch_up();
    check_erased(&store, &said, &deleted);
}

#[test]
fn a_message_that_comes_with_its_delete_is_stored_without_its_text() {
    let place = Place::new();
    let mut store = place.start();
    let (said, deleted) = said_and_deleted(&mut Author::new(ACME, 1));
    let secret = said.sealed.payloads[0].0.clone();
    store.take(&said);
    store.take(&deleted);
    store
        .erase(&CHAT, said.event_id(0), deleted.event_id(1))
        .unwrap();
    store.commit().unwrap();
    check_erased(&store, &said, &deleted);
    assert!(!place.holds("journal", &secret));
    let unknown = EventId {
        envelope: Hash([1; 32]),
        place: 0,
    };
    let refused = store.erase(&CHAT, unknown, deleted.event_id(1));
    assert!(matches!(refused, Err(StoreError::UnknownEvent(_))));
    let refused = store.erase(&CHAT, said.event_id(1), unknown);
    assert!(matches!(refused, Err(StoreError::UnknownEvent(_))));
}

#[test]
fn a_crash_between_the_fact_and_the_overwriting_is_made_good() {
    use crate::journal::failing_disk::FailingDisk;
    let disk = FailingDisk::default();
    let mut place = Place::new();
    place.options.journal.disk = std::sync::Arc::new(disk.clone());
    let mut store = place.start();
    let (said, deleted) = said_and_deleted(&mut Author::new(ACME, 1));
    let secret = said.sealed.payloads[0].0.clone();
    store.take_all(&[&said]);
    store.take(&deleted);
    store
        .erase(&CHAT, said.event_id(0), deleted.event_id(1))
        .unwrap();
    // The append (a write and a sync) happens, and then the machine is dead.
    disk.with(|faults| faults.dies_after = Some(2));
    assert!(store.commit().is_err());
    disk.with(|faults| faults.dies_after = None);
    drop(store);
    assert!(place.holds("journal", &secret), "the crash came before");
    let store = place.start();
    check_erased(&store, &said, &deleted);
    assert!(!place.holds("journal", &secret));
}

#[test]
fn a_proof_that_came_with_an_envelope_stays_with_it() {
    let place = Place::new();
    let mut store = place.start();
    let (said, deleted) = said_and_deleted(&mut Author::new(GLOBEX, 2));
    let mut item = EnvelopeItem::whole(said.sealed.clone());
    item.envelope.payloads[0].0.clear();
    let erasure = super::super::erasing::erasure(&deleted.sealed, 0, 1);
    item.erasures.push(erasure);
    let envelope = item.envelope.verify(SUITE).unwrap();
    store
        .stage(Record::Envelope {
            chat: CHAT,
            item: item.clone(),
        })
        .unwrap();
    store.count(&envelope);
    store.take(&deleted);
    store.commit().unwrap();
    check_erased(&store, &said, &deleted);
    drop(store);
    place.remove("index");
    check_erased(&place.start(), &said, &deleted);
}

#[test]
fn many_payloads_of_one_envelope_go_one_after_the_other() {
    let folder = Place::new();
    let mut store = folder.start();
    let mut anna = Author::new(ACME, 1);
    let events: Vec<_> = (0..40_u64)
        .map(|clock| (clock, ANNA, message(&format!("secret {clock}"))))
        .collect();
    let said = anna.write(&events);
    store.take_all(&[&said]);
    for place in (0..40).step_by(2) {
        let deleted = anna.write(&[(100 + place, ANNA, delete(said.event_id(place as usize)))]);
        store.take(&deleted);
        store
            .erase(&CHAT, said.event_id(place as usize), deleted.event_id(0))
            .unwrap();
        if place % 3 == 0 {
            store.commit().unwrap();
        }
    }
    store.commit().unwrap();
    for _ in 0..2 {
        let item = store.envelope(&CHAT, &said.hash).unwrap();
        let held = item.envelope.verify(SUITE).unwrap();
        for number in 0..40 {
            assert_eq!(held.is_erased(number), number % 2 == 0, "place {number}");
            let payload = &said.sealed.payloads[number].0;
            assert_eq!(folder.holds("journal", payload), number % 2 == 1);
        }
        assert_eq!(item.erasures.len(), 20);
        store.rebuild_index().unwrap();
        store.catch_up();
    }
}

#[test]
fn a_deleted_member_card_takes_the_name_with_it() {
    let place = Place::new();
    let mut store = place.start();
    let mut anna = Author::new(ACME, 1);
    let joined = anna.write(&[(10, ANNA, joins("anna"))]);
    store.take_all(&[&joined]);
    assert_eq!(store.people(&CHAT).unwrap().len(), 1);
    let deleted = anna.write(&[(11, ANNA, delete(joined.event_id(0)))]);
    store.take(&deleted);
    store
        .erase(&CHAT, joined.event_id(0), deleted.event_id(0))
        .unwrap();
    store.commit().unwrap();
    assert!(store.people(&CHAT).unwrap().is_empty());
    store.rebuild_index().unwrap();
    store.catch_up();
    assert!(store.people(&CHAT).unwrap().is_empty());
}

#[test]
fn what_a_cut_excludes_is_found_by_nobody() {
    let place = Place::new();
    let mut store = place.start();
    let (mut acme, mut globex) = (Author::new(ACME, 1), Author::new(GLOBEX, 2));
    let hello = acme.say(10, ANNA, "hello");
    let stays = globex.say(11, BORIS, "stays");
    let out = globex.write(&[
        (12, BORIS, message("out")),
        (13, BORIS, reaction(hello.event_id(0))),
        (14, BORIS, joins("boris")),
    ]);
    let last = globex.say(15, BORIS, "out as well");
    store.take_all(&[&hello, &stays, &out, &last]);
    assert_eq!(store.texts().len(), 5);
    assert_eq!(store.related(&CHAT, hello.event_id(0)).unwrap().len(), 1);
    let reader = crossport_protocol::fold::Actor {
        company: ACME,
        handle: ANNA,
    };
    assert_eq!(store.unread(&CHAT, &reader, 1).unwrap(), 3);

    store.voided(&CHAT, &[out.hash, last.hash]).unwrap();
    store.commit().unwrap();
    for round in 0..2 {
        assert_eq!(store.texts(), ["stays", "hello"], "round {round}");
        assert!(store.link(&CHAT, &out.hash).is_none());
        assert!(store.envelope(&CHAT, &last.hash).is_none());
        assert_eq!(store.row(&CHAT, out.event_id(0)).unwrap(), None);
        assert!(store.related(&CHAT, hello.event_id(0)).unwrap().is_empty());
        assert!(store.people(&CHAT).unwrap().is_empty());
        assert_eq!(store.unread(&CHAT, &reader, 1).unwrap(), 1);
        assert_eq!(store.unread(&CHAT, &reader, 2).unwrap(), 0);
        let heads = store.heads_at_arrival(&CHAT, 4).unwrap();
        let of = |stream| heads.iter().find(|cut| cut.stream == stream).unwrap();
        assert_eq!(of(globex.stream).heads, [stays.head()]);
        let hex = out.hash.to_string();
        assert!(store.find_event(&hex, 0, &[CHAT]).unwrap().is_empty());
        store.count(&out);
        store.commit().unwrap();
        store.rebuild_index().unwrap();
        store.catch_up();
        store.voided(&CHAT, &[out.hash, last.hash]).unwrap();
        store.commit().unwrap();
    }
}
