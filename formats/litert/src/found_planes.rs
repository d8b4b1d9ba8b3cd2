//! Finds the planes of weights in files that were written, by reading the description of the graph.
//!
//! The bytes are untrusted.

use std::collections::BTreeSet;
use std::ops::Range;

use mc_exporter::format_error::FormatError;
use mc_exporter::planes_in_files::{FileBytes, FoundPlane};

use crate::bundle;
use crate::flatbuffer::reader::{Flatbuffer, Table, Vector};
use crate::graph_file::IDENTIFIER;
use crate::tflite::element_type::ElementType;
use crate::weights::scales_name;

/// Largest number of dimensions of a tensor.
const MAX_DIMS: u64 = 8;

/// Fewest bytes of the description of a tensor. References could describe one tensor any number of times.
const MIN_TENSOR_BYTES: u64 = 16;

/// Finds the planes in all files.
///
/// # Errors
/// If a file is neither a graph nor a bundle, or is broken.
pub(crate) fn find(files: &[&dyn FileBytes]) -> Result<Vec<FoundPlane>, FormatError> {
    let mut found = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let graph = graph(*file)?;
        let flatbuffer = Flatbuffer::new(*file, graph.start, graph.end - graph.start)?;
        let n_left = (graph.end - graph.start) / MIN_TENSOR_BYTES;
        let mut finder = Finder { graph, file: number, n_left, names: BTreeSet::new(), found: &mut found };
        finder.model(flatbuffer.root()?)?;
    }
    Ok(found)
}

/// The range of the graph in a file.
fn graph(file: &dyn FileBytes) -> Result<Range<u64>, FormatError> {
    let n_bytes = file.n_bytes();
    let head = file.read(0..n_bytes.min(8))?;
    if head.get(4..8) == Some(&IDENTIFIER) {
        return Ok(0..n_bytes);
    }
    if head.as_ref() == bundle::container::MAGIC {
        return bundle::container::graph(file);
    }
    Err(FormatError::new(format!("`{}` is neither a `.tflite` nor a `.litertlm` file", file.name())))
}

struct Finder<'a> {
    /// The range of the graph in its file.
    graph: Range<u64>,
    file: usize,
    /// Number of further tensors that a file of this length can describe.
    n_left: u64,
    names: BTreeSet<String>,
    found: &'a mut Vec<FoundPlane>,
}

impl Finder<'_> {
    fn model(&mut self, model: Table<'_>) -> Result<(), FormatError> {
        let buffers = model.vector(4)?;
        for subgraph in model.vector(2)?.tables() {
            for tensor in subgraph?.vector(0)?.tables() {
                self.tensor(tensor?, buffers)?;
            }
        }
        Ok(())
    }

    /// Records a tensor whose buffer is behind the flatbuffer, and its scales if these are within it.
    fn tensor(&mut self, tensor: Table<'_>, buffers: Vector<'_>) -> Result<(), FormatError> {
        let n_left = self.n_left.checked_sub(1);
        self.n_left =
            n_left.ok_or_else(|| FormatError::new("The graph describes a tensor more than once"))?;
        let buffer = buffers.table(u64::from(tensor.u32(2)?))?;
        let (offset, n_bytes) = (buffer.u64(1)?, buffer.u64(2)?);
        if offset <= 1 {
            return Ok(());
        }
        let name = tensor.text(3)?;
        if !self.names.insert(name.clone()) {
            return Ok(());
        }
        let dims = dims(tensor.vector(0)?)?;
        let element_type = element_type(tensor, &name)?;
        let n_elements = dims.iter().try_fold(1_u64, |product, dim| product.checked_mul(*dim));
        if n_elements.and_then(|n_elements| element_type.n_bytes(n_elements)) != Some(n_bytes) {
            return Err(FormatError::new(format!(
                "Tensor `{name}` with dimensions {dims:?} has {n_bytes} bytes"
            )));
        }
        let range = self.range(offset, n_bytes, &name)?;
        let scales = tensor.table(4)?.map(|details| details.vector(2)).transpose()?;
        let scales = scales.filter(|scales| scales.n_elements() > 0);
        self.push(name.clone(), element_type, dims, range);
        if let Some(scales) = scales {
            let dims = vec![scales.n_elements()];
            self.push(scales_name(&name), ElementType::F32, dims, scales.range(4)?);
        }
        Ok(())
    }

    /// The range of a buffer in the file.
    fn range(&self, offset: u64, n_bytes: u64, name: &str) -> Result<Range<u64>, FormatError> {
        let start = self.graph.start.checked_add(offset);
        let end = start.and_then(|start| start.checked_add(n_bytes));
        match (start, end) {
            (Some(start), Some(end)) if end <= self.graph.end => Ok(start..end),
            _ => Err(FormatError::new(format!("Tensor `{name}` ends outside of its file"))),
        }
    }

    fn push(&mut self, name: String, element_type: ElementType, dims: Vec<u64>, range: Range<u64>) {
        let kind = element_type.name();
        self.found.push(FoundPlane { name, kind, dims, file: self.file, range });
    }
}

fn dims(shape: Vector<'_>) -> Result<Vec<u64>, FormatError> {
    if shape.n_elements() > MAX_DIMS {
        return Err(FormatError::new(format!("A tensor has {} dimensions", shape.n_elements())));
    }
    (0..shape.n_elements()).map(|index| shape.u32(index).map(u64::from)).collect()
}

fn element_type(tensor: Table<'_>, name: &str) -> Result<ElementType, FormatError> {
    let number = tensor.u8(1)? as i8;
    ElementType::of_number(number)
        .ok_or_else(|| FormatError::new(format!("Tensor `{name}` has the unknown type {number}")))
}
