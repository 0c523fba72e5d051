# SPDX-License-Identifier: Apache-2.0
"""A drawn mutant of a module under the proof of that module.

The task is copied with Yosys' mutate behind its reading, in the flat design that it proves. The
cell is found there by place and type, as many as in the module alone; where they are more or fewer,
the proof tells nothing about the mutant.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from descring_sim.formal import proofs, tasks
from descring_sim.formal.tasks import Task
from descring_sim.mutation.sampled import netlist
from descring_sim.mutation.sampled.netlist import Mutation
from descring_sim.support import build_cache
from descring_sim.support.errors import SimulationError

TAG = "mutants"
"""The tasks that mutants run against."""

_PREPARED = ("setattr -set keep 1 t:$check", "proc", "opt_clean")
"""What leaves the cells that a module alone has, and every property."""


def _reading(task: Task) -> list[str]:
    """The lines of the task's script that read its sources."""
    text = task.sby.read_text(encoding="utf-8")
    section = text.partition("[script]")[2].partition("[files]")[0]
    lines = []
    for line in section.splitlines():
        tags, colon, command = line.partition(": ")
        if colon and re.fullmatch(r"[\w ]+", tags):
            if not set(tags.split()) & task.tags:
                continue
            line = command
        if line.startswith("read_slang"):
            lines.append(line)
    return lines


def _cells(task: Task, mutation: Mutation, out: Path) -> list[tuple[str, str]]:
    reading = _reading(task)
    if not reading:
        return []
    folder = out / "proofs" / f"{task.block}_{task.name}-{task.key()}"
    kept = folder / "design.json"
    with build_cache.product(folder, kept) as there:
        if not there:
            script = "\n".join([*reading, *_PREPARED, "write_json design.json", ""])
            netlist.yosys(script, folder, task.files)
    design = json.loads(kept.read_text(encoding="utf-8"))["modules"]
    return [
        (name, cell)
        for name, module in design.items()
        for cell in netlist.select(module["cells"], mutation)
    ]


def _mutated(task: Task, mutation: Mutation, cell: tuple[str, str], home: Path) -> Task:
    """Return a copy of ``task`` that proves the mutated design."""
    shutil.rmtree(home, ignore_errors=True)
    for folder in dict.fromkeys(path.parent for path in (task.sby, *task.files)):
        shutil.copytree(folder, home / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    sby = home / task.sby.parent.name / task.sby.name
    text = sby.read_text(encoding="utf-8")
    tag = re.escape(task.config)
    reading = re.search(rf"^(?:{tag}: )?read_slang .*$", text, re.MULTILINE)
    if reading is None:
        raise SimulationError(f"{task}: expected a line read_slang for the tag {task.config}")
    change = "\n".join([*_PREPARED, *mutation.commands([cell])])
    sby.write_text(f"{text[: reading.end()]}\n{change}{text[reading.end() :]}", encoding="utf-8")
    return next(found for found in tasks.read(sby) if found.name == task.name)


def killer(mutation: Mutation, formal_dir: Path, rtl_dir: Path, out: Path) -> str | None:
    """Return which property of which task refuses ``mutation``, None where none does.

    Raises:
        SimulationError: a tool failed.
    """
    sby = formal_dir / f"{mutation.module}.sby"
    if not sby.is_file() or not (rtl_dir / f"{mutation.module}.sv").is_file():
        return None
    for task in tasks.read(sby):
        if TAG not in task.tags:
            continue
        cells = _cells(task, mutation, out)
        if len(cells) != 1:
            continue
        home = out / "proofs" / f"{mutation.name}-{task.name}"
        outcome = proofs.run(_mutated(task, mutation, cells[0], home), home / "out")
        if outcome.status == "error":
            raise SimulationError(f"{task} on {mutation.name}: {outcome.message}")
        if outcome.status != "pass":
            return proofs.objection(task, outcome)
    return None
