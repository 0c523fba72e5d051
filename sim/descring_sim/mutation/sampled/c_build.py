# SPDX-License-Identifier: Apache-2.0
"""Copies of ``host/`` whose native core is built there: as it is, and so that it counts lines.

Both put a program in the place of the compiler: one takes the objects of unchanged sources from an
earlier build, the other adds ``--coverage``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from descring_sim.mutation.host import HostMutantRunner
from descring_sim.mutation.sampled import line_counts
from descring_sim.mutation.session import Once
from descring_sim.support import environment as tool_environment
from descring_sim.support.errors import SimulationError
from descring_sim.support.mutant import MutantError

_REUSING = """\
#!/bin/sh
# The object of a source that no mutant has changed is made once.
for last; do :; done
known=@KNOWN@/${last##*/}
case " $* " in *" -c "*) ;; *) exec @CC@ "$@" ;; esac
if [ "${last##*/}" = "$DESCRING_CHANGED" ]; then
  @CC@ "$@" || exit
  cmp -s "$last" "$known" && : >"$DESCRING_SAME"
  exit 0
fi
[ ! -f "$known" ] || exec cp "$known" "$last"
@CC@ "$@" || exit
[ -n "$DESCRING_CHANGED" ] || cp "$last" "$known"
"""
_COUNTING = """\
#!/bin/sh
# Counts lines. Each source is compiled alone: the counts of two of one name, in different folders,
# would go into one file. The notes are kept, for their folder may go before they are read.
counted='-O0 --coverage -fprofile-update=atomic'
for one; do
  case $before$one in -c*/engine/*|-c*/binding/*|-c*/_[a-z]*.c) exec @CC@ "$@" ;; esac
  before=$one
done
left=$#
while [ "$left" -gt 0 ]; do
  one=$1 left=$((left - 1))
  shift
  case $one in
    -o) out=$1 left=$((left - 1)); shift ;;
    -c) alone=1 ;;
    *.c) sources="$sources$one
" ;;
    *) set -- "$@" "$one" ;;
  esac
done
[ -n "$out" ] || { echo 'cc: expected -o' >&2; exit 1; }
IFS='
'
number=0 objects=
for source in $sources; do
  number=$((number + 1)) object=$out
  [ -n "$alone" ] || object=$out-$number.o
  (unset IFS; @CC@ "$@" $counted -c "$source" -o "$object") || exit
  objects="$objects$object
"
done
find "$(dirname "$out")" -maxdepth 1 -name '*.gcno' -exec cp --parents -t @NOTES@ {} + || exit
[ -z "$alone" ] || exit 0
set -- "$@" $objects @MARK@
unset IFS
exec @CC@ "$@" $counted -Wl,-u,__gcov_dump -Wl,-u,__gcov_reset -o "$out"
"""


_MARK = """\
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
// A file of each process that has code which counts, until it ends in a way that writes the counts.
static char path[4096];
static void begin(void) {
  const char *folder = getenv("GCOV_PREFIX");
  path[0] = 0;
  if (folder == NULL) return;
  mkdir(folder, 0755);
  snprintf(path, sizeof path, "%s/@UNCOUNTED@%d", folder, (int)getpid());
  close(open(path, O_CREAT | O_WRONLY, 0644));
}
__attribute__((constructor)) static void load(void) {
  pthread_atfork(NULL, NULL, begin);
  begin();
}
__attribute__((destructor)) static void end(void) {
  if (path[0]) unlink(path);
}
"""


def _compiler() -> str:
    """The compiler that is run in the end.

    Raises:
        SimulationError: there is none.
    """
    for name in ("cc", "gcc"):
        found = shutil.which(name, path=tool_environment.tools().get("PATH"))
        if found:
            return found
    raise SimulationError("no C compiler found: apt-get install gcc libc6-dev")


def _program(file: Path, text: str, **places: str) -> None:
    for name, value in {**places, "CC": _compiler()}.items():
        text = text.replace(f"@{name}@", shlex.quote(value))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)


def _build(home: Path, variables: Mapping[str, str]) -> str | None:
    """Build the native core of the copy ``home``; return what is wrong, None for nothing."""
    built = subprocess.run(
        [sys.executable, str(home / "native" / "build.py")],
        env=tool_environment.tools() | dict(variables),
        capture_output=True,
        text=True,
        check=False,
    )
    return built.stderr.strip()[-200:] if built.returncode else None


@dataclass
class NativeRunner(HostMutantRunner):
    """Applies mutants to copies of a folder whose unchanged native core is built once."""

    _unchanged: Once[Path, Path] = field(default_factory=Once)

    def _base(self) -> Path:
        """The unchanged sources, built."""

        def find() -> Path:
            objects = self.root / "objects"
            shutil.rmtree(objects, ignore_errors=True)
            objects.mkdir(parents=True)
            _program(self.root / "reusing" / "cc", _REUSING, KNOWN=str(objects))
            home = super(NativeRunner, self).copy("built")
            wrong = _build(home, self._variables("", home))
            if wrong is not None:
                raise SimulationError(f"the native core does not build: {wrong}")
            return home

        return self._unchanged.get(self.source, find)

    def _variables(self, changed: str, home: Path) -> dict[str, str]:
        return {
            "CC": str(self.root / "reusing" / "cc"),
            "DESCRING_CHANGED": changed,
            "DESCRING_SAME": str(self._mark(home)),
        }

    def _mark(self, home: Path) -> Path:
        """A file that is there once the changed source of ``home`` has made the same object."""
        return self.root / "same" / home.name

    def same(self, home: Path) -> bool:
        """Whether :meth:`prepare` found that the compiler makes the same object as before."""
        return self._mark(home).is_file()

    def copy(self, name: str) -> Path:
        """Return a new copy of the sources, built."""
        home = self.root / name
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self._base(), home, ignore=shutil.ignore_patterns("__pycache__"))
        return home

    def prepare(self, home: Path, source: Path) -> None:
        """Build with the changed file ``source`` of the copy ``home``.

        Raises:
            MutantError: it does not build.
        """
        self._base()
        place = source.relative_to(home / "native") if source.suffix == ".c" else None
        # Any object may depend on a header.
        changed = f"{str(place).replace('/', '-')}.o" if place else None
        # Whatever CC may be outside, all is built by one compiler.
        mark = self._mark(home)
        mark.parent.mkdir(exist_ok=True)
        mark.unlink(missing_ok=True)
        variables = self._variables(changed, home) if changed else {"CC": _compiler()}
        wrong = _build(home, variables)
        if wrong is not None:
            raise MutantError(f"the native core does not build: {wrong}")


@dataclass
class CountingRunner(HostMutantRunner):
    """Makes a copy whose native core, and what its tests compile, counts the lines that run."""

    @property
    def notes(self) -> Path:
        """Folder of what the compiler notes of the sources, by the paths of the objects."""
        return self.root / "notes"

    def variables(self) -> dict[str, str]:
        """The environment in which the compiler counts."""
        path = tool_environment.tools().get("PATH", os.defpath)
        folder = self.root / "counting"
        # Programs that tests compile are cc by its name, or what CC of outside names.
        return {"PATH": f"{folder}{os.pathsep}{path}", "CC": str(folder / "cc")}

    def copy(self, name: str) -> Path:
        """Return a new copy of the sources, built so that it counts.

        Raises:
            SimulationError: it does not build.
        """
        shutil.rmtree(self.notes, ignore_errors=True)
        self.notes.mkdir(parents=True)
        mark = self.root / "counting" / "mark.c"
        made = mark.with_suffix(".o")
        _program(self.root / "counting" / "cc", _COUNTING, NOTES=str(self.notes), MARK=str(made))
        mark.write_text(_MARK.replace("@UNCOUNTED@", line_counts.UNCOUNTED), encoding="utf-8")
        subprocess.run([_compiler(), "-fPIC", "-c", str(mark), "-o", str(made)], check=True)
        home = super().copy(name)
        wrong = _build(home, self.variables())
        if wrong is not None:
            raise SimulationError(f"the native core does not build with --coverage: {wrong}")
        return home
