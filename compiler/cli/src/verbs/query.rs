//! `mc query`: which targets there are, and which need which.

use clap::Args;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::verb::Run;

/// List targets and their dependencies
///
/// Functions: deps(), rdeps(), kind(), allpaths(), somepath().
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc query 'deps(//models:app)'            the targets that app is made of\n  mc query 'rdeps(//..., //models:base)'   the targets that need base"
)]
pub(crate) struct Query {
    /// Query: a pattern, or functions of patterns
    #[arg(default_value = "//...")]
    query: String,
}

impl Run for Query {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let (declarations, _) = invocation.declarations()?;
        let found = declarations.query(&self.query)?;
        if invocation.is_json() {
            let targets: Vec<_> = found
                .iter()
                .map(|found| json!({ "label": found.label.to_string(), "rule": found.rule }))
                .collect();
            invocation.json(&json!({ "targets": targets }));
        } else {
            for found in &found {
                invocation.streams.result(&format!("{}\n", found.label));
            }
        }
        Ok(Exit::Done)
    }
}
