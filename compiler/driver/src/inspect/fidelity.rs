//! Error metrics between a tensor and its source.

/// The error of a tensor relative to its source.
#[derive(Clone, Debug, PartialEq)]
pub struct Fidelity {
    /// The root-mean-square error.
    pub rmse: f64,
    /// The maximum absolute error.
    pub max_error: f64,
    /// The signal-to-noise ratio in decibels; `None` if there is no error.
    pub snr_db: Option<f64>,
}
