# SPDX-License-Identifier: Apache-2.0
"""How workers behind a bus end, and how a host detects it and resumes."""

import ctypes
import time

import pytest
from descring_cuda import RemoteDevice
from descring_host import CommandQueue, DeviceClosed, DeviceError, PeerDied
from descring_host.native import lib
from descring_model import complete, streams
from emulated import EmulatedLauncher, emulator, open_emulated
from host_support import REG, assert_same, eventually
from linked_worker import REPORT, ScriptedWorker
from remote_support import OpenRemote

LINK_WORDS = 13
NEWEST, ENDED, PATIENCE = 4, 8, 11
NO_BEAT = 2


def test_a_deadline_ends_the_worker_and_a_new_one_resumes(open_remote: OpenRemote) -> None:
    """The state survives: the lines that were not completed are completed by the next worker."""
    device = open_remote(deadline_s=0.3)
    lines = streams.generate(600, seed=31, profile="checked")
    with CommandQueue(device, cmd_slots=1024) as queue:
        first = queue.exchange(lines[:300])
        eventually(lambda: not device._launcher.running(), "the deadline ends it")
        with pytest.raises(PeerDied, match=r"deadline of 0.3 s.*index 300.*restart_worker"):
            queue.drain() if queue.in_flight else device.check_peer()
        with pytest.raises(PeerDied):
            queue.submit(lines[300:])
        device.restart_worker()
        rest = queue.exchange(lines[300:])
    assert_same(complete(lines)[:300], first)
    assert_same(complete(lines)[300:], rest)


def test_a_worker_is_not_started_on_a_state_that_cannot_be() -> None:
    """The word is named, and the device stays without a worker until it is reset."""
    worker = ScriptedWorker()
    with RemoteDevice(worker, 1 << 16) as device:
        worker.report(0)
        worker.words(REPORT)[3] += 1
        lib.hd_stop_remote(device._device)
        eventually(lambda: not worker.running(), "the worker ends")
        with pytest.raises(DeviceError, match="the report of the remote worker: expected"):
            device.restart_worker()


@pytest.mark.parametrize("shape", ["latency", "throughput"])
def test_a_worker_without_a_heartbeat_ends(shape: str) -> None:
    """Its host is dead or stopped: it ends within its patience, and reports why."""
    launcher = EmulatedLauncher(emulator(), shape)
    with open_emulated(shape) as device:
        words = (ctypes.c_uint64 * LINK_WORDS).from_address(lib.hd_link(device._device))
        # A link whose host writes nothing: the mail is a copy, and so is the word to end with.
        silent = (ctypes.c_uint64 * LINK_WORDS)(*words)
        own = launcher.allocate(4096)
        silent[NEWEST], silent[ENDED] = ctypes.addressof(own), ctypes.addressof(own) + 1024
        silent[PATIENCE] = 200_000_000
        start = time.monotonic()
        launcher.launch(ctypes.addressof(silent))
        eventually(lambda: not launcher.running(), "it ends")
        assert time.monotonic() - start >= 0.2
        assert ctypes.c_uint32.from_address(ctypes.addressof(own) + 1024).value == NO_BEAT


def test_closing_ends_the_worker(open_remote: OpenRemote) -> None:
    """Also when repeated, and with lines in flight; a closed device raises an error."""
    device = open_remote(8 << 20)
    with CommandQueue(device, cmd_slots=32768, when_full="short") as queue:
        queue.submit(streams.generate(20000, seed=32, profile="decode"))
        device.close()
        device.close()
        assert not device._launcher.running()
        with pytest.raises(DeviceClosed):
            device.read32(REG["ID"])


def test_a_forgotten_device_ends_its_worker(open_remote: OpenRemote) -> None:
    """An exception that leaves it unclosed must not leave a worker behind."""
    device = open_emulated("latency")
    launcher = device._launcher
    del device
    eventually(lambda: not launcher.running(), "it ends")


def test_many_starts_and_stops(open_remote: OpenRemote) -> None:
    """No start finds anything of the one before."""
    lines = streams.generate(50, seed=33, profile="checked")
    for _ in range(20):
        with open_remote() as device, CommandQueue(device, cmd_slots=64) as queue:
            assert_same(complete(lines), queue.exchange(lines))


def test_a_running_worker_is_not_restarted(open_remote: OpenRemote) -> None:
    """The message gives the reason."""
    with pytest.raises(DeviceError, match="nothing to restart"):
        open_remote().restart_worker()


@pytest.mark.parametrize(
    ("option", "value"),
    [("heartbeat_s", 0.0), ("heartbeat_s", 61.0), ("deadline_s", 0.0), ("memory", 0)],
)
def test_options_out_of_range(option: str, value: float) -> None:
    """``ValueError`` before anything is started."""
    with pytest.raises(ValueError, match="expected"):
        RemoteDevice(EmulatedLauncher(emulator(), "latency"), **{option: value})  # type: ignore[arg-type]
