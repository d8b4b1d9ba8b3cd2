//! Values of GGUF keys: thirteen types, arrays typed throughout, order kept.
//!
//! Arrays are kept in their file encoding and decoded item by item, so that a vocabulary takes no more memory than its
//! bytes.

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Unsigned 8-bit.
    U8(u8),
    /// Signed 8-bit.
    I8(i8),
    /// Unsigned 16-bit.
    U16(u16),
    /// Signed 16-bit.
    I16(i16),
    /// Unsigned 32-bit.
    U32(u32),
    /// Signed 32-bit.
    I32(i32),
    /// 32-bit float.
    F32(f32),
    /// One byte, 0 or 1.
    Bool(bool),
    /// UTF-8 text.
    Text(String),
    /// Values of one type.
    Array(Array),
    /// Unsigned 64-bit.
    U64(u64),
    /// Signed 64-bit.
    I64(i64),
    /// 64-bit float.
    F64(f64),
}

/// The number of the text type.
pub const TEXT: u32 = 8;
/// The number of the array type.
pub const ARRAY: u32 = 9;

impl Value {
    /// The type's number in a file.
    pub fn type_id(&self) -> u32 {
        match self {
            Self::U8(_) => 0,
            Self::I8(_) => 1,
            Self::U16(_) => 2,
            Self::I16(_) => 3,
            Self::U32(_) => 4,
            Self::I32(_) => 5,
            Self::F32(_) => 6,
            Self::Bool(_) => 7,
            Self::Text(_) => TEXT,
            Self::Array(_) => ARRAY,
            Self::U64(_) => 10,
            Self::I64(_) => 11,
            Self::F64(_) => 12,
        }
    }

    /// An array of texts.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Array(Array::new(TEXT, texts.into_iter().map(|text| Self::Text(text.into()))))
    }

    /// An array of signed 32-bit numbers.
    pub fn integers(numbers: impl IntoIterator<Item = i32>) -> Self {
        Self::Array(Array::new(5, numbers.into_iter().map(Self::I32)))
    }

    /// An array of 32-bit numbers.
    pub fn floats(numbers: impl IntoIterator<Item = f32>) -> Self {
        Self::Array(Array::new(6, numbers.into_iter().map(Self::F32)))
    }

    /// The text; `None` for other types.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Any non-negative whole number; `None` for other types.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(number) => Some(number.into()),
            Self::U16(number) => Some(number.into()),
            Self::U32(number) => Some(number.into()),
            Self::U64(number) => Some(number),
            Self::I8(number) => u64::try_from(number).ok(),
            Self::I16(number) => u64::try_from(number).ok(),
            Self::I32(number) => u64::try_from(number).ok(),
            Self::I64(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// A float; `None` for other types.
    pub fn as_f32(&self) -> Option<f32> {
        match *self {
            Self::F32(number) => Some(number),
            Self::F64(number) => Some(number as f32),
            _ => None,
        }
    }

    /// A Boolean; `None` for other types.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The array; `None` for other types.
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// Appends the value in its file encoding, without its type.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::U8(number) => out.push(*number),
            Self::I8(number) => out.extend(number.to_le_bytes()),
            Self::U16(number) => out.extend(number.to_le_bytes()),
            Self::I16(number) => out.extend(number.to_le_bytes()),
            Self::U32(number) => out.extend(number.to_le_bytes()),
            Self::I32(number) => out.extend(number.to_le_bytes()),
            Self::F32(number) => out.extend(number.to_le_bytes()),
            Self::Bool(truth) => out.push(u8::from(*truth)),
            Self::Text(text) => write_text(text, out),
            Self::Array(array) => array.write(out),
            Self::U64(number) => out.extend(number.to_le_bytes()),
            Self::I64(number) => out.extend(number.to_le_bytes()),
            Self::F64(number) => out.extend(number.to_le_bytes()),
        }
    }
}

/// Appends a text with its length.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Values of one type; an empty array keeps its type too.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    type_id: u32,
    n_items: u64,
    /// The items in their file encoding, checked.
    bytes: Vec<u8>,
}

impl Array {
    /// Creates an array of values, all of this type.
    pub fn new(type_id: u32, items: impl IntoIterator<Item = Value>) -> Self {
        let (mut n_items, mut bytes) = (0, Vec::new());
        for item in items {
            debug_assert_eq!(item.type_id(), type_id, "an array has values of one type");
            item.write(&mut bytes);
            n_items += 1;
        }
        Self { type_id, n_items, bytes }
    }

    /// Creates an array of items that a reader has checked: exactly this many items of this type in these bytes.
    pub(crate) fn checked(type_id: u32, n_items: u64, bytes: &[u8]) -> Self {
        Self { type_id, n_items, bytes: bytes.to_vec() }
    }

    /// The number of the items' type.
    pub fn type_id(&self) -> u32 {
        self.type_id
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        usize::try_from(self.n_items).expect("each item has a byte in memory")
    }

    /// Returns true if there are no items.
    pub fn is_empty(&self) -> bool {
        self.n_items == 0
    }

    /// The items, in order.
    pub fn items(&self) -> impl Iterator<Item = Value> + '_ {
        let mut rest = self.bytes.as_slice();
        (0..self.n_items).map(move |_| next(self.type_id, &mut rest))
    }

    /// The items as texts; `None` if they have another type.
    pub fn texts(&self) -> Option<impl Iterator<Item = &str> + '_> {
        let mut rest = self.bytes.as_slice();
        (self.type_id == TEXT).then(|| (0..self.n_items).map(move |_| text(&mut rest)))
    }

    /// Appends the array in its file encoding.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.type_id.to_le_bytes());
        out.extend(self.n_items.to_le_bytes());
        out.extend_from_slice(&self.bytes);
    }
}

/// Takes the next `N` bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (first, after) = rest.split_first_chunk().expect("the items were checked when they came");
    *rest = after;
    *first
}

fn text<'a>(rest: &mut &'a [u8]) -> &'a str {
    let n_bytes =
        usize::try_from(u64::from_le_bytes(take(rest))).expect("the items were checked when they came");
    let (text, after) = rest.split_at(n_bytes);
    *rest = after;
    std::str::from_utf8(text).expect("the items were checked when they came")
}

fn next(type_id: u32, rest: &mut &[u8]) -> Value {
    match type_id {
        0 => Value::U8(take::<1>(rest)[0]),
        1 => Value::I8(i8::from_le_bytes(take(rest))),
        2 => Value::U16(u16::from_le_bytes(take(rest))),
        3 => Value::I16(i16::from_le_bytes(take(rest))),
        4 => Value::U32(u32::from_le_bytes(take(rest))),
        5 => Value::I32(i32::from_le_bytes(take(rest))),
        6 => Value::F32(f32::from_le_bytes(take(rest))),
        7 => Value::Bool(take::<1>(rest)[0] != 0),
        TEXT => Value::Text(text(rest).to_owned()),
        ARRAY => {
            let type_id = u32::from_le_bytes(take(rest));
            let n_items = u64::from_le_bytes(take(rest));
            let before = *rest;
            for _ in 0..n_items {
                drop(next(type_id, rest));
            }
            Value::Array(Array::checked(type_id, n_items, &before[..before.len() - rest.len()]))
        }
        10 => Value::U64(u64::from_le_bytes(take(rest))),
        11 => Value::I64(i64::from_le_bytes(take(rest))),
        12 => Value::F64(f64::from_le_bytes(take(rest))),
        other => unreachable!("value type {other} is refused when items are checked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_read_back() {
        let inner = |n| Value::Array(Array::new(4, (0..n).map(Value::U32)));
        let lists: Vec<(u32, Vec<Value>)> = vec![
            (0, vec![Value::U8(1), Value::U8(255)]),
            (6, vec![Value::F32(0.5), Value::F32(-1e9)]),
            (7, vec![Value::Bool(true), Value::Bool(false)]),
            (TEXT, vec![Value::Text(String::new()), Value::Text("größer".to_owned())]),
            (ARRAY, vec![inner(0), inner(3)]),
            (12, vec![]),
        ];
        for (type_id, items) in lists {
            let array = Array::new(type_id, items.clone());
            assert_eq!((array.type_id(), array.len()), (type_id, items.len()));
            assert_eq!(array.items().collect::<Vec<_>>(), items);
            assert_eq!(array.texts().is_some(), type_id == TEXT);
        }
    }
}
