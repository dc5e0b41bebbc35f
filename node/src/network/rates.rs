//! How often something may happen: token buckets, one for all or one for each IP address.
//!
//! Pure: the time is an argument. What a refusal means is the caller's business.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

/// `burst` at once, refilled at `per_second`.
#[derive(Debug, Clone)]
pub(super) struct TokenBucket {
    burst: f64,
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    pub(super) fn new(burst: u32, per_second: f64, now: Instant) -> Self {
        Self {
            burst: burst.into(),
            per_second,
            tokens: burst.into(),
            filled: now,
        }
    }

    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }

    /// A full bucket remembers nothing, so it may be forgotten.
    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= self.burst
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        self.filled = now;
    }
}

/// One bucket for each IP address.
#[derive(Debug)]
pub(super) struct AddressRates {
    burst: u32,
    per_second: f64,
    buckets: HashMap<IpAddr, TokenBucket>,
}

/// IP addresses that are remembered. Buckets that are full again are forgotten first; if none is, new addresses are refused.
const MAX_ADDRESSES: usize = 4_096;

impl AddressRates {
    pub(super) fn new(burst: u32, per_second: f64) -> Self {
        Self {
            burst,
            per_second,
            buckets: HashMap::new(),
        }
    }

    pub(super) fn take(&mut self, ip: IpAddr, now: Instant) -> bool {
        let network = network_of(ip);
        if self.buckets.len() >= MAX_ADDRESSES && !self.buckets.contains_key(&network) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            if self.buckets.len() >= MAX_ADDRESSES {
                return false;
            }
        }
        let fresh = || TokenBucket::new(self.burst, self.per_second, now);
        self.buckets.entry(network).or_insert_with(fresh).take(now)
    }
}

/// Whoever has one IPv6 address has the other 2^64 of its network as well.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(3, 2.0, start);
        let taken = (0..10).filter(|_| bucket.take(start)).count();
        assert_eq!(taken, 3);
        let later = start + Duration::from_secs(1);
        let taken = (0..10).filter(|_| bucket.take(later)).count();
        assert_eq!(taken, 2);
        assert!(!bucket.is_full(later));
        assert!(bucket.is_full(start + Duration::from_secs(60)));
    }

    #[test]
    fn one_address_does_not_use_up_another() {
        let now = Instant::now();
        let mut rates = AddressRates::new(1, 0.0);
        let (one, other) = (
            "192.0.2.1".parse().expect("ip"),
            "192.0.2.2".parse().expect("ip"),
        );
        assert_eq!(
            (
                rates.take(one, now),
                rates.take(one, now),
                rates.take(other, now)
            ),
            (true, false, true)
        );
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let now = Instant::now();
        let mut rates = AddressRates::new(1, 0.0);
        assert!(rates.take("2001:db8::1".parse().expect("ip"), now));
        assert!(!rates.take("2001:db8::2".parse().expect("ip"), now));
        assert!(rates.take("2001:db8:0:1::1".parse().expect("ip"), now));
    }

    #[test]
    fn the_memory_of_addresses_is_bounded() {
        let start = Instant::now();
        let mut rates = AddressRates::new(1, 1.0);
        let ip = |number: usize| IpAddr::V4(u32::try_from(number).expect("small").into());
        for number in 0..MAX_ADDRESSES {
            assert!(rates.take(ip(number), start));
        }
        assert!(!rates.take(ip(MAX_ADDRESSES), start));
        assert!(rates.take(ip(MAX_ADDRESSES), start + Duration::from_secs(2)));
        assert!(rates.buckets.len() <= MAX_ADDRESSES);
    }
}
