"""Measures what was made: held-out perplexity, and exact answers of the base, the merged and a 4-bit model."""

import copy
import json
import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import tokenizer as tok
from train_adapter import load_base, prompt_ids

HERE = pathlib.Path(__file__).parent.parent


def merged(base, folder):
    """bf16(f32(W) + scale * B A), as PEFT's merge_and_unload."""
    model = copy.deepcopy(base)
    config = json.loads((folder / "adapter_config.json").read_text())
    weights = load_file(str(folder / "adapter_model.safetensors"))
    scale = config["lora_alpha"] / config["r"]
    with torch.no_grad():
        for name, projection in model.projections():
            up, down = (weights[f"base_model.model.{name}.lora_{part}.weight"].float() for part in "BA")
            projection.weight += (up @ down) * scale
    model.round_to_bf16()
    return model


def four_bit(model):
    """Every matrix rounded to 4 bits per 32 weights: rougher than what `mc` ships."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                blocks = weight.view(-1, 32)
                step = blocks.abs().amax(1, keepdim=True).clamp_min(1e-12) / 7
                blocks.copy_((blocks / step).round().clamp(-8, 7) * step)
    return model


def perplexity(model, tokenizer, texts, length=512):
    ids = tokenizer.encode("\n".join(texts) + "\n").ids
    total, count = 0.0, 0
    for start in range(0, len(ids) - length + 1, length):
        chunk = torch.tensor([ids[start : start + length]])
        chunk[0, 0] = tokenizer.token_to_id(tok.BEGIN)
        with torch.no_grad():
            losses = F.cross_entropy(model(chunk)[0, :-1], chunk[0, 1:], reduction="none")[length // 2 - 1 :]
        total, count = total + losses.sum().item(), count + losses.numel()
    return math.exp(total / count)


def accuracy(model, tokenizer, items, max_tokens=8):
    right = 0
    eot = tokenizer.token_to_id(tok.EOT)
    for item in items:
        ids = prompt_ids(tokenizer, item["utterance"])
        answer = []
        with torch.no_grad():
            while len(answer) < max_tokens:
                token = model(torch.tensor([ids + answer]))[0, -1].argmax().item()
                if token == eot:
                    break
                answer.append(token)
        right += tokenizer.decode(answer).strip() == item["answer"]
    return right / len(items)


def main():
    base, tokenizer = load_base(HERE / "base")
    items = [json.loads(line) for line in open(HERE / "data" / "intents.jsonl", encoding="utf-8")]
    texts = [
        line
        for path in sorted((HERE / "data" / "evaluation").glob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    routed = merged(base, HERE / "adapter")
    for name, model in [("base", base), ("merged", routed), ("merged, 4 bits", four_bit(routed))]:
        share, ppl = accuracy(model, tokenizer, items), perplexity(model, tokenizer, texts)
        print(f"{name}: {share:.1%} of {len(items)} intents, perplexity {ppl:.3f}", flush=True)


if __name__ == "__main__":
    main()
