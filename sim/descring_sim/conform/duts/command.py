# SPDX-License-Identifier: Apache-2.0
"""An implementation that is a command: it reads a stream and writes the completions."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from descring_model import Lines

from descring_sim.conform.dut import Description, DeviceJob, StreamJob, StreamResult, no_lines
from descring_sim.conform.duts.dut_file import DutFile
from descring_sim.conform.errors import ConformError, DutError, DutHung
from descring_sim.replay.stream_file import StreamError, read_stream
from descring_sim.support import processes

_MODES = ("require_checked", "split_reward", "halt")
_VALUES = ("first_index", "workers", "ring_slots", "seed")
_SAID = 300


class ProgramDut:
    """Runs the command once a stream.

    Its words may contain ``{input}``, ``{done}``, ``{reward}`` and the values ``{first_index}``,
    ``{workers}``, ``{ring_slots}`` and ``{seed}``; the words of a mode are appended where the mode
    is in force, and those of a value where it is not the default.
    """

    def __init__(self, file: DutFile) -> None:
        file.only_keys("run", "build", *_MODES, *_VALUES)
        self._file = file
        self._run = file.words("run")
        if not self._run:
            raise file.complain("run", "a command as a list of words", file.table.get("run"))
        self._extra = {name: file.words(name) for name in (*_MODES, *_VALUES)}
        capabilities = file.description.capabilities
        if capabilities.levels != {"stream"}:
            raise ConformError(f"{file.path}: a command has the level stream and no other")
        for name in (*_MODES, "first_index"):
            if getattr(capabilities, name) and not self._speaks_of(name):
                raise ConformError(
                    f"{file.path}: capabilities.{name} is true, but [command] has no {name!r} that "
                    "explains how; add it, or set the capability to false"
                )

    def _speaks_of(self, name: str) -> bool:
        return bool(self._extra[name]) or any(f"{{{name}}}" in word for word in self._run)

    def describe(self) -> Description:
        """See :class:`descring_sim.conform.dut.Dut`."""
        return self._file.description

    def made_of(self) -> list[Path]:
        """The files that the command's words name, unless they are built."""
        return [] if self._file.words("build") else [self._file.folder / word for word in self._run]

    def build(self, folder: Path) -> None:
        """Run the file's build command."""
        self._file.run_build(folder)

    def run(self, job: StreamJob | DeviceJob) -> StreamResult:
        """See :class:`descring_sim.conform.dut.Dut`."""
        if isinstance(job, DeviceJob):
            raise DutError("a command has no registers")
        with tempfile.TemporaryDirectory(prefix="descring-conform-") as name:
            folder = Path(name)
            files = {ring: folder / f"{ring}.npy" for ring in ("input", "done", "reward")}
            np.save(files["input"], job.lines)
            self._call(self._words(job, files), job.timeout_s)
            done = _completions(files["done"])
            reward = no_lines()
            if job.split_reward:
                reward = _completions(files["reward"])
            return StreamResult(done, reward)

    def _words(self, job: StreamJob, files: dict[str, Path]) -> list[str]:
        values = {name: str(path) for name, path in files.items()}
        values |= {name: str(getattr(job, name) or 0) for name in _VALUES}
        words = list(self._run)
        for name in _MODES:
            words += self._extra[name] if getattr(job, name) else []
        for name in _VALUES:
            words += self._extra[name] if getattr(job, name) else []
        for name, value in values.items():
            words = [word.replace(f"{{{name}}}", value) for word in words]
        return words

    def _call(self, words: list[str], timeout_s: float) -> None:
        try:
            with self._file.built():
                code, said = processes.capture(
                    words, timeout_s=timeout_s, cwd=self._file.folder, keep=_SAID
                )
        except OSError as error:
            raise DutError(f"cannot start {words[0]!r}: {error.strerror}") from error
        if code is None:
            raise DutHung(f"the command did not end in {timeout_s:g} s")
        if code:
            raise DutError(f"the command ended with {code}: {said or 'without a message'}")


def _completions(path: Path) -> Lines:
    if not path.is_file():
        raise DutError(f"the command ended well, but wrote no {path.name}")
    try:
        lines: Lines = np.array(read_stream(path))
    except StreamError as error:
        raise DutError(f"what the command wrote is no stream: {error}") from error
    return lines
