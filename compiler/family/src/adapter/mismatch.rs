//! The message for an adapter whose tensors do not all match the base: their number, examples, and advice.

use crate::adapter::name::{Named, PREFIX, parse, weight_name, whole};
use crate::error::FamilyError;

// Enough names to recognize the pattern, few enough to read.
const N_NAMES_SHOWN: usize = 3;

/// Creates the error for a mismatch.
pub(crate) fn mismatch(found: String, advice: &str) -> FamilyError {
    FamilyError::AdapterMismatch { found, advice: advice.to_owned() }
}

/// Creates the error for `unmatched` of `n_tensors` adapter tensors without a counterpart in the base.
pub(crate) fn not_all_match(
    base_model: Option<&str>,
    unmatched: &[&str],
    n_tensors: usize,
    base_tensors: &[Named],
) -> FamilyError {
    let Some(first) = unmatched.first() else {
        return FamilyError::AdapterMismatch {
            found: "The adapter holds no tensors".to_owned(),
            advice: "Save or download the adapter again".to_owned(),
        };
    };
    let n_matched = n_tensors - unmatched.len();
    let found = if n_matched == 0 {
        let base = nearest(first, base_tensors).map_or("nothing".to_owned(), |name| format!("`{name}`"));
        format!("0 of {n_tensors} adapter tensors match the base; the base has {base}, the adapter `{first}`")
    } else {
        format!(
            "{n_matched} of {n_tensors} adapter tensors match the base; it has no counterpart of {}",
            some(unmatched)
        )
    };
    FamilyError::AdapterMismatch { found, advice: advice(base_model, unmatched, base_tensors) }
}

fn some(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(N_NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(N_NAMES_SHOWN) {
        0 => shown.join(", "),
        n_more => format!("{} and {n_more} more", shown.join(", ")),
    }
}

// Returns the base tensor whose name shares the longest end, then the longest beginning, with the adapter's
// module.
fn nearest<'a>(name: &str, base_tensors: &'a [Named]) -> Option<&'a str> {
    let module = parse(name).map(|(module, _)| weight_name(module));
    let weight = module.or_else(|| whole(name)).unwrap_or_else(|| weight_name(name));
    let shared = |base: &str| {
        let ends =
            base.rsplit('.').zip(weight.rsplit('.')).take_while(|(ours, theirs)| ours == theirs).count();
        let begins =
            base.split('.').zip(weight.split('.')).take_while(|(ours, theirs)| ours == theirs).count();
        (ends, begins)
    };
    // Of equals, the first is taken, so that the message names layer 0.
    base_tensors.iter().map(|(name, _)| name.as_str()).rev().max_by_key(|base| shared(base))
}

fn advice(base_model: Option<&str>, unmatched: &[&str], base_tensors: &[Named]) -> String {
    let name = unmatched.first().copied().unwrap_or_default();
    let module = parse(name).map(|(module, _)| weight_name(module));
    let Some(weight) = module.or_else(|| whole(name).filter(|_| !name.contains("lora_"))) else {
        return format!("Expected names like `{PREFIX}<module>.lora_A.weight`, as PEFT saves them");
    };
    let base = nearest(name, base_tensors).filter(|base| *base != weight);
    if let Some((ours, theirs)) = base.and_then(|base| beginnings(&weight, base)) {
        let theirs = if theirs.is_empty() { "do not".to_owned() } else { format!("with `{theirs}`") };
        return format!(
            "The adapter's modules begin with `{ours}`, the base's {theirs}; train or save it on the same model \
             class as the base"
        );
    }
    let trained_on = base_model.map_or(String::new(), |base| format!(", which was `{base}`"));
    format!("Give the base that the adapter was trained on{trained_on}")
}

// Returns the beginnings of the names of the adapter and of the nearest base tensor, before the part that
// they share.
fn beginnings<'a>(weight: &'a str, base: &'a str) -> Option<(&'a str, &'a str)> {
    let pieces = || weight.rsplit('.').zip(base.rsplit('.'));
    let n_shared = pieces().take_while(|(ours, theirs)| ours == theirs).count();
    let n_bytes: usize = pieces().take(n_shared).map(|(piece, _)| piece.len() + 1).sum();
    // If the whole name is shared, no dot precedes its last part.
    let cut = |name: &'a str| &name[..name.len() + 1 - n_bytes];
    // A module, its parent, its layer and `weight`: fewer shared parts could be chance.
    (n_shared >= 4).then(|| (cut(weight), cut(base)))
}
