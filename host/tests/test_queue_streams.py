# SPDX-License-Identifier: Apache-2.0
"""Streams through the queue: every backend returns the golden model's bytes."""

import numpy as np
import pytest
from conftest import OpenBackend
from descring_host import CommandQueue, DeviceError
from descring_model import complete, crc32c, line_bytes, streams
from host_support import FLAG, OPCODE, REG, assert_same, decode, run_stream, split

NEAR_WRAP = 0xFFFFFF80
STREAM = 3000


@pytest.mark.parametrize("profile", list(streams.PROFILES))
def test_every_profile_comes_back_as_the_model_says(
    open_backend: OpenBackend, profile: str
) -> None:
    """[RING-006] [RING-007] [DESC-014] [LIFE-003]: through the wrap of the indices, small rings."""
    lines = streams.generate(
        open_backend.lines(STREAM), seed=11, profile=profile, first_index=NEAR_WRAP
    )
    device = open_backend(first_index=NEAR_WRAP)
    with CommandQueue(device, cmd_slots=64, done_slots=32) as queue:
        done, _ = run_stream(queue, lines, 23)
    assert_same(complete(lines, first_index=NEAR_WRAP), done)


def test_two_completion_rings_keep_order_each(open_backend: OpenBackend) -> None:
    """[RING-008] [DESC-023]: the reward ring smaller than the done ring, tags counted apart."""
    lines = streams.generate(
        open_backend.lines(STREAM), seed=12, profile="mixed", first_index=NEAR_WRAP
    )
    device = open_backend(first_index=NEAR_WRAP)
    with CommandQueue(
        device, cmd_slots=64, done_slots=32, reward_slots=4, split_reward=True
    ) as queue:
        done, reward = run_stream(queue, lines, 50)
    expected = split(complete(lines, first_index=NEAR_WRAP, split_reward=True))
    assert_same(expected[0], done)
    assert_same(expected[1], reward)


def test_require_checked_refuses_lines_without_it(open_backend: OpenBackend) -> None:
    """[DESC-025] [ERR-001]: every completion carries CHECKED, tag and checksum."""
    lines = streams.generate(open_backend.lines(STREAM), seed=13, profile="mixed")
    with CommandQueue(open_backend(), cmd_slots=256, require_checked=True) as queue:
        done, _ = run_stream(queue, lines, 100)
    assert_same(complete(lines, require_checked=True), done)
    assert ((done["flags"] & FLAG["CHECKED"]) != 0).all()


def test_counters_tell_what_the_stream_did(open_backend: OpenBackend) -> None:
    """[CNT-001]: descriptors, tokens and errors at rest are a function of the stream."""
    lines = streams.generate(open_backend.lines(STREAM), seed=14, profile="mixed")
    device = open_backend()
    with CommandQueue(device, cmd_slots=128) as queue:
        done, _ = run_stream(queue, lines, 60)
        low, high = (device.read32(REG[f"CNT_TOKENS_{half}"]) for half in ("LO", "HI"))
        assert device.read32(REG["CNT_DESCRIPTORS"]) == len(lines)
        assert device.read32(REG["CNT_ERRORS"]) == ((done["flags"] & FLAG["ERROR"]) != 0).sum()
    decoded = np.isin(lines["opcode"], (OPCODE["DECODE"], OPCODE["ROLLOUT"]))
    grown = done["seq_len"].astype(np.uint64) - lines["seq_len"].astype(np.uint64)
    assert high << 32 | low == int(grown[decoded].sum()) > 0


def test_sealed_lines_are_accepted_and_come_back_sealed(open_backend: OpenBackend) -> None:
    """[DESC-020] [DESC-022] [DESC-023]: seal() writes tags of the next indices."""
    with CommandQueue(open_backend(first_index=7), cmd_slots=16, require_checked=True) as queue:
        for _ in range(3):
            plain = decode(5, 9, 10)
            first = queue.next_index
            sealed = queue.seal(plain)
            assert not (plain["flags"] & FLAG["CHECKED"]).any(), "seal() works on a copy"
            tags = sealed["checksum_or_cookie"].astype(np.uint32)
            assert tags.tolist() == list(range(first, first + 10))
            assert queue.submit(sealed) == 10
            back = queue.drain()
            assert (back["seq_len"] == 9).all()
            assert ((back["flags"] & FLAG["DONE"]) != 0).all()
            checksums = (back["checksum_or_cookie"] >> np.uint64(32)).astype(np.uint32)
            assert (crc32c(line_bytes(back)[:, :60]) == checksums).all()


@pytest.mark.parametrize(("checked", "seal"), [(False, False), (False, True), (True, True)])
@pytest.mark.parametrize("split_reward", [False, True])
def test_resume_chains_rollouts_to_done(
    open_backend: OpenBackend, split_reward: bool, checked: bool, seal: bool
) -> None:
    """[DEC-005] [DEC-002]: legs end at multiples of 32 and join up; other fields stay.

    CHECKED lines are sealed for every leg, whether the queue writes such lines itself or not.
    """
    with CommandQueue(
        open_backend(), cmd_slots=16, split_reward=split_reward, checked=checked
    ) as queue:
        start = np.concatenate([decode(3, 200), decode(31, 97), decode(5, 5), decode(0, 31)])
        start["rollout_id"] = [1, 2, 3, 4]
        start["user_data"] = [9, 9, 8, 7]
        first = queue.exchange(start, seal=seal)
        assert first["seq_len"].tolist() == [32, 32, 5, 31]
        last = queue.resume(first)
        assert queue.in_flight == 0
    assert last["seq_len"].tolist() == [200, 97, 5, 31]
    for name in ("rollout_id", "user_data", "max_tokens", "kv_offset"):
        assert (last[name] == start[name]).all(), name
    assert ((last["flags"] & FLAG["DONE"]) != 0).all()
    assert ((last["flags"] & FLAG["ERROR"]) == 0).all()
    assert (((last["flags"] & FLAG["CHECKED"]) != 0) == seal).all()


def test_exchange_carries_more_lines_than_the_rings_hold(open_backend: OpenBackend) -> None:
    """[RING-005]: nothing is dropped where rings are full; order is kept with two rings too."""
    lines = streams.generate(open_backend.lines(600), seed=15, profile="decode")
    for split_reward in (False, True):
        with CommandQueue(
            open_backend(), cmd_slots=8, done_slots=4, split_reward=split_reward
        ) as queue:
            assert_same(complete(lines), queue.exchange(lines))


def test_exchange_and_resume_want_the_queue_to_themselves(open_backend: OpenBackend) -> None:
    """[RING-007]: completions of other lines are never taken for one's own."""
    with CommandQueue(open_backend(), cmd_slots=16) as queue:
        queue.submit(decode(0, 1, 2))
        with pytest.raises(DeviceError, match=r"2 descriptors are in flight; call drain\(\) first"):
            queue.exchange(decode(0, 1, 1))
        assert len(queue.drain()) == 2
        plain, checked = queue.exchange(decode(0, 99)), queue.exchange(decode(0, 99), seal=True)
        with pytest.raises(ValueError, match="all or none of the lines CHECKED"):
            queue.resume(np.concatenate([plain, checked]))
        assert queue.in_flight == 0
