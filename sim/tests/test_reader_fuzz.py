# SPDX-License-Identifier: Apache-2.0
"""Damaged files end every command that reads one in order; ``reader_fuzz`` has the long run."""

from __future__ import annotations

from pathlib import Path

import pytest
import reader_fuzz
from reader_fuzz import Outcome, Reader

COUNT = 210
SEED = 20241130


@pytest.mark.slow
def test_damaged_files_of_every_kind_end_in_order(tmp_path: Path) -> None:
    """Exit codes 0, 1 and 2 only, one line for an error, no hang, and little memory."""
    actual = list(reader_fuzz.cases(tmp_path, COUNT, SEED))
    assert [f"{r.name}: {o.problem}" for r, _, o in actual if o.problem is not None] == []
    refused = [outcome for _, _, outcome in actual if outcome.code == 2]
    assert COUNT // 2 < len(refused) < COUNT


ENDS = {
    "a traceback": (lambda _: print("Traceback", file=__import__("sys").stderr), "Traceback"),
    "an error of ours": (lambda _: 1 // 0, "internal error: ZeroDivisionError"),
    "another exit code": (lambda _: 3, "exit code 3"),
    "a signal": (lambda _: __import__("os").abort(), "exit code -6"),
    "memory": (lambda _: len(b"x" * reader_fuzz.MEMORY) and 0, "MiB of memory"),
    "a hang": (lambda _: __import__("time").sleep(60), "no end"),
}


@pytest.mark.parametrize("kind", ENDS)
def test_the_fuzz_sees_a_bad_end(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each that a command must not have."""
    if kind == "a hang":
        monkeypatch.setattr(reader_fuzz, "DEADLINE_S", 1)
    read, says = ENDS[kind]
    actual: Outcome = reader_fuzz.run(Reader("any", (b"",), "", read), tmp_path)
    assert actual.problem is not None and says in actual.problem
