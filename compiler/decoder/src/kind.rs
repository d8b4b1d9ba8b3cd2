//! The kinds of half layers: mixers, which mix positions, and feed-forwards, which transform each position.
//!
//! A kind is one file under [`crate::kinds`] with its parameters, the tensors that it needs, and its lowering to a
//! graph.

use std::any::Any;
use std::fmt;

use mc_digest::content_hash::{ContentHash, ContentHasher};
use mc_graph::builder::Builder;
use mc_graph::error::GraphError;
use mc_graph::ids::ValueId;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::needed::Needed;

/// The position of a half layer in a model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Site {
    /// Layer number.
    pub block: u32,
    /// Width of the residual stream.
    pub n_embd: u32,
}

/// A kind of half layer, with its parameters.
pub trait LayerKind: fmt::Debug + Send + Sync + 'static {
    /// Its name, the key in the table [`crate::kinds::KINDS`].
    fn name(&self) -> &'static str;

    /// The tensors that a checkpoint must hold for it, in program order.
    fn tensors(&self, site: Site) -> Box<dyn Iterator<Item = Needed>>;

    /// Largest number of elements per token that its computation holds at once, for memory estimates.
    fn widest(&self, site: Site) -> u64;

    /// Adds the half layer to a graph: `[tokens, n_embd]` to `[tokens, n_embd]`.
    ///
    /// # Errors
    /// If the parameters are inconsistent.
    fn lower(&self, builder: &mut Builder, site: Site, input: ValueId) -> Result<ValueId, GraphError>;
}

/// Operations that every kind gets without code of its own: equality, a copy, and its parameters as JSON.
trait AnyKind: LayerKind + Any {
    fn parameters(&self) -> Value;
    fn hash(&self, state: &mut ContentHasher);
    fn is_same(&self, other: &dyn AnyKind) -> bool;
    fn copy(&self) -> Box<dyn AnyKind>;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<T: LayerKind + Clone + ContentHash + PartialEq + Serialize> AnyKind for T {
    fn parameters(&self) -> Value {
        serde_json::to_value(self).expect("parameters have text keys and finite numbers")
    }

    fn hash(&self, state: &mut ContentHasher) {
        self.content_hash(state);
    }

    fn is_same(&self, other: &dyn AnyKind) -> bool {
        other.as_any().downcast_ref::<T>() == Some(self)
    }

    fn copy(&self) -> Box<dyn AnyKind> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// A half layer of any kind.
pub struct Kind(Box<dyn AnyKind>);

impl Kind {
    /// Wraps a half layer.
    pub fn new<T: LayerKind + Clone + ContentHash + PartialEq + Serialize>(kind: T) -> Self {
        Self(Box::new(kind))
    }

    /// The half layer, if it has this kind.
    pub fn get<T: LayerKind>(&self) -> Option<&T> {
        self.0.as_any().downcast_ref()
    }

    /// The half layer as a mutable reference, if it has this kind.
    pub fn get_mut<T: LayerKind>(&mut self) -> Option<&mut T> {
        self.0.as_any_mut().downcast_mut()
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The tensors that it needs; see [`LayerKind::tensors`].
    pub fn tensors(&self, site: Site) -> Box<dyn Iterator<Item = Needed>> {
        self.0.tensors(site)
    }

    /// Largest number of elements per token; see [`LayerKind::widest`].
    pub fn widest(&self, site: Site) -> u64 {
        self.0.widest(site)
    }

    /// Adds the half layer to a graph; see [`LayerKind::lower`].
    ///
    /// # Errors
    /// If the parameters are inconsistent.
    pub fn lower(&self, builder: &mut Builder, site: Site, input: ValueId) -> Result<ValueId, GraphError> {
        self.0.lower(builder, site, input)
    }
}

impl Clone for Kind {
    fn clone(&self) -> Self {
        Self(self.0.copy())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_same(&*other.0)
    }
}

impl ContentHash for Kind {
    fn content_hash(&self, state: &mut ContentHasher) {
        self.name().content_hash(state);
        self.0.hash(state);
    }
}

/// Serialized as `{name: parameters}`.
impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = (self.name().to_owned(), self.0.parameters());
        Map::from_iter([entry]).serialize(serializer)
    }
}
