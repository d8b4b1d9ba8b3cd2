#!/bin/sh
# Converts a checkpoint of 3.2 billion parameters to a 16-bit GGUF, then merges and quantizes it. Fails if memory beyond
# mapped input pages exceeds 700 MB.
# Needs Rust, Python 3, /usr/bin/time (GNU) and 27 GB of disk. `MC` names another binary, `WORK` a folder to keep.
set -eu
cd "$(dirname "$0")"

n_mb=27000 size=3b
. ./prepare.sh
for target in //models:converted //models:synthetic.gguf; do
    rm -rf "$work/cache" "$work/workspace/mc-out"
    echo "$target"
    python3 measure.py "$work/workspace/models" 700 \
        "$MC" --workspace "$work/workspace" --cache-dir "$work/cache" build "$target"
done
