#!/usr/bin/env bash
# Gets the programs that the client tests run and pip cannot bring: from the system's packages as root, and the Node
# packages of conformance/node by `npm ci`. What cannot be had is said, one line each: its cells then say NOT RUN.
# Exit 1 where something is missing and CI=true. Says nothing where all is there.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
node_dir="$here/conformance/node"
min_node=18
lost=0

is_there() { command -v "$1" >/dev/null 2>&1; }
is_missing() { # what, why, what it costs
  echo "missing: $1 ($2); $3" >&2
  lost=1
}

# program, its Debian package, who says NOT RUN without it
wanted="git:git:git
git-lfs:git-lfs:git-lfs
aria2c:aria2:aria2c
wget:wget:wget
curl:curl:curl
node:nodejs:@huggingface/hub and transformers.js
npm:npm:@huggingface/hub and transformers.js
chromium:chromium:the decision page in a browser"

packages=""
while IFS=: read -r program package _; do
  is_there "$program" || packages="$packages $package"
done <<<"$wanted"

why="not root, so not installed"
if [ -n "$packages" ]; then
  if ! is_there apt-get; then
    why="no apt-get here: install it by hand"
  elif [ "$(id -u)" = 0 ]; then
    mkdir -p "$here/.tools"
    echo "installing$packages"
    export DEBIAN_FRONTEND=noninteractive
    # One by one after a failure: one package that cannot be had takes none of the others along. `nodejs` brings npm
    # with it in some package sources and conflicts with `npm` there.
    apt-get update -qq >"$here/.tools/apt.log" 2>&1
    for package in $packages; do
      [ "$package" = npm ] && is_there npm && continue
      apt-get install -qq -y --no-install-recommends "$package" >>"$here/.tools/apt.log" 2>&1
    done
    why="apt-get could not install it, see .tools/apt.log"
  fi
fi
while IFS=: read -r program _ cells; do
  is_there "$program" || is_missing "$program" "$why" "NOT RUN: $cells"
done <<<"$wanted"

if is_there node && is_there npm; then
  version=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
  stamp="$node_dir/node_modules/.stamp"
  if [ "$version" -lt "$min_node" ]; then
    is_missing "node >= $min_node" "node $version is installed" "NOT RUN: @huggingface/hub and transformers.js"
  elif ! cmp -s "$node_dir/package-lock.json" "$stamp"; then
    mkdir -p "$here/.tools"
    if (cd "$node_dir" && npm ci --silent) >"$here/.tools/npm.log" 2>&1; then
      cp "$node_dir/package-lock.json" "$stamp"
    else
      is_missing "the packages of conformance/node" "npm ci failed, see .tools/npm.log" \
        "NOT RUN: @huggingface/hub and transformers.js"
    fi
  fi
fi

if [ "$lost" = 1 ] && [ "${CI:-}" = true ]; then exit 1; fi
exit 0
