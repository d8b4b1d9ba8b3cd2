//! A pass that replaces operators by simpler ones, for backends without them.

use std::sync::Arc;

use crate::builder::Builder;
use crate::error::GraphError;
use crate::graph::{Graph, Node, Origin};
use crate::ids::ValueId;
use crate::operator::{Fragment, Operator};

/// Replaces each operator that `is_native` does not accept by its decomposition, recursively. Primitive operators
/// always stay; a backend or exporter without one must refuse it.
///
/// # Errors
/// If a decomposition is invalid, which a test of each operator rules out.
pub fn decompose(graph: &Graph, is_native: impl Fn(&dyn Operator) -> bool) -> Result<Graph, GraphError> {
    let mut pass = Pass { builder: Builder::new(), is_native: &is_native };
    for state in graph.states() {
        pass.builder.state(state.name.clone(), &state.row, state.window);
    }
    let mut places: Vec<Option<ValueId>> = vec![None; graph.values().len()];
    for (place, value) in places.iter_mut().zip(graph.values()) {
        *place = match value.origin {
            Origin::Tokens => Some(pass.builder.tokens()),
            Origin::Weight(tensor) => {
                let shape: Vec<u32> = value.value_type.dims.iter().filter_map(|dim| dim.fixed()).collect();
                Some(pass.builder.weight(tensor, &shape)?)
            }
            Origin::Argument(_) => Some(pass.builder.argument(value.value_type.clone())),
            Origin::Node(_) => None,
        };
    }
    let place =
        |places: &[Option<ValueId>], id: ValueId| places[id.index()].expect("nodes come after their inputs");
    for Node { operator, inputs, outputs } in graph.nodes() {
        let inputs: Vec<ValueId> = inputs.iter().map(|input| place(&places, *input)).collect();
        for (output, id) in outputs.iter().zip(pass.node(operator, &inputs)?) {
            places[output.index()] = Some(id);
            if let Some(name) = &graph.value(*output).name {
                pass.builder.name(id, name.clone());
            }
        }
    }
    for (name, id) in graph.outputs() {
        pass.builder.output(name.clone(), place(&places, *id));
    }
    Ok(pass.builder.finish())
}

struct Pass<'a> {
    builder: Builder,
    is_native: &'a dyn Fn(&dyn Operator) -> bool,
}

impl Pass<'_> {
    fn node(&mut self, operator: &Arc<dyn Operator>, inputs: &[ValueId]) -> Result<Vec<ValueId>, GraphError> {
        if (self.is_native)(&**operator) {
            return self.builder.node(Arc::clone(operator), inputs);
        }
        let mut simpler = Builder::new();
        let arguments: Vec<ValueId> =
            inputs.iter().map(|input| simpler.argument(self.builder.value_type(*input).clone())).collect();
        let Some(outputs) = operator.decompose(&mut simpler, &arguments)? else {
            return self.builder.node(Arc::clone(operator), inputs);
        };
        let simpler = simpler.finish();
        let mut places: Vec<Option<ValueId>> = vec![None; simpler.values().len()];
        for (argument, input) in arguments.iter().zip(inputs) {
            places[argument.index()] = Some(*input);
        }
        let place = |places: &[Option<ValueId>], id: ValueId| {
            places[id.index()].expect("nodes come after their inputs")
        };
        for node in simpler.nodes() {
            let inputs: Vec<ValueId> = node.inputs.iter().map(|input| place(&places, *input)).collect();
            for (output, id) in node.outputs.iter().zip(self.node(&node.operator, &inputs)?) {
                places[output.index()] = Some(id);
            }
        }
        Ok(outputs.into_iter().map(|output| place(&places, output)).collect())
    }
}
