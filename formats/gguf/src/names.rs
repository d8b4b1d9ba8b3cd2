//! The names of tensors in GGUF files: `blk.3.attn_q.weight`.

use mc_tensor::model_tensor::ModelTensor;

/// LFM2's name for the norm before the head, which follows its checkpoints.
const LFM2_OUTPUT_NORM: &str = "token_embd_norm.weight";

/// The name of a tensor.
pub fn wire_name(tensor: ModelTensor) -> String {
    let stem = match tensor {
        ModelTensor::RopeFreqs => return "rope_freqs.weight".to_owned(),
        ModelTensor::RopeFactorsLong => return "rope_factors_long.weight".to_owned(),
        ModelTensor::RopeFactorsShort => return "rope_factors_short.weight".to_owned(),
        ModelTensor::TokenEmbedding => return "token_embd.weight".to_owned(),
        ModelTensor::OutputNorm => return "output_norm.weight".to_owned(),
        ModelTensor::Output => return "output.weight".to_owned(),
        ModelTensor::AttnNorm { .. } => "attn_norm.weight",
        ModelTensor::AttnQ { .. } => "attn_q.weight",
        ModelTensor::AttnK { .. } => "attn_k.weight",
        ModelTensor::AttnV { .. } => "attn_v.weight",
        ModelTensor::AttnQkv { .. } => "attn_qkv.weight",
        ModelTensor::AttnOutput { .. } => "attn_output.weight",
        ModelTensor::AttnQBias { .. } => "attn_q.bias",
        ModelTensor::AttnKBias { .. } => "attn_k.bias",
        ModelTensor::AttnVBias { .. } => "attn_v.bias",
        ModelTensor::AttnOutputBias { .. } => "attn_output.bias",
        ModelTensor::AttnQNorm { .. } => "attn_q_norm.weight",
        ModelTensor::AttnKNorm { .. } => "attn_k_norm.weight",
        ModelTensor::PostAttnNorm { .. } => "post_attention_norm.weight",
        ModelTensor::FfnNorm { .. } => "ffn_norm.weight",
        ModelTensor::FfnGate { .. } => "ffn_gate.weight",
        ModelTensor::FfnUp { .. } => "ffn_up.weight",
        ModelTensor::FfnDown { .. } => "ffn_down.weight",
        ModelTensor::FfnGateInp { .. } => "ffn_gate_inp.weight",
        ModelTensor::FfnGateExps { .. } => "ffn_gate_exps.weight",
        ModelTensor::FfnUpExps { .. } => "ffn_up_exps.weight",
        ModelTensor::FfnDownExps { .. } => "ffn_down_exps.weight",
        ModelTensor::PostFfnNorm { .. } => "post_ffw_norm.weight",
        ModelTensor::ShortconvConv { .. } => "shortconv.conv.weight",
        ModelTensor::ShortconvInProj { .. } => "shortconv.in_proj.weight",
        ModelTensor::ShortconvOutProj { .. } => "shortconv.out_proj.weight",
    };
    format!("blk.{}.{stem}", tensor.block().unwrap_or(0))
}

/// The name of a tensor in files of an architecture; only LFM2 has a different one.
pub fn wire_name_in(architecture: &str, tensor: ModelTensor) -> String {
    if architecture == "lfm2" && tensor == ModelTensor::OutputNorm {
        return LFM2_OUTPUT_NORM.to_owned();
    }
    wire_name(tensor)
}

/// The purpose of a tensor by its name; `None` for an unknown name.
pub fn model_tensor(name: &str) -> Option<ModelTensor> {
    let Some(rest) = name.strip_prefix("blk.") else {
        return Some(match name {
            "rope_freqs.weight" => ModelTensor::RopeFreqs,
            "rope_factors_long.weight" => ModelTensor::RopeFactorsLong,
            "rope_factors_short.weight" => ModelTensor::RopeFactorsShort,
            "token_embd.weight" => ModelTensor::TokenEmbedding,
            "output_norm.weight" | LFM2_OUTPUT_NORM => ModelTensor::OutputNorm,
            "output.weight" => ModelTensor::Output,
            _ => return None,
        });
    };
    let (block, stem) = rest.split_once('.')?;
    let block = block.parse().ok()?;
    Some(match stem {
        "attn_norm.weight" => ModelTensor::AttnNorm { block },
        "attn_q.weight" => ModelTensor::AttnQ { block },
        "attn_k.weight" => ModelTensor::AttnK { block },
        "attn_v.weight" => ModelTensor::AttnV { block },
        "attn_qkv.weight" => ModelTensor::AttnQkv { block },
        "attn_output.weight" => ModelTensor::AttnOutput { block },
        "attn_q.bias" => ModelTensor::AttnQBias { block },
        "attn_k.bias" => ModelTensor::AttnKBias { block },
        "attn_v.bias" => ModelTensor::AttnVBias { block },
        "attn_output.bias" => ModelTensor::AttnOutputBias { block },
        "attn_q_norm.weight" => ModelTensor::AttnQNorm { block },
        "attn_k_norm.weight" => ModelTensor::AttnKNorm { block },
        "post_attention_norm.weight" => ModelTensor::PostAttnNorm { block },
        "ffn_norm.weight" => ModelTensor::FfnNorm { block },
        "ffn_gate.weight" => ModelTensor::FfnGate { block },
        "ffn_up.weight" => ModelTensor::FfnUp { block },
        "ffn_down.weight" => ModelTensor::FfnDown { block },
        "ffn_gate_inp.weight" => ModelTensor::FfnGateInp { block },
        "ffn_gate_exps.weight" => ModelTensor::FfnGateExps { block },
        "ffn_up_exps.weight" => ModelTensor::FfnUpExps { block },
        "ffn_down_exps.weight" => ModelTensor::FfnDownExps { block },
        "post_ffw_norm.weight" => ModelTensor::PostFfnNorm { block },
        "shortconv.conv.weight" => ModelTensor::ShortconvConv { block },
        "shortconv.in_proj.weight" => ModelTensor::ShortconvInProj { block },
        "shortconv.out_proj.weight" => ModelTensor::ShortconvOutProj { block },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let block = 12;
        for tensor in [
            ModelTensor::RopeFreqs,
            ModelTensor::RopeFactorsLong,
            ModelTensor::RopeFactorsShort,
            ModelTensor::TokenEmbedding,
            ModelTensor::OutputNorm,
            ModelTensor::Output,
            ModelTensor::AttnNorm { block },
            ModelTensor::AttnQ { block },
            ModelTensor::AttnK { block },
            ModelTensor::AttnV { block },
            ModelTensor::AttnOutput { block },
            ModelTensor::AttnQBias { block },
            ModelTensor::AttnKBias { block },
            ModelTensor::AttnVBias { block },
            ModelTensor::AttnOutputBias { block },
            ModelTensor::AttnQNorm { block },
            ModelTensor::AttnKNorm { block },
            ModelTensor::PostAttnNorm { block },
            ModelTensor::FfnNorm { block },
            ModelTensor::FfnGate { block },
            ModelTensor::FfnUp { block },
            ModelTensor::FfnDown { block },
            ModelTensor::AttnQkv { block },
            ModelTensor::FfnGateInp { block },
            ModelTensor::FfnGateExps { block },
            ModelTensor::FfnUpExps { block },
            ModelTensor::FfnDownExps { block },
            ModelTensor::PostFfnNorm { block },
            ModelTensor::ShortconvConv { block },
            ModelTensor::ShortconvInProj { block },
            ModelTensor::ShortconvOutProj { block },
        ] {
            assert_eq!(model_tensor(&wire_name(tensor)), Some(tensor));
        }
        let name = wire_name_in("lfm2", ModelTensor::OutputNorm);
        assert_eq!(
            (name.as_str(), model_tensor(&name)),
            ("token_embd_norm.weight", Some(ModelTensor::OutputNorm))
        );
        assert_eq!(wire_name_in("llama", ModelTensor::OutputNorm), "output_norm.weight");
        assert_eq!(model_tensor("blk.x.attn_q.weight"), None);
        assert_eq!(model_tensor("blk.1.unheard_of.weight"), None);
    }
}
