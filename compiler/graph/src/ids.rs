//! Ids of the values and states of one graph.

/// A value of one graph.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// Index into `Graph::values`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A state of one graph.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct StateId(pub(crate) u32);

impl StateId {
    /// Index into `Graph::states`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
