# SPDX-License-Identifier: Apache-2.0
"""Compiles the C part of a lab, and checks what the compiler made of its timed loops."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from descring_model.program import DescringError
from descring_sim.support import build_cache, paths

ROOT = Path(__file__).resolve().parents[3]
HOST = ROOT / "host" / "native"
BENCH = ROOT / "bench" / "native"
HERE = ROOT / "examples" / "labs" / "native"
FLAGS = ("-std=c11", "-O2", "-fno-strict-aliasing", "-Wall", "-Wextra", "-Werror", "-pthread")
_JUMP = re.compile(r"\bj\w+\s+([0-9a-f]+)\b")
_LINE = re.compile(r"^\s*([0-9a-f]+):\t(.*)$")


class LabError(DescringError):
    """A lab cannot be built or run; the text has what was expected and what to do."""


@dataclass(frozen=True)
class Loop:
    """What the innermost loop of a function must contain, and what not: regular expressions.

    ``needs`` must occur in this order. Instructions are written as objdump prints them (AT&T). With
    ``whole`` the function itself is what is repeated.
    """

    function: str
    needs: tuple[str, ...]
    lacks: tuple[str, ...] = ()
    whole: bool = False


def tool(*names: str) -> str:
    """The first of these programs that is installed; raises ``LabError``."""
    for name in names:
        if name and shutil.which(name):
            return name
    raise LabError(f"expected one of {', '.join(names)} on PATH; install gcc and binutils")


def build(name: str, sources: Sequence[Path], *flags: str) -> Path:
    """Compile and link; the program is kept by its inputs.

    Args:
        name: of the program.
        sources: C files; every header of ``host`` and ``bench`` counts as an input too.
        flags: further ones of the compiler.

    Raises:
        LabError: there is no compiler, or it refuses.
    """
    compiler = tool(os.environ.get("CC", ""), "cc", "gcc")
    folders = (HOST, HOST / "rollouts", HOST / "engine", HOST.parent / "include", BENCH, HERE)
    headers = [path for folder in folders for path in sorted(folder.glob("*.h"))]
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    identity = [name, compiler, version, [*FLAGS, *flags]]
    inputs = [*sources, *headers]
    folder = paths.build_dir() / "labs" / f"{name}-{build_cache.key(identity, inputs)}"
    program = folder / name
    with build_cache.product(folder, program) as there:
        if not there:
            include = [f"-I{part}" for part in (HERE, BENCH, HOST, HOST.parent / "include")]
            command = [compiler, *FLAGS, *flags, *include, *map(str, sources), "-o", str(program)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise LabError(f"{name}: the compiler refuses:\n{' '.join(command)}\n{done.stderr}")
    return program


def instructions(listing: str) -> list[tuple[int, str]]:
    """Address and text of each instruction of a listing of objdump."""
    found = map(_LINE.match, listing.splitlines())
    return [(int(item[1], 16), item[2]) for item in found if item]


def loop_of(listing: str) -> list[str]:
    """The instructions of the innermost loops of a listing of objdump, in order.

    A loop is what lies between a jump backwards and its target; one that contains another is not
    innermost.
    """
    lines = instructions(listing)
    spans = []
    for address, text in lines:
        jump = _JUMP.search(text)
        if jump and int(jump[1], 16) <= address:
            spans.append((int(jump[1], 16), address))
    inner = [
        (low, high)
        for low, high in spans
        if not any((a, b) != (low, high) and low <= a and b <= high for a, b in spans)
    ]
    return [text for address, text in lines if any(low <= address <= high for low, high in inner)]


def check_loops(program: Path, loops: Sequence[Loop]) -> dict[str, list[str]]:
    """Disassemble ``program`` and return the timed loops by function.

    Raises:
        LabError: a loop lacks an instruction that the lab is about, or has one that it must not.
    """
    if platform.machine() != "x86_64":
        raise LabError(
            f"expected x86_64, whose instructions the lab names, got {platform.machine()}"
        )
    objdump = tool("objdump")
    found = {}
    for loop in loops:
        command = [objdump, "-d", "--no-show-raw-insn", f"--disassemble={loop.function}"]
        done = subprocess.run([*command, str(program)], capture_output=True, text=True, check=False)
        body = loop_of(done.stdout)
        if loop.whole:
            body = [text for _, text in instructions(done.stdout)]
        shown = "\n  ".join(body) or "no loop"
        at = 0
        for pattern in loop.needs:
            place = next((k for k in range(at, len(body)) if re.search(pattern, body[k])), None)
            if place is None:
                raise LabError(
                    f"{loop.function}: expected {' .. '.join(loop.needs)} in the timed loop, got\n"
                    f"  {shown}\nThe compiler changed the experiment: use another (CC=), or adapt "
                    "the lab's patterns."
                )
            at = place + 1
        for pattern in loop.lacks:
            if any(re.search(pattern, text) for text in body):
                raise LabError(
                    f"{loop.function}: expected no {pattern} in the timed loop, got\n  {shown}"
                )
        found[loop.function] = body
    return found
