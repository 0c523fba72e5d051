# SPDX-License-Identifier: Apache-2.0
"""The interactive bridge: whole completions, each exactly once, and every port within reach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from descring_host.completion import LINE_STRUCT, Completion
from descring_model import DESC_DTYPE, Lines, complete, contract, streams
from descring_sim.support import paths
from descring_sim.verilated.pin_bridge import PATIENCE, Bridge, BridgeError

DEPTH = 4
REG = contract.OFFSET


@pytest.fixture(scope="module")
def built() -> Bridge:
    """The model, compiled once."""
    return Bridge(workers=2, depth=DEPTH)


@pytest.fixture
def bridge(built: Bridge) -> Iterator[Bridge]:
    """A device out of reset."""
    built.reset()
    yield built
    built.close()


def completions_of(lines: Lines) -> list[Completion]:
    """What the golden model results, as the bridge gives it."""
    return [Completion(*LINE_STRUCT.unpack(line.tobytes())) for line in complete(lines)]


def polled(bridge: Bridge, count: int) -> list[Completion]:
    """Poll every cycle until so many completions arrive."""
    actual: list[Completion] = []
    for _ in range(PATIENCE):
        completion = bridge.poll_completion()
        if completion is not None:
            actual.append(completion)
        if len(actual) == count:
            return actual
        bridge.tick()
    raise AssertionError(f"{len(actual)} of {count} completions")


def test_a_completion_carries_every_field(bridge: Bridge) -> None:
    """[DESC-014]: all thirteen, as wide as the contract has them."""
    line = np.zeros(1, dtype=DESC_DTYPE)
    for number, field in enumerate(contract.FIELDS):
        line[field.name] = (1 << field.bits) - 1 - number
    line["opcode"], line["flags"] = contract.OPCODE["NOP"], contract.FLAG["COW_PREFIX"]
    assert bridge.submit(line)
    bridge.set_completion_ready(True)
    assert polled(bridge, 1) == completions_of(line)


def test_decode_and_stop_are_submitted_as_the_host_writes_them(bridge: Bridge) -> None:
    """[DESC-024] [DEC-002] [LIFE-003]: a STOP halts, and resume() continues."""
    bridge.set_completion_ready(True)
    assert bridge.submit_decode(70000, 1 << 40, 5, 3, seq_len=30, max_tokens=40, checked=True)
    assert bridge.submit_stop(user_data=9)
    assert bridge.submit_decode(2, seq_len=0, max_tokens=2)
    first, stop = polled(bridge, 2)
    assert (first.rollout_id, first.kv_offset, first.prefix_id) == (70000, 1 << 40, 3)
    assert first.flags & contract.FLAG["COW_PREFIX"]
    assert (first.seq_len, first.status) == (32, contract.STATUS["REWARD_NEEDED"])
    assert (stop.status, stop.user_data) == (contract.STATUS["STOPPED"], 9)
    bridge.tick(50)
    assert bridge.poll_completion() is None
    bridge.resume()
    (last,) = polled(bridge, 1)
    assert (last.rollout_id, last.seq_len) == (2, 2)


def test_a_poll_without_ready_never_returns_a_line_twice(bridge: Bridge) -> None:
    """It may be examined once; raising ready afterwards does not bring it back."""
    for number in range(2):
        assert bridge.submit_decode(number + 1)
    bridge.tick(20)
    first = bridge.poll_completion()
    assert first is not None
    assert first.rollout_id == 1
    for _ in range(5):
        assert bridge.poll_completion() is None
        bridge.tick()
    assert bridge.peek("done_valid_o") == 1, "it stays in the device"
    assert bridge.read32(REG["DONE_HEAD"]) == 0
    bridge.set_completion_ready(True)
    (second,) = polled(bridge, 1)
    assert second.rollout_id == 2
    bridge.tick(20)
    assert bridge.poll_completion() is None
    assert bridge.read32(REG["DONE_HEAD"]) == 2


def test_nothing_is_lost_while_ready_stays_high(bridge: Bridge) -> None:
    """More lines than the rings hold, polled only at the end."""
    lines = streams.generate(40, seed=41, profile="nop")
    bridge.set_completion_ready(True)
    for number in range(len(lines)):
        for _ in range(PATIENCE):
            if bridge.submit(lines[number : number + 1]):
                break
        else:
            raise AssertionError("no room")
    bridge.tick(50)
    actual = [bridge.poll_completion() for _ in range(len(lines))]
    assert actual == completions_of(lines)
    assert bridge.poll_completion() is None


def test_toggling_ready_loses_and_repeats_nothing(bridge: Bridge) -> None:
    """Whatever the pattern of ready and polls."""
    rng = np.random.default_rng(42)
    lines = streams.generate(60, seed=43, profile="boundary")
    actual: list[Completion] = []
    sent = 0
    for _ in range(PATIENCE):
        bridge.set_completion_ready(bool(rng.random() < 0.5))
        if sent < len(lines) and bridge.submit(lines[sent : sent + 1]):
            sent += 1
        bridge.tick(int(rng.integers(0, 4)))
        if rng.random() < 0.7:
            completion = bridge.poll_completion()
            actual += [completion] if completion is not None else []
        if len(actual) == len(lines):
            break
    assert actual == completions_of(lines)


def test_two_rings_are_polled_together_or_apart(bridge: Bridge) -> None:
    """[RING-008]."""
    bridge.reset(split_reward=True)
    bridge.set_completion_ready(True)
    assert bridge.submit_decode(1, seq_len=31, max_tokens=99)
    assert bridge.submit_decode(2)
    bridge.tick(30)
    reward, done = bridge.poll_completion("reward"), bridge.poll_completion("done")
    assert reward is not None
    assert done is not None
    assert (reward.rollout_id, done.rollout_id) == (1, 2)
    with pytest.raises(ValueError, match="done or reward"):
        bridge.poll_completion("command")


def test_a_full_ring_refuses_a_line(bridge: Bridge) -> None:
    """[RING-005]: and takes it once there is room."""
    taken = 0
    for _ in range(4 * DEPTH):
        taken += bridge.submit_decode(taken)
        bridge.tick(40)
    # Completions fill the done ring, workers hold two more, the register in front of them one.
    assert taken == 2 * DEPTH
    bridge.set_completion_ready(True)
    assert [item.rollout_id for item in polled(bridge, taken)] == list(range(taken))
    assert bridge.submit_decode(99)


def test_indices_start_anywhere(bridge: Bridge) -> None:
    """[RING-012] [RING-002]: through the wrap."""
    bridge.reset(first_index=2**32 - 1)
    bridge.set_completion_ready(True)
    for number in range(3):
        assert bridge.submit_decode(number, checked=True)
    assert bridge.next_index == 2
    assert [item.rollout_id for item in polled(bridge, 3)] == [0, 1, 2]
    assert bridge.read32(REG["CNT_ERRORS"]) == 0


def test_ports_are_peeked_and_poked(bridge: Bridge) -> None:
    """By name; a value or a name that cannot be is refused."""
    assert bridge.ports["line_data_i"] == contract.DESC_BITS
    value = (1 << 511) | 5
    bridge.poke("line_data_i", value)
    assert bridge.peek("line_data_i") == value
    before = bridge.cycles
    bridge.tick(7)
    assert bridge.cycles == before + 7
    with pytest.raises(BridgeError, match=r"expected a port out of.*line_ready_o"):
        bridge.peek("nothing")
    with pytest.raises(BridgeError, match="expected a port out of"):
        bridge.poke("line_ready_o", 1)
    with pytest.raises(BridgeError, match=r"0 to 2\^1 - 1"):
        bridge.poke("reg_valid_i", 2)
    with pytest.raises(ValueError, match="rollout_id"):
        bridge.submit_decode(1 << 32)


def test_waves_are_turned_on_and_off(bridge: Bridge, tmp_path: Path) -> None:
    """A file of more cycles is larger; without a recording nothing is written."""
    sizes = []
    for cycles in (10, 2000):
        file = tmp_path / f"{cycles}.fst"
        bridge.waves_on(file)
        for number in range(cycles):
            bridge.submit_decode(number)
        bridge.waves_off()
        sizes.append(file.stat().st_size)
        bridge.tick(5)
        assert file.stat().st_size == sizes[-1]
    assert sizes[1] > sizes[0] > 0


def test_two_bridges_live_side_by_side(bridge: Bridge) -> None:
    """Also of one library: each has its own state."""
    with Bridge(workers=2, depth=DEPTH) as other:
        assert bridge.submit_decode(7)
        for each in (bridge, other):
            each.set_completion_ready(True)
            each.tick(20)
        assert other.poll_completion() is None
        assert [item.rollout_id for item in polled(bridge, 1)] == [7]


def test_a_failure_of_the_rtl_is_an_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names file and line, and this process lives on."""
    rtl = tmp_path / "rtl"
    rtl.mkdir()
    for file in paths.rtl_dir().iterdir():
        text = file.read_text()
        if file.name == "mmio_regs.sv":
            old = "locked_q <= locked_q || (ask_enable && config_ok);"
            assert old in text
            text = text.replace(old, "locked_q <= 1'b0;")
        (rtl / file.name).write_text(text)
    monkeypatch.setattr(paths, "rtl_dir", lambda: rtl)
    bridge = Bridge(workers=1, depth=2)
    with pytest.raises(BridgeError, match=r"mmio_regs\.sv:\d+: an assertion of the RTL; cycle 4"):
        bridge.tick()
