//! The messages of an ONNX model, and their bytes.
//!
//! Source of the field numbers: onnx.proto of ONNX (Apache-2.0), IR version 10.

use crate::element_type::ElementType;
use crate::wire::Message;

/// Version of the intermediate representation.
const IR_VERSION: i64 = 10;

/// Versions of the operator sets: that of ONNX, and that of ONNX Runtime.
const OPERATOR_SETS: [(&str, i64); 2] = [("", 21), (MICROSOFT, 1)];

/// Domain of ONNX Runtime's own operators.
pub(crate) const MICROSOFT: &str = "com.microsoft";

/// Name of the file with the graph.
pub(crate) const MODEL_FILE: &str = "model.onnx";

/// Name of the file with the tensors' bytes, beside the model.
pub(crate) const DATA_FILE: &str = "model.onnx.data";

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// Text.
    Text(&'static str),
    /// Integers.
    Ints(Vec<i64>),
    /// A graph: the branch of a condition.
    Graph(OnnxGraph),
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OnnxNode {
    /// Its name.
    pub(crate) name: String,
    /// Its operator.
    pub(crate) op_type: &'static str,
    /// Domain of the operator; empty for ONNX itself.
    pub(crate) domain: &'static str,
    /// Names of its inputs; an absent one is empty.
    pub(crate) inputs: Vec<String>,
    /// Names of its outputs; an absent one is empty.
    pub(crate) outputs: Vec<String>,
    /// Its attributes.
    pub(crate) attributes: Vec<(&'static str, Attribute)>,
}

/// A constant tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Initializer {
    /// Its name.
    pub(crate) name: String,
    /// Type of its elements.
    pub(crate) element: ElementType,
    /// Its dimensions.
    pub(crate) dims: Vec<u64>,
    /// Location of its bytes.
    pub(crate) bytes: Bytes,
}

/// Location of a constant's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// In the model itself.
    Inline(Vec<u8>),
    /// In the file [`DATA_FILE`].
    External {
        /// Offset in the file.
        offset: u64,
        /// Number of bytes.
        n_bytes: u64,
    },
}

/// A dimension of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OnnxDim {
    /// A known size.
    Fixed(u64),
    /// A size that is known at run time.
    Named(&'static str),
}

/// An input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ValueInfo {
    /// Its name.
    pub(crate) name: String,
    /// Type of its elements.
    pub(crate) element: ElementType,
    /// Its dimensions.
    pub(crate) dims: Vec<OnnxDim>,
}

/// A graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OnnxGraph {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its nodes, each after those whose outputs it reads.
    pub(crate) nodes: Vec<OnnxNode>,
    /// Its constants.
    pub(crate) initializers: Vec<Initializer>,
    /// Its inputs.
    pub(crate) inputs: Vec<ValueInfo>,
    /// Its outputs.
    pub(crate) outputs: Vec<ValueInfo>,
}

/// The bytes of the model with this graph.
///
/// * `version`: version of the program that writes it
pub(crate) fn model_bytes(graph: &OnnxGraph, version: &str) -> Vec<u8> {
    Message::new()
        .int(1, IR_VERSION)
        .text(2, "mc")
        .text(3, version)
        .message(7, &graph_message(graph))
        .each(OPERATOR_SETS, |model, (domain, version)| {
            model.message(8, &Message::new().text(1, domain).int(2, version))
        })
        .finish()
}

fn graph_message(graph: &OnnxGraph) -> Message {
    Message::new()
        .each(&graph.nodes, |message, node| message.message(1, &node_message(node)))
        .text(2, graph.name)
        .each(&graph.initializers, |message, tensor| message.message(5, &tensor_message(tensor)))
        .each(&graph.inputs, |message, value| message.message(11, &value_message(value)))
        .each(&graph.outputs, |message, value| message.message(12, &value_message(value)))
}

fn node_message(node: &OnnxNode) -> Message {
    let message = Message::new()
        .each(&node.inputs, |message, name| message.text(1, name))
        .each(&node.outputs, |message, name| message.text(2, name))
        .text(3, &node.name)
        .text(4, node.op_type)
        .each(&node.attributes, |message, (name, value)| message.message(5, &attribute_message(name, value)));
    if node.domain.is_empty() { message } else { message.text(7, node.domain) }
}

fn attribute_message(name: &str, attribute: &Attribute) -> Message {
    let message = Message::new().text(1, name);
    match attribute {
        Attribute::Float(value) => message.float(2, *value).int(20, 1),
        Attribute::Int(value) => message.int(3, *value).int(20, 2),
        Attribute::Text(value) => message.text(4, value).int(20, 3),
        Attribute::Graph(graph) => message.message(6, &graph_message(graph)).int(20, 5),
        Attribute::Ints(values) => message.each(values, |message, value| message.int(8, *value)).int(20, 7),
    }
}

fn tensor_message(tensor: &Initializer) -> Message {
    let message = Message::new()
        .each(&tensor.dims, |message, dim| message.int(1, dim.cast_signed()))
        .int(2, tensor.element.code())
        .text(8, &tensor.name);
    match &tensor.bytes {
        Bytes::Inline(bytes) => message.bytes(9, bytes),
        Bytes::External { offset, n_bytes } => {
            let (offset, length) = (offset.to_string(), n_bytes.to_string());
            let entries = [("location", DATA_FILE), ("offset", offset.as_str()), ("length", length.as_str())];
            message
                .each(entries, |message, (key, value)| {
                    message.message(13, &Message::new().text(1, key).text(2, value))
                })
                .int(14, 1)
        }
    }
}

fn value_message(value: &ValueInfo) -> Message {
    let shape = Message::new().each(&value.dims, |message, dim| {
        let dim = match dim {
            OnnxDim::Fixed(size) => Message::new().int(1, size.cast_signed()),
            OnnxDim::Named(name) => Message::new().text(2, name),
        };
        message.message(1, &dim)
    });
    let tensor = Message::new().int(1, value.element.code()).message(2, &shape);
    Message::new().text(1, &value.name).message(2, &Message::new().message(1, &tensor))
}
