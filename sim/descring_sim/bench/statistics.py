# SPDX-License-Identifier: Apache-2.0
"""Medians and ratios of samples, each with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 2000
LEVEL = 0.95
_SEED = 20_240_229
"""Of the resampling alone: the same samples give the same interval."""

Samples = Sequence[float] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval, all finite."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def _array(samples: Samples, least: int) -> npt.NDArray[np.float64]:
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 1 or len(values) < least or not np.isfinite(values).all():
        raise ValueError(f"expected {least} or more finite samples in one dimension, got {samples}")
    return values


def _interval(value: float, drawn: npt.NDArray[np.float64], level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def median(samples: Samples, *, draws: int = DRAWS, level: float = LEVEL) -> Interval:
    """Return the median with the percentile bootstrap interval of Efron (1979).

    Args:
        samples: one or more finite numbers.
        draws: resamplings.
        level: confidence, 0 to 1.

    Raises:
        ValueError: no samples, or one that is not finite.
    """
    values = _array(samples, 1)
    picks = np.random.default_rng(_SEED).integers(0, len(values), (draws, len(values)))
    return _interval(float(np.median(values)), np.median(values[picks], axis=1), level)


def ratio(
    above: Samples,
    below: Samples,
    *,
    paired: bool = False,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Interval:
    """Return the ratio of two figures with its percentile bootstrap interval.

    It is median(above) / median(below), and of pairs the median of their ratios: what changes the
    machine's speed between repetitions then changes nothing.

    Args:
        above: one or more finite numbers.
        below: the same, each greater than 0.
        paired: item k of both was taken in the same repetition, and is resampled with it.
        draws: resamplings.
        level: confidence, 0 to 1.

    Raises:
        ValueError: no samples, one that is not finite, a divisor that is not positive, or pairs of
            different number.
    """
    numerator, divisor = _array(above, 1), _array(below, 1)
    if not (divisor > 0).all():
        raise ValueError(f"expected divisors above 0, got {divisor.min()}")
    if paired and len(numerator) != len(divisor):
        raise ValueError(f"expected pairs, got {len(numerator)} and {len(divisor)} samples")
    if paired:
        return median(numerator / divisor, draws=draws, level=level)
    random = np.random.default_rng(_SEED)
    picks = random.integers(0, len(numerator), (draws, len(numerator)))
    others = random.integers(0, len(divisor), (draws, len(divisor)))
    drawn = np.median(numerator[picks], axis=1) / np.median(divisor[others], axis=1)
    return _interval(float(np.median(numerator) / np.median(divisor)), drawn, level)
