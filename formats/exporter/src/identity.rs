//! The facts that a model's makers publish about it: version, license, parents and the like.
//!
//! Nothing here changes what the model computes. Fields are named as in model cards.

use mc_digest::content_hash::ContentHash;

/// The published facts about a model.
#[derive(Clone, ContentHash, Debug, Default, PartialEq, Eq)]
#[content("identity")]
pub struct Identity {
    /// The people who made it.
    #[content("author")]
    pub author: Option<String>,
    /// Its version.
    #[content("version")]
    pub version: Option<String>,
    /// The organization that published it.
    #[content("organization")]
    pub organization: Option<String>,
    /// The purpose that it was trained further for: `Instruct`.
    #[content("finetune")]
    pub finetune: Option<String>,
    /// The name that all sizes and versions of it share.
    #[content("basename")]
    pub basename: Option<String>,
    /// A sentence about it.
    #[content("description")]
    pub description: Option<String>,
    /// Its size as its makers state it: `1B`.
    #[content("size-label")]
    pub size_label: Option<String>,
    /// The short name of its license.
    #[content("license")]
    pub license: Option<String>,
    /// The name of a license without a short name.
    #[content("license-name")]
    pub license_name: Option<String>,
    /// The address of the license's text.
    #[content("license-link")]
    pub license_link: Option<String>,
    /// Its page.
    #[content("url")]
    pub url: Option<String>,
    /// Its DOI.
    #[content("doi")]
    pub doi: Option<String>,
    /// Its UUID.
    #[content("uuid")]
    pub uuid: Option<String>,
    /// Its repository.
    #[content("repo-url")]
    pub repo_url: Option<String>,
    /// The models that it was made of.
    #[content("base-models", default)]
    pub base_models: Vec<Parent>,
    /// The data that it was trained on.
    #[content("datasets", default)]
    pub datasets: Vec<Parent>,
    /// Search words.
    #[content("tags", default)]
    pub tags: Vec<String>,
    /// The languages that it speaks, as short codes.
    #[content("languages", default)]
    pub languages: Vec<String>,
}

/// A model or a dataset that a model was made of.
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
    /// Its repository.
    #[content("repo-url")]
    pub repo_url: Option<String>,
}
