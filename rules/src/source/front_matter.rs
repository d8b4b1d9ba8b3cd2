//! The front matter of a model card (`README.md`): texts and lists of texts between two lines of `---`.
//!
//! Reads the subset of YAML that cards use: `key: text`, quoted or not, `key: [a, b]`, lists of `- item`, and block
//! scalars. Mappings below a key, such as `model-index`, are skipped. Parsing never fails, and skips everything that it
//! does not support, because cards are written for people and no model depends on them.

use std::collections::BTreeMap;

/// The front matter of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrontMatter(BTreeMap<String, Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Text(String),
    List(Vec<String>),
}

impl FrontMatter {
    /// Parses the front matter of a card; empty if there is none.
    pub(crate) fn parse(card: &str) -> Self {
        let mut lines = card.lines().peekable();
        if lines.next().map(str::trim_end) != Some("---") {
            return Self::default();
        }
        let lines: Vec<&str> = lines.take_while(|line| line.trim_end() != "---").collect();
        let mut entries = BTreeMap::new();
        let mut rest = lines.as_slice();
        while let Some((line, after)) = rest.split_first() {
            let n_below = after.iter().take_while(|line| is_below(line)).count();
            let (below, next) = after.split_at(n_below);
            if let Some((key, value)) = key_and_value(line)
                && let Some(entry) = entry(value, below)
            {
                entries.insert(key, entry);
            }
            rest = next;
        }
        Self(entries)
    }

    /// Returns the text of a key.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Entry::Text(text) => Some(text),
            Entry::List(_) => None,
        }
    }

    /// Returns the texts of a key: a single one, or those of a list.
    pub(crate) fn texts(&self, key: &str) -> &[String] {
        match self.0.get(key) {
            Some(Entry::Text(text)) => std::slice::from_ref(text),
            Some(Entry::List(texts)) => texts,
            None => &[],
        }
    }

    /// Returns true if the key exists.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

/// Returns true if a line belongs to the key above it.
fn is_below(line: &str) -> bool {
    let is_item = line.starts_with("- ") || line.trim_end() == "-";
    is_item || line.starts_with([' ', '\t', ']']) || line.trim().is_empty() || line.starts_with('#')
}

fn key_and_value(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.split_once(':')?;
    let is_key = !key.is_empty() && !key.starts_with([' ', '\t', '#', '-', '"', '\'']);
    (is_key && (value.is_empty() || value.starts_with([' ', '\t'])))
        .then(|| (key.trim().to_owned(), value.trim()))
}

fn entry(value: &str, below: &[&str]) -> Option<Entry> {
    match value.chars().next() {
        None | Some('#') => {
            let items = below.iter().filter_map(|line| line.trim().strip_prefix('-'));
            let items: Vec<String> = items.filter_map(scalar).collect();
            (!items.is_empty()).then_some(Entry::List(items))
        }
        Some('[') => {
            let whole = std::iter::once(value).chain(below.iter().map(|line| line.trim()));
            let whole = whole.collect::<Vec<_>>().join(" ");
            let inner = whole.strip_prefix('[')?.split(']').next()?;
            let items: Vec<String> = flow_items(inner).iter().filter_map(|item| scalar(item)).collect();
            (!items.is_empty()).then_some(Entry::List(items))
        }
        Some('|') => block(value, below, "\n"),
        Some('>') => block(value, below, " "),
        _ => scalar(value).map(Entry::Text),
    }
}

/// Parses a block scalar. It ends with a line break unless its indicator contains a `-`.
fn block(indicator: &str, below: &[&str], joint: &str) -> Option<Entry> {
    let lines: Vec<&str> = below.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let end = if indicator.contains('-') { "" } else { "\n" };
    (!lines.is_empty()).then(|| Entry::Text(lines.join(joint) + end))
}

/// Splits a list in brackets into its items; commas inside quotes do not separate items.
fn flow_items(text: &str) -> Vec<String> {
    let (mut items, mut item, mut quote) = (Vec::new(), String::new(), None);
    for letter in text.chars() {
        match letter {
            ',' if quote.is_none() => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            '"' | '\'' if quote.is_none() && item.trim().is_empty() => quote = Some(letter),
            _ if quote == Some(letter) => quote = None,
            _ => {}
        }
        item.push(letter);
    }
    items.push(item);
    items
}

/// Returns the text of a scalar; `None` for a mapping, an empty value and `null`.
fn scalar(value: &str) -> Option<String> {
    let value = value.trim();
    if let Some(quoted) = value.strip_prefix('\'') {
        let end = quoted.rfind('\'')?;
        return Some(quoted[..end].replace("''", "'"));
    }
    if value.starts_with('"') {
        let end = value.rfind('"').filter(|end| *end > 0)?;
        // The escape sequences in cards are those of JSON.
        return serde_json::from_str(&value[..=end]).ok();
    }
    let value = value.split(" #").next().unwrap_or(value).trim_end();
    let is_mapping = value.contains(": ") || value.ends_with(':') || value.starts_with('{');
    (!value.is_empty() && !is_mapping && !["~", "null", "Null", "NULL"].contains(&value))
        .then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_matter_of_a_card_is_parsed() {
        let card = "---\nlicense: other  # see below\nlicense_name: 'it''s mine'\nlanguage:\n- en\n- no # Norwegian\n\
                    tags: [car, \"a, b\",\n  voice]\nbase_model:\n  - meta-llama/Llama-3.2-1B\nmodel-index:\n- name: x\n  \
                    results:\n  - task: y\nempty:\nnothing: null\ndescription: >-\n  One\n  sentence.\nlicense_link: https://a.b/c\n\
                    ---\n# A\nauthor: nobody\n";
        let front = FrontMatter::parse(card);
        assert_eq!(front.text("license"), Some("other"));
        assert_eq!(front.text("license_name"), Some("it's mine"));
        assert_eq!(front.text("license_link"), Some("https://a.b/c"));
        assert_eq!(front.texts("language"), ["en", "no"]);
        assert_eq!(front.texts("tags"), ["car", "a, b", "voice"]);
        assert_eq!(front.texts("base_model"), ["meta-llama/Llama-3.2-1B"]);
        assert_eq!(front.text("description"), Some("One sentence."));
        for absent in ["model-index", "empty", "nothing", "author", "results"] {
            assert!(!front.has(absent), "{absent}");
        }
    }

    #[test]
    fn a_card_without_front_matter_is_empty() {
        for card in ["", "# A\nlicense: mit\n", "---", "---\n:\n- \n[\n---", "text\n---\nlicense: mit\n---\n"]
        {
            assert_eq!(FrontMatter::parse(card), FrontMatter::default(), "{card:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_without_a_failure(card in "---\n[-a:\\[\\]'\"|>{}# \n\t,é]{0,200}") {
            FrontMatter::parse(&card);
        }
    }
}
