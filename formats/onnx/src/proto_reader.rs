//! Reads protocol buffers from untrusted bytes: a list of fields that point into the bytes.
//!
//! Nothing is copied. Every length is checked against the bytes that are left, so a file makes the reader allocate
//! nothing and loop no longer than its length.

use std::ops::Range;

/// A field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its number.
    pub(crate) number: u64,
    /// Its value.
    pub(crate) value: FieldValue,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldValue {
    /// An integer.
    Int(u64),
    /// The range of a text, a message or bytes.
    Bytes(Range<usize>),
    /// A number of fixed length, which readers of models skip.
    Fixed,
}

/// The fields of the message in a range of the bytes. After a broken field, an error is returned and nothing else.
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

/// A message that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The offset of the broken field.
    pub(crate) offset: usize,
}

impl<'a> Fields<'a> {
    /// Reads the message in a range, which must lie within the bytes.
    pub(crate) fn new(bytes: &'a [u8], range: Range<usize>) -> Self {
        let end = range.end.min(bytes.len());
        Self { bytes, at: range.start.min(end), end }
    }

    fn field(&mut self) -> Option<Field> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => FieldValue::Int(self.varint()?),
            1 => self.skip(8).map(|_| FieldValue::Fixed)?,
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                FieldValue::Bytes(self.skip(len)?)
            }
            5 => self.skip(4).map(|_| FieldValue::Fixed)?,
            _ => return None,
        };
        Some(Field { number: tag >> 3, value })
    }

    fn skip(&mut self, len: usize) -> Option<Range<usize>> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.end)?;
        let range = self.at..end;
        self.at = end;
        Some(range)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes[..self.end].get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let offset = self.at;
        let field = self.field();
        if field.is_none() {
            self.at = self.end;
        }
        Some(field.ok_or(Broken { offset }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Message;

    #[test]
    fn written_fields_are_read() {
        let bytes = Message::new().int(1, 300).text(2, "ab").float(3, 1.0).int(20, -1).finish();
        let fields: Result<Vec<Field>, Broken> = Fields::new(&bytes, 0..bytes.len()).collect();
        let fields: Vec<(u64, FieldValue)> =
            fields.unwrap().into_iter().map(|field| (field.number, field.value)).collect();
        let expected = [
            (1, FieldValue::Int(300)),
            (2, FieldValue::Bytes(5..7)),
            (3, FieldValue::Fixed),
            (20, FieldValue::Int(u64::MAX)),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error() {
        let bytes = [0x08, 0x01, 0x12, 0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        let fields: Vec<_> = Fields::new(&bytes, 0..bytes.len()).collect();
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[1], Err(Broken { offset: 2 }));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Fields::new(&bytes, 0..bytes.len() + 9).count() <= bytes.len());
        }
    }
}
