# SPDX-License-Identifier: Apache-2.0
"""The backends ``icarus`` and ``verilator``: the RTL with its rings on chip, in a simulator."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from descring_model import DESC_DTYPE, Lines, contract, line_bytes

from descring_sim.cosim import runner
from descring_sim.cosim.results import FATAL
from descring_sim.cosim.runner import RunResult
from descring_sim.protocol.replay_job import JOB_VARIABLE, Job, Summary
from descring_sim.replay.backend import Progress, ReplayError, ReplayOptions, ReplayResult
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

    def replay(self, lines: Lines, options: ReplayOptions, progress: Progress) -> ReplayResult:
        """See :meth:`descring_sim.replay.backend.Backend.replay`.

        Raises:
            ReplayError: completions are missing, or the ring depth is not supported.
            SimulationError: the simulator is missing, or does not build the RTL.
        """
        depth = DEFAULT_RING_DEPTH if options.ring_depth is None else options.ring_depth
        _check_depth(depth)
        workers = DEFAULT_WORKERS if options.workers is None else options.workers
        with _job_folder(self.simulator, keep=options.waves) as folder:
            job = write_job(folder, lines, options, depth)
            with _reported(job.progress, progress):
                run = self._run(job, workers, options, len(lines))
            if not run.ok:
                raise ReplayError(_failure(run))
            summary = read_summary(job.summary)
            return ReplayResult(
                done=completions(job.done, summary.done),
                reward=completions(job.reward, summary.reward),
                note=_note(run, summary),
            )

    def _run(self, job: Job, workers: int, options: ReplayOptions, count: int) -> RunResult:
        depth = job.ring_depth
        return runner.run(
            simulator=self.simulator,
            top=TOP,
            cases=CASES,
            tests_dir=paths.vip_root(),
            parameters=parameters(depth, workers),
            config=f"depth{depth}-workers{workers}",
            seed=options.seed,
            waves=options.waves,
            rtl_dir=options.rtl,
            run_dir=job.folder / "run",
            extra_env={JOB_VARIABLE: str(job.folder)},
            timeout_s=TIMEOUT_S + TIMEOUT_S_PER_LINE * count,
        )


def write_job(folder: Path, lines: Lines, options: ReplayOptions, ring_depth: int) -> Job:
    """Leave in ``folder`` what the testbench that replays ``lines`` reads."""
    job = Job(
        folder=folder,
        first_index=options.first_index,
        ring_depth=ring_depth,
        halt=options.halt,
        require_checked=options.require_checked,
        split_reward=options.split_reward,
        seed=options.seed,
    )
    job.save()
    job.submissions.write_bytes(line_bytes(lines).tobytes())
    return job


def parameters(depth: int, workers: int) -> dict[str, int]:
    """The parameters of :data:`TOP` with rings of ``depth`` slots."""
    rings = dict.fromkeys(("RingDepth", "DoneDepth", "RewardDepth"), depth)
    return rings | {"WorkerCount": workers}


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


def completions(file: Path, count: int) -> Lines:
    """The lines in ``file``, which must be ``count``."""
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
    parts = [f"{summary.cycles} cycles", f"{run.simulator} {run.version}", f"seed {run.seed}"]
    if summary.halted:
        parts.append("ended in HALTED")
    if run.waves is not None:
        parts.append(f"waves {run.waves}")
    return ", ".join(parts)
