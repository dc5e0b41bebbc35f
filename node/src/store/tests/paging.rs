//! Pages: the order is exact whatever overlaps, and every way of walking gives the same.

use super::*;

/// The order that a page must have, from the envelopes themselves.
fn reference(envelopes: &[VerifiedEnvelope]) -> Vec<(Clock, EventId)> {
    let mut all: Vec<(Clock, EventId)> = envelopes
        .iter()
        .flat_map(|envelope| {
            let events = envelope.header.events.iter().enumerate();
            events
                .filter(|(_, event)| is_shown(event.kind))
                .map(|(place, event)| (event.clock, envelope.event_id(place)))
        })
        .collect();
    all.sort_unstable();
    all.reverse();
    all
}

fn orders(rows: &[Row]) -> Vec<(Clock, EventId)> {
    rows.iter().map(Row::order).collect()
}

#[test]
fn events_of_overlapping_envelopes_interleave() {
    let place = Place::new();
    let mut store = place.start();
    let (mut acme, mut globex) = (Author::new(ACME, 1), Author::new(GLOBEX, 2));
    let say = |clock: u64| (clock, ANNA, message(&format!("{clock}")));
    store.take_all(&[
        &acme.write(&[say(10), say(30), say(5_000)]),
        &globex.write(&[say(20), say(40)]),
        &globex.write(&[say(45), say(4_999), say(6_000)]),
    ]);
    let expected = ["6000", "5000", "4999", "45", "40", "30", "20", "10"];
    assert_eq!(store.texts(), expected);
    let newest = store.page(&CHAT, None, None, 3).unwrap();
    let older = store
        .page(&CHAT, newest.last().map(Row::order), None, 3)
        .unwrap();
    let texts: Vec<String> = older.iter().map(text_of).collect();
    assert_eq!(texts, ["45", "40", "30"]);
    let newer = store
        .page(&CHAT, None, older.first().map(Row::order), 2)
        .unwrap();
    let texts: Vec<String> = newer.iter().map(text_of).collect();
    assert_eq!(texts, ["5000", "4999"], "the nearest ones, newest first");
    assert_eq!(
        store.last_message(&CHAT).unwrap().map(|row| text_of(&row)),
        Some("6000".to_owned())
    );
}

#[test]
fn only_lines_of_their_own_are_on_a_page() {
    let place = Place::new();
    let mut store = place.start();
    let mut acme = Author::new(ACME, 1);
    let hello = acme.say(10, ANNA, "hello");
    let id = hello.event_id(0);
    let said = acme.write(&[
        (11, BORIS, reaction(id)),
        (12, ANNA, edit(id, "hello!")),
        (13, ANNA, joins("anna")),
        (14, ANNA, later()),
    ]);
    store.take_all(&[&hello, &said]);
    assert_eq!(store.texts(), ["?", "?", "hello"]);
    let last = store.last_message(&CHAT).unwrap().expect("a message");
    assert_eq!(last.id, id);
    let related = store.related(&CHAT, id).unwrap();
    let kinds: Vec<u16> = related.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [kind::REACTION, kind::EDIT]);
    assert_eq!(
        store
            .row(&CHAT, said.event_id(3))
            .unwrap()
            .map(|row| row.kind),
        Some(LATER_KIND)
    );
    assert_eq!(store.row(&CHAT, said.event_id(4)).unwrap(), None);
}

#[test]
fn random_worlds_page_like_a_sorted_list() {
    for seed in 0..25 {
        let place = Place::new();
        let mut store = place.start();
        let mut random = Seeded(seed);
        let mut authors: Vec<Author> = (1..=4)
            .map(|number| Author::new(if number < 3 { ACME } else { GLOBEX }, number))
            .collect();
        let mut clocks = vec![1_000_u64; authors.len()];
        let mut envelopes = Vec::new();
        for _ in 0..60 {
            let which = random.below(4) as usize;
            let mut events = Vec::new();
            for _ in 0..=random.below(5) {
                // Steps of very different lengths, so that all levels and equal clocks occur.
                let step = 1_u64 << random.below(14);
                clocks[which] += 1 + random.below(step);
                let event = match random.below(6) {
                    0 => joins("someone"),
                    1 => edit(
                        EventId {
                            envelope: Hash([1; 32]),
                            place: 0,
                        },
                        "x",
                    ),
                    2 => later(),
                    _ => message("m"),
                };
                events.push((clocks[which], ANNA, event));
            }
            let envelope = authors[which].write(&events);
            store.take(&envelope);
            if random.below(3) == 0 {
                store.commit().unwrap();
            }
            envelopes.push(envelope);
        }
        store.commit().unwrap();
        check_walks(&store, &reference(&envelopes), &mut random, seed);
    }
}

fn check_walks(store: &Store, all: &[(Clock, EventId)], random: &mut Seeded, seed: u64) {
    assert_eq!(
        orders(&store.page(&CHAT, None, None, MAX_PAGE).unwrap()),
        all,
        "seed {seed}"
    );
    let mut down = Vec::new();
    loop {
        let page = store.page(&CHAT, down.last().copied(), None, 7).unwrap();
        if page.is_empty() {
            break;
        }
        down.extend(orders(&page));
    }
    assert_eq!(down, all, "walking down, seed {seed}");
    let mut up: Vec<(Clock, EventId)> = Vec::new();
    let mut after = Some((Clock(0), all[0].1));
    loop {
        let mut page = orders(&store.page(&CHAT, None, after, 5).unwrap());
        if page.is_empty() {
            break;
        }
        after = page.first().copied();
        page.extend(up);
        up = page;
    }
    assert_eq!(up, all, "walking up, seed {seed}");
    for _ in 0..20 {
        let (one, other) = (
            random.below(all.len() as u64),
            random.below(all.len() as u64),
        );
        let (newer, older) = (one.min(other) as usize, one.max(other) as usize);
        let between = store
            .page(&CHAT, Some(all[newer]), Some(all[older]), MAX_PAGE)
            .unwrap();
        let expected = all.get(newer + 1..older).unwrap_or_default();
        assert_eq!(orders(&between), expected, "between, seed {seed}");
    }
}

#[test]
fn short_ids_find_their_events() {
    let place = Place::new();
    let mut store = place.start();
    let mut acme = Author::new(ACME, 1);
    let envelopes: Vec<VerifiedEnvelope> =
        (0..40).map(|clock| acme.say(clock, ANNA, "m")).collect();
    store.take_all(&envelopes.iter().collect::<Vec<_>>());
    for envelope in &envelopes {
        let id = envelope.event_id(0);
        let hex = envelope.hash.to_string();
        for digits in [7, 8, 33, 64] {
            let found = store.find_event(&hex[..digits], 0, &[CHAT]).unwrap();
            assert!(found.contains(&(CHAT, id)), "{digits} digits of {hex}");
        }
        assert_eq!(store.find_event(&hex, 0, &[CHAT]).unwrap(), [(CHAT, id)]);
        assert!(store.find_event(&hex, 1, &[CHAT]).unwrap().is_empty());
        assert!(
            store
                .find_event(&hex, 0, &[ChatId([1; 32])])
                .unwrap()
                .is_empty()
        );
    }
    let one = store
        .find_event(&envelopes[0].hash.to_string()[..1], 0, &[CHAT])
        .unwrap();
    assert!(one.contains(&(CHAT, envelopes[0].event_id(0))) || one.len() == MAX_MATCHES);
    for nonsense in ["", "xyz", "é", "+1"] {
        assert!(store.find_event(nonsense, 0, &[CHAT]).unwrap().is_empty());
    }
}
