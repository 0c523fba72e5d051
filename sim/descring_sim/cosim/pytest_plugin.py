# SPDX-License-Identifier: Apache-2.0
"""pytest plugin: the fixture ``cosim``, its options, and the closing lines of a run.

A test that uses ``cosim`` runs once for each simulator that ``--sim`` names. Its file is in
``<tests>/<block>/test_<block>.py`` and calls ``cosim.run(cases="<block>.<block>_cases", ...)``.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from descring_sim.cosim import build as builds
from descring_sim.cosim import longest_first, results, runner, simulators
from descring_sim.cosim import testcases as case_names
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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that uses ``cosim`` on each simulator asked for."""
    if "cosim" in metafunc.fixturenames:
        chosen = metafunc.config.option.sim
        names = simulators.SIMULATORS if chosen == "all" else (chosen,)
        metafunc.parametrize("cosim", names, indirect=True)


def _nodes(item: pytest.Function) -> Iterator[ast.AST]:
    """Walk the syntax tree of ``item``'s function."""
    for function in ast.parse(item.path.read_text(encoding="utf-8")).body:
        if isinstance(function, ast.FunctionDef) and function.name == item.originalname:
            yield from ast.walk(function)


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _case_modules(item: pytest.Function) -> list[str]:
    """Return the cases modules that ``item``'s function names, else all of its folder."""
    folder = item.path.parent
    present = {f"{folder.name}.{path.stem}" for path in folder.glob("*_cases.py")}
    named = {text for node in _nodes(item) if (text := _text(node)) is not None}
    return sorted((named & present) or present)


def _configs_of(item: pytest.Function) -> set[str]:
    """Return what may be the configuration of ``item``: its parameters, or a literal argument."""
    callspec = getattr(item, "callspec", None)
    values = callspec.params.items() if callspec is not None else ()
    configs = {value for name, value in values if isinstance(value, str) and name != "cosim"}
    for node in _nodes(item):
        if isinstance(node, ast.keyword) and node.arg == "config":
            configs.update(filter(None, [_text(node.value)]))
    return configs or {runner.DEFAULT_CONFIG}


def _is_run(item: pytest.Item) -> TypeGuard[pytest.Function]:
    """Whether a test runs a simulator by way of the fixture ``cosim``."""
    return isinstance(item, pytest.Function) and "cosim" in item.fixturenames


def _build_root(config: pytest.Config) -> Path:
    chosen: Path | None = config.option.build_dir
    return chosen or paths.build_dir() / "sim"


def _is_wanted(item: pytest.Item, config: pytest.Config) -> bool:
    if not _is_run(item):
        return False  # a filter names cases of a simulator; nothing else is meant
    if config.option.config is not None and config.option.config not in _configs_of(item):
        return False
    if config.option.case is None:
        return True
    selection = Selection(config.option.case)
    root = item.path.parent.parent
    return any(
        selection.matching(
            case_names.block_of(module),
            case_names.functions(case_names.module_file(root, module)),
        )
        for module in _case_modules(item)
    )


def _has_filter(config: pytest.Config) -> bool:
    return config.option.case is not None or config.option.config is not None


def _is_in_tier(item: pytest.Item, config: pytest.Config) -> bool:
    """Whether the tier has the configuration; one that ``--config`` asks for is in every tier.

    ``QUICK`` of a test's module names the configurations that the quick tier builds, a tuple for
    each simulator; of a simulator that it does not name, the quick tier has all.
    """
    if config.option.tier == "full" or config.option.config is not None:
        return True
    if not _is_run(item) or "config" not in item.callspec.params:
        return True
    quick = getattr(item.module, "QUICK", {}).get(item.callspec.params["cosim"])
    return quick is None or item.callspec.params["config"] in quick


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what ``--case``, ``--config`` and ``--tier`` do not select; the longest go first.

    Workers of xdist must agree on the order, so it depends on what all of them see alike.
    """
    wanted = [item for item in items if _is_in_tier(item, config)]
    if _has_filter(config):
        wanted = [item for item in wanted if _is_wanted(item, config)]
    kept = set(wanted)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    weight = longest_first.weight(_build_root(config))
    runs: dict[pytest.Item, float] = {
        item: weight(item.nodeid, item.path.parent.name) for item in wanted if _is_run(item)
    }
    items[:] = sorted(wanted, key=lambda item: -runs.get(item, 0.0))


def _claimed(folder: Path) -> bool:
    """Whether the run may repeat one more failure; then one less is left to all its processes."""
    for number in range(RERUNS):
        with contextlib.suppress(FileExistsError):
            (folder / str(number)).touch(exist_ok=False)
            return True
    return False


class Cosim:
    """What the fixture ``cosim`` gives to a test: runs on one simulator."""

    def __init__(self, simulator: str, request: pytest.FixtureRequest) -> None:
        self.simulator = simulator
        self._request = request

    def run(
        self,
        *,
        top: str,
        cases: str | Sequence[str],
        config: str = runner.DEFAULT_CONFIG,
        parameters: builds.Parameters | None = None,
        extra_env: Mapping[str, str] | None = None,
        timeout_s: float = runner.DEFAULT_TIMEOUT_S,
        rtl_dir: Path | None = None,
    ) -> RunResult:
        """Build ``top``, run ``cases`` on it, and fail the test unless the run counts as good.

        The arguments are those of :func:`descring_sim.cosim.runner.run`; ``rtl_dir`` is for a
        testbench with sources of its own, which no ``--rtl-dir`` replaces.
        """
        __tracebackhide__ = True
        option = self._request.config.option
        if option.config not in (None, config):
            pytest.skip(f"configuration {config} is not {option.config}, which --config asks for")
        arguments: dict[str, Any] = {
            "simulator": self.simulator,
            "top": top,
            "cases": cases,
            "config": config,
            "parameters": parameters,
            "seed": option.seed,
            "case": option.case,
            "tier": option.tier,
            "waves": option.waves,
            "rtl_dir": rtl_dir or option.rtl_dir,
            "tests_dir": self._request.path.parent.parent,
            "build_root": option.build_dir,
            "extra_env": extra_env,
            "timeout_s": timeout_s,
            "coverage": option.coverage,
        }
        try:
            result = runner.run(**arguments)
        except SimulationError as error:
            pytest.fail(str(error), pytrace=False)
        self._request.node.user_properties.append((_PROPERTY, result.summary()))
        if not result.ok:
            pytest.fail(self._explain(result, arguments), pytrace=False)
        return result

    def _explain(self, result: RunResult, arguments: dict[str, Any]) -> str:
        config = self._request.config
        last = config.option.wave_cycles
        if result.waves is not None or last == 0 or result.outcome.first_failed is None:
            return result.failure_text()
        if not _claimed(config.stash[_CLAIMS]):
            return (
                f"{result.failure_text()}\n"
                f"  no waves: {RERUNS} failures of this run have theirs; the rerun makes them"
            )
        try:
            return result.failure_text(runner.rerun_with_waves(result, last=last, **arguments))
        except SimulationError as error:
            return f"{result.failure_text()}\n  no waves: {error}"


@pytest.fixture
def cosim(request: pytest.FixtureRequest) -> Cosim:
    """Run cocotb cases on one simulator; parametrised over the simulators of ``--sim``."""
    return Cosim(request.param, request)


def _summaries(reporter: pytest.TerminalReporter) -> Iterator[dict[str, Any]]:
    for kind in ("passed", "failed"):
        for entry in reporter.stats.get(kind, ()):
            if isinstance(entry, pytest.TestReport) and entry.when == "call":
                for name, value in entry.user_properties:
                    if name == _PROPERTY and isinstance(value, dict):
                        yield value


def _known_names(config: pytest.Config) -> tuple[list[str], list[str]]:
    """Return the names of blocks and cases, and of configurations, in the folders of this run."""
    case_list: list[str] = []
    configs: list[str] = []
    for argument in config.args:
        root = Path(argument.split("::", maxsplit=1)[0])
        root = root if root.is_dir() else root.parent
        for path in sorted(root.rglob("*_cases.py")):
            block = path.parent.name
            case_list += [block, *(f"{block}.{name}" for name in case_names.functions(path))]
        for path in sorted(root.rglob("test_*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                value = getattr(node, "value", None)
                if isinstance(value, ast.Dict) and "CONFIGS" in ast.unparse(node):
                    keys = [key.value for key in value.keys if isinstance(key, ast.Constant)]
                    configs += [str(key) for key in keys]
    return case_list, configs


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
        case_list, configs = _known_names(config)
        for option, text, known in (
            ("--case (TEST=)", config.option.case, case_list),
            ("--config (CONFIG=)", config.option.config, configs),
        ):
            if text is not None:
                near = ", ".join(suggest.near(text, known)) or "none at all"
                terminalreporter.line(f"{option} {text!r} selected no test; near: {near}", red=True)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make a filter under which every test was skipped an error, which pytest would let pass."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not _has_filter(session.config):
        return
    if session.exitstatus == pytest.ExitCode.OK and not any(_summaries(reporter)):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
