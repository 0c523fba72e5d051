# SPDX-License-Identifier: Apache-2.0
"""From what an implementation does to a result: each way to judge and to name a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conform_support import of_device
from descring_model import GoldenDevice, Lines, contract, seal
from descring_sim.conform.capabilities import RULE_IDS
from descring_sim.conform.dut import DeviceJob, StreamJob, StreamResult, Violation
from descring_sim.conform.duts.model import ModelDut
from descring_sim.conform.errors import DutError, DutHung
from descring_sim.conform.execute import by_its_version, rng_of, run_test
from descring_sim.conform.status import Failure, Status, TestResult
from descring_sim.conform.suite import catalogue, declare
from descring_sim.conform.suite.bench import Bench, CheckFailed
from descring_sim.conform.suite.catalogue import all_tests, select
from descring_sim.conform.suite.declare import device_test, stream_test
from descring_sim.conform.suite.diagnosis import diagnose_line, diagnose_stream
from descring_sim.conform.suite.stream_check import judge
from descring_sim.conform.suite.vector import FLAG, Draw, Vector

MODEL = ModelDut()
DESCRIPTION = MODEL.describe()
DEVICE = select(["REG-000/access"])[0]
NOP = select(["OP-000/nop"])[0]


def of_test(test: Any, run: Callable[[Any], StreamResult]) -> TestResult:
    """The result of one test of an implementation whose ``run`` this is."""
    dut: Any = SimpleNamespace(run=run)
    return run_test(dut, DESCRIPTION, test, 1, timeout_s=9.0, waves=True)


def text_of(result: TestResult) -> str:
    """What a failure states."""
    assert result.failure is not None
    return result.failure.text


def drawn(count: int, opcodes: list[str]) -> Lines:
    """Some lines, none of them CHECKED."""
    lines = Draw(rng_of(NOP, 1), DESCRIPTION.capabilities).lines(count, opcodes)
    lines["flags"] &= ~np.uint16(FLAG["CHECKED"])
    return lines


# ------------------------------------------------------------------ running a test


@pytest.mark.parametrize(
    ("error", "status"),
    [(DutHung("no end"), Status.HUNG), (DutError("no"), Status.ERROR), (OSError(), Status.ERROR)],
)
def test_an_exception_is_a_result(error: Exception, status: Status) -> None:
    """Of the implementation's driver, or of anything."""

    def run(_job: StreamJob | DeviceJob) -> StreamResult:
        raise error

    result = of_test(NOP, run)
    assert result.status is status
    assert str(error) in text_of(result)


def test_a_device_that_is_not_driven_has_no_verdict() -> None:
    """A driver that returns without the program, and a program that compares nothing."""
    result = of_test(DEVICE, lambda _job: StreamResult())
    assert result.status is Status.ERROR
    assert "never drove the device" in text_of(result)
    result = of_test(replace(DEVICE, device=lambda _bench: None), MODEL.run)
    assert result.status is Status.FAILED
    assert text_of(result) == "the program compared nothing"


def test_waves_of_a_device_belong_to_its_failure() -> None:
    """What the driver recorded while the program failed."""

    def body(bench: Bench) -> None:
        bench.check("nothing", 1, 2)

    result = of_test(
        replace(DEVICE, device=body), lambda job: replace(MODEL.run(job), waves="x.vcd")
    )
    assert result.status is Status.FAILED
    assert result.failure is not None
    assert result.failure.waves == "x.vcd"


def test_waves_of_a_hang_belong_to_its_failure() -> None:
    """What the driver recorded until it gave up; they are no part of the text."""

    def hang(_: object) -> StreamResult:
        raise DutHung("no progress", "x.vcd")

    result = of_test(NOP, hang)
    assert result.status is Status.HUNG
    assert result.failure is not None
    assert (result.failure.text, result.failure.waves) == ("no progress", "x.vcd")


class Earlier(GoldenDevice):
    """A device of version 1."""

    digest = next(iter(contract.EARLIER_HASHES.values()))

    def read32(self, offset: int) -> int:
        """As the contract of then has it."""
        values = {contract.OFFSET["VERSION"]: 1, contract.OFFSET["CONTRACT_HASH"]: self.digest}
        return values.get(offset, super().read32(offset))


class Mixed(Earlier):
    """A version and a hash that do not belong together."""

    digest = contract.CONTRACT_HASH


def test_a_whole_device_of_an_earlier_version_is_judged_by_it() -> None:
    """[REG-004] [REG-07C] Not one that mixes versions, that fails, or that has no registers."""
    claims = by_its_version(of_device(Earlier), DESCRIPTION).capabilities
    assert claims == DESCRIPTION.capabilities.of_version(1)
    assert claims.contract_version == 1
    assert DESCRIPTION.capabilities.opcodes - claims.opcodes == {"ROLLOUT"}
    for name, value in (("VERSION", 1), ("CONTRACT_HASH", contract.EARLIER_HASHES[1])):
        assert claims.reset_value(contract.REGISTER[name]) == value
    for kind in (GoldenDevice, Mixed):
        assert by_its_version(of_device(kind), DESCRIPTION) == DESCRIPTION

    def fails(_job: DeviceJob) -> StreamResult:
        raise DutError("no")

    assert by_its_version(SimpleNamespace(run=fails), DESCRIPTION) == DESCRIPTION
    claims = replace(DESCRIPTION.capabilities, levels=frozenset({"stream"}))
    stream = replace(DESCRIPTION, capabilities=claims)
    assert by_its_version(of_device(Earlier), stream) == stream


# ------------------------------------------------------------------ judging a stream


def judged(
    job: StreamJob, spoil: Callable[[StreamResult], StreamResult], *focus: str
) -> tuple[int, Failure | None]:
    """The judgement on what the golden model does with ``job``, spoiled."""
    return judge(Vector(job.lines, focus), job, spoil(MODEL.run(job)), "OP-000")


def test_a_violation_at_the_ports_is_judged_last() -> None:
    """A wrong completion tells more; without one the rule of the violation is named."""
    job = StreamJob(drawn(4, ["NOP"]))
    violation = Violation("RING-011", "ran ahead")
    equal, failure = judged(
        job, lambda r: replace(r, done=r.done[:2], violation=violation, waves="w")
    )
    assert (equal, failure) == (0, Failure("ran ahead", ("RING-011",), waves="w"))

    def wrong(result: StreamResult) -> StreamResult:
        done = result.done[:2].copy()
        done["user_data"][1] ^= 1
        return replace(result, done=done, violation=violation)

    _, failure = judged(job, wrong)
    assert failure is not None
    assert "DESC-012" in failure.rules


def test_the_focus_of_a_vector_adds_the_rule_of_its_test() -> None:
    """A difference elsewhere does not."""
    job = StreamJob(drawn(4, ["NOP"]))
    for focus, named in (("order", True), ("count", False)):
        _, failure = judged(job, lambda r: replace(r, done=r.done[::-1]), focus)
        assert failure is not None
        assert failure.rules == ("RING-007", *["OP-000"] * named)
        assert "in another order" in failure.text


def halting(flags: int) -> StreamJob:
    """A STOP that is refused among lines, in a device that halts."""
    lines = drawn(6, ["NOP"])
    lines["opcode"][2] = contract.OPCODE["STOP"]
    lines["flags"][2] = flags
    return StreamJob(lines, halt=True, require_checked=True)


@pytest.mark.parametrize(
    ("flags", "kept", "rules"),
    [
        (FLAG["CHECKED"], 3, ("ERR-011", "LIFE-003")),
        (0, 3, ("ERR-011", "DESC-025", "LIFE-003")),
        (0, 2, ("RING-006",)),  # it ends before the STOP
    ],
)
def test_a_refused_stop_that_halts(flags: int, kept: int, rules: tuple[str, ...]) -> None:
    """The rule of its refusal is named, where its completion is the last."""
    _, failure = judged(halting(flags), lambda r: replace(r, done=r.done[:kept]))
    assert failure is not None
    assert failure.rules == rules


def test_what_lies_behind_a_stop() -> None:
    """A device that halts at a STOP and completes one line more."""
    lines = drawn(4, ["NOP"])
    lines["opcode"][1] = contract.OPCODE["STOP"]
    whole = MODEL.run(StreamJob(lines)).done[:3]
    _, failure = judged(StreamJob(lines, halt=True), lambda r: replace(r, done=whole))
    assert failure is not None
    assert failure.rules == ("LIFE-003", "OP-255")


# ------------------------------------------------------------------ naming a rule


def named(flags: int, code: int) -> tuple[str, ...]:
    """The rules of a NOP with ``flags`` that is refused with ``code`` and should not be."""
    lines = drawn(1, ["NOP"])
    lines["flags"] = flags
    if flags & FLAG["CHECKED"]:
        lines = seal(lines, np.zeros(1, np.uint32))
    expected = MODEL.run(StreamJob(lines)).done
    actual = expected.copy()
    actual["flags"] = flags | FLAG["ERROR"] | code << contract.ERROR_CODE_SHIFT
    return diagnose_line(lines[0], expected[0], actual[0]).rules


def test_a_refusal_without_reason() -> None:
    """With a code that there is none of, of a checksum that is not there, of one that is right."""
    bad = {item.name: item.value for item in contract.ERROR_CODES}
    assert named(0, 77) == ("FLAG-004", "FLAG-008")
    assert named(0, bad["BAD_CHECKSUM"]) == ("DESC-021", "FLAG-005")
    assert named(0, bad["BAD_OPCODE"]) == ("OP-000", "FLAG-004")
    assert named(FLAG["CHECKED"], bad["BAD_TAG"]) == ("DESC-022",)


def test_a_refusal_with_an_unknown_code() -> None:
    """It is refused as it should be, under a code that there is none of."""
    lines = drawn(1, ["NOP"])
    lines["opcode"] = 0x00F0
    expected = MODEL.run(StreamJob(lines)).done
    actual = expected.copy()
    actual["flags"] = FLAG["ERROR"] | 77 << contract.ERROR_CODE_SHIFT | int(lines["flags"][0])
    assert diagnose_line(lines[0], expected[0], actual[0]).rules == ("ERR-002", "FLAG-008")


def test_a_completion_of_another_line() -> None:
    """In place of the right one: its identity is wrong; beyond the end: it is in the wrong ring."""
    lines = drawn(3, ["NOP"])
    expected = MODEL.run(StreamJob(lines)).done
    other = drawn(9, ["NOP"])[8:]
    swapped = np.concatenate([expected[:2], MODEL.run(StreamJob(other)).done])
    found = diagnose_stream(lines, expected, swapped, 2, expected[:0])
    assert found == diagnose_line(lines[2], expected[2], swapped[2])
    longer = np.concatenate([expected, swapped[2:]])
    assert diagnose_stream(lines, expected, longer, 3, expected[:0]).rules == ("RING-008",)
    assert diagnose_stream(lines, expected, expected[:2], 2, expected).rules == ("RING-008",)
    assert diagnose_stream(lines, expected, expected[:2], 2, expected[:0]).rules == ("RING-006",)


# ------------------------------------------------------------------ the host of a device


def bench_of(kind: type[GoldenDevice] = GoldenDevice, **values: Any) -> Bench:
    """A host over a device of this kind, which is given no time."""
    draw = Draw(rng_of(DEVICE, 1), DESCRIPTION.capabilities)
    device: Any = kind(1 << 16, first_index=0)
    return Bench(device, **{"rule": "RING-001", "draw": draw, "settle_s": 0.0, **values})


def test_a_test_that_overfills_a_ring_is_an_error_of_its_own() -> None:
    """It would overwrite lines that the device has not read."""
    bench = bench_of()
    bench.configure(bench.plan(1, 3, 3))
    with pytest.raises(ValueError, match="a test puts 3 lines where 2 slots are free"):
        bench.put(bench.lines(3))


def test_lines_that_were_not_rung_for_are_rewritten() -> None:
    """The device sees the later ones."""
    bench = bench_of()
    bench.start()
    bench.put(bench.lines(2, ["NOP"]))
    bench.rewrite(2)
    assert bench.tail == 2
    bench.ring()
    bench.rest()


class NeverReady(GoldenDevice):
    """A device that stays in reset."""

    def read32(self, offset: int) -> int:
        """READY reads 0."""
        ready = 1 if offset == contract.OFFSET["STATUS"] else 0
        return super().read32(offset) & ~ready


class OtherRing(GoldenDevice):
    """A device that counts every pause for the done ring."""

    def read32(self, offset: int) -> int:
        """The tails of both rings in one register."""
        done, reward = contract.OFFSET["DONE_TAIL"], contract.OFFSET["REWARD_TAIL"]
        if offset == done:
            return super().read32(done) + super().read32(reward)
        return 0 if offset == reward else super().read32(offset)


def test_a_device_without_an_end_or_a_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """[LIFE-004] [RING-008] [IRQ-001] A reset without end, a wrong ring, no interrupt."""
    monkeypatch.setattr("descring_sim.conform.suite.bench._READY_S", 0.05)
    with pytest.raises(CheckFailed, match="not READY") as caught:
        bench_of(NeverReady).reset()
    assert caught.value.rules == ("LIFE-004",)
    bench = bench_of(OtherRing)
    bench.start(3, 3, 3, "SPLIT_REWARD")
    pause = drawn(1, ["DECODE"])
    pause["seq_len"], pause["max_tokens"] = 0, 100
    bench.submit(pause)
    with pytest.raises(CheckFailed, match="wrong ring") as caught:
        bench.rest()
    assert caught.value.rules == ("RING-008",)
    bench = bench_of()
    bench.device = SimpleNamespace()
    with pytest.raises(CheckFailed, match="has no `irq`"):
        bench.interrupt()


def test_a_device_is_watched_for_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that moves only while its host waits gets its time between the looks."""
    bench = bench_of()
    given: list[float] = []
    monkeypatch.setattr(bench.device, "wait", given.append)
    looks = sum(1 for _ in bench.watching(0.2))
    assert looks > 500
    assert len(given) == looks // 500


def test_a_line_that_differs_is_named_by_its_ring() -> None:
    """[RING-003] [RING-004] A device writes neither the command ring nor what lies outside."""
    bench = bench_of()
    bench.start()
    bench.submit(bench.lines(1, ["NOP"]))
    bench.settle()
    for at, rules in (
        (bench.layout.slot("CMD", 0).start, ("RING-003", "RING-001")),
        (0, ("RING-004", "RING-001")),
    ):
        bench.device.memory[at] ^= 1
        with pytest.raises(CheckFailed) as caught:
            bench.rest()
        assert caught.value.rules == rules
        bench.device.memory[at] ^= 1
    bench.device.memory[bench.layout.slot("DONE", 0)] ^= 0xFF
    with pytest.raises(CheckFailed, match="does not hold what it should") as caught:
        bench.rest()
    assert caught.value.rules == ("RING-001",)


# ------------------------------------------------------------------ declaring


def test_a_wrong_declaration_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that there is none of, a name twice, and a test that states nothing."""
    monkeypatch.setattr(declare, "DECLARED", dict(declare.DECLARED))

    def nop(_bench: Bench) -> None:
        """State something."""

    with pytest.raises(ValueError, match="the contract has no rule OP-999"):
        device_test("OP-999")(nop)
    with pytest.raises(ValueError, match="test OP-000/nop is declared twice"):
        device_test("OP-000")(nop)
    nop.__doc__ = None
    with pytest.raises(ValueError, match="nop: expected a docstring"):
        stream_test("OP-000")(nop)  # type: ignore[arg-type]


def test_a_rule_without_a_test_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite is whole, or there is none."""
    monkeypatch.setattr(catalogue, "RULE_IDS", RULE_IDS | {"NEW-001"})
    with pytest.raises(ValueError, match="rules without a test in the kit: NEW-001"):
        all_tests.__wrapped__()
