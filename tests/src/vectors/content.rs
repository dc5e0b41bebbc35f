//! The plain content of every kind of event, and what its rules refuse.

use crossport_protocol::clock::Time;
use crossport_protocol::codec::{self, Blob};
use crossport_protocol::event::forward::Forwarded;
use crossport_protocol::event::mention::{self, Mention, Mentioned};
use crossport_protocol::event::{
    AdminDelete, Delete, Edit, Event, Member, MemberAction, MemberAsk, Message, Notice, Reaction,
    Resume, UserCard,
};
use crossport_protocol::fields::{Field, Fields};
use crossport_protocol::ids::{ChatId, EventId, Hash, Head, UserId};
use crossport_protocol::limits;
use serde_json::Value;

use super::cast::{self, local, seed};
use super::chats::stream;
use super::{Group, Vector, tree};

fn content(event: &Event) -> Value {
    match event {
        Event::Message(content) => tree(content),
        Event::Edit(content) => tree(content),
        Event::Delete(content) => tree(content),
        Event::Reaction(content) => tree(content),
        Event::Member(content) => tree(content),
        Event::MemberAsk(content) => tree(content),
        Event::Notice(content) => tree(content),
        Event::Resume(content) => tree(content),
        Event::AdminDelete(content) => tree(content),
        Event::Unknown { plain, .. } => hex::encode(plain).into(),
    }
}

fn vector(name: &str, event: &Event) -> Vector {
    Vector::new("event", name, &event.encode()).given("kind", event.kind())
}

fn target() -> EventId {
    EventId {
        envelope: Hash(seed("a message")),
        place: 258,
    }
}

fn fields() -> Fields {
    let field = |number, value: &[u8]| Field {
        number,
        value: Blob(value.to_vec()),
    };
    Fields(vec![field(1, b"a field, one day"), field(65_535, b"")])
}

/// What the text below names, and a field that nobody knows.
fn several() -> Vec<Mention> {
    let boris = Mentioned::Person(UserId {
        company: cast::globex().id(),
        local: local("Boris"),
    });
    let chat = Mentioned::Chat(ChatId(seed("a chat")));
    let newer = Mention {
        start: 24,
        length: 2,
        what: 700,
        id: Blob(b"a team, one day".to_vec()),
    };
    vec![Mention::of(0, 11, boris), Mention::of(12, 11, chat), newer]
}

fn passed_on(name: &str) -> Event {
    let forwarded = Forwarded {
        author: UserId {
            company: cast::globex().id(),
            local: local("Boris"),
        },
        name: name.to_owned(),
        nickname: "boris".to_owned(),
        time: Time(1_000),
        source: Some((ChatId(seed("a chat")), target())),
    };
    Event::Message(Message {
        fields: forwarded.into_fields(Fields::none()),
        ..Message::text("Hello")
    })
}

fn naming(mentions: &Vec<Mention>) -> Event {
    let fields = Fields::none().with(mention::FIELD, codec::encode(mentions));
    Event::Message(Message {
        fields: fields.with(65_535, Vec::new()),
        ..Message::text("@Борис #Запус Ω!")
    })
}

fn card() -> UserCard {
    UserCard {
        local: local("Anna"),
        name: "Anna Ås".to_owned(),
        nickname: "anna".to_owned(),
        title: "Head of Launches".to_owned(),
        fields: fields(),
    }
}

fn reaction(emoji: &str) -> Event {
    Event::Reaction(Reaction {
        target: target(),
        emoji: emoji.to_owned(),
        present: true,
    })
}

fn named(nickname: &str) -> Event {
    let card = UserCard {
        nickname: nickname.to_owned(),
        ..card()
    };
    let action = MemberAction::LEAVE;
    Event::Member(Member { action, card })
}

fn message(text: &str) -> Event {
    Event::Message(Message::text(text))
}

fn every_kind() -> Vec<(&'static str, Event)> {
    let reply = Message {
        text: "Line one\nline two\tΩ 漢字 👩‍👩‍👧".to_owned(),
        reply_to: Some(target()),
        fields: Fields::none().with(65_535, b"later".to_vec()),
    };
    let edit = Edit {
        target: target(),
        text: "Better".to_owned(),
        fields: Fields::none(),
    };
    let ask = MemberAsk {
        company: cast::globex().id(),
        action: MemberAction::JOIN,
        nickname: "boris".to_owned(),
    };
    let notice = Notice {
        code: 1,
        words: vec!["anna".to_owned(), String::new()],
    };
    let head = Head {
        seq: 300,
        hash: Hash(seed("old head")),
    };
    let old = vec![(stream(&cast::acme(), u64::MAX), head)];
    let unknown = Event::Unknown {
        kind: 4_000,
        plain: b"poll: lunch?".to_vec(),
    };
    vec![
        ("message", message("Hello")),
        ("message with a reply and fields", Event::Message(reply)),
        (
            "message of the greatest length",
            message(&"x".repeat(limits::TEXT_CHARS)),
        ),
        ("message with mentions", naming(&several())),
        ("message that was forwarded", passed_on("Борис")),
        ("edit", Event::Edit(edit)),
        ("delete", Event::Delete(Delete { target: target() })),
        (
            "delete by an administrator",
            Event::AdminDelete(AdminDelete { target: target() }),
        ),
        ("reaction", reaction("❤️")),
        (
            "member joins",
            Event::Member(Member {
                action: MemberAction::JOIN,
                card: card(),
            }),
        ),
        ("member leaves", named("anna")),
        (
            "member action that nobody knows",
            Event::Member(Member {
                action: MemberAction(9),
                card: card(),
            }),
        ),
        ("asking for a member", Event::MemberAsk(ask)),
        ("notice", Event::Notice(notice)),
        ("resume", Event::Resume(Resume { old })),
        (
            "resume of nothing",
            Event::Resume(Resume { old: Vec::new() }),
        ),
        ("a kind nobody knows", unknown),
    ]
}

pub fn group() -> Group {
    let mut vectors: Vec<Vector> = every_kind()
        .into_iter()
        .map(|(name, event)| vector(name, &event).value(&content(&event)))
        .collect();
    vectors.extend(vectors[0].misshapen(0));
    vectors.extend(broken());
    Group {
        about: "What people and nodes say, as it is before sealing".to_owned(),
        vectors,
    }
}

fn refused(name: &str, reason: &str, event: &Event) -> Vector {
    vector(name, event).refused(reason)
}

fn broken() -> Vec<Vector> {
    let mut vectors = broken_texts();
    vectors.extend(broken_shapes());
    vectors.extend(broken_bytes());
    vectors
}

fn broken_texts() -> Vec<Vector> {
    let long = "x".repeat(limits::TEXT_CHARS + 1);
    let long_name = "n".repeat(limits::NAME_BYTES + 1);
    let hearts = "❤".repeat(22);
    let turned = "anna\u{202E}";
    vec![
        refused("message of spaces", "empty", &message(" \n ")),
        refused(
            "message one character too long",
            "text_too_long",
            &message(&long),
        ),
        refused(
            "message with a control character",
            "control",
            &message("bell\u{7}"),
        ),
        refused(
            "nickname that turns its neighbours round",
            "control",
            &named(turned),
        ),
        refused("nickname over two lines", "control", &named("an\nna")),
        refused("nickname too long", "text_too_long", &named(&long_name)),
        refused("reaction of letters", "not_an_emoji", &reaction("ok")),
        refused("reaction with a space", "not_an_emoji", &reaction("❤ ️")),
        refused("reaction of nothing", "not_an_emoji", &reaction("")),
        refused("reaction too long", "not_an_emoji", &reaction(&hearts)),
    ]
}

fn broken_shapes() -> Vec<Vector> {
    let fields = |numbers: &mut dyn Iterator<Item = u16>| {
        let field = |number| Field {
            number,
            value: Blob::default(),
        };
        Event::Message(Message {
            fields: Fields(numbers.map(field).collect()),
            ..Message::text("Hello")
        })
    };
    let twice = fields(&mut [5, 5].into_iter());
    let many = fields(&mut (0..=limits::FIELDS as u16));
    let wordy = Event::Notice(Notice {
        code: 1,
        words: vec!["word".to_owned(); 9],
    });
    let changed = |change: fn(&mut Mention)| {
        let mut mentions = several();
        change(&mut mentions[0]);
        mentions
    };
    let turned: Vec<Mention> = several().into_iter().rev().collect();
    let nobody = Event::MemberAsk(MemberAsk {
        company: cast::globex().id(),
        action: MemberAction::JOIN,
        nickname: String::new(),
    });
    vec![
        refused("mention of nobody", "shape", &naming(&vec![])),
        refused(
            "mention within a character",
            "shape",
            &naming(&changed(|mention| mention.length = 2)),
        ),
        refused(
            "mention beyond the text",
            "shape",
            &naming(&changed(|mention| mention.start = u32::MAX)),
        ),
        refused(
            "mention of half a person",
            "shape",
            &naming(&changed(|mention| mention.id.0.truncate(32))),
        ),
        refused("mentions out of order", "shape", &naming(&turned)),
        refused(
            "forwarded from nobody's name",
            "control",
            &passed_on("Bo\nris"),
        ),
        refused("message with one field twice", "shape", &twice),
        refused("message with too many fields", "shape", &many),
        refused("asking for nobody", "empty", &nobody),
        refused("notice with too many words", "shape", &wordy),
    ]
}

fn broken_bytes() -> Vec<Vector> {
    let good = vector("message", &message("Hello"));
    let like = vector("reaction", &reaction("❤️"));
    let mut no_utf8 = good.raw();
    no_utf8[8] = 0xFF;
    let mut no_option = good.raw();
    no_option[13] = 2;
    let mut no_bool = like.raw();
    if let Some(last) = no_bool.last_mut() {
        *last = 2;
    }
    let option = "message whose option is neither 0 nor 1";
    let bool = "reaction whose bool is neither 0 nor 1";
    vec![
        good.spoilt("message that is not UTF-8", "malformed", &no_utf8),
        good.spoilt(option, "malformed", &no_option),
        like.spoilt(bool, "malformed", &no_bool),
    ]
}
