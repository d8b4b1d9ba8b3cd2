//! The number of a model's parameters as a short text.
//!
//! Source: `size_label` in gguf-py of llama.cpp. Model hubs use the same labels.

/// A count with at least two digits, such as `4.2M`.
pub fn count_label(n_parameters: u64) -> String {
    let count = n_parameters as f64;
    let (scaled, suffix) = match count {
        count if count > 1e12 => (count * 1e-12, "T"),
        count if count > 1e9 => (count * 1e-9, "B"),
        count if count > 1e6 => (count * 1e-6, "M"),
        count => (count * 1e-3, "K"),
    };
    // At least two digits.
    let n_digits = if scaled.round_ties_even() >= 10.0 { 0 } else { 1 };
    let n_digits = if scaled.round_ties_even() < 1.0 { 2 } else { n_digits };
    format!("{scaled:.n_digits$}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits() {
        for (n_parameters, label) in [
            (89_660_928, "90M"),
            (4_196_608, "4.2M"),
            (1_235_814_400, "1.2B"),
            (9_960_000, "10M"),
            (500, "0.50K"),
            (35_000, "35K"),
        ] {
            assert_eq!(count_label(n_parameters), label);
        }
    }
}
