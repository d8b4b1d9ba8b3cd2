//! Estimated work of an action and the progress of a run, for time estimates and for display.
//!
//! Neither is part of a key or an output: two runs of one action may report different progress.

use std::fmt;
use std::time::Duration;

/// Work of an action, estimated before it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Name of a group of actions that take the same time per unit, such as `tensor Q4_K`. Recorded durations are
    /// stored under it.
    pub class: String,
    /// Number of units; within a class, the duration is assumed to be proportional to it.
    pub n_units: u64,
    /// Seconds per unit, used while no duration of the class is recorded.
    pub assumed: f64,
}

/// Assumed seconds for an action that only joins existing blobs. Picked by gut feeling.
const SMALL: f64 = 0.02;

/// Assumed seconds per byte that is read and checked. Picked by gut feeling.
const SECONDS_PER_BYTE: f64 = 1e-8;

impl Work {
    /// An action that takes about the same short time regardless of its inputs.
    pub fn small(class: impl Into<String>) -> Self {
        Self { class: class.into(), n_units: 1, assumed: SMALL }
    }

    /// An action that reads this many bytes once.
    pub fn reading(class: impl Into<String>, n_bytes: u64) -> Self {
        Self { class: class.into(), n_units: n_bytes.max(1), assumed: SECONDS_PER_BYTE }
    }

    /// The estimated time if no duration of its class is recorded.
    pub fn assumed_duration(&self) -> Duration {
        seconds(self.n_units as f64 * self.assumed)
    }
}

/// Maximum estimated duration: about thirty years.
const MAX_SECONDS: f64 = 1e9;

/// A duration in seconds; a value out of range becomes the nearest valid one.
pub fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(if value.is_nan() { 0.0 } else { value.clamp(0.0, MAX_SECONDS) })
}

/// Completed share of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Completed units.
    pub n_done: u64,
    /// All units.
    pub n_total: u64,
    /// The unit.
    pub unit: ProgressUnit,
}

/// The unit in which an action reports progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressUnit {
    /// Bytes written.
    Bytes,
    /// Tokens read by a model.
    Tokens,
    /// Prompts answered by a model.
    Prompts,
}

impl Progress {
    /// The completed share, from 0 to 1.
    pub fn share(self) -> f64 {
        if self.n_total == 0 { 0.0 } else { (self.n_done as f64 / self.n_total as f64).min(1.0) }
    }
}

impl fmt::Display for ProgressUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Tokens => "tokens",
            Self::Prompts => "prompts",
        })
    }
}

/// Stage of an action that was sent to remote workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerStage {
    /// It waits for a worker.
    Queued,
    /// A worker is running it.
    Running,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_between_nothing_and_all() {
        let share = |n_done, n_total| Progress { n_done, n_total, unit: ProgressUnit::Bytes }.share();
        assert_eq!([share(0, 0), share(1, 4), share(9, 4)], [0.0, 0.25, 1.0]);
    }

    #[test]
    fn durations_are_sensible_whatever_the_numbers() {
        assert_eq!(seconds(f64::NAN), Duration::ZERO);
        assert_eq!(seconds(-1.0), Duration::ZERO);
        assert_eq!(seconds(f64::INFINITY), Duration::from_secs(1_000_000_000));
        assert_eq!(Work::small("gguf").assumed_duration(), Duration::from_millis(20));
    }
}
