//! How long to wait before trying again.

use std::time::Duration;

/// The first wait: long enough not to spin, short enough not to be noticed.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait: a target that is down for hours is found again within this time.
const LONGEST: Duration = Duration::from_secs(30);

/// Whoever ran for so long has not met the same failure again, but a new one. Longer than the
/// longest wait, so that even a worker that fails as soon as this is over waits less than it runs.
const HEALTHY: Duration = Duration::from_secs(60);

/// Doubling waits. One worker waits for one target, so there is no herd that jitter would spread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait; `asked` is what the other side asked for, and holds when it is longer.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1).min(31);
        doubled.min(LONGEST).max(asked.unwrap_or_default())
    }

    /// The next wait of something that failed after it ran for so long.
    pub(crate) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= HEALTHY {
            self.failures = 0;
        }
        self.next(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(None), FIRST);
        assert_eq!(backoff.next(None), FIRST * 2);
        for _ in 0..100 {
            assert!(backoff.next(None) <= LONGEST);
        }
        assert_eq!(backoff.next(None), LONGEST);
        assert_eq!(backoff.next(Some(LONGEST * 2)), LONGEST * 2);
    }

    #[test]
    fn a_long_healthy_run_makes_the_next_wait_short_again() {
        let mut backoff = Backoff::default();
        for _ in 0..100 {
            backoff.after(HEALTHY - Duration::from_millis(1));
        }
        assert_eq!(backoff.after(Duration::ZERO), LONGEST);
        assert_eq!(backoff.after(HEALTHY), FIRST);
        assert_eq!(backoff.after(Duration::ZERO), FIRST * 2);
    }
}
