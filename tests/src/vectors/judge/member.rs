//! A member of a chat as a judge: a real replicator that is told what the member knows, and then meets the vector on a link.

use anyhow::{Context as _, Result, bail};
use crossport_protocol::clock::Time;
use crossport_protocol::codec;
use crossport_protocol::frame::{EnvelopeItem, EnvelopesFrame, Frame, Hello, VERSION};
use crossport_protocol::identity::{IdentityLog, SignedIdentity};
use crossport_protocol::ids::{ChatId, Hash, Head, StreamId};
use crossport_protocol::limits;
use crossport_protocol::owner_log::SignedRecord;
use crossport_protocol::replicator::{Config, Context, Link, Output, ReadLog, Record, Replicator};
use crossport_protocol::roster::Roster;
use crossport_protocol::seal::EpochKey;
use serde_json::Value;

use super::super::cast::{self, Fixed, NOON, SUITE};
use super::super::{Vector, tree};
use super::{Reason, decoded, text};

/// A log in which nothing stands yet.
struct Nothing;

impl ReadLog for Nothing {
    fn link(&self, _: &ChatId, _: &Hash) -> Option<Link> {
        None
    }

    fn envelope(&self, _: &ChatId, _: &Hash) -> Option<EnvelopeItem> {
        None
    }

    fn path(&self, _: &ChatId, _: &StreamId, _: Head, _: Head, _: usize) -> Vec<EnvelopeItem> {
        Vec::new()
    }

    fn records(&self, _: &ChatId, _: u64, _: usize) -> Vec<SignedRecord> {
        Vec::new()
    }
}

fn records(hex_text: &Value) -> Result<Vec<SignedIdentity>> {
    let bytes = hex::decode(hex_text.as_str().context("no text")?)?;
    Ok(codec::decode(&bytes, limits::FRAME_BYTES)?)
}

/// The companies that a vector names, by id.
pub fn roster(identities: &Value) -> Result<Roster> {
    let mut logs = Vec::new();
    for (company, hex_text) in identities.as_object().context("no object")? {
        logs.push(IdentityLog::read(
            SUITE,
            company.parse()?,
            &records(hex_text)?,
        )?);
    }
    let mut logs = logs.into_iter();
    let mut roster = Roster::new(SUITE, logs.next().context("nobody")?);
    for log in logs {
        let records: Vec<_> = log.records().cloned().collect();
        roster.merge(log.company(), &records)?;
    }
    Ok(roster)
}

/// Globex, which knows the chat up to its own adding and the key of epoch 1, is linked with Acme and said hello to.
fn globex(known: &Value, chat: ChatId, random: &mut Fixed) -> Result<Replicator> {
    let (acme, globex) = (cast::acme(), cast::globex());
    let mut replicator = Replicator::new(Config {
        suite: SUITE,
        identity: globex.identity.clone(),
        node: globex.node.clone(),
        generation: 1,
        continuity: true,
        prekeys: vec![(3, Time(0), globex.prekey.clone())],
    });
    for (company, hex_text) in known["identities"].as_object().context("no identities")? {
        replicator.restore_identity(company.parse()?, &records(hex_text)?);
    }
    for (epoch, hex_text) in known["epoch_keys"].as_object().context("no keys")? {
        let bytes = hex::decode(hex_text.as_str().context("no text")?)?;
        let key = EpochKey::from_bytes(bytes.as_slice().try_into()?);
        replicator.restore_key(chat, epoch.parse()?, key);
    }
    let bytes = hex::decode(known["records"].as_str().context("no records")?)?;
    let owner: Vec<SignedRecord> = codec::decode(&bytes, limits::FRAME_BYTES)?;
    let mut out = Vec::new();
    let mut cx = Context {
        now: NOON,
        log: &Nothing,
        random,
        out: &mut out,
    };
    for record in owner {
        replicator.replay(&mut cx, Record::Owner { chat, record })?;
    }
    replicator.set_partner(acme.id());
    replicator.partner_up(&mut cx, acme.id());
    let hello = Frame::Hello(Hello {
        version: VERSION,
        // Never compared.
        build: "another program".to_owned(),
        company: acme.id(),
        generation: 1,
        identity_at: acme.at(),
        prekey: acme.bundle(),
        time: NOON,
        fields: crossport_protocol::fields::Fields::none(),
    });
    replicator.receive(&mut cx, acme.id(), &hello.encode())?;
    Ok(replicator)
}

/// What Globex makes of an envelope with erasures that Acme sends.
pub fn item(vector: &Vector, bytes: &[u8]) -> Result<Result<Value, Reason>> {
    let chat: ChatId = text(vector, "chat")?.parse()?;
    let item: EnvelopeItem = match decoded(bytes) {
        Ok(item) => item,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut random = Fixed::new("a judge");
    let known = vector.given.get("known").context("nothing is known")?;
    let mut replicator = globex(known, chat, &mut random)?;
    let mut out = Vec::new();
    let mut cx = Context {
        now: NOON,
        log: &Nothing,
        random: &mut random,
        out: &mut out,
    };
    let frame = Frame::Envelopes(EnvelopesFrame {
        chat,
        sent_bytes: 1,
        items: vec![item.clone()],
    });
    replicator.receive(&mut cx, cast::acme().id(), &frame.encode())?;
    for output in &out {
        match output {
            Output::Refused { refusal, .. } => return Ok(Err(refusal.name())),
            Output::Store(Record::Envelope { item: stored, .. }) if *stored == item => {
                return Ok(Ok(tree(&item)));
            }
            _ => {}
        }
    }
    bail!("{}: neither stored nor refused", vector.name)
}

/// The 16 bytes by which a chat is compared, from the owner log's head and the encoded rest of the state.
pub fn digest(vector: &Vector, state: &[u8]) -> Result<Vec<u8>> {
    let owner: Hash = text(vector, "owner")?.parse()?;
    Ok(Hash::of(&[b"crossport/0/digest\0", &owner.0, state]).0[..16].to_vec())
}
