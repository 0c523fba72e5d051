# SPDX-License-Identifier: Apache-2.0
"""What a testbench is made of, as data: top, cases and configurations.

A file ``<tests>/<block>/test_<block>.py`` names each :class:`Block` ``test_...``. The pytest plugin
runs it; mutants, soak, coverage and requirements read it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from descring_sim.cosim import build as builds
from descring_sim.cosim import runner
from descring_sim.cosim import testcases as case_names
from descring_sim.cosim.testcases import Selection
from descring_sim.support.errors import SimulationError
from descring_sim.support.suggest import near


@dataclass(frozen=True)
class Block:
    """A top module, the cocotb modules that run on it in one process, and its configurations.

    Attributes:
        top: the module under test.
        cases: dotted names of cocotb modules below the folder of all blocks.
        configs: the parameters of ``top`` by the name that users know them by.
        quick: the configurations that the quick tier builds, by simulator; all of them on a
            simulator that is not named.
        rtl_dir: sources of its own, which no ``--rtl-dir`` replaces.
        extra_env: more environment variables for the simulator.
        timeout_s: wall-clock limit of a run.

    Raises:
        SimulationError: ``quick`` names a configuration that there is not.
    """

    top: str
    cases: tuple[str, ...]
    configs: Mapping[str, builds.Parameters] = field(
        default_factory=lambda: {runner.DEFAULT_CONFIG: {}}
    )
    quick: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rtl_dir: Path | None = None
    extra_env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = runner.DEFAULT_TIMEOUT_S

    def __post_init__(self) -> None:
        if isinstance(self.cases, str):
            raise SimulationError(f"expected cases as a tuple of modules, got {self.cases!r}")
        for simulator, names in self.quick.items():
            for name in names:
                if name not in self.configs:
                    raise SimulationError(
                        f"{self.top}: expected the configurations of quick among "
                        f"{', '.join(self.configs)}, got {name!r} for {simulator}"
                    )

    def in_quick(self, simulator: str, config: str) -> bool:
        """Whether the quick tier has ``config`` on ``simulator``."""
        return config in self.quick.get(simulator, self.configs)

    def arguments(self, config: str, rtl_dir: Path | None) -> dict[str, Any]:
        """Return what :func:`descring_sim.cosim.runner.run` is told of one configuration.

        Args:
            config: its name.
            rtl_dir: the sources, unless the block has its own; None for the project's.
        """
        return {
            "top": self.top,
            "cases": self.cases,
            "config": config,
            "parameters": self.configs[config],
            "rtl_dir": self.rtl_dir or rtl_dir,
            "extra_env": self.extra_env,
            "timeout_s": self.timeout_s,
        }


@dataclass(frozen=True)
class Suite:
    """One cases module of a block in one configuration; its name tells it from all others."""

    of: Block = field(compare=False, repr=False)
    cases: str
    config: str

    @property
    def name(self) -> str:
        """``module:configuration``, which no other suite has."""
        return f"{self.cases}:{self.config}"

    @property
    def block(self) -> str:
        """The name of the block that it belongs to."""
        return case_names.block_of(self.cases)

    @property
    def parameters(self) -> builds.Parameters:
        """The parameters of the top module."""
        return self.of.configs[self.config]

    def arguments(self, rtl_dir: Path | None) -> dict[str, Any]:
        """Return what :func:`descring_sim.cosim.runner.run` is told of it."""
        return self.of.arguments(self.config, rtl_dir) | {"cases": self.cases}


def blocks_of(file: Path) -> list[Block]:
    """Return the blocks that a pytest file names, in their order."""
    spec = importlib.util.spec_from_file_location(f"_blocks_of_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [
        value
        for name, value in vars(module).items()
        if name.startswith("test_") and isinstance(value, Block)
    ]


def suites_of(tests_dir: Path, block: str = "*", *, quick_on: str | None = None) -> list[Suite]:
    """Return the suites of ``block``, or of all blocks in the order of their names.

    Args:
        tests_dir: the folder of all blocks.
        block: the name of one, all for ``*``.
        quick_on: a simulator, of which only what its quick tier has is returned.

    Raises:
        SimulationError: there is no such block.
    """
    files = sorted(tests_dir.glob(f"{block}/test_*.py"))
    if not files and block != "*":
        raise SimulationError(f"expected tests of a block in {tests_dir / block}, found none")
    return [
        Suite(one, module, config)
        for file in files
        for one in blocks_of(file)
        for config in one.configs
        if quick_on is None or one.in_quick(quick_on, config)
        for module in one.cases
    ]


def cases_of(suite: Suite, tests_dir: Path) -> list[str]:
    """Return the names of the cases of ``suite``."""
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
            if case is None or Selection(case).matching(suite.block, cases_of(suite, tests_dir)):
                yield suite

    chosen = list(matching())
    if chosen:
        return chosen
    texts = [
        f"{option}={text!r}; near: {', '.join(near(text, known))}"
        for option, text, known in (
            ("TEST", case, case_labels(suites, tests_dir)),
            ("CONFIG", config, [suite.config for suite in suites]),
        )
        if text is not None
    ]
    raise SimulationError(f"no case is selected by {' and '.join(texts)}")


def case_labels(suites: list[Suite], tests_dir: Path) -> list[str]:
    """Return what ``--case`` may name of ``suites``: ``block.case`` and ``block``."""
    labels = [f"{suite.block}.{name}" for suite in suites for name in cases_of(suite, tests_dir)]
    return [*dict.fromkeys(labels), *dict.fromkeys(suite.block for suite in suites)]
