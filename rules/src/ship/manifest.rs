//! `manifest.json`: what an app needs to know about the bundle that it loads.

use std::fmt::Write;

use mc_exporter::model_file::ModelFile;
use mc_ir::action::{ActionError, Content, Piece};
use mc_ir::output::{Output, Outputs};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::evaluate::verdict::Verdict;
use crate::ship::package::Package;

/// The manifest of a bundle.
pub(crate) struct Manifest<'a> {
    /// What was known before anything was built.
    pub(crate) package: &'a Package,
    /// The model, as it was written.
    pub(crate) file: &'a ModelFile,
    /// What the gates measured.
    pub(crate) verdict: Option<&'a Verdict>,
    /// The model's files: name, input, and bytes.
    pub(crate) models: &'a [(&'a str, usize, Content)],
}

impl Manifest<'_> {
    /// The manifest beside these files.
    pub(crate) fn json(&self, files: &Outputs) -> Result<String, ActionError> {
        let package = self.package;
        let mut models: Vec<Value> =
            self.models.iter().map(|(name, _, content)| model_file(name, content)).collect();
        // One file is told by itself, as it has always been.
        let model = if models.len() == 1 { models.remove(0) } else { json!({ "files": models }) };
        let others = files.iter().filter(|(name, _)| !package.files.contains(name));
        let files: Vec<Value> = others.map(|(name, output)| file(name, output)).collect();
        let mut manifest = json!({
            "manifest": 1,
            "target": package.target,
            "name": package.name,
            "version": package.version,
            "model": model,
            "architecture": self.file.architecture,
            "parameters": package.n_parameters,
            "quantization": package.recipe,
            "context_length": self.file.decoder.context_length,
            "chat_template": self.file.vocabulary.chat_template,
            "bos_token": self.token(self.file.vocabulary.special.bos),
            "stop_tokens": self.stop_tokens(),
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
            "gates": self.verdict.map(Verdict::without_intervals),
            "sources": package.sources.iter().map(|(role, name)| json!({ "role": role, "name": name })).collect::<Vec<_>>(),
            "calibration": package.calibration,
            "license": package.licence,
            "files": files,
            "tool": format!("mc {}", env!("CARGO_PKG_VERSION")),
        });
        if !package.adapters.is_empty() {
            manifest["adapters"] = json!(package.adapters);
        }
        let mut text = serde_json::to_string_pretty(&manifest).map_err(ActionError::failed)?;
        text.push('\n');
        Ok(text)
    }

    fn token(&self, id: Option<u32>) -> Option<&str> {
        self.file.vocabulary.tokens.get(id? as usize).map(String::as_str)
    }

    fn stop_tokens(&self) -> Vec<Value> {
        let token = |id: &u32| json!({ "id": id, "text": self.token(Some(*id)) });
        self.file.vocabulary.special.stop.iter().map(token).collect()
    }
}

fn file(name: &str, output: &Output) -> Value {
    let digest = output.parts().first().map(|part| part.hash.to_string());
    json!({ "file": name, "size": output.n_bytes(), "blake3": digest })
}

/// The model's file, with the digest that app stores and download managers check, too.
fn model_file(name: &str, content: &Content) -> Value {
    let mut sha256 = Sha256::new();
    let mut blake3 = mc_digest::hasher::Hasher::new();
    for part in &content.parts {
        sha256.update(Piece::as_slice(part));
        blake3.update_parallel(Piece::as_slice(part));
    }
    let sha256 = sha256.finalize().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all that is written to it");
        hex
    });
    json!({
        "file": name,
        "size": content.n_bytes(),
        "sha256": sha256,
        "blake3": blake3.finish().hash.to_string(),
    })
}
