# SPDX-License-Identifier: Apache-2.0
"""Changes of a C source by the classic operators, token by token.

The tokens are those of pygments, so that neither a comment nor a string nor a line of the
preprocessor is changed. What does not compile afterwards is no mutant, and is counted as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pygments.lexers.c_cpp import CLexer
from pygments.token import Comment, Literal, Name, Operator, Punctuation, Token, Whitespace

from descring_sim.mutation.sampled.change import Change

_RELATIONAL = {
    "<": ("<=", ">"),
    "<=": ("<", ">"),
    ">": (">=", "<"),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
}
_ARITHMETIC = {
    "+": ("-",),
    "-": ("+",),
    "*": ("+",),
    "/": ("*",),
    "%": ("/",),
    "<<": (">>",),
    ">>": ("<<",),
    "&": ("|",),
    "|": ("&",),
    "^": ("&",),
    "+=": ("-=",),
    "-=": ("+=",),
    "&=": ("|=",),
    "|=": ("&=",),
    "++": ("--",),
    "--": ("++",),
}
MEMORY_ORDER = "memory order"
"""The kind of a change to a weaker one."""

_LOGICAL = {"&&": ("||",), "||": ("&&",), "!": ("",)}
_OPERATORS = (("relational", _RELATIONAL), ("arithmetic", _ARITHMETIC), ("logical", _LOGICAL))

_STRONG = "release|acquire|acq_rel|seq_cst"
_ORDER = re.compile(rf"(memory_order_)(?:{_STRONG})|(__ATOMIC_)(?:{_STRONG.upper()})")
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)")
_ENDS_A_TERM = re.compile(r"[\w)\]]$")
_NO_STATEMENT = "return|goto|break|continue|case|default|static|const"
_STATEMENT = re.compile(
    rf"^[ \t]+(?!(?:{_NO_STATEMENT})\b)(?:"
    r"[\w.\[\]>()*-]+ (?:[-+|&^*/]|<<|>>)?= [^;{}]*"  # an assignment
    r"|[A-Za-z_]\w*\([^;{}]*\)"  # a call
    r"|[\w.\[\]>-]+(?:\+\+|--)"
    r");[ \t]*$",
    re.MULTILINE,
)

_Placed = tuple[int, object, str]


def _tokens(text: str) -> list[_Placed]:
    """Offset, type and text of the tokens that are code."""
    lexer = CLexer(stripnl=False, stripall=False, ensurenl=False)
    return [
        (offset, kind, value)
        for offset, kind, value in lexer.get_tokens_unprocessed(text)
        if kind not in Comment
        and kind not in Whitespace
        and value.strip()
        and kind not in Literal.String
    ]


def _joined(tokens: Sequence[_Placed]) -> Iterator[_Placed]:
    """The tokens, with the operators of two characters in one piece."""
    known = {op for _, table in _OPERATORS for op in table} | {"->", "=", "~", "?", ":"}
    number = 0
    while number < len(tokens):
        offset, kind, value = tokens[number]
        number += 1
        while (
            kind in Operator
            and number < len(tokens)
            and tokens[number][1] in Operator
            and tokens[number][0] == offset + len(value)
            and value + tokens[number][2] in known | {"<<=", ">>="}
        ):
            value += tokens[number][2]
            number += 1
        yield offset, kind, value


def changes(text: str) -> list[Change]:
    """Return every change of the C source ``text``: operators, constants, orders, statements."""
    tokens = list(_joined(_tokens(text)))
    found: list[Change] = []
    for number, (offset, kind, value) in enumerate(tokens):
        end = offset + len(value)
        before = tokens[number - 1][2] if number else ""
        if kind in Operator:
            for name, table in _OPERATORS:
                # A sign, an address and a pointer's star are no arithmetic.
                binary = _ENDS_A_TERM.search(before) and before not in ("return", "case")
                if value not in table or (name == "arithmetic" and len(value) == 1 and not binary):
                    continue
                if value == "*" and not text[end : end + 1].isspace():
                    continue
                found += [Change(offset, end, new, name) for new in table[value]]
        elif kind in Literal.Number and (match := _NUMBER.fullmatch(value.lstrip("-"))):
            offset = end - len(match[0])  # without a sign that the lexer takes with it
            was = int(match[1], 0) if not re.fullmatch(r"0\d+", match[1]) else int(match[1], 8)
            found += [
                Change(offset, end, f"{new}{match[2]}", "constant")
                for new in dict.fromkeys((was + 1, 0))
                if new != was
            ]
        elif (kind in Name or kind in Token) and (match := _ORDER.fullmatch(value)):
            weak = f"{match[1]}relaxed" if match[1] else f"{match[2]}RELAXED"
            found.append(Change(offset, end, weak, MEMORY_ORDER))
    code = {offset for offset, kind, _ in tokens if kind not in Punctuation}
    for match in _STATEMENT.finditer(text):
        start = match.start() + len(match[0]) - len(match[0].lstrip())
        if start in code:
            found.append(Change(start, match.end(), ";", "statement deleted"))
    return sorted(found, key=lambda change: (change.start, change.end, change.new))


def lines_run(text: str, start: int, end: int) -> tuple[list[int], bool]:
    """Return the lines of the statement that a change is in, and whether they may tell too little.

    Too little tells a label of a ``case``, which runs for other values than those it is changed to.

    Args:
        text: the source.
        start: offset of what is changed.
        end: offset behind it.
    """
    first = last = None
    label = False
    for offset, _, value in _tokens(text):
        ends = value in (";", "{", "}")
        if offset < start and ends:
            first, label = None, False
        elif first is None:
            first, label = offset, value in ("case", "default")
        last = offset
        if offset >= end - 1 and ends:
            break
    lines = [text.count("\n", 0, at) + 1 for at in (first, start, last) if at is not None]
    return list(range(min(lines), max(lines) + 1)), label
