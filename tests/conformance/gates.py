"""Gates on the files that ship: the demo in every format, against the unquantized model and in the format's own runtime.

Usage: gates.py MC WORK
"""

import json
import pathlib
import subprocess
import sys

# The share of a runtime's tokens that our reading of the files ranks first. MLX computes in BF16, llama.cpp rounds
# activations to 8 bits.
FORMATS = {"gguf": 95, "mlx": 88, "onnx": 97, "litert": 99}

# Questions have answers of one token; texts are continued at length, for which the demo was not trained: in 4 bits it
# repeats itself more, and how much more differs by format.
DATASETS = """
dataset "questions" { files "data/intents.jsonl"; sample 48 seed=1 }
dataset "texts" { files "data/evaluation/*.txt"; sample 12 seed=1 }
"""
GATES = DATASETS + "".join(
    f"""
gate "ships-{name}" {{
    model ":roadtrip-everywhere-{name}"
    parity on=":questions" max-kl=0.1 min-top-1="80%" min-greedy="95%"
    generation on=":texts" min-tokens=1000 max-loops="60%" max-repetition="25%"
    runtime-parity on=":texts" max-tokens=24 min-top-1="{share}%" required=#true
}}
"""
    for name, share in FORMATS.items()
)


def main():
    mc, work = sys.argv[1], pathlib.Path(sys.argv[2])
    out = work / "gates"
    subprocess.run(["git", "clone", "--quiet", ".", str(out)], check=True)
    with open(out / "models/package.kdl", "a", encoding="utf-8") as package:
        package.write(GATES)
    targets = [f"//models:ships-{name}" for name in FORMATS]
    command = [mc, "--workspace", str(out), "--runtime-python", sys.executable, "--output", "json", "--keep-going"]
    done = subprocess.run([*command, "test", *targets], capture_output=True, text=True, check=False)
    gates = json.loads(done.stdout).get("gates", [])
    for gate in gates:
        name = gate["label"].split(":ships-")[1]
        for check in gate["checks"]:
            tool = f" ({check['tool']})" if "tool" in check else ""
            print(f"gates: {name}: {check['name']} {check['measured']}, limit {check['limit']}{tool}")
    is_run = all("not_run" not in check for gate in gates for check in gate["checks"])
    if done.returncode != 0 or len(gates) != len(FORMATS) or not is_run:
        sys.exit(f"mc ended with {done.returncode}\n{done.stdout}\n{done.stderr}")


if __name__ == "__main__":
    main()
