//! Suggests the known name that was probably meant.

/// The known name closest to `name`; `None` if none is close.
///
/// A name that differs only in case comes first, then one that starts with `name` (omissions are mostly at the end).
/// Otherwise it is the one with the fewest insertions, deletions, changes and swaps of neighbors (the restricted
/// Damerau-Levenshtein distance), if that is at most a third of the longer name's characters. Among equally close
/// names, the first one wins. Names of more than `MAX_BYTES` bytes match nothing, because a comparison takes time
/// proportional to the product of the lengths.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_BYTES {
        return None;
    }
    let name = fold(name);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in known.into_iter().filter(|candidate| candidate.len() <= MAX_BYTES) {
        let rank = rank(&name, &fold(candidate));
        if let Some(rank) = rank
            && best.is_none_or(|(least, _)| rank < least)
        {
            best = Some((rank, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The distance rank of a candidate, 0 for an equal name; `None` if it is not close.
fn rank(name: &[char], candidate: &[char]) -> Option<usize> {
    let longer = name.len().max(candidate.len());
    let limit = (longer / 3).max(1);
    let n_more = candidate.len().abs_diff(name.len());
    let is_begun =
        name.len() >= MIN_BEGUN && n_more > 0 && n_more <= name.len() && candidate.starts_with(name);
    // A completion ranks before a change of one character.
    if is_begun {
        return Some(1);
    }
    // Much longer or shorter names need not be compared.
    if n_more > limit {
        return None;
    }
    let distance = distance(name, candidate, limit)?;
    // A changed name of one letter has nothing in common with the original.
    let is_near = distance <= limit && distance < longer;
    (is_near || distance == 0).then_some(2 * distance)
}

/// Longer names are not compared.
const MAX_BYTES: usize = 256;

/// Minimum number of characters for a completion.
const MIN_BEGUN: usize = 3;

fn fold(name: &str) -> Vec<char> {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// The distance, or `None` as soon as it exceeds `limit`.
fn distance(left: &[char], right: &[char], limit: usize) -> Option<usize> {
    let width = right.len() + 1;
    let mut before_last: Vec<usize> = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    let mut current = vec![0; width];
    for row in 1..=left.len() {
        current[0] = row;
        for column in 1..width {
            let is_equal = left[row - 1] == right[column - 1];
            let changed = last[column - 1] + usize::from(!is_equal);
            let mut least = changed.min(last[column] + 1).min(current[column - 1] + 1);
            if row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1]
            {
                least = least.min(before_last[column - 2] + 1);
            }
            current[column] = least;
        }
        // A swap refers two rows back, so both must exceed the limit.
        if last.iter().chain(&current).all(|&least| least > limit) {
            return None;
        }
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut current);
    }
    Some(last[right.len()])
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_finds_the_intended_name() {
        let cases = [
            ("Q4_KM", "Q4_K_M"),
            ("q4_k_m", "Q4_K_M"),
            ("quantise", "quantize"),
            ("quantzie", "quantize"),
            ("perplexty", "perplexity"),
            ("modle", "model"),
            ("GATE", "gate"),
        ];
        let known = ["gate", "model", "quantize", "perplexity", "Q4_0", "Q4_K_S", "Q4_K_M", "Q5_K_M", "Q8_0"];
        for (name, meant) in cases {
            assert_eq!(nearest(name, known), Some(meant), "{name}");
        }
    }

    #[test]
    fn a_name_far_from_all_known_ones_has_no_suggestion() {
        assert_eq!(nearest("banana", ["gate", "model"]), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("", ["y", "model"]), None);
        assert_eq!(nearest("model", []), None);
    }

    #[test]
    fn a_very_long_name_is_not_compared() {
        let long = "a".repeat(1 << 20);
        assert_eq!(nearest(&long, [long.as_str()]), None);
        assert_eq!(nearest("modle", [long.as_str(), "model"]), Some("model"));
    }

    #[test]
    fn a_difference_in_case_ranks_before_other_differences() {
        assert_eq!(nearest("Size", ["sizes", "size"]), Some("size"));
    }

    #[test]
    fn a_completion_ranks_before_a_change() {
        assert_eq!(nearest("Q4_K", ["Q4_0", "Q4_K_M"]), Some("Q4_K_M"));
        assert_eq!(nearest("perple", ["gate", "perplexity"]), Some("perplexity"));
        assert_eq!(nearest("ga", ["gates-of-all-sizes"]), None);
    }

    #[test]
    fn the_first_of_two_equally_near_names_wins() {
        assert_eq!(nearest("cat", ["bat", "hat"]), Some("bat"));
    }
}
