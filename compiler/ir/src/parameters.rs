//! The parameters of an action: pairs of strings that are part of its key.
//!
//! An absent parameter is not written, so adding an option keeps the keys of all actions that do not use it. Structured
//! values are written as their content hash. Their `Debug` text is not part of a key, because it changes when a field
//! is renamed.

use std::fmt::Display;

use mc_digest::content_hash::{ContentHash, content_digest};

/// Parameters in the order in which they were added.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value as text.
    #[must_use]
    pub fn text(mut self, name: impl Into<String>, value: impl Display) -> Self {
        self.0.push((name.into(), value.to_string()));
        self
    }

    /// Adds a value as text if it is present.
    #[must_use]
    pub fn option(self, name: impl Into<String>, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds the content hash of a value if it is present.
    #[must_use]
    pub fn content(self, name: impl Into<String>, value: &impl ContentHash) -> Self {
        if value.is_absent() { self } else { self.text(name, content_digest(value)) }
    }

    /// Adds a list of numbers, such as the dimensions of a tensor: `[4, 8]`.
    #[must_use]
    pub fn numbers<N: Display>(self, name: impl Into<String>, numbers: &[N]) -> Self {
        self.text(name, list(numbers))
    }

    /// The pairs of names and texts.
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

/// A list as canonical text: `[4, 8]`.
pub fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(ContentHash)]
    #[content("limit")]
    struct Limit {
        #[content("max")]
        largest: u64,
        #[content("unit")]
        unit: Option<String>,
    }

    #[test]
    fn absent_values_are_not_written() {
        let before = Parameters::new().text("kind", "text").numbers("dims", &[4, 8]);
        let after = Parameters::new()
            .text("kind", "text")
            .option("seed", None::<u64>)
            .content("limit", &None::<Limit>)
            .numbers("dims", &[4, 8]);
        assert_eq!(before.into_pairs(), after.into_pairs());
    }

    #[test]
    fn values_are_written_in_order() {
        let limit = Limit { largest: 7, unit: None };
        let parameters = Parameters::new().option("seed", Some(7)).content("limit", &limit);
        let digest = content_digest(&limit).to_string();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parameters.into_pairs(), [pair("seed", "7"), pair("limit", &digest)]);
        let other = Limit { largest: 7, unit: Some("MB".to_owned()) };
        assert_ne!(content_digest(&other).to_string(), digest);
        assert_eq!(list::<u64>(&[]), "[]");
    }
}
