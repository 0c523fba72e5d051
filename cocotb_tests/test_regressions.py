# SPDX-License-Identifier: Apache-2.0
"""Seeds with which a case has failed before: regressions.toml, one test for each entry."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from descring_sim.campaign.soak_run import Engine, Work
from descring_sim.cosim import block as blocks
from descring_sim.cosim import simulators
from descring_sim.support import paths

_FILE = Path(__file__).with_name("regressions.toml")
_TESTS_DIR = Path(__file__).parent


class Regression(NamedTuple):
    """A case with the seeds that it has failed with."""

    case: str
    config: str
    simulator: str
    seeds: list[int]
    found: str
    tier: str = "full"


def regressions() -> list[Regression]:
    """Return all entries of the file."""
    entries: list[dict[str, Any]] = tomllib.loads(_FILE.read_text("utf-8"))["regression"]
    return [Regression(**entry) for entry in entries]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the entries of each simulator that ``--sim`` names."""
    if "regression" in metafunc.fixturenames:
        chosen = metafunc.config.option.sim
        entries = [e for e in regressions() if chosen in ("all", e.simulator)]
        names = [f"{e.simulator}:{e.case}:{e.config}" for e in entries]
        metafunc.parametrize("regression", entries, ids=names)


def test_regression(regression: Regression, request: pytest.FixtureRequest) -> None:
    """The case passes now with every seed that it has failed with, in one simulation."""
    option = request.config.option
    suites = blocks.select(
        blocks.suites_of(_TESTS_DIR, regression.case.split(".")[0]),
        _TESTS_DIR,
        case=regression.case,
        config=regression.config,
    )
    build_root = option.build_dir or paths.build_dir() / "sim"
    engine = Engine(
        tests_dir=_TESTS_DIR,
        rtl_dir=(option.rtl_dir or paths.rtl_dir()).resolve(),
        build_root=build_root.resolve(),
        folder=build_root.resolve() / "regressions",
        case=regression.case,
        tier=regression.tier,
    )
    for suite in suites:
        work = Work(simulators.find(regression.simulator), suite, "", [], len(regression.seeds))
        record = engine.run_seeds(work, regression.seeds)
        assert record.cases >= len(regression.seeds)
        if record.failures:
            first = record.failures[0]
            pytest.fail(
                f"{regression.found}\n{first.case}, seed {first.seed}: {first.text}\n"
                f"  rerun: {first.rerun}\n  log:   {first.log}",
                pytrace=False,
            )
