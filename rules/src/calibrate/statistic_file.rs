//! The file of a statistic: safetensors, with the kind in its metadata.
//!
//! | content | location |
//! |---|---|
//! | kind and version of the statistic | metadata `statistic`, such as `gram@1` |
//! | number of chunks, tokens of each | metadata `n_chunks` and `context` |
//! | rows that entered a matrix | I64 `[1]`, or one for each of a stack of experts, `NAME.n_rows` |
//! | the numbers of a matrix | F32 in the shape of the statistic, after the number of experts if it is a stack, `NAME` |
//!
//! Names of matrices are those of [`mc_gguf::names`]. Numbers come after all counts, so that the file is a
//! head and the blobs of the matrices. Input is untrusted: a file that is damaged or of another kind is an
//! error.

use std::collections::BTreeMap;

use mc_gguf::names::{model_tensor, wire_name};
use mc_runtime::statistics;
use mc_runtime::statistics::collector::Measured;
use mc_runtime::statistics::statistic::Statistic;
use mc_safetensors::header::{Header, SafetensorsError, TensorInfo};
use mc_safetensors::write::header_with;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

const STATISTIC: &str = "statistic";
const N_CHUNKS: &str = "n_chunks";
const CONTEXT: &str = "context";
/// Suffix of a count's name, after the name of its matrix.
const N_ROWS: &str = ".n_rows";

/// A statistic of the matrices of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticFile {
    /// The kind.
    pub statistic: &'static Statistic,
    /// Number of chunks of text.
    pub n_chunks: u64,
    /// Tokens of a chunk.
    pub chunk_len: u64,
    /// The measurements, by matrix.
    pub matrices: BTreeMap<ModelTensor, Measured>,
}

/// The bytes are not the file of a statistic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatisticFileError {
    /// They are not safetensors.
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    /// The metadata does not name a known statistic.
    #[error("Metadata `{name}` is {found}; expected {expected}")]
    Metadata {
        /// The name.
        name: &'static str,
        /// The text found.
        found: String,
        /// The text expected.
        expected: String,
    },
    /// A tensor is not that of a matrix.
    #[error("Tensor `{name}`: {reason}")]
    Tensor {
        /// The name.
        name: String,
        /// The expected and the found value.
        reason: String,
    },
}

impl StatisticFile {
    /// Returns the bytes before the numbers: the header and the counts. The numbers follow in the order of
    /// the matrices.
    pub fn head(&self) -> Vec<u8> {
        let metadata = [
            (STATISTIC, version_of(self.statistic)),
            (N_CHUNKS, self.n_chunks.to_string()),
            (CONTEXT, self.chunk_len.to_string()),
        ];
        let counts = self.matrices.iter().map(|(tensor, measured)| {
            let name = format!("{}{N_ROWS}", wire_name(*tensor));
            (name, DType::I64, vec![measured.n_rows.len() as u64])
        });
        let numbers = self.matrices.iter().map(|(tensor, measured)| {
            let n_parts = measured.n_rows.len() as u64;
            (wire_name(*tensor), DType::F32, shape(self.statistic, n_parts, measured.n_cols as u64))
        });
        let mut head = header_with(&metadata, &counts.chain(numbers).collect::<Vec<_>>());
        for measured in self.matrices.values() {
            head.extend(measured.n_rows.iter().flat_map(|n_rows| n_rows.to_le_bytes()));
        }
        head
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`StatisticFileError`], with the expected and the found value.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatisticFileError> {
        let header = Header::parse(bytes, bytes.len() as u64)?;
        let (statistic, n_chunks, chunk_len) =
            (statistic_of(&header)?, number_of(&header, N_CHUNKS)?, number_of(&header, CONTEXT)?);
        let mut matrices = BTreeMap::new();
        let mut counts: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for info in &header.tensors {
            if let Some(name) = info.name.strip_suffix(N_ROWS) {
                counts.insert(name, row_counts(info, bytes)?);
            }
        }
        for info in header.tensors.iter().filter(|info| !info.name.ends_with(N_ROWS)) {
            let wrong = |reason: &str| tensor_error(info, reason.to_owned());
            let tensor =
                model_tensor(&info.name).ok_or_else(|| wrong("no matrix of a model has this name"))?;
            let n_rows =
                counts.get(info.name.as_str()).ok_or_else(|| wrong("its number of rows is missing"))?;
            matrices.insert(tensor, measured(statistic, info, bytes, n_rows)?);
        }
        Ok(Self { statistic, n_chunks, chunk_len, matrices })
    }
}

/// Returns the bytes of a matrix's numbers, as in a file.
pub(crate) fn number_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Returns kind and version, as in keys and files.
pub(crate) fn version_of(statistic: &Statistic) -> String {
    format!("{}@{}", statistic.name, statistic.version)
}

/// Returns the statistic of a kind and version, if this `mc` has it.
pub(crate) fn by_version(text: &str) -> Option<&'static Statistic> {
    statistics::STATISTICS.iter().copied().find(|statistic| version_of(statistic) == text)
}

fn statistic_of(header: &Header) -> Result<&'static Statistic, StatisticFileError> {
    let found = header.metadata.get(STATISTIC);
    found.and_then(|text| by_version(text)).ok_or_else(|| {
        let known: Vec<String> =
            statistics::STATISTICS.iter().map(|statistic| format!("`{}`", version_of(statistic))).collect();
        metadata_error(STATISTIC, found, format!("one of {}", known.join(", ")))
    })
}

fn number_of(header: &Header, name: &'static str) -> Result<u64, StatisticFileError> {
    let found = header.metadata.get(name);
    let number = found.and_then(|text| text.parse().ok());
    number.ok_or_else(|| metadata_error(name, found, "a whole number".to_owned()))
}

fn metadata_error(name: &'static str, found: Option<&String>, expected: String) -> StatisticFileError {
    let found = found.map_or_else(|| "missing".to_owned(), |found| format!("`{found}`"));
    StatisticFileError::Metadata { name, found, expected }
}

fn tensor_error(info: &TensorInfo, reason: String) -> StatisticFileError {
    StatisticFileError::Tensor { name: info.name.clone(), reason }
}

/// Returns the bytes of a tensor; the header guarantees that they exist.
fn bytes_of<'a>(info: &TensorInfo, bytes: &'a [u8]) -> &'a [u8] {
    bytes.get(info.start as usize..info.end as usize).unwrap_or_default()
}

/// Returns the shape of the numbers of one matrix, or of a stack.
fn shape(statistic: &Statistic, n_parts: u64, n_cols: u64) -> Vec<u64> {
    let stack = Some(n_parts).filter(|n_parts| *n_parts != 1);
    stack.into_iter().chain((statistic.shape)(n_cols)).collect()
}

fn row_counts(info: &TensorInfo, bytes: &[u8]) -> Result<Vec<u64>, StatisticFileError> {
    let counts = bytes_of(info, bytes).as_chunks().0;
    if info.dtype != DType::I64 || info.shape.len() != 1 || counts.is_empty() {
        return Err(tensor_error(info, "expected I64, a number for each matrix".to_owned()));
    }
    Ok(counts.iter().map(|count| u64::from_le_bytes(*count)).collect())
}

fn measured(
    statistic: &Statistic,
    info: &TensorInfo,
    bytes: &[u8],
    n_rows: &[u64],
) -> Result<Measured, StatisticFileError> {
    let n_cols = info.shape.last().copied().unwrap_or(0);
    if info.dtype != DType::F32 || info.shape != shape(statistic, n_rows.len() as u64, n_cols) {
        let reason = format!("expected F32 in the shape of the statistic `{statistic}`");
        return Err(tensor_error(info, reason));
    }
    let words = bytes_of(info, bytes).as_chunks::<4>().0;
    let values = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    Ok(Measured { n_cols: n_cols as usize, n_rows: n_rows.to_vec(), values })
}

#[cfg(test)]
mod tests {
    use mc_runtime::statistics::diagonal::DIAGONAL;
    use mc_runtime::statistics::gram::GRAM;

    use super::*;

    fn file(statistic: &'static Statistic) -> StatisticFile {
        let measured = |n_cols: usize, n_rows: &[u64]| {
            let n_values: u64 = shape(statistic, n_rows.len() as u64, n_cols as u64).iter().product();
            let values = (0..n_values).map(|n| n as f32 / 3.0).collect();
            Measured { n_cols, n_rows: n_rows.to_vec(), values }
        };
        let matrices = BTreeMap::from([
            (ModelTensor::AttnQ { block: 0 }, measured(3, &[7])),
            (ModelTensor::FfnDown { block: 11 }, measured(5, &[8])),
            (ModelTensor::FfnDownExps { block: 12 }, measured(4, &[8, 0])),
        ]);
        StatisticFile { statistic, n_chunks: 2, chunk_len: 16, matrices }
    }

    fn bytes(file: &StatisticFile) -> Vec<u8> {
        let mut bytes = file.head();
        file.matrices.values().for_each(|measured| bytes.extend(number_bytes(&measured.values)));
        bytes
    }

    #[test]
    fn written_statistics_read_back() {
        for statistic in statistics::STATISTICS {
            let file = file(statistic);
            assert_eq!(StatisticFile::parse(&bytes(&file)), Ok(file));
        }
    }

    #[test]
    fn any_damage_is_an_error_or_another_number() {
        let whole = bytes(&file(&GRAM));
        for end in 0..whole.len() {
            assert!(StatisticFile::parse(&whole[..end]).is_err(), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x15;
            drop(StatisticFile::parse(&damaged));
        }
    }

    #[test]
    fn files_of_another_kind_are_reported() {
        let refusal = |from: &str, to: &str| {
            let text = bytes(&file(&DIAGONAL));
            let at = text.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            let changed = [&text[..at], to.as_bytes(), &text[at + from.len()..]].concat();
            StatisticFile::parse(&changed).unwrap_err().to_string()
        };
        assert_eq!(
            refusal("diagonal@1", "diagonal@9"),
            "Metadata `statistic` is `diagonal@9`; expected one of `diagonal@1`, `gram@1`, `channel-max@1`"
        );
        assert_eq!(
            refusal("n_chunks", "n_clunks"),
            "Metadata `n_chunks` is missing; expected a whole number"
        );
        assert_eq!(
            refusal("\"blk.0.attn_q.weight\"", "\"blk.0.attn_z.weight\""),
            "Tensor `blk.0.attn_z.weight`: no matrix of a model has this name"
        );
        assert_eq!(
            refusal("blk.0.attn_q.weight.n_rows", "blk.0.attn_k.weight.n_rows"),
            "Tensor `blk.0.attn_q.weight`: its number of rows is missing"
        );
        let shape = refusal("\"shape\":[3]", "\"shape\":[1]");
        assert!(shape.contains("blk.0.attn_q.weight"), "{shape}");
    }
}
