//! The trait of writable formats.
//!
//! An exporter is called in this order. At analysis, before any work: does it accept the model
//! ([`accepts`](Exporter::accepts)), which change does it need for each tensor ([`change`](Exporter::change)), which
//! tensors does it add ([`own_tensors`](Exporter::own_tensors)), in which form is each stored
//! ([`form`](Exporter::form)), how are encoded tensors laid out ([`layout`](Exporter::layout)), and which files are
//! written ([`files`](Exporter::files))? At execution: what do the files consist of ([`write`](Exporter::write))? All
//! results are pure functions of the arguments, so the same model gives the same bytes.

use mc_encoding::stored_form::StoredForm;
use mc_graph::rotary::RotaryPairing;
use mc_tensor::model_tensor::ModelTensor;

use crate::change::Change;
use crate::container::Container;
use crate::format_error::FormatError;
use crate::model_description::{ModelDescription, TensorDescription};
use crate::plane::{EncodedTensor, Plane};
use crate::planes_in_files::{FileBytes, FoundPlane};
use crate::quantization::{Quantization, UnencodedTensor};
use crate::refusal::Refusal;
use crate::written_file::WrittenFile;

/// A writable format.
pub trait Exporter: Sync {
    /// Its name in devices and keys: `gguf`.
    fn name(&self) -> &'static str;

    /// Its name in prose: `GGUF`.
    fn title(&self) -> &'static str;

    /// Version, raised when the same model may give other bytes; part of the key of every file.
    fn version(&self) -> u32;

    /// The parts of a model that the format cannot express; empty if it can express all.
    fn accepts(&self, model: &ModelDescription<'_>) -> Vec<Refusal>;

    /// The format's change to a tensor before it is encoded.
    fn change(&self, model: &ModelDescription<'_>, tensor: &TensorDescription) -> Option<Change> {
        let _ = (model, tensor);
        None
    }

    /// The pairs of dimensions of a head that rotate together after the changes.
    fn pairing(&self, model: &ModelDescription<'_>) -> RotaryPairing {
        let _ = model;
        RotaryPairing::HalfSplit
    }

    /// Vectors that the format stores as tensors and checkpoints store in their configuration. They come first.
    fn own_tensors(&self, model: &ModelDescription<'_>) -> Vec<(ModelTensor, Vec<f32>)> {
        let _ = model;
        Vec::new()
    }

    /// The words that select an encoding in this format, the default first; none if the format has recipes of its own.
    fn quantizations(&self) -> &'static [Quantization] {
        &[]
    }

    /// The stored form of a tensor.
    ///
    /// * `quantization`: the word that applies to the tensor; tensors that the format never quantizes ignore it
    ///
    /// # Errors
    /// If the tensor cannot be stored in this form, with the words that fit.
    fn form(
        &self,
        model: &ModelDescription<'_>,
        tensor: &UnencodedTensor<'_>,
        quantization: &Quantization,
    ) -> Result<StoredForm, Refusal> {
        let _ = (model, tensor, quantization);
        Err(Refusal::new(format!("{} has no encoding by this name", self.title())))
    }

    /// The planes of the files with these tensors, in file order.
    ///
    /// # Errors
    /// If the format has no type for an encoding.
    fn layout(&self, model: &ModelDescription<'_>, tensors: &[EncodedTensor]) -> Result<Vec<Plane>, Refusal>;

    /// The names of the files that [`write`](Exporter::write) returns, in its order; the first is the one to open.
    ///
    /// * `planes`: the whole layout
    fn files(&self, model: &ModelDescription<'_>, planes: &[Plane]) -> Vec<String>;

    /// The files with these planes.
    ///
    /// * `tensors`, `planes`: as in [`layout`](Exporter::layout)
    ///
    /// # Errors
    /// If the format cannot express the vocabulary, which is only known here.
    fn write(
        &self,
        model: &ModelDescription<'_>,
        tensors: &[EncodedTensor],
        planes: &[Plane],
    ) -> Result<Vec<WrittenFile>, FormatError>;

    /// Finds the planes in files that were written, by reading these files; the files may be in any order.
    ///
    /// # Errors
    /// If a file is broken, or if the format has a [`container`](Exporter::container) instead.
    fn find_planes(&self, files: &[&dyn FileBytes]) -> Result<Vec<FoundPlane>, FormatError> {
        let _ = files;
        Err(FormatError::new(format!("{} files are read as a whole", self.title())))
    }

    /// Returns true if a file with this name (without its folder) is one that a runtime of the format opens and that
    /// [`find_planes`](Exporter::find_planes) reads.
    fn is_main_file(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Returns true if a file holds a part of the model that another file, which [`is_main_file`](Exporter::is_main_file),
    /// opens.
    fn is_part(&self, main: &str, name: &str) -> bool {
        let _ = (main, name);
        false
    }

    /// The names of the released files: one, or several if the model is split; `None` if a release is a folder with the
    /// names of [`files`](Exporter::files), because runtimes require these.
    fn file_names(&self, release: &Release<'_>, n_files: usize) -> Option<Vec<String>>;

    /// The reader of the format; `None` if it can only be written.
    fn container(&self) -> Option<&'static dyn Container> {
        None
    }
}

/// The facts that a file name may contain.
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
