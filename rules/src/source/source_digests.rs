//! One digest for each source of a model. It covers all tensors, regardless of the files that contain them.

use std::collections::BTreeMap;

use mc_digest::hasher::Hasher;
use mc_ir::action::{ActionContext, Input};

use crate::source::model_info::ModelInfo;

/// Returns the names of the tensors of each source, in the order of [`inputs`].
pub(crate) fn tensor_names(model: &ModelInfo) -> Vec<Vec<String>> {
    let names = |tensors: &[(String, _)]| tensors.iter().map(|(name, _)| name.clone()).collect();
    model.lineage.iter().map(|lineage| names(&lineage.tensors)).collect()
}

/// Returns the tensors of all sources, as inputs of an action that states their digests.
pub(crate) fn inputs(model: &ModelInfo) -> impl Iterator<Item = Input> + '_ {
    let tensors = model.lineage.iter().flat_map(|lineage| &lineage.tensors);
    tensors.map(|(_, source)| Input::Source(source.clone()))
}

/// Returns the digest of each source, as `blake3:…`.
///
/// * `tensors`: the names of the tensors of each source
/// * `first`: the index of the first tensor among the inputs
pub(crate) fn digests(ctx: &dyn ActionContext, tensors: &[Vec<String>], first: usize) -> Vec<String> {
    let mut input = first;
    let digest = |names: &Vec<String>| {
        let mut digests = BTreeMap::new();
        for name in names {
            digests.insert(name.as_str(), ctx.input_digest(input));
            input += 1;
        }
        let mut hasher = Hasher::new();
        for (name, digest) in digests {
            for part in digest.parts() {
                hasher.update(format!("{name} {part}\n").as_bytes());
            }
        }
        format!("blake3:{}", hasher.finish().hash)
    };
    tensors.iter().map(digest).collect()
}
