# SPDX-License-Identifier: Apache-2.0
"""What only a GPU can show: no kernel outlives its host, and many live side by side."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from descring_cuda import CudaDevice
from descring_host import CommandQueue, DeviceError, PeerDied
from descring_model import complete, streams
from host_support import assert_same, eventually

pytestmark = pytest.mark.usefixtures("gpu")

IDLE_S = 2.0
HOST = """
import sys, time
from descring_cuda import CudaDevice
device = CudaDevice(1 << 20, shape=sys.argv[1])
print("ready", flush=True)
time.sleep(60)
"""


def processes_on_gpu() -> set[str]:
    """Ids of the processes that have the GPU, by nvidia-smi."""
    query = ["nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader"]
    return set(subprocess.run(query, capture_output=True, text=True, check=True).stdout.split())


def utilisation() -> int:
    """Percent of the last sampling period in which a kernel ran."""
    query = [
        "nvidia-smi",
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
        "-i",
        "0",
    ]
    return int(subprocess.run(query, capture_output=True, text=True, check=True).stdout)


def start_host(shape: str) -> subprocess.Popen[str]:
    """A process that holds a device until it is ended."""
    host = subprocess.Popen([sys.executable, "-c", HOST, shape], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    assert host.stdout.readline() == "ready\n"
    return host


@pytest.mark.parametrize("shape", ["latency", "throughput"])
def test_the_gpu_is_idle_soon_after_its_host_was_killed(shape: str) -> None:
    """After SIGKILL no process stops the kernel; the GPU must still be free within 2 s."""
    host = start_host(shape)
    time.sleep(1.0)
    assert str(host.pid) in processes_on_gpu()
    assert utilisation() > 0
    host.kill()
    killed = time.monotonic()
    while str(host.pid) in processes_on_gpu() or utilisation():
        assert time.monotonic() - killed < IDLE_S
        time.sleep(0.05)
    print(f"{shape}: idle {time.monotonic() - killed:.2f} s after SIGKILL")
    host.wait()


@pytest.mark.parametrize("shape", ["latency", "throughput"])
def test_ctrl_c_ends_the_kernel(shape: str) -> None:
    """SIGINT is an exception; the device is ended on the way out."""
    host = start_host(shape)
    host.send_signal(signal.SIGINT)
    assert host.wait(5) != 0


@pytest.mark.parametrize("shape", ["latency", "throughput"])
def test_a_stopped_host_loses_its_kernel_and_starts_it_again(shape: str) -> None:
    """SIGSTOP stops the heartbeat: the kernel ends; after SIGCONT the device can be restarted."""
    program = """
import os, signal, sys, time
import numpy as np
from descring_cuda import CudaDevice
from descring_host import CommandQueue, PeerDied
from descring_model import complete, streams
lines = streams.generate(400, seed=5, profile="checked")
device = CudaDevice(1 << 20, shape=sys.argv[1], heartbeat_s=0.5)
with device, CommandQueue(device) as queue:
    got = queue.exchange(lines[:200])
    print("ready", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        queue.exchange(lines[200:])
        sys.exit("the kernel lived on")
    except PeerDied as error:
        assert "heartbeat" in str(error), error
    device.restart_worker()
    rest = queue.exchange(lines[200:])
    assert np.concatenate([got, rest]).tobytes() == complete(lines).tobytes()
"""
    host = subprocess.Popen(
        [sys.executable, "-c", program, shape], stdout=subprocess.PIPE, text=True
    )
    assert host.stdout is not None
    assert host.stdout.readline() == "ready\n"
    time.sleep(1.5)
    host.send_signal(signal.SIGCONT)
    assert host.wait(20) == 0


def test_a_thousand_starts_and_stops() -> None:
    """No leak of file descriptors, host memory or GPU memory, and no hang."""
    import cupy

    lines = streams.generate(20, seed=6, profile="checked")
    expected = complete(lines)

    def cycle(turn: int) -> None:
        shape = ("latency", "throughput")[turn % 2]
        with CudaDevice(1 << 20, shape=shape) as device, CommandQueue(device) as queue:  # type: ignore[arg-type]
            assert_same(expected, queue.exchange(lines))

    def used() -> tuple[int, int, int]:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return len(list(Path("/proc/self/fd").iterdir())), pages, cupy.cuda.runtime.memGetInfo()[0]

    for turn in range(100):
        cycle(turn)
    files, pages, free = used()
    for turn in range(1000):
        cycle(turn)
    after = used()
    assert after[0] == files
    assert after[1] - pages < 512, "2 MiB of host memory"
    assert after[2] == free


def test_several_devices_at_once() -> None:
    """Rings and kernels side by side on one GPU, opened while others run."""
    devices = [CudaDevice(1 << 20, shape=("latency", "throughput")[n % 2]) for n in range(6)]
    try:
        queues = [CommandQueue(device, cmd_slots=1024) for device in devices]
        lines = [streams.generate(3000, seed=n, profile="checked") for n in range(6)]
        for queue, todo in zip(queues, lines, strict=True):
            assert queue.submit(todo[:1000]) == 1000
        for queue, todo in zip(queues, lines, strict=True):
            got = np.concatenate([queue.drain(), queue.exchange(todo[1000:])])
            assert_same(complete(todo), got)
    finally:
        for device in devices:
            device.close()


def test_one_ring_and_one_kernel_on_each_gpu() -> None:
    """In one process; skipped where there is one GPU."""
    import cupy

    count = cupy.cuda.runtime.getDeviceCount()
    if count < 2:
        pytest.skip("there is one GPU here; this needs two")
    devices = [
        CudaDevice(1 << 20, device=n, shape=shape)
        for n in range(count)
        for shape in ("latency", "throughput")
    ]
    try:
        queues = [CommandQueue(device, cmd_slots=4096) for device in devices]
        lines = [streams.generate(4000, seed=n, profile="checked") for n in range(len(devices))]
        for queue, todo in zip(queues, lines, strict=True):
            assert queue.submit(todo) == len(todo)
        for queue, todo in zip(queues, lines, strict=True):
            assert_same(complete(todo), queue.drain())
    finally:
        for device in devices:
            device.close()


def test_more_workers_than_the_gpu_holds() -> None:
    """Refused before anything is launched; a device of the right size opens after it."""
    with pytest.raises(DeviceError, match=r"at most .* blocks"):
        CudaDevice(1 << 20, shape="throughput", workers=1024)
    CudaDevice(1 << 20, shape="throughput", workers=32).close()


def test_a_kernel_that_ended_is_detected_while_waiting() -> None:
    """A poll that would wait forever raises instead."""
    with CudaDevice(1 << 20, deadline_s=0.2) as device, CommandQueue(device) as queue:
        eventually(lambda: not device._launcher.running(), "the deadline ends it")
        with pytest.raises(PeerDied, match="deadline"):
            queue.poll(1, 1.0)
