//! Mentions and replies, against counting by hand, whatever came first.

use std::collections::BTreeSet;

use crossport_protocol::event::mention::{Mention, Mentioned, with_mentions};
use crossport_protocol::fold::Actor;
use crossport_protocol::ids::UserId;

use super::*;

const PEOPLE: [(LocalId, Handle); 2] = [(LocalId([1; 16]), ANNA), (LocalId([2; 16]), BORIS)];
const STRANGER: LocalId = LocalId([9; 16]);

/// A message as counting by hand remembers it: its number among the arrivals is its place in the list, from 1.
struct Counted {
    id: EventId,
    author: Actor,
    named: BTreeSet<LocalId>,
    gone: bool,
}

fn names(users: &BTreeSet<LocalId>, company: CompanyId) -> Event {
    let text = "@".repeat(users.len().max(1));
    let mention = |(at, local): (usize, &LocalId)| {
        let user = UserId {
            company,
            local: *local,
        };
        Mention::of(at as u32, 1, Mentioned::Person(user))
    };
    let named: Vec<Mention> = users.iter().enumerate().map(mention).collect();
    Event::Message(Message {
        fields: with_mentions(Fields::none(), &named),
        ..Message::text(text)
    })
}

fn check_mentions(store: &Store, model: &[Counted], seed: u64) {
    for arrival in 0..=model.len() {
        for (local, handle) in PEOPLE {
            let reader = Actor {
                company: ACME,
                handle,
            };
            let counts =
                |one: &&Counted| !one.gone && one.author != reader && one.named.contains(&local);
            let recount = model.iter().skip(arrival).filter(counts).count() as u64;
            let counted = store.mentions(&CHAT, &local, &reader, arrival as u64);
            assert_eq!(counted.unwrap(), recount, "after {arrival}, seed {seed}");
        }
    }
}

#[test]
fn s19_mentions_are_what_a_recount_says_at_every_step() {
    for seed in 0..12 {
        let mut random = Seeded(seed);
        let place = Place::new();
        let mut store = place.start();
        let mut authors = [Author::new(ACME, 1), Author::new(GLOBEX, 2)];
        let mut model: Vec<Counted> = Vec::new();
        for step in 0..40_u64 {
            let author = &mut authors[random.below(2) as usize];
            let company = author.stream.company;
            let (_, handle) = PEOPLE[random.below(2) as usize];
            let own = model.iter_mut().filter(|one| one.author.company == company);
            let target = own.filter(|one| !one.gone).last();
            if random.below(5) == 0
                && let Some(target) = target
            {
                let by = author.write(&[(step * 10, target.author.handle, delete(target.id))]);
                store.take(&by);
                store.erase(&CHAT, target.id, by.event_id(0)).unwrap();
                target.gone = true;
            } else {
                let events: Vec<(u64, Handle, Event, BTreeSet<LocalId>)> = (0..=random.below(3))
                    .map(|index| {
                        let all = [PEOPLE[0].0, PEOPLE[1].0, STRANGER];
                        let named = all.into_iter().filter(|_| random.below(2) == 0);
                        let named: BTreeSet<LocalId> = named.collect();
                        // People of another company may have the same local ids.
                        let of = if random.below(6) == 0 { GLOBEX } else { ACME };
                        let event = names(&named, of);
                        let named = if of == ACME { named } else { BTreeSet::new() };
                        (step * 10 + index, handle, event, named)
                    })
                    .collect();
                let written: Vec<(u64, Handle, Event)> = events
                    .iter()
                    .map(|(clock, handle, event, _)| (*clock, *handle, event.clone()))
                    .collect();
                let envelope = author.write(&written);
                store.take(&envelope);
                let counted = events.into_iter().enumerate();
                model.extend(counted.map(|(at, (_, handle, _, named))| Counted {
                    id: envelope.event_id(at),
                    author: Actor { company, handle },
                    named,
                    gone: false,
                }));
            }
            store.commit().unwrap();
            check_mentions(&store, &model, seed);
        }
        store.close().unwrap();
        place.remove("index");
        let mut store = place.start();
        check_mentions(&store, &model, seed);
        // What a cut excludes names nobody any more.
        let out = authors[1].head;
        store.voided(&CHAT, &[out.hash]).unwrap();
        store.commit().unwrap();
        let void = model.iter_mut().filter(|one| one.id.envelope == out.hash);
        void.for_each(|one| one.gone = true);
        check_mentions(&store, &model, seed);
    }
}

#[test]
fn replies_are_found_whatever_came_first() {
    let place = Place::new();
    let mut store = place.start();
    let (mut acme, mut globex) = (Author::new(ACME, 1), Author::new(GLOBEX, 2));
    let first = acme.say(10, ANNA, "first");
    let target = first.event_id(0);
    let reply = Message {
        reply_to: Some(target),
        ..Message::text("reply")
    };
    let reply = globex.write(&[(20, BORIS, Event::Message(reply))]);
    store.take_all(&[&reply]);
    assert_eq!(store.count_replies(&CHAT, target).unwrap(), 1);
    store.take_all(&[&first]);
    let found = store.replies(&CHAT, target).unwrap();
    let ids: Vec<EventId> = found.iter().map(|row| row.id).collect();
    assert_eq!(ids, [reply.event_id(0)]);
    assert!(store.replies(&CHAT, ids[0]).unwrap().is_empty());
    store.voided(&CHAT, &[reply.hash]).unwrap();
    store.commit().unwrap();
    assert_eq!(store.count_replies(&CHAT, target).unwrap(), 0);
    assert!(store.replies(&CHAT, target).unwrap().is_empty());
}
