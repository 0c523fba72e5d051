# SPDX-License-Identifier: Apache-2.0
"""The worker process as a function: its options, and what it leaves of its caller's process."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from descring_host import serve, server
from host_support import shm_name

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_refused_start_leaves_signals_and_files_as_they_were(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """[LIFE-001]: handlers and wakeup of the caller are in force again, and its pipe is closed."""
    reader, writer = os.pipe2(os.O_NONBLOCK)
    before = {number: signal.signal(number, lambda *_: None) for number in ASKING}
    mine = [signal.getsignal(number) for number in ASKING]
    woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    files = _files()
    try:
        assert serve.main([shm_name("refused"), "--workers", "0"]) == 2
        assert [signal.getsignal(number) for number in ASKING] == mine
        assert signal.set_wakeup_fd(writer, warn_on_full_buffer=False) == writer
        assert _files() == files
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
    said = json.loads(capsys.readouterr().out)
    assert (said["event"], said["reason"]) == ("refused", "workers: expected 1 to 16, got 0")


DEFAULTS: dict[str, Any] = {
    "memory": 16 << 20,
    "workers": 1,
    "first_index": 0,
    "huge_pages": False,
    "numa_node": None,
    "restart": False,
    "exit_with_host": False,
    "parent": None,
}


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {}),
        (["--huge-pages"], {"huge_pages": True}),
        (["--restart"], {"restart": True}),
        (["--exit-with-host", "--parent", "7"], {"exit_with_host": True, "parent": 7}),
        (["--memory", "4096", "--workers", "3"], {"memory": 4096, "workers": 3}),
        (["--first-index", "9", "--numa-node", "1"], {"first_index": 9, "numa_node": 1}),
    ],
)
def test_options_are_those_of_the_manual(
    arguments: list[str], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/reference/cli.md: flags have no value, and what is left out has its default."""
    asked: dict[str, Any] = {}

    def run(name: str, **given: Any) -> int:
        asked.update(given, name=name)
        return 0

    monkeypatch.setattr(server, "run", run)
    assert serve.main(["mine", *arguments]) == 0
    assert asked == {**DEFAULTS, **options, "name": "mine"}
