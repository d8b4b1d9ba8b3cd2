//! Syntax tree of a query: words, calls, and sets joined by operators, which have equal precedence and associate to the
//! left.

use std::ops::Range;

use crate::query::error::QueryError;
use crate::query::token::{Token, TokenKind, tokens};

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression<'a> {
    /// A label, a pattern, or another plain argument of a function.
    Word { text: &'a str, span: Range<usize> },
    /// A function with its arguments.
    Call { name: &'a str, span: Range<usize>, arguments: Vec<Self> },
    /// Two sets joined by an operator.
    Join { operator: Operator, left: Box<Self>, right: Box<Self> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Union,
    Except,
    Intersect,
}

/// Maximum depth of nested parentheses, because the parser recurses.
const MAX_DEPTH: usize = 100;

/// The function whose arguments need no commas.
pub(crate) const SET: &str = "set";

/// Maximum number of tokens in a query, because joined sets nest to the left, and their evaluation recurses.
const MAX_TOKENS: usize = 2_000;

impl Expression<'_> {
    /// Span of the expression.
    pub(crate) fn span(&self) -> Range<usize> {
        match self {
            Self::Word { span, .. } | Self::Call { span, .. } => span.clone(),
            Self::Join { left, right, .. } => left.span().start..right.span().end,
        }
    }
}

/// Parses a query.
///
/// # Errors
/// [`QueryError`] at the first location that is not part of a query.
pub(crate) fn parse(text: &str) -> Result<Expression<'_>, QueryError> {
    let tokens = tokens(text)?;
    if tokens.len() > MAX_TOKENS {
        return Err(QueryError::new(
            0..text.len(),
            format!("The query has more than {MAX_TOKENS} words and signs"),
        ));
    }
    let mut parser = Parser { tokens: &tokens, next: 0, end: text.len() };
    let expression = parser.expression(0)?;
    match parser.peek() {
        None => Ok(expression),
        Some(token) => {
            Err(QueryError::new(token.span.clone(), "Expected the end of the query or an operator")
                .help("Join sets by `+`, `-` or `^` (or `union`, `except`, `intersect`)"))
        }
    }
}

struct Parser<'a, 'b> {
    tokens: &'b [Token<'a>],
    next: usize,
    end: usize,
}

impl<'a, 'b> Parser<'a, 'b> {
    fn peek(&self) -> Option<&'b Token<'a>> {
        self.tokens.get(self.next)
    }

    fn take(&mut self, kind: TokenKind<'_>) -> Option<&'b Token<'a>> {
        let token = self.peek().filter(|token| token.kind == kind)?;
        self.next += 1;
        Some(token)
    }

    fn expected(&self, what: &str) -> QueryError {
        match self.peek() {
            Some(token) => QueryError::new(token.span.clone(), format!("Expected {what}")),
            None => {
                QueryError::new(self.end..self.end, format!("Expected {what}, found the end of the query"))
            }
        }
    }

    fn expression(&mut self, depth: usize) -> Result<Expression<'a>, QueryError> {
        let mut left = self.term(depth)?;
        while let Some(operator) = self.peek().and_then(|token| operator(token.kind)) {
            self.next += 1;
            let right = self.term(depth)?;
            left = Expression::Join { operator, left: Box::new(left), right: Box::new(right) };
        }
        Ok(left)
    }

    fn term(&mut self, depth: usize) -> Result<Expression<'a>, QueryError> {
        if depth > MAX_DEPTH {
            return Err(self.expected(&format!("at most {MAX_DEPTH} nested parentheses")));
        }
        if self.take(TokenKind::Open).is_some() {
            let inner = self.expression(depth + 1)?;
            self.close()?;
            return Ok(inner);
        }
        let Some(Token { kind: TokenKind::Word(text), span }) = self.peek() else {
            return Err(self.expected("a label, a pattern or a function"));
        };
        self.next += 1;
        if self.take(TokenKind::Open).is_none() {
            return Ok(Expression::Word { text, span: span.clone() });
        }
        let mut arguments = Vec::new();
        if self.take(TokenKind::Close).is_none() {
            loop {
                arguments.push(self.expression(depth + 1)?);
                let has_comma = self.take(TokenKind::Comma).is_some();
                // The members of a set are separated by spaces, as in Bazel's queries.
                let has_next =
                    *text == SET && matches!(self.peek(), Some(Token { kind: TokenKind::Word(_), .. }));
                if !has_comma && !has_next {
                    break;
                }
            }
            self.close()?;
        }
        Ok(Expression::Call { name: text, span: span.clone(), arguments })
    }

    fn close(&mut self) -> Result<(), QueryError> {
        self.take(TokenKind::Close).map(|_| ()).ok_or_else(|| self.expected("`)`"))
    }
}

fn operator(kind: TokenKind<'_>) -> Option<Operator> {
    match kind {
        TokenKind::Plus | TokenKind::Word("union") => Some(Operator::Union),
        TokenKind::Minus | TokenKind::Word("except") => Some(Operator::Except),
        TokenKind::Caret | TokenKind::Word("intersect") => Some(Operator::Intersect),
        _ => None,
    }
}
