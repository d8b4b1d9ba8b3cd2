//! What a model family answers about its checkpoints.
//!
//! A family maps checkpoint names to [`ModelTensor`]s and a configuration to a [`Decoder`]. It reads no tensor and
//! knows no container: what a file calls a tensor, and what it wants done to it, is the format's business. What most
//! families share is told once: the tensors that a program needs in [`needed`](mc_decoder::needed), names in
//! [`names`](crate::names), the usual keys of a
//! configuration in [`outline`](crate::config::outline). So a new family is one file and one row in
//! [`families`](crate::families).

use std::borrow::Cow;

use mc_decoder::needed::Needed;
use mc_decoder::program::Decoder;
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;
use serde_json::Value;

use crate::error::FamilyError;
use crate::names::{Found, Names};

/// One family of models, as Hugging Face stores them.
pub trait Family: Sync {
    /// The family's word (`mixtral`), which its decoders have, too.
    fn name(&self) -> &'static str;

    /// The names under `architectures` in `config.json` that this family reads.
    fn architectures(&self) -> &'static [&'static str];

    /// What checkpoints call the tensors.
    fn names(&self) -> &'static Names;

    /// The program that `config.json` describes, with rotary pairs as the checkpoint has them.
    ///
    /// # Errors
    /// When a key is missing, has a wrong type, contradicts another or asks for what is not supported.
    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError>;

    /// The way in which a checkpoint stores the numbers of a tensor.
    fn stored(&self, tensor: ModelTensor) -> Stored {
        let _ = tensor;
        Stored::AsUsed
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
}

/// The stored form of norms that are trained around 0: each weight less 1.
pub(crate) fn norms_less_one(tensor: ModelTensor) -> Stored {
    let is_norm = matches!(
        tensor,
        ModelTensor::AttnNorm { .. }
            | ModelTensor::AttnQNorm { .. }
            | ModelTensor::AttnKNorm { .. }
            | ModelTensor::PostAttnNorm { .. }
            | ModelTensor::FfnNorm { .. }
            | ModelTensor::PostFfnNorm { .. }
            | ModelTensor::OutputNorm
    );
    if is_norm { Stored::LessOne } else { Stored::AsUsed }
}
