# Sourced by the scripts here: sets `work` and `MC`, and creates the workspace. The caller sets `n_mb`, the required
# megabytes of disk, and `size`, that of the model.
work=${WORK:-$(mktemp -d)}
[ -n "${WORK:-}" ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work"
n_free=$(df -Pm "$work" | awk 'NR == 2 { print $4 }')
if [ "$n_free" -lt "$n_mb" ]; then
    echo "error: $work has $n_free MB free; expected $n_mb" >&2
    exit 1
fi
if [ -z "${MC:-}" ]; then
    cargo build --quiet --release -p mc
    MC=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/mc
fi
[ -d "$work/workspace/models" ] || python3 make_workspace.py "$work/workspace" "$size"
