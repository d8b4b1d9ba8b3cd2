//! Tests of whole folders: what is written, what is found in it again, and what is refused.

use std::borrow::Cow;
use std::ops::Range;

use mc_decoder::kind::Kind;
use mc_decoder::kinds::experts::Experts;
use mc_decoder::program::Decoder;
use mc_exporter::export_settings::ExportSettings;
use mc_exporter::exporter::Exporter;
use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::plane::{EncodedTensor, Part, Plane};
use mc_exporter::planes_in_files::FileBytes;
use mc_exporter::quantization::UnencodedTensor;
use mc_exporter::source_file::SourceFile;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;
use proptest::prelude::*;

use crate::example_model::{attention, decoder};
use crate::exporter::OnnxExporter;

const FILES: &[SourceFile<'_>] =
    &[SourceFile { name: "config.json", bytes: None }, SourceFile { name: "tokenizer.json", bytes: None }];

struct File(String, Vec<u8>);

impl FileBytes for File {
    fn name(&self) -> &str {
        &self.0
    }

    fn n_bytes(&self) -> u64 {
        self.1.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>, FormatError> {
        let range = range.start as usize..range.end as usize;
        self.1.get(range).map(Cow::Borrowed).ok_or_else(|| FormatError::new("short"))
    }
}

fn settings(quantization: &str) -> ExportSettings {
    ExportSettings { quantization: quantization.to_owned(), ..ExportSettings::default() }
}

fn described<'a>(decoder: &'a Decoder, settings: &'a ExportSettings) -> ModelDescription<'a> {
    ModelDescription { files: FILES, settings, ..ModelDescription::new(decoder) }
}

/// The tensors of a model in the forms that a word selects.
fn encoded(model: &ModelDescription<'_>) -> Vec<EncodedTensor> {
    let words = OnnxExporter.quantizations();
    let word = words.iter().find(|word| word.name == model.settings.quantization).unwrap();
    let tensors = model.decoder.tensors().map(|needed| {
        let name = format!("model.{}.weight", needed.tensor.to_string().replace(' ', "."));
        let unencoded =
            UnencodedTensor { tensor: needed.tensor, name: &name, dtype: DType::BF16, shape: &needed.shape };
        let form = OnnxExporter.form(model, &unencoded, word).unwrap();
        EncodedTensor::of(needed.tensor, &name, form, needed.shape).unwrap()
    });
    tensors.collect()
}

/// The bytes of a plane: its number, again and again.
fn bytes_of(number: usize, plane: &Plane) -> Vec<u8> {
    vec![number as u8; plane.n_bytes as usize]
}

fn written(model: &ModelDescription<'_>) -> (Vec<Plane>, Vec<File>) {
    let tensors = encoded(model);
    let planes = OnnxExporter.layout(model, &tensors).unwrap();
    let files = OnnxExporter.write(model, &tensors, &planes).unwrap();
    let names: Vec<&String> = files.iter().map(|file| &file.name).collect();
    assert!(OnnxExporter.files(model, &planes).iter().eq(names));
    let bytes = |part: &Part| match part {
        Part::Bytes(bytes) => bytes.clone(),
        Part::Plane(number) => bytes_of(*number, &planes[*number]),
        Part::Zeros(n_bytes) => vec![0; *n_bytes as usize],
        Part::Source(name) => name.clone().into_bytes(),
    };
    let file = |file: &mc_exporter::written_file::WrittenFile| {
        File(format!("app/{}", file.name), file.parts.iter().flat_map(bytes).collect())
    };
    let files = files.iter().map(file).collect();
    (planes, files)
}

fn found(files: &[File]) -> Result<Vec<mc_exporter::planes_in_files::FoundPlane>, FormatError> {
    let files: Vec<&dyn FileBytes> = files.iter().map(|file| file as &dyn FileBytes).collect();
    OnnxExporter.find_planes(&files)
}

#[test]
fn every_plane_is_found_in_the_files() {
    let decoder = decoder(&attention());
    for word in ["f32", "f16", "int4-g32", "uint4-g16", "int8-g32", "uint8-g16"] {
        let settings = settings(word);
        let (planes, files) = written(&described(&decoder, &settings));
        let found = found(&files).unwrap();
        for (number, plane) in planes.iter().enumerate() {
            let one = found.iter().find(|found| found.name == plane.name).unwrap();
            assert_eq!((one.kind, &one.dims), (plane.kind, &plane.dims), "{word} {}", plane.name);
            let bytes = files[one.file].read(one.range.clone()).unwrap();
            assert_eq!(*bytes, bytes_of(number, plane), "{word} {}", plane.name);
        }
        // Besides the planes: constants and rotary tables, but no second view of the embedding.
        assert!(found.iter().all(|found| !found.name.ends_with(".rows")), "{word}");
    }
}

#[test]
fn the_folder_has_the_names_that_the_runtime_reads() {
    let (decoder, settings) = (decoder(&attention()), settings("int4-g32"));
    let (planes, files) = written(&described(&decoder, &settings));
    let names: Vec<&str> = files.iter().map(|file| file.0.as_str()).collect();
    let expected = ["app/model.onnx", "app/model.onnx.data", "app/genai_config.json", "app/tokenizer.json"];
    assert_eq!(names, expected);
    let dims: Vec<(&str, &[u64])> =
        planes.iter().take(2).map(|plane| (plane.name.as_str(), plane.dims.as_slice())).collect();
    let expected: [(&str, &[u64]); 2] = [
        ("model.token-embedding.weight_Q4", &[48, 1, 16]),
        ("model.token-embedding.weight_scales", &[48, 1]),
    ];
    assert_eq!(dims, expected);
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let (decoder, settings) = (decoder(&attention()), settings("uint4-g32"));
    let write =
        || written(&described(&decoder, &settings)).1.into_iter().map(|file| file.1).collect::<Vec<_>>();
    assert_eq!(write(), write());
}

#[test]
fn rows_that_are_not_whole_blocks_are_refused_with_the_words_that_fit() {
    let (decoder, settings) = (decoder(&attention()), settings("int4-g64"));
    let model = described(&decoder, &settings);
    let tensor = UnencodedTensor {
        tensor: ModelTensor::TokenEmbedding,
        name: "embed",
        dtype: DType::BF16,
        shape: &[48, 32],
    };
    let word = OnnxExporter.quantizations().iter().find(|word| word.name == "int4-g64").unwrap();
    let refusal = OnnxExporter.form(&model, &tensor, word).unwrap_err();
    assert_eq!(refusal.message, "Tensor `embed` has 32 columns, which are not whole blocks of `int4-g64`");
    let help = refusal.help.unwrap();
    assert!(help.starts_with("these fit: `int4-g32`, `int4-g16`, ") && !help.contains("g64"), "{help}");
}

fn refusals(decoder: &Decoder) -> Vec<String> {
    let settings = settings("f32");
    let refusals = OnnxExporter.accepts(&described(decoder, &settings));
    refusals.into_iter().map(|refusal| refusal.message).collect()
}

#[test]
fn models_beyond_the_runtime_are_refused() {
    assert_eq!(refusals(&decoder(&attention())), [""; 0]);
    let mut partial = attention();
    partial.rotary.as_mut().unwrap().n_dims = 8;
    let message = "`rope` rotates 8 dimensions of a head; ONNX Runtime's attention rotates multiples of 16";
    assert_eq!(refusals(&decoder(&partial)), [message]);
    let mut experts = decoder(&attention());
    experts.blocks[1].feed_forward = Kind::new(Experts {
        n_experts: 4,
        n_used: 2,
        n_ff: 32,
        activation: mc_decoder::activation::Activation::Silu,
        is_normalized: true,
        n_ff_dense: 32,
    });
    let found = refusals(&experts);
    assert!(found.len() == 1 && found[0].starts_with("Block 1 chooses among experts"), "{found:?}");
}

#[test]
fn a_missing_tokenizer_is_refused_unless_allowed() {
    let (decoder, settings) = (decoder(&attention()), settings("f32"));
    let model = ModelDescription { files: &[], ..described(&decoder, &settings) };
    let codes: Vec<_> = OnnxExporter.accepts(&model).into_iter().map(|refusal| refusal.code).collect();
    assert_eq!(codes, [Some("onnx::tokenizer")]);
}

#[test]
fn an_accuracy_level_beyond_the_runtimes_is_refused() {
    let decoder = decoder(&attention());
    let mut settings = settings("int4-g32");
    settings.options.insert("accuracy-level".to_owned(), "5".to_owned());
    let refusals = OnnxExporter.accepts(&described(&decoder, &settings));
    assert_eq!(refusals[0].message, "`accuracy-level` is 5; ONNX Runtime has the levels 0 to 4");
}

#[test]
fn a_damaged_location_is_an_error() {
    let (decoder, settings) = (decoder(&attention()), settings("f32"));
    let (_, mut files) = written(&described(&decoder, &settings));
    let shorter = files[1].1.len() - 1;
    files[1].1.truncate(shorter);
    let message = found(&files).unwrap_err().message;
    assert!(message.contains("ends after the"), "{message}");
    files.remove(1);
    let message = found(&files).unwrap_err().message;
    assert!(message.ends_with("is in `app/model.onnx.data`, which is missing"), "{message}");
    assert_eq!(found(&[]).unwrap_err().message, "There is no `model.onnx` among the files");
}

proptest! {
    #[test]
    fn damaged_models_never_panic(changes in proptest::collection::vec((0_usize..20_000, any::<u8>()), 1..20)) {
        let (decoder, settings) = (decoder(&attention()), settings("int4-g32"));
        let (_, mut files) = written(&described(&decoder, &settings));
        for (at, byte) in changes {
            let at = at % files[0].1.len();
            files[0].1[at] = byte;
        }
        drop(found(&files));
    }
}
