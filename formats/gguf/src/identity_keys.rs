//! The published facts about a model as keys of a file: written in the order of llama.cpp's converter, and parsed.
//!
//! That order places the name, the size and the quantizing program between these facts; the caller passes them in.
//!
//! Source: `Metadata.set_gguf_meta_model` in `metadata.py` of gguf-py, llama.cpp.

use mc_exporter::identity::{Identity, Parent};

use crate::key_writer::{KeyWriter, Keys};
use crate::reader::Gguf;
use crate::value::Value;

/// Maximum number of parents or datasets read from a file.
const MAX_PARENTS: u64 = 1024;

/// A key and the fact that it states.
type Fact = (&'static str, fn(&Identity) -> &Option<String>, fn(&mut Identity) -> &mut Option<String>);

/// The facts before the keys for the quantizing program and the size.
const EARLY: [Fact; 6] = [
    ("general.author", |identity| &identity.author, |identity| &mut identity.author),
    ("general.version", |identity| &identity.version, |identity| &mut identity.version),
    ("general.organization", |identity| &identity.organization, |identity| &mut identity.organization),
    ("general.finetune", |identity| &identity.finetune, |identity| &mut identity.finetune),
    ("general.basename", |identity| &identity.basename, |identity| &mut identity.basename),
    ("general.description", |identity| &identity.description, |identity| &mut identity.description),
];

/// The facts after these keys.
const LATE: [Fact; 7] = [
    ("general.license", |identity| &identity.license, |identity| &mut identity.license),
    ("general.license.name", |identity| &identity.license_name, |identity| &mut identity.license_name),
    ("general.license.link", |identity| &identity.license_link, |identity| &mut identity.license_link),
    ("general.source.url", |identity| &identity.url, |identity| &mut identity.url),
    ("general.source.doi", |identity| &identity.doi, |identity| &mut identity.doi),
    ("general.source.uuid", |identity| &identity.uuid, |identity| &mut identity.uuid),
    ("general.source.repo_url", |identity| &identity.repo_url, |identity| &mut identity.repo_url),
];

const BASE_MODEL: &str = "general.base_model";
const DATASET: &str = "general.dataset";
const TAGS: &str = "general.tags";
const LANGUAGES: &str = "general.languages";
const SIZE_LABEL: &str = "general.size_label";

/// Other keys that describe the file's model and no longer hold after its weights change.
const OF_THE_FILE: [&str; 5] = [SIZE_LABEL, "general.url", "general.doi", "general.uuid", "general.repo_url"];

/// Adds the keys of the facts.
///
/// * `size_label`: the size, used if the makers state none
pub(crate) fn write_identity(
    keys: &mut KeyWriter,
    identity: &Identity,
    quantized_by: Option<&str>,
    size_label: &str,
) {
    for (name, fact, _) in &EARLY {
        keys.optional_text(name, fact(identity).as_deref());
    }
    keys.optional_text("general.quantized_by", quantized_by);
    keys.text(SIZE_LABEL, identity.size_label.as_deref().unwrap_or(size_label));
    write_late(keys, identity);
}

/// Returns only the keys of the facts.
///
/// * `size_label`: the size, used if the makers state none
pub(crate) fn identity_keys(identity: &Identity, size_label: Option<&str>) -> Keys {
    let mut keys = KeyWriter::default();
    for (name, fact, _) in &EARLY {
        keys.optional_text(name, fact(identity).as_deref());
    }
    keys.optional_text(SIZE_LABEL, identity.size_label.as_deref().or(size_label));
    write_late(&mut keys, identity);
    keys.0
}

fn write_late(keys: &mut KeyWriter, identity: &Identity) {
    for (name, fact, _) in &LATE {
        keys.optional_text(name, fact(identity).as_deref());
    }
    write_parents(keys, BASE_MODEL, &identity.base_models);
    write_parents(keys, DATASET, &identity.datasets);
    for (name, words) in [(TAGS, &identity.tags), (LANGUAGES, &identity.languages)] {
        if !words.is_empty() {
            keys.put(name, Value::texts(words.iter().cloned()));
        }
    }
}

fn write_parents(keys: &mut KeyWriter, kind: &str, parents: &[Parent]) {
    if parents.is_empty() {
        return;
    }
    keys.u32(format!("{kind}.count"), u32::try_from(parents.len()).unwrap_or(u32::MAX));
    for (number, parent) in parents.iter().enumerate() {
        let Parent { name, version, organization, repo_url } = parent;
        let facts =
            [("name", name), ("version", version), ("organization", organization), ("repo_url", repo_url)];
        for (fact, text) in facts {
            keys.optional_text(&format!("{kind}.{number}.{fact}"), text.as_deref());
        }
    }
}

/// Returns true if a key states a fact of [`Identity`], or one that no longer holds after the weights change.
pub(crate) fn is_about_identity(key: &str) -> bool {
    EARLY.iter().chain(&LATE).any(|(name, ..)| *name == key)
        || OF_THE_FILE.contains(&key)
        || [TAGS, LANGUAGES].contains(&key)
        || [BASE_MODEL, DATASET].iter().any(|kind| key.starts_with(&format!("{kind}.")))
}

/// Returns the facts in the keys of a file. Skips keys of an unexpected type.
pub fn identity(gguf: &Gguf) -> Identity {
    let mut identity = Identity::default();
    for (name, _, fact) in EARLY.iter().chain(&LATE) {
        *fact(&mut identity) = text(gguf, name);
    }
    identity.size_label = text(gguf, SIZE_LABEL);
    identity.repo_url = identity.repo_url.or_else(|| text(gguf, "general.repo_url"));
    identity.base_models = parents(gguf, BASE_MODEL);
    identity.datasets = parents(gguf, DATASET);
    identity.tags = words(gguf, TAGS);
    identity.languages = words(gguf, LANGUAGES);
    identity
}

fn text(gguf: &Gguf, key: &str) -> Option<String> {
    gguf.key(key).and_then(Value::as_text).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn words(gguf: &Gguf, key: &str) -> Vec<String> {
    let texts = gguf.key(key).and_then(Value::as_array).and_then(|array| array.texts());
    texts.into_iter().flatten().map(str::to_owned).collect()
}

fn parents(gguf: &Gguf, kind: &str) -> Vec<Parent> {
    let count = gguf.key(&format!("{kind}.count")).and_then(Value::as_u64).unwrap_or(0);
    let parent = |number: u64| {
        let fact = |name: &str| text(gguf, &format!("{kind}.{number}.{name}"));
        Parent {
            name: fact("name"),
            version: fact("version"),
            organization: fact("organization"),
            repo_url: fact("repo_url"),
        }
    };
    let parents = (0..count.min(MAX_PARENTS)).map(parent);
    parents.filter(|parent| *parent != Parent::default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    #[test]
    fn facts_are_read_as_they_were_written() {
        let some = |text: &str| Some(text.to_owned());
        let parent = Parent {
            name: some("Llama 3.2 1B"),
            version: None,
            organization: some("Meta Llama"),
            repo_url: some("https://huggingface.co/meta-llama/Llama-3.2-1B"),
        };
        let written = Identity {
            version: some("v0.3"),
            organization: some("Acme"),
            finetune: some("Instruct"),
            basename: some("Road"),
            size_label: some("1B"),
            license: some("other"),
            license_link: some("https://example.com/license"),
            base_models: vec![parent.clone()],
            datasets: vec![parent],
            tags: vec!["car".to_owned(), "text-generation".to_owned()],
            languages: vec!["en".to_owned(), "no".to_owned()],
            ..Identity::default()
        };
        let head = Layout::new(&identity_keys(&written, None), &[], 32).head;
        let gguf = Gguf::parse(&head, head.len() as u64).unwrap();
        assert_eq!(identity(&gguf), written);
        assert!(gguf.keys.iter().all(|key| is_about_identity(&key.0)));
    }

    #[test]
    fn a_count_without_parents_gives_none() {
        let keys = vec![("general.base_model.count".to_owned(), Value::U32(u32::MAX))];
        let head = Layout::new(&keys, &[], 32).head;
        let gguf = Gguf::parse(&head, head.len() as u64).unwrap();
        assert_eq!(identity(&gguf), Identity::default());
    }
}
