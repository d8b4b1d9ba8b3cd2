//! Amount of work of an action and how far a run of it is, for estimates of time and for people who watch.
//!
//! None of it is in a key or in an output: two runs of one action may report different progress.

use std::fmt;
use std::time::Duration;

/// Amount of work of an action, estimated before it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Name of what takes equally long for each unit, such as `tensor Q4_K`. Recorded durations have it as their key.
    pub class: String,
    /// Number of units; durations of one class are taken to grow with it.
    pub n_units: u64,
    /// Time for one unit, in seconds, that is assumed while no duration of the class is recorded.
    pub assumed: f64,
}

/// Seconds that are assumed for an action that only joins what others made. Picked by gut feeling.
const SMALL: f64 = 0.02;

/// Seconds for a byte that is read and looked at. Picked by gut feeling.
const SECONDS_PER_BYTE: f64 = 1e-8;

impl Work {
    /// An action that takes about the same short time whatever its inputs are.
    pub fn small(class: impl Into<String>) -> Self {
        Self { class: class.into(), n_units: 1, assumed: SMALL }
    }

    /// An action that reads these many bytes once.
    pub fn reading(class: impl Into<String>, n_bytes: u64) -> Self {
        Self { class: class.into(), n_units: n_bytes.max(1), assumed: SECONDS_PER_BYTE }
    }

    /// The time that the work takes if nothing is known about its class.
    pub fn assumed_duration(&self) -> Duration {
        seconds(self.n_units as f64 * self.assumed)
    }
}

/// The longest duration that estimates give: about thirty years.
const MAX_SECONDS: f64 = 1e9;

/// A duration of so many seconds; what is not a sensible number becomes the nearest one that is.
pub fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(if value.is_nan() { 0.0 } else { value.clamp(0.0, MAX_SECONDS) })
}

/// The share of a run that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Units that are done.
    pub n_done: u64,
    /// All units.
    pub n_total: u64,
    /// The unit.
    pub unit: ProgressUnit,
}

/// The unit in which an action reports progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressUnit {
    /// Bytes that are written.
    Bytes,
    /// Tokens that a model has read.
    Tokens,
    /// Prompts that a model has answered.
    Prompts,
}

impl Progress {
    /// The share that is done, from 0 to 1.
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

/// Stage of an action that was sent to workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerStage {
    /// It waits until a worker takes it.
    Queued,
    /// A worker runs it.
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
