#!/bin/sh
# Measures the cost of comparing the bytes that actions read with their keys, as the ratio of the CPU time of two
# binaries: pairs of builds, one after the other, of the demo, of a model of 1.2 billion parameters, and of the demo
# with nothing to do.
# Needs Rust, Python 3 and 8 GB of disk. `MC_BASE` names the binary to compare with, such as one of an earlier revision;
# `N_PAIRS` is the number of pairs [default: 5]. `MC` and `WORK` as in ../memory/run.sh.
set -eu
cd "$(dirname "$0")/../memory"
: "${MC_BASE:?names the binary to compare with}"

n_mb=8000 size=1b
. ./prepare.sh
python3 ../integrity/pairs.py "$work" "$MC_BASE" "$MC" "${N_PAIRS:-5}"
