//! Targets for what travels between companies: whatever decodes must encode to the very same bytes, and judging it must
//! not panic.
//!
//! Strictness matters because hashes and signatures are over bytes: two spellings of one value would be two events.

use std::fmt::{Debug, Display};

use crossport_node::network::Address;
use crossport_protocol::clock::Clock;
use crossport_protocol::codec::{self, Blob};
use crossport_protocol::envelope::{EnvelopeHeader, SealedEnvelope, VerifiedEnvelope};
use crossport_protocol::event::Event;
use crossport_protocol::fold::{Actor, Fact, fold_message};
use crossport_protocol::frame::Frame;
use crossport_protocol::identity::{IdentityHeader, SignedIdentity};
use crossport_protocol::ids::{CompanyId, EventId, Handle, Hash};
use crossport_protocol::limits;
use crossport_protocol::owner_log::{Acceptance, Body, RecordHeader, SignedRecord};
use crossport_protocol::pairing::{PAIRING_BYTES, PREFIX, PairReply, PairRequest, Ticket};
use crossport_protocol::read::{ReadEntry, ReadRegister};
use crossport_protocol::seal::EpochKey;
use crossport_protocol::statement::Statement;
use crossport_protocol::suite::{Domain, Suite};
use crossport_protocol::wrap::{self, PrekeySecret, Wrap};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Outcome;

pub(super) const SUITES: [Suite; 2] = [Suite::KeyedHash, Suite::Ed25519];

/// Decodes; what decodes must encode to the same bytes and decode to the same value again.
pub(super) fn strict<T>(bytes: &[u8], limit: usize) -> Result<T, String>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let value: T = codec::decode(bytes, limit).map_err(reason)?;
    assert!(bytes.len() <= limit, "longer than its limit and taken");
    assert_eq!(
        codec::encode(&value),
        bytes,
        "two byte strings for one value"
    );
    assert_eq!(codec::decode(bytes, limit).as_ref(), Ok(&value));
    Ok(value)
}

/// The error without what it quotes of the input, so that reasons can be told apart and counted.
pub(super) fn reason(error: impl Debug + Display) -> String {
    let name = format!("{error:?}");
    let end = name.find(|c: char| !c.is_ascii_alphabetic() && c != '(');
    match name.get(..end.unwrap_or(name.len())) {
        // Their texts are fixed ones and say which rule.
        Some("Rule(" | "Shape(") | None => error.to_string(),
        Some(name) => name.to_owned(),
    }
}

fn any_suite(verified: impl Fn(Suite) -> bool) -> Outcome {
    if SUITES.into_iter().any(verified) {
        Ok(())
    } else {
        Err("bad signature".to_owned())
    }
}

/// What partners say to each other on a link.
pub fn frame(bytes: &[u8]) -> Outcome {
    let frame = Frame::decode(bytes).map_err(reason)?;
    if let Frame::Unknown(number) = frame {
        // Its body is not kept: a newer node may say what it likes.
        assert_eq!(bytes.first_chunk(), Some(&number.to_le_bytes()));
        return Ok(());
    }
    assert_eq!(frame.encode(), bytes, "two byte strings for one frame");
    assert!(bytes.len() <= limits::FRAME_BYTES + 2);
    if let Frame::Envelopes(envelopes) = frame {
        let counted: usize = envelopes.items.iter().map(|item| item.wire_bytes()).sum();
        assert_eq!(
            counted + 48,
            bytes.len() - 2,
            "frames are packed by this count"
        );
    }
    Ok(())
}

pub fn envelope(bytes: &[u8]) -> Outcome {
    let sealed: SealedEnvelope = strict(bytes, limits::FRAME_BYTES)?;
    let mut refused = String::new();
    for suite in SUITES {
        match sealed.verify(suite) {
            Ok(verified) => {
                check_verified(&verified);
                return Ok(());
            }
            Err(error) => refused = reason(error),
        }
    }
    Err(refused)
}

/// What every later step relies on once an envelope is verified.
pub(super) fn check_verified(verified: &VerifiedEnvelope) {
    let header = &verified.header;
    assert_eq!(verified.hash, Hash::of(&[&verified.sealed.header.0]));
    assert!((1..=limits::ENVELOPE_EVENTS).contains(&header.events.len()));
    assert_eq!(header.events.len(), verified.sealed.payloads.len());
    assert!(header.first_seq >= 1);
    let length = header.events.len() as u64;
    assert_eq!(header.last_seq(), header.first_seq + (length - 1));
    assert_eq!(verified.parent().seq + length, verified.head().seq);
    let clocks = header.events.iter().map(|event| event.clock);
    assert!(clocks.is_sorted_by(|one, next| one < next));
    for place in 0..header.events.len() {
        assert!(!header.associated(place).is_empty());
        assert_eq!(usize::from(verified.event_id(place).place), place);
        let opened = verified.open(place, &EpochKey::from_bytes([7; 32]));
        assert!(opened.is_none() || !verified.is_erased(place));
    }
}

pub fn envelope_header(bytes: &[u8]) -> Outcome {
    let header: EnvelopeHeader = strict(bytes, limits::HEADER_BYTES)?;
    // Reached before any check of shape, with numbers of a stranger's choice.
    assert!(header.last_seq() >= header.first_seq.saturating_sub(1));
    assert!(header.associated(header.events.len()).is_empty());
    assert!(
        header
            .fields
            .0
            .iter()
            .all(|field| header.fields.value(field.number).is_some())
    );
    Ok(())
}

pub fn owner_record(bytes: &[u8]) -> Outcome {
    let record: SignedRecord = strict(bytes, limits::FRAME_BYTES)?;
    let mut refused = String::new();
    for suite in SUITES {
        match record.verify(suite) {
            Ok((header, body)) => {
                check_record(&record, &header, &body);
                return Ok(());
            }
            Err(error) => refused = reason(error),
        }
    }
    Err(refused)
}

pub(super) fn check_record(record: &SignedRecord, header: &RecordHeader, body: &Body) {
    assert_eq!(codec::encode(header), record.header.0);
    assert_eq!(body.kind(), header.kind);
    let known = !matches!(body, Body::Unknown(_));
    assert!(!known || body.encode() == header.body.0);
    assert!(header.fields.is_well_formed());
    assert!(!header.associated().is_empty());
}

/// The kind, then the body of an owner record.
pub fn owner_body(bytes: &[u8]) -> Outcome {
    let (kind, body) = numbered(bytes)?;
    let decoded = Body::decode(kind, body).map_err(reason)?;
    assert_eq!(decoded.kind(), kind);
    if !matches!(decoded, Body::Unknown(_)) {
        assert_eq!(decoded.encode(), body, "two byte strings for one body");
    }
    Ok(())
}

pub fn acceptance(bytes: &[u8]) -> Outcome {
    let acceptance: Acceptance = strict(bytes, limits::FRAME_BYTES)?;
    any_suite(|suite| acceptance.verify(suite))
}

pub fn identity_record(bytes: &[u8]) -> Outcome {
    let record: SignedIdentity = strict(bytes, limits::FRAME_BYTES)?;
    let header: IdentityHeader = record.decode_header().map_err(reason)?;
    assert_eq!(codec::encode(&header), record.header.0);
    any_suite(|suite| {
        suite.verify(
            &header.root,
            Domain::Identity,
            &record.header.0,
            &record.signature,
        )
    })
}

/// The kind, then the opened payload of an event.
pub fn event(bytes: &[u8]) -> Outcome {
    let (kind, plain) = numbered(bytes)?;
    let event = Event::decode(kind, plain).map_err(reason)?;
    assert_eq!(event.kind(), kind);
    assert_eq!(event.encode(), plain, "two byte strings for one event");
    assert_eq!(
        event.check(),
        Ok(()),
        "what is taken from a partner may be written here"
    );
    Ok(())
}

/// A message and what was said about it: the fold is free of order and never shows the text of a deleted message.
pub fn fold(bytes: &[u8]) -> Outcome {
    type Said = (u64, u8, u16, Blob);
    let said: Vec<Said> = strict(bytes, limits::FRAME_BYTES)?;
    let actor = |number: u8| Actor {
        company: CompanyId([number % 3; 32]),
        handle: Handle([number; 16]),
    };
    let mut facts = Vec::new();
    for (place, (clock, by, kind, plain)) in said.iter().enumerate() {
        facts.push(Fact {
            id: EventId {
                envelope: Hash([1; 32]),
                place: place as u16,
            },
            clock: Clock(*clock),
            actor: actor(*by),
            event: Event::decode(*kind, &plain.0).map_err(reason)?,
        });
    }
    let owner = CompanyId([2; 32]);
    let shown = fold_message(actor(1), &owner, Some("text"), &facts);
    let deleted = |fact: &Fact| match fact.event {
        Event::Delete(_) => fact.actor == actor(1),
        Event::AdminDelete(_) => {
            fact.actor.handle != Handle::ZERO
                && [actor(1).company, owner].contains(&fact.actor.company)
        }
        _ => false,
    };
    assert_eq!(shown.deleted_by.is_some(), facts.iter().any(deleted));
    assert!(shown.deleted_by.is_none() || shown.text.is_none());
    facts.reverse();
    assert_eq!(
        shown,
        fold_message(actor(1), &owner, Some("text"), &facts),
        "order must not count"
    );
    Ok(())
}

pub fn statement(bytes: &[u8]) -> Outcome {
    let statement: Statement = strict(bytes, limits::FRAME_BYTES)?;
    any_suite(|suite| statement.verify(suite))
}

pub fn read_register(bytes: &[u8]) -> Outcome {
    let register: ReadRegister = strict(bytes, limits::FRAME_BYTES)?;
    assert_eq!(register.open(&EpochKey::from_bytes([7; 32])), None);
    any_suite(|suite| register.verify(suite))
}

/// What lies in a read register once it is opened.
pub fn read_entries(bytes: &[u8]) -> Outcome {
    strict::<Vec<ReadEntry>>(bytes, limits::FRAME_BYTES).map(|_| ())
}

pub fn wrap(bytes: &[u8]) -> Outcome {
    let wrapped: Wrap = strict(bytes, limits::FRAME_BYTES)?;
    let secret = PrekeySecret::from_bytes([9; 32]);
    let opened = SUITES.map(|suite| wrap::unwrap(suite, &wrapped, &secret).is_some());
    if opened.contains(&true) {
        Ok(())
    } else {
        Err("does not open".to_owned())
    }
}

/// A ticket as people paste it.
pub fn ticket(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    let ticket = Ticket::from_text(&text).map_err(reason)?;
    let written = ticket.to_text();
    assert_eq!(Ticket::from_text(&written), Ok(ticket));
    let read: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    assert_eq!(read.to_lowercase(), written, "two spellings of one ticket");
    Ok(())
}

/// The content of a ticket behind a right checksum, so that the content itself is reached.
pub fn ticket_content(bytes: &[u8]) -> Outcome {
    let checksum = Hash::of(&[Domain::Ticket.tag(), bytes]).0;
    let content = [bytes, checksum.first_chunk::<4>().map_or(&[], |c| c)].concat();
    let text = format!("{PREFIX}{}", base32(&content));
    let decoded = strict::<Ticket>(bytes, PAIRING_BYTES);
    let read = Ticket::from_text(&text).map_err(reason)?;
    assert_eq!(decoded.as_ref(), Ok(&read));
    assert_eq!(read.to_text(), text, "two spellings of one ticket");
    assert!(read.addresses.len() <= 16);
    for address in &read.addresses {
        // Whoever dials parses the address first; that must not panic either.
        let _ = address.parse::<Address>();
    }
    Ok(())
}

pub fn pair_request(bytes: &[u8]) -> Outcome {
    let request: PairRequest = strict(bytes, PAIRING_BYTES)?;
    any_suite(|suite| request.verify(suite))
}

pub fn pair_reply(bytes: &[u8]) -> Outcome {
    let reply: PairReply = strict(bytes, PAIRING_BYTES)?;
    for record in &reply.identity {
        record.decode_header().map_err(reason)?;
    }
    Ok(())
}

/// An address of a partner, from a ticket or an identity log.
pub fn address(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    let address: Address = text.parse().map_err(reason)?;
    let shown = address.to_string();
    assert_eq!(
        shown.parse().as_ref(),
        Ok(&address),
        "what is shown must parse to the same"
    );
    Ok(())
}

fn numbered(bytes: &[u8]) -> Result<(u16, &[u8]), String> {
    let (kind, rest) = bytes.split_first_chunk::<2>().ok_or("no kind")?;
    Ok((u16::from_le_bytes(*kind), rest))
}

/// Written a second time here, from RFC 4648, to hold against the one of the ticket.
fn base32(bytes: &[u8]) -> String {
    let bit = |index: usize| {
        bytes
            .get(index / 8)
            .map_or(0, |byte| byte >> (7 - index % 8) & 1)
    };
    let digits = (bytes.len() * 8).div_ceil(5);
    (0..digits)
        .map(|digit| (0..5).fold(0, |value, place| value << 1 | bit(digit * 5 + place)))
        .map(|value: u8| {
            char::from(if value < 26 {
                b'a' + value
            } else {
                b'2' + (value - 26)
            })
        })
        .collect()
}
