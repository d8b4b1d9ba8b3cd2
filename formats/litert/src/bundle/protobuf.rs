//! Writes messages of Protocol Buffers by the numbers of their fields.

/// A message under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A message without fields.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The bytes of the message.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn key(&mut self, number: u32, wire_type: u64) {
        self.varint(u64::from(number) << 3 | wire_type);
    }

    /// Adds a number, an enumeration or a truth value.
    #[must_use]
    pub(crate) fn integer(mut self, number: u32, value: u64) -> Self {
        self.key(number, 0);
        self.varint(value);
        self
    }

    /// Adds a number of 32 bits.
    #[must_use]
    pub(crate) fn float(mut self, number: u32, value: f32) -> Self {
        self.key(number, 5);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// Adds a text.
    #[must_use]
    pub(crate) fn text(self, number: u32, text: &str) -> Self {
        self.raw(number, text.as_bytes())
    }

    /// Adds a message.
    #[must_use]
    pub(crate) fn message(self, number: u32, message: &Self) -> Self {
        self.raw(number, &message.bytes)
    }

    /// Adds a packed list of numbers.
    #[must_use]
    pub(crate) fn integers(self, number: u32, values: &[u32]) -> Self {
        let mut list = Self::new();
        for value in values {
            list.varint(u64::from(*value));
        }
        self.raw(number, &list.bytes)
    }

    fn raw(mut self, number: u32, bytes: &[u8]) -> Self {
        self.key(number, 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        self
    }
}
