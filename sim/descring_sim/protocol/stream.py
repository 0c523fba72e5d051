# SPDX-License-Identifier: Apache-2.0
"""A request to carry out a stream, and the folder of files that takes it into a simulator.

Lines travel as plain bytes, 64 a line: a testbench needs no NumPy to step through them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

FOLDER_VARIABLE = "DESCRING_STREAM_FOLDER"
"""Environment variable that names the one folder that a simulation is to carry out."""


@dataclass(frozen=True, kw_only=True)
class StreamRequest:
    """How a stream is carried out, from the command line to the simulator.

    None stands for the default of whatever carries it out.

    Attributes:
        first_index: value of every ring index at the start: line i has index ``first_index + i``.
        halt: a STOP ends the stream; otherwise it is resumed.
        require_checked: mode of the device; lines without CHECKED are refused.
        split_reward: mode of the device; completions that need a reward have a ring of their own.
        workers: workers of the device.
        ring_slots: slots of each ring.
        seed: of everything random.
        waves: record waves.
        rtl: folder of other sources than descring's own.
    """

    first_index: int = 0
    halt: bool = False
    require_checked: bool = False
    split_reward: bool = False
    workers: int | None = None
    ring_slots: int | None = None
    seed: int | None = None
    waves: bool = False
    rtl: Path | None = None


@dataclass(frozen=True)
class StreamFolder:
    """A folder with a request, its lines, and what the simulation writes in return."""

    folder: Path
    request: StreamRequest

    @property
    def slots(self) -> int:
        """Slots of each ring; a request in a folder states them."""
        assert self.request.ring_slots is not None
        return self.request.ring_slots

    @property
    def submissions(self) -> Path:
        """The descriptors, written before the simulation starts with them."""
        return self.folder / "submissions.bin"

    @property
    def rings(self) -> tuple[Path, Path]:
        """The completions of the done and of the reward ring, written at the end."""
        return self.folder / "done.bin", self.folder / "reward.bin"

    @property
    def progress(self) -> Path:
        """The number of completions so far, in decimal."""
        return self.folder / "progress"

    @property
    def result(self) -> Path:
        """How it ended; the last file, so that its presence means that the others are whole."""
        return self.folder / "result.json"

    def save(self) -> None:
        """Write the request into the folder."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        names = [field.name for field in fields(StreamRequest)]
        values["request"] = {name: getattr(self.request, name) for name in names}
        del values["folder"]
        (self.folder / "request.json").write_text(json.dumps(values, default=str), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The request that was saved into ``folder``."""
        values = json.loads((folder / "request.json").read_text(encoding="utf-8"))
        return cls(**values | {"folder": folder, "request": StreamRequest(**values["request"])})


@dataclass(frozen=True)
class CoreFolder(StreamFolder):
    """A stream for a core behind the generated wrapper of the conformance kit.

    Attributes:
        host: behaviour of the host, one of :data:`descring_sim.conform.dut.HOSTS`.
        has_halted: the core shows that it is halted.
        reset_cycles: how long it is held in reset.
        patience: cycles without a completion after which it has hung.
        stops: line numbers of the STOPs that are accepted, in rising order.
    """

    host: str
    has_halted: bool
    reset_cycles: int
    patience: int
    stops: list[int]


@dataclass(frozen=True)
class _Result:
    def save(self, path: Path) -> None:
        """Write it to ``path``."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """The result in ``path``."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Summary(_Result):
    """What a stream gave: completions of each ring, whether it ended in HALTED, clock cycles."""

    done: int
    reward: int
    halted: bool
    cycles: int


@dataclass(frozen=True)
class CoreResult(_Result):
    """How a core ended: cycles, and the reason where it hung or broke a rule of its ports."""

    cycles: int
    hung: str = ""
    rule: str = ""
    text: str = ""
