# SPDX-License-Identifier: Apache-2.0
"""Engines by name, and how a run samples."""

from __future__ import annotations

import functools
import importlib.metadata
import pkgutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from descring_model.engine import contract
from descring_model.engine.interface import Engine
from descring_model.engine.numbers import FLOATS

ENTRY_POINTS = "descring.engines"
"""Group of entry points in which a package of a higher layer declares an engine."""

_BUILT_IN = {
    "model": "descring_model.engine.model:ModelEngine",
    "native": "descring_host.engine:NativeEngine",
}


@dataclass(frozen=True)
class Sampling:
    """How a run's tokens are drawn: members of every rollout's record [SAMP-001..SAMP-007].

    Attributes:
        seed: key of the generator, below 2^64; group and sample make each rollout's numbers its
            own.
        temperature: 0 (the likeliest token) or 2^-10 to 2^10.
        top_p: share of the mass that is kept, 2^-20 to 1.
        top_k: tokens that are kept; 0 is all.
        eos: token that ends a rollout, or None.

    Raises:
        ValueError: a member out of range.
    """

    seed: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    eos: int | None = None

    def __post_init__(self) -> None:
        low, high = (float(FLOATS[f"TEMPERATURE_{end}"]) for end in ("MIN", "MAX"))
        least = float(FLOATS["TOP_P_MIN"])
        temperature, top_p = self.temperature, self.top_p
        limits: dict[str, tuple[bool, str]] = {
            "seed": (0 <= self.seed < 1 << 64, "0 to 2^64 - 1"),
            "temperature": (
                bool(temperature == 0 or low <= temperature <= high),
                f"0 or {low} to {high}",
            ),
            "top_p": (bool(least <= top_p <= 1), f"{least} to 1"),
            "top_k": (0 <= self.top_k < 1 << 32, "0 to 2^32 - 1"),
            "eos": (self.eos is None or 0 <= self.eos < contract.NONE, "a token or None"),
        }
        for name, (good, expected) in limits.items():
            if not good:
                raise ValueError(f"{name}: expected {expected}, got {getattr(self, name)}")

    def members(self) -> dict[str, Any]:
        """The record's members by name."""
        found = asdict(self)
        found["eos"] = contract.NONE if self.eos is None else self.eos
        return found


@functools.cache
def _declared() -> dict[str, importlib.metadata.EntryPoint]:
    found = importlib.metadata.entry_points(group=ENTRY_POINTS)
    return {point.name: point for point in sorted(found)}


def engine_names() -> list[str]:
    """The engines that this installation knows of."""
    return [*_BUILT_IN, *(name for name in _declared() if name not in _BUILT_IN)]


def open_engine(name: str, vocabulary: int = contract.VOCABULARY, **options: Any) -> Engine:
    """An engine by its name.

    Args:
        name: ``"model"``, ``"native"``, or one that an installed package declares.
        vocabulary: tokens, 1 to 131072.
        **options: of the engine's own constructor.

    Raises:
        ValueError: an unknown name, or an argument out of range.
    """
    make: Callable[..., Engine]
    if name in _BUILT_IN:
        make = pkgutil.resolve_name(_BUILT_IN[name])
    elif name in _declared():
        make = _declared()[name].load()
    else:
        raise ValueError(f"engine: expected {', '.join(engine_names())}, got {name!r}")
    return make(vocabulary, **options)
