//! The tensors of an adapter's GGUF file: two for each matrix that it changes, in the order of the adapter's
//! file, with the experts of a layer stacked.
//!
//! llama.cpp scales every product by the file's single alpha and the rank of the tensor. If the adapter's own
//! scale differs (rank-stabilized LoRA, ranks and alphas of single modules), the rest of the factor is
//! multiplied into `lora_b`, so that the result is that of a merge.
//!
//! Source: `convert_lora_to_gguf.py`, `llama-adapter.cpp` and `llama-graph.cpp` of llama.cpp.

use std::collections::BTreeMap;

use mc_decoder::program::Head;
use mc_encoding::codec::Codec;
use mc_encoding::stored_form::StoredForm;
use mc_exporter::change::Change as WireChange;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::load::Load;
use mc_expression::operators::permute_heads::PermuteHeads;
use mc_expression::operators::quantize::Quantize;
use mc_expression::operators::scale::Scale;
use mc_expression::operators::stack::Stack;
use mc_expression::operators::transpose::Transpose;
use mc_family::adapter::change::{Change, FactorName, Layout, LowRankPair, WeightChange};
use mc_family::adapter::matching::{BaseTensors, match_adapter};
use mc_family::family::Family;
use mc_family::names::Found;
use mc_gguf::exporter::GgufExporter;
use mc_gguf::layout::TensorPlan;
use mc_gguf::names::wire_name;
use mc_gguf::tensor_type::TensorType;
use mc_ir::action::{Artifact, Input};
use mc_ir::attribute::Record;
use mc_ir::label::Label;
use mc_tensor::model_tensor::ModelTensor;

use crate::action::target_action::target_action;
use crate::quantize::tensor_action::{TENSOR, TensorAction};
use crate::source::adapter::AdapterInfo;
use crate::source::export_tensors::change_of;
use crate::transform::adapter_weights::{check_dtype, stored};

/// Reason why an adapter cannot be written as such a file.
pub(crate) struct Refusal {
    /// The error's code.
    pub(crate) code: &'static str,
    /// Message for the user.
    pub(crate) message: String,
    /// Help for the user.
    pub(crate) help: Option<&'static str>,
}

fn unsupported(message: String) -> Refusal {
    let help = "Merge the adapter into its base (`merge`) and write that";
    Refusal { code: "adapter-gguf::unsupported", message, help: Some(help) }
}

fn does_not_fit(message: String) -> Refusal {
    Refusal { code: "merge::adapter", message, help: None }
}

/// An adapter to write.
pub(crate) struct Export<'a> {
    /// The adapter.
    pub(crate) adapter: &'a AdapterInfo,
    /// Its base's family.
    pub(crate) family: &'a dyn Family,
    /// The codec of its numbers.
    pub(crate) codec: &'static Codec,
}

/// One tensor of the file.
pub(crate) struct FactorTensor {
    name: String,
    factor: Factor,
    codec: &'static Codec,
}

impl FactorTensor {
    /// Returns its position in the file, and the action that creates it.
    pub(crate) fn step(self, owner: &Label, record: &Record) -> (TensorPlan, Artifact) {
        let dims = self.factor.of.shape().into_iter().rev().collect();
        let (codec, name) = (self.codec, self.name);
        let expression = TensorExpr::new(Quantize::new(codec, None, self.factor.of));
        let action = TensorAction { expression, form: StoredForm::Blocks(codec), name: name.clone() };
        let node = target_action(owner, record, action, self.factor.inputs);
        let kind = TensorType::of(codec).expect("files have a type for each that the rule offers, and F16");
        (TensorPlan { name, kind, dims }, node.artifact(TENSOR))
    }
}

/// A matrix, and the sources of its values.
struct Factor {
    of: TensorExpr,
    inputs: Vec<Input>,
}

/// `lora_a` and `lora_b`.
struct Pair {
    a: Factor,
    b: Factor,
}

/// One expert's share of a tensor.
struct Expert {
    number: u32,
    pair: Pair,
}

/// The experts of a layer found so far, by the position of their tensor in the family's order.
type Experts = BTreeMap<(usize, ModelTensor), Vec<Expert>>;

/// Returns the factor that remains for `lora_b`: llama.cpp multiplies by `alpha / rank` itself.
fn rest_of_scale(pair: &LowRankPair, alpha: f64) -> f32 {
    (f64::from(pair.rank) * pair.scale / alpha) as f32
}

impl Export<'_> {
    /// Returns the alpha in the file. llama.cpp reads 0 for an adapter without one.
    pub(crate) fn alpha(&self) -> f64 {
        match self.adapter.config.alpha {
            0.0 => 1.0,
            alpha => alpha,
        }
    }

    /// Returns all tensors.
    ///
    /// # Errors
    /// A refusal if the adapter does not fit its base, or makes a change that such a file cannot hold.
    pub(crate) fn tensors(&self) -> Result<Vec<FactorTensor>, Refusal> {
        let changes = self.changes()?;
        let mut n_parts: BTreeMap<Option<u32>, usize> = BTreeMap::new();
        for change in &changes {
            if let Some(Found { tensor, part: Some(_) }) = self.family.find(&change.weight_name) {
                *n_parts.entry(tensor.block()).or_default() += 1;
            }
        }
        let mut pending: BTreeMap<Option<u32>, Experts> = BTreeMap::new();
        let mut tensors = Vec::new();
        for change in &changes {
            let (found, pair) = self.pair(change)?;
            let Some(number) = found.part else {
                tensors.extend(self.named(found.tensor, pair));
                continue;
            };
            let block = found.tensor.block();
            let experts = pending.entry(block).or_default();
            let place = self.place_of(found.tensor);
            experts.entry((place, found.tensor)).or_default().push(Expert { number, pair });
            if n_parts.get(&block) == Some(&experts.values().map(Vec::len).sum()) {
                for ((_, tensor), experts) in pending.remove(&block).unwrap_or_default() {
                    let stacked = self.stacked(tensor, experts)?;
                    tensors.extend(self.named(tensor, stacked));
                }
            }
        }
        Ok(tensors)
    }

    /// Returns the changes of the adapter, in the order of its file.
    fn changes(&self) -> Result<Vec<WeightChange>, Refusal> {
        let model = &self.adapter.model;
        let mut shapes: Vec<_> =
            model.weights.iter().map(|weight| (weight.name.clone(), weight.shape())).collect();
        let name = |tensor| self.family.checkpoint_name(tensor, None);
        let (embedding, head) = (name(ModelTensor::TokenEmbedding), name(ModelTensor::Output));
        if model.decoder.head == Head::Tied
            && let Some(head) = head.clone().filter(|head| shapes.iter().all(|(name, _)| name != head))
            && let Some(weight) =
                model.weights.iter().find(|weight| weight.tensor == ModelTensor::TokenEmbedding)
        {
            shapes.push((head, weight.shape()));
        }
        let by_token: Vec<String> = [embedding, head].into_iter().flatten().collect();
        let tensors = &self.adapter.tensors;
        let stored: Vec<_> =
            tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
        let base = BaseTensors { tensors: &shapes, by_token: &by_token };
        let mut changes = match_adapter(&self.adapter.config, &stored, &base)
            .map_err(|error| does_not_fit(error.to_string()))?;
        // The tensor under a trained embedding equals the base's: PEFT saves it as a precaution.
        changes.retain(|change| {
            !matches!(&change.change, Change::Replace { with } if with.ends_with(".base_layer.weight"))
        });
        let place = |name: &str| tensors.iter().position(|tensor| tensor.name == name);
        changes.sort_by_key(|change| match &change.change {
            Change::AddLowRank(pair) => place(&pair.down.name).min(place(&pair.up.name)),
            Change::Replace { with: name }
            | Change::AddVector { values: name, .. }
            | Change::ReplaceRows { with: name, .. } => place(name),
        });
        Ok(changes)
    }

    /// Returns the position of a tensor of experts among those of its layer.
    fn place_of(&self, tensor: ModelTensor) -> usize {
        let order = self.family.names().expert;
        let of_block = |block| order.iter().position(|(_, _, of)| of(block) == tensor);
        tensor.block().and_then(of_block).unwrap_or(order.len())
    }

    /// Returns the tensor that a change affects, and the pair that it adds.
    fn pair(&self, change: &WeightChange) -> Result<(Found, Pair), Refusal> {
        let weight = &change.weight_name;
        let Change::AddLowRank(pair) = &change.change else {
            return Err(unsupported(format!(
                "The adapter replaces `{weight}`, which llama.cpp's adapters do not support"
            )));
        };
        if pair.lengths.is_some() {
            return Err(unsupported(
                "The adapter is a DoRA, which llama.cpp's adapters do not support".to_owned(),
            ));
        }
        if matches!(pair.layout, Layout::Stacked { .. }) {
            return Err(unsupported(format!(
                "The adapter changes `{weight}`, the experts of a layer as one parameter; llama.cpp's adapters hold \
                 experts that were trained as modules of their own"
            )));
        }
        let found = self.family.find(weight);
        // The router is treated as an ordinary matrix here, though no recipe quantizes it.
        let is_matrix =
            |tensor: ModelTensor| tensor.is_quantizable() || matches!(tensor, ModelTensor::FfnGateInp { .. });
        let is_embedding = found.is_some_and(|found| found.tensor == ModelTensor::TokenEmbedding);
        let Some(found) = found.filter(|found| is_matrix(found.tensor) && pair.up.is_turned == is_embedding)
        else {
            return Err(unsupported(format!(
                "The adapter changes `{weight}`, which llama.cpp's adapters do not support"
            )));
        };
        let is_of_tokens = matches!(found.tensor, ModelTensor::TokenEmbedding | ModelTensor::Output);
        if is_of_tokens && self.adapter.model.decoder.head == Head::Tied {
            return Err(unsupported(format!(
                "The adapter changes `{weight}`, which its base uses both as token embedding and as head; llama.cpp \
                 uses one tensor for both and aborts when it computes the head"
            )));
        }
        Ok((found, self.factors(found.tensor, pair)?))
    }

    fn factors(&self, tensor: ModelTensor, pair: &LowRankPair) -> Result<Pair, Refusal> {
        // llama.cpp looks up rows of an embedding, so `lora_a` has a row for each token.
        let (a, b) = match tensor {
            ModelTensor::TokenEmbedding => (&pair.up, FactorName { is_turned: false, ..pair.down.clone() }),
            _ => (&pair.down, pair.up.clone()),
        };
        let (a, mut b) = (self.load(a)?, self.load(&b)?);
        let factor = rest_of_scale(pair, self.alpha());
        if factor != 1.0 {
            b.of = TensorExpr::new(Scale { of: b.of, factor });
        }
        let change = change_of(&GgufExporter, &self.adapter.model, tensor);
        if let Some(WireChange::Interleave { n_heads }) = change {
            b.of = TensorExpr::new(PermuteHeads { n_heads: n_heads.into(), of: b.of });
        }
        Ok(Pair { a, b })
    }

    fn load(&self, factor: &FactorName) -> Result<Factor, Refusal> {
        let stored = stored(self.adapter, &factor.name);
        check_dtype(stored).map_err(does_not_fit)?;
        let load = Load { input: 0, dtype: stored.dtype, shape: stored.shape.clone() };
        let load = TensorExpr::new(load);
        let of = match factor.is_turned {
            true => TensorExpr::new(Transpose { of: load }),
            false => load,
        };
        Ok(Factor { of, inputs: vec![Input::Source(stored.source.clone())] })
    }

    /// Stacks the pairs of all experts.
    fn stacked(&self, tensor: ModelTensor, mut experts: Vec<Expert>) -> Result<Pair, Refusal> {
        let weights = self.adapter.model.weights.iter();
        let n_experts = weights.filter(|weight| weight.tensor == tensor && weight.part.is_some()).count();
        let name = wire_name(tensor);
        if experts.len() != n_experts {
            return Err(unsupported(format!(
                "The adapter changes {} of the {n_experts} experts that llama.cpp holds as `{name}`; its adapters \
                 change all of them or none",
                experts.len()
            )));
        }
        experts.sort_by_key(|expert| expert.number);
        let rank = |expert: &Expert| expert.pair.a.of.shape()[0];
        if let Some((first, other)) =
            experts.first().zip(experts.iter().find(|expert| rank(expert) != rank(&experts[0])))
        {
            return Err(unsupported(format!(
                "The adapter has rank {} for expert {} of what llama.cpp holds as `{name}`, and {} for expert {}; its \
                 adapters need one rank for all",
                rank(first),
                first.number,
                rank(other),
                other.number
            )));
        }
        let (a, b): (Vec<_>, Vec<_>) =
            experts.into_iter().map(|expert| (expert.pair.a, expert.pair.b)).unzip();
        Ok(Pair { a: stack(a), b: stack(b) })
    }

    fn named(&self, tensor: ModelTensor, pair: Pair) -> [FactorTensor; 2] {
        let name = wire_name(tensor);
        let named = |end: &str, factor: Factor| {
            let n_cols = factor.of.shape().last().copied().unwrap_or(0);
            let is_whole = n_cols.is_multiple_of(self.codec.block_len as u64);
            let codec = if is_whole { self.codec } else { &mc_encoding::blocks::plain::F16 };
            FactorTensor { name: format!("{name}.{end}"), factor, codec }
        };
        [named("lora_a", pair.a), named("lora_b", pair.b)]
    }
}

fn stack(factors: Vec<Factor>) -> Factor {
    let (mut of, mut inputs) = (Vec::new(), Vec::new());
    for factor in factors {
        let first = inputs.len();
        of.push(factor.of.map_inputs(&|input| first + input));
        inputs.extend(factor.inputs);
    }
    Factor { of: TensorExpr::new(Stack { of }), inputs }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use mc_decoder::needed::Needed;
    use mc_family::adapter::AdapterConfig;
    use mc_family::families::for_config;
    use mc_ir::action::Source;
    use mc_ir::label::PackageId;
    use mc_tensor::dtype::DType;
    use serde_json::{Value, json};

    use super::*;
    use crate::source::model_info::{ModelFiles, ModelInfo, Weight};
    use crate::source::weights::StoredTensor;

    fn source(path: &str) -> Source {
        Source { path: Arc::from(Path::new(path)), range: None }
    }

    /// Returns a small Mixtral with two experts.
    fn mixture(is_tied: bool) -> ModelInfo {
        let config = json!({
            "architectures": ["MixtralForCausalLM"], "hidden_act": "silu", "hidden_size": 8,
            "intermediate_size": 16, "max_position_embeddings": 8, "num_attention_heads": 2,
            "num_hidden_layers": 1, "num_key_value_heads": 1, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "tie_word_embeddings": is_tied, "vocab_size": 10, "num_local_experts": 2, "num_experts_per_tok": 1,
        });
        let family = for_config(&config).unwrap();
        let decoder = family.decoder(&config).unwrap();
        let weight = |Needed { tensor, part, shape }: Needed| Weight {
            tensor,
            part,
            name: family.checkpoint_name(tensor, part).unwrap(),
            dtype: DType::BF16,
            expression: TensorExpr::new(Load { input: 0, dtype: DType::BF16, shape }),
            inputs: vec![Input::Source(source("base"))],
        };
        ModelInfo {
            name: String::new(),
            about: Arc::default(),
            known_as: Vec::new(),
            factors: [].into(),
            is_quantized: false,
            family: family.name(),
            weights: family.tensors(&decoder).map(weight).collect(),
            decoder,
            files: ModelFiles::of(source("config.json"), source("tokenizer.json")),
            lineage: [].into(),
        }
    }

    /// Returns the tensors of a file with pairs for these modules, or the refusal.
    fn reported(is_tied: bool, more: Value, modules: &[(&str, u64)]) -> Result<Vec<String>, String> {
        let model = mixture(is_tied);
        let tensors = modules.iter().flat_map(|(module, rank)| {
            let named = |weight: &&Weight| weight.name == format!("{module}.weight");
            let shape = model.weights.iter().find(named).map_or(vec![10, 8], Weight::shape);
            let (rows, columns) = (shape[0], shape[1]);
            let pair = match module.ends_with("embed_tokens") {
                true => [("lora_embedding_A", [*rank, rows]), ("lora_embedding_B", [columns, *rank])],
                false => [("lora_A.weight", [*rank, columns]), ("lora_B.weight", [rows, *rank])],
            };
            pair.map(|(end, shape)| StoredTensor {
                name: format!("base_model.model.{module}.{end}"),
                dtype: DType::F32,
                shape: shape.to_vec(),
                source: source("adapter"),
                file: "adapter".to_owned(),
            })
        });
        let tensors = tensors.collect();
        let mut config = json!({ "peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["all"] });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let adapter = AdapterInfo {
            base: Label::new(PackageId(String::new()), "base"),
            config: AdapterConfig::from_json(&config.to_string()).unwrap(),
            model,
            tensors,
            tokenizer: None,
            licenses: Vec::new(),
            is_of_any_base: false,
            card: crate::source::front_matter::FrontMatter::default(),
            published: crate::source::about::Published::default(),
        };
        let family = mc_family::families::by_name(adapter.model.family).unwrap();
        let export = Export { adapter: &adapter, family, codec: &mc_encoding::blocks::plain::F32 };
        let shown = |tensor: FactorTensor| {
            let shape = tensor.factor.of.shape();
            format!("{} {shape:?} of {}", tensor.name, tensor.factor.inputs.len())
        };
        export
            .tensors()
            .map(|tensors| tensors.into_iter().map(shown).collect())
            .map_err(|refusal| refusal.message)
    }

    const EXPERT: &str = "model.layers.0.block_sparse_moe.experts";

    #[test]
    fn a_stack_takes_the_position_of_its_last_expert() {
        let (first, second) = (format!("{EXPERT}.0.w2"), format!("{EXPERT}.1.w2"));
        let router = "model.layers.0.block_sparse_moe.gate";
        let found = reported(false, json!({}), &[(&second, 2), (router, 2), (&first, 2)]).unwrap();
        let expected = [
            "blk.0.ffn_gate_inp.weight.lora_a [2, 8] of 1",
            "blk.0.ffn_gate_inp.weight.lora_b [2, 2] of 1",
            "blk.0.ffn_down_exps.weight.lora_a [2, 2, 16] of 2",
            "blk.0.ffn_down_exps.weight.lora_b [2, 8, 2] of 2",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn experts_that_do_not_form_a_stack_are_refused() {
        let (first, second) = (format!("{EXPERT}.0.w2"), format!("{EXPERT}.1.w2"));
        assert_eq!(
            reported(false, json!({}), &[(&second, 2)]).unwrap_err(),
            "The adapter changes 1 of the 2 experts that llama.cpp holds as `blk.0.ffn_down_exps.weight`; its adapters \
             change all of them or none"
        );
        let pattern = json!({ "rank_pattern": { "experts.1.w2": 3 } });
        assert_eq!(
            reported(false, pattern, &[(&first, 2), (&second, 3)]).unwrap_err(),
            "The adapter has rank 2 for expert 0 of what llama.cpp holds as `blk.0.ffn_down_exps.weight`, and 3 for \
             expert 1; its adapters need one rank for all"
        );
    }

    #[test]
    fn a_tied_weight_is_refused_and_untied_ones_are_not() {
        for module in ["model.embed_tokens", "lm_head"] {
            let refusal = reported(true, json!({}), &[(module, 2)]).unwrap_err();
            let start = format!("The adapter changes `{module}.weight`, which its base uses both");
            assert!(refusal.starts_with(&start), "{refusal}");
            assert_eq!(reported(false, json!({}), &[(module, 2)]).unwrap().len(), 2);
        }
    }
}
