//! What an operator looks at: status, doctor, and the figures that are only computed when somebody asks.

use std::time::Duration;

use crate::api::facade::{Answer, Lang, OnProgress, Operator};
use crate::api::types::{Check, Doctor, IndexStatus, JournalStatus, Progress, Status, Verdict};
use crate::core::{Core, now, time_text};

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
        let words = |en: String, ru: String| if by.lang == Lang::Ru { ru } else { en };
        let mut checks = Vec::new();
        let free = self.free_bytes();
        let enough = free.is_some_and(|free| free >= FREE_WARNING_BYTES);
        let mib = free.unwrap_or(0) / (1024 * 1024);
        checks.push(Check {
            name: "disk".to_owned(),
            verdict: if enough {
                Verdict::Ok
            } else {
                Verdict::Warning
            },
            detail: words(format!("{mib} MiB free"), format!("свободно {mib} МиБ")),
            try_next: None,
        });
        let listening = !self.listening.is_empty();
        checks.push(Check {
            name: "listen".to_owned(),
            verdict: if listening {
                Verdict::Ok
            } else {
                Verdict::Failed
            },
            detail: self.listening.join(" "),
            try_next: None,
        });
        for partner in self.directory.partners().filter(|partner| !partner.removed) {
            checks.push(self.check_partner(partner, &words));
        }
        Doctor { checks }
    }

    fn check_partner(
        &self,
        partner: &crate::directory::Partner,
        words: &dyn Fn(String, String) -> String,
    ) -> Check {
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
                words("paused".into(), "приостановлен".into()),
                Some(format!("crossport partner resume {name}")),
            ),
            (_, false, _) => (
                Verdict::Warning,
                words("not connected".into(), "нет связи".into()),
                Some(format!("crossport partner ping {name}")),
            ),
            (_, true, Some(ms)) if ms.unsigned_abs() > CLOCK_WARNING_MS => {
                let seconds = ms / 1000;
                (
                    Verdict::Warning,
                    words(
                        format!("clocks differ by {seconds} s"),
                        format!("часы расходятся на {seconds} с"),
                    ),
                    None,
                )
            }
            (_, true, _) => (
                Verdict::Ok,
                words("connected".into(), "на связи".into()),
                None,
            ),
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
