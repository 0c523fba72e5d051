# SPDX-License-Identifier: Apache-2.0
"""Watches the outputs of a design for X and Z, at every clock edge after reset.

An output that belongs to a valid is watched while the valid is high: what a port has while it
offers nothing is of no account, unless the design promises to gate it. Verilator knows two values
only; there the check does nothing and reports that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import cocotb
from cocotb.handle import HierarchyObject, LogicObject
from cocotb.task import Task
from cocotb.triggers import RisingEdge

from descring_vip.handles import Signal, bit, is_high, is_resolved, signal, unresolved
from descring_vip.timebase import Timebase

# What is presented with a valid: of an AXI channel, and of a ready/valid port.
_AXI_PAYLOAD = re.compile(r"(?P<port>.*_(aw|w|b|ar|r))(id|addr|len|data|strb|last|resp)")
_PORT_PAYLOAD = re.compile(r"(?P<port>(.*_)?)data_o")


def valid_of(name: str, outputs: Collection[str]) -> str | None:
    """The name of the valid that output ``name`` belongs to, if it is one of ``outputs``."""
    for pattern, ending in ((_AXI_PAYLOAD, "valid"), (_PORT_PAYLOAD, "valid_o")):
        if (found := pattern.fullmatch(name)) and found["port"] + ending in outputs:
            return found["port"] + ending
    return None


def simulator_has_x() -> bool:
    """Whether the running simulator keeps X and Z apart from 0 and 1."""
    return "verilator" not in cocotb.SIM_NAME.lower()


class XChecker:
    """One watcher for each output. An output that does not change costs nothing.

    Attributes:
        checked: values that were checked; stays 0 where the simulator has no X.
    """

    def __init__(
        self,
        timebase: Timebase,
        dut: HierarchyObject,
        outputs: Iterable[str],
        gated: Collection[str] = (),
    ) -> None:
        """Watch the outputs of ``dut`` with these names, of which none may be missing.

        Those in ``gated`` are watched whether their valid is high or not.
        """
        self._timebase = timebase
        names = list(outputs)
        valids = {name: None if name in gated else valid_of(name, names) for name in names}
        self._outputs = [
            (signal(dut, name), bit(dut, valid) if valid else None)
            for name, valid in valids.items()
        ]
        self._tasks: list[Task[None]] = []
        self.checked = 0

    def start(self) -> None:
        """Watch until :meth:`stop`.

        Raises:
            ValueError: there is no output to watch.
        """
        if not self._outputs:
            raise ValueError("expected at least one output to watch for X")
        if simulator_has_x():
            self._tasks = [cocotb.start_soon(self._watch(*output)) for output in self._outputs]
        else:
            cocotb.log.info("no check for X: %s knows 0 and 1 only", cocotb.SIM_NAME)

    def stop(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def finish(self) -> None:
        """Fail if nothing was checked on a simulator that has X."""
        if self._tasks and not self.checked:
            raise AssertionError("the outputs were watched for X, but never outside reset")

    async def _watch(self, output: Signal, valid: LogicObject | None) -> None:
        edge = RisingEdge(self._timebase.clock)
        reset_n = self._timebase.reset_n
        while True:
            await edge
            if not is_high(reset_n):
                continue
            if valid is not None and not is_high(valid):
                await valid.value_change
                continue
            self.checked += 1
            if not is_resolved(output):
                raise unresolved(output)
            await output.value_change
