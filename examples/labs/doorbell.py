# SPDX-License-Identifier: Apache-2.0
"""Doorbell: on every device, what a doorbell costs is shared by the lines that it publishes.

The same lines with 1, 4, 16 and 64 lines a doorbell on the golden model, the native worker, the RTL
(rings in memory, verilated) and, where there is one, a GPU; every completion is compared with the
golden model. Time is ns of a line, on the RTL clock cycles. What one doorbell costs is measured on
its own: one submit() of one line to an idle device, and on the native worker, which sees the
doorbell by its cache line, a word that goes to the other CPU and back.

Run: python examples/labs/doorbell.py; without the RTL, which takes a while to build: --without rtl
"""

from __future__ import annotations

import functools
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from descring_host import CommandQueue, Device, open_device
from descring_model import Lines, complete, contract, first_difference, streams
from descring_model.program import run_program
from labkit.driver import Lab, chosen_options, measure, options, report, run_native, undisturbed
from labkit.lab import Claim, Control, Values
from labkit.native import HERE, LabError, Loop, build
from spsc_ring import product

BATCHES = (1, 4, 16, 64)
LINES = 256
DEVICES: dict[str, dict[str, Any]] = {
    "model": {"backend": "model", "memory": 1 << 20},
    "rtl": {
        "backend": "verilated",
        "memory": 1 << 20,
        "latency": 20,
        "seed": 1,
    },
    "gpu": {"backend": "cuda", "memory": 16 << 20, "shape": "throughput"},
}
MANY = {"gpu": 4096}
"""Lines of a run where 256 are done before the time of a single one no longer shows."""


def alone(name: str) -> str:
    """The constant of a backend."""
    return "cpu: a word there and back" if name == "cpu" else f"{name}: a doorbell alone"


def clock(device: Device) -> Callable[[], float]:
    """The device's own clock in cycles where it has one, else ns."""
    cycles = getattr(type(device), "cycles", None)
    return time.perf_counter_ns if cycles is None else lambda: float(device.cycles)  # type: ignore[attr-defined]


def repeated(name: str) -> str:
    """The positive control of a backend."""
    return f"{name}, 1, each doorbell twice"


def again(name: str) -> str:
    """The negative control of a backend."""
    return f"{name}, 64, again"


def lines(count: int) -> Lines:
    """DECODE of one token each."""
    stream = streams.generate(count, seed=1, profile="decode")
    stream["seq_len"] = 0
    stream["max_tokens"] = 1
    return stream


def lines_a_doorbell(
    device: Device, batch: int, count: int = LINES, *, twice: bool = False
) -> float:
    """Time of a line until all are back, with so many lines a doorbell; all of them compared."""
    stream = lines(count)
    doorbell = contract.OFFSET["DOORBELL"]
    with CommandQueue(device, cmd_slots=2 * count, done_slots=2 * count) as queue:
        now = clock(device)
        start = now()
        for at in range(0, count, batch):
            queue.submit(stream[at : at + batch])
            if twice:
                device.write32(doorbell, at + batch)
        done = queue.drain(timeout_s=60)
        took = (now() - start) / count
    difference = first_difference(complete(stream), done)
    if difference is not None:
        raise LabError(f"{batch} lines a doorbell: {difference}")
    return took


def doorbell_alone(device: Device) -> float:
    """The time of one submit() of one line to an idle device; the median of a few."""
    stream = lines(9)
    took = []
    with CommandQueue(device, cmd_slots=2 * LINES) as queue:
        now = clock(device)
        for at in range(9):
            start = now()
            queue.submit(stream[at : at + 1])
            took.append(now() - start)
            queue.drain(timeout_s=60)
    return sorted(took)[4]


def predicted(name: str) -> Callable[[Values], float]:
    """The ratio of 1 to 64 lines a doorbell, from what one doorbell costs."""

    def of(values: Values) -> float:
        floor = values[f"{name}, 64"]
        cost = values[alone(name)]
        # The native worker takes lines while the doorbell's cache line is on its way.
        return (floor + cost / 2) / floor if name == "cpu" else max(cost, floor) / floor

    return of


def claim(name: str) -> Claim:
    """That of one backend."""
    return Claim(
        f"{name}: a doorbell's cost is shared by its lines",
        *(f"{name}, 1", f"{name}, 64"),
        at_least=1.1,
        predict=predicted(name),
        within=(0.3, 3.0),
    )


def prepare(devices: dict[str, Device], program: Path, order: Sequence[str]) -> dict[str, float]:
    """One repetition."""
    native = [name for name in order if name.startswith("cpu")]
    found = run_native(program, native) if native else {}
    for variant in order:
        name, _, rest = variant.partition(", ")
        if variant in found:
            continue
        with undisturbed():
            if variant.endswith(": a doorbell alone"):
                found[variant] = doorbell_alone(devices[variant.partition(":")[0]])
            else:
                batch = int(rest.split(",")[0])
                found[variant] = lines_a_doorbell(
                    devices[name], batch, MANY.get(name, LINES), twice=variant == repeated(name)
                )
    return found


def lab(names: Sequence[str], devices: dict[str, Device]) -> Lab:
    """The lab over these backends."""
    variants = [f"{name}, {batch}" for name in names for batch in BATCHES]
    variants += [alone(name) for name in names]
    controls = []
    for name, least, most in (("rtl", 0.999, 1.001), ("gpu", 0.8, 1.25)):
        if name not in names:
            continue
        variants += [repeated(name), again(name)]
        controls += [
            Control(
                "positive",
                f"{name}: it takes longer when each doorbell is rung twice",
                *(repeated(name), f"{name}, 1"),
                at_least=1.05,
            ),
            Control(
                "negative",
                f"{name}: it takes the same again",
                *(again(name), f"{name}, 64"),
                at_least=least,
                at_most=most,
            ),
        ]
    return Lab(
        name="doorbell",
        title="Doorbell: a line, by the number of lines a doorbell",
        unit="ns of a line; rtl: clock cycles",
        variants=tuple(variants),
        claims=tuple(claim(name) for name in names),
        controls=tuple(controls),
        loops=(
            (Loop("there_and_back", (r"^call.*<hq_submit", r"^call.*<hq_poll"), whole=True),)
            if "cpu" in names
            else ()
        ),
        build=lambda: build("doorbell", [HERE / "doorbell.c", *product()]),
        prepare=lambda program: functools.partial(prepare, devices, program),
    )


def main() -> None:
    """Run the lab over the backends that this machine has."""
    parser = options(__doc__)
    parser.add_argument(
        "--without", action="append", default=[], choices=["model", "cpu", "rtl", "gpu"]
    )
    wanted = parser.parse_known_args()[0].without
    names = [name for name in ("model", "cpu", "rtl", "gpu") if name not in wanted]
    if "gpu" in names and importlib.util.find_spec("cupy") is None:
        names.remove("gpu")
    chosen, named = chosen_options(parser, lab(names, {}).variants)

    def work() -> int:
        devices: dict[str, Device] = {}
        try:
            for name in names:
                if name in DEVICES:
                    devices[name] = open_device(**DEVICES[name])
            found = lab(names, devices)
            outcome = measure(found, chosen.repetitions, chosen.seed, chosen.replace)
        finally:
            for device in devices.values():
                device.close()
        if "gpu" not in names:
            outcome.lines.append("gpu: not observable here: expected cupy and a GPU")
        report(found, outcome, chosen.out, named)
        return int(outcome.verdict)

    run_program("doorbell", work)


if __name__ == "__main__":
    main()
