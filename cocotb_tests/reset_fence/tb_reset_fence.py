# SPDX-License-Identifier: Apache-2.0
"""Testbench of the fence: in each cycle, IDs, readys and valids, compared with a model of them."""

from __future__ import annotations

from cocotb.handle import HierarchyObject
from descring_vip.handles import bit, is_high, parameter, read_int, signal
from descring_vip.scoreboard import ValueChecker
from descring_vip.testbench import Testbench

_CHANNELS = ("r", "b")
_OUTPUTS = ("id_o", "m_axi_rready", "rvalid_o", "m_axi_bready", "bvalid_o")


class ResetFenceTestbench(Testbench):
    """Drives responses and the reset; every edge out of reset is compared, and readys in it.

    Attributes:
        ids: how many IDs there are.
        id: of the requests since the last reset, as the model has it.
    """

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut, outputs=_OUTPUTS)
        self.ids = 1 << parameter(dut, "IdWidth")
        self.id = 0
        self._id_o = signal(dut, "id_o")
        self._valid = {c: bit(dut, f"m_axi_{c}valid") for c in _CHANNELS}
        self._id = {c: signal(dut, f"m_axi_{c}id") for c in _CHANNELS}
        self._ready = {c: bit(dut, f"m_axi_{c}ready") for c in _CHANNELS}
        self._valid_o = {c: bit(dut, f"{c}valid_o") for c in _CHANNELS}
        self._ready_i = {c: bit(dut, f"{c}ready_i") for c in _CHANNELS}
        for channel in _CHANNELS:
            self._respond(channel, None)
        self._checker = self.add_checker(ValueChecker("fence", self.time.context))

    async def start(self) -> None:
        """Start the clock, and compare from the first reset on: it may leave any ID."""
        await super().start()
        self.id = read_int(self._id_o)
        self.add_task(self._compare())

    def _respond(self, channel: str, response: int | None) -> None:
        self._valid[channel].value = response is not None
        self._id[channel].value = int(self.rng.integers(self.ids)) if response is None else response
        # Nothing is ready for what was requested before the reset; that is dropped all the same.
        self._ready_i[channel].value = response is None or response == self.id

    async def respond(self, read: int | None, write: int | None) -> None:
        """One cycle with responses of these IDs, None for no response."""
        self._respond("r", read)
        self._respond("b", write)
        await self.time.edge()

    async def pulse(self, cycles: int) -> None:
        """A reset of so many cycles, with the memory's responses as they were."""
        self.time.reset_n.value = 0
        # Nothing is requested in reset: the new ID is no response's yet.
        for channel in _CHANNELS:
            self._ready_i[channel].value = 1
        for _ in range(cycles):
            await self.time.edge()
        for channel in _CHANNELS:
            self._respond(channel, None)
        self.time.reset_n.value = 1
        await self.time.edge()

    async def _compare(self) -> None:
        in_reset = False
        while True:
            await self.time.edge()
            resets = not is_high(self.time.reset_n)
            if resets and not in_reset:
                self.id = (self.id + 1) % self.ids
            in_reset = resets
            for channel in _CHANNELS:
                self._check(f"m_axi_{channel}ready", not resets, is_high(self._ready[channel]))
            if resets:
                continue
            self._check("id_o", self.id, read_int(self._id_o))
            for channel in _CHANNELS:
                own = read_int(self._id[channel]) == self.id and is_high(self._valid[channel])
                self._check(f"{channel}valid_o", own, is_high(self._valid_o[channel]))

    def _check(self, what: str, expected: int, actual: int) -> None:
        self._checker.check(what, expected=expected, actual=actual, digits=1)
