# SPDX-License-Identifier: Apache-2.0
"""complete() against the scalar reference, and properties that hold for any stream."""

import numpy as np
import pytest
import scalar_reference as ref
from descring_model import complete, decoded_tokens, goes_to_reward, streams
from hypothesis import given, settings
from hypothesis import strategies as st
from model_support import (
    U32,
    checked,
    descs,
    first_indices,
    lengths,
    lines_of,
    one,
    packed,
    submissions,
)
from scalar_reference import CHECKED, DECODE, DONE, ERROR, NEEDS_REWARD, Desc


@given(st.data(), first_indices, st.booleans(), st.booleans())
@settings(max_examples=150)
def test_any_stream_is_answered_as_the_rules_say(
    data: st.DataObject, first_index: int, require_checked: bool, split_reward: bool
) -> None:
    """[RING-007] [RING-006] [RING-008] [DESC-014] [DESC-023] [DESC-025] [ERR-011] [OP-ERR]"""
    given_lines = data.draw(submissions(first_index))
    lines = lines_of(*given_lines)
    completions = complete(
        lines, first_index=first_index, require_checked=require_checked, split_reward=split_reward
    )
    assert packed(completions) == ref.complete(
        given_lines,
        first_index=first_index,
        require_checked=require_checked,
        split_reward=split_reward,
    )
    tokens = [
        ref.execute(line, (first_index + n) % U32, require_checked=require_checked).tokens
        for n, line in enumerate(given_lines)
    ]
    assert decoded_tokens(lines, completions).tolist() == tokens


@pytest.mark.parametrize("profile", streams.PROFILES)
@pytest.mark.parametrize("modes", [(False, False), (True, True)], ids=["plain", "modes"])
def test_profiles_are_answered_as_the_rules_say(profile: str, modes: tuple[bool, bool]) -> None:
    """[RING-007] [RING-002] [RING-012] Over chunks, and with every index through 2^32."""
    first = U32 - 4200
    lines = streams.generate(9000, seed=20, profile=profile, first_index=first)
    arguments = {"first_index": first, "require_checked": modes[0], "split_reward": modes[1]}
    expected = ref.complete(packed(lines), **arguments)  # type: ignore[arg-type]
    assert packed(complete(lines, **arguments)) == expected  # type: ignore[arg-type]


@given(st.data(), first_indices, st.integers(0, 40))
def test_concatenation_is_answered_as_its_parts(
    data: st.DataObject, first_index: int, cut: int
) -> None:
    """[RING-007] Completions do not depend on how the stream is split, if the index continues."""
    lines = lines_of(*data.draw(submissions(first_index)))
    whole = complete(lines, first_index=first_index)
    head, tail = lines[:cut], lines[cut:]
    parts = [
        complete(head, first_index=first_index),
        complete(tail, first_index=(first_index + len(head)) % U32),
    ]
    assert packed(np.concatenate(parts)) == packed(whole)


@given(descs(), st.integers(0, 0xFFFF), st.booleans())
def test_device_owned_flags_in_never_change_the_outcome(
    desc: Desc, noise: int, require_checked: bool
) -> None:
    """[FLAG-010] Bits 0, 1, 3, 4 and 15:8 of a submission mean nothing."""
    noisy = desc._replace(flags=desc.flags & ~0xFF1B | noise & 0xFF1B)
    for lines in (lines_of(desc, noisy), lines_of(checked(desc, 0), checked(noisy, 1))):
        first, second = complete(lines, require_checked=require_checked)
        # The checksum differs with the index alone.
        assert first.tobytes()[:56] == second.tobytes()[:56]


@given(lengths, lengths, st.booleans())
@settings(max_examples=100)
def test_chain_of_resumes_adds_up_to_one_run(length: int, limit: int, sealed: bool) -> None:
    """[DEC-005] [DEC-002] [DEC-003] [DEC-004] [FLAG-010] Each link begins where the last ended."""
    limit = min(limit, length + 2000, U32 - 1)
    line = Desc(seq_len=length, max_tokens=limit, flags=CHECKED if sealed else 0)
    total = 0
    for index in range(2000 // 32 + 3):
        submitted = lines_of(checked(line, index) if sealed else line)
        completion = complete(submitted, first_index=index)
        total += int(decoded_tokens(submitted, completion)[0])
        line = one(completion)
        assert not line.flags & ERROR
        if line.flags & DONE:
            break
        assert line.flags & NEEDS_REWARD
        assert line.seq_len % 32 == 0
    assert line.flags & DONE
    assert line.seq_len == max(length, limit)
    assert total == max(0, limit - length)


@given(st.integers(0, 200), st.integers(0, 200))
@settings(max_examples=100)
def test_nothing_wraps_near_the_end_of_u32(below: int, other: int) -> None:
    """[DEC-004] [DEC-001] Within 200 of 2^32 a length never falls and never passes its limit."""
    length, limit = U32 - 1 - below, U32 - 1 - other
    lines = lines_of(Desc(opcode=DECODE, seq_len=length, max_tokens=limit))
    got = one(complete(lines))
    assert length <= got.seq_len <= max(length, limit)
    assert got.seq_len - length <= 32
    if got.flags & NEEDS_REWARD:
        assert got.seq_len % 32 == 0
        assert got.seq_len < limit
    else:
        assert got.seq_len == max(length, limit)


@given(
    descs(),
    st.integers(0, U32 - 1),
    st.sets(st.integers(0, 511), min_size=1, max_size=4),
)
@settings(max_examples=300)
def test_up_to_four_flipped_bits_are_always_refused(desc: Desc, index: int, bits: set[int]) -> None:
    """[DESC-020] [DESC-025] [ERR-001] Wherever they are, the flag CHECKED included."""
    line = bytearray(checked(desc, index))
    for bit in bits:
        line[bit // 8] ^= 1 << bit % 8
    got = one(complete(lines_of(bytes(line)), first_index=index, require_checked=True))
    assert got.flags & (ERROR | 0xFF00) == ERROR | 1 << 8


@given(st.data(), first_indices)
def test_split_changes_nothing_but_tags(data: st.DataObject, first_index: int) -> None:
    """[RING-008] A completion does not depend on the ring it is posted to."""
    lines = lines_of(*data.draw(submissions(first_index)))
    together = complete(lines, first_index=first_index)
    split = complete(lines, first_index=first_index, split_reward=True)
    assert goes_to_reward(split).tolist() == goes_to_reward(together).tolist()
    plain = together["flags"] & CHECKED == 0
    assert packed(split[plain]) == packed(together[plain])
    assert [line[:56] for line in packed(split)] == [line[:56] for line in packed(together)]
