# SPDX-License-Identifier: Apache-2.0
"""Changes of a Python source by the operators of cosmic-ray, and statements deleted.

What an annotation holds or ``if TYPE_CHECKING`` is not evaluated, so a change there is left out.
The places of a file are listed in a tenth of a second; the text of a change takes another parse
each, so it is made only for what is drawn.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

from descring_sim.mutation.sampled.change import Change, Drawable

_OPERATORS = OperatorProvider()
_Position = tuple[int, int]


@dataclass(frozen=True)
class Occurrence:
    """A place of ``text`` that an operator of cosmic-ray can change: its ``number``-th one."""

    text: str
    kind: str
    number: int

    def made(self) -> Change | None:
        """Return the change; None where the operator leaves the text as it is."""
        mutated = mutate_code(self.text, _OPERATORS[self.kind](), self.number)
        if mutated is None or mutated == self.text:
            return None
        return Change(*_difference(self.text, mutated), self.kind)


def _not_evaluated(tree: ast.AST) -> list[tuple[_Position, _Position]]:
    """The begin and end of each annotation, as lines from 1 and columns from 0."""

    def nodes() -> Iterator[ast.expr | ast.stmt]:
        for node in ast.walk(tree):
            if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
                yield node.annotation
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
                yield node.returns
            elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                yield node

    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in nodes()
    ]


def _difference(old: str, new: str) -> tuple[int, int, str]:
    """The part of ``old`` that differs, and what stands there in ``new``; whole words."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    tail = 0
    while tail < min(len(old), len(new)) - start and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    while start and (old[start - 1].isalnum() or old[start - 1] in "_.<>=!"):
        start -= 1
    while tail and (old[-tail].isalnum() or old[-tail] in "_.<>="):
        tail -= 1
    return start, len(old) - tail, new[start : len(new) - tail]


def _deletions(tree: ast.AST, text: str) -> Iterator[Change]:
    """Each call, assignment to a part of an object, ``raise`` and ``del`` becomes ``pass``."""
    lines = text.splitlines(keepends=True)
    begins = [0, *accumulate(len(line) for line in lines)]

    def offset(line: int, column: int) -> int:
        return begins[line - 1] + len(lines[line - 1].encode()[:column].decode())

    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            deleted = isinstance(node.value, ast.Call | ast.Await)
        elif isinstance(node, ast.Assign):
            deleted = all(isinstance(t, ast.Attribute | ast.Subscript) for t in node.targets)
        else:
            deleted = isinstance(node, ast.AugAssign | ast.Raise | ast.Delete)
        if deleted:
            assert isinstance(node, ast.stmt)
            start = offset(node.lineno, node.col_offset)
            end = offset(node.end_lineno or 0, node.end_col_offset or 0)
            yield Change(start, end, "pass", "statement deleted")


def changes(text: str) -> list[Drawable]:
    """Return every place of the Python source ``text`` where a change can be made."""
    tree = ast.parse(text)
    unused = _not_evaluated(tree)
    nodes = list(ast_nodes(get_ast(text)))
    found: list[Drawable] = []
    for name in _OPERATORS:
        operator_class = _OPERATORS[name]
        if operator_class.arguments():
            continue
        operator = operator_class()
        places = [place for node in nodes for place in operator.mutation_positions(node)]
        found += [
            Occurrence(text, name, number)
            for number, (start, _) in enumerate(places)
            if not any(first <= start < last for first, last in unused)
        ]
    return [*found, *_deletions(tree, text)]


def lines_run(text: str, line: int) -> range:
    """Return the lines of the statement at ``line`` that a tracer sees when it is executed.

    Of a compound statement those of its head.
    """
    best = range(line, line + 1)
    smallest = None
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None)
        end = body[0].lineno - 1 if body else node.end_lineno or node.lineno
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        here = range(first, max(end, node.lineno) + 1)
        if line in here and (smallest is None or len(here) <= smallest):
            best, smallest = here, len(here)
    return best
