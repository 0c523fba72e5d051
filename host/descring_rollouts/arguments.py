# SPDX-License-Identifier: Apache-2.0
"""What callers may give: each mistake is an error that says what was expected, before any work."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from descring_rollouts.watch import Watcher


def integer(name: str, value: Any) -> int:
    """``value`` as an int; ``ValueError`` for a bool, a fraction or anything else."""
    if not isinstance(value, bool | np.bool_):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise ValueError(f"{name}: expected an integer, got {value!r}")


def integers(name: str, values: Any) -> npt.NDArray[np.int64]:
    """``values`` as int64 of any shape; ``ValueError`` for anything but integers of 64 bits."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name}: expected integers, got rows of different lengths") from None
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected integers of 64 bits, got {values!r}")
    if array.dtype == np.uint64 and array.size and int(array.max()) >= 1 << 63:
        raise ValueError(f"{name}: expected integers below 2^63, got {int(array.max())}")
    return array.astype(np.int64)


def seconds(name: str, value: Any) -> float:
    """``value`` as seconds above 0; ``ValueError``."""
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if not is_number or isinstance(value, bool) or not value > 0:
        raise ValueError(f"{name}: expected seconds above 0, got {value!r}")
    return float(value)


def prompt_lengths(prompts: Any) -> list[int]:
    """How many tokens each prompt has.

    Args:
        prompts: of each its number of tokens, or its tokens.

    Raises:
        ValueError: no prompt, or one that is neither.
    """
    if isinstance(prompts, str | bytes) or not isinstance(prompts, Iterable):
        raise ValueError(f"prompts: expected a sequence of prompts, got {prompts!r}")
    lengths = []
    for place, prompt in enumerate(prompts):
        if isinstance(prompt, Iterable) and not isinstance(prompt, str | bytes | Mapping):
            tokens = integers(f"prompt {place}", prompt)
            if tokens.ndim == 1:
                lengths.append(len(tokens))
                continue
            if tokens.ndim > 1:
                raise ValueError(f"prompt {place}: expected tokens in a row, got {tokens.shape}")
        lengths.append(integer(f"prompt {place}: a number of tokens, or tokens", prompt))
    if not lengths:
        raise ValueError("prompts: expected one or more, got none")
    return lengths


def check_devices(device: Any, devices: Any) -> tuple[Any, ...]:
    """The devices of a run: the one, or the several.

    Raises:
        ValueError: none, both, one that is no device, or one twice.
    """
    if devices is None:
        found = (device,)
    elif device is not None:
        raise ValueError("devices: expected them or one device, got both")
    else:
        if isinstance(devices, str | bytes) or not isinstance(devices, Iterable):
            raise ValueError(f"devices: expected a sequence of devices, got {devices!r}")
        found = tuple(devices)
        if not found:
            raise ValueError("devices: expected one or more, got none")
    here = ("read32", "write32", "wait")
    for item in found:
        elsewhere = devices is not None and callable(getattr(item, "worker", None))
        if not elsewhere and not all(callable(getattr(item, name, None)) for name in here):
            raise ValueError(f"device: expected one of open_device(), got {item!r}")
    for place, item in enumerate(found):
        if any(item is other for other in found[:place]):
            raise ValueError(
                f"devices: expected each device once, got number {place} twice; open another one"
            )
    return found


def positive(name: str, value: Any) -> int:
    """``value`` as an int of 1 or more; ``ValueError``."""
    number = integer(name, value)
    if number < 1:
        raise ValueError(f"{name}: expected 1 or more, got {number}")
    return number


def check_runtime(
    scorer: Any, core: Any, watchers: Any, limits: Mapping[str, Any]
) -> dict[str, int]:
    """The limits as ints, where all of a runtime's arguments are of their kind.

    Raises:
        ValueError: the first that is not.
    """
    if isinstance(scorer, bool) or not (isinstance(scorer, int) or callable(scorer)):
        raise ValueError(f"scorer: expected 0, 1, 2 or a function, got {scorer!r}")
    if not callable(core):
        raise ValueError(f"core: expected Core or ModelCore, got {core!r}")
    for watcher in watchers if isinstance(watchers, Iterable) else (watchers,):
        if not isinstance(watcher, Watcher):
            raise ValueError(f"watchers: expected objects of Watcher, got {watcher!r}")
    return {name: integer(name, value) for name, value in limits.items()}
