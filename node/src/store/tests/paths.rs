//! Paths through streams: what a partner lacks, with forks and without.

use std::collections::BTreeMap;

use super::*;

/// Everything from `from` to `to`, asked for in pieces, as hashes.
fn walk(store: &Store, stream: &StreamId, from: Head, to: Head, bytes: usize) -> Vec<Hash> {
    let (mut at, mut hashes) = (from, Vec::new());
    while at != to {
        let items = store.path(&CHAT, stream, at, to, bytes);
        let Some(last) = items.last() else {
            break;
        };
        let last = last.envelope.verify(SUITE).expect("a good envelope").head();
        hashes.extend(items.iter().map(|item| item.envelope.hash()));
        assert_ne!(last, at, "every piece goes on");
        at = last;
    }
    hashes
}

#[test]
fn a_line_comes_in_pieces_of_the_wanted_size() {
    let place = Place::new();
    let mut store = place.start();
    let mut anna = Author::new(ACME, 1);
    let mut envelopes = Vec::new();
    for clock in 0..50 {
        let envelope = anna.say(clock, ANNA, "m");
        store.take(&envelope);
        if clock == 30 {
            store.commit().unwrap();
        }
        envelopes.push(envelope);
    }
    let hashes: Vec<Hash> = envelopes.iter().map(|envelope| envelope.hash).collect();
    let size = EnvelopeItem::whole(envelopes[0].sealed.clone()).wire_bytes();
    let stream = anna.stream;
    let tip = anna.head;
    // The last part is staged only: a path goes over both.
    for bytes in [1, size * 3, size * 100] {
        assert_eq!(walk(&store, &stream, Head::START, tip, bytes), hashes);
        let from = envelopes[20].head();
        assert_eq!(walk(&store, &stream, from, tip, bytes), hashes[21..]);
    }
    let three = store.path(&CHAT, &stream, Head::START, tip, size * 3);
    assert_eq!(three.len(), 3);
    assert!(store.path(&CHAT, &stream, tip, tip, size).is_empty());
    assert!(
        store
            .path(&CHAT, &stream, tip, envelopes[3].head(), size)
            .is_empty()
    );
    let other = Author::new(GLOBEX, 9).stream;
    assert!(store.path(&CHAT, &other, Head::START, tip, size).is_empty());
}

#[test]
fn a_history_that_begins_at_a_base_head_is_walked_from_there() {
    let place = Place::new();
    let mut store = place.start();
    let mut globex = Author::new(GLOBEX, 2);
    let before = globex.say(1, BORIS, "not for us");
    let hashes: Vec<Hash> = (2..6)
        .map(|clock| {
            let envelope = globex.say(clock, BORIS, "m");
            store.take(&envelope);
            envelope.hash
        })
        .collect();
    store.commit().unwrap();
    let (stream, tip) = (globex.stream, globex.head);
    assert_eq!(walk(&store, &stream, before.head(), tip, 1), hashes);
    assert_eq!(walk(&store, &stream, Head::START, tip, 1), hashes);
    assert!(store.link(&CHAT, &before.hash).is_none());
}

#[test]
fn random_forks_walk_like_sets() {
    for seed in 0..8 {
        let place = Place::new();
        let mut store = place.start();
        let mut random = Seeded(seed);
        let mut anna = Author::new(ACME, 1);
        let mut known: BTreeMap<Hash, VerifiedEnvelope> = BTreeMap::new();
        let mut heads = vec![Head::START];
        for step in 0..24_u64 {
            // Mostly from the last head, sometimes a fork from anywhere.
            let after = if random.below(8) == 0 {
                heads[random.below(heads.len() as u64) as usize]
            } else {
                heads[heads.len() - 1]
            };
            let events: Vec<_> = (0..=random.below(3))
                .map(|index| (step * 10 + index, ANNA, message("m")))
                .collect();
            let envelope = anna.write_after(after, &events);
            store.take(&envelope);
            heads.push(envelope.head());
            known.insert(envelope.hash, envelope);
        }
        if seed % 2 == 0 {
            store.commit().unwrap();
        }
        if seed % 4 == 0 {
            drop(store);
            place.remove("index");
            store = place.start();
        }
        check_pairs(&store, &anna.stream, &known, &heads, seed);
    }
}

fn check_pairs(
    store: &Store,
    stream: &StreamId,
    known: &BTreeMap<Hash, VerifiedEnvelope>,
    heads: &[Head],
    seed: u64,
) {
    let chain = |head: Head| {
        let mut chain = Vec::new();
        let mut at = head;
        while let Some(envelope) = known.get(&at.hash) {
            chain.push(at.hash);
            at = envelope.parent();
        }
        chain
    };
    for from in heads {
        let behind = chain(*from);
        for to in heads {
            let mut expected = chain(*to);
            expected.retain(|hash| !behind.contains(hash));
            expected.reverse();
            for bytes in [1, 1_000, 1_000_000] {
                let found = walk(store, stream, *from, *to, bytes);
                assert_eq!(found, expected, "seed {seed}, {from:?} to {to:?}");
            }
        }
    }
}

#[test]
fn owner_records_come_in_order_staged_or_not() {
    use crossport_protocol::codec::Blob;
    use crossport_protocol::owner_log::{Body, RecordHeader, SignedRecord};
    let place = Place::new();
    let mut store = place.start();
    let node = SecretKey::from_bytes([1; 32]);
    let record = |seq: u64| {
        let header = RecordHeader {
            version: 0,
            suite: SUITE.number(),
            chat: CHAT,
            term: 0,
            seq,
            prev: Hash([seq as u8; 32]),
            owner: ACME,
            node: node.public(SUITE),
            identity_at: Cited::START,
            clock: Clock(seq),
            kind: Body::Title.kind(),
            body: Blob(Vec::new()),
            epoch: 1,
            payload_len: 0,
            payload_hash: Hash::ZERO,
            fields: Fields::none(),
        };
        SignedRecord::sign(SUITE, &node, &header, Vec::new())
    };
    let all: Vec<SignedRecord> = (1..=12).map(record).collect();
    for (index, record) in all.iter().enumerate() {
        let record = record.clone();
        store.stage(Record::Owner { chat: CHAT, record }).unwrap();
        if index == 7 {
            store.commit().unwrap();
        }
    }
    let size = all[0].header.0.len() + 80;
    assert_eq!(store.records(&CHAT, 0, usize::MAX), all);
    assert_eq!(store.records(&CHAT, 5, usize::MAX), all[5..]);
    assert_eq!(store.records(&CHAT, 6, size * 2), all[6..8]);
    assert_eq!(store.records(&CHAT, 7, 1), all[7..8], "at least one");
    assert!(store.records(&CHAT, 12, usize::MAX).is_empty());
}
