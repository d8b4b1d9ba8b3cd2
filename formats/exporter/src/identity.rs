//! The facts that a model's makers publish about it, such as version, license and parents.
//!
//! None of them affects the computation of the model. Fields are named as in model cards.

use mc_digest::content_hash::ContentHash;

/// The published facts about a model.
#[derive(Clone, ContentHash, Debug, Default, PartialEq, Eq)]
#[content("identity")]
pub struct Identity {
    /// Its authors.
    #[content("author")]
    pub author: Option<String>,
    /// Its version.
    #[content("version")]
    pub version: Option<String>,
    /// The organization that published it.
    #[content("organization")]
    pub organization: Option<String>,
    /// The purpose of its fine-tuning: `Instruct`.
    #[content("finetune")]
    pub finetune: Option<String>,
    /// The name shared by all its sizes and versions.
    #[content("basename")]
    pub basename: Option<String>,
    /// A sentence about it.
    #[content("description")]
    pub description: Option<String>,
    /// Its size as stated by its makers: `1B`.
    #[content("size-label")]
    pub size_label: Option<String>,
    /// The short name of its license.
    #[content("license")]
    pub license: Option<String>,
    /// The name of a license without a short name.
    #[content("license-name")]
    pub license_name: Option<String>,
    /// The URL of the license's text.
    #[content("license-link")]
    pub license_link: Option<String>,
    /// The URL of its page.
    #[content("url")]
    pub url: Option<String>,
    /// Its DOI.
    #[content("doi")]
    pub doi: Option<String>,
    /// Its UUID.
    #[content("uuid")]
    pub uuid: Option<String>,
    /// The URL of its repository.
    #[content("repo-url")]
    pub repo_url: Option<String>,
    /// The models from which it was made.
    #[content("base-models", default)]
    pub base_models: Vec<Parent>,
    /// The data on which it was trained.
    #[content("datasets", default)]
    pub datasets: Vec<Parent>,
    /// Search words.
    #[content("tags", default)]
    pub tags: Vec<String>,
    /// The languages that it supports, as short codes.
    #[content("languages", default)]
    pub languages: Vec<String>,
}

/// A model or a dataset from which a model was made.
#[derive(Clone, ContentHash, Debug, Default, PartialEq, Eq)]
#[content("parent")]
pub struct Parent {
    /// Its name.
    #[content("name")]
    pub name: Option<String>,
    /// Its version.
    #[content("version")]
    pub version: Option<String>,
    /// The organization that published it.
    #[content("organization")]
    pub organization: Option<String>,
    /// The URL of its repository.
    #[content("repo-url")]
    pub repo_url: Option<String>,
}
