//! Finds the tensors in a written model: the initializers of its graph, with the ranges of their bytes.
//!
//! The bytes are untrusted. Every range is checked against the file that holds it; initializers that share a range with
//! an earlier one are other views of the same bytes and are left out.

use std::collections::BTreeSet;
use std::ops::Range;

use mc_exporter::format_error::FormatError;
use mc_exporter::planes_in_files::{FileBytes, FoundPlane};

use crate::element_type;
use crate::proto::MODEL_FILE;
use crate::proto_reader::{Broken, Field, FieldValue, Fields};

/// The field with the graph of a model.
const GRAPH: u64 = 7;
/// The field with an initializer of a graph.
const INITIALIZER: u64 = 5;
/// Maximum number of dimensions of a tensor.
const MAX_DIMS: usize = 8;

/// The planes in the files, in the order of the model.
///
/// # Errors
/// If there is no model among the files, or it is broken.
pub(crate) fn find(files: &[&dyn FileBytes]) -> Result<Vec<FoundPlane>, FormatError> {
    let model = files.iter().position(|file| last_name(file.name()) == MODEL_FILE);
    let model =
        model.ok_or_else(|| FormatError::new(format!("There is no `{MODEL_FILE}` among the files")))?;
    let bytes = files[model].read(0..files[model].n_bytes())?;
    let reader = Reader { files, model, bytes: &bytes };
    let mut planes = Vec::new();
    let mut known = BTreeSet::new();
    for graph in reader.messages(0..bytes.len(), GRAPH) {
        for tensor in reader.messages(graph?, INITIALIZER) {
            let Some(plane) = reader.plane(tensor?)? else { continue };
            if known.insert((plane.file, plane.range.start, plane.range.end)) {
                planes.push(plane);
            }
        }
    }
    Ok(planes)
}

fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

struct Reader<'a> {
    files: &'a [&'a dyn FileBytes],
    model: usize,
    bytes: &'a [u8],
}

/// The fields of an initializer.
#[derive(Default)]
struct Tensor {
    name: String,
    code: u64,
    dims: Vec<u64>,
    raw: Option<Range<usize>>,
    location: Option<String>,
    offset: u64,
    length: Option<u64>,
}

impl Reader<'_> {
    /// The ranges of the messages in a field.
    fn messages(
        &self,
        of: Range<usize>,
        number: u64,
    ) -> impl Iterator<Item = Result<Range<usize>, FormatError>> {
        Fields::new(self.bytes, of).filter_map(move |field| match field {
            Ok(Field { number: found, value: FieldValue::Bytes(range) }) => {
                (found == number).then_some(Ok(range))
            }
            Ok(_) => None,
            Err(error) => Some(Err(broken(error))),
        })
    }

    fn text(&self, range: Range<usize>) -> Result<String, FormatError> {
        let text = std::str::from_utf8(&self.bytes[range.clone()]);
        text.map(str::to_owned).map_err(|_| broken(Broken { offset: range.start }))
    }

    /// The plane of an initializer; `None` if it has no bytes in a form that this crate writes.
    fn plane(&self, range: Range<usize>) -> Result<Option<FoundPlane>, FormatError> {
        let tensor = self.tensor(range)?;
        let (file, range) = match (tensor.location, tensor.raw) {
            (Some(location), _) => self.external(&tensor.name, &location, tensor.offset, tensor.length)?,
            (None, Some(raw)) => (self.model, raw.start as u64..raw.end as u64),
            (None, None) => return Ok(None),
        };
        let error = |message: String| FormatError::new(format!("Tensor `{}` {message}", tensor.name));
        let (kind, width) = element_type::by_code(tensor.code)
            .ok_or_else(|| error(format!("has the type {}, which has no fixed length", tensor.code)))?;
        let n_bytes = tensor.dims.iter().try_fold(width, |n, dim| n.checked_mul(*dim));
        let found = range.end - range.start;
        if n_bytes != Some(found) {
            return Err(error(format!("has {found} bytes, which are not {:?} of {kind}", tensor.dims)));
        }
        Ok(Some(FoundPlane { name: tensor.name, kind, dims: tensor.dims, file, range }))
    }

    fn tensor(&self, range: Range<usize>) -> Result<Tensor, FormatError> {
        let mut tensor = Tensor::default();
        for field in Fields::new(self.bytes, range) {
            let field = field.map_err(broken)?;
            match (field.number, field.value) {
                (1, FieldValue::Int(dim)) => tensor.dims.push(dim),
                (1, FieldValue::Bytes(packed)) => self.packed(packed, &mut tensor.dims)?,
                (2, FieldValue::Int(code)) => tensor.code = code,
                (8, FieldValue::Bytes(name)) => tensor.name = self.text(name)?,
                (9, FieldValue::Bytes(raw)) => tensor.raw = Some(raw),
                (13, FieldValue::Bytes(entry)) => self.entry(entry, &mut tensor)?,
                _ => {}
            }
            if tensor.dims.len() > MAX_DIMS {
                return Err(FormatError::new(format!("A tensor has more than {MAX_DIMS} dimensions")));
            }
        }
        Ok(tensor)
    }

    /// Integers without tags, of which one more than the maximum number of dimensions is read.
    fn packed(&self, range: Range<usize>, values: &mut Vec<u64>) -> Result<(), FormatError> {
        let (mut value, mut shift) = (0_u64, 0);
        for at in range {
            let byte = self.bytes[at];
            if shift > 56 {
                return Err(broken(Broken { offset: at }));
            }
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                values.push(value);
                (value, shift) = (0, 0);
            }
            if values.len() > MAX_DIMS {
                break;
            }
        }
        Ok(())
    }

    /// An entry of the external location: a key and a value.
    fn entry(&self, range: Range<usize>, tensor: &mut Tensor) -> Result<(), FormatError> {
        let start = range.start;
        let mut texts = [String::new(), String::new()];
        for field in Fields::new(self.bytes, range) {
            let field = field.map_err(broken)?;
            if let (1 | 2, FieldValue::Bytes(text)) = (field.number, field.value) {
                texts[field.number as usize - 1] = self.text(text)?;
            }
        }
        let [key, value] = texts;
        let number = || value.parse::<u64>().map_err(|_| broken(Broken { offset: start }));
        match key.as_str() {
            "offset" => tensor.offset = number()?,
            "length" => tensor.length = Some(number()?),
            "location" => tensor.location = Some(value),
            _ => {}
        }
        Ok(())
    }

    fn external(
        &self,
        name: &str,
        location: &str,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(usize, Range<u64>), FormatError> {
        let model = self.files[self.model].name();
        let path = format!("{}{location}", &model[..model.len() - last_name(model).len()]);
        let file = self.files.iter().position(|file| file.name() == path);
        let file = file
            .ok_or_else(|| FormatError::new(format!("Tensor `{name}` is in `{path}`, which is missing")))?;
        let n_bytes = self.files[file].n_bytes();
        let length = length.unwrap_or(n_bytes.saturating_sub(offset));
        let end = offset.checked_add(length).filter(|end| *end <= n_bytes);
        let end = end.ok_or_else(|| {
            FormatError::new(format!("Tensor `{name}` ends after the {n_bytes} bytes of `{path}`"))
        })?;
        Ok((file, offset..end))
    }
}

fn broken(broken: Broken) -> FormatError {
    FormatError::new(format!("`{MODEL_FILE}` is broken at byte {}", broken.offset))
}
