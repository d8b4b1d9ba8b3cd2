//! The interface of a model family to its checkpoints.
//!
//! A family maps checkpoint names to [`ModelTensor`]s and a configuration to a [`Decoder`]. It does not read
//! tensors or know containers: the format decides how a file names and changes a tensor. Shared parts are
//! written once: the tensors that a program needs in [`needed`](mc_decoder::needed), names in
//! [`names`](crate::names), the common keys of a configuration in `outline`. So a
//! new family is one file and one row in [`families`](crate::families).

use std::borrow::Cow;

use mc_decoder::needed::Needed;
use mc_decoder::program::Decoder;
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;
use serde_json::Value;

use crate::error::FamilyError;
use crate::names::{Found, Names};

/// One family of models, in the form of Hugging Face.
pub trait Family: Sync {
    /// The family's name (`mixtral`), which its decoders also have.
    fn name(&self) -> &'static str;

    /// The names under `architectures` in `config.json` that this family reads.
    fn architectures(&self) -> &'static [&'static str];

    /// Names of the tensors in checkpoints.
    fn names(&self) -> &'static Names;

    /// Returns the program that `config.json` describes, with rotary pairs as in the checkpoint.
    ///
    /// # Errors
    /// Fails if a key is missing, has a wrong type, contradicts another or is not supported.
    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError>;

    /// Returns how a checkpoint stores the numbers of a tensor.
    fn stored(&self, tensor: ModelTensor) -> Stored {
        let _ = tensor;
        Stored::AsUsed
    }

    /// Returns a stored name in the form of [`Family::names`]: some checkpoints nest a language model within
    /// another model.
    fn plain_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(name)
    }

    /// Returns true if the checkpoint's tensor `name` is known to be unused (a buffer that old releases
    /// stored).
    fn ignored(&self, name: &str) -> bool {
        name.ends_with(".rotary_emb.inv_freq")
    }

    /// Returns the purpose of the checkpoint's tensor `name`; `None` if the family does not know it.
    fn find(&self, name: &str) -> Option<Found> {
        self.names().find(&self.plain_name(name))
    }

    /// Like [`Family::find`], without the expert's index.
    fn tensor(&self, name: &str) -> Option<ModelTensor> {
        self.find(name).map(|found| found.tensor)
    }

    /// Returns the name of `tensor`, or of one expert's part of it, in a checkpoint; `None` if checkpoints of
    /// this family do not contain it.
    fn checkpoint_name(&self, tensor: ModelTensor, part: Option<u32>) -> Option<String> {
        self.names().name(Found { tensor, part })
    }

    /// Returns every tensor that a checkpoint of `decoder` must contain, in the program's order.
    fn tensors<'a>(&self, decoder: &'a Decoder) -> Box<dyn Iterator<Item = Needed> + 'a> {
        Box::new(decoder.tensors())
    }
}

/// Returns the stored form of norms that are trained around 0: each weight minus 1.
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
