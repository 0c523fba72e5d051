# SPDX-License-Identifier: Apache-2.0
"""Simulations stay up from test to test, and what happens in one test has no effect on the next."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conform_support import ACME
from descring_model import contract, streams
from descring_sim.conform.dut import Device, DeviceJob, StreamJob
from descring_sim.conform.duts.backends import BackendDut
from descring_sim.conform.duts.find import load_file
from descring_sim.conform.errors import DutError, DutHung
from descring_sim.conform.execute import run_test
from descring_sim.conform.status import Status
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.cosim.stream_server import StreamSimulation

JOB = StreamJob(streams.generate(40, seed=5), seed=9, timeout_s=60.0)
TESTS = {test.id: test for test in all_tests()}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[StreamSimulation]]:
    """The simulations that a test starts, in order; they are closed behind it."""
    made: list[StreamSimulation] = []
    original = StreamSimulation.__init__

    def counted(self: StreamSimulation, *arguments: object, **options: object) -> None:
        original(self, *arguments, **options)  # type: ignore[arg-type]
        made.append(self)

    monkeypatch.setattr(StreamSimulation, "__init__", counted)
    yield made
    for simulation in made:
        simulation.close()


@pytest.mark.parametrize("name", ["icarus", "verilator"])
def test_streams_share_a_simulation(name: str, started: list[StreamSimulation]) -> None:
    """[LIFE-001]: each is from reset: the same stream gives the same bytes, in one simulation."""
    dut = BackendDut(name)
    first = dut.run(JOB)
    other = dut.run(StreamJob(JOB.lines[:7], first_index=2**32 - 3, seed=1))
    again = dut.run(JOB)
    assert len(started) == 1
    assert len(other.done) == 7
    assert again.done.tobytes() == first.done.tobytes()
    assert again.note == first.note


def test_a_hang_and_a_death_start_another(started: list[StreamSimulation]) -> None:
    """What is killed for its time has hung, and the next stream is completed."""
    dut = BackendDut("verilator")
    expected = dut.run(JOB).done.tobytes()
    os.killpg(started[0]._process.pid, signal.SIGSTOP)
    with pytest.raises(DutHung, match="no end after 1 s"):
        dut.run(StreamJob(JOB.lines, seed=9, timeout_s=1.0))
    assert dut.run(JOB).done.tobytes() == expected
    os.killpg(started[1]._process.pid, signal.SIGKILL)
    started[1]._process.wait()
    assert dut.run(JOB).done.tobytes() == expected
    assert len(started) == 3


def test_an_assertion_of_the_design_ends_one_stream(
    tmp_path: Path, started: list[StreamSimulation]
) -> None:
    """A ``$fatal`` becomes that test's error, in the design's own words."""
    source = ACME.parent / "acme_ring.v"
    trap = 'if (line[63:32] == 32\'hDEAD_0001) $fatal(1, "the trap");\n'
    text = source.read_text("utf-8").replace(
        "        WORK: begin\n", "        WORK: begin\n" + trap
    )
    (tmp_path / "acme_ring.v").write_text(text, encoding="utf-8")
    assert "the trap" in text
    settings = ACME.read_text("utf-8").replace('"verilator"', '"icarus"')
    (tmp_path / "acme.toml").write_text(settings, encoding="utf-8")
    dut = load_file(tmp_path / "acme.toml")
    dut.build(tmp_path / "build")
    good = dut.run(JOB).done.tobytes()
    trapped = JOB.lines.copy()
    trapped["rollout_id"][3] = 0xDEAD0001
    with pytest.raises(DutError, match="the trap"):
        dut.run(StreamJob(trapped, seed=9))
    assert dut.run(JOB).done.tobytes() == good
    assert len(started) == 2


@pytest.mark.parametrize("name", ["icarus", "verilator"])
def test_devices_are_reset_between_programs(name: str) -> None:
    """[LIFE-004]: one simulator for several programs, each of which meets a device after reset."""
    dut = BackendDut(name)
    seen: list[Device] = []
    for _ in range(2):
        dut.run(DeviceJob(lambda device: seen.append(device)))
        for test in ("LIFE-001/all-at-reset", "OP-255/stop-halts"):
            result = run_test(dut, dut.describe(), TESTS[test], 3, timeout_s=120, waves=False)
            assert result.status is Status.PASSED, result.failure
    assert seen[0] is seen[1]
    seen[0].write32(contract.REGISTER["CTRL"].offset, contract.register_bit("CTRL", "RESET"))
    seen[0].close()  # type: ignore[attr-defined]


def test_a_backend_without_its_machine_is_not_judged(descring) -> None:  # type: ignore[no-untyped-def]
    """Without a GPU ``cuda`` is no failure, and no pass: named alone there is no verdict."""
    actual = descring("conform", "cuda", "--smoke")
    if actual.returncode == 0:
        pytest.skip("there is a GPU here")
    assert actual.returncode == 2
    assert "cuda" in actual.stderr
    assert actual.stdout == ""
