//! Owner logs: the genesis, every kind of record, acceptances, and what must not extend a log.

use std::collections::BTreeMap;

use crossport_protocol::codec::{self, Blob};
use crossport_protocol::fields::Fields;
use crossport_protocol::ids::{ChatId, CompanyId, Hash, Head, Position, StreamId};
use crossport_protocol::owner_log::{
    Acceptance, Add, Bar, Body, ChatKind, Genesis, History, Invite, NewEpoch, RULES, RecordHeader,
    Remove, SignedRecord, StreamCut, VERSION,
};
use crossport_protocol::stream::Tip;
use crossport_protocol::suite::Domain;
use serde_json::{Value, json};

use super::cast::{self, Company, NOON, SUITE, clock, epoch_key, handle, seed};
use super::companies::log_bytes;
use super::{Group, Vector, tree};

mod broken;

/// An owner log that is being written.
#[derive(Debug)]
pub struct Chat {
    pub owner: Company,
    pub records: Vec<SignedRecord>,
    pub epoch: u32,
}

impl Chat {
    pub fn id(&self) -> ChatId {
        ChatId(self.records[0].hash().0)
    }

    pub fn head(&self) -> Position {
        self.records
            .last()
            .map_or(Position::START, |record| Position {
                term: 0,
                seq: self.records.len() as u64,
                hash: record.hash(),
            })
    }

    pub fn start(owner: Company, history: History) -> Chat {
        Chat::begin(owner, RULES, history)
    }

    fn begin(owner: Company, rules: u16, history: History) -> Chat {
        let name = if history == History::FULL {
            "full"
        } else {
            "from joining"
        };
        let mut chat = Chat {
            owner,
            records: Vec::new(),
            epoch: 1,
        };
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&seed(name)[..16]);
        chat.push(&Body::Genesis(Genesis {
            rules,
            suite: SUITE.number(),
            kind: ChatKind::GROUP,
            history,
            nonce,
            commitment: epoch_key(1).commitment(&ChatId::ZERO, 1),
        }));
        chat
    }

    pub fn header(&self, body: &Body) -> RecordHeader {
        let head = self.head();
        let id = if head == Position::START {
            ChatId::ZERO
        } else {
            self.id()
        };
        RecordHeader {
            version: VERSION,
            suite: SUITE.number(),
            chat: id,
            term: 0,
            seq: head.seq + 1,
            prev: head.hash,
            owner: self.owner.id(),
            node: self.owner.node_key(),
            identity_at: self.owner.at(),
            clock: clock(head.seq),
            kind: body.kind(),
            body: Blob(body.encode()),
            epoch: self.epoch,
            payload_len: 0,
            payload_hash: Hash::ZERO,
            fields: Fields::none(),
        }
    }

    pub fn push(&mut self, body: &Body) {
        let header = self.header(body);
        self.records.push(SignedRecord::sign(
            SUITE,
            &self.owner.node,
            &header,
            Vec::new(),
        ));
    }

    pub fn title(&mut self, title: &str) {
        let mut header = self.header(&Body::Title);
        let nonce: [u8; 24] = seed(title)[..24].try_into().expect("24 of 32");
        let sealed = epoch_key(self.epoch).seal(nonce, &header.associated(), title.as_bytes());
        header.payload_len = sealed.len() as u32;
        header.payload_hash = Hash::of(&[&sealed]);
        self.records
            .push(SignedRecord::sign(SUITE, &self.owner.node, &header, sealed));
    }

    pub fn invite(&mut self, company: CompanyId) -> Position {
        let expires = NOON.plus_ms(7 * 86_400_000);
        self.push(&Body::Invite(Invite { company, expires }));
        self.head()
    }

    pub fn accept(&self, by: &Company, invitation: Position) -> Acceptance {
        Acceptance::sign(SUITE, &by.node, self.id(), invitation, by.at(), by.bundle())
    }

    pub fn new_epoch(&mut self) -> NewEpoch {
        self.epoch += 1;
        let commitment = epoch_key(self.epoch).commitment(&self.id(), self.epoch);
        NewEpoch {
            epoch: self.epoch,
            commitment,
        }
    }
}

/// Stream of a company's first node.
pub fn stream(company: &Company, incarnation: u64) -> StreamId {
    StreamId {
        company: company.id(),
        node: company.node_key(),
        incarnation,
    }
}

fn cut(company: &Company) -> Vec<StreamCut> {
    let head = |seq| Head {
        seq,
        hash: Hash(seed("a head")),
    };
    vec![StreamCut {
        stream: stream(company, 7),
        heads: vec![head(5), head(6)],
    }]
}

/// Full history: genesis, title, invitation, adding, bar, its end, a new epoch, removal.
pub fn full() -> Chat {
    let globex = cast::globex();
    let mut chat = Chat::start(cast::acme(), History::FULL);
    chat.title("Launch 🚀 with Борис");
    let at = chat.invite(globex.id());
    let acceptance = chat.accept(&globex, at);
    chat.push(&Body::Add(Box::new(Add {
        acceptance,
        epoch: None,
        base: Vec::new(),
    })));
    for barred in [true, false] {
        chat.push(&Body::Bar(Bar {
            company: globex.id(),
            handle: handle("boris"),
            barred,
            cut: cut(&globex),
        }));
    }
    let epoch = chat.new_epoch();
    chat.push(&Body::Epoch(epoch));
    let epoch = chat.new_epoch();
    chat.push(&Body::Remove(Remove {
        company: globex.id(),
        cut: cut(&globex),
        epoch,
    }));
    chat
}

/// History from joining: the adding starts an epoch and names where the newcomer's history begins.
fn from_joining() -> Chat {
    let globex = cast::globex();
    let mut chat = Chat::start(cast::acme(), History::FROM_JOINING);
    let at = chat.invite(globex.id());
    let acceptance = chat.accept(&globex, at);
    let head = Head {
        seq: 9,
        hash: Hash(seed("base")),
    };
    let tip = Tip {
        head,
        clock: clock(0),
        owner_at: chat.head(),
        identity_seq: 2,
        epoch: 1,
    };
    let base = vec![(stream(&chat.owner, 7), tip)];
    let epoch = Some(chat.new_epoch());
    chat.push(&Body::Add(Box::new(Add {
        acceptance,
        epoch,
        base,
    })));
    chat
}

/// Identity logs that a judge of an owner log must know.
fn identities() -> Value {
    let log = |company: Company| {
        (
            company.id().to_string(),
            json!(hex::encode(log_bytes(&company.identity))),
        )
    };
    let logs: BTreeMap<String, Value> = [cast::acme(), cast::globex()].map(log).into();
    json!(logs)
}

fn log_vector(name: &str, chat: ChatId, records: &[SignedRecord]) -> Vector {
    Vector::encoded("owner_log", name, &records.to_vec())
        .given("chat", chat.to_string())
        .given("identities", identities())
        .value(&json!({ "needs_newer_version": false }))
}

impl Vector {
    /// The log names something that this build does not know and must not ignore.
    fn newer(self) -> Vector {
        self.value(&json!({ "needs_newer_version": true }))
    }
}

fn body_tree(body: &Body) -> Value {
    match body {
        Body::Genesis(body) => tree(body),
        Body::Invite(body) => tree(body),
        Body::Add(body) => tree(body.as_ref()),
        Body::Remove(body) => tree(body),
        Body::Bar(body) => tree(body),
        Body::Epoch(body) => tree(body),
        Body::Title | Body::Unknown(_) => Value::Null,
    }
}

fn record_vector(name: &str, record: &SignedRecord, epoch: u32) -> Vector {
    let (header, body) = record.verify(SUITE).expect("a sound record");
    let title = epoch_key(epoch).open(&header.associated(), &record.payload.0);
    let title = title.map(|plain| String::from_utf8(plain).expect("a title"));
    Vector::encoded("owner_record", name, record)
        .given("epoch_key", hex::encode(epoch_key(epoch).expose()))
        .value(&json!({ "header": tree(&header), "body": body_tree(&body), "title": title }))
}

pub fn group() -> Group {
    let (full, joining) = (full(), from_joining());
    let names = [
        "genesis",
        "title",
        "invite",
        "add",
        "bar",
        "bar lifted",
        "epoch",
        "remove",
    ];
    let mut vectors: Vec<Vector> = names
        .iter()
        .zip(&full.records)
        .map(|(name, record)| record_vector(name, record, 1))
        .collect();
    vectors.push(record_vector(
        "add with history from joining",
        &joining.records[2],
        1,
    ));
    let mut erased = full.records[1].clone();
    erased.payload.0.clear();
    vectors.push(record_vector("title erased", &erased, 1));
    let mut newer = from_joining();
    newer.push(&Body::Unknown(99));
    vectors.push(record_vector("a kind nobody knows", &newer.records[3], 2));
    let (mut ignorable, mut later) = (from_joining(), Chat::begin(cast::acme(), 2, History(3)));
    ignorable.push(&Body::Unknown(0x8000));
    later.push(&Body::Unknown(0x7FFF));
    vectors.push(record_vector(
        "a genesis of later rules",
        &later.records[0],
        1,
    ));
    vectors.push(log_vector(
        "with a kind that may be ignored",
        ignorable.id(),
        &ignorable.records,
    ));
    vectors.push(log_vector("by later rules", later.id(), &later.records).newer());
    vectors.push(log_vector("full history", full.id(), &full.records));
    vectors.push(log_vector(
        "history from joining",
        joining.id(),
        &joining.records,
    ));
    vectors.push(log_vector("with a kind nobody knows", newer.id(), &newer.records).newer());
    vectors.extend(vectors[1].misshapen(0));
    let two = log_vector("two records", full.id(), &full.records[..2]);
    vectors.extend(two.misshapen(0));
    vectors.extend(broken::records(&full));
    vectors.extend(broken::bodies(&full));
    vectors.extend(broken::logs());
    vectors.extend(broken::acts());
    vectors.extend(broken::memberships());
    vectors.extend(acceptances());
    Group {
        about: "Owner logs of chats".to_owned(),
        vectors,
    }
}

fn acceptances() -> Vec<Vector> {
    let globex = cast::globex();
    let mut chat = Chat::start(cast::acme(), History::FULL);
    let at = chat.invite(globex.id());
    let acceptance = chat.accept(&globex, at);
    let good = Vector::encoded("acceptance", "acceptance", &acceptance).value(&acceptance);
    let spoilt = |name: &str, change: &dyn Fn(&mut Acceptance)| {
        let mut changed = acceptance.clone();
        change(&mut changed);
        good.spoilt(name, "bad_signature", &codec::encode(&changed))
    };
    let content = codec::encode(&acceptance);
    let content = &content[..content.len() - 64];
    let other = SUITE.sign(&globex.node, Domain::Prekey, content);
    vec![
        spoilt("acceptance of another invitation", &|acceptance| {
            acceptance.invitation.seq = 3
        }),
        spoilt("acceptance with another company's prekey", &|acceptance| {
            acceptance.prekey = cast::acme().bundle();
        }),
        spoilt("acceptance under another domain tag", &|acceptance| {
            acceptance.signature = other
        }),
        good.clone()
            .spoilt("acceptance truncated", "malformed", content),
        good,
    ]
}
