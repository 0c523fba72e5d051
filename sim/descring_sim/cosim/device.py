# SPDX-License-Identifier: Apache-2.0
"""The devices ``icarus`` and ``verilator``: the RTL in a simulator, with its rings in memory that
the host program shares with it.

They are declared as entry points of the group ``descring.devices``, which is how
:func:`descring_host.open_device` finds them.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
import weakref

import numpy as np
import numpy.typing as npt
from descring_host.device import DEFAULT_MEMORY
from descring_host.errors import DEVICE_CLOSED, DeviceClosed, DeviceError
from descring_host.fork import BELONGS_TO_PARENT, belongs_to_this_process
from descring_host.native import check_u32
from descring_host.wakeup import Wakeup

from descring_sim.cosim.device_process import (
    SEED_VARIABLE,
    WAVES_VARIABLE,
    Design,
    ProcessOptions,
    SimulatorProcess,
    parameters,
)
from descring_sim.protocol.device import REQUEST_MAX, STROBES_LSB, Op, Operation, Waited
from descring_sim.support import seeds

WORKERS_MAX = 16
DEFAULT_WORKERS = 8
DEFAULT_PREFETCH_DEPTH = 64
MEMORY_MAX = 1 << 40
LATENCY_MIN, LATENCY_MAX = 1, 10_000
WAIT_CYCLES = 1024
"""Cycles that one request runs at most: between two, another thread gets its turn."""


class SimulatorDevice:
    """The RTL, in a simulator that runs as a child process.

    Simulated time passes in register accesses and in :meth:`wait`, and stops otherwise. A
    write is sent off with the next read or wait, which is all that a host can tell. Several threads
    may use the device.

    Attributes:
        memory: the window, 1-D uint8: the very memory that the device's AXI port reads and writes.
        seed: of everything random in the simulation.
    """

    def __init__(
        self,
        simulator: str,
        memory: int = DEFAULT_MEMORY,
        *,
        workers: int = DEFAULT_WORKERS,
        prefetch_depth: int = DEFAULT_PREFETCH_DEPTH,
        design: Design | None = None,
        first_index: int = 0,
        seed: int | None = None,
        latency: int = LATENCY_MIN,
        late_writes: bool = False,
        backpressure: float = 0.0,
        monitor: bool = False,
        waves: bool | None = None,
    ) -> None:
        """Build the RTL if need be, and start the simulator.

        Args:
            simulator: ``"icarus"`` or ``"verilator"``.
            memory: bytes of the window.
            workers: 1 to 16; completions keep submission order.
            prefetch_depth: descriptors that the device fetches ahead, a power of two.
            design: another design with the same ports, to which the two above mean nothing.
            first_index: the value of every index after reset [RING-012].
            seed: of the RTL's random initial state and of the memory's pauses; default: the
                environment's ``DESCRING_SEED``, else a random one.
            latency: cycles from an access of the device to memory to the response, 1 to 10000.
            late_writes: a write reaches memory with its response rather than with its data.
            backpressure: share of the cycles, 0 to 0.95, in which each AXI channel refuses.
            monitor: hold both buses to the AXI standard; a violation ends the simulation.
            waves: record waves (FST), see :attr:`waves`; default: the environment's
                ``DESCRING_WAVES``.

        Raises:
            ValueError: an option out of range.
            DeviceError: no such simulator on this machine, or it does not start.
        """
        if not 1 <= workers <= WORKERS_MAX:
            raise ValueError(f"workers: expected 1 to {WORKERS_MAX}, got {workers}")
        if not 2 <= prefetch_depth <= 65536 or prefetch_depth & (prefetch_depth - 1):
            raise ValueError(
                f"prefetch_depth: expected a power of two from 2 to 65536, got {prefetch_depth}"
            )
        if not 0 < memory <= MEMORY_MAX:
            raise ValueError(f"memory: expected 1 to 2^40 bytes, got {memory}")
        if not 0.0 <= backpressure <= 0.95:
            raise ValueError(f"backpressure: expected 0 to 0.95, got {backpressure}")
        if not LATENCY_MIN <= latency <= LATENCY_MAX:
            raise ValueError(
                f"latency: expected {LATENCY_MIN} to {LATENCY_MAX} cycles, got {latency}"
            )
        check_u32("first_index", first_index)
        if waves is None:
            waves = os.environ.get(WAVES_VARIABLE, "0") not in ("", "0")
        self.seed = _seed(seed)
        self._closed = False
        self._closed_because = DEVICE_CLOSED
        self._lock = threading.Lock()
        self._waiting = 0  # threads that have the lock or want it
        self._poked = Wakeup()
        self._posting = threading.Lock()
        self._posted: list[Operation] = []  # writes that are not known to be sent, in order
        self._number = 0
        options = ProcessOptions(
            simulator=simulator,
            design=design or Design(parameters=parameters(workers, prefetch_depth)),
            first_index=first_index,
            seed=self.seed,
            latency=latency,
            late_writes=late_writes,
            backpressure=backpressure,
            waves=waves,
            monitor=monitor,
        )
        file = os.memfd_create("descring")  # has no name, so that nothing is left behind
        try:
            try:
                os.posix_fallocate(file, 0, memory)
                mapping = mmap.mmap(file, memory)
            except OSError as error:
                raise DeviceError(f"cannot get {memory} bytes of memory: {error}") from None
            self._process = SimulatorProcess(options, file)
        finally:
            os.close(file)
        self.memory: npt.NDArray[np.uint8] = np.frombuffer(mapping, dtype=np.uint8)
        # A device that is not closed must still end its simulator.
        self._finalizer = weakref.finalize(self, self._process.kill)
        belongs_to_this_process(self)

    @property
    def waves(self) -> str | None:
        """Path of the waves, which are whole once the device is closed; None if not recorded."""
        return str(self._process.waves) if self._process.waves else None

    @property
    def pid(self) -> int:
        """Process id, and process group, of the simulator."""
        return self._process.pid

    def read32(self, offset: int) -> int:
        """Read the register at this byte address; 0 for an unknown one [DB-004]."""
        return self._exchange([Operation(Op.READ, check_u32("register offset", offset))])

    def write32(self, offset: int, value: int) -> None:
        """Write a register; it takes effect before the next read or wait.

        Raises:
            ValueError: an offset or value that is no u32.
        """
        address = check_u32("register offset", offset)
        data = check_u32("register value", value)
        self._check_open()
        with self._posting:
            # A number that an interrupt leaves unused is no harm; one used twice would be.
            self._number += 1
            self._posted.append(Operation(Op.WRITE, address, data, self._number))
        self._poked.ring()

    def write_bytes(self, offset: int, value: int, strobes: int) -> None:
        """Write the bytes of a register that ``strobes`` names, bit k for byte k [DB-007].

        Raises:
            ValueError: an offset, value or strobes out of range.
        """
        if not 0 <= offset < 1 << STROBES_LSB or not 0 <= strobes <= 0xF:
            raise ValueError(
                f"expected an offset below 2^{STROBES_LSB} and strobes from 0 to 15, "
                f"got 0x{offset:x} and {strobes}"
            )
        data = check_u32("register value", value)
        address = offset | strobes << STROBES_LSB
        self._exchange([Operation(Op.WRITE_BYTES, address, data)])

    def wait(self, timeout_s: float) -> None:
        """Advance simulated time until completions have come, for at most ``timeout_s``.

        While the device has nothing to do time stops, and this sleeps until another thread
        writes a register.

        Raises:
            DeviceError: the simulator is gone.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            mark = self._poked.mark
            outcome = self._exchange([Operation(Op.WAIT, value=WAIT_CYCLES)])
            left = deadline - time.monotonic()
            if outcome == Waited.POSTED or left <= 0:
                return
            if outcome == Waited.IDLE and not self._poked.wait(mark, left):
                return
            if self._waiting:
                time.sleep(0.0001)  # a lock of Python's is not fair

    @property
    def irq(self) -> bool:
        """The level of the interrupt [IRQ-001]."""
        return bool(self._exchange([Operation(Op.IRQ)]))

    def inject_bus_error(self, start: int, stop: int) -> None:
        """Return an error for every access that touches the bytes ``[start, stop)`` [LIFE-005].

        Raises:
            ValueError: a range that is empty or does not lie inside the memory's first 4 GiB.
        """
        if not 0 <= start < stop <= min(len(self.memory), 2**32 - 1):
            raise ValueError(
                f"expected a range inside the {len(self.memory)} bytes of memory, "
                f"got [{start}, {stop})"
            )
        self._exchange([Operation(Op.FAIL, start, stop)])

    def clear_bus_errors(self) -> None:
        """Let every access succeed again; a halted device wants CTRL.RESUME as well."""
        self._exchange([Operation(Op.CLEAR)])

    def reset(self, first_index: int = 0) -> None:
        """Assert the reset of the device, and start its indices at ``first_index`` [RING-012].

        What was in flight on the bus is dropped; memory stays as it is, and fails no more.
        """
        self._exchange([Operation(Op.RESET, value=check_u32("first_index", first_index))])

    def check_peer(self) -> None:
        """Raise :class:`DeviceError` if the simulator has ended."""
        self._check_open()
        self._process.check()

    def close(self) -> None:
        """End the simulator; harmless if repeated.

        Raises:
            DeviceError: something was found wrong at the end, or the simulator was gone.
        """
        if self._closed:
            return
        self._closed = True  # a thread in wait() ends between two requests
        self._poked.ring()
        with self._lock:
            self._finalizer.detach()
            self._process.close()

    def __enter__(self) -> SimulatorDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceClosed(self._closed_because)

    def _exchange(self, operations: list[Operation]) -> int:
        """Send off the posted writes, then ``operations``; the result of the last one."""
        self._check_open()
        self._waiting += 1
        try:
            with self._lock:
                self._check_open()
                while len(self._posted) > REQUEST_MAX - len(operations):
                    self._process.exchange(self._posted[:REQUEST_MAX])
                    del self._posted[:REQUEST_MAX]
                # A signal handler may raise anywhere; what is not deleted is sent again.
                posted = self._posted[:]
                result = self._process.exchange([*posted, *operations])[-1]
                del self._posted[: len(posted)]
                return result
        finally:
            self._waiting -= 1

    def abandon(self) -> None:
        """In a forked child: the simulator is the parent's."""
        self._lock = threading.Lock()  # a thread of the parent's may have held it
        self._posting = threading.Lock()  # likewise
        self._poked = Wakeup()  # likewise
        if not self._closed:
            self._closed = True
            self._closed_because = f"the device is not this process's: {BELONGS_TO_PARENT}"
            self._finalizer.detach()
            self._process.abandon()


def _seed(seed: int | None) -> int:
    if seed is None:
        text = os.environ.get(SEED_VARIABLE)
        if text is None:
            return seeds.new_seed()
        if not text.isdecimal():
            raise ValueError(f"{SEED_VARIABLE}: expected a number from 0, got {text!r}")
        seed = int(text)
    if not 0 <= seed < 1 << 31:
        raise ValueError(f"seed: expected 0 to 2^31 - 1, got {seed}")
    return seed


def open_icarus(**options: object) -> SimulatorDevice:
    """Open the RTL in Icarus Verilog; options as :class:`SimulatorDevice`."""
    return SimulatorDevice("icarus", **options)  # type: ignore[arg-type]


def open_verilator(**options: object) -> SimulatorDevice:
    """Open the RTL in Verilator; options as :class:`SimulatorDevice`."""
    return SimulatorDevice("verilator", **options)  # type: ignore[arg-type]
