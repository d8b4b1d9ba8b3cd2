"""Builds the demo's model in every recipe and once in parts, loads each file in llama.cpp and compares log-probabilities with ours.

usage: recipes.py MC WORK_FOLDER
"""

import pathlib
import shutil
import sys

from llama_cpp import mc, prompts, server, theirs

RECIPES = (
    "F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q2_K_S Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K "
    "IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4_MOE NVFP4 "
    "Q1_0 Q2_0"
).split()
# Target: its recipe, and further declarations.
TARGETS = {recipe: (recipe, "") for recipe in RECIPES} | {"in-parts": ("Q8_0", 'max-file-size "1500kB"')}
N_PROMPTS = 4
# llama.cpp rounds activations to 8 bits and we do not; in files of one or two bits that is visible. A wrong block would
# cause a far larger difference.
PLAIN, BOUND, QUANTIZED_BOUND = {"F32", "F16", "BF16"}, 0.05, 0.3

INPUTS = """
checkpoint "base" dir="base"
adapter "adapter" dir="adapter" base=":base"
merge "merged" { base ":base"; adapter ":adapter" }
dataset "calibration" { files "data/calibration/*.txt" }
imatrix "importance" model=":merged" dataset=":calibration"
"""


def make_workspace(folder):
    package = folder / "m"
    package.mkdir(parents=True)
    for name in ["base", "adapter", "data"]:
        shutil.copytree(pathlib.Path("models") / name, package / name)
    targets = [
        f'gguf "{name}" {{ model ":merged"; quantize "{recipe}"; imatrix ":importance"; {more} }}'
        for name, (recipe, more) in TARGETS.items()
    ]
    (package / "package.kdl").write_text(INPUTS + "\n".join(targets) + "\n")
    (folder / "workspace.kdl").write_text('workspace "recipes"\n')


def main():
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = work / "recipes"
    make_workspace(folder)
    built = mc(binary, work, "--workspace", str(folder), "build", *[f"//m:{name}" for name in TARGETS])
    directories = {pathlib.Path(target["directory"]).name: target for target in built["targets"]}
    failed, worst_of_all = [], 0.0
    for name, (recipe, _) in TARGETS.items():
        target = directories[name]
        path = pathlib.Path(target["directory"]) / target["outputs"][0]["path"]
        llama = server(path)
        bound = BOUND if recipe in PLAIN else QUANTIZED_BOUND
        for utterance in prompts()[:N_PROMPTS]:
            reply = mc(binary, work, "run", str(path), "--logprobs", "16", "--max-tokens", "1", "--", utterance)
            ours = {token["id"]: token["logprob"] for token in reply["steps"][0]}
            known = theirs(llama, reply["prompt_tokens"])
            top = max(known, key=known.get)
            difference = abs(ours.get(top, float("inf")) - known[top])
            worst_of_all = max(worst_of_all, difference)
            if difference > bound:
                failed.append(f"{name}: {difference:.4f} (bound {bound}) after {utterance!r}")
    for line in failed:
        print(line)
    print(
        f"{len(RECIPES)} recipes and a model in parts: llama.cpp loads every file; largest difference of the top token's log-probability "
        f"{worst_of_all:.4f}: {'FAILED' if failed else 'ok'}"
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
