//! Pace of an answer: the time to its first token, and tokens per second.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::render::clock::seconds;

/// Measures the pace of an answer.
pub(crate) struct Stopwatch {
    start: Instant,
    first: Option<Instant>,
}

/// Pace of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Time to the first text; `None` if none came.
    first_token: Option<Duration>,
    total: Duration,
    n_tokens: usize,
}

impl Stopwatch {
    /// Starts the measurement.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), first: None }
    }

    /// Records that text arrived.
    pub(crate) fn text(&mut self) {
        self.first.get_or_insert_with(Instant::now);
    }

    /// The pace of `n_tokens` tokens up to now.
    pub(crate) fn pace(&self, n_tokens: usize) -> Pace {
        let first_token = self.first.map(|first| first.duration_since(self.start));
        Pace { first_token, total: self.start.elapsed(), n_tokens }
    }
}

impl Pace {
    /// Tokens per second after the first; `None` without further tokens or elapsed time.
    fn tokens_per_second(&self) -> Option<f64> {
        let after = self.total.checked_sub(self.first_token?)?.as_secs_f64();
        (self.n_tokens > 1 && after > 0.0).then(|| (self.n_tokens - 1) as f64 / after)
    }

    /// The pace for people.
    pub(crate) fn text(&self) -> String {
        let first = self.first_token.map(|first| format!("first token after {}", seconds(first)));
        let rate = self.tokens_per_second().map(|rate| format!("{rate:.1} tokens/s"));
        let known: Vec<String> = first.into_iter().chain(rate).collect();
        if known.is_empty() { "no token came".to_owned() } else { known.join(", ") }
    }

    /// The pace for programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "first_token_seconds": self.first_token.map(|first| first.as_secs_f64()),
            "total_seconds": self.total.as_secs_f64(),
            "tokens_per_second": self.tokens_per_second(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_is_measured_separately() {
        let ms = Duration::from_millis;
        let pace = Pace { first_token: Some(ms(500)), total: ms(2500), n_tokens: 21 };
        assert_eq!(pace.text(), "first token after 0.50 s, 10.0 tokens/s");
        let one = Pace { n_tokens: 1, ..pace };
        assert_eq!(one.text(), "first token after 0.50 s");
        let none = Pace { first_token: None, total: ms(1), n_tokens: 0 };
        assert_eq!(
            (none.text().as_str(), none.json()["tokens_per_second"].is_null()),
            ("no token came", true)
        );
    }
}
