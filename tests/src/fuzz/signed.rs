//! Targets behind a signature. A mutated byte would end at the signature check, so these sign again what was mutated,
//! with the suite of simulations, and so reach what an enemy with a key of its own reaches.
//!
//! Owns the signing again and the promises of the logs and of the replicator that must hold whatever a partner sends.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crossport_protocol::codec::{self, Blob};
use crossport_protocol::envelope::{EnvelopeHeader, SealedEnvelope};
use crossport_protocol::frame::{EnvelopeItem, Erasure, Frame};
use crossport_protocol::identity::{IdentityHeader, IdentityLog, SignedIdentity};
use crossport_protocol::ids::{CompanyId, Hash, NodeKey, Position};
use crossport_protocol::limits;
use crossport_protocol::owner_log::{
    Acceptance, Body, OwnerLog, RecordError, RecordHeader, SignedRecord,
};
use crossport_protocol::read::ReadRegister;
use crossport_protocol::sim::shell::Shell;
use crossport_protocol::statement::Statement;
use crossport_protocol::suite::{Domain, SecretKey, Signature, Suite};
use crossport_protocol::wrap::PrekeyBundle;

use super::Outcome;
use super::seeds::Stage;
use super::wire::{check_record, check_verified, reason, strict};

const SUITE: Suite = Suite::KeyedHash;
/// Keys of the made-up companies in seeds.
const KEYS: u8 = 48;
/// Lists of records and frames are cut here, so that one input stays a matter of milliseconds.
const MOST_ITEMS: usize = 80;
/// A list of records or frames.
const LIST_BYTES: usize = 4 * limits::FRAME_BYTES;

/// The `number`th made-up key.
pub fn made_up_key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32])
}

/// The keys that an enemy is taken to hold, by their public halves.
#[derive(Default)]
struct Keys(BTreeMap<NodeKey, SecretKey>);

impl Keys {
    fn made_up() -> Keys {
        let keys = (0..KEYS).map(made_up_key);
        Keys(keys.map(|key| (key.public(SUITE), key)).collect())
    }

    /// Signs again if the key is held.
    fn sign(&self, node: &NodeKey, domain: Domain, bytes: &[u8]) -> Option<Signature> {
        Some(SUITE.sign(self.0.get(node)?, domain, bytes))
    }

    fn prekey(&self, bundle: &mut PrekeyBundle) {
        if let Some(key) = self.0.get(&bundle.node) {
            let PrekeyBundle {
                company,
                version,
                created,
                public,
                ..
            } = *bundle;
            *bundle = PrekeyBundle::sign(SUITE, key, company, version, created, public);
        }
    }

    fn acceptance(&self, acceptance: &mut Acceptance) {
        self.prekey(&mut acceptance.prekey);
        if let Some(key) = self.0.get(&acceptance.node) {
            let Acceptance {
                chat,
                invitation,
                identity_at,
                prekey,
                ..
            } = acceptance.clone();
            *acceptance = Acceptance::sign(SUITE, key, chat, invitation, identity_at, prekey);
        }
    }

    fn record(&self, record: &mut SignedRecord) {
        let Ok(header) = codec::decode::<RecordHeader>(&record.header.0, limits::RECORD_BYTES)
        else {
            return;
        };
        if let Some(key) = self.0.get(&header.node) {
            *record = SignedRecord::sign(SUITE, key, &header, record.payload.0.clone());
        }
    }

    fn envelope(&self, envelope: &mut SealedEnvelope) {
        let Ok(mut header) =
            codec::decode::<EnvelopeHeader>(&envelope.header.0, limits::HEADER_BYTES)
        else {
            return;
        };
        let present = envelope
            .payloads
            .iter()
            .zip(&mut header.events)
            .filter(|(payload, _)| !payload.0.is_empty());
        for (payload, event) in present {
            event.payload_len = payload.0.len() as u32;
            event.payload_hash = Hash::of(&[&payload.0]);
        }
        let bytes = codec::encode(&header);
        if let Some(signature) = self.sign(&header.stream.node, Domain::Envelope, &bytes) {
            envelope.header = Blob(bytes);
            envelope.signature = signature;
        }
    }

    fn item(&self, item: &mut EnvelopeItem) {
        self.envelope(&mut item.envelope);
        for erasure in &mut item.erasures {
            if let Some(Ok(mut proof)) = erasure.delete() {
                self.envelope(&mut proof.envelope);
                *erasure = Erasure::deleted(erasure.place, &proof);
            }
        }
    }

    fn statement(&self, statement: &mut Statement) {
        let bytes = codec::encode(&statement.content);
        if let Some(signature) = self.sign(&statement.content.node, Domain::Statement, &bytes) {
            statement.signature = signature;
        }
    }

    fn read(&self, register: &mut ReadRegister) {
        let bytes = codec::encode(&register.content);
        if let Some(signature) = self.sign(&register.content.node, Domain::ReadRegister, &bytes) {
            register.signature = signature;
        }
    }

    fn frame(&self, frame: &mut Frame) {
        match frame {
            Frame::Hello(hello) => self.prekey(&mut hello.prekey),
            Frame::Owner(owner) => owner
                .records
                .iter_mut()
                .for_each(|record| self.record(record)),
            Frame::Envelopes(envelopes) => {
                envelopes.items.iter_mut().for_each(|item| self.item(item));
            }
            Frame::Statements(statements) => statements
                .iter_mut()
                .for_each(|statement| self.statement(statement)),
            Frame::Reads(registers) => registers
                .iter_mut()
                .for_each(|register| self.read(register)),
            Frame::Accept(acceptance) => self.acceptance(acceptance),
            _ => {}
        }
    }
}

/// A header with a good signature: everything behind the signature check.
pub fn envelope(bytes: &[u8]) -> Outcome {
    let mut header: EnvelopeHeader = strict(bytes, limits::HEADER_BYTES)?;
    let key = made_up_key(1);
    header.stream.node = key.public(SUITE);
    let header = codec::encode(&header);
    let events = codec::decode::<EnvelopeHeader>(&header, limits::HEADER_BYTES)
        .map_err(reason)?
        .events
        .len();
    let sealed = SealedEnvelope {
        signature: SUITE.sign(&key, Domain::Envelope, &header),
        header: Blob(header),
        payloads: vec![Blob::default(); events],
    };
    let verified = sealed.verify(SUITE).map_err(reason)?;
    check_verified(&verified);
    Ok(())
}

/// An owner log that an enemy owns: the headers of its records, signed again. A record that does not continue the log
/// is put in its place and tried once more.
pub fn owner_log(bytes: &[u8]) -> Outcome {
    let headers: Vec<Blob> = strict(bytes, LIST_BYTES)?;
    let keys = Keys::made_up();
    let mut log: Option<OwnerLog> = None;
    let mut refused = Ok(());
    for header in headers.iter().take(MOST_ITEMS) {
        let header: RecordHeader = strict(&header.0, limits::RECORD_BYTES)?;
        let mut taken = extend(&mut log, &keys, header.clone());
        if let (Err(_), Some(log)) = (&taken, &mut log) {
            let placed = in_its_place(log, &keys, header);
            taken = push(log, &keys, placed);
        }
        if let Err(error) = taken {
            refused = Err(reason(error));
        }
    }
    if let Some(log) = &log {
        check_owner_log(log);
    }
    refused
}

fn extend(
    log: &mut Option<OwnerLog>,
    keys: &Keys,
    header: RecordHeader,
) -> Result<(), RecordError> {
    match log {
        Some(log) => push(log, keys, header),
        None => {
            let (record, header, body) = signed(keys, &header)?;
            *log = Some(OwnerLog::start(&record, &header, &body)?);
            Ok(())
        }
    }
}

fn push(log: &mut OwnerLog, keys: &Keys, header: RecordHeader) -> Result<(), RecordError> {
    let before = log.clone();
    let (record, header, body) = signed(keys, &header)?;
    match log.push(SUITE, &record, &header, &body) {
        Ok(true) => {
            assert_eq!(log.head().seq, before.head().seq + 1);
            assert_eq!(log.head().hash, record.hash());
            Ok(())
        }
        Ok(false) => {
            assert_eq!(*log, before, "a record that is held changed the log");
            Ok(())
        }
        Err(error) => {
            assert_eq!(*log, before, "a refused record changed the log: {error}");
            Err(error)
        }
    }
}

fn signed(
    keys: &Keys,
    header: &RecordHeader,
) -> Result<(SignedRecord, RecordHeader, Body), RecordError> {
    let mut record = SignedRecord {
        header: Blob(codec::encode(header)),
        signature: Signature::from_bytes([0; 64]),
        payload: Blob::default(),
    };
    keys.record(&mut record);
    let (header, body) = record.verify(SUITE)?;
    check_record(&record, &header, &body);
    Ok((record, header, body))
}

fn in_its_place(log: &OwnerLog, keys: &Keys, mut header: RecordHeader) -> RecordHeader {
    let Position { seq, hash, .. } = log.head();
    header.chat = log.chat();
    header.owner = log.owner();
    header.term = 0;
    header.seq = seq + 1;
    header.prev = hash;
    if let Ok(Body::Add(mut add)) = Body::decode(header.kind, &header.body.0)
        && let Some(open) = log.invitation(&add.acceptance.company)
    {
        add.acceptance.chat = log.chat();
        add.acceptance.invitation = open.at;
        keys.acceptance(&mut add.acceptance);
        header.body = Blob(Body::Add(add).encode());
    }
    header
}

fn check_owner_log(log: &OwnerLog) {
    let stored = codec::encode(log);
    assert_eq!(
        codec::decode::<OwnerLog>(&stored, stored.len()).as_ref(),
        Ok(log)
    );
    assert!(log.is_member(&log.owner()), "the owner always takes part");
    assert!(
        log.members().count() <= limits::CHAT_COMPANIES,
        "more companies than a chat may have"
    );
    for (company, spans) in log.spans() {
        let mut from = 0;
        for (place, span) in spans.iter().enumerate() {
            assert!(span.from > from, "memberships must not overlap");
            from = span.until.as_ref().map_or(span.from, |(until, _)| *until);
            assert!(span.until.is_some() || place + 1 == spans.len());
        }
        let known = (1..=log.epoch()).collect::<Vec<_>>();
        assert!(log.entitled(company).iter().all(|e| known.contains(e)));
        for seq in [0, 1, log.head().seq, log.head().seq + 1, u64::MAX] {
            let cited = log.position(seq).unwrap_or(Position {
                seq,
                ..Position::START
            });
            let _ = (log.standing(company, &cited), log.epoch_at(seq));
        }
    }
}

/// An identity log of an enemy's: the headers of its records, signed again.
pub fn identity_log(bytes: &[u8]) -> Outcome {
    let headers: Vec<Blob> = strict(bytes, LIST_BYTES)?;
    let keys = Keys::made_up();
    let first = headers.first().ok_or("empty")?;
    let sign = |bytes: &Blob, header: &IdentityHeader| SignedIdentity {
        header: bytes.clone(),
        signature: keys
            .sign(&header.root, Domain::Identity, &bytes.0)
            .unwrap_or(Signature::from_bytes([0; 64])),
    };
    let header: IdentityHeader = strict(&first.0, limits::HEADER_BYTES)?;
    let company = CompanyId(Hash::of(&[&first.0]).0);
    let mut log = IdentityLog::read(SUITE, company, &[sign(first, &header)]).map_err(reason)?;
    let mut refused = Ok(());
    for bytes in headers.iter().skip(1).take(MOST_ITEMS) {
        let mut header: IdentityHeader = strict(&bytes.0, limits::HEADER_BYTES)?;
        let as_it_came = push_identity(&mut log, &sign(bytes, &header));
        if as_it_came.is_err() {
            let head = log.head();
            (header.company, header.seq, header.prev) = (company, head.seq + 1, head.hash);
            let bytes = Blob(codec::encode(&header));
            refused = push_identity(&mut log, &sign(&bytes, &header));
        }
    }
    let records: Vec<_> = log.records().cloned().collect();
    assert_eq!(
        IdentityLog::read(SUITE, company, &records).as_ref(),
        Ok(&log),
        "what was taken one by one must be taken together"
    );
    for (record, seq) in records.iter().zip(1..) {
        let (term, hash) = (0, record.hash());
        let cited = Position { term, seq, hash };
        let listed = log.lists_at(&cited, &made_up_key(1).public(SUITE));
        assert!(listed.is_some(), "a held position is not known");
    }
    refused
}

fn push_identity(log: &mut IdentityLog, record: &SignedIdentity) -> Outcome {
    let before = log.clone();
    match log.push(record) {
        Ok(true) => {
            assert_eq!(log.head().hash, record.hash());
            Ok(())
        }
        Ok(false) => {
            assert_eq!(*log, before);
            Ok(())
        }
        Err(error) => {
            assert_eq!(*log, before, "a refused record changed the log");
            Err(reason(error))
        }
    }
}

thread_local! {
    /// Made once a thread: the worlds in which a node receives.
    static STAGES: RefCell<Vec<Stage>> = RefCell::default();
}

/// A whole node that receives: the first byte says in which world, the second from whom, then a list of frames. The
/// enemy holds the keys of every node, the receiver's own included.
pub fn link(bytes: &[u8]) -> Outcome {
    let (world, from, list) = match bytes {
        [world, from, list @ ..] => (*world, *from, list),
        _ => return Err("empty".to_owned()),
    };
    let frames: Vec<Blob> = strict(list, LIST_BYTES)?;
    STAGES.with_borrow_mut(|stages| {
        if stages.is_empty() {
            *stages = Stage::all();
        }
        let count = stages.len();
        let stage = stages.get(usize::from(world) % count).ok_or("no world")?;
        let partner = if from % 2 == 0 { 0 } else { 2 };
        receive(stage, partner, &frames)
    })
}

fn receive(stage: &Stage, partner: usize, frames: &[Blob]) -> Outcome {
    let keys = Keys(
        stage
            .nodes
            .iter()
            .map(|node| (node.replicator.node_key(), node.company.node.clone()))
            .collect(),
    );
    let mut node: Shell = stage.nodes[1].clone();
    let partner = stage.nodes[partner].id();
    let mut refused = Ok(());
    for bytes in frames.iter().take(MOST_ITEMS) {
        let mut bytes = bytes.0.clone();
        if let Ok(mut frame) = Frame::decode(&bytes)
            && !matches!(frame, Frame::Unknown(_))
        {
            keys.frame(&mut frame);
            bytes = frame.encode();
        }
        let (taken, out) = node.call(stage.now, |replicator, cx| {
            replicator.receive(cx, partner, &bytes)
        });
        node.commit();
        if let Some(told) = out.iter().find_map(refusal) {
            refused = Err(told);
        }
        if taken.is_err() {
            break;
        }
        answer(&mut node, stage);
    }
    restart(&mut node, stage);
    refused
}

fn refusal(output: &crossport_protocol::replicator::Output) -> Option<String> {
    use crossport_protocol::replicator::Output;
    match output {
        Output::Refused { refusal, .. } => Some(refusal.name().to_owned()),
        _ => None,
    }
}

/// What the node sends in answer must be good frames.
fn answer(node: &mut Shell, stage: &Stage) {
    node.publish(stage.now);
    node.commit();
    let (sends, _) = node.pump(stage.now);
    for send in sends {
        let frame = Frame::decode(&send.frame);
        assert!(
            matches!(&frame, Ok(frame) if !matches!(frame, Frame::Unknown(_))),
            "the node sends what is no frame: {frame:?}"
        );
        assert!(send.frame.len() <= limits::FRAME_BYTES + 2);
    }
}

/// What was taken live must be taken again at the next start, and make the same state.
fn restart(node: &mut Shell, stage: &Stage) {
    let heads = |node: &Shell| -> Vec<_> {
        let chats = node.replicator.chats();
        chats
            .map(|(id, chat)| {
                // A freeze is not in the journal: it comes back with the second record, from whoever holds it.
                let mut owner = chat.owner().clone();
                owner.freeze();
                (*id, owner, chat.heads())
            })
            .collect()
    };
    let before = heads(node);
    let entries = node.journal.len();
    let refused = node.restart(stage.now, true, entries);
    assert!(
        refused.is_empty(),
        "taken live, refused at a start: {refused:?}"
    );
    assert_eq!(before, heads(node), "a start makes another state");
}
