# SPDX-License-Identifier: Apache-2.0
"""``descring replay``: a descriptor stream through a backend."""

from __future__ import annotations

import time
from pathlib import Path

import click
from descring_model import contract

from descring_sim.protocol.stream import StreamRequest
from descring_sim.replay.backend import ReplayError, ReplayResult
from descring_sim.replay.registry import BACKENDS, open_backend
from descring_sim.replay.stream_file import BYTES_PER_LINE, StreamError, outputs, read_stream, save
from descring_sim.support import memory
from descring_sim.support.click_options import INDEX
from descring_sim.support.files import real
from descring_sim.support.progress import progress_bar


def _check_paths(source: Path, targets: list[Path]) -> None:
    resolved = [real(path) for path in targets]
    if real(source) in resolved:
        raise StreamError(f"{source}: the output would replace the input; name another file")
    if len(set(resolved)) != len(resolved):
        raise StreamError(
            f"{targets[0]}: done and reward completions need two files, but --output and "
            "--split-reward name the same; name another file"
        )


def _check_result(result: ReplayResult, count: int, options: StreamRequest) -> None:
    """Refuse an incomplete result. A halted device returns nothing after its STOPPED."""
    actual = len(result.done) + len(result.reward)
    if actual > count or (actual < count and not options.halt):
        raise ReplayError(f"expected {count} completions, got {actual}")
    if actual == 0:
        raise ReplayError("expected at least one completion, got none")
    last = result.done[-1:]["flags"]
    if actual < count and not (last & contract.FLAG["STOPPED"]).any():
        raise ReplayError(
            f"only {actual} of {count} lines were completed, but the last of the done ring is no "
            "STOPPED, which alone may end a replay early"
        )
    if len(result.reward) and not options.split_reward:
        raise ReplayError(
            f"expected all completions in the done ring, got {len(result.reward)} in the "
            "reward ring, which is not in use without --split-reward"
        )


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("--backend", required=True, metavar="NAME", help=f"One of {', '.join(BACKENDS)}.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A .npy file.")
@click.option(
    "--first-index", type=INDEX, default=0, show_default=True, help="Where every ring starts."
)
@click.option("--halt", is_flag=True, help="End at the first STOP instead of resuming after it.")
@click.option("--require-checked", is_flag=True, help="Refuse lines without CHECKED.")
@click.option(
    "--split-reward",
    type=click.Path(path_type=Path),
    metavar="OUT2",
    help="Completions that need a reward go to this file.",
)
@click.option("--workers", type=click.IntRange(1, 16), help="Workers of the RTL.  [default: 8]")
@click.option("--ring-depth", type=int, help="Slots of each ring of the RTL.  [default: 256]")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    help="Of the doorbell batches and the RTL's random initial state; drawn when left out.",
)
@click.option(
    "--rtl",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Simulate these sources in place of descring's own.",
)
@click.option("--waves", is_flag=True, help="Record waves of the RTL; the path is printed.")
def replay(
    source: Path,
    backend: str,
    output: Path,
    first_index: int,
    halt: bool,
    require_checked: bool,
    split_reward: Path | None,
    workers: int | None,
    ring_depth: int | None,
    seed: int | None,
    rtl: Path | None,
    waves: bool,
) -> None:
    """Run the descriptor stream IN and write the completions."""
    target = open_backend(backend)
    options = StreamRequest(
        first_index=first_index,
        halt=halt,
        require_checked=require_checked,
        split_reward=split_reward is not None,
        workers=workers,
        ring_slots=ring_depth,
        seed=seed,
        waves=waves,
        rtl=rtl,
    )
    targets = [output] if split_reward is None else [output, split_reward]
    lines = read_stream(source)
    _check_paths(source, targets)
    if len(lines) == 0:
        raise StreamError(f"{source}: expected at least one line to replay, but it holds none")

    memory.require(len(lines) * BYTES_PER_LINE, f"{source}", "replay it in parts")

    with outputs(*targets) as files:
        began = time.monotonic()
        with progress_bar() as bar:
            task = bar.add_task(backend, total=len(lines))
            result = target.replay(lines, options, lambda done: bar.update(task, completed=done))
        seconds = time.monotonic() - began
        _check_result(result, len(lines), options)
        streams = [result.done] if split_reward is None else [result.done, result.reward]
        save(files, streams)
    for path, completions in zip(targets, streams, strict=True):
        click.echo(f"{path}: {len(completions)} completions")
    click.echo(f"{backend}: {len(lines)} lines in {seconds:.1f} s, {result.note}")
