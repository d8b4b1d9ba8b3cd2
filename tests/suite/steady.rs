//! Makes an output the same on every machine: paths, times and digests become words.

/// Replaces what differs from run to run.
pub(crate) fn steady(text: &str, workspace: &str, cache: &str) -> String {
    let text = text.replace(cache, "$CACHE").replace(workspace, "$WORKSPACE");
    hashes(&times(&text))
}

/// `1.25 s` becomes `… s`, and `20.5 tokens/s` becomes `… tokens/s`.
fn times(text: &str) -> String {
    let mut steady = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, after) = rest.split_at(start);
        steady.push_str(before);
        let end = after.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(after.len());
        let (number, after) = after.split_at(end);
        let is_time = after.strip_prefix(" s").is_some_and(|after| !after.starts_with(char::is_alphanumeric));
        let is_pace = after.starts_with(" tokens/s");
        steady.push_str(if is_time || is_pace { "…" } else { number });
        rest = after;
    }
    steady + rest
}

/// A word of 64 hexadecimal digits becomes `<hash>`.
fn hashes(text: &str) -> String {
    let mut steady = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphanumeric()) {
        let (before, after) = rest.split_at(start);
        steady.push_str(before);
        let end = after.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(after.len());
        let (word, after) = after.split_at(end);
        let is_hash = word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        steady.push_str(if is_hash { "<hash>" } else { word });
        rest = after;
    }
    steady + rest
}

#[test]
fn what_differs_is_replaced_and_nothing_else() {
    let hash = "0123456789abcdef".repeat(4);
    let text =
        format!("in /tmp/w/models and /tmp/c: {hash}, {hash}0 (0.01 s) 2.5 s, 20.5 tokens/s, 2 steps, 1 ran");
    let expected =
        format!("in $WORKSPACE/models and $CACHE: <hash>, {hash}0 (… s) … s, … tokens/s, 2 steps, 1 ran");
    assert_eq!(steady(&text, "/tmp/w", "/tmp/c"), expected);
}
