//! Verifying the whole journal: checksums, signatures, payload hashes, chains, citations and cuts, from the first record on.
//!
//! It trusts neither the index nor the running node: it replays every record into a fresh replicator with a log of its own
//! and names each fault. It changes nothing.

use std::collections::BTreeMap;
use std::time::Instant;

use crossport_protocol::clock::Time;
use crossport_protocol::codec;
use crossport_protocol::envelope::EnvelopeHeader;
use crossport_protocol::frame::EnvelopeItem;
use crossport_protocol::identity::IdentityLog;
use crossport_protocol::ids::{ChatId, EventId, Hash, Head, StreamId};
use crossport_protocol::limits;
use crossport_protocol::owner_log::SignedRecord;
use crossport_protocol::replicator::{Config, Context, Link, Output, ReadLog, Record, Replicator};
use crossport_protocol::seal::EpochKey;
use crossport_protocol::stream::Tip;
use crossport_protocol::suite::{SecretKey, Suite};
use crossport_protocol::wrap::PrekeySecret;

use crate::api::facade::OnProgress;
use crate::api::types::{Fault, Progress, VerifyReport};
use crate::journal::{JournalReader, Position};
use crate::random::OsRandom;
use crate::store::{Fact, JournalEntry};

/// Faults that are listed; the rest is only counted.
const FAULTS_LISTED: usize = 100;
/// Records between two reports of progress.
const PROGRESS_EVERY: u64 = 1_000;

/// Only what a chain check asks for: links by hash. Payloads are not needed twice.
#[derive(Default)]
struct LinkLog(BTreeMap<(ChatId, Hash), Link>);

impl ReadLog for LinkLog {
    fn link(&self, chat: &ChatId, hash: &Hash) -> Option<Link> {
        self.0.get(&(*chat, *hash)).copied()
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

struct Verifier {
    replicator: Replicator,
    log: LinkLog,
    /// What was erased after it was stored, and where the journal holds the deleting envelope.
    erased: BTreeMap<EventId, (Position, u16)>,
    report: VerifyReport,
}

/// Verifies everything up to the journal's present end. The keys open the deletes that prove an erasure.
pub fn journal(
    journal: &JournalReader,
    suite: Suite,
    own: Option<IdentityLog>,
    keys: Vec<(ChatId, u32, EpochKey)>,
    told: &OnProgress,
) -> VerifyReport {
    let began = Instant::now();
    let empty = VerifyReport {
        records: 0,
        envelopes: 0,
        signatures: 0,
        chats: 0,
        faults: Vec::new(),
        faults_total: 0,
        took_ms: 0,
    };
    let Some(identity) = own else { return empty };
    // The replayed replicator signs nothing, so its keys are random and of no meaning.
    let config = Config {
        suite,
        identity,
        node: SecretKey::random(&mut OsRandom),
        generation: 0,
        continuity: true,
        prekeys: vec![(1, Time(0), PrekeySecret::random(&mut OsRandom))],
    };
    let erased = crate::store::erased_facts(journal, Position(0));
    let mut verifier = Verifier {
        replicator: Replicator::new(config),
        log: LinkLog::default(),
        erased,
        report: empty,
    };
    for (chat, epoch, key) in keys {
        verifier.replicator.restore_key(chat, epoch, key);
    }
    let total = journal.head().position.0;
    for record in journal.scan(Position(0)) {
        verifier.report.records = verifier.report.records.saturating_add(1);
        match record {
            Ok(record) => {
                if verifier.report.records.is_multiple_of(PROGRESS_EVERY) {
                    told(Progress {
                        done: record.position.0,
                        total,
                    });
                }
                verifier.entry(&record, journal);
            }
            Err(damage) => {
                verifier.fault(&damage.position.0.to_string(), None, &damage.to_string())
            }
        }
    }
    verifier.report.chats = verifier.replicator.chats().count() as u64;
    verifier.report.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    verifier.report
}

impl Verifier {
    fn entry(&mut self, found: &crate::journal::Record, journal: &JournalReader) {
        let place = found.position.0.to_string();
        match crate::store::record::decode(found.kind, &found.payload, &found.erased) {
            JournalEntry::Protocol(entry) => {
                let entry = self.with_proofs(entry, journal);
                self.record(&place, entry);
            }
            JournalEntry::Fact(_) => {}
            JournalEntry::Damaged(damage) => self.fault(&place, None, &damage.to_string()),
            JournalEntry::Unreadable { cause, .. } => self.fault(&place, None, &cause.to_string()),
        }
    }

    /// An envelope whose payloads were erased since it was stored is proven by what the journal holds of the deletes. What
    /// lacks its proof is left as it is, and is a fault.
    fn with_proofs(&self, record: Record, journal: &JournalReader) -> Record {
        let Record::Envelope { chat, mut item } = record else {
            return record;
        };
        let envelope = item.envelope.hash();
        for (place, payload) in (0_u16..).zip(&item.envelope.payloads) {
            let proven = item.erasures.iter().any(|known| known.place == place);
            if !payload.0.is_empty() || proven {
                continue;
            }
            let held = self.erased.get(&EventId { envelope, place });
            let Some((position, proof_place)) = held else {
                continue;
            };
            let Ok(found) = journal.read(*position) else {
                continue;
            };
            if let Ok(Fact::Erased { proof, .. }) =
                crate::store::record::decode_fact(&found.payload)
            {
                item.erasures
                    .push(crate::store::erasure(&proof, place, *proof_place));
            }
        }
        item.erasures.sort_by_key(|erasure| erasure.place);
        Record::Envelope { chat, item }
    }

    fn record(&mut self, place: &str, record: Record) {
        let named = match &record {
            Record::Envelope { item, .. } => {
                self.report.envelopes = self.report.envelopes.saturating_add(1);
                Some(item.envelope.hash().to_string())
            }
            Record::Owner { chat, .. } => Some(chat.to_string()),
            Record::Identity { company, .. } => Some(company.to_string()),
            Record::Exposure { .. } | Record::Footing { .. } => None,
        };
        if named.is_some() {
            self.report.signatures = self.report.signatures.saturating_add(1);
        }
        self.remember(&record);
        let mut outputs: Vec<Output> = Vec::new();
        let mut random = OsRandom;
        let now = Time(u64::MAX >> 17);
        let mut cx = Context {
            now,
            log: &self.log,
            random: &mut random,
            out: &mut outputs,
        };
        if let Err(refusal) = self.replicator.replay(&mut cx, record) {
            self.fault(place, named, refusal.name());
        }
    }

    fn remember(&mut self, record: &Record) {
        let Record::Envelope { chat, item } = record else {
            return;
        };
        let decoded =
            codec::decode::<EnvelopeHeader>(&item.envelope.header.0, limits::HEADER_BYTES);
        let Ok(header) = decoded else { return };
        let head = Head {
            seq: header.last_seq(),
            hash: item.envelope.hash(),
        };
        let parent = Head {
            seq: header.first_seq.saturating_sub(1),
            hash: header.prev,
        };
        let link = Link {
            stream: header.stream,
            parent,
            tip: Tip::of(&header, head),
        };
        self.log.0.insert((*chat, head.hash), link);
    }

    fn fault(&mut self, place: &str, id: Option<String>, reason: &str) {
        self.report.faults_total = self.report.faults_total.saturating_add(1);
        if self.report.faults.len() < FAULTS_LISTED {
            self.report.faults.push(Fault {
                place: place.to_owned(),
                id,
                reason: reason.to_owned(),
            });
        }
    }
}
