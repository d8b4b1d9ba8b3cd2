//! Reads the header of an untrusted safetensors file.
//!
//! Every offset is checked against the file's length and against its neighbors before use, and memory is bounded by
//! the size of the header itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mc_tensor::dtype::{DType, UnknownDType};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Maximum header length; the reference implementation has the same limit.
pub const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Maximum number of dimensions of a tensor, which bounds the memory of a shape.
const MAX_DIMENSIONS: usize = 16;

/// The contents of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The tensors, in the order of their bytes.
    pub tensors: Vec<TensorInfo>,
    /// The free text under `__metadata__`.
    pub metadata: BTreeMap<String, String>,
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Type of its elements.
    pub dtype: DType,
    /// Row-major shape, slowest dimension first.
    pub shape: Vec<u64>,
    /// First byte in the file.
    pub start: u64,
    /// One past its last byte in the file.
    pub end: u64,
}

/// The bytes are not a valid safetensors file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SafetensorsError {
    /// The file is shorter than its own header.
    #[error("The file is cut off: its header needs {needed} bytes, found {found}; fetch the file again")]
    TooShort {
        /// Bytes that the header needs, including its length field.
        needed: u64,
        /// Length of the file in bytes.
        found: u64,
    },
    /// The header's length is above the limit.
    #[error(
        "The header claims {claimed} bytes; expected at most {MAX_HEADER_BYTES}. Is this a safetensors file?"
    )]
    HeaderTooLong {
        /// The length stated in the file.
        claimed: u64,
    },
    /// The header is not JSON of the expected form.
    #[error("The header is not valid: {0}. Is this a safetensors file?")]
    Malformed(String),
    /// One tensor's entry is wrong.
    #[error("Tensor `{name}`: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// The expected and the found value.
        reason: String,
    },
    /// The file ends before its last tensor does.
    #[error(
        "The file is cut off: its tensors end at byte {expected}, the file at {found}; fetch the file again"
    )]
    Truncated {
        /// The end of the last tensor.
        expected: u64,
        /// Length of the file in bytes.
        found: u64,
    },
    /// The file continues after its last tensor.
    #[error("The file has {found} bytes; its tensors end at byte {expected}")]
    Trailing {
        /// The end of the last tensor.
        expected: u64,
        /// Length of the file in bytes.
        found: u64,
    },
}

/// The end of the header in bytes from the start of the file, read from the file's first eight bytes.
///
/// # Errors
/// [`SafetensorsError`] if there are fewer than eight bytes, or the length is above the limit.
pub fn head_bytes(first: &[u8], n_bytes: u64) -> Result<u64, SafetensorsError> {
    let Some(length) = first.first_chunk::<8>() else {
        return Err(SafetensorsError::TooShort { needed: 8, found: n_bytes });
    };
    let claimed = u64::from_le_bytes(*length);
    if claimed > MAX_HEADER_BYTES {
        return Err(SafetensorsError::HeaderTooLong { claimed });
    }
    let needed = 8 + claimed;
    if needed > n_bytes {
        return Err(SafetensorsError::TooShort { needed, found: n_bytes });
    }
    Ok(needed)
}

impl Header {
    /// Reads a header.
    ///
    /// * `head`: the first bytes of the file, at least its header
    /// * `n_bytes`: length of the whole file
    ///
    /// # Errors
    /// [`SafetensorsError`], with the tensor, the expected and the found value.
    pub fn parse(head: &[u8], n_bytes: u64) -> Result<Self, SafetensorsError> {
        let data_start = head_bytes(head, n_bytes)?;
        let json = usize::try_from(data_start).ok().and_then(|end| head.get(8..end));
        let json = json.ok_or(SafetensorsError::TooShort { needed: data_start, found: head.len() as u64 })?;
        let text = std::str::from_utf8(json).map_err(|error| {
            SafetensorsError::Malformed(format!("not UTF-8 at byte {}", 8 + error.valid_up_to()))
        })?;
        let entries = Entries::read(text, data_start)?;
        let mut header = Self { tensors: entries.tensors, metadata: entries.metadata };
        header.check_layout(data_start, n_bytes)?;
        Ok(header)
    }

    fn check_layout(&mut self, data_start: u64, n_bytes: u64) -> Result<(), SafetensorsError> {
        self.tensors.sort_by(|a, b| (a.start, a.end, &a.name).cmp(&(b.start, b.end, &b.name)));
        let mut end = data_start;
        for tensor in &self.tensors {
            if tensor.start != end {
                let reason = format!(
                    "its bytes begin at {} of the data; expected {}, where the previous tensor ends",
                    tensor.start - data_start,
                    end - data_start
                );
                return Err(SafetensorsError::Tensor { name: tensor.name.clone(), reason });
            }
            end = tensor.end;
        }
        match end.cmp(&n_bytes) {
            std::cmp::Ordering::Greater => Err(SafetensorsError::Truncated { expected: end, found: n_bytes }),
            std::cmp::Ordering::Less => Err(SafetensorsError::Trailing { expected: end, found: n_bytes }),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }

    /// The tensor with this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

/// The header's entries, read one by one: a map would hide duplicate names, and a tree of JSON values takes many times
/// the memory of the text.
#[derive(Default)]
struct Entries {
    tensors: Vec<TensorInfo>,
    metadata: BTreeMap<String, String>,
}

impl Entries {
    fn read(text: &str, data_start: u64) -> Result<Self, SafetensorsError> {
        let mut reader = EntryReader { data_start, entries: Self::default(), error: None };
        let mut json = serde_json::Deserializer::from_str(text);
        let read = json.deserialize_map(&mut reader).and_then(|()| json.end());
        match (reader.error, read) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(SafetensorsError::Malformed(error.to_string())),
            (None, Ok(())) => Ok(reader.entries),
        }
    }
}

struct EntryReader {
    data_start: u64,
    entries: Entries,
    /// An error in a tensor, kept here because serde's errors cannot carry it.
    error: Option<SafetensorsError>,
}

impl<'de> Visitor<'de> for &mut EntryReader {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let mut fail = |reason: String| {
                self.error = Some(SafetensorsError::Tensor { name: name.clone(), reason });
                A::Error::custom("a tensor is wrong")
            };
            if !names.insert(name.clone()) {
                return Err(fail("it is listed twice".to_owned()));
            }
            if name == "__metadata__" {
                self.entries.metadata = map.next_value()?;
                continue;
            }
            let fields = map.next_value::<Fields>().map_err(|error| fail(error.to_string()))?;
            let tensor = fields.tensor(&name, self.data_start).map_err(&mut fail)?;
            let tensors = &mut self.entries.tensors;
            if tensors.len() == tensors.capacity() {
                // Doubling could take much more memory than the text.
                tensors.reserve_exact(tensors.len() / 8 + 16);
            }
            tensors.push(tensor);
        }
        Ok(())
    }
}

/// A tensor's entry; other fields in it are ignored.
#[derive(serde::Deserialize)]
struct Fields {
    dtype: Option<String>,
    shape: Option<Numbers>,
    data_offsets: Option<Numbers>,
}

/// Whole numbers, up to the maximum number of dimensions; further ones are only counted.
#[derive(Default)]
struct Numbers {
    values: Vec<u64>,
    count: usize,
}

impl<'de> serde::Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumbersVisitor;
        impl<'de> Visitor<'de> for NumbersVisitor {
            type Value = Numbers;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of whole numbers")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Numbers, A::Error> {
                let mut numbers = Numbers::default();
                while let Some(number) = items.next_element()? {
                    numbers.count += 1;
                    if numbers.values.len() < MAX_DIMENSIONS {
                        numbers.values.push(number);
                    }
                }
                Ok(numbers)
            }
        }
        deserializer.deserialize_seq(NumbersVisitor)
    }
}

impl Fields {
    fn tensor(self, name: &str, data_start: u64) -> Result<TensorInfo, String> {
        let dtype = self.dtype.ok_or("it has no `dtype`")?;
        let dtype: DType = dtype.parse().map_err(|error: UnknownDType| error.to_string())?;
        let shape = self.shape.ok_or("it has no list `shape`")?;
        if shape.count > MAX_DIMENSIONS {
            return Err(format!(
                "its shape has {} dimensions; expected at most {MAX_DIMENSIONS}",
                shape.count
            ));
        }
        let shape = shape.values;
        let offsets = self.data_offsets.ok_or("it has no list `data_offsets`")?;
        let ([start, end], 2) =
            (offsets.values.get(..2).map_or([0, 0], |two| [two[0], two[1]]), offsets.count)
        else {
            return Err(format!("`data_offsets` has {} numbers; expected 2", offsets.count));
        };
        // Zeros count as 1, because some callers use only some of the dimensions.
        let n_elements = shape.iter().try_fold(1_u64, |product, n| product.checked_mul((*n).max(1)));
        let expected = n_elements.and_then(|n| n.checked_mul(dtype.n_bytes() as u64));
        let expected = expected.map(|expected| if shape.contains(&0) { 0 } else { expected });
        let expected =
            expected.ok_or_else(|| format!("shape {shape:?} has more bytes than a file can have"))?;
        if end < start || end - start != expected {
            return Err(format!(
                "shape {shape:?} of {dtype} needs {expected} bytes; `data_offsets` are {start}..{end}"
            ));
        }
        let shifted = |offset: u64| offset.checked_add(data_start).ok_or("its offsets overflow");
        Ok(TensorInfo { name: name.to_owned(), dtype, shape, start: shifted(start)?, end: shifted(end)? })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn file(json: &str, n_data: usize) -> Vec<u8> {
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(json.as_bytes());
        bytes.resize(bytes.len() + n_data, 0);
        bytes
    }

    fn check(json: &str, n_data: usize, expected: &Expect) {
        let bytes = file(json, n_data);
        let shown = match Header::parse(&bytes, bytes.len() as u64) {
            Ok(header) => {
                format!("{:?}", header.tensors.iter().map(|tensor| &tensor.name).collect::<Vec<_>>())
            }
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&shown);
    }

    const GOOD: &str = r#"{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#;

    #[test]
    fn tensors_come_in_the_order_of_their_bytes() {
        check(GOOD, 8, &expect![[r#"["a", "b"]"#]]);
    }

    #[test]
    fn each_wrong_value_is_reported_with_its_tensor() {
        check(
            GOOD,
            7,
            &expect![
                "The file is cut off: its tensors end at byte 124, the file at 123; fetch the file again"
            ],
        );
        check(GOOD, 9, &expect!["The file has 125 bytes; its tensors end at byte 124"]);
        check(
            r#"{"a":{"dtype":"BF17","shape":[2],"data_offsets":[0,4]}}"#,
            4,
            &expect![
                "Tensor `a`: Unknown dtype `BF17`; expected one of F64, F32, F16, BF16, F8_E4M3, F8_E5M2, I64 … U8, BOOL"
            ],
        );
        check(
            r#"{"a":{"dtype":"BF16","shape":[3],"data_offsets":[0,4]}}"#,
            4,
            &expect!["Tensor `a`: shape [3] of BF16 needs 6 bytes; `data_offsets` are 0..4"],
        );
        check(
            r#"{"a":{"dtype":"BF16","shape":[2],"data_offsets":[2,6]}}"#,
            6,
            &expect![
                "Tensor `a`: its bytes begin at 2 of the data; expected 0, where the previous tensor ends"
            ],
        );
        check(
            r#"{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#,
            4,
            &expect!["Tensor `a`: it is listed twice"],
        );
        check(
            r#"{"a":{"dtype":"BF16","shape":[9223372036854775807,4],"data_offsets":[0,4]}}"#,
            4,
            &expect!["Tensor `a`: shape [9223372036854775807, 4] has more bytes than a file can have"],
        );
        check(r#"{"a":{"shape":[2],"data_offsets":[0,4]}}"#, 4, &expect!["Tensor `a`: it has no `dtype`"]);
        check(
            r#"{"a":{"dtype":"BF16","shape":[-2],"data_offsets":[0,4]}}"#,
            4,
            &expect!["Tensor `a`: invalid value: integer `-2`, expected u64 at line 1 column 32"],
        );
        check(
            "[]",
            0,
            &expect![
                "The header is not valid: invalid type: sequence, expected an object of tensors at line 1 column 0. Is this a safetensors file?"
            ],
        );
    }

    #[test]
    fn a_header_longer_than_the_file_is_refused_before_allocating() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        assert!(matches!(Header::parse(&bytes, 8), Err(SafetensorsError::HeaderTooLong { .. })));
        bytes = 50_000_000_u64.to_le_bytes().to_vec();
        assert!(matches!(Header::parse(&bytes, 8), Err(SafetensorsError::TooShort { .. })));
        assert!(matches!(Header::parse(&[1, 2], 2), Err(SafetensorsError::TooShort { .. })));
    }

    proptest! {
        #[test]
        fn a_changed_byte_never_panics(index in 0..120_usize, byte: u8) {
            let mut bytes = file(GOOD, 8);
            let index = index % bytes.len();
            bytes[index] = byte;
            let parsed = Header::parse(&bytes, bytes.len() as u64);
            if let Ok(header) = parsed {
                prop_assert!(header.tensors.iter().all(|tensor| tensor.end <= bytes.len() as u64));
            }
        }
    }
}
