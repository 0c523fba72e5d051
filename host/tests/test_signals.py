# SPDX-License-Identifier: Apache-2.0
"""Signals, and what else can happen to processes: a terminal, a pipe, the current folder."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from descring_host import CommandQueue, CpuDevice, DeviceError, cpu
from descring_host.native import lib
from descring_host.segment import PREFIX, SHM_FOLDER
from host_support import PATIENCE_S, decode, eventually, shm_name

PROMPT_S = 5.0
"""What happens at once takes less, on a busy machine too."""


def _path_of(name: str) -> Path:
    return SHM_FOLDER / f"{PREFIX}{name}"


def _serve(name: str, *options: str, before: str = "") -> subprocess.Popen[str]:
    """A worker process that is ready; ``before`` is shell text ahead of it."""
    command = [sys.executable, "-m", "descring_host.serve", name, "--memory", "65536", *options]
    if before:
        command = ["sh", "-c", f'{before} exec "$0" "$@"', *command]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert server.stdout is not None
    ready = server.stdout.readline()
    assert '"ready"' in ready, (ready, server.communicate(timeout=PATIENCE_S))
    return server


HOST = """
import signal, sys
from descring_host import CommandQueue, open_device
from host_support import decode
asked = []
signal.signal(signal.SIGINT, lambda *_: asked.append(1))
with open_device("cpu", process=True) as device, CommandQueue(device) as queue:
    print(device.peer.pid, flush=True)
    while not asked:
        queue.exchange(decode(0, 1, 8))
    print(len(queue.exchange(decode(0, 40, 20))), device.peer.state, flush=True)
"""


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def test_a_key_at_the_terminal_leaves_the_worker_of_a_host_that_handles_it() -> None:
    """[LIFE-001]: Ctrl-C goes to the whole foreground group; the host may want to drain."""
    host = subprocess.Popen(
        [sys.executable, "-c", HOST],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=_environment(),
    )
    assert host.stdout is not None
    worker = int(host.stdout.readline())
    time.sleep(0.1)
    os.killpg(host.pid, signal.SIGINT)
    out, _ = host.communicate(timeout=PATIENCE_S)
    assert (host.returncode, out) == (0, "20 alive\n")
    eventually(lambda: not Path(f"/proc/{worker}").exists(), "the worker ends with its host")


INTERRUPTED_HOST = """
import os, signal, sys, threading, time
from pathlib import Path
from descring_host import CommandQueue, open_device
from host_support import CTRL, REG, decode, eventually

LONG_S = 30.0
# A job that a script starts in the background inherits SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def states(pid):
    stats = Path(f"/proc/{pid}/task").glob("*/stat")
    return {stat.read_text().rpartition(")")[2].split()[0] for stat in stats}

def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    # A thread that spins runs on until the one that took the signal has been scheduled.
    eventually(lambda: states(pid) == {"T"}, "all threads of the worker are stopped")

def interrupt(what, call):
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    start = time.monotonic()
    timer.start()
    try:
        call()
    except KeyboardInterrupt:
        print(what, time.monotonic() - start, flush=True)
    else:
        raise SystemExit(f"{what} returned after {time.monotonic() - start:.3f} s")

device = open_device("cpu", memory=1 << 16, process=True, name=sys.argv[1])
print("worker", device.peer.pid, flush=True)
"""
"""How a host begins that runs in a process of its own: what the test runner does with signals, and
what it has inherited, is then of no importance, and a late signal ends only this process."""


def _interrupted(body: str, name: str) -> dict[str, float]:
    """What a host with this ``body`` prints: its worker, and after what time each call ended."""
    host = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_HOST + body, name],
        capture_output=True,
        text=True,
        env=_environment(),
        timeout=PATIENCE_S,
    )
    assert (host.returncode, host.stderr) == (0, ""), (host.stdout, host.stderr)
    return {what: float(number) for what, number in map(str.split, host.stdout.splitlines())}


STOPPED_WORKER = """
queue = CommandQueue(device, cmd_slots=8, timeout_s=LONG_S)
stop(device.peer.pid)
try:
    interrupt("open", lambda: CommandQueue(device, cmd_slots=8))
    interrupt("write32", lambda: device.write32(REG["CTRL"], CTRL["ENABLE"]))
    interrupt("wait", lambda: device.wait(LONG_S))
    interrupt("poll", lambda: queue.poll(timeout_s=LONG_S))
    interrupt("next_completion", lambda: queue.next_completion(LONG_S))
    interrupt("exchange", lambda: queue.exchange(decode(0, 1, 4)))
    interrupt("drain", queue.drain)
    interrupt("iterate", lambda: list(queue))
    interrupt("submit", lambda: queue.submit(decode(0, 1, 30)))
finally:
    os.kill(device.peer.pid, signal.SIGCONT)
assert len(queue.drain()) == 8
assert len(CommandQueue(device, cmd_slots=8).exchange(decode(0, 1, 20))) == 20
device.close()
"""


def test_ctrl_c_ends_a_wait_for_a_worker_that_is_stopped() -> None:
    """[LIFE-001]: no call waits deaf, and the device is good for use afterwards."""
    took = _interrupted(STOPPED_WORKER, shm_name("stopped"))
    assert took.pop("worker") and len(took) == 9
    assert max(took.values()) < PROMPT_S, took


CLOSED_HOST = """
stop(device.peer.pid)
interrupt("close", device.close)
device.close()
"""


def test_an_interrupted_close_ends_the_worker_and_removes_the_memory() -> None:
    """[LIFE-001]: also one that does not end in order, for it is stopped."""
    name = shm_name("close")
    took = _interrupted(CLOSED_HOST, name)
    assert took["close"] < PROMPT_S
    assert not _path_of(name).exists()
    assert not Path(f"/proc/{took['worker']:.0f}").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_each_signal_that_asks_for_the_end_is_heard(number: signal.Signals) -> None:
    """[LIFE-001]: the worker names it, removes the memory and ends with exit code 0."""
    name = shm_name("ask")
    server = _serve(name)
    server.send_signal(number)
    out, error = server.communicate(timeout=PATIENCE_S)
    assert json.loads(out)["reason"] == number.name
    assert (server.returncode, error) == (0, "")
    assert not _path_of(name).exists()


def test_a_worker_under_nohup_outlives_its_terminal() -> None:
    """SIGHUP that was ignored from the start stays ignored."""
    name = shm_name("nohup")
    server = _serve(name, before="trap '' HUP;")
    server.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert server.poll() is None
    server.terminate()
    assert json.loads(server.communicate(timeout=PATIENCE_S)[0])["reason"] == "SIGTERM"


@pytest.mark.slow
def test_a_second_signal_does_not_disturb_the_end() -> None:
    """[LIFE-001]: whenever it comes: no traceback, nothing left, exit code 0."""
    for turn in range(12):
        name = shm_name("twice")
        server = _serve(name)
        server.terminate()
        time.sleep(0.003 * turn)
        server.send_signal(signal.SIGINT if turn % 2 else signal.SIGTERM)
        _, error = server.communicate(timeout=PATIENCE_S)
        assert (server.returncode, error) == (0, ""), turn
        assert not _path_of(name).exists()


@pytest.mark.parametrize("how", ["pipe", "full"])
def test_a_worker_goes_on_without_a_reader_of_its_stdout(how: str) -> None:
    """[LIFE-001]: `| head -1`, or a log on a full disk, is no reason to leave a host alone."""
    name = shm_name("stdout")
    if how == "pipe":
        server = _serve(name)
        assert server.stdout is not None
        server.stdout.close()
    else:
        with Path("/dev/full").open("w") as full:
            server = subprocess.Popen(
                [sys.executable, "-m", "descring_host.serve", name, "--memory", "65536"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        eventually(lambda: _attachable(name), "the worker is ready")
    for _ in range(2):
        with CpuDevice(attach=name) as device, CommandQueue(device, cmd_slots=16) as queue:
            assert len(queue.exchange(decode(0, 1, 10))) == 10
            time.sleep(0.3)  # the worker reports its host
            assert len(queue.exchange(decode(0, 1, 10))) == 10
    server.terminate()
    assert server.wait(PATIENCE_S) == 0
    assert server.stderr is not None
    error = server.stderr.read()
    assert "Traceback" not in error and "Exception ignored" not in error, error
    assert error.count("cannot write to stdout") == 1
    assert not _path_of(name).exists()


def _attachable(name: str) -> bool:
    try:
        with CpuDevice(attach=name) as device:
            return device.peer.state == "alive"
    except DeviceError:
        return False


def test_a_worker_imports_nothing_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that happen to have a module's name are the user's own."""
    for module in ("argparse", "json", "numpy", "signal", "descring_model", "cffi"):
        (tmp_path / f"{module}.py").write_text('raise SystemExit("of the current folder")\n')
    monkeypatch.chdir(tmp_path)
    with CpuDevice(1 << 16, process=True) as device, CommandQueue(device, cmd_slots=8) as queue:
        assert len(queue.exchange(decode(0, 1, 5))) == 5


def test_a_worker_whose_host_died_before_it_came_ends() -> None:
    """[LIFE-001]: nobody else knows the name of its memory."""
    name = shm_name("orphan")
    server = _serve(name, "--exit-with-host", "--parent", "1")
    assert server.wait(PATIENCE_S) == 0
    assert not _path_of(name).exists()


class _Starting:
    """The native core; something happens as soon as the workers run."""

    def __init__(self, happens: Callable[[], int]) -> None:
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(lib, name)

    def hd_start_workers(self, device: object, workers: int) -> int:
        assert lib.hd_start_workers(device, workers) == 0
        return self._happens()


def _interrupt() -> int:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("happens", "kind"), [(_interrupt, KeyboardInterrupt), (lambda: errno.EAGAIN, DeviceError)]
)
def test_a_start_that_does_not_end_well_leaves_no_thread(
    happens: Callable[[], int], kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """[LIFE-001]: whether a signal's handler raises or the system has no thread more."""

    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = threads()
    with monkeypatch.context() as patched:
        patched.setattr(cpu, "lib", _Starting(happens))
        with pytest.raises(kind):
            CpuDevice(1 << 16, workers=3)
    eventually(lambda: threads() <= before, "its threads end")


def test_an_interrupted_start_leaves_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """[LIFE-001]: Ctrl-C while a worker process comes up ends that too."""
    started: list[subprocess.Popen[str]] = []
    name = shm_name("start")

    class Recorded(subprocess.Popen[str]):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            started.append(self)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    monkeypatch.setattr(json, "loads", interrupted)
    with pytest.raises(KeyboardInterrupt):
        CpuDevice(1 << 16, process=True, name=name)
    assert started[0].returncode == 0
    assert not _path_of(name).exists()
