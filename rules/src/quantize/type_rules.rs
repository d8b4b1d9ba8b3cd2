//! The types that a declaration sets for single tensors, as rules: the tensors, the type, and the location.
//!
//! | attribute | tensors |
//! |---|---|
//! | `tensor-type` | those whose names match a regular expression |
//! | `tensor-types` | the same from a file with many `pattern=TYPE`, as llama.cpp's `--tensor-type-file` |
//! | `output-type` | the output; if there is none, the embedding that is also the output |
//! | `embedding-type` | the token embedding |
//!
//! This module only reads rules: [`crate::quantize::tensor_types`] applies them.

use mc_encoding::codec::Codec;
use mc_encoding::codecs;
use mc_ir::attribute::{Place, Record};
use mc_ir::rule::RuleContext;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, NodeSchema, ValueKind};
use mc_tensor::model_tensor::ModelTensor;
use regex::{Regex, RegexBuilder};

use crate::attributes::{shown_path, source_error};

const fn node(name: &'static str, doc: &'static str, arguments: Arguments) -> NodeSchema {
    NodeSchema { name, doc, arguments, properties: &[], children: &[] }
}

/// For the rule `gguf` and for `model`.
pub(crate) static TENSOR_TYPE: NodeSchema = node(
    "tensor-type",
    "The type of the tensors whose GGUF names match a regular expression.",
    Arguments::Two(ValueKind::Text, ValueKind::OneOf(codecs::names)),
);

/// For the rule `gguf` and for `model`.
pub(crate) static TENSOR_TYPES: NodeSchema = node(
    "tensor-types",
    "A file of `pattern=TYPE` entries, in the format of llama.cpp.",
    Arguments::One(ValueKind::Path),
);

/// For the rule `gguf` and for `model`.
pub(crate) static OUTPUT_TYPE: NodeSchema = node(
    "output-type",
    "The type of the output; in a model without an output of its own, of the embedding. By default the recipe's choice.",
    Arguments::One(ValueKind::OneOf(codecs::names)),
);

/// For the rule `gguf` and for `model`.
pub(crate) static EMBEDDING_TYPE: NodeSchema = node(
    "embedding-type",
    "The type of the token embedding; by default the recipe's choice.",
    Arguments::One(ValueKind::OneOf(codecs::names)),
);

/// For the rule `gguf` and for `model`.
pub(crate) static PURE: NodeSchema = node(
    "pure",
    "Uses the recipe's main type for all other tensors, including embedding and output.",
    Arguments::One(ValueKind::Bool),
);

/// All attributes of this module.
pub(crate) static ALL: &[&NodeSchema] = &[&TENSOR_TYPE, &TENSOR_TYPES, &OUTPUT_TYPE, &EMBEDDING_TYPE, &PURE];

/// A rule that sets the type of some tensors.
#[derive(Debug)]
pub(crate) struct TypeRule {
    /// The tensors.
    pub(crate) selects: Selects,
    /// The type.
    pub(crate) codec: &'static Codec,
    /// Name of the rule in messages: `tensor-type "ffn_down"`, `models/types.txt:3`.
    pub(crate) shown: String,
    /// The file that contains it, unless that is the KDL file itself.
    pub(crate) file: Option<String>,
    /// Location at which the tensors are named.
    pub(crate) place: Place,
    /// Location at which the type is named.
    pub(crate) codec_place: Place,
}

/// The tensors of a rule.
#[derive(Debug)]
pub(crate) enum Selects {
    /// Those whose names match a pattern.
    Matching {
        /// The pattern as written.
        pattern: String,
        /// The compiled pattern.
        regex: Regex,
    },
    /// A single tensor.
    One(ModelTensor),
}

impl TypeRule {
    /// Creates an error of this rule.
    pub(crate) fn rule_error(&self, place: Place, code: &'static str, message: String) -> RuleError {
        let rule_error = RuleError::new(place, code, message);
        match &self.file {
            Some(file) => rule_error.file(file.clone()),
            None => rule_error,
        }
    }
}

/// Returns the rules of a declaration in the order in which they are written, and the errors of those that
/// cannot be read. Both are returned because the readable rules may have errors of another kind, which are
/// reported together.
///
/// * `head`: the tensor that `output-type` sets
pub(crate) fn type_rules(ctx: &dyn RuleContext, head: ModelTensor) -> (Vec<TypeRule>, Vec<RuleError>) {
    let record = ctx.record();
    let mut rules = Vec::new();
    let mut rule_errors = Vec::new();
    for node in record.children(TENSOR_TYPE.name) {
        match written_rule(node) {
            Ok(rule) => rules.extend(rule),
            Err(rule_error) => rule_errors.push(rule_error),
        }
    }
    for (schema, tensor) in [(&OUTPUT_TYPE, head), (&EMBEDDING_TYPE, ModelTensor::TokenEmbedding)] {
        rules.extend(record.child(schema.name).and_then(|node| rule_of_one(node, schema.name, tensor)));
    }
    for node in record.children(TENSOR_TYPES.name) {
        rules_of_file(ctx, node, &mut rules, &mut rule_errors);
    }
    rules.sort_by_key(|rule| rule.place);
    (rules, rule_errors)
}

/// Reads `tensor-type "pattern" "TYPE"`; returns `None` if the schema has refused it already.
fn written_rule(node: &Record) -> Result<Option<TypeRule>, RuleError> {
    let [pattern, codec] = node.arguments.as_slice() else { return Ok(None) };
    let (Some(text), Some(codec_name)) = (pattern.value.as_text(), codec.value.as_text()) else {
        return Ok(None);
    };
    let selects = matching(text)
        .map_err(|reason| RuleError::new(pattern.place, "gguf::pattern", reason).help(PATTERN_HELP))?;
    Ok(codecs::by_name(codec_name).map(|found| TypeRule {
        selects,
        codec: found,
        shown: format!("tensor-type \"{text}\""),
        file: None,
        place: pattern.place,
        codec_place: codec.place,
    }))
}

fn rule_of_one(node: &Record, name: &str, tensor: ModelTensor) -> Option<TypeRule> {
    let codec = node.argument()?;
    let found = codec.value.as_text().and_then(codecs::by_name)?;
    let (place, codec_place) = (codec.place, codec.place);
    let selects = Selects::One(tensor);
    Some(TypeRule { selects, codec: found, shown: name.to_owned(), file: None, place, codec_place })
}

fn rules_of_file(
    ctx: &dyn RuleContext,
    node: &Record,
    rules: &mut Vec<TypeRule>,
    rule_errors: &mut Vec<RuleError>,
) {
    let Some((path, place)) = node.argument().and_then(|path| Some((path.value.as_text()?, path.place)))
    else {
        return;
    };
    let bytes = match ctx.read(path) {
        Ok(bytes) => bytes,
        Err(error) => return rule_errors.push(source_error(place, "gguf::tensor-types", &error)),
    };
    let file = shown_path(ctx, path);
    let rule_error = |message| RuleError::new(place, "gguf::tensor-types", message).file(file.clone());
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return rule_errors
            .push(rule_error(format!("`{file}` is not text: expected `pattern=TYPE` in each line")));
    };
    for (line_idx, line) in text.lines().enumerate() {
        let shown = format!("{file}:{}", line_idx + 1);
        // Any white space separates entries, as in llama.cpp.
        for word in line.split_whitespace() {
            match parse(word) {
                Ok((selects, codec)) => rules.push(TypeRule {
                    selects,
                    codec,
                    shown: shown.clone(),
                    file: Some(file.clone()),
                    place,
                    codec_place: place,
                }),
                Err((reason, help)) => {
                    rule_errors.push(rule_error(format!("`{shown}`: {reason}")).help(help));
                }
            }
        }
    }
}

/// Reads `pattern=TYPE`; the error is a message and a help text.
fn parse(word: &str) -> Result<(Selects, &'static Codec), (String, String)> {
    let Some((pattern, name)) = word.split_once('=') else {
        let reason = format!("Expected `pattern=TYPE`, found `{word}`");
        return Err((reason, "Write for instance `ffn_down=Q6_K`".to_owned()));
    };
    let selects = matching(pattern).map_err(|reason| (reason, PATTERN_HELP.to_owned()))?;
    // Files for llama.cpp mostly use lower case.
    let codec = codecs::CODECS.iter().copied().find(|codec| codec.name.eq_ignore_ascii_case(name));
    let codec = codec.ok_or_else(|| {
        let reason = format!("There is no type `{name}` for the pattern `{pattern}`");
        (reason, format!("Known: `{}`", codecs::names().join("`, `")))
    })?;
    Ok((selects, codec))
}

const PATTERN_HELP: &str = r"Write a regular expression that matches names such as `blk.3.ffn_down.weight`: `ffn_down`, `blk\.[0-3]\.`";

/// Compiles a pattern; the error is a message. Case is ignored because names are all lower case.
fn matching(pattern: &str) -> Result<Selects, String> {
    if pattern.is_empty() {
        return Err("The pattern is empty".to_owned());
    }
    let regex = RegexBuilder::new(pattern).case_insensitive(true).build().map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        format!("`{pattern}` is not a regular expression: {reason}")
    })?;
    Ok(Selects::Matching { pattern: pattern.to_owned(), regex })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_file_are_patterns_and_types() {
        let (selects, codec) = parse("ffn_down=q6_k").unwrap();
        assert!(matches!(selects, Selects::Matching { pattern, .. } if pattern == "ffn_down"));
        assert_eq!(codec.name, "Q6_K");
    }

    #[test]
    fn an_invalid_rule_is_reported_with_the_reason() {
        let reason = |word| parse(word).unwrap_err().0;
        assert_eq!(reason("ffn_down"), "Expected `pattern=TYPE`, found `ffn_down`");
        assert_eq!(reason("=Q6_K"), "The pattern is empty");
        assert_eq!(reason("(=Q6_K"), "`(` is not a regular expression: unclosed group");
        assert_eq!(reason("ffn=INT4"), "There is no type `INT4` for the pattern `ffn`");
    }
}
