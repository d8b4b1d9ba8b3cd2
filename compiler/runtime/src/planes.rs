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

    /// The bytes of a tensor of three rows of 64 columns, and its numbers.
    fn encoded(encoding: Encoding) -> (Vec<Vec<u8>>, Vec<f32>) {
        let x: Vec<f32> = (0..3 * 64).map(|i| (i * 7919 % 1009) as f32 / 401.0 - 1.25).collect();
        let mut planes = vec![Vec::new(); encoding.plane_names(DType::BF16).len()];
        encoding.encode(&Rows { x: &x, n_cols: 64, importance: None }, DType::BF16, &mut planes);
        let mut expected = vec![0.0; x.len()];
        let slices: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
        encoding.decode(&slices, 64, DType::BF16, &mut expected).unwrap();
        (planes, expected)
    }

    fn planes(shape: &[usize], encoding: Encoding, planes: &[Vec<u8>]) -> Result<Planes, RuntimeError> {
        let planes = planes.iter().cloned().map(WeightBytes::owned).collect();
        Planes::new(shape, encoding, DType::BF16, planes)
    }

    #[test]
    fn any_rows_decode_as_those_of_the_whole_tensor() {
        for name in ["affine-4-g64", "affine-3-g32", "int4-g32", "int8-channel"] {
            let encoding = name.parse().unwrap();
            let (bytes, expected) = encoded(encoding);
            let whole = planes(&[3, 64], encoding, &bytes).unwrap();
            let mut found = vec![0.0; 128];
            whole.decode(1, 64, &mut found);
            assert_eq!(found, &expected[64..], "{name}");
            let last = whole.rows(2, 1);
            last.decode(0, 64, &mut found[..64]);
            assert_eq!((last.n_rows(), &found[..64]), (1, &expected[128..]), "{name}");
        }
    }

    #[test]
    fn planes_that_do_not_fill_the_shape_are_refused() {
        let encoding = "affine-4-g64".parse().unwrap();
        let (mut bytes, _) = encoded(encoding);
        let refused =
            |bytes: &[Vec<u8>], shape: &[usize]| planes(shape, encoding, bytes).unwrap_err().to_string();
        assert!(refused(&bytes[..2], &[3, 64]).contains("3 planes; found 2"));
        assert!(refused(&bytes, &[4, 64]).contains("The plane `weight` has 96 bytes; expected 128"));
        assert!(refused(&bytes, &[3, 63]).contains("Rows of 63 columns"));
        assert!(refused(&bytes, &[0, 64]).contains("bytes"));
        bytes[1].pop();
        assert!(refused(&bytes, &[3, 64]).contains("The plane `scales`"));
    }
}
