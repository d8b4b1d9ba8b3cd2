//! The caches of a model: the states of its graph, as LiteRT-LM passes them in and out of each signature.
//!
//! LiteRT-LM knows keys `[1, kv_heads, positions, head_dim]`, values `[1, kv_heads, head_dim, positions]` and the last
//! columns before a convolution `[1, width, n_before]`. The names carry the number of the layer.

use mc_graph::graph::{Graph, Node};
use mc_graph::ids::ValueId;
use mc_graph::operators::attention::Attention;
use mc_graph::operators::cache_update::CacheUpdate;
use mc_graph::operators::recent_rows::RecentRows;

/// The contents of a cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CacheKind {
    /// Keys of an attention.
    Keys,
    /// Values of an attention.
    Values,
    /// The last columns before a convolution.
    Columns,
}

/// A cache.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cache {
    pub(crate) name: String,
    pub(crate) kind: CacheKind,
    pub(crate) shape: Vec<u32>,
}

/// The caches of a graph, by number of the state. `None` for a state that holds no rows: a convolution over one
/// position.
///
/// # Errors
/// If a state is none of the known kinds, as a message.
pub(crate) fn of(graph: &Graph, n_positions: u32) -> Result<Vec<Option<Cache>>, String> {
    let mut caches = vec![None; graph.states().len()];
    let mut is_known = vec![false; caches.len()];
    for node in graph.nodes() {
        let (state, kind) = if let Some(update) = node.operator.get::<CacheUpdate>() {
            (update.state, kind_of_rows(graph, node.outputs[0]))
        } else if let Some(recent) = node.operator.get::<RecentRows>() {
            is_known[recent.state.index()] = true;
            if recent.n_before == 0 {
                continue;
            }
            (recent.state, Some(CacheKind::Columns))
        } else {
            continue;
        };
        let row = &graph.states()[state.index()];
        let described = kind.and_then(|kind| cache(&row.name, kind, &row.row, node, n_positions));
        let message = || format!("the state `{}`, which is neither keys, values nor columns", row.name);
        caches[state.index()] = Some(described.ok_or_else(message)?);
        is_known[state.index()] = true;
    }
    match is_known.iter().position(|is_known| !is_known) {
        Some(number) => Err(format!("the state `{}`, which nothing writes", graph.states()[number].name)),
        None => Ok(caches),
    }
}

fn cache(name: &str, kind: CacheKind, row: &[u32], node: &Node, n_positions: u32) -> Option<Cache> {
    let layer: u32 = name.strip_prefix("block ")?.split(' ').next()?.parse().ok()?;
    let (letter, shape) = match (kind, row) {
        (CacheKind::Keys, [n_heads, width]) => ('k', vec![1, *n_heads, n_positions, *width]),
        (CacheKind::Values, [n_heads, width]) => ('v', vec![1, *n_heads, *width, n_positions]),
        (CacheKind::Columns, [width]) => ('c', vec![1, *width, node.operator.get::<RecentRows>()?.n_before]),
        _ => return None,
    };
    Some(Cache { name: format!("kv_cache_{letter}_{layer}"), kind, shape })
}

/// The kind of a cache whose rows are this value: attentions read it as keys, or all read it as values.
fn kind_of_rows(graph: &Graph, rows: ValueId) -> Option<CacheKind> {
    let mut kind = None;
    for node in graph.nodes() {
        for (place, input) in node.inputs.iter().enumerate() {
            if *input != rows {
                continue;
            }
            let read = match (node.operator.get::<Attention>(), place) {
                (Some(_), 1) => CacheKind::Keys,
                (Some(_), 2) => CacheKind::Values,
                _ => return None,
            };
            if kind.replace(read).is_some_and(|known| known != read) {
                return None;
            }
        }
    }
    kind
}
