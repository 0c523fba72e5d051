# SPDX-License-Identifier: Apache-2.0
"""Finding and selecting cocotb cases by their name, without importing them.

A cases module can be imported inside a simulator only, so its ``@cocotb.test`` functions are read
from the syntax tree. A case is called ``block.function`` or, where cocotb parametrises it,
``block.function/name=value/...``; the block is the first part of the module's name.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from descring_sim.support.errors import SimulationError
from descring_sim.support.suggest import near


def module_file(tests_dir: Path, module: str) -> Path:
    """Return the file of the dotted ``module`` below ``tests_dir``."""
    return tests_dir.joinpath(*module.split(".")).with_suffix(".py")


def block_of(module: str) -> str:
    """Return the block that a cases module belongs to."""
    return module.split(".", maxsplit=1)[0]


def _is_cocotb_test(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(target, ast.Attribute):
        return (
            target.attr == "test"
            and isinstance(target.value, ast.Name)
            and (target.value.id == "cocotb")
        )
    return False


def functions(file: Path) -> list[str]:
    """Return the names of the ``@cocotb.test`` functions in ``file``, in order.

    Raises:
        SimulationError: the file is missing or is no Python.
    """
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        raise SimulationError(f"expected cocotb cases in {file}: {error.strerror}") from error
    except SyntaxError as error:
        raise SimulationError(f"{file}:{error.lineno}: {error.msg}") from error
    return [
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and any(_is_cocotb_test(decorator) for decorator in node.decorator_list)
    ]


@dataclass(frozen=True)
class Selection:
    """What ``--case`` asks for.

    The text is a regular expression, searched in ``block.function``; what follows a slash is
    searched in the parameters. Text that is exactly the name of a case selects that case alone.
    """

    text: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.text)
        except re.error as error:
            raise SimulationError(
                f"--case: expected a regular expression, {self.text!r} is none: {error}"
            ) from error

    def matching(self, block: str, names: Iterable[str]) -> list[str]:
        """Return those function ``names`` of ``block`` that have a selected case."""
        known = list(names)
        wanted = self.text.split("/", maxsplit=1)[0]
        exact = [name for name in known if wanted in (name, f"{block}.{name}")]
        return exact or [name for name in known if re.search(wanted, f"{block}.{name}")]

    def cocotb_filter(self, module: str, names: Iterable[str]) -> str | None:
        """Return the regular expression for cocotb's full names, None when nothing matches."""
        selected = self.matching(block_of(module), names)
        if not selected:
            return None
        prefix = rf"^{re.escape(module)}\.(?:{'|'.join(re.escape(name) for name in selected)})"
        _, slash, parameters = self.text.partition("/")
        if not slash:
            return prefix + "(?:/|$)"
        # A literal value may hold characters that mean something in an expression, as in 1.5.
        return f"{prefix}/(?:{re.escape(parameters)}$|.*(?:{parameters}))"


def of_modules(modules: Sequence[str], tests_dir: Path) -> dict[str, list[str]]:
    """Return the names of the cases of each module; one that two modules use names neither."""
    known = {module: functions(module_file(tests_dir, module)) for module in modules}
    uses = Counter(name for names in known.values() for name in set(names))
    twice = sorted(name for name, count in uses.items() if count > 1)
    if twice:
        raise SimulationError(
            f"{', '.join(modules)} are one run and share the case {twice[0]}; rename one of them"
        )
    return known


def selected(case: str | None, known: Mapping[str, Sequence[str]]) -> tuple[list[str], str | None]:
    """Return the modules with a case that ``case`` selects, and cocotb's filter for these cases."""
    if case is None:
        return list(known), None
    filters = {
        module: text
        for module, names in known.items()
        if (text := Selection(case).cocotb_filter(module, names)) is not None
    }
    if not filters:
        close = near(case, [name for names in known.values() for name in names])
        raise SimulationError(
            f"no case of {', '.join(known)} matches {case!r}; near: {', '.join(close)}"
        )
    return list(filters), "|".join(filters.values())
