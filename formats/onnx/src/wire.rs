//! Writes protocol buffers: tags, variable-length integers and nested messages.
//!
//! Source: the encoding guide of Protocol Buffers. Reading is [`crate::proto_reader`].

/// A message under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

/// The wire types that models use.
#[derive(Clone, Copy)]
enum WireType {
    Varint = 0,
    Bytes = 2,
    Fixed32 = 5,
}

impl Message {
    /// Creates an empty message.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an integer. Negative ones take ten bytes.
    #[must_use]
    pub(crate) fn int(mut self, field: u32, value: i64) -> Self {
        self.tag(field, WireType::Varint);
        self.varint(value.cast_unsigned());
        self
    }

    /// Adds a 32-bit float.
    #[must_use]
    pub(crate) fn float(mut self, field: u32, value: f32) -> Self {
        self.tag(field, WireType::Fixed32);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// Adds bytes with their length.
    #[must_use]
    pub(crate) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.tag(field, WireType::Bytes);
        self.varint(value.len() as u64);
        self.bytes.extend(value);
        self
    }

    /// Adds text.
    #[must_use]
    pub(crate) fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// Adds a message.
    #[must_use]
    pub(crate) fn message(self, field: u32, value: &Self) -> Self {
        self.bytes(field, &value.bytes)
    }

    /// Adds each of several values.
    #[must_use]
    pub(crate) fn each<T>(self, values: impl IntoIterator<Item = T>, add: impl Fn(Self, T) -> Self) -> Self {
        values.into_iter().fold(self, add)
    }

    /// The finished message.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn tag(&mut self, field: u32, wire_type: WireType) {
        self.varint(u64::from(field << 3 | wire_type as u32));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_encoding_guide() {
        assert_eq!(Message::new().int(1, 150).finish(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::new().text(2, "testing").finish(), b"\x12\x07testing");
        let nested = Message::new().message(3, &Message::new().int(1, 150)).finish();
        assert_eq!(nested, [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::new().int(1, -1).finish(), b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
        assert_eq!(Message::new().float(2, 1.0).finish(), [0x15, 0, 0, 0x80, 0x3f]);
    }
}
