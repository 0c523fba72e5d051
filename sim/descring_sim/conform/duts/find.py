# SPDX-License-Identifier: Apache-2.0
"""Finding an implementation: one of ours by name, a file, a class by path, or an entry point."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from descring_sim.conform.dut import Dut
from descring_sim.conform.duts.backends import BackendDut
from descring_sim.conform.duts.dut_file import DutFile, read_file
from descring_sim.conform.duts.model import ModelDut
from descring_sim.conform.errors import ConformError
from descring_sim.replay.registry import BACKENDS

ENTRY_POINTS = "descring.duts"
"""Group of entry points in which an installed package names its plugins."""


def known() -> dict[str, str]:
    """Names that :func:`find_dut` takes as they are, with where each comes from."""
    names = dict.fromkeys(BACKENDS, "descring")
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        names[point.name] = point.dist.name if point.dist else point.value
    return names


def find_dut(reference: str) -> Dut:
    """The implementation that ``reference`` names.

    Args:
        reference: a backend of ours; the path of a ``.toml`` file; ``path.py:Class`` or
            ``package.module:Class``; the name of an entry point.

    Raises:
        ConformError: there is none, or it has not the three methods.
    """
    if reference == "model":
        return ModelDut()
    if reference in BACKENDS:
        return BackendDut(reference)
    if reference.endswith(".toml"):
        # Imported late: most runs have no foreign implementation.

        return load_file(Path(reference))
    if ":" in reference:
        return _checked(class_of(reference), reference)
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if point.name == reference:
            return _checked(point.load(), reference)
    raise ConformError(
        f"expected an implementation out of {', '.join(known())}, a .toml file, or file.py:Class, "
        f"got {reference!r}"
    )


def class_of(reference: str) -> Any:
    """The class that ``path.py:Class`` or ``package.module:Class`` names."""
    place, _, name = reference.rpartition(":")
    try:
        module = (
            _file_module(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        )
    except (ImportError, OSError, SyntaxError) as error:
        raise ConformError(f"{reference}: cannot import {place}: {error}") from error
    found = getattr(module, name, None)
    if found is None:
        raise ConformError(f"{reference}: {place} has no {name!r}")
    return found


def _file_module(path: Path) -> ModuleType:
    resolved = path.resolve()
    if not resolved.is_file():
        raise OSError(f"no such file: {path}")
    name = f"_descring_dut_{resolved.stem}"
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _checked(factory: Any, reference: str) -> Dut:
    dut = factory() if callable(factory) else factory
    missing = [name for name in ("describe", "build", "run") if not callable(getattr(dut, name, 0))]
    if missing:
        raise ConformError(
            f"{reference}: a plugin has describe, build and run; missing {missing[0]}"
        )
    return cast(Dut, dut)


def _library(file: DutFile) -> Dut:
    from descring_sim.conform.duts.library import LibraryDut

    return LibraryDut(file)


def _command(file: DutFile) -> Dut:
    from descring_sim.conform.duts.command import ProgramDut

    return ProgramDut(file)


def _core(file: DutFile) -> Dut:
    from descring_sim.conform.duts.core import RtlDut

    return RtlDut(file)


def _axi_device(file: DutFile) -> Dut:
    from descring_sim.conform.duts.axi_device import ShellDut

    return ShellDut(file)


_MAKERS: dict[str, Callable[[DutFile], Dut]] = {
    "library": _library,
    "command": _command,
    "core": _core,
    "axi-device": _axi_device,
}
"""What ``dut.kind`` can be; the table of that name has the rest."""


def load_file(path: Path) -> Dut:
    """The implementation that the file at ``path`` describes.

    Raises:
        ConformError: the file is wrong; the text names the place.
    """
    file = read_file(path)
    return _MAKERS[file.kind](file)
