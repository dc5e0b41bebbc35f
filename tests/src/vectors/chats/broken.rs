//! Owner records that a member must refuse. Each is signed anew, so that only the rule that it breaks can refuse it.

use crossport_protocol::codec::{self, Blob};
use crossport_protocol::fields::Field;
use crossport_protocol::ids::{ChatId, CompanyId, Handle, Hash, Head};
use crossport_protocol::limits;
use crossport_protocol::owner_log::{
    Acceptance, Add, Bar, Body, History, Invite, NewEpoch, RecordHeader, Remove, SignedRecord,
    StreamCut, kind,
};
use crossport_protocol::suite::{Domain, SecretKey};

use super::super::Vector;
use super::super::cast::{self, Company, NOON, SUITE};
use super::{Chat, log_vector, record_vector, stream};

fn resigned(header: &RecordHeader, key: &SecretKey) -> SignedRecord {
    SignedRecord::sign(SUITE, key, header, Vec::new())
}

pub(super) fn records(full: &Chat) -> Vec<Vector> {
    let key = &full.owner.node;
    let good = record_vector("invite", &full.records[2], 1);
    let header: RecordHeader = codec::decode(&full.records[2].header.0, 1 << 20).expect("sound");
    let spoilt = |name: &str, reason: &str, record: &SignedRecord| {
        good.spoilt(name, reason, &codec::encode(record))
    };
    let changed = |change: &dyn Fn(&mut RecordHeader)| {
        let mut header = header.clone();
        change(&mut header);
        resigned(&header, key)
    };
    let mut bad_signature = full.records[2].clone();
    bad_signature.signature = full.records[3].signature;
    let mut other_domain = full.records[2].clone();
    other_domain.signature = SUITE.sign(key, Domain::Genesis, &other_domain.header.0);
    let mut payload = full.records[1].clone();
    payload.payload.0[30] ^= 1;
    let field = |number| Field {
        number,
        value: Blob::default(),
    };
    vec![
        spoilt(
            "record with a bad signature",
            "bad_signature",
            &bad_signature,
        ),
        spoilt(
            "record under another domain tag",
            "bad_signature",
            &other_domain,
        ),
        spoilt("record with another payload", "shape", &payload),
        spoilt(
            "record without a payload that states a hash",
            "shape",
            &changed(&|header| header.payload_hash = Hash([1; 32])),
        ),
        spoilt(
            "record whose payload is shorter than its seal",
            "shape",
            &changed(&|header| header.payload_len = 71),
        ),
        spoilt(
            "record whose payload is too long",
            "shape",
            &changed(&|header| header.payload_len = 65_537),
        ),
        spoilt(
            "record of version 1",
            "unsupported",
            &changed(&|header| header.version = 1),
        ),
        spoilt(
            "record of the simulator's suite",
            "unsupported",
            &changed(&|h| h.suite = 0xFFFF),
        ),
        spoilt(
            "record whose fields do not ascend",
            "shape",
            &changed(&|h| h.fields.0 = vec![field(2), field(1)]),
        ),
    ]
}

/// Bodies that do not decode, in headers that are well signed.
pub(super) fn bodies(full: &Chat) -> Vec<Vector> {
    let good = record_vector("invite", &full.records[2], 1);
    let header: RecordHeader = codec::decode(&full.records[2].header.0, 1 << 20).expect("sound");
    let spoilt = |name: &str, change: &dyn Fn(&mut RecordHeader)| {
        let mut header = header.clone();
        change(&mut header);
        let record = resigned(&header, &full.owner.node);
        good.spoilt(name, "malformed", &codec::encode(&record))
    };
    let optional = Body::Add(Box::new(Add {
        acceptance: full.accept(&cast::globex(), full.head()),
        epoch: None,
        base: Vec::new(),
    }));
    let mut bytes = optional.encode();
    let option_at = codec::encode(&full.accept(&cast::globex(), full.head())).len();
    bytes[option_at] = 2;
    vec![
        spoilt("record whose body has a trailing byte", &|h| {
            h.body.0.push(0)
        }),
        spoilt("record whose option is neither 0 nor 1", &|h| {
            h.kind = kind::ADD;
            h.body.0.clone_from(&bytes);
        }),
        spoilt("title with a body", &|h| h.kind = kind::TITLE),
    ]
}

/// A chat with a title, and its id.
fn base() -> Chat {
    let mut chat = Chat::start(cast::acme(), History::FULL);
    chat.title("Launch");
    chat
}

/// That chat with an invitation whose header was changed before it was signed.
fn with(name: &str, reason: &str, change: &dyn Fn(&mut RecordHeader), key: &SecretKey) -> Vector {
    let mut chat = base();
    let mut header = chat.header(&Body::Invite(Invite {
        company: cast::globex().id(),
        expires: NOON,
    }));
    change(&mut header);
    chat.records.push(resigned(&header, key));
    log_vector(name, base().id(), &chat.records).refused(reason)
}

/// Records that do not continue their log.
pub(super) fn logs() -> Vec<Vector> {
    let acme = cast::acme().node;
    let with = |name: &str, reason: &str, change: &dyn Fn(&mut RecordHeader)| {
        with(name, reason, change, &acme)
    };
    let id = base().id();
    let fork = {
        let mut chat = base();
        let first = chat.records.clone();
        chat.records.truncate(1);
        chat.title("Another");
        [first, chat.records.split_off(1)].concat()
    };
    let late = base().records.split_off(1);
    let mut vectors = vec![
        with("log with a wrong prev", "wrong_prev", &|h| {
            h.prev = Hash([9; 32])
        }),
        with("log with a record of another chat", "wrong_prev", &|h| {
            h.chat = ChatId([9; 32]);
        }),
        with("log with a term that nobody knows", "wrong_prev", &|h| {
            h.term = 1
        }),
        with("log with a number left out", "gap", &|h| h.seq = 4),
        with("log with a record at number 0", "shape", &|h| h.seq = 0),
        log_vector("log with two records at one position", id, &fork).refused("fork"),
        log_vector("log without its genesis", id, &late).refused("rule"),
        log_vector("log of another chat", ChatId([9; 32]), &base().records).refused("wrong_prev"),
    ];
    vectors.extend(signers());
    vectors
}

/// Records that somebody else signed.
fn signers() -> Vec<Vector> {
    let (acme, globex) = (cast::acme(), cast::globex());
    let stranger = globex.node_key();
    vec![
        with(
            "log written by a member",
            "not_owner",
            &|header| {
                header.owner = globex.id();
                header.node = stranger;
                header.identity_at = globex.at();
            },
            &globex.node,
        ),
        with(
            "log signed by a key that the owner does not list",
            "unknown_key",
            &|header| header.node = stranger,
            &globex.node,
        ),
        with(
            "log that cites an identity nobody has",
            "needs_identity",
            &|header| header.identity_at.seq = 9,
            &acme.node,
        ),
    ]
}

/// A chat in which the owner does what the rules do not allow.
fn log(name: &str, history: History, write: &dyn Fn(&mut Chat)) -> Vector {
    let mut chat = Chat::start(cast::acme(), history);
    write(&mut chat);
    log_vector(name, chat.id(), &chat.records).refused("rule")
}

/// Companies added as they must not be.
pub(super) fn memberships() -> Vec<Vector> {
    let globex = cast::globex();
    let add = |chat: &mut Chat, acceptance: Acceptance| {
        chat.push(&Body::Add(Box::new(Add {
            acceptance,
            epoch: None,
            base: Vec::new(),
        })));
    };
    let older = |chat: &mut Chat| {
        let first = chat.invite(globex.id());
        chat.invite(globex.id());
        let acceptance = chat.accept(&globex, first);
        add(chat, acceptance);
    };
    let without_epoch = |chat: &mut Chat| {
        let at = chat.invite(globex.id());
        let acceptance = chat.accept(&globex, at);
        add(chat, acceptance);
    };
    let full = History::FULL;
    vec![
        log("add without an invitation", full, &|chat| {
            let acceptance = chat.accept(&globex, chat.head());
            add(chat, acceptance);
        }),
        log(
            "add with the acceptance of an older invitation",
            full,
            &older,
        ),
        log(
            "add without the epoch that it needs",
            History::FROM_JOINING,
            &without_epoch,
        ),
    ]
}

fn join(chat: &mut Chat) {
    let at = chat.invite(cast::globex().id());
    let acceptance = chat.accept(&cast::globex(), at);
    chat.push(&Body::Add(Box::new(Add {
        acceptance,
        epoch: None,
        base: Vec::new(),
    })));
}

fn cut(company: &Company, heads: usize) -> Vec<StreamCut> {
    let head = |seq| Head {
        seq: seq as u64,
        hash: Hash([1; 32]),
    };
    vec![StreamCut {
        stream: stream(company, 1),
        heads: (1..=heads).map(head).collect(),
    }]
}

/// Other acts of the owner that no log may hold.
pub(super) fn acts() -> Vec<Vector> {
    let remove = |chat: &mut Chat, company: CompanyId| {
        let epoch = chat.new_epoch();
        chat.push(&Body::Remove(Remove {
            company,
            cut: Vec::new(),
            epoch,
        }));
    };
    let full = History::FULL;
    vec![
        log("an epoch left out", full, &|chat| {
            let epoch = chat.epoch + 2;
            let commitment = Hash([1; 32]);
            chat.push(&Body::Epoch(NewEpoch { epoch, commitment }));
        }),
        log("the owner removed", full, &|chat| {
            remove(chat, chat.owner.id())
        }),
        log("a company removed that does not take part", full, &|chat| {
            remove(chat, cast::globex().id());
        }),
        log("a company removed with another's streams", full, &|chat| {
            join(chat);
            let epoch = chat.new_epoch();
            chat.push(&Body::Remove(Remove {
                company: cast::globex().id(),
                cut: cut(&cast::acme(), 1),
                epoch,
            }));
        }),
        log("a company removed with too many heads", full, &|chat| {
            join(chat);
            let epoch = chat.new_epoch();
            chat.push(&Body::Remove(Remove {
                company: cast::globex().id(),
                cut: cut(&cast::globex(), limits::HEADS_PER_COMPANY + 1),
                epoch,
            }));
        }),
        log(
            "somebody barred with another company's streams",
            full,
            &|chat| {
                chat.push(&Body::Bar(Bar {
                    company: cast::globex().id(),
                    handle: Handle([1; 16]),
                    barred: true,
                    cut: cut(&cast::acme(), 1),
                }));
            },
        ),
        log("the owner invited", full, &|chat| {
            let company = chat.owner.id();
            chat.invite(company);
        }),
    ]
}
