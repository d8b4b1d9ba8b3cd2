//! Repetition in generated tokens: endless loops, and sequences that occurred before.

use std::collections::BTreeSet;

/// Number of tokens of a sequence that counts as repeated.
pub const N_GRAM: usize = 4;

/// A loop repeats its tokens at least this often.
const MIN_REPEATS: usize = 4;

/// A loop has at least this many tokens.
const MIN_LOOP: usize = 24;

/// A loop repeats at most this many tokens.
const MAX_PERIOD: usize = 64;

/// Number of tokens of the loop at the end of an answer; 0 if it does not end in a loop.
///
/// The answer ends in a loop if its last tokens are at least four repetitions of at most 64 tokens, and at least 24
/// tokens in total. So neither a list with a few equal words nor a row of dashes is a loop.
pub fn loop_len(tokens: &[u32]) -> usize {
    (1..=MAX_PERIOD).map(|period| periodic_tail(tokens, period)).max().unwrap_or(0)
}

/// Number of tokens at the end that repeat with this period; 0 if they are too few for a loop.
fn periodic_tail(tokens: &[u32], period: usize) -> usize {
    let Some(n_compared) = tokens.len().checked_sub(period) else { return 0 };
    let is_equal = |back: &usize| tokens[tokens.len() - 1 - back] == tokens[tokens.len() - 1 - back - period];
    let n_equal = (0..n_compared).take_while(is_equal).count();
    let len = n_equal + period;
    if len >= MIN_LOOP.max(MIN_REPEATS * period) { len } else { 0 }
}

/// The sequences of [`N_GRAM`] tokens: how many of them occurred before in the same answer, and how many there are.
pub fn repeated(tokens: &[u32]) -> (usize, usize) {
    let mut seen = BTreeSet::new();
    let n_repeated = tokens.windows(N_GRAM).filter(|sequence| !seen.insert(*sequence)).count();
    (n_repeated, tokens.windows(N_GRAM).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_ends_in_repetitions_is_a_loop() {
        let looping = |period: u32, n: usize| -> Vec<u32> {
            [100, 101, 102].into_iter().chain((0..period).cycle().take(n)).collect()
        };
        assert_eq!(loop_len(&looping(1, 40)), 40);
        assert_eq!(loop_len(&looping(5, 33)), 33);
        assert_eq!(loop_len(&looping(64, 256)), 256);
        for (period, n) in [(1, 20), (5, 19), (8, 31), (64, 200), (65, 500)] {
            assert_eq!(loop_len(&looping(period, n)), 0, "{period} {n}");
        }
        assert_eq!((loop_len(&[]), loop_len(&[7]), loop_len(&[7, 7])), (0, 0, 0));
        let mut escaped = looping(3, 60);
        escaped.extend([200, 201, 202]);
        assert_eq!(loop_len(&escaped), 0, "the answer left the loop");
    }

    #[test]
    fn repeated_sequences_are_counted_after_their_first_occurrence() {
        assert_eq!(repeated(&[1, 2, 3]), (0, 0));
        assert_eq!(repeated(&[1, 2, 3, 4, 5, 1, 2, 3, 4]), (1, 6));
        assert_eq!(repeated(&[9; 10]), (6, 7));
    }
}
