#!/bin/sh
# Converts a checkpoint of 3.2 billion parameters to a 16-bit GGUF, then merges and quantizes it, under 700 MB of memory.
# Needs Rust, Python 3, /usr/bin/time (GNU) and 27 GB of disk. `MC` names another binary, `WORK` a folder to keep.
set -eu
cd "$(dirname "$0")"

work=${WORK:-$(mktemp -d)}
[ -n "${WORK:-}" ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work"
n_free=$(df -Pm "$work" | awk 'NR == 2 { print $4 }')
if [ "$n_free" -lt 27000 ]; then
    echo "error: $work has $n_free MB free; expected 27000" >&2
    exit 1
fi
if [ -z "${MC:-}" ]; then
    cargo build --quiet --release -p mc
    MC=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/mc
fi
[ -d "$work/workspace/models" ] || python3 make_workspace.py "$work/workspace" 3b
for target in //models:converted //models:synthetic.gguf; do
    rm -rf "$work/cache" "$work/workspace/mc-out"
    echo "$target"
    python3 measure.py "$work/workspace/models" 700 \
        "$MC" --workspace "$work/workspace" --cache-dir "$work/cache" build "$target"
done
