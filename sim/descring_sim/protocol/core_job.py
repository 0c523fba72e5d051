# SPDX-License-Identifier: Apache-2.0
"""What passes between the kit and the testbench of a foreign core: a folder of files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

CORE_JOB_VARIABLE = "DESCRING_CONFORM_JOB"
"""Environment variable that names the job's folder inside the simulator."""


@dataclass(frozen=True)
class CoreJob:
    """A stream for a core behind the generated wrapper, and how the host behaves.

    Attributes:
        folder: where the job's files are.
        host: as :data:`descring_sim.conform.dut.HOSTS`.
        ring_slots: slots of the command ring: how far a doorbell may run.
        has_halted: the core shows that it is halted.
        reset_cycles: how long it is held in reset.
        patience: cycles without a completion after which it has hung.
        seed: of the host's behaviour.
    """

    folder: Path
    first_index: int
    halt: bool
    require_checked: bool
    split_reward: bool
    host: str
    ring_slots: int
    has_halted: bool
    reset_cycles: int
    patience: int
    seed: int

    @property
    def submissions(self) -> Path:
        """The descriptors, 64 bytes each."""
        return self.folder / "submissions.bin"

    @property
    def result(self) -> Path:
        """A :class:`CoreResult`, written last."""
        return self.folder / "result.json"

    @property
    def rings(self) -> tuple[Path, Path]:
        """The completions of the done and of the reward ring."""
        return self.folder / "done.bin", self.folder / "reward.bin"

    def save(self) -> None:
        """Write the job into its folder."""
        values = asdict(self) | {"folder": None}
        (self.folder / "job.json").write_text(json.dumps(values), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> CoreJob:
        """The job that was saved into ``folder``."""
        values = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        return cls(**values | {"folder": folder})


@dataclass(frozen=True)
class CoreResult:
    """How a job ended: cycles, and the reason where the core hung or broke a rule of its ports."""

    cycles: int
    hung: str = ""
    rule: str = ""
    text: str = ""

    def save(self, path: Path) -> None:
        """Write it to ``path``."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> CoreResult:
        """The result in ``path``."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))
