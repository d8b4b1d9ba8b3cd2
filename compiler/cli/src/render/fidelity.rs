//! Quantization errors as table columns and as JSON.

use mc_driver::inspect::fidelity::Fidelity;
use serde_json::{Value, json};

/// The headings of [`cells`].
pub(crate) const HEADINGS: [&str; 3] = ["RMSE", "max error", "SNR"];

/// The three cells of a table row.
pub(crate) fn cells(fidelity: &Fidelity) -> [String; 3] {
    let snr = match fidelity.snr_db {
        Some(snr_db) => format!("{snr_db:.1} dB"),
        None => "-".to_owned(),
    };
    [scientific(fidelity.rmse), scientific(fidelity.max_error), snr]
}

/// The same for programs.
pub(crate) fn json(fidelity: &Fidelity) -> Value {
    json!({ "rmse": fidelity.rmse, "max_error": fidelity.max_error, "snr_db": fidelity.snr_db })
}

/// Three significant digits.
fn scientific(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.2e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_three_digits() {
        let fidelity = Fidelity { rmse: 0.001_234_5, max_error: 0.25, snr_db: Some(21.349) };
        assert_eq!(cells(&fidelity), ["1.23e-3", "2.50e-1", "21.3 dB"]);
        let lossless = Fidelity { rmse: 0.0, max_error: 0.0, snr_db: None };
        assert_eq!(cells(&lossless), ["0", "0", "-"]);
    }
}
