# SPDX-License-Identifier: Apache-2.0
"""The trace of a run: rings, what is in them, latencies, and the Perfetto file read back."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from descring_host import CommandQueue, CpuDevice, DeviceError, HostError, open_device
from descring_host.trace_rings import EVENT_DTYPE, HEAD_DTYPE, make_ring, ring_events
from descring_model.rollouts import contract, seeing
from descring_rollouts import Runtime
from descring_rollouts.core import Core
from descring_rollouts.model_core import ModelCore
from descring_rollouts.perfetto_file import Slice, perfetto_bytes, read_perfetto
from descring_rollouts.trace import HOST, Clock, Trace, match

EVENT = seeing.TRACE_EVENT
LOG = contract.EVENT
WORK: dict[str, Any] = {"samples": 4, "new_tokens": [[40, 1, 33, 70]] * 3}
OPTIONS: dict[str, Any] = {"slots": 5, "boundary_rewards": True}


def traced(backend: str, **options: Any) -> tuple[Trace, Runtime]:
    """A run of twelve rollouts, one of which is cancelled."""
    with open_device(backend, **options) as device:
        trace = Trace(device)
        runtime = Runtime(device, watchers=[trace], **OPTIONS)
        cancel = [[contract.NONE] * 3 + [6]] + [[contract.NONE] * 4] * 2
        list(runtime.run([33, 40, 64], cancel=cancel, **WORK))
    return trace, runtime


def keys_of(trace: Trace, event: str) -> Counter[tuple[int, int]]:
    """Rollout and leg of each event of a name."""
    events = trace.events()
    mine = events[events["event"] == EVENT[event]]
    return Counter(zip(mine["rollout"].tolist(), mine["leg"].tolist(), strict=True))


@pytest.mark.parametrize(
    ("backend", "options"),
    [("model", {}), ("cpu", {}), ("cpu", {"workers": 3})],
)
def test_every_record_of_the_log_has_its_events(backend: str, options: dict[str, Any]) -> None:
    """[TRC-002] Each line of the log once in every event of a line, under its own key."""
    trace, runtime = traced(backend, **options)
    records = runtime.log()

    def logged(code: str) -> Any:
        return records[records["code"] == LOG[code]]

    lines = logged("LINE")
    leg = (lines["a"] & 0xFFFF) | (lines["b"] >> 16) << 16
    expected = Counter(zip(lines["rollout"].tolist(), leg.tolist(), strict=True))
    assert len(expected) == len(lines) > 40
    of_device = ("CONSUMED", "PRODUCED") if backend == "cpu" else ()
    for event in ("POSTED", "COMMITTED", "POLLED", *of_device):
        assert keys_of(trace, event) == expected, event
    scores = logged("SCORE")
    of_scores = Counter(zip(scores["rollout"].tolist(), scores["c"].tolist(), strict=True))
    assert keys_of(trace, "SCORED") == keys_of(trace, "REWARD_POSTED") == of_scores
    copies = logged("COPY")
    assert sum(keys_of(trace, "COPIED").values()) == len(copies) > 0
    for event, code in (("ALLOC", "ADMIT"), ("TRAJECTORY_DONE", "TRAJECTORY")):
        rollouts = set(logged(code)["rollout"].tolist())
        assert keys_of(trace, event) == Counter((number, contract.NONE) for number in rollouts)
    assert len(keys_of(trace, "ENDED")) == int(logged("END")["b"][0]) == 1
    events = trace.events()
    assert set(events["clock"].tolist()) == {0}
    assert events["device"].sum() == 0


def test_a_line_goes_through_its_events_in_time() -> None:
    """[TRC-001] Stamps of both threads, by one clock."""
    trace, _ = traced("cpu")
    events = trace.events()
    order = ("POSTED", "CONSUMED", "PRODUCED", "POLLED")
    stamps: dict[tuple[int, int], dict[int, int]] = {}
    for event in events:
        key = int(event["rollout"]), int(event["leg"])
        stamps.setdefault(key, {})[int(event["event"])] = int(event["host"])
    whole = [found for found in stamps.values() if EVENT["POSTED"] in found]
    assert len(whole) > 40
    for found in whole:
        times = [found[EVENT[name]] for name in order]
        assert times == sorted(times)
        assert found[EVENT["POSTED"]] < found[EVENT["COMMITTED"]]
    assert set(trace.tracks()) == {HOST, "worker 0"}


@pytest.mark.slow
def test_cycles_of_the_rtl_are_those_of_its_clock() -> None:
    """[TRC-001] Of n tokens a line takes n cycles at least, and time goes forward."""
    with open_device("verilated") as device:
        trace = Trace(device)
        runtime = Runtime(device, watchers=[trace], **OPTIONS)
        first = device.cycles  # type: ignore[attr-defined]
        list(runtime.run([33, 40, 64], **WORK))
        last = device.cycles  # type: ignore[attr-defined]
    events = trace.tracks()["RTL"]
    assert set(events["clock"].tolist()) == {seeing.TRACE_CLOCK["RTL_CYCLE"]}
    cycles = events["device"].astype(np.int64)
    assert (np.diff(cycles) >= 0).all()
    assert first < cycles[0] < cycles[-1] <= last
    records = runtime.log()
    done = records[(records["code"] == LOG["COMPLETION"]) & (records["b"] & 0xFFFF == 1)]
    asked = records[(records["code"] == LOG["LINE"]) & (records["b"] & 0xFFFF == 1)]
    tokens = (done["d"] & np.uint64(contract.NONE)).astype(int) - (
        asked["d"] & np.uint64(contract.NONE)
    ).astype(int)[np.argsort(np.lexsort((asked["b"] >> 16, asked["a"])))]
    taken, written = (
        {
            (int(e["rollout"]), int(e["leg"])): int(e["device"])
            for e in events[events["event"] == EVENT[name]]
        }
        for name in ("CONSUMED", "PRODUCED")
    )
    for record, count in zip(done, tokens.tolist(), strict=True):
        key = int(record["rollout"]), int(record["a"]) & 0xFFFF | int(record["b"]) >> 16 << 16
        assert written[key] - taken[key] > count
    assert tokens.max() == 32


def test_a_trace_changes_no_log() -> None:
    """[LOG-004] [TRC-003] And a run after it, without one, writes nothing into its rings."""
    with open_device("cpu") as device:
        trace = Trace(device)
        runtime = Runtime(device, watchers=[trace], **OPTIONS)
        list(runtime.run([33, 40, 64], **WORK))
        plain = Runtime(device, **OPTIONS)
        before = trace.events().tobytes()
        list(plain.run([33, 40, 64], **WORK))
        assert plain.log_file() == runtime.log_file()
        assert trace.events().tobytes() == before
        list(runtime.run([33], samples=2, new_tokens=4))
        assert len(trace.events()) < 40, "a run begins its trace anew"


def test_overwritten_events_are_counted() -> None:
    """[TRC-003] The last ones stay, in their order."""
    with open_device("cpu") as device:
        small, whole = Trace(device, events=64), Trace(device)
        list(Runtime(device, watchers=[whole], **OPTIONS).run([33, 40, 64], **WORK))
        list(Runtime(device, watchers=[small], **OPTIONS).run([33, 40, 64], **WORK))
    for name, events in whole.tracks().items():
        kept = small.tracks()[name]
        assert len(kept) == 64
        assert small.overwritten[name] == len(events) - 64 > 0
        for member in ("rollout", "leg", "event", "detail"):
            assert kept[member].tolist() == events[member][-64:].tolist()
        assert (np.diff(kept["host"].astype(np.int64)) >= 0).all()
    assert whole.overwritten == {HOST: 0, "worker 0": 0}
    lost = {item.name: item for item in small.latencies()}["ALLOC -> TRAJECTORY_DONE"]
    assert 0 < len(lost.ns) < 12
    assert lost.unmatched > 0


def events_of(*rows: tuple[int, int, int, str, int]) -> Any:
    """Events from (stamp, rollout, leg, name, detail)."""
    events = np.zeros(len(rows), dtype=EVENT_DTYPE)
    for place, (stamp, rollout, leg, name, detail) in enumerate(rows):
        events[place] = (stamp, 0, rollout, leg, EVENT[name], 0, detail)
    return events


def test_pairs_are_matched_by_key_whatever_their_order() -> None:
    """[TRC-004] Two hundred lines that end in another order than they began."""
    rng = np.random.default_rng(5)
    begun = [(1000 + n, n % 7, n, "POSTED", 1) for n in range(200)]
    spans = rng.integers(1, 5000, 200).tolist()
    ended = [(1000 + n + span, n % 7, n, "POLLED", 1) for n, span in enumerate(spans)]
    lonely = [(1, 99, 0, "POSTED", 1), (2, 98, 0, "POLLED", 1), (3, 98, 1, "POLLED", 1)]
    events = events_of(*begun, *ended, *lonely)
    found = match(events[rng.permutation(len(events))], "POSTED", "POLLED", Clock(0, 2.0))
    assert sorted(found.ns.tolist()) == sorted(
        round((1000 + n + span) / 2) - round((1000 + n) / 2) for n, span in enumerate(spans)
    )
    assert found.unmatched == 3
    twice = events_of(*begun[:2], begun[0], *ended[:2])
    assert match(twice, "POSTED", "POLLED", Clock(0, 1.0)).ns.tolist() == [spans[1]]


def test_pairs_of_a_rollout_take_the_final_score() -> None:
    """[TRC-004] A rollout with a score at a boundary and one at its end."""
    none = contract.NONE
    events = events_of(
        (100, 4, none, "ALLOC", 0),
        (200, 4, 64, "REWARD_POSTED", 0),
        (210, 4, 64, "SCORED", 0),
        (300, 4, 70, "REWARD_POSTED", 1),
        (350, 4, 70, "SCORED", 1),
        (900, 4, none, "TRAJECTORY_DONE", 0),
    )
    found = {
        pair: match(events, *pair, Clock(0, 1.0)).ns.tolist() for pair in seeing.TRACE_PAIRS[4:]
    }
    assert found == {
        ("ALLOC", "REWARD_POSTED"): [200],
        ("ALLOC", "TRAJECTORY_DONE"): [800],
        ("REWARD_POSTED", "SCORED"): [10, 50],
        ("REWARD_POSTED", "TRAJECTORY_DONE"): [600],
    }


def test_quantiles_are_those_of_the_samples() -> None:
    """[TRC-004] To three digits, against the sorted samples."""
    trace, _ = traced("cpu")
    for item in trace.latencies():
        assert item.unmatched == item.name.startswith("ALLOC")
        exact = np.sort(item.ns)
        for value, share in zip(item.quantiles().values(), (0.5, 0.9, 0.99, 0.999), strict=True):
            place = max(0, int(np.ceil(share * len(exact))) - 1)
            assert abs(value - exact[place]) <= max(1, exact[place] * 2e-3)


def test_what_cannot_be_traced_is_refused() -> None:
    """[TRC-003] Another size of a ring, the golden model's core, a worker in another process."""
    for events in (0, -4, 100, 1 << 29):
        with pytest.raises(ValueError, match="power of two"):
            make_ring(events)
    with open_device("model") as device:
        for events in (0, 100):
            with pytest.raises(ValueError, match="power of two"):
                Trace(device, events=events)
        runtime = Runtime(device, core=ModelCore, watchers=[Trace(device)])
        with pytest.raises(HostError, match="expected the native core to be traced"):
            list(runtime.run([4]))
    with open_device("cpu", process=True) as device:
        runtime = Runtime(device, watchers=[Trace(device)])
        with pytest.raises(DeviceError, match="expected worker threads in this process"):
            list(runtime.run([4]))
        assert len(list(Runtime(device).run([4]))) == 1


def test_a_ring_is_laid_out_as_the_contract_has_it() -> None:
    """[TRC-001] [TRC-003] Sizes and places, written out."""
    assert (EVENT_DTYPE.itemsize, HEAD_DTYPE.itemsize) == (32, 64)
    fields = EVENT_DTYPE.fields
    assert fields is not None
    assert {name: field[1] for name, field in fields.items()} == {
        "host": 0, "device": 8, "rollout": 16, "leg": 20, "event": 24, "clock": 26, "detail": 28,
    }  # fmt: skip
    ring = make_ring(4)
    assert len(ring) == 64 + 4 * 32
    assert ring.ctypes.data % 64 == 0
    assert ring[8] == 3
    ring[0] = 6
    ring[64:].view(EVENT_DTYPE)["host"] = [14, 15, 12, 13]
    events, lost = ring_events(ring)
    assert (events["host"].tolist(), lost) == ([12, 13, 14, 15], 2)


def test_the_perfetto_file_has_every_line_on_both_sides() -> None:
    """[TRC-001] [TRC-002] Read back with the library's own classes; times are whole nanoseconds."""
    trace, runtime = traced("cpu")
    slices, cycles = read_perfetto(perfetto_bytes(trace))
    assert cycles == []
    records = runtime.log()
    lines = int((records["code"] == LOG["LINE"]).sum())
    host = [item for item in slices if item.track.startswith("rollout ")]
    device = [item for item in slices if item.track.startswith("worker 0 ")]
    assert len(device) == lines
    flows = {item.flow: item for item in host if item.flow}
    assert {item.flow for item in device} == set(flows)
    for item in device:
        around = flows[item.flow]
        assert around.begin <= item.begin <= item.end <= around.end
        assert around.name == item.name
        assert around.track == f"rollout {item.notes['rollout']}"
    outer = [item for item in host if item.name == item.track]
    assert len(outer) == 12
    names = Counter(item.name for item in host)
    assert names["DECODE"] == int(
        ((records["code"] == LOG["LINE"]) & (records["b"] & 0xFFFF == 1)).sum()
    )
    assert names["score"] == names["REWARD"] > 12
    by_track: dict[str, list[Slice]] = {}
    for item in slices:
        by_track.setdefault(item.track, []).append(item)
    for track, items in by_track.items():
        stack: list[Slice] = []
        for item in items:
            while stack and stack[-1].end <= item.begin:
                stack.pop()
            assert not stack or item.end <= stack[-1].end, f"slices of {track} cross"
            stack.append(item)


def test_what_is_no_perfetto_file_is_refused() -> None:
    """[TRC-001] Other bytes, no bytes, and a file that was cut."""
    trace, _ = traced("model")
    whole = perfetto_bytes(trace)
    for data in (b"text", b"", whole[: len(whole) // 2]):
        with pytest.raises(ValueError, match="expected"):
            read_perfetto(data)
    assert len(read_perfetto(whole)[0]) > 40


def test_a_native_run_notes_what_it_submits_and_takes() -> None:
    """[TRC-002] [TRC-003] Core.run over a queue has the events of a run that Python steps."""
    expected, runtime = traced("cpu")
    core = Core(runtime.config, runtime.requests)
    rings = {HOST: make_ring(4096)}
    core.trace(rings[HOST])
    with CpuDevice() as device, CommandQueue(device) as queue:
        device.trace(lambda name: rings.setdefault(name, make_ring(4096)))
        core.run(queue)
    found_events = [ring_events(ring) for ring in rings.values()]
    assert [lost for _, lost in found_events] == [0, 0]
    events = np.concatenate([kept for kept, _ in found_events])
    for name in EVENT:
        mine = events[events["event"] == EVENT[name]]
        found = Counter(zip(mine["rollout"].tolist(), mine["leg"].tolist(), strict=True))
        assert found == keys_of(expected, name), name
