//! Checking everything: each checksum, each seal, each group hash and the chain from the first group to the head.
//!
//! It only reads, beside the running node, and takes as long as reading the journal does.

use sha2::{Digest, Sha256};

use super::error::{Damage, DamageReason};
use super::format::{
    ErasedBy, Group, KIND_ERASED, KIND_GROUP, Position, RESERVED_KINDS, first_hash,
};
use super::reader::{JournalReader, Raw, damage};

/// Named in full; beyond this they are only counted, so that a ruined disk does not fill the memory.
pub const MAX_NAMED_DAMAGE: usize = 1_000;

/// What [`JournalReader::verify_all`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Records of the caller that are whole.
    pub records: u64,
    /// Of those, records with something erased.
    pub erased: u64,
    /// Groups met.
    pub groups: u64,
    /// Damaged places in all.
    pub damaged: u64,
    /// The first of them.
    pub damage: Vec<Damage>,
}

impl Verification {
    fn found(&mut self, damage: Damage) {
        self.damaged += 1;
        if self.damage.len() < MAX_NAMED_DAMAGE {
            self.damage.push(damage);
        }
    }
}

/// The group that is being read.
struct Current {
    position: Position,
    group: Group,
    hasher: Sha256,
    hashed: u64,
    /// Something in it was erased or lost, so its hash cannot be computed any more.
    incomplete: bool,
}

impl JournalReader {
    /// Reads and checks the journal from the first byte to the head of this moment.
    pub fn verify_all(&self) -> Verification {
        let mut report = Verification::default();
        let head = self.head();
        let mut scan = self.scan(Position::START);
        let mut current: Option<Current> = None;
        let mut running = Some(first_hash(&head.generation));
        while let Some(step) = scan.raw_step() {
            let raw = match step {
                Ok(raw) => raw,
                Err(lost) => {
                    report.found(lost);
                    if let Some(group) = &mut current {
                        group.incomplete = true;
                    }
                    running = None;
                    continue;
                }
            };
            if raw.header.kind == KIND_GROUP {
                finish_group(&mut report, current.take());
                current = self.start_group(&mut report, &raw, &mut running);
                continue;
            }
            if let Some(group) = &mut current {
                group.take(&raw);
            }
            self.check_record(&mut report, raw);
        }
        finish_group(&mut report, current);
        let ends_elsewhere = running.is_some_and(|hash| hash != head.running_hash);
        if ends_elsewhere && self.head() == head {
            report.found(Damage {
                position: head.position,
                end: head.position,
                reason: DamageReason::Chain,
            });
        }
        report
    }

    fn start_group(
        &self,
        report: &mut Verification,
        raw: &Raw,
        running: &mut Option<[u8; 32]>,
    ) -> Option<Current> {
        report.groups += 1;
        let group = self
            .shared
            .checked(raw)
            .ok()
            .and_then(|payload| Group::decode(&payload));
        let Some(group) = group else {
            report.found(damage(&raw.header, DamageReason::Payload));
            *running = None;
            return None;
        };
        if running.is_some_and(|hash| hash != group.before) {
            report.found(damage(&raw.header, DamageReason::Chain));
        }
        let position = raw.header.position;
        *running = Some(group.running_hash(position));
        Some(Current {
            position,
            group,
            hasher: Sha256::new(),
            hashed: raw.header.stored(),
            incomplete: false,
        })
    }

    fn check_record(&self, report: &mut Verification, raw: Raw) {
        let header = raw.header;
        if header.kind >= RESERVED_KINDS {
            let readable = self.shared.checked(&raw).is_ok();
            if header.kind == KIND_ERASED && !readable {
                report.found(damage(&header, DamageReason::Payload));
            }
            return;
        }
        // Read anew if it does not check: an erasure may have overtaken the read-ahead.
        let record = match self.shared.finish(raw) {
            Ok(record) => record,
            Err(found) => match self.read(header.position) {
                Ok(record) => record,
                Err(_) => return report.found(found),
            },
        };
        report.records += 1;
        report.erased += u64::from(!record.erased.is_empty());
    }
}

impl Current {
    fn take(&mut self, raw: &Raw) {
        self.hasher.update(raw.header.encode());
        self.hasher.update(&raw.stored);
        self.hashed += raw.header.stored();
        self.incomplete |= raw.header.erased_by != ErasedBy::Nothing;
    }
}

fn finish_group(report: &mut Verification, current: Option<Current>) {
    let Some(Current {
        position,
        group,
        hasher,
        hashed,
        incomplete,
    }) = current
    else {
        return;
    };
    if incomplete {
        return;
    }
    let content: [u8; 32] = hasher.finalize().into();
    if content != group.content || hashed != u64::from(group.length) {
        let end = Position(position.0.saturating_add(u64::from(group.length)));
        report.found(Damage {
            position,
            end,
            reason: DamageReason::Content,
        });
    }
}
