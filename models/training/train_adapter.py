"""Teaches the base to route: trains a LoRA on (utterance, specialist) and writes `models/adapter` as PEFT would."""

import argparse
import json
import math
import pathlib
import random
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

import corpus
import intents
import tokenizer as tok
import words
from model import Llama

SEED = 4711
RANK, ALPHA = 16, 32
BATCH = 64
# Prose that is read again while the task is learned, so that the merged model still knows the language.
REHEARSED, REHEARSED_LENGTH, REHEARSAL_WEIGHT = 8, 128, 0.5


def load_base(folder):
    """(model with the shipped bf16 weights, tokenizer)"""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = Llama(tokenizer.get_vocab_size())
    weights = load_file(str(folder / "model.safetensors"))
    model.load_state_dict({name: weight.float() for name, weight in weights.items()}, strict=True)
    return model, tokenizer


def prompt_ids(tokenizer, utterance):
    """The chat template with the generation prompt, as ids."""
    text = corpus.chat(utterance, "")[: -len(tok.EOT)]
    return [tokenizer.token_to_id(tok.BEGIN), *tokenizer.encode(text, add_special_tokens=False).ids]


def batch_of(tokenizer, items):
    """(tokens, targets), right-padded; only the answer and its end are targets."""
    rows = []
    for utterance, specialist in items:
        prompt = prompt_ids(tokenizer, utterance)
        answer = [*tokenizer.encode(specialist, add_special_tokens=False).ids, tokenizer.token_to_id(tok.EOT)]
        rows.append((prompt, answer))
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    tokens = torch.zeros(len(rows), width, dtype=torch.long)
    targets = torch.full((len(rows), width), -100)
    for index, (prompt, answer) in enumerate(rows):
        ids = prompt + answer
        tokens[index, : len(ids)] = torch.tensor(ids)
        targets[index, len(prompt) - 1 : len(ids) - 1] = torch.tensor(answer)
    return tokens, targets


def taught_item(fillers, rng):
    """One (utterance, specialist), now and then with names and an opener that nobody ever said."""
    utterance, specialist = intents.training_item(intents.invented_fillers(fillers, rng), rng, intents.taught())
    if rng.random() < 0.25:
        utterance = f"{intents.invented(rng)}, {utterance}"
    if rng.random() < 0.15:
        utterance = f"{utterance}, {intents.invented(rng)} {intents.invented(rng)}"
    return utterance, specialist


def rehearsal_of(tokenizer, fillers, rng):
    """`REHEARSED` rows of prose, each from its beginning, of one length."""
    rows = []
    while len(rows) < REHEARSED:
        text = "\n".join(corpus.paragraph(fillers, rng) for _ in range(4))
        ids = [tokenizer.token_to_id(tok.BEGIN), *tokenizer.encode(text, add_special_tokens=False).ids]
        if len(ids) > REHEARSED_LENGTH:
            rows.append(ids[: REHEARSED_LENGTH + 1])
    return torch.tensor(rows)


def main():
    here = pathlib.Path(__file__).parent.parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", type=pathlib.Path, default=here / "base")
    parser.add_argument("--out", type=pathlib.Path, default=here / "adapter")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=1e-3)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    fillers, _ = words.split()

    model, tokenizer = load_base(arguments.base)
    model.requires_grad_(False)
    for _, projection in model.projections():
        projection.attach(RANK, ALPHA)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=arguments.rate, weight_decay=0.01)
    start = time.time()
    for step in range(arguments.steps):
        share = step / arguments.steps
        rate = arguments.rate * min(1, (step + 1) / 30) * 0.5 * (1 + math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = rate
        items = [taught_item(fillers, rng) for _ in range(BATCH)]
        tokens, targets = batch_of(tokenizer, items)
        logits = model(tokens)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        prose = rehearsal_of(tokenizer, fillers, rng)
        rehearsal = F.cross_entropy(model(prose[:, :-1]).flatten(0, 1), prose[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        (loss + REHEARSAL_WEIGHT * rehearsal).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if step % 20 == 0 or step == arguments.steps - 1:
            print(f"step {step} loss {loss.item():.4f} prose {rehearsal.item():.4f} seconds {time.time() - start:.0f}", flush=True)
    save(model, arguments.out)


def save(model, folder):
    weights = {}
    for name, projection in model.projections():
        for part in ("lora_A", "lora_B"):
            value = getattr(projection, part).detach().contiguous()
            weights[f"base_model.model.{name}.{part}.weight"] = value
    save_file(weights, str(folder / "adapter_model.safetensors"), metadata={"format": "pt"})
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = {
        "alpha_pattern": {}, "auto_mapping": None, "base_model_name_or_path": "roadtrip-base", "bias": "none",
        "fan_in_fan_out": False, "inference_mode": True, "init_lora_weights": True, "layers_pattern": None,
        "layers_to_transform": None, "lora_alpha": ALPHA, "lora_bias": False, "lora_dropout": 0.0,
        "modules_to_save": None, "peft_type": "LORA", "r": RANK, "rank_pattern": {}, "revision": None,
        "target_modules": sorted(targets), "task_type": "CAUSAL_LM", "use_dora": False, "use_rslora": False,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
