//! Envelopes, the chains that they form, and what may stand in for an erased payload.

use crossport_protocol::codec;
use crossport_protocol::envelope::{DraftEvent, Place, SealedEnvelope, VerifiedEnvelope, author};
use crossport_protocol::event::{
    Delete, Edit, Event, Member, MemberAction, MemberAsk, Message, Notice, Reaction, Resume,
    UserCard,
};
use crossport_protocol::fields::Fields;
use crossport_protocol::frame::{DeleteProof, Erasure};
use crossport_protocol::ids::{EventId, Hash, Head};
use crossport_protocol::limits;
use serde_json::{Value, json};

use super::cast::{self, Company, Fixed, SUITE, clock, epoch_key, handle, local};
use super::chats::{self, stream};
use super::companies::log_bytes;
use super::{Group, Vector, tree};

mod broken;
mod erased;

const INCARNATION: u64 = 0x0102_0304_0506_0708;

/// A chat of two companies with what they wrote.
#[derive(Debug)]
pub struct Talk {
    pub chat: chats::Chat,
    /// Acme's stream, oldest first.
    pub acme: Vec<VerifiedEnvelope>,
    /// Globex' stream.
    pub globex: Vec<VerifiedEnvelope>,
}

struct Pen<'a> {
    talk: &'a Talk,
    by: &'a Company,
    after: Head,
    clock_ms: u64,
    random: Fixed,
}

impl<'a> Pen<'a> {
    fn new(talk: &'a Talk, by: &'a Company, after: Head, random: &'static str) -> Pen<'a> {
        Pen {
            talk,
            by,
            after,
            clock_ms: 5_000,
            random: Fixed::new(random),
        }
    }

    fn write(&mut self, events: &[(&str, Event)]) -> VerifiedEnvelope {
        let place = Place {
            chat: self.talk.chat.id(),
            stream: stream(self.by, INCARNATION),
            after: self.after,
            owner_at: self.talk.chat.head(),
            identity_at: self.by.at(),
            epoch: 1,
        };
        let draft = |(at, (actor, event)): (usize, &(&str, Event))| DraftEvent {
            clock: clock(self.clock_ms + at as u64),
            kind: event.kind(),
            actor: handle(actor),
            plain: event.encode(),
        };
        let drafts: Vec<DraftEvent> = events.iter().enumerate().map(draft).collect();
        self.clock_ms += 1_000;
        let envelope = author(
            SUITE,
            &self.by.node,
            &epoch_key(1),
            place,
            &drafts,
            &mut self.random,
        );
        self.after = envelope.head();
        envelope
    }
}

fn join(person: &str, nickname: &str) -> Event {
    Event::Member(Member {
        action: MemberAction::JOIN,
        card: UserCard {
            local: local(person),
            name: person.to_owned(),
            nickname: nickname.to_owned(),
            title: String::new(),
            fields: Fields::none(),
        },
    })
}

/// What both wrote before anything went wrong.
pub fn talk() -> Talk {
    let mut chat = chats::full();
    // Up to the adding of Globex.
    chat.records.truncate(4);
    let mut talk = Talk {
        chat,
        acme: Vec::new(),
        globex: Vec::new(),
    };
    talk.acme = anna_writes(&talk);
    talk.globex = vec![boris_writes(&talk, talk.acme[0].event_id(1))];
    talk
}

fn anna_writes(talk: &Talk) -> Vec<VerifiedEnvelope> {
    let acme = cast::acme();
    let mut anna = Pen::new(talk, &acme, Head::START, "anna writes");
    anna.clock_ms = 1_000;
    let greeting = Event::Message(Message::text("Hello, Борис! 👋"));
    let first = anna.write(&[("anna", join("Anna", "anna")), ("anna", greeting)]);
    let target = first.event_id(1);
    let edit = Event::Edit(Edit {
        target,
        text: "Hello, Boris!".to_owned(),
        fields: Fields::none(),
    });
    let newer = Event::Unknown {
        kind: 777,
        plain: b"from a newer version".to_vec(),
    };
    let second = anna.write(&[("anna", edit), ("anna", newer)]);
    let third = anna.write(&[("anna", Event::Delete(Delete { target }))]);
    vec![first, second, third]
}

fn boris_writes(talk: &Talk, target: EventId) -> VerifiedEnvelope {
    let globex = cast::globex();
    let mut boris = Pen::new(talk, &globex, Head::START, "boris writes");
    boris.clock_ms = 1_500;
    let head = Head {
        seq: 2,
        hash: Hash([2; 32]),
    };
    let resume = Resume {
        old: vec![(stream(&globex, 5), head)],
    };
    let like = Reaction {
        target,
        emoji: "👍".to_owned(),
        present: true,
    };
    let reply = Message {
        reply_to: Some(target),
        ..Message::text("Hi")
    };
    let ask = MemberAsk {
        company: cast::acme().id(),
        action: MemberAction::JOIN,
        nickname: "carl".to_owned(),
    };
    let notice = Notice {
        code: 1,
        words: vec!["boris".to_owned()],
    };
    boris.write(&[
        ("", Event::Resume(resume)),
        ("boris", join("Борис", "boris")),
        ("boris", Event::Reaction(like)),
        ("boris", Event::Message(reply)),
        ("boris", Event::MemberAsk(ask)),
        ("", Event::Notice(notice)),
    ])
}

/// What a company that takes part in the talk may know.
pub fn known(talk: &Talk) -> Value {
    json!({
        "records": hex::encode(codec::encode(&talk.chat.records)),
        "identities": {
            (cast::acme().id().to_string()): hex::encode(log_bytes(&cast::acme().identity)),
            (cast::globex().id().to_string()): hex::encode(log_bytes(&cast::globex().identity)),
        },
        "epoch_keys": { "1": hex::encode(epoch_key(1).expose()) },
    })
}

fn plains(envelope: &VerifiedEnvelope) -> Value {
    let plain = |place| envelope.open(place, &epoch_key(1)).map(hex::encode);
    json!(
        (0..envelope.header.events.len())
            .map(plain)
            .collect::<Vec<_>>()
    )
}

fn envelope_vector(name: &str, sealed: &SealedEnvelope) -> Vector {
    let envelope = sealed.verify(SUITE).expect("a sound envelope");
    Vector::encoded("envelope", name, sealed)
        .given("epoch_key", hex::encode(epoch_key(1).expose()))
        .value(&json!({
            "hash": tree(&envelope.hash),
            "header": tree(&envelope.header),
            "plains": plains(&envelope),
        }))
}

pub fn group() -> Group {
    let talk = talk();
    let mut erased = talk.acme[0].sealed.clone();
    erased.payloads[1].0.clear();
    let mut vectors = vec![
        envelope_vector("two events", &talk.acme[0].sealed),
        envelope_vector("an edit and a kind nobody knows", &talk.acme[1].sealed),
        envelope_vector("a delete", &talk.acme[2].sealed),
        envelope_vector("six kinds", &talk.globex[0].sealed),
        envelope_vector("an erased payload", &erased),
        envelope_vector(
            "256 events",
            &crowded(&talk, limits::ENVELOPE_EVENTS).sealed,
        ),
        envelope_vector("unknown numbered fields", &with_fields(&talk)),
    ];
    vectors.extend(vectors[0].misshapen(0));
    vectors.extend(broken::bytes(&talk));
    vectors.extend(broken::headers(&talk));
    vectors.extend(broken::chains(&talk));
    vectors.extend(erased::items(&talk));
    vectors.extend(disclosures(&talk));
    Group {
        about: "Signed, sealed events of companies".to_owned(),
        vectors,
    }
}

fn crowded(talk: &Talk, count: usize) -> VerifiedEnvelope {
    let acme = cast::acme();
    let mut pen = Pen {
        talk,
        by: &acme,
        after: talk.acme[2].head(),
        clock_ms: 9_000,
        random: Fixed::new("crowd"),
    };
    let events: Vec<_> = (0..count)
        .map(|number| ("anna", Event::Message(Message::text(number.to_string()))))
        .collect();
    pen.write(&events)
}

/// One message shown to somebody who has no key of its epoch.
fn disclosures(talk: &Talk) -> Vec<Vector> {
    let envelope = &talk.acme[0];
    let key = |place| {
        envelope
            .payload_key(place, &epoch_key(1))
            .expect("a payload")
    };
    let shown = |name: &str, place: usize, key: &[u8; 32]| {
        Vector::encoded("disclosure", name, &envelope.sealed)
            .given("place", place)
            .given("payload_key", hex::encode(key))
    };
    let plain = envelope.open(1, &epoch_key(1)).map(hex::encode);
    let good = shown("one message shown", 1, key(1).expose());
    let mut erased = envelope.sealed.clone();
    erased.payloads[1].0.clear();
    vec![
        good.spoilt(
            "an erased message shown",
            "unreadable",
            &codec::encode(&erased),
        ),
        good.value(&plain),
        shown(
            "a message shown with the key of another",
            1,
            key(0).expose(),
        )
        .refused("unreadable"),
        shown(
            "a message shown with the epoch's key",
            1,
            epoch_key(1).expose(),
        )
        .refused("unreadable"),
    ]
}

fn with_fields(talk: &Talk) -> SealedEnvelope {
    let mut header = talk.acme[0].header.clone();
    header.fields.0 = vec![broken::field(3, b"later"), broken::field(40_000, b"")];
    broken::resigned(&header, &cast::acme().node, &talk.acme[0].sealed.payloads)
}

/// The proof of an erasure: the delete's envelope with only that event's payload.
pub fn proof(delete: &VerifiedEnvelope, place: usize, by: usize) -> Erasure {
    let mut proof = delete.sealed.clone();
    for (at, payload) in proof.payloads.iter_mut().enumerate() {
        if at != by {
            payload.0.clear();
        }
    }
    let proof = DeleteProof {
        place: by as u16,
        envelope: proof,
    };
    Erasure::deleted(place as u16, &proof)
}
