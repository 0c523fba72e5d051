# SPDX-License-Identifier: Apache-2.0
"""One test that hangs, crashes or lies never ends the run, and is never passed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conform_support import plugin
from descring_sim.conform.errors import ConformError
from descring_sim.conform.session import describe, judge_one
from descring_sim.conform.status import Status
from descring_sim.conform.suite.catalogue import select
from descring_sim.conform.worker_pool import Task, run_all
from rich.console import Console

Command = Callable[..., subprocess.CompletedProcess[str]]
TASKS = [Task(f"{rule}", 3) for rule in ("OP-000/nop", "OP-001/decode", "OP-002/reward")]
"""The second of them is the one that a plugin spoils."""

SPOILED = "if (job.lines['opcode'] == 1).all(): "


def run(folder: Path, body: str, timeout_s: float = 20.0) -> list[tuple[Status, str]]:
    """What becomes of the tasks when the second result is treated with ``body``."""
    reference = plugin(folder, SPOILED + body)
    results = run_all(reference, folder, TASKS, jobs=1, timeout_s=timeout_s)
    assert [result.test for result in results] == [task.test for task in TASKS]
    assert results[0].status is results[2].status is Status.PASSED
    return [(result.status, result.failure.text if result.failure else "") for result in results]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("import os; os.abort()", Status.ERROR, "its process died with SIGABRT"),
        ("import os; os._exit(5)", Status.ERROR, "its process ended with exit code 5"),
        ("raise RuntimeError('no')", Status.ERROR, "RuntimeError: no"),
        ("return StreamResult()", Status.FAILED, "the streams end at different places"),
        ("return None", Status.ERROR, "AttributeError"),
    ],
)
def test_it_ends_one_test_alone(tmp_path: Path, body: str, status: Status, message: str) -> None:
    """A crash, an exit, an exception, and no result at all."""
    actual, text = run(tmp_path, body)[1]
    assert actual is status
    assert message in text


def test_streams_and_devices_take_turns(tmp_path: Path) -> None:
    """Two workers begin with one of each, so that what is built for each is built at once."""
    names = ("OP-000/nop", "OP-001/decode", "OP-002/reward", "REG-000/access", "REG-004/access")
    began: list[str] = []
    results = run_all(
        "model",
        tmp_path,
        [Task(name, 1) for name in names],
        jobs=1,
        timeout_s=20.0,
        done=lambda result: began.append(result.test),
    )
    assert began == [names[place] for place in (0, 3, 1, 4, 2)]
    assert [result.test for result in results] == list(names)
    assert {result.status for result in results} == {Status.PASSED}


def test_a_hang_is_killed(tmp_path: Path) -> None:
    """What does not end has hung, and its process is gone."""
    marker = tmp_path / "pid"
    body = f"import os, pathlib; pathlib.Path({str(marker)!r}).write_text(str(os.getpid()))"
    actual, text = run(tmp_path, body + "\n        while job.lines['opcode'][0] == 1: pass", 1.0)[1]
    assert actual is Status.HUNG
    assert "no end after 1 s" in text
    assert not Path("/proc", marker.read_text()).exists()


def test_what_it_prints_disturbs_nothing(tmp_path: Path) -> None:
    """An implementation may print as it likes."""
    body = "print('x' * 100000); import os; os.write(1, b'y' * 100000)"
    assert run(tmp_path, body)[1][0] is Status.PASSED


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nosuch", "expected an implementation out of model, cpu"),
        ("nosuch.toml", "nosuch.toml: cannot be read"),
        ("nosuch.py:Dut", "no such file"),
        ("json:Dut", "json has no 'Dut'"),
        ("json:JSONDecoder", "has describe, build and run; missing describe"),
    ],
)
def test_an_unknown_implementation_is_an_error(
    reference: str, message: str, tmp_path: Path
) -> None:
    """Before any test is run."""
    with pytest.raises(ConformError, match=message):
        describe(reference, tmp_path)


def test_exit_codes_and_the_one_line(tmp_path: Path, descring: Command) -> None:
    """0 for a verdict of yes, 1 of no with the rule and the way to repeat it, 2 for neither."""
    good = descring("conform", "model", "--only", "OP-000", "--seed", 12)
    assert good.returncode == 0
    assert "model conforms in part (2 of " in good.stdout
    assert "2 passed; 240 lines, seed 12" in good.stdout
    wrong = plugin(tmp_path, "result.done['seq_len'] += 1 if isinstance(job, StreamJob) else 0")
    actual = descring("conform", wrong, "--only", "DEC-003", "--seed", 12)
    assert actual.returncode == 1
    assert "does not conform: 1 passed, 1 failed" in actual.stdout
    assert "breaks DEC-003" in actual.stdout.replace("\n", " ")
    assert f"descring conform {wrong} --only DEC-003/done-wins --seed 12" in actual.stdout
    none = descring("conform", "nosuch")
    assert none.returncode == 2
    assert none.stdout == ""
    assert len(none.stderr.splitlines()) == 1


def test_an_implementation_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one job; the process that describes it runs the tests too."""
    monkeypatch.setenv("DESCRING_BUILD_DIR", str(tmp_path / "build"))
    built = tmp_path / "built"
    reference = plugin(tmp_path, "pass")
    file = Path(reference.partition(":")[0])
    text = file.read_text()
    assert text.count("    def run(") == 1
    build = (
        "    def build(self, folder):\n"
        f"        open({str(built)!r}, 'a').write('built\\n')\n"
        "        super().build(folder)\n\n"
    )
    file.write_text(text.replace("    def run(", build + "    def run("))
    verdict = judge_one(
        reference, select(["OP-*"]), seed=1, jobs=1, timeout_s=20.0, console=Console(stderr=True)
    )
    assert verdict.ok
    assert built.read_text() == "built\n"


EARLIER = """
from types import ModuleType, SimpleNamespace
import descring_model
from descring_model import GoldenDevice, contract
from descring_sim.conform.duts.model import ModelDut
VALUES = {VALUES}
class Device(GoldenDevice):
    def read32(self, offset):
        return VALUES.get(offset, super().read32(offset))
class Dut(ModelDut):
    model = SimpleNamespace(
        GoldenDevice=Device,
        complete=descring_model.complete,
        goes_to_reward=descring_model.goes_to_reward,
    )
"""
"""A plugin whose device reads other values at some addresses."""


@pytest.mark.parametrize(
    ("values", "whole"),
    [
        ({0x04: 1, 0x7C: 0x95E8373E}, True),
        ({0x04: 1}, False),  # a version and a hash that do not belong together: judged
        ({0x7C: 0x95E8373E}, False),
    ],
)
def test_a_device_of_an_earlier_version_is_named(
    tmp_path: Path, descring: Command, values: dict[int, int], whole: bool
) -> None:
    """[REG-004] [REG-07C] It is judged by that version; a broken device by the present one."""
    file = tmp_path / "earlier.py"
    file.write_text(EARLIER.replace("{VALUES}", repr(values)), encoding="utf-8")
    result = descring("conform", f"{file}:Dut", "--only", "REG-004", "--only", "HASH-001")
    if whole:
        assert result.returncode == 0, result.stdout
        assert "to version 1 of the contract: 4 passed" in result.stdout
    else:
        assert result.returncode == 1, result.stderr
