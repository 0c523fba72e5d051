# SPDX-License-Identifier: Apache-2.0
"""Compile the native core: cffi writes the bindings from the headers, cc builds it all.

One library holds the modules ``descring_host._native``, ``_engine`` and ``_fast_queue`` and
``descring_rollouts._core``, so that all of them see the same queues.

Run by the wheel's build hook and by ``make setup`` after a change; by hand:
``python host/native/build.py``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parent / "include"
PACKAGE = HERE.parent / "descring_host"
MODULE = "descring_host._native"
ENGINE_MODULE = "descring_host._engine"
ROLLOUTS_MODULE = "descring_rollouts._core"
CORE = (
    "sync.c",
    "fast_crc.c",
    "segment.c",
    "link.c",
    "progress.c",
    "gate.c",
    "execute.c",
    "worker.c",
    "remote_worker.c",
    "peer.c",
    "registers.c",
    "queue.c",
    "submit.c",
    "completions.c",
    "device.c",
    "rollouts/slab.c",
    "rollouts/memory.c",
    "rollouts/arena.c",
    "rollouts/tree.c",
    "rollouts/policy.c",
    "rollouts/live.c",
    "rollouts/held.c",
    "rollouts/window.c",
    "rollouts/pipe.c",
    "rollouts/pipe_open.c",
    "rollouts/run.c",
    "engine/avx2_attention.c",
    "engine/avx2.c",
    "engine/engine.c",
    "engine/parts.c",
)
"""In layers: each calls only what stands before it."""
BINDING = (
    "binding/arrays.c",
    "binding/fast_submit.c",
    "binding/fast_take.c",
    "binding/fast_queue.c",
)
FLAGS = (
    "-std=c11",
    "-O3",
    "-fno-strict-aliasing",
    # The engine rounds products and sums apart.
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Wmissing-prototypes",
    "-pthread",
)


class NativeBuildError(Exception):
    """The native core can't be built here; the message says what is missing and how to get it."""


def compiler() -> str:
    """The C compiler to use: ``$CC``, else ``cc``, else ``gcc``."""
    for name in (os.environ.get("CC"), "cc", "gcc"):
        if name and shutil.which(name):
            return name
    raise NativeBuildError("no C compiler found: apt-get install gcc libc6-dev (or set CC)")


def run(command: list[str]) -> None:
    """Run a compiler; ``NativeBuildError`` with its output if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise NativeBuildError(f"{' '.join(command)}\nfailed:\n{result.stderr}")


def declarations(header: str) -> str:
    """A header as cffi takes it: without comments."""
    return re.sub(r"//[^\n]*", "", (HERE / header).read_text())


def bindings(FFI: Any) -> Iterator[tuple[str, Any]]:
    """The name of a C file, and the ``FFI`` that writes it."""
    queues = FFI()
    queues.cdef(declarations("api.h"))
    queues.set_source(MODULE, '#include <stdint.h>\n#include "api.h"\n')
    yield "_native.c", queues
    rollouts = FFI()
    rollouts.include(queues)
    rollouts.cdef(declarations("rollouts/rollouts.h"))
    rollouts.set_source(
        ROLLOUTS_MODULE,
        '#include <stdint.h>\n#include "api.h"\n#include "rollouts/rollouts.h"\n',
    )
    yield "_core.c", rollouts
    engine = FFI()
    engine.cdef(declarations("engine/engine.h"))
    engine.set_source(ENGINE_MODULE, '#include <stdint.h>\n#include "engine/engine.h"\n')
    yield "_engine.c", engine


def build(folder: Path = PACKAGE) -> Path:
    """Compile the extension module into ``folder`` and return its path.

    Raises:
        NativeBuildError: compiler, Python's headers, cffi or NumPy are missing, or the compiler
            refuses.
    """
    try:
        import numpy
        from cffi import FFI
    except ImportError as error:
        raise NativeBuildError(
            f"cffi and numpy are needed to build ({error}): pip install cffi numpy"
        ) from None
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").exists():
        raise NativeBuildError(
            f"Python's headers are missing (no Python.h in {include}): apt-get install python3-dev"
        )
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    target = folder / f"_native{suffix}"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        built = Path(scratch) / target.name
        common = ["-fPIC", f"-I{HERE}", f"-I{INCLUDE}"]
        objects = []
        for name in CORE:
            objects.append(str(Path(scratch) / f"{name.replace('/', '-')}.o"))
            run([compiler(), *FLAGS, *common, "-c", str(HERE / name), "-o", objects[-1]])
        for name in BINDING:
            objects.append(str(Path(scratch) / f"{Path(name).name}.o"))
            # Headers of others are not ours to lint.
            headers = [f"-I{include}", "-isystem", numpy.get_include()]
            run([compiler(), *FLAGS, *common, *headers, "-c", str(HERE / name), "-o", objects[-1]])
        # What cffi writes is not ours to lint.
        lenient = [*(flag for flag in FLAGS if not flag.startswith("-W")), *common, f"-I{include}"]
        for name, ffi in bindings(FFI):
            binding = Path(scratch) / name
            ffi.emit_c_code(str(binding))
            objects.append(f"{binding}.o")
            run([compiler(), *lenient, "-c", str(binding), "-o", objects[-1]])
        run([compiler(), "-shared", "-pthread", *objects, "-o", str(built)])
        built.replace(target)
    return target


if __name__ == "__main__":
    try:
        print(build())
    except NativeBuildError as error:
        sys.exit(f"cannot build the native core: {error}")
