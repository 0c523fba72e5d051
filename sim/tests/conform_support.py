# SPDX-License-Identifier: Apache-2.0
"""Helpers of the conformance kit's tests."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from descring_model import GoldenDevice
from descring_sim.conform.dut import DeviceJob, Dut, StreamResult
from descring_sim.conform.execute import run_test
from descring_sim.conform.status import TestResult
from descring_sim.conform.suite.catalogue import all_tests

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "conform"
ACME = EXAMPLES / "acme" / "acme.toml"
NIMBUS = EXAMPLES / "nimbus" / "nimbus.toml"

WRONG = """
import numpy as np
from descring_sim.conform.duts.model import ModelDut
from descring_sim.conform.dut import StreamResult, StreamJob
class Dut(ModelDut):
    def run(self, job):
        result = super().run(job)
        {body}
        return result
"""
"""A plugin over the golden model that does ``body`` to each result."""


def run_rules(
    dut: Dut, rules: Iterable[str] | None = None, seed: int = 1, *, smoke: bool = False
) -> list[TestResult]:
    """Run the tests of these rules in this process, all that are claimed when None.

    With ``smoke`` those of the quick run alone.
    """
    description = dut.describe()
    wanted = None if rules is None else set(rules)
    return [
        run_test(dut, description, test, seed, timeout_s=30.0, waves=False)
        for test in all_tests()
        if (test.smoke or not smoke)
        and (wanted is None or test.rule in wanted)
        and not test.missing(description.capabilities)
    ]


def named(results: Iterable[TestResult]) -> set[str]:
    """The rules that the failures among ``results`` name."""
    return {rule for result in results if result.failure for rule in result.failure.rules}


def plugin(folder: Path, body: str) -> str:
    """Write :data:`WRONG` with ``body`` into ``folder``; the reference of its class."""
    path = folder / "wrong.py"
    path.write_text(WRONG.replace("{body}", body), encoding="utf-8")
    return f"{path}:Dut"


def write_everywhere(data: bytes) -> str:
    """The body of a method that writes ``data`` into all files that it can, the kit's pipe too."""
    return (
        "import os"
        "\n        for file in range(3, 64):"
        f"\n            try: os.write(file, {data!r})"
        "\n            except OSError: pass"
    )


def of_device(kind: type[GoldenDevice]) -> Any:
    """An implementation with such a device."""

    def run(job: DeviceJob) -> StreamResult:
        job.program(kind(job.memory, first_index=job.first_index))
        return StreamResult()

    return SimpleNamespace(run=run)


@functools.cache
def rules_with_tests() -> frozenset[str]:
    """Every rule that the kit has a test for."""
    return frozenset(test.rule for test in all_tests())
