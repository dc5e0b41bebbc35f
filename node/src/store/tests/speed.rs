//! How fast it is: printed, with bounds that only a mistake in the order of growth breaks (this is a debug build).

use std::time::{Duration, Instant};

use super::*;

/// Fewer where the code is not optimised, where authoring them takes a minute.
const MESSAGES: u64 = if cfg!(debug_assertions) {
    20_000
} else {
    100_000
};
const PER_ENVELOPE: u64 = 10;
const PER_COMMIT: u64 = 100;

#[test]
fn many_messages() {
    let place = Place::new();
    let mut store = place.start();
    let mut authors = [Author::new(ACME, 1), Author::new(GLOBEX, 2)];
    let mut storing = Duration::ZERO;
    let mut middle = None;
    let envelopes = MESSAGES / PER_ENVELOPE;
    for number in 0..envelopes {
        let author = &mut authors[(number % 2) as usize];
        let events: Vec<_> = (0..PER_ENVELOPE)
            .map(|index| {
                let clock = 1_000 + number * PER_ENVELOPE + index * 3;
                (
                    clock,
                    ANNA,
                    message("a message of an ordinary length, as people write them"),
                )
            })
            .collect();
        let envelope = author.write(&events);
        let events = opened(&envelope);
        if number == envelopes / 2 {
            middle = Some((envelope.header.first_clock(), envelope.event_id(0)));
        }
        let begun = Instant::now();
        let item = EnvelopeItem::whole(envelope.sealed.clone());
        store.stage(Record::Envelope { chat: CHAT, item }).unwrap();
        store.counted(&CHAT, &envelope, &events, &ACME).unwrap();
        if (number + 1) % (PER_COMMIT / PER_ENVELOPE) == 0 {
            store.commit().unwrap();
        }
        storing += begun.elapsed();
    }
    let rate = MESSAGES as f64 / storing.as_secs_f64();
    println!(
        "{MESSAGES} messages, {PER_ENVELOPE} an envelope, {PER_COMMIT} a commit: {rate:.0} a second"
    );
    let newest = time_page(&store, None);
    let back = time_page(&store, middle);
    println!("page of 50: {newest:?} at the end, {back:?} in the middle");
    let begun = Instant::now();
    let path = store.path(
        &CHAT,
        &authors[0].stream,
        Head::START,
        authors[0].head,
        4 << 20,
    );
    let each = begun.elapsed() / path.len() as u32;
    println!("path of {} envelopes: {each:?} each", path.len());
    let begun = Instant::now();
    let reader = crossport_protocol::fold::Actor {
        company: ACME,
        handle: ANNA,
    };
    let unread = store.unread(&CHAT, &reader, MESSAGES / 3).unwrap();
    println!("unread {unread}: {:?}", begun.elapsed());
    let index = place.bytes("index").len() / MESSAGES as usize;
    println!("index: {index} bytes a message");
    assert!(newest < Duration::from_millis(100) && back < Duration::from_millis(100));
}

/// The median of some pages from the disk.
fn time_page(store: &Store, before: Option<(Clock, EventId)>) -> Duration {
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            *store.cache() = Cache::default();
            let begun = Instant::now();
            let page = store.page(&CHAT, before, None, 50).expect("a page");
            assert_eq!(page.len(), 50);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[4]
}
