# SPDX-License-Identifier: Apache-2.0
"""pytest plugin: collects and runs blocks, adds options, and prints the closing lines of a run.

A :class:`descring_sim.cosim.block.Block` that a file ``<tests>/<block>/test_<block>.py`` names
``test_...`` is a test for each of its configurations and each simulator that ``--sim`` names.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from descring_sim.cosim import block as blocks
from descring_sim.cosim import longest_first, results, runner, simulators
from descring_sim.cosim.block import Block, Suite
from descring_sim.cosim.runner import RunResult
from descring_sim.cosim.testcases import Selection
from descring_sim.support import paths, seeds, suggest
from descring_sim.support.errors import SimulationError

_PROPERTY = "descring_cosim"
_WORKER_SEED = "descring_seed"
_WORKER_CLAIMS = "descring_claims"
_CLAIMS = pytest.StashKey[Path]()

RERUNS = 3
"""So many failures of a run are repeated for their waves; RTL that fails everywhere would be slow.
"""


def _seed(text: str) -> int | None:
    """Read a seed; None for a random one."""
    if text == "random":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number from 0 or random, got {text!r}")
    return int(text)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the co-simulation."""
    group = parser.getgroup("cosim", "co-simulation of SystemVerilog against the golden model")
    group.addoption("--sim", default="all", choices=("all", *simulators.SIMULATORS))
    group.addoption("--seed", type=_seed, help="base seed, or random (the default; printed)")
    group.addoption(
        "--tier",
        default="full",
        choices=runner.TIERS,
        help="quick: every case of every block, shorter and in fewer configurations",
    )
    group.addoption("--config", metavar="NAME", help="run this named configuration only")
    group.addoption(
        "--case", metavar="REGEX", help="run the cocotb cases whose block.name matches only"
    )
    group.addoption("--waves", action="store_true", help="write waves (FST) of every run")
    group.addoption(
        "--wave-cycles",
        type=int,
        metavar="N",
        default=runner.WAVE_CYCLES,
        help="a failing case is repeated with waves of its last N cycles (default: %(default)s); "
        "0: it is not repeated",
    )
    group.addoption("--coverage", action="store_true", help="count coverage (Verilator only)")
    group.addoption("--rtl-dir", type=Path, metavar="DIR", help="build these sources instead")
    group.addoption("--build-dir", type=Path, metavar="DIR", help="default: build/sim")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed once for the whole run: workers of xdist get it from their controller."""
    worker_input: Mapping[str, Any] = getattr(config, "workerinput", {})
    if _WORKER_SEED in worker_input:
        config.option.seed = worker_input[_WORKER_SEED]
    if config.option.seed is None:
        config.option.seed = seeds.new_seed()
    if config.option.wave_cycles < 0:
        raise pytest.UsageError(
            f"--wave-cycles: expected a number from 0, got {config.option.wave_cycles}"
        )
    if config.option.case is not None:
        try:
            Selection(config.option.case)
        except SimulationError as error:
            raise pytest.UsageError(str(error)) from error

    if _WORKER_CLAIMS in worker_input:
        config.stash[_CLAIMS] = Path(worker_input[_WORKER_CLAIMS])
    else:
        folder = tempfile.TemporaryDirectory(prefix="descring-cosim-")
        config.add_cleanup(folder.cleanup)
        config.stash[_CLAIMS] = Path(folder.name)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand a worker of xdist what the whole run shares: the seed, and who repeats a failure."""
    node.workerinput[_WORKER_SEED] = node.config.option.seed
    node.workerinput[_WORKER_CLAIMS] = str(node.config.stash[_CLAIMS])


def pytest_report_header(config: pytest.Config) -> str:
    """Print the seed before anything can hang."""
    return f"cosim: {config.option.tier} tier, seed {config.option.seed}"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Print the seed before anything can hang, also where pytest is told to be quiet."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and session.config.option.verbose < 0:
        reporter.write_line(pytest_report_header(session.config))


class BlockRun(pytest.Item):
    """A block in one configuration on one simulator."""

    def __init__(self, *, block: Block, simulator: str, configuration: str, **node: Any) -> None:
        super().__init__(**node)
        self.block = block
        self.simulator = simulator
        self.configuration = configuration

    @property
    def tests_dir(self) -> Path:
        """The folder of all blocks."""
        return self.path.parent.parent

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the file and the name, as pytest prints them."""
        return self.path, None, self.name

    def runtest(self) -> None:
        """Build the block, run its cases, and fail unless the run counts as good."""
        __tracebackhide__ = True
        option = self.config.option
        arguments = self.block.arguments(self.configuration, option.rtl_dir) | {
            "simulator": self.simulator,
            "seed": option.seed,
            "case": option.case,
            "tier": option.tier,
            "waves": option.waves,
            "tests_dir": self.tests_dir,
            "build_root": option.build_dir,
            "coverage": option.coverage,
        }
        try:
            result = runner.run(**arguments)
        except SimulationError as error:
            pytest.fail(str(error), pytrace=False)
        self.user_properties.append((_PROPERTY, result.summary()))
        if not result.ok:
            pytest.fail(self._explain(result, arguments), pytrace=False)

    def _explain(self, result: RunResult, arguments: dict[str, Any]) -> str:
        last = self.config.option.wave_cycles
        if result.waves is not None or last == 0 or result.outcome.first_failed is None:
            return result.failure_text()
        if not _claimed(self.config.stash[_CLAIMS]):
            return (
                f"{result.failure_text()}\n"
                f"  no waves: {RERUNS} failures of this run have theirs; the rerun makes them"
            )
        try:
            return result.failure_text(runner.rerun_with_waves(result, last=last, **arguments))
        except SimulationError as error:
            return f"{result.failure_text()}\n  no waves: {error}"

    def is_wanted(self, case: str | None, config: str | None) -> bool:
        """Whether ``--case`` and ``--config`` select it."""
        suites = [Suite(self.block, module, self.configuration) for module in self.block.cases]
        return config in (None, self.configuration) and any(
            case is None
            or Selection(case).matching(suite.block, blocks.cases_of(suite, self.tests_dir))
            for suite in suites
        )

    def is_in_tier(self, tier: str) -> bool:
        """Whether the tier has the configuration on this simulator."""
        return tier == "full" or self.block.in_quick(self.simulator, self.configuration)


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[BlockRun] | None:
    """Collect each ``test_... = Block(...)``: every configuration on each simulator asked for."""
    if not isinstance(obj, Block) or not name.startswith("test_"):
        return None
    chosen = collector.config.option.sim
    return [
        BlockRun.from_parent(
            collector,
            name=f"{name}[{simulator}-{config}]",
            block=obj,
            simulator=simulator,
            configuration=config,
        )
        for simulator in (simulators.SIMULATORS if chosen == "all" else (chosen,))
        for config in obj.configs
    ]


def _build_root(config: pytest.Config) -> Path:
    chosen: Path | None = config.option.build_dir
    return chosen or paths.build_dir() / "sim"


def _has_filter(config: pytest.Config) -> bool:
    return config.option.case is not None or config.option.config is not None


def _is_selected(item: pytest.Item, option: argparse.Namespace) -> bool:
    """Whether ``--case``, ``--config`` and ``--tier`` leave ``item`` in the run.

    A filter names cases of a simulator, and leaves out all other tests; a configuration that it
    names is in every tier.
    """
    if not isinstance(item, BlockRun):
        return option.case is None and option.config is None
    return item.is_wanted(option.case, option.config) and (
        option.config is not None or item.is_in_tier(option.tier)
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the options do not select; the longest go first.

    Workers of xdist must agree on the order, so it depends on what all of them see alike.
    """
    kept = {item for item in items if _is_selected(item, config.option)}
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    weight = longest_first.weight(_build_root(config))
    runs: dict[pytest.Item, float] = {
        item: weight(item.nodeid, item.path.parent.name)
        for item in kept
        if isinstance(item, BlockRun)
    }
    items[:] = sorted((item for item in items if item in kept), key=lambda i: -runs.get(i, 0.0))


def _claimed(folder: Path) -> bool:
    """Whether the run may repeat one more failure; then one less is left to all its processes."""
    for number in range(RERUNS):
        with contextlib.suppress(FileExistsError):
            (folder / str(number)).touch(exist_ok=False)
            return True
    return False


def _summaries(reporter: pytest.TerminalReporter) -> Iterator[dict[str, Any]]:
    for kind in ("passed", "failed"):
        for entry in reporter.stats.get(kind, ()):
            if isinstance(entry, pytest.TestReport) and entry.when == "call":
                for name, value in entry.user_properties:
                    if name == _PROPERTY and isinstance(value, dict):
                        yield value


def _known_names(config: pytest.Config) -> tuple[list[str], list[str]]:
    """Return the names of blocks and cases, and of configurations, in the folders of this run."""
    labels: list[str] = []
    configs: list[str] = []
    for argument in config.args:
        root = Path(argument.split("::", maxsplit=1)[0])
        root = root if root.is_dir() else root.parent
        folders = {path.parent for path in root.rglob("*_cases.py")}
        for folder in sorted(folder for folder in folders if any(folder.glob("test_*.py"))):
            suites = blocks.suites_of(folder.parent, folder.name)
            labels += blocks.case_labels(suites, folder.parent)
            configs += [suite.config for suite in suites]
    return labels, configs


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print simulators, tests, lines matched and the seed; or why a filter selected nothing."""
    config = terminalreporter.config
    longest_first.keep(
        _build_root(config),
        {
            entry.nodeid: round(entry.duration, 1)
            for entry in terminalreporter.stats.get("passed", ())
            if any(name == _PROPERTY for name, _ in entry.user_properties)
        },
    )
    summaries = list(_summaries(terminalreporter))
    if summaries:
        terminalreporter.section("cosim")
        for line in results.closing_lines(summaries, config.option.seed):
            terminalreporter.line(line)
    elif _has_filter(config) and not terminalreporter.stats.get("failed"):
        labels, configs = _known_names(config)
        for option, text, known in (
            ("--case (TEST=)", config.option.case, labels),
            ("--config (CONFIG=)", config.option.config, configs),
        ):
            if text is not None:
                near = ", ".join(suggest.near(text, known)) or "none at all"
                terminalreporter.line(f"{option} {text!r} selected no test; near: {near}", red=True)
