//! An action of a target, with the attributes that hold for all its actions: [`crate::action::exec_property`]
//! and [`crate::action::tags`].

use std::sync::Arc;

use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, ActionNode, Input, OutputReader};
use mc_ir::attribute::Record;
use mc_ir::label::Label;
use mc_ir::output::Outputs;
use mc_ir::tags::Tags;
use mc_ir::work::Work;

use crate::action::exec_property::exec_properties;
use crate::action::tags::tags;

/// Joins an action of a target with its inputs.
///
/// * `record`: the target's attributes
pub(crate) fn target_action(
    owner: &Label,
    record: &Record,
    action: impl Action + 'static,
    inputs: Vec<Input>,
) -> Arc<ActionNode> {
    ActionNode::new(owner.clone(), of_target(record, Box::new(action)), inputs)
}

fn of_target(record: &Record, action: Box<dyn Action>) -> Box<dyn Action> {
    let (exec_properties, tags) = (exec_properties(record), tags(record));
    if exec_properties.is_empty() && tags == Tags::default() {
        return action;
    }
    Box::new(OfTarget { action, exec_properties, tags })
}

/// An action together with the target's attributes for it.
struct OfTarget {
    action: Box<dyn Action>,
    exec_properties: Vec<(String, String)>,
    tags: Tags,
}

impl Action for OfTarget {
    fn kind(&self) -> ActionKind {
        self.action.kind()
    }

    fn parameters(&self) -> Vec<(String, String)> {
        self.action.parameters()
    }

    fn outputs(&self) -> Vec<String> {
        self.action.outputs()
    }

    fn output_size(&self, output: &str) -> Option<u64> {
        self.action.output_size(output)
    }

    fn reader(&self, output: &str) -> Option<OutputReader> {
        self.action.reader(output)
    }

    fn describe(&self) -> String {
        self.action.describe()
    }

    fn work(&self, sizes: &[u64]) -> Work {
        self.action.work(sizes)
    }

    fn exec_properties(&self) -> &[(String, String)] {
        &self.exec_properties
    }

    fn tags(&self) -> Tags {
        self.tags
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        self.action.run(ctx)
    }
}

#[cfg(test)]
mod tests {
    use mc_ir::attribute::{Place, Placed, Value};

    use super::*;

    /// An action that reports its properties but never runs.
    struct Idle;

    impl Action for Idle {
        fn kind(&self) -> ActionKind {
            ActionKind { name: "idle", version: 2 }
        }

        fn parameters(&self) -> Vec<(String, String)> {
            vec![("expression".to_owned(), "decode($0, Q4_K, [4, 256])".to_owned())]
        }

        fn outputs(&self) -> Vec<String> {
            vec!["tensor".to_owned()]
        }

        fn describe(&self) -> String {
            "nothing".to_owned()
        }

        fn run(&self, _: &dyn ActionContext) -> Result<Outputs, ActionError> {
            unreachable!("nothing is run")
        }
    }

    fn step() -> Box<dyn Action> {
        Box::new(Idle)
    }

    fn record(children: &[(&str, &[&str])]) -> Record {
        let mut record = Record::new(Place(0));
        for (name, words) in children {
            let mut node = Record::new(Place(0));
            let text = |word: &&str| Placed { value: Value::Text((*word).to_owned()), place: Place(0) };
            node.arguments = words.iter().map(text).collect();
            record.children.entry((*name).to_owned()).or_default().push(node);
        }
        record
    }

    #[test]
    fn exec_properties_do_not_affect_the_action() {
        assert!(of_target(&record(&[]), step()).exec_properties().is_empty());
        let wanted = [("exec-property", &["gpu", "a100"][..]), ("exec-property", &["OSFamily", "linux"])];
        let wanting = of_target(&record(&wanted), step());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(wanting.exec_properties(), [pair("gpu", "a100"), pair("OSFamily", "linux")]);
        assert_eq!((wanting.kind(), wanting.parameters()), (step().kind(), step().parameters()));
    }

    #[test]
    fn tags_do_not_affect_the_action() {
        let words = ["no-remote-cache-upload", "no-remote-exec"];
        let kept = of_target(&record(&[("tags", &words)]), step());
        assert_eq!(kept.tags(), Tags { not_on_workers: true, not_taken: false, not_sent: true });
        assert_eq!((kept.kind(), kept.parameters()), (step().kind(), step().parameters()));
        assert_eq!(of_target(&record(&[]), step()).tags(), Tags::default());
    }
}
