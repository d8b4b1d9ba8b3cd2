//! `manifest.json`: the facts that an app needs about the bundle that it loads.
//!
//! A test validates it against its schema, `docs/schemas/bundle-manifest-2.schema.json`. A change that readers of the
//! old form would not understand gets a new version.

use mc_ir::action::ActionError;
use serde_json::{Map, Number, Value, json};

use crate::evaluate::verdict::{Check, Verdict};
use crate::ship::bundle_file::BundleFile;
use crate::ship::package::{Package, SourceFacts};
use crate::ship::shipped_model::ShippedModel;
use crate::source::about::DO_SAMPLE;

/// The version of the manifest's format.
pub(crate) const VERSION: u32 = 2;

/// The address of its schema.
pub(crate) const SCHEMA: &str = "urn:mc:schema:bundle-manifest:2";

/// The manifest of a bundle.
pub(crate) struct Manifest<'a> {
    /// The facts that are known before the build.
    pub(crate) package: &'a Package,
    /// The facts about the model.
    pub(crate) model: &'a ShippedModel,
    /// The tokens that end an answer.
    pub(crate) stop: &'a [u32],
    /// The measurements of the gates.
    pub(crate) verdict: Option<&'a Verdict>,
    /// The digest of each source.
    pub(crate) digests: &'a [String],
    /// The model's files.
    pub(crate) models: &'a [BundleFile],
    /// The other files, except the checksums.
    pub(crate) others: &'a [BundleFile],
}

impl Manifest<'_> {
    /// The manifest as text.
    pub(crate) fn json(&self) -> Result<String, ActionError> {
        let package = self.package;
        let mut models: Vec<Value> = self.models.iter().map(BundleFile::json).collect();
        // A single file is described without a list, so that older readers still understand it.
        let model = if models.len() == 1 { models.remove(0) } else { json!({ "files": models }) };
        let sources = package.sources.iter().zip(self.digests);
        let manifest = json!({
            "$schema": SCHEMA,
            "manifest": VERSION,
            "target": package.target,
            "name": package.name,
            "version": package.version,
            "model": model,
            "format": package.format,
            "architecture": self.model.architecture,
            "parameters": package.n_parameters,
            "quantization": package.recipe,
            "types": package.types.iter().map(|share| json!({
                "type": share.kind,
                "tensors": share.n_tensors,
                "bytes": share.n_bytes,
            })).collect::<Vec<_>>(),
            "context_length": self.model.context_length,
            "chat_template": self.model.vocabulary.chat_template,
            "bos_token": self.token(self.model.vocabulary.special.bos),
            "stop_tokens": self.stop_tokens(),
            "sampling": sampling(&package.sampling),
            "memory": {
                "context": package.n_ctx,
                "weights": package.memory.weights,
                "kv_cache": package.memory.kv_cache,
                "compute": package.memory.compute,
                "total": package.memory.total(),
            },
            "device": package.device.as_ref().map(|device| json!({
                "name": device.name,
                "os": device.os,
                "chip": device.chip,
                "ram": device.ram,
                "app_memory": device.app_memory,
            })),
            "gates": self.verdict.map(|verdict| json!({
                "passed": verdict.passed,
                "checks": verdict.checks.iter().map(check).collect::<Vec<_>>(),
            })),
            "sources": sources.map(|(source, digest)| of_source(source, digest)).collect::<Vec<_>>(),
            "base_model_relation": package.relation,
            "calibration": package.calibration,
            "license": package.license(),
            "license_name": package.identity.license_name,
            "license_link": package.license_link(),
            "languages": package.identity.languages,
            "tags": package.identity.tags,
            "adapters": package.adapters,
            "files": self.others.iter().map(BundleFile::json).collect::<Vec<_>>(),
            "tool": format!("mc {}", env!("CARGO_PKG_VERSION")),
        });
        let mut text = serde_json::to_string_pretty(&manifest).map_err(ActionError::failed)?;
        text.push('\n');
        Ok(text)
    }

    fn token(&self, id: Option<u32>) -> Option<&str> {
        self.model.vocabulary.tokens.get(id? as usize).map(String::as_str)
    }

    fn stop_tokens(&self) -> Vec<Value> {
        let token = |id: &u32| json!({ "id": id, "text": self.token(Some(*id)) });
        self.stop.iter().map(token).collect()
    }
}

fn of_source(source: &SourceFacts, digest: &str) -> Value {
    json!({
        "role": source.role,
        "name": source.name,
        "digest": digest,
        "repository": source.repository,
        "revision": source.revision,
        "url": source.url,
        "license": source.license,
    })
}

/// A check, with its values both as numbers and as text for display.
fn check(check: &Check) -> Value {
    let mut facts = json!({
        "name": check.name,
        "on": check.on,
        "value": check.value,
        "baseline": check.baseline_value,
        "change": check.change(),
        "limits": check.limits,
        "passed": check.passed,
        "text": {
            "value": check.measured,
            "baseline": check.baseline,
            "change": check.delta,
            "limit": check.limit,
        },
    });
    for (name, text) in [("tool", &check.tool), ("not_run", &check.not_run)] {
        if let Some(text) = text {
            facts[name] = json!(text);
        }
    }
    facts
}

fn sampling(advice: &[(String, String)]) -> Value {
    let value = |(name, number): &(String, String)| {
        let value = if name == DO_SAMPLE {
            Value::Bool(number == "true")
        } else {
            number.parse::<Number>().map_or(Value::Null, Value::Number)
        };
        (name.clone(), value)
    };
    Value::Object(advice.iter().map(value).collect::<Map<_, _>>())
}
