# SPDX-License-Identifier: Apache-2.0
"""What passes between the kit and its worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Start:
    """The first request: the implementation, and the folder of its build.

    With ``identify`` a device of an earlier version of the contract is refused.
    """

    dut: str
    folder: Path
    identify: bool = False


@dataclass(frozen=True)
class Request:
    """Run one test."""

    test: str
    seed: int
    timeout_s: float
    waves: bool


@dataclass(frozen=True)
class Refused:
    """The implementation cannot be found or built; ``unavailable``: not on this machine."""

    text: str
    unavailable: bool = False
