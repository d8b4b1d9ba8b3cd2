//! A function call: its arguments and their parsing.

use std::ops::Range;

use mc_ir::label::Label;
use regex::{Regex, RegexBuilder};

use crate::query::error::QueryError;
use crate::query::expression::Expression;
use crate::query::targets::{Set, Targets};

/// Maximum size of a compiled regular expression in bytes.
const MAX_REGEX: usize = 1 << 20;

/// A call of a function.
pub(crate) struct Call<'a> {
    pub(crate) targets: &'a Targets<'a>,
    pub(crate) span: Range<usize>,
    pub(crate) arguments: &'a [Expression<'a>],
    /// Evaluates an argument that is a query itself.
    pub(crate) evaluate: &'a dyn Fn(&Expression<'_>) -> Result<Set, QueryError>,
}

/// The targets that a function returns.
pub(crate) enum Answer {
    /// Without an order.
    Set(Set),
    /// Each target names the next one.
    Path(Vec<Label>),
}

impl Call<'_> {
    /// An argument that is a query itself.
    pub(crate) fn set(&self, index: usize) -> Result<Set, QueryError> {
        (self.evaluate)(&self.arguments[index])
    }

    /// An argument that is a plain word.
    pub(crate) fn word(&self, index: usize, what: &str) -> Result<(&str, Range<usize>), QueryError> {
        match &self.arguments[index] {
            Expression::Word { text, span } => Ok((text, span.clone())),
            other => Err(QueryError::new(other.span(), format!("Expected {what}"))),
        }
    }

    /// An argument that is a whole number.
    pub(crate) fn number(&self, index: usize, what: &str) -> Result<usize, QueryError> {
        let (text, span) = self.word(index, what)?;
        text.parse().map_err(|_| QueryError::new(span, format!("Expected {what}")))
    }

    /// An argument that is a regular expression.
    pub(crate) fn regex(&self, index: usize) -> Result<Regex, QueryError> {
        let (text, span) = self.word(index, "a regular expression in quotes")?;
        RegexBuilder::new(text).size_limit(MAX_REGEX).build().map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            QueryError::new(span, format!("`{text}` is not a regular expression: {reason}"))
        })
    }
}
