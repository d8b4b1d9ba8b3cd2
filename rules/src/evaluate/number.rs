//! A measured number with its uncertainty, and its range: for metrics that measure several numbers at once.

use std::fmt::Display;

use mc_runtime::estimate::{Estimate, Share};
use serde::{Deserialize, Serialize};

use crate::evaluate::interval::Interval;
use crate::evaluate::verdict::{Check, percent};

/// A measured number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Number {
    /// The number.
    pub(crate) value: f64,
    /// Text for display.
    pub(crate) shown: String,
    /// Present for means and shares.
    pub(crate) interval: Option<Interval>,
}

impl Number {
    /// Creates the mean of a quantity that is never negative.
    pub(crate) fn mean(estimate: Estimate, show: impl Fn(f64) -> String) -> Self {
        let interval = estimate.interval();
        let interval = Interval::new(interval.start.max(0.0)..interval.end, &show);
        let shown = with_error(show(estimate.value), show(estimate.standard_error));
        Self { value: estimate.value, shown, interval: Some(interval) }
    }

    /// Creates a share of a sample.
    pub(crate) fn share(share: Share) -> Self {
        let estimate = share.estimate();
        let shown = with_error(share_percent(estimate.value), share_percent(estimate.standard_error));
        let interval = Interval::new(share.interval(), share_percent);
        Self { value: estimate.value, shown, interval: Some(interval) }
    }

    /// Creates a percentile.
    pub(crate) fn plain(value: f64) -> Self {
        Self { value, shown: nats(value), interval: None }
    }

    /// Returns the verdict line.
    pub(crate) fn check(self, name: &str, on: &str, limit: Bound) -> Check {
        Check {
            name: name.to_owned(),
            on: Some(on.to_owned()),
            measured: self.shown,
            value: Some(self.value),
            interval: self.interval,
            passed: (limit.keeps)(self.value),
            limit: limit.shown,
            ..Check::default()
        }
    }
}

/// Formats a number with its standard error.
fn with_error(number: impl Display, error: impl Display) -> String {
    format!("{number} ± {error}")
}

/// The range of a number.
pub(crate) struct Bound {
    /// The range in words.
    shown: String,
    keeps: Box<dyn Fn(f64) -> bool>,
}

impl Bound {
    /// At most this number, if one is given.
    pub(crate) fn at_most(max: Option<f64>, show: impl Fn(f64) -> String) -> Self {
        max.map_or_else(Self::none, |max| Self {
            shown: format!("at most {}", show(max)),
            keeps: Box::new(move |value| value <= max),
        })
    }

    /// At least this share, if one is given.
    pub(crate) fn at_least(min: Option<f64>) -> Self {
        min.map_or_else(Self::none, |min| Self {
            shown: format!("at least {}", percent(min)),
            keeps: Box::new(move |value| value >= min),
        })
    }

    fn none() -> Self {
        Self { shown: "none".to_owned(), keeps: Box::new(|_| true) }
    }
}

/// Formats a limit in nats, as it was written.
pub(crate) fn nats_limit(limit: f64) -> String {
    limit.to_string()
}

/// Formats a divergence: with the digits that llama.cpp shows, or with four significant digits if those would
/// show too little.
pub(crate) fn nats(number: f64) -> String {
    if number == 0.0 || number >= 0.001 { format!("{number:.6}") } else { format!("{number:.3e}") }
}

/// Formats a share with a fixed number of digits, so that a small error of it is visible next to it.
pub(crate) fn share_percent(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}
