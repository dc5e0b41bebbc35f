//! Tests of the store and its index, by what they attack. What they share: a store in a folder, and authors whose
//! envelopes it gets, without a replicator.

mod arriving;
mod erasing;
mod naming;
mod paging;
mod paths;
mod replicating;

mod restoring;
mod speed;
mod writing;

use std::fs;
use std::path::Path;

use crossport_protocol::clock::Clock;
use crossport_protocol::envelope::{self, DraftEvent, VerifiedEnvelope};
use crossport_protocol::event::{
    Delete, Edit, Event, Member, MemberAction, Message, Reaction, UserCard, kind,
};
use crossport_protocol::fields::Fields;
use crossport_protocol::frame::EnvelopeItem;
use crossport_protocol::ids::{
    ChatId, CompanyId, EventId, Handle, Head, LocalId, Position as Cited, StreamId,
};
use crossport_protocol::replicator::{ReadLog, Record};
use crossport_protocol::seal::EpochKey;
use crossport_protocol::suite::{Random, SecretKey, Suite};
use tempfile::TempDir;

use super::*;

const JOURNAL_KEY: [u8; 32] = [7; 32];
const REGISTERS_KEY: [u8; 32] = [8; 32];
const SUITE: Suite = Suite::KeyedHash;
const ACME: CompanyId = CompanyId([0xac; 32]);
const GLOBEX: CompanyId = CompanyId([0x6b; 32]);
const CHAT: ChatId = ChatId([0xc4; 32]);
const ANNA: Handle = Handle([0xa1; 16]);
const BORIS: Handle = Handle([0xb0; 16]);

/// A folder for one store.
struct Place {
    folder: TempDir,
    options: Options,
}

impl Place {
    fn new() -> Place {
        Place {
            folder: tempfile::tempdir().expect("a temporary folder"),
            options: Options::default(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn open(&self) -> (Store, Opened) {
        Store::open(
            self.path(),
            &JOURNAL_KEY,
            &REGISTERS_KEY,
            self.options.clone(),
        )
        .expect("the store opens")
    }

    /// Opens and replays what the index has not seen, as the core does.
    fn start(&self) -> Store {
        let (mut store, _) = self.open();
        store.catch_up();
        store
    }

    fn remove(&self, part: &str) {
        let path = self.path().join(part);
        if path.is_dir() {
            fs::remove_dir_all(path).expect("removing");
        } else if path.exists() {
            fs::remove_file(path).expect("removing");
        }
    }

    /// The bytes of all files of a part of the store.
    fn bytes(&self, part: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut folders = vec![self.path().join(part)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("listing") {
                let path = entry.expect("listing").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    bytes.extend(fs::read(path).expect("reading"));
                }
            }
        }
        bytes
    }

    fn holds(&self, part: &str, needle: &[u8]) -> bool {
        self.bytes(part)
            .windows(needle.len())
            .any(|window| window == needle)
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("listing") {
        let entry = entry.expect("listing");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copying");
        }
    }
}

/// Random bytes that are the same in every run.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

impl Random for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }
}

/// One stream and where it ends.
struct Author {
    node: SecretKey,
    stream: StreamId,
    head: Head,
    random: Seeded,
}

fn key() -> EpochKey {
    EpochKey::from_bytes([9; 32])
}

impl Author {
    fn new(company: CompanyId, seed: u8) -> Author {
        let node = SecretKey::from_bytes([seed; 32]);
        let stream = StreamId {
            company,
            node: node.public(SUITE),
            incarnation: u64::from(seed),
        };
        Author {
            node,
            stream,
            head: Head::START,
            random: Seeded(u64::from(seed)),
        }
    }

    /// An envelope behind the last one.
    fn write(&mut self, events: &[(u64, Handle, Event)]) -> VerifiedEnvelope {
        let envelope = self.write_after(self.head, events);
        self.head = envelope.head();
        envelope
    }

    /// An envelope behind any head; forks do not move the author's own.
    fn write_after(&mut self, after: Head, events: &[(u64, Handle, Event)]) -> VerifiedEnvelope {
        let place = envelope::Place {
            chat: CHAT,
            stream: self.stream,
            after,
            owner_at: Cited::START,
            identity_at: Cited::START,
            epoch: 1,
        };
        let drafts: Vec<DraftEvent> = events
            .iter()
            .map(|(clock, actor, event)| DraftEvent {
                clock: Clock(*clock),
                kind: event.kind(),
                actor: *actor,
                plain: event.encode(),
            })
            .collect();
        envelope::author(SUITE, &self.node, &key(), place, &drafts, &mut self.random)
    }

    fn say(&mut self, clock: u64, actor: Handle, text: &str) -> VerifiedEnvelope {
        self.write(&[(clock, actor, message(text))])
    }
}

fn message(text: &str) -> Event {
    Event::Message(Message::text(text))
}

fn delete(target: EventId) -> Event {
    Event::Delete(Delete { target })
}

fn edit(target: EventId, text: &str) -> Event {
    Event::Edit(Edit {
        target,
        text: text.to_owned(),
        fields: Fields::none(),
    })
}

fn reaction(target: EventId) -> Event {
    Event::Reaction(Reaction {
        target,
        emoji: "👍".to_owned(),
        present: true,
    })
}

fn joins(nickname: &str) -> Event {
    Event::Member(Member {
        action: MemberAction::JOIN,
        card: UserCard {
            local: LocalId([3; 16]),
            name: format!("{nickname} Someone"),
            nickname: nickname.to_owned(),
            title: "Clerk".to_owned(),
            fields: Fields::none(),
        },
    })
}

fn opened(envelope: &VerifiedEnvelope) -> Vec<Option<Event>> {
    let events = envelope.header.events.iter().enumerate();
    events
        .map(|(place, event)| {
            let plain = envelope.open(place, &key())?;
            Event::decode(event.kind, &plain).ok()
        })
        .collect()
}

/// What the core does with what the replicator decides, for an own company Acme.
trait Driving {
    fn take(&mut self, envelope: &VerifiedEnvelope);
    fn take_all(&mut self, envelopes: &[&VerifiedEnvelope]);
    fn count(&mut self, envelope: &VerifiedEnvelope);
    fn catch_up(&mut self) -> usize;
    fn texts(&self) -> Vec<String>;
}

impl Driving for Store {
    fn take(&mut self, envelope: &VerifiedEnvelope) {
        let item = EnvelopeItem::whole(envelope.sealed.clone());
        self.stage(Record::Envelope { chat: CHAT, item })
            .expect("staging");
        self.count(envelope);
    }

    fn take_all(&mut self, envelopes: &[&VerifiedEnvelope]) {
        envelopes.iter().for_each(|envelope| self.take(envelope));
        self.commit().expect("committing");
    }

    fn count(&mut self, envelope: &VerifiedEnvelope) {
        self.counted(&CHAT, envelope, &opened(envelope), &ACME)
            .expect("counting");
    }

    fn catch_up(&mut self) -> usize {
        let mut entries = 0;
        while let Some((position, entry)) = self.next_unapplied().expect("replaying") {
            entries += 1;
            match entry {
                JournalEntry::Protocol(record) => {
                    self.stage_replayed(position, record.clone())
                        .expect("staging");
                    if let Record::Envelope { item, .. } = record {
                        let envelope = item.envelope.verify(SUITE).expect("a good envelope");
                        self.count(&envelope);
                        for (place, event) in opened(&envelope).into_iter().enumerate() {
                            if let Some(Event::Delete(delete)) = event
                                && self.link(&CHAT, &delete.target.envelope).is_some()
                            {
                                self.erase(&CHAT, delete.target, envelope.event_id(place))
                                    .expect("erasing");
                            }
                        }
                    }
                }
                JournalEntry::Fact(_) => {}
                other => panic!("a healthy journal gave {other:?}"),
            }
            if entries % 100 == 0 {
                self.commit().expect("committing");
            }
        }
        self.commit().expect("committing");
        entries
    }

    /// Texts of the newest page, newest first; "-" for what is erased, "?" for other kinds.
    fn texts(&self) -> Vec<String> {
        let page = self.page(&CHAT, None, None, MAX_PAGE).expect("a page");
        page.iter().map(text_of).collect()
    }
}

fn text_of(row: &Row) -> String {
    if row.is_erased() {
        return "-".to_owned();
    }
    let plain = row.open(&key()).expect("the key opens it");
    match Event::decode(row.kind, &plain) {
        Ok(Event::Message(message)) => message.text,
        _ => "?".to_owned(),
    }
}

/// The number of a kind that no build knows yet.
const LATER_KIND: u16 = 999;

fn later() -> Event {
    Event::Unknown {
        kind: LATER_KIND,
        plain: vec![1, 2, 3],
    }
}
