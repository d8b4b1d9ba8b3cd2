"""Loads our GGUF files in llama.cpp and compares log-probabilities after held-out prompts with ours.

usage: llama_cpp.py MC WORK_FOLDER
"""

import json
import pathlib
import sys
import urllib.request

import xllamacpp

from command import mc

N_PROMPTS = 64
N_TOP = 5
# Targets, and the maximum difference of the likeliest token's log-probability from llama.cpp's. llama.cpp rounds
# activations to 8 bits if weights are quantized and we do not, hence the wider bound.
MODELS = [("//models:roadtrip-f16", 0.05), ("//models:roadtrip-q4km", 0.2)]


def gguf_of(binary, work, target):
    """Builds a target and returns the path of its GGUF."""
    built = mc(binary, work, "build", target)["targets"][0]
    names = [output["path"] for output in built["outputs"] if output["path"].endswith(".gguf")]
    return pathlib.Path(built["directory"]) / names[0]


def prompts():
    """Held-out utterances, evenly spread over the file."""
    lines = pathlib.Path("models/data/intents.jsonl").read_text(encoding="utf-8").splitlines()
    step = len(lines) // N_PROMPTS
    return [json.loads(line)["utterance"] for line in lines[:: step][:N_PROMPTS]]


def server(path):
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = 512
    parameters.n_parallel = 1
    parameters.warmup = False
    return xllamacpp.Server(parameters)


def theirs(llama, ids):
    """llama.cpp's likeliest next tokens after `ids`: {id: log-probability}."""
    answer = llama.handle_completions(
        {"prompt": ids, "n_predict": 1, "temperature": 0, "n_probs": N_TOP, "cache_prompt": False}
    )
    top = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return {token["id"]: token["logprob"] for token in top}


def compare(binary, work, target, bound):
    path = gguf_of(binary, work, target)
    llama = server(path)
    worst, n_same_top, n_same_ids = 0.0, 0, 0
    for utterance in prompts():
        reply = mc(binary, work, "run", str(path), "--logprobs", str(N_TOP), "--max-tokens", "4", "--", utterance)
        ours = {token["id"]: token["logprob"] for token in reply["steps"][0]}
        known = theirs(llama, reply["prompt_tokens"])
        top = max(known, key=known.get)
        n_same_top += top == next(iter(ours))
        if top in ours:
            worst = max(worst, abs(ours[top] - known[top]))
        else:
            worst = float("inf")
        n_same_ids += same_ids(llama, utterance, reply["prompt_tokens"])
    ok = worst <= bound and n_same_ids == N_PROMPTS
    print(
        f"{target}: llama.cpp loads {path.name}; top token equal for {n_same_top} of {N_PROMPTS} prompts, "
        f"largest difference of its log-probability {worst:.4f} (bound {bound}), "
        f"prompt ids equal for {n_same_ids} of {N_PROMPTS}: {'ok' if ok else 'FAILED'}"
    )
    return ok


def same_ids(llama, utterance, ids):
    """Returns true if llama.cpp, with the template and the tokenizer in the file, makes the same prompt."""
    prompt = post(llama, "apply-template", {"messages": [{"role": "user", "content": utterance}]})["prompt"]
    found = post(llama, "tokenize", {"content": prompt, "add_special": True, "parse_special": True})
    return found["tokens"] == ids


def post(llama, path, body):
    """One request to llama.cpp's own server, on a port of this machine."""
    request = urllib.request.Request(
        f"{llama.listening_address}/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def main():
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    results = [compare(binary, work, target, bound) for target, bound in MODELS]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
