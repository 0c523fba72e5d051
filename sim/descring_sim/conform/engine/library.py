# SPDX-License-Identifier: Apache-2.0
"""An engine that is a shared library with the C ABI of ``descring_engine.h``."""

from __future__ import annotations

import ctypes
from ctypes import c_int, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model.engine.interface import Statuses, check_call
from descring_model.engine.model import ModelEngine

from descring_sim.conform.errors import ConformError, DutError

ABI = 1
"""``descring_engine_abi()`` of a library that fits."""

_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "descring_engine_abi": (c_uint32, []),
    "descring_engine_open": (c_void_p, [c_uint32]),
    "descring_engine_advance": (
        c_int,
        [c_void_p, c_void_p, c_uint64, c_void_p, c_void_p, c_void_p, c_uint64],
    ),
    "descring_engine_close": (None, [c_void_p]),
}


def load_library(path: Path) -> ctypes.CDLL:
    """The library at ``path``; :class:`ConformError` if it is none with this ABI."""
    try:
        library = ctypes.CDLL(str(path.resolve()))
    except OSError as error:
        raise ConformError(f"{path} cannot be loaded: {error}") from error
    for name, (result, arguments) in _PROTOTYPES.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ConformError(
                f"{path}: expected a function {name}, got none (see descring_engine.h)"
            ) from None
        function.restype, function.argtypes = result, arguments
    actual = library.descring_engine_abi()
    if actual != ABI:
        raise ConformError(f"{path}: expected ABI {ABI}, got {actual}; compile it again")
    return library


class LibraryEngine:
    """An :class:`~descring_model.engine.interface.Engine` over the library's functions."""

    def __init__(self, library: ctypes.CDLL, vocabulary: int) -> None:
        self._library = library
        self.vocabulary = vocabulary
        self._handle = library.descring_engine_open(vocabulary)
        if not self._handle:
            raise DutError(f"descring_engine_open({vocabulary}) returned NULL")

    def new_arena(self, size: int) -> npt.NDArray[np.uint8]:
        """Host memory at a multiple of 64."""
        return ModelEngine.new_arena(self, size)  # type: ignore[arg-type]

    def advance(
        self,
        arena: npt.NDArray[np.uint8],
        records: npt.NDArray[np.uint64],
        ends: npt.NDArray[np.uint32],
    ) -> Statuses:
        """Call the library; :class:`DutError` if it does not return 0."""
        check_call(arena, records, ends)
        statuses = np.full(len(records), 0xFFFFFFFF, dtype=np.uint32)
        code = self._library.descring_engine_advance(
            self._handle,
            arena.ctypes.data,
            len(arena),
            records.ctypes.data,
            ends.ctypes.data,
            statuses.ctypes.data,
            len(records),
        )
        if code:
            raise DutError(f"descring_engine_advance returned {code}")
        return statuses

    def close(self) -> None:
        """Close the library's engine; a second call does nothing."""
        if self._handle:
            self._library.descring_engine_close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        self.close()
