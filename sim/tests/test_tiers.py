# SPDX-License-Identifier: Apache-2.0
"""The quick and the full tier: which configurations, combinations and lengths each has."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from descring_sim.cosim import longest_first, simulators
from descring_sim.cosim.block import Block, suites_of
from descring_sim.mutation import rtl
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError
from descring_vip import tier
from toy_project import CASES, TEST, Toy, write_toy

SWEPT = """
from descring_vip.tier import share, sweep

@cocotb.test()
@sweep(a=[1, 2], b=["x", "y", "z"])
async def test_swept(dut, a, b):
    await respond(dut, a)
    report(share(8, least=3), f"test_swept/a={a}/b={b}")
"""

OTHER = """
from toy.toy_cases import respond, cocotb, report

@cocotb.test()
async def test_other(dut):
    await respond(dut, 4)
    report(100, "test_other")
"""


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """A toy whose cases are swept, in a block of two modules."""
    toy = write_toy(tmp_path)
    (toy.root / "tests" / "toy" / "toy_cases.py").write_text(CASES + SWEPT)
    (toy.root / "tests" / "toy" / "other_cases.py").write_text(OTHER)
    return toy


def test_a_diagonal_meets_each_value_of_each_axis() -> None:
    """In no more tuples than the longest axis has values, none of them twice."""
    for lengths in itertools.product(range(1, 6), repeat=3):
        axes = [list(range(length)) for length in lengths]
        rows = tier.diagonal(*axes)
        assert len(rows) == len(set(rows)) == max(lengths)
        assert [sorted(set(column)) for column in zip(*rows, strict=True)] == axes


def test_the_quick_tier_has_each_value_and_a_share_of_the_length(toy: Toy) -> None:
    """Three of six combinations, three of eight lines; the full tier has all of both."""
    quick = toy.run("test_swept", tier="quick")
    assert {case.name for case in quick.outcome.cases} == {
        *("test_swept/a=1/b=x", "test_swept/a=2/b=y", "test_swept/a=2/b=z")
    }
    assert [case.matched for case in quick.outcome.cases] == [3, 3, 3]
    full = toy.run("test_swept")
    assert [case.matched for case in full.outcome.cases] == [8] * 6
    assert quick.rerun_line(None).startswith("make sim SIM=icarus")
    assert full.rerun_line(None).startswith("make sim FULL=1 SIM=icarus")


def test_a_combination_asked_for_by_name_exists_in_the_quick_tier(toy: Toy) -> None:
    """A rerun line of the full tier, or a mutant's run, may name one that quick leaves out."""
    named = toy.run("test_swept/a=1/b=y", tier="quick")
    assert [(case.name, case.matched) for case in named.outcome.cases] == [
        ("test_swept/a=1/b=y", 3)
    ]


def test_modules_of_a_block_share_a_process(toy: Toy) -> None:
    """One run has the cases of both, a filter those that it selects; no name may be doubled."""
    test = toy.root / "tests" / "toy" / "test_toy.py"
    test.write_text(TEST.replace('"toy.toy_cases",', '"toy.toy_cases", "toy.other_cases"'))
    done = toy.pytest("--case", "test_good|test_other", "--config", "narrow")
    assert re.search(r"2 tests in 1 runs, matched 105 lines", done.stdout), done.stdout
    done = toy.pytest("--case", "test_other", "--config", "narrow")
    assert re.search(r"1 tests in 1 runs, matched 100 lines", done.stdout), done.stdout
    (toy.root / "tests" / "toy" / "other_cases.py").write_text(OTHER.replace("_other", "_good"))
    done = toy.pytest("--case", "test_good", "--config", "narrow")
    assert done.returncode == 1
    assert "share the case test_good; rename one of them" in done.stdout


def test_the_quick_tier_builds_the_configurations_that_the_block_names(toy: Toy) -> None:
    """Of this simulator; a configuration that is asked for is in every tier."""
    test = toy.root / "tests" / "toy" / "test_toy.py"
    quick = 'quick={"icarus": ("wide",), "verilator": ("narrow",)}'
    test.write_text(TEST.replace("quick={}", quick))
    for options, runs in (
        (("--tier", "full"), 2),
        (("--tier", "quick"), 1),
        (("--tier", "quick", "--config", "narrow"), 1),
        (("--tier", "quick", "--config", "wide"), 1),
    ):
        done = toy.pytest("--case", "test_each", *options)
        assert f"{2 * runs} tests in {runs} runs" in done.stdout, (options, done.stdout)
    assert "cosim: quick tier, seed" in done.stdout


def test_a_quick_tier_of_unknown_configurations_is_refused() -> None:
    """A misspelt name is an error, where a tier would leave the configuration out."""
    with pytest.raises(SimulationError, match="expected the configurations of quick among a, got"):
        Block("top", ("top.top_cases",), {"a": {}}, quick={"icarus": ("b",)})
    with pytest.raises(SimulationError, match=r"as a tuple of modules, got 'top\.top_cases'"):
        Block("top", "top.top_cases")  # type: ignore[arg-type]


def test_the_longest_runs_go_first(toy: Toy) -> None:
    """By what they took last time; what is damaged counts for nothing."""
    first = toy.pytest("--case", "test_each", "-v")
    order = re.findall(r"(\w+)\] PASSED", first.stdout)
    assert order == ["narrow", "wide"], first.stdout
    kept = longest_first.known(toy.root / "build")
    assert len(kept) == 2
    name = next(name for name in kept if "wide" in name)
    longest_first.keep(toy.root / "build", {name: 99.0})
    second = toy.pytest("--case", "test_each", "-v")
    assert re.findall(r"(\w+)\] PASSED", second.stdout) == ["wide", "narrow"]
    (toy.root / "build" / "durations.json").write_text("[1]")
    assert longest_first.known(toy.root / "build") == {}


@pytest.mark.parametrize("seed", ["random", None])
def test_a_random_seed_is_drawn_and_printed(toy: Toy, seed: str | None) -> None:
    """With ``--seed random``, and without a seed."""
    options = ["--seed", seed] if seed else []
    done = toy.pytest("--case", "test_each", "--config", "wide", *options)
    assert done.returncode == 0
    assert re.search(r"cosim: full tier, seed [1-9]\d*", done.stdout)


def test_modules_without_a_selected_case_are_an_error(toy: Toy) -> None:
    """A run never passes because its filter matches nothing."""
    with pytest.raises(SimulationError, match=r"no case of toy\.toy_cases matches 'test_godo'"):
        toy.run("test_godo")


BLOCKS = sorted(file.parent.name for file in paths.cocotb_tests_dir().glob("*/test_*.py"))


@pytest.mark.parametrize("block", BLOCKS)
def test_the_quick_tier_has_each_block_on_both_simulators(block: str) -> None:
    """And each configuration of it on one of them at least, with all modules of cases."""
    tests_dir = paths.cocotb_tests_dir()
    everything = {suite.name for suite in suites_of(tests_dir, block)}
    quick = {
        simulator: {suite.name for suite in suites_of(tests_dir, block, quick_on=simulator)}
        for simulator in simulators.SIMULATORS
    }
    modules = {name.partition(":")[0] for name in everything}
    assert set.union(*quick.values()) == everything
    for names in quick.values():
        assert {name.partition(":")[0] for name in names} == modules


def test_mutants_meet_what_the_quick_tier_has_on_icarus() -> None:
    """The configurations that ``quick`` names, every module of the block, at its length."""
    jobs = rtl.quick_jobs_of("mmio_regs")
    assert {job.suite.config for job in jobs} == {"on_chip", "in_memory_small"}
    assert len({job.suite.cases for job in jobs}) == 2
    assert {(job.tier, job.case) for job in jobs} == {("quick", None)}
