//! Suggestions for unknown names.

use mc_syntax::nearest::nearest;

/// Number of names that are searched for a similar one. Without a limit, checking a package of tens of thousands of
/// targets with a typo in each label would take minutes.
pub(crate) const SEARCHED: usize = 2_000;

/// The most similar of the known names, if it is similar enough.
pub(crate) fn guess<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(name, known.into_iter().take(SEARCHED))
}

/// ``Did you mean `quantize`?``, if a known name is similar enough.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    guess(name, known).map(|near| format!("Did you mean `{near}`?"))
}

/// The most similar name, or otherwise all of them: ``Known: `base`, `dir` ``.
pub(crate) fn nearest_or_list(name: &str, what: &str, known: &[&str]) -> String {
    did_you_mean(name, known.iter().copied()).unwrap_or_else(|| match known {
        [] => format!("It takes no {what}"),
        [only] => format!("The only {what} is `{only}`"),
        known => format!("Known: `{}`", known.join("`, `")),
    })
}
