//! How near numbers are to what they were made of, as columns and as JSON.

use serde_json::{Value, json};

/// How near a tensor's numbers are to those of its source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fidelity {
    /// The root of the mean squared difference.
    pub(crate) rmse: f64,
    /// The largest difference, without its sign.
    pub(crate) max_error: f64,
    /// The ratio of signal to noise in decibels; none where nothing was lost.
    pub(crate) snr_db: Option<f64>,
}

impl Fidelity {
    /// The headings of [`Self::cells`].
    pub(crate) const HEADINGS: [&str; 3] = ["RMSE", "max error", "SNR"];

    /// Three cells of a table.
    pub(crate) fn cells(&self) -> [String; 3] {
        let snr = match self.snr_db {
            Some(snr_db) => format!("{snr_db:.1} dB"),
            None => "-".to_owned(),
        };
        [scientific(self.rmse), scientific(self.max_error), snr]
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        json!({ "rmse": self.rmse, "max_error": self.max_error, "snr_db": self.snr_db })
    }
}

/// Three digits, whatever the size.
fn scientific(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.2e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_three_digits() {
        let fidelity = Fidelity { rmse: 0.001_234_5, max_error: 0.25, snr_db: Some(21.349) };
        assert_eq!(fidelity.cells(), ["1.23e-3", "2.50e-1", "21.3 dB"]);
        let lossless = Fidelity { rmse: 0.0, max_error: 0.0, snr_db: None };
        assert_eq!(lossless.cells(), ["0", "0", "-"]);
    }
}
