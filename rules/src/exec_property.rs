//! `exec-property`: what a worker must have that does a step of a target, such as a graphics card.
//!
//! It changes where a step is done and no byte, so it is in no key: two targets that share a step have it done once,
//! where the first of them wants it.

use mc_ir::action::{Action, ActionContext, ActionError, ActionKind};
use mc_ir::attribute::Record;
use mc_ir::output::Outputs;
use mc_ir::schema::{Arguments, NodeSchema, ValueKind};

/// A name and a value; for every rule with steps that workers can do, and for `model`.
pub(crate) static EXEC_PROPERTY: NodeSchema = NodeSchema {
    name: "exec-property",
    doc: "What a worker must have that does its steps: a name and a value, as the server knows them.",
    arguments: Arguments::Two(ValueKind::Text, ValueKind::Text),
    properties: &[],
    children: &[],
};

/// A step that wants something of the worker that does it.
struct Wanting {
    action: Box<dyn Action>,
    properties: Vec<(String, String)>,
}

/// A step of the target with these attributes.
pub(crate) fn of_target(record: &Record, action: Box<dyn Action>) -> Box<dyn Action> {
    let text = |node: &Record, index: usize| {
        node.arguments.get(index).and_then(|placed| placed.value.as_text()).map(str::to_owned)
    };
    let nodes = record.children(EXEC_PROPERTY.name).iter();
    let properties: Vec<_> = nodes.filter_map(|node| text(node, 0).zip(text(node, 1))).collect();
    if properties.is_empty() { action } else { Box::new(Wanting { action, properties }) }
}

impl Action for Wanting {
    fn kind(&self) -> ActionKind {
        self.action.kind()
    }

    fn parameters(&self) -> Vec<(String, String)> {
        self.action.parameters()
    }

    fn outputs(&self) -> Vec<String> {
        self.action.outputs()
    }

    fn describe(&self) -> String {
        self.action.describe()
    }

    fn exec_properties(&self) -> &[(String, String)] {
        &self.properties
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        self.action.run(ctx)
    }
}

#[cfg(test)]
mod tests {
    use mc_ir::attribute::{Place, Placed, Value};

    use super::*;
    use crate::remote_kinds::make;

    #[test]
    fn what_a_worker_must_have_is_no_part_of_a_step() {
        let expression = "decode($0, Q4_K, [4, 256])".to_owned();
        let step = || make("tensor@2", &[("expression".to_owned(), expression.clone())]).unwrap();
        let mut record = Record::new(Place(0));
        assert!(of_target(&record, step()).exec_properties().is_empty());
        for words in [["gpu", "a100"], ["OSFamily", "linux"]] {
            let mut node = Record::new(Place(0));
            node.arguments =
                words.map(|word| Placed { value: Value::Text(word.to_owned()), place: Place(0) }).into();
            record.children.entry(EXEC_PROPERTY.name.to_owned()).or_default().push(node);
        }
        let wanting = of_target(&record, step());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(wanting.exec_properties(), [pair("gpu", "a100"), pair("OSFamily", "linux")]);
        assert_eq!((wanting.kind(), wanting.parameters()), (step().kind(), step().parameters()));
    }
}
