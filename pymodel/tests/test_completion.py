# SPDX-License-Identifier: Apache-2.0
"""complete(), rule by rule, with expected values written by hand."""

import numpy as np
import pytest
from descring_model import complete, contract, decoded_tokens, goes_to_reward, streams
from model_support import U32, checked, lines_of, one, packed
from scalar_reference import (
    BAD_CHECKSUM,
    BAD_OPCODE,
    BAD_TAG,
    CHECKED,
    COW_PREFIX,
    DECODE,
    DONE,
    ERROR,
    NEEDS_REWARD,
    NOP,
    PREFILL,
    REWARD,
    ROLLOUT,
    STOP,
    STOPPED,
    Desc,
    sealed,
    unpack,
)

# No two fields are alike, so that a swap of any two of them shows.
BUSY = Desc(
    opcode=NOP,
    flags=COW_PREFIX,
    rollout_id=0x01020304,
    kv_arena_id=0x05060708,
    prefix_id=0x090A0B0C,
    kv_offset=0x0D0E0F1011121314,
    delta_offset=0x15161718191A1B1C,
    seq_len=70,
    max_tokens=80,
    reward_model_id=0x1D1E1F20,
    reserved0=0x21222324,
    user_data=0x25262728292A2B2C,
    checksum_or_cookie=0x2D2E2F3031323334,
)


def run(desc: Desc | bytes, **modes: bool) -> Desc:
    """The completion of a stream of one line."""
    return one(complete(lines_of(desc), **modes))


def test_nop_changes_nothing_but_its_flags() -> None:
    """[OP-000] [DESC-014] [DESC-021] [FLAG-001] [DESC-003..DESC-013] All else is echoed."""
    assert run(BUSY) == BUSY._replace(flags=COW_PREFIX | DONE)


def test_decode_writes_only_its_length() -> None:
    """[OP-001] [DESC-008] [DESC-009] [DESC-014] DECODE runs to max_tokens, field 36."""
    given = BUSY._replace(opcode=DECODE)
    assert run(given) == given._replace(seq_len=80, flags=COW_PREFIX | DONE)


def test_prefill_writes_only_its_length() -> None:
    """[OP-003] [OP-011] [DESC-014] PREFILL runs past any boundary."""
    given = BUSY._replace(opcode=PREFILL, max_tokens=0xFFFF0000)
    assert run(given) == given._replace(seq_len=0xFFFF0000, flags=COW_PREFIX | DONE)


def test_prefill_keeps_a_length_beyond_its_limit() -> None:
    """[OP-011] The greater of the two, also above 2^31."""
    given = BUSY._replace(opcode=PREFILL, seq_len=0x80000001, max_tokens=0x7FFFFFFF)
    assert run(given).seq_len == 0x80000001


def test_prefill_counts_no_decoded_tokens() -> None:
    """[OP-011] [CNT-001] Bookkeeping only."""
    lines = lines_of(BUSY._replace(opcode=PREFILL, max_tokens=1000))
    assert decoded_tokens(lines, complete(lines)).tolist() == [0]


@pytest.mark.parametrize(
    ("length", "limit", "end", "bits"),
    [
        (70, 80, 80, 0x3EA0A0A1),  # no boundary on the way
        (70, 300, 300, 0x3E30B0B1),  # eight boundaries on the way
        (31, 64, 64, 0x3E808081),  # ends at a boundary: DONE, as without
        (64, 65, 65, 0x3E828283),
        (51, 51, 51, 0x3E4CCCCD),  # nothing to make, and scored
        (511, 80, 511, 0x3F800000),
        (51, 0, 51, 0x3E4CCCCD),
        (0, 0, 0, 0x00000000),
        (0, U32 - 1, U32 - 1, 0x3F800000),  # all of 32 bits
        (U32 - 40, U32 - 2, U32 - 2, 0x3F7EFEFF),  # the boundary does not fit in 32 bits
    ],
)
def test_rollout_makes_every_token_and_scores_the_end(
    length: int, limit: int, end: int, bits: int
) -> None:
    """[OP-004] [DEC-006] [DEC-007] [DESC-011] [DESC-014] [CNT-001] DONE, never a pause."""
    given = BUSY._replace(opcode=ROLLOUT, seq_len=length, max_tokens=limit)
    expected = given._replace(seq_len=end, reserved0=bits, flags=COW_PREFIX | DONE)
    assert run(given) == expected
    lines = lines_of(given)
    assert decoded_tokens(lines, complete(lines)).tolist() == [end - length]


def test_rollout_is_the_chain_of_decodes_and_a_reward() -> None:
    """[DEC-005] [DEC-006] [DEC-007] One line does what DECODE, resumed, and REWARD do."""
    for limit in range(71, 400, 7):
        chain = BUSY._replace(opcode=DECODE, max_tokens=limit)
        while not chain.flags & DONE:
            chain = run(chain)
        scored = run(chain._replace(opcode=REWARD))
        assert run(BUSY._replace(opcode=ROLLOUT, max_tokens=limit)) == scored._replace(
            opcode=ROLLOUT
        )


def test_reward_writes_only_its_score() -> None:
    """[OP-002] [DESC-011] [DESC-014] The score's bits go to reserved0."""
    given = BUSY._replace(opcode=REWARD, seq_len=255)
    assert run(given) == given._replace(reserved0=0x3F800000, flags=COW_PREFIX | DONE)


@pytest.mark.parametrize(
    ("length", "bits"),
    [
        (0, 0x00000000),
        (1, 0x3B808081),
        (51, 0x3E4CCCCD),
        (127, 0x3EFEFEFF),
        (128, 0x3F008081),
        (254, 0x3F7EFEFF),
        (255, 0x3F800000),
        (256, 0x00000000),
        (U32 - 1, 0x3F800000),
        (0xABCDEF33, 0x3E4CCCCD),
    ],
)
def test_score_is_rounded_to_nearest(length: int, bits: int) -> None:
    """[OP-010] The low byte of the length over 255, as IEEE 754 rounds it."""
    assert run(BUSY._replace(opcode=REWARD, seq_len=length)).reserved0 == bits


def test_stop_is_answered_and_the_stream_goes_on() -> None:
    """[OP-255] [FLAG-003] [LIFE-003] STOP is STOPPED, and complete() resumes at once."""
    stop, after = BUSY._replace(opcode=STOP), BUSY._replace(user_data=1)
    got = [unpack(line) for line in packed(complete(lines_of(stop, after)))]
    assert got == [
        stop._replace(flags=COW_PREFIX | STOPPED),
        after._replace(flags=COW_PREFIX | DONE),
    ]


def test_every_other_opcode_is_refused() -> None:
    """[OP-ERR] [ERR-002] [FLAG-004] [FLAG-008] [DESC-001] [ERR-010] All 65536 values."""
    lines = lines_of(*[BUSY._replace(opcode=n) for n in range(1 << 16)])
    completions = complete(lines)
    known = np.isin(np.arange(1 << 16), [0, 1, 2, 3, 4, 255])
    refused = completions[~known]
    assert (refused["flags"] == (COW_PREFIX | ERROR | BAD_OPCODE << 8)).all()
    refused["flags"] = COW_PREFIX
    assert packed(refused) == packed(lines[~known])
    assert not (completions["flags"][known] & (ERROR | 0xFF00)).any()


def test_device_owned_flags_are_cleared_and_others_echoed() -> None:
    """[FLAG-010] [FLAG-011] [FLAG-000..FLAG-004] [FLAG-006] [DESC-002] All 65536 words."""
    words = [n for n in range(1 << 16) if not n & CHECKED]
    completions = complete(lines_of(*[BUSY._replace(flags=n) for n in words]))
    assert completions["flags"].tolist() == [n & 0x00C4 | DONE for n in words]


@pytest.mark.parametrize(
    ("opcode", "length", "limit", "flag"),
    [(NOP, 0, 0, DONE), (DECODE, 0, 64, NEEDS_REWARD), (STOP, 0, 0, STOPPED), (99, 0, 0, ERROR)],
)
def test_exactly_one_result_flag(opcode: int, length: int, limit: int, flag: int) -> None:
    """[FLAG-011] [FLAG-000] [FLAG-001] [FLAG-003] [FLAG-004] Every kind of result."""
    given = Desc(opcode=opcode, seq_len=length, max_tokens=limit, flags=0xFF1B)
    flags = run(given).flags
    assert flags & 0x1B == flag
    assert flags >> 8 == (BAD_OPCODE if flag == ERROR else 0)


@pytest.mark.parametrize(
    ("length", "limit", "reached", "flag", "rule"),
    [
        (5, 5, 5, DONE, "DEC-001"),
        (6, 5, 6, DONE, "DEC-001"),
        (64, 5, 64, DONE, "DEC-001"),
        (0, 0, 0, DONE, "DEC-001"),
        (U32 - 1, 0, U32 - 1, DONE, "DEC-001"),
        (0x80000000, 0x7FFFFFFF, 0x80000000, DONE, "DEC-001"),
        (0, 5, 5, DONE, "DEC-002"),
        (0, 33, 32, NEEDS_REWARD, "DEC-002"),
        (1, 1000, 32, NEEDS_REWARD, "DEC-002"),
        (31, 1000, 32, NEEDS_REWARD, "DEC-002"),
        (32, 1000, 64, NEEDS_REWARD, "DEC-002"),
        (33, 63, 63, DONE, "DEC-002"),
        (0x7FFFFFF0, U32 - 1, 0x80000000, NEEDS_REWARD, "DEC-002"),
        (0, 32, 32, DONE, "DEC-003"),
        (63, 64, 64, DONE, "DEC-003"),
        (32, 64, 64, DONE, "DEC-003"),
        (U32 - 33, U32 - 1, U32 - 32, NEEDS_REWARD, "DEC-002"),
        (U32 - 32, U32 - 1, U32 - 1, DONE, "DEC-004"),
        (U32 - 2, U32 - 1, U32 - 1, DONE, "DEC-004"),
        (U32 - 1, U32 - 1, U32 - 1, DONE, "DEC-004"),
    ],
)
def test_decode_ends(length: int, limit: int, reached: int, flag: int, rule: str) -> None:
    """[DEC-001] [DEC-002] [DEC-003] [DEC-004] [OP-001] [FLAG-000] The end of a run, by hand."""
    given = BUSY._replace(opcode=DECODE, seq_len=length, max_tokens=limit)
    expected = given._replace(seq_len=reached, flags=COW_PREFIX | flag)
    assert run(given) == expected, f"rule {rule}"
    lines = lines_of(given)
    assert decoded_tokens(lines, complete(lines)).tolist() == [reached - length]


def test_resumed_lines_join_up_to_one_run() -> None:
    """[DEC-005] [FLAG-010] A completion is resubmitted as it is, until DONE."""
    line = lines_of(Desc(seq_len=10, max_tokens=100))
    ends = []
    for _ in range(4):
        line = complete(line)
        ends.append((one(line).seq_len, one(line).flags))
    assert ends == [(32, NEEDS_REWARD), (64, NEEDS_REWARD), (96, NEEDS_REWARD), (100, DONE)]


def test_checked_line_is_answered_with_tag_and_checksum() -> None:
    """[DESC-020] [DESC-022] [DESC-023] [FLAG-005] The completion is sealed for its own index."""
    first = U32 - 1
    descs = [BUSY._replace(opcode=DECODE, seq_len=n) for n in (70, 71, 72)]
    lines = lines_of(*[checked(desc, first + n) for n, desc in enumerate(descs)])
    got = packed(complete(lines, first_index=first))
    for n, desc in enumerate(descs):
        done = desc._replace(seq_len=80, flags=COW_PREFIX | CHECKED | DONE)
        assert got[n] == sealed(done.pack(), first + n)


def test_flipped_bit_of_a_checked_line_is_refused() -> None:
    """[DESC-020] [DESC-025] [ERR-001] [ERR-010] Each of the 512 bits, the flag's included."""
    for bit in range(512):
        line = bytearray(checked(BUSY, 0))
        line[bit // 8] ^= 1 << bit % 8
        flipped = unpack(bytes(line))
        flags = flipped.flags & 0xE4 | CHECKED | ERROR | BAD_CHECKSUM << 8
        got = complete(lines_of(bytes(line)), require_checked=True)
        assert packed(got) == [sealed(flipped._replace(flags=flags).pack(), 0)], f"bit {bit}"


@pytest.mark.parametrize("away", [1, U32 - 1, 1 << 16, 1 << 31])
def test_intact_line_of_another_index_is_refused(away: int) -> None:
    """[DESC-022] [ERR-003] [ERR-010] All 32 bits of the tag count."""
    line = checked(BUSY, 7 + away)
    got = complete(lines_of(line), first_index=7)
    flags = COW_PREFIX | CHECKED | ERROR | BAD_TAG << 8
    assert packed(got) == [sealed(unpack(line)._replace(flags=flags).pack(), 7)]


def test_refused_checked_line_with_unknown_opcode_is_sealed() -> None:
    """[ERR-002] [ERR-010] [DESC-023] An ERROR completion of a good CHECKED line is sealed too."""
    line = checked(BUSY._replace(opcode=77), 0)
    flags = COW_PREFIX | CHECKED | ERROR | BAD_OPCODE << 8
    assert packed(complete(lines_of(line))) == [
        sealed(unpack(line)._replace(flags=flags).pack(), 0)
    ]


@pytest.mark.parametrize("opcode", [DECODE, STOP, REWARD, PREFILL, ROLLOUT, 5])
@pytest.mark.parametrize("wrong_tag", [False, True])
@pytest.mark.parametrize("wrong_checksum", [False, True])
def test_first_failed_check_names_the_error(
    opcode: int, wrong_tag: bool, wrong_checksum: bool
) -> None:
    """[ERR-011] [ERR-010] [ERR-001] [ERR-002] [ERR-003] Checksum, then tag, then opcode."""
    line = bytearray(checked(BUSY._replace(opcode=opcode), 5 if wrong_tag else 0))
    line[63] ^= 0x80 * wrong_checksum
    code = BAD_CHECKSUM * wrong_checksum or BAD_TAG * wrong_tag or BAD_OPCODE * (opcode == 5)
    got = run(bytes(line))
    assert got.flags >> 8 == code
    assert bool(got.flags & ERROR) == bool(code)
    assert bool(got.flags & STOPPED) == (opcode == STOP and not code)
    if code:
        assert got[7:12] == BUSY[7:12], "nothing was executed"


def test_missing_checksum_comes_before_the_opcode() -> None:
    """[ERR-011] [DESC-025] Under REQUIRE_CHECKED the check that is missing is the first."""
    assert run(BUSY._replace(opcode=77), require_checked=True).flags >> 8 == BAD_CHECKSUM


def test_required_checksum_is_written_into_every_completion() -> None:
    """[DESC-025] [DESC-023] A plain line is refused, and its completion is sealed."""
    lines = lines_of(checked(BUSY, 3), BUSY._replace(opcode=STOP))
    got = packed(complete(lines, first_index=3, require_checked=True))
    good = BUSY._replace(flags=COW_PREFIX | CHECKED | DONE)
    flags = COW_PREFIX | CHECKED | ERROR | BAD_CHECKSUM << 8
    refused = BUSY._replace(opcode=STOP, flags=flags)
    assert got == [sealed(good.pack(), 3), sealed(refused.pack(), 4)]


def test_plain_line_is_not_checked() -> None:
    """[DESC-021] [FLAG-005] Without the flag, bytes 56..63 mean nothing and are echoed."""
    given = BUSY._replace(checksum_or_cookie=0xFFFFFFFFFFFFFFFF)
    assert run(given).checksum_or_cookie == 0xFFFFFFFFFFFFFFFF


def test_split_counts_each_ring_for_itself() -> None:
    """[RING-008] [DESC-023] Tags are the indices in the ring that a completion is posted in."""
    first = U32 - 1
    pausing = [True, False, True, True, False]
    descs = [Desc(seq_len=0, max_tokens=64 if pauses else 5) for pauses in pausing]
    lines = lines_of(*[checked(desc, first + n) for n, desc in enumerate(descs)])
    completions = complete(lines, first_index=first, split_reward=True)
    assert goes_to_reward(completions).tolist() == pausing
    tags = [int.from_bytes(line[56:60], "little") for line in packed(completions)]
    assert tags == [U32 - 1, U32 - 1, 0, 1, 0]
    for line in packed(completions):
        assert line == sealed(line, int.from_bytes(line[56:60], "little"))


def test_split_tags_count_on_over_chunks() -> None:
    """[RING-008] [RING-007] A stream of many chunks is counted as one."""
    lines = streams.generate(20_000, seed=11, profile="checked")
    completions = complete(lines, split_reward=True)
    to_reward = goes_to_reward(completions)
    tags = (completions["checksum_or_cookie"] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    assert tags[to_reward].tolist() == list(range(np.count_nonzero(to_reward)))
    assert tags[~to_reward].tolist() == list(range(np.count_nonzero(~to_reward)))


def test_complete_leaves_its_input_alone() -> None:
    """[DESC-014] A pure function; the submissions are compared against later."""
    lines = streams.generate(500, seed=3)
    before = lines.copy()
    complete(lines, require_checked=True, split_reward=True)
    assert packed(lines) == packed(before)


@pytest.mark.parametrize("first_index", [-1, U32, 1.0, "0"])
def test_first_index_must_be_a_u32(first_index: object) -> None:
    """The message reports the actual value."""
    with pytest.raises(ValueError, match="first_index must be"):
        complete(lines_of(BUSY), first_index=first_index)  # type: ignore[arg-type]


def test_decoded_tokens_wants_a_completion_for_each_line() -> None:
    """Two arrays of different lengths are an error of the caller."""
    lines = lines_of(BUSY, BUSY)
    with pytest.raises(ValueError, match="each of the 2 lines, got 1"):
        decoded_tokens(lines, complete(lines)[:1])


def test_refused_decode_counts_no_tokens() -> None:
    """[CNT-001] [ERR-010] Only what was decoded counts."""
    line = bytearray(checked(Desc(seq_len=3, max_tokens=20), 0))
    line[40] ^= 1
    lines = lines_of(bytes(line), Desc(opcode=NOP, seq_len=3, max_tokens=20))
    assert decoded_tokens(lines, complete(lines)).tolist() == [0, 0]


def test_contract_numbers_are_the_rules_numbers() -> None:
    """[OP-000..OP-004] [OP-255] [ERR-001..ERR-003] [FLAG-000..FLAG-005] As in the data."""
    opcodes = {"NOP": 0, "DECODE": 1, "REWARD": 2, "PREFILL": 3, "ROLLOUT": 4, "STOP": 255}
    assert opcodes == contract.OPCODE
    assert contract.ERROR_CODE == {"BAD_CHECKSUM": 1, "BAD_OPCODE": 2, "BAD_TAG": 3}
    assert contract.FLAG == {
        "NEEDS_REWARD": 1,
        "DONE": 2,
        "COW_PREFIX": 4,
        "STOPPED": 8,
        "ERROR": 16,
        "CHECKED": 32,
        "RESERVED": 0xC0,
        "ERROR_CODE": 0xFF00,
    }
