"""Opens what a bundle of the demo ships with other people's libraries: the model with the `gguf` package, the manifest
with `jsonschema`, the card's front matter with PyYAML; and reads the Modelfile as Ollama's parser does.

usage: artifacts.py MC WORK_FOLDER
"""

import hashlib
import json
import pathlib
import sys

import gguf
import jsonschema
import yaml

from llama_cpp import mc

SCHEMA = pathlib.Path("docs/schemas/bundle-manifest-2.schema.json")
TARGET = "//models:roadtrip-q4km-ios"
PLAIN = """checkpoint "base" dir="base"
model "plain" { base ":base"; quantize "F16" }
dataset "calibration" { files "calibration.txt" }
model "unweighed" { base ":base"; calibration ":calibration"; quantize "F16"; model-name "Unweighed" }
"""


class Failed(Exception):
    """Something that a bundle says is not so."""


def hold(condition, what):
    if not condition:
        raise Failed(what)


def keys_of(path):
    """The keys of a GGUF as plain values."""
    reader = gguf.GGUFReader(str(path))
    return {name: field.contents() for name, field in reader.fields.items()}, reader


def modelfile_of(text):
    """The commands of a Modelfile: names and arguments, as Ollama's parser reads them."""
    commands, rest = [], text
    while rest:
        line, _, after = rest.partition("\n")
        if not line.strip() or line.lstrip().startswith("#"):
            rest = after
            continue
        name, _, value = rest.partition(" ")
        if name == "PARAMETER":
            parameter, _, value = value.partition(" ")
            name = f"PARAMETER {parameter}"
        if value.startswith('"""'):
            value, _, rest = value[3:].partition('"""')
            hold(rest.startswith("\n"), f"{name}: something follows the quotes")
            rest = rest[1:]
        else:
            value, _, rest = value.partition("\n")
            if len(value) > 1 and value[0] == value[-1] == '"':
                value = value[1:-1]
        commands.append((name, value))
    return commands


def front_matter_of(card):
    _, header, _ = card.split("---\n", 2)
    return yaml.safe_load(header)


def check_file(path, manifest):
    """Line 1: the names and facts in the model's file; line 2: its calibration; line 4: its types."""
    keys, reader = keys_of(path)
    expected = {
        "general.name": "Roadtrip",
        "general.basename": "roadtrip",
        "general.version": "v1.0",
        "general.finetune": "specialist",
        "general.languages": ["en"],
        "general.license": "mit",
        "general.license.name": "MIT License",
        "general.base_model.count": 1,
        "general.base_model.0.name": "Roadtrip Base",
        "general.base_model.0.organization": "Roadtrip",
        "general.base_model.0.repo_url": "https://example.com/roadtrip/roadtrip-base",
        "mc.imatrix": "calibration",
    }
    for name, value in expected.items():
        hold(keys.get(name) == value, f"{name} is {keys.get(name)!r}, not {value!r}")
    hold("text-generation" in keys["general.tags"], "general.tags has the task")
    pad = keys["tokenizer.ggml.padding_token_id"]
    hold(keys["tokenizer.ggml.tokens"][pad] == "<|end_of_text|>", "the padding token is the checkpoint's")
    types = {}
    for tensor in reader.tensors:
        name = tensor.tensor_type.name
        n_tensors, n_bytes = types.get(name, (0, 0))
        types[name] = (n_tensors + 1, n_bytes + int(tensor.n_bytes))
    said = {share["type"]: (share["tensors"], share["bytes"]) for share in manifest["types"]}
    hold(said == types, f"the manifest says {said} of the types {types}")
    return keys


def check_modelfile(folder, keys, model):
    """Line 3: the template, the stop tokens, and no parameter that nobody advised."""
    commands = modelfile_of((folder / "Modelfile").read_text(encoding="utf-8"))
    values = {}
    for name, value in commands:
        values.setdefault(name, []).append(value)
    hold(values["FROM"] == [f"./{model}"], "FROM is the model")
    template = values["TEMPLATE"][0]
    hold(".Messages" in template and template.count("{{ if") + template.count("{{ range") == template.count("{{ end }}"),
         "TEMPLATE goes over all messages, and its blocks end")
    generation = json.loads(pathlib.Path("models/base/generation_config.json").read_text(encoding="utf-8"))
    advised = {"PARAMETER temperature": ["0"]} if generation.get("do_sample") is False else {}
    sampling = {name: value for name, value in values.items() if name.startswith("PARAMETER")}
    for own in ("PARAMETER num_ctx", "PARAMETER stop"):
        sampling.pop(own)
    hold(sampling == advised, f"parameters {sampling} are those of generation_config.json")
    hold(keys["tokenizer.ggml.tokens"][keys["tokenizer.ggml.eos_token_id"]] in values["PARAMETER stop"], "the end stops")
    hold("MIT License" in values["LICENSE"][0], "the license travels")


def check_documents(folder, manifest):
    """Line 5: front matter, digests of all files, sources, and the published schema."""
    jsonschema.validate(manifest, json.loads(SCHEMA.read_text(encoding="utf-8")), jsonschema.Draft202012Validator)
    card = (folder / "README.md").read_text(encoding="utf-8")
    front = front_matter_of(card)
    expected = {
        "base_model": ["roadtrip-base"], "base_model_relation": "finetune", "language": ["en"], "license": "mit",
        "license_name": "MIT License", "license_link": "LICENSE", "pipeline_tag": "text-generation",
    }
    for name, value in expected.items():
        hold(front.get(name) == value, f"the card's {name} is {front.get(name)!r}, not {value!r}")
    hold("automotive" in front["tags"] and "gguf" in front["tags"], "the card has tags")
    for program in ("llama_model_load_from_file", "llama-cli --model", "lms import", "ollama create"):
        hold(program in card, f"the card has a line with `{program}`")
    hold("<|start_header_id|>user<|end_header_id|>" in card, "the card has the exact prompt")
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    names = {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    hold(set(sums) == names, f"SHA256SUMS has {sorted(sums)}, the folder {sorted(names)}")
    for name, digest in sums.items():
        hold(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, f"the digest of {name}")
    for file in [manifest["model"], *manifest["files"]]:
        hold(sums[file["file"]] == file["sha256"], f"the manifest's digest of {file['file']}")
    for source in manifest["sources"]:
        hold(source["digest"].startswith("blake3:") and "url" in source and "revision" in source, "a source is named")


def bundle(binary, work, target, *options):
    built = mc(binary, work, *options, "build", target)["targets"][0]
    folder = pathlib.Path(built["directory"])
    return folder, json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def check_plain(binary, work):
    """A plain conversion keeps its checkpoint's name, and an imatrix that no tensor reads is named nowhere."""
    workspace = work / "artifacts"
    base = workspace / "m" / "base"
    base.mkdir(parents=True)
    for path in pathlib.Path("models/base").iterdir():
        (base / path.name).write_bytes(path.read_bytes())
    (workspace / "workspace.kdl").write_text('workspace "artifacts"\n')
    (workspace / "m" / "package.kdl").write_text(PLAIN)
    text = pathlib.Path("models/data/calibration/requests.txt").read_text(encoding="utf-8")
    (workspace / "m" / "calibration.txt").write_text(text, encoding="utf-8")
    for target, name in (("plain", "Base"), ("unweighed", "Unweighed")):
        folder, manifest = bundle(binary, work, f"//m:{target}", "--workspace", str(workspace))
        keys, _ = keys_of(folder / manifest["model"]["file"])
        hold(keys["general.name"] == name and "mc.imatrix" not in keys, f"{target}: name and lineage")
        hold(manifest["calibration"] is None, f"{target}: no calibration")
        hold(keys["general.organization"] == "Roadtrip" and keys["general.version"] == "v1.0", f"{target}: the card's facts")


def main():
    binary, work = sys.argv[1], pathlib.Path(sys.argv[2])
    try:
        folder, manifest = bundle(binary, work, TARGET)
        model = manifest["model"]["file"]
        keys = check_file(folder / model, manifest)
        check_modelfile(folder, keys, model)
        check_documents(folder, manifest)
        check_plain(binary, work)
    except Failed as failed:
        sys.exit(f"artifacts: {failed}")
    print(f"{TARGET}: gguf {model} has {len(keys)} keys; Modelfile, card, checksums and manifest say what is in it: ok")


if __name__ == "__main__":
    main()
