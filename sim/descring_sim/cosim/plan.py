# SPDX-License-Identifier: Apache-2.0
"""Which simulator runs the pytest files of the testbenches make, without running them."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_sim.cosim import build as builds
from descring_sim.cosim import runner
from descring_sim.cosim import testcases as case_names
from descring_sim.cosim.testcases import Selection
from descring_sim.support.errors import SimulationError
from descring_sim.support.suggest import near


@dataclass(frozen=True)
class Suite:
    """One run of a simulator: a cases module of a block in one configuration."""

    top: str
    cases: str
    config: str
    parameters: tuple[tuple[str, int | str], ...]
    rtl_dir: Path | None
    extra_env: tuple[tuple[str, str], ...]
    timeout_s: float

    @property
    def name(self) -> str:
        """``module:configuration``, which no other suite has."""
        return f"{self.cases}:{self.config}"

    @property
    def block(self) -> str:
        """The block that it belongs to."""
        return case_names.block_of(self.cases)


class _Recorder:
    """Replaces the fixture ``cosim``: notes what a test would run."""

    def __init__(self) -> None:
        self.suites: list[Suite] = []

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
    ) -> None:
        """Note a suite for each module; the arguments are those of the fixture's ``run``."""
        self.suites += [
            Suite(
                top=top,
                cases=module,
                config=config,
                parameters=tuple(sorted((parameters or {}).items())),
                rtl_dir=rtl_dir,
                extra_env=tuple(sorted((extra_env or {}).items())),
                timeout_s=timeout_s,
            )
            for module in ([cases] if isinstance(cases, str) else cases)
        ]


def _configs_of(test: Any) -> list[str] | None:
    """Return the configurations that pytest would call ``test`` with, None if it takes none."""
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize" and mark.args[0] == "config":
            return list(mark.args[1])
    return None


def of_file(file: Path, *, quick_on: str | None = None) -> list[Suite]:
    """Return the runs that the tests of a pytest file would make, in their order.

    Args:
        file: a pytest file.
        quick_on: a simulator, of which only what its quick tier has is returned.

    Raises:
        SimulationError: there is no such file.
    """
    if not file.is_file():
        raise SimulationError(f"expected a pytest file {file}, there is none")
    spec = importlib.util.spec_from_file_location(f"_planned_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    recorder = _Recorder()
    for name, function in list(vars(tests).items()):
        if name.startswith("test_") and "cosim" in inspect.signature(function).parameters:
            configs = _configs_of(function)
            if configs is not None and quick_on is not None:
                quick = getattr(tests, "QUICK", {}).get(quick_on, configs)
                configs = [config for config in configs if config in quick]
            for arguments in [()] if configs is None else [(config,) for config in configs]:
                function(recorder, *arguments)
    return recorder.suites


def of_block(tests_dir: Path, block: str, *, quick_on: str | None = None) -> list[Suite]:
    """Return the runs of ``block``; ``quick_on`` as of :func:`of_file`.

    Raises:
        SimulationError: there is no such block.
    """
    return of_file(tests_dir / block / f"test_{block}.py", quick_on=quick_on)


def of_all(tests_dir: Path) -> list[Suite]:
    """Return the runs of all blocks, in the order of their names."""
    files = sorted(tests_dir.glob("*/test_*.py"))
    return [suite for file in files for suite in of_file(file)]


def _known_cases(tests_dir: Path, suite: Suite) -> list[str]:
    return case_names.functions(case_names.module_file(tests_dir, suite.cases))


def select(
    suites: list[Suite], tests_dir: Path, *, case: str | None, config: str | None
) -> list[Suite]:
    """Return those suites that ``case`` and ``config`` select, None for all.

    Raises:
        SimulationError: they select nothing; the message has near names.
    """

    def matching() -> Iterator[Suite]:
        for suite in suites:
            if config not in (None, suite.config):
                continue
            known = _known_cases(tests_dir, suite)
            if case is None or Selection(case).matching(suite.block, known):
                yield suite

    chosen = list(matching())
    if chosen:
        return chosen
    names = [f"{suite.block}.{name}" for suite in suites for name in _known_cases(tests_dir, suite)]
    texts = []
    for option, text, known in (
        ("TEST", case, [*names, *(suite.block for suite in suites)]),
        ("CONFIG", config, [suite.config for suite in suites]),
    ):
        if text is not None:
            texts.append(f"{option}={text!r}; near: {', '.join(near(text, known))}")
    raise SimulationError(f"no case is selected by {' and '.join(texts)}")
