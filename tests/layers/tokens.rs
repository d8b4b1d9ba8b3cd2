//! Words and punctuation of Rust source, without comments, literals and lifetimes.
//!
//! Enough to find paths: not a lexer of the whole language; numbers count as words.

/// A word, `::` or another punctuation character, and its line, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// Returns the tokens of `source` in order.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (n_bytes, is_token) = next(rest, first);
        let (text, after) = rest.split_at(n_bytes);
        if is_token {
            tokens.push(Token { text, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// Length of the piece at the start of `rest`, and `true` if it is a token.
fn next(rest: &str, first: char) -> (usize, bool) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if let Some(n_bytes) = string(rest).or_else(|| quoted(rest)) {
        return (n_bytes, false);
    }
    if is_word(first) {
        return (word(rest), true);
    }
    if rest.starts_with("::") {
        return (2, true);
    }
    (first.len_utf8(), !first.is_whitespace())
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

fn word(rest: &str) -> usize {
    rest.find(|character| !is_word(character)).unwrap_or(rest.len())
}

/// Length of a block comment; block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    loop {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            match rest[at..].chars().next() {
                Some(character) => at += character.len_utf8(),
                None => return at,
            }
        }
        if depth == 0 {
            return at;
        }
    }
}

/// Length of a string literal, its prefix included: `"…"`, `b"…"`, `c"…"`, `r#"…"#` and so on.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| rest.starts_with(prefix))?;
    let hashes = if prefix.ends_with('r') {
        rest[prefix.len()..].bytes().take_while(|byte| *byte == b'#').count()
    } else {
        0
    };
    let start = prefix.len() + hashes;
    let text = rest[start..].strip_prefix('"')?;
    let n_bytes = if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        text.find(&end).map_or(text.len(), |at| at + end.len())
    } else {
        escaped(text, '"')
    };
    Some(start + 1 + n_bytes)
}

/// Length of a character literal or of a lifetime.
fn quoted(rest: &str) -> Option<usize> {
    let prefix = usize::from(rest.starts_with("b'"));
    let text = rest[prefix..].strip_prefix('\'')?;
    let mut characters = text.chars();
    let first = characters.next()?;
    let is_lifetime = is_word(first) && characters.next() != Some('\'');
    let n_bytes = if is_lifetime { word(text) } else { escaped(text, '\'') };
    Some(prefix + 1 + n_bytes)
}

/// Length of a literal's text and of the `quote` that ends it.
fn escaped(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::tokens;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_are_skipped_and_block_comments_nest() {
        assert_eq!(texts("a // crate::b\n/// crate::c\n/* crate::d /* x */ y */ e"), ["a", "e"]);
    }

    #[test]
    fn strings_characters_and_lifetimes_are_skipped() {
        assert_eq!(
            texts(r##"a "crate::b \" c" r#"d " e"# b"f" c"g" '"' '\'' '\u{1F600}' b'x' &'a str"##),
            ["a", "&", "str"]
        );
        assert_eq!(texts("radius before crate_name"), ["radius", "before", "crate_name"]);
    }

    #[test]
    fn tokens_know_their_lines() {
        let lines: Vec<usize> =
            tokens("a\n/*\n*/ b::c\n\"\n\" d").into_iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 3, 3, 3, 5]);
    }
}
