# SPDX-License-Identifier: Apache-2.0
"""What an implementation is made of, as one hash: a verdict is about exactly that."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from pathlib import Path

import descring_model

from descring_sim.conform.dut import Dut
from descring_sim.replay.registry import BACKENDS
from descring_sim.support import paths

_SOURCES = frozenset(
    f".{ending}"
    for ending in (
        *("toml", "lock", "c", "h", "cc", "cpp", "cxx", "hpp", "s", "S", "rs", "go", "zig", "mk"),
        *("py", "pyx", "sh", "v", "sv", "vh", "svh", "vhd", "cu", "cuh"),
    )
)
_NAMES = frozenset({"Makefile", "makefile", "GNUmakefile", "CMakeLists.txt"})
_FILES_MAX = 5000
_SKIPPED = frozenset({"build", "target", "node_modules", "__pycache__"})


def fingerprint(dut: Dut, reference: str) -> str:
    """SHA-256 of the sources of ``dut``, in hexadecimal.

    Of a file: its folder's sources, and what it names. Of a plugin: the modules of its folder. Of
    one of ours: the package's sources.
    """
    digest = hashlib.sha256()
    for path in sorted(set(_parts(dut, reference))):
        if path.is_file():
            digest.update(f"\0{path.name}\0".encode(errors="surrogateescape"))
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _parts(dut: Dut, reference: str) -> Iterable[Path]:
    if reference == "model" or reference in BACKENDS:
        model = Path(descring_model.__file__).parent
        yield from _sources(model)
        yield from _sources(paths.rtl_dir())
        yield from _sources(paths.include_dir().parent)
        return
    if reference.endswith(".toml"):
        yield from _sources(Path(reference).resolve().parent)
        yield from getattr(dut, "made_of", tuple)()
        return
    place = Path(inspect.getfile(dut if inspect.isclass(dut) else type(dut)))
    yield place
    yield from place.parent.glob("*.py")


def _sources(folder: Path) -> Iterable[Path]:
    """The files below ``folder`` that look like sources; builds and hidden folders left out."""
    found = 0
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if any(part in _SKIPPED or part.startswith(".") for part in inside):
            continue
        if path.suffix in _SOURCES or path.name in _NAMES:
            yield path
            found += 1
            if found == _FILES_MAX:
                return
