# SPDX-License-Identifier: Apache-2.0
"""An implementation that is a shared library with the C ABI of ``descring_dut.h``."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model import DESC_DTYPE, Lines, contract, line_bytes

from descring_sim.conform.abi import ABI, STREAM_FLAGS
from descring_sim.conform.dut import Description, DeviceJob, StreamJob, StreamResult
from descring_sim.conform.duts.dut_file import DutFile
from descring_sim.conform.errors import DutError

_GUARD_LINES = 64
_GUARD_BYTE = 0xA5
_SPREAD = 0x9E37_79B9_7F4A_7C15
"""Makes all 64 bits of a library's seed differ from stream to stream; odd, so that none is lost."""


class _Stream(ctypes.Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("first_index", c_uint32),
        ("workers", c_uint32),
        ("ring_slots", c_uint32),
        ("reserved", c_uint32),
        ("seed", c_uint64),
    ]


_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "descring_dut_abi": (c_uint32, []),
    "descring_dut_run": (
        c_int,
        [
            *(POINTER(_Stream), c_void_p, c_size_t, c_void_p, POINTER(c_size_t)),
            *(c_void_p, POINTER(c_size_t)),
        ],
    ),
    "descring_dut_open": (c_void_p, [c_void_p, c_uint64, c_uint32]),
    "descring_dut_read32": (c_uint32, [c_void_p, c_uint32]),
    "descring_dut_write32": (None, [c_void_p, c_uint32, c_uint32]),
    "descring_dut_wait": (None, [c_void_p, c_uint64]),
    "descring_dut_irq": (c_int, [c_void_p]),
    "descring_dut_close": (None, [c_void_p]),
}
_NEEDED = {
    "stream": ("descring_dut_abi", "descring_dut_run"),
    "device": tuple(name for name in _PROTOTYPES if name not in ("descring_dut_run",)),
}


class LibraryDut:
    """Loads the library into this process, which is the kit's worker and may die with it."""

    def __init__(self, file: DutFile) -> None:
        file.only_keys("path", "build")
        self._file = file
        self._path = file.folder / file.text("path")
        file.words("build")
        self._library: ctypes.CDLL | None = None

    def describe(self) -> Description:
        """See :class:`descring_sim.conform.dut.Dut`."""
        return self._file.description

    def made_of(self) -> list[Path]:
        """The library, unless it is made of sources that lie beside its file."""
        return [] if self._file.words("build") else [self._path]

    def build(self, folder: Path) -> None:
        """Run the file's build command, load the library, and find its functions."""
        self._file.run_build(folder)
        if not self._path.is_file():
            raise DutError(f"{self._file.path}: library.path: there is no {self._path}")
        try:
            with self._file.built():
                library = ctypes.CDLL(str(self._path))
        except OSError as error:
            raise DutError(f"{self._path} cannot be loaded: {error}") from error
        capabilities = self._file.description.capabilities
        needed = {name for level in capabilities.levels for name in _NEEDED[level]}
        if not capabilities.interrupt:
            needed.discard("descring_dut_irq")
        for name in sorted(needed):
            try:
                function = getattr(library, name)
            except AttributeError:
                raise DutError(
                    f"{self._path} does not export {name} (see descring_dut.h)"
                ) from None
            function.restype, function.argtypes = _PROTOTYPES[name]
        actual = library.descring_dut_abi()
        if actual != ABI:
            raise DutError(f"{self._path}: expected ABI {ABI}, got {actual}; compile it again")
        self._library = library

    def run(self, job: StreamJob | DeviceJob) -> StreamResult:
        """See :class:`descring_sim.conform.dut.Dut`."""
        assert self._library is not None
        if isinstance(job, DeviceJob):
            with _LibraryDevice(self._library, job) as device:
                job.program(device)
            return StreamResult()
        return self._stream(self._library, job)

    def _stream(self, library: ctypes.CDLL, job: StreamJob) -> StreamResult:
        stream = _Stream(
            size=ctypes.sizeof(_Stream),
            flags=sum(bit for name, bit in STREAM_FLAGS.items() if getattr(job, name)),
            first_index=job.first_index,
            workers=job.workers or 0,
            ring_slots=job.ring_slots or 0,
            seed=job.seed * _SPREAD % (1 << 64),
        )
        count = len(job.lines)
        given = _aligned(count)
        given[:] = line_bytes(job.lines)
        before = given.copy()
        rings = [_aligned(count + _GUARD_LINES) for _ in range(2)]
        counts = [c_size_t(count), c_size_t(count)]
        for ring in rings:
            ring[:] = _GUARD_BYTE
        code = library.descring_dut_run(
            ctypes.byref(stream),
            given.ctypes.data,
            count,
            rings[0].ctypes.data,
            ctypes.byref(counts[0]),
            rings[1].ctypes.data,
            ctypes.byref(counts[1]),
        )
        if code:
            raise DutError(f"descring_dut_run returned {code}")
        if not np.array_equal(given, before):
            raise DutError("descring_dut_run wrote into the lines that it was given")
        done, reward = (
            _lines(ring, int(written.value), count)
            for ring, written in zip(rings, counts, strict=True)
        )
        return StreamResult(done, reward)


def _aligned(count: int) -> npt.NDArray[np.uint8]:
    """``(count, 64)`` bytes at an address that is a multiple of 64."""
    raw = np.zeros((count + 1) * contract.DESC_BYTES, dtype=np.uint8)
    start = -raw.ctypes.data % contract.DESC_BYTES
    lines = raw[start : start + count * contract.DESC_BYTES]
    return lines.reshape(count, contract.DESC_BYTES)


def _lines(ring: npt.NDArray[np.uint8], count: int, room: int) -> Lines:
    if count > room:
        raise DutError(
            f"descring_dut_run reports that it wrote {count} lines; there is room for {room}"
        )
    if (ring[room:] != _GUARD_BYTE).any():
        raise DutError("descring_dut_run wrote behind the end of a completion ring")
    lines: Lines = ring[:count].copy().view(DESC_DTYPE)[:, 0]
    return lines


class _LibraryDevice:
    """A device of the library, for one program."""

    def __init__(self, library: ctypes.CDLL, job: DeviceJob) -> None:
        self._library = library
        self.memory = _aligned(job.memory // contract.DESC_BYTES).reshape(-1)
        address = self.memory.ctypes.data
        self._handle = library.descring_dut_open(address, len(self.memory), job.first_index)
        if not self._handle:
            raise DutError("descring_dut_open returned NULL")

    def read32(self, offset: int) -> int:
        """See :class:`descring_sim.conform.dut.Device`."""
        return int(self._library.descring_dut_read32(self._handle, offset))

    def write32(self, offset: int, value: int) -> None:
        """See :class:`descring_sim.conform.dut.Device`."""
        self._library.descring_dut_write32(self._handle, offset, value)

    def wait(self, timeout_s: float) -> None:
        """See :class:`descring_sim.conform.dut.Device`."""
        self._library.descring_dut_wait(self._handle, int(timeout_s * 1e9))

    @property
    def irq(self) -> bool:
        """The level of the interrupt."""
        return bool(self._library.descring_dut_irq(self._handle))

    def __enter__(self) -> _LibraryDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.descring_dut_close(self._handle)
