//! What an owner log refuses for want of room, and what it only half understands.

use super::super::{Genesis, Invite, kind};
use super::*;
use crate::clock::Clock;
use crate::codec::Blob;
use crate::fields::Fields;
use crate::suite::SecretKey;
use crate::wrap::PrekeyBundle;

const SUITE: Suite = Suite::KeyedHash;
const OWNER: CompanyId = CompanyId([1; 32]);

fn key() -> SecretKey {
    SecretKey::from_bytes([2; 32])
}

fn header(log: Option<&OwnerLog>, number: u16, body: Vec<u8>) -> RecordHeader {
    let head = log.map_or(Position::START, OwnerLog::head);
    RecordHeader {
        version: 0,
        suite: SUITE.number(),
        chat: log.map_or(ChatId::ZERO, OwnerLog::chat),
        term: 0,
        seq: head.seq + 1,
        prev: head.hash,
        owner: OWNER,
        node: key().public(SUITE),
        identity_at: Position::START,
        clock: Clock(head.seq),
        kind: number,
        body: Blob(body),
        epoch: 1,
        payload_len: 0,
        payload_hash: Hash::ZERO,
        fields: Fields::none(),
    }
}

fn begin(genesis: Genesis) -> OwnerLog {
    let body = Body::Genesis(genesis);
    let record = SignedRecord::sign(
        SUITE,
        &key(),
        &header(None, kind::GENESIS, body.encode()),
        Vec::new(),
    );
    let (header, body) = record.verify(SUITE).expect("sound bytes");
    OwnerLog::start(&record, &header, &body).expect("a genesis")
}

fn genesis() -> Genesis {
    Genesis {
        rules: super::super::RULES,
        suite: SUITE.number(),
        kind: ChatKind::GROUP,
        history: History::FULL,
        nonce: [0; 16],
        commitment: Hash([3; 32]),
    }
}

fn push(log: &mut OwnerLog, number: u16, body: Vec<u8>) -> Result<bool, RecordError> {
    let header = header(Some(log), number, body);
    let record = SignedRecord::sign(SUITE, &key(), &header, Vec::new());
    let (header, body) = record.verify(SUITE)?;
    log.push(SUITE, &record, &header, &body)
}

fn invite(log: &mut OwnerLog, company: CompanyId) -> Result<bool, RecordError> {
    let expires = Time(1);
    let body = Body::Invite(Invite { company, expires });
    push(log, kind::INVITE, body.encode())
}

fn come_and_go(log: &mut OwnerLog, company: CompanyId) -> Result<(), RecordError> {
    invite(log, company)?;
    let prekey = PrekeyBundle::sign(SUITE, &key(), company, 1, Time(0), [0; 32]);
    let (chat, at) = (log.chat(), log.head());
    let acceptance = Acceptance::sign(SUITE, &key(), chat, at, Position::START, prekey);
    let add = Body::Add(Box::new(Add {
        acceptance,
        epoch: None,
        base: Vec::new(),
    }));
    push(log, kind::ADD, add.encode())?;
    let remove = Body::Remove(Remove {
        company,
        cut: Vec::new(),
        epoch: NewEpoch {
            epoch: log.epoch() + 1,
            commitment: Hash([4; 32]),
        },
    });
    push(log, kind::REMOVE, remove.encode()).map(|_| ())
}

#[test]
fn a_chat_has_room_for_so_many_companies_over_its_life() {
    let mut log = begin(genesis());
    for number in 1..limits::CHAT_COMPANIES_EVER {
        let company = CompanyId([100 + number as u8; 32]);
        come_and_go(&mut log, company).expect("there is room");
    }
    let full = RecordError::Rule("the chat has as many companies as it may have");
    assert_eq!(invite(&mut log, CompanyId([99; 32])), Err(full));
    come_and_go(&mut log, CompanyId([101; 32])).expect("who was here may come back");
}

#[test]
fn what_is_not_known_needs_a_newer_version_unless_it_may_be_ignored() {
    let known = begin(genesis());
    assert!(!known.needs_newer_version());
    let later = [
        Genesis {
            rules: 2,
            ..genesis()
        },
        Genesis {
            kind: ChatKind(6),
            ..genesis()
        },
        Genesis {
            kind: ChatKind(0),
            ..genesis()
        },
        Genesis {
            history: History(3),
            ..genesis()
        },
    ];
    for genesis in later {
        assert!(begin(genesis.clone()).needs_newer_version(), "{genesis:?}");
    }
    for (number, needs) in [
        (8, true),
        (IGNORABLE_KINDS - 1, true),
        (IGNORABLE_KINDS, false),
    ] {
        let mut log = known.clone();
        push(&mut log, number, vec![1, 2, 3]).expect("kept whatever it is");
        assert_eq!(log.needs_newer_version(), needs, "kind {number}");
    }
}
