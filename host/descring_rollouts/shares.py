# SPDX-License-Identifier: Apache-2.0
"""Groups of a run that one device runs by themselves, and what came of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from descring_host import Device
from descring_model.engine.interface import Engine
from descring_model.rollouts import contract
from descring_model.rollouts.records import Records
from descring_model.rollouts.windows import DECODE, PREFILL

from descring_rollouts.engines import Sampling
from descring_rollouts.groups import Groups
from descring_rollouts.lane import WindowLane
from descring_rollouts.loop import Run
from descring_rollouts.model_core import OpenCore
from descring_rollouts.prompts import Tokens
from descring_rollouts.resident_run import open_tokens
from descring_rollouts.scorers import Scoring
from descring_rollouts.watch import Watcher

Found = dict[tuple[int, int, int], tuple[int, int, int]]
"""Flags, ``seq_len`` and ``reserved0`` of completions, by opcode, request (of PREFILL: group) and
length before the line."""

_LOW = np.uint64(contract.NONE)
_NOTHING = ["blocks", "reserved", "decode", "reward", "trajectory", "live", "nodes", "in_flight"]


@dataclass(frozen=True)
class Share:
    """Groups that a device is given together.

    Attributes:
        groups: their numbers.
        members: ``(n,)`` intp, the numbers of their requests in the run.
        requests: ``(n,)`` of REQUEST_DTYPE: these, all there from the start, none cancelled.
        prompts: the tokens of each group; empty without an engine.
    """

    groups: tuple[int, ...]
    members: npt.NDArray[np.intp]
    requests: Records
    prompts: Mapping[int, Tokens]


def shares_of(requests: Records, prompts: Mapping[int, Tokens], at_once: int) -> tuple[Share, ...]:
    """Cut a run into shares of ``at_once`` groups, in the order of their numbers."""
    order = np.lexsort((requests["sample"], requests["group"]))
    names, starts = np.unique(requests["group"][order], return_index=True)
    members = np.split(order, starts[1:])
    found = []
    for first in range(0, len(names), at_once):
        part = slice(first, first + at_once)
        numbers = np.sort(np.concatenate(members[part]))
        asked = requests[numbers].copy()
        asked["arrival"], asked["cancel"] = 0, contract.NONE
        groups = tuple(names[part].tolist())
        given = {group: prompts[group] for group in groups} if prompts else {}
        found.append(Share(groups, numbers, asked, given))
    return tuple(found)


def groups_at_once(config: Records, requests: Records, devices: int) -> int:
    """Groups a share: as many as fill the slots, and at least four shares a device."""
    groups = len(np.unique(requests["group"]))
    filling = -(-int(config["slots"][0]) * groups // max(1, len(requests)))
    return max(1, min(filling, groups // (4 * devices)))


@dataclass(frozen=True)
class ShareResult:
    """What a device made of a share.

    Attributes:
        log: of the device's run of it; a rollout is its place in the share.
        tokens: of each rollout; empty without an engine.
        digests: likewise, of keys and values [REC-006].
        usage: what the device's run held behind its end.
    """

    log: Records
    tokens: tuple[Tokens, ...]
    digests: tuple[int, ...]
    usage: Any

    def completions(self, share: Share) -> Found:
        """Every completion that the device returned."""
        found: Found = {}
        length = share.requests["prompt_tokens"].astype(int).tolist()
        groups, members = share.requests["group"].tolist(), share.members.tolist()
        records = self.log[self.log["code"] == contract.EVENT["COMPLETION"]]
        columns = (
            records["rollout"], records["b"] & 0xFFFF, records["c"],
            records["d"] & _LOW, records["d"] >> np.uint64(32),
        )  # fmt: skip
        for place, opcode, *result in zip(*(column.tolist() for column in columns), strict=True):
            key = (opcode, members[place], length[place])
            if opcode == PREFILL:
                key = (opcode, groups[place], 0)
            elif opcode == DECODE:
                length[place] = result[1]
            found[key] = (result[0], result[1], result[2])
        return found


@dataclass(frozen=True)
class Plan:
    """How every device runs its shares.

    Attributes:
        config: ``(1,)`` of CONFIG_DTYPE.
        core: makes the state machine.
        sampling: of every rollout.
        lane: options of :class:`~descring_rollouts.lane.WindowLane`.
    """

    config: Records
    core: OpenCore
    sampling: Sampling
    lane: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Records, core: OpenCore, sampling: Sampling, lane: dict[str, Any]) -> Plan:
        """For a run with ``config``: steps and seats are the run's affair, and so are all scores

        but those of REWARD lines.
        """
        mine = config.copy()
        mine["seats"], mine["staleness"] = contract.NONE, 0
        if int(config["scorer"][0]) != contract.SCORER_OP_010:
            mine["scorer"] = contract.SCORER_OP_010
            mine["options"] &= ~np.uint32(
                contract.OPTION["BOUNDARY_REWARD"] | contract.OPTION["FINAL_REWARD"]
            )
        return cls(mine, core, sampling, lane)


class Worker(Protocol):
    """Runs shares somewhere, one after the other."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    def run(self, share: Share, check: Callable[[], None]) -> ShareResult:
        """Run a share; ``check`` is called often and may raise, which ends it.

        Raises:
            HostError: the device is lost, or fails.
        """
        ...

    def replace(self) -> bool:
        """Behind a loss: True if there is another device in its place."""
        ...

    def close(self) -> None:
        """No share will follow."""
        ...


@runtime_checkable
class Elsewhere(Protocol):
    """A device that is not this process's: in another process, or on another machine."""

    def worker(self, plan: Plan) -> Worker:
        """What runs shares there."""
        ...


class DeviceWorker:
    """A device of this process, with an engine if tokens are made."""

    def __init__(
        self, device: Device, engine: Engine | None, plan: Plan, *, name: str | None = None
    ) -> None:
        """Both stay the caller's."""
        self.name = name or type(device).__name__
        self._device, self._engine, self._plan = device, engine, plan
        self._arena: npt.NDArray[np.uint8] | None = None

    def run(self, share: Share, check: Callable[[], None]) -> ShareResult:
        """See :class:`Worker`."""
        plan, asked = self._plan, share.requests
        core = plan.core(plan.config, asked)
        made = None
        if self._engine is not None:
            arena = functools.partial(self._room, self._engine)
            made = open_tokens(
                self._device, self._engine, plan.config, asked, share.prompts, plan.sampling, arena
            )
        run = Run(
            plan.config,
            asked,
            core,
            Groups(plan.config, asked, made),
            functools.partial(WindowLane, self._device, **plan.lane),
            functools.partial(Scoring, contract.SCORER_OP_010, None, "inline", 1.0),
            made,
            [_Checks(check)],
        )
        for _ in run.ticks():
            pass
        usage = core.usage
        if any(getattr(usage, name) for name in _NOTHING):
            raise AssertionError(f"expected a run that holds nothing at its end, got {usage}")
        places = range(len(asked)) if made is not None else ()
        return ShareResult(
            core.log(),
            tuple(made.tokens[place] for place in places) if made else (),
            tuple(made.digests[place] for place in places) if made else (),
            usage,
        )

    def _room(self, engine: Engine, size: int) -> npt.NDArray[np.uint8]:
        """The arena, made again only if it is too small: engines free theirs when closed."""
        if self._arena is None or len(self._arena) < size:
            self._arena = engine.new_arena(size)
        return self._arena

    def replace(self) -> bool:
        """A device that is lost stays lost."""
        return False

    def close(self) -> None:
        """The device is the caller's."""


class _Checks(Watcher):
    """Lets a run be ended between two ticks."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def ticked(self) -> None:
        """Ask."""
        self._check()
