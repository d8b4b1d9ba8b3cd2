//! What a codec is: rows of f32 to rows of blocks and back.

use std::fmt;

use mc_tensor::cpu_path::CpuPath;

/// A block quantization, or a plain float type seen as one with blocks of one element.
pub struct Codec {
    /// Its name, as ggml writes it: `Q4_K`.
    pub name: &'static str,
    /// Raised when the same rows may give other bytes; part of every key of a quantized tensor.
    pub version: u32,
    /// Elements of one block.
    pub block_len: usize,
    /// Bytes of one block.
    pub block_bytes: usize,
    /// What stands in for it where a row is no whole number of its blocks; `None` when only F16 can.
    pub fallback: Option<&'static Self>,
    /// What importance weights do to its bytes.
    pub importance: Importance,
    /// Encodes one row; see [`Codec::encode`]. This defines the bytes.
    pub encode_row: fn(&[f32], Option<&[f32]>, &mut [u8]),
    /// Decodes one row; see [`Codec::decode`]. This defines the numbers.
    pub decode_row: fn(&[u8], &mut [f32]),
    /// The vector paths, where there are any.
    pub vector: Vector,
}

/// Encodes whole rows on a path; `false` if it has no vectors, and then nothing was written.
pub type EncodeRows = fn(CpuPath, &Rows<'_>, &mut [u8]) -> bool;

/// Decodes blocks on a path; `false` if it has no vectors, and then nothing was written.
pub type DecodeBlocks = fn(CpuPath, &[u8], &mut [f32]) -> bool;

/// Encodes and decodes faster, with the same results.
pub struct Vector {
    /// Encodes; none where the scalar code is all there is.
    pub encode: Option<EncodeRows>,
    /// Decodes; none where the scalar code is all there is.
    pub decode: Option<DecodeBlocks>,
}

impl Vector {
    /// No vector paths.
    pub const NONE: Self = Self { encode: None, decode: None };
}

/// Rows that are encoded together.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// The weights, row-major.
    pub x: &'a [f32],
    /// Columns of a row.
    pub n_cols: usize,
    /// One weight per column.
    pub importance: Option<&'a [f32]>,
}

/// What a codec does with importance weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// They change no byte, so they are no input of the step.
    Ignored,
    /// They change the bytes where they are given.
    Used,
    /// As [`Self::Used`], but what comes out without them is so poor that recipes refuse to.
    Expected,
    /// There is no encoding without them: [`Codec::encode`] panics.
    Required,
}

impl Codec {
    /// Whether a row of so many elements is a whole number of blocks.
    pub fn fits(&self, n_cols: usize) -> bool {
        n_cols.is_multiple_of(self.block_len)
    }

    /// Bytes of a tensor of this shape, rows last; `None` where its rows are no whole number of blocks, or the product
    /// of its dimensions overflows.
    pub fn tensor_bytes(&self, shape: &[u64]) -> Option<u64> {
        let (block_len, block_bytes) = (self.block_len as u64, self.block_bytes as u64);
        let n_elements = shape.iter().try_fold(1_u64, |product, n| product.checked_mul(*n))?;
        let is_whole = shape.last().copied().unwrap_or(1).is_multiple_of(block_len);
        is_whole.then(|| n_elements.div_ceil(block_len)).and_then(|n| n.checked_mul(block_bytes))
    }

    /// Bytes of an encoded row; `n_cols` must fit.
    pub fn row_bytes(&self, n_cols: usize) -> usize {
        n_cols / self.block_len * self.block_bytes
    }

    /// Encodes rows, each by itself, so that any rows can be encoded anywhere.
    ///
    /// * `rows`: some rows of `n_cols` elements, row-major; all finite
    /// * `importance`: one weight per column, zero or more, or none
    /// * `out`: as many rows of [`Self::row_bytes`]
    ///
    /// # Panics
    /// If the lengths disagree, a row is no whole number of blocks, or required importance is missing: the caller
    /// resolves codecs by shape and importance first.
    pub fn encode(&self, rows: &[f32], n_cols: usize, importance: Option<&[f32]>, out: &mut [u8]) {
        self.encode_on(CpuPath::detect(), rows, n_cols, importance, out);
    }

    /// As [`Self::encode`], with the vectors of a path; on [`CpuPath::BASELINE`] with none.
    ///
    /// # Panics
    /// As [`Self::encode`].
    pub fn encode_on(
        &self,
        path: CpuPath,
        rows: &[f32],
        n_cols: usize,
        importance: Option<&[f32]>,
        out: &mut [u8],
    ) {
        assert!(n_cols > 0 && self.fits(n_cols), "{n_cols} columns are no whole number of `{self}` blocks");
        assert!(importance.is_none_or(|weights| weights.len() == n_cols), "one weight per column");
        let row_bytes = self.row_bytes(n_cols);
        assert_eq!(rows.len() / n_cols * row_bytes, out.len(), "bytes of the encoded rows");
        if let Some(encode) = self.vector.encode
            && !rows.is_empty()
            && encode(path, &Rows { x: rows, n_cols, importance }, out)
        {
            return;
        }
        for (row, out) in rows.chunks_exact(n_cols).zip(out.chunks_exact_mut(row_bytes)) {
            (self.encode_row)(row, importance, out);
        }
    }

    /// Decodes any whole number of blocks.
    ///
    /// # Panics
    /// If the lengths disagree.
    pub fn decode(&self, blocks: &[u8], out: &mut [f32]) {
        self.decode_on(CpuPath::detect(), blocks, out);
    }

    /// As [`Self::decode`], with the vectors of a path; on [`CpuPath::BASELINE`] with none.
    ///
    /// # Panics
    /// As [`Self::decode`].
    pub fn decode_on(&self, path: CpuPath, blocks: &[u8], out: &mut [f32]) {
        assert!(self.fits(out.len()), "{} elements are no whole number of `{self}` blocks", out.len());
        assert_eq!(self.row_bytes(out.len()), blocks.len(), "bytes of the encoded rows");
        if let Some(decode) = self.vector.decode
            && decode(path, blocks, out)
        {
            return;
        }
        (self.decode_row)(blocks, out);
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.name, self.version)
    }
}

impl PartialEq for Codec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Codec {}
