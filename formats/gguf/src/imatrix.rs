//! Importance matrix files: writes llama.cpp's GGUF layout, reads it and the older `.dat` layout.
//!
//! For each matrix, a file holds the sum of the squared inputs per column and the number of inputs; for a stack of
//! experts, both per expert. The reader skips names of unknown tensors.
//!
//! Source: tools/imatrix/imatrix.cpp of llama.cpp.

use std::collections::BTreeMap;

use mc_tensor::model_tensor::ModelTensor;

use crate::layout::{Layout, TensorPlan};
use crate::names::{model_tensor, wire_name};
use crate::reader::{Gguf, GgufError};
use crate::tensor_type::by_name;
use crate::value::{Array, Value};

/// The contents of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImatrixFile {
    /// Names of the calibration texts, for display.
    pub datasets: Vec<String>,
    /// Number of text chunks that were run.
    pub n_chunks: u32,
    /// Number of tokens per chunk.
    pub chunk_len: u32,
    /// The entry of each matrix.
    pub entries: BTreeMap<ModelTensor, ImatrixEntry>,
}

/// Statistics of the inputs of one matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct ImatrixEntry {
    /// Sum of squared inputs per column; in a stack of experts, one expert after the other.
    pub in_sum2: Vec<f32>,
    /// Number of inputs summed, per expert; a single number in files of the older layout.
    pub counts: Vec<f32>,
}

/// The bytes are not a valid importance matrix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImatrixError {
    /// The container is broken.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The file is a GGUF of another type.
    #[error("The file is a GGUF of type `{0}`; expected `imatrix`, as `llama-imatrix` writes it")]
    OtherType(String),
    /// A matrix has only one of its two tensors, or they do not match.
    #[error("Matrix `{name}`: {reason}")]
    Entry {
        /// The matrix.
        name: String,
        /// Description of the problem.
        reason: String,
    },
    /// A file of the older layout ends too early or has an impossible count.
    #[error(
        "The file is cut off or not an importance matrix: expected {what} at byte {offset}; \
         expected a file of `llama-imatrix`"
    )]
    Legacy {
        /// Byte offset.
        offset: usize,
        /// Expected contents.
        what: &'static str,
    },
    /// The file has no entry for a known tensor.
    #[error("The file has no matrix with a known name; expected names such as `blk.0.attn_q.weight`")]
    Empty,
}

impl ImatrixEntry {
    /// The mean squared input of each column, with which encoders weight errors. Without inputs, all columns of the
    /// matrix or expert have the same weight.
    pub fn importance(&self) -> Vec<f32> {
        let n_cols = (self.in_sum2.len() / self.counts.len().max(1)).max(1);
        let of_one = |(sums, count): (&[f32], &f32)| -> Vec<f32> {
            if *count > 0.0 { sums.iter().map(|sum| sum / count).collect() } else { vec![1.0; sums.len()] }
        };
        self.in_sum2.chunks(n_cols).zip(&self.counts).flat_map(of_one).collect()
    }
}

impl ImatrixFile {
    /// The bytes of the file; the same contents always give the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let keys = [
            ("general.type", Value::Text("imatrix".to_owned())),
            ("imatrix.datasets", Value::texts(self.datasets.iter().cloned())),
            ("imatrix.chunk_count", Value::U32(self.n_chunks)),
            ("imatrix.chunk_size", Value::U32(self.chunk_len)),
        ];
        let keys = keys.map(|(name, value)| (name.to_owned(), value));
        let kind = by_name("F32").expect("f32 is a tensor type");
        // llama.cpp sorts by name.
        let by_wire_name: BTreeMap<String, &ImatrixEntry> =
            self.entries.iter().map(|(tensor, entry)| (wire_name(*tensor), entry)).collect();
        let mut plans = Vec::new();
        let mut data: Vec<Vec<f32>> = Vec::new();
        for (name, entry) in by_wire_name {
            let n_parts = entry.counts.len() as u64;
            let n_cols = entry.in_sum2.len() as u64 / n_parts.max(1);
            plans.push(TensorPlan { name: format!("{name}.in_sum2"), kind, dims: vec![n_cols, n_parts] });
            data.push(entry.in_sum2.clone());
            plans.push(TensorPlan { name: format!("{name}.counts"), kind, dims: vec![1, n_parts] });
            data.push(entry.counts.clone());
        }
        let layout = Layout::new(&keys, &plans, 32);
        let mut bytes = layout.head;
        for (values, stretch) in data.iter().zip(&layout.tensors) {
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            bytes.resize(bytes.len() + stretch.padding as usize, 0);
        }
        bytes
    }

    /// Reads a file of either layout.
    ///
    /// # Errors
    /// [`ImatrixError`] if it is broken, of another type, or empty.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImatrixError> {
        let file = if bytes.starts_with(b"GGUF") { parse_gguf(bytes)? } else { parse_legacy(bytes)? };
        if file.entries.is_empty() { Err(ImatrixError::Empty) } else { Ok(file) }
    }
}

fn parse_gguf(bytes: &[u8]) -> Result<ImatrixFile, ImatrixError> {
    let gguf = Gguf::parse(bytes, bytes.len() as u64)?;
    match gguf.key("general.type").and_then(Value::as_text) {
        Some("imatrix") => {}
        other => return Err(ImatrixError::OtherType(other.unwrap_or("(none)").to_owned())),
    }
    let number = |name| gguf.key(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    let datasets = gguf.key("imatrix.datasets").and_then(Value::as_array).and_then(Array::texts);
    let mut file = ImatrixFile {
        datasets: datasets.map(|texts| texts.map(str::to_owned).collect()).unwrap_or_default(),
        n_chunks: number("imatrix.chunk_count").unwrap_or(0),
        chunk_len: number("imatrix.chunk_size").unwrap_or(0),
        entries: BTreeMap::new(),
    };
    for sums in &gguf.tensors {
        let Some(name) = sums.name.strip_suffix(".in_sum2") else { continue };
        let Some(tensor) = model_tensor(name) else { continue };
        let wrong = |reason: String| ImatrixError::Entry { name: name.to_owned(), reason };
        let counts = gguf
            .tensor(&format!("{name}.counts"))
            .ok_or_else(|| wrong("it has `in_sum2` but no `counts`".to_owned()))?;
        for part in [sums, counts] {
            if part.kind.name != "F32" {
                return Err(wrong(format!("`{}` has type {}; expected F32", part.name, part.kind.name)));
            }
        }
        let values = |start: u64, end: u64| floats(&bytes[start as usize..end as usize]);
        let (in_sum2, counts) = (values(sums.start, sums.end), values(counts.start, counts.end));
        // The size of a tensor was checked with zeros among its dimensions counted as 1.
        let n_parts = sums.dims.iter().skip(1).product::<u64>();
        if counts.is_empty() || counts.len() as u64 != n_parts {
            return Err(wrong(format!("it has {} counts for {n_parts} rows of sums", counts.len())));
        }
        if let Some(value) = in_sum2.iter().chain(&counts).find(|value| !value.is_finite() || **value < 0.0) {
            return Err(wrong(format!("it holds {value}; expected sums of squares")));
        }
        file.entries.insert(tensor, ImatrixEntry { in_sum2, counts });
    }
    Ok(file)
}

/// The older layout: a count, then for each matrix its name, a number of calls, and its means multiplied by that
/// number.
fn parse_legacy(bytes: &[u8]) -> Result<ImatrixFile, ImatrixError> {
    let mut cursor = Cursor { bytes, offset: 0 };
    let n_entries = cursor.count("a number of matrices", 12)?;
    let mut file = ImatrixFile::default();
    for _ in 0..n_entries {
        let n_bytes = cursor.count("the length of a name", 1)?;
        let name = String::from_utf8_lossy(cursor.take(n_bytes, "a name")?).into_owned();
        let n_calls = cursor.count("a number of calls", 0)?;
        let n_values = cursor.count("a number of columns", 4)?;
        let in_sum2 = floats(cursor.take(n_values * 4, "the sums of a matrix")?);
        if let Some(value) = in_sum2.iter().find(|value| !value.is_finite() || **value < 0.0) {
            return Err(ImatrixError::Entry {
                name,
                reason: format!("it holds {value}; expected sums of squares"),
            });
        }
        if let Some(tensor) = model_tensor(&name) {
            file.entries.insert(tensor, ImatrixEntry { in_sum2, counts: vec![n_calls as f32] });
        }
    }
    // Newer writers of this layout append the number of chunks and the name of the text.
    if let Ok(n_chunks) = cursor.count("a number of chunks", 0) {
        file.n_chunks = n_chunks as u32;
        if let Ok(n_bytes) = cursor.count("the length of a name", 1)
            && let Ok(name) = cursor.take(n_bytes, "a name")
        {
            file.datasets.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(file)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n_bytes: usize, what: &'static str) -> Result<&'a [u8], ImatrixError> {
        let end = self.offset.checked_add(n_bytes).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(ImatrixError::Legacy { offset: self.offset, what })?;
        let taken = &self.bytes[self.offset..end];
        self.offset = end;
        Ok(taken)
    }

    /// Reads a count of items that each take at least this many of the remaining bytes.
    fn count(&mut self, what: &'static str, bytes_each: usize) -> Result<usize, ImatrixError> {
        let offset = self.offset;
        let word = self.take(4, what)?;
        let number = i32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let left = self.bytes.len() - self.offset;
        usize::try_from(number)
            .ok()
            .filter(|number| number.checked_mul(bytes_each).is_some_and(|needed| needed <= left))
            .ok_or(ImatrixError::Legacy { offset, what })
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file() -> ImatrixFile {
        let entry = |scale: f32| ImatrixEntry { in_sum2: vec![scale, 2.0 * scale, 0.5], counts: vec![16.0] };
        let experts =
            ImatrixEntry { in_sum2: vec![8.0, 2.0, 9.0, 9.0, 3.0, 6.0], counts: vec![2.0, 0.0, 3.0] };
        let entries = [
            (ModelTensor::AttnQ { block: 0 }, entry(1.0)),
            (ModelTensor::FfnDown { block: 10 }, entry(3.0)),
            (ModelTensor::FfnUpExps { block: 3 }, experts),
        ];
        ImatrixFile {
            datasets: vec!["//models:calibration".to_owned()],
            n_chunks: 2,
            chunk_len: 8,
            entries: BTreeMap::from(entries),
        }
    }

    fn legacy(n_calls: i32) -> Vec<u8> {
        let mut bytes = 1_i32.to_le_bytes().to_vec();
        let name = b"blk.0.attn_q.weight";
        bytes.extend((name.len() as i32).to_le_bytes());
        bytes.extend_from_slice(name);
        bytes.extend(n_calls.to_le_bytes());
        bytes.extend(2_i32.to_le_bytes());
        bytes.extend([4.0_f32, 8.0].iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend(7_i32.to_le_bytes());
        bytes.extend(4_i32.to_le_bytes());
        bytes.extend_from_slice(b"wiki");
        bytes
    }

    #[test]
    fn a_written_file_reads_back() {
        let bytes = file().to_bytes();
        assert_eq!(ImatrixFile::parse(&bytes).unwrap(), file());
        assert_eq!(file().to_bytes(), bytes);
    }

    #[test]
    fn each_expert_is_weighted_by_its_own_inputs() {
        let file = ImatrixFile::parse(&file().to_bytes()).unwrap();
        let entry = &file.entries[&ModelTensor::FfnUpExps { block: 3 }];
        assert_eq!(entry.importance(), [4.0, 1.0, 1.0, 1.0, 1.0, 2.0]);
    }

    #[test]
    fn there_is_a_count_for_each_row_of_sums() {
        let kind = by_name("F32").unwrap();
        let plan = |name: &str, dims: &[u64]| TensorPlan { name: name.to_owned(), kind, dims: dims.to_vec() };
        let keys = [("general.type".to_owned(), Value::Text("imatrix".to_owned()))];
        let plans = [
            plan("blk.0.ffn_up_exps.weight.in_sum2", &[2, 3]),
            plan("blk.0.ffn_up_exps.weight.counts", &[1, 2]),
        ];
        let layout = Layout::new(&keys, &plans, 32);
        let n_bytes: u64 = layout.tensors.iter().map(|stretch| stretch.n_bytes + stretch.padding).sum();
        let mut bytes = layout.head;
        bytes.resize(bytes.len() + n_bytes as usize, 0);
        assert_eq!(
            ImatrixFile::parse(&bytes).unwrap_err().to_string(),
            "Matrix `blk.0.ffn_up_exps.weight`: it has 2 counts for 3 rows of sums"
        );
    }

    /// A dimension of zero makes the others harmless for the size, but not for the rows.
    #[test]
    fn dimensions_whose_product_overflows_are_refused() {
        let kind = by_name("F32").unwrap();
        let plan = |name: &str, dims: &[u64]| TensorPlan { name: name.to_owned(), kind, dims: dims.to_vec() };
        let keys = [("general.type".to_owned(), Value::Text("imatrix".to_owned()))];
        let plans =
            [plan("blk.0.ffn_up.weight.in_sum2", &[0, 3, 5, 1]), plan("blk.0.ffn_up.weight.counts", &[1, 1])];
        let mut bytes = Layout::new(&keys, &plans, 32).head;
        bytes.resize(bytes.len() + 32, 0);
        let dims = [0_u64, 3, 5, 1].map(u64::to_le_bytes).concat();
        let at = bytes.windows(dims.len()).position(|words| words == dims).unwrap();
        for huge in [[0, 1 << 40, 1 << 40, 1], [0, u64::MAX, 2, 1], [u64::MAX; 4]] {
            bytes[at..at + dims.len()].copy_from_slice(&huge.map(u64::to_le_bytes).concat());
            let message = ImatrixFile::parse(&bytes).unwrap_err().to_string();
            assert!(message.contains("that fits in a file"), "{message}");
        }
    }

    #[test]
    fn the_older_layout_is_read() {
        let file = ImatrixFile::parse(&legacy(4)).unwrap();
        assert_eq!(file.n_chunks, 7);
        assert_eq!(file.datasets, ["wiki"]);
        assert_eq!(file.entries[&ModelTensor::AttnQ { block: 0 }].importance(), [1.0, 2.0]);
        // Without calls, all weights are equal.
        let file = ImatrixFile::parse(&legacy(0)).unwrap();
        assert_eq!(file.entries[&ModelTensor::AttnQ { block: 0 }].importance(), [1.0, 1.0]);
    }

    #[test]
    fn other_files_are_refused() {
        let model =
            Layout::new(&[("general.type".to_owned(), Value::Text("model".to_owned()))], &[], 32).head;
        assert_eq!(ImatrixFile::parse(&model), Err(ImatrixError::OtherType("model".to_owned())));
        assert_eq!(ImatrixFile::parse(&ImatrixFile::default().to_bytes()), Err(ImatrixError::Empty));
        assert!(matches!(ImatrixFile::parse(b"no such thing at all"), Err(ImatrixError::Legacy { .. })));
        assert!(matches!(ImatrixFile::parse(b""), Err(ImatrixError::Legacy { .. })));
    }

    proptest! {
        #[test]
        fn changed_bytes_never_panic(position: proptest::sample::Index, byte: u8, is_legacy: bool) {
            let mut bytes = if is_legacy { legacy(3) } else { file().to_bytes() };
            let position = position.index(bytes.len());
            bytes[position] = byte;
            drop(ImatrixFile::parse(&bytes));
            drop(ImatrixFile::parse(&bytes[..position]));
        }
    }
}
