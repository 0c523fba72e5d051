#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the native core with ThreadSanitizer, and with AddressSanitizer and
# UndefinedBehaviorSanitizer, and runs it under each:
#   stress   submits, takes, pauses and resumes at the same time
#   closing  closes queues and devices while another thread is inside a call
#   fuzz     stores at random into a live segment, its threads as fibers on a clock of their own
#   threads  the same with threads (neither under ThreadSanitizer: they race on purpose)
#   slab     rollouts' state words under threads; kv: blocks and prefixes; rollouts: whole runs, with
#            cancellations, failed scorers, and workers that are stopped and started again
#   engine   records of the engine, whole and damaged, with each set of kernels, and threads
# Any report is a failure. Usage: sanitize.sh [--nightly | PROGRAM SIZE], where SIZE is the lines of a
# round of stress, the rounds of closing, the stores of fuzz and threads into each region, the operations
# of slab and kv, or the rollouts of rollouts and engine.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case ${1:-} in
  '') runs=('stress 5000' 'closing 200' 'fuzz 20000' 'threads 300' 'slab 20000' 'kv 20000'
    'rollouts 20000' 'engine 60') ;;
  --nightly) runs=('stress 50000' 'closing 10000' 'fuzz 1000000' 'threads 10000' 'slab 1000000'
    'kv 10000000' 'rollouts 1000000' 'engine 10000') ;;
  *) runs=("$1 ${2:?sanitize.sh: expected PROGRAM SIZE}") ;;
esac
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for run in "${runs[@]}"; do
  read -r program size <<<"$run"
  kinds='thread address,undefined'
  sources=("$here/$program.c")
  options=()
  # Most of the time of a round goes into spinning, which ThreadSanitizer makes ten times as slow.
  if [ "$program" = closing ]; then options=(-DHW_SPIN_DIVISOR=20); fi
  if [ "$program" = fuzz ] || [ "$program" = threads ]; then
    kinds=address,undefined
    sources=("$here/fuzz.c" "$here/fuzz_rig.c")
    options=(-DHW_PATIENCE_DIVISOR=100)
  fi
  if [ "$program" = fuzz ]; then
    sources+=("$here/fibers.c")
    options+=(@"$here/fibers.options")
  fi
  for kind in $kinds; do
    # Fences are not seen by ThreadSanitizer; data is ordered by acquire and release, which are.
    "${CC:-cc}" -std=c11 -g -O1 -fno-strict-aliasing -ffp-contract=off -Wall -Wextra -Werror -Wno-tsan -pthread \
      -fsanitize="$kind" -fno-sanitize-recover=all "${options[@]}" \
      -I"$here/.." -I"$here/../../include" "$here"/../*.c "$here"/../{engine,rollouts}/*.c "${sources[@]}" \
      -o "$out/$program"
    echo "== $program, $kind"
    TSAN_OPTIONS='halt_on_error=1 exitcode=66' ASAN_OPTIONS='detect_leaks=1' \
      "$out/$program" "$size"
  done
done
echo 'sanitizers: clean'
