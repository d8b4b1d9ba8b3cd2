//! What to say about a name that nobody knows.

use mc_syntax::nearest::nearest;

/// So many names are searched for a near one. A package of tens of thousands of targets with a slip in each of its
/// labels would otherwise take minutes to check.
pub(crate) const SEARCHED: usize = 2_000;

/// The nearest of the known names, when it is near enough.
pub(crate) fn guess<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(name, known.into_iter().take(SEARCHED))
}

/// ``Did you mean `quantize`?``, when a known name is near enough.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    guess(name, known).map(|near| format!("Did you mean `{near}`?"))
}

/// The nearest name, or else all of them: ``Known: `base`, `dir` ``.
pub(crate) fn nearest_or_list(name: &str, what: &str, known: &[&str]) -> String {
    did_you_mean(name, known.iter().copied()).unwrap_or_else(|| match known {
        [] => format!("It takes no {what}"),
        [only] => format!("The only {what} is `{only}`"),
        known => format!("Known: `{}`", known.join("`, `")),
    })
}
