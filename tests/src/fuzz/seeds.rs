//! Good inputs to begin with, made by the product's own constructors, so that they are of today's format.
//!
//! Owns a small recorded world of three companies: what its nodes say to each other is taken apart into one seed a kind.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::rc::Rc;

use crossport_node::journal::{Journal, NewRecord, Options, anchor};
use crossport_node::registers::Registers;
use crossport_protocol::clock::{Clock, Time};
use crossport_protocol::codec::{self, Blob};
use crossport_protocol::event::Resume;
use crossport_protocol::event::{Event, Member, MemberAction, MemberAsk, Notice, UserCard};
use crossport_protocol::fields::{Field, Fields};
use crossport_protocol::frame::Frame;
use crossport_protocol::identity::{IdentityDraft, IdentityLog, root_commitment};
use crossport_protocol::ids::{ChatId, CompanyId, EventId, Handle, Hash, Head, LocalId, Position};
use crossport_protocol::ids::{NodeKey, StreamId};
use crossport_protocol::owner_log::{
    Acceptance, Add, Bar, Body, ChatKind, Genesis, History, Invite, NewEpoch, RecordHeader, Remove,
    StreamCut,
};
use crossport_protocol::pairing::{PairReply, PairRequest, Ticket};
use crossport_protocol::read::ReadEntry;
use crossport_protocol::replicator::{Context, Draft, Replicator};
use crossport_protocol::sim::quiet;
use crossport_protocol::sim::random::Seeded;
use crossport_protocol::sim::shell::{Company, Shell};
use crossport_protocol::stream::Tip;
use crossport_protocol::suite::Suite;
use crossport_protocol::wrap::PrekeyBundle;

use super::disk;
use super::signed::made_up_key;

const SUITE: Suite = Suite::KeyedHash;
/// Frames of one seed: enough for a story, few enough to be run quickly.
const FRAMES: usize = 24;
/// Seeds of one target.
const SEEDS: usize = 24;

/// Seeds by the name of their target.
pub type Seeds = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// Nodes in the middle of a conversation: node 1 will receive.
#[derive(Debug)]
pub struct Stage {
    pub nodes: Vec<Shell>,
    pub now: Time,
}

impl Stage {
    /// Just linked; and with a chat, messages and a removal behind them.
    pub fn all() -> Vec<Stage> {
        let mut world = World::new(SUITE);
        world.link_all();
        let linked = world.stage();
        let chat = world.found();
        vec![linked, {
            world.talk(chat);
            world.stage()
        }]
    }
}

/// All seeds.
pub fn all() -> Seeds {
    let mut seeds = Seeds::new();
    for suite in [SUITE, Suite::Ed25519] {
        let mut world = World::new(suite);
        world.link_all();
        let linked = world.said.len();
        let chat = world.found();
        world.talk(chat);
        let talked = world.said.len();
        world.change(chat);
        for (_, _, frame) in &world.said {
            take_apart(&mut seeds, frame);
        }
        if suite == SUITE {
            for (number, from) in [(0u8, linked), (1, talked)] {
                for sender in [0, 2] {
                    add(&mut seeds, "link", world.heard(number, sender, from));
                }
            }
        }
    }
    events(&mut seeds);
    owner_logs(&mut seeds);
    identities(&mut seeds);
    pairing(&mut seeds);
    files(&mut seeds);
    seeds
}

fn add(seeds: &mut Seeds, target: &'static str, bytes: Vec<u8>) {
    let held = seeds.entry(target).or_default();
    if held.len() < SEEDS && !held.contains(&bytes) {
        held.push(bytes);
    }
}

/// Three linked companies and everything that they say.
struct World {
    nodes: Vec<Shell>,
    now: Time,
    under_way: VecDeque<(usize, usize, Vec<u8>)>,
    said: Vec<(usize, usize, Vec<u8>)>,
}

impl World {
    fn new(suite: Suite) -> World {
        let mut random = Seeded::new(11);
        let companies: Vec<_> = ["Acme", "Globex", "Initech"]
            .iter()
            .map(|name| Rc::new(Company::new(suite, name, &mut random)))
            .collect();
        let node = |company: &Rc<Company>| {
            let others = companies.iter().filter(|other| other.id() != company.id());
            Shell::new(company.clone(), others.cloned().collect(), random.split())
        };
        World {
            nodes: companies.iter().map(node).collect(),
            now: Time(1_800_000_000_000),
            under_way: VecDeque::new(),
            said: Vec::new(),
        }
    }

    fn stage(&self) -> Stage {
        Stage {
            nodes: self.nodes.clone(),
            now: self.now,
        }
    }

    fn act<T>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Replicator, &mut Context<'_>) -> T,
    ) -> T {
        let (result, _) = self.nodes[node].call(self.now, act);
        self.pump(node);
        result
    }

    fn pump(&mut self, node: usize) {
        self.nodes[node].publish(self.now);
        self.nodes[node].commit();
        let (sends, _) = self.nodes[node].pump(self.now);
        for send in sends {
            let to = self.nodes.iter().position(|node| node.id() == send.partner);
            let to = to.expect("partners are the nodes of this world");
            self.said.push((node, to, send.frame.clone()));
            self.under_way.push_back((node, to, send.frame));
        }
    }

    fn link_all(&mut self) {
        for node in 0..3 {
            for other in (0..3).filter(|other| *other != node) {
                let partner = self.nodes[other].id();
                self.act(node, |replicator, cx| replicator.partner_up(cx, partner));
            }
        }
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..40 {
            while let Some((from, to, frame)) = self.under_way.pop_front() {
                let partner = self.nodes[from].id();
                self.act(to, |replicator, cx| replicator.receive(cx, partner, &frame))
                    .expect("honest nodes keep the order of a link");
            }
            let wakes = self
                .nodes
                .iter()
                .filter_map(|node| node.replicator.next_wake());
            let Some(next) = wakes.min() else {
                return;
            };
            self.now = self.now.max(next);
            (0..self.nodes.len()).for_each(|node| self.pump(node));
        }
    }

    fn found(&mut self) -> ChatId {
        let chat = self
            .act(0, |replicator, cx| {
                replicator.create_chat(cx, ChatKind::GROUP, History::FULL, Some("Plans"))
            })
            .expect("a chat can be made");
        for guest in [1, 2] {
            self.invite(chat, guest);
        }
        chat
    }

    fn invite(&mut self, chat: ChatId, guest: usize) {
        let (company, expires) = (self.nodes[guest].id(), self.now.plus_ms(3_600_000));
        self.act(0, |replicator, cx| {
            replicator.invite(cx, chat, company, expires)
        })
        .expect("the owner may invite");
        self.settle();
    }

    fn say(&mut self, node: usize, chat: ChatId, event: Event) -> EventId {
        let actor = quiet::person(node);
        let draft = Draft { actor, event };
        let said = self.act(node, |replicator, cx| replicator.append(cx, chat, &[draft]));
        let ids = said.expect("a member may write");
        self.settle();
        ids[0]
    }

    fn talk(&mut self, chat: ChatId) {
        let first = self.say(0, chat, quiet::message("hello from anna@acme"));
        self.say(1, chat, quiet::message("hello from boris@globex"));
        self.say(2, chat, quiet::message("привет"));
        self.say(0, chat, quiet::edit(first, "hello again"));
        self.say(1, chat, quiet::reaction(first, true));
    }

    /// Reads, a deletion, a removal with its cut and new epoch, a bar, a return.
    fn change(&mut self, chat: ChatId) {
        let heads = self.nodes[2]
            .replicator
            .chat(&chat)
            .map(|chat| chat.delivered())
            .unwrap_or_default();
        self.act(2, |replicator, cx| {
            replicator.mark_read(cx, chat, quiet::person(2), &heads)
        });
        self.settle();
        let gone = self.say(0, chat, quiet::message("not for long"));
        self.say(0, chat, quiet::delete(gone));
        let third = self.nodes[2].id();
        self.act(0, |replicator, cx| replicator.remove(cx, chat, third))
            .expect("the owner may remove");
        self.settle();
        self.say(0, chat, quiet::message("after the removal"));
        self.act(0, |replicator, cx| {
            replicator.set_title(cx, chat, "Other plans")
        })
        .expect("the owner may rename");
        self.settle();
        self.invite(chat, 2);
        self.say(2, chat, quiet::message("back"));
    }

    /// What node 1 heard from `sender` since, as an input of the target `link`.
    fn heard(&self, world: u8, sender: usize, since: usize) -> Vec<u8> {
        let frames = self.said.iter().skip(since);
        let heard = frames
            .filter(|(from, to, _)| (*from, *to) == (sender, 1))
            .map(|(_, _, frame)| Blob(frame.clone()));
        let list: Vec<Blob> = heard.take(FRAMES).collect();
        [vec![world, sender as u8 / 2], codec::encode(&list)].concat()
    }
}

/// One seed for each kind of thing in a frame.
fn take_apart(seeds: &mut Seeds, bytes: &[u8]) {
    let Ok(frame) = Frame::decode(bytes) else {
        return;
    };
    add(seeds, "frame", bytes.to_vec());
    match frame {
        Frame::Envelopes(frame) => {
            for item in frame.items {
                add(seeds, "envelope_header", item.envelope.header.0.clone());
                add(seeds, "envelope_signed", item.envelope.header.0.clone());
                add(seeds, "envelope", codec::encode(&item.envelope));
            }
        }
        Frame::Owner(frame) => {
            for record in frame.records {
                add(seeds, "owner_record", codec::encode(&record));
                if let Ok((header, _)) = record.verify(SUITE) {
                    let kind = header.kind.to_le_bytes();
                    add(seeds, "owner_body", [&kind, &*header.body.0].concat());
                }
            }
        }
        Frame::Identity(frame) => frame
            .records
            .iter()
            .for_each(|record| add(seeds, "identity_record", codec::encode(record))),
        Frame::Wraps(wraps) => wraps
            .iter()
            .for_each(|wrap| add(seeds, "wrap", codec::encode(wrap))),
        Frame::Statements(statements) => statements
            .iter()
            .for_each(|statement| add(seeds, "statement", codec::encode(statement))),
        Frame::Reads(reads) => reads
            .iter()
            .for_each(|read| add(seeds, "read_register", codec::encode(read))),
        Frame::Accept(acceptance) => add(seeds, "acceptance", codec::encode(&acceptance)),
        _ => {}
    }
}

fn stream() -> StreamId {
    StreamId {
        company: CompanyId([1; 32]),
        node: NodeKey([2; 32]),
        incarnation: 3,
    }
}

fn head() -> Head {
    Head {
        seq: 4,
        hash: Hash([5; 32]),
    }
}

fn events(seeds: &mut Seeds) {
    let target = EventId {
        envelope: Hash([1; 32]),
        place: 0,
    };
    let fields = Fields(vec![Field {
        number: 9,
        value: Blob(vec![1, 2]),
    }]);
    let card = UserCard {
        local: LocalId([6; 16]),
        name: "Anna Petrova".to_owned(),
        nickname: "anna".to_owned(),
        title: "Head of purchasing".to_owned(),
        fields,
    };
    let action = MemberAction::JOIN;
    let events = [
        quiet::message("hello\n\tworld, привет"),
        quiet::edit(target, "better"),
        quiet::delete(target),
        quiet::reaction(target, true),
        Event::Member(Member { action, card }),
        Event::MemberAsk(MemberAsk {
            company: CompanyId([1; 32]),
            action,
            nickname: "boris".to_owned(),
        }),
        Event::Notice(Notice {
            code: 1,
            words: vec!["anna".to_owned()],
        }),
        Event::Resume(Resume {
            old: vec![(stream(), head())],
        }),
        Event::Unknown {
            kind: 999,
            plain: vec![1, 2, 3],
        },
    ];
    let mut said = Vec::new();
    for (place, event) in (1u8..).zip(&events) {
        let (kind, plain) = (event.kind(), event.encode());
        add(seeds, "event", [&kind.to_le_bytes(), &*plain].concat());
        said.push((u64::from(place), place % 3, kind, Blob(plain)));
    }
    add(seeds, "fold", codec::encode(&said));
    let entry = ReadEntry {
        handle: Handle([7; 16]),
        time: Time(8),
        heads: vec![StreamCut {
            stream: stream(),
            heads: vec![head(), head()],
        }],
        fields: Fields::none(),
    };
    add(seeds, "read_entries", codec::encode(&vec![entry]));
}

/// Owner logs of made-up companies, all of whose keys are known: each kind of record, and a full chat.
fn owner_logs(seeds: &mut Seeds) {
    let epoch = |epoch| NewEpoch {
        epoch,
        commitment: Hash([8; 32]),
    };
    let cut = |number| {
        vec![StreamCut {
            stream: StreamId {
                company: CompanyId([number; 32]),
                ..stream()
            },
            heads: vec![head()],
        }]
    };
    let story = vec![
        genesis(),
        invite(2),
        joining(2, 2),
        Body::Title,
        Body::Epoch(epoch(2)),
        Body::Bar(Bar {
            company: CompanyId([2; 32]),
            handle: Handle([3; 16]),
            barred: true,
            cut: cut(2),
        }),
        Body::Remove(Remove {
            company: CompanyId([2; 32]),
            cut: cut(2),
            epoch: epoch(3),
        }),
        invite(2),
        joining(2, 8),
        Body::Unknown(77),
    ];
    // As many companies as a chat may have, and two more, all invited while there was still room.
    let most = crossport_protocol::limits::CHAT_COMPANIES as u8 + 2;
    let invited = (2..=most).map(invite);
    let joined = (2..=most).map(|number| joining(number, u64::from(number)));
    let crowd = [genesis()].into_iter().chain(invited).chain(joined);
    for bodies in [story, crowd.collect()] {
        let mut headers = Vec::new();
        for (seq, body) in (1..).zip(&bodies) {
            headers.push(Blob(codec::encode(&record(seq, body))));
            let kind = body.kind().to_le_bytes();
            add(seeds, "owner_body", [&kind, &*body.encode()].concat());
        }
        add(seeds, "owner_log", codec::encode(&headers));
    }
}

fn genesis() -> Body {
    Body::Genesis(Genesis {
        rules: 0,
        suite: SUITE.number(),
        kind: ChatKind::GROUP,
        history: History::FULL,
        nonce: [1; 16],
        commitment: Hash([2; 32]),
    })
}

fn invite(number: u8) -> Body {
    Body::Invite(Invite {
        company: CompanyId([number; 32]),
        expires: Time(1_900_000_000_000),
    })
}

/// The acceptance of the invitation at `at`; the target puts the position right.
fn joining(number: u8, at: u64) -> Body {
    let key = made_up_key(number);
    let company = CompanyId([number; 32]);
    let prekey = PrekeyBundle::sign(SUITE, &key, company, 1, Time(1), [4; 32]);
    let invitation = Position {
        term: 0,
        seq: at,
        hash: Hash([9; 32]),
    };
    let chat = ChatId([9; 32]);
    Body::Add(Box::new(Add {
        acceptance: Acceptance::sign(SUITE, &key, chat, invitation, Position::START, prekey),
        epoch: None,
        base: vec![(stream(), Tip::start(head()))],
    }))
}

fn record(seq: u64, body: &Body) -> RecordHeader {
    RecordHeader {
        version: 0,
        suite: SUITE.number(),
        chat: ChatId::ZERO,
        term: 0,
        seq,
        prev: Hash::ZERO,
        owner: CompanyId([1; 32]),
        node: made_up_key(1).public(SUITE),
        identity_at: Position::START,
        clock: Clock(seq),
        kind: body.kind(),
        body: Blob(body.encode()),
        epoch: 1,
        payload_len: 0,
        payload_hash: Hash::ZERO,
        fields: Fields::none(),
    }
}

fn identities(seeds: &mut Seeds) {
    let draft = |name: &str, next: u8| IdentityDraft {
        time: Time(1),
        name: name.to_owned(),
        domains: vec!["acme.example".to_owned()],
        node_keys: vec![made_up_key(1).public(SUITE)],
        next_root: root_commitment(&made_up_key(next).public(SUITE)),
    };
    let mut log = IdentityLog::create(SUITE, &made_up_key(2), draft("Acme", 3));
    for (key, next) in [(3, 4), (4, 4), (4, 5)] {
        log.extend(&made_up_key(key), draft("Acme Ltd", next))
            .expect("the key that was committed to");
    }
    let headers: Vec<Blob> = log.records().map(|record| record.header.clone()).collect();
    add(seeds, "identity_log", codec::encode(&headers));
    for record in log.records() {
        add(seeds, "identity_record", codec::encode(record));
    }
    let records: Vec<_> = log.records().cloned().collect();
    for suite in [SUITE, Suite::Ed25519] {
        let request = PairRequest::sign(
            suite,
            &made_up_key(1),
            log.company(),
            [5; 16],
            vec!["/ip4/192.0.2.1/tcp/4001".to_owned()],
            records.clone(),
        );
        add(seeds, "pair_request", codec::encode(&request));
    }
    for (outcome, identity) in [(0, records), (2, Vec::new())] {
        let reply = PairReply {
            outcome,
            identity,
            fields: Fields::none(),
        };
        add(seeds, "pair_reply", codec::encode(&reply));
    }
}

fn pairing(seeds: &mut Seeds) {
    let addresses = [
        "192.0.2.1:4001",
        "node.acme.example:4001",
        "tcp://[2001:db8::1]:4001",
        "quic://node.acme.example:4001",
        "/ip4/127.0.0.1/tcp/4001",
        "/dns/node.acme.example/udp/4001/quic-v1",
        "/ip6/2001:db8::1/udp/4001/quic-v1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
    ];
    for address in addresses {
        add(seeds, "address", address.as_bytes().to_vec());
    }
    for count in [0, 2, 7] {
        let ticket = Ticket {
            company: CompanyId([3; 32]),
            node: NodeKey([4; 32]),
            token: [5; 16],
            expires: Time(1_900_000_000_000),
            addresses: addresses
                .iter()
                .take(count)
                .map(ToString::to_string)
                .collect(),
        };
        add(seeds, "ticket", ticket.to_text().into_bytes());
        add(seeds, "ticket_content", codec::encode(&ticket));
    }
}

/// Files as the node leaves them.
fn files(seeds: &mut Seeds) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut written = || -> anyhow::Result<()> {
        let journal_folder = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&journal_folder, &disk::KEY, Options::default())?;
        let payload = [7u8; 60];
        for kind in 1..4 {
            let new = |sealed| NewRecord {
                kind,
                sealed,
                payload: &payload,
            };
            let places = journal.append(journal.head().position, &[new(true), new(false)])?;
            if kind == 2 {
                journal.erase(places[1], &[4..8, 20..30])?;
                journal.erase_whole(places[0])?;
            }
            let bytes = fs::read(journal_folder.join(disk::SEGMENT))?;
            add(seeds, "journal", bytes);
        }
        let path = folder.path().join("anchor");
        anchor::write(&path, &journal.head())?;
        add(seeds, "anchor", fs::read(path)?);
        let folder = folder.path().join("registers");
        let (mut registers, _) = Registers::open(&folder, &disk::KEY)?;
        for number in 0..3u8 {
            let put = (vec![number], Some(vec![number; 20]));
            let batch = [put, (b"same".to_vec(), Some(vec![number])), (vec![9], None)];
            registers.put_all(&batch, true)?;
            add(seeds, "registers", fs::read(folder.join(disk::REGISTERS))?);
        }
        Ok(())
    };
    written().expect("the temporary folder can be written");
}
