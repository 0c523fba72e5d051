# SPDX-License-Identifier: Apache-2.0
"""Runs a lab: options, interleaved repetitions, verdict, files."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from descring_model.program import run_program
from descring_sim.bench import chart, results
from descring_sim.support import build_cache, files, paths

from labkit.lab import (
    Claim,
    Control,
    NotObservableError,
    Samples,
    Verdict,
    judge_claim,
    judge_control,
    verdict,
)
from labkit.native import LabError, Loop, check_loops

REPETITIONS = 30
_TIMEOUT_S = 120.0
Sample = Callable[[Sequence[str]], Mapping[str, float]]
"""Measures the named variants in this order and returns a value above 0 of each."""


@dataclass(frozen=True)
class Lab:
    """A lab whose variants have one quantity.

    Attributes:
        name: of the files, and of the program.
        title: of the picture.
        unit: of a sample; less is better.
        variants: names of all variants and constants.
        claims, controls: ratios of them.
        loops: what the timed loops must contain.
        build: makes the native program.
        prepare: returns what measures one repetition; raises ``NotObservableError`` where this
            machine cannot show the effect. Default: start the native program with the variants as
            its arguments, which prints a line VARIANT VALUE for each.
        cpus: CPUs that the lab needs.
    """

    name: str
    title: str
    unit: str
    variants: tuple[str, ...]
    claims: tuple[Claim, ...]
    controls: tuple[Control, ...]
    loops: tuple[Loop, ...]
    build: Callable[[], Path]
    prepare: Callable[[Path], Sample] | None = None
    cpus: int = 2


@dataclass
class Outcome:
    """What a lab found."""

    verdict: Verdict
    reason: str
    samples: dict[str, list[float]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    predicted: dict[str, float] = field(default_factory=dict)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Schedule this process, and what it starts, before others where the privilege permits it.

    One lab at a time. Threads of two programs that spin for each other could wait without end under
    SCHED_FIFO, so they take turns.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    with build_cache.locked(paths.build_dir() / "labs" / "locks" / "undisturbed"):
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        except PermissionError:  # on a quiet machine the figures are the same
            yield
            return
        try:
            yield
        finally:
            os.sched_setscheduler(0, *before)


def undisturbed_output(command: Sequence[str], timeout_s: float = _TIMEOUT_S) -> str:
    """What a native program prints.

    Raises:
        NotObservableError: it ended with exit code 3 and a reason.
        LabError: it failed, or took too long.
    """
    try:
        with undisturbed():
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, check=False
            )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{command[0]}: no result within {timeout_s:.0f} s") from error
    if done.returncode == int(Verdict.NOT_OBSERVABLE):
        raise NotObservableError(done.stderr.strip())
    if done.returncode:
        raise LabError(
            f"expected exit code 0, got {done.returncode} of {' '.join(command)}\n{done.stderr}"
        )
    return done.stdout


def run_native(program: Path, variants: Sequence[str]) -> dict[str, float]:
    """Start ``program`` with the variants; their values.

    Raises:
        NotObservableError, LabError: as above, or it printed something else.
    """
    out = undisturbed_output([str(program), *variants])
    pairs = [line.rsplit(" ", 1) for line in out.splitlines()]
    if [name for name, _ in pairs] != list(variants):
        raise LabError(f"expected a value of each of {', '.join(variants)}, got\n{out}")
    return {name: float(value) for name, value in pairs}


def interleaved(
    sample: Sample, variants: Sequence[str], repetitions: int, seed: int, replace: Mapping[str, str]
) -> dict[str, list[float]]:
    """Samples of each variant, in an order drawn for each repetition.

    ``replace`` measures another variant in the place of one: what the lab claims must fail then.
    """
    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repetitions):
        order = [variants[k] for k in random.permutation(len(variants))]
        values = sample(order)
        for name in variants:
            found[name].append(values[name])
        for name, other in replace.items():
            found[name][-1] = sample([other])[other]
    return found


def judge(lab: Lab, samples: Samples) -> Outcome:
    """Verdict on samples."""
    claims = [judge_claim(claim, samples) for claim in lab.claims]
    controls = [judge_control(control, samples) for control in lab.controls]
    outcome, reason = verdict(claims, controls)
    lines = [item.text() for item in (*controls, *claims)]
    predicted = {
        item.what.above: item.predicted * float(np.median(samples[item.what.below]))
        for item in claims
        if item.predicted is not None
    }
    copied = {name: list(values) for name, values in samples.items()}
    return Outcome(outcome, reason, copied, lines, predicted)


def measure(lab: Lab, repetitions: int, seed: int, replace: Mapping[str, str]) -> Outcome:
    """Build, check the loops, measure, judge."""
    cpus = len(os.sched_getaffinity(0))
    if cpus < lab.cpus:
        return Outcome(
            Verdict.NOT_OBSERVABLE, f"expected {lab.cpus} CPUs, this process may use {cpus}"
        )
    program = lab.build()
    checked = check_loops(program, lab.loops)
    try:
        sample = lab.prepare(program) if lab.prepare else lambda order: run_native(program, order)
        samples = interleaved(sample, lab.variants, repetitions, seed, replace)
    except NotObservableError as error:
        return Outcome(Verdict.NOT_OBSERVABLE, str(error))
    outcome = judge(lab, samples)
    named = [f"{loop.function}: {' .. '.join(loop.needs)}" for loop in lab.loops]
    if checked:
        outcome.lines.insert(0, "timed loops have " + "; ".join(named))
    return outcome


def publish(
    name: str,
    outcome: Outcome,
    figures: Sequence[results.Figure],
    details: Mapping[str, Any],
    draw: Callable[[str], str],
    folder: Path,
) -> None:
    """Print the verdict; write results, and the picture that ``draw`` makes with a note."""
    for line in outcome.lines:
        print(line)
    print(f"{name}: {outcome.verdict}: {outcome.reason}", flush=True)
    if not figures:
        return
    origin = results.origin("examples/labs", "bench", "host/native")
    judged = {"verdict": str(outcome.verdict), "reason": outcome.reason}
    measured = results.Results(name, tuple(figures), origin, {**judged, **details})
    note = f"{outcome.verdict}; {origin['processor']}, {origin['date']}, commit {origin['commit']}"
    folder.mkdir(parents=True, exist_ok=True)
    picture, data = folder / f"{name}.svg", folder / f"{name}.json"
    files.write_files({picture: draw(note), data: measured.text()})
    print(f"{name}: picture {picture}, samples {data}", file=sys.stderr)


def report(lab: Lab, outcome: Outcome, folder: Path, details: Mapping[str, Any]) -> None:
    """Publish a lab whose samples are of one unit, as rows of dots."""

    def draw(note: str) -> str:
        rows = [(name, outcome.samples[name], outcome.predicted.get(name)) for name in lab.variants]
        return chart.dots(lab.title, f"{note}; mark: predicted", lab.unit, rows)

    figures = results.figures_of(outcome.samples, lab.unit, "lower")
    publish(lab.name, outcome, figures, details, draw, folder)


def _replacement(text: str) -> tuple[str, str]:
    name, equals, other = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected VARIANT=OTHER, got {text!r}")
    return name, other


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every lab has."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit code: 0 SEEN, 1 NOT SEEN, 2 error, 3 NOT OBSERVABLE HERE",
    )
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="default: 30")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the order of runs")
    parser.add_argument(
        "--out", type=Path, help="folder of picture and samples; default: build/labs"
    )
    parser.add_argument(
        "--replace",
        action="append",
        type=_replacement,
        default=[],
        metavar="VARIANT=OTHER",
        help="measure OTHER in the place of VARIANT, to see the verdict change",
    )
    return parser


def chosen_options(
    parser: argparse.ArgumentParser, variants: Sequence[str]
) -> tuple[argparse.Namespace, dict[str, Any]]:
    """The options of a run, checked; and those that its results name."""
    chosen = parser.parse_args()
    chosen.replace = dict(chosen.replace)
    unknown = sorted({*chosen.replace, *chosen.replace.values()} - set(variants))
    if unknown:
        parser.error(f"--replace: expected variants of {', '.join(variants)}, got {unknown}")
    if chosen.repetitions < 3 or chosen.seed < 0:
        parser.error("expected --repetitions from 3 and --seed from 0")
    chosen.out = chosen.out or paths.build_dir() / "labs"
    named = {"seed": chosen.seed, "repetitions": chosen.repetitions, "replaced": chosen.replace}
    return chosen, named


def main(lab: Lab, description: str | None) -> None:
    """Run ``lab`` as a program and end the process."""
    chosen, named = chosen_options(options(description), lab.variants)

    def work() -> int:
        outcome = measure(lab, chosen.repetitions, chosen.seed, chosen.replace)
        report(lab, outcome, chosen.out, named)
        return int(outcome.verdict)

    run_program(lab.name, work)
