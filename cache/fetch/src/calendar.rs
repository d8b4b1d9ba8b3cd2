//! Dates in protocols: HTTP dates, RFC 3339, and the format that AWS signatures use.
//!
//! All are civil dates in UTC. A leap second counts as the second before it, as computer clocks do. Nothing here reads
//! a clock.

use std::time::{Duration, SystemTime};

const SECONDS_PER_DAY: i64 = 86_400;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Days in 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;

/// A date and a time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i64,
    /// From 1 to 12.
    month: i64,
    /// From 1 to the length of the month.
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Civil {
    /// The same value, or `None` if no such date and time exist.
    fn checked(self) -> Option<Self> {
        let is_date = (0..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in(self.year, self.month)).contains(&self.day);
        let is_time =
            (0..24).contains(&self.hour) && (0..60).contains(&self.minute) && (0..=60).contains(&self.second);
        (is_date && is_time).then_some(Self { second: self.second.min(59), ..self })
    }

    /// Seconds since 1970; negative before it.
    fn seconds(&self) -> i64 {
        // Years begin in March, so that a leap day is the last day of its year.
        let (year, month) =
            if self.month <= 2 { (self.year - 1, self.month + 9) } else { (self.year, self.month - 3) };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (month * 153 + 2) / 5 + self.day - 1;
        let days = era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH;
        days * SECONDS_PER_DAY + self.hour * 3600 + self.minute * 60 + self.second
    }

    /// The date and time of day that many seconds after the start of 1970.
    fn after(seconds: i64) -> Self {
        let (days, clock) =
            (seconds.div_euclid(SECONDS_PER_DAY) + EPOCH, seconds.rem_euclid(SECONDS_PER_DAY));
        let (era, of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
        // Each term removes leap days, so that all years have 365 days.
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (DAYS_PER_ERA - 1)) / 365;
        let of_year = of_era - (year * 365 + year / 4 - year / 100);
        let month = (of_year * 5 + 2) / 153;
        let day = of_year - (month * 153 + 2) / 5 + 1;
        let (year, month) = (era * 400 + year, month + 3);
        let (year, month) = if month > 12 { (year + 1, month - 12) } else { (year, month) };
        Self { year, month, day, hour: clock / 3600, minute: clock / 60 % 60, second: clock % 60 }
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Parses a date such as `Sun, 06 Nov 1994 08:49:37 GMT` into seconds since 1970.
pub(crate) fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split([' ', ':']).collect();
    let [_, day, month, year, hour, minute, second, "GMT"] = words.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? as i64 + 1;
    let (year, day) = (number(year)?, number(day)?);
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    u64::try_from(Civil { year, month, day, hour, minute, second }.checked()?.seconds()).ok()
}

/// Parses a time such as `2026-11-21T10:00:00Z` or `2026-11-21T11:00:00.25+01:00`.
///
/// Like other parsers, accepts a space instead of the `T`, and an offset without its colon or its minutes.
pub fn rfc_3339(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let (nanoseconds, offset) = fraction(rest)?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
    let civil = Civil { year, month, day, hour, minute, second }.checked()?;
    let seconds = civil.seconds() - offset_seconds(offset)?;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)?
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)?
    };
    time.checked_add(Duration::from_nanos(nanoseconds))
}

/// Parses a leading fraction such as `.25` into nanoseconds, and returns the rest of the text.
fn fraction(text: &str) -> Option<(u64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    // Digits finer than a nanosecond are dropped.
    let nanoseconds = format!("{:0<9}", digits.get(..9).unwrap_or(digits)).parse().ok();
    nanoseconds.filter(|_| !digits.is_empty()).map(|nanoseconds| (nanoseconds, rest))
}

/// Parses an offset (`Z`, `+01:00`) into seconds ahead of UTC.
fn offset_seconds(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, text) =
        text.strip_prefix('+').map(|rest| (1, rest)).or(text.strip_prefix('-').map(|rest| (-1, rest)))?;
    let (hours, minutes) = text.split_at_checked(2)?;
    let minutes = match minutes.strip_prefix(':').unwrap_or(minutes) {
        "" if minutes.is_empty() => "00",
        minutes => minutes,
    };
    let ([hours], [minutes]) = (fields(hours, ':', [2])?, fields(minutes, ':', [2])?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Parses numbers with the given numbers of digits, between separators.
fn fields<const N: usize>(text: &str, separator: char, n_digits: [usize; N]) -> Option<[i64; N]> {
    let mut found = [0; N];
    let mut parts = text.split(separator);
    for (field, n_digits) in found.iter_mut().zip(n_digits) {
        *field = parts.next().filter(|part| part.len() == n_digits).and_then(number)?;
    }
    parts.next().is_none().then_some(found)
}

/// Parses a number that consists of digits only.
fn number(digits: &str) -> Option<i64> {
    let is_number = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// Formats a time as AWS signatures do: `20130524T000000Z`. A time before 1970 becomes the start of 1970.
pub fn basic(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let Civil { year, month, day, hour, minute, second } =
        Civil::after(i64::try_from(seconds).unwrap_or(i64::MAX / 2));
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        let time = rfc_3339(text)?;
        Some(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => since.as_secs() as i64,
            Err(before) => -(before.duration().as_secs() as i64),
        })
    }

    #[test]
    fn http_dates_are_parsed() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:01 GMT"), Some(1));
        for wrong in [
            "",
            "now",
            "Sun, 06 Nov 1994",
            "Sun, xx Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 30 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Nov 1994 9223372036854775807:49:37 GMT",
        ] {
            assert_eq!(http_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rfc_3339_times_are_parsed_with_every_offset() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:01z", 1),
            ("1970-01-01 01:00:00+01:00", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("2013-05-24T00:00:00Z", 1_369_353_600),
            ("2024-02-29T00:00:00Z", 1_709_164_800),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2020-02-20T20:20:20+01:00", 1_582_226_420),
            ("2020-02-20T20:20:20-0530", 1_582_249_820),
            ("2020-02-20T20:20:20+01", 1_582_226_420),
            ("2016-12-31T23:59:60Z", 1_483_228_799),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        let nanoseconds =
            |text: &str| rfc_3339(text).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        assert_eq!(nanoseconds("1970-01-01T00:00:01.5Z"), 1_500_000_000);
        assert_eq!(nanoseconds("1970-01-01T00:00:00.0000000019+00:00"), 1);
    }

    #[test]
    fn invalid_times_are_rejected() {
        for wrong in [
            "",
            "soon",
            "2026-11-21",
            "2026-11-21T10:00Z",
            "2026-11-21T10:00:00",
            "2026-11-21T10:00:00.Z",
            "2026-11-21T10:00:00+",
            "2026-11-21T10:00:00+1:00",
            "2026-11-21T10:00:00+01:",
            "2026-11-21T10:00:00+24:00",
            "2026-11-21T10:00:00+01:60",
            "2026-11-21T10:00:00Z ",
            "2026-11-21T24:00:00Z",
            "2026-11-21T10:60:00Z",
            "2026-11-21T10:00:61Z",
            "2026-13-21T10:00:00Z",
            "2026-00-21T10:00:00Z",
            "2026-11-31T10:00:00Z",
            "2026-11-00T10:00:00Z",
            "2023-02-29T10:00:00Z",
            "2100-02-29T10:00:00Z",
            "+026-11-21T10:00:00Z",
            "2026-+1-21T10:00:00Z",
            "2026-11-2\u{e4}T10:00:00Z",
            "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}",
        ] {
            assert_eq!(rfc_3339(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_day_survives_a_round_trip() {
        for day in -719_528..2_932_897 {
            let civil = Civil::after(day * SECONDS_PER_DAY);
            assert_eq!(civil.checked(), Some(civil));
            assert_eq!(civil.seconds(), day * SECONDS_PER_DAY);
        }
    }

    #[test]
    fn times_are_formatted_for_aws() {
        let at = |seconds| basic(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_369_353_600), "20130524T000000Z");
        assert_eq!(at(1_709_164_799), "20240228T235959Z");
        assert_eq!(basic(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "19700101T000000Z");
    }

    proptest! {
        #[test]
        fn every_second_survives_a_round_trip(seconds in -62_167_219_200_i64..253_402_300_800) {
            prop_assert_eq!(Civil::after(seconds).seconds(), seconds);
        }

        #[test]
        fn no_text_makes_a_parser_panic(
            text in "[0-9]{0,5}[0-9:+TtZz .\\-]{0,40}|[A-Z][a-z]{2}, [0-9: ]{0,30}(Nov|GMT|[0-9: ]){0,4}|\\PC{0,40}",
        ) {
            let _ = (rfc_3339(&text), http_date(&text));
        }
    }
}
