# SPDX-License-Identifier: Apache-2.0
"""What passes between ``descring replay`` and the testbench in the simulator: a folder of files.

Lines travel as plain bytes, 64 a line: the testbench needs no NumPy to step through them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

JOB_VARIABLE = "DESCRING_REPLAY_JOB"
"""Environment variable that names the job's folder inside the simulator."""


@dataclass(frozen=True)
class Job:
    """A replay: the folder of its files, and how the device is used.

    The host's doorbells are drawn from ``seed``, or from the simulation's when None.
    """

    folder: Path
    first_index: int
    ring_depth: int
    halt: bool
    require_checked: bool
    split_reward: bool
    seed: int | None = None

    @property
    def submissions(self) -> Path:
        """The descriptors, written before the simulator starts."""
        return self.folder / "submissions.bin"

    @property
    def done(self) -> Path:
        """The completions of the done ring, written at the end."""
        return self.folder / "done.bin"

    @property
    def reward(self) -> Path:
        """The completions of the reward ring, written at the end."""
        return self.folder / "reward.bin"

    @property
    def progress(self) -> Path:
        """The number of completions so far, in decimal."""
        return self.folder / "progress"

    @property
    def summary(self) -> Path:
        """A :class:`Summary`: what the testbench reports that it wrote."""
        return self.folder / "summary.json"

    def save(self) -> None:
        """Write the job into its folder."""
        values = asdict(self)
        del values["folder"]
        (self.folder / "job.json").write_text(json.dumps(values), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Job:
        """The job that was saved into ``folder``."""
        values = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        return cls(folder=folder, **values)


@dataclass(frozen=True)
class Summary:
    """What a replay gave: completions a ring, whether it ended in HALTED, clock cycles."""

    done: int
    reward: int
    halted: bool
    cycles: int

    def save(self, path: Path) -> None:
        """Write it to ``path``; last of all files, so that its presence means they are whole."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
