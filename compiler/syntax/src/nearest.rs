//! Finds the known name that was probably meant.

/// The known name that is nearest to `name`; `None` if none is near.
///
/// A name that differs in upper and lower case only comes first. Otherwise it is the one with the fewest insertions,
/// deletions, changes and swaps of neighbours (the Damerau-Levenshtein distance, in its restricted form), if that is
/// at most a third of the longer name's characters. Of two that are equally near, the first one wins.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = fold(name);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in known {
        let folded = fold(candidate);
        let longer = name.len().max(folded.len());
        let limit = (longer / 3).max(1);
        // Far longer or shorter names need not be compared.
        if name.len().abs_diff(folded.len()) > limit {
            continue;
        }
        let distance = distance(&name, &folded);
        // A name of one letter that is changed has nothing left in common.
        let is_near = distance <= limit && distance < longer;
        if (is_near || distance == 0) && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn fold(name: &str) -> Vec<char> {
    name.chars().flat_map(char::to_lowercase).collect()
}

fn distance(left: &[char], right: &[char]) -> usize {
    let width = right.len() + 1;
    let mut before_last: Vec<usize> = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for row in 1..=left.len() {
        let mut current = vec![row; width];
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
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_fingers_finds_what_was_meant() {
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
    fn a_name_far_from_all_known_ones_finds_none() {
        assert_eq!(nearest("banana", ["gate", "model"]), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("", ["y", "model"]), None);
        assert_eq!(nearest("model", []), None);
    }

    #[test]
    fn equal_but_for_case_comes_before_near() {
        assert_eq!(nearest("Size", ["sizes", "size"]), Some("size"));
    }

    #[test]
    fn the_first_of_two_equally_near_names_wins() {
        assert_eq!(nearest("cat", ["bat", "hat"]), Some("bat"));
    }
}
