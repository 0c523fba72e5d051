# SPDX-License-Identifier: Apache-2.0
"""The kit's test of CNT_TOKENS' high word, where a line has at most 32 tokens and where more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conform_support import of_device
from descring_model import GoldenDevice, contract
from descring_sim.conform.duts.model import ModelDut
from descring_sim.conform.execute import run_test
from descring_sim.conform.status import Status, TestResult
from descring_sim.conform.suite import device_counters
from descring_sim.conform.suite.catalogue import select

TEST = select(["REG-058/high-word-by-decodes"])[0]


class NoHighWord(GoldenDevice):
    """CNT_TOKENS_HI is always 0."""

    def read32(self, offset: int) -> int:
        """As in the base class, but for that."""
        return 0 if offset == contract.OFFSET["CNT_TOKENS_HI"] else super().read32(offset)


class Deaf(GoldenDevice):
    """No doorbell is heard."""

    def write32(self, offset: int, value: int) -> None:
        """As in the base class, but for that."""
        if offset != contract.OFFSET["DOORBELL"]:
            super().write32(offset, value)


def judge(kind: type[GoldenDevice], version: int) -> TestResult:
    """The result of such a device by that version of the contract."""

    description = ModelDut().describe()
    claims = replace(description.capabilities.of_version(version), contract_version=2)
    description = replace(description, capabilities=claims, settle_s=0.3)
    return run_test(of_device(kind), description, TEST, 1, timeout_s=60.0, waves=False)


def test_a_decode_carries_into_the_high_word() -> None:
    """[REG-058] [CNT-001] With ROLLOUT the low word is brought near its end."""
    assert judge(GoldenDevice, 2).status is Status.PASSED
    failed = judge(NoHighWord, 2)
    assert failed.status is Status.FAILED
    assert failed.failure is not None
    assert failed.failure.rules == ("REG-058", "CNT-001")


def test_what_takes_too_long_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """2^27 lines of an implementation in Python take minutes; the reason has how far it was."""
    monkeypatch.setattr(device_counters, "_PATIENT_S", 0.2)
    result = judge(GoldenDevice, 1)
    assert result.status is Status.NOT_CLAIMED
    assert "times 65536 lines in 0 s" in result.reason
    assert result.failure is None


def test_a_device_that_stops_on_the_way_fails() -> None:
    """It is no slow one."""
    result = judge(Deaf, 1)
    assert result.status is Status.FAILED
    assert result.failure is not None
    assert result.failure.text == "no completions of the ring's round 0"
