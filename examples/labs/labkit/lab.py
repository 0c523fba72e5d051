# SPDX-License-Identifier: Apache-2.0
"""Claims, controls, and the verdict on the samples of a lab.

A lab is SEEN when every claim holds: the interval of the measured ratio lies within the claimed
bounds, and the ratio agrees with a prediction that was computed from other measurements. Controls
decide whether the lab could have told: one that fails makes it NOT OBSERVABLE HERE.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from descring_sim.bench import statistics
from descring_sim.bench.statistics import Interval

Samples = Mapping[str, Sequence[float]]
Values = Mapping[str, float]


class Verdict(enum.IntEnum):
    """The outcome of a lab; the value is the exit code. 2 is an error."""

    SEEN = 0
    NOT_SEEN = 1
    NOT_OBSERVABLE = 3

    def __str__(self) -> str:
        return {0: "SEEN", 1: "NOT SEEN", 3: "NOT OBSERVABLE HERE"}[self.value]


class NotObservableError(Exception):
    """This machine cannot show the effect; the text gives the reason."""


@dataclass(frozen=True)
class Claim:
    """above / below lies between two bounds, and near what is predicted.

    It is the median over the repetitions, and so is the prediction: each is computed from what was
    measured in one repetition, since the machine's speed can change from one to the next.

    Attributes:
        text: the claim as a sentence.
        above, below: variants.
        at_least, at_most: the whole interval of the ratio must lie between them.
        predict: the ratio from values of other variants; None where only the bounds count.
        within: least and greatest quotient of measured and predicted ratio.
    """

    text: str
    above: str
    below: str
    at_least: float
    at_most: float = math.inf
    predict: Callable[[Values], float] | None = None
    within: tuple[float, float] = (0.5, 2.0)


@dataclass(frozen=True)
class Control:
    """A ratio that is known: positive where an effect must show, negative where none may."""

    kind: str
    text: str
    above: str
    below: str
    at_least: float
    at_most: float = math.inf


@dataclass(frozen=True)
class Judged:
    """A claim or control with what was measured."""

    what: Claim | Control
    ratio: Interval
    predicted: float | None
    good: bool

    def text(self) -> str:
        """As lines for people."""
        kind = f"{self.what.kind} control" if isinstance(self.what, Control) else "claim"
        lines = [f"{kind}: {self.what.text}"]
        limits = f">= {self.what.at_least:.3g}"
        if math.isfinite(self.what.at_most):
            limits = f"{self.what.at_least:.3g} to {self.what.at_most:.3g}"
        measured = f"{self.what.above} / {self.what.below}: {self.ratio}, expected {limits}"
        if self.predicted is not None:
            measured += f", predicted {self.predicted:.3g}"
        return "\n".join([*lines, f"  {measured}{'' if self.good else '   NO'}"])


def judge_claim(claim: Claim, samples: Samples) -> Judged:
    """Compare one claim with the samples."""
    found = statistics.ratio(samples[claim.above], samples[claim.below], paired=True)
    good = claim.at_least <= found.low and found.high <= claim.at_most
    predicted = None
    if claim.predict is not None:
        each = (
            dict(zip(samples, values, strict=True))
            for values in zip(*samples.values(), strict=True)
        )
        predicted = float(np.median([claim.predict(values) for values in each]))
        low, high = claim.within
        good = good and low <= found.value / predicted <= high
    return Judged(claim, found, predicted, good)


def judge_control(control: Control, samples: Samples) -> Judged:
    """Compare one control with the samples: its median ratio must lie between the bounds."""
    found = statistics.ratio(samples[control.above], samples[control.below], paired=True)
    return Judged(control, found, None, control.at_least <= found.value <= control.at_most)


def verdict(claims: Sequence[Judged], controls: Sequence[Judged]) -> tuple[Verdict, str]:
    """The outcome, and its reason in a few words."""
    failed = [item for item in controls if not item.good]
    if failed:
        names = "; ".join(item.what.text for item in failed)
        return Verdict.NOT_OBSERVABLE, f"a control failed, so that the lab cannot tell: {names}"
    missed = [item for item in claims if not item.good]
    if missed:
        return Verdict.NOT_SEEN, "; ".join(item.what.text for item in missed)
    return Verdict.SEEN, "every claim holds, and every control"
