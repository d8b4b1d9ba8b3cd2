//! Graphs as JSON, for exporters that write a graph unchanged and for reading it back.
//!
//! ```text
//! {"states": [{"name", "row", "window"?}],
//!  "values": [{"dims", "element", "origin": "tokens" | {"weight": {"role", "block"?}} |
//!              {"node": n} | {"argument": n}, "name"?}],
//!  "nodes": [{"operator", "attributes", "inputs", "outputs"}],
//!  "outputs": [[name, value]]}
//! ```

use mc_tensor::model_tensor::ModelTensor;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::error::GraphError;
use crate::graph::{Graph, Node, Origin, State, Value};
use crate::ids::ValueId;
use crate::operators;
use crate::value_type::ValueType;

#[derive(Deserialize, Serialize)]
struct Text {
    states: Vec<StateText>,
    values: Vec<ValueText>,
    nodes: Vec<NodeText>,
    outputs: Vec<(String, u32)>,
}

#[derive(Deserialize, Serialize)]
struct StateText {
    name: String,
    row: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<u32>,
}

#[derive(Deserialize, Serialize)]
struct ValueText {
    #[serde(flatten)]
    value_type: ValueType,
    origin: OriginText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum OriginText {
    Tokens,
    Weight {
        role: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block: Option<u32>,
    },
    Node(u32),
    Argument(u32),
}

#[derive(Deserialize, Serialize)]
struct NodeText {
    operator: String,
    attributes: Json,
    inputs: Vec<u32>,
    outputs: Vec<u32>,
}

/// Writes a graph as JSON.
pub fn write(graph: &Graph) -> Json {
    let ids = |ids: &[ValueId]| ids.iter().map(|id| id.0).collect();
    let node = |node: &Node| NodeText {
        operator: node.operator.name().to_owned(),
        attributes: node.operator.attributes(),
        inputs: ids(&node.inputs),
        outputs: ids(&node.outputs),
    };
    let origin = |origin: Origin| match origin {
        Origin::Tokens => OriginText::Tokens,
        Origin::Weight(tensor) => {
            OriginText::Weight { role: tensor.role().to_owned(), block: tensor.block() }
        }
        Origin::Node(number) => OriginText::Node(number),
        Origin::Argument(number) => OriginText::Argument(number),
    };
    let value = |value: &Value| ValueText {
        value_type: value.value_type.clone(),
        origin: origin(value.origin),
        name: value.name.clone(),
    };
    let state =
        |state: &State| StateText { name: state.name.clone(), row: state.row.clone(), window: state.window };
    let text = Text {
        states: graph.states.iter().map(state).collect(),
        values: graph.values.iter().map(value).collect(),
        nodes: graph.nodes.iter().map(node).collect(),
        outputs: graph.outputs.iter().map(|(name, id)| (name.clone(), id.0)).collect(),
    };
    serde_json::to_value(text).expect("a graph has text keys and finite numbers")
}

/// Reads a graph from JSON; checks each node by its operator's shape rule.
///
/// # Errors
/// [`GraphError::Unreadable`], and errors of the shape rules.
pub fn read(json: &Json) -> Result<Graph, GraphError> {
    let text = Text::deserialize(json).map_err(|error| unreadable("the whole", error.to_string()))?;
    let state = |state: StateText| State { name: state.name, row: state.row, window: state.window };
    let mut graph = Graph { states: text.states.into_iter().map(state).collect(), ..Graph::default() };
    for (number, value) in text.values.into_iter().enumerate() {
        let origin = origin(value.origin, number)?;
        graph.values.push(Value { value_type: value.value_type, origin, name: value.name });
    }
    let n_values = graph.values.len();
    let ids = |ids: Vec<u32>, place: &str| {
        let known = |id: u32| (id as usize) < n_values;
        let found: Option<Vec<ValueId>> =
            ids.into_iter().map(|id| known(id).then_some(ValueId(id))).collect();
        found.ok_or_else(|| unreadable(place, format!("numbers below {n_values}")))
    };
    // A value is available after its node.
    let mut is_there: Vec<bool> =
        graph.values.iter().map(|value| !matches!(value.origin, Origin::Node(_))).collect();
    for (number, node) in (0_u32..).zip(text.nodes) {
        let place = format!("node {number}");
        let entry = operators::by_name(&node.operator);
        let operator = entry.and_then(|entry| (entry.read)(&node.attributes));
        let operator = operator.ok_or_else(|| unreadable(&place, format!("operator `{}`", node.operator)))?;
        let (inputs, outputs) = (ids(node.inputs, &place)?, ids(node.outputs, &place)?);
        if !inputs.iter().all(|input| is_there[input.index()]) {
            return Err(unreadable(&place, "inputs that earlier nodes compute"));
        }
        let types: Vec<&ValueType> = inputs.iter().map(|input| &graph.value(*input).value_type).collect();
        let types = operator.types(&types)?;
        let is_own = |(output, value_type): (&ValueId, &ValueType)| {
            let value = graph.value(*output);
            value.origin == Origin::Node(number) && value.value_type == *value_type
        };
        if types.len() != outputs.len() || !outputs.iter().zip(&types).all(is_own) {
            return Err(unreadable(&place, "outputs of the types that its inputs give"));
        }
        for output in &outputs {
            is_there[output.index()] = true;
        }
        graph.nodes.push(Node { operator, inputs, outputs });
    }
    for (name, id) in text.outputs {
        let [id] = ids(vec![id], "outputs")?[..] else { return Err(unreadable("outputs", "one value")) };
        if !is_there[id.index()] {
            return Err(unreadable("outputs", "values that nodes compute"));
        }
        graph.outputs.push((name, id));
    }
    Ok(graph)
}

fn origin(text: OriginText, number: usize) -> Result<Origin, GraphError> {
    Ok(match text {
        OriginText::Tokens => Origin::Tokens,
        OriginText::Weight { role, block } => Origin::Weight(
            ModelTensor::of_role(&role, block)
                .ok_or_else(|| unreadable(&format!("value {number}"), "the role of a tensor"))?,
        ),
        OriginText::Node(number) => Origin::Node(number),
        OriginText::Argument(number) => Origin::Argument(number),
    })
}

fn unreadable(place: &str, expected: impl Into<String>) -> GraphError {
    GraphError::Unreadable { place: place.to_owned(), expected: expected.into() }
}
