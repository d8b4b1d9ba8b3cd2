#!/bin/sh
# Measures the memory of writing a merged model of 1.2 billion parameters in every format: it fails if one of them needs
# more than 400 MB beyond mapped input. README.md defines the measured values.
# Needs Rust, Python 3, /usr/bin/time (GNU) and 10 GB of disk. `MC` names another binary, `WORK` a folder to keep.
set -eu
cd "$(dirname "$0")"

n_mb=10000 size=1b
. ./prepare.sh
for target in mlx onnx litert onnx-f16; do
    rm -rf "$work/cache" "$work/workspace/mc-out"
    echo "$target"
    python3 measure.py "$work/workspace/models" 400 \
        "$MC" --workspace "$work/workspace" --cache-dir "$work/cache" build "//models:as-$target"
done
