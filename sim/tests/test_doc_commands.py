# SPDX-License-Identifier: Apache-2.0
"""Every command of the README, the tutorials and the guides works as it is printed.

``make doc-commands`` runs the blocks of the tier nightly too. With DESCRING_DOC_BIN, the folder of
the commands of an environment that has the wheel alone, they run there.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from descring_sim.support import paths
from descring_sim.support.mutant import load
from doc_commands import PageError, follow, matches, own_bin, read

TIER = "DESCRING_DOC_TIER"
BIN = "DESCRING_DOC_BIN"


def _root() -> Path:
    root = paths.checkout_root()
    assert root is not None
    return root


def _pages() -> list[str]:
    folders = ("docs/tutorials", "docs/how-to")
    found = [page for folder in folders for page in sorted((_root() / folder).glob("*.md"))]
    return [
        "README.md",
        "docs/add-an-opcode.md",
        *(page.relative_to(_root()).as_posix() for page in found),
    ]


def _params() -> list[ParameterSet]:
    """Each page that runs something, with the mark of its tier."""
    params = []
    for name in _pages():
        page = read((_root() / name).read_text())
        if any(block.kind == "run" for block in page.blocks):
            marks = [pytest.mark.slow] if page.tier == "slow" else []
            params.append(pytest.param(name, marks=marks))
    return params


@pytest.mark.parametrize("name", _params())
def test_commands_of_a_page_work_as_printed(name: str, tmp_path: Path) -> None:
    """In an empty folder, in order, with the exit codes and the output that the page shows."""
    page = read((_root() / name).read_text())
    if BIN in os.environ and any(block.checkout for block in page.blocks):
        pytest.skip("its commands need a checkout")
    bin_folder = Path(os.environ.get(BIN, own_bin()))
    tier = os.environ.get(TIER, page.tier)
    if page.tier == "nightly" and TIER not in os.environ:
        pytest.skip("its commands take minutes: make doc-commands")
    assert follow(page, tier, tmp_path, _root(), bin_folder) > 0


@pytest.mark.parametrize("name", _pages())
def test_targets_of_a_page_exist(name: str) -> None:
    """What a page tells the reader to make is in the Makefile."""
    makefile = (_root() / "Makefile").read_text()
    for block in read((_root() / name).read_text()).blocks:
        if block.kind == "target":
            targets = re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE)
            assert len(targets) == len(block.text.strip().splitlines())
            assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_mutants_that_a_page_names_exist() -> None:
    """Their commands run in the nightly tier only, and the list changes with the RTL."""
    known = {mutant.name for mutant in load(_root() / "sim" / "mutants")}
    named = {
        name
        for page in _pages()
        for name in re.findall(r"dev mutants .*--only ([a-z0-9-]+)", (_root() / page).read_text())
    }
    assert named
    assert named <= known


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\nc\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("...\nc\n", "a\nb\nc\n", True),
        ("...\nc\n", "a\nb\nd\n", False),
        ("x ... z\n", "x y z\n", True),
        ("x ... z\n", "x y w\n", False),
        ("in 0.1 s\n", "in 12.7 s\n", True),
        ("in 3 lines\n", "in 4 lines\n", False),
    ],
)
def test_output_is_compared(expected: str, actual: str, same: bool) -> None:
    """Text by text, but for times and what the page leaves out."""
    assert matches(expected, actual) is same


@pytest.mark.parametrize(
    "text",
    [
        "```sh\ntrue\n```\n",
        "<!-- run -->\n\nno block\n",
        "<!-- run fast -->\n```sh\ntrue\n```\n",
        "<!-- output -->\n```text\nx\n```\n",
    ],
)
def test_a_block_without_a_sensible_marker_is_refused(text: str) -> None:
    """No command of a page goes unchecked by accident."""
    with pytest.raises(PageError):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "<!-- run -->\n```sh\nfalse\n```\n",
        "<!-- run exit=1 -->\n```sh\ntrue\n```\n",
        "<!-- run -->\n```sh\necho a\n```\n\n<!-- output -->\n```text\nb\n```\n",
        "<!-- run -->\n```sh\nfalse | true\n```\n",
        "<!-- run python -->\n```python\nassert False\n```\n",
    ],
)
def test_a_wrong_page_fails(text: str, tmp_path: Path) -> None:
    """Another exit code, another output, a failure inside a pipe."""
    with pytest.raises(AssertionError):
        follow(read(text), "quick", tmp_path, _root(), own_bin())


def test_later_blocks_see_what_earlier_ones_left(tmp_path: Path) -> None:
    """One folder and one Python session a page; blocks of a slower tier are left out."""
    text = (
        "<!-- run -->\n```sh\necho 5 > x\n```\n\n<!-- run nightly -->\n```sh\nfalse\n```\n\n"
        "<!-- run python -->\n```python\ny = int(open('x').read())\n```\n\n"
        "<!-- run python -->\n```python\nprint(y + 1)\n```\n\n<!-- output -->\n```text\n6\n```\n"
    )
    assert follow(read(text), "quick", tmp_path, _root(), own_bin()) == 3
    with pytest.raises(AssertionError):
        (tmp_path / "second").mkdir()
        follow(read(text), "nightly", tmp_path / "second", _root(), own_bin())


def test_descring_is_the_one_under_test() -> None:
    """The commands of the environment, not of the machine."""
    done = subprocess.run([own_bin() / "descring", "--version"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
