//! The trait of formats that are written.
//!
//! An exporter is asked in this order. At analysis, before any work: whether it [`accepts`](Exporter::accepts) the model,
//! what it wants done to each tensor ([`change`](Exporter::change)), which tensors of its own it adds
//! ([`own_tensors`](Exporter::own_tensors)), and how encoded tensors are laid out ([`layout`](Exporter::layout)). While
//! the file is made: what it consists of ([`write`](Exporter::write)). All answers are functions of what they are given,
//! so the same model gives the same bytes.

use mc_graph::rotary::RotaryPairing;
use mc_tensor::model_tensor::ModelTensor;

use crate::change::Change;
use crate::container::Container;
use crate::format_error::FormatError;
use crate::model_description::{ModelDescription, TensorDescription};
use crate::plane::{EncodedTensor, Part, Plane};
use crate::refusal::Refusal;

/// A format that models are written in.
pub trait Exporter: Sync {
    /// Its name, as devices and keys have it: `gguf`.
    fn name(&self) -> &'static str;

    /// Its name, as people write it: `GGUF`.
    fn title(&self) -> &'static str;

    /// Raised when the same model may give other bytes; part of the key of every file.
    fn version(&self) -> u32;

    /// The parts of a model that the format cannot express; nothing where it can express all.
    fn accepts(&self, model: &ModelDescription<'_>) -> Vec<Refusal>;

    /// The format's change to a tensor before it is encoded.
    fn change(&self, model: &ModelDescription<'_>, tensor: &TensorDescription) -> Option<Change> {
        let _ = (model, tensor);
        None
    }

    /// The dimensions of a head that turn together once the changes are made.
    fn pairing(&self, model: &ModelDescription<'_>) -> RotaryPairing {
        let _ = model;
        RotaryPairing::HalfSplit
    }

    /// Vectors that the format holds as tensors, and that checkpoints have in their configuration. They stand first.
    fn own_tensors(&self, model: &ModelDescription<'_>) -> Vec<(ModelTensor, Vec<f32>)> {
        let _ = model;
        Vec::new()
    }

    /// The planes of a file with these tensors, in the order of the file.
    ///
    /// # Errors
    /// If the format has no type for an encoding.
    fn layout(&self, model: &ModelDescription<'_>, tensors: &[EncodedTensor]) -> Result<Vec<Plane>, Refusal>;

    /// The pieces of a file with these planes.
    ///
    /// # Errors
    /// If the vocabulary, which is known only now, cannot be said in the format.
    fn write(&self, model: &ModelDescription<'_>, planes: &[Plane]) -> Result<Vec<Part>, FormatError>;

    /// The names of the files that ship: one, or as many as the model is spread over.
    fn file_names(&self, release: &Release<'_>, n_files: usize) -> Vec<String>;

    /// The reader of its files; absent where they are only written.
    fn container(&self) -> Option<&'static dyn Container> {
        None
    }
}

/// Facts that the name of a file may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release<'a> {
    /// The model's name.
    pub name: &'a str,
    /// Number of its parameters.
    pub n_parameters: u64,
    /// Its version: `1.0`.
    pub version: &'a str,
    /// Its encoding.
    pub recipe: &'a str,
}
