//! The numbers of a tensor in planes: codes, scales and biases apart, decoded a few rows at a time.
//!
//! Rows are encoded independently, so any range of rows has the same numbers as the whole tensor.

use std::sync::Arc;

use mc_encoding::encoding::Encoding;
use mc_encoding::encoding_error::EncodingError;
use mc_tensor::dtype::DType;

use crate::error::RuntimeError;
use crate::weight_bytes::WeightBytes;

/// The planes of one tensor.
#[derive(Clone, Debug)]
pub struct Planes {
    encoding: Encoding,
    /// Type of the weights, which some grids also use for the scales.
    weights: DType,
    /// The bytes of each plane, and the bytes of one row in it.
    planes: Arc<[(WeightBytes, usize)]>,
    n_rows: usize,
}

impl Planes {
    /// Joins the planes of a tensor of `shape`.
    ///
    /// * `planes`: in the order of the encoding
    ///
    /// # Errors
    /// If the shape cannot be stored in the encoding, or the size of a plane does not match the shape.
    pub(crate) fn new(
        shape: &[usize],
        encoding: Encoding,
        weights: DType,
        planes: Vec<WeightBytes>,
    ) -> Result<Self, RuntimeError> {
        let shape: Vec<u64> = shape.iter().map(|n| *n as u64).collect();
        let expected = encoding.planes(&shape, weights)?;
        if expected.len() != planes.len() {
            let (expected, found) = (expected.len(), planes.len());
            return Err(RuntimeError::WrongPlaneCount { expected, found });
        }
        for (plane, bytes) in expected.iter().zip(&planes) {
            let (expected, found) = (plane.n_bytes(), bytes.n_bytes() as u64);
            if expected != found {
                return Err(EncodingError::PlaneBytes { plane: plane.name, expected, found }.into());
            }
        }
        let n_rows: usize = shape.iter().rev().skip(1).map(|n| *n as usize).product();
        let row_bytes = |bytes: &WeightBytes| bytes.n_bytes() / n_rows.max(1);
        let planes = planes.into_iter().map(|bytes| (bytes.clone(), row_bytes(&bytes))).collect();
        Ok(Self { encoding, weights, planes, n_rows })
    }

    /// Number of rows.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The rows from `first` on, which are not copied.
    pub(crate) fn rows(&self, first: usize, n_rows: usize) -> Self {
        let stretch = |(bytes, row_bytes): &(WeightBytes, usize)| {
            (bytes.stretch(first * row_bytes, n_rows * row_bytes), *row_bytes)
        };
        Self { planes: self.planes.iter().map(stretch).collect(), n_rows, ..self.clone() }
    }

    /// Decodes the rows from `first` on until `out` is full.
    ///
    /// * `out`: whole rows of `n_columns`
    pub(crate) fn decode(&self, first: usize, n_columns: usize, out: &mut [f32]) {
        let n_rows = out.len() / n_columns;
        let rows = self.planes.iter().map(|(bytes, row_bytes)| {
            let bytes = bytes.as_slice();
            &bytes[first * row_bytes..][..n_rows * row_bytes]
        });
        let planes: Vec<&[u8]> = rows.collect();
        self.encoding
            .decode(&planes, n_columns, self.weights, out)
            .expect("the planes were checked against the shape");
    }
}

#[cfg(test)]
mod tests {
    use mc_encoding::codec::Rows;

    use super::*;
    use crate::weight::Weight;
    use mc_encoding::stored_form::StoredForm;

    /// A tensor of three rows of 64 columns, and its bytes.
    fn encoded(name: &str) -> (StoredForm, Vec<Vec<u8>>, Vec<f32>) {
        let form = StoredForm::Planes { encoding: name.parse().unwrap(), weights: DType::BF16 };
        let x: Vec<f32> = (0..3 * 64).map(|i| (i * 7919 % 1009) as f32 / 401.0 - 1.25).collect();
        let mut planes = vec![Vec::new(); form.plane_names().len()];
        form.encode(&Rows { x: &x, n_cols: 64, importance: None }, &mut planes);
        let mut expected = vec![0.0; x.len()];
        form.decode(&planes, 64, &mut expected).unwrap();
        (form, planes, expected)
    }

    fn owned(planes: &[Vec<u8>]) -> Vec<WeightBytes> {
        planes.iter().cloned().map(WeightBytes::owned).collect()
    }

    #[test]
    fn rows_decode_as_their_encoding_does() {
        for name in ["affine-4-g64", "affine-3-g32", "int8-channel"] {
            let (form, planes, expected) = encoded(name);
            let weight = Weight::stored(vec![3, 64], &form, owned(&planes)).unwrap();
            assert_eq!(weight.to_f32(), expected, "{name}");
            assert_eq!(weight.padded_rows(1..3, &mut Vec::new()), &expected[64..], "{name}");
            let mut padded = vec![9.0; 80];
            weight.decode_rows(1..2, 80, &mut padded);
            assert_eq!((&padded[..64], padded[79]), (&expected[64..128], 9.0), "{name}");
        }
    }

    #[test]
    fn a_stack_of_matrices_is_split_without_a_copy() {
        let (form, planes, expected) = encoded("affine-4-g64");
        let weight = Weight::stored(vec![3, 1, 64], &form, owned(&planes)).unwrap().prepared();
        assert_eq!(weight.part(2).unwrap().to_f32(), &expected[128..]);
    }

    #[test]
    fn planes_that_do_not_fill_the_shape_are_refused() {
        let (form, mut planes, _) = encoded("affine-4-g64");
        let refused = |planes: &[Vec<u8>], shape: &[usize]| {
            Weight::stored(shape.to_vec(), &form, owned(planes)).unwrap_err().to_string()
        };
        assert!(refused(&planes[..2], &[3, 64]).contains("3 planes; found 2"));
        assert!(refused(&planes, &[4, 64]).contains("The plane `weight` has 96 bytes; expected 128"));
        assert!(refused(&planes, &[3, 63]).contains("Rows of 63 columns"));
        assert!(refused(&planes, &[0, 64]).contains("bytes"));
        planes[1].pop();
        assert!(refused(&planes, &[3, 64]).contains("The plane `scales`"));
    }
}
