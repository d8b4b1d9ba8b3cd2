//! Means and shares with their uncertainty, and percentiles.
//!
//! Standard errors assume a mean of independent values: `sqrt(variance / (n - 1))`, with the variance over `n`, as in
//! llama.cpp's tools. Intervals have 95 % confidence.

use std::ops::Range;

/// Half width of a 95 % confidence interval in standard errors: the 0.975 quantile of the normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// A number estimated from a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its standard error; 0 for a sample of one, which gives no information about it.
    pub standard_error: f64,
}

impl Estimate {
    /// The 95 % confidence interval by the normal approximation: `value ± 1.96 standard errors`.
    pub fn interval(self) -> Range<f64> {
        let half = Z_95 * self.standard_error;
        self.value - half..self.value + half
    }
}

/// A share of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Number of items in the share.
    pub n_counted: usize,
    /// Number of all items.
    pub n: usize,
}

impl Share {
    /// The share, with the standard error `sqrt(p (1 - p) / (n - 1))`.
    pub fn estimate(self) -> Estimate {
        let (n, value) = (self.n as f64, self.n_counted as f64 / self.n as f64);
        let variance = value * (1.0 - value);
        let standard_error = if self.n > 1 { (variance / (n - 1.0)).sqrt() } else { 0.0 };
        Estimate { value, standard_error }
    }

    /// The 95 % confidence interval: Wilson's score interval, which lies within 0 and 1 and does not shrink to a point
    /// if the share is 0 or 1.
    ///
    /// Source: Wilson 1927, Journal of the American Statistical Association 22, 209-212.
    pub fn interval(self) -> Range<f64> {
        let (n, p, z2) = (self.n as f64, self.n_counted as f64 / self.n as f64, Z_95 * Z_95);
        let center = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z_95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        (center - half).max(0.0)..(center + half).min(1.0)
    }
}

/// The mean of values, added in order; 0 for none.
pub fn mean(values: &[f64]) -> Estimate {
    let n = values.len() as f64;
    if values.is_empty() {
        return Estimate { value: 0.0, standard_error: 0.0 };
    }
    let value = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|found| (found - value) * (found - value)).sum();
    let standard_error = if values.len() > 1 { (squares / n / (n - 1.0)).sqrt() } else { 0.0 };
    Estimate { value, standard_error }
}

/// The value below which a fraction of the values lies, linearly interpolated between two values.
///
/// * `sorted`: at least one value, in ascending order
/// * `fraction`: from 0 to 1; 0.5 gives the median
pub fn percentile(sorted: &[f64], fraction: f64) -> f64 {
    let place = fraction * (sorted.len() - 1) as f64;
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let weight = place - below as f64;
    (1.0 - weight) * sorted[below] + weight * sorted[above]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_the_standard_error_of_its_sample() {
        let found = mean(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(found, Estimate { value: 2.5, standard_error: (1.25f64 / 3.0).sqrt() });
        let interval = found.interval();
        assert!((interval.end - 2.5 - 1.96 * found.standard_error).abs() < 1e-4, "{interval:?}");
        assert_eq!(mean(&[7.0]), Estimate { value: 7.0, standard_error: 0.0 });
        assert_eq!(mean(&[]), Estimate { value: 0.0, standard_error: 0.0 });
    }

    #[test]
    fn percentiles_lie_on_lines_between_values() {
        assert_eq!(percentile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(percentile(&[1.0, 2.0, 4.0, 8.0], 0.5), 3.0);
        assert_eq!(percentile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(percentile(&[5.0], 0.999), 5.0);
        assert_eq!([percentile(&[1.0, 9.0], 0.0), percentile(&[1.0, 9.0], 1.0)], [1.0, 9.0]);
    }

    /// Expected values: the formula of `statsmodels.stats.proportion.proportion_confint(method="wilson")`.
    #[test]
    fn the_interval_of_a_share_stays_within_its_range() {
        let close = |share: Share, low: f64, high: f64| {
            let found = share.interval();
            assert!((found.start - low).abs() < 5e-5 && (found.end - high).abs() < 5e-5, "{found:?}");
        };
        close(Share { n_counted: 2, n: 3 }, 0.2077, 0.9385);
        close(Share { n_counted: 0, n: 1 }, 0.0, 0.7935);
        close(Share { n_counted: 10, n: 10 }, 0.7225, 1.0);
        assert_eq!(Share { n_counted: 1, n: 1 }.estimate(), Estimate { value: 1.0, standard_error: 0.0 });
        let share = Share { n_counted: 75, n: 100 }.estimate();
        assert_eq!(share.standard_error, (0.75f64 * 0.25 / 99.0).sqrt());
    }
}
