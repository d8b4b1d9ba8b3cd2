//! The container of a bundle: a head that lists sections, and the sections.
//!
//! ```text
//! 0   LITERTLM
//! 8   version: three integers of 4 bytes
//! 24  end of the flatbuffer, 8 bytes
//! 32  flatbuffer: a list of sections with their type and range
//!     sections, each at a multiple of 16 KiB
//! ```
//!
//! Source: `litertlm_builder.py` and its flatbuffer schema, LiteRT-LM. The official tool also writes an identifier at
//! random and a date; without them, equal models give equal bytes.

use std::ops::Range;

use mc_exporter::format_error::FormatError;
use mc_exporter::plane::Part;
use mc_exporter::planes_in_files::FileBytes;

use crate::flatbuffer::reader::Flatbuffer;
use crate::flatbuffer::writer::{Field, Object, Writer};
use crate::parts::Parts;

/// The first bytes of a file.
pub(crate) const MAGIC: &[u8; 8] = b"LITERTLM";

/// Version of the container.
const VERSION: [u32; 3] = [1, 5, 0];

/// Start of the flatbuffer.
const START: u64 = 32;

/// Sections start at multiples of this many bytes.
const ALIGNMENT: u64 = 16384;

/// The number of the union's member for texts.
const TEXT: u8 = 9;

/// Type of a section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SectionType {
    TfliteModel = 3,
    PieceModel = 4,
    LlmMetadata = 5,
    CompressedTokenizer = 6,
    ExecutorMetadata = 9,
}

/// A section.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) section_type: SectionType,
    /// Names and values that describe it.
    pub(crate) items: Vec<(&'static str, &'static str)>,
    pub(crate) contents: Parts,
}

impl Section {
    /// A section of bytes.
    pub(crate) fn of_bytes(section_type: SectionType, bytes: &[u8]) -> Self {
        let mut contents = Parts::default();
        contents.bytes(bytes);
        Self { section_type, items: Vec::new(), contents }
    }
}

/// Writes a bundle.
///
/// # Errors
/// If the head is longer than 2 GiB.
pub(crate) fn write(sections: Vec<Section>) -> Result<Parts, FormatError> {
    let n_head = head(&sections, START)?.n_bytes();
    let head = head(&sections, START + n_head)?;
    let mut file = Parts::default();
    file.bytes(MAGIC);
    for number in VERSION {
        file.bytes(&number.to_le_bytes());
    }
    file.pad_to(24);
    file.bytes(&(START + n_head).to_le_bytes());
    file.append(head);
    for section in sections {
        file.pad_to(file.n_bytes().next_multiple_of(ALIGNMENT));
        file.append(section.contents);
    }
    Ok(file)
}

/// The list of sections, the first of which follows the position `end`.
fn head(sections: &[Section], end: u64) -> Result<Parts, FormatError> {
    let mut writer = Writer::default();
    let mut position = end;
    let mut tables = Vec::new();
    for section in sections {
        let begin = position.next_multiple_of(ALIGNMENT);
        position = begin + section.contents.n_bytes();
        let items = items(&mut writer, &section.items);
        tables.push(writer.table(&[
            (0, Field::Object(items)),
            (1, Field::U64(begin)),
            (2, Field::U64(position)),
            (3, Field::U8(section.section_type as u8)),
        ]));
    }
    let system = items(&mut writer, &[("producer", "mc")]);
    let system = writer.table(&[(0, Field::Object(system))]);
    let tables = writer.tables(tables);
    let sections = writer.table(&[(0, Field::Object(tables))]);
    let root = writer.table(&[(0, Field::Object(system)), (1, Field::Object(sections))]);
    writer.finish(root, None)
}

fn items(writer: &mut Writer, items: &[(&str, &str)]) -> Object {
    let mut tables = Vec::new();
    for (key, value) in items {
        let value = writer.text(value);
        let value = writer.table(&[(0, Field::Object(value))]);
        let key = writer.text(key);
        tables.push(writer.table(&[
            (0, Field::Object(key)),
            (1, Field::U8(TEXT)),
            (2, Field::Object(value)),
        ]));
    }
    writer.tables(tables)
}

/// The range of the graph in a bundle.
///
/// # Errors
/// If the head is broken, or lists no graph.
pub(crate) fn graph(file: &dyn FileBytes) -> Result<Range<u64>, FormatError> {
    let broken = || FormatError::new(format!("`{}` has a broken head", file.name()));
    let end = file.read(24..32)?;
    let end = u64::from_le_bytes(end.as_ref().try_into().map_err(|_| broken())?);
    let len = end.checked_sub(START).ok_or_else(broken)?;
    let root = Flatbuffer::new(file, START, len)?.root()?;
    let sections = root.table(1)?.ok_or_else(broken)?.vector(0)?;
    for section in sections.tables() {
        let section = section?;
        if section.u8(3)? != SectionType::TfliteModel as u8 {
            continue;
        }
        let range = section.u64(1)?..section.u64(2)?;
        return if range.start <= range.end && range.end <= file.n_bytes() {
            Ok(range)
        } else {
            Err(broken())
        };
    }
    Err(FormatError::new(format!("`{}` holds no graph", file.name())))
}

/// A section that holds a file of the checkpoint and, behind it, bytes.
pub(crate) fn source(section_type: SectionType, name: &str, n_bytes: u64, more: &[u8]) -> Section {
    let mut contents = Parts::default();
    contents.push(Part::Source(name.to_owned()), n_bytes);
    contents.bytes(more);
    Section { section_type, items: Vec::new(), contents }
}
