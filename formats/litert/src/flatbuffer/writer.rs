//! Writes a flatbuffer as a list of parts, some of which are planes of tensors.
//!
//! Objects are added children first and laid out parents first, because a reference is a distance forwards. An object
//! may have several parents. The bytes are a function of the calls alone.

use std::collections::BTreeMap;
use std::rc::Rc;

use mc_exporter::format_error::FormatError;
use mc_exporter::plane::Part;

use crate::parts::Parts;

/// An object that was added.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Object(usize);

/// A field of a table. Numbers are always written, even if they are the schema's default, so that the length of a
/// flatbuffer does not depend on them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Field {
    Bool(bool),
    I8(i8),
    U8(u8),
    I32(i32),
    U32(u32),
    U64(u64),
    F32(f32),
    Object(Object),
}

impl Field {
    fn len(self) -> usize {
        match self {
            Self::Bool(_) | Self::I8(_) | Self::U8(_) => 1,
            Self::I32(_) | Self::U32(_) | Self::F32(_) | Self::Object(_) => 4,
            Self::U64(_) => 8,
        }
    }
}

#[derive(Clone, Debug)]
enum Shape {
    Table(Vec<(u16, Field)>),
    References(Vec<Object>),
    Vector { n_elements: u64, align: u64, contents: Contents },
}

#[derive(Clone, Debug)]
enum Contents {
    Bytes(Rc<[u8]>),
    Plane { number: usize, n_bytes: u64 },
    Zeros(u64),
}

impl Contents {
    fn n_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Plane { n_bytes, .. } | Self::Zeros(n_bytes) => *n_bytes,
        }
    }
}

/// A flatbuffer under construction.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    shapes: Vec<Shape>,
}

impl Writer {
    fn push(&mut self, shape: Shape) -> Object {
        self.shapes.push(shape);
        Object(self.shapes.len() - 1)
    }

    /// A table: the number and the value of each field.
    pub(crate) fn table(&mut self, fields: &[(u16, Field)]) -> Object {
        self.push(Shape::Table(fields.to_vec()))
    }

    /// A vector of tables.
    pub(crate) fn tables(&mut self, tables: Vec<Object>) -> Object {
        self.push(Shape::References(tables))
    }

    /// A text.
    pub(crate) fn text(&mut self, text: &str) -> Object {
        // The zero byte at the end is not counted.
        let bytes = [text.as_bytes(), &[0]].concat();
        self.push(Shape::Vector {
            n_elements: text.len() as u64,
            align: 4,
            contents: Contents::Bytes(bytes.into()),
        })
    }

    /// A vector of bytes, aligned to 16 as constants must be.
    pub(crate) fn bytes(&mut self, bytes: Rc<[u8]>) -> Object {
        let n_elements = bytes.len() as u64;
        self.push(Shape::Vector { n_elements, align: 16, contents: Contents::Bytes(bytes) })
    }

    /// A vector of integers.
    pub(crate) fn integers(&mut self, integers: impl IntoIterator<Item = i32>) -> Object {
        let bytes: Vec<u8> = integers.into_iter().flat_map(i32::to_le_bytes).collect();
        let n_elements = bytes.len() as u64 / 4;
        self.push(Shape::Vector { n_elements, align: 4, contents: Contents::Bytes(bytes.into()) })
    }

    /// A vector of numbers of 4 bytes, which are a plane.
    pub(crate) fn plane(&mut self, number: usize, n_bytes: u64) -> Object {
        let contents = Contents::Plane { number, n_bytes };
        self.push(Shape::Vector { n_elements: n_bytes / 4, align: 4, contents })
    }

    /// A vector of zeros of 8 bytes.
    pub(crate) fn zeros(&mut self, n_elements: u64) -> Object {
        self.push(Shape::Vector { n_elements, align: 8, contents: Contents::Zeros(n_elements * 8) })
    }

    /// Lays out the objects that were added.
    ///
    /// * `identifier`: the four bytes that name the schema, if it has them
    ///
    /// # Errors
    /// If the result would be longer than 2 GiB, the limit of distances.
    pub(crate) fn finish(self, root: Object, identifier: Option<[u8; 4]>) -> Result<Parts, FormatError> {
        let layout = Layout::new(&self.shapes, if identifier.is_some() { 8 } else { 4 });
        if i32::try_from(layout.len).is_err() {
            return Err(FormatError::new("The description of the graph would be longer than 2 GiB"));
        }
        let mut emitter = Emitter { parts: Parts::default(), layout: &layout };
        emitter.parts.bytes(&(layout.positions[root.0] as u32).to_le_bytes());
        if let Some(identifier) = identifier {
            emitter.parts.bytes(&identifier);
        }
        for (number, shape) in self.shapes.iter().enumerate().rev() {
            emitter.emit(number, shape);
        }
        Ok(emitter.parts)
    }
}

/// The positions of all objects. A vtable, the list of a table's fields, is shared by tables with equal ones.
struct Layout {
    positions: Vec<u64>,
    vtables: BTreeMap<Vec<u16>, u64>,
    len: u64,
}

impl Layout {
    fn new(shapes: &[Shape], start: u64) -> Self {
        let mut layout = Self { positions: vec![0; shapes.len()], vtables: BTreeMap::new(), len: start };
        for (number, shape) in shapes.iter().enumerate().rev() {
            layout.positions[number] = layout.place(shape);
        }
        layout
    }

    fn place(&mut self, shape: &Shape) -> u64 {
        match shape {
            Shape::Table(fields) => {
                let (vtable, n_bytes) = vtable(fields);
                if !self.vtables.contains_key(&vtable) {
                    let (at, n_bytes) = (self.len.next_multiple_of(2), vtable.len() as u64 * 2);
                    self.vtables.insert(vtable, at);
                    self.len = at + n_bytes;
                }
                self.take(8, 0, u64::from(n_bytes))
            }
            Shape::References(tables) => self.take(4, 4, tables.len() as u64 * 4),
            Shape::Vector { align, contents, .. } => self.take(*align, 4, contents.n_bytes()),
        }
    }

    /// Reserves a prefix, and contents at a multiple of `align`; returns the position of the prefix.
    fn take(&mut self, align: u64, prefix: u64, n_bytes: u64) -> u64 {
        let contents = (self.len + prefix).next_multiple_of(align);
        self.len = contents + n_bytes;
        contents - prefix
    }
}

/// The vtable of a table, and the length of the table: two lengths, then the offset of each field, 0 if it is absent.
fn vtable(fields: &[(u16, Field)]) -> (Vec<u16>, u16) {
    let n_fields = fields.iter().map(|(number, _)| usize::from(*number) + 1).max().unwrap_or(0);
    let mut vtable = vec![0_u16; 2 + n_fields];
    let mut end = 4_usize;
    for (number, field) in fields {
        let at = end.next_multiple_of(field.len());
        vtable[2 + usize::from(*number)] = at as u16;
        end = at + field.len();
    }
    vtable[0] = vtable.len() as u16 * 2;
    vtable[1] = end as u16;
    (vtable, end as u16)
}

struct Emitter<'a> {
    parts: Parts,
    layout: &'a Layout,
}

impl Emitter<'_> {
    fn emit(&mut self, number: usize, shape: &Shape) {
        let position = self.layout.positions[number];
        match shape {
            Shape::Table(fields) => self.table(position, fields),
            Shape::References(tables) => {
                self.parts.pad_to(position);
                self.parts.bytes(&(tables.len() as u32).to_le_bytes());
                for table in tables {
                    self.reference(*table);
                }
            }
            Shape::Vector { n_elements, contents, .. } => {
                self.parts.pad_to(position);
                self.parts.bytes(&(*n_elements as u32).to_le_bytes());
                match contents {
                    Contents::Bytes(bytes) => self.parts.bytes(bytes),
                    Contents::Plane { number, n_bytes } => self.parts.push(Part::Plane(*number), *n_bytes),
                    Contents::Zeros(n_bytes) => self.parts.zeros(*n_bytes),
                }
            }
        }
    }

    fn reference(&mut self, object: Object) {
        let distance = self.layout.positions[object.0] - self.parts.n_bytes();
        self.parts.bytes(&(distance as u32).to_le_bytes());
    }

    fn table(&mut self, position: u64, fields: &[(u16, Field)]) {
        let (vtable, n_bytes) = vtable(fields);
        let vtable_position = self.layout.vtables[&vtable];
        if vtable_position >= self.parts.n_bytes() {
            self.parts.pad_to(vtable_position);
            for entry in &vtable {
                self.parts.bytes(&entry.to_le_bytes());
            }
        }
        self.parts.pad_to(position);
        self.parts.bytes(&((position - vtable_position) as i32).to_le_bytes());
        for (number, field) in fields {
            self.parts.pad_to(position + u64::from(vtable[2 + usize::from(*number)]));
            match *field {
                Field::Bool(value) => self.parts.bytes(&[u8::from(value)]),
                Field::I8(value) => self.parts.bytes(&value.to_le_bytes()),
                Field::U8(value) => self.parts.bytes(&[value]),
                Field::I32(value) => self.parts.bytes(&value.to_le_bytes()),
                Field::U32(value) => self.parts.bytes(&value.to_le_bytes()),
                Field::U64(value) => self.parts.bytes(&value.to_le_bytes()),
                Field::F32(value) => self.parts.bytes(&value.to_le_bytes()),
                Field::Object(object) => self.reference(object),
            }
        }
        self.parts.pad_to(position + u64::from(n_bytes));
    }
}
