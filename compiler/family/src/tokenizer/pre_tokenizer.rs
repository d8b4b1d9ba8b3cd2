//! The step of the `tokenizers` crate that splits text by expressions, before bytes are merged.

use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::error::FamilyError;

/// Returns the step that splits by one expression after the other.
///
/// # Errors
/// Fails if an expression does not compile.
pub fn step(expressions: &[String]) -> Result<PreTokenizerWrapper, FamilyError> {
    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    for expression in expressions {
        let pattern = SplitPattern::Regex(expression.clone());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|error| {
            FamilyError::Tokenizer(format!("Pre-tokenizer `{expression}` does not compile: {error}"))
        })?;
        steps.push(split.into());
    }
    steps.push(ByteLevel::new(false, true, false).into());
    Ok(Sequence::new(steps).into())
}
