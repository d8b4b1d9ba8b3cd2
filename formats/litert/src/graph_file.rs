//! A `.tflite` file: the description of the graph, then the planes of the weights.
//!
//! Weights are behind the flatbuffer, and buffers state their place in the file. So the size of weights has no limit,
//! files can be mapped, and the subgraphs of all signatures share the weights.
//!
//! Source: schema.fbs of LiteRT; field numbers are those of its tables.

use std::collections::BTreeMap;
use std::rc::Rc;

use mc_exporter::format_error::FormatError;
use mc_exporter::plane::{Part, Plane};

use crate::flatbuffer::writer::{Field, Object, Writer};
use crate::parts::Parts;
use crate::tflite::code::{Code, Options};
use crate::tflite::subgraph::{Port, Source, Step, Subgraph, TensorEntry};
use crate::weights::{Scaling, Weights};

/// The identifier of the schema.
pub(crate) const IDENTIFIER: [u8; 4] = *b"TFL3";

/// The version of the schema.
const VERSION: u32 = 3;

/// Every plane starts at a multiple of this many bytes.
const ALIGNMENT: u64 = 64;

/// The number of the union's member for scales of blocks.
const BLOCKWISE: u8 = 2;

/// Writes a file.
///
/// * `planes`: the layout of the weights
/// * `subgraphs`: one for each signature
///
/// # Errors
/// If the description of the graph would be longer than 2 GiB.
pub(crate) fn write(
    weights: &Weights,
    planes: &[Plane],
    subgraphs: &[Subgraph],
) -> Result<Parts, FormatError> {
    // Places are numbers of a fixed length, so the length of the head does not depend on them.
    let n_head = head(weights, planes, subgraphs, 0)?.n_bytes();
    let mut file = head(weights, planes, subgraphs, n_head.next_multiple_of(ALIGNMENT))?;
    for (number, plane) in planes.iter().enumerate().filter(|(_, plane)| is_behind(weights, plane)) {
        file.pad_to(file.n_bytes().next_multiple_of(ALIGNMENT));
        file.push(Part::Plane(number), plane.n_bytes);
    }
    Ok(file)
}

/// Returns true if a plane is behind the flatbuffer. Scales of rows are within it.
fn is_behind(weights: &Weights, plane: &Plane) -> bool {
    plane.plane == 0 || weights.list[plane.tensor].scaling != Scaling::Rows
}

fn head(
    weights: &Weights,
    planes: &[Plane],
    subgraphs: &[Subgraph],
    start: u64,
) -> Result<Parts, FormatError> {
    let mut head =
        Head { writer: Writer::default(), weights, planes, constants: BTreeMap::new(), buffers: Vec::new() };
    let mut codes: Vec<(Code, i32)> =
        subgraphs.iter().flat_map(|subgraph| &subgraph.steps).map(|step| (step.code, step.version)).collect();
    codes.sort_unstable();
    codes.dedup();
    // Buffer 0 is empty, and planes come before constants.
    head.buffers.push(Vec::new());
    let mut position = start;
    for plane in planes {
        if is_behind(weights, plane) {
            position = position.next_multiple_of(ALIGNMENT);
            head.buffers.push(vec![(1, Field::U64(position)), (2, Field::U64(plane.n_bytes))]);
            position += plane.n_bytes;
        } else {
            head.buffers.push(Vec::new());
        }
    }
    let scales = head.scales();
    let subgraph_tables: Vec<Object> =
        subgraphs.iter().map(|subgraph| head.subgraph(subgraph, &codes, &scales)).collect();
    let signatures: Vec<Object> =
        (0..).zip(subgraphs).map(|(number, subgraph)| head.signature(number, subgraph)).collect();
    head.finish(&codes, subgraph_tables, signatures)
}

struct Head<'a> {
    writer: Writer,
    weights: &'a Weights,
    planes: &'a [Plane],
    /// The buffer of each constant.
    constants: BTreeMap<Rc<[u8]>, usize>,
    buffers: Vec<Vec<(u16, Field)>>,
}

impl Head<'_> {
    /// The scales of weights with a scale for each row, by number of the weight. Subgraphs share them.
    fn scales(&mut self) -> Vec<Option<Object>> {
        let mut zeros: BTreeMap<u64, Object> = BTreeMap::new();
        let mut scales = Vec::new();
        for weight in &self.weights.list {
            if weight.scaling != Scaling::Rows {
                scales.push(None);
                continue;
            }
            let n_rows = u64::from(weight.shape[0]);
            let plane = weight.plane + 1;
            let numbers = self.writer.plane(plane, self.planes[plane].n_bytes);
            let zeros = *zeros.entry(n_rows).or_insert_with(|| self.writer.zeros(n_rows));
            scales.push(Some(self.writer.table(&[
                (2, Field::Object(numbers)),
                (3, Field::Object(zeros)),
                (6, Field::I32(0)),
            ])));
        }
        scales
    }

    fn buffer(&mut self, source: &Source) -> u32 {
        let number = match source {
            Source::Computed => 0,
            Source::Weight(number) => 1 + self.weights.list[*number].plane,
            Source::Scales(number) => 2 + self.weights.list[*number].plane,
            Source::Constant(bytes) => match self.constants.get(bytes) {
                Some(number) => *number,
                None => {
                    let data = self.writer.bytes(Rc::clone(bytes));
                    self.buffers.push(vec![(0, Field::Object(data))]);
                    self.constants.insert(Rc::clone(bytes), self.buffers.len() - 1);
                    self.buffers.len() - 1
                }
            },
        };
        number as u32
    }

    fn subgraph(&mut self, subgraph: &Subgraph, codes: &[(Code, i32)], scales: &[Option<Object>]) -> Object {
        let tensors: Vec<Object> =
            subgraph.tensors.iter().map(|entry| self.tensor(subgraph, entry, scales)).collect();
        let steps: Vec<Object> = subgraph.steps.iter().map(|step| self.step(step, codes)).collect();
        let inputs = self.writer.integers(subgraph.inputs.iter().map(|port| port.tensor));
        let outputs = self.writer.integers(subgraph.outputs.iter().map(|port| port.tensor));
        let (tensors, steps) = (self.writer.tables(tensors), self.writer.tables(steps));
        let name = self.writer.text(&subgraph.name);
        self.writer.table(&[
            (0, Field::Object(tensors)),
            (1, Field::Object(inputs)),
            (2, Field::Object(outputs)),
            (3, Field::Object(steps)),
            (4, Field::Object(name)),
        ])
    }

    fn tensor(&mut self, subgraph: &Subgraph, entry: &TensorEntry, scales: &[Option<Object>]) -> Object {
        let shape = self.writer.integers(entry.shape.iter().map(|dim| *dim as i32));
        let buffer = self.buffer(&entry.source);
        let name = self.writer.text(&entry.name);
        let mut fields = vec![
            (0, Field::Object(shape)),
            (1, Field::I8(entry.element_type.number())),
            (2, Field::U32(buffer)),
            (3, Field::Object(name)),
        ];
        if let Source::Weight(number) = entry.source {
            let of_blocks = |writer: &mut Writer, len: u32| blockwise(writer, subgraph, number, len);
            let details = match self.weights.list[number].scaling {
                Scaling::None => None,
                Scaling::Rows => scales[number],
                Scaling::Blocks(len) => Some(of_blocks(&mut self.writer, len)),
            };
            fields.extend(details.map(|details| (4, Field::Object(details))));
        }
        self.writer.table(&fields)
    }

    fn step(&mut self, step: &Step, codes: &[(Code, i32)]) -> Object {
        let code = codes.iter().position(|code| *code == (step.code, step.version));
        let code = code.expect("every code of a step is listed");
        let inputs = self.writer.integers(step.inputs.iter().copied());
        let outputs = self.writer.integers([step.output]);
        let mut fields =
            vec![(0, Field::U32(code as u32)), (1, Field::Object(inputs)), (2, Field::Object(outputs))];
        if step.options != Options::Plain(0) {
            let options = options(&mut self.writer, &step.options);
            fields.extend([(3, Field::U8(step.options.number())), (4, Field::Object(options))]);
        }
        self.writer.table(&fields)
    }

    fn signature(&mut self, number: u32, subgraph: &Subgraph) -> Object {
        let mut ports = |ports: &[Port]| {
            let one = |port: &Port| {
                let name = self.writer.text(&port.name);
                self.writer.table(&[(0, Field::Object(name)), (1, Field::U32(port.tensor as u32))])
            };
            let ports: Vec<Object> = ports.iter().map(one).collect();
            self.writer.tables(ports)
        };
        let (inputs, outputs) = (ports(&subgraph.inputs), ports(&subgraph.outputs));
        let name = self.writer.text(&subgraph.name);
        self.writer.table(&[
            (0, Field::Object(inputs)),
            (1, Field::Object(outputs)),
            (2, Field::Object(name)),
            (4, Field::U32(number)),
        ])
    }

    fn finish(
        mut self,
        codes: &[(Code, i32)],
        subgraphs: Vec<Object>,
        signatures: Vec<Object>,
    ) -> Result<Parts, FormatError> {
        let code = |(code, version): &(Code, i32)| {
            let number = code.number();
            // Numbers above 127 do not fit the field of old readers.
            let old = i8::try_from(number).unwrap_or(127);
            self.writer.table(&[(0, Field::I8(old)), (2, Field::I32(*version)), (3, Field::I32(number))])
        };
        let codes: Vec<Object> = codes.iter().map(code).collect();
        let buffers: Vec<Object> = self.buffers.iter().map(|fields| self.writer.table(fields)).collect();
        let writer = &mut self.writer;
        let fields = [
            (0, Field::U32(VERSION)),
            (1, Field::Object(writer.tables(codes))),
            (2, Field::Object(writer.tables(subgraphs))),
            (3, Field::Object(writer.text("mc"))),
            (4, Field::Object(writer.tables(buffers))),
            (7, Field::Object(writer.tables(signatures))),
        ];
        let root = writer.table(&fields);
        self.writer.finish(root, Some(IDENTIFIER))
    }
}

/// The scales of blocks, which are a tensor of the same subgraph.
fn blockwise(writer: &mut Writer, subgraph: &Subgraph, number: usize, len: u32) -> Object {
    let is_scales = |entry: &TensorEntry| entry.source == Source::Scales(number);
    let scales = subgraph.tensors.iter().position(is_scales);
    let scales = scales.expect("a weight of blocks is added with its scales");
    let details =
        writer.table(&[(0, Field::I32(scales as i32)), (1, Field::I32(-1)), (2, Field::I32(len as i32))]);
    writer.table(&[(4, Field::U8(BLOCKWISE)), (5, Field::Object(details)), (6, Field::I32(0))])
}

fn options(writer: &mut Writer, options: &Options) -> Object {
    let fields = match options {
        Options::Plain(_) => Vec::new(),
        Options::Cast { from, to } => vec![(0, Field::I8(from.number())), (1, Field::I8(to.number()))],
        Options::Concatenation { axis } | Options::Gather { axis } => vec![(0, Field::I32(*axis))],
        Options::FullyConnected => vec![(2, Field::Bool(true))],
        Options::GeluTanh => vec![(0, Field::Bool(true))],
        Options::Reducer { keeps_dims } => vec![(0, Field::Bool(*keeps_dims))],
        Options::BatchMatmulTransposed => vec![(1, Field::Bool(true))],
        Options::Reshape { shape } => {
            let shape = writer.integers(shape.iter().map(|dim| *dim as i32));
            vec![(0, Field::Object(shape))]
        }
        Options::Softmax => vec![(0, Field::F32(1.0))],
    };
    writer.table(&fields)
}
