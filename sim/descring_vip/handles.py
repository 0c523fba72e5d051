# SPDX-License-Identifier: Apache-2.0
"""Typed handles of a design's ports, and reading them without ever guessing at X or Z."""

from __future__ import annotations

from typing import Any, TypeAlias

from cocotb.handle import (
    HierarchyObject,
    IntegerObject,
    LogicArrayObject,
    LogicObject,
    PackedObject,
)
from cocotb.simtime import get_sim_time

# A port that is wired to an element of a packed array is itself a packed object on Icarus.
_CLASSES = (LogicObject, LogicArrayObject, PackedObject)
Signal: TypeAlias = LogicObject | LogicArrayObject | PackedObject[Any]


class UnresolvedSignalError(AssertionError):
    """A signal carries X or Z where the testbench needs a number."""


def bit(dut: HierarchyObject, name: str) -> LogicObject:
    """The handle of the one-bit signal ``name``.

    Raises:
        AttributeError: the design has no such signal.
        TypeError: it is wider.
    """
    handle = getattr(dut, name)
    if not isinstance(handle, LogicObject):
        raise TypeError(f"{handle._path} must be a single bit, it is a {type(handle).__name__}")
    return handle


def parameter(dut: HierarchyObject, name: str) -> int:
    """The value of the integer parameter ``name`` of a design.

    Raises:
        AttributeError: the design has no such parameter.
        TypeError: it is no integer.
    """
    handle = getattr(dut, name)
    if isinstance(handle, LogicArrayObject | IntegerObject):
        return int(handle.value)
    raise TypeError(f"{handle._path} must be an integer, it is a {type(handle).__name__}")


def signal(dut: HierarchyObject, name: str) -> Signal:
    """The handle of signal ``name``, one bit or many.

    Raises:
        AttributeError: the design has no such signal.
        TypeError: it is no logic signal (an array, a block).
    """
    handle = getattr(dut, name)
    if not isinstance(handle, _CLASSES):
        raise TypeError(f"{handle._path} must be a logic signal, it is a {type(handle).__name__}")
    return handle


def bits(handle: Signal) -> str:
    """What ``str(handle.value)`` shows of X and Z in other letters, in a quarter of the time.

    Cocotb builds an array of logic objects for each read; most reads here are of a bit or a line.
    """
    text: str = handle._handle.get_signal_val_binstr()
    return text


def is_high(handle: Signal) -> bool:
    """Whether a one-bit signal is 1. X is not 1: that outputs are free of X is checked apart."""
    return bits(handle) == "1"


def read_int(handle: Signal) -> int:
    """The unsigned value of a signal of any width.

    Raises:
        UnresolvedSignalError: it has a bit that is neither 0 nor 1.
    """
    text = bits(handle)
    try:
        return int(text, 2)
    except ValueError:
        raise unresolved(handle) from None


def read_bytes(handle: Signal) -> bytes:
    """The value of a signal as bytes, bits 7:0 first: byte k is bits ``[8k+7:8k]`` [DESC-015].

    Raises:
        UnresolvedSignalError: it has a bit that is neither 0 nor 1.
    """
    return read_int(handle).to_bytes(len(handle) // 8, "little")


def unresolved(handle: Signal) -> UnresolvedSignalError:
    """The error for a signal that is not :func:`is_resolved`: which bits, and when."""
    bits = str(handle.value)[::-1]
    bad = [number for number, value in enumerate(bits) if value not in "01"]
    return UnresolvedSignalError(
        f"{handle._path}: {len(bad)} of {len(bits)} bits are neither 0 nor 1, the lowest is bit "
        f"{bad[0]} ({bits[bad[0]]}), at {get_sim_time('ns'):g} ns"
    )


def is_resolved(handle: Signal) -> bool:
    """Whether every bit of a signal is 0 or 1."""
    return not bits(handle).strip("01")
