# SPDX-License-Identifier: Apache-2.0
"""The backends ``icarus`` and ``verilator``: the RTL with its rings on chip, in a simulator."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from descring_model import DESC_DTYPE, Lines, contract, line_bytes

from descring_sim.cosim import runner
from descring_sim.cosim.results import FATAL
from descring_sim.cosim.runner import RunResult
from descring_sim.protocol.stream import FOLDER_VARIABLE, StreamFolder, StreamRequest, Summary
from descring_sim.replay.backend import Progress, ReplayError, ReplayResult
from descring_sim.support import paths

TOP = "rl_runtime_mmio"
CASES = "descring_vip.servers.replay"
DEFAULT_WORKERS = 8
DEFAULT_RING_DEPTH = 256
POLL_SECONDS = 0.2
TIMEOUT_S, TIMEOUT_S_PER_LINE = 300.0, 0.01
"""Wall-clock limit: an order above what either simulator takes. Hangs end much earlier, inside."""


class SimulatorBackend:
    """Replays streams on the RTL in one simulator."""

    def __init__(self, simulator: str) -> None:
        self.simulator = simulator
        self.description = f"the RTL in {simulator}"

    def replay(self, lines: Lines, options: StreamRequest, progress: Progress) -> ReplayResult:
        """See :meth:`descring_sim.replay.backend.Backend.replay`.

        Raises:
            ReplayError: completions are missing, or the ring depth is not supported.
            SimulationError: the simulator is missing, or does not build the RTL.
        """
        options = complete(options)
        with _job_folder(self.simulator, keep=options.waves) as folder:
            job = write_job(folder, lines, options)
            with _reported(job.progress, progress):
                run = self._run(job, len(lines))
            if not run.ok:
                raise ReplayError(_failure(run))
            summary = read_summary(job.result)
            return ReplayResult(*completions(job, summary), note=_note(run, summary))

    def _run(self, job: StreamFolder, count: int) -> RunResult:
        request = job.request
        return runner.run(
            simulator=self.simulator,
            top=TOP,
            cases=CASES,
            tests_dir=paths.vip_root(),
            parameters=parameters(request),
            config=f"depth{request.ring_slots}-workers{request.workers}",
            seed=request.seed,
            waves=request.waves,
            rtl_dir=request.rtl,
            run_dir=job.folder / "run",
            extra_env={FOLDER_VARIABLE: str(job.folder)},
            timeout_s=TIMEOUT_S + TIMEOUT_S_PER_LINE * count,
        )


def complete(request: StreamRequest) -> StreamRequest:
    """Return ``request`` with the defaults of the RTL in place of None.

    Raises:
        ReplayError: the RTL cannot have rings of so many slots.
    """
    slots = DEFAULT_RING_DEPTH if request.ring_slots is None else request.ring_slots
    _check_depth(slots)
    workers = DEFAULT_WORKERS if request.workers is None else request.workers
    return replace(request, ring_slots=slots, workers=workers)


def write_job(folder: Path, lines: Lines, request: StreamRequest) -> StreamFolder:
    """Leave in ``folder`` what the testbench that replays ``lines`` reads."""
    job = StreamFolder(folder, request)
    job.save()
    job.submissions.write_bytes(line_bytes(lines).tobytes())
    return job


def parameters(request: StreamRequest) -> dict[str, int]:
    """The parameters of :data:`TOP` for a request without None."""
    rings = ("RingDepth", "DoneDepth", "RewardDepth")
    values = dict.fromkeys(rings, request.ring_slots) | {"WorkerCount": request.workers}
    return {name: int(value or 0) for name, value in values.items()}


@contextmanager
def _job_folder(simulator: str, *, keep: bool) -> Iterator[Path]:
    """A new folder below the build folder; it stays if ``keep``, or if there is a log to read."""
    parent = paths.build_dir() / "replay"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{simulator}-", dir=parent))
    try:
        yield folder
    except ReplayError:
        raise
    except BaseException:
        shutil.rmtree(folder)
        raise
    if not keep:
        shutil.rmtree(folder)


def _check_depth(depth: int) -> None:
    least, most = 1 << contract.RING_LOG2_MIN, 1 << contract.RING_LOG2_MAX
    if not least <= depth <= most or depth & (depth - 1):
        raise ReplayError(
            f"expected a ring depth that is a power of two from {least} to {most}, but got {depth}"
        )


@contextmanager
def _reported(file: Path, progress: Progress) -> Iterator[None]:
    """Pass the number in ``file`` on to ``progress`` while the simulator writes it."""
    ended = threading.Event()

    def poll() -> None:
        while not ended.wait(POLL_SECONDS):
            # Not there yet, or read between its emptying and its writing.
            with suppress(FileNotFoundError, ValueError):
                progress(int(file.read_text(encoding="ascii")))

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def read_summary(file: Path) -> Summary:
    """What the testbench reports that it wrote.

    Raises:
        ReplayError: ``file`` is no summary.
    """
    try:
        summary = Summary(**json.loads(file.read_text(encoding="utf-8", errors="replace")))
        numbers = (summary.done, summary.reward, summary.cycles)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"got {numbers}")
    except (OSError, TypeError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise ReplayError(
            f"{file}: expected the summary of a replay ({said}); is the disk full?"
        ) from error
    return summary


def completions(job: StreamFolder, summary: Summary) -> tuple[Lines, Lines]:
    """The completions of the done and of the reward ring, as many as ``summary`` states."""
    done, reward = job.rings
    return _completions(done, summary.done), _completions(reward, summary.reward)


def _completions(file: Path, count: int) -> Lines:
    data = file.read_bytes()
    if len(data) != count * contract.DESC_BYTES:
        raise ReplayError(
            f"expected {count * contract.DESC_BYTES} bytes of completions in {file}, but it has "
            f"{len(data)}; is the disk full?"
        )
    lines: Lines = np.frombuffer(data, DESC_DTYPE)
    return lines


def _failure(run: RunResult) -> str:
    """What failed, in one line: an assertion of the RTL, or else the testbench's message."""
    failed = run.outcome.first_failed
    text = "; ".join(run.outcome.problems) if failed is None else failed.message
    fatal = FATAL.search(run.log.read_text(encoding="utf-8", errors="replace"))
    why = " ".join((fatal.group() if fatal else text).split())
    return (
        f"{run.simulator} {run.version}: {why}; log {run.log}; "
        f"repeat with --seed {run.seed} --waves to see it happen"
    )


def _note(run: RunResult, summary: Summary) -> str:
    parts = [f"{summary.cycles} cycles", f"{run.top} in {run.simulator} {run.version}"]
    parts.append(f"seed {run.seed}")
    if summary.halted:
        parts.append("ended in HALTED")
    if run.waves is not None:
        parts.append(f"waves {run.waves}")
    return ", ".join(parts)
