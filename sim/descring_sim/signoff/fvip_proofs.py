# SPDX-License-Identifier: Apache-2.0
"""Proves the port to memory by the properties of YosysHQ's SVA-AXI4-FVIP.

The harnesses are the project's own, of ``formal/``, with FVIP's checkers of the channels added to
copies of them: what the harness proves of the unit's state is what induction on FVIP's properties
needs. So each run proves both.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from descring_sim.formal import proofs, tasks
from descring_sim.formal.proofs import Outcome
from descring_sim.formal.tasks import Task
from descring_sim.signoff import fvip
from descring_sim.signoff.fvip import Translation
from descring_sim.support.errors import SimulationError

ADVICE = (
    "Get SVA-AXI4-FVIP by YosysHQ (ISC; on GitHub as YosysHQ-GmbH/SVA-AXI4-FVIP), then run: "
    "make formal-axi FVIP=/path/to/SVA-AXI4-FVIP"
)
KINDS = ("prove", "cover")

CONFIG = "fvip_config.svh"
"""How the checkers are set; every fragment includes it."""

_END = re.compile(r"^\s*end(?:module|package)\b", re.MULTILINE)
_LAST = re.compile(r"^endmodule\b(?!.*^endmodule\b)", re.MULTILINE | re.DOTALL)
_FILES = re.compile(r"^\[files\]\n", re.MULTILINE)


@dataclass(frozen=True)
class Port:
    """Channels of one unit.

    Attributes:
        block: its proof in ``formal/``; since the write engine has the pins of the write channels,
            it and not the completion writer around it.
        fragment: what brings the checkers into the harness.
        checkers: the channels that they are about, by the names of their instances there.
    """

    block: str
    fragment: str
    checkers: Mapping[str, str]


PORTS = (
    Port(
        "desc_fetch",
        "fvip_read.svh",
        {"u_fvip_ar": "read_address", "u_fvip_r": "read_data"},
    ),
    Port(
        "axi_write_engine",
        "fvip_write.svh",
        {
            "u_fvip_aw": "write_address",
            "u_fvip_w": "write_data",
            "u_fvip_b": "write_response",
        },
    ),
)


@dataclass(frozen=True)
class Verdict:
    """What became of one task.

    Attributes:
        count: assertions of FVIP in the model, none of a task that only reaches covers.
        failed: those of FVIP that failed, and those of the harness and the RTL.
    """

    task: Task
    outcome: Outcome
    count: int
    failed: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything is proven, or every cover reached."""
        return self.outcome.status == "pass"

    def __str__(self) -> str:
        held = {"pass": "holds", "unknown": "is NOT PROVEN"}.get(self.outcome.status, "FAILS")
        text = f"FVIP, {self.task.block} {self.task.name}: {held}, {self.outcome.seconds:.0f} s"
        if self.task.kind == "prove":
            text += f", {self.count} assertions"
        if self.failed:
            text += f"; failed: {', '.join(self.failed)}"
        return text


def _read(fvip_dir: Path, name: str) -> str:
    file = fvip_dir / name
    if not file.is_file():
        raise SimulationError(f"expected {name} in {fvip_dir}, found none. {ADVICE}")
    text = file.read_text("utf-8", errors="replace")
    if not _END.search(fvip.strip_comments(text)):
        raise SimulationError(f"{file}: expected a whole module or package; fetch it again")
    return text


def translated(fvip_dir: Path) -> dict[str, Translation]:
    """The checkers of all channels, by their names.

    Raises:
        SimulationError: a file is missing or cut short, or has a property of an unknown form.
    """
    packages = [_read(fvip_dir, name) for name in fvip.DECLARATIONS]
    _read(fvip_dir, fvip.PACKAGE)
    found = {}
    for channel in (name for port in PORTS for name in port.checkers.values()):
        name = f"{fvip.FOLDER}/amba_axi4_{channel}_channel.sv"
        text = _read(fvip_dir, name)
        try:
            found[channel] = fvip.translate(text, packages)
        except SimulationError as error:
            raise SimulationError(f"{fvip_dir / name}: {error}") from error
    return found


def summary(checkers: Mapping[str, Translation]) -> str:
    """What was translated, and what was left out."""
    found = checkers.values()
    return (
        f"FVIP: {sum(item.asserts for item in found)} assertions and "
        f"{sum(item.assumes for item in found)} assumptions are translated; left out are "
        f"{sum(item.x_checks for item in found)} checks for X, as nothing is X in a proof, and "
        f"{sum(item.covers for item in found)} covers"
    )


def collect(
    port: Port,
    checkers: Mapping[str, Translation],
    fvip_dir: Path,
    root: Path,
    rtl: Path,
    folder: Path,
) -> Path:
    """Copy into ``folder`` what the proofs of one port read; the file of its tasks.

    Args:
        port: which.
        checkers: those of its channels at least, as :func:`translated` gives them.
        fvip_dir: the checkout of FVIP that they are from.
        root: the checkout of this project, for its harnesses.
        rtl: the sources.
        folder: made again, from nothing.

    Raises:
        SimulationError: FVIP or the harness lacks a file.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sby = root / "formal" / f"{port.block}.sby"
    own = [
        rtl / path.name if path.parent.name == "rtl" else path for path in tasks.read(sby)[0].files
    ]
    fragments = [root / "sim" / "outside" / "axi" / name for name in (CONFIG, port.fragment)]
    for path in (*own, *fragments):
        if not path.is_file():
            raise SimulationError(f"expected {path}, found none")
        shutil.copy(path, folder)
    harness = folder / f"{port.block}_props.sv"
    text = _LAST.sub(f'`include "{port.fragment}"\n\nendmodule', harness.read_text("utf-8"))
    harness.write_text(text, encoding="utf-8")
    added = [Path(fvip.PACKAGE).name, CONFIG, port.fragment]
    (folder / added[0]).write_text(_read(fvip_dir, fvip.PACKAGE), encoding="utf-8")
    for channel in port.checkers.values():
        added.append(f"amba_axi4_{channel}_channel.sv")
        (folder / added[-1]).write_text(checkers[channel].text, encoding="utf-8")
    listed = "\n".join([*(path.name for path in own), *added])
    head = _FILES.split(sby.read_text(encoding="utf-8"))[0]
    (folder / sby.name).write_text(f"{head}[files]\n{listed}\n", encoding="utf-8")
    return folder / sby.name


def names(port: Port, assertions: Iterable[str]) -> dict[str, list[str]]:
    """FVIP's own names of those of ``assertions`` that are of its checkers, by instance."""
    found: dict[str, list[str]] = {instance: [] for instance in port.checkers}
    for path in assertions:
        parts = path.split(".")
        if parts[0] in found:
            found[parts[0]].append(parts[-2])
    return found


def verdict(port: Port, task: Task, out: Path) -> Verdict:
    """Run one task below ``out``.

    Raises:
        SimulationError: the tools fail, or the model lacks the assertions of a checker, so that its
            proof would be one of nothing.
    """
    outcome = proofs.run(task, out)
    if outcome.status == "error":
        raise SimulationError(f"{task}: {outcome.message}")
    found = names(port, proofs.report(Path(outcome.folder)).assertions)
    for instance, channel in port.checkers.items():
        if task.kind == "prove" and not found[instance]:
            raise SimulationError(
                f"{task}: expected assertions of FVIP's {channel} channel in the model, found "
                f"none; see {outcome.folder}"
            )
    wrong = names(port, outcome.failed)
    failed = [
        *(name for group in wrong.values() for name in group),
        *(f"{path} of descring" for path in outcome.failed if path.split(".")[0] not in wrong),
    ]
    return Verdict(task, outcome, sum(map(len, found.values())), tuple(failed))


def run(
    checkers: Mapping[str, Translation], fvip_dir: Path, root: Path, rtl: Path, folder: Path
) -> Iterator[Verdict]:
    """The verdict on every task of every port, as they end.

    Raises:
        SimulationError: as :func:`collect` and :func:`verdict`.
    """
    for port in PORTS:
        sby = collect(port, checkers, fvip_dir, root, rtl, folder / port.block)
        for task in tasks.read(sby):
            if task.kind in KINDS:
                yield verdict(port, task, folder / port.block / "runs")
