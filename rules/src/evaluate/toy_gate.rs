//! A model for the tests of metrics: small enough to run, as a file and as a checkpoint, with a gate around
//! it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use mc_decoder::needed::Needed;
use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_digest::digest::BlobDigest;
use mc_encoding::blocks::plain::F32;
use mc_exporter::exporter::Exporter;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::model_facts::ModelFacts;
use mc_exporter::plane::{EncodedTensor, Part};
use mc_expression::expression::TensorExpr;
use mc_expression::operators::load::Load;
use mc_family::families::for_config;
use mc_family::tokenizer::vocabulary::vocabulary;
use mc_family::tokenizer_files::TokenizerFiles;
use mc_ir::action::{
    Action, ActionContext, ActionError, ActionKind, ActionNode, Artifact, Content, Input, Piece, Source,
};
use mc_ir::attribute::{Place, Placed, Record, Value};
use mc_ir::label::{Label, PackageId};
use mc_ir::origin::Origin;
use mc_ir::output::{Output, Outputs};
use mc_ir::provider::Providers;
use mc_ir::rule::{DependencyFailed, Head, HeadFormat, RuleContext, SourceError};
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;
use serde_json::json;

use crate::evaluate::gated_model::GatedModel;
use crate::evaluate::judge::Judge;
use crate::evaluate::metric::Row;
use crate::evaluate::verdict::{Check, Verdict};
use crate::export::export_info::ExportInfo;
use crate::exporters::EXPORTERS;
use crate::source::dataset::{DatasetInfo, DatasetKind};
use crate::source::model_info::{ModelFiles, ModelInfo, Weight};

/// The tokenizer of the toy.
pub(crate) const TOKENIZER: &[u8] = include_bytes!("../../../compiler/family/tests/data/tokenizer.json");
const ITEMS: &str = "A boat at sea\nWhere is the hexagon?\n";

/// Configuration of a family whose weights are equal in a file and in a checkpoint, so one model can be both.
pub(crate) fn config() -> serde_json::Value {
    json!({
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_act": "silu",
        "hidden_size": 32,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "num_key_value_heads": 1,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": true,
        "vocab_size": 4100,
    })
}

/// A tensor of the toy model: its name, its shape, and its bytes.
pub(crate) type Tensor = (Weight, Vec<u8>);

/// Returns the tensors of a toy model; each seed gives different numbers.
pub(crate) fn tensors(decoder: &Decoder, seed: u32) -> Vec<Tensor> {
    let family = for_config(&config()).unwrap();
    let tensor = |needed: Needed| {
        let name = family.checkpoint_name(needed.tensor, None).unwrap();
        let n_elements = needed.shape.iter().product::<u64>() as u32;
        let number = |index: u32| (index + seed).wrapping_mul(2_654_435_761) >> 16;
        let bytes = (0..n_elements).flat_map(|index| (number(index) as f32 / 65536.0 - 0.5).to_le_bytes());
        let source = Source { path: Path::new(&name).into(), range: None };
        let weight = Weight {
            tensor: needed.tensor,
            part: None,
            name,
            dtype: DType::F32,
            expression: TensorExpr::new(Load { input: 0, dtype: DType::F32, shape: needed.shape }),
            inputs: vec![Input::Source(source)],
        };
        (weight, bytes.collect())
    };
    family.tensors(decoder).map(tensor).collect()
}

/// The format of the file.
pub(crate) fn format() -> &'static dyn Exporter {
    EXPORTERS.iter().copied().find(|format| format.container().is_some()).unwrap()
}

/// Returns a file of the toy model with a vocabulary and these tensors.
pub(crate) fn file(vocabulary: &Vocabulary, tensors: &[(ModelTensor, Vec<u64>, Vec<u8>)]) -> Vec<u8> {
    let family = for_config(&config()).unwrap();
    let decoder = family.decoder(&config()).unwrap();
    let facts = ModelFacts { recipe: F32.name.to_owned(), ..ModelFacts::default() };
    let model = ModelDescription {
        vocabulary: Some(vocabulary),
        facts: Some(&facts),
        ..ModelDescription::new(&decoder)
    };
    let encoded = |(tensor, shape, _): &(ModelTensor, Vec<u64>, Vec<u8>)| {
        EncodedTensor::blocks(*tensor, "", &F32, shape.clone())
    };
    let encoded: Vec<EncodedTensor> = tensors.iter().map(encoded).collect();
    let planes = format().layout(&model, &encoded).unwrap();
    let mut file = Vec::new();
    for part in format().write(&model, &encoded, &planes).unwrap().remove(0).parts {
        match part {
            Part::Bytes(bytes) => file.extend(bytes),
            Part::Plane(number) => file.extend(&tensors[planes[number].tensor].2),
            Part::Zeros(n_bytes) => file.resize(file.len() + n_bytes as usize, 0),
            Part::Source(name) => unreachable!("{name} is not part of this format"),
        }
    }
    file
}

/// Returns the toy model as a file.
fn written(decoder: &Decoder, tensors: &[Tensor]) -> Vec<u8> {
    let files = TokenizerFiles { config: b"{}", tokenizer: Some(TOKENIZER), ..TokenizerFiles::default() };
    let vocabulary = vocabulary(&files, decoder.n_vocab, &decoder.family).unwrap();
    let tensor = |(weight, bytes): &Tensor| (weight.tensor, weight.shape(), bytes.clone());
    file(&vocabulary, &tensors.iter().map(tensor).collect::<Vec<_>>())
}

/// An action that never runs here.
struct Elsewhere(Vec<String>);

impl Action for Elsewhere {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "elsewhere", version: 1 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn outputs(&self) -> Vec<String> {
        self.0.clone()
    }

    fn describe(&self) -> String {
        String::new()
    }

    fn run(&self, _: &dyn ActionContext) -> Result<Outputs, ActionError> {
        unreachable!("its outputs are given")
    }
}

/// An artifact with this name.
pub(crate) fn artifact(output: &str) -> Artifact {
    ActionNode::new(label("elsewhere"), Box::new(Elsewhere(vec![output.to_owned()])), Vec::new())
        .artifact(output)
}

/// A label of the root package.
pub(crate) fn label(name: &str) -> Label {
    Label::new(PackageId(String::new()), name)
}

/// A gate with a dataset; it ignores names.
pub(crate) struct ToyGate {
    label: Label,
    record: Record,
    dataset: Arc<Providers>,
}

impl ToyGate {
    /// The gate.
    pub(crate) fn new() -> Self {
        let data = DatasetInfo {
            name: "held-out".to_owned(),
            files: Vec::new(),
            kind: DatasetKind::Text,
            items: artifact("items"),
        };
        let dataset = Arc::new(Providers::default().with(data));
        Self { label: label("gate"), record: Record::new(Place(0)), dataset }
    }
}

impl RuleContext for ToyGate {
    fn label(&self) -> &Label {
        &self.label
    }

    fn record(&self) -> &Record {
        &self.record
    }

    fn providers(&self, _: &Label) -> Result<Arc<Providers>, DependencyFailed> {
        Ok(Arc::clone(&self.dataset))
    }

    fn read(&self, _: &str) -> Result<Arc<[u8]>, SourceError> {
        unreachable!("metrics read no files")
    }

    fn read_head(&self, _: &str, _: HeadFormat) -> Result<Head, SourceError> {
        unreachable!("metrics read no files")
    }

    fn list(&self, _: &str) -> Result<Arc<[String]>, SourceError> {
        unreachable!("metrics read no files")
    }

    fn glob(&self, _: &str) -> Result<Arc<[String]>, SourceError> {
        unreachable!("metrics read no files")
    }

    fn source(&self, _: &str) -> Source {
        unreachable!("metrics read no files")
    }

    fn fetched(&self, _: &Origin) -> Result<String, SourceError> {
        unreachable!("metrics read no files")
    }
}

/// The bytes of sources and artifacts by their names, and the outputs of actions.
#[derive(Default)]
pub(crate) struct Bytes {
    /// The bytes.
    pub(crate) known: BTreeMap<String, Vec<u8>>,
    written: Mutex<BTreeMap<BlobDigest, Vec<u8>>>,
}

/// An action that runs with these inputs.
struct Running<'a>(&'a Bytes, &'a [Input]);

impl Running<'_> {
    fn bytes(&self, index: usize) -> Vec<u8> {
        let name = match &self.1[index] {
            Input::Source(source) => source.path.to_str().unwrap(),
            Input::Artifact(artifact) => &artifact.output,
        };
        self.0.known.get(name).unwrap_or_else(|| panic!("`{name}` is unknown")).clone()
    }
}

impl ActionContext for Running<'_> {
    fn input(&self, index: usize) -> Result<Content, ActionError> {
        Ok(Content { parts: vec![Piece::whole(Arc::new(self.bytes(index)))] })
    }

    fn input_digest(&self, index: usize) -> Output {
        Output::File(BlobDigest::of(&self.bytes(index)))
    }

    fn write_blob(
        &self,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), ActionError>,
    ) -> Result<BlobDigest, ActionError> {
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        let digest = BlobDigest::of(&bytes);
        self.0.written.lock().unwrap().insert(digest, bytes);
        Ok(digest)
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Bytes {
    /// The context of an action with these inputs.
    pub(crate) fn running<'a>(&'a self, inputs: &'a [Input]) -> impl ActionContext + 'a {
        Running(self, inputs)
    }

    /// Runs an action and stores its output under this name.
    pub(crate) fn run(&mut self, action: &dyn Action, inputs: &[Input], output: &str) {
        let outputs = action.run(&Running(self, inputs)).unwrap();
        let bytes = self.written.lock().unwrap()[&outputs[output].parts()[0]].clone();
        self.known.insert(output.to_owned(), bytes);
    }
}

/// Returns the model of a gate, quantized with the numbers of this seed and unquantized with those of seed 0,
/// and the bytes of both.
pub(crate) fn toy(seed: u32) -> (ExportInfo, Bytes) {
    let family = for_config(&config()).unwrap();
    let decoder = family.decoder(&config()).unwrap();
    let source = |path: &str| Source { path: Path::new(path).into(), range: None };
    let weights = tensors(&decoder, 0);
    let mut known = BTreeMap::from([
        ("config.json".to_owned(), config().to_string().into_bytes()),
        ("tokenizer.json".to_owned(), TOKENIZER.to_vec()),
        ("items".to_owned(), ITEMS.as_bytes().to_vec()),
        ("model".to_owned(), written(&decoder, &tensors(&decoder, seed))),
    ]);
    known.extend(weights.iter().map(|(weight, bytes)| (weight.name.clone(), bytes.clone())));
    let model = ModelInfo {
        name: "toy".to_owned(),
        about: std::sync::Arc::default(),
        known_as: Vec::new(),
        is_quantized: false,
        family: family.name(),
        decoder,
        weights: weights.into_iter().map(|(weight, _)| weight).collect(),
        factors: [].into(),
        files: ModelFiles::of(source("config.json"), source("tokenizer.json")),
        lineage: [].into(),
    };
    let info = ExportInfo {
        format: format().name(),
        whole: artifact("model"),
        files: vec![artifact("model")],
        file_names: Vec::new(),
        written: None,
        reports: artifact("tensors.json"),
        name: "toy".to_owned(),
        identity: mc_exporter::identity::Identity::default(),
        recipe: "F32".to_owned(),
        types: Vec::new(),
        n_tensor_bytes: 0,
        model,
        calibration: None,
    };
    (info, Bytes { known, ..Bytes::default() })
}

/// Returns the verdict lines of a node with these properties, whose actions are created as workers do.
///
/// * `seed`: that of the numbers in the file; the checkpoint has those of seed 0
pub(crate) fn toy_checks<const N: usize>(row: &Row, seed: u32, properties: [(&str, Value); N]) -> Vec<Check> {
    checks(row, toy(seed), properties)
}

/// Returns the verdict lines of a node with these properties, for an exported model.
pub(crate) fn checks<const N: usize>(
    row: &Row,
    (export, mut bytes): (ExportInfo, Bytes),
    properties: [(&str, Value); N],
) -> Vec<Check> {
    let mut node = Record::new(Place(0));
    for (name, value) in properties {
        node.properties.insert(name.to_owned(), Placed { value, place: Place(0) });
    }
    let plan = (row.plan)(&GatedModel { ctx: &ToyGate::new(), export: &export }, &node).unwrap();
    let mut inputs = Vec::new();
    for (index, result) in plan.results.iter().enumerate() {
        let node = Arc::clone(&result.node);
        // A worker receives only the parameters.
        let action = (row.remote.unwrap().make)(&node.action.parameters()).unwrap();
        bytes.run(&*action, &node.inputs, &result.output);
        let found = bytes.known.remove(&result.output).unwrap();
        let name = format!("{index}");
        bytes.known.insert(name.clone(), found);
        inputs.push(Input::Source(Source { path: Path::new(&name).into(), range: None }));
    }
    bytes.run(&Judge::new(vec![plan]), &inputs, "verdict.json");
    Verdict::from_json(&bytes.known["verdict.json"]).unwrap().checks
}
