# SPDX-License-Identifier: Apache-2.0
"""Bringing a device up: where the rings go in its memory, and what its registers are told."""

from __future__ import annotations

import time
from typing import Any

from descring_model import contract

from descring_host.errors import DeviceError
from descring_host.native import check_u32
from descring_host.ports import Geometry

_LINE = contract.DESC_BYTES
_SLOTS = contract.RING_SLOTS_OFFSET
_REG = contract.OFFSET
_CTRL = contract.MASK["CTRL"]
_STATUS = contract.MASK["STATUS"]
_READY_S = 5.0


def check_slots(name: str, slots: int) -> int:
    """log2 of ``slots``; ``ValueError`` naming it unless a power of two that rings can have."""
    low, high = 1 << contract.RING_LOG2_MIN, 1 << contract.RING_LOG2_MAX
    number = check_u32(name, slots)
    if not low <= number <= high or number & (number - 1):
        raise ValueError(f"{name}: expected a power of two from {low} to {high}, got {slots}")
    return number.bit_length() - 1


def lay_out(
    cmd_log2: int, done_log2: int, reward_log2: int, split: bool, memory_bytes: int
) -> Geometry:
    """Rings one after the other from the memory's start, each behind its head and tail [RING-004].

    Raises:
        ValueError: the memory is too small; the text says how much they need.
    """
    cmd = _SLOTS
    done = cmd + (_LINE << cmd_log2) + _SLOTS
    reward = done + (_LINE << done_log2) + _SLOTS
    geometry = Geometry(cmd, done, reward, cmd_log2, done_log2, reward_log2, split)
    if geometry.end > memory_bytes:
        raise ValueError(
            f"these rings need {geometry.end} bytes, the device's memory has {memory_bytes}; "
            "open it with more memory, or make the rings smaller"
        )
    return geometry


def configure(device: Any, geometry: Geometry, modes: int) -> None:
    """Reset a device, tell it its rings, and enable it [LIFE-002].

    Raises:
        DeviceError: it does not come out of reset, or refuses the configuration.
    """
    device.write32(_REG["CTRL"], _CTRL["RESET"])
    deadline = time.monotonic() + _READY_S
    while not device.read32(_REG["STATUS"]) & _STATUS["READY"]:
        if time.monotonic() > deadline:
            raise DeviceError(_not_ready(device.read32(_REG["STATUS"])))
        device.wait(0.001)
    device.write32(_REG["RING_LOG2"], geometry.ring_log2)
    for name, base in (
        ("CMD", geometry.cmd_base),
        ("DONE", geometry.done_base),
        ("REWARD", geometry.reward_base),
    ):
        device.write32(_REG[f"{name}_BASE_LO"], base & 0xFFFFFFFF)
        device.write32(_REG[f"{name}_BASE_HI"], base >> 32)
    device.write32(_REG["CTRL"], _CTRL["ENABLE"] | modes)
    if not device.read32(_REG["CTRL"]) & _CTRL["ENABLE"]:
        raise DeviceError(
            f"the device refused to be enabled, STATUS 0x{device.read32(_REG['STATUS']):08X}; "
            f"rings: {geometry}"
        )


def _not_ready(status: int) -> str:
    """Why a reset does not end, from STATUS [LIFE-004]."""
    text = f"the device is not READY {_READY_S} s after CTRL.RESET, STATUS 0x{status:08X}"
    if status & _STATUS["RESET_TIMEOUT"]:
        text += "; RESET_TIMEOUT: the memory owes it a response, reset device and memory together"
    return text


def adopt(device: Any) -> tuple[Geometry, int]:
    """Read rings and mode bits of a device that runs, to carry on with them.

    Raises:
        DeviceError: it is not enabled, or its rings leave no room for heads and tails.
    """
    control = device.read32(_REG["CTRL"])
    if not control & _CTRL["ENABLE"]:
        raise DeviceError("there is nothing to adopt: the device is not enabled")
    bases = [
        device.read32(_REG[f"{name}_BASE_HI"]) << 32 | device.read32(_REG[f"{name}_BASE_LO"])
        for name in ("CMD", "DONE", "REWARD")
    ]
    log2 = device.read32(_REG["RING_LOG2"])
    split = bool(control & _CTRL["SPLIT_REWARD"])
    geometry = Geometry(
        bases[0], bases[1], bases[2], log2 & 0xFF, log2 >> 8 & 0xFF, log2 >> 16 & 0xFF, split
    )
    if min(bases[: 3 if split else 2]) < _SLOTS:
        raise DeviceError("the running rings have no head and tail in memory; reset the device")
    return geometry, control & (_CTRL["SPLIT_REWARD"] | _CTRL["REQUIRE_CHECKED"])
