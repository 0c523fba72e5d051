#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds a program of this folder with the native core, optimised and without sanitizers, and runs it:
# plain.sh PROGRAM [ARGUMENT...]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=${1:?plain.sh: expected PROGRAM [ARGUMENT...]}
shift
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
sources=("$here"/../*.c "$here"/../{engine,rollouts}/*.c)
# explore.c contains the source that it checks.
[ "$program" != explore ] || sources=()
options=()
# The guard watches loops that spin, and names what calls in them.
if [ "$program" = guard ]; then
  options=(-DHW_GUARD '-DHW_SPINS(count)=(1 << 30)' -rdynamic)
  sources+=("$here/guard_watch.c")
fi
"${CC:-cc}" ${options[@]+"${options[@]}"} -std=c11 -O2 -fno-strict-aliasing -ffp-contract=off -Wall -Wextra -Werror -pthread -I"$here/.." \
  -I"$here/../../include" ${sources[@]+"${sources[@]}"} "$here/$program.c" -o "$out/$program"
"$out/$program" "$@"
