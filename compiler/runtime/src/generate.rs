//! Continues a prompt, token by token.

use std::ops::ControlFlow;

use crate::cancellation::Cancellation;
use crate::error::RuntimeError;
use crate::kv_cache::KvCache;
use crate::logits::LogitPositions;
use crate::model::Model;
use crate::sampler::{Sampler, Sampling};

/// Version of the algorithm, for action digests: raised when tokens may change.
pub const VERSION: u32 = 1;

/// Number of prompt tokens per batch; the result does not depend on it.
const N_BATCH: usize = 512;

/// Options of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// The choice of each token.
    pub sampling: Sampling,
    /// Maximum number of tokens to generate.
    pub max_tokens: usize,
    /// Tokens that end the text; they are not part of the result.
    pub stop: Vec<u32>,
}

/// The reason why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The model produced this stop token.
    Stop(u32),
    /// The limit `max_tokens` was reached.
    MaxTokens,
    /// The context is full.
    ContextFull,
    /// The callback stopped it.
    Cancelled,
}

/// A continuation of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The tokens, without the prompt and the stop token.
    pub tokens: Vec<u32>,
    /// The reason for the end.
    pub stop_reason: StopReason,
}

/// Continues `prompt`; `on_token` receives each token immediately and may stop the generation.
///
/// # Errors
/// If a parameter is out of range, the prompt is empty or longer than the model's context, or the model computes values
/// that are not finite.
pub fn generate(
    model: &Model,
    prompt: &[u32],
    options: &GenerateOptions,
    on_token: impl FnMut(u32) -> ControlFlow<()>,
) -> Result<Generated, RuntimeError> {
    generate_unless(Cancellation::NEVER, model, prompt, options, on_token)
}

/// Like [`generate`], but cancellable while the prompt is processed, when there is no token to stop at.
pub(crate) fn generate_unless(
    cancellation: Cancellation<'_>,
    model: &Model,
    prompt: &[u32],
    options: &GenerateOptions,
    on_token: impl FnMut(u32) -> ControlFlow<()>,
) -> Result<Generated, RuntimeError> {
    // No longer than needed, because some models choose their rotary factors by the length of the sequence.
    let longest = prompt.len().saturating_add(options.max_tokens);
    let mut cache = model.new_cache(longest.clamp(1, model.context_length().max(1)));
    generate_after(cancellation, model, &mut cache, prompt, options, on_token)
}

/// Appends `prompt` to the sequence in a cache and continues it. The cache then holds the sequence, the prompt and the
/// continuation, except possibly its last token.
///
/// # Errors
/// As [`generate`], or a cancellation. The cache then holds a part of the prompt and of the continuation.
pub fn generate_after(
    cancellation: Cancellation<'_>,
    model: &Model,
    cache: &mut KvCache,
    prompt: &[u32],
    options: &GenerateOptions,
    mut on_token: impl FnMut(u32) -> ControlFlow<()>,
) -> Result<Generated, RuntimeError> {
    let mut sampler = Sampler::new(options.sampling)?;
    let mut tokens = Vec::new();
    let ended = |tokens, stop_reason| Ok(Generated { tokens, stop_reason });
    if prompt.is_empty() {
        return Err(RuntimeError::EmptySequence);
    }
    let (head, last) = prompt.split_at((prompt.len() - 1) / N_BATCH * N_BATCH);
    for batch in head.chunks(N_BATCH) {
        model.forward_unless(cancellation, batch, cache, &LogitPositions::Range(0..0), None)?;
    }
    let last_one = LogitPositions::Last;
    let mut logits = model.forward_unless(cancellation, last, cache, &last_one, None)?;
    while tokens.len() < options.max_tokens {
        let token = sampler.next(logits.row(0));
        if options.stop.contains(&token) {
            return ended(tokens, StopReason::Stop(token));
        }
        tokens.push(token);
        if on_token(token).is_break() {
            return ended(tokens, StopReason::Cancelled);
        }
        if tokens.len() == options.max_tokens {
            break;
        }
        if cache.n_positions() == cache.capacity() {
            return ended(tokens, StopReason::ContextFull);
        }
        logits = model.forward_unless(cancellation, &[token], cache, &last_one, None)?;
    }
    ended(tokens, StopReason::MaxTokens)
}
