# SPDX-License-Identifier: Apache-2.0
"""Streams: the same bytes from the same seed, and what each profile promises to draw."""

import numpy as np
import pytest
from descring_model import complete, decoded_tokens, status_of, streams
from model_support import U32, packed
from scalar_reference import CHECKED, COW_PREFIX, DECODE, NOP, ROLLOUT, STOP

COUNT = 4000


def results(profile: str, first_index: int = 0) -> tuple[set[int], set[int]]:
    """The statuses and the error codes of the completions of a stream of ``profile``."""
    lines = streams.generate(COUNT, seed=9, profile=profile, first_index=first_index)
    completions = complete(lines, first_index=first_index)
    return set(status_of(completions).tolist()), set((completions["flags"] >> 8).tolist())


@pytest.mark.parametrize("profile", streams.PROFILES)
def test_same_seed_gives_the_same_bytes(profile: str) -> None:
    """And another seed others; an empty stream and one of a line are streams too."""
    first = streams.generate(300, seed=1, profile=profile, first_index=5)
    assert packed(first) == packed(streams.generate(300, seed=1, profile=profile, first_index=5))
    assert packed(first) != packed(streams.generate(300, seed=2, profile=profile, first_index=5))
    assert len(streams.generate(0, seed=1, profile=profile)) == 0
    assert len(streams.generate(1, seed=1, profile=profile)) == 1


def test_every_profile_has_a_description() -> None:
    """Those that others rely on are there."""
    wanted = {"mixed", "decode", "one-token", "boundary", "errors", "checked", "near-wrap", "nop"}
    assert wanted <= set(streams.PROFILES)
    assert all(streams.PROFILES.values())


@pytest.mark.parametrize("first_index", [0, U32 - 1000])
def test_mixed_draws_everything(first_index: int) -> None:
    """Every status, every error code, lines with and without CHECKED, at any first index."""
    assert results("mixed", first_index) == ({0x01, 0x02, 0x80, 0xFF}, {0, 1, 2, 3})
    lines = streams.generate(COUNT, seed=9)
    assert 0.4 < np.mean(lines["flags"] & CHECKED != 0) < 0.6
    assert set(lines["opcode"].tolist()) >= {0, 1, 2, 3, 4, 255}


def test_errors_draws_every_code() -> None:
    """Refused STOPs among them."""
    statuses, codes = results("errors")
    assert codes == {0, 1, 2, 3}
    assert statuses >= {0x01, 0x80}
    lines = streams.generate(COUNT, seed=9, profile="errors")
    refused = status_of(complete(lines)) == 0x80
    assert (refused & (lines["opcode"] == STOP)).any()


def test_errors_draws_bad_checksums_and_foreign_tags_in_number() -> None:
    """Each a fifth of the CHECKED lines at least."""
    lines = streams.generate(COUNT, seed=9, profile="errors")
    codes = complete(lines)["flags"][lines["flags"] & CHECKED != 0] >> 8
    assert np.mean(codes == 1) > 0.2
    assert np.mean(codes == 3) > 0.2


@pytest.mark.parametrize("first_index", [0, U32 - 1000])
def test_checked_draws_good_lines_only(first_index: int) -> None:
    """For the index they will be written at, also through 2^32."""
    lines = streams.generate(COUNT, seed=9, profile="checked", first_index=first_index)
    assert (lines["flags"] & CHECKED != 0).all()
    assert results("checked", first_index) == ({0x01, 0x02}, {0})


def test_one_token_draws_one_token_each() -> None:
    """No more, no fewer; pauses among them."""
    lines = streams.generate(COUNT, seed=9, profile="one-token")
    assert (decoded_tokens(lines, complete(lines)) == 1).all()
    assert results("one-token") == ({0x01, 0x02}, {0})


def test_rollouts_cross_boundaries_and_stay_short() -> None:
    """None, one and two boundaries on the way, near 2^32 too; at most 96 tokens each."""
    lines = streams.generate(COUNT, seed=9, profile="rollouts")
    rollout = lines["opcode"] == ROLLOUT
    assert 0.7 < np.mean(rollout) < 0.9
    start = lines["seq_len"][rollout].astype(np.int64)
    tokens = decoded_tokens(lines, complete(lines))[rollout]
    crossed = (start + tokens) // 32 - start // 32
    assert set(crossed.tolist()) >= {0, 1, 2, 3}
    assert tokens.min() == 0
    assert tokens.max() == streams.ROLLOUT_TOKENS
    assert (start > U32 - 32).any()


def test_limit_rollouts_leaves_the_other_lines() -> None:
    """Only a ROLLOUT with too many tokens gets another limit; each number of tokens is met."""
    lines = streams.generate(COUNT, seed=9, profile="nop")
    lines["opcode"][::2] = ROLLOUT
    lines["seq_len"] = U32 - 2000
    lines["max_tokens"] = np.arange(COUNT) % 4000 + (U32 - 3900)
    before = lines.copy()
    streams.limit_rollouts(lines, most=5)
    assert packed(lines[1::2]) == packed(before[1::2])
    near = before["max_tokens"][::2] <= U32 - 2000 + 5
    assert (lines["max_tokens"][::2] == before["max_tokens"][::2])[near].all()
    assert set((lines["max_tokens"][::2][~near] - (U32 - 2000)).tolist()) == {1, 2, 3, 4, 5}
    lines["max_tokens"] = before["max_tokens"]
    assert packed(lines) == packed(before)


def test_boundary_draws_every_distance() -> None:
    """Runs of zero tokens, of one, of a whole interval, both ends at once."""
    lines = streams.generate(COUNT, seed=9, profile="boundary")
    completions = complete(lines)
    assert set(decoded_tokens(lines, completions).tolist()) >= {0, 1, 2, 30, 31, 32}
    both = (completions["seq_len"] % 32 == 0) & (completions["seq_len"] == lines["max_tokens"])
    assert (both & (lines["seq_len"] < lines["max_tokens"])).any()
    lengths = lines["seq_len"].astype(int)
    limits = lines["max_tokens"][lines["max_tokens"] != 0]
    assert (abs((lengths + 2) % 32 - 2) <= 2).all()
    # Two from a boundary, or two from a length that is.
    assert (abs((limits.astype(int) + 4) % 32 - 4) <= 4).all()


def test_near_wrap_draws_lengths_at_the_end_of_u32() -> None:
    """Among them limits that only max_tokens ends."""
    lines = streams.generate(COUNT, seed=9, profile="near-wrap")
    assert lines["seq_len"].min() >= U32 - 81
    last = (lines["seq_len"] >= U32 - 32) & (lines["seq_len"] < lines["max_tokens"])
    assert np.count_nonzero(last & (lines["opcode"] == DECODE)) > 50


def test_plain_profiles_draw_what_they_say() -> None:
    """One opcode each, nothing CHECKED."""
    for profile, opcode in (("decode", DECODE), ("nop", NOP)):
        lines = streams.generate(COUNT, seed=9, profile=profile)
        assert set(lines["opcode"].tolist()) == {opcode}
        assert not (lines["flags"] & CHECKED).any()
    statuses, _ = results("stops")
    assert 0xFF in statuses


def test_decode_writes_the_reference_hosts_cookie() -> None:
    """The cookie's formula, on Python's own integers."""
    for line in streams.generate(20, seed=9, profile="decode"):
        cookie = int(line["kv_offset"]) ^ int(line["delta_offset"]) ^ int(line["rollout_id"]) << 32
        assert int(line["checksum_or_cookie"]) == cookie % (1 << 64)


def test_decode_draws_lines_with_and_without_a_prefix() -> None:
    """Half of each; where there is a prefix, the line is flagged as a copy on write of it."""
    lines = streams.generate(COUNT, seed=9, profile="decode")
    shared = lines["prefix_id"] != 0
    assert 0.4 < shared.mean() < 0.6
    assert (((lines["flags"] & COW_PREFIX) != 0) == shared).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1, "seed": 0}, "count must be 0 or more, got -1"),
        ({"count": 1, "seed": -5}, "seed must be 0 or more, got -5"),
        ({"count": 1, "seed": 0, "profile": "mixd"}, "unknown profile 'mixd'; there are mixed"),
        ({"count": 1, "seed": 0, "first_index": U32}, "first_index must be"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, int], message: str) -> None:
    """The message reports expected and actual."""
    with pytest.raises(ValueError, match=message):
        streams.generate(**arguments)  # type: ignore[arg-type]
