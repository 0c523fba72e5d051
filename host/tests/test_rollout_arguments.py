# SPDX-License-Identifier: Apache-2.0
"""Numbers that callers give, and what a runtime is without any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from descring_host import open_device
from descring_model import contract as device_contract
from descring_model.rollouts import contract
from descring_rollouts import Runtime
from descring_rollouts.arguments import integers

GOOD: list[Any] = [
    [],
    7,
    [1, -2, 3],
    [[1], [2]],
    [-(1 << 63), (1 << 63) - 1],
    np.array([], dtype=np.uint64),
    np.array([5, 6], dtype=np.uint64),
    np.array([(1 << 63) - 1], dtype=np.uint64),
    np.array([250, 251], dtype=np.uint8),
    np.array([], dtype=np.float64),
]


@pytest.mark.parametrize("values", GOOD, ids=repr)
def test_integers_of_every_type_keep_their_values(values: Any) -> None:
    """Whatever their type and shape, none at all included."""
    found = integers("name", values)
    assert found.dtype == np.int64
    assert found.shape == np.shape(values)
    assert found.tolist() == np.asarray(values).tolist()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.array([1, 1 << 63], dtype=np.uint64), "expected integers below 2^63, got 922337203685"),
        ([(1 << 64) - 1], "expected integers below 2^63, got 18446744073709551615"),
        ([1 << 64], "expected integers of 64 bits"),
        ([0.5], "expected integers of 64 bits"),
        ([True], "expected integers of 64 bits"),
        ([[1, 2], [3]], "expected integers, got rows of different lengths"),
    ],
)
def test_what_is_no_integer_of_64_bits_is_refused(values: Any, text: str) -> None:
    """By name; none wraps around."""
    with pytest.raises(ValueError, match=f"name: {text}".replace("^", r"\^")):
        integers("name", values)


def test_a_runtime_without_options_is_as_documented() -> None:
    """[RING-008] [DESC-025] A reward ring of its own, unchecked lines, and these of the core."""
    control = device_contract.OFFSET["CTRL"]
    modes = device_contract.MASK["CTRL"]["SPLIT_REWARD"]
    modes |= device_contract.MASK["CTRL"]["REQUIRE_CHECKED"]
    seen = []
    with open_device("model") as device:
        for options in ({}, {"split_reward": False, "checked": True}):
            runtime = Runtime(device, **options)  # type: ignore[arg-type]
            for _ in runtime.run([4]):
                seen.append(device.read32(control) & modes)
    assert seen == [
        device_contract.MASK["CTRL"]["SPLIT_REWARD"],
        device_contract.MASK["CTRL"]["REQUIRE_CHECKED"],
    ]
    config = Runtime(device).config[0]
    chosen = ("SHARE", "FINAL_REWARD", "CHECK_KV")
    assert config["options"] == sum(contract.OPTION[name] for name in chosen)
    assert config["policy"] == contract.POLICY["FIFO"]
    assert config["scorer"] == contract.SCORER_OP_010
