# SPDX-License-Identifier: Apache-2.0
"""Simulators as devices: what happens when one side goes, and what no one may leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from descring_host import BACKENDS, CommandQueue, DeviceError, open_device
from descring_model import complete, contract, first_difference, streams
from descring_sim.cosim import device_process
from descring_sim.cosim.device import SimulatorDevice
from descring_sim.protocol.device import REQUEST_MAX
from descring_sim.support import paths

REG = contract.OFFSET
MEMORY = 1 << 16
PATIENCE_S = 120.0


def open_simulator(name: str, **options: Any) -> SimulatorDevice:
    """A device of this backend with a small memory."""
    opened = open_device(name, memory=MEMORY, **options)
    assert isinstance(opened, SimulatorDevice)
    return opened


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until ``condition()`` holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)


def group_is_gone(pid: int) -> bool:
    """Whether no process of this group is left, zombies aside."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == pid and fields[0] != "Z":
            return False
    return True


def exchange(opened: SimulatorDevice, count: int = 40, **options: Any) -> None:
    """Send a stream through a queue, and compare with the model."""
    lines = streams.generate(count, seed=5, profile="decode")
    with CommandQueue(opened, cmd_slots=16, timeout_s=PATIENCE_S, **options) as queue:
        assert first_difference(complete(lines), queue.exchange(lines)) is None


def test_the_simulators_are_backends_of_this_installation() -> None:
    """Declared as entry points: the host runtime imports nothing of the simulators."""
    assert {"model", "cpu", "icarus", "verilator"} <= set(BACKENDS)
    done = subprocess.run(
        [sys.executable, "-c", "import descring_host, sys; print('descring_sim' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_a_killed_simulator_is_an_error_that_names_log_and_rerun(simulator: str) -> None:
    """From whatever call comes next, and from every one after it."""
    opened = open_simulator(simulator, seed=77)
    os.killpg(opened.pid, signal.SIGKILL)
    for use in (lambda: opened.read32(0), lambda: opened.wait(1.0), opened.check_peer):
        with pytest.raises(DeviceError, match=f"simulator {simulator} is gone") as caught:
            use()
    text = str(caught.value)
    assert "exit code -9" in text
    assert "DESCRING_SEED=77 DESCRING_WAVES=1" in text
    log = Path(text.partition("log:")[2].split()[0])
    assert log.is_file()
    with pytest.raises(DeviceError):
        opened.close()
    opened.close()
    eventually(lambda: group_is_gone(opened.pid), "the end of the simulator")
    shutil.rmtree(log.parent)


def test_an_assertion_of_the_rtl_is_the_reason_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$fatal ends the simulation; its text reaches the host program."""
    rtl = tmp_path / "rtl"
    shutil.copytree(paths.rtl_dir(), rtl)
    source = rtl / "rl_runtime_axi.sv"
    text = source.read_text(encoding="utf-8")
    end = text.rindex("endmodule")
    broken = '  initial begin #3000 $fatal(1, "%m: the sky falls"); end\n'
    source.write_text(text[:end] + broken + text[end:], encoding="utf-8")
    monkeypatch.setattr(paths, "rtl_dir", lambda: rtl)
    monkeypatch.setenv(paths.BUILD_DIR_VARIABLE, str(tmp_path / "build"))
    opened = open_simulator("icarus")
    with pytest.raises(DeviceError, match=r"is gone: .*rl_runtime_axi: the sky falls"):
        exchange(opened)
    with pytest.raises(DeviceError):
        opened.close()


def test_a_simulator_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped, so that it is there and does nothing."""
    opened = open_simulator("icarus")
    monkeypatch.setattr(device_process, "REPLY_S", 0.5)
    os.killpg(opened.pid, signal.SIGSTOP)
    with pytest.raises(DeviceError, match="no response for 0 s"):
        opened.read32(0)
    eventually(lambda: group_is_gone(opened.pid), "the end of the simulator")
    with pytest.raises(DeviceError):
        opened.close()


HOST = """
import signal
from descring_host import open_device
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
device = open_device("icarus", memory=65536)
print(device.pid, flush=True)
try:
    {body}
except KeyboardInterrupt:
    print("interrupted", hex(device.read32(0)), flush=True)
    device.close()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_host_that_goes_leaves_nothing_behind(number: signal.Signals) -> None:
    """No simulator, no shared memory; a host that catches Ctrl-C can continue with its device."""
    before = set(Path("/dev/shm").iterdir())
    body = "while True: device.wait(0.05); device.read32(0)"
    with subprocess.Popen(
        [sys.executable, "-c", HOST.format(body=body)], stdout=subprocess.PIPE, text=True
    ) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        time.sleep(0.5)
        host.send_signal(number)
        said = host.stdout.read()
        host.wait(PATIENCE_S)
    if number is signal.SIGINT:
        assert said == f"interrupted {contract.DEVICE_ID:#x}\n"
        assert host.returncode == 0
    else:
        assert host.returncode == -number
    eventually(lambda: group_is_gone(pid), "the end of the simulator")
    ours = {path for path in set(Path("/dev/shm").iterdir()) - before if str(pid) in path.name}
    assert not ours


def test_a_device_that_is_forgotten_ends_its_simulator() -> None:
    """No close(), no reference left."""
    opened = open_simulator("icarus")
    pid, memory = opened.pid, opened.memory
    del opened
    eventually(lambda: group_is_gone(pid), "the end of the simulator")
    assert memory.sum() == 0, "the window outlives the device"


def test_a_forked_child_leaves_the_device_to_its_parent() -> None:
    """Its end does not disturb the simulator, and it holds nothing that would keep it alive."""
    opened = open_simulator("icarus")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            opened.read32(0)
        except DeviceError:
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    exchange(opened)
    opened.close()
    eventually(lambda: group_is_gone(opened.pid), "the end of the simulator")


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_the_seed_repeats_a_run(simulator: str) -> None:
    """When a full ring begins to stall depends on the memory's pauses, and those on the seed.

    Nothing here waits for a time of the wall, after which a host would act in another cycle.
    """
    stalls = []
    for seed in (3, 3, 4):
        with (
            open_simulator(simulator, seed=seed, backpressure=0.5, latency=9) as opened,
            CommandQueue(opened, cmd_slots=16, done_slots=2) as queue,
        ):
            queue.submit(streams.generate(8, seed=5, profile="decode"))
            for _ in range(3):
                opened.wait(0)
            stalls.append(opened.read32(REG["CNT_STALL_CYCLES"]))
    assert stalls[0] == stalls[1] > 0
    assert stalls[0] != stalls[2]


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_waves_are_whole_once_the_device_is_closed(
    simulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for by the option or by the environment; an FST file with its end in place."""
    monkeypatch.setenv(device_process.WAVES_VARIABLE, "1")
    monkeypatch.setenv(device_process.SEED_VARIABLE, "12")
    with open_simulator(simulator) as opened:
        assert opened.seed == 12
        exchange(opened, 5)
    assert opened.waves is not None
    waves = Path(opened.waves)
    assert waves.stat().st_size > 1000
    assert waves.read_bytes()[0] == 0, "the header block of FST; an unfinished file begins with FF"
    shutil.rmtree(waves.parent)


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 0},
        {"workers": 17},
        {"prefetch_depth": 3},
        {"prefetch_depth": 1},
        {"memory": 0},
        {"memory": 1 << 41},
        {"first_index": -1},
        {"first_index": 1 << 32},
        {"latency": 0},
        {"backpressure": 1.0},
        {"seed": -1},
        {"nonsense": 1},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    """A ValueError that names the option, before anything is started."""
    with pytest.raises(ValueError, match=next(iter(options))):
        open_device("icarus", **options)


def test_a_seed_in_the_environment_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It names the variable."""
    monkeypatch.setenv(device_process.SEED_VARIABLE, "x")
    with pytest.raises(ValueError, match="DESCRING_SEED"):
        open_device("icarus", memory=MEMORY)


class _Raised(Exception):
    """What a signal handler raises."""


INTERRUPTED = {
    "before it is sent": ("send_request", False),
    "after it was sent": ("send_request", True),
    "before the reply is read": ("receive_reply", False),
    "after the reply was read": ("receive_reply", True),
}


@pytest.mark.parametrize("moment", INTERRUPTED)
def test_a_posted_write_takes_effect_once_whenever_the_next_call_is_interrupted(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[DB-002]: counted by the register that counts doorbells out of range."""
    name, done = INTERRUPTED[moment]
    original = getattr(device_process, name)

    def interrupted(*arguments: Any) -> Any:
        if done:
            original(*arguments)
        raise _Raised

    with open_simulator("icarus") as opened:
        for bad in range(1, 4):
            opened.write32(REG["DOORBELL"], 1 << 20)
            monkeypatch.setattr(device_process, name, interrupted)
            for _ in range(bad):
                with pytest.raises(_Raised):
                    opened.read32(REG["ID"])
            monkeypatch.setattr(device_process, name, original)
            assert opened.read32(REG["CNT_BAD_DOORBELLS"]) == bad
        exchange(opened)


def test_more_posted_writes_than_a_request_holds_keep_their_order() -> None:
    """Each message is small enough for a pipe to take it whole."""
    with open_simulator("icarus") as opened:
        for value in range(2 * REQUEST_MAX + 3):
            opened.write32(REG["DOORBELL"], 1 << 20)
            opened.write32(REG["DONE_BASE_HI"], value)
        assert opened.read32(REG["DONE_BASE_HI"]) == 2 * REQUEST_MAX + 2
        assert opened.read32(REG["CNT_BAD_DOORBELLS"]) == 2 * REQUEST_MAX + 3
