//! `attention` with the rotation of queries and keys and the caches, as `GroupQueryAttention`.
//!
//! The inputs are the projections before rotation: the runtime rotates, appends to its caches and attends. If they are
//! the adjacent columns of one product, that product is the only input.

use mc_exporter::refusal::Refusal;
use mc_graph::graph::Node;
use mc_graph::ids::ValueId;
use mc_graph::operators::attention::Attention;
use mc_graph::operators::cache_update::CacheUpdate;
use mc_graph::operators::rope::Rope;
use mc_graph::operators::rotary_angles::RotaryAngles;
use mc_graph::rotary::RotaryPairing;

use crate::onnx_value::{OnnxValue, ValueForm};
use crate::operators::rotary_tables;
use crate::proto::{Attribute, MICROSOFT, OnnxDim, ValueInfo};
use crate::translation::Translation;
use crate::value_names::{past, present};

/// The runtime's kernels process this many dimensions of a head at once.
const HEAD_STEP: u32 = 8;
/// Number of rotating dimensions of which the runtime accepts multiples.
const ROTARY_STEP: u32 = 16;

/// Queries or keys before rotation.
struct Heads {
    /// The value.
    id: ValueId,
    /// The cosines, and the pairs that rotate together; `None` without rotation.
    rotation: Option<(ValueId, RotaryPairing)>,
}

/// Appends the nodes.
pub(super) fn translate(translation: &mut Translation<'_>, node: &Node) -> Result<(), Refusal> {
    let Some(attention) = node.operator.get::<Attention>() else { unreachable!("the row of `attention`") };
    let queries = heads(translation, node.inputs[0]);
    let keys = heads(translation, cached(translation, node.inputs[1])?);
    let values = cached(translation, node.inputs[2])?;
    let [n_heads, head_dim] = dims(translation, node.inputs[0])?;
    let [n_kv_heads, _] = dims(translation, node.inputs[1])?;
    if !head_dim.is_multiple_of(HEAD_STEP) {
        let message =
            format!("ONNX Runtime's attention needs heads of a multiple of 8 dimensions, not {head_dim}");
        return Err(Refusal::new(message));
    }
    let lengths = translation.lengths();
    let mut inputs = projections(translation, &queries, &keys, values)?.to_vec();
    let block = translation.attention_blocks.pop();
    let block = block.ok_or_else(|| Refusal::new("ONNX Runtime GenAI has one attention per layer"))?;
    inputs.extend(["key", "value"].map(|role| past(block, role)));
    inputs.extend([lengths.last, lengths.total.clone()]);
    let pairing = match (queries.rotation, keys.rotation) {
        (None, None) => None,
        (Some((of_queries, pairing)), Some(of_keys)) if (of_queries, pairing) == of_keys => {
            let angles = translation.producer::<RotaryAngles>(of_queries).map(|(angles, _)| angles);
            let angles = angles.ok_or_else(|| Refusal::new("ONNX needs rotary angles that are tables"))?;
            check_rotary(angles.n_dims)?;
            inputs.extend(rotary_tables::names(translation, angles, &lengths.total)?);
            Some(pairing)
        }
        _ => {
            return Err(Refusal::new("ONNX Runtime's attention rotates queries and keys by the same angles"));
        }
    };
    let context = translation.plan.settings.context;
    let window = attention.window.filter(|window| *window < context).map_or(-1, i64::from);
    let attributes = vec![
        ("num_heads", Attribute::Int(n_heads.into())),
        ("kv_num_heads", Attribute::Int(n_kv_heads.into())),
        ("scale", Attribute::Float(attention.scale)),
        ("local_window_size", Attribute::Int(window)),
        ("softcap", Attribute::Float(attention.soft_cap.unwrap_or(0.0))),
        ("do_rotary", Attribute::Int(pairing.is_some().into())),
        ("rotary_interleaved", Attribute::Int((pairing == Some(RotaryPairing::Interleaved)).into())),
    ];
    let mixed = translation.fresh("GroupQueryAttention");
    let outputs =
        [mixed.clone()].into_iter().chain(["key", "value"].map(|role| present(block, role))).collect();
    translation.emit_to("GroupQueryAttention", MICROSOFT, inputs, outputs, attributes);
    let element = translation.plan.settings.activations;
    for role in ["key", "value"] {
        let state = |name, length| ValueInfo {
            name,
            element,
            dims: vec![
                OnnxDim::Named("batch_size"),
                OnnxDim::Fixed(n_kv_heads.into()),
                OnnxDim::Named(length),
                OnnxDim::Fixed(head_dim.into()),
            ],
        };
        let graph = &mut translation.translated.graph;
        graph.inputs.push(state(past(block, role), "past_sequence_length"));
        graph.outputs.push(state(present(block, role), "total_sequence_length"));
    }
    let mixed = OnnxValue { name: mixed, element, form: ValueForm::Rows, columns: None };
    translation.set(node.outputs[0], mixed);
    Ok(())
}

fn check_rotary(n_dims: u32) -> Result<(), Refusal> {
    if n_dims.is_multiple_of(ROTARY_STEP) {
        return Ok(());
    }
    let message = format!(
        "`rope` rotates {n_dims} dimensions of a head; ONNX Runtime's attention rotates multiples of {ROTARY_STEP}"
    );
    Err(Refusal::new(message).help("`gguf` and `mlx` have no such limit"))
}

fn dims(translation: &Translation<'_>, id: ValueId) -> Result<[u32; 2], Refusal> {
    let dims = translation.widths(id);
    dims.try_into().map_err(|_| Refusal::new("ONNX Runtime's attention needs heads"))
}

/// The rows that a cache stores.
fn cached(translation: &Translation<'_>, id: ValueId) -> Result<ValueId, Refusal> {
    let update = translation.producer::<CacheUpdate>(id);
    let rows = update.and_then(|(_, node)| node.inputs.first().copied());
    rows.ok_or_else(|| Refusal::new("ONNX Runtime's attention needs cached keys and values"))
}

/// Separates the rotation from the heads that it rotates.
fn heads(translation: &Translation<'_>, id: ValueId) -> Heads {
    match translation.producer::<Rope>(id) {
        Some((rope, node)) => Heads { id: node.inputs[0], rotation: Some((node.inputs[1], rope.pairing)) },
        None => Heads { id, rotation: None },
    }
}

/// The names of queries, keys and values; of all three together if they are the columns of one value.
fn projections(
    translation: &mut Translation<'_>,
    queries: &Heads,
    keys: &Heads,
    values: ValueId,
) -> Result<[String; 3], Refusal> {
    let element = translation.plan.settings.activations;
    let mut rows = Vec::new();
    for id in [queries.id, keys.id, values] {
        let value = translation.rows(id)?;
        rows.push(translation.cast(&value, element));
    }
    let columns: Vec<_> = rows.iter().filter_map(|value| value.columns.as_ref()).collect();
    if let [q, k, v] = columns[..]
        && (q.of == k.of && k.of == v.of)
        && (q.start, k.start, v.start) == (0, q.len, q.len + k.len)
        && v.start + v.len == q.width
    {
        return Ok([q.of.clone(), String::new(), String::new()]);
    }
    let mut names = rows.into_iter().map(|value| value.name);
    Ok([(); 3].map(|()| names.next().unwrap_or_default()))
}
