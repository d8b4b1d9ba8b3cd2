//! Reads protocol buffers from untrusted sources: iterates over the fields of a message in place.
//!
//! It neither copies nor allocates, so a message never costs more memory than its own bytes. A generated decoder
//! allocates a hundred or more bytes for every two-byte field that says "one more, and empty"; so the messages of
//! servers are read with this module.

/// Value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire<'a> {
    /// A number of any type; a negative one is in two's complement.
    Number(u64),
    /// A string, a message, bytes, or a number of fixed length.
    Bytes(&'a [u8]),
}

/// Bytes that are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedMessage(pub &'static str);

/// The fields of a message.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of a message. The iteration ends after the first unreadable field.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn varint(&mut self) -> Result<u64, MalformedMessage> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(MalformedMessage("a number is truncated"))?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(MalformedMessage("a number is too long"))
    }

    fn take(&mut self, n_bytes: u64) -> Result<&'a [u8], MalformedMessage> {
        let cut = usize::try_from(n_bytes).ok().filter(|&cut| cut <= self.rest.len());
        let (bytes, rest) = self.rest.split_at(cut.ok_or(MalformedMessage("a field is truncated"))?);
        self.rest = rest;
        Ok(bytes)
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), MalformedMessage> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| MalformedMessage("a field number is too large"))?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Bytes(self.take(8)?),
            2 => {
                let n_bytes = self.varint()?;
                Wire::Bytes(self.take(n_bytes)?)
            }
            5 => Wire::Bytes(self.take(4)?),
            _ => return Err(MalformedMessage("a field has an unknown wire type")),
        };
        Ok((number, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), MalformedMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// The last number in a field of a message, as the format prescribes; 0 if there is none.
///
/// # Errors
/// If the bytes are not a message.
pub fn number(message: &[u8], field: u32) -> Result<u64, MalformedMessage> {
    Fields::new(message).try_fold(0, |last, found| match found? {
        (number, Wire::Number(value)) if number == field => Ok(value),
        _ => Ok(last),
    })
}

/// The last bytes in a field of a message; `None` if there are none.
///
/// # Errors
/// If the bytes are not a message.
pub fn bytes(message: &[u8], field: u32) -> Result<Option<&[u8]>, MalformedMessage> {
    Fields::new(message).try_fold(None, |last, found| match found? {
        (number, Wire::Bytes(value)) if number == field => Ok(Some(value)),
        _ => Ok(last),
    })
}

/// All bytes in a repeated field.
pub fn repeated(message: &[u8], field: u32) -> impl Iterator<Item = Result<&[u8], MalformedMessage>> {
    Fields::new(message).filter_map(move |found| match found {
        Ok((number, Wire::Bytes(value))) if number == field => Some(Ok(value)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_field_counts_and_all_values_are_found() {
        let message = [0x08, 1, 0x12, 2, b'a', b'b', 0x08, 0x96, 0x01, 0x12, 0];
        assert_eq!(number(&message, 1), Ok(150));
        assert_eq!(number(&message, 3), Ok(0));
        assert_eq!((bytes(&message, 2), bytes(&message, 1)), (Ok(Some(&b""[..])), Ok(None)));
        assert_eq!(repeated(&message, 2).collect::<Vec<_>>(), [Ok(&b"ab"[..]), Ok(b"")]);
    }

    #[test]
    fn truncated_bytes_end_the_message() {
        for wrong in
            [&[0x08][..], &[0x12, 3, 0], &[0x0b], &[0xff; 11], &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]]
        {
            let mut fields = Fields::new(wrong);
            assert!(fields.next().unwrap().is_err(), "{wrong:?}");
            assert_eq!(fields.next(), None);
            assert!(number(wrong, 1).is_err() && bytes(wrong, 2).is_err());
        }
    }
}
