# SPDX-License-Identifier: Apache-2.0
"""Testbench of the device with rings in memory: a host program at its pins, memory behind them."""

from __future__ import annotations

import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import ReadOnly, RisingEdge
from descring_model import contract
from descring_vip.axi.lite import AxilHost, AxilMonitor
from descring_vip.axi.memory import SLVERR, AxiMemory, Latency
from descring_vip.axi.monitor import AxiMonitor
from descring_vip.handles import bit, is_high, parameter, signal
from descring_vip.stream.patterns import FOREVER, Idle, Ready, idle_pattern, ready_pattern
from descring_vip.tier import share
from descring_vip.x_checker import simulator_has_x

from rl_runtime_axi.host_side import HostSide
from rl_runtime_axi.layout import Layout
from rl_runtime_axi.shell_scoreboard import ShellScoreboard

_AXIL_OUTPUTS = ("awready", "wready", "bresp", "bvalid", "arready", "rdata", "rresp", "rvalid")
_AXI_OUTPUTS = (
    *("awid", "awaddr", "awlen", "awsize", "awburst", "awlock", "awcache", "awprot", "awvalid"),
    *("wdata", "wstrb", "wlast", "wvalid", "bready", "rready"),
    *("arid", "araddr", "arlen", "arsize", "arburst", "arlock", "arcache", "arprot", "arvalid"),
)
_OUTPUTS = (
    "irq_o",
    *(f"s_axil_{name}" for name in _AXIL_OUTPUTS),
    *(f"m_axi_{name}" for name in _AXI_OUTPUTS),
)
_SETTLE_CYCLES = 5_000
_QUIET_CYCLES = 40
_READ_CYCLES = 60
"""From a doorbell to the first line, and from the last line to its completion."""


_HANDSHAKES = (
    *(f"m_axi_{name}valid" for name in ("aw", "w", "ar")),
    *(f"m_axi_{name}ready" for name in ("b", "r")),
    *(f"s_axil_{name}ready" for name in ("aw", "w", "ar")),
    *(f"s_axil_{name}valid" for name in ("b", "r")),
)
"""The valids and readys that the design drives."""

_OWED = frozenset(
    f"AXI4_ERRS_{rule}" for rule in ("RID", "BID", "RVALID_RESET", "BVALID_RESET", "BRESP_AW")
)
"""What a bus breaks that was not reset with its master."""


class ShellTestbench(HostSide):
    """Memory and registers of the device, the scoreboard fed from the pins.

    Attributes:
        scoreboard: the golden device and the checkers.
        bus: the memory behind the AXI master.
        host: the master of the registers.
        layout: where the rings lie, from the memory's origin on.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        *,
        first_index: int = 0,
        layout: Layout | None = None,
        idle: Idle = Idle.NONE,
        ready: Ready = Ready.ALWAYS,
        latency: Latency | None = None,
        origin: int = 0,
    ) -> None:
        super().__init__(dut, outputs=_OUTPUTS)
        self.layout = layout or Layout()
        self.workers = parameter(dut, "WorkerCount")
        self.places, end = self.layout.places()
        self.memory = np.zeros(end, dtype=np.uint8)
        self.scoreboard = ShellScoreboard(
            self.time.context, self.memory, first_index=first_index, origin=origin
        )
        board = self.scoreboard
        for checker in (board.done, board.reward, board.registers, board.writes):
            self.add_checker(checker)
        self._first_index = signal(dut, "first_index_i")
        self._window_last = signal(dut, "window_last_i")
        self._first_index.value = first_index
        self._window_last.value = origin + end - 1
        self.irq = bit(dut, "irq_o")
        self.bus = AxiMemory(dut, self.time, self.memory, self.rng)
        self.bus.origin = origin
        self.bus.on_write = board.written
        self.bus.on_response = board.responded
        if latency is not None:
            self.bus.read_latency = self.bus.write_latency = latency
        self.host = AxilHost(dut, self.time)
        self._accesses = AxilMonitor(
            dut, self.time, on_write=board.wrote, on_read=board.asked, on_answer=board.answered
        )
        self._protocol = [
            self.add_checker(AxiMonitor(dut, self.time, "m_axi")),
            self.add_checker(AxiMonitor(dut, self.time, "s_axil", lite=True)),
        ]
        self._bus_stays = False
        self._handshakes = {name: bit(dut, name) for name in _HANDSHAKES}
        self.add_task(self._watch_interrupt())
        self.pause(idle, ready)
        self._forget()

    async def _watch_interrupt(self) -> None:
        rises = RisingEdge(self.irq)
        while True:
            await rises
            # Before the first reset registers have any value, also those of the interrupt.
            if is_high(self.time.reset_n):
                self.scoreboard.interrupted()

    def pause(self, idle: Idle, ready: Ready) -> None:
        """Patterns of all ten channels: what the bus offers ``idle``, what it takes ``ready``."""
        kind = Ready.RANDOM if ready is Ready.AFTER_VALID else ready
        for side, offers, takes in (
            (self.bus, ("b", "r"), ("aw", "w", "ar")),
            (self.host, ("aw", "w", "ar"), ("b", "r")),
        ):
            # A host that is never ready for a long while would only be slow.
            sink = Ready.RANDOM if side is self.host and kind is Ready.LATE else kind
            side.pause(**{name: idle_pattern(idle, self.rng) for name in offers})
            side.pause(**{name: ready_pattern(sink, self.rng) for name in takes})

    # ------------------------------------------------------------------ the base's hooks

    async def reset_alone(self) -> None:
        """Reset the device and not the bus, which returns what it owes later on."""
        self._protocol[0].tolerated = _OWED
        self._bus_stays = True
        await self.reset()
        self._bus_stays = False

    @property
    def owed(self) -> int:
        """Responses that no request since the last reset asked for."""
        return sum(self._protocol[0].violations[rule] for rule in _OWED)

    async def lowered_by_reset(self, *, from_high: str | None = None) -> None:
        """Reset, and check the handshake outputs before the next edge and until it ends.

        The output ``from_high`` must be high before.
        """
        # The bus learns of the reset only afterwards.
        self._protocol[0].tolerated = _OWED
        await self.time.cycles(1)
        if from_high is not None:
            before = int(is_high(self._handshakes[from_high]))
            self.scoreboard.writes.check(f"{from_high} before", expected=1, actual=before)
        self.time.reset_n.value = 0
        for _ in range(3):
            await ReadOnly()
            high = [name for name, handle in self._handshakes.items() if is_high(handle)]
            self.scoreboard.writes.check(f"{high} high in reset", expected=0, actual=len(high))
            await self.time.edge()
        await self.reset()

    def on_reset(self) -> None:
        """A model fresh from reset, and a bus that has forgotten everything, unless it stays."""
        if not self._bus_stays:
            self.bus.reset()
        self.host.release()
        self.bus.memory = self.memory
        self.bus.faults.ranges.clear()
        self._accesses.reset()
        self.scoreboard.reset(self.memory)
        self._forget()

    def progress(self) -> tuple[int, ...]:
        """Beats on the bus."""
        return (self._protocol[0].seen,)

    def stop(self) -> None:
        """Stop every task."""
        super().stop()
        self.bus.stop()
        self._accesses.stop()
        for monitor in self._protocol:
            monitor.stop()

    def state(self) -> dict[str, object]:
        """The base's, and where the model and the host stand."""
        return {
            **super().state(),
            "model": {name: f"0x{value:x}" for name, value in self.scoreboard.where().items()},
            "host": f"tail 0x{self.tail:x}, published 0x{self.published:x}, "
            f"heads {self.heads}, {self.taken} taken",
            "bus": f"{len(self.bus.reads)} reads, {len(self.bus.writes)} writes",
        }

    async def finish(self) -> None:
        """As the base; the design must have come to rest where the model has."""
        await self.settle()
        await super().finish()

    # ------------------------------------------------------------------ what a case may set

    def share(self, count: int, least: int = 1) -> int:
        """How much of ``count`` to do: the tier's share, or a quarter where a cycle costs more."""
        return max(least, count // 4) if simulator_has_x() else share(count, least)

    async def renew(
        self, layout: Layout, *, first_index: int = 0, origin: int | None = None
    ) -> None:
        """Reset, with other rings in a new memory, from ``origin`` on (default: where it was)."""
        self.layout = layout
        if origin is not None:
            self.bus.origin = self.scoreboard.origin = origin
        self.places, end = self.layout.places()
        self.memory = np.zeros(end, dtype=np.uint8)
        self.scoreboard.first_index = first_index
        self._first_index.value = first_index
        self._window_last.value = self.bus.origin + end - 1
        await self.reset()

    def fail(self, start: int, stop: int, response: int = SLVERR) -> None:
        """Inject an error response to every access of the bytes ``[start, stop)``."""
        self.scoreboard.exact = False
        self.bus.faults.ranges.append((start, stop, response))
        self.scoreboard.model.inject_bus_error(start, stop)

    def fail_slot(self, ring: str, index: int, response: int = SLVERR) -> None:
        """Answer every access of a slot with an error."""
        at = self.places[ring].slot(index)
        self.fail(at.start, at.stop, response)

    def clear_bus_errors(self) -> None:
        """Let every access succeed again."""
        self.bus.faults.ranges.clear()
        self.scoreboard.model.clear_bus_errors()

    def gather_writes(self, lines: int) -> None:
        """Refuse writes until so many lines can have been read, so that completions form bursts.

        On a bus narrower than a line, completions are too far apart for that by themselves.
        """
        cycles = lines * contract.DESC_BYTES // self.bus.width + _READ_CYCLES
        self.bus.pause(aw=iter([(0, cycles), (FOREVER, 0)]))

    # ------------------------------------------------------------------ rest

    async def quiet(self, cycles: int = _QUIET_CYCLES) -> None:
        """Let so much time pass that whatever the device would do, it has done."""
        longest = max(self.bus.read_latency.longest, self.bus.write_latency.longest)
        await self.time.cycles(cycles + 2 * longest)

    async def settle(self) -> None:
        """Wait until the design has come as far as the model; then compare every register, all of
        the memory and the interrupt. It must then stay there.

        Raises:
            AssertionError: it never comes there, does not stay, or something differs.
        """
        start = self.time.cycle
        while not await self._agrees() or not await self._stays():
            if self.time.cycle - start > _SETTLE_CYCLES:
                actual = {name: await self.read(name) for name in self.scoreboard.where()}
                raise self.timeout(f"the design and the model disagree: {actual}")
        self.scoreboard.at_rest = True
        await self.read_all()
        self.scoreboard.compare_memory()
        self.scoreboard.registers.check(
            "irq_o",
            expected=int(self.scoreboard.model.irq),
            actual=int(is_high(self.irq)),
            digits=1,
        )

    async def _agrees(self) -> bool:
        for name, value in self.scoreboard.where().items():
            if await self.read(name) != value:
                return False
        return True

    async def _stays(self) -> bool:
        before = self.progress()
        await self.quiet()
        return self.progress() == before and await self._agrees()
