//! Which tensors a program needs, and in which shapes a checkpoint stores them.

use mc_decoder::program::{
    Attention, Block, Decoder, Experts, FeedForward, Head, Mixer, QkNorm, ShortConvolution,
};
use mc_tensor::model_tensor::ModelTensor;

/// A tensor that a checkpoint must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// What it is for.
    pub tensor: ModelTensor,
    /// Which expert's part of it; absent where all is one tensor.
    pub part: Option<u32>,
    /// Its shape, rows first.
    pub shape: Vec<u64>,
}

/// Every tensor of a program, in its order; a layer's are made when they are asked for, because a few words of a
/// configuration may ask for a hundred thousand.
pub(crate) fn tensors(decoder: &Decoder) -> Box<dyn Iterator<Item = Needed> + '_> {
    let n_embd = u64::from(decoder.n_embd);
    let list = move || List { n_embd, tensors: Vec::new() };
    let rows = [u64::from(decoder.n_vocab), n_embd];
    let mut before = list();
    before.push(ModelTensor::TokenEmbedding, &rows);
    let mut after = list();
    after.push(ModelTensor::OutputNorm, &[n_embd]);
    after.push_if(decoder.head == Head::Untied, ModelTensor::Output, &rows);
    let layer = move |(number, block): (u32, &Block)| {
        let mut of_layer = list();
        of_layer.block(number, block);
        of_layer.tensors.into_iter().chain(parts(n_embd, number, block.feed_forward.experts))
    };
    let layers = (0..).zip(&decoder.blocks).flat_map(layer);
    Box::new(before.tensors.into_iter().chain(layers).chain(after.tensors))
}

/// The parts of a layer's stacks of experts.
fn parts(n_embd: u64, block: u32, experts: Option<Experts>) -> impl Iterator<Item = Needed> {
    let n_ff = experts.map_or(0, |experts| u64::from(experts.n_ff));
    (0..experts.map_or(0, |experts| experts.n_experts)).flat_map(move |part| {
        [
            (ModelTensor::FfnGateExps { block }, vec![n_ff, n_embd]),
            (ModelTensor::FfnUpExps { block }, vec![n_ff, n_embd]),
            (ModelTensor::FfnDownExps { block }, vec![n_embd, n_ff]),
        ]
        .map(|(tensor, shape)| Needed { tensor, part: Some(part), shape })
    })
}

struct List {
    n_embd: u64,
    tensors: Vec<Needed>,
}

impl List {
    fn push(&mut self, tensor: ModelTensor, shape: &[u64]) {
        self.tensors.push(Needed { tensor, part: None, shape: shape.to_vec() });
    }

    fn push_if(&mut self, is_there: bool, tensor: ModelTensor, shape: &[u64]) {
        if is_there {
            self.push(tensor, shape);
        }
    }

    fn block(&mut self, block: u32, layer: &Block) {
        let norm = [self.n_embd];
        self.push_if(layer.attn_norm.is_some(), ModelTensor::AttnNorm { block }, &norm);
        match &layer.mixer {
            Mixer::Attention(attention) => self.attention(block, attention),
            Mixer::ShortConvolution(convolution) => self.convolution(block, convolution),
        }
        self.push_if(layer.post_attn_norm.is_some(), ModelTensor::PostAttnNorm { block }, &norm);
        self.push_if(layer.ffn_norm.is_some(), ModelTensor::FfnNorm { block }, &norm);
        self.feed_forward(block, &layer.feed_forward);
        self.push_if(layer.post_ffn_norm.is_some(), ModelTensor::PostFfnNorm { block }, &norm);
    }

    fn attention(&mut self, block: u32, attention: &Attention) {
        let n_embd = self.n_embd;
        let head_dim = u64::from(attention.head_dim);
        let n_q = u64::from(attention.n_heads) * head_dim;
        let n_kv = u64::from(attention.n_kv_heads) * head_dim;
        if attention.is_fused {
            self.push(ModelTensor::AttnQkv { block }, &[n_q + 2 * n_kv, n_embd]);
        } else {
            self.push(ModelTensor::AttnQ { block }, &[n_q, n_embd]);
            self.push(ModelTensor::AttnK { block }, &[n_kv, n_embd]);
            self.push(ModelTensor::AttnV { block }, &[n_kv, n_embd]);
        }
        self.push(ModelTensor::AttnOutput { block }, &[n_embd, n_q]);
        if attention.qkv_bias {
            self.push(ModelTensor::AttnQBias { block }, &[n_q]);
            self.push(ModelTensor::AttnKBias { block }, &[n_kv]);
            self.push(ModelTensor::AttnVBias { block }, &[n_kv]);
        }
        self.push_if(attention.output_bias, ModelTensor::AttnOutputBias { block }, &[n_embd]);
        let widths = match attention.qk_norm {
            QkNorm::None => return,
            QkNorm::PerHead(_) => [head_dim, head_dim],
            QkNorm::Whole(_) => [n_q, n_kv],
        };
        self.push(ModelTensor::AttnQNorm { block }, &widths[..1]);
        self.push(ModelTensor::AttnKNorm { block }, &widths[1..]);
    }

    fn convolution(&mut self, block: u32, convolution: &ShortConvolution) {
        let n_embd = self.n_embd;
        self.push(ModelTensor::ShortconvConv { block }, &[n_embd, 1, convolution.kernel_len.into()]);
        self.push(ModelTensor::ShortconvInProj { block }, &[3 * n_embd, n_embd]);
        self.push(ModelTensor::ShortconvOutProj { block }, &[n_embd, n_embd]);
    }

    fn feed_forward(&mut self, block: u32, feed_forward: &FeedForward) {
        let n_embd = self.n_embd;
        let Some(experts) = feed_forward.experts else {
            let n_ff = u64::from(feed_forward.n_ff);
            self.push_if(!feed_forward.is_fused, ModelTensor::FfnGate { block }, &[n_ff, n_embd]);
            let n_up = if feed_forward.is_fused { 2 * n_ff } else { n_ff };
            self.push(ModelTensor::FfnUp { block }, &[n_up, n_embd]);
            self.push(ModelTensor::FfnDown { block }, &[n_embd, n_ff]);
            return;
        };
        // Its parts come last: see `parts`.
        self.push(ModelTensor::FfnGateInp { block }, &[experts.n_experts.into(), n_embd]);
    }
}
