//! One way for a byte-level tokenizer to cut text into words before any merge.
//!
//! The names and expressions are in [`crate::tokenizer::pre_tokenizers`].

use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::error::FamilyError;

/// One way to cut text into words.
#[derive(Debug)]
pub struct PreTokenizer {
    /// The name in GGUF.
    pub name: &'static str,
    /// The expressions that cut text, one after the other; what one matches and what lies between are words.
    pub(crate) expressions: &'static [&'static str],
    /// The families (GGUF's words) that give the expressions this name; none: all others.
    pub(crate) families: &'static [&'static str],
    /// Whether a word that is a token is taken whole, before any merge.
    pub ignore_merges: bool,
}

impl PreTokenizer {
    /// The step of the `tokenizers` crate that cuts so.
    ///
    /// # Errors
    /// When an expression does not compile.
    pub fn step(&self) -> Result<PreTokenizerWrapper, FamilyError> {
        let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
        for expression in self.expressions {
            let pattern = SplitPattern::Regex((*expression).to_owned());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|error| {
                FamilyError::Tokenizer(format!("Pre-tokenizer `{}` does not compile: {error}", self.name))
            })?;
            steps.push(split.into());
        }
        steps.push(ByteLevel::new(false, true, false).into());
        Ok(Sequence::new(steps).into())
    }
}
