# SPDX-License-Identifier: Apache-2.0
"""Other names for folders whose own the tools cannot take.

make splits words at spaces, takes ``#``, ``%`` and ``$`` for its own and has no way to quote them;
a ``:`` ends an entry of PATH and PYTHONPATH, a comma an option of the linker; the scripts of the
simulators quote some characters and not others. A folder with such a name is reached through a
link of ours, below the folder for temporary files, which is made whenever it is needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import sys
import tempfile
from pathlib import Path

from descring_sim.support.errors import SimulationError

_PLAIN = re.compile(r"[A-Za-z0-9_./+@-]+")
_PLACES = ("/tmp", "/var/tmp", "/dev/shm")


def plain(folder: Path) -> Path:
    """``folder``, or a link to it, by a name that any tool can take.

    Raises:
        SimulationError: it needs a link, and there is no place for one.
    """
    text = str(folder)
    if _PLAIN.fullmatch(text):
        return folder
    link = _links() / hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
    if not link.is_symlink() or str(link.readlink()) != text:
        part = link.with_name(f"{link.name}.{os.getpid()}.part")
        part.unlink(missing_ok=True)
        part.symlink_to(folder)
        part.replace(link)
    return link


def for_verilator(folder: Path) -> Path:
    """A folder of sources by a name that Verilator can take.

    Raises:
        SimulationError: its path has a ``$``. Verilator looks behind a link, and takes what it
            finds there for a variable.
    """
    if "$" in str(folder.resolve()):
        raise SimulationError(
            f"expected sources in a folder without '$' in its path, which Verilator replaces, got "
            f"{folder}; move them, or use icarus"
        )
    return plain(folder)


def require_plain(folder: Path, what: str, advice: str) -> None:
    """Refuse a folder that the tools see by its own name, whatever link leads to it.

    Raises:
        SimulationError: its name is not one that make can take.
    """
    if not _PLAIN.fullmatch(str(folder.resolve())):
        raise SimulationError(
            f"expected {what} in a folder whose path has only letters, digits and /._+@-, which is "
            f"what make can take, got {folder.resolve()}; {advice}"
        )


def python() -> str:
    """This Python's program by a plain name.

    What it finds out about its own place, such as the libraries of cocotb, is plain then as well.
    """
    program = Path(sys.executable)
    return str(plain(program.parents[1]) / program.parent.name / program.name)


def make_flags(folder: Path, *flags: str) -> str:
    """MAKEFLAGS for a make in ``folder``, which is a plain name.

    make looks behind the link, and Verilator's makefile refuses what it then finds, although it
    uses the name for nothing else.
    """
    names = {} if _PLAIN.fullmatch(str(folder.resolve())) else {"CURDIR": str(folder)}
    # The makefile of the wheel 5.38.0 names a precompiled header without the option.
    names["CFG_CXXFLAGS_PCH_I"] = "-include"
    return " ".join([*flags, "--", *(f"{name}={value}" for name, value in names.items())])


def _links() -> Path:
    """The folder of the links, which is this user's alone."""
    for place in dict.fromkeys([tempfile.gettempdir(), *_PLACES]):
        if not _PLAIN.fullmatch(place):
            continue
        folder = Path(place) / f"descring-{os.getuid()}"
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
            private = not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and private:
                return folder
    raise SimulationError(
        f"expected a folder for links in {tempfile.gettempdir()} or {', '.join(_PLACES)}, which "
        "names with spaces or special characters need; set TMPDIR to one that can be written"
    )
