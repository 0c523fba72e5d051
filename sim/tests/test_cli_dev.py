# SPDX-License-Identifier: Apache-2.0
"""``descring dev``: every command is there, costs nothing until it runs, names what it lacks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from descring_sim import signoff
from descring_sim.cli import dev
from descring_sim.support import paths

Command = Callable[..., "subprocess.CompletedProcess[str]"]

LOADED = """
import sys
from descring_sim.cli.main import run
assert run(["dev", "--help"]) == 0
heavy = {"numpy", "cocotb", "pyslang", "pytest", "pygments", "descring_sim.mutation"}
print(sorted(heavy & set(sys.modules)))
"""


def test_the_list_of_commands_imports_none_of_them() -> None:
    """``descring --help`` stays as quick as it is."""
    result = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
    assert all(name in result.stdout for name in dev.COMMANDS)


@pytest.mark.parametrize("name", dev.COMMANDS)
def test_every_command_has_help_under_its_name(descring: Command, name: str) -> None:
    """Also those with a parser of their own."""
    result = descring("dev", name, "--help")
    assert result.returncode == 0, result.stderr
    assert f"descring dev {name} " in result.stdout


def test_the_exit_code_of_a_command_is_passed_on(
    descring: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 for findings of the word check, 2 for a list that is missing."""
    monkeypatch.chdir(tmp_path)
    word_list = tmp_path / "words.toml"
    word_list.write_text(
        'clean = []\nskip = []\nno_prose = []\n[[word]]\navoid = ["normative"]\nuse = "x"\n'
    )
    (tmp_path / "page.md").write_text("is normative\n")
    result = descring("dev", "words", "--list", "words.toml", "page.md")
    assert (result.returncode, '"normative" -> "x"' in result.stdout) == (1, True)
    assert descring("dev", "words", "--list", "none.toml").returncode == 2


def test_a_missing_package_is_named(descring: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    for module in ("descring_sim.signoff.words", "descring_sim.signoff.prose"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delattr(signoff, "prose", raising=False)
    monkeypatch.setitem(sys.modules, "pygments", None)
    result = descring("dev", "words")
    assert result.returncode == 2
    assert "package of pygments" in result.stderr
    assert "pip install 'descring[dev]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_installed_package_has_nothing_to_develop(
    descring: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel has the command; it names what it needs."""
    monkeypatch.setattr(paths, "checkout_root", lambda: None)
    result = descring("dev", "words")
    assert result.returncode == 2
    assert "expected a checkout" in result.stderr
