# SPDX-License-Identifier: Apache-2.0
"""Where ``descring rollouts`` runs: one device, several, or machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

MEMORY = 4 << 20
"""Bytes of a device's window: three of the greatest rings fit."""


@dataclass(frozen=True)
class Places:
    """The devices of a run.

    Attributes:
        label: what runs, for people.
        one: a single device, which is not one of several.
        several: devices in its place, or those of other machines.
        names: of the several.
        elsewhere: they have engines of their own.
        engine: of a device that makes the tokens itself.
    """

    label: str
    one: Any = None
    several: tuple[Any, ...] = ()
    names: tuple[str, ...] = ()
    elsewhere: bool = False
    engine: Any = None

    def arguments(self, opened: ExitStack, engine: str | None, vocabulary: int) -> dict[str, Any]:
        """For the runtime: devices, and an engine for each, open for as long as ``opened``."""
        from descring_rollouts import open_engine

        found: dict[str, Any] = {"devices": self.several} if self.several else {"device": self.one}
        if self.engine is not None:
            found["engine"] = self.engine
        elif engine is not None:
            here = self.several[:1] if self.elsewhere else self.several or (self.one,)
            engines = [open_engine(engine, vocabulary) for _ in here]
            for item in engines:
                opened.callback(item.close)
            found["engine"] = engines if len(engines) > 1 else engines[0]
        return found

    def lines(self, runtime: Any) -> str:
        """A line for each of several devices: what it has done."""
        return "".join(
            f"device {report.number} ({self.names[report.number]}): {len(report.groups)} groups, "
            f"{summary.rollouts} rollouts, {summary.tokens} tokens in {summary.legs} legs"
            f"{', lost' * bool(report.losses)}\n"
            for report in runtime.devices
            for summary in [report.summary]
        )

    def markdown(self, runtime: Any) -> str:
        """The same as a table; empty for one device."""
        if not self.several:
            return ""
        rows = [
            "",
            "## Devices",
            "",
            "| device | groups | rollouts | tokens | legs | windows | lost |",
        ]
        rows.append("|---|---|---|---|---|---|---|")
        for report in runtime.devices:
            found = report.summary
            numbers = (len(report.groups), found.rollouts, found.tokens, found.legs, found.windows)
            lost = "; ".join(str(loss.error) for loss in report.losses)
            cells = " | ".join(map(str, numbers))
            rows.append(f"| {report.number}: {self.names[report.number]} | {cells} | {lost} |")
        return "\n".join(rows) + "\n"


def named_devices(devices: str) -> tuple[str, ...]:
    """The names of ``--devices``; ``click.UsageError`` where one is empty."""
    names = tuple(name.strip() for name in devices.split(","))
    if not all(names):
        raise click.UsageError(f"--devices: expected NAME,NAME,..., got {devices!r}")
    return names


@dataclass(frozen=True)
class Resident:
    """A GPU that makes the tokens itself.

    Attributes:
        arena: bytes of its memory for records, prompts, keys and values.
        max_tokens: of the longest rollout.
        seats: rollouts at once; the device's own number when None.
    """

    arena: int
    max_tokens: int
    seats: int | None

    @classmethod
    def asked(cls, backend: str, several: bool, options: Mapping[str, Any]) -> Resident | None:
        """What the options of ``descring rollouts`` ask for; None without ``--resident``."""
        if not options["resident"]:
            return None
        if (backend, options["engine"]) != ("cuda", "cuda") or several:
            raise click.UsageError("--resident: expected --backend cuda --engine cuda with it")
        longest = options["prompt_tokens"][1] + options["new_tokens"][1]
        return cls(options["arena"] << 20, longest, options["slots"])

    def open(self, opened: ExitStack, backend: str, name: str, vocabulary: int) -> Places:
        """Open engine and device for as long as ``opened``."""
        from descring_host import open_device
        from descring_rollouts import open_engine

        engine = open_engine(name, vocabulary)
        opened.callback(engine.close)
        seats = {} if self.seats is None else {"seats": self.seats}
        device = open_device(
            backend,
            memory=MEMORY,
            shape="resident",
            engine=engine,
            arena=self.arena,
            max_tokens=self.max_tokens,
            **seats,
        )
        opened.enter_context(device)
        return Places(f"{backend}, resident", device, engine=engine)


def open_places(
    opened: ExitStack,
    backend: str,
    devices: str | None,
    ray: str | None,
    engine: str | None,
    vocabulary: int,
) -> Places:
    """Open the devices for as long as ``opened``.

    Raises:
        ValueError, HostError: of :func:`descring_host.open_device`.
        SimulationError: there is no such cluster.
    """
    from descring_host import open_device

    if ray is not None:
        from descring_sim.campaign.rollout_actors import ray_devices

        names = (backend,) if devices is None else named_devices(devices)
        found = opened.enter_context(
            ray_devices(ray, names, memory=MEMORY, engine=engine, vocabulary=vocabulary)
        )
        return Places(f"ray {','.join(names)}", several=tuple(found), names=names, elsewhere=True)
    if devices is None:
        return Places(backend, opened.enter_context(open_device(backend, memory=MEMORY)))
    names = named_devices(devices)
    several = tuple(opened.enter_context(open_device(name, memory=MEMORY)) for name in names)
    return Places(",".join(names), several=several, names=names)


def device_logs(folder: Path | None, count: int) -> list[Path]:
    """The files of ``--device-logs``."""
    if folder is None:
        return []
    return [folder / f"device-{number}.evlog" for number in range(count)]
