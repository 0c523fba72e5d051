# SPDX-License-Identifier: Apache-2.0
"""The backend ``verilated``: the RTL with its rings on chip, compiled into a library."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from descring_model import Lines

from descring_sim.protocol.stream import StreamRequest
from descring_sim.replay.backend import Progress, ReplayError, ReplayResult
from descring_sim.support import paths
from descring_sim.support.progress import say
from descring_sim.support.seeds import new_seed
from descring_sim.verilated.core import (
    WINDOW_CYCLES,
    CoreConfig,
    Replay,
    RtlFault,
    Traffic,
    VerilatedCore,
)
from descring_sim.waves import views


class VerilatedBackend:
    """Replays streams on the RTL as C++, called in batches from this process."""

    description = "the RTL as a library, compiled by Verilator"

    def replay(self, lines: Lines, options: StreamRequest, progress: Progress) -> ReplayResult:
        """See :meth:`descring_sim.replay.backend.Backend.replay`.

        Raises:
            ReplayError: the device gave no whole response, or cannot have such rings.
            SimulationError: the RTL does not build.
        """
        default = CoreConfig()
        try:
            config = CoreConfig(
                depth=default.depth if options.ring_slots is None else options.ring_slots,
                workers=default.workers if options.workers is None else options.workers,
                waves=options.waves,
                rtl_dir=options.rtl,
            )
        except ValueError as error:
            raise ReplayError(str(error)) from error
        seed = new_seed() if options.seed is None else options.seed
        config.build(say)
        waves = (_wave_file(), 0, 2**64 - 1) if options.waves else None
        try:
            result = _run(config, seed, lines, options, progress, waves)
        except RtlFault as fault:
            raise ReplayError(_failure(fault, config, seed, lines, options, waves)) from fault
        note = [f"{result.cycles} cycles", f"seed {seed}"]
        note += ["ended in HALTED"] * result.halted
        note += [f"waves {_view(waves[0])}"] if waves else []
        return ReplayResult(done=result.done, reward=result.reward, note=", ".join(note))


def _run(
    config: CoreConfig,
    seed: int,
    lines: Lines,
    options: StreamRequest,
    progress: Progress,
    waves: tuple[Path, int, int] | None,
) -> Replay:
    with VerilatedCore(config, seed=seed) as core:
        return core.replay(
            lines,
            first_index=options.first_index,
            require_checked=options.require_checked,
            split_reward=options.split_reward,
            halt=options.halt,
            traffic=Traffic(seed),
            progress=progress,
            waves=waves,
        )


def _view(wave: Path) -> Path:
    """Write the views of a wave file; the file."""
    views.save(wave)
    return wave


def _failure(
    fault: RtlFault,
    config: CoreConfig,
    seed: int,
    lines: Lines,
    options: StreamRequest,
    waves: tuple[Path, int, int] | None,
) -> str:
    """What failed, and where to look: waves of the last cycles, from a repetition if need be."""
    text = f"verilated: {' '.join(str(fault).split())}"
    if waves is None and fault.cycle is not None:
        start = max(0, fault.cycle - WINDOW_CYCLES)
        waves = (_wave_file(), start, fault.cycle + 1)
        recording = replace(config, waves=True)
        recording.build(say)
        try:
            _run(recording, seed, lines, options, lambda _count: None, waves)
        except RtlFault:
            text += f"; waves of cycles {start} to {fault.cycle}: {_view(waves[0])}"
        else:
            text += "; a repetition with waves did not fail"
    elif waves is not None:
        text += f"; waves {_view(waves[0])}"
    return f"{text}; repeat with --seed {seed} --waves to see all of it"


def _wave_file() -> Path:
    folder = paths.build_dir() / "replay"
    folder.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="verilated-", dir=folder)) / "waves.fst"
