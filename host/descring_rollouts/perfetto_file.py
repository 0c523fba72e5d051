# SPDX-License-Identifier: Apache-2.0
"""A trace as a Perfetto file: rollouts on the host, lines on the device, and the device's clock.

Needs the extra ``trace`` (``pip install 'descring[trace]'``); ui.perfetto.dev opens the file.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from descring_host import HostError
from descring_model import contract as line_contract
from descring_model.rollouts import contract, seeing

from descring_rollouts.trace import HOST, Trace

_NAMES = {item.value: item.name for item in seeing.TRACE_EVENTS}
_OPCODES = {number: name for name, number in line_contract.OPCODE.items()}
_RTL = seeing.TRACE_CLOCK["RTL_CYCLE"]
_CLOCKS = {
    seeing.TRACE_CLOCK["RTL_CYCLE"]: "RTL cycle",
    seeing.TRACE_CLOCK["GPU_GLOBALTIMER"]: "GPU globaltimer",
}
_HOST_TRACK, _DEVICE_TRACK, _CYCLE_TRACK, _FIRST_LANE = 1, 2, 3, 16
_SEQUENCE = 1
_GLOBALTIMER = 128
"""Id of the GPU's clock in clock snapshots: the first that means the same in the whole file."""


@dataclass(frozen=True)
class Slice:
    """A span of one track.

    ``flow`` is the same on the host and on the device for one line; 0: none. Times are nanoseconds
    since the run's first tick.
    """

    track: str
    name: str
    begin: int
    end: int
    flow: int = 0
    notes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Cycle:
    """What the RTL's clock was at a time of the host."""

    at: int
    cycle: int


def host_slices(trace: Trace) -> list[Slice]:
    """Each rollout from its admission to its end, with its legs and scores inside."""
    found: list[Slice] = []
    begun: dict[tuple[str, int, int], tuple[int, int]] = {}
    ends = {
        "POLLED": "POSTED",
        "SCORED": "REWARD_POSTED",
        "TRAJECTORY_DONE": "ALLOC",
        "ENDED": "ALLOC",
    }
    events = trace.tracks()[HOST]
    times = trace.clock.ns(events["host"]).tolist()
    for at, event in zip(times, events.tolist(), strict=True):
        _, _, rollout, leg, number, _, detail = event
        name = _NAMES[number]
        if name in ("POSTED", "REWARD_POSTED", "ALLOC"):
            begun[name, rollout, leg] = (at, detail)
        elif name in ends and (start := begun.pop((ends[name], rollout, leg), None)):
            track = f"rollout {rollout}"
            notes = {"rollout": rollout} | ({} if leg == contract.NONE else {"leg": leg})
            if name == "POLLED":
                text, flow = _OPCODES.get(start[1], str(start[1])), _flow(rollout, leg)
            else:
                text, flow = ("score" if name == "SCORED" else track), 0
            found.append(Slice(track, text, start[0], at, flow, notes))
    return found


def device_slices(trace: Trace) -> tuple[list[Slice], list[Cycle]]:
    """Each line on its device, from taking it to its completion, and the cycles seen there.

    Lines that a device has at the same time are on lanes of their own.
    """
    known = {slice.flow for slice in host_slices(trace)}
    found: list[Slice] = []
    cycles: list[Cycle] = []
    for name, events in trace.tracks().items():
        if name == HOST:
            continue
        begun: dict[tuple[int, int], tuple[int, int]] = {}
        spans = []
        times = trace.clock.ns(events["host"]).tolist()
        for at, event in zip(times, events.tolist(), strict=True):
            _, device, rollout, leg, number, clock, detail = event
            flow = _flow(rollout, leg)
            if flow not in known:
                continue  # a prefetch of what is no line of this run
            if clock == _RTL:
                cycles.append(Cycle(at, device))
            if _NAMES[number] == "CONSUMED":
                begun[rollout, leg] = (at, device)
            elif _NAMES[number] == "PRODUCED" and (start := begun.pop((rollout, leg), None)):
                notes = {"rollout": rollout, "leg": leg}
                if clock in _CLOCKS:
                    notes |= {f"first {_CLOCKS[clock]}": start[1], f"last {_CLOCKS[clock]}": device}
                spans.append((start[0], at, _OPCODES.get(detail, str(detail)), flow, notes))
        for lane, (begin, end, text, flow, notes) in _lanes(sorted(spans, key=lambda s: s[:2])):
            found.append(Slice(f"{name} {lane}", text, begin, end, flow, notes))
    return found, cycles


def _flow(rollout: int, leg: int) -> int:
    return (rollout << 24 | leg) + 1


def _lanes(spans: list[Any]) -> Iterator[tuple[int, Any]]:
    """Give spans, sorted by their begin, the lowest lane that is free."""
    free: list[int] = []
    busy: list[tuple[int, int]] = []
    lanes = 0
    for span in spans:
        while busy and busy[0][0] <= span[0]:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, lanes = lanes, lanes + 1
        heapq.heappush(busy, (span[1], lane))
        yield lane, span


def perfetto_bytes(trace: Trace) -> bytes:
    """The contents of a Perfetto file of a run that has ended.

    Raises:
        HostError: perfetto is not installed.
    """
    try:
        from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
            ClockSnapshot,
            TrackDescriptor,
            TrackEvent,
        )
        from perfetto.trace_builder.proto_builder import TraceProtoBuilder
    except ImportError:
        raise HostError(
            "expected perfetto, which is not installed; run: pip install 'descring[trace]'"
        ) from None
    builder = TraceProtoBuilder()
    host, (device, cycles) = host_slices(trace), device_slices(trace)

    def describe(number: int, name: str, parent: int = 0) -> Any:
        descriptor: Any = builder.add_packet().track_descriptor
        descriptor.uuid, descriptor.name = number, name
        if parent:
            descriptor.parent_uuid = parent
        descriptor.child_ordering = TrackDescriptor.ChildTracksOrdering.EXPLICIT
        return descriptor

    describe(_HOST_TRACK, "host: rollouts")
    if device:
        track = describe(_DEVICE_TRACK, "device: lines")
        if (clock := trace.device_clock) is not None:
            track.description = (
                "stamped by the GPU's globaltimer, within "
                f"{trace.device_clock_error:.0f} ns of the host's clock"
            )
            for at in (0, max(item.end for item in device)):
                times: Any = builder.add_packet().clock_snapshot
                times.primary_trace_clock = ClockSnapshot.Clock.BOOTTIME
                stamp = trace.clock.stamp + round(at * trace.clock.per_ns)
                for number, value in (
                    (ClockSnapshot.Clock.BOOTTIME, at),
                    (_GLOBALTIMER, clock.device(stamp)),
                ):
                    times.clocks.add(clock_id=number, timestamp=value)
    tracks: dict[str, int] = {}
    for parent, slices in ((_HOST_TRACK, host), (_DEVICE_TRACK, device)):
        for rank, name in enumerate(dict.fromkeys(item.track for item in _by_begin(slices))):
            tracks[name] = _FIRST_LANE + len(tracks)
            describe(tracks[name], name, parent).sibling_order_rank = rank
    events: list[tuple[int, int, Any, Slice]] = []
    for item in (*host, *device):
        # Where times are equal, an inner slice ends before its outer one, and begins behind it.
        span = item.end - item.begin
        events.append((item.begin, 1_000_000_000_000 - span, TrackEvent.TYPE_SLICE_BEGIN, item))
        events.append((item.end, span - 1_000_000_000_000, TrackEvent.TYPE_SLICE_END, item))
    for at, _, kind, item in sorted(events, key=lambda event: event[:2]):
        packet: Any = builder.add_packet()
        packet.timestamp = at
        packet.trusted_packet_sequence_id = _SEQUENCE
        packet.track_event.type, packet.track_event.track_uuid = kind, tracks[item.track]
        if kind == TrackEvent.TYPE_SLICE_BEGIN:
            packet.track_event.name = item.name
            if item.flow:
                packet.track_event.flow_ids.append(item.flow)
            for name, value in item.notes.items():
                note = packet.track_event.debug_annotations.add()
                note.name, note.uint_value = name, value
    if cycles:
        describe(_CYCLE_TRACK, "RTL cycles").counter.unit_name = "cycles"
    for cycle in sorted(cycles, key=lambda item: (item.at, item.cycle)):
        packet = builder.add_packet()
        packet.timestamp = cycle.at
        packet.trusted_packet_sequence_id = _SEQUENCE
        packet.track_event.type = TrackEvent.TYPE_COUNTER
        packet.track_event.track_uuid = _CYCLE_TRACK
        packet.track_event.counter_value = cycle.cycle
    contents: bytes = builder.serialize()
    return contents


def _by_begin(slices: list[Slice]) -> list[Slice]:
    return sorted(slices, key=lambda item: item.begin)


def read_perfetto(data: bytes) -> tuple[list[Slice], list[Cycle]]:
    """The slices and cycles of a file of :func:`perfetto_bytes`, in the order of their begin.

    Raises:
        HostError: perfetto is not installed.
        ValueError: it is no Perfetto file, or one of others.
    """
    try:
        from google.protobuf.message import DecodeError
        from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace as TraceProto
        from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TrackEvent
    except ImportError:
        raise HostError(
            "expected perfetto, which is not installed; run: pip install 'descring[trace]'"
        ) from None
    whole: Any = TraceProto()
    try:
        whole.ParseFromString(data)
    except DecodeError as error:
        raise ValueError(f"expected a Perfetto file, got other bytes ({error})") from None
    names: dict[int, str] = {}
    open_slices: dict[int, list[Any]] = {}
    found: list[Slice] = []
    cycles: list[Cycle] = []
    for packet in whole.packet:
        if packet.HasField("track_descriptor"):
            names[packet.track_descriptor.uuid] = packet.track_descriptor.name
            continue
        event = packet.track_event
        stack = open_slices.setdefault(event.track_uuid, [])
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            stack.append(packet)
        elif event.type == TrackEvent.TYPE_COUNTER:
            cycles.append(Cycle(packet.timestamp, event.counter_value))
        elif event.type == TrackEvent.TYPE_SLICE_END and stack:
            begin = stack.pop()
            notes = {item.name: item.uint_value for item in begin.track_event.debug_annotations}
            flows = begin.track_event.flow_ids
            found.append(
                Slice(
                    names[event.track_uuid],
                    begin.track_event.name,
                    begin.timestamp,
                    packet.timestamp,
                    flows[0] if flows else 0,
                    notes,
                )
            )
    left = sum(len(stack) for stack in open_slices.values())
    if left or not found:
        raise ValueError(f"expected slices that end, got {len(found)} and {left} that do not")
    return sorted(found, key=lambda item: (item.begin, -item.end)), cycles
