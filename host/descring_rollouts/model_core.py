# SPDX-License-Identifier: Apache-2.0
"""What the runtime needs of a core, and the golden model as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from descring_model import Lines
from descring_model.rollouts import counting
from descring_model.rollouts.pipeline import Pipeline
from descring_model.rollouts.records import Records


class CoreStep(Protocol):
    """What one tick asks of the device and of the scorer; see :class:`ModelStep`."""

    @property
    def lines(self) -> Lines:
        """The window to submit."""
        ...

    @property
    def requests(self) -> npt.NDArray[np.uint32]:
        """Requests whose scores are asked for."""
        ...

    @property
    def lengths(self) -> npt.NDArray[np.uint32]:
        """The length that each score is of."""
        ...

    @property
    def final(self) -> npt.NDArray[np.bool_]:
        """Whether each is the last of its rollout."""
        ...


class RolloutCore(Protocol):
    """A run in logical time, without a device: the golden model, or the native core."""

    @property
    def due(self) -> tuple[int, int]:
        """Completions and scores that the next step consumes."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        ...

    @property
    def usage(self) -> Any:
        """What is held now; see :class:`descring_model.rollouts.state.Usage`."""
        ...

    def step(self, completions: Lines | None = None, scores: Sequence[int] | None = ()) -> CoreStep:
        """Run one tick, as :meth:`descring_model.rollouts.pipeline.Pipeline.step`."""
        ...

    @property
    def counters(self) -> npt.NDArray[np.uint64]:
        """Counters as of the last tick's end, ``(COUNTER_WORDS,)`` [MET-001]."""
        ...

    @property
    def gauges(self) -> npt.NDArray[np.uint64]:
        """Gauges as of the last tick's end, ``(GAUGE_WORDS,)`` [MET-001]."""
        ...

    def log(self, first: int = 0) -> Records:
        """The events from number ``first`` on, ``(n,)`` of RECORD_DTYPE."""
        ...

    def abandon(self) -> None:
        """End every rollout as cancelled and give all back [PIPE-013]."""
        ...


OpenCore = Callable[[Records, Records], RolloutCore]
"""Makes a core from a configuration and requests."""


@dataclass(frozen=True)
class ModelStep:
    """A tick of the golden model.

    Attributes:
        lines: ``(k,)`` of DESC_DTYPE, not sealed.
        requests: ``(j,)`` uint32.
        lengths: ``(j,)`` uint32.
        final: ``(j,)`` bool.
    """

    lines: Lines
    requests: npt.NDArray[np.uint32]
    lengths: npt.NDArray[np.uint32]
    final: npt.NDArray[np.bool_]


class ModelCore:
    """The golden model as a core."""

    def __init__(self, config: Records, requests: Records) -> None:
        self._pipeline = Pipeline(config, requests)

    @property
    def due(self) -> tuple[int, int]:
        """See :class:`RolloutCore`."""
        return self._pipeline.due

    @property
    def finished(self) -> bool:
        """See :class:`RolloutCore`."""
        return self._pipeline.finished

    @property
    def usage(self) -> Any:
        """See :class:`RolloutCore`."""
        return self._pipeline.usage()

    def step(
        self, completions: Lines | None = None, scores: Sequence[int] | None = ()
    ) -> ModelStep:
        """See :class:`RolloutCore`."""
        step = self._pipeline.step(completions, scores)
        return ModelStep(
            step.lines,
            np.array([item.request for item in step.scores], dtype=np.uint32),
            np.array([item.length for item in step.scores], dtype=np.uint32),
            np.array([item.final for item in step.scores], dtype=np.bool_),
        )

    @property
    def counters(self) -> npt.NDArray[np.uint64]:
        """See :class:`RolloutCore`."""
        return counting.counters(self._pipeline)

    @property
    def gauges(self) -> npt.NDArray[np.uint64]:
        """See :class:`RolloutCore`."""
        return counting.gauges(self._pipeline)

    def log(self, first: int = 0) -> Records:
        """See :class:`RolloutCore`."""
        return self._pipeline.log.records(first)

    def abandon(self) -> None:
        """See :class:`RolloutCore`."""
        self._pipeline.abandon()
