//! The toy model in every format whose files do not describe themselves, measured from the bytes of these files.

use std::sync::Arc;

use mc_encoding::codec::Rows;
use mc_exporter::change::Change;
use mc_exporter::export_settings::ExportSettings;
use mc_exporter::exporter::Exporter;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::model_facts::ModelFacts;
use mc_exporter::plane::{EncodedTensor, Part};
use mc_exporter::quantization::{Quantization, UnencodedTensor};
use mc_exporter::refusal::Refusal;
use mc_exporter::source_file::SourceFile;
use mc_family::tokenizer::vocabulary::vocabulary;
use mc_family::tokenizer_files::TokenizerFiles;
use mc_ir::attribute::{Number, Value};
use mc_tensor::dtype::DType;

use crate::evaluate::metric::Row;
use crate::evaluate::metrics::parity::Parity;
use crate::evaluate::toy_gate::{Bytes, TOKENIZER, Tensor, artifact, checks, config, label, tensors, toy};
use crate::evaluate::verdict::Check;
use crate::export::export_info::ExportInfo;
use crate::exporters::EXPORTERS;
use crate::inference::subject::Subject;
use crate::inference::written_model::WrittenModel;
use crate::source::export_tensors::change_of;

/// The formats without a reader for whole files.
fn formats() -> impl Iterator<Item = &'static dyn Exporter> {
    EXPORTERS.iter().copied().filter(|exporter| exporter.container().is_none())
}

/// A tensor with the bytes of its planes.
type Stored = (EncodedTensor, Vec<Vec<u8>>);

/// Stores a tensor in the form that the format selects.
fn stored(
    exporter: &dyn Exporter,
    model: &ModelDescription<'_>,
    (weight, bytes): &Tensor,
    change: Option<Change>,
    quantization: &Quantization,
) -> Result<Stored, Refusal> {
    let add = match change {
        None => 0.0,
        Some(Change::Add(value)) => value,
        Some(change) => panic!("{change:?} is not for this model"),
    };
    let shape = weight.shape();
    let unencoded =
        UnencodedTensor { tensor: weight.tensor, name: &weight.name, dtype: DType::F32, shape: &shape };
    let form = exporter.form(model, &unencoded, quantization)?;
    let encoded = EncodedTensor::of(weight.tensor, &weight.name, form, shape.clone())
        .map_err(|error| Refusal::new(error.to_string()))?;
    let x: Vec<f32> =
        bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()) + add).collect();
    let mut planes = vec![Vec::new(); form.plane_names().len()];
    let n_cols = *shape.last().unwrap() as usize;
    form.encode(&Rows { x: &x, n_cols, importance: None }, &mut planes);
    Ok((encoded, planes))
}

/// Returns the toy with the numbers of a seed in a format; its checkpoint has those of seed 0.
///
/// * `break_file`: changes the bytes of a file after it was written
fn written(
    exporter: &'static dyn Exporter,
    quantization: &Quantization,
    seed: u32,
    break_file: impl Fn(&str, &mut Vec<u8>),
) -> Result<(ExportInfo, Bytes), Refusal> {
    written_as(toy(0).0.model.family, exporter, quantization, seed, break_file)
}

/// Like [`written`], with the norms of a family.
fn written_as(
    family: &'static str,
    exporter: &'static dyn Exporter,
    quantization: &Quantization,
    seed: u32,
    break_file: impl Fn(&str, &mut Vec<u8>),
) -> Result<(ExportInfo, Bytes), Refusal> {
    let (mut export, mut bytes) = toy(0);
    export.model.family = family;
    let decoder = export.model.decoder.clone();
    let settings = ExportSettings { quantization: quantization.name.to_owned(), ..ExportSettings::default() };
    let configuration = config().to_string().into_bytes();
    let sources = [("config.json", configuration.as_slice()), ("tokenizer.json", TOKENIZER)];
    let sources = sources.map(|(name, bytes)| SourceFile { name, bytes: Some(bytes) });
    let files = TokenizerFiles { config: b"{}", tokenizer: Some(TOKENIZER), ..TokenizerFiles::default() };
    let vocabulary = vocabulary(&files, decoder.n_vocab, &decoder.family).unwrap();
    let facts = ModelFacts::default();
    let model = ModelDescription {
        vocabulary: Some(&vocabulary),
        facts: Some(&facts),
        files: &sources,
        settings: &settings,
        ..ModelDescription::new(&decoder)
    };
    let stored: Vec<Stored> = tensors(&decoder, seed)
        .iter()
        .map(|tensor| {
            let change = change_of(exporter, &export.model, tensor.0.tensor);
            stored(exporter, &model, tensor, change, quantization)
        })
        .collect::<Result<_, _>>()?;
    let encoded: Vec<EncodedTensor> = stored.iter().map(|(encoded, _)| encoded.clone()).collect();
    let planes = exporter.layout(&model, &encoded)?;
    let mut names = Vec::new();
    for file in exporter.write(&model, &encoded, &planes).unwrap() {
        let mut content = Vec::new();
        for part in file.parts {
            match part {
                Part::Bytes(bytes) => content.extend(bytes),
                Part::Plane(number) => {
                    let plane = &planes[number];
                    content.extend(&stored[plane.tensor].1[plane.plane]);
                }
                Part::Zeros(n_bytes) => content.resize(content.len() + n_bytes as usize, 0),
                Part::Source(name) => content.extend(model.file(&name).unwrap()),
            }
        }
        break_file(&file.name, &mut content);
        let output = format!("written {}", file.name);
        bytes.known.insert(output.clone(), content);
        names.push((file.name, artifact(&output)));
    }
    export.format = exporter.name();
    export.whole = names[0].1.clone();
    export.written = Some(Arc::new(WrittenModel { files: names, tensors: encoded, planes }));
    Ok((export, bytes))
}

/// Returns the verdict lines of `parity`.
fn parity(written: (ExportInfo, Bytes)) -> Vec<Check> {
    let properties = [
        ("on", Value::Label(label("held-out"))),
        ("max-kl", Value::Number(Number(0.0))),
        ("max-tokens", Value::Integer(4)),
    ];
    checks(&const { Row::of::<Parity>() }, written, properties)
}

#[test]
fn unquantized_files_of_every_format_are_on_par_and_those_of_another_model_are_not() {
    for exporter in formats() {
        let plain = exporter.quantizations().iter().find(|word| word.name == "f32").unwrap();
        let same = parity(written(exporter, plain, 0, |_, _| {}).unwrap());
        let values: Vec<Option<f64>> = same.iter().map(|check| check.value).collect();
        assert_eq!(values, [0.0, 1.0, 1.0].map(Some), "{}", exporter.name());
        let other = parity(written(exporter, plain, 7, |_, _| {}).unwrap());
        assert!(!other[0].passed, "{}", exporter.name());
    }
}

#[test]
fn norms_that_a_checkpoint_stores_less_one_are_whole_in_every_format() {
    for exporter in formats() {
        let plain = exporter.quantizations().iter().find(|word| word.name == "f32").unwrap();
        let same = parity(written_as("gemma2", exporter, plain, 0, |_, _| {}).unwrap());
        assert_eq!(same[0].value, Some(0.0), "{}", exporter.name());
    }
}

#[test]
fn quantized_files_of_every_format_are_decoded() {
    for exporter in formats() {
        let plain = exporter.quantizations().iter().find(|word| word.name == "f32").unwrap();
        let other = parity(written(exporter, plain, 7, |_, _| {}).unwrap()).remove(0);
        let mut n_decoded = 0;
        for word in exporter.quantizations() {
            // Rows of 32 columns are not whole groups of every word.
            let Ok(written) = written(exporter, word, 0, |_, _| {}) else { continue };
            let kl = parity(written).remove(0);
            let share = kl.value.unwrap() / other.value.unwrap();
            let bound = if word.bits_per_weight < 4.0 { 0.5 } else { 0.1 };
            assert!(share < bound, "{}: {share} of another model's divergence", word.name);
            n_decoded += 1;
        }
        assert!(n_decoded > 1, "{}", exporter.name());
    }
}

#[test]
fn files_that_differ_from_the_plan_are_refused() {
    for exporter in formats() {
        let plain = exporter.quantizations().iter().find(|word| word.name == "f32").unwrap();
        let name = "model.layers.0.mlp.up_proj";
        let misnamed = |_: &str, bytes: &mut Vec<u8>| {
            let starts: Vec<usize> = (0..bytes.len().saturating_sub(name.len()))
                .filter(|at| bytes[*at..].starts_with(name.as_bytes()))
                .collect();
            for start in starts {
                bytes[start + name.len() - 1] = b'k';
            }
        };
        let (export, bytes) = written(exporter, plain, 0, misnamed).unwrap();
        let (model, inputs) = Subject::of_written(export.format, &export.model, &export.written.unwrap());
        let refused = model.open(&bytes.running(&inputs), 0).map(drop).unwrap_err().to_string();
        assert!(refused.contains("are not what was planned:") && refused.contains("is missing"), "{refused}");
    }
}
