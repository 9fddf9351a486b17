//! How long to wait before trying again.

use std::time::Duration;

/// The first wait: long enough not to spin, short enough not to be noticed.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait: a target that is down for hours is found again within this time.
const LONGEST: Duration = Duration::from_secs(30);

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
}
