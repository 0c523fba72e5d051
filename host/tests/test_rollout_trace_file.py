# SPDX-License-Identifier: Apache-2.0
"""The Perfetto file of a trace made by hand, the extra packages, and the rings of a trace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from descring_host import HostError, open_device
from descring_host.trace_rings import EVENT_DTYPE, ClockReading, DeviceClock, MakeRing
from descring_model.rollouts import contract, seeing
from descring_rollouts import Runtime
from descring_rollouts.metrics import openmetrics
from descring_rollouts.perfetto_file import perfetto_bytes, read_perfetto
from descring_rollouts.trace import HOST, Clock, Latencies, Trace
from rollout_devices import Wrapped

NONE = contract.NONE
Row = tuple[int, int, int, str]
"""Stamp, rollout, leg and name of an event."""


class ByHand:
    """A trace of these events, whose stamps are nanoseconds."""

    def __init__(self, host: list[Row], device: list[Row], clock: DeviceClock | None = None):
        self.clock = Clock(0, 1.0)
        self.device_clock = clock
        self.device_clock_error = 0.0
        self._rows = {HOST: host, "worker 0": device}

    def tracks(self) -> dict[str, Any]:
        """As :meth:`Trace.tracks`."""
        found = {}
        for name, rows in self._rows.items():
            found[name] = np.zeros(len(rows), dtype=EVENT_DTYPE)
            for place, (stamp, rollout, leg, event) in enumerate(rows):
                number = seeing.TRACE_EVENT[event]
                found[name][place] = (stamp, 0, rollout, leg, number, 0, 1)
        return found


def contents_of(host: list[Row], device: list[Row], clock: DeviceClock | None = None) -> bytes:
    """The file of such a trace."""
    by_hand: Any = ByHand(host, device, clock)
    return perfetto_bytes(by_hand)


LEGS: list[Row] = [
    (100, 4, 0, "POSTED"), (300, 4, 0, "POLLED"), (300, 4, 1, "POSTED"), (500, 4, 1, "POLLED"),
]  # fmt: skip
"""Two lines of a rollout on the host."""


def test_lines_of_others_are_left_out_and_those_behind_them_are_not() -> None:
    """[TRC-002] A device may have fetched what is no line of the run, before each of its lines."""
    device: list[Row] = [
        (110, 99, 7, "CONSUMED"), (120, 4, 0, "CONSUMED"), (200, 99, 7, "PRODUCED"),
        (210, 4, 0, "PRODUCED"), (305, 98, 1, "CONSUMED"), (310, 4, 1, "CONSUMED"),
        (400, 4, 1, "PRODUCED"),
    ]  # fmt: skip
    slices, cycles = read_perfetto(contents_of(LEGS, device))
    there = [item for item in slices if item.track == "worker 0 0"]
    assert [(item.begin, item.end, item.notes) for item in there] == [
        (120, 210, {"rollout": 4, "leg": 0}),
        (310, 400, {"rollout": 4, "leg": 1}),
    ]
    assert cycles == []


def test_of_slices_that_begin_together_the_outer_one_is_first() -> None:
    """[TRC-001] A rollout whose line and score begin and end with it."""
    host: list[Row] = [
        (100, 4, NONE, "ALLOC"), (100, 4, 0, "POSTED"), (150, 4, 0, "POLLED"),
        (150, 4, 40, "REWARD_POSTED"), (200, 4, 40, "SCORED"), (200, 4, NONE, "TRAJECTORY_DONE"),
    ]  # fmt: skip
    slices, _ = read_perfetto(contents_of(host, []))
    assert [(item.name, item.begin, item.end) for item in slices] == [
        ("rollout 4", 100, 200),
        ("DECODE", 100, 150),
        ("score", 150, 200),
    ]


def test_the_clock_of_a_device_is_in_the_file() -> None:
    """[TRC-005] As two snapshots of both clocks: where the trace begins and where it ends."""
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import ClockSnapshot
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace as TraceProto

    clock = DeviceClock(ClockReading(0, 0, 5000), ClockReading(1000, 1000, 7000), 1)
    device: list[Row] = [(120, 4, 0, "CONSUMED"), (210, 4, 0, "PRODUCED")]
    whole: Any = TraceProto()
    whole.ParseFromString(contents_of(LEGS, device, clock))
    host_clock, gpu_clock = ClockSnapshot.Clock.BOOTTIME, 128
    readings = [
        {item.clock_id: item.timestamp for item in packet.clock_snapshot.clocks}
        for packet in whole.packet
        if packet.HasField("clock_snapshot")
    ]
    assert readings == [{host_clock: 0, gpu_clock: 5000}, {host_clock: 210, gpu_clock: 5420}]


PERFETTO = "perfetto.protos.perfetto.trace.perfetto_trace_pb2"
LATENCIES = Latencies("POSTED", "POLLED", np.array([7], dtype=np.int64), 0)


@pytest.mark.parametrize(
    ("module", "call", "package"),
    [
        ("hdrh.histogram", LATENCIES.quantiles, "hdrhistogram"),
        (PERFETTO, lambda: contents_of(LEGS, []), "perfetto"),
        (PERFETTO, lambda: read_perfetto(b""), "perfetto"),
        ("prometheus_client", lambda: openmetrics(lambda: None), "prometheus-client"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    module: str, call: Callable[[], object], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[TRC-004] [MET-006] pip install 'descring[...]' is what helps."""
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    text = rf"expected {package}, which is not installed; run: pip install 'descring\[\w+\]'"
    with pytest.raises(HostError, match=text):
        call()


class Asked(Wrapped):
    """A device that is asked to trace, and has a ring made for a thread."""

    def __init__(self, device: Any) -> None:
        super().__init__(device)
        self.sizes: list[int] = []

    def trace(self, make_ring: MakeRing | None) -> None:
        """Note how large a ring is."""
        if make_ring is not None:
            self.sizes.append(len(make_ring("a thread")))


@pytest.mark.parametrize(("options", "events"), [({}, 262144), ({"events": 64}, 64)])
def test_a_ring_has_room_for_as_many_events_as_were_asked_for(
    options: dict[str, int], events: int
) -> None:
    """[TRC-003] 8 MiB a thread, unless another number is given."""
    with open_device("model") as device:
        asked: Any = Asked(device)
        list(Runtime(asked, watchers=[Trace(asked, **options)]).run([4]))
    assert asked.sizes == [64 + 32 * events]
