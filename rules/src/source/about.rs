//! Facts about a model besides its weights: its name, the facts that its makers publish, and its recommended sampling
//! parameters.
//!
//! A checkpoint has the facts that llama.cpp's converter finds in its model card, in its repository, and in its names.
//! They apply to a plain conversion. A model whose weights were changed gets its own name and keeps only the facts that
//! still hold: license, languages, tags and parents.

use mc_exporter::identity::{Identity, Parent};
use mc_ir::label::Label;
use mc_ir::origin::Origin;
use serde_json::Value;

use crate::source::front_matter::FrontMatter;
use crate::source::model_id::{ModelId, hub_path, title};

/// Facts about a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Its display name.
    pub title: String,
    /// The facts that its makers publish.
    pub identity: Identity,
    /// Its task, in the terms of model hubs.
    pub pipeline_tag: Option<String>,
    /// Recommended sampling parameters: names and numbers exactly as in `generation_config.json`.
    pub sampling: Vec<(String, String)>,
    /// The change to the weights since their publication.
    pub change: Change,
}

/// A change to the published weights of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    #[default]
    None,
    /// Adapters were added.
    Adapted,
    /// Models were blended.
    Blended,
}

/// A published source of a model: a checkpoint or an adapter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Its display name.
    pub title: String,
    /// The organization that published it.
    pub organization: Option<String>,
    /// Its repository on Hugging Face.
    pub repository: Option<String>,
    /// The revision that was used: a commit, or the digest of an artifact.
    pub revision: Option<String>,
    /// The URL of that revision.
    pub url: Option<String>,
    /// The short name of its license.
    pub license: Option<String>,
}

impl Published {
    /// Returns the source that an origin names, with the facts of a model card.
    pub(crate) fn new(title: &str, identity: &Identity, origin: Option<&Origin>) -> Self {
        let published = Self {
            title: title.to_owned(),
            organization: identity.organization.clone(),
            url: identity.repo_url.clone().or_else(|| identity.url.clone()),
            license: identity.license.clone(),
            ..Self::default()
        };
        match origin {
            Some(Origin::HuggingFace { repository, revision, .. }) => Self {
                repository: Some(repository.clone()),
                revision: Some(revision.clone()),
                url: Some(format!("https://huggingface.co/{repository}/tree/{revision}")),
                ..published
            },
            Some(Origin::Http { base, .. }) => Self { url: Some(base.clone()), ..published },
            Some(Origin::Oci { reference }) => Self {
                revision: reference.split_once('@').map(|(_, digest)| digest.to_owned()),
                url: Some(format!("oci://{reference}")),
                ..published
            },
            None => Self {
                repository: published.url.as_deref().and_then(hub_path).map(str::to_owned),
                ..published
            },
        }
    }

    /// Returns the source; if no origin names a repository, its repository is the base that the adapter names.
    pub(crate) fn known_as(mut self, repository: &str) -> Self {
        let is_repository = repository.matches('/').count() == 1
            && !repository.starts_with(['/', '.'])
            && !repository.ends_with('/');
        if self.repository.is_none() && self.url.is_none() && is_repository {
            self.url = Some(format!("https://huggingface.co/{repository}"));
            self.repository = Some(repository.to_owned());
        }
        self
    }

    /// Returns the source as a parent of a model.
    pub(crate) fn parent(&self) -> Parent {
        if let Some(repository) = &self.repository {
            return ModelId::parent(repository, None);
        }
        Parent {
            name: Some(self.title.clone()),
            version: None,
            organization: self.organization.clone(),
            repo_url: self.url.clone(),
        }
    }
}

/// The places that may name a checkpoint, in descending order of reliability.
pub(crate) struct Names<'a> {
    /// The front matter of its model card.
    pub(crate) card: &'a FrontMatter,
    /// Its origin.
    pub(crate) origin: Option<&'a Origin>,
    /// Its name in its configuration.
    pub(crate) configured: Option<&'a str>,
    /// Its folder.
    pub(crate) folder: &'a str,
    /// Its target.
    pub(crate) label: &'a Label,
    /// Number of its parameters.
    pub(crate) n_parameters: u64,
}

impl Names<'_> {
    /// Returns the name of the checkpoint and the facts about it.
    pub(crate) fn identity(&self) -> (String, Identity) {
        let mut identity = of_card(self.card, Some(self.n_parameters));
        let mut name = first_text(self.card, &["name", "model_name"]);
        for id in self.ids() {
            let ModelId { name: of_id, organization, basename, finetune, version, size_label } =
                ModelId::parse(id, Some(self.n_parameters));
            name = name.or_else(|| (!of_id.is_empty()).then(|| title(&of_id)));
            fill(&mut identity.organization, organization.as_deref().map(title));
            fill(&mut identity.basename, basename);
            fill(&mut identity.finetune, finetune);
            fill(&mut identity.version, version);
            fill(&mut identity.size_label, size_label);
        }
        if let Some(Origin::HuggingFace { repository, .. }) = self.origin
            && identity.base_models.is_empty()
        {
            identity.base_models.push(ModelId::parent(repository, Some(self.n_parameters)));
        }
        (name.unwrap_or_else(|| title(&self.label.name)), identity)
    }

    /// Returns the same as the facts about an unchanged model.
    pub(crate) fn about(&self) -> About {
        let (title, identity) = self.identity();
        About { title, identity, ..About::default() }
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        let repository = match self.origin {
            Some(Origin::HuggingFace { repository, .. }) => Some(repository.as_str()),
            _ => None,
        };
        // A local path is not a name.
        let configured = self.configured.filter(|name| name.matches('/').count() <= 1 && !name.is_empty());
        // A folder that states a size is named after the model; others have names such as `base`.
        let is_model = |folder: &&str| ModelId::parse(folder, Some(self.n_parameters)).size_label.is_some();
        let folder = Some(self.folder).filter(|folder| self.origin.is_none() && is_model(folder));
        [repository, configured, folder, Some(self.label.name.as_str())].into_iter().flatten()
    }
}

impl About {
    /// Returns the facts about a model with adapters added to it.
    ///
    /// * `name`: the target that adds them
    /// * `adapters`: the name and the model card of each
    pub(crate) fn adapted(&self, name: &Label, adapters: &[(String, FrontMatter)]) -> Self {
        let mut identity = kept(&self.identity);
        let mut of_adapters: Vec<String> = Vec::new();
        for (adapter, card) in adapters {
            let facts = of_card(card, None);
            join(&mut identity.tags, &facts.tags);
            join(&mut identity.languages, &facts.languages);
            join_parents(&mut identity.datasets, &facts.datasets);
            if facts.license.is_some() && facts.license != identity.license {
                (identity.license, identity.license_name, identity.license_link) = (None, None, None);
            }
            if let [_] = adapters {
                identity.author = facts.author;
                identity.version = facts.version;
                identity.description = facts.description;
            }
            of_adapters.push(facts.finetune.unwrap_or_else(|| adapter.clone()));
        }
        identity.finetune = Some(of_adapters.join("-"));
        let name = name.name.strip_suffix(".merge").unwrap_or(&name.name);
        Self { title: title(name), identity, change: Change::Adapted, ..self.clone() }
    }

    /// Returns the facts about a blend in which this model is the leading one.
    pub(crate) fn blended<'a>(&self, name: &Label, models: impl Iterator<Item = &'a Self>) -> Self {
        let mut identity = kept(&self.identity);
        for model in models {
            let facts = &model.identity;
            join(&mut identity.tags, &facts.tags);
            join(&mut identity.languages, &facts.languages);
            join_parents(&mut identity.datasets, &facts.datasets);
            if facts.license != identity.license {
                (identity.license, identity.license_name, identity.license_link) = (None, None, None);
            }
            identity.basename = identity.basename.filter(|name| facts.basename.as_ref() == Some(name));
        }
        Self { title: title(&name.name), identity, change: Change::Blended, ..self.clone() }
    }
}

/// Returns the facts that still hold after the weights of a model change.
fn kept(identity: &Identity) -> Identity {
    Identity {
        basename: identity.basename.clone(),
        license: identity.license.clone(),
        license_name: identity.license_name.clone(),
        license_link: identity.license_link.clone(),
        tags: identity.tags.clone(),
        languages: identity.languages.clone(),
        datasets: identity.datasets.clone(),
        ..Identity::default()
    }
}

fn fill(fact: &mut Option<String>, found: Option<String>) {
    if fact.is_none() {
        *fact = found;
    }
}

fn join(words: &mut Vec<String>, others: &[String]) {
    for word in others {
        if !words.contains(word) {
            words.push(word.clone());
        }
    }
}

fn join_parents(parents: &mut Vec<Parent>, others: &[Parent]) {
    for parent in others {
        if !parents.contains(parent) {
            parents.push(parent.clone());
        }
    }
}

/// Returns the facts in a model card.
pub(crate) fn of_card(card: &FrontMatter, n_parameters: Option<u64>) -> Identity {
    let text = |keys: &[&str]| first_text(card, keys);
    let parents = |keys: &[&str]| -> Vec<Parent> {
        let key = keys.iter().find(|key| card.has(key));
        let ids = key.map_or(&[][..], |key| card.texts(key));
        ids.iter().map(|id| ModelId::parent(id, n_parameters)).collect()
    };
    let words =
        |keys: &[&str]| -> Vec<String> { keys.iter().flat_map(|key| card.texts(key)).cloned().collect() };
    let license = card.texts("license");
    Identity {
        author: text(&["author", "model_author", "model_creator"]),
        version: text(&["version", "model_version"]),
        organization: text(&["organization", "model_organization"]),
        finetune: text(&["finetune", "model_finetune"]),
        basename: text(&["basename", "model_basename", "model_type"]),
        description: text(&["description", "model_description"]),
        size_label: text(&["size_label", "model_size_label"]),
        license: (!license.is_empty()).then(|| license.join(",")),
        license_name: text(&["license_name"]),
        license_link: text(&["license_link"]),
        url: text(&["url", "model_url"]),
        doi: text(&["doi", "model_doi"]),
        uuid: text(&["uuid", "model_uuid"]),
        repo_url: text(&["repo_url", "model_repo_url"]),
        base_models: parents(&["base_model", "base_models", "base_model_sources"]),
        datasets: parents(&["datasets", "dataset", "dataset_sources"]),
        tags: words(&["tags", "pipeline_tag"]),
        languages: words(&["languages", "language"]),
    }
}

fn first_text(card: &FrontMatter, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| card.text(key)).map(str::to_owned)
}

/// Returns the recommended sampling parameters in `generation_config.json`.
pub(crate) fn sampling(config: &Value) -> Vec<(String, String)> {
    let number = |key: &str| config.get(key).filter(|value| value.is_number()).map(Value::to_string);
    let switch = config.get("do_sample").and_then(Value::as_bool).map(|flag| flag.to_string());
    let numbers = SAMPLING.iter().filter_map(|key| Some(((*key).to_owned(), number(key)?)));
    switch.map(|flag| (DO_SAMPLE.to_owned(), flag)).into_iter().chain(numbers).collect()
}

/// The key that turns sampling on; without sampling, the most likely token is chosen.
pub(crate) const DO_SAMPLE: &str = "do_sample";

/// The numeric sampling parameters, named as in `generation_config.json`.
pub(crate) const SAMPLING: [&str; 5] = ["temperature", "top_k", "top_p", "min_p", "repetition_penalty"];

#[cfg(test)]
mod tests {
    use mc_ir::label::PackageId;
    use serde_json::json;

    use super::*;

    fn label(name: &str) -> Label {
        Label::new(PackageId(String::new()), name)
    }

    fn names<'a>(card: &'a FrontMatter, label: &'a Label) -> Names<'a> {
        Names { card, origin: None, configured: None, folder: "base", label, n_parameters: 1_240_000_000 }
    }

    #[test]
    fn a_name_comes_from_the_card_the_repository_or_the_target() {
        let (empty, label) = (FrontMatter::default(), label("roadtrip-base"));
        let name = |names: Names<'_>| names.identity().0;
        assert_eq!(name(names(&empty, &label)), "Roadtrip Base");
        let folder = Names { folder: "Llama-3.2-1B", ..names(&empty, &label) };
        assert_eq!(name(folder), "Llama 3.2 1B");
        let configured = Names { configured: Some("meta-llama/Llama-3.2-1B"), ..names(&empty, &label) };
        assert_eq!(configured.identity().1.organization.as_deref(), Some("Meta Llama"));
        assert_eq!(
            name(Names { configured: Some("/home/me/run"), ..names(&empty, &label) }),
            "Roadtrip Base"
        );
        let origin = Origin::hugging_face("Qwen/Qwen3-0.6B", "main", Vec::new());
        let from_hub = Names { origin: Some(&origin), ..names(&empty, &label) };
        let (title, identity) = from_hub.identity();
        assert_eq!((title.as_str(), identity.base_models.len()), ("Qwen3 0.6B", 1));
        let card = FrontMatter::parse("---\nmodel_name: Road Trip\n---\n");
        assert_eq!(name(Names { card: &card, ..names(&empty, &label) }), "Road Trip");
    }

    #[test]
    fn an_adapted_model_keeps_the_facts_that_still_hold() {
        let card = "---\nlicense: mit\nversion: v1\nlanguage: en\nbasename: Road\nbase_model: a/b\n---\n";
        let base = About { identity: of_card(&FrontMatter::parse(card), None), ..About::default() };
        let tone = |card: &str| vec![("tone".to_owned(), FrontMatter::parse(card))];
        let adapted = base.adapted(&label("app.merge"), &tone("---\nlanguage: [de]\n---\n"));
        assert_eq!(adapted.title, "App");
        let Identity { license, version, languages, basename, finetune, base_models, .. } = adapted.identity;
        assert_eq!((license.as_deref(), version, basename.as_deref()), (Some("mit"), None, Some("Road")));
        assert_eq!((languages, finetune.as_deref()), (vec!["en".to_owned(), "de".to_owned()], Some("tone")));
        assert!(base_models.is_empty(), "they are the sources, which the file's maker knows");
        let other = base.adapted(&label("app"), &tone("---\nlicense: gpl-3.0\n---\n"));
        assert_eq!(other.identity.license, None);
    }

    #[test]
    fn sampling_parameters_are_copied_unchanged() {
        let config =
            json!({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": "x", "eos_token_id": 3});
        let pairs = [("do_sample", "true"), ("temperature", "0.6"), ("top_k", "20")];
        assert_eq!(sampling(&config), pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(sampling(&json!([])).is_empty());
    }
}
