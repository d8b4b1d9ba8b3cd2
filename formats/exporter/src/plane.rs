//! Encoded tensors, where their bytes go in a file, and the file as a list of pieces.

use mc_encoding::encoding_error::EncodingError;
use mc_encoding::stored_form::StoredForm;
use mc_tensor::model_tensor::ModelTensor;

/// A tensor in the encoding that it is stored in: one plane of bytes where everything is interleaved in blocks, several
/// where codes, scales and biases lie apart.
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
    /// The name of its codec or of its type: `Q4_K`, `U32`.
    pub kind: &'static str,
    /// Its shape, rows last.
    pub shape: Vec<u64>,
}

impl EncodedTensor {
    /// A tensor in a form.
    ///
    /// * `shape`: rows last
    ///
    /// # Errors
    /// If a tensor of this shape cannot be stored so. Blocks are not looked at: formats know which rows they take.
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

    /// A tensor whose bytes are all in one plane.
    ///
    /// * `kind`: the name of its codec
    /// * `shape`: rows last
    pub fn whole(tensor: ModelTensor, kind: &'static str, shape: Vec<u64>) -> Self {
        Self { tensor, planes: vec![EncodedPlane { role: "weight", kind, shape }] }
    }
}

/// A plane's place among those of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    /// The tensor that it is of, by its number among those that were laid out.
    pub tensor: usize,
    /// Number of the plane among the tensor's.
    pub plane: usize,
    /// Its name in the file.
    pub name: String,
    /// The name of its type in the file.
    pub kind: &'static str,
    /// Its dimensions, as the file writes them.
    pub dims: Vec<u64>,
    /// Its length in bytes.
    pub n_bytes: u64,
}

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes that the format makes.
    Bytes(Vec<u8>),
    /// The bytes of a plane, by its number in the layout. They are referenced, never copied.
    Plane(usize),
    /// So many zeros.
    Zeros(u64),
}
