# SPDX-License-Identifier: Apache-2.0
"""Compiles CUDA C++ with NVRTC from its wheel, without a GPU, a driver or a CUDA toolkit."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from descring_sim.support.errors import SimulationError

WHEEL = "nvidia-cuda-nvrtc"
_COMPILATION_ERROR = 6
"""``NVRTC_ERROR_COMPILATION``: the only failure that is about the program and not about us."""


@dataclass(frozen=True)
class Compilation:
    """The outcome: the machine code, empty if the program was refused, and the compiler's log."""

    cubin: bytes
    log: str


def library() -> Path | None:
    """The library inside the installed wheel, or ``None`` where the wheel is not installed.

    Raises:
        SimulationError: the wheel is installed, but the library is not in it.
    """
    try:
        files = importlib.metadata.files(WHEEL)
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files or ():
        if file.name.startswith("libnvrtc.so"):
            return Path(str(file.locate()))
    raise SimulationError(f"the wheel {WHEEL} holds no libnvrtc.so; install it again")


@functools.cache
def _load() -> ctypes.CDLL:
    path = library()
    if path is None:
        raise SimulationError(f"NVRTC is not installed; run: pip install {WHEEL}")
    try:
        # NVRTC opens its builtins by name alone, and the wheel's folder is on no search path.
        for builtins in path.parent.glob("libnvrtc-builtins.so.*"):
            ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        loaded = ctypes.CDLL(str(path))
    except OSError as error:
        raise SimulationError(f"{path} cannot be loaded: {error}") from error
    loaded.nvrtcGetErrorString.restype = ctypes.c_char_p
    return loaded


def _must(code: int, what: str) -> None:
    if code != 0:
        text = _load().nvrtcGetErrorString(code).decode()
        raise SimulationError(f"{what} failed: {text}")


def _text(program: ctypes.c_void_p, what: str) -> bytes:
    """What ``nvrtcGet<what>`` returns for ``program``, by way of ``nvrtcGet<what>Size``."""
    size = ctypes.c_size_t()
    _must(getattr(_load(), f"nvrtcGet{what}Size")(program, ctypes.byref(size)), f"{what} size")
    buffer = ctypes.create_string_buffer(size.value)
    _must(getattr(_load(), f"nvrtcGet{what}")(program, buffer), what)
    return buffer.raw


def compile_program(source: str, headers: Mapping[str, str], *, arch: str) -> Compilation:
    """Compile ``source`` for ``arch`` (as ``sm_90``); ``headers`` are found by the names given.

    Raises:
        SimulationError: NVRTC is missing or fails for a reason other than the program.
    """
    nvrtc = _load()
    program = ctypes.c_void_p()
    count = len(headers)
    texts = (ctypes.c_char_p * count)(*(text.encode() for text in headers.values()))
    names = (ctypes.c_char_p * count)(*(name.encode() for name in headers))
    created = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), source.encode(), b"probe.cu", count, texts, names
    )
    _must(created, "nvrtcCreateProgram")
    try:
        options = (ctypes.c_char_p * 2)(f"--gpu-architecture={arch}".encode(), b"--std=c++17")
        code = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if code != _COMPILATION_ERROR:
            _must(code, "nvrtcCompileProgram")
        log = _text(program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
        return Compilation(b"" if code else _text(program, "CUBIN"), log)
    finally:
        _must(nvrtc.nvrtcDestroyProgram(ctypes.byref(program)), "nvrtcDestroyProgram")
