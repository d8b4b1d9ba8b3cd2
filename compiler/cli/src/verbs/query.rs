//! `mc query`: lists targets and their dependencies.

use clap::Args;
use mc_driver::declarations::{Declarations, Found};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::options::global::OutputFormat;
use crate::verb::Run;

/// List targets and their dependencies
///
/// Functions: allpaths, attr, deps, filter, kind, labels, rdeps, set, some, somepath, tests. Besides `text` and `json`,
/// --output takes `label_kind`, `location` and `graph`.
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc query 'deps(//models:app)'            the targets that app is made of\n  mc query 'rdeps(//..., //models:base)'   the targets that need base"
)]
pub(crate) struct Query {
    /// Queries: patterns, or functions of patterns
    #[arg(value_name = "QUERY", default_value = "//...")]
    queries: Vec<String>,
}

impl Run for Query {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let (declarations, _) = invocation.declarations()?;
        let found = declarations.query_all(&self.queries)?;
        let text = match invocation.options.output {
            OutputFormat::Json => {
                let targets: Vec<_> = found.iter().map(json_target).collect();
                invocation.json(&json!({ "targets": targets }));
                return Ok(Exit::Done);
            }
            OutputFormat::Text => found.iter().map(|found| format!("{}\n", found.label)).collect(),
            OutputFormat::LabelKind => found.iter().map(label_kind).collect(),
            OutputFormat::Location => found.iter().map(location).collect(),
            OutputFormat::Graph => graph(&declarations, &found),
        };
        invocation.streams.result(&text);
        Ok(Exit::Done)
    }
}

fn json_target(found: &Found) -> serde_json::Value {
    json!({ "label": found.label.to_string(), "rule": found.rule, "location": found.location.to_string() })
}

/// The rule and the label; `?` if the declaration is invalid.
fn label_kind(found: &Found) -> String {
    format!("{} {}\n", found.rule.unwrap_or("?"), found.label)
}

fn location(found: &Found) -> String {
    format!("{}: {}", found.location, label_kind(found))
}

/// The targets as a Graphviz graph, with an arrow from each target to its dependencies.
fn graph(declarations: &Declarations, found: &[Found]) -> String {
    let mut text = "digraph mc {\n  node [shape=box];\n".to_owned();
    for target in found {
        text.push_str(&format!("  \"{}\";\n", target.label));
        for named in declarations.named(&target.label) {
            if found.iter().any(|found| found.label == named) {
                text.push_str(&format!("  \"{}\" -> \"{named}\";\n", target.label));
            }
        }
    }
    text.push_str("}\n");
    text
}
