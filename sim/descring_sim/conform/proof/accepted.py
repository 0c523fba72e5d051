# SPDX-License-Identifier: Apache-2.0
"""Right implementations that no two teams would build alike: the kit must accept all of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from descring_sim.conform.dut import Dut
from descring_sim.conform.duts.backends import BackendDut
from descring_sim.conform.duts.find import find_dut
from descring_sim.conform.execute import run_test
from descring_sim.conform.proof.mutants import examples_dir, write_shell
from descring_sim.conform.status import TestResult
from descring_sim.conform.suite.catalogue import all_tests

TIMEOUT_S = 120.0
_SLOW_CYCLES = 2000


@dataclass(frozen=True)
class Variant:
    """A right implementation, and ``make(folder)``, which gives it."""

    name: str
    what: str
    make: Callable[[Path], Dut]


@dataclass(frozen=True)
class Acceptance:
    """What the kit reported of a right implementation: every result, and how long it took."""

    variant: Variant
    results: tuple[TestResult, ...]
    seconds: float

    @property
    def rejections(self) -> list[TestResult]:
        """Results that are not passed; none should be."""
        return [result for result in self.results if result.status.bad]


def _acme(folder: Path, source: dict[str, str], settings: dict[str, str]) -> Dut:
    """The example core with other text in its source and its port map."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, changes in (("acme_ring.v", source), ("acme.toml", settings)):
        text = (examples_dir() / "acme" / name).read_text(encoding="utf-8")
        for old, new in changes.items():
            if old not in text:
                raise ValueError(f"{name} has no {old!r}; fit {__name__} to it")
            text = text.replace(old, new)
        (folder / name).write_text(text, encoding="utf-8")
    return find_dut(str(folder / "acme.toml"))


def _slow_core(folder: Path) -> Dut:
    return _acme(
        folder,
        {},
        {
            "{ SLOTS = 8 }": "{ SLOTS = 2, TOKEN_CYCLES = 50 }",
            # A ROLLOUT of five thousand tokens takes it a quarter of a million cycles.
            "ring_slots = 8": "ring_slots = 2\npatience_cycles = 1000000",
            "cycles = 4 }": "cycles = 100 }",
        },
    )


def _other_reset(folder: Path) -> Dut:
    return _acme(
        folder,
        {
            "posedge aclk or posedge areset": "posedge aclk",
            "input  wire         areset,": "input  wire         arst_n,",
            "!areset": "arst_n",
            "if (areset)": "if (!arst_n)",
        },
        {'"areset", active = "high", cycles = 4': '"arst_n", active = "low", cycles = 1'},
    )


def _shell(simulator: str, lanes: int, latency: int) -> Callable[[Path], Dut]:
    def make(folder: Path) -> Dut:
        shutil.rmtree(folder, ignore_errors=True)
        settings = {
            '"verilator"': f'"{simulator}"\nlatency_cycles = {latency}',
            "LANES = 4": f"LANES = {lanes}",
            "cycles = 3": "cycles = 50",
        }
        return find_dut(str(write_shell(folder, settings)))

    return make


VARIANTS = (
    Variant(
        "cpu-16-workers",
        "16 threads, streams through rings of 2 slots",
        lambda _folder: BackendDut("cpu", workers=16, ring_slots=2),
    ),
    Variant(
        "verilated-16-workers",
        "the RTL with 16 workers, on-chip rings of 2 slots",
        lambda _folder: BackendDut("verilated", workers=16, ring_slots=2),
    ),
    Variant(
        "verilated-slow-memory",
        f"every access to memory takes 1 to {_SLOW_CYCLES} cycles; half of the cycles are refused",
        lambda _folder: BackendDut(
            "verilated",
            device_options={"latency": (1, _SLOW_CYCLES), "backpressure": 0.5, "seed": 7},
        ),
    ),
    Variant("acme-slow", "50 cycles a token, 2 slots, 100 cycles of reset", _slow_core),
    Variant("acme-other-reset", "synchronous active-low reset of one cycle", _other_reset),
    Variant(
        "nimbus-slow-memory",
        "behind AXI by its map, in Verilator: 16 workers, memory responds after 300 cycles",
        _shell("verilator", 16, 300),
    ),
    Variant(
        "nimbus-icarus",
        "behind AXI by its map, in Icarus: 1 worker, memory responds in the next cycle",
        _shell("icarus", 1, 1),
    ),
)


def accept(variant: Variant, work: Path, seed: int, *, smoke: bool = False) -> Acceptance:
    """Run every test that ``variant`` claims, in this process."""
    started = time.monotonic()
    dut = variant.make(work / variant.name)
    description = dut.describe()
    dut.build(work / variant.name / "build")
    results = tuple(
        run_test(dut, description, test, seed, timeout_s=TIMEOUT_S, waves=False)
        for test in all_tests()
        if (not smoke or test.is_quick(description.capabilities))
        and not test.missing(description.capabilities)
    )
    return Acceptance(variant, results, time.monotonic() - started)
