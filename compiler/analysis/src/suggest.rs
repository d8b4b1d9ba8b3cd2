//! What to say about a name that nobody knows.

use mc_syntax::nearest::nearest;

/// ``Did you mean `quantize`?``, when a known name is near enough.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("Did you mean `{near}`?"))
}

/// The nearest name, or else all of them: ``Known: `base`, `dir` ``.
pub(crate) fn nearest_or_list(name: &str, what: &str, known: &[&str]) -> String {
    did_you_mean(name, known.iter().copied()).unwrap_or_else(|| match known {
        [] => format!("It takes no {what}"),
        [only] => format!("The only {what} is `{only}`"),
        known => format!("Known: `{}`", known.join("`, `")),
    })
}
