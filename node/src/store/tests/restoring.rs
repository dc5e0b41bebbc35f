//! Restore: a copy that is put back is noticed, and streams from before are not continued, now or later.

use crossport_protocol::codec::Blob;
use crossport_protocol::owner_log::{
    Body, ChatKind, Genesis, History, OwnerLog, RecordHeader, SignedRecord,
};

use super::*;

/// The state of a chat whose own stream is open.
fn core() -> ChatCore {
    let node = SecretKey::from_bytes([1; 32]);
    let body = Body::Genesis(Genesis {
        rules: 1,
        suite: SUITE.number(),
        kind: ChatKind::GROUP,
        history: History::FULL,
        nonce: [1; 16],
        commitment: Hash([2; 32]),
    });
    let header = RecordHeader {
        version: 0,
        suite: SUITE.number(),
        chat: ChatId::ZERO,
        term: 0,
        seq: 1,
        prev: Hash::ZERO,
        owner: ACME,
        node: node.public(SUITE),
        identity_at: Cited::START,
        clock: Clock(1),
        kind: body.kind(),
        body: Blob(body.encode()),
        epoch: 1,
        payload_len: 0,
        payload_hash: Hash::ZERO,
        fields: Fields::none(),
    };
    let record = SignedRecord::sign(SUITE, &node, &header, Vec::new());
    ChatCore {
        owner: OwnerLog::start(&record, &header, &body).expect("a genesis"),
        streams: BTreeMap::new(),
        own: Some(77),
        accepted: None,
        deletes_ahead: BTreeMap::new(),
        owner_sure: true,
    }
}

#[test]
fn a_new_store_and_a_crashed_one_are_the_same_node() {
    let place = Place::new();
    let mut anna = Author::new(ACME, 1);
    let (mut store, opened) = place.open();
    assert!(opened.continuity && opened.journal.created);
    store.take_all(&[&anna.say(10, ANNA, "one")]);
    store.put_chat(&core());
    store.put_clock(Clock(500));
    store.take_all(&[&anna.say(11, ANNA, "two")]);
    store.close().unwrap();
    let (mut store, _) = place.open();
    store.take_all(&[&anna.say(12, ANNA, "three")]);
    drop(store);
    let (_, opened) = place.open();
    assert!(opened.continuity, "a crash is no restore");
    assert_eq!(opened.chats, [core()]);
    assert_eq!(opened.clock, Clock(500));
}

#[test]
fn a_restored_copy_is_noticed_and_never_continues_its_streams() {
    let place = Place::new();
    let mut anna = Author::new(ACME, 1);
    let mut store = place.start();
    store.put_chat(&core());
    store.take_all(&[&anna.say(10, ANNA, "one")]);
    store.close().unwrap();
    let backup = tempfile::tempdir().unwrap();
    copy_folder(place.path(), backup.path());
    let mut store = place.start();
    store.take_all(&[&anna.say(11, ANNA, "two")]);
    store.write_anchor();
    drop(store);

    for part in ["journal", "registers", "index"] {
        place.remove(part);
        copy_folder(&backup.path().join(part), &place.path().join(part));
    }
    let (store, opened) = place.open();
    assert!(!opened.continuity);
    assert_eq!(opened.chats.len(), 1);
    assert_eq!(opened.chats[0].own, None);
    store.close().unwrap();

    let (store, opened) = place.open();
    assert!(opened.continuity, "the anchor fits again");
    assert_eq!(opened.chats[0].own, None, "the old stream stays closed");
    store.close().unwrap();

    place.remove("index");
    let (mut store, opened) = place.open();
    assert!(opened.continuity);
    let mut footings = Vec::new();
    while let Some((_, entry)) = store.next_unapplied().unwrap() {
        if let JournalEntry::Protocol(Record::Footing {
            own, owner_sure, ..
        }) = entry
        {
            footings.push((own, owner_sure));
        }
    }
    // One for the chat of the envelopes and one for the other: a replay learns the same.
    assert_eq!(footings, [(None, false); 2]);
}

#[test]
fn a_doubt_outlasts_crashes_until_the_journal_tells_of_it() {
    let place = Place::new();
    let mut store = place.start();
    store.put_chat(&core());
    store.take_all(&[&Author::new(ACME, 1).say(10, ANNA, "one")]);
    store.close().unwrap();
    place.remove("anchor");
    for _ in 0..2 {
        let (store, opened) = place.open();
        assert!(!opened.continuity);
        assert_eq!(store.doubts(), 1);
    }
    let mut store = place.start();
    assert_eq!(store.doubts(), 0);
    store.take_all(&[&Author::new(ACME, 2).say(11, ANNA, "two")]);
    drop(store);
    let (mut store, opened) = place.open();
    assert!(opened.continuity);
    store.catch_up();
    store.close().unwrap();
    let (_, opened) = place.open();
    assert_eq!(
        (opened.chats[0].own, opened.chats[0].owner_sure),
        (None, false)
    );
}

#[test]
fn a_journal_without_its_anchor_cannot_know() {
    let place = Place::new();
    let mut store = place.start();
    store.take_all(&[&Author::new(ACME, 1).say(10, ANNA, "one")]);
    drop(store);
    place.remove("anchor");
    let (mut store, opened) = place.open();
    assert!(!opened.continuity);
    store.catch_up();
    store.commit().unwrap();
    drop(store);
    place.remove("journal");
    let (_, opened) = place.open();
    assert!(!opened.continuity, "an empty journal where there was one");
}

#[test]
fn damage_is_reported_and_the_rest_is_served() {
    let place = Place::new();
    let mut store = place.start();
    let mut anna = Author::new(ACME, 1);
    let envelopes: Vec<VerifiedEnvelope> = (0..3)
        .map(|clock| anna.say(clock, ANNA, &format!("{clock}")))
        .collect();
    for envelope in &envelopes {
        store.take_all(&[envelope]);
    }
    store.close().unwrap();
    let segment = fs::read_dir(place.path().join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|kind| kind == "segment"))
        .expect("a segment");
    let mut bytes = fs::read(&segment).unwrap();
    let payload = &envelopes[1].sealed.payloads[0].0;
    let at = bytes
        .windows(payload.len())
        .position(|window| window == payload)
        .expect("the payload lies there");
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();

    let (store, _) = place.open();
    assert!(store.envelope(&CHAT, &envelopes[1].hash).is_none());
    assert!(store.envelope(&CHAT, &envelopes[2].hash).is_some());
    store.close().unwrap();
    place.remove("index");
    let (mut store, _) = place.open();
    let mut damage = 0;
    while let Some((_, entry)) = store.next_unapplied().unwrap() {
        damage += usize::from(matches!(entry, JournalEntry::Damaged(_)));
    }
    store.commit().unwrap();
    assert_eq!(damage, 1);
}
