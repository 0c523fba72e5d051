# SPDX-License-Identifier: Apache-2.0
"""Prose and identifiers of a source file: comments, docstrings, messages, Markdown text.

A file is turned into text of the same length and the same lines, in which everything that is not
prose is blank. So a match in it has the position of the file, and a phrase is found across lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pygments import lexers
from pygments.lexer import Lexer
from pygments.token import Comment, Name, String, Token, _TokenType

CODE = "\0"
"""Stands for each character that is not prose; no pattern of words matches it."""

LEXERS = {
    ".c": "c",
    ".cc": "cpp",
    ".cpp": "cpp",
    ".core": "yaml",
    ".css": "css",
    ".cu": "cuda",
    ".cuh": "cuda",
    ".d2": "bash",  # comments and quoted labels; Pygments has no lexer of its own
    ".h": "cpp",
    ".j2": "html+jinja",
    ".html": "html+jinja",
    ".pml": "c",
    ".py": "python",
    ".pyi": "python",
    ".rdl": "systemverilog",  # of the same comments and strings
    ".sby": "ini",
    ".sh": "bash",
    ".sv": "systemverilog",
    ".svh": "systemverilog",
    ".toml": "toml",
    ".txt": "ini",
    ".v": "verilog",
    ".verible_lint": "bash",  # comments alone
    ".xdc": "tcl",
    ".yaml": "yaml",
    ".yml": "yaml",
    "Makefile": "make",
}
"""Pygments' lexer for each suffix, or name of a file without one."""

MARKDOWN = ".md"

_LEADER = re.compile(r"^[ \t]*(?://+|/\*+|\*+/?|#+:?)|\*+/", re.MULTILINE)
_INLINE_CODE = re.compile(r"``[^`]+``|`[^`\n]+`")
_MARKDOWN_CODE = re.compile(r"`[^`\n]*(?:\n[^`\n]+)?`")
_MARKDOWN_TARGET = re.compile(r"\]\([^)\n]*\)|<https?:[^>\n]*>|https?:\S+")
_QUOTED_SOURCE = re.compile(
    r"""^(?:search|replace)[ ]*=[ ]*(?:'''.*?'''|\"\"\".*?\"\"\"|'.*?'$|".*?"$)""",
    re.MULTILINE | re.DOTALL,
)
"""Source text in a list of mutants, which is not ours to word."""
_NOT_PROSE = (Comment.Preproc, Comment.PreprocFile, String.Affix, String.Escape, String.Interpol)


@dataclass(frozen=True, slots=True)
class Prose:
    """What is written for people in one file.

    Attributes:
        text: the file with each character that is not prose replaced by ``CODE`` (line breaks and
            spaces stay), of the file's length.
        names: identifiers as (offset, identifier); none in Markdown.
    """

    text: str
    names: tuple[tuple[int, str], ...]


def kind_of(path: Path) -> str | None:
    """Return ``MARKDOWN``, the name of the lexer for ``path``, or None for a kind not known."""
    if path.suffix == MARKDOWN:
        return MARKDOWN
    return LEXERS.get(path.suffix) or LEXERS.get(path.name)


def extract(text: str, kind: str) -> Prose:
    """Return the prose of ``text``, a file of ``kind`` (see ``kind_of``)."""
    if kind == MARKDOWN:
        return Prose(_markdown(text), ())
    pieces: list[str] = []
    names: list[tuple[int, str]] = []
    offset = 0
    for token, value in _tokens(lexers.get_lexer_by_name(kind), text):
        if _is_prose(token, kind):
            pieces.append(_prose(value))
        else:
            if token in Name:
                names.append((offset, value))
            pieces.append(_blank(value))
        offset += len(value)
    prose = "".join(pieces)
    if kind == "toml":
        for quoted in _QUOTED_SOURCE.finditer(text):
            prose = prose[: quoted.start()] + _blank(quoted[0]) + prose[quoted.end() :]
    return Prose(prose, tuple(names))


def _tokens(lexer: Lexer, text: str) -> Iterator[tuple[_TokenType, str]]:
    """Yield tokens that together are ``text``, comments of several lines as one."""
    # get_tokens() would strip and append line breaks; offsets must be those of the file.
    for _, token, value in lexer.get_tokens_unprocessed(text):
        yield token, value


def _is_prose(token: _TokenType, kind: str) -> bool:
    if any(token in left_out for left_out in _NOT_PROSE):
        return False
    if kind == "html+jinja" and token is Token.Text:
        return True
    return token in Comment or token in String


def _prose(value: str) -> str:
    value = _LEADER.sub(lambda leader: " " * len(leader[0]), value)
    value = _INLINE_CODE.sub(lambda code: _blank(code[0]), value)
    return value.replace('"', " ")


def _markdown(text: str) -> str:
    for code in (_MARKDOWN_CODE, _MARKDOWN_TARGET):
        text = code.sub(lambda match: _blank(match[0]), text)
    return re.sub(r"^[ \t]*(?:>|[-*]) ", lambda m: " " * len(m[0]), text, flags=re.MULTILINE)


def _blank(value: str) -> str:
    return re.sub(r"\S", CODE, value)
