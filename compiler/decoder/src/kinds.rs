//! All layer kinds: one file and one row each.

pub mod attention;
pub mod experts;
pub mod gated_feed_forward;
pub mod short_convolution;

use std::fmt;

use mc_digest::content_hash::ContentHash;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::kind::{Kind, LayerKind};

/// Every kind, by name.
pub const KINDS: &[KindEntry] = &[
    KindEntry { name: attention::NAME, read: read::<attention::Attention> },
    KindEntry { name: experts::NAME, read: read::<experts::Experts> },
    KindEntry { name: gated_feed_forward::NAME, read: read::<gated_feed_forward::GatedFeedForward> },
    KindEntry { name: short_convolution::NAME, read: read::<short_convolution::ShortConvolution> },
];

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Map::deserialize(deserializer)?;
        let mut entries = object.iter();
        let (Some((name, parameters)), None) = (entries.next(), entries.next()) else {
            return Err(D::Error::custom("expected an object with the name of one layer kind"));
        };
        let entry = KINDS.iter().find(|entry| entry.name == name);
        let entry = entry.ok_or_else(|| D::Error::custom(format!("`{name}` is not a layer kind")))?;
        (entry.read)(parameters).map_err(D::Error::custom)
    }
}

/// A row of the table: a kind's name and its deserializer.
#[derive(Clone, Copy)]
pub struct KindEntry {
    /// Its name.
    pub name: &'static str,
    /// Reads the parameters.
    pub read: fn(&Value) -> Result<Kind, serde_json::Error>,
}

impl fmt::Debug for KindEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// Reads parameters with serde.
fn read<T>(parameters: &Value) -> Result<Kind, serde_json::Error>
where
    T: LayerKind + Clone + ContentHash + DeserializeOwned + PartialEq + Serialize,
{
    T::deserialize(parameters).map(Kind::new)
}
