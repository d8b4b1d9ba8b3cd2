//! Reads the head of an untrusted GGUF file.
//!
//! Every length is checked against the remaining bytes before any allocation, and every tensor against the length of
//! the file. Versions 2 and 3 are supported; version 1, with 32-bit counts, is no longer in use.

use crate::key_writer::Keys;
use crate::tensor_type::{self, TensorType};
use crate::value::{ARRAY, Array, TEXT, Value};

/// Maximum nesting of arrays. No known file has nested arrays.
const MAX_NESTING: u32 = 4;
/// ggml's own limit on the number of dimensions.
const MAX_DIMENSIONS: u32 = 4;

/// The head of a file: everything except the tensors' bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Gguf {
    /// Version of the format.
    pub version: u32,
    /// The keys, in file order.
    pub keys: BoxedItems<(String, Value)>,
    /// The tensors, in file order.
    pub tensors: BoxedItems<TensorInfo>,
    /// Alignment of tensors, in bytes.
    pub alignment: u64,
    /// First byte of the data section.
    pub data_start: u64,
}

/// A list whose growth never allocates more memory at once than the bytes that its items were read from: an entry of a
/// head may take 13 bytes in the file and five times as many in memory.
pub type BoxedItems<T> = Vec<Box<T>>;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: TensorType,
    /// Its dimensions, fastest first.
    pub dims: Vec<u64>,
    /// First byte in the file.
    pub start: u64,
    /// One past its last byte in the file.
    pub end: u64,
}

/// The bytes are not a valid GGUF file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    /// The magic number is wrong.
    #[error("The file begins with `{0}`; a GGUF file begins with `GGUF`")]
    Magic(String),
    /// The version is not supported.
    #[error("The file has GGUF version {0}; expected 2 or 3")]
    Version(u32),
    /// The head ends too early.
    #[error("The file is cut off at byte {offset} of its head, within {what}; fetch the file again")]
    CutOff {
        /// Byte offset.
        offset: usize,
        /// The item that was being read.
        what: String,
    },
    /// An item of the head is invalid.
    #[error("{what}: {reason}")]
    Wrong {
        /// The key or the tensor.
        what: String,
        /// The expected and the found value.
        reason: String,
    },
    /// A tensor lies outside the file.
    #[error(
        "Tensor `{name}` ends at byte {end}, but the file has {n_bytes} bytes; it is cut off: fetch it again"
    )]
    Truncated {
        /// Its name.
        name: String,
        /// One past its last byte.
        end: u64,
        /// Length of the file in bytes.
        n_bytes: u64,
    },
}

impl Gguf {
    /// Reads a head.
    ///
    /// * `head`: the first bytes of the file, at least its whole head
    /// * `n_bytes`: length of the whole file
    ///
    /// # Errors
    /// [`GgufError`], with the location, the expected and the found value.
    pub fn parse(head: &[u8], n_bytes: u64) -> Result<Self, GgufError> {
        let mut cursor = Cursor { bytes: head, offset: 0 };
        let magic = cursor.take(4, "the magic number")?;
        if magic != b"GGUF" {
            return Err(GgufError::Magic(magic.escape_ascii().to_string()));
        }
        let version = cursor.u32("the version")?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version(version));
        }
        let n_tensors = cursor.u64("the number of tensors")?;
        let n_keys = cursor.u64("the number of keys")?;
        let mut keys: BoxedItems<(String, Value)> = Vec::new();
        for index in 0..n_keys {
            let name = cursor.text(&format!("the name of key {index}"))?;
            let what = format!("key `{name}`");
            let type_id = cursor.u32(&what)?;
            keys.push(Box::new((name, cursor.value(type_id, &what, 0)?)));
        }
        let alignment = alignment(&keys)?;
        let mut tensors = Vec::new();
        for index in 0..n_tensors {
            tensors.push(Box::new(cursor.tensor(index)?));
        }
        let data_start = (cursor.offset as u64).next_multiple_of(alignment);
        for tensor in &mut tensors {
            place(tensor, data_start, alignment, n_bytes)?;
        }
        check_overlaps(&tensors)?;
        let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(wrong(format!("Tensor `{}`", pair[0]), "it is listed twice"));
        }
        Ok(Self { version, keys, tensors, alignment, data_start })
    }

    /// The value of a key.
    pub fn key(&self, name: &str) -> Option<&Value> {
        self.keys.iter().find(|key| key.0 == name).map(|key| &key.1)
    }

    /// The keys, for writing them into another file.
    pub fn to_keys(&self) -> Keys {
        self.keys.iter().map(|key| (**key).clone()).collect()
    }

    /// The tensor with this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name).map(|tensor| &**tensor)
    }
}

fn wrong(what: impl Into<String>, reason: impl Into<String>) -> GgufError {
    GgufError::Wrong { what: what.into(), reason: reason.into() }
}

fn alignment(keys: &[Box<(String, Value)>]) -> Result<u64, GgufError> {
    let Some(key) = keys.iter().find(|key| key.0 == "general.alignment") else {
        return Ok(32);
    };
    let value = &key.1;
    value
        .as_u64()
        .filter(|alignment| alignment.is_power_of_two() && *alignment <= 1 << 20)
        .ok_or_else(|| wrong("Key `general.alignment`", format!("found {value:?}; expected a power of two")))
}

/// Turns an offset in the data section into a file offset, and checks it against the length of the file.
fn place(tensor: &mut TensorInfo, data_start: u64, alignment: u64, n_bytes: u64) -> Result<(), GgufError> {
    let what = || format!("Tensor `{}`", tensor.name);
    let Some(size) = tensor.kind.n_bytes(&tensor.dims) else {
        let (kind, dims) = (tensor.kind.name, &tensor.dims);
        return Err(wrong(
            what(),
            format!("dimensions {dims:?} are not a whole number of {kind} blocks that fits in a file"),
        ));
    };
    if !tensor.start.is_multiple_of(alignment) {
        let start = tensor.start;
        return Err(wrong(
            what(),
            format!("it begins at {start} of the data; expected a multiple of {alignment}"),
        ));
    }
    let end = tensor.start.checked_add(data_start).and_then(|start| start.checked_add(size));
    match end {
        Some(end) if end <= n_bytes => {
            tensor.start = end - size;
            tensor.end = end;
            Ok(())
        }
        _ => Err(GgufError::Truncated { name: tensor.name.clone(), end: end.unwrap_or(u64::MAX), n_bytes }),
    }
}

/// Checks that no two tensors share a byte, so that the sum of all sizes never exceeds the file.
fn check_overlaps(tensors: &[Box<TensorInfo>]) -> Result<(), GgufError> {
    let mut places: Vec<(u64, u64, &str)> = tensors
        .iter()
        .filter(|tensor| tensor.start < tensor.end)
        .map(|tensor| (tensor.start, tensor.end, tensor.name.as_str()))
        .collect();
    places.sort_unstable();
    match places.windows(2).find(|pair| pair[1].0 < pair[0].1) {
        Some(pair) => {
            let ((_, end, before), (start, _, name)) = (pair[0], pair[1]);
            let reason = format!("it begins at byte {start}; expected {end} or later, where `{before}` ends");
            Err(wrong(format!("Tensor `{name}`"), reason))
        }
        None => Ok(()),
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: u64, what: &str) -> Result<&'a [u8], GgufError> {
        let end = usize::try_from(n).ok().and_then(|n| self.offset.checked_add(n));
        match end.and_then(|end| self.bytes.get(self.offset..end).map(|bytes| (bytes, end))) {
            Some((bytes, end)) => {
                self.offset = end;
                Ok(bytes)
            }
            None => Err(GgufError::CutOff { offset: self.offset, what: what.to_owned() }),
        }
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], GgufError> {
        let bytes = self.take(N as u64, what)?;
        Ok(*bytes.first_chunk().expect("`take` gave N bytes"))
    }

    fn u32(&mut self, what: &str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn text(&mut self, what: &str) -> Result<String, GgufError> {
        let n = self.u64(what)?;
        let bytes = self.take(n, what)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| wrong(what, "it is not UTF-8"))
    }

    fn value(&mut self, type_id: u32, what: &str, nesting: u32) -> Result<Value, GgufError> {
        Ok(match type_id {
            0 => Value::U8(self.array::<1>(what)?[0]),
            1 => Value::I8(i8::from_le_bytes(self.array(what)?)),
            2 => Value::U16(u16::from_le_bytes(self.array(what)?)),
            3 => Value::I16(i16::from_le_bytes(self.array(what)?)),
            4 => Value::U32(self.u32(what)?),
            5 => Value::I32(i32::from_le_bytes(self.array(what)?)),
            6 => Value::F32(f32::from_le_bytes(self.array(what)?)),
            7 => Value::Bool(self.array::<1>(what)?[0] != 0),
            8 => Value::Text(self.text(what)?),
            ARRAY if nesting < MAX_NESTING => {
                let type_id = self.u32(what)?;
                let n_items = self.u64(what)?;
                let start = self.offset;
                self.check_items(type_id, n_items, what, nesting + 1)?;
                Value::Array(Array::checked(type_id, n_items, &self.bytes[start..self.offset]))
            }
            ARRAY => return Err(wrong(what, "arrays are nested too deeply")),
            10 => Value::U64(self.u64(what)?),
            11 => Value::I64(i64::from_le_bytes(self.array(what)?)),
            12 => Value::F64(f64::from_le_bytes(self.array(what)?)),
            other => return Err(wrong(what, format!("value type {other} is unknown; expected 0 to 12"))),
        })
    }

    /// Skips the items of an array. Every item takes at least one byte, so a wrong count runs out of bytes.
    fn check_items(&mut self, type_id: u32, n_items: u64, what: &str, nesting: u32) -> Result<(), GgufError> {
        let size = match type_id {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            TEXT => {
                for _ in 0..n_items {
                    let n = self.u64(what)?;
                    let text = self.take(n, what)?;
                    std::str::from_utf8(text).map_err(|_| wrong(what, "it is not UTF-8"))?;
                }
                return Ok(());
            }
            ARRAY if nesting < MAX_NESTING => {
                for _ in 0..n_items {
                    let type_id = self.u32(what)?;
                    let n_items = self.u64(what)?;
                    self.check_items(type_id, n_items, what, nesting + 1)?;
                }
                return Ok(());
            }
            ARRAY => return Err(wrong(what, "arrays are nested too deeply")),
            other => return Err(wrong(what, format!("value type {other} is unknown; expected 0 to 12"))),
        };
        self.take(n_items.saturating_mul(size), what).map(drop)
    }

    fn tensor(&mut self, index: u64) -> Result<TensorInfo, GgufError> {
        let name = self.text(&format!("the name of tensor {index}"))?;
        let what = format!("Tensor `{name}`");
        let n_dims = self.u32(&what)?;
        if n_dims > MAX_DIMENSIONS {
            return Err(wrong(
                what,
                format!("it has {n_dims} dimensions; at most {MAX_DIMENSIONS} are supported"),
            ));
        }
        let dims = (0..n_dims).map(|_| self.u64(&what)).collect::<Result<Vec<_>, _>>()?;
        let wire_id = self.u32(&what)?;
        let kind = tensor_type::by_wire_id(wire_id)
            .ok_or_else(|| wrong(&*what, format!("tensor type {wire_id} is unknown")))?;
        let start = self.u64(&what)?;
        Ok(TensorInfo { name, kind, dims, start, end: start })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::{Layout, TensorPlan};

    fn sample() -> Vec<u8> {
        let keys = vec![
            ("general.architecture".to_owned(), Value::Text("llama".to_owned())),
            ("x.list".to_owned(), Value::texts(["a", "bc"])),
            ("x.number".to_owned(), Value::F32(0.5)),
        ];
        let plan = |name: &str, dims: Vec<u64>| TensorPlan {
            name: name.to_owned(),
            kind: tensor_type::by_wire_id(8).unwrap(),
            dims,
        };
        let layout = Layout::new(&keys, &[plan("a", vec![32, 2]), plan("b", vec![64])], 32);
        let mut bytes = layout.head.clone();
        for part in &layout.tensors {
            bytes.resize(bytes.len() + usize::try_from(part.n_bytes + part.padding).unwrap(), 7);
        }
        bytes
    }

    #[test]
    fn a_laid_out_head_reads_back() {
        let bytes = sample();
        let gguf = Gguf::parse(&bytes, bytes.len() as u64).unwrap();
        assert_eq!(gguf.key("x.number"), Some(&Value::F32(0.5)));
        assert_eq!(gguf.tensor("a").unwrap().start % 32, 0);
        assert_eq!(gguf.tensor("b").unwrap().end - gguf.tensor("b").unwrap().start, 68);
        assert_eq!(gguf.tensor("a").unwrap().start, gguf.data_start);
    }

    #[test]
    fn every_truncated_file_is_reported() {
        let bytes = sample();
        let last = Gguf::parse(&bytes, bytes.len() as u64).unwrap().tensors[1].end;
        for n in 4..usize::try_from(last).unwrap() {
            let error = Gguf::parse(&bytes[..n], n as u64).unwrap_err();
            assert!(matches!(error, GgufError::CutOff { .. } | GgufError::Truncated { .. }), "{n}: {error}");
        }
    }

    #[test]
    fn tensors_that_share_bytes_are_refused() {
        let mut bytes = sample();
        // The second tensor's offset is in the last eight bytes of the head before the padding.
        let second = Gguf::parse(&bytes, bytes.len() as u64).unwrap().tensors[1].clone();
        let offset = 96_u64.to_le_bytes();
        let at = bytes.windows(8).rposition(|word| word == offset).unwrap();
        bytes[at..at + 8].copy_from_slice(&32_u64.to_le_bytes());
        let message = Gguf::parse(&bytes, bytes.len() as u64).unwrap_err().to_string();
        assert!(message.contains(&format!("Tensor `{}`: it begins at byte", second.name)), "{message}");
    }

    #[test]
    fn huge_counts_exhaust_the_bytes_not_the_memory() {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
        assert!(matches!(Gguf::parse(&bytes, 24), Err(GgufError::CutOff { .. })));
        assert!(matches!(Gguf::parse(b"PK\x03\x04aaaa", 8), Err(GgufError::Magic(_))));
    }

    proptest! {
        #[test]
        fn changed_bytes_never_panic(changes in proptest::collection::vec((0..400_usize, any::<u8>()), 1..4)) {
            let mut bytes = sample();
            for (index, byte) in changes {
                let index = index % bytes.len();
                bytes[index] = byte;
            }
            if let Ok(gguf) = Gguf::parse(&bytes, bytes.len() as u64) {
                prop_assert!(gguf.tensors.iter().all(|tensor| tensor.end <= bytes.len() as u64));
            }
        }
    }
}
