//! Medians, ranges and the noise of the same thing against itself.

/// The middle and the ends of some runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one number.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
        let (upper, lower) = (sorted.len() / 2, sorted.len().saturating_sub(1) / 2);
        let last = sorted.len().saturating_sub(1);
        Self { median: (at(lower) + at(upper)) / 2.0, min: at(0), max: at(last) }
    }

    /// `median (min-max)`, written by `show`.
    pub(crate) fn show(self, show: impl Fn(f64) -> String) -> String {
        format!("{} ({} - {})", show(self.median), show(self.min), show(self.max))
    }
}

/// The value below which `share` of the sorted values lie: nearest rank.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// How far the medians of two series of the same thing lie apart, as a share of the first.
pub(crate) fn noise(first: Spread, again: Spread) -> f64 {
    (again.median / first.median - 1.0).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_of_the_sorted_values() {
        let odd = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!(odd, Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of([7.0]), Spread { median: 7.0, min: 7.0, max: 7.0 });
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), 50.0);
        assert_eq!(percentile(&values, 0.99), 99.0);
        assert_eq!(percentile(&values, 1.0), 100.0);
        assert_eq!(percentile(&[5.0], 0.01), 5.0);
    }

    #[test]
    fn noise_is_the_distance_of_the_medians() {
        let (first, again) = (Spread::of([100.0]), Spread::of([90.0]));
        assert!((noise(first, again) - 0.1).abs() < 1e-9);
        assert!(noise(first, first) < 1e-9);
    }
}
