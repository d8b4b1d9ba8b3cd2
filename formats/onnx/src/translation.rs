//! The translation of a graph into ONNX: the names and shapes of values, the constants, the nodes.
//!
//! A value `[tokens, width]` of the graph is `[batch, sequence, width]` in ONNX, and `[tokens, heads, width]` is
//! `[batch, sequence, heads, width]` or, as the attention operator expects it, `[batch, sequence, heads * width]`. Both
//! forms are made on demand. Operators that ONNX Runtime fuses (rotation, caches, attention) have no value of their
//! own; the operator that fuses them reads their inputs. Nodes whose outputs nobody reads are dropped at the end.
//!
//! [`crate::translate`] walks the graph; each operator is a row of [`crate::operators`].

use std::collections::{BTreeMap, BTreeSet};

use mc_decoder::lower::LOGITS;
use mc_decoder::program::Decoder;
use mc_exporter::refusal::Refusal;
use mc_graph::graph::{Graph, Node, Origin};
use mc_graph::ids::ValueId;
use mc_graph::operator::Operator;
use mc_graph::operators::rotary_angles::RotaryAngles;
use mc_graph::value_type::Dim;
use mc_tensor::model_tensor::ModelTensor;

use crate::element_type::ElementType;
use crate::onnx_value::{OnnxValue, ValueForm};
use crate::proto::{Attribute, Bytes, Initializer, OnnxDim, OnnxGraph, OnnxNode, ValueInfo};
use crate::rotary_caches::RotaryCache;
use crate::settings::Settings;
use crate::value_names::{ATTENTION_MASK, INPUT_IDS};
use crate::weight_form::{Weight, WeightForm};

/// The model to translate.
pub(crate) struct Plan<'a> {
    /// Its computation.
    pub(crate) decoder: &'a Decoder,
    /// The settings of the target.
    pub(crate) settings: Settings,
    /// Its weights.
    pub(crate) weights: BTreeMap<ModelTensor, Weight>,
}

/// The translated model, without the initializers of its weights.
#[derive(Debug, Default)]
pub(crate) struct Translated {
    /// The graph.
    pub(crate) graph: OnnxGraph,
    /// Further initializers over the bytes of a plane: the plane's name, the initializer's name and its dimensions.
    pub(crate) views: BTreeSet<View>,
    /// The rotary tables.
    pub(crate) caches: Vec<RotaryCache>,
}

/// A plane with other dimensions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct View {
    /// The plane's name.
    pub(crate) of: String,
    /// The initializer's name.
    pub(crate) name: String,
    /// Its dimensions.
    pub(crate) dims: Vec<u64>,
}

/// The state of a translation.
pub(crate) struct Translation<'a> {
    /// The model.
    pub(crate) plan: &'a Plan<'a>,
    /// Its graph.
    pub(crate) graph: &'a Graph,
    /// The result so far.
    pub(crate) translated: Translated,
    /// Indices of the layers whose states the next operators with a state use.
    pub(crate) attention_blocks: Vec<u32>,
    /// As `attention_blocks`, for convolutions.
    pub(crate) convolution_blocks: Vec<u32>,
    values: Vec<Option<OnnxValue>>,
    consumers: Vec<Vec<usize>>,
    known: BTreeMap<String, OnnxValue>,
    constants: BTreeMap<(ElementType, Vec<u64>, Vec<u8>), String>,
    tables: Vec<(RotaryAngles, [String; 2])>,
    lengths: Option<Lengths>,
    scope: String,
}

/// Names of the values that tell an attention how long the sequence is.
#[derive(Clone, Debug)]
pub(crate) struct Lengths {
    /// For each sequence of the batch, the index of its last position.
    pub(crate) last: String,
    /// Number of positions of the longest sequence.
    pub(crate) total: String,
}

impl<'a> Translation<'a> {
    /// Starts a translation.
    pub(crate) fn new(plan: &'a Plan<'a>, graph: &'a Graph) -> Self {
        let mut consumers = vec![Vec::new(); graph.values().len()];
        for (index, node) in graph.nodes().iter().enumerate() {
            for input in &node.inputs {
                consumers[input.index()].push(index);
            }
        }
        let blocks = |is_wanted: &dyn Fn(&mc_decoder::program::Block) -> bool| {
            let blocks = (0..).zip(&plan.decoder.blocks).filter(|(_, block)| is_wanted(block));
            let mut blocks: Vec<u32> = blocks.map(|(index, _)| index).collect();
            blocks.reverse();
            blocks
        };
        Self {
            plan,
            graph,
            translated: Translated {
                graph: OnnxGraph { name: "main_graph", ..OnnxGraph::default() },
                ..Translated::default()
            },
            attention_blocks: blocks(&|block| block.attention().is_some()),
            convolution_blocks: blocks(&|block| block.attention().is_none()),
            values: vec![None; graph.values().len()],
            consumers,
            known: BTreeMap::new(),
            constants: BTreeMap::new(),
            tables: Vec::new(),
            lengths: None,
            scope: "model".to_owned(),
        }
    }

    /// Declares the inputs and outputs that every model has.
    pub(crate) fn declare_inputs(&mut self) {
        let named = |name: &str, length| ValueInfo {
            name: name.to_owned(),
            element: ElementType::Int64,
            dims: vec![OnnxDim::Named("batch_size"), OnnxDim::Named(length)],
        };
        let inputs = &mut self.translated.graph.inputs;
        inputs.push(named(INPUT_IDS, "sequence_length"));
        inputs.push(named(ATTENTION_MASK, "total_sequence_length"));
        let head = self.plan.decoder.n_vocab;
        self.translated.graph.outputs.push(ValueInfo {
            name: LOGITS.to_owned(),
            element: self.plan.settings.activations,
            dims: vec![
                OnnxDim::Named("batch_size"),
                OnnxDim::Named("sequence_length"),
                OnnxDim::Fixed(head.into()),
            ],
        });
    }

    /// The weight that a value is; `None` for computed values.
    pub(crate) fn weight(&mut self, id: ValueId) -> Option<&'a Weight> {
        let Origin::Weight(tensor) = self.graph.value(id).origin else { return None };
        self.scope = match tensor.block() {
            Some(block) => format!("layers.{block}/{}", tensor.role()),
            None => tensor.role().to_owned(),
        };
        self.plan.weights.get(&tensor)
    }

    /// The floats of a weight, by name, in this type.
    pub(crate) fn floats(&mut self, weight: &Weight, element: ElementType) -> Result<String, Refusal> {
        let WeightForm::Floats(stored) = weight.form else {
            return Err(Refusal::new(format!("ONNX cannot quantize the tensor `{}`", weight.name)));
        };
        let value =
            OnnxValue { name: weight.name.clone(), element: stored, form: ValueForm::Rows, columns: None };
        Ok(self.cast(&value, element).name)
    }

    /// The operator that computes a value, if it has this type, with its node.
    pub(crate) fn producer<T: Operator>(&self, id: ValueId) -> Option<(&'a T, &'a Node)> {
        let Origin::Node(index) = self.graph.value(id).origin else { return None };
        let node = &self.graph.nodes()[index as usize];
        Some((node.operator.get::<T>()?, node))
    }

    /// The nodes that read a value.
    pub(crate) fn consumers(&self, id: ValueId) -> impl Iterator<Item = &'a Node> {
        let graph = self.graph;
        self.consumers[id.index()].iter().map(move |index| &graph.nodes()[*index])
    }

    /// The last dimensions of a value, without the tokens.
    pub(crate) fn widths(&self, id: ValueId) -> Vec<u32> {
        let dims = &self.graph.value(id).value_type.dims;
        dims.iter()
            .skip(1)
            .filter_map(|dim| if let Dim::Fixed(size) = dim { Some(*size) } else { None })
            .collect()
    }

    /// A computed value in the form in which it is known.
    ///
    /// # Errors
    /// If it was never computed, because its operator exists only as part of another.
    pub(crate) fn value(&self, id: ValueId) -> Result<OnnxValue, Refusal> {
        self.values[id.index()].clone().ok_or_else(|| match self.graph.value(id).origin {
            Origin::Node(index) => {
                let operator = self.graph.nodes()[index as usize].operator.name();
                Refusal::new(format!(
                    "ONNX Runtime GenAI has `{operator}` only as part of an attention or a short convolution"
                ))
            }
            _ => Refusal::new("ONNX cannot use a weight where a computed value is expected"),
        })
    }

    /// A computed value as `[batch, sequence, width]`.
    pub(crate) fn rows(&mut self, id: ValueId) -> Result<OnnxValue, Refusal> {
        let value = self.value(id)?;
        if value.form == ValueForm::Rows {
            return Ok(value);
        }
        let width = self.widths(id).iter().product::<u32>();
        Ok(self.reshaped(&value, &[0, 0, width.into()], ValueForm::Rows))
    }

    /// A computed value as `[batch, sequence, heads, width]`.
    pub(crate) fn heads(&mut self, id: ValueId) -> Result<OnnxValue, Refusal> {
        let value = self.value(id)?;
        let [n_heads, width] = self.widths(id)[..] else { return Ok(value) };
        if value.form == ValueForm::Heads {
            return Ok(value);
        }
        Ok(self.reshaped(&value, &[0, 0, n_heads.into(), width.into()], ValueForm::Heads))
    }

    fn reshaped(&mut self, value: &OnnxValue, dims: &[i64], form: ValueForm) -> OnnxValue {
        let key = format!("{} {dims:?}", value.name);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let shape = self.integers(dims);
        let name = self.emit("Reshape", "", vec![value.name.clone(), shape], Vec::new());
        let reshaped = OnnxValue { name, element: value.element, form, columns: None };
        self.known.insert(key, reshaped.clone());
        reshaped
    }

    /// The value in another element type.
    pub(crate) fn cast(&mut self, value: &OnnxValue, element: ElementType) -> OnnxValue {
        if value.element == element {
            return value.clone();
        }
        let key = format!("{} {}", value.name, element.name());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let to = vec![("to", Attribute::Int(element.code()))];
        let name = self.emit("Cast", "", vec![value.name.clone()], to);
        let cast = OnnxValue { name, element, columns: None, ..*value };
        self.known.insert(key, cast.clone());
        cast
    }

    /// Records the value of the node's first output.
    pub(crate) fn set(&mut self, id: ValueId, value: OnnxValue) {
        self.values[id.index()] = Some(value);
    }

    /// Returns true if a value of the graph has one in ONNX.
    pub(crate) fn is_known(&self, id: ValueId) -> bool {
        self.values[id.index()].is_some()
    }

    /// Returns true if a node outside of the graph reads the value: if it is the result.
    pub(crate) fn is_result(&self, id: ValueId) -> bool {
        self.graph.output(LOGITS) == Some(id)
    }

    /// Adds a node with one output whose name is chosen, and returns the name.
    pub(crate) fn emit(
        &mut self,
        op_type: &'static str,
        domain: &'static str,
        inputs: Vec<String>,
        attributes: Vec<(&'static str, Attribute)>,
    ) -> String {
        let output = self.fresh(op_type);
        self.emit_to(op_type, domain, inputs, vec![output.clone()], attributes);
        output
    }

    /// Adds a node whose first output is the value, and records it.
    pub(crate) fn emit_value(
        &mut self,
        id: ValueId,
        node: (&'static str, &'static str),
        inputs: Vec<String>,
        attributes: Vec<(&'static str, Attribute)>,
        (element, form): (ElementType, ValueForm),
    ) {
        let (op_type, domain) = node;
        let name = if self.is_result(id) { LOGITS.to_owned() } else { self.fresh(op_type) };
        self.emit_to(op_type, domain, inputs, vec![name.clone()], attributes);
        self.set(id, OnnxValue { name, element, form, columns: None });
    }

    /// Adds a node.
    pub(crate) fn emit_to(
        &mut self,
        op_type: &'static str,
        domain: &'static str,
        inputs: Vec<String>,
        outputs: Vec<String>,
        attributes: Vec<(&'static str, Attribute)>,
    ) {
        let name = format!("/{}/{op_type}.{}/node", self.scope, self.translated.graph.nodes.len());
        self.translated.graph.nodes.push(OnnxNode { name, op_type, domain, inputs, outputs, attributes });
    }

    /// A name for a value that the next node computes.
    pub(crate) fn fresh(&self, op_type: &str) -> String {
        format!("/{}/{op_type}.{}", self.scope, self.translated.graph.nodes.len())
    }

    /// A constant list of integers.
    pub(crate) fn integers(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(ElementType::Int64, vec![values.len() as u64], bytes)
    }

    /// A constant integer without dimensions.
    pub(crate) fn integer(&mut self, element: ElementType, value: i32) -> String {
        let bytes = match element {
            ElementType::Int64 => i64::from(value).to_le_bytes().to_vec(),
            _ => value.to_le_bytes().to_vec(),
        };
        self.constant(element, Vec::new(), bytes)
    }

    /// A constant number without dimensions.
    pub(crate) fn number(&mut self, element: ElementType, value: f32) -> String {
        self.constant(element, Vec::new(), element.floats(&[value]))
    }

    /// The tables that were made for these angles.
    pub(crate) fn known_tables(&self, angles: &RotaryAngles) -> Option<[String; 2]> {
        self.tables.iter().find(|(known, _)| known == angles).map(|(_, names)| names.clone())
    }

    /// Records the tables for these angles.
    pub(crate) fn remember_tables(&mut self, angles: &RotaryAngles, names: &[String; 2]) {
        self.tables.push((angles.clone(), names.clone()));
    }

    /// The lengths of the sequences, from the mask; computed once.
    pub(crate) fn lengths(&mut self) -> Lengths {
        if let Some(known) = &self.lengths {
            return known.clone();
        }
        let to_int = || vec![("to", Attribute::Int(ElementType::Int32.code()))];
        let mask = || ATTENTION_MASK.to_owned();
        let scope = std::mem::replace(&mut self.scope, "lengths".to_owned());
        let one = self.integers(&[1]);
        let keep = vec![("keepdims", Attribute::Int(0))];
        let counts = self.emit("ReduceSum", "", vec![mask(), one.clone()], keep);
        let last = self.emit("Sub", "", vec![counts, one], Vec::new());
        let last = self.emit("Cast", "", vec![last], to_int());
        let shape = self.emit("Shape", "", vec![mask()], Vec::new());
        let axis = self.integer(ElementType::Int64, 1);
        let total = self.emit("Gather", "", vec![shape, axis], vec![("axis", Attribute::Int(0))]);
        let total = self.emit("Cast", "", vec![total], to_int());
        self.scope = scope;
        let lengths = Lengths { last, total };
        self.lengths = Some(lengths.clone());
        lengths
    }

    fn constant(&mut self, element: ElementType, dims: Vec<u64>, bytes: Vec<u8>) -> String {
        let number = self.constants.len();
        let key = (element, dims.clone(), bytes.clone());
        if let Some(known) = self.constants.get(&key) {
            return known.clone();
        }
        let name = format!("/constants/{number}");
        self.constants.insert(key, name.clone());
        let bytes = Bytes::Inline(bytes);
        self.translated.graph.initializers.push(Initializer { name: name.clone(), element, dims, bytes });
        name
    }
}
