//! Times for people: short ones with their significant digits, long ones as on a clock.

use std::time::Duration;

/// A time such as `1.23 s` or `75 s`.
pub(crate) fn seconds(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.0} s") }
}

/// A time such as `0:07`, `12:30` or `1:02:03`.
pub(crate) fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// The remaining time, rounded to the precision of an estimate: `about 20 s left`, `about 3 min left`.
pub(crate) fn left(left: Duration) -> String {
    let seconds = left.as_secs();
    match seconds {
        0..=4 => "a few seconds left".to_owned(),
        5..=89 => format!("about {} s left", seconds.div_ceil(5) * 5),
        90..=5399 => format!("about {} min left", (seconds + 30) / 60),
        _ => format!("about {} h {} min left", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_have_two_digits() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.23 s");
        assert_eq!(seconds(Duration::from_secs(75)), "75 s");
    }

    #[test]
    fn long_times_are_shown_as_on_a_clock() {
        let shown = [7, 750, 3723].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0:07", "12:30", "1:02:03"]);
    }

    #[test]
    fn an_estimate_shows_only_reliable_digits() {
        let shown = [3, 17, 89, 170, 7300].map(|seconds| left(Duration::from_secs(seconds)));
        assert_eq!(
            shown,
            [
                "a few seconds left",
                "about 20 s left",
                "about 90 s left",
                "about 3 min left",
                "about 2 h 1 min left"
            ]
        );
    }
}
