#!/bin/sh
# Merges an adapter into a model of 1.2 billion parameters and writes a 16-bit GGUF: with PEFT and llama.cpp's
# converter, and with `mc`, one after the other. Prints time and memory of each.
# Needs Rust, /usr/bin/time (GNU), 13 GB of disk, and a Python (`PYTHON`) with torch, transformers, peft and sentencepiece.
# `CONVERTER` is llama.cpp's convert_hf_to_gguf.py with its gguf-py importable; its `get_vocab_base_pre` must be made to
# return "llama-bpe", because it knows tokenizers by a hash and not the synthetic one. `MC` and `WORK` as in run.sh.
set -eu
cd "$(dirname "$0")"

n_mb=13000 size=1b
. ./prepare.sh
base="$work/workspace/models/base" adapter="$work/workspace/models/adapter" merged="$work/merged"
measure() {
    what=$1
    shift
    /usr/bin/time -f "$what: %e s wall, %U s + %S s CPU, %M KiB peak" -o "$work/time" "$@" >"$work/log" 2>&1 ||
        { cat "$work/log" >&2; exit 1; }
    cat "$work/time"
}
rm -rf "$merged" "$work/reference.gguf"
measure "PEFT" "${PYTHON:-python3}" peft_merge.py "$base" "$adapter" "$merged"
if [ -n "${CONVERTER:-}" ]; then
    measure "converter" "${PYTHON:-python3}" "$CONVERTER" "$merged" --outtype bf16 --outfile "$work/reference.gguf"
fi
rm -rf "$work/cache" "$work/workspace/mc-out"
measure "mc, both at once" "$MC" --workspace "$work/workspace" --cache-dir "$work/cache" build //models:merged-bf16
if [ -n "${CONVERTER:-}" ]; then
    "$MC" diff "$work/reference.gguf" "$work/workspace/mc-out/models/merged-bf16/merged-bf16.gguf" | tail -n 1
fi
rm -rf "$work/cache" "$work/workspace/mc-out"
measure "mc, merged and quantized to Q4_K_M" \
    "$MC" --workspace "$work/workspace" --cache-dir "$work/cache" build //models:synthetic.gguf
