//! Hybrid logical clocks: order without trusting anybody's wall clock.
//!
//! A clock is milliseconds since 1970-01-01T00:00:00Z in the upper 48 bits and a counter in the lower 16. See
//! Kulkarni et al., "Logical Physical Clocks" (2014). Foreign clocks never advance ours: a partner with a wrong
//! clock must not be able to push this company's messages into the future.

use serde::{Deserialize, Serialize};

use crate::limits;

/// A hybrid logical clock value.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub struct Clock(pub u64);

/// Milliseconds since the Unix epoch, handed in by the caller.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub struct Time(pub u64);

const COUNTER_BITS: u32 = 16;

impl Time {
    pub fn plus_ms(self, ms: u64) -> Time {
        Time(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to `self`; 0 when the clock went back.
    pub fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Clock {
    pub fn at(time: Time) -> Clock {
        Clock(time.0.min(u64::MAX >> COUNTER_BITS) << COUNTER_BITS)
    }

    pub fn time(self) -> Time {
        Time(self.0 >> COUNTER_BITS)
    }

    /// The next clock of an author whose last one was `self`. None when it would lie more than
    /// [`limits::CLOCK_AHEAD_MS`] ahead of `now`: the author then continues in a new incarnation.
    pub fn next(self, now: Time) -> Option<Clock> {
        let next = Clock(self.0.checked_add(1)?).max(Clock::at(now));
        (next.time() <= now.plus_ms(limits::CLOCK_AHEAD_MS)).then_some(next)
    }

    /// How far this clock lies ahead of `now`, in milliseconds.
    pub fn ahead_of(self, now: Time) -> u64 {
        self.time().since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_never_goes_back_and_never_far_ahead() {
        let now = Time(1_800_000_000_000);
        let first = Clock::default()
            .next(now)
            .expect("a fresh author may write");
        let second = first
            .next(now)
            .expect("the counter moves within one millisecond");
        assert!(second > first);
        assert_eq!(second.time(), now);
        let back = Time(now.0 - 60_000);
        assert!(
            second
                .next(back)
                .expect("one minute back is within the allowance")
                > second
        );
        assert_eq!(second.next(Time(now.0 - 600_000)), None);
        assert_eq!(Clock(u64::MAX).next(now), None);
    }
}
