"""Converts a small checkpoint of every family to F16, loads each file in llama.cpp, and lets both say what comes next.

Where our forward pass runs the family, the tokens must be equal; elsewhere llama.cpp must load the file and go on with a text.
Each file is a checkpoint, too: what is made of it must have the tensors of what is made of the folder.

usage: families.py MC WORK_FOLDER
"""

import pathlib
import subprocess
import sys

from llama_cpp import mc, post, server
from make_family import FAMILIES, write

# Those that our forward pass runs.
OURS = {"llama", "llama-3", "llama-biases", "mistral", "qwen2", "smollm3"}
N_TOKENS = 8
TEXT = "the nearest charger and a coffee, 24 km"


def make_workspace(folder):
    for name in FAMILIES:
        write(name, folder / "m" / name)
    targets = [
        f'checkpoint "{name}" dir="{name}"\ngguf "{name}-f16" {{ model ":{name}"; quantize "F16" }}' for name in FAMILIES
    ]
    targets += [f'gguf "{name}-bf16" {{ model ":{name}"; quantize "BF16" }}' for name in FAMILIES]
    (folder / "m" / "package.kdl").write_text("\n".join(targets) + "\n")
    (folder / "workspace.kdl").write_text('workspace "families"\n')


def read_back(binary, work, folder, built):
    """Families whose GGUF, read as a checkpoint, gives other tensors than their folder does."""
    read = folder / "read"
    read.mkdir()
    targets = []
    for name in FAMILIES:
        (read / f"{name}.gguf").write_bytes(file_of(built[f"{name}-bf16"]).read_bytes())
        targets.append(f'checkpoint "{name}" gguf="{name}.gguf"\ngguf "{name}-f16" {{ model ":{name}"; quantize "F16" }}')
    (read / "package.kdl").write_text("\n".join(targets) + "\n")
    again = build(binary, work, folder, [f"//read:{name}-f16" for name in FAMILIES])
    failed = []
    for name in FAMILIES:
        pair = [str(file_of(made[f"{name}-f16"])) for made in (built, again)]
        command = [binary, "--cache-dir", str(work / "cache"), "diff", *pair]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if " 0 differ" not in said:
            failed.append(f"{name}: made of its GGUF, not of its folder: {said}")
    return failed


def build(binary, work, folder, labels):
    """The targets that were built, by name."""
    built = mc(binary, work, "--workspace", str(folder), "build", *labels)
    return {pathlib.Path(target["directory"]).name: target for target in built["targets"]}


def file_of(target):
    return pathlib.Path(target["directory"]) / target["outputs"][0]["path"]


def theirs(llama, prompt):
    """llama.cpp's greedy tokens after `prompt`."""
    ask = {"prompt": prompt, "n_predict": N_TOKENS, "temperature": 0, "cache_prompt": False, "ignore_eos": True}
    # Its lists of probabilities leave out tokens that are parts of a character; this one has all.
    return post(llama, "completion", ask | {"return_tokens": True})["tokens"]


def ours(binary, work, path):
    """Our greedy tokens after the text, and the ids of the text."""
    reply = mc(binary, work, "run", str(path), "--raw", "--logprobs", "1", "--max-tokens", str(N_TOKENS), "--", TEXT)
    return [step[0]["id"] for step in reply["steps"]], reply["prompt_tokens"]


def is_refused(binary, work, path):
    """Whether `mc run` says by itself that it cannot run the family."""
    command = [binary, "--cache-dir", str(work / "cache"), "run", str(path), "--raw", "--", TEXT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode != 0 and "error" in done.stderr and "panicked" not in done.stderr


def main():
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = work / "families"
    make_workspace(folder)
    built = build(binary, work, folder, [f"//m:{name}-{kind}" for name in FAMILIES for kind in ("f16", "bf16")])
    failed, n_equal = read_back(binary, work, folder, built), 0
    for name in FAMILIES:
        path = file_of(built[f"{name}-f16"])
        llama = server(path)
        if name in OURS:
            tokens, prompt = ours(binary, work, path)
            known = theirs(llama, prompt)
            # We stop at an end token, llama.cpp was told to go on.
            is_equal = len(tokens) > 0 and tokens == known[: len(tokens)]
            n_equal += is_equal
            if not is_equal:
                failed.append(f"{name}: greedy tokens {tokens}, llama.cpp's {known}")
            ids = post(llama, "tokenize", {"content": TEXT, "add_special": True})["tokens"]
            if ids != prompt:
                failed.append(f"{name}: the text is {prompt}, in llama.cpp {ids}")
        else:
            tokens = theirs(llama, TEXT)
            if len(tokens) != N_TOKENS:
                failed.append(f"{name}: llama.cpp answers {tokens}")
            if not is_refused(binary, work, path):
                failed.append(f"{name}: `mc run` neither runs it nor says why; if it runs it, name it in OURS")
        del llama
    for line in failed:
        print(line)
    print(
        f"{len(FAMILIES)} families: llama.cpp loads every F16 file, each is read back; greedy tokens equal ours for {n_equal} of {len(OURS)} "
        f"that we run: {'FAILED' if failed else 'ok'}"
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
