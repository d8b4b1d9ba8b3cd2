//! What a model family answers about its checkpoints.
//!
//! A family maps checkpoint names to [`ModelTensor`]s and a configuration to a [`Decoder`]. It reads no tensor and
//! knows no container: what GGUF calls a tensor is the format's business. What most families share is told once: the
//! tensors that a program needs in [`needed`](mc_decoder::needed), names in [`names`](crate::names), the usual keys of a
//! configuration in [`outline`](crate::config::outline). So a new family is one file and one row in
//! [`families`](crate::families).

use std::borrow::Cow;

use mc_decoder::program::Decoder;
use mc_tensor::model_tensor::ModelTensor;
use serde_json::Value;

use crate::error::FamilyError;
use crate::names::{Found, Names};
use crate::rope_tensors;
use mc_decoder::needed::Needed;

/// One family of models, as Hugging Face stores them.
pub trait Family: Sync {
    /// The family's word (`mixtral`). Several families may share the architecture that their decoders name.
    fn name(&self) -> &'static str;

    /// What its decoders call themselves, in containers, too.
    fn decoder_architecture(&self) -> &'static str {
        self.name()
    }

    /// The names under `architectures` in `config.json` that this family reads.
    fn architectures(&self) -> &'static [&'static str];

    /// What checkpoints call the tensors.
    fn names(&self) -> &'static Names;

    /// The program that `config.json` describes, with rotary pairs as the checkpoint has them.
    ///
    /// # Errors
    /// When a key is missing, has a wrong type, contradicts another or asks for what is not supported.
    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError>;

    /// What containers want done to a tensor before they hold it.
    fn change(&self, tensor: ModelTensor, decoder: &Decoder) -> Option<Change> {
        let _ = (tensor, decoder);
        None
    }

    /// A stored name as [`Family::names`] has it: some checkpoints hold a language model within another model.
    fn plain_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(name)
    }

    /// Whether the checkpoint's tensor `name` is known to be of no use (a buffer that old releases stored).
    fn ignored(&self, name: &str) -> bool {
        name.ends_with(".rotary_emb.inv_freq")
    }

    /// What the checkpoint's tensor `name` is for; `None` when the family does not know it.
    fn find(&self, name: &str) -> Option<Found> {
        self.names().find(&self.plain_name(name))
    }

    /// As [`Family::find`], where it does not matter which expert it is.
    fn tensor(&self, name: &str) -> Option<ModelTensor> {
        self.find(name).map(|found| found.tensor)
    }

    /// The name of `tensor`, or of one expert's part of it, in a checkpoint; `None` when checkpoints of this family do
    /// not hold it.
    fn checkpoint_name(&self, tensor: ModelTensor, part: Option<u32>) -> Option<String> {
        self.names().name(Found { tensor, part })
    }

    /// Every tensor that a checkpoint of `decoder` must hold, in the program's order.
    fn tensors<'a>(&self, decoder: &'a Decoder) -> Box<dyn Iterator<Item = Needed> + 'a> {
        Box::new(decoder.tensors())
    }

    /// Tensors that containers hold besides those of the checkpoint: vectors that come from the configuration.
    fn extra_tensors(&self, decoder: &Decoder) -> Vec<(ModelTensor, Vec<f32>)> {
        rope_tensors::of(decoder)
    }
}

/// What containers want done to a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Rows of each head from the half-split rotary order to the interleaved one.
    Interleave {
        /// Heads that the rows fall into.
        n_heads: u32,
    },
    /// A number added to every element.
    Add(f32),
    /// The middle one of three dimensions, which is 1, left out.
    Squeeze,
}

/// The change of families whose rotary pairs containers hold interleaved.
pub(crate) fn interleaved(tensor: ModelTensor, decoder: &Decoder) -> Option<Change> {
    let attention = decoder.blocks.get(tensor.block()? as usize)?.attention()?;
    match tensor {
        ModelTensor::AttnQ { .. } | ModelTensor::AttnQBias { .. } => {
            Some(Change::Interleave { n_heads: attention.n_heads })
        }
        ModelTensor::AttnK { .. } | ModelTensor::AttnKBias { .. } => {
            Some(Change::Interleave { n_heads: attention.n_kv_heads })
        }
        _ => None,
    }
}

/// The change of families whose norm weights are stored less 1.
pub(crate) fn offset_norms(tensor: ModelTensor) -> Option<Change> {
    matches!(
        tensor,
        ModelTensor::AttnNorm { .. }
            | ModelTensor::AttnQNorm { .. }
            | ModelTensor::AttnKNorm { .. }
            | ModelTensor::PostAttnNorm { .. }
            | ModelTensor::FfnNorm { .. }
            | ModelTensor::PostFfnNorm { .. }
            | ModelTensor::OutputNorm
    )
    .then_some(Change::Add(1.0))
}
