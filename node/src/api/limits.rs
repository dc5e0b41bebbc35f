//! How often a caller may ask.
//!
//! Owns one bucket for each caller. It must not know who callers are: keys are given. It is the generic cell rate
//! algorithm: one number for each key (the time at which its bucket is full again) is all there is to store.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Locks are held for some hundred nanoseconds; a few shards keep two busy threads out of each other's way.
const SHARDS: usize = 8;
/// Keys remembered in one shard. Full buckets are forgotten first; beyond that, newcomers share one bucket.
const KEYS_PER_SHARD_MAX: usize = 4096;

/// Buckets by key.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    shards: [Mutex<Shard<K>>; SHARDS],
    started: Instant,
    /// Nanoseconds that one request costs.
    cost: u64,
    /// Nanoseconds that may be owed.
    burst: u64,
}

#[derive(Debug)]
struct Shard<K> {
    full_at: HashMap<K, u64>,
    /// For keys that find no room.
    others_full_at: u64,
}

impl<K: Hash + Eq + AsRef<[u8]>> Buckets<K> {
    /// `per_s` requests in the long run, `burst` at once after a pause; both at least one.
    pub(super) fn new(per_s: u32, burst: u32) -> Self {
        let cost = 1_000_000_000 / u64::from(per_s.max(1));
        let shard = || {
            Mutex::new(Shard {
                full_at: HashMap::new(),
                others_full_at: 0,
            })
        };
        Self {
            shards: std::array::from_fn(|_| shard()),
            started: Instant::now(),
            cost,
            burst: cost.saturating_mul(u64::from(burst.max(1))),
        }
    }

    /// Takes one request out of the bucket; false if it is empty.
    pub(super) fn take(&self, key: K) -> bool {
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.take_at(key, now)
    }

    fn take_at(&self, key: K, now: u64) -> bool {
        let mut shard = self.shard(&key);
        if shard.full_at.len() >= KEYS_PER_SHARD_MAX && !shard.full_at.contains_key(&key) {
            shard.full_at.retain(|_, full_at| *full_at > now);
        }
        let Shard {
            full_at,
            others_full_at,
        } = &mut *shard;
        let full_at = if full_at.len() < KEYS_PER_SHARD_MAX || full_at.contains_key(&key) {
            full_at.entry(key).or_insert(now)
        } else {
            others_full_at
        };
        let next = (*full_at).max(now).saturating_add(self.cost);
        let granted = next - now <= self.burst;
        if granted {
            *full_at = next;
        }
        granted
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K>> {
        // Keys are hashes or addresses: their last byte spreads well enough.
        let place = key
            .as_ref()
            .last()
            .map_or(0, |byte| usize::from(*byte) % SHARDS);
        lock(&self.shards[place])
    }
}

/// Things of one key that are open now, at most so many.
#[derive(Debug)]
pub(super) struct Slots<K: Hash + Eq + Copy> {
    open: std::sync::Arc<Mutex<HashMap<K, usize>>>,
    most: usize,
}

impl<K: Hash + Eq + Copy> Slots<K> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            open: std::sync::Arc::default(),
            most,
        }
    }

    /// One more, given back when the slot is dropped; `None` if all are taken.
    pub(super) fn take(&self, key: K) -> Option<Slot<K>> {
        let mut open = lock(&self.open);
        let count = open.entry(key).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Slot {
            open: std::sync::Arc::clone(&self.open),
            key,
        })
    }
}

/// A place among the [`Slots`].
#[derive(Debug)]
pub(super) struct Slot<K: Hash + Eq + Copy> {
    open: std::sync::Arc<Mutex<HashMap<K, usize>>>,
    key: K,
}

impl<K: Hash + Eq + Copy> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

/// Counters stay right even if a thread panicked while it held them: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_is_granted_then_the_rate() {
        let buckets = Buckets::new(10, 3);
        let granted = |now| buckets.take_at([1_u8], now);
        assert_eq!(
            [granted(0), granted(0), granted(0), granted(0)],
            [true, true, true, false]
        );
        assert!(
            !granted(SECOND / 20),
            "half a request later there is none yet"
        );
        assert!(granted(SECOND / 10));
        assert!(!granted(SECOND / 10));
        assert!(
            buckets.take_at([2], SECOND / 10),
            "another caller has a bucket of their own"
        );
    }

    #[test]
    fn a_flood_of_keys_neither_grows_nor_takes_known_keys_away() {
        let buckets = Buckets::new(1, 2);
        let key = |number: u32| {
            let mut key = number.to_be_bytes().to_vec();
            key.push(0);
            key
        };
        for number in 0..2 * u32::try_from(KEYS_PER_SHARD_MAX).expect("small") {
            buckets.take_at(key(number), 0);
        }
        assert_eq!(buckets.shard(&key(0)).full_at.len(), KEYS_PER_SHARD_MAX);
        assert!(
            buckets.take_at(key(0), 0),
            "a known key keeps its own bucket"
        );
        assert!(
            !buckets.take_at(key(9_000_000), 0),
            "newcomers share one, and it is empty"
        );
        assert!(
            buckets.take_at(key(9_000_000), 3 * SECOND),
            "full buckets were forgotten"
        );
    }

    #[test]
    fn slots_come_back() {
        let slots = Slots::new(2);
        let (first, second) = (slots.take(7), slots.take(7));
        assert!(first.is_some() && second.is_some() && slots.take(7).is_none());
        assert!(slots.take(8).is_some());
        drop(first);
        assert!(slots.take(7).is_some());
    }
}
