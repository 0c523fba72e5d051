#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Until a program has set its own handlers, Python prints a traceback on Ctrl-C. So the signals that end
# a program are blocked before Python starts: they stay pending until descring_model.startup unblocks
# them.
trap 'echo "descring: error: interrupted" >&2; exit 2' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
# Each of these can keep any Python from starting, or from ending, and none is for this program.
unset PYTHONDEBUG PYTHONDUMPREFS PYTHONEXECUTABLE PYTHONHASHSEED PYTHONHOME PYTHONINSPECT \
  PYTHONINTMAXSTRDIGITS PYTHONIOENCODING PYTHONMALLOC PYTHONOPTIMIZE PYTHONPLATLIBDIR \
  PYTHONPROFILEIMPORTTIME PYTHONTRACEMALLOC PYTHONUTF8 PYTHONVERBOSE
here=$(dirname -- "$(readlink -f -- "$0")")
block='--block-signal=INT --block-signal=TERM --block-signal=HUP'
# shellcheck disable=SC2086
if env $block true 2>/dev/null; then
  exec env $block "$here/descring-main" "$@"
fi
exec "$here/descring-main" "$@"  # an env without that option
