# SPDX-License-Identifier: Apache-2.0
"""What an implementation claims to implement, and so which tests it is held to.

A test needs tokens (``opcode:STOP``, ``split_reward``, ``level:device``); capabilities grant them.
What needs a token that is not granted is *not claimed*: never run, and never reported as passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from descring_model import contract
from descring_model.rules import all_rules

from descring_sim.conform.errors import ConformError

LEVELS = ("stream", "device")
RINGS = ("memory", "chip")
RULE_IDS = frozenset(rule.rule for rule in all_rules())
SLOTS = (1 << contract.RING_LOG2_MIN, 1 << contract.RING_LOG2_MAX)
WORKERS = (1, 16)


@dataclass(frozen=True)
class Capabilities:
    """The claims of one implementation; the defaults are a bare stream worker's.

    Attributes:
        levels: ``stream`` (lines in, completions out), ``device`` (registers, doorbells, rings).
        contract_version: of the contract; devices name it in VERSION and CONTRACT_HASH.
        opcodes: names of the opcodes that are implemented.
        checked: the flag CHECKED, with tag and checksum.
        require_checked: the mode REQUIRE_CHECKED.
        split_reward: a reward ring of its own.
        halt: a STOP can be left unresumed.
        first_index: the indices after reset can be chosen [RING-012].
        rings: where they lie, ``memory`` or ``chip``.
        ring_slots: least and greatest slots that a ring can be given; None if it is not settable.
        workers: least and greatest number of workers; None if it is not settable.
        backpressure: the kit may take completions late.
        doorbell: the kit may publish lines before or after they are written [RING-011].
        enable: the kit may clear and set the port `enable`, and give `resume` at any time.
        halted: the port `halted` can be seen.
        interrupt: the level of the interrupt can be seen.
        publish_tails: the mode PUBLISH_TAILS [RING-013].
        bus_errors: memory errors can be injected [LIFE-005].
        byte_writes: single bytes of a register can be written [DB-007].
        exhaustive: it is fast enough for streams of 65 536 lines and more, by the hundred thousand
            in one test; simulations are not.
        not_claimed: rules that are left out although the rest would cover them.
    """

    levels: frozenset[str] = frozenset({"stream"})
    contract_version: int = contract.VERSION
    opcodes: frozenset[str] = frozenset(contract.OPCODE)
    checked: bool = True
    require_checked: bool = True
    split_reward: bool = True
    halt: bool = True
    first_index: bool = True
    rings: str = "memory"
    ring_slots: tuple[int, int] | None = None
    workers: tuple[int, int] | None = None
    backpressure: bool = False
    doorbell: bool = False
    enable: bool = False
    halted: bool = False
    interrupt: bool = False
    publish_tails: bool = False
    bus_errors: bool = False
    byte_writes: bool = False
    exhaustive: bool = True
    not_claimed: frozenset[str] = field(default_factory=frozenset)

    def in_order(self) -> list[str]:
        """The implemented opcodes in the contract's order: a set has another in every process."""
        return [name for name in contract.OPCODE if name in self.opcodes]

    def of_version(self, version: int) -> Capabilities:
        """The same by that version of the contract, with its opcodes alone."""
        return replace(self, contract_version=version, opcodes=self.opcodes & opcodes_of(version))

    def reset_value(self, register: contract.Register) -> int:
        """What the register reads after reset in that version."""
        return contract.reset_value(register, self.contract_version)

    def tokens(self) -> frozenset[str]:
        """What tests may need, as far as it is granted."""
        granted = {f"level:{level}" for level in self.levels}
        granted |= {f"opcode:{name}" for name in self.opcodes}
        granted |= {item.name for item in fields(self) if getattr(self, item.name) is True}
        granted.add(f"rings:{self.rings}")
        granted |= {name for name in ("ring_slots", "workers") if getattr(self, name) is not None}
        if not self.checked:
            granted.discard("require_checked")
        return frozenset(granted)

    @classmethod
    def parse(cls, table: Mapping[str, Any], where: str) -> Capabilities:
        """Read the table ``[capabilities]`` of a file.

        Raises:
            ConformError: an unknown key or value; the text names it and ``where`` it stands.
        """
        known = {item.name: item for item in fields(cls)}
        unknown = sorted(set(table) - set(known))
        if unknown:
            raise ConformError(
                f"{where}: [capabilities] has no {unknown[0]!r}; it has {', '.join(known)}"
            )
        values: dict[str, Any] = {}
        for name, value in table.items():
            values[name] = _value(name, value, f"{where}: capabilities.{name}")
        version = values.get("contract_version", contract.VERSION)
        allowed = opcodes_of(version)
        if later := sorted(values.setdefault("opcodes", allowed) - allowed):
            raise ConformError(
                f"{where}: capabilities.opcodes: {later[0]} is of version "
                f"{contract.SINCE[later[0]]}, and capabilities.contract_version is {version}"
            )
        if not values.get("levels", cls.levels):
            raise ConformError(f"{where}: capabilities.levels: expected at least one, got none")
        return cls(**values)


def opcodes_of(version: int) -> frozenset[str]:
    """The opcodes of a version of the contract."""
    return frozenset(name for name in contract.OPCODE if contract.SINCE.get(name, 1) <= version)


def _names(value: Any, allowed: frozenset[str] | tuple[str, ...], where: str) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConformError(f"{where}: expected a list of names, got {value!r}")
    wrong = sorted(set(value) - set(allowed))
    if wrong:
        shown = ", ".join(sorted(allowed)[:12])
        raise ConformError(f"{where}: {wrong[0]!r} is none of {shown}")
    return frozenset(value)


def _range(value: Any, limits: tuple[int, int], where: str) -> tuple[int, int]:
    pair = [value, value] if isinstance(value, int) else value
    if (
        not isinstance(pair, list)
        or len(pair) != 2
        or not all(isinstance(item, int) and not isinstance(item, bool) for item in pair)
        or not limits[0] <= pair[0] <= pair[1] <= limits[1]
    ):
        raise ConformError(
            f"{where}: expected a number or [least, greatest] from {limits[0]} to {limits[1]}, "
            f"got {value!r}"
        )
    return pair[0], pair[1]


def _value(name: str, value: Any, where: str) -> Any:
    if name == "levels":
        return _names(value, LEVELS, where)
    if name == "opcodes":
        return _names(value, tuple(contract.OPCODE), where)
    if name == "not_claimed":
        return _names(value, RULE_IDS, where)
    if name == "ring_slots":
        low, high = _range(value, SLOTS, where)
        if low & (low - 1) or high & (high - 1):
            raise ConformError(f"{where}: expected powers of two [RING-001], got {value!r}")
        return low, high
    if name == "workers":
        return _range(value, WORKERS, where)
    if name == "contract_version":
        if isinstance(value, bool) or value not in (*contract.EARLIER_HASHES, contract.VERSION):
            raise ConformError(f"{where}: expected 1 to {contract.VERSION}, got {value!r}")
        return value
    if name == "rings":
        if value not in RINGS:
            raise ConformError(f"{where}: expected one of {', '.join(RINGS)}, got {value!r}")
        return value
    if not isinstance(value, bool):
        raise ConformError(f"{where}: expected true or false, got {value!r}")
    return value
