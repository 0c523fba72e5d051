# SPDX-License-Identifier: Apache-2.0
"""Rollouts over any device: prompts in, groups of trajectories out."""

from __future__ import annotations

import asyncio
import functools
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_host import Device, HostError
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

from descring_rollouts.arguments import check_devices, check_runtime, positive, seconds
from descring_rollouts.core import Core
from descring_rollouts.engines import Engines, Sampling
from descring_rollouts.errors import DeviceLostWarning
from descring_rollouts.groups import Group, Groups, Trajectories
from descring_rollouts.lane import WindowLane
from descring_rollouts.loop import Lane, Maker, Run
from descring_rollouts.model_core import OpenCore, RolloutCore
from descring_rollouts.pool import DevicePool, DeviceReport, Loss, PoolLane, PoolTokens
from descring_rollouts.prompts import Tokens, check_prompts, prompt_tokens
from descring_rollouts.requests import make_requests
from descring_rollouts.resident_run import open_tokens
from descring_rollouts.scorers import ScoreBatch, Scoring, Where
from descring_rollouts.shares import DeviceWorker, Elsewhere, Plan, shares_of
from descring_rollouts.shares import groups_at_once as fitting
from descring_rollouts.watch import Watcher

_busy: set[int] = set()
"""Devices that a run uses now, by their identity."""


class Runtime:
    """Runs rollouts on a device or several, which nothing else may use meanwhile.

    ::

        with open_device("cpu") as device:
            runtime = Runtime(device, policy="PREFIX", slots=64)
            for group in runtime.run([40, 55], samples=16, new_tokens=200):
                print(group.number, group.trajectories.reward)

    Attributes:
        config: the configuration record.
        requests: of the last run, ``(n,)`` of REQUEST_DTYPE.
        ended: rollouts of the present run that have ended.
        devices: what each of several devices did in the present or last run.
    """

    def __init__(
        self,
        device: Device | None = None,
        *,
        devices: Sequence[Device | Elsewhere] | None = None,
        groups_at_once: int | None = None,
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
        engine: Engine | str | Sequence[Engine | str] | None = None,
        sampling: Sampling | None = None,
        **limits: int,
    ) -> None:
        """Configure; the device is first touched by a run.

        Args:
            device: from :func:`descring_host.open_device`, or anything like it.
            devices: several, of any kinds, in its place, also
                :class:`~descring_rollouts.shares.Elsewhere`. Each is given groups as it gets
                through with them; log and trajectories have the bytes of a run on one device. A
                device that is lost has its groups run again on the others: :attr:`losses` and a
                ``DeviceLostWarning`` name it.
            groups_at_once: how many groups each of several devices is given at a time; None: what
                fills its slots.
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
                caller's. Without one there are lengths, but no tokens. Of several devices each
                has one of that name; one engine is used by one device at a time; a sequence has
                one for each device.
            sampling: how tokens are drawn; only with an engine.
            **limits: other members of the configuration by name, as ``slots``, ``kv_blocks``,
                ``decode_credits``, ``window``, ``depth``, ``seats``, ``staleness``.

        Raises:
            RolloutError: BAD_CONFIG.
            ValueError: an unknown policy, place to score or engine; sampling without an engine.
        """
        if sampling is not None and engine is None:
            raise ValueError("sampling: expected an engine with it, got none; give engine= too")
        self._devices, self._several = check_devices(device, devices), devices is not None
        limits = check_runtime(scorer, core, watchers, limits)
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
        self._open_core = core
        self._watchers = tuple(watchers)
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
        self._at_once = (
            None if groups_at_once is None else positive("groups_at_once", groups_at_once)
        )
        self._engines = Engines(engine, len(self._devices))
        self.requests = np.empty(0, dtype=REQUEST_DTYPE)
        self.devices: list[DeviceReport] = []
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
        given = () if self._engines.first is None else prompt_tokens(prompts)
        return self.run_requests(make_requests(prompts, **columns), given)

    def run_requests(self, requests: Records, prompts: Sequence[Tokens] = ()) -> Iterator[Group]:
        """As :meth:`run`, for request records; with an engine, ``prompts`` by group number."""
        if not isinstance(requests, np.ndarray):
            raise ValueError(f"requests: expected an array of REQUEST_DTYPE, got {requests!r}")
        check_requests(self.config, requests)
        self._check_free()
        given: dict[int, Tokens] = {}
        if self._engines.first is not None:
            check_prompts(self._engines.first.vocabulary, requests, prompts)
            given = dict(enumerate(prompts))
        return self._run(requests, given)

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
    def losses(self) -> list[Loss]:
        """Devices that were lost in the present or last run, of several."""
        return [loss for report in self.devices for loss in report.losses]

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

    def close(self) -> None:
        """Close the engines that were opened by name; devices and other engines are the caller's.

        A second call does nothing; behind it no run can begin.
        """
        self._engines.close()

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, requests: Records, prompts: dict[int, Tokens]) -> Iterator[Group]:
        self._check_free()
        core = self._open_core(self.config, requests)
        pool = self._pool(requests, prompts) if self._several else None
        made: Maker | None = None
        open_lane: Callable[[], Lane]
        if pool is None:
            open_lane = functools.partial(WindowLane, self._devices[0], **self._lane_options)
            if (engine := self._engines.first) is not None:
                made = open_tokens(
                    self._devices[0], engine, self.config, requests, prompts, self._sampling
                )
        else:
            open_lane = functools.partial(PoolLane, pool, requests)
            made = PoolTokens(pool) if self._engines.first is not None else None
        groups = Groups(self.config, requests, made)
        self.requests, self._core, self._groups = requests, core, groups
        self.devices = pool.reports if pool else []
        run = Run(
            self.config, requests, core, groups, open_lane, self._scoring, made, self._watchers
        )
        names = {id(device) for device in self._devices}
        _busy.update(names)
        try:
            yield from run.ticks()
        finally:
            _busy.difference_update(names)
            for loss in self.losses:
                warnings.warn(str(loss), DeviceLostWarning, stacklevel=1)

    def _pool(self, requests: Records, prompts: dict[int, Tokens]) -> DevicePool:
        """The devices with what each is to run; nothing is run yet."""
        plan = Plan.of(self.config, self._open_core, self._sampling, self._lane_options)
        engines = self._engines.for_each(len(self._devices))
        workers = [
            device.worker(plan)
            if isinstance(device, Elsewhere)
            else DeviceWorker(device, engine, plan)
            for device, engine in zip(self._devices, engines, strict=True)
        ]
        at_once = self._at_once or fitting(plan.config, requests, len(workers))
        return DevicePool(workers, plan.config, requests, shares_of(requests, prompts, at_once))

    def _check_free(self) -> None:
        if self._engines.closed:
            raise HostError("expected a runtime that is open; this one was closed, make a new one")
        if any(id(device) in _busy for device in self._devices):
            raise HostError(
                "expected a device without a run, got one whose run has not ended; take its groups "
                "to the end or close() it"
            )
