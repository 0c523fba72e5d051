# SPDX-License-Identifier: Apache-2.0
"""Names and messages of foreign origin in reports, and which part of the suite was run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from descring_sim.conform.duts.fingerprint import fingerprint
from descring_sim.conform.duts.model import ModelDut
from descring_sim.support.visible import visible

Command = Callable[..., subprocess.CompletedProcess[str]]
FILE = """
[dut]
name = {name}
version = "1"
kind = "command"
[capabilities]
require_checked = false
split_reward = false
halt = false
first_index = false
[command]
run = ["sh", "-c", "printf '\\\\033[2J[/b]</code><script>'; exit 3"]
"""


def described(folder: Path, name: str, file: str = "x.toml") -> Path:
    """A file of an implementation that is called ``name``."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FILE.replace("{name}", json.dumps(name)), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc é", "a\tb\nc é"),
        ("\x1b[31m\x07", r"\x1b[31m\x07"),
        ("\ufffe\uffff", r"\ufffe\uffff"),
        ("\udcff", r"\udcff"),
        ("a\u202eb", r"a\u202eb"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    """Control, format and private characters, surrogates and what is no character."""
    assert visible(text) == shown


@pytest.mark.parametrize("name", ["evil\x1b]0;x\x07\x1b[2J", "<script>'\"&", "[/red][x]", "\uffff"])
def test_any_name_gives_whole_reports(tmp_path: Path, descring: Command, name: str) -> None:
    """The files parse, the page runs nothing, and the terminal gets no escape sequence."""
    path = described(tmp_path, name)
    out = tmp_path / "out"
    result = descring("conform", path, "--only", "OP-000/nop", "-o", out, "-j", 1)
    assert result.returncode == 1, result.stderr
    assert "\x1b" not in result.stdout
    for file in ("junit.xml", "badge.svg"):
        ElementTree.parse(out / file)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<script>") <= 1  # the page's own
    assert "[/b]</code><script>" not in page
    assert json.loads((out / "verdict.json").read_text())["implementation"]["name"] == visible(name)


def test_a_folder_in_brackets(tmp_path: Path, descring: Command) -> None:
    """A path is shown as it is, and is no markup."""
    path = described(tmp_path, "x", "a[/b]/x.toml")
    result = descring("conform", path, "--only", "OP-000/nop", "-j", 1)
    assert result.returncode == 1
    assert "internal error" not in result.stderr
    assert "a[/b]/x.toml" in result.stdout


@pytest.mark.slow
def test_reports_of_many_stay_inside_and_apart(tmp_path: Path, descring: Command) -> None:
    """Implementations called `..` and alike get a folder each, below the one that was named."""
    names = ("..", "..", "same", "SAME", "a/../../b")
    files = [described(tmp_path, name, f"{place}.toml") for place, name in enumerate(names)]
    out = tmp_path / "deep" / "out"
    descring("conform", *files, "--only", "OP-000/nop", "-o", out, "-j", 1)
    folders = sorted(path.parent for path in tmp_path.rglob("verdict.json"))
    assert len(folders) == len(names)
    assert all(folder.parent == out for folder in folders)


def test_a_part_of_the_suite_is_a_part_of_a_verdict(tmp_path: Path, descring: Command) -> None:
    """No full badge, no plain `conforms`; the tools and the hash of the sources are there."""
    out = tmp_path / "out"
    result = descring("conform", "model", "--only", "OP-000", "-o", out, "-j", 1)
    assert result.returncode == 0, result.stderr
    assert "conforms in part (2 of " in result.stdout
    data = json.loads((out / "verdict.json").read_text())
    assert data["verdict"] == "conforms in part"
    assert data["part"]["tests"] == 2 < data["part"]["of"]
    assert len(data["versions"]["implementation's sha256"]) == 64
    assert "partial: 2 of" in (out / "badge.svg").read_text()
    assert "#2e7d32" not in (out / "badge.svg").read_text()


def test_a_changed_implementation_has_another_hash(tmp_path: Path) -> None:
    """Its file, its folder's sources, and nothing else that lies there."""
    path = described(tmp_path, "x")
    seen = {fingerprint(ModelDut(), str(path))}
    (tmp_path / "notes.txt").write_text("not a source")
    seen.add(fingerprint(ModelDut(), str(path)))
    assert len(seen) == 1
    (tmp_path / "worker.c").write_text("int main(void) { return 0; }")
    seen.add(fingerprint(ModelDut(), str(path)))
    assert len(seen) == 2


@pytest.mark.slow
def test_a_campaign_refuses_a_changed_implementation(tmp_path: Path, descring: Command) -> None:
    """What a state file has of the implementation before a change does not count after it."""
    file = tmp_path / "dut.py"
    text = (
        "from descring_sim.conform.duts.model import ModelDut\n"
        "class Dut(ModelDut):\n    def run(self, job):\n        return super().run(job)\n"
    )
    file.write_text(text)
    state = tmp_path / "state.jsonl"
    arguments = ("campaign", f"{file}:Dut", "--count", 1, "--only", "OP-000", "--state", state)
    assert descring(*arguments, "-j", 1).returncode == 0
    file.write_text(text + "        # changed\n")
    changed = descring(*arguments, "-j", 1)
    assert changed.returncode == 2
    assert "one that was changed since" in changed.stderr
