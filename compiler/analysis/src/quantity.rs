//! Sizes and fractions: `525MB`, `1.5GiB`, `2%`. Parsed in decimal, so that no digit is lost.

/// The size units with their number of bytes.
const UNITS: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    // The SI spelling, which our own messages use.
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Parses a size in bytes.
///
/// # Errors
/// The reason for which the text is not a size.
pub fn bytes(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..split], text[split..].trim_start());
    let names = || UNITS.map(|(name, _)| format!("`{name}`")).join(", ");
    if unit.is_empty() {
        return Err(format!("`{text}` has no unit; the units are {}", names()));
    }
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let near = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let hint =
            near.map_or_else(|| format!("the units are {}", names()), |(name, _)| format!("write `{name}`"));
        return Err(format!("`{unit}` is not a unit of size; {hint}"));
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_decimal = !whole.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    if !is_decimal || (number.contains('.') && part.is_empty()) {
        return Err(format!("`{number}` is not a number of `{unit}`"));
    }
    let too_large = || format!("`{text}` is more bytes than a file can have");
    // At most nine decimals, so that the product stays far below 2^128.
    if whole.len() > 20 || part.len() > 9 {
        return Err(too_large());
    }
    let digits: u128 = format!("{whole}{part}").parse().map_err(|_| too_large())?;
    let scaled = digits * u128::from(*factor);
    let unscaled = 10_u128.pow(u32::try_from(part.len()).map_err(|_| too_large())?);
    if !scaled.is_multiple_of(unscaled) {
        return Err(format!("`{text}` is not a whole number of bytes"));
    }
    u64::try_from(scaled / unscaled).map_err(|_| too_large())
}

/// Parses a fraction written in percent.
///
/// # Errors
/// The reason for which the text is not a percentage.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').ok_or_else(|| format!("`{text}` has no `%`"))?.trim_end();
    let is_decimal = number.starts_with(|c: char| c.is_ascii_digit())
        && number.ends_with(|c: char| c.is_ascii_digit())
        && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    // The exponent is changed in decimal and the number rounded once, so that `0.1%` is the same number as `0.001`.
    let share = is_decimal.then(|| format!("{number}e-2").parse::<f64>().ok()).flatten();
    share.ok_or_else(|| format!("`{number}` is not a percentage")).and_then(share_of_one)
}

/// Checks that the number is between 0 and 1.
///
/// # Errors
/// The reason for which it is not a fraction.
pub(crate) fn share_of_one(share: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err("a percentage is between `0%` and `100%`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_decimal_and_binary_units() {
        for (text, n_bytes) in [
            ("525MB", 525_000_000),
            ("6GiB", 6 << 30),
            ("1.5GB", 1_500_000_000),
            ("0.1KB", 100),
            ("4kB", 4_000),
            ("12 KiB", 12 << 10),
            ("7B", 7),
            ("18446744073709551615B", u64::MAX),
        ] {
            assert_eq!(bytes(text), Ok(n_bytes), "{text}");
        }
    }

    #[test]
    fn errors_of_sizes_name_the_reason() {
        assert!(bytes("525").unwrap_err().contains("no unit"));
        assert_eq!(bytes("525mb").unwrap_err(), "`mb` is not a unit of size; write `MB`");
        assert_eq!(bytes("0.3B").unwrap_err(), "`0.3B` is not a whole number of bytes");
        for text in
            ["", "MB", ".MB", "1.MB", "1.2.3MB", "-1MB", "99999999TB", "99999999999999999999999MB", "1MBé"]
        {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_percentage_is_the_same_number_as_its_fraction() {
        for (text, share) in [("2%", 0.02), ("0.1%", 0.001), ("100%", 1.0), ("95 %", 0.95), ("33.3%", 0.333)]
        {
            assert_eq!(percent(text), Ok(share), "{text}");
        }
        for text in ["2", "%", "-1%", "101%", "1e3%", "two%", "1.%", "1.2.3%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
