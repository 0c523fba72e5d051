# SPDX-License-Identifier: Apache-2.0
"""Streams through workers behind a bus: the golden model's bytes, whatever the rings and modes."""

import numpy as np
import pytest
from descring_host import CommandQueue
from descring_model import complete, streams
from host_support import CTRL, REG, STATUS, assert_same, eventually, run_stream, split
from remote_support import OpenRemote

NEAR_WRAP = 0xFFFFFF80


@pytest.mark.parametrize("profile", list(streams.PROFILES))
@pytest.mark.parametrize("mode", ["", "split_reward", "require_checked"])
def test_every_profile_in_every_mode(open_remote: OpenRemote, profile: str, mode: str) -> None:
    """[RING-006..RING-008] [DESC-025] [LIFE-003]: through the wrap, rings smaller than rounds."""
    count = 300 if profile == "stops" else 1500
    lines = streams.generate(count, seed=21, profile=profile, first_index=NEAR_WRAP)
    device = open_remote(first_index=NEAR_WRAP)
    modes = {mode: True} if mode else {}
    with CommandQueue(device, cmd_slots=64, done_slots=32, reward_slots=4, **modes) as queue:  # type: ignore[arg-type]
        done, reward = run_stream(queue, lines, 23)
    expected = complete(lines, first_index=NEAR_WRAP, **modes)
    if mode != "split_reward":
        assert_same(expected, done)
        return
    for want, got in zip(split(expected), (done, reward), strict=True):
        assert want.tobytes() == got.tobytes()


@pytest.mark.parametrize(
    ("cmd", "done"), [(2, 2), (2, 65536), (65536, 2), (4, 2), (1024, 512), (65536, 65536)]
)
def test_rings_of_any_size(open_remote: OpenRemote, cmd: int, done: int) -> None:
    """[RING-001] [RING-005] [RING-009]: a full done ring stalls, and nothing is lost."""
    count = 600 if min(cmd, done) < 16 else 5000
    lines = streams.generate(count, seed=22, profile="mixed", first_index=NEAR_WRAP)
    device = open_remote(16 << 20, first_index=NEAR_WRAP)
    with CommandQueue(device, cmd_slots=cmd, done_slots=done) as queue:
        got, _ = run_stream(queue, lines, 700)
    assert_same(complete(lines, first_index=NEAR_WRAP), got)


@pytest.mark.parametrize("require_checked", [False, True])
def test_lines_one_by_one(open_remote: OpenRemote, require_checked: bool) -> None:
    """[RING-002] [DB-001] [CNT-001] [DESC-025]: single lines, with every kind of completion."""
    lines = streams.generate(700, seed=23, profile="mixed", first_index=NEAR_WRAP)
    expected = complete(lines, first_index=NEAR_WRAP, require_checked=require_checked)
    device = open_remote(first_index=NEAR_WRAP)
    with CommandQueue(device, cmd_slots=8, done_slots=4, require_checked=require_checked) as queue:
        for at in range(len(lines)):
            assert queue.submit(lines[at : at + 1]) == 1
            got = queue.poll(1, 20.0)
            assert got.tobytes() == expected[at : at + 1].tobytes(), at
            assert device.read32(REG["CNT_DESCRIPTORS"]) == at + 1, "a taken completion counts"
            if device.read32(REG["STATUS"]) & STATUS["HALTED"]:
                queue.continue_after_stop()


def test_reset_in_the_middle_of_a_burst(open_remote: OpenRemote) -> None:
    """[LIFE-001] [LIFE-004]: nothing is written after it, and the next life starts afresh."""
    device = open_remote(8 << 20)
    lines = streams.generate(20000, seed=24, profile="checked")
    for turn in range(20):
        with CommandQueue(device, cmd_slots=32768, when_full="short") as queue:
            queue.submit(lines[: 20000 - turn])
            device.write32(REG["CTRL"], CTRL["RESET"])
            before = device.memory.copy()
            assert device.read32(REG["DONE_TAIL"]) == 0
            assert (device.memory == before).all()
    with CommandQueue(device, cmd_slots=1024) as queue:
        assert_same(complete(lines[:5000]), queue.exchange(lines[:5000]))


def test_pause_and_go_on_in_a_burst(open_remote: OpenRemote) -> None:
    """[LIFE-007] [RING-009]: after each pause heads and tails agree, and nothing gets lost."""
    device = open_remote(16 << 20)
    lines = streams.generate(60000, seed=25, profile="decode")
    with CommandQueue(device, cmd_slots=65536, when_full="short") as queue:
        assert queue.submit(lines) == len(lines)
        for _ in range(30):
            device.write32(REG["CTRL"], 0)
            assert device.read32(REG["CMD_HEAD"]) == device.read32(REG["DONE_TAIL"])
            device.write32(REG["CTRL"], CTRL["ENABLE"])
        eventually(lambda: device.read32(REG["DONE_TAIL"]) == len(lines), "all are completed")
        assert_same(complete(lines), queue.drain())


def test_lines_behind_a_stop_stay_untouched(open_remote: OpenRemote) -> None:
    """[LIFE-003]: whatever was claimed with it; RESUME runs them all."""
    lines = streams.generate(400, seed=26, profile="nop")
    lines["opcode"][[7, 8, 150, 399]] = 255
    device = open_remote()
    with CommandQueue(device, cmd_slots=512) as queue:
        queue.submit(lines)
        for stops in (7, 8, 150, 399):
            eventually(queue.__class__.halted.fget.__get__(queue), "it halts")  # type: ignore[attr-defined]
            assert device.read32(REG["CMD_HEAD"]) == device.read32(REG["DONE_TAIL"]) == stops + 1
            slots = device.memory[queue.geometry.done_base :][64 * (stops + 1) :][:64]
            assert not slots.any(), "nothing is written behind the STOP"
            queue.continue_after_stop()
        assert_same(complete(lines), queue.drain())


def test_large_batches_keep_their_order(open_remote: OpenRemote) -> None:
    """[RING-007]: rounds that run side by side, tags and all."""
    lines = streams.generate(40000, seed=27, profile="checked")
    device = open_remote(16 << 20)
    with CommandQueue(device, cmd_slots=16384) as queue:
        got = queue.exchange(lines)
    assert_same(complete(lines), got)
    assert np.unique(got["checksum_or_cookie"].astype(np.uint32)).size == len(lines)
