# SPDX-License-Identifier: Apache-2.0
"""Runs on a device that makes the tokens itself, played by the golden device and an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from descring_host import Device, DeviceError, open_device
from descring_model import DESC_DTYPE, complete, contract
from descring_model.engine.interface import STATUS_NAMES, EngineError
from descring_model.lines import read_ring
from descring_rollouts import open_engine
from rollout_devices import Wrapped
from token_runs import ASKED, GIVEN, NATIVE, run

REG = contract.OFFSET
MAKING = [contract.OPCODE[name] for name in ("PREFILL", "DECODE")]
ROOM = 4 << 20


@dataclass(frozen=True)
class Failure:
    """What a device says of a rollout that it did not advance."""

    record: int
    status: str


class Resident(Wrapped):
    """Advances the rollouts of each doorbell's lines in an arena of its own [REC-005].

    Attributes:
        engine: its own.
        refused: what it did not advance.
    """

    def __init__(self, device: Device, *, arena: int = ROOM) -> None:
        super().__init__(device)
        self.engine = open_engine("native", 64)
        self.refused: list[Failure] = []
        self._arena = self.engine.new_arena(arena)

    @property
    def arena_bytes(self) -> int:
        """Size of the arena."""
        return len(self._arena)

    def write_arena(self, offset: int, data: npt.NDArray[Any]) -> None:
        """Copy into the arena."""
        self._arena[offset : offset + data.nbytes] = data.view(np.uint8)

    def read_arena(self, offset: int, data: npt.NDArray[Any]) -> None:
        """Copy out of it."""
        data.view(np.uint8)[:] = self._arena[offset : offset + data.nbytes]

    def failures(self) -> list[Failure]:
        """Among those of other records."""
        return [Failure(1, "BAD_RECORD"), *self.refused, Failure(1 << 40, "BAD_RECORD")]

    def write32(self, offset: int, value: int) -> None:
        """Make the tokens of new lines before their completions can be seen."""
        if offset == REG["DOORBELL"]:
            first, base = (self._device.read32(REG[name]) for name in ("CMD_TAIL", "CMD_BASE_LO"))
            size = contract.DESC_BYTES << (self._device.read32(REG["RING_LOG2"]) & 0xFF)
            lines = np.empty((value - first) & 0xFFFFFFFF, dtype=DESC_DTYPE)
            read_ring(self._device.memory[base : base + size].view(DESC_DTYPE), first, lines)
            ends = complete(lines)["seq_len"]
            for line, end in zip(lines, ends.tolist(), strict=True):
                if line["opcode"] in MAKING:
                    self._advance(int(line["kv_offset"]), end)
        self._device.write32(offset, value)

    def _advance(self, record: int, end: int) -> None:
        places = np.array([record], dtype=np.uint64), np.array([end], dtype=np.uint32)
        (status,) = self.engine.advance(self._arena, *places).tolist()
        if status:
            self.refused.append(Failure(record, STATUS_NAMES[status]))


PLANS: dict[str, dict[str, Any]] = {
    "shared": {},
    "not shared": {"share": False},
    "deep": {"depth": 3, "window": 4, "ring_slots": 8, "policy": "PREFIX", "overtake": 5},
}


@pytest.mark.parametrize("plan", PLANS)
def test_a_resident_run_is_that_of_an_engine_beside_the_device(plan: str) -> None:
    """[REC-005] [REC-006] [REC-007] [COW-006] Log, tokens and digests, whoever made them."""
    with open_device("model") as device:
        expected = run(device, ASKED, GIVEN, engine=NATIVE, **PLANS[plan])
        resident = Resident(device)
        found = run(resident, ASKED, GIVEN, engine=resident.engine, **PLANS[plan])
        again = run(resident, ASKED, GIVEN, engine=resident.engine, **PLANS[plan])
    assert found.log_file() == expected.log_file()
    for got in (found.trajectories, again.trajectories):
        assert got.npz() == expected.trajectories.npz()
    assert resident.refused == []


def test_what_a_resident_run_cannot_use_is_refused() -> None:
    """An engine that is not the device's, and an arena that is too small, with what to do."""
    with open_device("model") as device:
        small = Resident(device, arena=1 << 16)
        with pytest.raises(ValueError, match=r"engine: expected that of the device, device\.eng"):
            run(small, ASKED, GIVEN, engine=NATIVE)
        with pytest.raises(ValueError, match=r"got 65536; open the device with arena=\d+"):
            run(small, ASKED, GIVEN, engine=small.engine)


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        ("BAD_SCORE", EngineError, "BAD_SCORE: group 0 sample 0: expected tokens to"),
        ("TOO_LONG", DeviceError, "open the device with max_tokens=108 or more"),
    ],
)
def test_a_rollout_that_stands_still_ends_the_run(
    status: str, error: type[Exception], text: str
) -> None:
    """[REC-004] [PIPE-013] By the device's own reason for this rollout, not for another."""

    class Refusing(Resident):
        def _advance(self, record: int, end: int) -> None:
            self.refused.append(Failure(record, status))

    with open_device("model") as device:
        refusing = Refusing(device)
        with pytest.raises(error, match=text) as raised:
            run(refusing, ASKED, GIVEN, engine=refusing.engine)
    assert "on the device, stopped at position 0" in str(raised.value)
