//! The pre-tokenizers that llama.cpp knows by name: their expressions, and whether whole words are looked up before
//! merging.
//!
//! Many names share one expression, because llama.cpp names models, not rules. Among several rows, the first whose
//! architectures include the model's wins, then the first without architectures; among rows with the same expression,
//! those with the same `ignore_merges` come first. So a model gets the name that the reference converter gives to the
//! family's well-known releases: `lfm2` for LFM2, `refact` for Granite 3, `dbrx` for OLMo 2 and Phi-4.
//!
//! Source: `llama-vocab.cpp` of llama.cpp for names and flags. The expressions are those in the models' own
//! `tokenizer.json`; llama.cpp rewrites them for its own engine.

use mc_decoder::pre_tokenizer::{Cut, DIGIT, GPT2, PreTokenizer};
use mc_exporter::format_error::FormatError;

/// A name and its meaning.
#[derive(Debug)]
struct Row {
    name: &'static str,
    expressions: &'static [&'static str],
    /// The architectures that use this name for the expressions; empty means all others.
    architectures: &'static [&'static str],
    ignore_merges: bool,
}

/// The name in SentencePiece files, which have no pre-tokenizer.
pub(crate) const NO_NAME: &str = "default";

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK3: &[&str] = &[
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
];
const BAILING: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";
const SEED: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";

/// Every pre-tokenizer. To add one, add a row.
const PRE_TOKENIZERS: &[Row] = &[
    row("lfm2", &[LLAMA3], &["lfm2"]).whole_words(),
    row("llama-bpe", &[LLAMA3], &[]).whole_words(),
    row("dbrx", &[LLAMA3], &[]),
    row("smaug-bpe", &[LLAMA3], &READ_ONLY),
    row("chatglm-bpe", &[LLAMA3], &READ_ONLY),
    row("glm4", &[LLAMA3], &READ_ONLY).whole_words(),
    row("llama3", &[LLAMA3], &READ_ONLY).whole_words(),
    row("llama-v3", &[LLAMA3], &READ_ONLY).whole_words(),
    row("falcon3", &[LLAMA3], &READ_ONLY).whole_words(),
    row("falcon-h1", &[LLAMA3], &READ_ONLY).whole_words(),
    row("pixtral", &[LLAMA3], &READ_ONLY).whole_words(),
    row("midm-2.0", &[LLAMA3], &READ_ONLY).whole_words(),
    row("jina-v5-nano", &[LLAMA3], &READ_ONLY).whole_words(),
    row("qwen2", &[QWEN2], &[]),
    row("stablelm2", &[QWEN2], &["stablelm"]),
    row("deepseek-r1-qwen", &[QWEN2], &READ_ONLY),
    row("megrez", &[QWEN2], &READ_ONLY),
    row("kormo", &[QWEN2], &READ_ONLY),
    row("f2llmv2", &[QWEN2], &READ_ONLY),
    row("hunyuan", &[QWEN2], &READ_ONLY),
    row("grok-2", &[QWEN2], &READ_ONLY),
    row("solar-open", &[QWEN2], &READ_ONLY),
    row("qwen35", &[QWEN35], &[]),
    row("gpt-2", &[GPT2], &[]),
    row("olmo", &[GPT2], &["olmo"]),
    row("mpt", &[GPT2], &["mpt"]),
    row("phi-2", &[GPT2], &["phi2"]),
    row("jais", &[GPT2], &["jais"]),
    row("exaone4", &[GPT2], &["exaone4"]),
    row("trillion", &[GPT2], &READ_ONLY),
    row("granite-docling", &[GPT2], &READ_ONLY),
    row("gigachat", &[GPT2], &READ_ONLY),
    row("a.x-4.0", &[GPT2], &READ_ONLY),
    row("mellum", &[GPT2], &READ_ONLY),
    row("modern-bert", &[GPT2], &["modern-bert"]),
    row("roberta-bpe", &[GPT2], &["bert"]),
    row("smollm", &[DIGIT, GPT2], &[]),
    row("refact", &[DIGIT, GPT2], &["granite", "granitemoe", "granitehybrid", "refact"]),
    row("starcoder", &[DIGIT, GPT2], &["starcoder", "starcoder2"]),
    row("command-r", &[DIGIT, GPT2], &["command-r", "cohere2"]),
    row("codeshell", &[DIGIT, GPT2], &["codeshell"]),
    row("exaone", &[DIGIT, GPT2], &["exaone"]),
    row("minerva-7b", &[DIGIT, GPT2], &READ_ONLY),
    row("mellum2", &[DIGIT, GPT2], &READ_ONLY),
    row("tekken", &[TEKKEN], &[]).whole_words(),
    row("gpt-4o", &[GPT4O], &[]),
    row("llama4", &[GPT4O], &["llama4"]),
    row("kanana2", &[GPT4O], &READ_ONLY),
    row("deepseek-v3", DEEPSEEK3, &[]),
    row("hunyuan-dense", DEEPSEEK3, &["hunyuan-dense"]),
    row("joyai-llm", DEEPSEEK3, &READ_ONLY),
    row("bailingmoe", &[BAILING], &[]),
    row("bailingmoe2", &[BAILING], &["bailingmoe2"]),
    row("llada-moe", &[BAILING], &["llada-moe"]),
    row("seed-coder", &[SEED], &[]),
    row("bloom", &[BLOOM], &[]),
    row("poro-chat", &[BLOOM], &READ_ONLY),
    row("gpt3-finnish", &[BLOOM], &READ_ONLY),
    row("viking", &[BLOOM, DIGIT], &[]),
];

/// Marks a name that is read but never written: no architecture has this name.
const READ_ONLY: [&str; 1] = [""];

const fn row(
    name: &'static str,
    expressions: &'static [&'static str],
    architectures: &'static [&'static str],
) -> Row {
    Row { name, expressions, architectures, ignore_merges: false }
}

impl Row {
    const fn whole_words(self) -> Self {
        Self { ignore_merges: true, ..self }
    }
}

/// The pre-tokenizer with this name in files.
///
/// GGUF stores only a name, so the expression behind it is part of the format.
pub fn named(name: &str) -> PreTokenizer {
    let row = PRE_TOKENIZERS.iter().find(|known| known.name == name);
    let unknown = || Cut::Unknown(format!("Pre-tokenizer `{name}` is not known; expected {}", listed()));
    let cut = row.map_or_else(unknown, |row| Cut::Expressions {
        expressions: row.expressions.iter().map(|expression| (*expression).to_owned()).collect(),
        ignore_merges: row.ignore_merges,
    });
    PreTokenizer { name: Some(name.to_owned()), cut }
}

/// The name of a pre-tokenizer in files of an architecture.
///
/// Pre-tokenizers are recognized by their expressions and not by the token ids of a test sentence, because those change
/// with every newly trained vocabulary.
///
/// # Errors
/// If the pre-tokenizer has no name.
pub fn name_of(pre_tokenizer: &PreTokenizer, architecture: &str) -> Result<String, FormatError> {
    if let Some(name) = &pre_tokenizer.name {
        return Ok(name.clone());
    }
    let (expressions, ignore_merges) = match &pre_tokenizer.cut {
        Cut::Nowhere => return Ok(NO_NAME.to_owned()),
        Cut::Expressions { expressions, ignore_merges } => (expressions, ignore_merges),
        Cut::Unknown(reason) => return Err(without_name(reason)),
    };
    let fits = |known: &&Row| {
        known.expressions == expressions.as_slice()
            && (known.architectures.is_empty() || known.architectures.contains(&architecture))
    };
    let mut known: Vec<&Row> = PRE_TOKENIZERS.iter().filter(fits).collect();
    // The sort is stable, so that rows of equal rank keep their order.
    known.sort_by_key(|known| (known.architectures.is_empty(), known.ignore_merges != *ignore_merges));
    known.first().map(|row| row.name.to_owned()).ok_or_else(|| {
        let shown: Vec<String> = expressions.iter().map(|expression| format!("`{expression}`")).collect();
        without_name(&format!(
            "The pre-tokenizer of `tokenizer.json` is not known: {}",
            shown.join(", then ")
        ))
    })
}

/// Every name that is written.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRE_TOKENIZERS.iter().filter(|known| known.architectures != READ_ONLY).map(|known| known.name)
}

fn listed() -> String {
    names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn without_name(reason: &str) -> FormatError {
    FormatError::new(format!(
        "{reason}. Expected one of {}; to add one, add a row to `formats/gguf/src/pre_tokenizers.rs`",
        listed()
    ))
}
