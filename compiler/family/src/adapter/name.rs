//! Parses the names of tensors in a PEFT adapter.

/// A tensor's name and shape.
pub(crate) type Named = (String, Vec<u64>);

/// Prefix that PEFT puts before the base's own module names.
pub(crate) const PREFIX: &str = "base_model.model.";

/// Role of an adapter's tensor for its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// `lora_A.weight`, `[rank, in]`.
    Down,
    /// `lora_B.weight`, `[out, rank]`.
    Up,
    /// `lora_embedding_A`, `[rank, tokens]`.
    EmbeddingDown,
    /// `lora_embedding_B`, `[columns, rank]`.
    EmbeddingUp,
    /// `lora_B.bias`, `[out]`.
    UpBias,
    /// `lora_magnitude_vector`, `[out]`.
    Magnitude,
    /// `token_adapter.trainable_tokens_delta`, `[tokens, columns]`.
    TokenRows,
}

/// Names of the parts after the module, each with the endings that may follow the adapter's own name.
const PARTS: &[(&str, &[&str], Part)] = &[
    (".lora_A", &[".weight"], Part::Down),
    (".lora_B", &[".weight"], Part::Up),
    (".lora_B", &[".bias"], Part::UpBias),
    (".lora_embedding_A", &["", ".weight"], Part::EmbeddingDown),
    (".lora_embedding_B", &["", ".weight"], Part::EmbeddingUp),
    (".lora_magnitude_vector", &["", ".weight"], Part::Magnitude),
    (".token_adapter.trainable_tokens_delta", &[""], Part::TokenRows),
];

/// Splits a name into a module and one of its parts: `base_model.model.<module>.lora_A.weight`, or with the
/// adapter's name before `weight`.
pub(crate) fn parse(name: &str) -> Option<(&str, Part)> {
    let rest = name.strip_prefix(PREFIX)?;
    let fits = |(marker, endings, part): &(&str, &[&str], Part)| {
        let (module, end) = rest.rsplit_once(marker)?;
        let is_fitting = |ending: &&str| end.strip_suffix(*ending).is_some_and(is_adapter_name);
        (!module.is_empty() && endings.iter().any(is_fitting)).then_some((module, *part))
    };
    PARTS.iter().find_map(fits)
}

/// Returns the base tensor that a whole tensor of the adapter replaces: that of a module that was trained as
/// a whole (`lm_head.weight`, `lm_head.modules_to_save.default.weight`), or of a module under an adapter
/// (`embed_tokens.base_layer.weight`).
pub(crate) fn whole(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    let (module, leaf) = rest.rsplit_once('.')?;
    let module = match module.rsplit_once(".modules_to_save") {
        Some((module, adapter)) if is_adapter_name(adapter) => module,
        _ => module.strip_suffix(".base_layer").unwrap_or(module),
    };
    Some(format!("{module}.{leaf}"))
}

pub(crate) fn weight_name(module: &str) -> String {
    format!("{module}.weight")
}

pub(crate) fn bias_name(module: &str) -> String {
    format!("{module}.bias")
}

// An empty name, or `.default`; `.weight` is an ending, not a name.
fn is_adapter_name(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix('.')
            .is_some_and(|name| !name.is_empty() && !name.contains('.') && name != "weight")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_known_with_and_without_the_adapters_name() {
        for (ending, part) in [
            ("lora_A.weight", Part::Down),
            ("lora_A.default.weight", Part::Down),
            ("lora_B.weight", Part::Up),
            ("lora_B.bias", Part::UpBias),
            ("lora_B.tone.bias", Part::UpBias),
            ("lora_embedding_A", Part::EmbeddingDown),
            ("lora_embedding_B.default", Part::EmbeddingUp),
            ("lora_magnitude_vector", Part::Magnitude),
            ("lora_magnitude_vector.default", Part::Magnitude),
            ("lora_magnitude_vector.weight", Part::Magnitude),
            ("lora_magnitude_vector.default.weight", Part::Magnitude),
            ("token_adapter.trainable_tokens_delta", Part::TokenRows),
        ] {
            assert_eq!(parse(&format!("base_model.model.m.q.{ending}")), Some(("m.q", part)), "{ending}");
        }
        for name in ["m.q.lora_A.weight", "base_model.model.m.lora_A.a.b.weight", "base_model.model.m.weight"]
        {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn whole_tensors_stand_for_the_bases_own() {
        for (name, base) in [
            ("base_model.model.lm_head.weight", "lm_head.weight"),
            ("base_model.model.lm_head.modules_to_save.weight", "lm_head.weight"),
            ("base_model.model.lm_head.modules_to_save.default.weight", "lm_head.weight"),
            ("base_model.model.model.embed_tokens.base_layer.weight", "model.embed_tokens.weight"),
            ("base_model.model.m.q_proj.base_layer.bias", "m.q_proj.bias"),
        ] {
            assert_eq!(whole(name).as_deref(), Some(base));
        }
    }
}
