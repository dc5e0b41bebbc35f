//! Two nodes, each a replicator over a store: what one replays after a crash is what it had.

use crossport_protocol::clock::Time;
use crossport_protocol::identity::{IdentityDraft, IdentityLog, root_commitment};
use crossport_protocol::ids::Position as CitedPosition;
use crossport_protocol::owner_log::{ChatKind, History};
use crossport_protocol::replicator::{Config, Context, Draft, Output, Register, Replicator};
use crossport_protocol::wrap::PrekeySecret;

use super::*;

struct Node {
    place: Place,
    store: Store,
    replicator: Replicator,
    identity: IdentityLog,
    keys: Vec<(ChatId, u32, EpochKey)>,
    seed: u8,
    random: Seeded,
    now: u64,
    alarms: usize,
}

impl Node {
    fn new(seed: u8, name: &str) -> Node {
        let node = SecretKey::from_bytes([seed; 32]);
        let root = SecretKey::from_bytes([seed + 100; 32]);
        let draft = IdentityDraft {
            time: Time(1),
            name: name.to_owned(),
            domains: Vec::new(),
            node_keys: vec![node.public(SUITE)],
            next_root: root_commitment(&root.public(SUITE)),
        };
        let identity = IdentityLog::create(SUITE, &root, draft);
        let place = Place::new();
        let (store, opened) = place.open();
        let replicator = Replicator::new(config(seed, &identity, &opened));
        Node {
            place,
            store,
            replicator,
            identity,
            keys: Vec::new(),
            seed,
            random: Seeded(u64::from(seed)),
            now: 1_800_000_000_000,
            alarms: 0,
        }
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Replicator, &mut Context<'_>) -> T) -> T {
        self.now += 1;
        let mut out = Vec::new();
        let mut cx = Context {
            now: Time(self.now),
            log: &self.store,
            random: &mut self.random,
            out: &mut out,
        };
        let value = call(&mut self.replicator, &mut cx);
        for output in out {
            self.absorb(output);
        }
        value
    }

    fn absorb(&mut self, output: Output) {
        let own = self.identity.company();
        match output {
            Output::Store(record) => self.store.stage(record).expect("staging"),
            Output::StoreRegister(Register::Statement(statement)) => {
                let key = [
                    b"d".as_slice(),
                    &statement.content.chat.0,
                    &statement.content.node.0,
                ];
                let value = crossport_protocol::codec::encode(&statement);
                self.store.put_register(key.concat(), Some(value), false);
            }
            Output::StoreKey { chat, epoch, key } => self.keys.push((chat, epoch, key)),
            Output::Delivered {
                chat,
                envelope,
                plains,
                ..
            } => {
                let headers = envelope.header.events.iter().zip(plains);
                let events: Vec<_> = headers
                    .map(|(header, plain)| Event::decode(header.kind, &plain?).ok())
                    .collect();
                self.store
                    .counted(&chat, &envelope, &events, &own)
                    .expect("counting");
            }
            Output::Voided { chat, envelopes } => {
                self.store.voided(&chat, &envelopes).expect("voiding");
            }
            Output::Erase { chat, target, by } => {
                self.store.erase(&chat, target, by).expect("erasing");
            }
            Output::Alarm(_) => self.alarms += 1,
            _ => {}
        }
    }

    fn commit(&mut self) {
        for (_, chat) in self.replicator.chats() {
            self.store.put_chat(chat.core());
        }
        self.store.put_clock(self.replicator.clock());
        self.store.commit().expect("committing");
    }

    fn say(&mut self, chat: ChatId, event: Event) -> EventId {
        let draft = Draft { actor: ANNA, event };
        let ids = self.call(|replicator, cx| replicator.append(cx, chat, &[draft]));
        self.commit();
        ids.expect("appending")[0]
    }

    /// The process dies and starts again.
    fn restart(&mut self, lost: &[&str]) -> bool {
        let elsewhere = Place::new();
        let (store, _) = elsewhere.open();
        drop(std::mem::replace(&mut self.store, store));
        lost.iter().for_each(|part| self.place.remove(part));
        let (store, opened) = self.place.open();
        self.store = store;
        let continuity = opened.continuity;
        self.replicator = Replicator::new(config(self.seed, &self.identity, &opened));
        for (company, records) in &opened.identities {
            self.replicator.restore_identity(*company, records);
        }
        for core in opened.chats {
            self.replicator.restore_chat(core);
        }
        self.replicator.restore_clock(opened.clock);
        for (chat, epoch, key) in self.keys.clone() {
            self.replicator.restore_key(chat, epoch, key);
        }
        for (company, until) in opened.exposures {
            self.replicator.restore_exposure(company, until);
        }
        while let Some((position, entry)) = self.store.next_unapplied().expect("replaying") {
            if let JournalEntry::Protocol(record) = entry {
                self.store
                    .stage_replayed(position, record.clone())
                    .expect("staging");
                self.call(|replicator, cx| replicator.replay(cx, record))
                    .expect("what was taken once is taken again");
            }
        }
        self.commit();
        continuity
    }

    fn texts(&self, chat: &ChatId) -> Vec<String> {
        let page = self.store.page(chat, None, None, MAX_PAGE).expect("a page");
        let text = |row: &Row| {
            let key = self.replicator.key(chat, row.epoch()).expect("the key");
            let plain = row.open(key)?;
            match Event::decode(row.kind, &plain) {
                Ok(Event::Message(message)) => Some(message.text),
                _ => Some("?".to_owned()),
            }
        };
        page.iter()
            .map(|row| text(row).unwrap_or_else(|| "-".to_owned()))
            .collect()
    }
}

fn config(seed: u8, identity: &IdentityLog, opened: &Opened) -> Config {
    Config {
        suite: SUITE,
        identity: identity.clone(),
        node: SecretKey::from_bytes([seed; 32]),
        generation: opened.generation,
        continuity: opened.continuity,
        prekeys: vec![(1, Time(1), PrekeySecret::from_bytes([seed; 32]))],
    }
}

/// Both know each other; nothing is linked.
fn partners() -> (Node, Node) {
    let (mut acme, mut globex) = (Node::new(1, "Acme"), Node::new(2, "Globex"));
    let (ours, theirs) = (acme.identity.clone(), globex.identity.clone());
    for (one, other) in [(&mut acme, &theirs), (&mut globex, &ours)] {
        let company = other.company();
        for record in other.records() {
            one.store
                .stage(Record::Identity {
                    company,
                    record: record.clone(),
                })
                .expect("staging");
            one.replicator
                .restore_identity(company, std::slice::from_ref(record));
        }
        one.commit();
    }
    (acme, globex)
}

/// Links both and carries frames until nothing moves.
fn sync(one: &mut Node, other: &mut Node) {
    let (first, second) = (one.identity.company(), other.identity.company());
    one.replicator.set_partner(second);
    other.replicator.set_partner(first);
    one.call(|replicator, cx| replicator.partner_up(cx, second));
    other.call(|replicator, cx| replicator.partner_up(cx, first));
    for _ in 0..200 {
        let moved = carry(one, other, first) + carry(other, one, second);
        if moved == 0 {
            one.call(|replicator, cx| replicator.partner_down(cx, second));
            other.call(|replicator, cx| replicator.partner_down(cx, first));
            one.commit();
            other.commit();
            return;
        }
        one.now += 1_000;
        other.now += 1_000;
    }
    panic!("two hundred rounds and the nodes still talk");
}

fn carry(from: &mut Node, to: &mut Node, sender: CompanyId) -> usize {
    from.call(|replicator, cx| replicator.publish(cx));
    from.commit();
    let sends = from.call(|replicator, cx| replicator.pump(cx));
    for send in &sends {
        to.call(|replicator, cx| replicator.receive(cx, sender, &send.frame))
            .expect("no breach");
    }
    to.commit();
    sends.len()
}

fn shared_chat(acme: &mut Node, globex: &mut Node) -> ChatId {
    let chat = acme
        .call(|replicator, cx| {
            replicator.create_chat(cx, ChatKind::GROUP, History::FULL, Some("Plans"))
        })
        .expect("a chat");
    let company = globex.identity.company();
    let expires = Time(acme.now + 10_000_000);
    acme.call(|replicator, cx| replicator.invite(cx, chat, company, expires))
        .expect("an invitation");
    sync(acme, globex);
    let owner = globex.replicator.chat(&chat).expect("the chat").owner();
    assert!(owner.is_member(&company));
    chat
}

#[test]
fn two_nodes_agree_through_crashes_and_lost_indexes() {
    let (mut acme, mut globex) = partners();
    let chat = shared_chat(&mut acme, &mut globex);
    let first = acme.say(chat, message("one"));
    let second = globex.say(chat, message("two"));
    sync(&mut acme, &mut globex);
    assert_eq!(acme.texts(&chat).len(), 2);
    for round in 0..6 {
        let lost: &[&str] = if round % 2 == 0 { &[] } else { &["index"] };
        let before = acme
            .replicator
            .chat(&chat)
            .expect("the chat")
            .core()
            .clone();
        assert!(acme.restart(lost), "a crash is no restore");
        assert_eq!(
            acme.replicator.chat(&chat).expect("the chat").core(),
            &before
        );
        globex.restart(lost);
        acme.say(chat, message(&format!("a{round}")));
        globex.say(chat, message(&format!("g{round}")));
        if round == 2 {
            acme.say(chat, delete(first));
        }
        if round == 3 {
            globex.say(chat, delete(second));
        }
        sync(&mut acme, &mut globex);
        assert_eq!(acme.texts(&chat), globex.texts(&chat), "round {round}");
        assert_eq!(acme.texts(&chat).len(), 4 + 2 * round);
    }
    let erased = acme.texts(&chat).iter().filter(|text| *text == "-").count();
    assert_eq!(erased, 2);
    assert_eq!((acme.alarms, globex.alarms), (0, 0));
    let seq = acme
        .replicator
        .chat(&chat)
        .expect("the chat")
        .owner()
        .head();
    assert_ne!(seq, CitedPosition::START);
}

#[test]
fn a_third_company_gets_what_was_erased_with_its_proof() {
    let (mut acme, mut globex) = partners();
    let chat = shared_chat(&mut acme, &mut globex);
    let said = globex.say(chat, message("secret"));
    globex.say(chat, message("stays"));
    globex.say(chat, delete(said));
    sync(&mut acme, &mut globex);
    assert_eq!(acme.texts(&chat), ["stays", "-"]);
    // Globex loses everything but its keys, and pulls its own words back with the proofs.
    globex.restart(&["journal", "registers", "index", "anchor"]);
    assert!(globex.replicator.chat(&chat).is_none());
    let company = acme.identity.company();
    let records: Vec<_> = acme.identity.records().cloned().collect();
    globex.replicator.restore_identity(company, &records);
    sync(&mut acme, &mut globex);
    assert_eq!(globex.texts(&chat), ["stays", "-"]);
}
