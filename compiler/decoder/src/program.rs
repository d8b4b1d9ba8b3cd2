//! The program of a decoder-only transformer.
//!
//! ```text
//! x = embedding-scale * rows of token-embedding
//! for each block:
//!     x += residual-scale * post-attn-norm( mixer( attn-norm(x) ) )
//!     x += residual-scale * post-ffn-norm( feed-forward( ffn-norm(x) ) )
//! logits = soft-cap( output( output-norm(x) ) / logit-divisor )
//! ```
//!
//! A missing norm is `None`, an unused factor is 1. Tensors are not named here: the weights of each part are the
//! `ModelTensor`s of its block and role, with norms as containers store them (Gemma's checkpoints store them less 1).
//!
//! A program is part of the key of every measurement that runs it, as serde's text, and of the containers that describe
//! it, by its content hash. Absent options appear in neither, so a new option keeps the keys of the models that do not
//! use it. A field that is renamed in Rust keeps its name for serde and for the hash.

use mc_digest::content_hash::ContentHash;
use mc_graph::rotary::RotaryPairing;
use mc_tensor::model_tensor::ModelTensor;
use serde::{Deserialize, Serialize};

use crate::kind::{Kind, Site};
use crate::kinds::attention::Attention;
use crate::kinds::experts::Experts;
use crate::needed::Needed;
use crate::norm::Norm;

/// A whole model.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
#[content("decoder")]
pub struct Decoder {
    /// The family of the checkpoints: `mixtral`.
    #[content("family")]
    pub family: String,
    /// Context length of the training, in tokens.
    #[content("context-length")]
    pub context_length: u32,
    /// Width of the residual stream.
    #[content("n-embd")]
    pub n_embd: u32,
    /// Rows of the token embedding.
    #[content("n-vocab")]
    pub n_vocab: u32,
    /// The layers, in order.
    #[content("blocks")]
    pub blocks: Vec<Block>,
    /// The norm before the head.
    #[content("output-norm")]
    pub output_norm: Norm,
    /// Source of the logits.
    #[content("head")]
    pub head: Head,
    /// Factors outside the layers and on the layers' outputs.
    #[content("scales")]
    pub scales: Scales,
    /// Caps the logits: `cap * tanh(logits / cap)`.
    #[content("logit-soft-cap")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_soft_cap: Option<f32>,
}

/// Factors that some families apply to the residual stream and the logits.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[content("scales")]
pub struct Scales {
    /// Factor on the rows of the token embedding.
    #[content("embedding")]
    pub embedding: f32,
    /// Factor on the output of each half of a layer.
    #[content("residual")]
    pub residual: f32,
    /// Divisor of the logits.
    #[content("logit-divisor")]
    pub logit_divisor: f32,
}

impl Scales {
    /// No factors.
    pub const ONE: Self = Self { embedding: 1.0, residual: 1.0, logit_divisor: 1.0 };
}

/// One layer.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
#[content("block")]
pub struct Block {
    /// Norm before the mixer.
    #[content("attn-norm")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attn_norm: Option<Norm>,
    /// The half that mixes positions.
    #[content("mixer")]
    pub mixer: Kind,
    /// Norm of the mixer's output.
    #[content("post-attn-norm")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_attn_norm: Option<Norm>,
    /// Norm before the feed-forward.
    #[content("ffn-norm")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ffn_norm: Option<Norm>,
    /// The half that transforms each position separately.
    #[content("feed-forward")]
    pub feed_forward: Kind,
    /// Norm of the feed-forward's output.
    #[content("post-ffn-norm")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_ffn_norm: Option<Norm>,
}

impl Block {
    /// The layer's attention, if it has one.
    pub fn attention(&self) -> Option<&Attention> {
        self.mixer.get()
    }

    /// The layer's attention as a mutable reference, if it has one.
    pub fn attention_mut(&mut self) -> Option<&mut Attention> {
        self.mixer.get_mut()
    }

    /// The layer's experts, if it has any.
    pub fn experts(&self) -> Option<&Experts> {
        self.feed_forward.get()
    }

    /// The tensors that the layer needs, in order. They are generated lazily, because a short configuration may require
    /// a hundred thousand.
    fn tensors(&self, site: Site) -> impl Iterator<Item = Needed> + use<> {
        let Site { block, n_embd } = site;
        let norm = move |norm: Option<Norm>, tensor| {
            norm.map(|_| Needed::whole(tensor, &[n_embd.into()])).into_iter()
        };
        // The parts of a layer's experts come last.
        let (of_ffn, parts): (Vec<Needed>, _) = self.feed_forward_tensors(site);
        norm(self.attn_norm, ModelTensor::AttnNorm { block })
            .chain(self.mixer.tensors(site))
            .chain(norm(self.post_attn_norm, ModelTensor::PostAttnNorm { block }))
            .chain(norm(self.ffn_norm, ModelTensor::FfnNorm { block }))
            .chain(of_ffn)
            .chain(norm(self.post_ffn_norm, ModelTensor::PostFfnNorm { block }))
            .chain(parts)
    }

    fn feed_forward_tensors(&self, site: Site) -> (Vec<Needed>, impl Iterator<Item = Needed> + use<>) {
        let mut tensors = self.feed_forward.tensors(site).peekable();
        let mut whole = Vec::new();
        while let Some(tensor) = tensors.next_if(|tensor| tensor.part.is_none()) {
            whole.push(tensor);
        }
        (whole, tensors)
    }
}

/// Source of the logits.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Head {
    /// The token embedding.
    #[content("tied")]
    Tied,
    /// A separate matrix (`ModelTensor::Output`).
    #[content("untied")]
    Untied,
}

impl Decoder {
    /// Every tensor that a checkpoint must hold, in program order.
    pub fn tensors(&self) -> impl Iterator<Item = Needed> + '_ {
        let n_embd = u64::from(self.n_embd);
        let rows = [u64::from(self.n_vocab), n_embd];
        let layer = |(block, layer): (u32, &Block)| {
            let tensors = layer.tensors(Site { block, n_embd: self.n_embd });
            Box::new(tensors) as Box<dyn Iterator<Item = Needed>>
        };
        let head = (self.head == Head::Untied).then(|| Needed::whole(ModelTensor::Output, &rows));
        std::iter::once(Needed::whole(ModelTensor::TokenEmbedding, &rows))
            .chain((0..).zip(&self.blocks).flat_map(layer))
            .chain(std::iter::once(Needed::whole(ModelTensor::OutputNorm, &[n_embd])))
            .chain(head)
    }

    /// Size in bytes of the key-value cache for `n_ctx` tokens in 16-bit floats, if every layer keeps every position.
    ///
    /// Formula: `sum over blocks with attention of 2 * n_ctx * n_kv_heads * head_dim * 2 bytes`. A runtime that drops
    /// positions outside a window needs less.
    pub fn kv_cache_bytes(&self, n_ctx: u64) -> u64 {
        let bytes =
            |attention: &Attention| 2 * u64::from(attention.n_kv_heads) * u64::from(attention.head_dim) * 2;
        self.attentions().map(bytes).sum::<u64>() * n_ctx
    }

    /// The attention of each layer that has one.
    pub fn attentions(&self) -> impl Iterator<Item = &Attention> {
        self.blocks.iter().filter_map(Block::attention)
    }

    /// The same program for weights with the given layout of rotary pairs.
    #[must_use]
    pub fn with_pairing(mut self, pairing: RotaryPairing) -> Self {
        for attention in self.blocks.iter_mut().filter_map(Block::attention_mut) {
            if let Some(rotary) = &mut attention.rotary {
                rotary.pairing = pairing;
            }
        }
        self
    }
}
