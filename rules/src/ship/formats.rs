//! The table of formats that `model` can write: their rules, their words and their attributes. To add one, write a rule
//! in `export` and a row here.

use mc_encoding::codecs;
use mc_ir::rule::Rule;
use mc_ir::schema::NodeSchema;

use crate::export::gguf::{self, Gguf};
use crate::export::gguf_split::MAX_FILE_SIZE;
use crate::export::litert::{self, Litert};
use crate::export::mlx::{self, Mlx};
use crate::export::onnx::{self, Onnx};
use crate::export::planned_export::{ALLOW, CONTEXT, SOLVER};
use crate::quantize::type_rules;

/// A format, as `model` uses it.
pub(crate) struct Format {
    /// Its name, which is also the name of its rule.
    pub(crate) name: &'static str,
    /// The words of `quantize`.
    pub(crate) quantizations: fn() -> Vec<&'static str>,
    /// The words of `tensor-type` and the like.
    pub(crate) types: fn() -> Vec<&'static str>,
    /// The attributes that `model` passes on, besides `model`, `quantize`, `imatrix` and those of every rule.
    pub(crate) attributes: &'static [&'static NodeSchema],
    /// True if its rule has a default for `quantize`.
    pub(crate) has_default: bool,
    /// The encoding of an export whose format a device selects, if the rule has no default.
    pub(crate) default: Option<&'static str>,
    /// Its rule.
    pub(crate) rule: &'static dyn Rule,
}

/// Every format, in the order of the manual.
pub(crate) static FORMATS: &[Format] = &[
    Format {
        name: gguf::NAME,
        quantizations: gguf::recipes_and_copy,
        types: codecs::names,
        attributes: &[
            &type_rules::TENSOR_TYPE,
            &type_rules::TENSOR_TYPES,
            &type_rules::OUTPUT_TYPE,
            &type_rules::EMBEDDING_TYPE,
            &type_rules::PURE,
            &MAX_FILE_SIZE,
        ],
        has_default: false,
        default: Some("Q4_K_M"),
        rule: &Gguf,
    },
    Format {
        name: mlx::NAME,
        quantizations: mlx::words,
        types: mlx::words,
        attributes: &[
            &mlx::TENSOR_TYPE,
            &mlx::OUTPUT_TYPE,
            &mlx::EMBEDDING_TYPE,
            &SOLVER,
            &mlx::DTYPE,
            &mlx::SHORT_CONTEXT,
            &ALLOW,
        ],
        has_default: true,
        default: None,
        rule: &Mlx,
    },
    Format {
        name: onnx::NAME,
        quantizations: onnx::words,
        types: onnx::words,
        attributes: &[
            &type_rules::TENSOR_TYPE,
            &type_rules::OUTPUT_TYPE,
            &type_rules::EMBEDDING_TYPE,
            &SOLVER,
            &CONTEXT,
            &ALLOW,
            &onnx::ACTIVATIONS,
            &onnx::ACCURACY_LEVEL,
        ],
        has_default: true,
        default: None,
        rule: &Onnx,
    },
    Format {
        name: litert::NAME,
        quantizations: litert::words,
        types: litert::words,
        attributes: &[
            &type_rules::TENSOR_TYPE,
            &type_rules::OUTPUT_TYPE,
            &type_rules::EMBEDDING_TYPE,
            &SOLVER,
            &CONTEXT,
            &litert::CONTAINER,
            &litert::PREFILL,
            &litert::ACTIVATION_BITS,
            &ALLOW,
        ],
        has_default: true,
        default: None,
        rule: &Litert,
    },
];

/// The format with this name.
pub(crate) fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// The names of all formats.
pub(crate) fn names() -> Vec<&'static str> {
    FORMATS.iter().map(|format| format.name).collect()
}

/// The words of `quantize` in any format.
pub(crate) fn quantizations() -> Vec<&'static str> {
    each_once(FORMATS.iter().flat_map(|format| (format.quantizations)()))
}

/// The words of `tensor-type` in any format.
pub(crate) fn types() -> Vec<&'static str> {
    each_once(FORMATS.iter().flat_map(|format| (format.types)()))
}

fn each_once(words: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut found: Vec<&str> = Vec::new();
    for word in words {
        if !found.contains(&word) {
            found.push(word);
        }
    }
    found
}
