//! Durations on the command line: seconds (`90`), or a number with a unit as in Bazel (`90s`, `2m`).

use std::time::Duration;

/// The units and their seconds.
const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];

/// Longest duration: ten years. Anything longer is a typo, and this much can be added to any time without overflow.
const MAX_SECONDS: u64 = 3650 * 86_400;

/// Parses a duration, which may be zero.
///
/// # Errors
/// The format that was expected.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let with_unit = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let (number, unit) = with_unit.unwrap_or((text, 1));
    let number = Some(number).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = number.and_then(|number| number.parse::<u64>().ok()?.checked_mul(unit));
    let seconds = seconds.filter(|&seconds| seconds <= MAX_SECONDS);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "expected seconds, or a time such as `90s` or `2m`".to_owned())
}

/// Parses the time to wait for a server; must not be zero.
///
/// # Errors
/// The format that was expected.
pub(crate) fn stall_limit(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() {
        return Err("expected at least one second".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_unit() {
        for (text, seconds) in [("60", 60), ("60s", 60), ("5m", 300), ("2h", 7200), ("1d", 86_400), ("0", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "-1", "+1", "1.5s", "5 m", "500ms", "99999999999", "9999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(stall_limit("0s").is_err() && stall_limit("1s").is_ok());
    }
}
