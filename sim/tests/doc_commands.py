# SPDX-License-Identifier: Apache-2.0
"""The commands that pages show, as they are printed there, and what must follow.

A comment before a fenced block states what happens to it::

    <!-- run -->                  run it; `slow` and `nightly` name the tier, `exit=N` the exit
                                  code; `checkout` runs it there and not in an empty folder
    <!-- output -->               what the block before has printed, see :func:`matches`
    <!-- target -->               a command of make, which must know its targets and is not run
    <!-- not run: REASON -->      shown only
    <!-- files: PATH[=NAME] -->   no block: files of the repository that the reader has by now
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

TIERS = ("quick", "slow", "nightly")
LANGUAGES = ("sh", "python")
"""What a reader may copy: each such block has a marker."""
TIMEOUT_S = 3600.0

_MARKER = re.compile(r"<!-- (?P<kind>run|output|target|not run: \S.*|files: \S.*)(?P<rest>.*?) -->")
_VARYING = ((re.compile(r"\b\d+\.\d+ s\b"), "# s"), (re.compile(r"\b\d+ cycles\b"), "# cycles"))


class PageError(Exception):
    """A page's markers make no sense."""


@dataclass(frozen=True)
class Block:
    """A fenced block with its marker.

    Attributes:
        line: of the fence, from 1.
        kind: ``run``, ``target`` or ``not run``.
        language: of the fence.
        text: what is run.
        tier: the first of TIERS that runs it.
        exit_code: expected.
        checkout: run at the root of the repository.
        output: expected, or None where the page shows none.
    """

    line: int
    kind: str
    language: str
    text: str
    tier: str = TIERS[0]
    exit_code: int = 0
    output: str | None = None
    checkout: bool = False


@dataclass(frozen=True)
class Page:
    """Files that a reader has, as (path in the repository, name), and the blocks in order."""

    files: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]

    @property
    def tier(self) -> str:
        """The slowest tier that its blocks need; nightly only where all of them do."""
        tiers = {block.tier for block in self.blocks if block.kind == "run"}
        return max(tiers - {"nightly"} or tiers or {TIERS[0]}, key=TIERS.index)


def read(text: str) -> Page:
    """Return the blocks of a page.

    Raises:
        PageError: a block to copy without a marker, a marker without a block, or an unknown word.
    """
    files: list[tuple[str, str]] = []
    blocks: list[Block] = []
    marker: re.Match[str] | None = None
    for token in MarkdownIt("commonmark").parse(text):
        found = _MARKER.match(token.content) if token.type == "html_block" else None
        line = token.map[0] + 1 if token.map else 0
        if found and found["kind"].startswith("files: "):
            for name in found["kind"].removeprefix("files: ").split(", "):
                path, _, other = name.partition("=")
                files.append((path, other or Path(path).name))
        elif found:
            marker = found
        elif token.type == "fence":
            language = token.info.split(" ")[0]
            if marker is None and language in LANGUAGES:
                raise PageError(f"line {line}: expected a marker before the block, got none")
            if marker is not None:
                _add(blocks, marker, line, language, token.content)
            marker = None
        elif marker is not None:
            raise PageError(f"line {line}: expected a fenced block behind {marker[0]}")
    return Page(tuple(files), tuple(blocks))


def _add(blocks: list[Block], marker: re.Match[str], line: int, language: str, text: str) -> None:
    kind = marker["kind"].partition(":")[0]
    if kind == "output":
        if not blocks or blocks[-1].kind != "run" or blocks[-1].output is not None:
            raise PageError(f"line {line}: expected a block that is run before this output")
        last = blocks.pop()
        blocks.append(Block(**{**vars(last), "output": text}))
        return
    tier, exit_code, checkout = TIERS[0], 0, False
    for word in marker["rest"].split():
        if word in TIERS:
            tier = word
        elif word.startswith("exit="):
            exit_code = int(word.removeprefix("exit="))
        elif word == "checkout":
            checkout = True
        elif word != language:
            raise PageError(f"line {line}: expected {TIERS} or exit=N or checkout, got {word!r}")
    blocks.append(Block(line, kind, language, text, tier, exit_code, checkout=checkout))


def matches(expected: str, actual: str) -> bool:
    """Compare what a page shows with what was printed.

    ``...`` stands for any text in a line, and alone for any lines. Times in seconds and numbers of
    cycles are not compared, nor blanks at the end of a line.
    """
    pattern = ""
    for line in _plain(expected).splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r".*".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, _plain(actual)) is not None


def _plain(text: str) -> str:
    for varying, name in _VARYING:
        text = varying.sub(name, text)
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def follow(page: Page, tier: str, folder: Path, root: Path, bin_folder: Path) -> int:
    """Run the blocks of a page up to ``tier`` in ``folder``; return how many ran.

    Raises:
        AssertionError: a block ended with another exit code, or printed something else.
    """
    for path, name in page.files:
        shutil.copy(root / path, folder / name)
    (folder / ".venv").symlink_to(bin_folder.parent)
    environment = {
        "HOME": str(folder),
        "PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "80",
    }
    ran = 0
    session = ""
    for block in page.blocks:
        if block.kind != "run" or TIERS.index(block.tier) > TIERS.index(tier):
            continue
        if block.language == "python":
            session += block.text
            command = [str(bin_folder / "python"), "-c", session]
        else:
            command = ["bash", "-e", "-o", "pipefail", "-c", block.text]
        done = subprocess.run(
            command,
            cwd=root if block.checkout else folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )
        shown = f"line {block.line}:\n{block.text}printed\n{done.stdout}"
        assert done.returncode == block.exit_code, (
            f"expected exit code {block.exit_code}, got {done.returncode}; {shown}"
        )
        assert block.output is None or matches(block.output, done.stdout), (
            f"expected\n{block.output}\n{shown}"
        )
        ran += 1
    return ran


def own_bin() -> Path:
    """The folder of the Python that runs this, and of its ``descring``."""
    return Path(sys.executable).parent
