//! Whole folders: what is written, what is found in them again, and what is refused.

use std::borrow::Cow;
use std::ops::Range;

use expect_test::{Expect, expect};
use mc_decoder::activation::Activation;
use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::norm::Norm;
use mc_decoder::program::{Block, Decoder, Head, Scales};
use mc_decoder::rotary::Rotary;
use mc_exporter::export_settings::ExportSettings;
use mc_exporter::exporter::Exporter;
use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::plane::{EncodedTensor, Part, Plane};
use mc_exporter::planes_in_files::{FileBytes, FoundPlane};
use mc_exporter::quantization::UnencodedTensor;
use mc_exporter::source_file::SourceFile;
use mc_graph::rotary::{RotaryPairing, RotaryScaling};
use mc_mlx::exporter::MlxExporter;
use mc_tensor::dtype::DType;
use proptest::prelude::*;

const NORM: Norm = Norm { epsilon: 1e-5 };

/// A program of two layers whose rows have 64 or 128 columns.
fn decoder() -> Decoder {
    let attention = Attention {
        n_heads: 2,
        n_kv_heads: 1,
        head_dim: 32,
        scale: 0.25,
        is_fused: false,
        qkv_bias: false,
        output_bias: false,
        qk_norm: QkNorm::None,
        rotary: Some(Rotary {
            n_dims: 32,
            base: 10_000.0,
            scaling: RotaryScaling::None,
            pairing: RotaryPairing::HalfSplit,
        }),
        window: None,
        soft_cap: None,
    };
    let block = Block {
        attn_norm: Some(NORM),
        mixer: Kind::new(attention),
        post_attn_norm: None,
        ffn_norm: Some(NORM),
        feed_forward: Kind::new(GatedFeedForward {
            n_ff: 128,
            activation: Activation::Silu,
            is_fused: false,
        }),
        post_ffn_norm: None,
    };
    Decoder {
        family: "llama".to_owned(),
        context_length: 256,
        n_embd: 64,
        n_vocab: 48,
        blocks: vec![block; 2],
        output_norm: NORM,
        head: Head::Untied,
        scales: Scales::ONE,
        logit_soft_cap: None,
    }
}

fn with_attention(change: impl Fn(&mut Attention)) -> Decoder {
    let mut decoder = decoder();
    decoder.blocks.iter_mut().filter_map(Block::attention_mut).for_each(change);
    decoder
}

fn settings(quantization: &str, options: &[(&str, &str)]) -> ExportSettings {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ExportSettings {
        quantization: quantization.to_owned(),
        options: options.collect(),
        ..ExportSettings::default()
    }
}

fn files(config: &str) -> [SourceFile<'_>; 2] {
    ["config.json", "tokenizer.json"].map(|name| SourceFile { name, bytes: Some(config.as_bytes()) })
}

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

/// The tensors of a model in the forms that a word selects.
fn encoded(model: &ModelDescription<'_>) -> Vec<EncodedTensor> {
    let words = MlxExporter.quantizations();
    let word = words.iter().find(|word| word.name == model.settings.quantization).unwrap();
    let tensors = model.decoder.tensors().map(|needed| {
        let name = format!("model.{}.weight", needed.tensor.to_string().replace(' ', "."));
        let unencoded =
            UnencodedTensor { tensor: needed.tensor, name: &name, dtype: DType::BF16, shape: &needed.shape };
        let form = MlxExporter.form(model, &unencoded, word).unwrap();
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
    let planes = MlxExporter.layout(model, &tensors).unwrap();
    let files = MlxExporter.write(model, &tensors, &planes).unwrap();
    assert!(MlxExporter.files(model, &planes).iter().eq(files.iter().map(|file| &file.name)));
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

fn found(files: &[File]) -> Result<Vec<FoundPlane>, FormatError> {
    let files: Vec<&dyn FileBytes> = files.iter().map(|file| file as &dyn FileBytes).collect();
    MlxExporter.find_planes(&files)
}

/// Compares the configuration that is written for a checkpoint's configuration.
fn check_config(decoder: &Decoder, settings: &ExportSettings, config: &str, expected: &Expect) {
    let sources = files(config);
    let model = ModelDescription { files: &sources, settings, ..ModelDescription::new(decoder) };
    let (_, files) = written(&model);
    let config = files.iter().find(|file| file.0 == "app/config.json").unwrap();
    expected.assert_eq(str::from_utf8(&config.1).unwrap());
}

fn check_refusals(decoder: &Decoder, settings: &ExportSettings, expected: &Expect) {
    let sources = files("{}");
    let model = ModelDescription { files: &sources, settings, ..ModelDescription::new(decoder) };
    let refusals = MlxExporter.accepts(&model);
    let line = |refusal: &mc_exporter::refusal::Refusal| {
        format!("{} | {:?} | {:?}\n", refusal.message, refusal.help, refusal.code)
    };
    expected.assert_eq(&refusals.iter().map(line).collect::<String>());
}

#[test]
fn every_plane_is_found_in_the_files() {
    let (decoder, sources) = (decoder(), files("{}"));
    for word in ["affine-3-g32", "affine-4-g64", "mxfp8", "nvfp4", "mixed-4-6", "f32"] {
        let settings = settings(word, &[]);
        let model =
            ModelDescription { files: &sources, settings: &settings, ..ModelDescription::new(&decoder) };
        let (planes, files) = written(&model);
        let found = found(&files).unwrap();
        assert_eq!(found.len(), planes.len(), "{word}");
        for (number, plane) in planes.iter().enumerate() {
            let one = found.iter().find(|found| found.name == plane.name).unwrap();
            assert_eq!((one.kind, &one.dims), (plane.kind, &plane.dims), "{word} {}", plane.name);
            assert_eq!(*files[one.file].read(one.range.clone()).unwrap(), bytes_of(number, plane));
        }
    }
}

#[test]
fn the_configuration_states_the_quantization_and_what_the_checkpoint_leaves_out() {
    let config = r#"{"vocab_size": 48, "_name_or_path": "x", "rms_norm_eps": 1e-05,
        "rope_parameters": {"rope_theta": 500000.0, "rope_type": "linear", "factor": 2.0}}"#;
    check_config(
        &decoder(),
        &settings("affine-4-g64", &[]),
        config,
        &expect![[r#"
            {
                "model_type": "llama",
                "quantization": {
                    "group_size": 64,
                    "bits": 4,
                    "mode": "affine"
                },
                "quantization_config": {
                    "group_size": 64,
                    "bits": 4,
                    "mode": "affine"
                },
                "rms_norm_eps": 1e-05,
                "rope_parameters": {
                    "rope_theta": 500000.0,
                    "rope_type": "linear",
                    "factor": 2.0
                },
                "rope_scaling": {
                    "factor": 2.0,
                    "rope_theta": 500000.0,
                    "rope_type": "linear"
                },
                "rope_theta": 500000.0,
                "tie_word_embeddings": false,
                "vocab_size": 48
            }"#]],
    );
}

#[test]
fn short_contexts_have_the_short_factors() {
    let mut decoder = with_attention(|attention| {
        let scaling = RotaryScaling::LongRope { original_context: 64, attention_factor: 1.0, factors: None };
        attention.rotary.as_mut().unwrap().scaling = scaling;
    });
    decoder.family = "phi3".to_owned();
    check_config(
        &decoder,
        &settings("bf16", &[("short-context", "true")]),
        r#"{"model_type": "phi3", "rope_scaling": {"rope_type": "longrope", "long_factor": [2.5], "short_factor": [1.01]}}"#,
        &expect![[r#"
            {
                "model_type": "phi3",
                "rope_scaling": {
                    "long_factor": [
                        1.01
                    ],
                    "rope_type": "longrope",
                    "short_factor": [
                        1.01
                    ],
                    "type": "longrope"
                }
            }"#]],
    );
    check_refusals(&decoder, &settings("bf16", &[("short-context", "true")]), &expect![""]);
    check_refusals(
        &decoder,
        &settings("bf16", &[]),
        &expect![[r#"
            mlx-lm takes the long factors of the scaling `longrope` at every length, so it computes another model in conversations of up to 64 tokens | Some("`short-context #true` writes the short factors in their place, for conversations of up to 64 tokens") | Some("mlx::short-factor")
        "#]],
    );
}

#[test]
fn windows_that_the_class_ignores_are_refused() {
    let mut decoder = with_attention(|attention| attention.window = Some(32));
    check_refusals(
        &decoder,
        &settings("bf16", &[]),
        &expect![[r#"
            mlx-lm ignores the attention window of 32 tokens in models of its class `llama`, so it computes another model in longer conversations | Some("`short-context #true` states that conversations have at most 32 tokens") | Some("mlx::window")
        "#]],
    );
    // Windows in some layers are written as their types.
    decoder.blocks[1].attention_mut().unwrap().window = None;
    check_refusals(&decoder, &settings("bf16", &[]), &expect![""]);
    check_config(
        &decoder,
        &settings("f16", &[]),
        "{\"sliding_window\": 32}",
        &expect![[r#"
            {
                "layer_types": [
                    "sliding_attention",
                    "full_attention"
                ],
                "model_type": "llama",
                "sliding_window": 32,
                "tie_word_embeddings": false
            }"#]],
    );
}

#[test]
fn a_group_that_does_not_divide_a_row_is_refused_with_those_that_do() {
    let (decoder, settings) = (decoder(), settings("affine-4-g128", &[]));
    let model = ModelDescription { settings: &settings, ..ModelDescription::new(&decoder) };
    let word = |name: &str| MlxExporter.quantizations().iter().find(|word| word.name == name).unwrap();
    let refusal = |name: &str, n_cols: u64| {
        let tensor = decoder.tensors().next().unwrap().tensor;
        let tensor = UnencodedTensor { tensor, name: "x.weight", dtype: DType::BF16, shape: &[48, n_cols] };
        let refusal = MlxExporter.form(&model, &tensor, word(name)).unwrap_err();
        format!("{}; {}", refusal.message, refusal.help.unwrap())
    };
    expect!["Tensor `x.weight` has rows of 96 weights, which are not whole groups of 128, as `affine-4-g128` needs them; `affine-4-g32`, `mxfp4`, `nvfp4` fit; `tensor-type` with `bf16` leaves such tensors unquantized"]
        .assert_eq(&refusal("affine-4-g128", 96));
    expect!["Tensor `x.weight` has rows of 33 weights, which are not whole groups of 32, as `mxfp8` needs them; no group with 8 bits fits; `tensor-type` with `bf16` leaves such tensors unquantized"]
        .assert_eq(&refusal("mxfp8", 33));
}

#[test]
fn two_types_for_the_same_weights_are_refused() {
    let found = settings("f16", &[("dtype", "bf16")]);
    check_refusals(
        &decoder(),
        &found,
        &expect![[r#"
            `quantize "f16"` and `dtype "bf16"` name two types for the same weights | Some("Leave out `dtype`") | None
        "#]],
    );
}

#[test]
fn a_model_without_a_configuration_is_refused() {
    let decoder = decoder();
    let refusals = MlxExporter.accepts(&ModelDescription::new(&decoder));
    assert_eq!(
        refusals[0].message,
        "MLX needs the configuration of a checkpoint; this model has no `config.json`"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_searched_without_panic(bytes: Vec<u8>, index in 0..400_usize, byte: u8) {
        drop(found(&[File("model.safetensors".to_owned(), bytes)]));
        let (decoder, sources, settings) = (decoder(), files("{}"), settings("affine-4-g64", &[]));
        let model = ModelDescription { files: &sources, settings: &settings, ..ModelDescription::new(&decoder) };
        let (_, mut files) = written(&model);
        files[0].1[index] = byte;
        if let Ok(planes) = found(&files) {
            prop_assert!(planes.iter().all(|plane| plane.range.end <= files[plane.file].n_bytes()));
        }
    }
}
