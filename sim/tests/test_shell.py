# SPDX-License-Identifier: Apache-2.0
"""``descring shell``: scripts with exit codes on several backends, and the terminal's comforts."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from descring_host import open_device
from descring_model import DESC_DTYPE, complete, describe
from descring_sim.cli import prompt
from descring_sim.waves import views, wave_file
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

BACKENDS = ["model", "cpu", "verilated"]
Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def script(descring: Script, monkeypatch: pytest.MonkeyPatch) -> Script:
    """``script(lines, *options)``: a session fed from standard input."""

    def run(lines: str, *options: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        return descring("shell", *options)

    return run


SESSION = """
# Two lines, one of them checked, and a STOP.
submit decode rollout_id=7 seq_len=30 max_tokens=40 checked
submit stop
submit nop user_data=5
ring
wait
poll
expect CNT_DESCRIPTORS 2
resume
wait
poll done
expect CNT_DESCRIPTORS 3
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_script_runs_on_every_backend(script: Script, backend: str) -> None:
    """[LIFE-003] [DB-001]: the same session, the same completions."""
    result = script(SESSION, "--backend", backend)
    assert result.returncode == 0, result.stdout + result.stderr
    done = [line for line in result.stdout.splitlines() if line.startswith("done[")]
    assert [line.partition(" ")[0] for line in done] == ["done[0]", "done[1]", "done[2]"]
    assert "seq=32/40 flags=NEEDS_REWARD|CHECKED" in done[0]
    assert "STOPPED" in done[1]
    assert "descring" not in result.stdout, "a script sees no prompt"


def test_completions_are_the_models(script: Script) -> None:
    """What is printed is what complete() states."""
    line = np.zeros(1, dtype=DESC_DTYPE)
    line["opcode"], line["max_tokens"] = 1, 5
    result = script("submit decode max_tokens=5\nring\npoll\n", "--backend", "model")
    assert f"done[0] {describe(complete(line))}" in result.stdout


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("expect ID 1\n", 1, "mismatch: ID: expected 0x00000001, got 0x474e5244"),
        ("nonsense\nexpect ID 1\n", 2, "unknown command 'nonsense'"),
        ("step\n", 2, "backend model has no clock that can be stepped"),
        ("wave x.fst\n", 2, "backend model records no waves at the prompt"),
        ("wait never\n", 2, "expected a number of seconds, got 'never'"),
        ("expect ID\n", 2, "expected REGISTER VALUE"),
        ("quit\nnonsense\n", 0, ""),
    ],
)
def test_exit_codes_and_messages(script: Script, text: str, code: int, message: str) -> None:
    """2 for a command that failed, 1 for an expectation that did not hold, else 0."""
    result = script(text)
    assert result.returncode == code
    assert message in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--backend", "fpga"], "expected a backend out of model, cpu"),
        (["--set", "workers"], "expected NAME=VALUE"),
        (["--backend", "cpu", "--set", "workers=0"], "workers: expected 1 to 16, got 0"),
        (["--backend", "model", "--set", "colour=red"], "options of backend model"),
        (["--waves"], "options of backend model"),
    ],
)
def test_what_cannot_be_opened_is_refused(script: Script, options: list[str], message: str) -> None:
    """Exit code 2, one line."""
    result = script("", *options)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_options_reach_the_backend(script: Script) -> None:
    """Rings of another size, another first index, the modes."""
    result = script(
        "regs RING_LOG2\nregs CTRL\nregs CMD_TAIL\n",
        *("--log2", 2, "--first-index", 9, "--split-reward", "--require-checked"),
        *("--backend", "cpu", "--set", "workers=2"),
    )
    assert result.returncode == 0
    assert "0x00020202" in result.stdout
    assert "ENABLE SPLIT_REWARD REQUIRE_CHECKED" in result.stdout
    assert "CMD_TAIL          0x00000009" in result.stdout


@pytest.fixture
def session() -> prompt.Shell:
    """A shell on the golden model."""
    device = open_device("model")
    return prompt.Shell(device, "model", 4, 0, stdin=io.StringIO(), stdout=io.StringIO())


@pytest.mark.parametrize(
    ("typed", "completions"),
    [
        ("su", {"submit"}),
        ("submit dec", {"decode"}),
        ("submit decode kv_", {"kv_arena_id=", "kv_offset="}),
        ("regs CNT_T", {"CNT_TOKENS_LO", "CNT_TOKENS_HI"}),
        ("poll r", {"reward"}),
        ("help wa", {"wait", "wave"}),
    ],
)
def test_tab_completes(session: prompt.Shell, typed: str, completions: set[str]) -> None:
    """Commands, opcodes, fields, registers, rings."""
    document = Document(typed, len(typed))
    found = session.completer().get_completions(document, CompleteEvent(completion_requested=True))
    assert {completion.text for completion in found} == completions


def test_a_terminal_session_keeps_its_history(
    session: prompt.Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrow up brings the last session's commands back; Ctrl-D ends."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for typed in ("submit nop\rring\r\x04", "\x1b[A\r\x04"):
        with create_pipe_input() as keys:
            keys.send_text(typed)
            session.interact(
                PromptSession(history=prompt.history(), input=keys, output=DummyOutput())
            )
    assert session.stdout.getvalue().count("CMD_TAIL") == 2  # type: ignore[attr-defined]
    assert "+ring" in (tmp_path / "descring" / "shell-history").read_text()


@pytest.mark.parametrize("state", ["/dev/null", "folder", ""])
def test_a_session_without_a_place_for_its_history_begins(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a file, where a folder has the file's name, and for a user without a home."""
    monkeypatch.setenv("XDG_STATE_HOME", state if state != "folder" else str(tmp_path))
    (tmp_path / "descring" / "shell-history").mkdir(parents=True)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert isinstance(prompt.history(), InMemoryHistory)


def test_help_lists_the_commands(script: Script) -> None:
    """And explains one."""
    result = script("help\nhelp step\n")
    assert "submit" in result.stdout
    assert "step [CYCLES]: let clock cycles pass" in result.stdout


def test_a_device_with_a_clock_is_stepped_and_recorded(script: Script, tmp_path: Path) -> None:
    """Exactly so many cycles pass; the waves are whole once they are off."""
    result = script(
        f"step 5\nwave {tmp_path}/w.fst\nsubmit nop\nring\nwait\nwave off\nstep\n",
        *("--backend", "verilated", "--waves", "--set", "workers=1", "--set", "seed=3"),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    cycles = [int(line.split()[1]) for line in result.stdout.splitlines() if "cycle" in line]
    assert len(cycles) == 2
    assert cycles[1] > cycles[0] + 5
    assert views.groups(wave_file.read(tmp_path / "w.fst").signals)["states"]
