//! One tensor of a model: its shape, and its numbers as stored in memory or in a file.
//!
//! Numbers are decoded to f32 a few rows at a time when they are used; no decoded copy is kept.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use mc_encoding::codec::Codec;
use mc_encoding::stored_form::StoredForm;
use mc_tensor::convert;
use mc_tensor::dtype::DType;

use crate::error::RuntimeError;
use crate::lanes;
use crate::planes::Planes;
use crate::weight_bytes::WeightBytes;

/// Number of columns below which a matrix is decoded once and kept, for example the kernels of a convolution.
const SMALL_ROW: usize = 16;

/// The numbers of a tensor.
#[derive(Clone, Debug)]
pub enum WeightData {
    /// f32 in memory; the fastest form, since nothing is decoded.
    F32(Arc<[f32]>),
    /// Little-endian elements of a float type of 16 bits or more.
    Plain {
        /// Type of one element.
        dtype: DType,
        /// The elements, row-major.
        bytes: WeightBytes,
    },
    /// Rows of quantized blocks.
    Blocks {
        /// The block quantization.
        codec: &'static Codec,
        /// The blocks, row-major.
        bytes: WeightBytes,
    },
    /// Rows of an encoding in planes.
    Planes(Planes),
    /// Tensors of one shape, one after another, for example the experts of a layer.
    Stack(Arc<[Weight]>),
    /// Numbers on a device, as f32.
    Device(Tensor),
}

/// One tensor of a model.
#[derive(Clone, Debug)]
pub struct Weight {
    shape: Vec<usize>,
    data: WeightData,
}

impl Weight {
    /// Creates a tensor of `shape`, outermost dimension first (`[out, in]` for a matrix).
    ///
    /// # Errors
    /// If the numbers do not fill the shape, the element type is not supported, or a row is not a whole number of
    /// blocks.
    pub fn new(shape: Vec<usize>, data: WeightData) -> Result<Self, RuntimeError> {
        let n_elements = shape.iter().try_fold(1usize, |product, n| product.checked_mul(*n));
        let n_elements = n_elements.filter(|n| n.checked_mul(8).is_some()).unwrap_or(usize::MAX / 8);
        let (encoding, expected, found) = match &data {
            WeightData::F32(values) => ("F32".to_owned(), n_elements * 4, values.len() * 4),
            WeightData::Plain { dtype, bytes } => {
                if !dtype.is_weight() {
                    return Err(RuntimeError::UnsupportedEncoding { found: dtype.to_string() });
                }
                (dtype.to_string(), n_elements * dtype.n_bytes(), bytes.n_bytes())
            }
            WeightData::Blocks { codec, bytes } => {
                let n_columns = shape.last().copied().unwrap_or(1);
                if !codec.fits(n_columns) {
                    let (codec, block_len) = (codec.name.to_owned(), codec.block_len);
                    return Err(RuntimeError::PartialBlock { codec, block_len, n_columns });
                }
                (codec.name.to_owned(), codec.row_bytes(n_elements), bytes.n_bytes())
            }
            WeightData::Planes(planes) => {
                let n_rows: usize = shape.iter().rev().skip(1).product();
                ("planes".to_owned(), n_rows, planes.n_rows())
            }
            WeightData::Stack(parts) => {
                let n_found: usize = parts.iter().map(|part| part.n_rows() * part.n_columns()).sum();
                ("stack".to_owned(), n_elements * 4, n_found * 4)
            }
            WeightData::Device(tensor) => ("F32".to_owned(), n_elements * 4, tensor.elem_count() * 4),
        };
        if expected != found || n_elements == 0 {
            return Err(RuntimeError::WrongByteCount { shape, encoding, expected, found });
        }
        Ok(Self { shape, data })
    }

    /// Creates a tensor from numbers in memory.
    ///
    /// # Errors
    /// As [`Weight::new`].
    pub fn from_f32(shape: Vec<usize>, values: Vec<f32>) -> Result<Self, RuntimeError> {
        Self::new(shape, WeightData::F32(values.into()))
    }

    /// Creates a tensor of plain elements, little-endian.
    ///
    /// # Errors
    /// As [`Weight::new`].
    pub fn plain(shape: Vec<usize>, dtype: DType, bytes: WeightBytes) -> Result<Self, RuntimeError> {
        Self::new(shape, WeightData::Plain { dtype, bytes })
    }

    /// Creates a tensor of quantized blocks.
    ///
    /// # Errors
    /// As [`Weight::new`].
    pub fn blocks(
        shape: Vec<usize>,
        codec: &'static Codec,
        bytes: WeightBytes,
    ) -> Result<Self, RuntimeError> {
        Self::new(shape, WeightData::Blocks { codec, bytes })
    }

    /// Creates a tensor in a stored form: one plane of plain elements or blocks, or the planes of an encoding.
    ///
    /// * `planes`: in the order of the form
    ///
    /// # Errors
    /// As [`Weight::new`]; or if a plane has another number of bytes than the shape needs.
    pub fn stored(
        shape: Vec<usize>,
        form: &StoredForm,
        planes: Vec<WeightBytes>,
    ) -> Result<Self, RuntimeError> {
        match form {
            StoredForm::Planes { encoding, weights } => {
                let planes = Planes::new(&shape, *encoding, *weights, planes)?;
                Self::new(shape, WeightData::Planes(planes))
            }
            StoredForm::Blocks(codec) => {
                let bytes = planes.into_iter().next().unwrap_or_else(|| WeightBytes::owned(Vec::new()));
                let plain = [DType::F32, DType::F16, DType::BF16].into_iter();
                match plain.into_iter().find(|dtype| dtype.name() == codec.name) {
                    Some(dtype) => Self::plain(shape, dtype, bytes),
                    None => Self::blocks(shape, codec, bytes),
                }
            }
        }
    }

    /// Stacks tensors of one shape.
    ///
    /// # Errors
    /// As [`Weight::new`]; or if the shapes differ or there are no tensors.
    pub fn stack(parts: Vec<Self>) -> Result<Self, RuntimeError> {
        let inner = parts.first().map(|part| part.shape.clone()).unwrap_or_default();
        if let Some(other) = parts.iter().find(|part| part.shape != inner) {
            let (expected, found) = (inner.iter().product(), other.shape.iter().product());
            let (shape, encoding) = (inner, "stack".to_owned());
            return Err(RuntimeError::WrongByteCount { shape, encoding, expected, found });
        }
        let shape = std::iter::once(parts.len()).chain(inner).collect();
        Self::new(shape, WeightData::Stack(parts.into()))
    }

    /// The same numbers with a shape that differs only in dimensions of 1; `None` if it differs otherwise.
    pub(crate) fn reshaped(mut self, shape: &[usize]) -> Option<Self> {
        let significant = |shape: &[usize]| shape.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
        let is_same = self.shape.last() == shape.last() && significant(&self.shape) == significant(shape);
        self.shape = shape.to_vec();
        is_same.then_some(self)
    }

    /// The tensor in the form that kernels need: vectors and small matrices are decoded, stacks of matrices split into
    /// parts.
    pub(crate) fn prepared(self) -> Self {
        let is_small = self.shape.len() < 2 || self.n_columns() < SMALL_ROW;
        let data = match (&self.data, self.shape.as_slice()) {
            (WeightData::F32(_) | WeightData::Stack(_), _) if self.shape.len() < 3 => return self,
            (WeightData::Stack(_), _) => return self,
            (_, [_, _, _]) => WeightData::Stack(self.parts().into()),
            _ if is_small => WeightData::F32(self.to_f32().into()),
            _ => return self,
        };
        Self { shape: self.shape, data }
    }

    /// The tensors along the outermost dimension.
    fn parts(&self) -> Vec<Self> {
        let shape = self.shape[1..].to_vec();
        let n_rows: usize = shape.iter().rev().skip(1).product();
        (0..self.shape[0])
            .map(|part| Self { shape: shape.clone(), data: self.rows(part * n_rows, n_rows) })
            .collect()
    }

    fn rows(&self, first: usize, n: usize) -> WeightData {
        let n_columns = self.n_columns();
        let stretch = |bytes: &WeightBytes, row_bytes: usize| bytes.stretch(first * row_bytes, n * row_bytes);
        match &self.data {
            WeightData::F32(values) => WeightData::F32(values[first * n_columns..][..n * n_columns].into()),
            WeightData::Plain { dtype, bytes } => {
                WeightData::Plain { dtype: *dtype, bytes: stretch(bytes, n_columns * dtype.n_bytes()) }
            }
            WeightData::Blocks { codec, bytes } => {
                WeightData::Blocks { codec, bytes: stretch(bytes, codec.row_bytes(n_columns)) }
            }
            WeightData::Planes(planes) => WeightData::Planes(planes.rows(first, n)),
            WeightData::Stack(parts) => parts[first / n].data.clone(),
            WeightData::Device(tensor) => WeightData::Device(tensor.clone()),
        }
    }

    /// Moves the numbers to a device, as f32.
    ///
    /// # Errors
    /// If candle fails.
    pub(crate) fn on_device(self, device: &Device) -> candle_core::Result<Self> {
        let tensor = Tensor::from_vec(self.to_f32(), self.shape.as_slice(), device)?;
        Ok(Self { shape: self.shape, data: WeightData::Device(tensor) })
    }

    /// The numbers, if they are on a device.
    pub(crate) fn device_tensor(&self) -> Option<&Tensor> {
        match &self.data {
            WeightData::Device(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// One tensor along the outermost dimension of a stack.
    pub(crate) fn part(&self, number: usize) -> Option<&Self> {
        match &self.data {
            WeightData::Stack(parts) => parts.get(number),
            _ => None,
        }
    }

    /// The numbers, if they are stored as f32.
    pub(crate) fn floats(&self) -> Option<&[f32]> {
        match &self.data {
            WeightData::F32(values) => Some(values),
            _ => None,
        }
    }

    /// The shape, outermost dimension first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Length of a row: the innermost dimension.
    pub fn n_columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Number of rows: the product of all other dimensions.
    pub fn n_rows(&self) -> usize {
        self.shape.iter().rev().skip(1).product()
    }

    /// Decodes rows to f32; each is written to the start of a segment of `padded_len` numbers in `out`.
    ///
    /// The numbers after a row are left unchanged.
    pub(crate) fn decode_rows(&self, rows: Range<usize>, padded_len: usize, out: &mut [f32]) {
        let n_columns = self.n_columns();
        if let (WeightData::Planes(planes), true) = (&self.data, padded_len == n_columns) {
            let n = rows.len() * n_columns;
            return planes.decode(rows.start, n_columns, &mut out[..n]);
        }
        for (row, out) in rows.zip(out.chunks_exact_mut(padded_len)) {
            self.decode_row(row, &mut out[..n_columns]);
        }
    }

    fn decode_row(&self, row: usize, out: &mut [f32]) {
        let n_columns = out.len();
        match &self.data {
            WeightData::F32(values) => out.copy_from_slice(&values[row * n_columns..][..n_columns]),
            WeightData::Plain { dtype, bytes } => {
                let n_bytes = n_columns * dtype.n_bytes();
                convert::to_f32(*dtype, &bytes.as_slice()[row * n_bytes..][..n_bytes], out);
            }
            WeightData::Blocks { codec, bytes } => {
                let n_bytes = codec.row_bytes(n_columns);
                codec.decode(&bytes.as_slice()[row * n_bytes..][..n_bytes], out);
            }
            WeightData::Planes(planes) => planes.decode(row, n_columns, out),
            WeightData::Stack(parts) => {
                let n_rows = parts[0].n_rows();
                parts[row / n_rows].decode_row(row % n_rows, out);
            }
            WeightData::Device(_) => unreachable!("decoded before it was put on a device"),
        }
    }

    /// Rows as f32, each padded with zeros to whole lanes; borrowed if they are already stored this way.
    pub(crate) fn padded_rows<'a>(&'a self, rows: Range<usize>, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        let n_columns = self.n_columns();
        let padded_len = lanes::padded(n_columns);
        if let (WeightData::F32(values), true) = (&self.data, padded_len == n_columns) {
            return &values[rows.start * n_columns..rows.end * n_columns];
        }
        scratch.resize(rows.len() * padded_len, 0.0);
        self.decode_rows(rows, padded_len, scratch);
        scratch
    }

    /// All numbers as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0f32; self.n_rows() * self.n_columns()];
        self.decode_rows(0..self.n_rows(), self.n_columns(), &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use mc_encoding::codecs;

    use super::*;

    #[test]
    fn rows_are_borrowed_if_possible_and_padded_otherwise() {
        let mut scratch = Vec::new();
        let ready = Weight::from_f32(vec![2, 16], vec![1.0; 32]).unwrap();
        assert_eq!(ready.padded_rows(1..2, &mut scratch), [1.0; 16]);
        assert!(scratch.is_empty());
        let odd = Weight::from_f32(vec![3, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let mut expected = [0f32; 32];
        (expected[0], expected[1], expected[16], expected[17]) = (3.0, 4.0, 5.0, 6.0);
        assert_eq!(odd.padded_rows(1..3, &mut scratch), expected);
    }

    #[test]
    fn quantized_rows_decode_as_their_codec_does() {
        let values: Vec<f32> = (0..3 * 512).map(|i| (i * 7919 % 1009) as f32 / 401.0 - 1.25).collect();
        for name in ["Q4_0", "Q8_0", "Q4_K", "Q6_K"] {
            let codec = codecs::by_name(name).unwrap();
            let mut blocks = vec![0u8; 3 * codec.row_bytes(512)];
            codec.encode(&values, 512, None, &mut blocks);
            let mut expected = vec![0f32; 3 * 512];
            codec.decode(&blocks, &mut expected);
            let weight = Weight::blocks(vec![3, 512], codec, WeightBytes::owned(blocks)).unwrap();
            assert_eq!(weight.to_f32(), expected, "{name}");
            assert_eq!(weight.padded_rows(1..3, &mut Vec::new()), &expected[512..], "{name}");
        }
    }

    #[test]
    fn a_stack_in_planes_is_split_and_padded() {
        let form = StoredForm::Planes { encoding: "affine-4-g64".parse().unwrap(), weights: DType::F32 };
        let x: Vec<f32> = (0..2 * 64).map(|i| (i * 7919 % 1009) as f32 / 401.0 - 1.25).collect();
        let mut planes = vec![Vec::new(); form.plane_names().len()];
        form.encode(&mc_encoding::codec::Rows { x: &x, n_cols: 64, importance: None }, &mut planes);
        let mut expected = vec![0.0; x.len()];
        form.decode(&planes.iter().map(Vec::as_slice).collect::<Vec<_>>(), 64, &mut expected).unwrap();
        let planes = planes.into_iter().map(WeightBytes::owned).collect();
        let weight = Weight::stored(vec![2, 1, 64], &form, planes).unwrap();
        assert_eq!(weight.to_f32(), expected);
        let weight = weight.prepared();
        let mut padded = vec![9.0; 80];
        weight.part(1).unwrap().decode_rows(0..1, 80, &mut padded);
        assert_eq!((&padded[..64], padded[79]), (&expected[64..], 9.0));
    }

    #[test]
    fn plain_elements_are_widened_from_the_borrowed_range() {
        let owner: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(vec![9u8, 0x80, 0x3f, 0x00, 0xc0, 9]);
        let bytes = WeightBytes::new(Arc::clone(&owner), 1..5).unwrap();
        let weight = Weight::plain(vec![2], DType::BF16, bytes).unwrap();
        assert_eq!(weight.to_f32(), [1.0, -2.0]);
        let outside = WeightBytes::new(owner, 4..9).unwrap_err();
        assert_eq!(outside.to_string(), "Bytes 4..9 lie outside the 6 bytes that they are borrowed from");
    }

    #[test]
    fn bytes_that_do_not_fill_the_shape_are_refused() {
        let short = Weight::from_f32(vec![2, 3], vec![0.0; 5]).unwrap_err();
        assert_eq!(short.to_string(), "Weights of shape [2, 3] in `F32` need 24 bytes; found 20");
        let vast = Weight::plain(vec![usize::MAX, 2], DType::F32, WeightBytes::owned(vec![0; 8]));
        assert!(matches!(vast, Err(RuntimeError::WrongByteCount { found: 8, .. })));
        let empty = Weight::from_f32(vec![0, 3], Vec::new());
        assert!(matches!(empty, Err(RuntimeError::WrongByteCount { .. })));
        let codec = codecs::by_name("Q4_K").unwrap();
        let partial = Weight::blocks(vec![1, 192], codec, WeightBytes::owned(vec![0; 144])).unwrap_err();
        assert_eq!(partial.to_string(), "Weights have 192 columns; codec `Q4_K` needs a multiple of 256");
        let integers = Weight::plain(vec![1], DType::I32, WeightBytes::owned(vec![0; 4])).unwrap_err();
        assert!(integers.to_string().starts_with("Weights are `I32`; expected F64, F32, F16, BF16"));
    }
}
