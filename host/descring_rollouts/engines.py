# SPDX-License-Identifier: Apache-2.0
"""Engines by name, and how a run samples."""

from __future__ import annotations

import functools
import importlib.metadata
import pkgutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model.engine import contract
from descring_model.engine.interface import Engine, Statuses
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
        eos: token that ends a rollout that makes it [REC-007], or None.

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


class Engines:
    """The engines of a run's devices: opened by name, or the caller's.

    Attributes:
        closed: :meth:`close` was called.
    """

    def __init__(self, given: Engine | str | Sequence[Engine | str] | None, devices: int) -> None:
        """Open what is given by name: of one name an engine for each of the devices.

        Raises:
            ValueError: an unknown name; another number of engines than of devices; one twice;
                engines of different vocabularies, which would make different tokens.
        """
        self.closed = False
        self._own: list[Engine] = []
        self._each: list[Engine] = []
        self._lock = threading.Lock()
        try:
            if isinstance(given, str):
                self._each = [self._open(given) for _ in range(devices)]
            elif isinstance(given, Sequence):
                if len(given) != devices:
                    raise ValueError(
                        f"engine: expected one for each of {devices} devices, got {len(given)}"
                    )
                self._each = [self._open(item) for item in given]
            elif given is not None:
                self._each = [given]
            if len({id(item) for item in self._each}) != len(self._each):
                raise ValueError("engine: expected each one once, got one for two devices")
            vocabularies = [item.vocabulary for item in self._each]
            if len(set(vocabularies)) > 1:
                raise ValueError(
                    "engine: expected engines of one vocabulary, got "
                    f"{', '.join(map(str, vocabularies))}; their tokens would differ"
                )
        except BaseException:
            self.close()
            raise

    def _open(self, item: Engine | str) -> Engine:
        if not isinstance(item, str):
            return item
        self._own.append(open_engine(item))
        return self._own[-1]

    @property
    def first(self) -> Engine | None:
        """That of the first device; None: no tokens are made."""
        return self._each[0] if self._each else None

    def for_each(self, devices: int) -> list[Engine | None]:
        """One for each device; one that several share is used by one at a time."""
        if not self._each:
            return [None] * devices
        if len(self._each) < devices:
            return [_InTurn(self._each[0], self._lock) for _ in range(devices)]
        return list(self._each)

    def close(self) -> None:
        """Close what was opened by name."""
        self.closed = True
        while self._own:
            self._own.pop().close()


class _InTurn:
    """An engine that other threads use too."""

    def __init__(self, engine: Engine, lock: threading.Lock) -> None:
        self._engine, self._lock = engine, lock

    @property
    def vocabulary(self) -> int:
        return self._engine.vocabulary

    def new_arena(self, size: int) -> npt.NDArray[np.uint8]:
        with self._lock:
            return self._engine.new_arena(size)

    def advance(
        self,
        arena: npt.NDArray[np.uint8],
        records: npt.NDArray[np.uint64],
        ends: npt.NDArray[np.uint32],
    ) -> Statuses:
        with self._lock:
            return self._engine.advance(arena, records, ends)

    def close(self) -> None:
        """The engine is the caller's."""
