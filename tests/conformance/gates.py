"""Gates on the files that ship: the demo in every format, against the unquantized model and in the format's own runtime.

Usage: gates.py MC WORK
"""

import json
import pathlib
import subprocess
import sys

# The share of tokens that a runtime ranks first as our reading of its files does. MLX computes in BF16, LiteRT and
# llama.cpp round activations to 8 bits.
FORMATS = {"gguf": 97, "mlx": 97, "onnx": 99, "litert": 97}

DATASET = 'dataset "prompts" { files "data/intents.jsonl"; sample 64 seed=1 }'
GATES = DATASET + "".join(
    f"""
gate "ships-{name}" {{
    model ":roadtrip-everywhere-{name}"
    parity on=":prompts" max-kl=0.02 min-top-1="97%" min-greedy="95%"
    generation on=":prompts" min-tokens=200
    runtime-parity on=":prompts" min-top-1="{share}%" required=#true
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
