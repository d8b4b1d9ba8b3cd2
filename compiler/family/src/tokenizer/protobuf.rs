//! The subset of the protocol buffers' wire format that a reader of untrusted files needs.
//!
//! Every length is checked against the remaining bytes; nothing is allocated.
//!
//! Source: the Encoding page of the protocol buffers documentation.

use thiserror::Error;

/// The bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProtobufError {
    /// A number has more than 64 bits or does not end.
    #[error("A number at byte {0} does not end")]
    Number(usize),
    /// A field is longer than the message.
    #[error("A field at byte {0} extends past the end of its message")]
    Length(usize),
    /// A field has a number or a type that does not exist.
    #[error("There is no field at byte {0}")]
    Tag(usize),
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// A whole number or a flag.
    Number(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// A text, bytes or a message.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32(u32),
}

/// The fields of a message, each with its number.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// Iterates over the fields in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn field(&mut self) -> Result<(u64, Field<'a>), ProtobufError> {
        let start = self.at;
        let tag = self.number()?;
        let field = match tag & 7 {
            0 => Field::Number(self.number()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let n_bytes = usize::try_from(self.number()?).map_err(|_| ProtobufError::Length(start))?;
                Field::Bytes(self.take(n_bytes).ok_or(ProtobufError::Length(start))?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(ProtobufError::Tag(start)),
        };
        if tag >> 3 == 0 { Err(ProtobufError::Tag(start)) } else { Ok((tag >> 3, field)) }
    }

    // Reads seven bits per byte, the lowest first; the highest bit marks that another byte follows.
    fn number(&mut self) -> Result<u64, ProtobufError> {
        let start = self.at;
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(ProtobufError::Number(start))?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(ProtobufError::Number(start))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtobufError> {
        let start = self.at;
        self.take(N).and_then(|bytes| bytes.try_into().ok()).ok_or(ProtobufError::Length(start))
    }

    fn take(&mut self, n_bytes: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(n_bytes)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            // The bytes after a broken field cannot be read as fields.
            self.at = self.bytes.len();
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_type_are_read() {
        let bytes = [&[0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d][..], &1.5_f32.to_le_bytes()].concat();
        let fields: Vec<_> = Fields::new(&bytes).collect::<Result<_, _>>().unwrap();
        let float = Field::Fixed32(1.5_f32.to_bits());
        assert_eq!(fields, [(1, Field::Number(150)), (2, Field::Bytes(b"hi")), (3, float)]);
    }

    #[test]
    fn broken_messages_are_named_and_end() {
        let error = |bytes: &[u8]| Fields::new(bytes).find_map(Result::err);
        assert_eq!(error(&[0x12, 200, 1, b'a']), Some(ProtobufError::Length(0)));
        assert_eq!(error(&[0x08, 0xff]), Some(ProtobufError::Number(1)));
        assert_eq!(error(&[0x08, 1, 0x0b]), Some(ProtobufError::Tag(2)));
        assert_eq!(error(&[0x00, 1]), Some(ProtobufError::Tag(0)));
        assert_eq!(Fields::new(&[0x0b; 100]).count(), 1);
    }
}
