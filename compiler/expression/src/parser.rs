//! The words and numbers of the canonical text, for the operators' parsers.
//!
//! Does not know the operators: the caller passes the table.

use mc_encoding::codec::Codec;
use mc_encoding::codecs;
use mc_tensor::dtype::DType;

#[cfg(test)]
use crate::draw::DrawExpression;
use crate::expression::{OperatorName, TensorExpr};

/// Maximum nesting: an adapter adds two levels.
pub(crate) const MAX_DEPTH: usize = 200;
/// Number of characters of the found text that a message shows.
const SHOWN_CHARS: usize = 20;

/// The text is not a tensor expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Tensor expression, byte {at}: expected {expected}, found {found}")]
pub struct ParseError {
    /// The byte offset of the error.
    pub at: usize,
    /// Expected text.
    pub expected: &'static str,
    /// Found text.
    pub found: String,
}

/// A row of the table: an operator's name and the parser of the text between its parentheses.
pub struct OperatorRow {
    pub(crate) name: OperatorName,
    pub(crate) parse: fn(&mut Parser<'_>) -> Parsed<TensorExpr>,
    /// Draws an expression of a given shape with the operator at its root; for tests of all operators.
    #[cfg(test)]
    pub(crate) draw: DrawExpression,
}

/// A position in a text.
pub struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    operators: &'static [OperatorRow],
}

/// The result of parsing a part of the text.
pub(crate) type Parsed<T> = Result<T, ParseError>;

impl<'a> Parser<'a> {
    /// Creates a parser at the start of a text.
    pub(crate) fn new(text: &'a str, operators: &'static [OperatorRow]) -> Self {
        Self { text, at: 0, depth: 0, operators }
    }

    /// Parses an operator with its parameters and operands.
    pub(crate) fn expression(&mut self) -> Parsed<TensorExpr> {
        if self.depth == MAX_DEPTH {
            return Err(self.error("at most 200 nested operators"));
        }
        self.depth += 1;
        let row = self.operator()?;
        let expression = (row.parse)(self)?;
        self.eat(")", "`)`")?;
        self.depth -= 1;
        Ok(expression)
    }

    /// Parses the name of an operator and its opening parenthesis.
    fn operator(&mut self) -> Parsed<&'static OperatorRow> {
        let start = self.at;
        let word = self.word("a step")?;
        let row = self.operators.iter().find(|row| row.name.word == word);
        if let Some(version) = row.and_then(|row| row.name.version) {
            self.version(version)?;
        }
        self.eat("(", "`(`")?;
        row.ok_or_else(|| {
            self.at = start;
            self.error("an operator such as `load`")
        })
    }

    fn version(&mut self, known: u32) -> Parsed<()> {
        self.eat("@", "`@` and the formula's version")?;
        let start = self.at;
        if self.small_number()? == known {
            return Ok(());
        }
        self.at = start;
        Err(self.error("the version of the formula that this `mc` computes"))
    }

    /// Parses expressions separated by commas, at least one.
    pub(crate) fn expressions(&mut self) -> Parsed<Vec<TensorExpr>> {
        let mut expressions = vec![self.expression()?];
        while self.is_at(",") {
            expressions.push(self.then(Self::expression)?);
        }
        Ok(expressions)
    }

    /// Checks that the text is at its end.
    pub(crate) fn end(&self) -> Parsed<()> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.error("the end")) }
    }

    /// Returns true if the rest starts with this text.
    pub(crate) fn is_at(&self, text: &str) -> bool {
        self.rest().starts_with(text)
    }

    /// Parses a comma and the text after it.
    pub(crate) fn then<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.eat(", ", "`, `")?;
        read(self)
    }

    /// Parses the number of an input after `$`.
    pub(crate) fn input(&mut self) -> Parsed<usize> {
        self.eat("$", "`$` and the number of an input")?;
        Ok(self.small_number()? as usize)
    }

    /// Parses the number of an input with importance weights and a comma, if present.
    pub(crate) fn importance(&mut self) -> Parsed<Option<usize>> {
        if !self.is_at("$") {
            return Ok(None);
        }
        let input = self.input()?;
        self.eat(", ", "`, `")?;
        Ok(Some(input))
    }

    /// Parses the name of an element type.
    pub(crate) fn dtype(&mut self) -> Parsed<DType> {
        let start = self.at;
        let word = self.word("a type such as `BF16`")?;
        word.parse().map_err(|_| {
            self.at = start;
            self.error("a type such as `BF16`")
        })
    }

    /// Parses the name of a codec.
    pub(crate) fn codec(&mut self) -> Parsed<&'static Codec> {
        let start = self.at;
        let word = self.word("a codec such as `Q4_K`")?;
        codecs::by_name(word).ok_or_else(|| {
            self.at = start;
            self.error("a codec of this `mc`")
        })
    }

    /// Parses `true` or `false`.
    pub(crate) fn truth(&mut self) -> Parsed<bool> {
        self.one_of(&[("true", true), ("false", false)], "`true` or `false`")
    }

    /// Parses one of several words and returns its meaning.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[(&str, T)], expected: &'static str) -> Parsed<T> {
        for (word, meaning) in choices {
            if self.is_at(word) {
                self.at += word.len();
                return Ok(*meaning);
            }
        }
        Err(self.error(expected))
    }

    /// Parses dimensions whose product does not overflow.
    pub(crate) fn shape(&mut self) -> Parsed<Vec<u64>> {
        let start = self.at;
        let shape = self.numbers()?;
        if shape.iter().try_fold(1_u64, |product, n| product.checked_mul((*n).max(1))).is_none() {
            self.at = start;
            return Err(self.error("a shape with fewer than 2^64 elements"));
        }
        Ok(shape)
    }

    /// Parses numbers in brackets.
    pub(crate) fn numbers(&mut self) -> Parsed<Vec<u64>> {
        self.eat("[", "`[`")?;
        let mut numbers = Vec::new();
        if !self.is_at("]") {
            numbers.push(self.number()?);
            while self.is_at(",") {
                numbers.push(self.then(Self::number)?);
            }
        }
        self.eat("]", "`]`")?;
        Ok(numbers)
    }

    /// Parses a number above 0.
    pub(crate) fn positive(&mut self) -> Parsed<u64> {
        let start = self.at;
        let number = self.number()?;
        if number == 0 {
            self.at = start;
            return Err(self.error("a number above 0"));
        }
        Ok(number)
    }

    /// Parses a number below 2^32.
    pub(crate) fn small_number(&mut self) -> Parsed<u32> {
        let start = self.at;
        u32::try_from(self.number()?).map_err(|_| {
            self.at = start;
            self.error("a number below 2^32")
        })
    }

    /// Parses a number in canonical form: without a sign or leading zeros.
    pub(crate) fn number(&mut self) -> Parsed<u64> {
        let digits = self.taken(|byte| byte.is_ascii_digit());
        let is_canonical = digits == "0" || !digits.starts_with('0');
        match digits.parse().ok().filter(|_| is_canonical) {
            Some(number) => Ok(number),
            None => {
                self.at -= digits.len();
                Err(self.error("a number below 2^64 without leading zeros"))
            }
        }
    }

    /// Parses the bits of an f32.
    pub(crate) fn float(&mut self) -> Parsed<f32> {
        let bits = self.hex(8, "8 hex digits of a number's bits")?;
        Ok(f32::from_bits(u32::try_from(bits).expect("8 hex digits are 32 bits")))
    }

    /// Parses a number of this many hex digits.
    pub(crate) fn hex(&mut self, n_digits: usize, expected: &'static str) -> Parsed<u64> {
        let digits = self.rest().get(..n_digits).filter(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        });
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| self.error(expected))?;
        self.at += n_digits;
        Ok(number)
    }

    /// Parses letters, digits and underscores.
    pub(crate) fn word(&mut self, expected: &'static str) -> Parsed<&'a str> {
        let word = self.taken(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if word.is_empty() { Err(self.error(expected)) } else { Ok(word) }
    }

    /// Parses lower-case letters, digits and hyphens.
    pub(crate) fn kebab(&mut self, expected: &'static str) -> Parsed<&'a str> {
        let is_wanted = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let name = self.taken(is_wanted);
        if name.is_empty() { Err(self.error(expected)) } else { Ok(name) }
    }

    /// Parses the name of a table entry and the version after it.
    pub(crate) fn versioned<T>(
        &mut self,
        by_name: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Parsed<(T, u32)> {
        let start = self.at;
        let found = by_name(self.kebab(expected)?);
        let found = found.ok_or_else(|| {
            self.at = start;
            self.error(expected)
        })?;
        self.eat("@", "`@` and a version")?;
        Ok((found, self.small_number()?))
    }

    /// Takes the longest run of matching bytes, which are ASCII.
    fn taken(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !is_wanted(byte)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Parses exactly this text.
    pub(crate) fn eat(&mut self, text: &str, expected: &'static str) -> Parsed<()> {
        if !self.is_at(text) {
            return Err(self.error(expected));
        }
        self.at += text.len();
        Ok(())
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Creates an error at this position.
    pub(crate) fn error(&self, expected: &'static str) -> ParseError {
        let shown: String = self.rest().chars().take(SHOWN_CHARS).collect();
        let found = if shown.is_empty() { "the end".to_owned() } else { format!("`{shown}`") };
        ParseError { at: self.at, expected, found }
    }
}
