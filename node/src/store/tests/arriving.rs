//! Arrivals: unread, frontiers and "read at", against counting by hand.

use std::collections::BTreeSet;

use crossport_protocol::clock::Time;
use crossport_protocol::fold::Actor;

use super::*;

fn actor(company: CompanyId, handle: Handle) -> Actor {
    Actor { company, handle }
}

#[test]
fn a_late_message_far_back_on_the_timeline_is_unread() {
    let place = Place::new();
    let mut store = place.start();
    let (mut acme, mut globex) = (Author::new(ACME, 1), Author::new(GLOBEX, 2));
    store.take_all(&[&acme.say(100, ANNA, "now")]);
    let read = store.arrivals(&CHAT).unwrap();
    let late = globex.say(5, BORIS, "late");
    store.take_all(&[&late]);
    assert_eq!(store.texts(), ["now", "late"], "shown far back");
    let anna = actor(ACME, ANNA);
    assert_eq!(store.unread(&CHAT, &anna, read).unwrap(), 1);
    assert_eq!(store.arrival_of(&CHAT, late.event_id(0)).unwrap(), Some(2));
    store.take_all(&[&acme.say(101, ANNA, "own")]);
    assert_eq!(
        store.unread(&CHAT, &anna, read).unwrap(),
        1,
        "one's own is never unread"
    );
    assert_eq!(store.unread(&CHAT, &actor(ACME, BORIS), read).unwrap(), 2);
}

/// One envelope as the model counts it.
struct Arrived {
    envelope: VerifiedEnvelope,
    /// Per message event: its author.
    authors: Vec<Actor>,
}

#[test]
fn random_arrivals_are_counted_as_by_hand() {
    for seed in 0..12 {
        let place = Place::new();
        let mut store = place.start();
        let mut random = Seeded(seed);
        let mut authors = [
            Author::new(ACME, 1),
            Author::new(ACME, 2),
            Author::new(GLOBEX, 3),
        ];
        let mut model: Vec<Arrived> = Vec::new();
        for step in 0..150_u64 {
            let author = &mut authors[random.below(3) as usize];
            let events: Vec<_> = (0..=random.below(3))
                .map(|index| {
                    let actor = if random.below(2) == 0 { ANNA } else { BORIS };
                    let event = match random.below(4) {
                        0 => later(),
                        _ => message("m"),
                    };
                    (step * 10 + index, actor, event)
                })
                .collect();
            let company = author.stream.company;
            let envelope = author.write(&events);
            store.take(&envelope);
            if random.below(4) == 0 {
                store.commit().unwrap();
            }
            let messages = events
                .iter()
                .filter(|(_, _, event)| event.kind() == kind::MESSAGE);
            model.push(Arrived {
                envelope,
                authors: messages
                    .map(|(_, handle, _)| actor(company, *handle))
                    .collect(),
            });
        }
        store.commit().unwrap();
        check_counts(&store, &model, seed);
        store.close().unwrap();
        check_counts(&place.start(), &model, seed);
        place.remove("index");
        check_counts(&place.start(), &model, seed);
    }
}

fn check_counts(store: &Store, model: &[Arrived], seed: u64) {
    let all: Vec<Actor> = model.iter().flat_map(|one| one.authors.clone()).collect();
    assert_eq!(
        store.arrivals(&CHAT).unwrap(),
        all.len() as u64,
        "seed {seed}"
    );
    for arrival in 0..=all.len() {
        for reader in [actor(ACME, ANNA), actor(ACME, BORIS)] {
            let rest = &all[arrival..];
            let own = rest.iter().filter(|author| **author == reader).count();
            let arrival = arrival as u64;
            let counted = store.authored_after(&CHAT, &reader, arrival).unwrap();
            assert_eq!(counted, own as u64, "after {arrival}, seed {seed}");
            let unread = store.unread(&CHAT, &reader, arrival).unwrap();
            assert_eq!(
                unread,
                (rest.len() - own) as u64,
                "after {arrival}, seed {seed}"
            );
        }
        let heads = store.heads_at_arrival(&CHAT, arrival as u64).unwrap();
        assert_eq!(
            heads,
            heads_by_hand(model, arrival),
            "at {arrival}, seed {seed}"
        );
        let covered = store.arrivals_covered(&CHAT, &heads).unwrap();
        assert_eq!(
            covered,
            covered_by_hand(model, arrival),
            "at {arrival}, seed {seed}"
        );
    }
}

/// Whole envelopes whose messages are all among the first `arrival`, until the first that is not.
fn inside(model: &[Arrived], arrival: usize) -> impl Iterator<Item = &Arrived> {
    let mut before = 0;
    model.iter().take_while(move |one| {
        before += one.authors.len();
        before <= arrival
    })
}

fn heads_by_hand(
    model: &[Arrived],
    arrival: usize,
) -> Vec<crossport_protocol::owner_log::StreamCut> {
    let mut heads: BTreeMap<StreamId, Head> = BTreeMap::new();
    for one in inside(model, arrival) {
        heads.insert(one.envelope.header.stream, one.envelope.head());
    }
    heads
        .into_iter()
        .map(|(stream, head)| crossport_protocol::owner_log::StreamCut {
            stream,
            heads: vec![head],
        })
        .collect()
}

fn covered_by_hand(model: &[Arrived], arrival: usize) -> u64 {
    inside(model, arrival)
        .map(|one| one.authors.len() as u64)
        .sum()
}

#[test]
fn heads_of_forks_are_kept_apart() {
    let place = Place::new();
    let mut store = place.start();
    let mut anna = Author::new(ACME, 1);
    let base = anna.say(10, ANNA, "base");
    let one = anna.write_after(base.head(), &[(11, ANNA, message("one"))]);
    let two = anna.write_after(base.head(), &[(12, ANNA, message("two"))]);
    let three = anna.write_after(two.head(), &[(13, ANNA, message("three"))]);
    store.take_all(&[&base, &one, &two, &three]);
    let heads = |arrival| {
        let cuts = store.heads_at_arrival(&CHAT, arrival).unwrap();
        let heads = cuts.into_iter().flat_map(|cut| cut.heads);
        heads.collect::<BTreeSet<Head>>()
    };
    assert_eq!(heads(1), BTreeSet::from([base.head()]));
    assert_eq!(heads(3), BTreeSet::from([one.head(), two.head()]));
    assert_eq!(heads(4), BTreeSet::from([one.head(), three.head()]));
    let covered = |head: Head| {
        let cut = crossport_protocol::owner_log::StreamCut {
            stream: anna.stream,
            heads: vec![head],
        };
        store.arrivals_covered(&CHAT, &[cut]).unwrap()
    };
    assert_eq!(covered(base.head()), 1);
    assert_eq!(covered(one.head()), 2);
    assert_eq!(
        covered(three.head()),
        1,
        "`one` came second and is not inside"
    );
}

#[test]
fn read_at_is_when_the_heads_first_reached_the_message() {
    let place = Place::new();
    let mut store = place.start();
    let mut globex = Author::new(GLOBEX, 2);
    let envelopes: Vec<VerifiedEnvelope> =
        (0..5).map(|clock| globex.say(clock, BORIS, "m")).collect();
    store.take_all(&envelopes.iter().collect::<Vec<_>>());
    let anna = actor(ACME, ANNA);
    let heads = |number: usize| {
        vec![crossport_protocol::owner_log::StreamCut {
            stream: globex.stream,
            heads: vec![envelopes[number].head()],
        }]
    };
    store.note_read(&CHAT, &anna, Time(10_000), &heads(1));
    store.commit().unwrap();
    // Within the same second: the newest of these waits for its turn.
    store.note_read(&CHAT, &anna, Time(10_100), &heads(2));
    store.note_read(&CHAT, &anna, Time(10_200), &heads(3));
    assert_eq!(store.commit().unwrap().records, 0);
    store.put_clock(Clock::at(Time(11_500)));
    assert_eq!(store.commit().unwrap().records, 1);
    store.note_read(&CHAT, &anna, Time(20_000), &heads(3));
    assert_eq!(store.commit().unwrap().records, 0, "nothing new, no fact");
    for round in 0..2 {
        let at = |number: usize| {
            let id = envelopes[number].event_id(0);
            store.read_at(&CHAT, &anna, id).unwrap()
        };
        let times: Vec<_> = (0..5).map(at).collect();
        let (first, second) = (Some(Time(10_000)), Some(Time(10_200)));
        assert_eq!(times, [first, first, second, second, None], "round {round}");
        let other = actor(GLOBEX, BORIS);
        assert_eq!(
            store
                .read_at(&CHAT, &other, envelopes[0].event_id(0))
                .unwrap(),
            None
        );
        drop(store);
        place.remove("index");
        store = place.start();
    }
    store.note_read(&CHAT, &anna, Time(30_000), &heads(4));
    store.close().unwrap();
    let store = place.start();
    let last = store
        .read_at(&CHAT, &anna, envelopes[4].event_id(0))
        .unwrap();
    assert_eq!(last, Some(Time(30_000)), "a stop keeps what waits");
}
