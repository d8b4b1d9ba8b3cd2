//! The size of the model's files. Needs no action: the digest of a file includes its length.

use std::collections::BTreeMap;

use mc_digest::content_hash::ContentHash;
use mc_ir::action::ActionError;
use mc_ir::attribute::Record;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};

use crate::evaluate::gated_model::GatedModel;
use crate::evaluate::metric::{Metric, Plan, Results};
use crate::evaluate::verdict::{Check, megabytes};

static NODE: NodeSchema = NodeSchema {
    name: "size",
    doc: "Size of the model's files in bytes.",
    arguments: Arguments::None,
    properties: &[PropertySchema {
        name: "max",
        value: ValueKind::Bytes,
        presence: Presence::Required,
        doc: "Maximum size.",
    }],
    children: &[],
};

/// Maximum size of the model's files in bytes.
#[derive(ContentHash, Debug)]
#[content("size")]
pub(crate) struct Size {
    #[content("max")]
    max: u64,
    /// Number of files after the first.
    #[content("more-files", default)]
    n_more: u64,
}

impl Metric for Size {
    const SCHEMA: ChildSchema = ChildSchema { node: &NODE, occurs: Occurs::Optional };

    fn plan(gate: &GatedModel<'_>, node: &Record) -> Result<Plan<Self>, Vec<RuleError>> {
        let max = node.property("max").and_then(|max| max.value.as_bytes()).unwrap_or(u64::MAX);
        let files = gate.export.measured_files();
        Ok(Plan { metric: Self { max, n_more: files.len() as u64 - 1 }, results: files, held_out: None })
    }

    fn judge(&self, results: &Results<'_>) -> Result<Vec<Check>, ActionError> {
        let n_bytes: u64 = (0..=self.n_more as usize).map(|index| results.n_bytes(index)).sum();
        Ok(vec![Check {
            name: NODE.name.to_owned(),
            measured: megabytes(n_bytes),
            value: Some(n_bytes as f64),
            limit: format!("at most {}", megabytes(self.max)),
            limits: BTreeMap::from([("max".to_owned(), self.max as f64)]),
            passed: n_bytes <= self.max,
            ..Check::default()
        }])
    }
}
