# SPDX-License-Identifier: Apache-2.0
"""Live pages: what a run holds and has done, in memory that other processes read [MET-005]."""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
from descring_host import DeviceError
from descring_host.segment import SHM_FOLDER
from descring_model.rollouts import seeing
from descring_model.rollouts.records import CONFIG_DTYPE, Records, dtype_of

from descring_rollouts.core import Core
from descring_rollouts.model_core import RolloutCore
from descring_rollouts.watch import Watcher

Words = npt.NDArray[np.uint64]

PREFIX = "descring-live."
_NAME = re.compile(rf"{re.escape(PREFIX)}(\d+)\.(\d+)")
HEAD_DTYPE = dtype_of(seeing.LIVE)
_SEQUENCE = seeing.SEQUENCE_AT // 8
_TRIES = 1000
_numbers = itertools.count(1)


class LivePage(Watcher):
    """Shows the runs of one runtime in a file of shared memory, which goes away with each run.

    Attributes:
        path: of the file, while a run goes on.
    """

    def __init__(self, name: str, *, folder: Path = SHM_FOLDER) -> None:
        """Name the runs; no file is made before a run begins.

        Args:
            name: what runs, for people, up to 64 bytes.
            folder: where the file is.
        """
        encoded = name.encode()
        if not 0 < len(encoded) <= seeing.LIVE_NAME_BYTES:
            raise ValueError(
                f"name: expected 1 to {seeing.LIVE_NAME_BYTES} bytes, got {len(encoded)}"
            )
        self._name = encoded
        self._folder = folder
        self.path: Path | None = None
        self._file = -1
        self._page: npt.NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self._core: RolloutCore | None = None

    @property
    def bytes(self) -> npt.NDArray[np.uint8]:
        """The page, ``(LIVE_BYTES,)`` uint8."""
        return self._page

    def started(self, core: RolloutCore, config: Records, requests: Records) -> None:
        """Make the page and begin to show the run.

        Raises:
            DeviceError: the file cannot be made.
        """
        number = next(_numbers)
        path = self._folder / f"{PREFIX}{os.getpid()}.{number}"
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self.path = path
            # Locked before it has a size: whoever finds an unlocked page may remove it.
            fcntl.flock(self._file, fcntl.LOCK_EX)
            os.posix_fallocate(self._file, 0, seeing.LIVE_BYTES)
            page = np.frombuffer(mmap.mmap(self._file, seeing.LIVE_BYTES), dtype=np.uint8)
        except OSError as error:
            raise DeviceError(f"cannot make the live page {path}: {error.strerror}") from None
        self._page = page
        head = page[: seeing.HEAD_BYTES].view(HEAD_DTYPE)
        head["version"], head["pid"], head["session"] = seeing.LIVE_VERSION, os.getpid(), number
        head["started"] = time.monotonic_ns()
        head["requests"], head["slots"] = len(requests), config["slots"][0]
        behind = seeing.HEAD_BYTES + seeing.CONFIG_BYTES
        page[seeing.HEAD_BYTES : behind] = np.frombuffer(config.tobytes(), dtype=np.uint8)
        page[behind : behind + len(self._name)] = np.frombuffer(self._name, dtype=np.uint8)
        self._core = core
        if isinstance(core, Core):
            core.show(page)
        else:
            self._write()
        head["magic"] = seeing.LIVE_MAGIC

    def ticked(self) -> None:
        """Show the tick's end; the native core has done so itself."""
        if not isinstance(self._core, Core):
            self._write()

    def ended(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say how the run has ended, and remove the file."""
        if len(self._page):
            if isinstance(self._core, Core):
                self._core.show(None)
            else:
                self._write()
            state = "ENDED" if kind is None or kind is GeneratorExit else "FAILED"
            head = self._page[: seeing.HEAD_BYTES].view(HEAD_DTYPE)
            head["state"] = seeing.LIVE_STATE[state]
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._file)
        self.path, self._core = None, None

    def _write(self) -> None:
        """Store a tick's end as the native core does."""
        assert self._core is not None
        words = self._page.view(np.uint64)
        gauges, counters = seeing.GAUGES_AT // 8, seeing.COUNTERS_AT // 8
        words[_SEQUENCE] += np.uint64(1)
        words[gauges : gauges + seeing.GAUGE_WORDS] = self._core.gauges
        words[counters : counters + seeing.COUNTER_WORDS] = self._core.counters
        words[_SEQUENCE] += np.uint64(1)


@dataclass(frozen=True)
class Snapshot:
    """A live page as of one tick's end.

    Attributes:
        name: what runs.
        pid: of the process.
        state: a state of ``seeing.LIVE_STATES``.
        at: seconds of the monotonic clock when it was read.
        started: likewise, of the first tick.
        requests: of the run.
        sequence: of the page; it rises by 2 with each tick that is shown.
        config: ``(1,)`` of CONFIG_DTYPE.
        gauges: by name.
        counters: by name.
    """

    name: str
    pid: int
    state: int
    at: float
    started: float
    requests: int
    sequence: int
    config: Records
    gauges: dict[str, int]
    counters: dict[str, int]

    @property
    def ended(self) -> int:
        """Requests that have ended."""
        return sum(self.counters[name] for name in ("delivered", "cancelled", "failed"))


def snapshot(page: npt.NDArray[np.uint8]) -> Snapshot:
    """A consistent copy of a live page.

    Args:
        page: ``(LIVE_BYTES,)`` uint8.

    Raises:
        ValueError: it is no live page of this version, or its writer stands in a tick's end.
    """
    if len(page) != seeing.LIVE_BYTES:
        raise ValueError(f"expected a live page of {seeing.LIVE_BYTES} bytes, got {len(page)}")
    words = page.view(np.uint64)
    for _ in range(_TRIES):
        before = int(words[_SEQUENCE])
        copy = page.copy()
        if before % 2 == 0 and int(words[_SEQUENCE]) == before:
            break
        time.sleep(0)
    else:
        raise ValueError("expected a live page that is whole between two ticks, got none; retry")
    head = copy[: seeing.HEAD_BYTES].view(HEAD_DTYPE)[0]
    found = bytes(head["magic"]), int(head["version"])
    expected = seeing.LIVE_MAGIC, seeing.LIVE_VERSION
    if found != expected:
        raise ValueError(f"expected a live page with {expected}, got {found}")
    behind = seeing.HEAD_BYTES + seeing.CONFIG_BYTES
    name = copy[behind : behind + seeing.LIVE_NAME_BYTES].tobytes().rstrip(b"\0")
    whole = copy.view(np.uint64)
    gauges, counters = seeing.GAUGES_AT // 8, seeing.COUNTERS_AT // 8
    return Snapshot(
        name=name.decode(errors="replace"),
        pid=int(head["pid"]),
        state=int(head["state"]),
        at=time.monotonic(),
        started=int(head["started"]) / 1e9,
        requests=int(head["requests"]),
        sequence=int(head["sequence"]),
        config=copy[seeing.HEAD_BYTES : behind].view(CONFIG_DTYPE),
        gauges={name: int(whole[gauges + number]) for name, number in seeing.GAUGE.items()},
        counters={name: int(whole[counters + number]) for name, number in seeing.COUNTER.items()},
    )


def find(folder: Path = SHM_FOLDER) -> list[Path]:
    """The live pages of this user's runs, by process and number; those of dead processes go."""
    found = []
    for path in folder.glob(f"{PREFIX}*"):
        match = _NAME.fullmatch(path.name)
        if match and _is_held(path):
            found.append((int(match[1]), int(match[2]), path))
    return [path for _, _, path in sorted(found)]


def process_of(path: Path) -> int:
    """The process whose page has this path."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"expected a path of find(), got {path}")
    return int(match[1])


def _is_held(path: Path) -> bool:
    """Whether a living process has the page; one that none has is removed."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False  # gone meanwhile, or another user's
    try:
        if os.fstat(file).st_uid != os.geteuid():
            return False
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        if os.fstat(file).st_size:  # else its maker is about to lock it
            path.unlink(missing_ok=True)
        return False
    finally:
        os.close(file)


def open_page(path: Path) -> npt.NDArray[np.uint8]:
    """Map a live page to be read.

    Raises:
        OSError: it is gone.
        ValueError: it is too short.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(file).st_size
        if size != seeing.LIVE_BYTES:
            raise ValueError(f"{path}: expected {seeing.LIVE_BYTES} bytes, got {size}")
        mapping = mmap.mmap(file, size, access=mmap.ACCESS_READ)
    finally:
        os.close(file)
    return np.frombuffer(mapping, dtype=np.uint8)
