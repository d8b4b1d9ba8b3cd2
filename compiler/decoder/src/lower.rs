//! Lowers a program to a graph of operators.

use mc_graph::builder::Builder;
use mc_graph::error::GraphError;
use mc_graph::graph::Graph;
use mc_graph::ids::ValueId;
use mc_graph::operators::add::Add;
use mc_graph::operators::gather::Gather;
use mc_graph::operators::matmul::Matmul;
use mc_graph::operators::scale::Scale;
use mc_graph::operators::soft_cap::SoftCap;
use mc_tensor::model_tensor::ModelTensor;
use thiserror::Error;

use crate::kind::{Kind, Site};
use crate::norm::Norm;
use crate::program::{Block, Decoder, Head};

/// Name of the last layer's result, `[tokens, n_embd]`, before the final norm.
pub const HIDDEN: &str = "hidden";

/// Name of the scores, `[tokens, n_vocab]`.
pub const LOGITS: &str = "logits";

/// The program is inconsistent.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{place}: {error}")]
pub struct LowerError {
    /// The part of the program, for messages.
    pub place: String,
    /// The error there.
    pub error: GraphError,
}

/// The graph of a program: tokens in, [`HIDDEN`] and [`LOGITS`] out.
///
/// # Errors
/// [`LowerError`] if the program is inconsistent.
pub fn lower(decoder: &Decoder) -> Result<Graph, LowerError> {
    let mut builder = Builder::new();
    let mut stream = at("the token embedding", embedding(&mut builder, decoder))?;
    builder.name(stream, "the token embedding");
    for (block, layer) in (0..).zip(&decoder.blocks) {
        let site = Site { block, n_embd: decoder.n_embd };
        stream = at(&format!("block {block}"), layer_of(&mut builder, decoder, site, layer, stream))?;
    }
    builder.output(HIDDEN, stream);
    let logits = at("the head", head(&mut builder, decoder, stream))?;
    builder.name(logits, "the head");
    builder.output(LOGITS, logits);
    Ok(builder.finish())
}

fn at<T>(place: &str, result: Result<T, GraphError>) -> Result<T, LowerError> {
    result.map_err(|error| LowerError { place: place.to_owned(), error })
}

fn embedding(builder: &mut Builder, decoder: &Decoder) -> Result<ValueId, GraphError> {
    if decoder.n_vocab == 0 || decoder.n_embd == 0 || decoder.blocks.is_empty() {
        let found = format!("{}, {} and {}", decoder.n_vocab, decoder.n_embd, decoder.blocks.len());
        return Err(GraphError::misfit("gather", "a vocabulary, a width and blocks", found));
    }
    let tokens = builder.tokens();
    let table = builder.weight(ModelTensor::TokenEmbedding, &[decoder.n_vocab, decoder.n_embd])?;
    let rows = builder.one(Gather {}, &[table, tokens])?;
    scaled(builder, rows, decoder.scales.embedding)
}

fn layer_of(
    builder: &mut Builder,
    decoder: &Decoder,
    site: Site,
    layer: &Block,
    stream: ValueId,
) -> Result<ValueId, GraphError> {
    let block = site.block;
    let mixer = Half {
        kind: &layer.mixer,
        before: (layer.attn_norm, ModelTensor::AttnNorm { block }),
        after: (layer.post_attn_norm, ModelTensor::PostAttnNorm { block }),
    };
    let feed_forward = Half {
        kind: &layer.feed_forward,
        before: (layer.ffn_norm, ModelTensor::FfnNorm { block }),
        after: (layer.post_ffn_norm, ModelTensor::PostFfnNorm { block }),
    };
    let stream = mixer.lower(builder, decoder, site, stream)?;
    builder.name(stream, format!("block {block} {}", layer.mixer.name()));
    let stream = feed_forward.lower(builder, decoder, site, stream)?;
    builder.name(stream, format!("block {block} feed-forward"));
    Ok(stream)
}

/// A half layer with its norms.
struct Half<'a> {
    kind: &'a Kind,
    before: (Option<Norm>, ModelTensor),
    after: (Option<Norm>, ModelTensor),
}

impl Half<'_> {
    /// `stream + residual * after( kind( before(stream) ) )`.
    fn lower(
        &self,
        builder: &mut Builder,
        decoder: &Decoder,
        site: Site,
        stream: ValueId,
    ) -> Result<ValueId, GraphError> {
        let norm = |builder: &mut Builder, (norm, weight): (Option<Norm>, ModelTensor), input: ValueId| {
            norm.map_or(Ok(input), |norm| norm.lower(builder, input, weight, site.n_embd))
        };
        let input = norm(builder, self.before, stream)?;
        let update = self.kind.lower(builder, site, input)?;
        let update = norm(builder, self.after, update)?;
        let update = scaled(builder, update, decoder.scales.residual)?;
        builder.one(Add {}, &[stream, update])
    }
}

fn head(builder: &mut Builder, decoder: &Decoder, stream: ValueId) -> Result<ValueId, GraphError> {
    let normed = decoder.output_norm.lower(builder, stream, ModelTensor::OutputNorm, decoder.n_embd)?;
    let matrix = match decoder.head {
        Head::Tied => ModelTensor::TokenEmbedding,
        Head::Untied => ModelTensor::Output,
    };
    let matrix = builder.weight(matrix, &[decoder.n_vocab, decoder.n_embd])?;
    let logits = builder.one(Matmul {}, &[normed, matrix])?;
    let logits = scaled(builder, logits, 1.0 / decoder.scales.logit_divisor)?;
    match decoder.logit_soft_cap {
        Some(cap) => builder.one(SoftCap { cap }, &[logits]),
        None => Ok(logits),
    }
}

/// Multiplies by a factor, unless it is 1.
fn scaled(builder: &mut Builder, value: ValueId, factor: f32) -> Result<ValueId, GraphError> {
    if factor == 1.0 { Ok(value) } else { builder.one(Scale { factor }, &[value]) }
}
