//! `rotary_angles`: tables of cosines and sines by position; for `LongRope`, the length of the sequence selects one.

use std::sync::Arc;

use mc_exporter::refusal::Refusal;
use mc_graph::operators::rotary_angles::RotaryAngles;
use mc_graph::rotary::RotaryScaling;

use crate::element_type::ElementType;
use crate::proto::{Attribute, OnnxDim, OnnxGraph, OnnxNode, ValueInfo};
use crate::rotary_caches::RotaryCache;
use crate::translation::Translation;

/// Names of the tables of cosines and sines for these angles.
///
/// * `total`: name of the length of the sequence
pub(super) fn names(
    translation: &mut Translation<'_>,
    angles: &RotaryAngles,
    total: &str,
) -> Result<[String; 2], Refusal> {
    if matches!(
        angles.scaling,
        RotaryScaling::Divisors { .. } | RotaryScaling::LongRope { factors: None, .. }
    ) {
        return Err(Refusal::new("ONNX cannot read rotary divisors from a tensor")
            .help("export from the original checkpoint, whose configuration has them"));
    }
    if let Some(known) = translation.known_tables(angles) {
        return Ok(known);
    }
    let n_positions = translation.plan.settings.context;
    let names = match angles.scaling {
        RotaryScaling::LongRope { original_context, .. } if original_context < n_positions => {
            let short = tables(translation, angles, false, original_context);
            let long = tables(translation, angles, true, n_positions);
            selected(translation, total, (original_context, angles.n_dims / 2), short, long)
        }
        _ => tables(translation, angles, false, n_positions),
    };
    translation.remember_tables(angles, &names);
    Ok(names)
}

fn tables(
    translation: &mut Translation<'_>,
    angles: &RotaryAngles,
    is_long: bool,
    n_positions: u32,
) -> [String; 2] {
    let number = translation.translated.caches.len() / 2;
    let angles = Arc::new(angles.clone());
    [("cos_cache", false), ("sin_cache", true)].map(|(name, is_sine)| {
        let name = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
        translation.translated.caches.push(RotaryCache {
            name: name.clone(),
            angles: angles.clone(),
            is_long,
            is_sine,
            n_positions,
            element: translation.plan.settings.activations,
        });
        name
    })
}

/// The long tables if the sequence is longer than the original context.
fn selected(
    translation: &mut Translation<'_>,
    total: &str,
    (original_context, n_pairs): (u32, u32),
    short: [String; 2],
    long: [String; 2],
) -> [String; 2] {
    let bound = translation.integer(ElementType::Int32, original_context.cast_signed());
    let is_long = translation.emit("Greater", "", vec![total.to_owned(), bound], Vec::new());
    let outputs = long.clone().map(|name| format!("{name}.selected"));
    let element = translation.plan.settings.activations;
    let attributes = vec![
        ("then_branch", Attribute::Graph(branch("long", element, n_pairs, &long))),
        ("else_branch", Attribute::Graph(branch("short", element, n_pairs, &short))),
    ];
    translation.emit_to("If", "", vec![is_long], outputs.to_vec(), attributes);
    outputs
}

/// A branch that yields two tables of the graph around it.
fn branch(name: &'static str, element: ElementType, n_pairs: u32, tables: &[String; 2]) -> OnnxGraph {
    let output = |table: &String| format!("{table}.{name}");
    let node = |table: &String| OnnxNode {
        name: format!("/{}/node", output(table)),
        op_type: "Identity",
        domain: "",
        inputs: vec![table.clone()],
        outputs: vec![output(table)],
        attributes: Vec::new(),
    };
    OnnxGraph {
        name,
        nodes: tables.iter().map(node).collect(),
        outputs: tables
            .iter()
            .map(|table| ValueInfo {
                name: output(table),
                element,
                dims: vec![OnnxDim::Named("max_sequence_length"), OnnxDim::Fixed(n_pairs.into())],
            })
            .collect(),
        ..OnnxGraph::default()
    }
}
