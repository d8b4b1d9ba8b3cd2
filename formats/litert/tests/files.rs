//! Files of small models: their planes are found again, models that LiteRT cannot express are refused, and broken files
//! are errors.

use std::borrow::Cow;
use std::ops::Range;

use mc_decoder::activation::Activation;
use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::kinds::experts::Experts;
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::kinds::short_convolution::ShortConvolution;
use mc_decoder::norm::Norm;
use mc_decoder::pre_tokenizer::PreTokenizer;
use mc_decoder::program::{Block, Decoder, Head, Scales};
use mc_decoder::rotary::Rotary;
use mc_decoder::vocabulary::{SpecialTokens, TokenType, Vocabulary, VocabularyKind};
use mc_encoding::codec::Rows;
use mc_exporter::export_settings::ExportSettings;
use mc_exporter::exporter::Exporter;
use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::plane::{EncodedTensor, Part};
use mc_exporter::planes_in_files::FileBytes;
use mc_exporter::quantization::UnencodedTensor;
use mc_exporter::source_file::SourceFile;
use mc_graph::rotary::{RotaryPairing, RotaryScaling};
use mc_litert::exporter::LitertExporter;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;
use proptest::prelude::*;

const N_EMBD: u32 = 32;

fn attention() -> Attention {
    Attention {
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 16,
        scale: 0.25,
        is_fused: false,
        qkv_bias: true,
        output_bias: false,
        qk_norm: QkNorm::PerHead(Norm { epsilon: 1e-6 }),
        rotary: Some(Rotary {
            n_dims: 16,
            base: 10000.0,
            scaling: RotaryScaling::None,
            pairing: RotaryPairing::HalfSplit,
        }),
        window: Some(8),
        soft_cap: Some(30.0),
    }
}

fn block(mixer: Kind, feed_forward: Kind) -> Block {
    let norm = Some(Norm { epsilon: 1e-6 });
    Block { attn_norm: norm, mixer, post_attn_norm: None, ffn_norm: norm, feed_forward, post_ffn_norm: norm }
}

fn feed_forward() -> Kind {
    Kind::new(GatedFeedForward { n_ff: 64, activation: Activation::GeluTanh, is_fused: false })
}

fn decoder(blocks: Vec<Block>) -> Decoder {
    Decoder {
        family: "invented".to_owned(),
        context_length: 64,
        n_embd: N_EMBD,
        n_vocab: 48,
        blocks,
        output_norm: Norm { epsilon: 1e-6 },
        head: Head::Untied,
        scales: Scales { embedding: 2.0, residual: 1.0, logit_divisor: 1.0 },
        logit_soft_cap: Some(20.0),
    }
}

/// An attention with every option, and a convolution.
fn mixed() -> Decoder {
    let convolution = Kind::new(ShortConvolution { kernel_len: 3 });
    decoder(vec![block(Kind::new(attention()), feed_forward()), block(convolution, feed_forward())])
}

fn vocabulary() -> Vocabulary {
    let tokens: Vec<String> = (0..48).map(|id| format!("<{id}>")).collect();
    Vocabulary {
        kind: VocabularyKind::BytePair,
        pre_tokenizer: PreTokenizer::NONE,
        types: vec![TokenType::Normal; tokens.len()],
        tokens,
        scores: Vec::new(),
        merges: Vec::new(),
        special: SpecialTokens { bos: Some(1), eos: Some(2), stop: vec![2, 3], ..SpecialTokens::default() },
        space_prefix: None,
        chat_template: Some("{{ bos_token }}{{ messages[0].get('content') }}".to_owned()),
        named_templates: Vec::new(),
    }
}

struct File(Vec<u8>);

impl FileBytes for File {
    fn name(&self) -> &'static str {
        "model"
    }

    fn n_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>, FormatError> {
        let bytes = self.0.get(range.start as usize..range.end as usize);
        bytes.map(Cow::Borrowed).ok_or_else(|| FormatError::new("The file is too short"))
    }
}

fn settings(container: &str) -> ExportSettings {
    let options = [("container", container), ("prefill", "4 16")];
    let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ExportSettings { context: Some(32), options: options.into(), ..ExportSettings::default() }
}

/// A tensor with its planes.
struct Encoded {
    tensor: EncodedTensor,
    planes: Vec<Vec<u8>>,
}

fn encoded(decoder: &Decoder, word: &str) -> Vec<Encoded> {
    let model = ModelDescription::new(decoder);
    let quantization =
        LitertExporter.quantizations().iter().find(|quantization| quantization.name == word).unwrap();
    let one = |needed: mc_decoder::needed::Needed| {
        let mut shape = needed.shape;
        if matches!(needed.tensor, ModelTensor::ShortconvConv { .. }) {
            shape.remove(1);
        }
        let name = needed.tensor.to_string();
        let unencoded =
            UnencodedTensor { tensor: needed.tensor, name: &name, dtype: DType::BF16, shape: &shape };
        let form = LitertExporter.form(&model, &unencoded, quantization).unwrap();
        let n_cols = *shape.last().unwrap() as usize;
        let numbers: Vec<f32> =
            (0..shape.iter().product::<u64>()).map(|number| (number % 13) as f32 - 6.0).collect();
        let mut planes = vec![Vec::new(); form.plane_names().len()];
        form.encode(&Rows { x: &numbers, n_cols, importance: None }, &mut planes);
        Encoded { tensor: EncodedTensor::of(needed.tensor, &name, form, shape).unwrap(), planes }
    };
    decoder.tensors().map(one).collect()
}

/// The name of the file of a model, and its bytes.
fn written(decoder: &Decoder, word: &str, container: &str) -> (String, File) {
    written_with(decoder, word, &settings(container))
}

fn written_with(decoder: &Decoder, word: &str, settings: &ExportSettings) -> (String, File) {
    let vocabulary = vocabulary();
    let json = SourceFile { name: "tokenizer.json", bytes: Some(b"{}") };
    let model = ModelDescription {
        vocabulary: Some(&vocabulary),
        files: &[json],
        settings,
        ..ModelDescription::new(decoder)
    };
    assert_eq!(LitertExporter.accepts(&model), []);
    let encoded = encoded(decoder, word);
    let tensors: Vec<EncodedTensor> = encoded.iter().map(|encoded| encoded.tensor.clone()).collect();
    let planes = LitertExporter.layout(&model, &tensors).unwrap();
    let mut files = LitertExporter.write(&model, &tensors, &planes).unwrap();
    assert_eq!(LitertExporter.files(&model, &planes), [files[0].name.clone()]);
    let file = files.remove(0);
    let mut bytes = Vec::new();
    for part in &file.parts {
        match part {
            Part::Bytes(of_part) => bytes.extend_from_slice(of_part),
            Part::Plane(number) => {
                bytes.extend_from_slice(&encoded[planes[*number].tensor].planes[planes[*number].plane]);
            }
            Part::Zeros(n_bytes) => bytes.resize(bytes.len() + *n_bytes as usize, 0),
            Part::Source(name) => panic!("`{name}` is not a part"),
        }
    }
    (file.name, File(bytes))
}

#[test]
fn every_plane_is_found_in_the_written_file() {
    for word in ["f32", "int8-channel", "int4-channel", "int4-g32"] {
        for container in ["tflite", "litertlm"] {
            let decoder = mixed();
            let (name, file) = written(&decoder, word, container);
            assert_eq!(name, format!("model.{container}"));
            let found = LitertExporter.find_planes(&[&file]).unwrap();
            let encoded = encoded(&decoder, word);
            let tensors: Vec<EncodedTensor> = encoded.iter().map(|encoded| encoded.tensor.clone()).collect();
            let planes = LitertExporter.layout(&ModelDescription::new(&decoder), &tensors).unwrap();
            assert_eq!(found.len(), planes.len());
            for plane in planes {
                let found = found.iter().find(|found| found.name == plane.name).unwrap();
                assert_eq!((found.kind, &found.dims), (plane.kind, &plane.dims));
                let bytes = file.read(found.range.clone()).unwrap();
                assert!(bytes == encoded[plane.tensor].planes[plane.plane], "{} as {word}", plane.name);
            }
        }
    }
}

#[test]
fn equal_models_give_equal_bytes() {
    let decoder = mixed();
    assert!(written(&decoder, "int4-g32", "litertlm").1.0 == written(&decoder, "int4-g32", "litertlm").1.0);
}

#[test]
fn activations_have_16_bits_at_integers_unless_8_are_stated() {
    let decoder = mixed();
    let with = |word: &str, bits: Option<&str>| {
        let mut settings = settings("tflite");
        let bits = bits.map(|bits| ("activation-bits".to_owned(), bits.to_owned()));
        settings.options.extend(bits);
        written_with(&decoder, word, &settings).1.0
    };
    for word in ["int8-channel", "int4-channel", "int4-g32"] {
        assert!(with(word, None) == with(word, Some("16")), "{word}");
        assert!(with(word, None).len() > with(word, Some("8")).len(), "{word}");
    }
    assert!(with("f32", None) == with("f32", Some("8")));
}

#[test]
fn experts_are_refused_with_their_operators() {
    let experts = Experts {
        n_experts: 4,
        n_used: 2,
        n_ff: 64,
        activation: Activation::Silu,
        is_normalized: true,
        n_ff_dense: 64,
    };
    let decoder = decoder(vec![block(Kind::new(attention()), Kind::new(experts))]);
    let refusals = LitertExporter.accepts(&ModelDescription::new(&decoder));
    let messages: Vec<&str> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "LiteRT cannot express the operator `gather_matmul` of the `invented` model",
            "LiteRT cannot express the operator `top_k` of the `invented` model",
        ]
    );
    let help = refusals[0].help.as_deref().unwrap();
    assert_eq!(help, "The rule `gguf` writes a file that llama.cpp runs");
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let decoder = mixed();
    for (name, value, message) in [
        ("prefill", "0 16", "`0` is not a number of tokens from 1 to the context of 32"),
        ("prefill", "16 33", "`33` is not a number of tokens from 1 to the context of 32"),
        ("activation-bits", "4", "`activation-bits` is 4; expected 8 or 16"),
    ] {
        let mut settings = settings("tflite");
        settings.options.insert(name.to_owned(), value.to_owned());
        let model = ModelDescription { settings: &settings, ..ModelDescription::new(&decoder) };
        let refusals = LitertExporter.accepts(&model);
        assert_eq!(refusals[0].message, format!("LiteRT has no graph for these settings: {message}"));
    }
}

#[test]
fn rows_that_are_not_whole_blocks_are_refused() {
    let decoder = mixed();
    let quantization = &LitertExporter.quantizations()[0];
    let tensor = UnencodedTensor {
        tensor: ModelTensor::FfnDown { block: 0 },
        name: "down",
        dtype: DType::F32,
        shape: &[8, 48],
    };
    let refusal = LitertExporter.form(&ModelDescription::new(&decoder), &tensor, quantization).unwrap_err();
    assert_eq!(
        refusal.message,
        "Tensor `down` has rows of 48 columns, which `int4-g32` cannot store in LiteRT"
    );
    assert_eq!(refusal.help.unwrap(), "`int8-channel` and `f32` store rows of any length");
}

proptest! {
    #[test]
    fn broken_files_are_errors_or_have_planes_within_them(
        container in prop_oneof![Just("tflite"), Just("litertlm")],
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let (_, mut file) = written(&decoder(vec![block(Kind::new(attention()), feed_forward())]), "int8-channel", container);
        // Most of the head is within the first 40 KiB.
        let n_head = file.0.len().min(40_960);
        for (place, byte) in changes {
            let place = place.index(n_head);
            file.0[place] = byte;
        }
        if cut.index(4) == 0 {
            file.0.truncate(cut.index(n_head));
        }
        if let Ok(found) = LitertExporter.find_planes(&[&file]) {
            for plane in found {
                prop_assert!(plane.range.end <= file.n_bytes());
            }
        }
    }
}
