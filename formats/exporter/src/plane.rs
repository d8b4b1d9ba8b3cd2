//! Encoded tensors, the locations of their bytes in a file, and the file as a list of parts.

use mc_encoding::codec::Codec;
use mc_encoding::encoding_error::EncodingError;
use mc_encoding::stored_form::StoredForm;
use mc_tensor::model_tensor::ModelTensor;

/// A tensor in its stored encoding: one plane of bytes if blocks interleave everything, several if codes, scales and
/// biases are separate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedTensor {
    /// Its purpose.
    pub tensor: ModelTensor,
    /// Its name in the checkpoint; empty if the format adds it.
    pub name: String,
    /// Its form, for formats that write its parameters into a graph.
    pub form: StoredForm,
    /// Its shape before it was encoded, rows last.
    pub shape: Vec<u64>,
    /// Its planes, in the order of its encoding.
    pub planes: Vec<EncodedPlane>,
}

/// One plane of an encoded tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedPlane {
    /// Its contents: `weight`, `scales`.
    pub role: &'static str,
    /// The name of its codec or type: `Q4_K`, `U32`.
    pub kind: &'static str,
    /// Its shape, rows last.
    pub shape: Vec<u64>,
}

impl EncodedTensor {
    /// Creates a tensor in a stored form.
    ///
    /// * `name`: its name in the checkpoint; empty if the format adds it
    /// * `shape`: rows last
    ///
    /// # Errors
    /// If a tensor of this shape cannot be stored in this form. Block sizes are not checked, because formats know which
    /// rows they accept.
    pub fn of(
        tensor: ModelTensor,
        name: &str,
        form: StoredForm,
        shape: Vec<u64>,
    ) -> Result<Self, EncodingError> {
        let planes = match &form {
            StoredForm::Blocks(codec) => {
                vec![EncodedPlane { role: "weight", kind: codec.name, shape: shape.clone() }]
            }
            StoredForm::Planes { .. } => form
                .planes(&shape)?
                .into_iter()
                .map(|plane| EncodedPlane { role: plane.name, kind: plane.dtype.name(), shape: plane.shape })
                .collect(),
        };
        Ok(Self { tensor, name: name.to_owned(), form, shape, planes })
    }

    /// Creates a tensor of blocks, or of plain elements, which are blocks of one element.
    ///
    /// * `shape`: rows last
    pub fn blocks(tensor: ModelTensor, name: &str, codec: &'static Codec, shape: Vec<u64>) -> Self {
        let planes = vec![EncodedPlane { role: "weight", kind: codec.name, shape: shape.clone() }];
        Self { tensor, name: name.to_owned(), form: StoredForm::Blocks(codec), shape, planes }
    }
}

/// A plane's location in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Index of its tensor among those passed to the layout.
    pub tensor: usize,
    /// Index of the plane within the tensor.
    pub plane: usize,
    /// Its name in the file.
    pub name: String,
    /// The name of its type in the file.
    pub kind: &'static str,
    /// Its dimensions, as written in the file.
    pub dims: Vec<u64>,
    /// Its length in bytes.
    pub n_bytes: u64,
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes that the format generates.
    Bytes(Vec<u8>),
    /// The bytes of a plane, by its index in the layout. They are referenced, never copied.
    Plane(usize),
    /// This many zeros.
    Zeros(u64),
    /// A file of the checkpoint, by its name. It is referenced, never copied.
    Source(String),
}
