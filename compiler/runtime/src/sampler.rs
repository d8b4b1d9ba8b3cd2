//! Chooses the next token from logits.

use crate::error::RuntimeError;
use crate::random::Random;
use mc_tensor::math;

/// The choice of the next token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The token with the largest logit; among equals, the lowest id.
    Greedy,
    /// At random, by the probabilities of the most likely tokens.
    Random {
        /// Divisor of the logits; above 0.
        temperature: f64,
        /// Only this many of the most likely tokens; `None` for all.
        top_k: Option<usize>,
        /// Then only the most likely tokens until their probabilities reach this sum; 1 for all.
        top_p: f64,
        /// Seed of the random numbers.
        seed: u64,
    },
}

/// Chooses one token after another.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: Random,
}

impl Sampler {
    /// Creates a sampler at the start of its random sequence.
    ///
    /// # Errors
    /// [`RuntimeError::BadSampling`] if a parameter is out of range.
    pub fn new(sampling: Sampling) -> Result<Self, RuntimeError> {
        let bad = |name, found, expected| Err(RuntimeError::BadSampling { name, found, expected });
        let seed = match sampling {
            Sampling::Greedy => 0,
            Sampling::Random { temperature, top_k, top_p, seed } => {
                if !(temperature > 0.0 && temperature.is_finite()) {
                    return bad("temperature", temperature, "a number above 0 (or greedy sampling)");
                }
                if top_k == Some(0) {
                    return bad("top-k", 0.0, "at least 1");
                }
                if !(top_p > 0.0 && top_p <= 1.0) {
                    return bad("top-p", top_p, "a number above 0 and up to 1");
                }
                seed
            }
        };
        Ok(Self { sampling, random: Random::new(seed) })
    }

    /// Chooses the next token from one row of finite logits.
    pub fn next(&mut self, logits: &[f32]) -> u32 {
        match self.sampling {
            Sampling::Greedy => greatest(logits),
            Sampling::Random { temperature, top_k, top_p, .. } => {
                let likeliest = likeliest(logits, temperature, top_k, top_p);
                draw(&likeliest, self.random.next_f64())
            }
        }
    }
}

/// The token with the largest logit; among equals, the lowest id.
pub(crate) fn greatest(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, logit) in (0u32..).zip(logits) {
        if *logit > best.1 {
            best = (token, *logit);
        }
    }
    best.0
}

/// Tokens with unnormalized probabilities, most likely first.
fn likeliest(logits: &[f32], temperature: f64, top_k: Option<usize>, top_p: f64) -> Vec<(u32, f64)> {
    let mut tokens: Vec<(u32, f32)> = (0u32..).zip(logits.iter().copied()).collect();
    let by_logit = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if let Some(k) = top_k.filter(|k| *k < tokens.len()) {
        tokens.select_nth_unstable_by(k - 1, by_logit);
        tokens.truncate(k);
    }
    tokens.sort_unstable_by(by_logit);
    let greatest = tokens.first().map_or(0.0, |(_, logit)| f64::from(*logit));
    let weight = |(token, logit): (u32, f32)| (token, math::exp((f64::from(logit) - greatest) / temperature));
    let mut tokens: Vec<(u32, f64)> = tokens.into_iter().map(weight).collect();
    let wanted = top_p * tokens.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut reached = 0.0;
    let n_kept = tokens.iter().take_while(|(_, weight)| {
        let goes_on = reached < wanted;
        reached += weight;
        goes_on
    });
    let n_kept = n_kept.count().max(1);
    tokens.truncate(n_kept);
    tokens
}

/// The token at a fraction of the total weight.
fn draw(tokens: &[(u32, f64)], fraction: f64) -> u32 {
    let wanted = fraction * tokens.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut reached = 0.0;
    let drawn = tokens.iter().find(|(_, weight)| {
        reached += weight;
        reached > wanted
    });
    // Rounding may leave the sum slightly below `wanted`; the last token is then chosen.
    drawn.or(tokens.last()).map_or(0, |(token, _)| *token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(temperature: f64, top_k: Option<usize>, top_p: f64) -> Sampler {
        Sampler::new(Sampling::Random { temperature, top_k, top_p, seed: 42 }).unwrap()
    }

    fn drawn(mut sampler: Sampler, logits: &[f32]) -> Vec<usize> {
        let mut counts = vec![0; logits.len()];
        for _ in 0..20_000 {
            counts[sampler.next(logits) as usize] += 1;
        }
        counts
    }

    const LOGITS: [f32; 4] = [0.0, 1.0, 2.0, 1.0];

    #[test]
    fn greedy_takes_the_first_of_equals() {
        let mut sampler = Sampler::new(Sampling::Greedy).unwrap();
        assert_eq!(sampler.next(&[1.0, 3.0, 3.0]), 1);
    }

    #[test]
    fn tokens_are_drawn_by_their_probability() {
        let counts = drawn(sampler(1.0, None, 1.0), &LOGITS);
        let e = std::f32::consts::E;
        let total = 1.0 + 2.0 * e + e * e;
        for (count, weight) in counts.iter().zip([1.0, e, e * e, e]) {
            assert!((*count as f32 / 20_000.0 - weight / total).abs() < 0.015, "{counts:?}");
        }
    }

    #[test]
    fn top_k_and_top_p_leave_only_the_likeliest() {
        assert_eq!(drawn(sampler(1.0, Some(1), 1.0), &LOGITS), [0, 0, 20_000, 0]);
        assert_eq!(drawn(sampler(1.0, None, 0.5), &LOGITS), [0, 0, 20_000, 0]);
        let counts = drawn(sampler(1.0, None, 0.6), &LOGITS);
        assert!(counts[1] > 0 && counts[3] == 0 && counts[0] == 0, "the lower id of equals: {counts:?}");
    }

    #[test]
    fn a_seed_gives_the_same_tokens_again() {
        let draw = || {
            let mut sampler = sampler(0.8, Some(3), 0.95);
            (0..50).map(|_| sampler.next(&LOGITS)).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let refused = |temperature, top_k, top_p| {
            let sampling = Sampling::Random { temperature, top_k, top_p, seed: 0 };
            Sampler::new(sampling).unwrap_err().to_string()
        };
        assert_eq!(
            refused(0.0, None, 1.0),
            "Sampling parameter `temperature` is 0; expected a number above 0 (or greedy sampling)"
        );
        assert!(refused(1.0, Some(0), 1.0).contains("`top-k`"));
        assert!(refused(1.0, None, f64::NAN).contains("`top-p`"));
    }
}
