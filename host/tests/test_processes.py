# SPDX-License-Identifier: Apache-2.0
"""Worker and host as processes: who is there, who died, and carrying on."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from descring_host import (
    CommandQueue,
    ContractMismatch,
    CpuDevice,
    DeviceClosed,
    DeviceError,
    PeerDied,
    open_device,
)
from descring_host.native import lib
from descring_host.segment import PREFIX, SHM_FOLDER, Segment
from descring_model import complete, contract, streams
from descring_sim.cli import serve
from host_support import (
    PATIENCE_S,
    REG,
    Server,
    assert_same,
    decode,
    eventually,
    shm_name,
    stop_process,
)

NOTICE_S = 1.0
"""Within this time a death must be noticed; 50 ms are usual."""


def _path_of(name: str) -> Path:
    return SHM_FOLDER / f"{PREFIX}{name}"


@pytest.fixture
def server() -> Iterator[Server]:
    """A worker process that runs."""
    running = Server(shm_name("serve"))
    running.event("ready")
    yield running
    running.end()


@pytest.mark.parametrize("wait_s", [1e-6, 0.002, 0.03, 0.2])
def test_a_poll_of_any_length_notices_that_the_worker_is_gone(wait_s: float) -> None:
    """Also one that is over before it would look at the peer; lines are in flight."""
    with CpuDevice(1 << 20, process=True) as device:
        queue = CommandQueue(device, cmd_slots=64, timeout_s=0.5)
        stop_process(device.peer.pid)
        queue.submit(streams.generate(3, seed=2, profile="decode"))
        os.kill(device.peer.pid, signal.SIGKILL)
        eventually(lambda: not _alive(device), "the dead process is reaped")
        with pytest.raises(PeerDied, match="restart a worker"):
            queue.poll(timeout_s=wait_s)


def test_a_killed_worker_is_noticed_and_its_successor_carries_on() -> None:
    """[RING-006] [RING-007]: the error names the index; nothing is lost, nothing runs twice."""
    lines = streams.generate(3000, seed=21, profile="decode")
    with CpuDevice(1 << 20, process=True, first_index=0xFFFFFF00) as device:
        queue = CommandQueue(device, cmd_slots=64, when_full="short")
        taken = []
        sent = 0
        for round_ in range(4):
            while sent < 700 * (round_ + 1):
                sent += queue.submit(lines[sent : sent + 50])
                taken.append(queue.poll())
            os.kill(device.peer.pid, signal.SIGKILL)
            start = time.monotonic()
            with pytest.raises(PeerDied, match="restart a worker") as caught:
                while True:
                    if sent < len(lines):
                        sent += queue.submit(lines[sent : sent + 1])
                    taken.append(queue.poll(timeout_s=0.01))
            assert time.monotonic() - start < NOTICE_S
            assert caught.value.index == device.read32(REG["CMD_HEAD"])
            device.restart_worker()
        while sent < len(lines) or queue.in_flight:
            sent += queue.submit(lines[sent:])
            taken.append(queue.poll(timeout_s=PATIENCE_S))
        assert_same(complete(lines), np.concatenate(taken))
        assert device.read32(REG["CNT_DESCRIPTORS"]) == len(lines)
        assert device.peer.incarnation == 5
        with pytest.raises(DeviceError, match="is alive"):
            device.restart_worker()


class _Dying:
    """A process whose lock is free already, and that cannot be waited for at once."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server
        self.pid = server.pid

    def poll(self) -> int | None:
        return None

    def wait(self, timeout: float) -> int:
        if timeout == 0:
            raise subprocess.TimeoutExpired("worker", timeout)
        return self._server.wait(timeout)


def test_a_worker_is_started_anew_beside_one_that_is_still_dying() -> None:
    """A process gives up its lock before its parent can wait for it; its death is seen by that."""
    lines = streams.generate(100, seed=23, profile="decode")
    with (
        CpuDevice(process=True) as device,
        CommandQueue(device, timeout_s=PATIENCE_S) as queue,
    ):
        assert device._server is not None
        os.kill(device.peer.pid, signal.SIGKILL)
        eventually(lambda: device.peer.state == "died", "the death is seen")
        device._server = _Dying(device._server)  # type: ignore[assignment]
        device.restart_worker()
        assert_same(complete(lines), queue.exchange(lines))


def _alive(device: CpuDevice) -> bool:
    server = device._server
    return server is not None and server.poll() is None


HOST = """
import sys
import numpy as np
from descring_host import CommandQueue, open_device
from descring_model import DESC_DTYPE
device = open_device("cpu", attach=sys.argv[1])
queue = CommandQueue(device, cmd_slots=16)
lines = np.zeros(10, dtype=DESC_DTYPE)
lines["user_data"] = range(10)
queue.submit(lines)
got = queue.poll(4, timeout_s=60.0)
while len(got) < 4:
    got = np.concatenate([got, queue.poll(4 - len(got), timeout_s=60.0)])
print("up", flush=True)
{then}
"""


def _run_host(name: str, then: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOST.format(then=then), name], stdout=subprocess.PIPE, text=True
    )


def test_a_killed_host_is_noticed_and_another_takes_over(server: Server) -> None:
    """[RING-003] [RING-010]: the worker says so within a second; the next host misses nothing."""
    host = _run_host(server.name, "import time; time.sleep(600)")
    assert host.stdout is not None
    assert host.stdout.readline() == "up\n"
    with pytest.raises(DeviceError, match="it has one already"):
        open_device("cpu", attach=server.name)
    assert server.event("host")["state"] == "alive"
    killed = time.monotonic()
    host.kill()
    host.wait()
    host.stdout.close()
    said = server.event("host")
    assert said["state"] == "died"
    assert float(str(said["time"])) - killed < NOTICE_S
    assert said["pid"] == host.pid
    with open_device("cpu", attach=server.name) as device:
        queue = CommandQueue(device, adopt_running=True)
        assert queue.in_flight == 6
        assert queue.drain()["user_data"].tolist() == [4, 5, 6, 7, 8, 9]
        queue.submit(decode(0, 1, 3))
        assert len(queue.drain()) == 3
        assert server.event("host")["state"] == "alive"
    assert server.event("host")["state"] == "ended"


def test_a_worker_that_ends_in_order_says_so_and_leaves_nothing(server: Server) -> None:
    """[LIFE-001]: SIGTERM removes the name; the host learns that it ended, not that it died."""
    with open_device("cpu", attach=server.name) as device:
        assert isinstance(device, CpuDevice)
        with pytest.raises(DeviceError, match="process=True"):
            device.restart_worker()
        queue = CommandQueue(device, cmd_slots=8)
        server.process.terminate()
        assert server.event("bye")["reason"] == "SIGTERM"
        assert server.process.wait() == 0
        assert not _path_of(server.name).exists()
        with pytest.raises(PeerDied, match="ended"):
            queue.poll(timeout_s=PATIENCE_S)
        with pytest.raises(PeerDied):
            queue.submit(decode(0, 1))
        with pytest.raises(PeerDied):
            for _ in range(100):
                queue.submit_decode(1, 2, 3, 4, 5, 6)


def test_a_second_worker_is_refused(server: Server) -> None:
    """[RING-003]: one worker a segment; the refusal says why, with exit code 2."""
    second = Server(server.name, "--restart")
    assert "it has one already" in str(second.event("refused")["reason"])
    assert second.process.wait() == 2
    assert second.process.stdout is not None
    second.process.stdout.close()
    third = Server(server.name)
    assert "exists" in str(third.event("refused")["reason"])
    assert third.process.wait() == 2
    assert third.process.stdout is not None
    third.process.stdout.close()
    with open_device("cpu", attach=server.name) as device, CommandQueue(device) as queue:
        assert len(queue.exchange(decode(0, 1, 5))) == 5, "the first worker was not disturbed"


@pytest.mark.parametrize(
    "then",
    ["device.close()", "raise RuntimeError('boom')", "pass", "import os, signal; "
     "os.kill(os.getpid(), signal.SIGKILL)"],
)  # fmt: skip
@pytest.mark.parametrize("process", [True, False])
def test_no_end_of_a_host_leaves_memory_or_a_worker_behind(then: str, process: bool) -> None:
    """[LIFE-001]: normal exit, exception, no close at all, SIGKILL."""
    name = shm_name("end")
    options = f"process=True, name={name!r}" if process else ""
    program = HOST.replace("attach=sys.argv[1]", options).format(
        then="print(device.peer.pid, flush=True); " + then
    )
    host = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    out, error = host.communicate(timeout=PATIENCE_S)
    assert out.startswith("up\n"), error
    eventually(lambda: not _path_of(name).exists(), "the memory's name is removed")
    if process:
        worker = int(out.split()[1])
        eventually(lambda: not Path(f"/proc/{worker}").exists(), "the worker process ends")


def test_clean_removes_what_two_killed_processes_left_and_nothing_else(server: Server) -> None:
    """[LIFE-001]: `descring clean` looks at who lives, not at names or ages."""
    orphan = Server(shm_name("orphan"))
    orphan.event("ready")
    orphan.process.kill()
    orphan.process.wait()
    assert f"kept {orphan.name}: in use by its creator" in CliRunner().invoke(serve.clean).output
    os.utime(_path_of(orphan.name), (0, 0))
    result = CliRunner().invoke(serve.clean)
    assert result.exit_code == 0
    assert f"removed {orphan.name}" in result.output
    assert f"kept {server.name}: in use by worker" in result.output
    assert not _path_of(orphan.name).exists()
    assert _path_of(server.name).exists()
    orphan.end()


def _patch(name: str, offset: int, data: bytes) -> None:
    with _path_of(name).open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_peers_of_another_contract_or_version_are_refused() -> None:
    """[HASH-001]: by host and by worker, with both hashes; the memory stays as it was."""
    name = shm_name("foreign")
    segment = Segment.create(4096, name=name)
    other = contract.CONTRACT_HASH ^ 1
    try:
        _patch(name, 12, struct.pack("<I", other))
        with pytest.raises(ContractMismatch, match=f"{other:08x}.*{contract.CONTRACT_HASH:08x}"):
            open_device("cpu", attach=name)
        worker = Server(name, "--restart")
        assert f"{other:08x}" in str(worker.event("refused")["reason"])
        assert worker.process.wait() == 2
        assert worker.process.stdout is not None
        worker.process.stdout.close()
        _patch(name, 12, struct.pack("<I", contract.CONTRACT_HASH))
        whole = _path_of(name).stat().st_size
        os.truncate(_path_of(name), whole + 4096)
        with pytest.raises(DeviceError, match="its size is not the one it was made with"):
            open_device("cpu", attach=name)
        os.truncate(_path_of(name), whole)
        _patch(name, 8, struct.pack("<I", 99))
        with pytest.raises(DeviceError, match="another version"):
            open_device("cpu", attach=name)
        _patch(name, 0, bytes(8))
        with pytest.raises(DeviceError, match="no descring segment"):
            open_device("cpu", attach=name)
        os.truncate(_path_of(name), 100)
        with pytest.raises(DeviceError, match="too small"):
            open_device("cpu", attach=name)
    finally:
        segment.close()
    with pytest.raises(DeviceError, match="there is no shared memory"):
        open_device("cpu", attach=name)


def test_a_worker_refuses_a_state_that_cannot_be() -> None:
    """[RING-009]: it says why it can't carry on, and touches nothing."""
    name = shm_name("broken")
    with CpuDevice(1 << 16, process=True, name=name) as device:
        queue = CommandQueue(device, cmd_slots=8)
        queue.exchange(decode(0, 1, 5))
        os.kill(device.peer.pid, signal.SIGKILL)
        eventually(lambda: not _alive(device), "the worker is dead")
        words = np.frombuffer(memoryview(device._segment._mapping), dtype=np.uint32)
        words = words[: lib.hd_header_bytes() // 4]
        # By what they hold, in the order of the segment: the tail, the head, the record in force.
        tail, head = np.flatnonzero(words == 5)[:2]
        record = [5, 5, 0, 5, 0, 0]
        runs = np.lib.stride_tricks.sliding_window_view(words, len(record))
        (cmd_head,) = np.flatnonzero((runs == record).all(axis=1))
        for place, value, said in (
            (tail, 999, "CMD_TAIL: expected"),
            (head, 999, "DONE_HEAD: expected"),
            (cmd_head, 4, "the record of progress: expected"),
        ):
            saved = words[place]
            words[place] = value
            with pytest.raises(DeviceError, match=said):
                device.restart_worker()
            words[place] = saved
        device._server = None
        _path_of(name).unlink(missing_ok=True)


def test_a_forked_child_cannot_use_or_hold_the_parents_device(server: Server) -> None:
    """[RING-003]: the child sees it closed, and does not keep the role when the parent leaves."""
    device = open_device("cpu", attach=server.name)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            device.read32(0)
        except DeviceClosed:
            code = 42
        finally:
            time.sleep(0.3)
            os._exit(code)
    device.close()
    with open_device("cpu", attach=server.name) as again:
        assert again.read32(REG["ID"]) == contract.DEVICE_ID
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


def test_serve_refuses_bad_options_with_exit_code_2() -> None:
    """[LIFE-001]: nothing is left behind by a refusal."""
    for options in (["--workers", "0"], ["--memory", "0"], ["--first-index", "-1"]):
        name = shm_name("bad")
        result = CliRunner().invoke(serve.serve, [name, *options])
        assert result.exit_code == 2, result.output
        assert json.loads(result.output.splitlines()[-1])["event"] == "refused"
        assert not _path_of(name).exists()
    assert CliRunner().invoke(serve.serve, ["bad/name"]).exit_code == 2


def test_a_stopped_worker_is_told_from_a_dead_one(server: Server) -> None:
    """[LIFE-001]: it lives, but its heartbeat ages."""
    with open_device("cpu", attach=server.name) as device:
        assert isinstance(device, CpuDevice)
        time.sleep(0.2)
        assert device.peer.state == "alive"
        eventually(lambda: device.peer.beat_age_s < 0.15, "the heart beats")
        server.process.send_signal(signal.SIGSTOP)
        eventually(lambda: device.peer.beat_age_s > 0.5, "the heartbeat ages")
        assert device.peer.state == "alive"
        server.process.send_signal(signal.SIGCONT)
        eventually(lambda: device.peer.beat_age_s < 0.15, "the heart beats again")
