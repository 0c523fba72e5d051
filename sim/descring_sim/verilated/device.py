# SPDX-License-Identifier: Apache-2.0
"""The device ``verilated``: the RTL with its rings in memory, compiled into a library.

It is declared as an entry point of the group ``descring.devices``, which is how
:func:`descring_host.open_device` finds it.
"""

from __future__ import annotations

import secrets
import threading
import time
import weakref
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_host.device import DEFAULT_MEMORY
from descring_host.errors import DEVICE_CLOSED, DeviceClosed, DeviceError
from descring_host.fork import BELONGS_TO_PARENT, belongs_to_this_process
from descring_host.native import check_u32, nanoseconds
from descring_host.trace_rings import MakeRing, Ring
from descring_model import contract

from descring_sim.support.errors import SimulationError
from descring_sim.verilated import build
from descring_sim.verilated.build import AXI, Say

WORKERS_MAX = 16
DEFAULT_WORKERS = 8
DEFAULT_PREFETCH_DEPTH = 64
MEMORY_MAX = 1 << 40
STUCK_CYCLES = 1 << 16
"""Cycles after which a register access counts as hung. CTRL.RESET may wait for memory."""
SLICE_CYCLES = 4096
"""Cycles of one call into the library at most: between two, another thread gets its turn."""
_DECODE_CYCLES = contract.REWARD_INTERVAL
_REGISTER = contract.OFFSET
_RUNNING = contract.register_bit("STATUS", "RUNNING")
_HALTED = contract.register_bit("STATUS", "HALTED")
_LINE = contract.DESC_BYTES
_ERROR_BYTES = 1024


@cache
def _library(path: Path) -> tuple[Any, Any]:
    ffi = build.api(AXI)
    return ffi, ffi.dlopen(str(path))


class VerilatedDevice:
    """The RTL in this process. Its time passes in register accesses, :meth:`wait` and :meth:`step`.

    Several threads may use the device; each call releases the interpreter's lock.

    Attributes:
        memory: the window, 1-D uint8: the very memory that the device's AXI port reads and writes.
        seed: of everything random: initial state, latencies, pauses.
    """

    def __init__(
        self,
        memory: int = DEFAULT_MEMORY,
        *,
        workers: int = DEFAULT_WORKERS,
        prefetch_depth: int = DEFAULT_PREFETCH_DEPTH,
        first_index: int = 0,
        seed: int | None = None,
        latency: int | tuple[int, int] = 1,
        backpressure: float = 0.0,
        waves: bool = False,
        assertions: bool = True,
        rtl_dir: Path | None = None,
        say: Say = lambda _text: None,
    ) -> None:
        """Build the library if need be, and reset the device.

        Args:
            memory: bytes of the window, a multiple of 64.
            workers: 1 to 16; completions keep submission order.
            prefetch_depth: descriptors that the device fetches ahead, a power of two.
            first_index: the value of every index after reset [RING-012].
            seed: default: a random one.
            latency: cycles from a burst's address to the first response, or a range to draw from.
            backpressure: share of the cycles, 0 to 0.95, in which each channel of both buses holds
                back.
            waves: able to record waves, see :meth:`record`; slower.
            assertions: with the RTL's own assertions; twice as fast without.
            rtl_dir: other sources than the project's own.
            say: is told that a build begins.

        Raises:
            ValueError: an option out of range.
            DeviceError: the library can't be built, or the RTL refuses its parameters.
        """
        if not 1 <= workers <= WORKERS_MAX:
            raise ValueError(f"workers: expected 1 to {WORKERS_MAX}, got {workers}")
        if prefetch_depth < 2 or prefetch_depth & (prefetch_depth - 1):
            raise ValueError(f"prefetch_depth: expected a power of two, got {prefetch_depth}")
        if not _LINE <= memory <= MEMORY_MAX or memory % _LINE:
            raise ValueError(
                f"memory: expected a multiple of {_LINE} up to {MEMORY_MAX}, got {memory}"
            )
        if not 0 <= backpressure <= 0.95:
            raise ValueError(f"backpressure: expected 0 to 0.95, got {backpressure}")
        least, most = (latency, latency) if isinstance(latency, int) else latency
        if not 0 <= least <= most <= 10_000:
            raise ValueError(f"latency: expected 0 to 10000 cycles, got {latency}")
        self.seed = secrets.randbelow(2**31) if seed is None else seed
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed: expected 0 to 2^64 - 1, got {seed}")
        check_u32("first_index", first_index)
        parameters = {"WorkerCount": workers, "PrefetchDepth": prefetch_depth}
        try:
            library = build.build(
                AXI, parameters, waves=waves, assertions=assertions, rtl_dir=rtl_dir, say=say
            )
        except SimulationError as error:
            raise DeviceError(str(error)) from error
        self._ffi, self._lib = _library(library)
        if self._lib.dx_contract_hash() != contract.CONTRACT_HASH:
            raise DeviceError("hw_desc.h is of another contract than Python's; run `make gen`")
        # A line must lie on a line: NumPy alone promises 16 bytes.
        raw = np.zeros(memory + _LINE, dtype=np.uint8)
        start = -raw.ctypes.data % _LINE
        self.memory: npt.NDArray[np.uint8] = raw[start : start + memory]
        self._quiet = _DECODE_CYCLES + 2 * most + 64
        bus = self._ffi.new(
            "dx_bus_t *",
            {
                "seed": self.seed,
                "latency_min": least,
                "latency_max": most,
                "pause": round(256 * backpressure),
                "stuck_cycles": STUCK_CYCLES,
            },
        )
        reason = self._ffi.new(f"char[{_ERROR_BYTES}]")
        window = self._ffi.from_buffer(self.memory, require_writable=True)
        self._lock = threading.RLock()
        self._device = self._lib.dx_open(window, memory, first_index, bus, reason, _ERROR_BYTES)
        if self._device == self._ffi.NULL:
            raise DeviceError(self._ffi.string(reason).decode())
        self._closed = ""
        self._ring: Ring | None = None
        # Also at the end of the process, where a thread may be inside a call: the lock is its own.
        self._finalizer = weakref.finalize(
            self,
            _end,
            weakref.ref(self),
            self._lib.dx_close,
            self._device,
            self._lock,
            self.memory,
        )
        belongs_to_this_process(self)

    def read32(self, offset: int) -> int:
        """Read the register at this byte address; 0 for an unknown one [DB-004].

        Raises:
            ValueError: an offset that is no u32.
            DeviceError: the RTL failed: an assertion, the AXI protocol, or no response.
        """
        address = check_u32("register offset", offset)
        if address > 0xFFF:
            return 0
        value = self._ffi.new("uint32_t *")
        with self._lock:
            self._check(self._lib.dx_read32(self._open_device(), address, value))
        return int(value[0])

    def write32(self, offset: int, value: int) -> None:
        """Write a register; the device has taken it on return. Raises as :meth:`read32`."""
        address = check_u32("register offset", offset)
        data = check_u32("register value", value)
        with self._lock:
            device = self._open_device()
            if address <= 0xFFF:
                self._check(self._lib.dx_write32(device, address, data))

    def wait(self, timeout_s: float) -> None:
        """Let simulated time pass until the device has nothing more to do, at most ``timeout_s``.

        Raises:
            DeviceError: the RTL failed.
        """
        deadline = time.monotonic_ns() + nanoseconds(timeout_s)
        while True:
            with self._lock:
                still = self._check(
                    self._lib.dx_run(self._open_device(), self._quiet, SLICE_CYCLES)
                )
                rests = still == 1 or (still == 0 and not self._decodes())
            if rests or time.monotonic_ns() >= deadline:
                return

    def _decodes(self) -> bool:
        """Whether a device that is quiet on its bus makes tokens: a ROLLOUT takes a cycle for each.

        A completion that waits for room counts stall cycles; its host must act.
        """
        status = self.read32(_REGISTER["STATUS"])
        if status & _HALTED or not status & _RUNNING:
            return False
        if self.read32(_REGISTER["CMD_HEAD"]) == self.read32(_REGISTER["CMD_TAIL"]):
            return False
        stalled = self.read32(_REGISTER["CNT_STALL_CYCLES"])
        return self.read32(_REGISTER["CNT_STALL_CYCLES"]) == stalled

    def step(self, cycles: int) -> None:
        """Let exactly so many clock cycles pass. Raises ``DeviceError`` if the RTL failed."""
        if cycles < 0:
            raise ValueError(f"expected 0 or more cycles, got {cycles}")
        with self._lock:
            self._check(self._lib.dx_step(self._open_device(), cycles))

    @property
    def cycles(self) -> int:
        """Clock cycles since the device was opened."""
        return int(self._state().cycles)

    @property
    def irq(self) -> bool:
        """The level of the interrupt [IRQ-001]."""
        return bool(self._state().irq)

    @property
    def traffic(self) -> dict[str, int]:
        """What went over the bus to memory: lines read and written, bursts, error responses."""
        state = self._state()
        names = ("lines_read", "lines_written", "bursts", "errors")
        return {name: int(getattr(state, name)) for name in names}

    def inject_bus_error(self, start: int, stop: int) -> None:
        """Return an error for every access that touches the bytes ``[start, stop)`` [LIFE-005].

        Raises:
            ValueError: a range that is empty or does not lie inside the memory.
        """
        if not 0 <= start < stop <= len(self.memory):
            raise ValueError(
                f"expected a range inside the {len(self.memory)} bytes of memory, "
                f"got [{start}, {stop})"
            )
        with self._lock:
            self._check(self._lib.dx_inject_bus_error(self._open_device(), start, stop))

    def clear_bus_errors(self) -> None:
        """Let every access succeed again; a halted device wants CTRL.RESUME as well."""
        with self._lock:
            self._lib.dx_clear_bus_errors(self._open_device())

    def trace(self, make_ring: MakeRing | None) -> None:
        """Write a trace event, with its cycle, of each line that crosses the bus to memory.

        Args:
            make_ring: makes the ring [TRC-003]; None: no longer.
        """
        with self._lock:
            device = self._open_device()
            self._ring = None if make_ring is None else make_ring("RTL")
            start = self._ffi.NULL
            if self._ring is not None:
                start = self._ffi.from_buffer(self._ring, require_writable=True)
            self._lib.dx_trace(device, start)

    def record(self, path: Path | None, *, last: int = 0) -> None:
        """Write waves (FST) of all cycles from now on to ``path``, or end that with None.

        With ``last``, only the last cycles are kept, at least so many and at most twice as many, in
        ``path`` and in a file named ``path`` with ``.older`` behind it.

        Raises:
            DeviceError: the device was opened without ``waves=True``, or the file can't be written.
        """
        with self._lock:
            text = b"" if path is None else str(path).encode()
            self._check(self._lib.dx_waves(self._open_device(), text, last))

    def close(self) -> None:
        """Give the device back; harmless if repeated."""
        self._closed = self._closed or DEVICE_CLOSED  # a thread in wait() ends behind its slice
        with self._lock:
            self._finalizer()

    def abandon(self) -> None:
        """See :class:`descring_host.fork.Owned`."""
        self._closed = f"the device is not this process's: {BELONGS_TO_PARENT}"
        self._finalizer.detach()
        self._lock = threading.RLock()  # a thread of the parent's may have held it

    def __enter__(self) -> VerilatedDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_device(self) -> Any:
        if self._closed:
            raise DeviceClosed(self._closed)
        return self._device

    def _state(self) -> Any:
        state = self._ffi.new("dx_state_t *")
        with self._lock:
            self._lib.dx_state(self._open_device(), state)
        return state

    def _check(self, code: int) -> int:
        if code >= 0:
            return code
        text = self._ffi.string(self._lib.dx_error(self._device)).decode()
        raise DeviceError(f"the RTL failed: {text}; it stays failed, open a new device")


def _end(
    opened: weakref.ref[VerilatedDevice],
    close: Any,
    device: Any,
    lock: threading.RLock,
    _memory: object,
) -> None:
    """Close a device while its memory is sure to be there, and no call is inside."""
    still_open = opened()
    if still_open is not None:
        still_open._closed = still_open._closed or DEVICE_CLOSED
    with lock:
        close(device)


def open_verilated(**options: Any) -> VerilatedDevice:
    """What ``open_device("verilated")`` calls; see :class:`VerilatedDevice` for the options."""
    return VerilatedDevice(**options)
