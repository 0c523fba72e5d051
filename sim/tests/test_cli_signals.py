# SPDX-License-Identifier: Apache-2.0
"""Signals at any time of a command's life: the exit code, one line, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

DESCRING = str(Path(sys.executable).with_name("descring"))
PATIENCE_S = 60.0
CODES = {signal.SIGINT: 2, signal.SIGTERM: 143, signal.SIGHUP: 129}
SEGMENT = f"test-early-{os.getpid()}-{uuid.uuid4().hex[:6]}"
LONG = {
    "serve": ["serve", SEGMENT, "--memory", "65536"],
    "stream": ["stream", "--count", "50000000", "--seed", "7", "--profile", "mixed", "-o", "x.npy"],
    "campaign": ["campaign", "model", "--count", "1000000"],
    "conform": ["conform", "model", "--seed", "1"],
}
"""Commands that take longer than the tests wait."""


def _usual_signals() -> None:
    """As a shell starts a command in the foreground; a test runner may ignore some."""
    for number in CODES:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("command", LONG)
def test_a_signal_at_any_time_of_the_start_ends_it_in_order(
    command: str, number: signal.Signals, tmp_path: Path
) -> None:
    """The whole group gets it, as from a terminal, and a second time before the end."""
    for step in range(6):
        with subprocess.Popen(
            [DESCRING, *LONG[command]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            start_new_session=True,
            preexec_fn=_usual_signals,
        ) as process:
            time.sleep(0.08 * step)
            os.killpg(process.pid, number)
            time.sleep(0.006 * step)
            if process.poll() is None:
                os.killpg(process.pid, number)
            out, error = process.communicate(timeout=PATIENCE_S)
        # A worker that is ready ends well; before the shell's first line the default applies.
        served = command == "serve" and process.returncode == 0 and '"bye"' in out
        unborn = process.returncode in (-number, CODES[number]) and not out and not error
        assert served or unborn or process.returncode == CODES[number], (step, error)
        # click ends the line that a terminal has ^C on.
        assert served or unborn or len(error.strip().splitlines()) == 1, (step, error)
        assert "Traceback" not in error, error
        assert not list(tmp_path.iterdir())
        assert not [path for path in Path("/dev/shm").iterdir() if SEGMENT in path.name]


VANISHES = """
import time
from descring_model.program import run_program
class Swallows:
    def __index__(self):
        try:
            print("inside", flush=True)
            # A signal just before a sleep does not shorten it; the next one is not begun.
            for _ in range(600):
                time.sleep(0.1)
        except BaseException:
            return 1
def work():
    [0, 1][Swallows()]
    time.sleep(60)
run_program("x", work)
"""


@pytest.mark.parametrize("number", CODES)
def test_a_signal_whose_exception_is_lost_ends_it_nevertheless(number: signal.Signals) -> None:
    """Extension modules clear exceptions that they do not expect; NumPy does so in `stream`."""
    with subprocess.Popen(
        [sys.executable, "-c", VANISHES],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_usual_signals,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "inside\n"
        process.send_signal(number)
        _, error = process.communicate(timeout=PATIENCE_S / 2)
    assert process.returncode == CODES[number]
    assert len(error.splitlines()) == 1, error
