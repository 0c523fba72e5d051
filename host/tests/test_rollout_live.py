# SPDX-License-Identifier: Apache-2.0
"""Live pages and metrics of a run: what readers see while it goes on, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from descring_host import CommandQueue, DeviceError, HostError, open_device
from descring_model.rollouts import counting, seeing
from descring_model.rollouts.records import make_config
from descring_model.rollouts.run import run as model_run
from descring_rollouts import Runtime, ScorerError, make_requests
from descring_rollouts.core import Core
from descring_rollouts.live import PREFIX, LivePage, Snapshot, find, open_page, snapshot
from descring_rollouts.metrics import LOOPBACK, MetricsServer, openmetrics
from descring_rollouts.model_core import ModelCore
from descring_rollouts.native import lib
from rollout_scorers import bad_for_group_one

CORES: dict[str, Any] = {"native": Core, "model": ModelCore}


@pytest.mark.parametrize("core", CORES)
def test_the_page_has_what_the_golden_model_counts(core: str, tmp_path: Path) -> None:
    """[MET-001] [MET-005] Of both cores, at the end; and the file is there during the run only."""
    page = LivePage("a test", folder=tmp_path)
    with open_device("model") as device:
        runtime = Runtime(device, slots=6, core=CORES[core], watchers=[page], scorer=1)
        for group in runtime.run(
            [40, 50, 60], samples=4, new_tokens=70, cancel=[[0, 3, 9, 99]] * 3
        ):
            (path,) = find(tmp_path)
            shown = snapshot(open_page(path))
            assert (shown.state, shown.pid, shown.name) == (0, os.getpid(), "a test")
            assert shown.counters["ticks"] > group.trajectories.ended.max() > 0
    assert list(tmp_path.iterdir()) == []
    golden = model_run(runtime.config, runtime.requests)
    shown = snapshot(page.bytes)
    assert (
        list(shown.counters.values()) == counting.counters(golden)[: len(shown.counters)].tolist()
    )
    assert list(shown.gauges.values()) == counting.gauges(golden)[: len(shown.gauges)].tolist()
    assert shown.state == seeing.LIVE_STATE["ENDED"]
    assert (shown.requests, shown.ended) == (12, 12)
    assert shown.config.tobytes() == runtime.config.tobytes()


WORK: dict[str, Any] = {"samples": 4, "new_tokens": [[40, 1, 33, 70]] * 3}
RUNS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "deferred": ({"depth": 2, "window": 3}, {"cancel": [[1, 0, 5, 9]] * 3}),
    "slots": ({"slots": 2, "boundary_rewards": True}, {}),
    "credits": ({"decode_credits": 3, "reward_credits": 1}, {}),
    "slots and credits": ({"slots": 2, "decode_credits": 2}, {}),
    "window": ({"window": 1}, {}),
    "delivery": ({"deliver": 1}, {}),
    "seats": ({"seats": 2, "staleness": 0}, {"arrival": [0, 4, 30]}),
    "blocks": ({"kv_blocks": 12}, {}),
    "scorer": ({"scorer": 1, "score_ticks": 2}, {}),
    "failing": ({"scorer": bad_for_group_one, "score_in": "inline"}, {}),
}
"""Options and requests; together they move every counter."""


def test_every_counter_moves_as_in_the_golden_model() -> None:
    """[MET-001] [MET-002] [MET-003] The native core against the model, and none stays 0."""
    moved = np.zeros(seeing.COUNTER_WORDS, dtype=np.uint64)
    with open_device("model") as device:
        for name, (options, columns) in RUNS.items():
            found = []
            for core in CORES.values():
                runtime = Runtime(device, core=core, **options)
                with suppress(ScorerError):
                    list(runtime.run([33, 40, 64], **WORK, **columns))
                found.append(runtime.counters())
            assert found[0].tolist() == found[1].tolist(), name
            moved += found[0]
    assert [name for name, number in seeing.COUNTER.items() if not moved[number]] == []


@pytest.mark.parametrize("core", CORES)
def test_a_run_that_fails_says_so_and_leaves_no_page(core: str, tmp_path: Path) -> None:
    """[MET-005] [PIPE-013] An exception of the caller's, and a caller that leaves early."""
    page = LivePage("a test", folder=tmp_path)
    with open_device("model") as device:
        runtime = Runtime(device, slots=4, core=CORES[core], watchers=[page])
        groups = runtime.run(
            [20] * 9, samples=2, new_tokens=[[20 * n, 40 * n] for n in range(1, 10)]
        )
        next(groups)
        with pytest.raises(KeyError):
            groups.throw(KeyError("mine"))  # type: ignore[attr-defined]
        shown = snapshot(page.bytes)
        assert shown.state == seeing.LIVE_STATE["FAILED"]
        counted = shown.counters
        assert counted["nodes"] == counted["nodes_freed"] > 0
        assert counted["admitted"] == shown.ended > counted["delivered"]
        held = {name for name, value in shown.gauges.items() if value}
        assert held == {"state_free", "queue_free"}
        for _ in runtime.run([20] * 9, samples=2, new_tokens=40):
            break
        assert snapshot(page.bytes).state == seeing.LIVE_STATE["ENDED"]
    assert list(tmp_path.iterdir()) == []


def live_page() -> npt.NDArray[np.uint8]:
    """A page in this process's own memory."""
    page = np.zeros(seeing.LIVE_BYTES, dtype=np.uint8)
    page[:8] = np.frombuffer(seeing.LIVE_MAGIC, dtype=np.uint8)
    page[8] = seeing.LIVE_VERSION
    return page


def watched(core: Core, enough: Callable[[list[Snapshot]], bool]) -> list[Snapshot]:
    """Run until the end, or until a reader has seen enough of the page; what it saw."""
    page = live_page()
    core.show(page)
    seen: list[Snapshot] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            seen.append(snapshot(page))

    reader = threading.Thread(target=watch, daemon=True)
    with open_device("cpu") as device, CommandQueue(device) as queue:
        reader.start()
        deadline = time.monotonic() + 60
        while not core.finished and not enough(seen) and time.monotonic() < deadline:
            # core.run() would ask for the interpreter's lock more often.
            lib.hr_pipe_run(core.handle, queue.native_queue(), 200_000, 1 << 30)
        over.set()
        reader.join()
    return [*seen, snapshot(page)]


def test_a_reader_beside_a_native_run_sees_whole_ticks_only() -> None:
    """[MET-004] [MET-005] Ticks without a line go by fastest: the page changes most of the time."""

    def states(seen: list[Snapshot]) -> int:
        return len({item.counters["ticks"] for item in seen})

    core = Core(make_config(), make_requests([40], arrival=1 << 31), keep_log=False)
    until = time.monotonic() + 15
    seen = watched(core, lambda seen: states(seen) > 100 or time.monotonic() > until)
    # On a busy machine the reader is between two ticks once a second.
    assert states(seen) > 2, "the reader saw the run in too few states"
    assert all(item.sequence == 2 * item.counters["ticks"] + 2 for item in seen)


def test_the_books_of_a_page_balance_while_a_run_works() -> None:
    """[MET-001] [MET-005] What has come and gone is what is held, in every copy."""
    requests = make_requests([40] * 100, samples=8, new_tokens=100)
    seen = watched(Core(make_config(slots=64), requests, keep_log=False), lambda _: False)
    ticks = [item.counters["ticks"] for item in seen]
    assert ticks == sorted(ticks)
    for item in seen:
        counted, held = item.counters, item.gauges
        assert counted["blocks_allocated"] - counted["blocks_freed"] == held["blocks"]
        assert counted["arrived"] - counted["admitted"] == held["waiting"]
        assert counted["nodes"] - counted["nodes_freed"] == held["prefixes"]
        states = [value for name, value in held.items() if name.startswith("state_")]
        assert sum(states) == 64
        live = sum(states[1:5])
        assert counted["admitted"] - item.ended == live == held["decode_credits"]
        lines = counted["prefill_lines"] + counted["decode_lines"] + counted["reward_lines"]
        assert lines - counted["completions"] == held["in_flight"]
    assert seen[-1].counters["delivered"] == len(requests)


def test_what_is_no_live_page_is_refused() -> None:
    """[MET-005] Another size, other bytes, another version, a writer that died in a tick's end."""
    page = np.zeros(seeing.LIVE_BYTES, dtype=np.uint8)
    with pytest.raises(ValueError, match="expected a live page of 640 bytes, got 639"):
        snapshot(page[:-1])
    with pytest.raises(ValueError, match="expected a live page with"):
        snapshot(page)
    page[:8] = np.frombuffer(seeing.LIVE_MAGIC, dtype=np.uint8)
    with pytest.raises(ValueError, match=r"b'DESCLIVE', 1\), got \(b'DESCLIVE', 0\)"):
        snapshot(page)
    page[8] = seeing.LIVE_VERSION
    assert snapshot(page).ended == 0
    page[seeing.SEQUENCE_AT] = 1
    with pytest.raises(ValueError, match="whole between two ticks"):
        snapshot(page)
    core = Core(make_config(), make_requests([4]))
    with pytest.raises(ValueError, match="page: expected 640 bytes"):
        core.show(page[:-8])
    for name in ("", "x" * 65):
        with pytest.raises(ValueError, match="name: expected 1 to 64 bytes"):
            LivePage(name)


def test_the_page_has_when_the_run_began(tmp_path: Path) -> None:
    """[MET-005] In seconds of the monotonic clock, as the time of the reading."""
    page = LivePage("a test", folder=tmp_path)
    before = time.monotonic()
    with open_device("model") as device:
        list(Runtime(device, watchers=[page]).run([4]))
    shown = snapshot(page.bytes)
    assert before <= shown.started <= shown.at <= time.monotonic()


def test_a_page_that_cannot_be_made_is_an_error_in_words(tmp_path: Path) -> None:
    """[MET-005] A folder that is not there; the run has not begun, and the next one can."""
    page = LivePage("a test", folder=tmp_path / "missing")
    with open_device("model") as device:
        runtime = Runtime(device, watchers=[page])
        with pytest.raises(DeviceError, match=r"cannot make the live page .*: No such file"):
            list(runtime.run([4]))
        (tmp_path / "missing").mkdir()
        assert len(list(runtime.run([4]))) == 1
    assert find(tmp_path / "missing") == []


def test_what_cannot_be_opened_as_a_page_is_passed_over(tmp_path: Path) -> None:
    """[MET-005] Links and folders with a page's name are nobody's, and stay."""
    (tmp_path / f"{PREFIX}7.1").symlink_to(tmp_path / "nothing")
    (tmp_path / f"{PREFIX}7.2").mkdir()
    page = LivePage("a test", folder=tmp_path)
    with open_device("model") as device:
        for _ in Runtime(device, watchers=[page]).run([4]):
            assert find(tmp_path) == [page.path]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{PREFIX}7.1", f"{PREFIX}7.2"]


DYING = """
import sys
from pathlib import Path
from descring_host import open_device
from descring_rollouts import Runtime
from descring_rollouts.live import LivePage
page = LivePage("dies", folder=Path(sys.argv[1]))
with open_device("model") as device:
    for _ in Runtime(device, slots=2, watchers=[page]).run([9] * 9, new_tokens=40):
        print("running", flush=True)
        sys.stdin.read()
"""


def test_the_page_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    """[MET-005] A page is found while its process lives, whatever it does, and not after."""
    with subprocess.Popen(
        [sys.executable, "-c", DYING, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"running\n"
        (path,) = find(tmp_path)
        child.send_signal(signal.SIGSTOP)
        assert find(tmp_path) == [path]
        child.kill()
    assert path.exists()
    deadline = time.monotonic() + 10
    while path.exists() and time.monotonic() < deadline:
        assert find(tmp_path) == []
    assert not path.exists()


def test_metrics_are_the_counters_and_gauges(tmp_path: Path) -> None:
    """[MET-006] Read back with the library's own parser: every name once, with its value."""
    from prometheus_client.openmetrics import parser

    parse: Any = parser.text_string_to_metric_families
    page = LivePage("a test", folder=tmp_path)
    with open_device("model") as device:
        runtime = Runtime(device, slots=6, watchers=[page])
        groups = runtime.run([40, 50, 60], samples=4, new_tokens=70)
        next(groups)
        shown = snapshot(page.bytes)
        samples: dict[str, float] = {}
        for family in parse(openmetrics(lambda: shown)):
            for sample in family.samples:
                key = "".join(
                    [sample.name, *(f"_{value.lower()}" for value in sample.labels.values())]
                )
                assert key not in samples
                samples[key] = sample.value
        expected = {f"descring_rollouts_{name}_total": n for name, n in shown.counters.items()}
        expected |= {f"descring_rollouts_{name}": n for name, n in shown.gauges.items()}
        assert samples == expected
        assert sum(value > 0 for value in samples.values()) > 20
        groups.close()  # type: ignore[attr-defined]
    assert openmetrics(lambda: None) == "# EOF\n"


def test_metrics_are_served_on_loopback_alone(tmp_path: Path) -> None:
    """[MET-006] While a run goes on; a port that is taken is an error."""
    page = LivePage("a test", folder=tmp_path)
    with MetricsServer(page, 0) as server:
        assert server._server.server_address[0] == LOOPBACK == "127.0.0.1"
        with pytest.raises(HostError, match=f"cannot listen on 127.0.0.1:{server.port}"):
            MetricsServer(page, server.port)
        with open_device("cpu") as device:
            for _ in Runtime(device, watchers=[page]).run([40], samples=2, new_tokens=9):
                pass
        with urllib.request.urlopen(server.url, timeout=10) as answer:
            text = answer.read().decode()
    assert "descring_rollouts_delivered_total 2.0" in text
    with pytest.raises(OSError):
        urllib.request.urlopen(server.url, timeout=1)
