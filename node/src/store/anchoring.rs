//! When the anchor is written.
//!
//! Owns the rhythm: at opening, after a commit when the last one is a second old or much was appended since, at a clean
//! stop, and when somebody asks. Why so: it always lags behind the journal and never runs ahead of it (the journal is
//! durable first), so a crash looks like a crash; and a copy of the disk that is put back looks like the newest state only
//! if it was taken within the last second of writing. That rest is left to the question to the partners.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::journal::anchor::{self, AnchorError, Comparison};
use crate::journal::{Head, JournalReader};

/// Two fsyncs a second at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// Or as soon as so much was appended: a busy node does not run far ahead of its anchor.
const BYTES: u64 = 4 * 1024 * 1024;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Anchoring {
    path: PathBuf,
    written_at: Option<Instant>,
    written: Option<u64>,
    /// The last write failed, and that was said.
    complained: bool,
}

impl Anchoring {
    /// Compares the journal with the anchor; true when the journal is certainly the newest one.
    pub fn begin(path: &Path, reader: &JournalReader, created: bool) -> (Anchoring, bool) {
        let found = anchor::read(path);
        let sure = match &found {
            Ok(None) if created => true,
            Ok(found) => !matches!(
                anchor::compare(found.as_ref(), reader),
                Comparison::Unknown(_)
            ),
            Err(failure) => {
                tracing::warn!(%failure, "the anchor cannot be read");
                false
            }
        };
        let anchoring = Anchoring {
            path: path.to_owned(),
            written_at: None,
            written: None,
            complained: false,
        };
        (anchoring, sure)
    }

    /// Writes the anchor if it is due.
    pub fn write_if_due(&mut self, head: &Head) {
        if self.written == Some(head.position.0) {
            return;
        }
        let old = self.written_at.is_none_or(|at| at.elapsed() >= INTERVAL);
        let far = head.position.0.saturating_sub(self.written.unwrap_or(0)) >= BYTES;
        if old || far {
            self.write_now(head);
        }
    }

    /// A failure is no reason to stop: the anchor lags, which costs new incarnations after a restore and nothing else.
    pub fn write_now(&mut self, head: &Head) {
        if self.written == Some(head.position.0) {
            return;
        }
        self.written_at = Some(Instant::now());
        match anchor::write(&self.path, head) {
            Ok(()) => {
                self.written = Some(head.position.0);
                self.complained = false;
            }
            Err(failure) => self.complain(&failure),
        }
    }

    fn complain(&mut self, failure: &AnchorError) {
        if !self.complained {
            tracing::warn!(%failure, "the anchor could not be written and lags");
        }
        self.complained = true;
    }
}
