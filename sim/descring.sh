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
if [ -f "$here/../pyvenv.cfg" ]; then
  # Its own first line names Python in double quotes, in which a shell replaces a "$" of the path.
  set -- "$here/python" "$here/descring-main" "$@"
else
  set -- "$here/descring-main" "$@"
fi
block='--block-signal=INT --block-signal=TERM --block-signal=HUP'
# shellcheck disable=SC2086
if env $block true 2>/dev/null; then
  exec env $block "$@"
fi
exec "$@"  # an env without that option
