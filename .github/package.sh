#!/bin/sh
# Packs a binary with its man pages, completions and licenses into NAME.tar.gz, with its SHA-256 beside it.
#
# usage: .github/package.sh BINARY NAME
set -eu
if [ "$#" -ne 2 ]; then
    echo "usage: .github/package.sh BINARY NAME" >&2
    exit 2
fi
binary=$1 name=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/$name/completions" "$work/$name/man"
cp "$binary" "$work/$name/mc"
cp README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$work/$name/"
for shell in bash zsh fish; do
    "$binary" completions "$shell" >"$work/$name/completions/mc.$shell"
done
"$binary" man --out "$work/$name/man"
tar -C "$work" -czf "$name.tar.gz" "$name"
if command -v sha256sum >/dev/null; then
    sha256sum "$name.tar.gz" >"$name.tar.gz.sha256"
else
    shasum -a 256 "$name.tar.gz" >"$name.tar.gz.sha256"
fi
