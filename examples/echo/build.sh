#!/bin/sh
# Builds echo.wasm: ./build.sh [OUTPUT]. Needs the target: rustup target add wasm32-wasip2
# Paths of this machine are kept out of the messages of panics, and so out of the file that is checked in.
set -eu
cd "$(dirname "$0")"
cargo="${CARGO_HOME:-$HOME/.cargo}"
cargo fetch --locked --target wasm32-wasip2
flags="--remap-path-prefix=$cargo=cargo --remap-path-prefix=$(pwd -P)=echo"
for registry in "$cargo"/registry/src/*; do
  flags="$flags --remap-path-prefix=$registry=crates"
done
target="${CARGO_TARGET_DIR:-$(pwd -P)/../../target/examples}"
RUSTFLAGS="$flags" CARGO_TARGET_DIR="$target" cargo build --locked --release --target wasm32-wasip2
cp "$target/wasm32-wasip2/release/echo.wasm" "${1:-echo.wasm}"
# Another compiler may build other bytes: the test that rebuilds it looks here first.
[ $# -gt 0 ] || rustc --version > rustc-version
