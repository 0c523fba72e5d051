# SPDX-License-Identifier: Apache-2.0
"""The list of foreign variables has what the tools read, and those of Python stop no command."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from descring_sim.cosim import simulators
from descring_sim.support import environment

DESCRING = str(Path(sys.executable).with_name("descring"))

PACKAGES = ("cocotb", "cocotb_tools", "_pytest", "xdist", "execnet", "cffi", "find_libpython")
READ = re.compile(r"""(?:environ(?:\.get|\.pop|\.setdefault)?\s*[\[(]|getenv\()\s*["'](\w+)["']""")
MEANT = {
    "HOME": "made usable",
    "HOMEDRIVE": "another system's",
    "HOMEPATH": "another system's",
    "NO_COLOR": "turns colours off, as logs want it",
    "PATH": "where the tools are",
    "PATHEXT": "another system's",
    "Path": "another system's",
    "SYSTEMROOT": "another system's",
    "TERM": "a terminal's own",
    "TOX_ENV_DIR": "a folder that pytest does not collect, and that no folder of ours is",
    "TRAVIS": "a machine with two cores; the number of workers is given",
    "USER": "a person's name",
    "USERNAME": "a person's name",
    "_ARGCOMPLETE": "set by a shell while it completes",
}
"""Variables that the tools get, or would get, all the same; and why."""


def _read_by_packages() -> dict[str, set[str]]:
    """Each variable that a package reads, and the packages."""
    found: dict[str, set[str]] = {}
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        for path in Path(spec.origin).parent.rglob("*.py"):
            for variable in READ.findall(path.read_text(encoding="utf-8", errors="replace")):
                found.setdefault(variable, set()).add(name)
    return found


def _read_by_makefile() -> set[str]:
    """Each variable that Verilator's makefile takes from the environment.

    It is used and never set there, set only where it is not set yet, or added to.
    """
    text = (simulators.verilator_root() / "include" / "verilated.mk").read_text()
    text = re.sub(r"#.*", "", text)
    used = set(re.findall(r"\$[({](\w+)[)}]", text))
    settled = set(re.findall(r"^\s*(\w+)\s*:?=", text, re.MULTILINE))
    added = set(re.findall(r"^\s*(\w+)\s*(?:\+=|\?=)", text, re.MULTILINE))
    return (used - settled) | (added - settled)


def test_what_the_packages_read_is_foreign_or_meant() -> None:
    """A new release of a tool that reads another variable fails here."""
    read = _read_by_packages()
    assert {"COCOTB_RESOLVE_X", "PYTEST_ADDOPTS", "SIM_CMD_PREFIX", "PY_COLORS"} <= set(read)
    reaching = {name: sorted(by) for name, by in read.items() if not environment.is_foreign(name)}
    assert {name: by for name, by in reaching.items() if name not in MEANT} == {}
    assert set(MEANT) <= set(reaching), "nothing reads it any more"


MAKES_OWN = {"CURDIR", "MAKECMDGOALS", "RM", "archive"}
"""Which make sets itself, and one of the shell within a recipe."""


def test_what_verilators_makefile_takes_from_the_environment_is_foreign() -> None:
    """Flags of a user's own project would end up in the compiler's command line."""
    read = _read_by_makefile()
    assert {"CPPFLAGS", "OBJCACHE", "OPT", "USER_CPPFLAGS", "VM_USER_CFLAGS"} <= read
    assert {name for name in read if not environment.is_foreign(name)} - MAKES_OWN == set()


SETTINGS = {
    "PYTHONDEBUG": "1",
    "PYTHONEXECUTABLE": "/none",
    "PYTHONHASHSEED": "none",
    "PYTHONHOME": "/none",
    "PYTHONINSPECT": "1",
    "PYTHONINTMAXSTRDIGITS": "none",
    "PYTHONIOENCODING": "none",
    "PYTHONMALLOC": "none",
    "PYTHONOPTIMIZE": "2",
    "PYTHONPLATLIBDIR": "none",
    "PYTHONPROFILEIMPORTTIME": "1",
    "PYTHONTRACEMALLOC": "none",
    "PYTHONUTF8": "none",
    "PYTHONVERBOSE": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONDEVMODE": "1",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_of_python_stops_the_command(name: str, tmp_path: Path) -> None:
    """Its exit code and its streams are what they are without the setting."""
    words = ["stream", "--count", "5", "--seed", "1", "-o", "x.npy"]
    result = subprocess.run(
        [DESCRING, *words],
        cwd=tmp_path,
        env=os.environ | {name: SETTINGS[name]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("x.npy: 5 lines")
