//! Reads the canonical text of tensor expressions back, so that a worker can do a step of which it has only the command.
//!
//! The text is foreign: its length and its depth are bounded, and whatever does not read is an error that says where.
//! Only canonical text is read, so what was read is written as the same text again.
//!
//! The texts are written in [`crate::expression`], [`crate::adapter_expression`] and [`crate::blend`]. Whether a step is
//! possible with the inputs that it gets is for the evaluation to say.

use mc_tensor::dtype::DType;

use crate::adapter_expression::AdapterExpr;
use crate::blend::{self, Blend, Formula, Keep, Term};
use crate::expression::TensorExpr;

/// The longest text: that of a stack of a thousand experts, each blended of several models, is shorter.
const MAX_BYTES: usize = 4 << 20;
/// The deepest nesting: an adapter adds two.
const MAX_DEPTH: usize = 200;
/// How much of what was found a message shows.
const SHOWN_CHARS: usize = 20;

/// The codec of a name, with the name as its table has it.
pub type CodecNames<'a> = &'a dyn Fn(&str) -> Option<&'static str>;

/// The text is no tensor expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Tensor expression, byte {at}: expected {expected}, found {found}")]
pub struct ExpressionError {
    /// The byte at which it stops making sense.
    pub at: usize,
    /// What belongs there.
    pub expected: &'static str,
    /// What stands there.
    pub found: String,
}

impl TensorExpr {
    /// Reads the canonical text of an expression.
    ///
    /// * `codecs`: which codecs there are
    ///
    /// # Errors
    /// [`ExpressionError`] when it is no such text.
    pub fn parse(text: &str, codecs: CodecNames<'_>) -> Result<Self, ExpressionError> {
        let mut parser = Parser { text, at: 0, depth: 0, codecs };
        if text.len() > MAX_BYTES {
            return Err(parser.error("at most 4 MiB of text"));
        }
        let expression = parser.expression()?;
        if parser.rest().is_empty() { Ok(expression) } else { Err(parser.error("the end")) }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    codecs: CodecNames<'a>,
}

type Parsed<T> = Result<T, ExpressionError>;

impl<'a> Parser<'a> {
    fn expression(&mut self) -> Parsed<TensorExpr> {
        if self.depth == MAX_DEPTH {
            return Err(self.error("at most 200 steps within each other"));
        }
        self.depth += 1;
        let start = self.at;
        let word = self.word("a step")?;
        let expression = match word {
            "linear" | "slerp" | "deltas" => TensorExpr::Blend(Box::new(self.blend(word)?)),
            _ => {
                self.eat("(", "`(`")?;
                match self.step(word)? {
                    Some(expression) => expression,
                    None => {
                        self.at = start;
                        return Err(self.error("a step such as `load`"));
                    }
                }
            }
        };
        self.eat(")", "`)`")?;
        self.depth -= 1;
        Ok(expression)
    }

    /// What stands between the parentheses of a step; `None` for a word that is none.
    fn step(&mut self, word: &str) -> Parsed<Option<TensorExpr>> {
        Ok(Some(match word {
            "load" => {
                let input = self.input()?;
                let dtype = self.then(Self::dtype)?;
                TensorExpr::Load { input, dtype, shape: self.then(Self::shape)? }
            }
            "decode" => {
                let input = self.input()?;
                let codec = self.then(Self::codec)?;
                TensorExpr::Decode { input, codec, shape: self.then(Self::shape)? }
            }
            "literal" => {
                let mut values = Vec::new();
                while !self.rest().starts_with(')') {
                    values.push(self.float()?);
                }
                TensorExpr::Literal { values }
            }
            "add_low_rank" => {
                let (of, up, down) = (self.boxed()?, self.then(Self::boxed)?, self.then(Self::boxed)?);
                TensorExpr::AddLowRank { of, up, down, scale: self.then(Self::float)? }
            }
            "cast" => TensorExpr::Cast { dtype: self.dtype()?, of: self.then(Self::boxed)? },
            "permute" => TensorExpr::PermuteHeads { n_heads: self.positive()?, of: self.then(Self::boxed)? },
            "half_split" => {
                TensorExpr::HalfSplitHeads { n_heads: self.positive()?, of: self.then(Self::boxed)? }
            }
            "add" => TensorExpr::AddConstant { value: self.float()?, of: self.then(Self::boxed)? },
            "scale_blocks" => {
                self.eat("[", "`[`")?;
                let block = [self.positive()?, self.then(Self::positive)?];
                self.eat("]", "`]`")?;
                let scales = self.then(Self::boxed)?;
                TensorExpr::ScaleBlocks { of: self.then(Self::boxed)?, scales, block }
            }
            "stack" => {
                let mut of = vec![self.expression()?];
                while self.rest().starts_with(',') {
                    of.push(self.then(Self::expression)?);
                }
                TensorExpr::Stack { of }
            }
            "reshape" => TensorExpr::Reshape { shape: self.shape()?, of: self.then(Self::boxed)? },
            "quantize" => {
                let codec = self.codec()?;
                self.eat("@", "`@` and the codec's version")?;
                let version = self.small_number()?;
                self.eat(", ", "`, `")?;
                let importance = if self.rest().starts_with('$') {
                    let input = self.input()?;
                    self.eat(", ", "`, `")?;
                    Some(input)
                } else {
                    None
                };
                TensorExpr::Quantize { codec, version, importance, of: self.boxed()? }
            }
            _ => return Ok(self.adapter_step(word)?.map(TensorExpr::Adapter)),
        }))
    }

    fn adapter_step(&mut self, word: &str) -> Parsed<Option<AdapterExpr>> {
        Ok(Some(match word {
            "normalize_rows" => {
                AdapterExpr::NormalizeRows { of: self.boxed()?, magnitude: self.then(Self::boxed)? }
            }
            "normalize_columns" => {
                AdapterExpr::NormalizeColumns { of: self.boxed()?, magnitude: self.then(Self::boxed)? }
            }
            "replace_rows" => {
                let (of, rows) = (self.boxed()?, self.then(Self::numbers)?);
                AdapterExpr::ReplaceRows { of, rows, with: self.then(Self::boxed)? }
            }
            "add_stacked" => {
                let (of, up, down) = (self.boxed()?, self.then(Self::boxed)?, self.then(Self::boxed)?);
                let scale = self.then(Self::float)?;
                let orders: &[(&str, bool)] = &[("input-first", true), ("output-first", false)];
                let is_input_first =
                    self.then(|parser| parser.one_of(orders, "`input-first` or `output-first`"))?;
                AdapterExpr::AddStacked { of, up, down, scale, is_input_first }
            }
            "transpose" => AdapterExpr::Transpose { of: self.boxed()? },
            "scale" => AdapterExpr::Scale { of: self.boxed()?, factor: self.then(Self::float)? },
            _ => return Ok(None),
        }))
    }

    /// A blend up to its closing parenthesis.
    fn blend(&mut self, word: &str) -> Parsed<Blend> {
        self.eat("@", "`@` and the formula's version")?;
        let start = self.at;
        if self.small_number()? != blend::VERSION {
            self.at = start;
            return Err(self.error("the version of the formula that this `mc` computes"));
        }
        self.eat("(", "`(`")?;
        let formula = match word {
            "linear" => Formula::Linear { divide: self.truth()? },
            "slerp" => {
                Formula::Slerp { t: f64::from_bits(self.hex(16, "16 hex digits of a number's bits")?) }
            }
            _ => {
                let (elect, divide) = (self.truth()?, self.then(Self::truth)?);
                let lambda = self.then(Self::float)?;
                Formula::Deltas { base: self.then(Self::expression)?, elect, divide, lambda }
            }
        };
        let mut terms = Vec::new();
        while self.rest().starts_with(',') {
            terms.push(self.then(Self::term)?);
        }
        Ok(Blend { formula, terms })
    }

    fn term(&mut self) -> Parsed<Term> {
        self.eat("[", "`[`")?;
        let weight = self.float()?;
        let keep = self.then(Self::keep)?;
        let of = self.then(Self::expression)?;
        self.eat("]", "`]`")?;
        Ok(Term { of, weight, keep })
    }

    fn keep(&mut self) -> Parsed<Keep> {
        let start = self.at;
        let word = self.word("`all`, `largest` or `random`")?;
        if word == "all" {
            return Ok(Keep::All);
        }
        self.eat("(", "`(`")?;
        let keep = match word {
            "largest" => Keep::Largest(self.number()?),
            "random" => {
                let stream = self.hex(16, "16 hex digits of a stream")?;
                let below = self.then(Self::number)?;
                Keep::Random { stream, below, factor: self.then(Self::float)? }
            }
            _ => {
                self.at = start;
                return Err(self.error("`all`, `largest` or `random`"));
            }
        };
        self.eat(")", "`)`")?;
        Ok(keep)
    }

    fn boxed(&mut self) -> Parsed<Box<TensorExpr>> {
        self.expression().map(Box::new)
    }

    /// What comes after a comma.
    fn then<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.eat(", ", "`, `")?;
        read(self)
    }

    fn input(&mut self) -> Parsed<usize> {
        self.eat("$", "`$` and the number of an input")?;
        Ok(self.small_number()? as usize)
    }

    fn dtype(&mut self) -> Parsed<DType> {
        let start = self.at;
        let word = self.word("a type such as `BF16`")?;
        word.parse().map_err(|_| {
            self.at = start;
            self.error("a type such as `BF16`")
        })
    }

    fn codec(&mut self) -> Parsed<&'static str> {
        let start = self.at;
        let word = self.word("a codec such as `Q4_K`")?;
        let name = (self.codecs)(word);
        name.ok_or_else(|| {
            self.at = start;
            self.error("a codec that this `mc` has")
        })
    }

    fn truth(&mut self) -> Parsed<bool> {
        self.one_of(&[("true", true), ("false", false)], "`true` or `false`")
    }

    fn one_of<T: Copy>(&mut self, choices: &[(&str, T)], expected: &'static str) -> Parsed<T> {
        for (word, meaning) in choices {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(*meaning);
            }
        }
        Err(self.error(expected))
    }

    /// Dimensions, of which the product can be counted.
    fn shape(&mut self) -> Parsed<Vec<u64>> {
        let start = self.at;
        let shape = self.numbers()?;
        if shape.iter().try_fold(1_u64, |product, n| product.checked_mul((*n).max(1))).is_none() {
            self.at = start;
            return Err(self.error("a shape with fewer than 2^64 elements"));
        }
        Ok(shape)
    }

    fn numbers(&mut self) -> Parsed<Vec<u64>> {
        self.eat("[", "`[`")?;
        let mut numbers = Vec::new();
        if !self.rest().starts_with(']') {
            numbers.push(self.number()?);
            while self.rest().starts_with(',') {
                numbers.push(self.then(Self::number)?);
            }
        }
        self.eat("]", "`]`")?;
        Ok(numbers)
    }

    fn positive(&mut self) -> Parsed<u64> {
        let start = self.at;
        let number = self.number()?;
        if number == 0 {
            self.at = start;
            return Err(self.error("a number above 0"));
        }
        Ok(number)
    }

    fn small_number(&mut self) -> Parsed<u32> {
        let start = self.at;
        u32::try_from(self.number()?).map_err(|_| {
            self.at = start;
            self.error("a number below 2^32")
        })
    }

    /// A number as it is written: without a sign or zeros before it.
    fn number(&mut self) -> Parsed<u64> {
        let digits = self.taken(|byte| byte.is_ascii_digit());
        let is_canonical = digits == "0" || !digits.starts_with('0');
        match digits.parse().ok().filter(|_| is_canonical) {
            Some(number) => Ok(number),
            None => {
                self.at -= digits.len();
                Err(self.error("a number below 2^64 without zeros before it"))
            }
        }
    }

    fn float(&mut self) -> Parsed<f32> {
        let bits = self.hex(8, "8 hex digits of a number's bits")?;
        Ok(f32::from_bits(u32::try_from(bits).expect("8 hex digits are 32 bits")))
    }

    fn hex(&mut self, n_digits: usize, expected: &'static str) -> Parsed<u64> {
        let digits = self.rest().get(..n_digits).filter(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        });
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| self.error(expected))?;
        self.at += n_digits;
        Ok(number)
    }

    fn word(&mut self, expected: &'static str) -> Parsed<&'a str> {
        let word = self.taken(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if word.is_empty() { Err(self.error(expected)) } else { Ok(word) }
    }

    /// The longest stretch of such bytes, which are ASCII.
    fn taken(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !is_wanted(byte)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn eat(&mut self, text: &str, expected: &'static str) -> Parsed<()> {
        if !self.rest().starts_with(text) {
            return Err(self.error(expected));
        }
        self.at += text.len();
        Ok(())
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, expected: &'static str) -> ExpressionError {
        let shown: String = self.rest().chars().take(SHOWN_CHARS).collect();
        let found = if shown.is_empty() { "the end".to_owned() } else { format!("`{shown}`") };
        ExpressionError { at: self.at, expected, found }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CODECS: [&str; 3] = ["Q4_K", "IQ2_XXS", "F32"];

    fn parse(text: &str) -> Result<TensorExpr, ExpressionError> {
        TensorExpr::parse(text, &|name| CODECS.into_iter().find(|codec| *codec == name))
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn errors_say_where_and_what_was_expected() {
        assert_eq!(
            message("cast(BF16, lead($0, F32, [4]))"),
            "Tensor expression, byte 11: expected a step such as `load`, found `lead($0, F32, [4]))`"
        );
        assert_eq!(
            message("load($0, F33, [4])"),
            "Tensor expression, byte 9: expected a type such as `BF16`, found `F33, [4])`"
        );
        assert_eq!(
            message("load($0, F32, [04])"),
            "Tensor expression, byte 15: expected a number below 2^64 without zeros before it, found `04])`"
        );
        assert_eq!(message("load($0, F32"), "Tensor expression, byte 12: expected `, `, found the end");
        assert_eq!(
            message("decode($0, Q9_K, [4])"),
            "Tensor expression, byte 11: expected a codec that this `mc` has, found `Q9_K, [4])`"
        );
        assert_eq!(
            message("linear@2(true)"),
            "Tensor expression, byte 7: expected the version of the formula that this `mc` computes, found `2(true)`"
        );
    }

    #[test]
    fn what_would_divide_by_zero_or_cannot_be_counted_is_refused() {
        for text in [
            "permute(0, load($0, F32, [4]))",
            "half_split(0, load($0, F32, [4]))",
            "scale_blocks([0, 1], load($1, F32, [1]), load($0, F32, [4, 4]))",
            "load($0, F32, [4294967296, 4294967296])",
            "load($4294967296, F32, [4])",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let nested = |depth| format!("{}load($0, F32, [4]){}", "cast(F32, ".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH - 1)).is_ok());
        assert!(message(&nested(MAX_DEPTH)).contains("at most 200 steps within each other"));
        assert!(message(&nested(100_000)).contains("at most 200 steps within each other"));
        assert!(message(&"x".repeat(MAX_BYTES + 1)).contains("at most 4 MiB"));
    }

    fn any_dtype() -> impl Strategy<Value = DType> {
        prop::sample::select(vec![DType::F32, DType::F16, DType::BF16, DType::F8E4M3, DType::Bool])
    }

    fn any_float() -> impl Strategy<Value = f32> {
        any::<u32>().prop_map(f32::from_bits)
    }

    fn any_shape() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(0_u64..60_000, 0..4)
    }

    fn any_input() -> impl Strategy<Value = usize> {
        0_usize..4_000_000
    }

    fn leaf() -> impl Strategy<Value = TensorExpr> {
        let codec = prop::sample::select(CODECS.to_vec());
        prop_oneof![
            (any_input(), any_dtype(), any_shape()).prop_map(|(input, dtype, shape)| TensorExpr::Load {
                input,
                dtype,
                shape
            }),
            (any_input(), codec, any_shape()).prop_map(|(input, codec, shape)| TensorExpr::Decode {
                input,
                codec,
                shape
            }),
            prop::collection::vec(any_float(), 0..5).prop_map(|values| TensorExpr::Literal { values }),
        ]
    }

    fn any_keep() -> impl Strategy<Value = Keep> {
        prop_oneof![
            Just(Keep::All),
            any::<u64>().prop_map(Keep::Largest),
            (any::<u64>(), any::<u64>(), any_float()).prop_map(|(stream, below, factor)| Keep::Random {
                stream,
                below,
                factor
            }),
        ]
    }

    fn any_blend(of: BoxedStrategy<TensorExpr>) -> impl Strategy<Value = TensorExpr> {
        let formula = prop_oneof![
            any::<bool>().prop_map(|divide| Formula::Linear { divide }),
            any::<u64>().prop_map(|bits| Formula::Slerp { t: f64::from_bits(bits) }),
            (of.clone(), any::<bool>(), any::<bool>(), any_float())
                .prop_map(|(base, elect, divide, lambda)| Formula::Deltas { base, elect, divide, lambda }),
        ];
        let term = (of, any_float(), any_keep()).prop_map(|(of, weight, keep)| Term { of, weight, keep });
        (formula, prop::collection::vec(term, 0..3))
            .prop_map(|(formula, terms)| TensorExpr::Blend(Box::new(Blend { formula, terms })))
    }

    fn any_adapter(of: BoxedStrategy<TensorExpr>) -> impl Strategy<Value = TensorExpr> {
        let boxed = of.prop_map(Box::new).boxed();
        let (one, two, three) = (boxed.clone(), boxed.clone(), boxed);
        let rows = prop::collection::vec(any::<u64>(), 0..4);
        prop_oneof![
            (one.clone(), two.clone())
                .prop_map(|(of, magnitude)| AdapterExpr::NormalizeRows { of, magnitude }),
            (one.clone(), two.clone())
                .prop_map(|(of, magnitude)| AdapterExpr::NormalizeColumns { of, magnitude }),
            (one.clone(), rows, two.clone()).prop_map(|(of, rows, with)| AdapterExpr::ReplaceRows {
                of,
                rows,
                with
            }),
            (one.clone(), two, three, any_float(), any::<bool>()).prop_map(
                |(of, up, down, scale, is_input_first)| AdapterExpr::AddStacked {
                    of,
                    up,
                    down,
                    scale,
                    is_input_first
                }
            ),
            one.clone().prop_map(|of| AdapterExpr::Transpose { of }),
            (one, any_float()).prop_map(|(of, factor)| AdapterExpr::Scale { of, factor }),
        ]
        .prop_map(TensorExpr::Adapter)
    }

    fn any_expression() -> impl Strategy<Value = TensorExpr> {
        leaf().prop_recursive(4, 24, 3, |inner| {
            let inner = inner.boxed();
            let boxed = inner.clone().prop_map(Box::new).boxed();
            let (one, two, three) = (boxed.clone(), boxed.clone(), boxed);
            let codec = prop::sample::select(CODECS.to_vec());
            prop_oneof![
                any_blend(inner.clone()),
                any_adapter(inner.clone()),
                (one.clone(), two.clone(), three, any_float())
                    .prop_map(|(of, up, down, scale)| TensorExpr::AddLowRank { of, up, down, scale }),
                (any_dtype(), one.clone()).prop_map(|(dtype, of)| TensorExpr::Cast { dtype, of }),
                (1_u64.., one.clone()).prop_map(|(n_heads, of)| TensorExpr::PermuteHeads { n_heads, of }),
                (1_u64.., one.clone()).prop_map(|(n_heads, of)| TensorExpr::HalfSplitHeads { n_heads, of }),
                (any_float(), one.clone()).prop_map(|(value, of)| TensorExpr::AddConstant { value, of }),
                (one.clone(), two, [1_u64.., 1_u64..])
                    .prop_map(|(of, scales, block)| TensorExpr::ScaleBlocks { of, scales, block }),
                prop::collection::vec(inner, 1..4).prop_map(|of| TensorExpr::Stack { of }),
                (any_shape(), one.clone()).prop_map(|(shape, of)| TensorExpr::Reshape { shape, of }),
                (codec, any::<u32>(), prop::option::of(any_input()), one).prop_map(
                    |(codec, version, importance, of)| TensorExpr::Quantize {
                        codec,
                        version,
                        importance,
                        of
                    }
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(expression in any_expression()) {
            let text = expression.to_string();
            let read = parse(&text).unwrap();
            prop_assert_eq!(&read.to_string(), &text);
            // Numbers that are none are not equal to themselves; their bits are in the text.
            let debug = format!("{expression:?}");
            prop_assert_eq!(format!("{read:?}"), debug);
        }

        #[test]
        fn changed_text_never_panics(
            expression in any_expression(),
            at in any::<prop::sample::Index>(),
            with in "[a-z0-9@$(),\\[\\] é]{0,3}",
            n_cut in 0_usize..4,
        ) {
            let text: Vec<char> = expression.to_string().chars().collect();
            let at = at.index(text.len());
            let end = (at + n_cut).min(text.len());
            let changed: String =
                text[..at].iter().copied().chain(with.chars()).chain(text[end..].iter().copied()).collect();
            if let Ok(read) = parse(&changed) {
                prop_assert_eq!(read.to_string(), changed);
            }
        }

        #[test]
        fn any_text_is_refused_or_read_but_never_panics(text in "\\PC{0,60}") {
            prop_assert!(parse(&text).is_ok() || parse(&text).is_err());
        }
    }
}
