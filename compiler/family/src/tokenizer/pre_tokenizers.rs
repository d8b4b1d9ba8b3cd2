//! The pre-tokenizers that llama.cpp knows by name: their expressions, and whether whole words come before merges.
//!
//! Many names stand for one expression, because llama.cpp names a model and not a rule. Of several, the first row whose
//! families include the model's wins, then the first row that names no family; among rows of the same expression the one
//! with the same `ignore_merges` comes before the others. So a model gets the name that the reference converter gives
//! to the family's well-known releases: `lfm2` for LFM2, `refact` for Granite 3, `dbrx` for OLMo 2 and Phi-4.
//!
//! Source: `llama-vocab.cpp` of llama.cpp for names and flags; the expressions are those of the models' own
//! `tokenizer.json`, which llama.cpp rewrites for its own engine.

use crate::tokenizer::pre_tokenizer::PreTokenizer;

/// GPT-2's words.
pub(crate) const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Each digit by itself.
pub(crate) const DIGIT: &str = r"\p{N}";

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
pub(crate) const PRE_TOKENIZERS: &[PreTokenizer] = &[
    row("lfm2", &[LLAMA3], &["lfm2"]).whole_words(),
    row("llama-bpe", &[LLAMA3], &[]).whole_words(),
    row("dbrx", &[LLAMA3], &[]),
    row("smaug-bpe", &[LLAMA3], &NOBODY),
    row("chatglm-bpe", &[LLAMA3], &NOBODY),
    row("glm4", &[LLAMA3], &NOBODY).whole_words(),
    row("llama3", &[LLAMA3], &NOBODY).whole_words(),
    row("llama-v3", &[LLAMA3], &NOBODY).whole_words(),
    row("falcon3", &[LLAMA3], &NOBODY).whole_words(),
    row("falcon-h1", &[LLAMA3], &NOBODY).whole_words(),
    row("pixtral", &[LLAMA3], &NOBODY).whole_words(),
    row("midm-2.0", &[LLAMA3], &NOBODY).whole_words(),
    row("jina-v5-nano", &[LLAMA3], &NOBODY).whole_words(),
    row("qwen2", &[QWEN2], &[]),
    row("stablelm2", &[QWEN2], &["stablelm"]),
    row("deepseek-r1-qwen", &[QWEN2], &NOBODY),
    row("megrez", &[QWEN2], &NOBODY),
    row("kormo", &[QWEN2], &NOBODY),
    row("f2llmv2", &[QWEN2], &NOBODY),
    row("hunyuan", &[QWEN2], &NOBODY),
    row("grok-2", &[QWEN2], &NOBODY),
    row("solar-open", &[QWEN2], &NOBODY),
    row("qwen35", &[QWEN35], &[]),
    row("gpt-2", &[GPT2], &[]),
    row("olmo", &[GPT2], &["olmo"]),
    row("mpt", &[GPT2], &["mpt"]),
    row("phi-2", &[GPT2], &["phi2"]),
    row("jais", &[GPT2], &["jais"]),
    row("exaone4", &[GPT2], &["exaone4"]),
    row("trillion", &[GPT2], &NOBODY),
    row("granite-docling", &[GPT2], &NOBODY),
    row("gigachat", &[GPT2], &NOBODY),
    row("a.x-4.0", &[GPT2], &NOBODY),
    row("mellum", &[GPT2], &NOBODY),
    row("modern-bert", &[GPT2], &["modern-bert"]),
    row("roberta-bpe", &[GPT2], &["bert"]),
    row("smollm", &[DIGIT, GPT2], &[]),
    row("refact", &[DIGIT, GPT2], &["granite", "granitemoe", "granitehybrid", "refact"]),
    row("starcoder", &[DIGIT, GPT2], &["starcoder", "starcoder2"]),
    row("command-r", &[DIGIT, GPT2], &["command-r", "cohere2"]),
    row("codeshell", &[DIGIT, GPT2], &["codeshell"]),
    row("exaone", &[DIGIT, GPT2], &["exaone"]),
    row("minerva-7b", &[DIGIT, GPT2], &NOBODY),
    row("mellum2", &[DIGIT, GPT2], &NOBODY),
    row("tekken", &[TEKKEN], &[]).whole_words(),
    row("gpt-4o", &[GPT4O], &[]),
    row("llama4", &[GPT4O], &["llama4"]),
    row("kanana2", &[GPT4O], &NOBODY),
    row("deepseek-v3", DEEPSEEK3, &[]),
    row("hunyuan-dense", DEEPSEEK3, &["hunyuan-dense"]),
    row("joyai-llm", DEEPSEEK3, &NOBODY),
    row("bailingmoe", &[BAILING], &[]),
    row("bailingmoe2", &[BAILING], &["bailingmoe2"]),
    row("llada-moe", &[BAILING], &["llada-moe"]),
    row("seed-coder", &[SEED], &[]),
    row("bloom", &[BLOOM], &[]),
    row("poro-chat", &[BLOOM], &NOBODY),
    row("gpt3-finnish", &[BLOOM], &NOBODY),
    row("viking", &[BLOOM, DIGIT], &[]),
];

/// A name that is read and never given: no family is called so.
const NOBODY: [&str; 1] = [""];

const fn row(
    name: &'static str,
    expressions: &'static [&'static str],
    families: &'static [&'static str],
) -> PreTokenizer {
    PreTokenizer { name, expressions, families, ignore_merges: false }
}

impl PreTokenizer {
    const fn whole_words(self) -> Self {
        Self { ignore_merges: true, ..self }
    }
}
