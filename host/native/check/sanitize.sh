#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the native core and its stress test with ThreadSanitizer, and with AddressSanitizer and
# UndefinedBehaviorSanitizer, and runs both. Any report is a failure.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lines=${1:-5000}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for kind in thread address,undefined; do
  "${CC:-cc}" -std=c11 -g -O1 -fno-strict-aliasing -Wall -Wextra -Werror -pthread \
    -fsanitize="$kind" -fno-sanitize-recover=all -I"$here/.." -I"$here/../../include" \
    "$here"/../*.c "$here/stress.c" -o "$out/stress"
  echo "== $kind"
  TSAN_OPTIONS='halt_on_error=1 exitcode=66' ASAN_OPTIONS='detect_leaks=1' "$out/stress" "$lines"
done
echo 'sanitizers: clean'
