//! The answers that a runtime wrote: checked, because the process may write anything.

use serde::Deserialize;

/// A greedy answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct RuntimeAnswer {
    /// Its tokens, including the one that ends it.
    pub(crate) tokens: Vec<u32>,
    /// The natural logarithm of the probability of each token.
    pub(crate) log_probabilities: Vec<f64>,
}

impl RuntimeAnswer {
    /// Reads a line.
    ///
    /// # Errors
    /// A sentence if it is not an answer with at most `max_tokens` tokens of a vocabulary of `n_vocab`.
    pub(crate) fn parse(line: &str, max_tokens: usize, n_vocab: usize) -> Result<Self, String> {
        let answer: Self =
            serde_json::from_str(line).map_err(|error| format!("it wrote no answer: {error}"))?;
        let Self { tokens, log_probabilities } = &answer;
        if tokens.len() > max_tokens {
            return Err(format!("it wrote {} tokens; at most {max_tokens} were requested", tokens.len()));
        }
        if log_probabilities.len() != tokens.len() {
            return Err(format!("it wrote {} tokens with {} numbers", tokens.len(), log_probabilities.len()));
        }
        if let Some(token) = tokens.iter().find(|token| **token as usize >= n_vocab) {
            return Err(format!("it wrote token {token}; the vocabulary has {n_vocab}"));
        }
        // Rounding may give a tiny positive number.
        match log_probabilities.iter().find(|number| !number.is_finite() || **number > 1e-3) {
            Some(number) => Err(format!("it wrote {number} as the logarithm of a probability")),
            None => Ok(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_answers_are_refused() {
        let read = |line: &str| RuntimeAnswer::parse(line, 2, 10);
        let fine = read(r#"{"tokens": [1, 2], "log_probabilities": [-0.5, 0]}"#).unwrap();
        assert_eq!(fine, RuntimeAnswer { tokens: vec![1, 2], log_probabilities: vec![-0.5, 0.0] });
        for (line, reason) in [
            ("", "it wrote no answer"),
            ("{}", "it wrote no answer"),
            (r#"{"tokens": [-1], "log_probabilities": [0]}"#, "it wrote no answer"),
            (r#"{"tokens": [1, 2, 3], "log_probabilities": [0, 0, 0]}"#, "it wrote 3 tokens; at most 2"),
            (r#"{"tokens": [1], "log_probabilities": []}"#, "it wrote 1 tokens with 0 numbers"),
            (r#"{"tokens": [10], "log_probabilities": [0]}"#, "it wrote token 10; the vocabulary has 10"),
            (r#"{"tokens": [1], "log_probabilities": [0.5]}"#, "it wrote 0.5 as the logarithm"),
            (r#"{"tokens": [1], "log_probabilities": [1e999]}"#, "it wrote no answer"),
            (r#"{"tokens": [1], "log_probabilities": [null]}"#, "it wrote no answer"),
        ] {
            let refused = read(line).unwrap_err();
            assert!(refused.starts_with(reason), "{line}: {refused}");
        }
    }
}
