//! Providers: the information that a target passes to the targets that depend on it.
//!
//! Rules define their own provider types; this module has the collection that carries them. Two collections are equal
//! if they hold equal providers in the same order, so a provider's `PartialEq` must compare everything that matters (a
//! derived one does).

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::action::Artifact;

/// A piece of information that one rule passes to others.
pub trait Provider: Any + fmt::Debug + Send + Sync {
    /// Returns true if the other provider has the same type and an equal value.
    fn equals(&self, other: &dyn Provider) -> bool;
}

impl<T: Any + PartialEq + fmt::Debug + Send + Sync> Provider for T {
    fn equals(&self, other: &dyn Provider) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<T>().is_some_and(|other| self == other)
    }
}

/// Everything that a target passes to its dependents and to the command line.
#[derive(Clone, Default)]
pub struct Providers {
    /// The artifacts that `mc build` links below `mc-out/`: path inside the target's folder → artifact.
    pub outputs: Vec<(String, Artifact)>,
    /// The gate verdicts that `mc test` builds.
    pub gates: Vec<Artifact>,
    /// The files that leave the workspace, under the names by which others know them.
    pub releases: Vec<(String, Artifact)>,
    values: Vec<Arc<dyn Provider>>,
}

impl Providers {
    /// Adds a provider.
    #[must_use]
    pub fn with<T: Provider>(mut self, value: T) -> Self {
        self.values.push(Arc::new(value));
        self
    }

    /// The provider of the type, if the target has one.
    pub fn get<T: Provider>(&self) -> Option<&T> {
        self.values.iter().find_map(|value| {
            let any: &dyn Any = &**value;
            any.downcast_ref::<T>()
        })
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Providers")
            .field("outputs", &self.outputs)
            .field("gates", &self.gates)
            .field("releases", &self.releases)
            .field("values", &self.values)
            .finish()
    }
}

impl PartialEq for Providers {
    fn eq(&self, other: &Self) -> bool {
        let Self { outputs, gates, releases, values } = self;
        let is_equal = |(left, right): (&Arc<dyn Provider>, &Arc<dyn Provider>)| left.equals(&**right);
        *outputs == other.outputs
            && *gates == other.gates
            && *releases == other.releases
            && values.len() == other.values.len()
            && values.iter().zip(&other.values).all(is_equal)
    }
}

impl Eq for Providers {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Rows(u64);

    #[derive(Debug, PartialEq)]
    struct Columns(u64);

    #[test]
    fn collections_are_equal_if_their_providers_are() {
        let rows = |n_rows| Providers::default().with(Rows(n_rows));
        assert_eq!(rows(7), rows(7));
        assert_ne!(rows(7), rows(8));
        assert_ne!(rows(7), Providers::default().with(Columns(7)), "another type with equal content");
        assert_ne!(rows(7), rows(7).with(Columns(7)));
        assert_eq!(rows(7).with(Columns(8)).get::<Columns>(), Some(&Columns(8)));
    }
}
