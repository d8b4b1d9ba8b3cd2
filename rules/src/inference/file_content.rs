//! A file of an exported model, whose bytes may be in several pieces: one for each plane.

use std::borrow::Cow;
use std::ops::Range;

use mc_exporter::format_error::FormatError;
use mc_exporter::planes_in_files::FileBytes;
use mc_ir::action::{ActionError, Content, Piece};
use mc_runtime::weight_bytes::WeightBytes;

/// A file with its path in the folder of the model.
pub struct FileContent {
    name: String,
    content: Content,
    /// The offset of each piece, and the length of the file.
    offsets: Vec<u64>,
}

impl FileContent {
    /// Joins a file's name with its content.
    pub fn new(name: &str, content: Content) -> Self {
        let mut offsets = vec![0];
        for part in &content.parts {
            offsets.push(offsets[offsets.len() - 1] + part.range.len() as u64);
        }
        Self { name: name.to_owned(), content, offsets }
    }

    /// Returns the numbers in a range: mapped if it lies in one piece, else copied.
    pub(crate) fn weight_bytes(&self, range: Range<u64>) -> Result<WeightBytes, ActionError> {
        match self.content.piece(range.clone()) {
            Some(piece) => WeightBytes::new(piece.bytes, piece.range).map_err(ActionError::failed),
            None => self
                .read(range)
                .map(|bytes| WeightBytes::owned(bytes.into_owned()))
                .map_err(ActionError::failed),
        }
    }
}

impl FileBytes for FileContent {
    fn name(&self) -> &str {
        &self.name
    }

    fn n_bytes(&self) -> u64 {
        self.offsets[self.offsets.len() - 1]
    }

    fn read(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>, FormatError> {
        if range.start > range.end || range.end > self.n_bytes() {
            let (Range { start, end }, name, n_bytes) = (range, &self.name, self.n_bytes());
            return Err(FormatError::new(format!(
                "Bytes {start}..{end} lie outside `{name}`, which has {n_bytes}"
            )));
        }
        let within = |index: usize, piece: &Piece| {
            let (start, end) = (self.offsets[index], self.offsets[index + 1]);
            let clamp = |offset: u64| (offset.clamp(start, end) - start) as usize;
            clamp(range.start)..clamp(range.end).min(piece.range.len())
        };
        // The first piece that ends after the start of the range.
        let first = self.offsets[1..].partition_point(|end| *end <= range.start);
        let pieces = self.content.parts.iter().enumerate().skip(first);
        let mut parts = pieces
            .take_while(|(index, _)| self.offsets[*index] < range.end)
            .map(|(index, piece)| &piece.as_slice()[within(index, piece)])
            .collect::<Vec<&[u8]>>();
        match parts.len() {
            0 => Ok(Cow::Borrowed(&[])),
            1 => Ok(Cow::Borrowed(parts.remove(0))),
            _ => Ok(Cow::Owned(parts.concat())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn file(parts: &[&[u8]]) -> FileContent {
        let parts = parts.iter().map(|bytes| Piece::whole(Arc::new(bytes.to_vec()))).collect();
        FileContent::new("model.bin", Content { parts })
    }

    #[test]
    fn ranges_are_borrowed_within_a_piece_and_joined_across_pieces() {
        let file = file(&[b"abc", b"", b"defg", b"hi"]);
        assert_eq!((file.name(), file.n_bytes()), ("model.bin", 9));
        let whole = b"abcdefghi";
        for start in 0..=9 {
            for end in start..=9 {
                let read = file.read(start as u64..end as u64).unwrap();
                assert_eq!(&*read, &whole[start..end]);
                let is_within = [(0, 3), (3, 7), (7, 9)].iter().any(|(a, b)| *a <= start && end <= *b);
                assert_eq!(matches!(read, Cow::Borrowed(_)), is_within || start == end, "{start}..{end}");
            }
        }
        for (start, end) in [(0, 10), (10, 10), (5, 4), (u64::MAX, u64::MAX)] {
            let refused = file.read(Range { start, end }).unwrap_err().message;
            assert_eq!(refused, format!("Bytes {start}..{end} lie outside `model.bin`, which has 9"));
        }
    }
}
