//! Walks a graph and translates each operator by its row.

use std::collections::BTreeSet;

use mc_exporter::refusal::Refusal;
use mc_graph::graph::Graph;

use crate::operators;
use crate::proto::Attribute;
use crate::translation::{Plan, Translated, Translation};

/// Translates a graph.
///
/// # Errors
/// [`Refusal`] for an operator that ONNX Runtime cannot run.
pub(crate) fn translate(plan: &Plan<'_>, graph: &Graph) -> Result<Translated, Refusal> {
    let mut translation = Translation::new(plan, graph);
    translation.declare_inputs();
    for node in graph.nodes() {
        if node.outputs.iter().any(|output| translation.is_known(*output)) {
            continue; // An earlier operator computes it, too.
        }
        let name = node.operator.name();
        let row = operators::by_name(name).ok_or_else(|| unknown(name))?;
        (row.translate)(&mut translation, node)?;
    }
    let mut translated = translation.translated;
    drop_unread(&mut translated);
    Ok(translated)
}

fn unknown(operator: &str) -> Refusal {
    Refusal::new(format!("ONNX Runtime GenAI has no operator for `{operator}`"))
        .help("`gguf` and `mlx` may be able to express the model")
}

/// Drops the nodes whose outputs nobody reads, and the constants that only they read.
fn drop_unread(translated: &mut Translated) {
    let graph = &mut translated.graph;
    let mut read: BTreeSet<String> = graph.outputs.iter().map(|output| output.name.clone()).collect();
    let mut kept = Vec::new();
    for node in graph.nodes.drain(..).rev() {
        if !node.outputs.iter().any(|output| !output.is_empty() && read.contains(output)) {
            continue;
        }
        read.extend(node.inputs.iter().cloned());
        for (_, attribute) in &node.attributes {
            if let Attribute::Graph(branch) = attribute {
                read.extend(branch.nodes.iter().flat_map(|node| node.inputs.iter().cloned()));
            }
        }
        kept.push(node);
    }
    kept.reverse();
    graph.nodes = kept;
    graph.initializers.retain(|initializer| read.contains(&initializer.name));
    translated.caches.retain(|cache| read.contains(&cache.name));
    translated.views.retain(|view| read.contains(&view.name));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect;
    use mc_decoder::kinds::attention::{Attention, QkNorm};
    use mc_decoder::lower::lower;
    use mc_exporter::export_settings::ExportSettings;
    use mc_exporter::model_description::ModelDescription;

    use super::*;
    use crate::element_type::ElementType;
    use crate::example_model::{NORM, attention, decoder};
    use crate::settings::Settings;
    use crate::weight_form::{BlockForm, Weight, WeightForm};

    /// A model of one layer whose matrices have this form.
    fn translated(attention: &Attention, settings: &ExportSettings, matrices: WeightForm) -> Translated {
        let mut decoder = decoder(attention);
        decoder.blocks.truncate(1);
        let graph = lower(&decoder).unwrap();
        let model = ModelDescription { settings, ..ModelDescription::new(&decoder) };
        let weights: BTreeMap<_, _> = graph
            .weights()
            .map(|(tensor, _, _)| {
                let floats = WeightForm::Floats(ElementType::Float);
                let form = if tensor.is_quantizable() { matrices } else { floats };
                (tensor, Weight { name: tensor.to_string(), shape: vec![32, 32], form })
            })
            .collect();
        let plan = Plan { decoder: &decoder, settings: Settings::of(&model), weights };
        translate(&plan, &graph).unwrap()
    }

    /// The nodes of a model of one layer in floats, one per line.
    fn nodes(attention: &Attention) -> String {
        let floats = WeightForm::Floats(ElementType::Float);
        let translated = translated(attention, &ExportSettings::default(), floats);
        let line = |node: &crate::proto::OnnxNode| {
            format!("{} = {}({})\n", node.outputs.join(", "), node.op_type, node.inputs.join(", "))
        };
        translated.graph.nodes.iter().map(line).collect()
    }

    #[test]
    fn products_with_blocks_have_the_stated_precision() {
        let blocks = WeightForm::Blocks(BlockForm {
            bits: 4,
            len: 32,
            has_zero_points: true,
            scales: ElementType::Float,
        });
        for (stated, expected) in [(None, 0), (Some("4"), 4)] {
            let mut settings = ExportSettings::default();
            settings.options.extend(stated.map(|level| ("accuracy-level".to_owned(), level.to_owned())));
            let translated = translated(&attention(), &settings, blocks);
            let products = translated.graph.nodes.iter().filter(|node| node.op_type == "MatMulNBits");
            let products: Vec<_> = products.collect();
            assert_eq!(products.len(), 8, "seven of the layer, and the head");
            for product in products {
                let level = ("accuracy_level", Attribute::Int(expected));
                assert!(product.attributes.contains(&level) && product.inputs.len() == 4, "{product:?}");
            }
            let view = translated.views.first().unwrap();
            assert_eq!((view.of.as_str(), view.dims.as_slice()), ("token-embedding_Q4", &[32, 16][..]));
        }
    }

    #[test]
    fn attention_norms_and_sums_are_fused() {
        expect![[r#"
            /token-embedding/Gather.0 = Gather(token-embedding, input_ids)
            /layers.0/attn-norm/SimplifiedLayerNormalization.1 = SimplifiedLayerNormalization(/token-embedding/Gather.0, block 0 attn-norm)
            /layers.0/attn-q/FusedMatMul.2 = FusedMatMul(/layers.0/attn-norm/SimplifiedLayerNormalization.1, block 0 attn-q)
            /layers.0/attn-k/FusedMatMul.3 = FusedMatMul(/layers.0/attn-norm/SimplifiedLayerNormalization.1, block 0 attn-k)
            /layers.0/attn-v/FusedMatMul.4 = FusedMatMul(/layers.0/attn-norm/SimplifiedLayerNormalization.1, block 0 attn-v)
            /lengths/ReduceSum.5 = ReduceSum(attention_mask, /constants/0)
            /lengths/Sub.6 = Sub(/lengths/ReduceSum.5, /constants/0)
            /lengths/Cast.7 = Cast(/lengths/Sub.6)
            /lengths/Shape.8 = Shape(attention_mask)
            /lengths/Gather.9 = Gather(/lengths/Shape.8, /constants/1)
            /lengths/Cast.10 = Cast(/lengths/Gather.9)
            /layers.0/attn-v/GroupQueryAttention.11, present.0.key, present.0.value = GroupQueryAttention(/layers.0/attn-q/FusedMatMul.2, /layers.0/attn-k/FusedMatMul.3, /layers.0/attn-v/FusedMatMul.4, past_key_values.0.key, past_key_values.0.value, /lengths/Cast.7, /lengths/Cast.10, cos_cache, sin_cache)
            /layers.0/attn-output/FusedMatMul.12 = FusedMatMul(/layers.0/attn-v/GroupQueryAttention.11, block 0 attn-output)
            /layers.0/ffn-norm/Norm.13, , , /layers.0/ffn-norm/Sum.13 = SkipSimplifiedLayerNormalization(/token-embedding/Gather.0, /layers.0/attn-output/FusedMatMul.12, block 0 ffn-norm)
            /layers.0/ffn-gate/FusedMatMul.14 = FusedMatMul(/layers.0/ffn-norm/Norm.13, block 0 ffn-gate)
            /layers.0/ffn-up/FusedMatMul.15 = FusedMatMul(/layers.0/ffn-norm/Norm.13, block 0 ffn-up)
            /layers.0/ffn-up/Sigmoid.16 = Sigmoid(/layers.0/ffn-gate/FusedMatMul.14)
            /layers.0/ffn-up/Mul.17 = Mul(/layers.0/ffn-gate/FusedMatMul.14, /layers.0/ffn-up/Sigmoid.16)
            /layers.0/ffn-up/Mul.18 = Mul(/layers.0/ffn-up/Mul.17, /layers.0/ffn-up/FusedMatMul.15)
            /layers.0/ffn-down/FusedMatMul.19 = FusedMatMul(/layers.0/ffn-up/Mul.18, block 0 ffn-down)
            /output-norm/Norm.20 = SkipSimplifiedLayerNormalization(/layers.0/ffn-norm/Sum.13, /layers.0/ffn-down/FusedMatMul.19, output-norm)
            logits = FusedMatMul(/output-norm/Norm.20, token-embedding)
        "#]].assert_eq(&nodes(&attention()));
    }

    #[test]
    fn norms_of_heads_stand_before_the_attention() {
        let found = nodes(&Attention { qk_norm: QkNorm::PerHead(NORM), ..attention() });
        let of_heads: String =
            found.lines().filter(|line| line.contains("attn-q")).map(|line| format!("{line}\n")).collect();
        expect![[r#"
            /layers.0/attn-q/FusedMatMul.2 = FusedMatMul(/layers.0/attn-norm/SimplifiedLayerNormalization.1, block 0 attn-q)
            /layers.0/attn-v/Reshape.5 = Reshape(/layers.0/attn-q/FusedMatMul.2, /constants/0)
            /layers.0/attn-q-norm/SimplifiedLayerNormalization.6 = SimplifiedLayerNormalization(/layers.0/attn-v/Reshape.5, block 0 attn-q-norm)
            /layers.0/attn-q-norm/Reshape.7 = Reshape(/layers.0/attn-k/FusedMatMul.3, /constants/1)
            /layers.0/attn-k-norm/SimplifiedLayerNormalization.8 = SimplifiedLayerNormalization(/layers.0/attn-q-norm/Reshape.7, block 0 attn-k-norm)
            /layers.0/attn-k-norm/Reshape.15 = Reshape(/layers.0/attn-q-norm/SimplifiedLayerNormalization.6, /constants/4)
        "#]].assert_eq(&of_heads);
    }

    #[test]
    fn adjacent_projections_are_one_input() {
        let found = nodes(&Attention { is_fused: true, ..attention() });
        assert!(!found.contains("Slice"), "{found}");
        expect!["/layers.0/attn-qkv/GroupQueryAttention.12, present.0.key, present.0.value = GroupQueryAttention(/layers.0/attn-qkv/FusedMatMul.2, , , past_key_values.0.key, past_key_values.0.value, /lengths/Cast.8, /lengths/Cast.11, cos_cache, sin_cache)"].assert_eq(found.lines().find(|line| line.contains("GroupQuery")).unwrap());
    }
}
