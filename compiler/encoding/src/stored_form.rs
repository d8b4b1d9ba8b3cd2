//! The stored form of a tensor: the interleaved blocks of a codec, which are one plane, or the planes of an encoding.
//!
//! This is the only module that unites the two. Code that writes tensors gets planes and bytes here and does not depend
//! on the kind.

use std::fmt;

use mc_tensor::dtype::DType;

use crate::codec::{Codec, Importance, Rows};
use crate::encoding::Encoding;
use crate::encoding_error::EncodingError;
use crate::plane::Plane;

/// Name of the single plane of a codec's blocks.
pub const BLOCKS: &str = "tensor";

/// A way to store a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredForm {
    /// Blocks, one after another.
    Blocks(&'static Codec),
    /// Separate planes.
    Planes {
        /// The encoding that produces them.
        encoding: Encoding,
        /// Type of the weights, which some grids also use for the scales.
        weights: DType,
    },
}

impl StoredForm {
    /// The planes of a tensor of this shape, slowest dimension first.
    ///
    /// # Errors
    /// [`EncodingError`] if the tensor cannot be stored in this form.
    pub fn planes(&self, shape: &[u64]) -> Result<Vec<Plane>, EncodingError> {
        match self {
            Self::Planes { encoding, weights } => encoding.planes(shape, *weights),
            Self::Blocks(codec) => blocks(codec, shape).map(|plane| vec![plane]),
        }
    }

    /// Names of the planes, which do not depend on the shape.
    pub fn plane_names(&self) -> Vec<&'static str> {
        match self {
            Self::Planes { encoding, weights } => encoding.plane_names(*weights),
            Self::Blocks(_) => vec![BLOCKS],
        }
    }

    /// Effect of importance weights on the bytes.
    pub fn importance(&self) -> Importance {
        match self {
            Self::Planes { encoding, .. } => encoding.solver.importance,
            Self::Blocks(codec) => codec.importance,
        }
    }

    /// Number of weights that share a scale, in rows with this number of columns.
    pub fn group_len(&self, n_cols: usize) -> usize {
        match self {
            Self::Planes { encoding, .. } => encoding.grid.group_len(n_cols),
            Self::Blocks(codec) => codec.block_len,
        }
    }

    /// Encodes rows independently and appends them to the bytes of each plane.
    ///
    /// # Panics
    /// As [`Codec::encode`] and [`Encoding::encode`].
    pub fn encode(&self, rows: &Rows<'_>, planes: &mut [Vec<u8>]) {
        match self {
            Self::Planes { encoding, weights } => encoding.encode(rows, *weights, planes),
            Self::Blocks(codec) => {
                let (n_rows, start) = (rows.x.len() / rows.n_cols.max(1), planes[0].len());
                planes[0].resize(start + n_rows * codec.row_bytes(rows.n_cols), 0);
                codec.encode(rows.x, rows.n_cols, rows.importance, &mut planes[0][start..]);
            }
        }
    }

    /// Decodes whole rows of each plane.
    ///
    /// # Errors
    /// As [`Encoding::decode`].
    ///
    /// # Panics
    /// As [`Codec::decode`].
    pub fn decode(&self, planes: &[&[u8]], n_cols: usize, out: &mut [f32]) -> Result<(), EncodingError> {
        match self {
            Self::Planes { encoding, weights } => encoding.decode(planes, n_cols, *weights, out),
            Self::Blocks(codec) => {
                codec.decode(planes[0], out);
                Ok(())
            }
        }
    }
}

fn blocks(codec: &Codec, shape: &[u64]) -> Result<Plane, EncodingError> {
    let misfit = || EncodingError::Shape { shape: shape.to_vec() };
    let (leading, n_cols) = match shape {
        [] => (shape, 1),
        [leading @ .., n_cols] => (leading, *n_cols),
    };
    let block_len = codec.block_len;
    if !n_cols.is_multiple_of(block_len as u64) {
        return Err(EncodingError::Blocks { n_cols, block_len, codec: codec.name });
    }
    let row_bytes = (n_cols / block_len as u64).checked_mul(codec.block_bytes as u64).ok_or_else(misfit)?;
    let rows = leading.iter().try_fold(1_u64, |rows, n| rows.checked_mul((*n).max(1)));
    let is_countable = rows.and_then(|rows| rows.checked_mul(row_bytes.max(1))).is_some();
    let shape = leading.iter().copied().chain([row_bytes]).collect();
    if is_countable { Ok(Plane { name: BLOCKS, dtype: DType::U8, shape }) } else { Err(misfit()) }
}

impl fmt::Display for StoredForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planes { encoding, .. } => fmt::Display::fmt(encoding, formatter),
            Self::Blocks(codec) => fmt::Display::fmt(codec, formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::{plain, q4_k, q8_0};

    #[test]
    fn blocks_are_one_plane_of_bytes() {
        let planes = |codec, shape: &[u64]| StoredForm::Blocks(codec).planes(shape);
        let plane = |shape: &[u64]| Ok(vec![Plane { name: BLOCKS, dtype: DType::U8, shape: shape.to_vec() }]);
        assert_eq!(planes(&q8_0::CODEC, &[3, 64]), plane(&[3, 68]));
        assert_eq!(planes(&q4_k::CODEC, &[2, 3, 512]), plane(&[2, 3, 288]));
        assert_eq!(planes(&plain::F32, &[]), plane(&[4]));
        assert_eq!(planes(&plain::F32, &[0, 4]), plane(&[0, 16]));
        assert_eq!(
            planes(&q8_0::CODEC, &[3, 33]).unwrap_err().to_string(),
            "Rows of 33 columns are not whole blocks of 32, which the codec `Q8_0` needs"
        );
        assert!(planes(&q8_0::CODEC, &[u64::MAX, 32]).is_err());
    }

    #[test]
    fn either_form_decodes_what_it_encodes() {
        let planes = |name: &str| StoredForm::Planes { encoding: name.parse().unwrap(), weights: DType::F32 };
        let forms = [StoredForm::Blocks(&q8_0::CODEC), planes("affine-8-g32"), planes("int8-channel")];
        let x: Vec<f32> = (0_u8..128).map(|n| f32::from(n) / 64.0 - 1.0).collect();
        for form in forms {
            let shape = [2, 64];
            let mut encoded = vec![Vec::new(); form.plane_names().len()];
            for x in x.chunks(64) {
                form.encode(&Rows { x, n_cols: 64, importance: None }, &mut encoded);
            }
            let expected: Vec<u64> = form.planes(&shape).unwrap().iter().map(Plane::n_bytes).collect();
            assert_eq!(
                encoded.iter().map(|plane| plane.len() as u64).collect::<Vec<_>>(),
                expected,
                "{form}"
            );
            let mut decoded = vec![0.0; x.len()];
            form.decode(&encoded.iter().map(Vec::as_slice).collect::<Vec<_>>(), 64, &mut decoded).unwrap();
            assert!(x.iter().zip(&decoded).all(|(x, decoded)| (x - decoded).abs() < 0.005), "{form}");
        }
    }
}
