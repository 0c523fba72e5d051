# SPDX-License-Identifier: Apache-2.0
"""Compile the native core: cffi writes the binding from ``api.h``, the system's cc builds it all.

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
from pathlib import Path

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parent / "include"
PACKAGE = HERE.parent / "descring_host"
MODULE = "descring_host._native"
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
    "device.c",
)
"""In layers: each calls only what stands before it."""
BINDING = ("binding/arrays.c", "binding/fast_queue.c")
FLAGS = (
    "-std=c11",
    "-O3",
    "-fno-strict-aliasing",
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


def declarations() -> str:
    """``api.h`` as cffi takes it: without comments."""
    return re.sub(r"//[^\n]*", "", (HERE / "api.h").read_text())


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
    ffi = FFI()
    ffi.cdef(declarations())
    ffi.set_source(MODULE, '#include <stdint.h>\n#include "api.h"\n')
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    target = folder / f"_native{suffix}"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        binding = Path(scratch) / "_native.c"
        ffi.emit_c_code(str(binding))
        built = Path(scratch) / target.name
        common = ["-fPIC", f"-I{HERE}", f"-I{INCLUDE}"]
        objects = []
        for name in CORE:
            objects.append(str(Path(scratch) / f"{name}.o"))
            run([compiler(), *FLAGS, *common, "-c", str(HERE / name), "-o", objects[-1]])
        for name in BINDING:
            objects.append(str(Path(scratch) / f"{Path(name).name}.o"))
            # Headers of others are not ours to lint.
            headers = [f"-I{include}", "-isystem", numpy.get_include()]
            run([compiler(), *FLAGS, *common, *headers, "-c", str(HERE / name), "-o", objects[-1]])
        objects.append(str(Path(scratch) / "binding.o"))
        # What cffi writes is not ours to lint.
        lenient = [flag for flag in FLAGS if not flag.startswith("-W")]
        run([compiler(), *lenient, *common, f"-I{include}", "-c", str(binding), "-o", objects[-1]])
        run([compiler(), "-shared", "-pthread", *objects, "-o", str(built)])
        built.replace(target)
    return target


if __name__ == "__main__":
    try:
        print(build())
    except NativeBuildError as error:
        sys.exit(f"cannot build the native core: {error}")
