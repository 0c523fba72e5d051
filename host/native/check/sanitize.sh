#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the native core and its stress tests with ThreadSanitizer, and with AddressSanitizer and
# UndefinedBehaviorSanitizer, and runs them. Any report is a failure.
# Usage: sanitize.sh [lines a round of the stress [rounds a call of closing while waiting]]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lines=${1:-5000}
rounds=${2:-100}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for kind in thread address,undefined; do
  echo "== $kind"
  for program in stress closing; do
    "${CC:-cc}" -std=c11 -g -O1 -fno-strict-aliasing -Wall -Wextra -Werror -pthread \
      -fsanitize="$kind" -fno-sanitize-recover=all -I"$here/.." -I"$here/../../include" \
      "$here"/../*.c "$here/$program.c" -o "$out/$program"
  done
  export TSAN_OPTIONS='halt_on_error=1 exitcode=66' ASAN_OPTIONS='detect_leaks=1'
  "$out/stress" "$lines"
  "$out/closing" "$rounds"
done
echo 'sanitizers: clean'
