# SPDX-License-Identifier: Apache-2.0
"""The resident shape on the CPU: a thread plays a block, and its threads are fibers."""

from __future__ import annotations

import ctypes
import functools
import tempfile
import threading
from pathlib import Path
from typing import Any

from descring_cuda import CudaEngine, ResidentDevice
from descring_cuda.resident import Lobby
from emulated import EMULATOR, compile_kernels
from emulated_machine import ENGINE_FLAGS, EmulatedMachine

WORKERS = 2


def build_resident(folder: Path, kernels: Path | None = None, *extra: str) -> Path:
    """Compile the resident shape and the engine (default: the tree's kernels); its path."""
    target = folder / "resident.so"
    source = EMULATOR.with_name("resident.cc")
    compile_kernels(source, target, kernels, "-shared", "-fPIC", *ENGINE_FLAGS, *extra)
    return target


_FOLDER = tempfile.TemporaryDirectory()


@functools.cache
def resident_library() -> Path:
    """The tree's kernels, compiled once a process."""
    return build_resident(Path(_FOLDER.name))


class EmulatedResidentLauncher:
    """Starts threads where a GPU would start blocks."""

    newest = False
    posting = 1

    def __init__(self, lobby: Lobby, library: Path) -> None:
        self._lobby = lobby
        self._library = ctypes.CDLL(str(library))
        self._library.hw_emulate_resident.restype = ctypes.c_void_p
        self._library.hw_emulate_resident.argtypes = [
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_uint32,
            ctypes.c_uint32,
        ]
        self._library.hw_emulate_join.argtypes = [ctypes.c_void_p]
        self._ended = threading.Event()
        self._ended.set()

    def allocate(self, size: int) -> ctypes.Array[ctypes.c_uint8]:
        """Page-aligned memory of this process."""
        raw = (ctypes.c_uint8 * (size + 4096))()
        return (ctypes.c_uint8 * size).from_buffer(raw, -ctypes.addressof(raw) % 4096)

    def launch(self, link: int) -> None:
        """See :class:`descring_cuda.Launcher`."""
        self._lobby.reset()
        ended = self._ended = threading.Event()
        workers = WORKERS if self._lobby.count else 0
        handle = self._library.hw_emulate_resident(
            link, self._lobby.address, workers, self._lobby.draws
        )

        def wait() -> None:
            self._library.hw_emulate_join(handle)
            ended.set()

        threading.Thread(target=wait, daemon=True).start()

    def running(self) -> bool:
        """See :class:`descring_cuda.Launcher`."""
        return not self._ended.is_set()

    def error(self) -> str:
        """See :class:`descring_cuda.Launcher`."""
        return "its threads ended"

    def close(self) -> None:
        """See :class:`descring_cuda.Launcher`."""
        self._lobby.close()


def open_emulated_resident(
    library: Path | None = None, *, engine: CudaEngine | None = None, **options: Any
) -> ResidentDevice:
    """A device of this shape on the CPU."""
    path = library or resident_library()
    options = {"heartbeat_s": 20.0, "seats": 6, "max_tokens": 600, **options}
    return ResidentDevice(
        engine=engine,
        machine=EmulatedMachine(path),
        launcher=lambda lobby: EmulatedResidentLauncher(lobby, path),
        **options,
    )
