# SPDX-License-Identifier: Apache-2.0
"""A host that does anything in any order gets the bytes of complete()."""

from descring_model import complete, decoded_tokens, goes_to_reward
from hypothesis import given, settings
from hypothesis import strategies as st
from model_support import (
    ENABLE,
    HALTED,
    REQUIRE_CHECKED,
    SPLIT_REWARD,
    U32,
    Host,
    first_indices,
    generated,
    lines_of,
    packed,
)
from scalar_reference import ERROR

ACTS = ["place", "ring", "submit", "poll", "poll one", "resume", "pause", "early", "late"]


@given(
    st.data(),
    first_indices,
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([0, SPLIT_REWARD, REQUIRE_CHECKED, SPLIT_REWARD | REQUIRE_CHECKED]),
)
@settings(max_examples=120)
def test_any_interleaving_gives_the_bytes_of_complete(
    data: st.DataObject, first_index: int, cmd: int, done: int, reward: int, mode: int
) -> None:
    """[RING-001] [RING-002] [RING-003] [RING-005] [RING-006] [RING-007] [RING-008] [RING-012]

    Also [DB-002] [DB-003] [LIFE-003] [LIFE-007] [CNT-001]: rings of any size, indices through
    2^32, doorbells early, late, repeated and illegal, pauses, and a RESUME at any moment.
    """
    stream = data.draw(generated(first_index, max_size=30))
    lines = lines_of(*stream)
    split = bool(mode & SPLIT_REWARD)
    expected = complete(
        lines,
        first_index=first_index,
        require_checked=bool(mode & REQUIRE_CHECKED),
        split_reward=split,
    )
    to_reward = goes_to_reward(expected) & split

    host = Host(cmd, done, reward, mode=mode, first_index=first_index)
    waiting = list(stream)
    answered: dict[str, list[bytes]] = {"DONE": [], "REWARD": []}
    bad_doorbells = 0

    def place(count: int) -> None:
        host.place(waiting[:count])
        del waiting[:count]

    # A drawn script, and then the plain loop of a host until everything is completed.
    script = data.draw(st.lists(st.sampled_from(ACTS), max_size=80))
    for act in script + ["drain", "poll", "resume"] * 100:
        if sum(map(len, answered.values())) == len(stream):
            break
        room = min(host.room(), len(waiting))
        if act == "drain":
            place(room)
        elif act in ("place", "submit"):
            place(data.draw(st.integers(0, room)))
        if act in ("ring", "submit", "drain"):
            host.ring()
        elif act.startswith("poll"):
            for ring, taken in answered.items():
                taken += host.poll(ring, 1 if act == "poll one" else None)
        elif act == "resume":
            host.resume()
        elif act == "pause":
            host.write("CTRL", mode)
            before = host.read("DONE_TAIL"), host.read("REWARD_TAIL")
            for ring, taken in answered.items():
                taken += host.poll(ring)
            assert (host.read("DONE_TAIL"), host.read("REWARD_TAIL")) == before
            host.write("CTRL", ENABLE | mode)
        elif act == "early":
            host.write("DOORBELL", (host.read("CMD_HEAD") + (1 << cmd) + 1) % U32)
            bad_doorbells += 1
        elif act == "late":
            host.write("DOORBELL", (host.read("CMD_TAIL") - 1) % U32)
            bad_doorbells += 1

    assert answered["DONE"] == packed(expected[~to_reward])
    assert answered["REWARD"] == packed(expected[to_reward])
    assert (host.read("CMD_HEAD") - first_index) % U32 == len(stream)
    assert host.read("CNT_DESCRIPTORS") == len(stream)
    assert host.read("CNT_TOKENS_LO") == int(decoded_tokens(lines, expected).sum())
    assert host.read("CNT_ERRORS") == sum(int(flags) & ERROR != 0 for flags in expected["flags"])
    assert host.read("CNT_BAD_DOORBELLS") == bad_doorbells


@given(st.data(), st.integers(U32 - 8, U32 - 1), st.integers(1, 3))
def test_registers_at_rest_are_a_function_of_the_stream(
    data: st.DataObject, first_index: int, done: int
) -> None:
    """[RING-009] [CNT-001] [RING-002] However the host went about it, the same registers."""
    stream = data.draw(generated(first_index, max_size=16))
    names = ["CMD_HEAD", "CMD_TAIL", "DONE_TAIL", "REWARD_TAIL", "CNT_DESCRIPTORS", "CNT_ERRORS"]
    names += ["CNT_TOKENS_LO", "STATUS"]
    registers = []
    for step in (1, 16):
        host = Host(4, done, first_index=first_index)
        for start in range(0, len(stream), step):
            host.submit(*stream[start : start + step])
            for _ in range(20):
                host.poll()
                if host.read("STATUS") & HALTED:
                    host.resume()
        host.poll()
        host.resume()
        registers.append([host.read(name) for name in names])
    assert registers[0] == registers[1]
