//! The distance between numbers and those that they were made of.

/// The distance between a tensor's numbers and those of its source.
#[derive(Clone, Debug, PartialEq)]
pub struct Fidelity {
    /// The root of the mean squared difference.
    pub rmse: f64,
    /// The largest difference, without its sign.
    pub max_error: f64,
    /// The ratio of signal to noise in decibels; `None` if nothing was lost.
    pub snr_db: Option<f64>,
}
