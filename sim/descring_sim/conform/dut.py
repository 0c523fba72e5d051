# SPDX-License-Identifier: Apache-2.0
"""An implementation under test, and what the kit asks of it.

A plugin is anything with the three methods of :class:`Dut`. The kit runs it in a process of its
own, so that a crash or a hang ends one test and not the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol

import numpy as np
from descring_model import DESC_DTYPE, Lines

from descring_sim.conform.capabilities import Capabilities
from descring_sim.conform.lockstep import Registers
from descring_sim.protocol.stream import StreamRequest

HOSTS = ("eager", "slow", "late", "ahead", "pauses", "resumes")
"""How the kit's host behaves at ports: takes and publishes at once; takes completions late; rings
the doorbell long after the lines; rings it before them; enables late and clears `enable` on the
way; gives `resume` where nothing has halted."""


class Device(Registers, Protocol):
    """The interface of a device with registers, as :class:`descring_host.Device`."""

    def wait(self, timeout_s: float) -> None:
        """Let the device make progress."""
        ...


class FailingDevice(Device, Protocol):
    """A device of which memory can be made to fail: the capability ``bus_errors``."""

    def inject_bus_error(self, start: int, stop: int) -> None:
        """Return an error for every access to these bytes."""
        ...

    def clear_bus_errors(self) -> None:
        """Let every access succeed again."""
        ...


class ByteDevice(Device, Protocol):
    """A device whose bus can write single bytes: the capability ``byte_writes``."""

    def write_bytes(self, offset: int, value: int, strobes: int) -> None:
        """Write the bytes of a register that ``strobes`` names, bit k for byte k."""
        ...


@dataclass(frozen=True)
class Description:
    """Who the implementation is: shown in every report.

    A device that has not moved for ``settle_s`` seconds is taken to be at rest. With ``waves`` a
    failing test can be rerun with waves. ``tools`` are the names and versions of what runs it, such
    as a simulator; ``sha256`` of what it is made of is for the kit to fill in.
    """

    name: str
    version: str
    kind: str
    capabilities: Capabilities
    details: str = ""
    settle_s: float = 2.0
    waves: bool = False
    tools: tuple[tuple[str, str], ...] = ()
    sha256: str = ""


@dataclass(frozen=True)
class StreamJob(StreamRequest):
    """A stream of at least one line, carried out from reset; the rest is as in the base class.

    ``host`` is one of :data:`HOSTS`.
    """

    lines: Lines
    host: str = "eager"
    seed: int = field(default=0, kw_only=True)
    timeout_s: float = 60.0

    @property
    def request(self) -> StreamRequest:
        """The part that every backend of ``descring replay`` takes."""
        return StreamRequest(
            **{item.name: getattr(self, item.name) for item in fields(StreamRequest)}
        )


@dataclass(frozen=True)
class DeviceJob:
    """A program for a device after reset: ``program(device)`` drives it and raises on a failure."""

    program: Callable[[Device], None]
    memory: int = 1 << 20
    first_index: int = 0
    seed: int = 0
    waves: bool = False
    timeout_s: float = 60.0


def no_lines() -> Lines:
    """An empty stream."""
    return np.empty(0, dtype=DESC_DTYPE)


@dataclass(frozen=True)
class Violation:
    """A rule that was broken where no completion shows it, as seen at the ports."""

    rule: str
    text: str


@dataclass(frozen=True)
class StreamResult:
    """The result of a job: the completions of both rings; both empty after a :class:`DeviceJob`."""

    done: Lines = field(default_factory=no_lines)
    reward: Lines = field(default_factory=no_lines)
    note: str = ""
    waves: str | None = None
    violation: Violation | None = None


Answer = StreamResult
"""The name of :class:`StreamResult` up to 0.1."""


class Dut(Protocol):
    """An implementation under test."""

    def describe(self) -> Description:
        """Name, version and capabilities. Cheap: called before anything is built."""
        ...

    def build(self, folder: Path) -> None:
        """Make ready to run, once, in ``folder``; called again in each process, and then quick.

        Raises:
            DutError: it cannot be built; the text gives the reason.
        """
        ...

    def run(self, job: StreamJob | DeviceJob) -> StreamResult:
        """Carry out ``job``, each from reset.

        Raises:
            DutError: there is no valid result.
        """
        ...
