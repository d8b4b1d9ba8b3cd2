//! Codecs: rows of f32 to rows of blocks and back.

use std::fmt;

use mc_tensor::cpu_path::CpuPath;

/// A block quantization, or a plain float type treated as one with blocks of one element.
pub struct Codec {
    /// Its name in ggml: `Q4_K`.
    pub name: &'static str,
    /// Raised when the same rows may give other bytes; part of every key of a quantized tensor.
    pub version: u32,
    /// Number of elements per block.
    pub block_len: usize,
    /// Number of bytes per block.
    pub block_bytes: usize,
    /// The codec used if a row is not a whole number of blocks; `None` if only F16 fits.
    pub fallback: Option<&'static Self>,
    /// The effect of importance weights on its bytes.
    pub importance: Importance,
    /// Encodes one row; see [`Codec::encode`]. This defines the bytes.
    pub encode_row: fn(&[f32], Option<&[f32]>, &mut [u8]),
    /// Decodes one row; see [`Codec::decode`]. This defines the numbers.
    pub decode_row: fn(&[u8], &mut [f32]),
    /// The vector paths, if there are any.
    pub vector: Vector,
}

/// Encodes whole rows on a path. Returns false, without writing anything, if it has no vector code.
pub type EncodeRows = fn(CpuPath, &Rows<'_>, &mut [u8]) -> bool;

/// Decodes blocks on a path. Returns false, without writing anything, if it has no vector code.
pub type DecodeBlocks = fn(CpuPath, &[u8], &mut [f32]) -> bool;

/// Faster encoding and decoding with the same results.
pub struct Vector {
    /// The encoder; `None` if there is only scalar code.
    pub encode: Option<EncodeRows>,
    /// The decoder; `None` if there is only scalar code.
    pub decode: Option<DecodeBlocks>,
}

impl Vector {
    /// No vector paths.
    pub const NONE: Self = Self { encode: None, decode: None };
}

/// Rows to encode together.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// The weights, row-major.
    pub x: &'a [f32],
    /// Number of columns.
    pub n_cols: usize,
    /// One weight per column.
    pub importance: Option<&'a [f32]>,
}

/// The effect of importance weights on a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// They change no byte, so they are not an input of the action.
    Ignored,
    /// They change the bytes if they are given.
    Used,
    /// Like [`Self::Used`], but the result without them is so poor that recipes refuse it.
    Expected,
    /// Encoding is impossible without them: [`Codec::encode`] panics.
    Required,
}

impl Codec {
    /// Returns true if a row of this length is a whole number of blocks.
    pub fn fits(&self, n_cols: usize) -> bool {
        n_cols.is_multiple_of(self.block_len)
    }

    /// Size in bytes of a tensor of this shape, rows last. `None` if its rows are not a whole number of blocks, or the
    /// product of its dimensions overflows.
    pub fn tensor_bytes(&self, shape: &[u64]) -> Option<u64> {
        let (block_len, block_bytes) = (self.block_len as u64, self.block_bytes as u64);
        let n_elements = shape.iter().try_fold(1_u64, |product, n| product.checked_mul(*n))?;
        let is_whole = shape.last().copied().unwrap_or(1).is_multiple_of(block_len);
        is_whole.then(|| n_elements.div_ceil(block_len)).and_then(|n| n.checked_mul(block_bytes))
    }

    /// Size in bytes of an encoded row; `n_cols` must be a whole number of blocks.
    pub fn row_bytes(&self, n_cols: usize) -> usize {
        n_cols / self.block_len * self.block_bytes
    }

    /// Encodes rows independently of each other, so that any subset can be encoded anywhere.
    ///
    /// * `rows`: rows of `n_cols` elements, row-major; all finite
    /// * `importance`: one weight per column, at least zero, if any
    /// * `out`: the same number of rows of [`Self::row_bytes`]
    ///
    /// # Panics
    /// If the lengths disagree, a row is not a whole number of blocks, or required importance is missing: the caller
    /// resolves codecs by shape and importance first.
    pub fn encode(&self, rows: &[f32], n_cols: usize, importance: Option<&[f32]>, out: &mut [u8]) {
        self.encode_on(CpuPath::detect(), rows, n_cols, importance, out);
    }

    /// Like [`Self::encode`], with the vector code of a path; on [`CpuPath::BASELINE`] with scalar code.
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
        assert!(
            n_cols > 0 && self.fits(n_cols),
            "{n_cols} columns are not a whole number of `{self}` blocks"
        );
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

    /// Like [`Self::decode`], with the vector code of a path; on [`CpuPath::BASELINE`] with scalar code.
    ///
    /// # Panics
    /// As [`Self::decode`].
    pub fn decode_on(&self, path: CpuPath, blocks: &[u8], out: &mut [f32]) {
        assert!(self.fits(out.len()), "{} elements are not a whole number of `{self}` blocks", out.len());
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
