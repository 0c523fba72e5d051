# SPDX-License-Identifier: Apache-2.0
"""Words of a device's memory that somebody else wrote: an error that names the word, no crash."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from descring_host import CommandQueue, CpuDevice, DeviceError
from descring_host.native import lib
from descring_model import complete, contract
from host_support import PATIENCE_S, REG, assert_same, decode, eventually

NATIVE = Path(__file__).resolve().parents[1] / "native"
INCLUDE = NATIVE.parent / "include"
Words = npt.NDArray[np.uint32]
HEAD, TAIL = contract.RING_HEAD_OFFSET, contract.RING_TAIL_OFFSET
STORES = 3000
"""Of the short run, a region; nightly stores a million into each."""


@pytest.fixture(params=[False, True], ids=["threads", "process"])
def device(request: pytest.FixtureRequest) -> CpuDevice:
    """A device that the test may break."""
    opened = CpuDevice(1 << 16, process=request.param)
    request.addfinalizer(opened.close)
    return opened


def _add(word: Words, stray: int) -> None:
    word[0] = (int(word[0]) + stray) & 0xFFFFFFFF


def _word(device: CpuDevice, base: int, offset: int) -> Words:
    start = base - contract.RING_SLOTS_OFFSET + offset
    return device.memory[start : start + 4].view(np.uint32)


@pytest.mark.parametrize("stray", [999, 65000, -1, -14, 1 << 31])
def test_a_stray_tail_of_the_done_ring_is_an_error_that_names_it(
    device: CpuDevice, stray: int
) -> None:
    """[RING-004] [RING-010]: poll() copies no byte of it, and a reset makes the device whole."""
    queue = CommandQueue(device, cmd_slots=16)
    queue.exchange(decode(0, 1, 20))
    _add(_word(device, queue.geometry.done_base, TAIL), stray)
    for call in (queue.poll, lambda: queue.poll(timeout_s=1.0), queue.next_completion):
        with pytest.raises(DeviceError, match=r"DONE_TAIL: expected 20 to 36 .*, got"):
            call()
    again = CommandQueue(device, cmd_slots=16)
    assert_same(complete(decode(0, 1, 40)), again.exchange(decode(0, 1, 40)))


@pytest.mark.parametrize("stray", [14, 65000, -10, 1 << 31])
def test_a_stray_head_of_the_command_ring_is_an_error_that_names_it(
    device: CpuDevice, stray: int
) -> None:
    """[RING-004] [RING-009]: room is never more than the ring has slots."""
    queue = CommandQueue(device, cmd_slots=16, when_full="short")
    queue.exchange(decode(0, 1, 20))
    _add(_word(device, queue.geometry.cmd_base, HEAD), stray)
    with pytest.raises(DeviceError, match=r"CMD_HEAD: expected .* to 2\d .*, got"):
        for _ in range(20):
            queue.submit(decode(0, 1, 16))
    again = CommandQueue(device, cmd_slots=16)
    assert_same(complete(decode(0, 1, 40)), again.exchange(decode(0, 1, 40)))


def _words(device: CpuDevice) -> Words:
    words = np.frombuffer(memoryview(device._segment._mapping), dtype=np.uint32)
    return words[: lib.hd_header_bytes() // 4]


@pytest.mark.parametrize("register", ["CMD_TAIL", "DONE_HEAD"])
def test_a_stray_index_of_the_device_stops_the_worker_and_the_host_reports_it(
    device: CpuDevice, register: str
) -> None:
    """[DB-002] [RING-010]: the worker computes nothing that was not published."""
    queue = CommandQueue(device, cmd_slots=16, timeout_s=PATIENCE_S)
    queue.exchange(decode(0, 1, 7))
    words = _words(device)
    tail, head = np.flatnonzero(words == 7)[:2]  # the doorbell's and the done ring's, in this order
    place = tail if register == "CMD_TAIL" else head
    words[place] += 5000

    def reported() -> bool:
        try:
            if register == "DONE_HEAD":
                queue.submit(decode(0, 1, 1))
            queue.poll()
        except DeviceError as error:
            return f"corrupt: {register}" in str(error)
        return False

    eventually(reported, f"an error that names {register}")
    with pytest.raises(DeviceError, match=f"corrupt: {register}"):
        queue.submit(decode(0, 1, 1))
    again = CommandQueue(device, cmd_slots=16)
    assert_same(complete(decode(0, 1, 40)), again.exchange(decode(0, 1, 40)))


def test_a_worker_refuses_rings_that_do_not_fit_into_the_window() -> None:
    """[LIFE-002]: ``serve --restart`` on a bad base reports the register and ends."""
    with CpuDevice(1 << 16, process=True) as device:
        CommandQueue(device, cmd_slots=16).exchange(decode(0, 1, 3))
        assert device._server is not None
        device._server.kill()
        device._server.wait()
        words = _words(device)
        done_base = device.read32(REG["DONE_BASE_LO"])
        (place,) = np.flatnonzero(words == done_base)[:1]
        for bad in (0xFFFFFF80, done_base + 1, 1 << 16):
            words[place] = bad
            with pytest.raises(DeviceError, match="DONE_BASE: expected"):
                device.restart_worker()
        words[place] = done_base
        sizes = words[place - 3 : place - 2]  # before the CMD ring's base
        good = device.read32(REG["RING_LOG2"])
        assert sizes == good
        for bad in (0x040400, 0x041104):
            sizes[0] = bad
            text = rf"RING_LOG2: expected 65793 to 1052688 \(modulo 2\^32\), got {bad}\b"
            with pytest.raises(DeviceError, match=text):
                device.restart_worker()
        sizes[0] = good
        device.restart_worker()
        queue = CommandQueue(device, adopt_running=True)
        assert_same(complete(decode(0, 1, 40)), queue.exchange(decode(0, 1, 40)))


SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def _compiled_fuzz(folder: Path, native: Path) -> Path:
    """The fuzz over the core in ``native``, its threads as fibers; a seed repeats a run."""
    check = NATIVE / "check"
    sources = [
        *sorted(native.glob("*.c")),
        *(check / f"{n}.c" for n in ("fuzz", "fuzz_rig", "fibers")),
    ]
    flags = ["-std=c11", "-g", "-O1", "-fno-strict-aliasing", "-pthread", *SANITIZERS]
    flags += ["-DHW_PATIENCE_DIVISOR=100", f"@{check / 'fibers.options'}"]
    flags += [f"-I{native}", f"-I{INCLUDE}", "-o", str(folder / "fuzz")]
    subprocess.run(["cc", *flags, *map(str, sources)], check=True, timeout=300)
    return folder / "fuzz"


def _run_fuzz(program: Path, stores: int, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), str(stores), *options],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow
def test_random_stores_into_a_live_segment(tmp_path: Path) -> None:
    """[RING-006] [RING-009] [RING-010]: no crash, no hang, nothing wrong that passes for right.

    Nightly stores a million into each region: ``host/native/check/sanitize.sh fuzz 1000000``.
    """
    run = _run_fuzz(_compiled_fuzz(tmp_path, NATIVE), STORES)
    assert run.returncode == 0, run.stdout + run.stderr
    rows = [line for line in run.stdout.splitlines() if " stores, " in line]
    assert len(rows) == 23
    assert all(int(row.split(": ")[1].split()[0]) >= STORES for row in rows), run.stdout
    rejected = sum(int(row.split(" of them rejected")[0].split()[-1]) for row in rows)
    assert rejected > 0, "no store has hit a line on its way"


UNCHECKED = {
    "CMD_HEAD": (
        "submit.c",
        "if (head - queue->cmd_head > queue->cmd_tail - queue->cmd_head) {",
        "if (0) {",
        "command ring's indices",
    ),
    "CMD_HEAD, checked and then loaded again": (
        "submit.c",
        "  queue->cmd_head = head;\n",
        "  queue->cmd_head = head = hw_get(queue->cmd_head_word);\n",
        "command ring's indices",
    ),
    "DONE_TAIL": (
        "completions.c",
        "if (count <= side->slots) {",
        "if (1) {",
        "done ring's indices",
    ),
    "bases and sizes": (
        "worker.c",
        "if (hw_check_rings(device, &geometry, words ? HW_RING_SLOTS_OFFSET : 0)) {",
        "if (0) {",
        "registers",
    ),
    "the lock, without a limit": (
        "gate.c",
        "if ((int64_t)(hw_now() - start) > LOCK_NS) {",
        "if (0) {",
        "lock",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "word",
    [pytest.param(word, marks=[pytest.mark.nightly] * (word != "CMD_HEAD")) for word in UNCHECKED],
)
def test_random_stores_find_a_word_that_is_not_checked(word: str, tmp_path: Path) -> None:
    """Else a run without a finding would mean nothing."""
    file, search, replace, region = UNCHECKED[word]
    native = tmp_path / "native"
    shutil.copytree(NATIVE, native)
    source = native / file
    text = source.read_text()
    assert text.count(search) == 1
    source.write_text(text.replace(search, replace))
    run = _run_fuzz(_compiled_fuzz(tmp_path, native), 100_000, "8", region)
    assert run.returncode != 0, run.stdout
    assert "rerun: fuzz" in run.stderr or "Sanitizer" in run.stderr or "runtime error" in run.stderr


@pytest.mark.skipif(
    shutil.which("spin") is None, reason="spin is not installed: apt-get install spin"
)
def test_the_models_of_the_protocols_hold_and_can_fail() -> None:
    """[RING-003] [RING-006] [LIFE-007]: each model at small sizes, and each with an injected error.

    Nightly checks larger sizes: ``host/native/models/check.sh --nightly``.
    """
    run = subprocess.run(
        [str(NATIVE / "models" / "check.sh")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count(": holds") >= 5
    assert run.stdout.count(": fails") >= 3
