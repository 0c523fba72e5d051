# SPDX-License-Identifier: Apache-2.0
"""The quiz of CONTRIBUTING.md is true of the tree, and what its text names exists."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from descring_sim.support import paths

ROW = re.compile(r"^\| (?P<change>[^|]+) \| `(?P<folder>[^`|]+)` \| `(?P<landmark>[^|]+)` \|$")
SOURCES = {".c", ".cu", ".cuh", ".h", ".py", ".sby", ".sv", ".svh", ".toml"}


def _root() -> Path:
    root = paths.checkout_root()
    assert root is not None
    return root


@functools.cache
def _page() -> str:
    return (_root() / "CONTRIBUTING.md").read_text()


def quiz() -> list[tuple[str, str, str]]:
    """The rows of the quiz: change, folder, landmark."""
    rows = [ROW.match(line) for line in _page().partition("## Quiz")[2].splitlines()]
    return [(row["change"], row["folder"], row["landmark"]) for row in rows if row]


@functools.cache
def _text_of(folder: str) -> str:
    """All sources below ``folder``, tests left out."""
    files = sorted((_root() / folder).rglob("*"))
    return "\n".join(
        file.read_text()
        for file in files
        if file.suffix in SOURCES and "tests" not in file.relative_to(_root()).parts
    )


def test_the_quiz_has_fifteen_changes_and_no_row_is_malformed() -> None:
    """A row that the pattern does not match would go unchecked."""
    table = [line for line in _page().partition("## Quiz")[2].splitlines() if line.startswith("|")]
    assert len(quiz()) == len(table) - 2 >= 15


@pytest.mark.parametrize(("change", "folder", "landmark"), quiz())
def test_a_change_is_made_in_one_folder(change: str, folder: str, landmark: str) -> None:
    """The folder has the landmark, and no other folder of the quiz has it."""
    assert (_root() / folder).is_dir(), f"{change}: no folder {folder}"
    assert landmark in _text_of(folder), f"{change}: {folder} has no {landmark!r}"
    # Lists of mutants quote the sources that they change.
    others = {other for _, other, _ in quiz() if not _overlap(other, folder)} - {"sim/mutants"}
    found = sorted(other for other in others if landmark in _text_of(other))
    assert not found, f"{change}: {landmark!r} is in {found} as well"


def _overlap(one: str, other: str) -> bool:
    return Path(one).is_relative_to(other) or Path(other).is_relative_to(one)


def test_what_the_page_names_exists() -> None:
    """Folders, files and modules in code spans, apart from those with a placeholder."""
    names = re.findall(r"`((?:[\w.]+/)+[\w./*]*|[\w]+\.(?:md|toml|py))`", _page())
    assert len(names) > 20
    for name in names:
        places = [_root(), _root() / "pymodel/descring_model", _root() / "sim/descring_sim/replay"]
        assert any(list(place.glob(name.rstrip("/"))) for place in places), name
    for module in re.findall(r"python -m ([\w.]+)", _page()):
        path = _root() / "sim" / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module
