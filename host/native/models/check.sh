#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Checks the models of this folder exhaustively with spin: check.sh [--nightly] [model...]. A line
# `CHECK: holds|fails OPTIONS` in a model is a check and what it must find; `NIGHTLY:` likewise, for
# larger sizes. One line a check; exit code 1: a result that differs, 2: spin or a compiler is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kinds=CHECK optimize=-O0
if [ "${1:-}" = --nightly ]; then kinds='CHECK|NIGHTLY' optimize=-O2; shift; fi
for tool in spin "${CC:-cc}"; do
  command -v "$tool" >/dev/null || { echo "check.sh: $tool is missing: apt-get install $tool" >&2; exit 2; }
done
if [ $# = 0 ]; then set -- "$here"/*.pml; fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
wrong=0 checks=0
for model; do
  while read -r expected options; do
    rm -f ./*
    # shellcheck disable=SC2086
    spin $options -a "$model" >generate.log || { cat generate.log >&2; exit 2; }
    "${CC:-cc}" "$optimize" -w -DSAFETY -DVECTORSZ=4096 -o pan pan.c
    ./pan -m2000000 -w24 >pan.log
    if grep -q 'max search depth too small\|out of memory' pan.log; then found=unfinished
    elif grep -q 'errors: 0$' pan.log; then found=holds
    else found=fails; fi
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)
    echo "$(basename "$model") $options: $found, $states states"
    if [ "$found" != "$expected" ]; then
      echo "expected: $expected" >&2
      spin -t -p -k "$(ls ./*.trail 2>/dev/null | head -1)" $options "$model" 2>/dev/null | tail -n 40 >&2 || true
      wrong=1
    fi
    checks=$((checks + 1))
  done < <(sed -nE "s/^\/\/ ($kinds): //p" "$model")
done
[ "$checks" -gt 0 ] || { echo 'check.sh: no check was found' >&2; exit 2; }
exit $wrong
