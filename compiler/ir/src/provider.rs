//! Providers: what a target tells the targets that depend on it.
//!
//! A rule defines its own provider types; here is only the bag that carries them. Two bags are equal when they print
//! the same, so a provider's `Debug` must show everything that matters (derived ones do).

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::action::Artifact;

/// A piece of information that one rule gives to others.
pub trait Provider: Any + fmt::Debug + Send + Sync {}

impl<T: Any + fmt::Debug + Send + Sync> Provider for T {}

/// Everything that a target gives to its dependents and to the command line.
#[derive(Clone, Default)]
pub struct Providers {
    /// What `mc build` brings under `mc-out/`: path inside the target's folder → artifact.
    pub outputs: Vec<(String, Artifact)>,
    /// What `mc test` runs: verdicts of gates.
    pub gates: Vec<Artifact>,
    values: Vec<Arc<dyn Provider>>,
}

impl Providers {
    /// Adds a provider.
    #[must_use]
    pub fn with<T: Provider>(mut self, value: T) -> Self {
        self.values.push(Arc::new(value));
        self
    }

    /// The provider of a type, if the target gives it.
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
            .field("values", &self.values)
            .finish()
    }
}

impl PartialEq for Providers {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Eq for Providers {}
