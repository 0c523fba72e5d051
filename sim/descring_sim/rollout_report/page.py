# SPDX-License-Identifier: Apache-2.0
"""The report of a run: states, queues, KV memory, latencies and policies on one page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from descring_model import Lines, complete
from descring_model.rollouts import contract, seeing
from descring_model.rollouts.records import Records
from descring_model.rollouts.rewards import ScoreRequest, token_rule
from descring_rollouts.core import Core
from descring_rollouts.groups import Groups
from descring_rollouts.model_core import RolloutCore
from descring_rollouts.perfetto_file import device_slices, host_slices
from descring_rollouts.summary import Summary, summarise
from descring_rollouts.trace import Trace
from descring_rollouts.watch import Watcher

from descring_sim.rollout_report.charts import Series, Values, lines, stacked
from descring_sim.rollout_report.timeline import timeline
from descring_sim.support.pages import template

_STATE_COLOURS = {
    "PREFILL_READY": "violet",
    "DECODING": "green",
    "REWARD_PENDING": "amber",
    "TRAJECTORY_READY": "blue",
    "DONE": "shade",
}
_QUEUE_COLOURS = {"prefill": "violet", "decode": "green", "reward": "amber", "trajectory": "blue"}


class Samples(Watcher):
    """The gauges of every tick of the last run."""

    def __init__(self) -> None:
        self._core: RolloutCore | None = None
        self._rows: list[Any] = []

    def started(self, core: RolloutCore, config: Records, requests: Records) -> None:
        """Begin a run."""
        self._core, self._rows = core, []

    def ticked(self) -> None:
        """Keep the gauges of the tick's end."""
        assert self._core is not None
        self._rows.append(self._core.gauges)

    def of(self, name: str) -> Values:
        """One gauge over the ticks, ``(ticks,)`` float64."""
        return np.array([row[seeing.GAUGE[name]] for row in self._rows], dtype=np.float64)


@dataclass(frozen=True)
class Chart:
    """A chart with its legend: of each series its name and colour."""

    title: str
    svg: str
    legend: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""


@dataclass(frozen=True)
class LatencyRow:
    """One pair of the latency table; ``quantiles`` is empty without a match."""

    name: str
    count: int
    unmatched: int
    quantiles: dict[str, float]


@dataclass(frozen=True)
class PolicyRow:
    """One policy on the same requests; ``best`` holds the columns in which none is better."""

    name: str
    chosen: bool
    values: dict[str, float]
    best: frozenset[str]


COLUMNS = {
    "mean completion": ("mean_completion", "tick"),
    "p99 completion": ("p99_completion", "tick"),
    "makespan": ("ticks", "ticks"),
    "prompts ingested": ("prompts_ingested", ""),
    "peak KV blocks": ("peak_blocks", ""),
}
"""Of the comparison of policies: what is less is better."""


def run_policy(config: Records, requests: Records) -> Summary:
    """The numbers of a run in logical time, of the native core over the golden model of a line."""
    core = Core(config, requests)
    depth, wait = int(config["depth"][0]), int(config["score_ticks"][0])
    windows: dict[int, Lines] = {}
    batches: dict[int, Any] = {}
    while not core.finished:
        tick = core.tick
        window, batch = windows.pop(tick - depth, None), batches.pop(tick - wait, None)
        words = token_rule(_requests(requests, batch)) if batch is not None else ()
        step = core.step(None if window is None else complete(window), words)
        if len(step.lines):
            windows[tick] = step.lines
        if len(step.requests):
            batches[tick] = step
    groups = Groups(config, requests)
    groups.add(core.log())
    return summarise(requests, groups.all(), core.log())


def _requests(requests: Records, batch: Any) -> list[ScoreRequest]:
    rows = requests[batch.requests][["group", "sample", "prompt_tokens"]].tolist()
    return [
        ScoreRequest(int(number), group, sample, prompt, int(length), bool(final))
        for number, (group, sample, prompt), length, final in zip(
            batch.requests, rows, batch.lengths, batch.final, strict=True
        )
    ]


def compare_policies(config: Records, requests: Records) -> list[PolicyRow]:
    """Every built-in policy with the other options of the run."""
    found: dict[str, dict[str, float]] = {}
    for name, number in contract.POLICY.items():
        if name != "CUSTOM":
            changed = config.copy()
            changed["policy"] = number
            summary = run_policy(changed, requests)
            found[name] = {title: getattr(summary, of) for title, (of, _) in COLUMNS.items()}
    least = {title: min(values[title] for values in found.values()) for title in COLUMNS}
    return [
        PolicyRow(
            name,
            contract.POLICY[name] == int(config["policy"][0]),
            values,
            frozenset(title for title in COLUMNS if values[title] == least[title]),
        )
        for name, values in found.items()
    ]


def _charts(samples: Samples, config: Records) -> list[Chart]:
    states = [
        Series(name, colour, samples.of(f"state_{name.lower()}"))
        for name, colour in _STATE_COLOURS.items()
    ]
    queues = [
        Series(name, colour, samples.of(f"queue_{name}")) for name, colour in _QUEUE_COLOURS.items()
    ]
    used, reserved = samples.of("blocks"), samples.of("reserved")
    memory = [
        Series("in use", "green", used),
        Series("in use and reserved", "amber", used + reserved),
    ]

    def legend(series: list[Series]) -> list[tuple[str, str]]:
        return [(item.name, item.colour) for item in series]

    blocks = int(config["kv_blocks"][0])
    most = int((used + reserved).max(initial=0))
    near = blocks if most * 4 >= blocks else None
    of = "the line is the arena" if near else f"of an arena of {blocks:,}"
    return [
        Chart("States", stacked("states", states), legend(states), "slots by state, over ticks"),
        Chart("Queues", lines("queues", queues), legend(queues), "entries, over ticks"),
        Chart(
            "KV blocks",
            lines("KV blocks", memory, near),
            legend(memory),
            f"blocks of 32 tokens, over ticks; {of}",
        ),
    ]


def _duration(ns: float) -> str:
    for limit, unit in ((1e3, "ns"), (1e6, "us"), (1e9, "ms")):
        if ns < limit:
            return f"{ns / (limit / 1e3):.3g} {unit}"
    return f"{ns / 1e9:.3g} s"


def to_page(
    *,
    title: str,
    command: str,
    summary: Summary,
    config: Records,
    requests: Records,
    samples: Samples,
    trace: Trace | None,
) -> str:
    """The page's text.

    Args:
        title: what ran.
        command: that runs it again.
        summary: its numbers.
        config: ``(1,)`` of CONFIG_DTYPE.
        requests: ``(n,)`` of REQUEST_DTYPE.
        samples: the watcher of the run.
        trace: likewise; None: the run was not traced.
    """
    latencies: list[LatencyRow] = []
    picture = ""
    if trace is not None:
        latencies = [
            LatencyRow(
                item.name,
                len(item.ns),
                item.unmatched,
                item.quantiles() if len(item.ns) else {},
            )
            for item in trace.latencies()
        ]
        device, cycles = device_slices(trace)
        slices = sorted([*host_slices(trace), *device], key=lambda item: (item.begin, -item.end))
        picture = timeline(slices, cycles)
    return template("descring_sim.rollout_report", "report.html.j2").render(
        title=title,
        command=command,
        summary=summary,
        config={name: int(config[name][0]) for name in config.dtype.names or ()},
        no_limit=contract.NONE,
        charts=_charts(samples, config),
        latencies=latencies,
        longest=max((row.quantiles.get("p99.9", 0) for row in latencies), default=0),
        duration=_duration,
        overwritten=trace.overwritten if trace else {},
        picture=picture,
        columns=list(COLUMNS),
        policies=compare_policies(config, requests),
    )
