//! The alphabet of byte-level vocabularies, in which every byte is one printable character.
//!
//! Printable Latin-1 represents itself; the other 68 bytes, in order, are the characters from U+0100 on.
//! Source: `bytes_to_unicode`, `encoder.py` of GPT-2.

/// Returns the bytes that `piece` represents; a piece with a character outside the alphabet represents its
/// own text.
pub fn byte_level_bytes(piece: &str) -> Vec<u8> {
    piece.chars().map(byte_of).collect::<Option<Vec<u8>>>().unwrap_or_else(|| piece.as_bytes().to_vec())
}

fn byte_of(letter: char) -> Option<u8> {
    let code = u32::from(letter);
    match u8::try_from(code) {
        Ok(byte) => is_printable(byte).then_some(byte),
        Err(_) => (0..=u8::MAX).filter(|byte| !is_printable(*byte)).nth((code - 0x100) as usize),
    }
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

#[cfg(test)]
mod tests {
    use super::byte_level_bytes;

    #[test]
    fn a_piece_is_its_bytes() {
        assert_eq!(byte_level_bytes("Ġthe"), b" the");
        assert_eq!(byte_level_bytes("Ċ"), b"\n");
        assert_eq!(byte_level_bytes("Ã©"), "é".as_bytes());
        assert_eq!(byte_level_bytes("Ń"), [0xad]);
    }

    #[test]
    fn text_outside_the_alphabet_is_itself() {
        assert_eq!(byte_level_bytes("a b"), b"a b");
        assert_eq!(byte_level_bytes("日本"), "日本".as_bytes());
    }
}
