//! What the network counted since it started, for metrics and for `status`.
//!
//! Owns numbers that only grow. They decide nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::event::RefusedReason;

/// A snapshot. Every field counts from the start of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    pub connections_opened: u64,
    pub connections_closed: u64,
    pub sessions_started: u64,
    pub sessions_ended: u64,
    pub frames_sent: u64,
    pub frames_received: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub dials: u64,
    pub dials_failed: u64,
    pub pair_requests: u64,
    /// Events that were dropped because the node above did not take them; never frames, never a partner going up or down.
    pub events_dropped: u64,
    pub panics: u64,
    pub refused: BTreeMap<RefusedReason, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub connections_opened: Counter,
    pub connections_closed: Counter,
    pub sessions_started: Counter,
    pub sessions_ended: Counter,
    pub frames_sent: Counter,
    pub frames_received: Counter,
    pub bytes_sent: Counter,
    pub bytes_received: Counter,
    pub dials: Counter,
    pub dials_failed: Counter,
    pub pair_requests: Counter,
    pub events_dropped: Counter,
    pub panics: Counter,
    refused: Mutex<BTreeMap<RefusedReason, u64>>,
}

impl Counters {
    pub(super) fn refuse(&self, reason: RefusedReason) {
        let mut refused = self
            .refused
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        *refused.entry(reason).or_default() += 1;
    }

    pub(super) fn snapshot(&self) -> NetworkCounters {
        NetworkCounters {
            connections_opened: self.connections_opened.value(),
            connections_closed: self.connections_closed.value(),
            sessions_started: self.sessions_started.value(),
            sessions_ended: self.sessions_ended.value(),
            frames_sent: self.frames_sent.value(),
            frames_received: self.frames_received.value(),
            bytes_sent: self.bytes_sent.value(),
            bytes_received: self.bytes_received.value(),
            dials: self.dials.value(),
            dials_failed: self.dials_failed.value(),
            pair_requests: self.pair_requests.value(),
            events_dropped: self.events_dropped.value(),
            panics: self.panics.value(),
            refused: self
                .refused
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .clone(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
