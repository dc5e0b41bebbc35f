//! Delivery statements and read registers.

use crossport_protocol::codec;
use crossport_protocol::fields::Fields;
use crossport_protocol::owner_log::StreamCut;
use crossport_protocol::read::{self, ReadEntry, ReadRegister, RegisterPlace};
use crossport_protocol::statement::{self, Statement, StatementContent};
use crossport_protocol::suite::Domain;
use serde_json::json;

use super::cast::{self, Fixed, NOON, SUITE, epoch_key, handle};
use super::envelopes::{Talk, talk};
use super::{Group, Vector, tree};

/// What both companies have written, as heads.
pub fn heads(talk: &Talk) -> Vec<StreamCut> {
    let mut cuts: Vec<StreamCut> = [&talk.acme, &talk.globex]
        .into_iter()
        .filter_map(|envelopes| envelopes.last())
        .map(|last| StreamCut {
            stream: last.header.stream,
            heads: vec![last.head()],
        })
        .collect();
    cuts.sort_by_key(|cut| cut.stream);
    cuts
}

pub fn statement(talk: &Talk) -> Statement {
    let globex = cast::globex();
    Statement::sign(
        SUITE,
        &globex.node,
        StatementContent {
            version: statement::VERSION,
            chat: talk.chat.id(),
            company: globex.id(),
            node: globex.node_key(),
            generation: 0xFEDC_BA98_7654_3210,
            number: NOON.0 + 7,
            time: NOON.plus_ms(7),
            owner_at: talk.chat.head(),
            heads: heads(talk),
            fields: Fields::none(),
        },
    )
}

pub fn entries(talk: &Talk) -> Vec<ReadEntry> {
    let entry = |name| ReadEntry {
        handle: handle(name),
        time: NOON.plus_ms(9),
        heads: heads(talk),
        fields: Fields::none(),
    };
    vec![entry("boris"), entry("berta")]
}

pub fn read_register(talk: &Talk) -> ReadRegister {
    let globex = cast::globex();
    let place = RegisterPlace {
        chat: talk.chat.id(),
        company: globex.id(),
        node: globex.node_key(),
        part: 1,
        number: NOON.0 + 9,
        epoch: 1,
    };
    let mut random = Fixed::new("boris reads");
    ReadRegister::sign(
        SUITE,
        &globex.node,
        &epoch_key(1),
        place,
        &entries(talk),
        &mut random,
    )
}

pub fn group() -> Group {
    let talk = talk();
    let mut vectors = statements(&talk);
    vectors.extend(reads(&talk));
    Group {
        about: "Signed values of which only the newest counts".to_owned(),
        vectors,
    }
}

fn statements(talk: &Talk) -> Vec<Vector> {
    let globex = cast::globex();
    let made = statement(talk);
    let good = Vector::encoded("statement", "statement", &made).value(&made);
    let mut later = made.clone();
    later.content.number += 1;
    let mut newer = made.content.clone();
    newer.version = 1;
    let newer = Statement::sign(SUITE, &globex.node, newer);
    let mut other = made.clone();
    other.signature = SUITE.sign(
        &globex.node,
        Domain::ReadRegister,
        &codec::encode(&made.content),
    );
    let spoilt = |name: &str, statement: &Statement| {
        good.spoilt(name, "bad_register", &codec::encode(statement))
    };
    let mut vectors = vec![
        spoilt("statement with another number", &later),
        spoilt("statement of version 1", &newer),
        spoilt("statement under another domain tag", &other),
    ];
    vectors.extend(good.misshapen(2 + 3 * 32 + 8 + 8 + 8 + 44));
    vectors.push(good);
    vectors
}

fn reads(talk: &Talk) -> Vec<Vector> {
    let globex = cast::globex();
    let made = read_register(talk);
    let good = Vector::encoded("read_register", "read register", &made)
        .given("epoch_key", hex::encode(epoch_key(1).expose()))
        .value(&json!({ "register": tree(&made), "entries": tree(&entries(talk)) }));
    let resigned = |change: &dyn Fn(&mut read::RegisterContent)| {
        let mut content = made.content.clone();
        change(&mut content);
        let signature = SUITE.sign(&globex.node, Domain::ReadRegister, &codec::encode(&content));
        ReadRegister { content, signature }
    };
    let mut flipped = made.clone();
    flipped.content.sealed.0[30] ^= 1;
    let spoilt = |name: &str, reason: &str, register: &ReadRegister| {
        good.spoilt(name, reason, &codec::encode(register))
    };
    let garbled = resigned(&|content| {
        let associated = b"elsewhere";
        content.sealed.0 = epoch_key(1).seal([1; 24], associated, b"");
    });
    let mut vectors = vec![
        spoilt("read register with other bytes", "bad_register", &flipped),
        spoilt(
            "read register of version 1",
            "bad_register",
            &resigned(&|c| c.version = 1),
        ),
        spoilt(
            "read register with a part too many",
            "bad_register",
            &resigned(&|c| c.part = 64),
        ),
        spoilt(
            "read register moved to another part",
            "unreadable",
            &resigned(&|c| c.part = 2),
        ),
        spoilt(
            "read register moved to another number",
            "unreadable",
            &resigned(&|c| c.number += 1),
        ),
        spoilt(
            "read register sealed for another place",
            "unreadable",
            &garbled,
        ),
    ];
    vectors.extend(good.misshapen(2 + 3 * 32 + 2 + 8 + 4));
    vectors.push(good);
    vectors
}
