//! Points in time: microseconds since 1970-01-01T00:00:00Z, Avro's `timestamp-micros`.

use serde::{Deserialize, Serialize};

/// A point in time, UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// From milliseconds since the epoch; saturates at the ends of the range.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_round_down_before_the_epoch_too() {
        assert_eq!(Micros(-1).millis(), -1);
        assert_eq!(Micros(1_999).millis(), 1);
        assert_eq!(Micros::from_millis(i64::MAX), Micros(i64::MAX));
    }
}
