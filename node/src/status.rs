//! What an operator looks at: status, doctor, and the figures that are only computed when somebody asks.

use std::time::Duration;

use crate::api::facade::{Answer, OnProgress, Operator};
use crate::api::types::{Check, Doctor, IndexStatus, JournalStatus, Progress, Status, Verdict};
use crate::core::{Core, now, time_text};
use crate::network::Address;
use crate::say;
use crate::texts::Texts;

/// A partner's clock may differ by this before `doctor` warns: messages would be shown as "sender's clock ahead".
const CLOCK_WARNING_MS: u64 = 30_000;
/// Below this much free space `doctor` warns.
const FREE_WARNING_BYTES: u64 = 1024 * 1024 * 1024;

impl Core {
    pub fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            company: self.company(),
            data_dir: self.config.data_dir.display().to_string(),
            api: self.config.api_url.clone(),
            started_at: time_text(self.started),
            ready: true,
            partners: self.partner_lines(),
            users: self.directory.users().count() as u32,
            chats: self.replicator.chats().count() as u32,
            journal: JournalStatus {
                bytes: self.store.head().position.0,
                free_bytes: self.free_bytes().unwrap_or(0),
            },
            index: IndexStatus {
                lag_records: self.store.lag(),
                rebuilding: false,
            },
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        let space = rustix::fs::statvfs(&self.config.data_dir).ok()?;
        space.f_bavail.checked_mul(space.f_frsize)
    }

    pub fn doctor(&self, by: Operator) -> Doctor {
        let texts = Texts::of(by.lang);
        let mut checks = vec![
            self.check_disk(texts),
            self.check_permissions(texts),
            self.check_listening(texts),
        ];
        for partner in self.directory.partners().filter(|partner| !partner.removed) {
            checks.push(self.check_partner(partner, texts));
        }
        Doctor { checks }
    }

    fn check_disk(&self, texts: &Texts) -> Check {
        let free = self.free_bytes();
        let enough = free.is_some_and(|free| free >= FREE_WARNING_BYTES);
        let free = texts.bytes(free.unwrap_or(0));
        Check {
            name: "disk".to_owned(),
            verdict: if enough {
                Verdict::Ok
            } else {
                Verdict::Warning
            },
            detail: say!(texts, "doctor-disk-free", free = free),
            try_next: (!enough).then(|| say!(texts, "doctor-disk-try")),
        }
    }

    /// Keys lie in the data folder, and its socket obeys whoever can reach it.
    fn check_permissions(&self, texts: &Texts) -> Check {
        let folder = self.config.data_dir.display().to_string();
        let mode = rustix::fs::stat(&self.config.data_dir).map(|stat| stat.st_mode & 0o777);
        let (verdict, detail) = match mode {
            Ok(mode) if mode & 0o077 == 0 => (Verdict::Ok, say!(texts, "doctor-private")),
            Ok(mode) => {
                let mode = format!("{mode:03o}");
                (Verdict::Failed, say!(texts, "doctor-readable", mode = mode))
            }
            Err(error) => {
                let told = texts.tell(&crate::reasons::system(&error.into()));
                (Verdict::Failed, told)
            }
        };
        Check {
            name: "permissions".to_owned(),
            verdict,
            detail,
            try_next: (verdict != Verdict::Ok).then(|| format!("chmod 700 {folder}")),
        }
    }

    fn check_listening(&self, texts: &Texts) -> Check {
        let nowhere = self.listening.is_empty();
        Check {
            name: "listen".to_owned(),
            verdict: if nowhere {
                Verdict::Failed
            } else {
                Verdict::Ok
            },
            detail: Address::for_people(&self.listening).join("; "),
            try_next: nowhere.then(|| say!(texts, "doctor-listen-try")),
        }
    }

    fn check_partner(&self, partner: &crate::directory::Partner, texts: &Texts) -> Check {
        let name = self.badge(&partner.company).name;
        let linked = self.links.contains_key(&partner.company);
        let held = self
            .replicator
            .partners()
            .find(|(company, _)| **company == partner.company);
        let difference = held.and_then(|(_, held)| held.clock_difference_ms());
        let (verdict, detail, try_next) = match (partner.paused, linked, difference) {
            (true, _, _) => (
                Verdict::Warning,
                say!(texts, "doctor-paused"),
                Some(format!("crossport partner resume '{name}'")),
            ),
            (_, false, _) => (
                Verdict::Warning,
                say!(texts, "doctor-not-connected"),
                Some(format!("crossport partner ping '{name}'")),
            ),
            (_, true, Some(ms)) if ms.unsigned_abs() > CLOCK_WARNING_MS => (
                Verdict::Warning,
                say!(texts, "doctor-clocks-differ", seconds = ms / 1000),
                Some(say!(texts, "doctor-clocks-try")),
            ),
            (_, true, _) => (Verdict::Ok, say!(texts, "doctor-connected"), None),
        };
        Check {
            name: format!("partner {name}"),
            verdict,
            detail,
            try_next,
        }
    }

    /// Brings the figures up to date that are only computed when somebody looks.
    pub fn refresh_metrics(&self) {
        for partner in self.directory.partners().filter(|partner| !partner.removed) {
            let behind = self
                .partner_behind_since(&partner.company)
                .map_or(0, |since| now().since(since));
            self.metrics
                .partner_behind(&partner.company.to_string(), Duration::from_millis(behind));
        }
        self.metrics.index_behind(self.store.lag());
    }

    /// Drops the index and makes it anew from the journal. Returns records read and messages counted.
    pub fn rebuild_index(&mut self, told: &OnProgress) -> Answer<(u64, u64)> {
        let refused = |error: &dyn std::fmt::Display| {
            crate::api::facade::Refused::new(crate::api::types::Code::StorageFailed, "")
                .detail(error)
        };
        // Everything decided so far is committed first: the journal must tell the whole story.
        self.store.commit().map_err(|error| refused(&error))?;
        self.store
            .rebuild_index()
            .map_err(|error| refused(&error))?;
        let own = self.replicator.company();
        let identity = self.replicator.roster().log(&own).cloned();
        let identity = identity.ok_or_else(|| refused(&"the own identity is not here"))?;
        // Streams from before a doubt about the journal must not be continued; without one they go on.
        let continuity = self.store.doubts() == 0;
        let generation = self.generation;
        let replicator =
            crate::node::bare_replicator(&mut self.keystore, identity, generation, continuity);
        self.replace_replicator(replicator.map_err(|error| refused(&error))?);
        let replayed = self.catch_up_with_journal(&|done, total| told(Progress { done, total }));
        let records = replayed.map_err(|error| refused(&error))?;
        self.relink();
        let messages = self
            .replicator
            .chats()
            .map(|(chat, _)| self.sound(self.store.arrivals(chat)))
            .sum();
        Ok((records, messages))
    }
}
