//! Parses the name of a model on a hub: `meta-llama/Llama-3.2-1B-Instruct` consists of an organization, a base name, a
//! version, a size and a purpose.
//!
//! The heuristics are those of llama.cpp's converter, so that both derive the same facts from the same checkpoint.
//!
//! Source: `Metadata.get_model_id_components` and `id_to_title` in `metadata.py` of gguf-py, llama.cpp.

use std::sync::LazyLock;

use mc_exporter::identity::Parent;
use regex::Regex;

/// The parts of a model's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelId {
    /// The name without the organization.
    pub(crate) name: String,
    /// The organization.
    pub(crate) organization: Option<String>,
    /// The name shared by all sizes and versions.
    pub(crate) basename: Option<String>,
    /// The purpose of the fine-tuning.
    pub(crate) finetune: Option<String>,
    /// The version.
    pub(crate) version: Option<String>,
    /// The size.
    pub(crate) size_label: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Kinds {
    basename: bool,
    size: bool,
    finetune: bool,
    version: bool,
    /// A data type, which other facts state.
    number: bool,
}

impl Kinds {
    fn count(self) -> usize {
        [self.basename, self.size, self.finetune, self.version, self.number]
            .iter()
            .filter(|kind| **kind)
            .count()
    }
}

struct Patterns {
    version: Regex,
    number: Regex,
    size: Regex,
    finetune: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let whole = |pattern: &str| {
        Regex::new(&format!(r"(?i-u)^(?:{pattern})$")).expect("the pattern is a valid expression")
    };
    Patterns {
        version: whole(r"(v|iter)?\d+([.]\d+)*"),
        number: whole(r"i?q\d(_\w)*|b?fp?(16|32)"),
        size: whole(r"(([A]|\d+[x])?\d+([._]\d+)?[KMBT]\d?|small|mini|medium|large|x?xl)"),
        finetune: whole("chat|instruct|vision|lora"),
    }
});

impl ModelId {
    /// Splits a name into its parts.
    ///
    /// * `n_parameters`: the size of the model, if known; a label that is far from it is taken for a context length
    pub(crate) fn parse(id: &str, n_parameters: Option<u64>) -> Self {
        if id.contains(' ') {
            // A sentence rather than a model name.
            return Self { name: id.to_owned(), ..Self::default() };
        }
        let (organization, name) = match id.split_once('/') {
            Some((organization, name)) => (Some(organization), name),
            None => (None, id),
        };
        let organization = organization.filter(|name| !name.is_empty() && !name.starts_with('.'));
        let mut parts: Vec<(String, Kinds)> = name
            .split('-')
            .filter(|part| !part.is_empty())
            .map(|part| (part.to_owned(), Kinds::default()))
            .collect();
        for (index, part) in parts.iter_mut().enumerate() {
            annotate(index, part, n_parameters);
        }
        prefer_numbers(&mut parts);
        find_basename(&mut parts);
        let joined = |is_kind: fn(Kinds) -> bool| join(&parts, is_kind);
        let (size_label, finetune) = (joined(|kinds| kinds.size), joined(|kinds| kinds.finetune));
        let version = joined(|kinds| kinds.version && !kinds.basename);
        // A name with none of these parts is too ambiguous to have a base name.
        let is_clear = size_label.is_some() || finetune.is_some() || version.is_some();
        Self {
            name: name.to_owned(),
            organization: organization.map(str::to_owned),
            basename: joined(|kinds| kinds.basename).filter(|_| is_clear),
            finetune,
            version,
            size_label,
        }
    }

    /// Returns the model as a parent of others: names as titles, with the URL of its repository on Hugging Face.
    pub(crate) fn parent(id: &str, n_parameters: Option<u64>) -> Parent {
        const HUB: &str = "https://huggingface.co/";
        let is_address = ["http://", "https://", "ssh://"].iter().any(|scheme| id.starts_with(scheme));
        let path = if is_address { hub_path(id) } else { Some(id) };
        let known = path.map(|path| Self::parse(path, n_parameters));
        let repo_url = match &known {
            _ if is_address => Some(id.to_owned()),
            Some(Self { organization: Some(_), .. }) => Some(format!("{HUB}{id}")),
            _ => None,
        };
        let Some(known) = known else { return Parent { repo_url, ..Parent::default() } };
        Parent {
            name: Some(title(&known.name)),
            version: known.version,
            organization: known.organization.as_deref().map(title),
            repo_url,
        }
    }
}

/// Returns the repository's path in a URL of Hugging Face.
pub(crate) fn hub_path(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"))?;
    let path = rest.strip_prefix("huggingface.co/")?;
    let is_repository = path.matches('/').count() == 1 && !path.starts_with('/') && !path.ends_with('/');
    is_repository.then_some(path)
}

/// Converts a name to a display name: `llama-3.2-1b` becomes `Llama 3.2 1b`.
pub(crate) fn title(id: &str) -> String {
    let words = id.split(|letter: char| letter == '-' || letter.is_whitespace());
    words.filter(|word| !word.is_empty()).map(titled).collect::<Vec<_>>().join(" ")
}

/// Capitalizes a word, unless it has capitals, is a version or begins with a digit.
fn titled(word: &str) -> String {
    let is_lower = word.chars().any(char::is_lowercase) && !word.chars().any(char::is_uppercase);
    let is_version = word.strip_prefix('v').is_some_and(|rest| {
        rest.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    });
    if !is_lower || is_version || word.starts_with(|letter: char| letter.is_ascii_digit()) {
        return word.to_owned();
    }
    let mut is_inside = false;
    let capital = |letter: char| {
        let capital = letter.is_alphabetic() && !is_inside;
        is_inside = letter.is_alphabetic();
        if capital { letter.to_uppercase().collect::<String>() } else { letter.to_string() }
    };
    word.chars().map(capital).collect()
}

fn annotate(index: usize, (part, kinds): &mut (String, Kinds), n_parameters: Option<u64>) {
    if PATTERNS.version.is_match(part) {
        kinds.version = true;
    } else if PATTERNS.number.is_match(part) {
        kinds.number = true;
        *part = part.to_uppercase();
    } else if index > 0 && PATTERNS.size.is_match(part) {
        let label = size_label(part);
        if n_parameters.is_some_and(|n_parameters| is_far(&label, n_parameters)) {
            kinds.finetune = true;
            let (count, suffix) = label.split_at(label.len() - 1);
            *part = format!("{count}{}", suffix.to_lowercase());
        } else {
            kinds.size = true;
            *part = label;
        }
    } else if index > 0 && PATTERNS.finetune.is_match(part) {
        kinds.finetune = true;
    }
}

/// Normalizes a size: `7b1` becomes `7.1B`.
fn size_label(part: &str) -> String {
    let mut letters: Vec<char> = part.replace('_', ".").chars().collect();
    if let [.., suffix, digit] = letters[..]
        && digit.is_ascii_digit()
    {
        letters.truncate(letters.len() - 2);
        letters.extend(['.', digit, suffix]);
    }
    if let [.., before, suffix] = letters[..]
        && before.is_ascii_digit()
        && "kmbt".contains(suffix)
    {
        letters.pop();
        letters.push(suffix.to_ascii_uppercase());
    }
    letters.into_iter().collect()
}

/// Returns true if a label is far from the size of the model.
fn is_far(label: &str, n_parameters: u64) -> bool {
    let (count, suffix) = label.split_at(label.len() - 1);
    let power = " KMBT".find(suffix).filter(|power| *power > 0);
    let Some((count, power)) = count.parse::<f64>().ok().zip(power) else { return false };
    let labeled = count * [1.0, 1e3, 1e6, 1e9, 1e12][power];
    let n_parameters = n_parameters as f64;
    (labeled - n_parameters).abs() > (7.0 * n_parameters / 8.0).floor()
}

/// If a part contains a number, words such as `small` do not count as sizes.
fn prefer_numbers(parts: &mut [(String, Kinds)]) {
    let has_number =
        |(part, kinds): &(String, Kinds)| kinds.size && part.contains(|letter: char| letter.is_ascii_digit());
    if !parts.iter().any(has_number) {
        return;
    }
    for (part, kinds) in parts {
        kinds.size &= !part.chars().all(char::is_alphabetic);
    }
}

fn find_basename(parts: &mut [(String, Kinds)]) {
    let mut is_start = true;
    for (part, kinds) in parts.iter_mut() {
        let is_word = kinds.count() == 0 && part.starts_with(char::is_alphabetic);
        if is_start && (is_word || kinds.version) {
            kinds.basename = true;
        } else {
            is_start = false;
            kinds.finetune |= kinds.count() == 0;
        }
    }
    for (_, kinds) in parts.iter_mut().rev() {
        if !(kinds.basename && kinds.count() > 1) {
            break;
        }
        kinds.basename = false;
    }
}

fn join(parts: &[(String, Kinds)], is_kind: impl Fn(Kinds) -> bool) -> Option<String> {
    let mut found: Vec<&str> = Vec::new();
    for (part, kinds) in parts {
        // A size that occurs twice in a name counts once.
        if is_kind(*kinds) && !(kinds.size && found.contains(&part.as_str())) {
            found.push(part);
        }
    }
    (!found.is_empty()).then(|| found.join("-"))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn parts(id: &str, n_parameters: Option<u64>) -> String {
        let ModelId { name, organization, basename, finetune, version, size_label } =
            ModelId::parse(id, n_parameters);
        let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let all = [organization, basename, finetune, version, size_label].map(shown);
        format!("{name}: {}\n", all.join(" "))
    }

    /// The expected values are those of gguf-py 0.17.
    #[test]
    fn names_are_split_like_in_the_converter() {
        let ids = [
            "Mistral",
            "meta-llama/Llama-2-7b-hf",
            "mistralai/Mixtral-8x7B-Instruct-v0.1",
            "bigscience/bloom-7b1-petals",
            "Qwen/Qwen1.5-MoE-A2.7B-Chat",
            "NousResearch/Meta-Llama-3-8B",
            "microsoft/Phi-3-mini-4k-instruct",
            "Llama-3.2-1B-Instruct",
            "roadtrip-base",
            "./relative",
            "two words",
            "a-Q4_K_M",
        ];
        let all: String = ids.iter().map(|id| parts(id, None)).collect();
        expect![[r#"
            Mistral: - - - - -
            Llama-2-7b-hf: meta-llama Llama-2 hf - 7B
            Mixtral-8x7B-Instruct-v0.1: mistralai Mixtral Instruct v0.1 8x7B
            bloom-7b1-petals: bigscience bloom petals - 7.1B
            Qwen1.5-MoE-A2.7B-Chat: Qwen Qwen1.5-MoE Chat - A2.7B
            Meta-Llama-3-8B: NousResearch Meta-Llama-3 - - 8B
            Phi-3-mini-4k-instruct: microsoft Phi-3-mini instruct - 4K
            Llama-3.2-1B-Instruct: - Llama-3.2 Instruct - 1B
            roadtrip-base: - - - - -
            relative: - - - - -
            two words: - - - - -
            a-Q4_K_M: - - - - -
        "#]]
        .assert_eq(&all);
        let phi = parts("microsoft/Phi-3-mini-4k-instruct", Some(3_821_079_552));
        assert_eq!(phi, "Phi-3-mini-4k-instruct: microsoft Phi-3 4k-instruct - mini\n");
    }

    #[test]
    fn titles_are_those_of_the_converter() {
        for (id, expected) in [
            ("llama", "Llama"),
            ("granite4-hybrid", "Granite4 Hybrid"),
            ("Mixtral-8x7B-v0.1", "Mixtral 8x7B v0.1"),
            ("roadtrip-base_2", "Roadtrip Base_2"),
            ("meta-llama", "Meta Llama"),
            ("qwen35", "Qwen35"),
        ] {
            assert_eq!(title(id), expected);
        }
    }

    #[test]
    fn a_parent_has_its_repository() {
        let parent = |id: &str| ModelId::parent(id, None);
        let llama = parent("meta-llama/Llama-3.2-1B");
        assert_eq!(llama.name.as_deref(), Some("Llama 3.2 1B"));
        assert_eq!(llama.organization.as_deref(), Some("Meta Llama"));
        assert_eq!(llama.repo_url.as_deref(), Some("https://huggingface.co/meta-llama/Llama-3.2-1B"));
        assert_eq!(parent("https://huggingface.co/meta-llama/Llama-3.2-1B").name, llama.name);
        assert_eq!(parent("https://example.com/a").name, None);
        assert_eq!(parent("roadtrip-base").repo_url, None);
    }
}
