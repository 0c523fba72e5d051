# SPDX-License-Identifier: Apache-2.0
"""The trace of a worker behind a bus: its events, its clock, and its track in a Perfetto file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trace_cases
from click.testing import CliRunner
from descring_cuda import RemoteDevice
from descring_cuda.launch import open_cuda
from descring_host import CommandQueue, PeerDied
from descring_host.native import lib as native
from descring_model.rollouts import contract
from descring_rollouts import Runtime
from descring_rollouts.native import lib
from descring_rollouts.perfetto_file import Slice, perfetto_bytes, read_perfetto
from descring_rollouts.trace import HOST, Trace
from descring_sim.cli.main import cli
from host_support import eventually, run_stream
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import ClockSnapshot
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace as TraceProto
from remote_support import OpenRemote

GLOBALTIMER = 128


@pytest.mark.parametrize("case", trace_cases.CASES, ids=lambda case: case.__name__)
def test_events(open_remote: OpenRemote, case: Callable[[trace_cases.Open], None]) -> None:
    """[TRC-002] [TRC-003] [TRC-005] Complete, in time, counted, and only where asked for."""
    case(open_remote)


def check_run(device_slices: list[Slice], host_slices: list[Slice], slack: float) -> None:
    """Each line of a run on both sides, the device's inside the host's."""
    flows = {item.flow: item for item in host_slices if item.flow}
    assert {item.flow for item in device_slices} == set(flows)
    assert len(device_slices) == len(flows) > 40
    for item in device_slices:
        around = flows[item.flow]
        assert around.name == item.name
        assert around.begin - slack <= item.begin <= item.end <= around.end + slack
        assert item.notes["first GPU globaltimer"] <= item.notes["last GPU globaltimer"]


def test_a_run_has_a_track_of_the_gpu(open_remote: OpenRemote) -> None:
    """[TRC-002] [TRC-005] In the Perfetto file, with both clocks and how far they may be apart."""
    device = open_remote(16 << 20)
    trace = Trace(device)
    runtime = Runtime(device, watchers=[trace], slots=5, boundary_rewards=True)
    list(runtime.run([33, 40, 64], samples=4, new_tokens=[[40, 1, 33, 70]] * 3))
    assert set(trace.tracks()) > {HOST}
    assert not any(trace.overwritten.values())
    lines = int((runtime.log()["code"] == contract.EVENT["LINE"]).sum())
    contents = perfetto_bytes(trace)
    slices, cycles = read_perfetto(contents)
    assert cycles == []
    device_side = [item for item in slices if item.track.startswith("GPU worker ")]
    assert len(device_side) == lines
    error = trace.device_clock_error
    assert error > 0
    check_run(device_side, [item for item in slices if item not in device_side], error + 1)
    whole: Any = TraceProto()
    whole.ParseFromString(contents)
    readings = [
        {clock.clock_id: clock.timestamp for clock in packet.clock_snapshot.clocks}
        for packet in whole.packet
        if packet.HasField("clock_snapshot")
    ]
    begin, end = ((it[ClockSnapshot.Clock.BOOTTIME], it[GLOBALTIMER]) for it in readings)
    for item in device_side:
        at = item.notes["first GPU globaltimer"]
        there = begin[0] + (at - begin[1]) / (end[1] - begin[1]) * (end[0] - begin[0])
        assert abs(there - item.begin) <= 2
    told = [packet.track_descriptor.description for packet in whole.packet]
    assert f"within {error:.0f} ns of the host's clock" in "".join(told)


def end_worker(device: RemoteDevice) -> None:
    """Without the device's knowledge."""
    native.hd_stop_remote(device._device)
    eventually(lambda: not device._launcher.running(), "it ends")


def test_a_restarted_worker_continues_the_trace(open_remote: OpenRemote) -> None:
    """[TRC-003] Its events follow those of the one before it."""
    lines, rings = trace_cases.lines_of(91), trace_cases.Rings()
    device = open_remote()
    device.trace(rings.make)
    with CommandQueue(device, cmd_slots=64) as queue:
        run_stream(queue, lines[:100], 9)
        end_worker(device)
        device.restart_worker()
        run_stream(queue, lines[100:], 9)
    device.trace(None)
    assert trace_cases.keys_of(rings.events(), "PRODUCED") == trace_cases.keys(lines)


def test_a_trace_ends_with_its_worker(open_remote: OpenRemote) -> None:
    """[TRC-005] Without the worker's clock there are no stamps; the next trace is whole."""
    device = open_remote()
    rings = trace_cases.Rings()
    device.trace(rings.make)
    end_worker(device)
    with pytest.raises(PeerDied, match="told to stop"):
        device.trace(None)
    assert device.trace_clock is None
    device.restart_worker()
    again, lines = trace_cases.Rings(), trace_cases.lines_of(92)
    device.trace(again.make)
    with CommandQueue(device, cmd_slots=64) as queue:
        run_stream(queue, lines, 9)
    device.trace(None)
    assert len(rings.events()) == 0
    assert trace_cases.keys_of(again.events(), "PRODUCED") == trace_cases.keys(lines)


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("shape", ["latency", "throughput", "resident"])
def test_the_clock_of_a_gpu(shape: str) -> None:
    """[TRC-005] The globaltimer has nanoseconds; a reading is a moment's."""
    with open_cuda(shape=shape) as device:
        device.trace(trace_cases.Rings().make)
        began, stamp = time.monotonic_ns(), int(lib.hr_stamp())
        time.sleep(0.5)
        per_ns = (int(lib.hr_stamp()) - stamp) / (time.monotonic_ns() - began)
        device.trace(None)
        clock = device.trace_clock
    assert clock is not None
    assert clock.per_stamp * per_ns == pytest.approx(1.0, abs=1e-3)
    widths = [(reading.after - reading.before) / per_ns for reading in (clock.first, clock.last)]
    print(
        f"{shape}: readings of {widths[0]:.0f} and {widths[1]:.0f} ns, a step of {clock.step} ns, "
        f"within {clock.error / per_ns:.0f} ns; {(clock.per_stamp * per_ns - 1) * 1e6:+.1f} ppm"
    )


@pytest.mark.usefixtures("gpu")
def test_the_command_writes_a_track_of_the_gpu(tmp_path: Path) -> None:
    """``descring rollouts --backend cuda --trace``; the file stays in ``$OUT``, if there is one."""
    path = Path(os.environ.get("OUT", tmp_path)) / "run.perfetto-trace"
    options = ["--prompts", "4", "--samples", "3", "--seed", "7", "--trace", str(path)]
    result = CliRunner().invoke(cli, ["rollouts", "--backend", "cuda", *options])
    assert result.exit_code == 0, result.output
    assert "of the host's clock" in result.output
    print(result.output)
    slices, _ = read_perfetto(path.read_bytes())
    device = [item for item in slices if item.track.startswith("GPU worker ")]
    assert len(device) > 12
    assert {item.flow for item in device} == {item.flow for item in slices if item.flow}
