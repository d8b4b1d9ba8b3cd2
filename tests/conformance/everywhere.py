"""Builds the demo in every format with its gates, and asks each file in its own runtime the demo's questions.

Usage: everywhere.py MC WORK
"""

import json
import os
import pathlib
import subprocess
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

TARGET = "//models:roadtrip-everywhere"
N_QUESTIONS = 120
# As the demo's gate demands.
MIN_SHARE = 0.95


def questions():
    lines = pathlib.Path("models/data/intents.jsonl").read_text().splitlines()
    return [(item["utterance"], item["answer"]) for item in map(json.loads, lines[:N_QUESTIONS])]


def onnx(folder, prompts, tokenizer):
    import onnxruntime_genai as og

    model = og.Model(str(folder))
    for prompt in prompts:
        ids = tokenizer.encode(prompt, add_special_tokens=False)
        params = og.GeneratorParams(model)
        params.set_search_options(max_length=len(ids) + 16, do_sample=False)
        generator = og.Generator(model, params)
        generator.append_tokens(ids)
        answer = []
        while not generator.is_done():
            generator.generate_next_token()
            answer.append(int(generator.get_next_tokens()[0]))
        yield tokenizer.decode(answer, skip_special_tokens=True)


def mlx(model, prompts, tokenizer):
    from mlx_lm import generate

    for prompt in prompts:
        ids = tokenizer.encode(prompt, add_special_tokens=False)
        yield generate(model, tokenizer, prompt=ids, max_tokens=16, verbose=False)


def litert(path, utterances):
    import litert_lm

    engine = litert_lm.Engine(str(path), backend=litert_lm.Backend.CPU())
    for utterance in utterances:
        with engine.create_conversation() as conversation:
            yield conversation.send_message(utterance)["content"][0]["text"]


def main():
    mc, work = sys.argv[1], pathlib.Path(sys.argv[2])
    out = work / "everywhere"
    subprocess.run(["git", "clone", "--quiet", ".", str(out)], check=True)
    command = [mc, "--workspace", str(out), "build", "--output", "json", TARGET]
    built = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    labels = [target["label"] for target in built["targets"]]
    assert labels == [f"{TARGET}-{format}" for format in ("gguf", "mlx", "onnx", "litert")], labels
    folder = lambda format: out / "mc-out" / "models" / f"roadtrip-everywhere-{format}"

    from mlx_lm import load

    model, tokenizer = load(str(folder("mlx")))
    utterances, answers = zip(*questions())
    prompt = lambda text: tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False)
    prompts = [prompt(text) for text in utterances]
    (bundle,) = folder("litert").glob("*.litertlm")
    found = {
        "onnx": list(onnx(folder("onnx"), prompts, tokenizer)),
        "mlx": list(mlx(model, prompts, tokenizer)),
        "litert": list(litert(bundle, utterances)),
    }
    for format, said in found.items():
        n_right = sum(text.strip() == answer for text, answer in zip(said, answers))
        print(f"everywhere: {format} answers {n_right} of {len(answers)} questions in its own runtime")
        assert n_right >= MIN_SHARE * len(answers), format


if __name__ == "__main__":
    main()
