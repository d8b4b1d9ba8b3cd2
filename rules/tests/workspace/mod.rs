//! Analyzes targets over the files of the demo workspace, and runs their actions, one after another, in
//! memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mc_ir::action::{ActionNode, Artifact, Input, Source};
use mc_ir::attribute::{Place, Placed, Record, Value};
use mc_ir::label::{Label, PackageId};
use mc_ir::origin::Origin;
use mc_ir::provider::Providers;
use mc_ir::rule::{DependencyFailed, Head, HeadFormat, RuleContext, SourceError};
use mc_rules::rules::RULES;

use crate::memory::run;

/// The package `//models` of the demo.
#[derive(Default)]
pub(crate) struct Workspace {
    targets: BTreeMap<Label, Arc<Providers>>,
}

struct Target<'a> {
    workspace: &'a Workspace,
    label: Label,
    record: Record,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// Returns a label of the package.
pub(crate) fn label(name: &str) -> Label {
    Label::new(PackageId("models".to_owned()), name)
}

/// Returns a text as an attribute.
pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn missing(path: &str) -> SourceError {
    SourceError {
        path: path.to_owned(),
        message: format!("There is no file `{path}`"),
        is_missing: true,
        help: None,
    }
}

impl Workspace {
    /// Declares a target of a rule, whose attributes have one value each.
    pub(crate) fn declare(&mut self, rule: &str, name: &str, attributes: &[(&str, Value)]) -> Arc<Providers> {
        let place = Place(0);
        let mut record = Record::new(place);
        for (name, value) in attributes {
            // Rules read some as children and some as properties.
            record.properties.insert((*name).to_owned(), Placed { value: value.clone(), place });
            let mut child = Record::new(place);
            child.arguments.push(Placed { value: value.clone(), place });
            record.children.entry((*name).to_owned()).or_default().push(child);
        }
        let rule = RULES.iter().find(|known| known.schema().name == rule).unwrap();
        let target = Target { workspace: self, label: label(name), record };
        let providers =
            Arc::new(rule.analyze(&target).unwrap_or_else(|rule_errors| panic!("{rule_errors:?}")));
        self.targets.insert(label(name), Arc::clone(&providers));
        providers
    }
}

impl RuleContext for Target<'_> {
    fn label(&self) -> &Label {
        &self.label
    }

    fn record(&self) -> &Record {
        &self.record
    }

    fn providers(&self, label: &Label) -> Result<Arc<Providers>, DependencyFailed> {
        self.workspace.targets.get(label).cloned().ok_or(DependencyFailed)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, SourceError> {
        std::fs::read(folder().join(path)).map(Into::into).map_err(|_| missing(path))
    }

    fn read_head(&self, path: &str, _: HeadFormat) -> Result<Head, SourceError> {
        let bytes = self.read(path)?;
        let n_bytes = bytes.len() as u64;
        Ok(Head { bytes, n_bytes })
    }

    fn list(&self, path: &str) -> Result<Arc<[String]>, SourceError> {
        let entries = std::fs::read_dir(folder().join(path)).map_err(|_| missing(path))?;
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        Ok(names.into())
    }

    fn glob(&self, path: &str) -> Result<Arc<[String]>, SourceError> {
        Ok([path.to_owned()].into())
    }

    fn source(&self, path: &str) -> Source {
        Source { path: folder().join(path).into(), range: None }
    }

    fn fetched(&self, _: &Origin) -> Result<String, SourceError> {
        unreachable!("nothing is downloaded")
    }
}

/// Returns the bytes of an input; runs the action of an artifact.
pub(crate) fn bytes(input: &Input) -> Vec<u8> {
    match input {
        Input::Artifact(artifact) => made(artifact),
        Input::Source(Source { path, range }) => {
            let bytes = std::fs::read(path).unwrap();
            match range {
                None => bytes,
                Some(range) => bytes[range.start as usize..range.end as usize].to_vec(),
            }
        }
    }
}

/// Returns the bytes of an artifact.
pub(crate) fn made(artifact: &Artifact) -> Vec<u8> {
    outputs(&artifact.node).remove(&artifact.output).unwrap()
}

/// Returns all outputs of an action.
pub(crate) fn outputs(node: &ActionNode) -> BTreeMap<String, Vec<u8>> {
    let inputs: Vec<Vec<u8>> = node.inputs.iter().map(bytes).collect();
    run(&*node.action, &inputs, 2)
}
