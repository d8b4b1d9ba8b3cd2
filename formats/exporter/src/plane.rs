//! Encoded tensors, the locations of their bytes in a file, and the file as a list of parts.

use mc_encoding::encoding_error::EncodingError;
use mc_encoding::stored_form::StoredForm;
use mc_tensor::model_tensor::ModelTensor;

/// A tensor in its stored encoding: one plane of bytes if blocks interleave everything, several if codes, scales and
/// biases are separate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedTensor {
    /// Its purpose.
    pub tensor: ModelTensor,
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
    /// * `shape`: rows last
    ///
    /// # Errors
    /// If a tensor of this shape cannot be stored in this form. Block sizes are not checked, because formats know which
    /// rows they accept.
    pub fn of(tensor: ModelTensor, form: &StoredForm, shape: Vec<u64>) -> Result<Self, EncodingError> {
        if let StoredForm::Blocks(codec) = form {
            return Ok(Self::whole(tensor, codec.name, shape));
        }
        let planes = form.planes(&shape)?.into_iter();
        let planes = planes.map(|plane| EncodedPlane {
            role: plane.name,
            kind: plane.dtype.name(),
            shape: plane.shape,
        });
        Ok(Self { tensor, planes: planes.collect() })
    }

    /// Creates a tensor with all its bytes in one plane.
    ///
    /// * `kind`: the name of its codec
    /// * `shape`: rows last
    pub fn whole(tensor: ModelTensor, kind: &'static str, shape: Vec<u64>) -> Self {
        Self { tensor, planes: vec![EncodedPlane { role: "weight", kind, shape }] }
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
}
