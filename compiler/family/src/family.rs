//! What a model family answers about its checkpoints.
//!
//! A family maps checkpoint names to [`ModelTensor`]s and a configuration to a [`Decoder`]. It reads no tensor and
//! knows no container: what GGUF calls a tensor is the format's business.

use mc_decoder::program::Decoder;
use mc_tensor::model_tensor::ModelTensor;
use serde_json::Value;

use crate::error::FamilyError;

/// One family of models, as Hugging Face stores them.
pub trait Family: Sync {
    /// The family's word, equal to GGUF's architecture (`llama`).
    fn name(&self) -> &'static str;

    /// The names under `architectures` in `config.json` that this family reads.
    fn architectures(&self) -> &'static [&'static str];

    /// The program that `config.json` describes, with rotary pairs as the checkpoint has them.
    ///
    /// # Errors
    /// When a key is missing, has a wrong type, contradicts another or asks for what is not supported.
    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError>;

    /// What the checkpoint's tensor `name` is for; `None` when the family does not know it.
    fn tensor(&self, name: &str) -> Option<ModelTensor>;

    /// The name of `tensor` in a checkpoint; `None` when checkpoints of this family do not hold it.
    fn checkpoint_name(&self, tensor: ModelTensor) -> Option<String>;

    /// Every tensor that a checkpoint of `decoder` must hold, with its shape (rows first), in the program's order.
    fn tensors(&self, decoder: &Decoder) -> Vec<(ModelTensor, Vec<u64>)>;

    /// Whether the checkpoint's tensor `name` is known to be of no use (a buffer that old releases stored).
    fn ignored(&self, name: &str) -> bool;

    /// How many heads the rows of `tensor` fall into, if they carry rotary pairs that GGUF wants interleaved.
    fn rotary_heads(&self, tensor: ModelTensor, decoder: &Decoder) -> Option<u32>;

    /// The divisors of the rotary frequencies, one per pair, if the scaling needs a tensor of them.
    fn rope_factors(&self, decoder: &Decoder) -> Option<Vec<f32>>;
}
