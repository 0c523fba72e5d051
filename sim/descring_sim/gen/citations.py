# SPDX-License-Identifier: Apache-2.0
"""Finds the tests of every suite and the rules that their docstrings cite, without importing them.

A test cites rules at the start of its docstring: ``[DB-001] [RING-005] ...``; a range such as
``[DESC-001..DESC-013]`` stands for every rule between its ends that the contract has. Only a test
that can fail and will run counts: one that is skipped, expected to fail or empty does not, nor does
a cocotb case in a module that no block names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from descring_model import rules
from descring_model.engine import rules as engine_rules
from descring_model.rollouts import rules as rollout_rules

from descring_sim.cosim import block as blocks
from descring_sim.cosim import testcases
from descring_sim.formal import tasks
from descring_sim.support.errors import SimulationError
from descring_sim.support.rule_citations import citations

SUITE_FOLDERS: dict[str, str] = {
    rules.MODEL: "pymodel/tests",
    rules.RTL: "cocotb_tests",
    rules.HOST: "host/tests",
    rules.SHELL: "cocotb_tests/rl_runtime_axi",
}
"""Where each suite lives. A file belongs to the suite with the deepest folder that holds it."""

PROOFS_FOLDER = "formal"

COCOTB_SUITES = (rules.RTL, rules.SHELL)

_DISABLING_MARKS = ("skip", "xfail")
_DISABLING_ARGUMENTS = ("skip", "expect_fail", "expect_error")


@dataclass(frozen=True)
class TestCase:
    """One test: the suite and file (relative to the root) it is in, its name, what it cites."""

    __test__ = False  # pytest would take the name for a class of tests

    suite: str
    file: str
    name: str
    cited: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}::{self.name}"


@dataclass(frozen=True)
class Proof:
    """One property that a proof of ``block`` shows for all inputs, and what it cites."""

    block: str
    name: str
    cited: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.block}::{self.name}"


@dataclass(frozen=True)
class Scan:
    """The tests of all suites, the suites that exist, and what is wrong with the citations."""

    tests: tuple[TestCase, ...]
    built: frozenset[str]
    problems: tuple[str, ...]
    proofs: tuple[Proof, ...] = ()


def tracked_rules() -> tuple[rules.Rule, ...]:
    """Every rule that must have tests: of the contract, the rollout runtime and the engine."""
    return (*rules.all_rules(), *rollout_rules.all_rules(), *engine_rules.all_rules())


_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = _Function | ast.ClassDef


def _is_empty(node: _Definition) -> bool:
    """Whether nothing is left of the body without docstring, ``pass`` and ``...``."""
    return all(
        isinstance(item, ast.Pass)
        or (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
        for item in node.body
    )


def _disabled_by(node: _Definition) -> str | None:
    """The decorator that keeps the test from failing whenever it runs, or ``None``."""
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        target = call.func if call is not None else decorator
        if isinstance(target, ast.Attribute) and target.attr in _DISABLING_MARKS:
            return ast.unparse(decorator)
        for keyword in call.keywords if call is not None else ():
            harmless = isinstance(keyword.value, ast.Constant) and not keyword.value.value
            if keyword.arg in _DISABLING_ARGUMENTS and not harmless:
                return ast.unparse(decorator)
    return None


def _pytest_tests(tree: ast.Module) -> Iterator[tuple[str, _Definition]]:
    """What pytest collects: functions, methods, and the ``TestCase`` of a Hypothesis machine."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, _Function) and node.name.startswith("test_"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            for item in node.body:
                if isinstance(item, _Function) and item.name.startswith("test_"):
                    yield f"{node.name}::{item.name}", item
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id.startswith("Test")
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "TestCase"
            and isinstance(node.value.value, ast.Name)
            and node.value.value.id in classes
        ):
            yield node.targets[0].id, classes[node.value.value.id]


def _cocotb_tests(file: Path, tree: ast.Module) -> Iterator[tuple[str, _Definition]]:
    names = set(testcases.functions(file))
    for node in tree.body:
        if isinstance(node, _Function) and node.name in names:
            yield node.name, node


def _suite_of(file: Path, root: Path) -> str | None:
    within = [suite for suite, folder in SUITE_FOLDERS.items() if (root / folder) in file.parents]
    return max(within, key=lambda suite: len(SUITE_FOLDERS[suite]), default=None)


def _parse(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"), str(file))
    except SyntaxError as error:
        raise SimulationError(f"{file}:{error.lineno}: {error.msg}; correct the file") from error


def _proofs(root: Path) -> tuple[Proof, ...]:
    """The properties that go into a task which proves them; one that no task takes is none."""
    folder = root / PROOFS_FOLDER
    if not folder.is_dir():
        return ()
    found = {
        Proof(task.block, item.name, item.rules): None
        for task in tasks.load(folder)
        if task.kind != "cover"
        for item in task.properties()
        if item.kind == "proof"
    }
    return tuple(found)


def scan(root: Path) -> Scan:
    """All tests of the checkout at ``root``, in the order of their files.

    Raises:
        SimulationError: a test file is no Python, or a proof is not written as it should be.
    """
    known = frozenset(rule.rule for rule in tracked_rules())
    files = sorted(
        file
        for folder in {path.split("/")[0] for path in SUITE_FOLDERS.values()}
        for file in (root / folder).rglob("*.py")
        if _suite_of(file, root) is not None
    )
    trees = {file: _parse(file) for file in files}
    cocotb_root = root / SUITE_FOLDERS[rules.RTL]
    named_modules = {suite.cases for suite in blocks.suites_of(cocotb_root)}
    tests: list[TestCase] = []
    problems: list[str] = []
    for file, tree in trees.items():
        suite = _suite_of(file, root)
        assert suite is not None, "only files of a suite were taken"
        relative = file.relative_to(root)
        if suite in COCOTB_SUITES:
            found = list(_cocotb_tests(file, tree))
            module = ".".join(file.relative_to(cocotb_root).with_suffix("").parts)
            runs = module in named_modules
        else:
            found = list(_pytest_tests(tree)) if file.name.startswith("test_") else []
            module, runs = "", True
        for name, node in found:
            place = f"{relative}::{name}"
            try:
                cited = citations(ast.get_docstring(node) or "", known)
            except ValueError as error:
                problems.append(f"{place}: {error}")
                continue
            if _is_empty(node):
                problems.append(f"{place}: the test is empty")
                continue
            disabling = _disabled_by(node)
            if cited and disabling is not None:
                problems.append(f"{place}: cites rules, but @{disabling} keeps it from failing")
                continue
            if cited and not runs:
                problems.append(f"{place}: cites rules, but no block names its module {module!r}")
                continue
            tests.append(TestCase(suite, str(relative), name, cited))
    built = frozenset(test.suite for test in tests)
    return Scan(tuple(tests), built, tuple(problems), _proofs(root))
