# SPDX-License-Identifier: Apache-2.0
"""One test on one implementation, in this process: what the kit's worker processes do."""

from __future__ import annotations

import time
import traceback
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from descring_model import contract

from descring_sim.conform.dut import Description, Device, DeviceJob, Dut, StreamJob
from descring_sim.conform.errors import DutError, DutHung
from descring_sim.conform.status import Bin, Failure, Status, TestResult
from descring_sim.conform.suite.bench import Bench, CheckFailed, NotReached
from descring_sim.conform.suite.declare import Test
from descring_sim.conform.suite.stream_check import bins_of, judge
from descring_sim.conform.suite.vector import Draw
from descring_sim.replay.backend import ReplayError


def rng_of(test: Test, seed: int) -> np.random.Generator:
    """The generator of a test: its own, so that a test alone draws what it draws among others."""
    return np.random.default_rng([seed, zlib.crc32(test.id.encode())])


def seeds_of(test: Test, seed: int) -> Iterator[int]:
    """Yield a seed for the implementation in each stream of a test, below 2^31.

    They differ, and none is the run's: an implementation that is right with one seed alone shows.
    """
    rng = np.random.default_rng([seed, zlib.crc32(test.id.encode()), 1])
    while True:
        yield int(rng.integers(2, 1 << 31))


def run_test(
    dut: Dut, description: Description, test: Test, seed: int, *, timeout_s: float, waves: bool
) -> TestResult:
    """Run ``test``; whatever the implementation does in this process becomes a result."""
    started = time.monotonic()
    run = _run_stream if test.stream else _run_device
    try:
        result = run(dut, description, test, seed, timeout_s, waves)
    except DutHung as error:
        result = _ended(test, seed, Status.HUNG, str(error), error.waves)
    except (DutError, ReplayError) as error:
        result = _ended(test, seed, Status.ERROR, str(error))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
        result = _ended(test, seed, Status.ERROR, where)
    seconds = time.monotonic() - started
    return TestResult(**{**result.__dict__, "seconds": seconds})


def by_its_version(dut: Dut, description: Description) -> Description:
    """The claims of a device by the version of the contract that its registers name [REG-07C].

    By a later version it would fail nearly every test, and none of them would name the cause. One
    whose VERSION and CONTRACT_HASH do not belong together is judged by the version it claims.
    """
    if "device" not in description.capabilities.levels:
        return description
    seen: list[tuple[int, int]] = []

    def program(device: Device) -> None:
        version, digest = (
            device.read32(contract.OFFSET[name]) for name in ("VERSION", "CONTRACT_HASH")
        )
        seen.append((version, digest))

    try:
        dut.run(DeviceJob(program))
    except (DutError, ReplayError):
        return description  # the tests meet it again, and report it
    for version, digest in seen:
        if contract.EARLIER_HASHES.get(version) == digest:
            claims = description.capabilities.of_version(version)
            return replace(description, capabilities=claims)
    return description


def _ended(
    test: Test, seed: int, status: Status, text: str, waves: str | None = None
) -> TestResult:
    failure = Failure(" ".join(text.split()), (test.rule,), waves=waves)
    return TestResult(test.id, test.rule, status, seed, failure=failure)


def _run_stream(
    dut: Dut, description: Description, test: Test, seed: int, timeout_s: float, waves: bool
) -> TestResult:
    draw = Draw(rng_of(test, seed), description.capabilities)
    compared = 0
    bins: Counter[Bin] = Counter()
    for vector, own in zip(test.vectors(draw), seeds_of(test, seed), strict=False):
        job = StreamJob(vector.lines, **vector.modes, seed=own, waves=waves, timeout_s=timeout_s)
        equal, failure = judge(vector, job, dut.run(job), test.rule)
        compared += equal
        if failure or not equal:
            return TestResult(
                test.id, test.rule, Status.FAILED, seed, compared=compared, failure=failure
            )
        bins += bins_of(vector, job)
    status = Status.PASSED if compared else Status.FAILED
    return TestResult(test.id, test.rule, status, seed, compared=compared, bins=dict(bins))


def _run_device(
    dut: Dut, description: Description, test: Test, seed: int, timeout_s: float, waves: bool
) -> TestResult:
    body = test.device
    assert body is not None
    draw = Draw(rng_of(test, seed), description.capabilities)
    benches: list[Bench] = []
    failures: list[Failure] = []
    not_reached: list[str] = []

    def program(device: Device) -> None:
        bench = Bench(
            device,
            rule=test.rule,
            draw=draw,
            first_index=test.first_index,
            settle_s=description.settle_s,
        )
        benches.append(bench)
        try:
            body(bench)
        except CheckFailed as error:
            # Kept here, so that no driver of a device between us can turn it into something else.
            failures.append(Failure(str(error), error.rules, error.diff))
        except NotReached as error:
            not_reached.append(str(error))

    answer = dut.run(
        DeviceJob(
            program,
            memory=test.memory,
            first_index=test.first_index,
            seed=seed,
            timeout_s=timeout_s,
            waves=waves,
        )
    )
    if not benches:
        raise DutError("run() returned and never drove the device: it ran no program")
    if not_reached:
        return TestResult(
            test.id, test.rule, Status.NOT_CLAIMED, seed, reason=f"too slow: {not_reached[0]}"
        )
    compared = benches[0].compared
    if not failures and not compared:
        failures.append(Failure("the program compared nothing", (test.rule,)))
    if failures and answer.waves:
        failures[0] = Failure(**{**failures[0].__dict__, "waves": answer.waves})
    return TestResult(
        test.id,
        test.rule,
        Status.FAILED if failures else Status.PASSED,
        seed,
        compared=compared,
        failure=failures[0] if failures else None,
        bins={} if failures else dict(benches[0].bins),
    )
