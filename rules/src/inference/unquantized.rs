//! An unexported model in the form that is measured: a program, weights as expressions, and the tokenizer's
//! files.
//!
//! It is created from a [`ModelInfo`] or from the parameters that it returns itself, and holds nothing else.
//! So every property that can change a measured number is in the action's key, and a worker can measure with
//! the action alone.

use std::cell::Cell;
use std::sync::Arc;

use mc_decoder::program::Decoder;
use mc_exporter::exporter::Exporter;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::decode::Decode;
use mc_expression::operators::load::Load;
use mc_expression::operators::stack::Stack;
use mc_graph::rotary::RotaryPairing;
use mc_ir::action::{ActionContext, ActionError, Input};
use mc_runtime::backends::BackendEntry;
use mc_runtime::error::RuntimeError;
use mc_runtime::model::Model;
use mc_runtime::weight::Weight as RuntimeWeight;
use mc_runtime::weight_bytes::WeightBytes;
use mc_runtime::weights::Weights;
use mc_tensor::convert;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;
use rayon::prelude::*;

use crate::action::evaluation::{action_error, evaluator};
use crate::exporters;
use crate::inference::opened::{Opened, dimensions, tensor_error};
use crate::source::export_tensors::{ExportTensor, described, export_tensors, factor_tensors, run_tensors};
use crate::source::model_info::ModelInfo;
use crate::source::token_files::{Contents, tokenizer_of, vocabulary_of};

/// Number of elements that are computed at once while a merged weight is loaded.
const TILE_ELEMENTS: usize = 1 << 18;

/// The parameters that precede the weights.
const FILES: &str = "files";
const FAMILY: &str = "family";
const PROGRAM: &str = "program";

/// An unexported model.
#[derive(Clone, Debug)]
pub(crate) struct Unquantized {
    /// The roles of the tokenizer's files, which are the first inputs.
    roles: Vec<String>,
    /// The family's name.
    family: String,
    /// Its program; rotary pairs as in `weights`.
    program: Decoder,
    /// The weights, computed from the other inputs.
    weights: Vec<Weight>,
}

#[derive(Clone, Debug)]
struct Weight {
    tensor: ModelTensor,
    /// Its inputs are numbered from 0.
    expression: TensorExpr,
    n_inputs: usize,
}

impl Weight {
    fn new(tensor: ModelTensor, expression: TensorExpr) -> Self {
        let n_inputs = expression.n_inputs();
        Self { tensor, expression, n_inputs }
    }
}

impl Unquantized {
    /// Creates the model; also returns the inputs of an action that measures it.
    pub(crate) fn of(info: &ModelInfo) -> (Self, Vec<Input>) {
        let files = info.files.tokenizer_sources();
        let mut inputs: Vec<Input> = files.iter().map(|(_, source)| Input::Source(source.clone())).collect();
        let mut weights = Vec::new();
        for ExportTensor { tensor, expression, inputs: read } in measured(info) {
            let weight = Weight::new(tensor, expression);
            inputs.extend(read.into_iter().take(weight.n_inputs));
            weights.push(weight);
        }
        let roles = files.into_iter().map(|(role, _)| role).collect();
        let program = info.decoder.clone().with_pairing(pairing(info));
        (Self { roles, family: info.family.to_owned(), program, weights }, inputs)
    }

    /// Returns the number of its inputs.
    pub(crate) fn n_inputs(&self) -> usize {
        self.roles.len() + self.weights.iter().map(|weight| weight.n_inputs).sum::<usize>()
    }

    /// Returns the purposes of its weights, in their order.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = ModelTensor> {
        self.weights.iter().map(|weight| weight.tensor)
    }

    /// Returns every parameter that affects the model, except the inputs' bytes.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let program = serde_json::to_string(&self.program).expect("a program has text keys");
        let mut parameters = vec![
            (FILES.to_owned(), self.roles.join(" ")),
            (FAMILY.to_owned(), self.family.clone()),
            (PROGRAM.to_owned(), program),
        ];
        let weight = |weight: &Weight| (weight.tensor.to_string(), weight.expression.to_string());
        parameters.extend(self.weights.iter().map(weight));
        parameters
    }

    /// Creates the model with these parameters.
    ///
    /// # Errors
    /// A message if no model has them.
    pub(crate) fn of_parameters(parameters: &[(String, String)]) -> Result<Self, String> {
        let [(files, roles), (family, name), (program, text), weights @ ..] = parameters else {
            return Err(format!("Expected the parameters `{FILES}`, `{FAMILY}` and `{PROGRAM}`"));
        };
        if (files.as_str(), family.as_str(), program.as_str()) != (FILES, FAMILY, PROGRAM) {
            let message = format!("Found `{files}`, `{family}` and `{program}`");
            return Err(format!("Expected the parameters `{FILES}`, `{FAMILY}` and `{PROGRAM}`. {message}"));
        }
        let weight = |(name, text): &(String, String)| {
            let tensor =
                ModelTensor::parse(name).ok_or_else(|| format!("Tensor `{name}` has an unknown purpose"))?;
            let expression = TensorExpr::parse(text).map_err(|error| error.to_string())?;
            Ok::<_, String>(Weight::new(tensor, expression))
        };
        Ok(Self {
            roles: roles.split(' ').map(str::to_owned).collect(),
            family: name.clone(),
            program: serde_json::from_str(text).map_err(|error| format!("Parameter `{PROGRAM}`: {error}"))?,
            weights: weights.iter().map(weight).collect::<Result<_, _>>()?,
        })
    }

    /// Opens the model. Its inputs are those of the action from `first` on.
    ///
    /// # Errors
    /// Fails if its files cannot be read or contradict each other.
    pub(crate) fn open(
        &self,
        ctx: &dyn ActionContext,
        first: usize,
        backend: &BackendEntry,
    ) -> Result<Opened, ActionError> {
        let backend = backend.open().map_err(ActionError::failed)?;
        let contents = Contents::of_roles(ctx, &self.roles, first)?;
        let vocabulary = vocabulary_of(&contents, &self.program)?;
        let tokenizer = tokenizer_of(&contents, &self.program)?;
        let mut weights = Weights::new();
        let mut first = first + self.roles.len();
        for weight in &self.weights {
            ctx.go_on()?;
            let runtime = weight.runtime(first, ctx)?;
            first += weight.n_inputs;
            let runtime = runtime.map_err(|error| tensor_error(&weight.tensor.to_string(), &error))?;
            weights.insert(weight.tensor, runtime);
        }
        let model = Model::with_backend(&self.program, weights, backend).map_err(ActionError::failed)?;
        let template_place = contents.template_place();
        Ok(Opened { model, tokenizer: Arc::new(tokenizer), vocabulary, template_place })
    }
}

/// Returns the weights to run. Those from a container keep its layout, so that blocks stay blocks and every
/// bit is that of the file.
fn measured(info: &ModelInfo) -> Vec<ExportTensor> {
    if let Some(format) = read_from(info) {
        return factor_tensors(info).into_iter().chain(export_tensors(format, info)).collect();
    }
    run_tensors(info)
}

/// Returns the order of rotary pairs in the weights to run.
fn pairing(info: &ModelInfo) -> RotaryPairing {
    read_from(info).map_or(RotaryPairing::HalfSplit, |format| format.pairing(&described(info)))
}

/// Returns the format from which the model was read, if it was a container.
fn read_from(info: &ModelInfo) -> Option<&'static dyn Exporter> {
    info.files.head.as_ref().and_then(|head| exporters::by_name(head.format))
}

impl Weight {
    fn runtime(
        &self,
        first: usize,
        ctx: &dyn ActionContext,
    ) -> Result<Result<RuntimeWeight, RuntimeError>, ActionError> {
        let shape = dimensions(&self.expression.shape())?;
        if let Some(Stack { of }) = self.expression.get()
            && are_in_order(of)
        {
            return self.stack(of, first, ctx);
        }
        if let Some(Decode { codec, .. }) = self.expression.get() {
            let content = ctx.input(first)?;
            let bytes = match content.parts.as_slice() {
                [piece] => WeightBytes::new(Arc::clone(&piece.bytes), piece.range.clone()),
                _ => Ok(WeightBytes::owned(content.to_contiguous().into_owned())),
            };
            return Ok(bytes.and_then(|bytes| RuntimeWeight::blocks(shape, codec, bytes)));
        }
        let bytes = self.bytes(first, ctx)?;
        Ok(RuntimeWeight::plain(shape, self.element_type(), bytes))
    }

    /// Returns the type of the expression; f32 for vectors that are computed, since containers store them so.
    fn element_type(&self) -> DType {
        let is_stored = self.expression.get::<Load>().is_some() || self.tensor.is_quantizable();
        if is_stored { self.expression.element_type() } else { DType::F32 }
    }

    /// Loads each part separately, so that parts that need no computation stay mapped.
    fn stack(
        &self,
        of: &[TensorExpr],
        first: usize,
        ctx: &dyn ActionContext,
    ) -> Result<Result<RuntimeWeight, RuntimeError>, ActionError> {
        let mut parts = Vec::with_capacity(of.len());
        let mut next = 0;
        for expression in of {
            let start = next;
            let part = Self::new(self.tensor, expression.map_inputs(&|input| input - start));
            match part.runtime(first + start, ctx)? {
                Ok(part) => parts.push(part),
                Err(error) => return Ok(Err(error)),
            }
            next += part.n_inputs;
        }
        Ok(RuntimeWeight::stack(parts))
    }

    /// Returns the weight's bytes in its own type: mapped if they need no computation, else computed.
    fn bytes(&self, first: usize, ctx: &dyn ActionContext) -> Result<WeightBytes, ActionError> {
        if self.expression.get::<Load>().is_some() {
            let content = ctx.input(first)?;
            if let [piece] = content.parts.as_slice() {
                return WeightBytes::new(Arc::clone(&piece.bytes), piece.range.clone())
                    .map_err(ActionError::failed);
            }
        }
        let dtype = self.element_type();
        let expression = self.expression.map_inputs(&|input| first + input);
        let evaluator = evaluator(&expression, ctx)?;
        let rows_per_tile = (TILE_ELEMENTS / evaluator.n_cols().max(1)).max(1);
        let row_bytes = evaluator.n_cols() * dtype.n_bytes();
        let n_rows = usize::try_from(evaluator.n_rows()).map_err(ActionError::failed)?;
        let mut bytes = vec![0; n_rows * row_bytes];
        bytes.par_chunks_mut(rows_per_tile * row_bytes).enumerate().try_for_each(|(tile, bytes)| {
            ctx.go_on()?;
            let mut values = vec![0.0; bytes.len() / dtype.n_bytes()];
            evaluator.rows((tile * rows_per_tile) as u64, &mut values).map_err(action_error)?;
            convert::from_f32(dtype, &values, bytes);
            Ok::<_, ActionError>(())
        })?;
        Ok(WeightBytes::owned(bytes))
    }
}

/// Returns true if each part reads its own inputs, in the order of the parts.
fn are_in_order(parts: &[TensorExpr]) -> bool {
    let mut start = 0;
    parts.iter().all(|part| {
        let end = Cell::new(start);
        let is_own = Cell::new(true);
        drop(part.map_inputs(&|input| {
            is_own.set(is_own.get() && input >= start);
            end.set(end.get().max(input + 1));
            input
        }));
        start = end.get();
        is_own.get()
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mc_expression::operators::add_low_rank::AddLowRank;
    use mc_expression::operators::cast::Cast;
    use mc_family::families::for_config;
    use mc_ir::action::Source;
    use serde_json::json;

    use super::*;
    use crate::source::model_info::{self, ModelFiles};

    fn info(expression: TensorExpr) -> ModelInfo {
        let config = json!({
            "architectures": ["LlamaForCausalLM"],
            "hidden_act": "silu",
            "hidden_size": 8,
            "intermediate_size": 16,
            "max_position_embeddings": 64,
            "num_attention_heads": 2,
            "num_hidden_layers": 1,
            "num_key_value_heads": 1,
            "rms_norm_eps": 1e-5,
            "rope_theta": 500000.1,
            "vocab_size": 32,
        });
        let family = for_config(&config).unwrap();
        let source = |path: &str| Source { path: Path::new(path).into(), range: None };
        let weight = |tensor| model_info::Weight {
            tensor,
            part: None,
            name: "weight".to_owned(),
            dtype: expression.element_type(),
            inputs: (0..expression.n_inputs()).map(|n| Input::Source(source(&n.to_string()))).collect(),
            expression: expression.clone(),
        };
        ModelInfo {
            name: "base".to_owned(),
            family: family.name(),
            about: Arc::default(),
            factors: [].into(),
            known_as: Vec::new(),
            is_quantized: false,
            decoder: family.decoder(&config).unwrap(),
            weights: [ModelTensor::TokenEmbedding, ModelTensor::AttnQ { block: 0 }].map(weight).into(),
            files: ModelFiles::of(source("config.json"), source("tokenizer.json")),
            lineage: [].into(),
        }
    }

    #[test]
    fn a_model_is_recreated_from_its_parameters() {
        let load = |input| TensorExpr::new(Load { input, dtype: DType::BF16, shape: vec![4, 8] });
        let sum = AddLowRank { of: load(0), up: load(1), down: load(2), scale: 2.0 };
        let merged = TensorExpr::new(Cast { dtype: DType::BF16, of: TensorExpr::new(sum) });
        let (model, inputs) = Unquantized::of(&info(merged));
        assert_eq!(inputs.len(), 2 + 2 * 3);
        assert_eq!(model.n_inputs(), inputs.len());
        let parameters = model.parameters();
        let again = Unquantized::of_parameters(&parameters).unwrap();
        assert_eq!(again.parameters(), parameters);
        assert_eq!(again.program, model.program);
        assert_eq!(again.n_inputs(), inputs.len());
        assert!(again.tensors().eq([ModelTensor::TokenEmbedding, ModelTensor::AttnQ { block: 0 }]));
        for cut in 0..3 {
            assert!(Unquantized::of_parameters(&parameters[..cut]).is_err());
        }
    }

    #[test]
    fn the_program_is_among_the_parameters() {
        let load = TensorExpr::new(Load { input: 0, dtype: DType::F32, shape: vec![4, 8] });
        let mut info = info(load);
        let before = Unquantized::of(&info).0.parameters();
        info.decoder.output_norm.epsilon = 1e-6;
        assert_ne!(Unquantized::of(&info).0.parameters(), before);
    }
}
