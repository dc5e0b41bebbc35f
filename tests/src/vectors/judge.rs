//! Reads a vector as `protocol` does and says what it finds: the value, or the reason of the refusal.
//!
//! Owns the short words for reasons that stand in the files. Must not repair or explain: it calls the public functions that
//! a node calls.

use anyhow::{Context as _, Result, bail, ensure};
use crossport_protocol::codec::{self, CodecError};
use crossport_protocol::envelope::{EnvelopeError, SealedEnvelope, VerifiedEnvelope};
use crossport_protocol::event::{ContentError, Event};
use crossport_protocol::frame::Frame;
use crossport_protocol::identity::{IdentityError, IdentityLog, SignedIdentity};
use crossport_protocol::ids::{CompanyId, Hash, NodeKey};
use crossport_protocol::limits;
use crossport_protocol::owner_log::{Acceptance, OwnerLog, RecordError, SignedRecord};
use crossport_protocol::pairing::{PairReply, PairRequest, Ticket, TicketError};
use crossport_protocol::read::ReadRegister;
use crossport_protocol::roster::Roster;
use crossport_protocol::seal::{EpochKey, PayloadKey};
use crossport_protocol::statement::Statement;
use crossport_protocol::stream::{ChainError, Tip};
use crossport_protocol::suite::{Domain, Signature};
use crossport_protocol::wrap::{PrekeyBundle, PrekeySecret, Wrap, unwrap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cast::SUITE;
use super::{Vector, signatures, tree};

mod member;

/// A short word, as it stands in the files.
pub type Reason = &'static str;

/// What was found in a vector; an error of the outer kind means that the file itself is broken.
pub fn judge(vector: &Vector) -> Result<Result<Value, Reason>> {
    let mut bytes = hex::decode(&vector.bytes)?;
    if let Some(zeros) = vector.given.get("zeros").and_then(Value::as_u64) {
        bytes.resize(bytes.len() + zeros as usize, 0);
    }
    Ok(match vector.of.as_str() {
        "signature" => signature(vector, &bytes)?,
        "identity_log" => identity_log(vector, &bytes)?,
        "root_commitment" => {
            let key = NodeKey(bytes.as_slice().try_into()?);
            Ok(tree(&crossport_protocol::identity::root_commitment(&key)))
        }
        "fingerprint" => {
            let company = CompanyId(bytes.as_slice().try_into()?);
            Ok(tree(&crossport_protocol::pairing::fingerprint(&company)))
        }
        "prekey_bundle" => decoded(&bytes).and_then(|bundle: PrekeyBundle| {
            sound(bundle.verify(SUITE), "bad_signature")?;
            same(&bundle, &bytes)
        }),
        "wrap" => wrapped(vector, &bytes)?,
        "ticket" => ticket(&bytes)?,
        "pair_request" => decoded(&bytes).and_then(|request: PairRequest| {
            sound(request.verify(SUITE), "bad_signature")?;
            same(&request, &bytes)
        }),
        "pair_reply" => decoded(&bytes).and_then(|reply: PairReply| same(&reply, &bytes)),
        "acceptance" => decoded(&bytes).and_then(|acceptance: Acceptance| {
            sound(acceptance.verify(SUITE), "bad_signature")?;
            same(&acceptance, &bytes)
        }),
        "owner_record" => owner_record(vector, &bytes)?,
        "owner_log" => owner_log(vector, &bytes)?,
        "envelope" => envelope(vector, &bytes)?,
        "chain" => chain(&bytes),
        "disclosure" => disclosure(vector, &bytes)?,
        "item" => member::item(vector, &bytes)?,
        "event" => event(vector, &bytes)?,
        "statement" => decoded(&bytes).and_then(|statement: Statement| {
            sound(statement.verify(SUITE), "bad_register")?;
            same(&statement, &bytes)
        }),
        "read_register" => read_register(vector, &bytes)?,
        "frame" => frame(&bytes),
        "digest" => Ok(tree(&member::digest(vector, &bytes)?)),
        other => bail!("no judge knows the type {other}"),
    })
}

fn sound(good: bool, reason: Reason) -> Result<(), Reason> {
    if good { Ok(()) } else { Err(reason) }
}

fn decoded<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, Reason> {
    codec::decode(bytes, limits::FRAME_BYTES).map_err(|error| codec_reason(&error))
}

/// The content, which encodes to the very bytes that it came from.
fn same<T: Serialize>(value: &T, bytes: &[u8]) -> Result<Value, Reason> {
    sound(codec::encode(value) == bytes, "encodes otherwise")?;
    Ok(tree(value))
}

pub fn text<'a>(vector: &'a Vector, name: &str) -> Result<&'a str> {
    let value = vector.given.get(name).and_then(Value::as_str);
    value.with_context(|| format!("{}: {name} is not given", vector.name))
}

fn given_bytes(vector: &Vector, name: &str) -> Result<[u8; 32]> {
    let bytes = hex::decode(text(vector, name)?)?;
    bytes.as_slice().try_into().context("not 32 bytes")
}

fn signature(vector: &Vector, bytes: &[u8]) -> Result<Result<Value, Reason>> {
    let name = text(vector, "domain")?;
    let domain = Domain::ALL
        .into_iter()
        .find(|domain| signatures::name_of(*domain) == name);
    let domain = domain.with_context(|| format!("no domain is called {name}"))?;
    let (key, rest) = bytes.split_first_chunk::<32>().context("no key")?;
    let (signature, message) = rest.split_first_chunk::<64>().context("no signature")?;
    let signature = Signature::from_bytes(*signature);
    let good = SUITE.verify(&NodeKey(*key), domain, message, &signature);
    Ok(sound(good, "bad_signature").map(|()| Value::Null))
}

fn identity_log(vector: &Vector, bytes: &[u8]) -> Result<Result<Value, Reason>> {
    let company: CompanyId = text(vector, "company")?.parse()?;
    Ok(decoded(bytes).and_then(|records: Vec<SignedIdentity>| {
        let log = IdentityLog::read(SUITE, company, &records).map_err(|e| identity_reason(&e))?;
        same(&log.records().cloned().collect::<Vec<_>>(), bytes)?;
        let headers: Result<Vec<_>, _> =
            records.iter().map(SignedIdentity::decode_header).collect();
        headers
            .map(|headers| tree(&headers))
            .map_err(|e| identity_reason(&e))
    }))
}

fn wrapped(vector: &Vector, bytes: &[u8]) -> Result<Result<Value, Reason>> {
    let secret = PrekeySecret::from_bytes(given_bytes(vector, "prekey_secret")?);
    let commitment: Hash = text(vector, "commitment")?.parse()?;
    let expected = vector.given.get("key").and_then(Value::as_str);
    Ok(decoded(bytes).and_then(|wrap: Wrap| {
        let key = unwrap(SUITE, &wrap, &secret).ok_or("bad_wrap")?;
        sound(
            key.commitment(&wrap.chat, wrap.epoch) == commitment,
            "wrong_commitment",
        )?;
        sound(
            expected.is_none_or(|hex| hex == hex::encode(key.expose())),
            "another key",
        )?;
        same(&wrap, bytes)
    }))
}

fn ticket(bytes: &[u8]) -> Result<Result<Value, Reason>> {
    let text = std::str::from_utf8(bytes)?;
    Ok(match Ticket::from_text(text) {
        Ok(ticket) => {
            let plain: String = text.split_whitespace().collect::<String>().to_lowercase();
            sound(ticket.to_text() == plain, "encodes otherwise").map(|()| tree(&ticket))
        }
        Err(TicketError::Prefix) => Err("prefix"),
        Err(TicketError::Checksum) => Err("checksum"),
        Err(TicketError::Shape) => Err("shape"),
        Err(TicketError::Codec(error)) => Err(codec_reason(&error)),
    })
}

fn owner_record(vector: &Vector, bytes: &[u8]) -> Result<Result<Value, Reason>> {
    let key = EpochKey::from_bytes(given_bytes(vector, "epoch_key")?);
    Ok(decoded(bytes).and_then(|record: SignedRecord| {
        let (header, body) = record
            .verify(SUITE)
            .map_err(|error| record_reason(&error))?;
        same(&record, bytes)?;
        sound(
            codec::encode(&header) == record.header.0,
            "encodes otherwise",
        )?;
        let known = !matches!(body, crossport_protocol::owner_log::Body::Unknown(_));
        sound(
            !known || body.encode() == header.body.0,
            "encodes otherwise",
        )?;
        let title = key.open(&header.associated(), &record.payload.0);
        let title = title.map(|plain| String::from_utf8_lossy(&plain).into_owned());
        // The body's tree is compared by the other judge; here its bytes were.
        Ok(serde_json::json!({ "header": tree(&header), "title": title }))
    }))
}

fn owner_log(vector: &Vector, bytes: &[u8]) -> Result<Result<Value, Reason>> {
    let chat: crossport_protocol::ids::ChatId = text(vector, "chat")?.parse()?;
    let roster = member::roster(vector.given.get("identities").context("no identities")?)?;
    let records: Vec<SignedRecord> = match decoded(bytes) {
        Ok(records) => records,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut log: Option<OwnerLog> = None;
    for record in &records {
        if let Err(error) = push(&mut log, &roster, record) {
            return Ok(Err(record_reason(&error)));
        }
    }
    let log = log.context("a log of no records")?;
    if log.chat() != chat {
        return Ok(Err("wrong_prev"));
    }
    let newer = log.needs_newer_version();
    Ok(Ok(serde_json::json!({ "needs_newer_version": newer })))
}

/// What a node does with a record that arrives, without the network around it.
fn push(
    log: &mut Option<OwnerLog>,
    roster: &Roster,
    record: &SignedRecord,
) -> Result<(), RecordError> {
    let (header, body) = record.verify(SUITE)?;
    match roster.lists_at(&header.owner, &header.identity_at, &header.node) {
        Some(true) => {}
        Some(false) => return Err(RecordError::UnknownKey),
        None => return Err(RecordError::NeedsIdentity),
    }
    match log {
        Some(log) => log.push(SUITE, record, &header, &body).map(|_| ()),
        None => {
            *log = Some(OwnerLog::start(record, &header, &body)?);
            Ok(())
        }
    }
}

fn verified(sealed: &SealedEnvelope) -> Result<VerifiedEnvelope, Reason> {
    sealed
        .verify(SUITE)
        .map_err(|error| envelope_reason(&error))
}

fn envelope(vector: &Vector, bytes: &[u8]) -> Result<Result<Value, Reason>> {
    let key = EpochKey::from_bytes(given_bytes(vector, "epoch_key")?);
    Ok(decoded(bytes).and_then(|sealed: SealedEnvelope| {
        let envelope = verified(&sealed)?;
        same(&sealed, bytes)?;
        sound(
            codec::encode(&envelope.header) == sealed.header.0,
            "encodes otherwise",
        )?;
        let plain = |place| envelope.open(place, &key).map(hex::encode);
        let plains: Vec<_> = (0..envelope.header.events.len()).map(plain).collect();
        Ok(serde_json::json!({
            "hash": tree(&envelope.hash),
            "header": tree(&envelope.header),
            "plains": plains,
        }))
    }))
}

/// One payload, opened with nothing but its own key.
fn disclosure(vector: &Vector, bytes: &[u8]) -> Result<Result<Value, Reason>> {
    let key = PayloadKey::from_bytes(given_bytes(vector, "payload_key")?);
    let place = vector.given.get("place").and_then(Value::as_u64);
    let place = usize::try_from(place.context("no place")?)?;
    Ok(decoded(bytes).and_then(|sealed: SealedEnvelope| {
        let plain = verified(&sealed)?.open_shown(place, &key);
        plain
            .map(|plain| tree(&hex::encode(plain)))
            .ok_or("unreadable")
    }))
}

fn chain(bytes: &[u8]) -> Result<Value, Reason> {
    let envelopes: Vec<SealedEnvelope> = decoded(bytes)?;
    let mut last: Option<(VerifiedEnvelope, Tip)> = None;
    for sealed in &envelopes {
        let envelope = verified(sealed)?;
        let tip = match &last {
            Some((before, tip)) => {
                sound(before.header.stream == envelope.header.stream, "gap")?;
                *tip
            }
            None => Tip::start(crossport_protocol::ids::Head::START),
        };
        sound(envelope.parent() == tip.head, "gap")?;
        tip.allows(&envelope.header)
            .map_err(|error| chain_reason(&error))?;
        let tip = Tip::of(&envelope.header, envelope.head());
        last = Some((envelope, tip));
    }
    last.map(|(envelope, _)| tree(&envelope.head()))
        .ok_or("gap")
}

fn event(vector: &Vector, bytes: &[u8]) -> Result<Result<Value, Reason>> {
    let kind = vector
        .given
        .get("kind")
        .and_then(Value::as_u64)
        .context("no kind")?;
    Ok(match Event::decode(u16::try_from(kind)?, bytes) {
        Ok(event) => {
            ensure!(event.encode() == bytes, "{} encodes otherwise", vector.name);
            // The content's tree is compared by the other judge; here its bytes were.
            Ok(Value::Null)
        }
        Err(error) => Err(content_reason(&error)),
    })
}

fn read_register(vector: &Vector, bytes: &[u8]) -> Result<Result<Value, Reason>> {
    let key = EpochKey::from_bytes(given_bytes(vector, "epoch_key")?);
    Ok(decoded(bytes).and_then(|register: ReadRegister| {
        sound(register.verify(SUITE), "bad_register")?;
        let entries = register.open(&key).ok_or("unreadable")?;
        let register = same(&register, bytes)?;
        Ok(serde_json::json!({ "register": register, "entries": tree(&entries) }))
    }))
}

fn frame(bytes: &[u8]) -> Result<Value, Reason> {
    let frame = Frame::decode(bytes).map_err(|error| codec_reason(&error))?;
    let known = !matches!(frame, Frame::Unknown(_));
    sound(!known || frame.encode() == bytes, "encodes otherwise")?;
    Ok(serde_json::json!({ "number": frame.number() }))
}

fn codec_reason(error: &CodecError) -> Reason {
    match error {
        CodecError::TooLong { .. } => "too_long",
        CodecError::Malformed => "malformed",
        CodecError::NotCanonical => "not_canonical",
    }
}

fn identity_reason(error: &IdentityError) -> Reason {
    match error {
        IdentityError::Codec(error) => codec_reason(error),
        IdentityError::Unsupported(..) => "unsupported",
        IdentityError::TooLong => "log_too_long",
        IdentityError::Shape => "shape",
        IdentityError::Gap { .. } => "gap",
        IdentityError::WrongPrev => "wrong_prev",
        IdentityError::WrongRoot => "wrong_root",
        IdentityError::BadSignature => "bad_signature",
        IdentityError::Fork(_) => "fork",
    }
}

fn record_reason(error: &RecordError) -> Reason {
    match error {
        RecordError::Codec(error) => codec_reason(error),
        RecordError::Unsupported(..) => "unsupported",
        RecordError::Shape(_) => "shape",
        RecordError::BadSignature => "bad_signature",
        RecordError::Gap { .. } => "gap",
        RecordError::WrongPrev => "wrong_prev",
        RecordError::NotOwner => "not_owner",
        RecordError::UnknownKey => "unknown_key",
        RecordError::NeedsIdentity => "needs_identity",
        RecordError::Fork(_) => "fork",
        RecordError::Frozen => "frozen",
        RecordError::Rule(_) => "rule",
    }
}

fn envelope_reason(error: &EnvelopeError) -> Reason {
    match error {
        EnvelopeError::Codec(error) => codec_reason(error),
        EnvelopeError::Version(_) => "unsupported",
        EnvelopeError::Shape(_) | EnvelopeError::PayloadCount => "shape",
        EnvelopeError::ClockOrder => "clock_order",
        EnvelopeError::PayloadHash(_) => "payload_hash",
        EnvelopeError::BadSignature => "bad_signature",
    }
}

fn chain_reason(error: &ChainError) -> Reason {
    match error {
        ChainError::ClockWentBack => "clock_went_back",
        ChainError::CitationWentBack => "citation_went_back",
        ChainError::EpochWentBack => "epoch_went_back",
    }
}

fn content_reason(error: &ContentError) -> Reason {
    match error {
        ContentError::Codec(error) => codec_reason(error),
        ContentError::Empty => "empty",
        ContentError::TooLong { .. } => "text_too_long",
        ContentError::Control(_) => "control",
        ContentError::NotAnEmoji(_) => "not_an_emoji",
        ContentError::Shape(_) => "shape",
    }
}
