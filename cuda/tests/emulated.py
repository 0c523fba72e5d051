# SPDX-License-Identifier: Apache-2.0
"""The kernels compiled for the CPU: a device whose blocks are threads of this process."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from descring_cuda import RemoteDevice
from descring_cuda.kernels import folders

EMULATOR = Path(__file__).resolve().parents[1] / "emulator" / "emulator.cc"
MAILBOX_CHECK = EMULATOR.with_name("mailbox_check.cc")
FLAGS = ["-std=c++17", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-fno-strict-aliasing"]
WORKERS = {"latency": 0, "throughput": 3}


def build(folder: Path, kernels: Path | None = None, *extra: str) -> Path:
    """Compile the emulator with these kernels (default: the tree's); its path."""
    target = folder / "emulator.so"
    compile_kernels(EMULATOR, target, kernels, "-shared", "-fPIC", *extra)
    return target


def mailbox_faults(folder: Path, kernels: Path | None = None, *extra: str) -> str:
    """What the check of the mailbox, under ThreadSanitizer, has against it; empty: nothing."""
    target = folder / "mailbox_check"
    compile_kernels(MAILBOX_CHECK, target, kernels, "-fsanitize=thread", *extra)
    # Few mails and many lives find what goes wrong at an end; the other way round, at a meeting.
    for lives, mails in (("300", "3"), ("1", "3000")):
        try:
            done = subprocess.run(
                [str(target), lives, mails], capture_output=True, text=True, timeout=60
            )
        except subprocess.TimeoutExpired:
            return "scout or taker does not end"
        if done.returncode != 0:
            return done.stderr or f"exit code {done.returncode}"
    return ""


def compile_kernels(source: Path, target: Path, kernels: Path | None, *options: str) -> None:
    """Compile a program over these kernels (default: the tree's) for the CPU."""
    known = folders()
    include = [f"-I{path}" for path in ((kernels or known[0]), known[1])]
    command = ["g++", *FLAGS, *options, "-pthread", *include, str(source), "-o", str(target)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


_FOLDER = tempfile.TemporaryDirectory()


@functools.cache
def emulator() -> Path:
    """The emulator of the tree's kernels, compiled once a process."""
    return build(Path(_FOLDER.name))


class EmulatedLauncher:
    """Starts threads where a GPU would start blocks."""

    def __init__(self, library: Path, shape: str) -> None:
        self.newest = shape == "latency"
        self._workers = WORKERS[shape]
        self.posting = max(1, self._workers)
        self._library = ctypes.CDLL(str(library))
        self._library.hw_emulate.restype = ctypes.c_void_p
        self._library.hw_emulate.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        self._library.hw_emulate_join.argtypes = [ctypes.c_void_p]
        self._ended = threading.Event()
        self._ended.set()

    def allocate(self, size: int) -> ctypes.Array[ctypes.c_uint8]:
        """Page-aligned memory of this process."""
        raw = (ctypes.c_uint8 * (size + 4096))()
        return (ctypes.c_uint8 * size).from_buffer(raw, -ctypes.addressof(raw) % 4096)

    def launch(self, link: int) -> None:
        """See :class:`descring_cuda.Launcher`."""
        assert self._ended.is_set()
        ended = self._ended = threading.Event()
        handle = self._library.hw_emulate(link, self._workers)

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


def open_emulated(
    shape: str = "latency", library: Path | None = None, **options: Any
) -> RemoteDevice:
    """A device of this shape on the CPU."""
    return RemoteDevice(EmulatedLauncher(library or emulator(), shape), **options)
