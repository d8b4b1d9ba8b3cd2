#!/bin/sh
# Measures the cost of making many small blobs durable: pairs of cold builds of 10,000 small targets with two binaries,
# one after the other, wall and CPU time. Needs Rust, Python 3 and 2 GB of disk; an in-memory file system shows no
# difference.
# `MC_BASE` names the binary to compare with, such as one of an earlier revision; `MC` the other [default: a release
# build of this tree]; `N_PAIRS` is the number of pairs [default: 3]; `N_TARGETS` that of targets [default: 10000];
# `WORK` is a folder on the disk to be measured [default: a temporary one].
set -eu
cd "$(dirname "$0")"
: "${MC_BASE:?names the binary to compare with}"

work=${WORK:-$(mktemp -d)}
[ -n "${WORK:-}" ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work"
n_free=$(df -Pm "$work" | awk 'NR == 2 { print $4 }')
if [ "$n_free" -lt 2000 ]; then
    echo "error: $work has $n_free MB free; expected 2000" >&2
    exit 1
fi
if [ -z "${MC:-}" ]; then
    cargo build --quiet --release -p mc
    MC=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/mc
fi
python3 pairs.py "$work" "$MC_BASE" "$MC" "${N_PAIRS:-3}" "${N_TARGETS:-10000}"
