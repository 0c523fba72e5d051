# SPDX-License-Identifier: Apache-2.0
"""A whole run over the golden model of a line, and what its log tells of each rollout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from descring_model.completion import complete
from descring_model.lines import Lines
from descring_model.rollouts import contract
from descring_model.rollouts.pipeline import Pipeline, Step
from descring_model.rollouts.records import Records
from descring_model.rollouts.rewards import Scorer, token_rule
from descring_model.rollouts.windows import DECODE

OUTCOMES = ("unfinished", "delivered", "cancelled", "failed")
"""Names of the numbers in ``outcome`` of :data:`RESULT_DTYPE`: 1 and the flags of ROLL-001."""

RESULT_DTYPE = np.dtype(
    [
        ("group", "<u4"),
        ("sample", "<u4"),
        ("prompt_tokens", "<u4"),
        ("length", "<u4"),
        ("outcome", "u1"),
        ("scored", "?"),
        ("version", "<u4"),
        ("step", "<u4"),
        ("score", "<u4"),
        ("legs", "<u4"),
        ("admitted", "<u4"),
        ("ended", "<u4"),
        ("digest", "<u8"),
    ]
)
"""What a log tells of one request; ticks in ``admitted`` and ``ended``."""


def run(
    config: Records,
    requests: Records,
    scorer: Scorer | None = None,
    *,
    device: Callable[[Lines], Lines] = complete,
    watch: Callable[[Pipeline], None] = lambda pipeline: None,
) -> Pipeline:
    """Run all requests to their end.

    Args:
        config: ``(1,)`` of CONFIG_DTYPE.
        requests: ``(n,)`` of REQUEST_DTYPE.
        scorer: scores batches of scorers 1 and up; default the token rule. A batch fails if it
            raises an ``Exception`` or returns another number of words [RWD-003].
        device: completions of lines, in order.
        watch: called after every tick.

    Raises:
        RolloutError: BAD_CONFIG, BAD_REQUEST, BAD_COMPLETION or STALLED.
    """
    pipeline = Pipeline(config, requests)
    scoring = scorer or token_rule
    submitted: dict[int, Step] = {}
    depth, ticks = int(config["depth"][0]), int(config["score_ticks"][0])
    while not pipeline.finished:
        tick = pipeline.tick
        window, batch = submitted.get(tick - depth), submitted.get(tick - ticks)
        completions = device(window.lines) if window and len(window.lines) else None
        words: list[int] | None = []
        if batch and batch.scores:
            words = _scores(scoring, batch)
        submitted[tick] = pipeline.step(completions, words)
        submitted.pop(tick - max(depth, ticks), None)
        watch(pipeline)
    return pipeline


def _scores(scorer: Scorer, step: Step) -> list[int] | None:
    try:
        words = list(scorer(step.scores))
    except Exception:
        return None
    return words if len(words) == len(step.scores) else None


def start_results(requests: Records) -> npt.NDArray[Any]:
    """What is known of each request before its run, ``(n,)`` of :data:`RESULT_DTYPE`."""
    found = np.zeros(len(requests), dtype=RESULT_DTYPE)
    for name in ("group", "sample", "prompt_tokens"):
        found[name] = requests[name]
    found["length"] = requests["prompt_tokens"]
    return found


def add_results(found: npt.NDArray[Any], records: Records) -> npt.NDArray[np.intp]:
    """Add what further ``records`` of a log tell to ``found``.

    Args:
        found: ``(n,)`` of :data:`RESULT_DTYPE`, changed in place.
        records: in the log's order, each given once.

    Returns:
        The requests that ended among them, in the order of their ends.
    """

    def of(event: str) -> Records:
        kept: Records = records[records["code"] == contract.EVENT[event]]
        return kept

    admitted = of("ADMIT")
    found["admitted"][admitted["rollout"]] = admitted["tick"]
    found["version"][admitted["rollout"]] = admitted["d"] & np.uint64(contract.NONE)
    found["step"][admitted["rollout"]] = admitted["d"] >> np.uint64(32)
    lines = of("LINE")
    np.add.at(found["legs"], lines["rollout"][lines["b"] & 0xFFFF == DECODE], 1)
    scores = of("SCORE")
    found["scored"][scores["rollout"][scores["b"] == 1]] = True
    delivered = of("TRAJECTORY")
    found["length"][delivered["rollout"]] = delivered["a"]
    found["score"][delivered["rollout"]] = delivered["b"]
    found["digest"][delivered["rollout"]] = delivered["d"]
    never = (records["code"] == contract.EVENT["CANCEL"]) & (records["a"] == 0)
    ends = (records["code"] == contract.EVENT["STATE"]) & (records["b"] == contract.STATE["DONE"])
    outcome = np.where(never, OUTCOMES.index("cancelled"), 1 + records["c"].astype(np.int64))
    places = np.flatnonzero(never | ends)
    who: npt.NDArray[np.intp] = records["rollout"][places].astype(np.intp)
    found["outcome"][who] = outcome[places]
    found["ended"][who] = records["tick"][places]
    return who


def results(requests: Records, records: Records) -> npt.NDArray[Any]:
    """What the log ``records`` tell of each request, ``(n,)`` of :data:`RESULT_DTYPE`."""
    found = start_results(requests)
    add_results(found, records)
    return found
