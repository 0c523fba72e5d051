# SPDX-License-Identifier: Apache-2.0
"""Builds of one top module for one simulator, kept by the hash of everything that goes in."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from descring_sim.cosim import simulators
from descring_sim.cosim.simulators import Simulator
from descring_sim.hdl import filelist
from descring_sim.support import build_cache, paths, plain_paths, processes
from descring_sim.support.errors import SimulationError
from descring_sim.waves import window

BUILD_TIMEOUT_S = 900.0

# What a testbench reaches: ports, and what else the top itself declares. cocotb's runner makes
# every signal of the hierarchy public, which Verilator then keeps and the C++ compiler pays for.
_PUBLIC = '`verilator_config\npublic_flat_rw -module "{top}" -var "*"\n'

Parameters = Mapping[str, int | str]


@dataclass(frozen=True)
class Build:
    """A finished build: its folder, and whether it was made now rather than found."""

    directory: Path
    fresh: bool


def start_child(
    specification: Mapping[str, object], *, file: Path, log: Path, env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start :mod:`descring_sim.cosim.child`, which also ends when this process does."""
    file.write_text(json.dumps(specification, indent=1), encoding="utf-8")
    command = [plain_paths.python(), "-P", "-m", "descring_sim.cosim.child", str(file)]
    with log.open("wb") as output:
        # The child ends when the other end of its standard input closes.
        return processes.start_group(command, env=env, stdin=subprocess.PIPE, output=output)


def end_child(process: subprocess.Popen[bytes]) -> None:
    """End a child with everything that it started; harmless if it has ended."""
    processes.end_group(process)
    if process.stdin is not None:
        process.stdin.close()


def run_child(
    specification: Mapping[str, object],
    *,
    file: Path,
    log: Path,
    timeout_s: float,
    env: Mapping[str, str],
) -> int | None:
    """Run :mod:`descring_sim.cosim.child` and return its exit code, None after a timeout."""
    process = start_child(specification, file=file, log=log, env=env)
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # Also on an interrupt: nothing that this child started may outlive it.
        end_child(process)


def build(
    simulator: Simulator,
    *,
    top: str,
    parameters: Parameters,
    rtl_dir: Path,
    build_root: Path,
    waves: bool,
    coverage: bool = False,
) -> Build:
    """Build ``top`` below ``build_root``, or find the build that was made of the same inputs.

    Raises:
        SimulationError: the top is unknown, or the simulator refuses the sources; the message has
            the end of the build's log.
    """
    name_for = plain_paths.for_verilator if simulator.name == "verilator" else plain_paths.plain
    rtl_dir = name_for(rtl_dir)
    files = filelist.collect(rtl_dir, top)
    args = simulator.build_args(waves=waves, coverage=coverage)
    own, text = window.recorder(simulator.name, top) if waves else (None, "")
    public = _PUBLIC.format(top=top) if simulator.name == "verilator" else ""
    identity = [simulator.name, simulator.version, top, sorted(parameters.items()), args, text]
    identity += [public]
    key = build_cache.key([*identity, simulators.TIMESCALE], (*files.sources, *files.headers))
    # The model that Verilator links keeps this name, and make cannot take every other.
    directory = plain_paths.plain(build_root) / simulator.name / f"{top}-{key}"
    if simulator.name == "verilator":
        _check_names(directory if own is not None else None)
    binary = simulator.binary(directory, top)
    with build_cache.product(directory, binary) as there:
        if there:
            return Build(directory, fresh=False)
        inputs = [str(path) for path in files.sources]
        if own is not None:
            (directory / own).parent.mkdir(parents=True, exist_ok=True)
            (directory / own).write_text(text, encoding="utf-8")
            inputs += [str(directory / own)] * (simulator.name == "icarus")
        if public:
            (directory / "public.vlt").write_text(public, encoding="utf-8")
            args = [*args, "--no-public-flat-rw", str(directory / "public.vlt")]
        log = directory / "build.log"
        code = run_child(
            {
                "simulator": simulator.name,
                "action": "build",
                "share": str(directory) if own is not None else None,
                "arguments": {
                    "sources": inputs,
                    "includes": [str(rtl_dir)],
                    "hdl_toplevel": top,
                    "parameters": dict(parameters),
                    "build_args": args,
                    "build_dir": str(directory),
                    "timescale": list(simulators.TIMESCALE),
                    # Icarus records by a module of ours instead of cocotb's.
                    "waves": waves and simulator.name != "icarus",
                    "always": True,
                },
            },
            file=directory / "build.json",
            log=log,
            timeout_s=BUILD_TIMEOUT_S,
            env=simulators.environment() | {"MAKEFLAGS": plain_paths.make_flags(directory)},
        )
        if code != 0 or not binary.is_file():
            why = f"no end after {BUILD_TIMEOUT_S:.0f} s" if code is None else f"exit code {code}"
            raise SimulationError(
                f"{simulator.name} {simulator.version} did not build {top} "
                f"{dict(parameters)}: {why}\n{_messages(log)}\n  log: {log}"
            )
    return Build(directory, fresh=True)


def _check_names(recording: Path | None) -> None:
    """Refuse what Verilator's makefile cannot name: cocotb, and a folder of a build that records.

    Verilator writes the real path of the main program into its makefile, which is cocotb's or, in
    a build that records waves, ours in ``recording``; cocotb writes the real path of its libraries.

    Raises:
        SimulationError: naming the folder, and what to do.
    """
    spec = importlib.util.find_spec("cocotb_tools")
    if spec is not None and spec.origin is not None:
        advice = "move the Python environment, or use icarus"
        plain_paths.require_plain(Path(spec.origin).parent, "cocotb", advice)
    if recording is not None:
        advice = f"set {paths.BUILD_DIR_VARIABLE} to another one, or use icarus"
        plain_paths.require_plain(recording, "a build that records waves", advice)


def _messages(log: Path) -> str:
    """Return the compiler's own messages, errors first, without the traceback below them."""
    lines = log.read_text(errors="replace").splitlines()
    end = next((i for i, line in enumerate(lines) if line.startswith("Traceback")), len(lines))
    said = dict.fromkeys(
        line for line in lines[:end] if line.strip() and "Running command" not in line
    )
    ordered = sorted(said, key=lambda line: "error" not in line.lower())
    return "\n".join(f"    {line}" for line in ordered[:12]) or processes.log_tail(log)
