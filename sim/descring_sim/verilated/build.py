# SPDX-License-Identifier: Apache-2.0
"""The RTL as a shared library: compiled by Verilator with a harness of our own around it.

A library is kept by the hash of all that goes into it, below the build folder, and rebuilt when
the RTL, the harness, the parameters or a compiler change. Only ports are public: what cocotb needs
to reach every signal costs up to seven times the speed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from cffi import FFI  # type: ignore[import-untyped]

from descring_sim.cosim import simulators
from descring_sim.hdl import filelist as sources
from descring_sim.support import build_cache, environment, paths, plain_paths, processes
from descring_sim.support.errors import SimulationError

Say = Callable[[str], None]
"""Told what a build that takes its time is doing."""

_WARNINGS = ("-Wall", "-Wextra", "-Werror")
_COMMON = ("-std=gnu++20", "-fPIC", "-fvisibility=hidden")
_TIMEOUT_S = 900.0
"""Of one call of a compiler; the longest takes ten seconds on an idle machine."""


@dataclass(frozen=True)
class Harness:
    """One kind of library: the module it drives, and its own sources in ``sim/verilated``."""

    name: str
    top: str
    sources: tuple[str, ...]
    headers: tuple[str, ...]
    api: str
    defines: Mapping[str, str]
    """C++ macros that hold a parameter of the RTL: macro to parameter."""


CORE = Harness(
    name="core",
    top="rl_runtime_mmio",
    sources=("core.cpp", "model.cpp"),
    headers=("core_api.h", "descring_printf.h", "model.h"),
    api="core_api.h",
    defines={"DV_RING_DEPTH": "RingDepth", "DV_WORKERS": "WorkerCount"},
)

AXI = Harness(
    name="axi",
    top="rl_runtime_axi",
    sources=("axi_device.cpp", "axi_memory.cpp", "model.cpp"),
    headers=("axi_api.h", "axi_memory.h", "descring_printf.h", "model.h"),
    api="axi_api.h",
    defines={},
)


COMPILER_VARIABLE = "DESCRING_CXX"
"""Environment variable with the compiler of the libraries: g++ or clang++, by name or path."""

# What a processor must have for x86-64-v3, as Linux calls it.
_X86_64_V3 = frozenset(["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"])


@dataclass(frozen=True)
class Compiler:
    """The C++ compiler of the libraries; all of it is part of their keys."""

    command: str
    version: str
    options: tuple[str, ...]
    libraries: tuple[str, ...]


def compiler() -> Compiler:
    """clang++ where it is installed, else g++, unless ``DESCRING_CXX`` names another.

    clang makes a library a quarter to a third faster, g++ gains nothing from wider vectors.

    Raises:
        SimulationError: there is no such compiler.
    """
    wanted = os.environ.get(COMPILER_VARIABLE) or ("clang++" if shutil.which("clang++") else "g++")
    return _compiler(wanted, _processor_flags())


@functools.cache
def _compiler(command: str, processor: frozenset[str]) -> Compiler:
    try:
        ran = subprocess.run(
            [command, "--version"],
            env=environment.tools(),
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise SimulationError(
            f"{COMPILER_VARIABLE}: expected a C++ compiler, {command} does not run: {error}"
        ) from error
    version = ran.stdout.partition("\n")[0]
    if "clang" not in version:
        return Compiler(command, version, ("-fno-gnu-unique",), ())
    wide = ("-march=x86-64-v3",) if processor >= _X86_64_V3 else ()
    # It calls a function where g++ knows the result: whether an atomic is free of locks.
    return Compiler(command, version, wide, ("-latomic",))


@functools.cache
def _processor_flags() -> frozenset[str]:
    """What this processor can do; nothing where Linux does not report it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("flags"):
                return frozenset(line.partition(":")[2].split())
    return frozenset()


def declarations(harness: Harness) -> str:
    """The C interface of a harness as cffi takes it: declarations without comments."""
    text = (paths.verilated_dir() / harness.api).read_text(encoding="utf-8")
    return re.sub(r"//[^\n]*", "", text)


def api(harness: Harness) -> FFI:
    """cffi's view of the interface of a harness."""
    ffi = FFI()
    ffi.cdef(declarations(harness))
    return ffi


def _verilate_options(parameters: Mapping[str, int], *, waves: bool, assertions: bool) -> list[str]:
    options = ["--cc", "--prefix", "Vdut", "-O3", "--output-split", "0"]
    options += ["--x-initial", "unique", "--x-assign", "unique", "-Wno-fatal"]
    options += ["--timescale", "/".join(simulators.TIMESCALE)]
    options += [f"-G{name}={value}" for name, value in sorted(parameters.items())]
    if waves:
        options += ["--trace-fst", "--trace-structs"]
    # The assertions of the RTL are what is left out of a synthesis.
    return options if assertions else [*options, "-DSYNTHESIS"]


def build(
    harness: Harness,
    parameters: Mapping[str, int],
    *,
    waves: bool = False,
    assertions: bool = True,
    rtl_dir: Path | None = None,
    say: Say = lambda _text: None,
) -> Path:
    """Make the library, or find the one that was made of the same inputs.

    Args:
        harness: which kind.
        parameters: of the RTL's top module.
        waves: able to record waves, and slower.
        assertions: with the assertions of the RTL, which cost half of the speed.
        rtl_dir: other sources than the project's own.
        say: is told that a build begins.

    Returns:
        The shared library.

    Raises:
        SimulationError: Verilator or the compiler is missing, or refuses; with the end of the log.
    """
    verilator = simulators.find("verilator")
    rtl_dir = plain_paths.for_verilator((rtl_dir or paths.rtl_dir()).resolve())
    files = sources.collect(rtl_dir, harness.top)
    options = _verilate_options(parameters, waves=waves, assertions=assertions)
    own = paths.verilated_dir()
    defines = {macro: str(parameters[name]) for macro, name in harness.defines.items()}
    defines |= {"DV_WAVES": str(int(waves)), "DV_ASSERTIONS": str(int(assertions))}
    made_by = [verilator.version, _COMMON, asdict(compiler())]
    identity = [harness.name, *made_by, options, sorted(defines.items())]
    inputs = [*files.sources, *files.headers, paths.include_dir() / "hw_desc.h"]
    inputs += [own / name for name in (*harness.sources, *harness.headers)]
    root = plain_paths.plain(paths.build_dir()) / "verilated"
    folder = root / f"{harness.name}-{build_cache.key(identity, inputs)}"
    library = folder / f"lib{harness.name}.so"
    with build_cache.product(folder, library) as there:
        if there:
            return library
        say(f"compiling the RTL ({harness.top}) into a library, about half a minute")
        shim = str(simulators.shim_dir() / "verilator")
        command = [shim, *options, "--top-module", harness.top, "--Mdir", str(folder / "model")]
        command += [f"-I{rtl_dir}", *map(str, files.sources)]
        _run(command, folder / "verilate.log")
        _compile(folder, library, harness, defines, waves=waves)
    return library


def _compile(
    folder: Path, library: Path, harness: Harness, defines: Mapping[str, str], *, waves: bool
) -> None:
    """Compile the model and the harness, and link them with Verilator's runtime."""
    options = [f"-D{macro}={value}" for macro, value in defines.items()]
    options += [f"-I{path}" for path in (paths.verilated_dir(), paths.include_dir())]
    options += [f"-isystem{folder / 'model'}", *_runtime_options(waves=waves)]
    hot = sorted((folder / "model").glob("Vdut___024root__[0-9].cpp"))
    # What runs once needs no time spent on it, and one file takes less of it than many.
    rest = [path for path in sorted((folder / "model").glob("*.cpp")) if path not in hot]
    cold = folder / "cold.cpp"
    cold.write_text("".join(f'#include "{path.name}"\n' for path in rest), encoding="utf-8")
    jobs = [(path, ["-O1" if waves else "-O3"]) for path in hot]
    jobs.append((cold, ["-O0"]))
    own = paths.verilated_dir()
    jobs += [(own / name, ["-O3", *_WARNINGS]) for name in harness.sources]
    objects = _compile_all([(path, own_options + options) for path, own_options in jobs], folder)
    part = library.with_suffix(".part")
    command = [compiler().command, "-shared", "-Wl,-Bsymbolic", *map(str, objects)]
    command += [*map(str, _runtime(waves=waves)), "-o", str(part)]
    _run(
        [*command, *["-lz", "-llz4"] * waves, *compiler().libraries, "-pthread"],
        folder / "link.log",
    )
    part.replace(library)
    for path in objects:
        path.unlink()


def _runtime_options(*, waves: bool) -> list[str]:
    include = simulators.verilator_root() / "include"
    trace = int(waves)
    options = [f"-isystem{include}", f"-isystem{include / 'vltstd'}"]
    return [*options, f"-DVM_TRACE={trace}", f"-DVM_TRACE_FST={trace}"]


def _runtime(*, waves: bool) -> list[Path]:
    """The object files of Verilator's runtime, which all libraries share; compiled once."""
    include = simulators.verilator_root() / "include"
    names = ["verilated.cpp", "verilated_threads.cpp"] + ["verilated_fst_c.cpp"] * waves
    options = [*_runtime_options(waves=waves), f"-I{paths.verilated_dir()}", "-O2"]
    # It has its own handling of $fatal, and prints to stdout, unless it is told not to.
    options += ["-DVL_USER_FATAL", "-DVL_USER_STOP", "-DVL_USER_FINISH"]
    options += ["-DVL_PRINTF=descring_printf", "-include", "descring_printf.h"]
    version = simulators.find("verilator").version
    key = build_cache.key([version, asdict(compiler()), _COMMON, options])
    folder = plain_paths.plain(paths.build_dir()) / "verilated" / f"runtime-{key}"
    objects = [folder / f"{Path(name).stem}.o" for name in names]
    with build_cache.product(folder) as there:
        if not there:
            _compile_all([(include / name, options) for name in names], folder)
    return objects


def _compile_all(jobs: Sequence[tuple[Path, list[str]]], folder: Path) -> list[Path]:
    """Compile each file with its options, on all cores; the object files, in ``folder``."""
    objects = [folder / f"{path.stem}.o" for path, _ in jobs]
    cxx = compiler()
    launcher = ["ccache"] if shutil.which("ccache") else []

    def compile_one(path: Path, options: list[str], target: Path) -> None:
        command = [*launcher, cxx.command, *_COMMON, *cxx.options, *options]
        command += ["-c", str(path), "-o", str(target)]
        _run(command, target.with_suffix(".log"))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        work = [
            pool.submit(compile_one, path, options, target)
            for (path, options), target in zip(jobs, objects, strict=True)
        ]
        for item in work:
            item.result()
    return objects


def _run(command: Sequence[str], log: Path) -> None:
    """Run a compiler; its output goes to ``log``."""
    code = processes.run(command, log=log, timeout_s=_TIMEOUT_S, env=simulators.environment())
    if code != 0:
        why = f"no end after {_TIMEOUT_S:.0f} s" if code is None else f"exit code {code}"
        raise SimulationError(
            f"{Path(command[0]).name} did not build the RTL's library: {why}\n"
            f"{processes.log_tail(log)}\n  log: {log}"
        )
