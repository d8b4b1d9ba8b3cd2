//! KDL numbers, kept as text so that no digit is lost.
//!
//! An integer of any size and base becomes decimal digits; a float keeps its digits and its exponent.

use std::fmt;

/// Maximum number of digits of hexadecimal, octal and binary literals; converting them to decimal takes quadratic time.
const MAX_RADIX_DIGITS: usize = 1024;

/// An integer of any size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Integer(String);

/// A number with a fraction or an exponent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Float(String);

impl Integer {
    /// The decimal digits, with `-` in front if negative; no leading zeros.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The number, if it fits.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }
}

impl Float {
    /// The number in printed form: no underscores, the exponent as `E+10` or `E-10`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The nearest 64-bit float; infinite if the exponent is too large.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.0.parse().expect("the text was checked against the grammar, which is narrower than Rust's")
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for Float {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Either kind of number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Integer(Integer),
    Float(Float),
}

/// The reason why a word that starts like a number is not one; `offset` is the byte offset of the error in the word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NumberError {
    pub(crate) offset: usize,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

/// Returns true if a bare word starts like a number and therefore must be one: an optional sign, an optional dot, a
/// digit.
pub(crate) fn looks_like_number(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    unsigned.strip_prefix('.').unwrap_or(unsigned).starts_with(|first: char| first.is_ascii_digit())
}

/// Reads a word for which [`looks_like_number`] returns true.
pub(crate) fn number(word: &str) -> Result<Number, NumberError> {
    let sign = if word.starts_with('-') { "-" } else { "" };
    let start = usize::from(word.starts_with(['+', '-']));
    let radix = match word.get(start..start + 2) {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => return decimal(word, sign, start),
    };
    radix_integer(word, sign, start + 2, radix).map(Number::Integer)
}

fn radix_integer(word: &str, sign: &str, start: usize, radix: u32) -> Result<Integer, NumberError> {
    let end = digits(word, start, radix)?;
    if let Some(found) = word[end..].chars().next() {
        let kind = radix_name(radix);
        return Err(error(end, format!("Expected {kind} digits, found `{found}`"), radix_help(radix)));
    }
    let values: Vec<u32> = word[start..].chars().filter_map(|digit| digit.to_digit(radix)).collect();
    if values.len() > MAX_RADIX_DIGITS {
        let message = format!("Expected at most {MAX_RADIX_DIGITS} digits, found {}", values.len());
        return Err(error(start, message, "Write the number in decimal, which has no such limit"));
    }
    Ok(integer(sign, &to_decimal(&values, radix)))
}

/// Least significant nine digits first, so that a carry is appended.
fn to_decimal(values: &[u32], radix: u32) -> String {
    const LIMB: u64 = 1_000_000_000;
    let mut limbs: Vec<u32> = Vec::new();
    for &value in values {
        let mut carry = u64::from(value);
        for limb in &mut limbs {
            let product = u64::from(*limb) * u64::from(radix) + carry;
            *limb = u32::try_from(product % LIMB).expect("a remainder of 10^9 fits");
            carry = product / LIMB;
        }
        if carry > 0 {
            limbs.push(u32::try_from(carry).expect("a carry is less than the radix"));
        }
    }
    limbs.iter().rev().map(|limb| format!("{limb:09}")).collect()
}

fn decimal(word: &str, sign: &str, start: usize) -> Result<Number, NumberError> {
    if word[start..].starts_with('.') {
        let help = "Write a `0` before the dot";
        return Err(error(start, "Expected a digit before `.`".to_owned(), help));
    }
    let mut end = digits(word, start, 10)?;
    let whole = integer(sign, &plain(&word[start..end]));
    let mut text = if whole.0 == "0" { format!("{sign}0") } else { whole.0.clone() };
    let mut is_float = false;
    if word[end..].starts_with('.') {
        let fraction = end + 1;
        end = digits(word, fraction, 10)?;
        text.push('.');
        text.push_str(&plain(&word[fraction..end]));
        is_float = true;
    }
    if word[end..].starts_with(['e', 'E']) {
        let sign_at = end + 1;
        let exponent_sign = if word[sign_at..].starts_with('-') { '-' } else { '+' };
        let exponent = sign_at + usize::from(word[sign_at..].starts_with(['+', '-']));
        end = digits(word, exponent, 10)?;
        text.push('E');
        text.push(exponent_sign);
        text.push_str(without_zeros(&plain(&word[exponent..end])));
        is_float = true;
    }
    if let Some(found) = word[end..].chars().next() {
        return Err(after_number(end, found));
    }
    Ok(if is_float { Number::Float(Float(text)) } else { Number::Integer(whole) })
}

fn after_number(offset: usize, found: char) -> NumberError {
    let help = match found {
        '.' => "A number has at most one dot",
        'e' | 'E' => "A number has at most one exponent",
        'X' | 'O' | 'B' => "The prefixes `0x`, `0o` and `0b` are written in lower case",
        _ => "A number has no unit and no letters",
    };
    error(offset, format!("Expected the number to end, found `{found}`"), help)
}

/// The end of the digits and underscores from `start` on; the first must be a digit.
fn digits(word: &str, start: usize, radix: u32) -> Result<usize, NumberError> {
    let rest = &word[start..];
    let found = rest.chars().next();
    if !found.is_some_and(|first| first.is_digit(radix)) {
        let found = found.map_or_else(|| "the end of the number".to_owned(), |first| format!("`{first}`"));
        let message = format!("Expected a {} digit, found {found}", radix_name(radix));
        return Err(error(start, message, radix_help(radix)));
    }
    let len = rest.find(|next: char| !next.is_digit(radix) && next != '_').unwrap_or(rest.len());
    Ok(start + len)
}

const fn radix_name(radix: u32) -> &'static str {
    match radix {
        2 => "binary",
        8 => "octal",
        16 => "hexadecimal",
        _ => "decimal",
    }
}

const fn radix_help(radix: u32) -> &'static str {
    match radix {
        2 => "Binary digits are `0` and `1`",
        8 => "Octal digits are `0` to `7`",
        16 => "Hexadecimal digits are `0` to `9` and `a` to `f`",
        _ => "Numbers look like `10`, `1_000`, `-2.5` or `1e10`",
    }
}

const fn error(offset: usize, message: String, help: &'static str) -> NumberError {
    NumberError { offset, message, help }
}

fn plain(digits: &str) -> String {
    digits.replace('_', "")
}

fn without_zeros(digits: &str) -> &str {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }
}

fn integer(sign: &str, digits: &str) -> Integer {
    match without_zeros(digits) {
        "0" => Integer("0".to_owned()),
        digits => Integer(format!("{sign}{digits}")),
    }
}
