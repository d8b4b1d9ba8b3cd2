//! The names of tensors in a PEFT adapter, taken apart.

/// A tensor's name and shape.
pub(crate) type Named = (String, Vec<u64>);

/// What PEFT puts before the base's own module names.
pub(crate) const PREFIX: &str = "base_model.model.";

/// Which factor of the product a tensor is.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    Down,
    Up,
}

/// `base_model.model.<module>.lora_A.weight`, or with the adapter's name before `weight`.
pub(crate) fn parse(name: &str) -> Option<(&str, Half)> {
    let rest = name.strip_prefix(PREFIX)?.strip_suffix(".weight")?;
    let split = |marker: &str| {
        let (module, adapter) = rest.rsplit_once(marker)?;
        let is_name = adapter.is_empty() || adapter.strip_prefix('.').is_some_and(|name| !name.contains('.'));
        is_name.then_some(module)
    };
    let down = split(".lora_A").map(|module| (module, Half::Down));
    down.or_else(|| split(".lora_B").map(|module| (module, Half::Up)))
}

pub(crate) fn weight_name(module: &str) -> String {
    format!("{module}.weight")
}
