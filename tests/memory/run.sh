#!/bin/sh
# Measures the memory of merging and quantizing a model of 1.2 billion parameters. README.md defines the measured
# values.
# Needs Rust, Python 3, /usr/bin/time (GNU) and 5 GB of disk. `MC` names another binary, `WORK` a folder to keep.
set -eu
cd "$(dirname "$0")"

n_mb=5000 size=1b
. ./prepare.sh
for n_jobs in 1 2 4; do
    rm -rf "$work/cache" "$work/workspace/mc-out"
    echo "--jobs $n_jobs"
    python3 measure.py "$work/workspace/models" 600 \
        "$MC" --workspace "$work/workspace" --cache-dir "$work/cache" --jobs "$n_jobs" build //models:synthetic.gguf
    du -sm "$work/cache" | awk '{ print "the store afterwards         " $1 " MiB" }'
done
rm -rf "$work/cache" "$work/workspace/mc-out"
echo "CPU time, without looking at memory"
python3 measure.py "$work/workspace/models" 0 \
    "$MC" --workspace "$work/workspace" --cache-dir "$work/cache" build //models:synthetic.gguf
