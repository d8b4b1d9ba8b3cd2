//! Parses the canonical text of expressions, so that a worker can run an action from its command alone.
//!
//! The text is untrusted: its length and depth are bounded, and invalid text gives an error with the byte offset. Only
//! canonical text is accepted, so an expression prints as the text that it was parsed from. The evaluation checks that
//! operands match.

use crate::expression::TensorExpr;
use crate::operators::OPERATORS;
use crate::parser::{ParseError, Parser};

/// Maximum length of a text. The text of a stack of a thousand experts, each blended from several models, is shorter.
const MAX_BYTES: usize = 4 << 20;

impl TensorExpr {
    /// Parses the canonical text of an expression.
    ///
    /// # Errors
    /// [`ParseError`] if the text is not an expression.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser::new(text, OPERATORS);
        if text.len() > MAX_BYTES {
            return Err(parser.error("at most 4 MiB of text"));
        }
        let expression = parser.expression()?;
        parser.end()?;
        Ok(expression)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::MAX_DEPTH;

    fn message(text: &str) -> String {
        TensorExpr::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn errors_say_where_and_what_was_expected() {
        assert_eq!(
            message("cast(BF16, lead($0, F32, [4]))"),
            "Tensor expression, byte 11: expected an operator such as `load`, found `lead($0, F32, [4]))`"
        );
        assert_eq!(
            message("load($0, F33, [4])"),
            "Tensor expression, byte 9: expected a type such as `BF16`, found `F33, [4])`"
        );
        assert_eq!(
            message("load($0, F32, [04])"),
            "Tensor expression, byte 15: expected a number below 2^64 without leading zeros, found `04])`"
        );
        assert_eq!(message("load($0, F32"), "Tensor expression, byte 12: expected `, `, found the end");
        assert_eq!(message("lead"), "Tensor expression, byte 4: expected `(`, found the end");
        assert_eq!(
            message("decode($0, Q9_K, [4])"),
            "Tensor expression, byte 11: expected a codec of this `mc`, found `Q9_K, [4])`"
        );
        assert_eq!(
            message("linear@2(true)"),
            "Tensor expression, byte 7: expected the version of the formula that this `mc` computes, found `2(true)`"
        );
    }

    #[test]
    fn divisions_by_zero_and_overflows_are_refused() {
        for text in [
            "permute(0, load($0, F32, [4]))",
            "half_split(0, load($0, F32, [4]))",
            "scale_blocks([0, 1], load($1, F32, [1]), load($0, F32, [4, 4]))",
            "load($0, F32, [4294967296, 4294967296])",
            "load($4294967296, F32, [4])",
        ] {
            assert!(TensorExpr::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let nested = |depth| format!("{}load($0, F32, [4]){}", "cast(F32, ".repeat(depth), ")".repeat(depth));
        assert!(TensorExpr::parse(&nested(MAX_DEPTH - 1)).is_ok());
        assert!(message(&nested(MAX_DEPTH)).contains("at most 200 nested operators"));
        assert!(message(&nested(100_000)).contains("at most 200 nested operators"));
        assert!(message(&"x".repeat(MAX_BYTES + 1)).contains("at most 4 MiB"));
    }
}
