//! Reads a flatbuffer of a file. The bytes are untrusted: every position is checked, and nothing is copied but texts.

use mc_exporter::format_error::FormatError;
use mc_exporter::planes_in_files::FileBytes;

/// Longest text that is read, in bytes. Names of tensors are shorter.
const MAX_TEXT: u64 = 4096;

/// A flatbuffer within a file.
#[derive(Clone, Copy)]
pub(crate) struct Flatbuffer<'a> {
    file: &'a dyn FileBytes,
    start: u64,
    len: u64,
}

/// A table, by its position.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    flatbuffer: Flatbuffer<'a>,
    position: u64,
    vtable: u64,
    n_fields: u64,
}

/// A vector, by the position of its elements.
#[derive(Clone, Copy)]
pub(crate) struct Vector<'a> {
    flatbuffer: Flatbuffer<'a>,
    position: u64,
    n_elements: u64,
}

impl<'a> Flatbuffer<'a> {
    /// The flatbuffer in a range of a file.
    ///
    /// # Errors
    /// If the file is shorter.
    pub(crate) fn new(file: &'a dyn FileBytes, start: u64, len: u64) -> Result<Self, FormatError> {
        match start.checked_add(len) {
            Some(end) if end <= file.n_bytes() => Ok(Self { file, start, len }),
            _ => Err(FormatError::new(format!("`{}` ends within a section", file.name()))),
        }
    }

    /// The root table.
    ///
    /// # Errors
    /// If it is not within the flatbuffer.
    pub(crate) fn root(self) -> Result<Table<'a>, FormatError> {
        let position = u64::from(self.u32(0)?);
        self.table(position)
    }

    fn bytes<const N: usize>(self, position: u64) -> Result<[u8; N], FormatError> {
        let end = position.checked_add(N as u64).filter(|end| *end <= self.len);
        let end = end.ok_or_else(|| self.broken())?;
        let bytes = self.file.read(self.start + position..self.start + end)?;
        bytes.as_ref().try_into().map_err(|_| self.broken())
    }

    fn u32(self, position: u64) -> Result<u32, FormatError> {
        self.bytes(position).map(u32::from_le_bytes)
    }

    fn broken(self) -> FormatError {
        FormatError::new(format!("`{}` has a reference out of its bounds", self.file.name()))
    }

    /// Follows the reference at a position.
    fn follow(self, position: u64) -> Result<u64, FormatError> {
        Ok(position + u64::from(self.u32(position)?))
    }

    fn table(self, position: u64) -> Result<Table<'a>, FormatError> {
        let distance = i64::from(self.bytes(position).map(i32::from_le_bytes)?);
        let vtable = i64::try_from(position).ok().and_then(|position| position.checked_sub(distance));
        let vtable = vtable.and_then(|vtable| u64::try_from(vtable).ok()).ok_or_else(|| self.broken())?;
        let n_bytes = u64::from(self.bytes(vtable).map(u16::from_le_bytes)?);
        Ok(Table { flatbuffer: self, position, vtable, n_fields: (n_bytes / 2).saturating_sub(2) })
    }
}

impl<'a> Table<'a> {
    /// The position of a field; `None` if it is absent.
    fn field(self, number: u64) -> Result<Option<u64>, FormatError> {
        if number >= self.n_fields {
            return Ok(None);
        }
        let offset = self.flatbuffer.bytes(self.vtable + 4 + 2 * number).map(u16::from_le_bytes)?;
        Ok((offset != 0).then(|| self.position + u64::from(offset)))
    }

    fn number<const N: usize>(self, number: u64) -> Result<[u8; N], FormatError> {
        self.field(number)?.map_or(Ok([0; N]), |position| self.flatbuffer.bytes(position))
    }

    /// A field of one byte; 0 if it is absent.
    pub(crate) fn u8(self, number: u64) -> Result<u8, FormatError> {
        self.number(number).map(u8::from_le_bytes)
    }

    /// A field of four bytes; 0 if it is absent.
    pub(crate) fn u32(self, number: u64) -> Result<u32, FormatError> {
        self.number(number).map(u32::from_le_bytes)
    }

    /// A field of eight bytes; 0 if it is absent.
    pub(crate) fn u64(self, number: u64) -> Result<u64, FormatError> {
        self.number(number).map(u64::from_le_bytes)
    }

    /// A table; `None` if it is absent.
    pub(crate) fn table(self, number: u64) -> Result<Option<Self>, FormatError> {
        let Some(position) = self.field(number)? else { return Ok(None) };
        let position = self.flatbuffer.follow(position)?;
        self.flatbuffer.table(position).map(Some)
    }

    /// A vector; an empty one if it is absent.
    pub(crate) fn vector(self, number: u64) -> Result<Vector<'a>, FormatError> {
        let flatbuffer = self.flatbuffer;
        let Some(position) = self.field(number)? else {
            return Ok(Vector { flatbuffer, position: 0, n_elements: 0 });
        };
        let position = flatbuffer.follow(position)?;
        let n_elements = u64::from(flatbuffer.u32(position)?);
        Ok(Vector { flatbuffer, position: position + 4, n_elements })
    }

    /// A text; empty if it is absent.
    pub(crate) fn text(self, number: u64) -> Result<String, FormatError> {
        let vector = self.vector(number)?;
        let range = vector.range(1)?;
        if vector.n_elements > MAX_TEXT {
            return Err(FormatError::new(format!("A name of {} bytes is too long", vector.n_elements)));
        }
        let bytes = self.flatbuffer.file.read(range)?;
        String::from_utf8(bytes.into_owned()).map_err(|_| FormatError::new("A name is not UTF-8"))
    }
}

impl<'a> Vector<'a> {
    /// Number of elements.
    pub(crate) fn n_elements(self) -> u64 {
        self.n_elements
    }

    /// The range of its elements in the file.
    ///
    /// * `n_bytes`: length of an element
    ///
    /// # Errors
    /// If it ends outside of the flatbuffer.
    pub(crate) fn range(self, n_bytes: u64) -> Result<std::ops::Range<u64>, FormatError> {
        let end = self.n_elements.checked_mul(n_bytes).and_then(|n_bytes| n_bytes.checked_add(self.position));
        let end = end.filter(|end| *end <= self.flatbuffer.len).ok_or_else(|| self.flatbuffer.broken())?;
        Ok(self.flatbuffer.start + self.position..self.flatbuffer.start + end)
    }

    /// The number at an index.
    ///
    /// # Errors
    /// If it is outside of the flatbuffer.
    pub(crate) fn u32(self, index: u64) -> Result<u32, FormatError> {
        self.flatbuffer.u32(self.position + 4 * index)
    }

    /// The tables.
    pub(crate) fn tables(self) -> impl Iterator<Item = Result<Table<'a>, FormatError>> {
        (0..self.n_elements).map(move |index| self.table(index))
    }

    /// The table at an index.
    ///
    /// # Errors
    /// If it is outside of the flatbuffer.
    pub(crate) fn table(self, index: u64) -> Result<Table<'a>, FormatError> {
        if index >= self.n_elements {
            return Err(self.flatbuffer.broken());
        }
        let position = self.flatbuffer.follow(self.position + 4 * index)?;
        self.flatbuffer.table(position)
    }
}
