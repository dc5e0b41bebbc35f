//! Envelopes and streams that must be refused.

use crossport_protocol::clock::Clock;
use crossport_protocol::codec::{self, Blob};
use crossport_protocol::envelope::{EnvelopeHeader, EventHeader, SealedEnvelope};
use crossport_protocol::fields::Field;
use crossport_protocol::ids::{Hash, Head, Position};
use crossport_protocol::limits;
use crossport_protocol::suite::{Domain, SecretKey};

use super::super::cast::{self, SUITE, clock};
use super::super::{Vector, tree};
use super::{Talk, crowded, envelope_vector};

/// A changed header, signed anew, so that only the rule that it breaks can refuse it.
pub(super) fn resigned(
    header: &EnvelopeHeader,
    key: &SecretKey,
    payloads: &[Blob],
) -> SealedEnvelope {
    let bytes = codec::encode(header);
    let signature = SUITE.sign(key, Domain::Envelope, &bytes);
    SealedEnvelope {
        header: Blob(bytes),
        signature,
        payloads: payloads.to_vec(),
    }
}

pub(super) fn field(number: u16, value: &[u8]) -> Field {
    Field {
        number,
        value: Blob(value.to_vec()),
    }
}

/// Bytes beside a sound header that are not the ones that it names.
pub(super) fn bytes(talk: &Talk) -> Vec<Vector> {
    let (good, key) = (&talk.acme[0], cast::acme().node);
    let vector = envelope_vector("two events", &good.sealed);
    let spoilt = |name: &str, reason: &str, sealed: &SealedEnvelope| {
        vector.spoilt(&format!("envelope, {name}"), reason, &codec::encode(sealed))
    };
    let with = |change: &dyn Fn(&mut SealedEnvelope)| {
        let mut sealed = good.sealed.clone();
        change(&mut sealed);
        sealed
    };
    let other_domain = SUITE.sign(&key, Domain::Statement, &good.sealed.header.0);
    vec![
        spoilt(
            "bad signature",
            "bad_signature",
            &with(&|s| s.signature = talk.acme[1].sealed.signature),
        ),
        spoilt(
            "other domain tag",
            "bad_signature",
            &with(&|s| s.signature = other_domain),
        ),
        spoilt(
            "signed by another node",
            "bad_signature",
            &resigned(&good.header, &cast::globex().node, &good.sealed.payloads),
        ),
        spoilt(
            "other payload",
            "payload_hash",
            &with(&|s| s.payloads[0].0[40] ^= 1),
        ),
        spoilt(
            "payloads exchanged",
            "payload_hash",
            &with(&|s| s.payloads.swap(0, 1)),
        ),
        spoilt(
            "payload too many",
            "shape",
            &with(&|s| s.payloads.push(Blob::default())),
        ),
        spoilt(
            "header with a trailing byte",
            "malformed",
            &with(&|s| s.header.0.push(0)),
        ),
    ]
}

/// Headers that break a rule and are well signed.
pub(super) fn headers(talk: &Talk) -> Vec<Vector> {
    let (good, key) = (&talk.acme[0], cast::acme().node);
    let vector = envelope_vector("two events", &good.sealed);
    let named = |name: &str, reason: &str, sealed: &SealedEnvelope| {
        vector.spoilt(&format!("envelope, {name}"), reason, &codec::encode(sealed))
    };
    let spoilt = |name: &str, reason: &str, change: &dyn Fn(&mut EnvelopeHeader)| {
        let mut header = good.header.clone();
        change(&mut header);
        named(
            name,
            reason,
            &resigned(&header, &key, &good.sealed.payloads),
        )
    };
    let many = crowded(talk, limits::ENVELOPE_EVENTS + 1).sealed;
    let huge = limits::PAYLOAD_BYTES as u32 + 1;
    vec![
        spoilt("version 1", "unsupported", &|h| h.version = 1),
        spoilt("no events", "shape", &|h| h.events.clear()),
        named("257 events", "shape", &many),
        spoilt("first number 0", "shape", &|h| h.first_seq = 0),
        spoilt("first number at the end of all numbers", "shape", &|h| {
            h.first_seq = u64::MAX
        }),
        spoilt("first of a stream with a predecessor", "shape", &|h| {
            h.prev = Hash([3; 32])
        }),
        spoilt("a predecessor of hash zero", "shape", &|h| h.first_seq = 2),
        spoilt("fields not ascending", "shape", &|h| {
            h.fields.0 = vec![field(7, b""), field(7, b"")]
        }),
        spoilt("payload too long", "shape", &|h| {
            h.events[0].payload_len = huge
        }),
        spoilt("payload of length 0", "shape", &|h| {
            h.events[0].payload_len = 0
        }),
        spoilt("payload shorter than its seal", "shape", &|h| {
            h.events[0].payload_len = 71
        }),
        spoilt("payloads too long together", "shape", &|h| {
            h.events[0].payload_len = huge - 1;
            h.events[1].payload_len = (limits::ENVELOPE_PAYLOAD_BYTES + 2) as u32 - huge;
        }),
        spoilt("a delete that is too long", "shape", &|h| {
            h.events[0].kind = 3;
            h.events[0].payload_len = limits::DELETE_PAYLOAD_BYTES as u32 + 1;
        }),
        spoilt("a delete among 17 events", "shape", &|h| {
            h.events[0].kind = 3;
            h.events[0].payload_len = limits::DELETE_PAYLOAD_BYTES as u32;
            while h.events.len() <= limits::DELETE_EVENTS {
                let last = h.events[h.events.len() - 1].clone();
                let clock = Clock(last.clock.0 + 1);
                h.events.push(EventHeader { clock, ..last });
            }
        }),
        spoilt("a delete under a long header", "shape", &|h| {
            h.events[0].kind = 3;
            h.events[0].payload_len = limits::DELETE_PAYLOAD_BYTES as u32;
            h.fields.0 = vec![field(7, &[0; limits::DELETE_HEADER_BYTES])];
        }),
        spoilt("clocks not increasing", "clock_order", &|h| {
            h.events[1].clock = h.events[0].clock
        }),
    ]
}

fn chain_vector(name: &str, envelopes: &[SealedEnvelope]) -> Vector {
    Vector::encoded("chain", name, &envelopes.to_vec())
}

/// A stream from its first envelope on: links, clocks, citations and epochs.
/// Two envelopes that cite the owner's log in these terms.
fn succeeded(talk: &Talk, name: &str, terms: [u32; 2]) -> Vector {
    let key = cast::acme().node;
    let mut header = talk.acme[0].header.clone();
    header.owner_at.term = terms[0];
    let first = resigned(&header, &key, &talk.acme[0].sealed.payloads);
    let mut next = talk.acme[1].header.clone();
    next.prev = first.hash();
    next.owner_at = Position {
        term: terms[1],
        ..next.owner_at
    };
    // The greater term has the smaller number.
    next.owner_at.seq = if terms[0] < terms[1] { 1 } else { 99 };
    let next = resigned(&next, &key, &talk.acme[1].sealed.payloads);
    let head = Head {
        seq: 4,
        hash: next.hash(),
    };
    chain_vector(name, &[first, next]).value(&tree(&head))
}

pub(super) fn chains(talk: &Talk) -> Vec<Vector> {
    let key = cast::acme().node;
    let sealed: Vec<SealedEnvelope> = talk.acme.iter().map(|e| e.sealed.clone()).collect();
    let last = talk.acme[2].head();
    let good = chain_vector("a stream", &sealed).value(&tree(&last));
    let broken = |name: &str, reason: &str, change: &dyn Fn(&mut EnvelopeHeader)| {
        let mut header = talk.acme[1].header.clone();
        change(&mut header);
        let second = resigned(&header, &key, &talk.acme[1].sealed.payloads);
        chain_vector(name, &[sealed[0].clone(), second]).refused(reason)
    };
    let earlier = |at: Position| Position {
        seq: at.seq - 1,
        ..at
    };
    vec![
        good,
        succeeded(talk, "stream, a later term with a smaller number", [0, 1]),
        Vector {
            value: None,
            ..succeeded(
                talk,
                "stream, an earlier term with a greater number",
                [1, 0],
            )
        }
        .refused("citation_went_back"),
        broken("stream, wrong prev", "gap", &|header| {
            header.prev = Hash([5; 32])
        }),
        broken("stream, a number left out", "gap", &|header| {
            header.first_seq += 1
        }),
        broken("stream, a number twice", "gap", &|header| {
            header.first_seq -= 1
        }),
        broken("stream, another incarnation", "gap", &|header| {
            header.stream.incarnation += 1
        }),
        broken("stream, clock went back", "clock_went_back", &|header| {
            header.events[0].clock = clock(1_000)
        }),
        broken(
            "stream, cited owner position went back",
            "citation_went_back",
            &|header| header.owner_at = earlier(header.owner_at),
        ),
        broken(
            "stream, cited identity position went back",
            "citation_went_back",
            &|header| header.identity_at = earlier(header.identity_at),
        ),
        broken("stream, epoch went back", "epoch_went_back", &|header| {
            header.epoch = 0
        }),
        chain_vector("stream, its first envelope missing", &sealed[1..]).refused("gap"),
    ]
}
