# SPDX-License-Identifier: Apache-2.0
"""``descring top``: a session is found while it runs and missed when it is gone."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_host import open_device
from descring_rollouts import Runtime, live
from descring_rollouts.live import LivePage
from descring_sim.cli.main import cli, run
from descring_sim.cli.top import _view
from rich.console import Console


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sessions of a test are, and no others."""
    monkeypatch.setattr(live.find, "__defaults__", (tmp_path,))
    return tmp_path


@pytest.fixture
def session(folder: Path) -> Iterator[Runtime]:
    """A session of this process whose first group has just ended."""
    page = LivePage("cpu FIFO", folder=folder)
    with open_device("cpu") as device:
        runtime = Runtime(device, slots=8, kv_blocks=40, watchers=[page])
        groups = runtime.run([40] * 12, samples=4, new_tokens=90)
        next(groups)
        yield runtime
        groups.close()  # type: ignore[attr-defined]


def shown(*arguments: str) -> str:
    """What the command prints."""
    result = CliRunner().invoke(cli, ["top", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_no_session_is_an_error_that_says_what_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line, also for a process without a session."""
    assert run(["top", "--once"]) == 2
    expected = "expected a running session, found none; start one with: descring rollouts"
    assert expected in capsys.readouterr().err
    assert run(["top", "--pid", "1"]) == 2
    assert "a running session of process 1, found none" in capsys.readouterr().err


def test_once_has_every_number_of_the_run(session: Runtime) -> None:
    """As text, and as JSON that agrees with the runtime."""
    text = shown("--once")
    assert text.startswith(f"cpu FIFO, process {os.getpid()}, ")
    ended = session.ended
    assert f"{ended} of 48 rollouts ended" in text
    found = {
        name: int(value.replace(",", ""))
        for name, value in re.findall(r"^  (\w+) +([\d,]+)$", text, re.M)
    }
    counters = session.counters().tolist()
    assert list(found.values()) == counters[: len(found)]
    assert found["delivered"] == ended > 0
    assert re.search(rf"^  in use +{session.usage().blocks} of 40$", text, re.M)
    assert re.search(r"^  decode +\d+ of no limit$", text, re.M)
    row = json.loads(shown("--json", "--pid", str(os.getpid())))
    assert row["counters"] == found
    assert row["gauges"]["blocks"] == session.usage().blocks > 0
    assert (row["config"]["slots"], row["requests"]) == (8, 48)


@pytest.mark.parametrize("width", [60, 140])
def test_the_live_view_fits_any_terminal(session: Runtime, width: int) -> None:
    """Every section with its numbers, no line cut, and rates of the time between two looks."""
    (path,) = live.find()
    before = live.snapshot(live.open_page(path))
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(_view(live.snapshot(live.open_page(path)), before))
    text = console.export_text()
    for title in ("states", "queues", "KV blocks", "credits", "lines", "a second", "waits"):
        assert title in text
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    row = re.search(r"TRAJECTORY_READY +(\d+)", text)
    assert row is not None
    assert "no limit" in text


WATCHED = """
import sys, time
from pathlib import Path
from descring_host import open_device
from descring_rollouts import Runtime
from descring_rollouts.live import LivePage
with open_device("model") as device:
    page = LivePage("watched")
    for group in Runtime(device, slots=2, watchers=[page]).run([9] * 4, new_tokens=40):
        print("group", flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("end", ["ends", "is killed"])
def test_the_view_ends_with_its_session(end: str) -> None:
    """Exit code 0 with the last state where it has ended, 2 where its process has died."""
    with subprocess.Popen(
        [sys.executable, "-c", WATCHED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "group\n"
        top = [str(Path(sys.executable).with_name("descring")), "top", "--pid", str(child.pid)]
        with subprocess.Popen(
            [*top, "--interval", "0.05"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as view:
            time.sleep(2.5)
            assert view.poll() is None
            if end == "ends":
                child.stdin.write("\n" * 4)
                child.stdin.close()
            else:
                child.kill()
            out, err = view.communicate(timeout=20)
    if end == "ends":
        assert (view.returncode, err) == (0, "")
        assert out.splitlines()[-1] == "the session has ended"
        assert "4 of 4 rollouts ended" in out
    else:
        assert view.returncode == 2
        assert f"process {child.pid} has died in the middle of its session" in err
