//! Sizes for people: three digits and a decimal unit, as phones and app stores show them.

/// A number of bytes such as `412 B`, `7.94 MB` or `1.20 GB`.
pub(crate) fn size(n_bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if n_bytes < 1000 {
        return format!("{n_bytes} B");
    }
    let mut value = n_bytes as f64 / 1000.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    // 999.5 would be shown as 1000.
    while value >= 999.5 {
        let Some(next) = units.next() else { break };
        unit = Some(next);
        value /= 1000.0;
    }
    let n_decimals = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.n_decimals$} {}", unit.expect("there is a first unit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let shown: Vec<String> =
            [0, 999, 1000, 1234, 99_960, 999_600, 12_345_678, 5_250_000_000].map(size).to_vec();
        assert_eq!(shown, ["0 B", "999 B", "1.00 kB", "1.23 kB", "100 kB", "1.00 MB", "12.3 MB", "5.25 GB"]);
    }
}
