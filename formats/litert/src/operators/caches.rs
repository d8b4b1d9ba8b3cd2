//! Operators that read and write caches.

use mc_graph::graph::Node;
use mc_graph::operators::cache_update::CacheUpdate;
use mc_graph::operators::recent_rows::RecentRows;

use crate::caches::CacheKind;
use crate::lowering::{Lowering, operator};
use crate::tflite::code::{Code, Options};
use crate::tflite::element_type::ElementType;
use crate::tflite::subgraph::Tensor;

/// Writes the rows of a batch into the keys or values. The output is the cache in its own layout, which only
/// the attention reads.
pub(crate) fn cache_update(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let state = operator::<CacheUpdate>(node)?.state.index();
    let [rows] = to.inputs(node)?;
    let (Some(cache), Some(before)) = (&to.shared.caches[state], to.cached[state].clone()) else {
        return Err(format!("the state {state}, which is not a cache"));
    };
    // The axis of positions.
    let (order, axis) = match cache.kind {
        CacheKind::Keys => ([0, 2, 1, 3], 2),
        CacheKind::Values => ([0, 2, 3, 1], 3),
        CacheKind::Columns => return Err(format!("the cache `{}` of rows of heads", cache.name)),
    };
    let rows = to.reshape(&rows, &[&[1], rows.shape.as_slice()].concat());
    let rows = to.transpose(&rows, &order);
    let start = to.start(axis);
    let inputs = [before.index, rows.index, start.index];
    let options = Options::of(Code::DynamicUpdateSlice);
    let shape = (ElementType::F32, before.shape.as_slice());
    let after = to.subgraph.step(Code::DynamicUpdateSlice, None, options, &inputs, shape);
    to.updated[state] = Some(after.clone());
    to.set(node.outputs[0], after);
    Ok(())
}

/// Prepends the last earlier rows to the rows of a batch. The rows that the next batch needs are the last ones of
/// the tokens; the padding after them has no effect. Rows before the first position are zero, whatever the cache holds:
/// LiteRT-LM does not clear it between conversations.
pub(crate) fn recent_rows(to: &mut Lowering<'_>, node: &Node) -> Result<(), String> {
    let RecentRows { state, n_before } = *operator::<RecentRows>(node)?;
    let [rows] = to.inputs(node)?;
    let Some(before) = to.cached[state.index()].clone() else {
        to.set(node.outputs[0], rows);
        return Ok(());
    };
    let width = rows.shape[1];
    let columns = to.reshape(&before, &[width, n_before]);
    let columns = after_start(to, &columns);
    let earlier = to.transpose(&columns, &[1, 0]);
    let all = to.concat(&[earlier, rows], 0);
    let kept = if to.n_tokens == 1 {
        to.slice(&all, &[1, 0], &[n_before, width])
    } else {
        // Row `i` of the state is row `n_valid + i` of all, where `n_valid` is the number of tokens without padding.
        let (first, last) = (to.first_position(), to.last_position());
        let n_more = to.binary(Code::Sub, &last, &first);
        let offsets: Vec<i32> = (1..=n_before as i32).collect();
        let offsets = to.subgraph.integers(&offsets);
        let kept = to.binary(Code::Add, &offsets, &n_more);
        let options = Options::Gather { axis: 0 };
        let inputs = [all.index, kept.index];
        to.subgraph.step(Code::Gather, None, options, &inputs, (ElementType::F32, &[n_before, width]))
    };
    let columns = to.transpose(&kept, &[1, 0]);
    let after = to.reshape(&columns, &before.shape);
    to.updated[state.index()] = Some(after);
    to.set(node.outputs[0], all);
    Ok(())
}

/// The columns, or zeros if the batch is the first one.
fn after_start(to: &mut Lowering<'_>, columns: &Tensor) -> Tensor {
    let first = to.first_position();
    let zero = to.subgraph.integers(&[0]);
    let is_later = to.compare(Code::Greater, &first, &zero);
    let zero = to.subgraph.numbers(&[0.0]);
    to.select(&is_later, columns, &zero)
}
