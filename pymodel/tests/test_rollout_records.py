# SPDX-License-Identifier: Apache-2.0
"""Records of the rollout contract: layouts, ranges, and the bytes of a log file."""

import hashlib
import struct

import numpy as np
import pytest
from descring_model.rollouts import contract, rules
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.records import (
    CONFIG_DTYPE,
    HEADER_DTYPE,
    RECORD_DTYPE,
    REQUEST_DTYPE,
    check_config,
    check_requests,
    describe_record,
    inputs_digest,
    log_bytes,
    make_config,
    read_log,
)
from rollout_support import requests_of


def test_records_have_no_padding_and_rules_their_prefixes() -> None:
    """[LOG-001] [LOG-002] Sizes and offsets, written out."""
    sizes = {CONFIG_DTYPE: 64, REQUEST_DTYPE: 32, RECORD_DTYPE: 32, HEADER_DTYPE: 32}
    assert {dtype: dtype.itemsize for dtype in sizes} == sizes
    fields = RECORD_DTYPE.fields
    assert fields is not None
    offsets = {name: field[1] for name, field in fields.items()}
    assert offsets == {
        "tick": 0, "code": 4, "slot": 6, "rollout": 8, "a": 12, "b": 16, "c": 20, "d": 24,
    }  # fmt: skip
    prefixes = {rule.rule.split("-")[0] for rule in rules.all_rules()}
    assert prefixes == {"ROLL", "PIPE", "WIN", "SCHED", "KV", "COW", "RWD", "LOG", "MET", "TRC"}


@pytest.mark.parametrize(
    "member",
    [
        {"slots": 0},
        {"slots": 65537},
        {"decode_credits": 0},
        {"reward_credits": 0},
        {"trajectory_credits": 0},
        {"deliver": 0},
        {"seats": 0},
        {"kv_blocks": 0},
        {"kv_blocks": 2**31},
        {"window": 0},
        {"window": 257},
        {"depth": 0},
        {"depth": 65},
        {"ring_slots": 1},
        {"ring_slots": 48},
        {"policy": 5},
        {"score_ticks": 0},
        {"scorer": 3},
        {"scorer": 15},
        {"staleness": 2**31},
        {"options": 16},
        {"colour": 1},
    ],
)
def test_bad_configurations_are_refused(member: dict[str, int]) -> None:
    """[PIPE-001] [RWD-001] Each limit, one beyond it."""
    with pytest.raises(RolloutError) as caught:
        make_config(**member)
    assert caught.value.name == "BAD_CONFIG"
    if "colour" not in member:
        config = make_config()
        for name, value in member.items():
            config[name] = value
        with pytest.raises(RolloutError, match="BAD_CONFIG"):
            check_config(config)


@pytest.mark.parametrize(
    "member",
    [
        {"slots": 1}, {"slots": 65536}, {"window": 256}, {"depth": 64}, {"ring_slots": 2},
        {"overtake": 0}, {"scorer": 2}, {"scorer": 16}, {"staleness": 2**31 - 1}, {"options": 0},
        {"decode_credits": contract.NONE}, {"seats": 1},
    ],
)  # fmt: skip
def test_ends_of_the_ranges_are_accepted(member: dict[str, int]) -> None:
    """[PIPE-001] [PIPE-002] Each limit itself."""
    config = make_config(**member)
    assert all(config[name][0] == value for name, value in member.items())


def test_configuration_of_another_shape_is_refused() -> None:
    """[PIPE-001] Two records, or another dtype."""
    for config in (np.zeros(2, dtype=CONFIG_DTYPE), np.zeros(1, dtype=REQUEST_DTYPE)):
        with pytest.raises(RolloutError, match="BAD_CONFIG"):
            check_config(config)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"prompt_tokens": 0}, "at least 1 prompt token"),
        ({"max_tokens": 9}, "max_tokens of at least"),
        ({"group": 2**31}, "a group below 2\\^31"),
        ({"sample": 1, "group": 0}, "one request a sample"),
        ({"prompt_tokens": 11, "sample": 5, "group": 0}, "to have one length"),
        ({"max_tokens": 2017}, "needs 65"),
    ],
)
def test_bad_requests_are_refused(change: dict[str, int], text: str) -> None:
    """[PIPE-001] [KV-002] The 65th block of an arena of 64, and each range."""
    requests = requests_of([(10, 20), (10, 20)])
    requests["group"], requests["sample"] = [0, 1], [1, 0]
    for name, value in change.items():
        requests[name][1] = value
    with pytest.raises(RolloutError, match=text) as caught:
        check_requests(make_config(kv_blocks=64), requests)
    assert caught.value.name == "BAD_REQUEST"


def test_greatest_requests_are_accepted() -> None:
    """[PIPE-001] [COW-003] Exactly 64 blocks of 64, with and without a copied tail; no request."""
    config = make_config(kv_blocks=64)
    check_requests(config, requests_of([(10, 2016), (32, 2048), (2048, 2048)]))
    check_requests(config, requests_of([]))
    for length in ((10, 2017), (32, 2049), (2047, 2048)):
        with pytest.raises(RolloutError, match="needs 65"):
            check_requests(config, requests_of([length]))
    with pytest.raises(RolloutError, match="REQUEST_DTYPE"):
        check_requests(config, np.zeros(1, dtype=CONFIG_DTYPE))


def test_log_file_is_written_out() -> None:
    """[LOG-001] [LOG-003] [LOG-005] One record, byte by byte, and the digest of the inputs."""
    config, requests = make_config(), requests_of([(10, 20)])
    inputs = inputs_digest(config, requests)
    whole = hashlib.sha256(config.tobytes() + requests.tobytes()).digest()
    assert inputs == struct.unpack("<Q", whole[:8])[0]
    record = np.zeros(1, dtype=RECORD_DTYPE)
    record[0] = (7, contract.EVENT["STATE"], 3, 5, 2, 3, 0, 9)
    data = log_bytes(record, inputs)
    assert data == struct.pack("<8sIIQQ", b"DESCROLL", 1, 32, 1, inputs) + struct.pack(
        "<IHHIIIIQ", 7, 3, 3, 5, 2, 3, 0, 9
    )
    records, digest = read_log(data)
    assert records.tobytes() == record.tobytes()
    assert digest == inputs
    text = describe_record(records[0])
    assert text == "tick 7 STATE rollout 5 slot 3: DECODING -> REWARD_PENDING flags 0"


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda data: data[:31], "expected an event log"),
        (lambda data: b"X" + data[1:], "expected an event log"),
        (lambda data: data[:8] + b"\x02" + data[9:], "expected log version 1"),
        (lambda data: data[:12] + b"\x10" + data[13:], "with 16"),
        (lambda data: data[:-1], "cut or damaged"),
        (lambda data: data + bytes(32), "cut or damaged"),
    ],
)
def test_damaged_log_is_refused(damage: object, text: str) -> None:
    """[LOG-001] Cut, longer, another version, and no log at all."""
    assert callable(damage)
    data = log_bytes(np.zeros(2, dtype=RECORD_DTYPE), 1)
    with pytest.raises(ValueError, match=text):
        read_log(damage(data))


@pytest.mark.parametrize("value", [-1, 1 << 40])
@pytest.mark.parametrize("name", ["slots", "seats", "kv_blocks", "overtake", "options"])
def test_config_out_of_what_can_be_stored_is_refused_by_its_name(name: str, value: int) -> None:
    """[PIPE-001] Neither cut to its low bits nor an error of numpy."""
    with pytest.raises(RolloutError, match=rf"expected {name} of \d+ to \d+, got {value}"):
        make_config(**{name: value})
