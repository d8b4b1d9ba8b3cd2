//! Suggests tensors that a pattern without a match may have meant.
//!
//! These are only guesses: [`crate::quantize::tensor_types`] decides what a pattern matches.

/// Maximum number of suggested names.
const TOLD: usize = 3;

/// Returns the names that contain something similar to the pattern, nearest first, with one name per kind of
/// tensor.
///
/// Similar means that at most a third of the pattern's characters differ.
pub(crate) fn near_names_of<'a>(pattern: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted: Vec<char> =
        pattern.to_lowercase().chars().filter(|letter| !r"\^$()[]{}*+?".contains(*letter)).collect();
    let limit = (wanted.len() / 3).max(1);
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .map(|name| (distance(&wanted, name), name))
        .filter(|(distance, _)| *distance <= limit && *distance < wanted.len())
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    let mut reported: Vec<&str> = Vec::new();
    for (_, name) in near {
        if reported.len() < TOLD && reported.iter().all(|other| kind(other) != kind(name)) {
            reported.push(name);
        }
    }
    reported
}

/// Returns a tensor's name without its layer.
pub(crate) fn kind(name: &str) -> &str {
    let layer = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
    layer.map_or(name, |(_, kind)| kind)
}

/// Returns the minimum number of insertions, deletions and changes that turn `wanted` into some part of
/// `name`.
fn distance(wanted: &[char], name: &str) -> usize {
    let name: Vec<char> = name.chars().collect();
    // A part may begin anywhere, so skipping its prefix costs nothing.
    let mut last = vec![0; name.len() + 1];
    for (row, letter) in wanted.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, other) in name.iter().enumerate() {
            let changed = last[column] + usize::from(letter != other);
            next.push(changed.min(last[column + 1] + 1).min(next[column] + 1));
        }
        last = next;
    }
    last.into_iter().min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = [
        "token_embd.weight",
        "blk.0.ffn_down.weight",
        "blk.1.ffn_down.weight",
        "blk.1.attn_q.weight",
        "blk.1.attn_k.weight",
    ];

    #[test]
    fn a_slip_is_found_in_one_tensor_of_its_kind() {
        assert_eq!(near_names_of("ffn_dwon", NAMES), ["blk.0.ffn_down.weight"]);
        assert_eq!(near_names_of(r"blk\.9\.attn_q", NAMES), ["blk.1.attn_q.weight", "blk.1.attn_k.weight"]);
    }

    #[test]
    fn a_pattern_unlike_all_names_has_no_suggestion() {
        assert!(near_names_of("xyzzy", NAMES).is_empty());
        assert!(near_names_of("", NAMES).is_empty());
    }
}
