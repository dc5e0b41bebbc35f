//! Every frame of a link, and the digest by which two nodes see that they agree.

use crossport_protocol::codec::{self, Blob};
use crossport_protocol::fields::{Field, Fields};
use crossport_protocol::frame::{
    Digests, EnvelopeItem, EnvelopesFrame, Frame, Frontier, FrontierBody, Hello, IdentityFrame,
    Locate, OwnerFrame, VERSION,
};
use crossport_protocol::ids::{ChatId, Hash, Head, NodeKey};
use crossport_protocol::limits;
use crossport_protocol::owner_log::History;
use crossport_protocol::wrap::{Wrap, wrap};
use serde_json::{Value, json};

use super::cast::{self, Fixed, NOON, SUITE, epoch_key};
use super::chats::Chat;
use super::envelopes::{Talk, proof, talk};
use super::registers::{heads, read_register, statement};
use super::{Group, Vector, tree};

fn body(frame: &Frame) -> Value {
    match frame {
        Frame::Hello(body) => tree(body),
        Frame::Digests(body) => tree(body),
        Frame::Frontier(body) => tree(body),
        Frame::Identity(body) => tree(body),
        Frame::Owner(body) => tree(body),
        Frame::Envelopes(body) => tree(body),
        Frame::Wraps(body) => tree(body),
        Frame::Statements(body) => tree(body),
        Frame::Reads(body) => tree(body),
        Frame::Accept(body) => tree(body),
        Frame::Locate(body) => tree(body),
        Frame::Direct(body) => tree(body),
        Frame::Unknown(_) => Value::Null,
    }
}

fn vector(name: &str, frame: &Frame) -> Vector {
    Vector::new("frame", name, &frame.encode())
        .value(&json!({ "number": frame.number(), "body": body(frame) }))
}

fn frontiers(talk: &Talk) -> Vec<(&'static str, Frame)> {
    let chat = talk.chat.id();
    let full = FrontierBody {
        owner_at: Some(talk.chat.head()),
        streams: heads(talk),
        gaps: heads(talk),
        statements: vec![(cast::globex().node_key(), NOON.0 + 7)],
        reads: vec![(cast::globex().node_key(), 1, NOON.0 + 9)],
        missing_epochs: vec![1, 2, 0xFFFF_FFFF],
        processed: 123_456,
        reply: true,
        answers: false,
        fields: Fields::none(),
    };
    let newer = FrontierBody {
        fields: field(&[5, 6]),
        ..FrontierBody::default()
    };
    let empty = FrontierBody::default();
    vec![
        ("frontier", Frame::Frontier(Frontier { chat, body: full })),
        (
            "frontier of a chat that is not held",
            Frame::Frontier(Frontier { chat, body: empty }),
        ),
        (
            "frontier with unknown numbered fields",
            Frame::Frontier(Frontier { chat, body: newer }),
        ),
    ]
}

fn field(numbers: &[u16]) -> Fields {
    let field = |number: &u16| Field {
        number: *number,
        value: Blob(b"later".to_vec()),
    };
    Fields(numbers.iter().map(field).collect())
}

fn wraps(chat: ChatId) -> Vec<Wrap> {
    let (mut random, to) = (Fixed::new("a wrap in a frame"), cast::globex().bundle());
    let made = |epoch| wrap(SUITE, &mut random, chat, epoch, &epoch_key(epoch), &to);
    [1, 2].into_iter().filter_map(made).collect()
}

fn frames(talk: &Talk) -> Vec<(&'static str, Frame)> {
    let (acme, globex) = (cast::acme(), cast::globex());
    let chat = talk.chat.id();
    let hello = Hello {
        version: VERSION,
        build: "0.1.0".to_owned(),
        company: acme.id(),
        generation: 1,
        identity_at: acme.at(),
        prekey: acme.bundle(),
        time: NOON,
        fields: Fields::none(),
    };
    let newer_hello = Hello {
        fields: field(&[1, 40_000]),
        ..hello.clone()
    };
    let digests = |entries| {
        Frame::Digests(Digests {
            entries,
            last: true,
        })
    };
    let identity = IdentityFrame {
        company: acme.id(),
        records: acme.identity.records().cloned().collect(),
    };
    let records = talk.chat.records.clone();
    let owner = OwnerFrame { chat, records };
    let mut erased = EnvelopeItem::whole(talk.acme[0].sealed.clone());
    erased.envelope.payloads[1].0.clear();
    erased.erasures.push(proof(&talk.acme[2], 1, 0));
    let envelopes = EnvelopesFrame {
        chat,
        sent_bytes: 0x1_0000_0001,
        items: vec![erased, EnvelopeItem::whole(talk.acme[1].sealed.clone())],
    };
    let mut samples = heads(talk);
    samples[0].heads.insert(0, Head::START);
    let mut invited = Chat::start(cast::acme(), History::FULL);
    let at = invited.invite(globex.id());
    let directs = vec![globex.id(), cast::initech().id()];
    let mut frames = vec![
        ("hello", Frame::Hello(hello)),
        (
            "hello with unknown numbered fields",
            Frame::Hello(newer_hello),
        ),
        ("digests", digests(vec![(chat, [0xD1; 16])])),
        ("digests of no chats", digests(Vec::new())),
        ("identity", Frame::Identity(identity)),
        ("owner", Frame::Owner(owner)),
        ("envelopes", Frame::Envelopes(envelopes)),
        ("wraps", Frame::Wraps(wraps(chat))),
        ("statements", Frame::Statements(vec![statement(talk)])),
        ("reads", Frame::Reads(vec![read_register(talk)])),
        ("accept", Frame::Accept(invited.accept(&globex, at))),
        (
            "locate",
            Frame::Locate(Locate {
                chat,
                streams: samples,
            }),
        ),
        ("direct", Frame::Direct(directs)),
    ];
    frames.extend(frontiers(talk));
    frames
}

pub fn group() -> Group {
    let talk = talk();
    let mut vectors: Vec<Vector> = frames(&talk)
        .iter()
        .map(|(name, frame)| vector(name, frame))
        .collect();
    let unknown = Vector::new("frame", "a number nobody knows", &[0xE8, 3, 1, 2, 3]);
    vectors.push(unknown.value(&json!({ "number": 1000, "body": [1, 2, 3] })));
    // Digests: the list comes first. Locate: the chat, then the list. Hello: the version, then the build's name.
    let at = |name: &str| vectors.iter().find(|vector| vector.name == name).cloned();
    let misshapen = [
        ("digests", 2),
        ("locate", 34),
        ("hello", 4),
        ("envelopes", 42),
        ("owner", 34),
    ];
    let spoilt: Vec<Vector> = misshapen
        .into_iter()
        .filter_map(|(name, length_at)| Some(at(name)?.misshapen(length_at)))
        .flatten()
        .collect();
    let digests = at("digests").expect("made above");
    let mut no_bool = digests.raw();
    let last = no_bool.len() - 1;
    no_bool[last] = 2;
    let mut too_long = vec![7, 0];
    too_long.resize(limits::FRAME_BYTES + 1, 0);
    vectors.push(digests.spoilt(
        "digests whose bool is neither 0 nor 1",
        "malformed",
        &no_bool,
    ));
    vectors.push(digests.spoilt("a frame without a number", "malformed", &[1]));
    vectors.push(zeros(
        &digests.spoilt("a frame too long", "too_long", &too_long),
        &too_long,
    ));
    vectors.extend(spoilt);
    for (name, numbers) in [("not ascending", [9, 8]), ("twice", [8, 8])] {
        let body = FrontierBody {
            fields: field(&numbers),
            ..FrontierBody::default()
        };
        let chat = talk.chat.id();
        let frame = Frame::Frontier(Frontier { chat, body }).encode();
        let name = format!("frontier, numbered fields {name}");
        vectors.push(digests.spoilt(&name, "malformed", &frame));
    }
    vectors.extend(chat_digests(&talk));
    Group {
        about: "What two linked nodes say to each other".to_owned(),
        vectors,
    }
}

/// A megabyte of zeros is written down as a number.
fn zeros(vector: &Vector, bytes: &[u8]) -> Vector {
    let mut short = vector.clone();
    short.bytes = hex::encode(&bytes[..2]);
    short.given("zeros", bytes.len() - 2)
}

fn chat_digests(talk: &Talk) -> Vec<Vector> {
    let owner = talk.chat.head().hash;
    let node = cast::globex().node_key();
    let (statements, reads) = (vec![(node, NOON.0 + 7)], vec![(node, 0u16, NOON.0 + 9)]);
    let nothing: Vec<(NodeKey, u64)> = Vec::new();
    let none = Vec::<crossport_protocol::owner_log::StreamCut>::new();
    let member = codec::encode(&(heads(talk), &none, statements, reads));
    let fresh = codec::encode(&(&none, &none, &nothing, &nothing));
    let digest =
        |state: &[u8]| Hash::of(&[b"crossport/0/digest\0", &owner.0, state]).0[..16].to_vec();
    let vector = |name: &str, state: &[u8]| {
        Vector::new("digest", name, state)
            .given("owner", owner.to_string())
            .value(&digest(state))
    };
    vec![
        vector("digest for a member", &member),
        vector("digest of a chat in which nothing was said", &fresh),
        vector("digest for a company that does not take part", &[]),
    ]
}
