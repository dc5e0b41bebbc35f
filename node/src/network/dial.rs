//! When to dial a partner again.
//!
//! Owns the back-off of one partner as a pure state machine: the time and the randomness are arguments. It knows no sockets.

use std::time::{Duration, Instant};

use super::limits::NetworkLimits;

#[derive(Debug)]
pub(super) struct Redial {
    first: Duration,
    longest: Duration,
    failures: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting(Instant),
    Dialing(Instant),
    Connected,
}

impl Redial {
    /// The first dial is due at once.
    pub(super) fn new(limits: &NetworkLimits, now: Instant) -> Self {
        Self {
            first: limits.redial_first,
            longest: limits.redial_longest,
            failures: 0,
            state: State::Waiting(now),
        }
    }

    /// The moment of the next dial, unless one is under way or not needed.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(due) => Some(due),
            State::Dialing(_) | State::Connected => None,
        }
    }

    pub(super) fn is_dialing(&self) -> bool {
        matches!(self.state, State::Dialing(_))
    }

    /// Whether a dial has been under way for `patience`: its result was lost somewhere.
    pub(super) fn is_lost(&self, now: Instant, patience: Duration) -> bool {
        matches!(self.state, State::Dialing(since) if now.saturating_duration_since(since) >= patience)
    }

    pub(super) fn started(&mut self, now: Instant) {
        self.state = State::Dialing(now);
    }

    pub(super) fn connected(&mut self) {
        self.state = State::Connected;
    }

    /// Something changed that makes success likely: new addresses, a person who asks, a partner that was just heard of.
    pub(super) fn reset(&mut self, now: Instant) {
        self.failures = 0;
        if !self.is_dialing() {
            self.state = State::Waiting(now);
        }
    }

    /// Waits before the next dial and returns how long. `random` is in 0..1: half of the pause is chance, so that partners which
    /// lost each other at the same moment do not knock at the same moment for ever.
    pub(super) fn failed(&mut self, now: Instant, random: f64) -> Duration {
        let doubled = self
            .first
            .saturating_mul(2u32.saturating_pow(self.failures))
            .min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let pause = doubled.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        self.state = State::Waiting(now + pause);
        pause
    }

    /// A session ended. One that lasted is no failure, so the count starts anew; one that broke at once goes on counting, or
    /// two nodes that cannot agree would spin.
    pub(super) fn ended(&mut self, now: Instant, lasted: Duration, random: f64) -> Duration {
        if lasted >= LASTING {
            self.failures = 0;
        }
        self.failed(now, random)
    }
}

/// A session that lived this long had been agreed in earnest.
const LASTING: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn redial() -> (Redial, Instant) {
        let now = Instant::now();
        (Redial::new(&NetworkLimits::default(), now), now)
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (mut redial, now) = redial();
        let pauses: Vec<u128> = (0..12)
            .map(|_| redial.failed(now, 1.0).as_millis())
            .collect();
        assert_eq!(
            pauses,
            [
                200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000, 60000
            ]
        );
    }

    #[test]
    fn half_of_a_pause_is_chance() {
        let (mut redial, now) = redial();
        assert_eq!(redial.failed(now, 0.0), Duration::from_millis(100));
        assert_eq!(redial.failed(now, 0.5), Duration::from_millis(300));
    }

    #[test]
    fn a_reset_is_due_at_once_but_never_dials_twice() {
        let (mut redial, now) = redial();
        redial.failed(now, 1.0);
        redial.reset(now);
        assert_eq!(redial.due(), Some(now));
        redial.started(now);
        redial.reset(now);
        assert_eq!(redial.due(), None);
        assert!(redial.is_dialing());
        assert!(!redial.is_lost(now, Duration::from_secs(60)));
        assert!(redial.is_lost(now + Duration::from_secs(60), Duration::from_secs(60)));
    }

    #[test]
    fn sessions_that_break_at_once_back_off_and_lasting_ones_do_not() {
        let (mut redial, now) = redial();
        for _ in 0..5 {
            redial.ended(now, Duration::from_millis(10), 1.0);
        }
        assert_eq!(
            redial.ended(now, Duration::from_millis(10), 1.0),
            Duration::from_millis(6_400)
        );
        assert_eq!(
            redial.ended(now, Duration::from_secs(60), 1.0),
            Duration::from_millis(200)
        );
    }
}
