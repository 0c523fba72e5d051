# SPDX-License-Identifier: Apache-2.0
"""Rollouts over any device: prompts in, groups of trajectories out."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_host import Device, HostError
from descring_model import Lines
from descring_model.engine.interface import Engine
from descring_model.rollouts import contract
from descring_model.rollouts.records import (
    REQUEST_DTYPE,
    Records,
    check_requests,
    inputs_digest,
    log_bytes,
    make_config,
)
from descring_model.rollouts.rewards import ScoreRequest

from descring_rollouts.arguments import (
    check_runtime,
    integer,
    integers,
    prompt_lengths,
    seconds,
)
from descring_rollouts.core import Core
from descring_rollouts.engines import Sampling, open_engine
from descring_rollouts.errors import ScorerError
from descring_rollouts.groups import Group, Groups, Trajectories
from descring_rollouts.lane import WindowLane
from descring_rollouts.model_core import CoreStep, OpenCore, RolloutCore
from descring_rollouts.prompts import check_prompts, prompt_tokens
from descring_rollouts.scorers import ScoreBatch, Scoring, Where
from descring_rollouts.token_run import TokenRun, Tokens
from descring_rollouts.watch import Watcher

_busy: set[int] = set()
"""Devices that a run uses now, by their identity."""
_NAMED = 5
"""Rollouts that an error names before it only counts."""

Integers = int | Sequence[int] | npt.NDArray[np.integer]


def make_requests(
    prompts: Sequence[int | Sequence[int] | npt.NDArray[np.integer]],
    *,
    samples: int = 1,
    new_tokens: Integers | npt.NDArray[np.integer] = 32,
    arrival: Integers = 0,
    cancel: Integers = contract.NONE,
    rank: Integers = 0,
) -> Records:
    """Requests for ``samples`` rollouts of each prompt.

    Args:
        prompts: of each its number of tokens, or its tokens, of which the number counts here.
        samples: rollouts a prompt, 1 or more.
        new_tokens: tokens to decode: one number, one a prompt, or ``(prompts, samples)``.
        arrival: tick, in the same forms.
        cancel: tick of the cancellation, likewise; the default is never.
        rank: of policy CUSTOM, likewise.

    Returns:
        ``(prompts * samples,)`` of REQUEST_DTYPE; the group is the prompt's place.

    Raises:
        ValueError: shapes that do not fit, or a number that is out of range.
    """
    samples = integer("samples", samples)
    if samples < 1:
        raise ValueError(f"samples: expected 1 or more, got {samples}")
    lengths = prompt_lengths(prompts)
    shape = (len(lengths), samples)
    requests = np.zeros(shape, dtype=REQUEST_DTYPE)
    columns: dict[str, Any] = {
        "prompt_tokens": lengths,
        "max_tokens": _spread("new_tokens", new_tokens, shape) + np.array(lengths)[:, np.newaxis],
        "arrival": arrival,
        "cancel": cancel,
        "rank": rank,
    }
    for name, values in columns.items():
        spread = _spread(name, values, shape)
        limits = np.iinfo(REQUEST_DTYPE[name])
        wrong = (spread < limits.min) | (spread > limits.max)
        if wrong.any():
            raise ValueError(
                f"{name}: expected {limits.min} to {limits.max}, got {spread[wrong].flat[0]}"
            )
        requests[name] = spread
    requests["group"] = np.arange(len(lengths))[:, np.newaxis]
    requests["sample"] = np.arange(samples)
    return requests.reshape(-1)


def _spread(name: str, values: Any, shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    array = integers(name, values)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"{name}: expected one number, {shape[0]} (one a prompt) or an array of shape {shape}, "
            f"got shape {np.shape(values)}"
        ) from None


class Runtime:
    """Runs rollouts on one device, which nothing else may use meanwhile.

    ::

        with open_device("cpu") as device:
            runtime = Runtime(device, policy="PREFIX", slots=64)
            for group in runtime.run([40, 55], samples=16, new_tokens=200):
                print(group.number, group.trajectories.reward)

    Attributes:
        config: the configuration record.
        requests: of the last run, ``(n,)`` of REQUEST_DTYPE.
        ended: rollouts of the present run that have ended.
    """

    def __init__(
        self,
        device: Device,
        *,
        policy: str = "FIFO",
        scorer: int | ScoreBatch = contract.SCORER_OP_010,
        score_in: Where = "thread",
        score_timeout_s: float = 60.0,
        share: bool = True,
        boundary_rewards: bool = False,
        final_rewards: bool = True,
        check_kv: bool = True,
        checked: bool = False,
        split_reward: bool = True,
        timeout_s: float = 60.0,
        core: OpenCore = Core,
        watchers: Sequence[Watcher] = (),
        engine: Engine | str | None = None,
        sampling: Sampling | None = None,
        **limits: int,
    ) -> None:
        """Configure; the device is first touched by a run.

        Args:
            device: from :func:`descring_host.open_device`, or anything like it.
            policy: FIFO, SHORTEST_REMAINING, LONGEST_REMAINING, PREFIX or CUSTOM.
            scorer: 0, the device's; 1, the token rule; 2, the token rule with the group's
                advantage as reward; or a function on batches, see
                :data:`~descring_rollouts.scorers.ScoreBatch`.
            score_in: where scorers 1, 2 and functions run: ``"inline"``, ``"thread"`` or
                ``"process"`` (then the function must be picklable).
            score_timeout_s: how long a batch may take.
            share: samples of a prompt share its KV blocks.
            boundary_rewards: score also at every 32 tokens.
            final_rewards: score at the end.
            check_kv: read each rollout's KV content back at its end.
            checked: CHECKED lines with REQUIRE_CHECKED.
            split_reward: a reward ring of its own on the device.
            timeout_s: how long a window may take.
            core: the state machine; the native one, or
                :class:`~descring_rollouts.model_core.ModelCore`.
            watchers: are told what a run does; see :mod:`descring_rollouts.watch`.
            engine: makes the tokens; ``"model"``, ``"native"`` or another name of
                :func:`~descring_rollouts.engines.open_engine`, or an engine, which stays the
                caller's. Without one there are lengths, but no tokens.
            sampling: how tokens are drawn; only with an engine.
            **limits: other members of the configuration by name, as ``slots``, ``kv_blocks``,
                ``decode_credits``, ``window``, ``depth``, ``seats``, ``staleness``.

        Raises:
            RolloutError: BAD_CONFIG.
            ValueError: an unknown policy, place to score or engine; sampling without an engine.
        """
        if sampling is not None and engine is None:
            raise ValueError("sampling: expected an engine with it, got none; give engine= too")
        limits = check_runtime(device, scorer, core, watchers, limits)
        if policy not in contract.POLICY:
            raise ValueError(f"policy: expected {', '.join(contract.POLICY)}, got {policy!r}")
        options = {
            "SHARE": share,
            "BOUNDARY_REWARD": boundary_rewards,
            "FINAL_REWARD": final_rewards,
            "CHECK_KV": check_kv,
        }
        function = None if isinstance(scorer, int) else scorer
        self.config = make_config(
            policy=contract.POLICY[policy],
            scorer=scorer if isinstance(scorer, int) else contract.SCORER_CUSTOM,
            options=sum(contract.OPTION[name] for name, on in options.items() if on),
            **limits,
        )
        self._device = device
        self._open_core = core
        self._watchers = tuple(watchers)
        self._engine = open_engine(engine) if isinstance(engine, str) else engine
        self._sampling = sampling or Sampling()
        self._lane_options: dict[str, Any] = {
            "ring_slots": int(self.config["ring_slots"][0]),
            "split_reward": split_reward,
            "checked": checked,
            "timeout_s": seconds("timeout_s", timeout_s),
        }
        self._scoring = functools.partial(
            Scoring,
            int(self.config["scorer"][0]),
            function,
            score_in,
            seconds("score_timeout_s", score_timeout_s),
        )
        self._scoring().close()
        self.requests = np.empty(0, dtype=REQUEST_DTYPE)
        self._core: RolloutCore | None = None
        self._groups: Groups | None = None

    @property
    def ended(self) -> int:
        """Rollouts of the present or last run that have ended."""
        return self._groups.ended if self._groups else 0

    def run(
        self, prompts: Sequence[int | Sequence[int] | npt.NDArray[np.integer]], **columns: Any
    ) -> Iterator[Group]:
        """Run rollouts of ``prompts``; yields each group when its last rollout has ended.

        Args:
            prompts: as :func:`make_requests`.
            **columns: ``samples``, ``new_tokens``, ``arrival``, ``cancel``, ``rank`` of
                :func:`make_requests`.

        Raises:
            ValueError, RolloutError: bad requests, at once.
            HostError: another run uses the device, at once.
            ScorerError: behind the last group, if a scorer failed.
            HostError, RolloutError: the device failed. Whatever ends a run early, also the
                caller's own exception or ``close()``, leaves no block, credit or line behind.
        """
        given = () if self._engine is None else prompt_tokens(prompts)
        return self.run_requests(make_requests(prompts, **columns), given)

    def run_requests(self, requests: Records, prompts: Sequence[Tokens] = ()) -> Iterator[Group]:
        """As :meth:`run`, for request records; with an engine, ``prompts`` by group number."""
        if not isinstance(requests, np.ndarray):
            raise ValueError(f"requests: expected an array of REQUEST_DTYPE, got {requests!r}")
        check_requests(self.config, requests)
        self._check_free()
        made = None
        if self._engine is not None:
            check_prompts(self._engine.vocabulary, requests, prompts)
            made = TokenRun(self._engine, self.config, requests, prompts, self._sampling)
        return self._run(requests, made)

    async def arun(
        self, prompts: Sequence[int | Sequence[int] | npt.NDArray[np.integer]], **columns: Any
    ) -> AsyncIterator[Group]:
        """As :meth:`run`, letting other tasks of the event loop run while a group is made."""
        groups = self.run(prompts, **columns)
        try:
            while (group := await asyncio.to_thread(next, groups, None)) is not None:
                yield group
        finally:
            close: Callable[[], None] = groups.close  # type: ignore[attr-defined]
            await asyncio.to_thread(close)

    @property
    def trajectories(self) -> Trajectories:
        """Every rollout of the last run, ended or not, by (group, sample)."""
        if self._groups is None:
            raise ValueError("expected a run; call run() first")
        return self._groups.all()

    def log(self) -> Records:
        """The events of the last run, ``(n,)`` of RECORD_DTYPE."""
        if self._core is None:
            raise ValueError("expected a run; call run() first")
        return self._core.log()

    def log_file(self) -> bytes:
        """The bytes of the last run's log file [LOG-001]."""
        return log_bytes(self.log(), inputs_digest(self.config, self.requests))

    def counters(self) -> npt.NDArray[np.uint64]:
        """What the last run has done, by ``seeing.COUNTER`` [MET-001]."""
        if self._core is None:
            raise ValueError("expected a run; call run() first")
        return self._core.counters

    def usage(self) -> Any:
        """What is held now; all 0 between two runs."""
        if self._core is None:
            raise ValueError("expected a run; call run() first")
        return self._core.usage

    def _run(self, requests: Records, made: TokenRun | None) -> Iterator[Group]:
        self._check_free()
        core = self._open_core(self.config, requests)
        self.requests, self._core = requests, core
        self._groups = groups = Groups(self.config, requests, made)
        seen = 0
        # Closed in the reverse order, each whatever the others raise.
        with ExitStack() as closing:
            _busy.add(id(self._device))
            closing.callback(_busy.discard, id(self._device))
            for watcher in self._watchers:
                closing.push(watcher.ended)
                watcher.started(core, self.config, requests)
            lane = WindowLane(self._device, **self._lane_options)
            closing.callback(lane.close)
            scoring = self._scoring()
            closing.callback(scoring.close)
            closing.callback(lambda: None if core.finished else core.abandon())
            while not core.finished:
                step = core.step(*self._due(core, lane, scoring))
                records = core.log(seen)
                seen += len(records)
                lines = step.lines
                if made is not None:
                    made.process(records)
                    lines = made.address(lines)
                if len(lines):
                    lane.submit(lines)
                    for watcher in self._watchers:
                        watcher.submitted(lines)
                if len(step.requests):
                    scoring.send(self._batch(requests, step, made))
                for watcher in self._watchers:
                    watcher.ticked()
                yield from groups.add(records)
        if failed := groups.failed():
            raise self._scorer_error(failed, scoring.failure) from scoring.failure

    def _check_free(self) -> None:
        if id(self._device) in _busy:
            raise HostError(
                "expected a device without a run, got one whose run has not ended; take its groups "
                "to the end or close() it"
            )

    def _due(
        self, core: RolloutCore, lane: WindowLane, scoring: Scoring
    ) -> tuple[Lines | None, list[int] | None]:
        """What the next tick consumes, once it is there."""
        lines, scores = core.due
        taken = lane.take() if lines else None
        if taken is not None:
            for watcher in self._watchers:
                watcher.taken(taken)
        return taken, scoring.receive() if scores else []

    @staticmethod
    def _batch(requests: Records, step: CoreStep, made: TokenRun | None) -> list[ScoreRequest]:
        rows = requests[step.requests][["group", "sample", "prompt_tokens"]].tolist()
        numbers, lengths, final = step.requests.tolist(), step.lengths.tolist(), step.final.tolist()
        return [
            ScoreRequest(
                number,
                group,
                sample,
                prompt,
                length,
                last,
                None if made is None else made.tokens_so_far(number, length),
            )
            for number, (group, sample, prompt), length, last in zip(
                numbers, rows, lengths, final, strict=True
            )
        ]

    def _scorer_error(self, failed: tuple[int, ...], cause: Exception | None) -> ScorerError:
        names = [
            f"group {self.requests['group'][number]} sample {self.requests['sample'][number]}"
            for number in failed[:_NAMED]
        ]
        if len(failed) > _NAMED:
            names.append(f"and {len(failed) - _NAMED} more")
        return ScorerError(
            f"the scorer failed for {len(failed)} rollouts ({', '.join(names)}): "
            f"{type(cause).__name__}: {cause}; the others have ended as usual",
            failed,
        )
