"""Pre-trains the base on in-car language and writes `models/base` as Hugging Face would."""

import argparse
import itertools
import math
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import corpus
import tokenizer as tok
import words
from model import CONFIG, Llama

SEED = 20261121
LENGTH, BATCH = 512, 16


def token_stream(tokenizer, fillers, seed, n_tokens):
    """Documents, each with its begin and end tokens, joined into one line of ids."""
    begin, end = tokenizer.token_to_id(tok.BEGIN), tokenizer.token_to_id(tok.END)
    ids, stream = [], corpus.documents(fillers, seed)
    while len(ids) < n_tokens:
        texts = list(itertools.islice(stream, 2000))
        for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
            ids += [begin, *encoding.ids, end]
    return np.array(ids[:n_tokens], dtype=np.int32)


def loss_of(model, batch):
    # bf16 products with f32 weights: twice as fast on a CPU that has them, and what is shipped is bf16 anyway.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(batch[:, :-1])
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]).float(), batch[:, 1:].reshape(-1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "base")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=3e-3)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    fillers, _ = words.split()

    sample = tok.corpus_sample(corpus.documents(fillers, SEED), 20_000)
    tokenizer = tok.train(sample)
    tok.save(tokenizer, arguments.out)
    n_vocabulary = tokenizer.get_vocab_size()
    print("vocabulary", n_vocabulary, flush=True)

    model = Llama(n_vocabulary)
    print("parameters", sum(weight.numel() for weight in model.parameters()), flush=True)
    ids = token_stream(tokenizer, fillers, SEED + 1, arguments.steps * BATCH * (LENGTH + 1))
    data = torch.from_numpy(ids).long().view(arguments.steps, BATCH, LENGTH + 1)
    held_out = torch.from_numpy(token_stream(tokenizer, fillers, SEED + 2, 8 * (LENGTH + 1))).long().view(8, -1)

    decayed = [weight for weight in model.parameters() if weight.dim() == 2]
    plain = [weight for weight in model.parameters() if weight.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}],
        lr=arguments.rate, betas=(0.9, 0.95),
    )
    start = time.time()
    for step in range(arguments.steps):
        share = step / arguments.steps
        rate = arguments.rate * min(1, (step + 1) / 50) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * share)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(model, data[step])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 20 == 0 or step == arguments.steps - 1:
            print(f"step {step} loss {loss.item():.4f} seconds {time.time() - start:.0f}", flush=True)

    model.round_to_bf16()
    with torch.no_grad():
        print(f"held-out loss {loss_of(model, held_out).item():.4f}", flush=True)
    save(model, tokenizer, arguments.out)


def save(model, tokenizer, folder):
    weights = {name: weight.detach().bfloat16().contiguous() for name, weight in model.named_parameters()}
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    begin, eot = tokenizer.token_to_id(tok.BEGIN), tokenizer.token_to_id(tok.EOT)
    special = {"bos_token_id": begin, "eos_token_id": eot}
    tok.write_json(folder / "config.json", {**CONFIG, **special, "vocab_size": tokenizer.get_vocab_size()})
    generation = {"_from_model_config": True, "bos_token_id": begin, "do_sample": False, "eos_token_id": eot}
    tok.write_json(folder / "generation_config.json", {**generation, "transformers_version": "4.57.6"})


if __name__ == "__main__":
    main()
