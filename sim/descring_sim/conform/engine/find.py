# SPDX-License-Identifier: Apache-2.0
"""Finding an engine: one of ours by name, a shared library, or a class by path."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from descring_model.engine.interface import Engine
from descring_rollouts.engines import engine_names, open_engine

from descring_sim.conform.duts.find import class_of
from descring_sim.conform.engine.library import LibraryEngine, load_library
from descring_sim.conform.errors import ConformError


def find_engine(reference: str) -> Callable[[int], Engine]:
    """What makes the engine that ``reference`` names, for a vocabulary.

    Args:
        reference: a name of :func:`descring_rollouts.engines.open_engine`; the path of a shared
            library with the functions of ``descring_engine.h``; ``path.py:Class`` or
            ``package.module:Class``, a callable that takes the vocabulary.

    Raises:
        ConformError: there is none.
    """
    if reference in engine_names():
        return functools.partial(open_engine, reference)
    if reference.endswith(".so"):
        library = load_library(Path(reference))
        return functools.partial(LibraryEngine, library)
    if ":" in reference:
        found: Callable[[int], Engine] = class_of(reference)
        return found
    raise ConformError(
        f"expected an engine out of {', '.join(engine_names())}, a shared library ending in .so, "
        f"or file.py:Class, got {reference!r}"
    )
