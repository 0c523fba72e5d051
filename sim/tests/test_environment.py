# SPDX-License-Identifier: Apache-2.0
"""What is exported for other programs, and names that tools cannot take, change no result."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from descring_sim.cosim import build, simulators
from descring_sim.support import environment, paths, plain_paths, provenance
from descring_sim.support.errors import SimulationError
from toy_project import write_toy

EXPORTED = {
    "BASH_ENV": "/none",
    "CCACHE_PREFIX": "false",
    "CDPATH": ".:/tmp",
    "CFLAGS": "-Wno-such",
    "COCOTB_TEST_FILTER": "none",
    "CPATH": "/none",
    "CXXFLAGS": "-Wno-such",
    "FORCE_COLOR": "1",
    "GCC_EXEC_PREFIX": "/none",
    "GIT_DIR": "/none",
    "GIT_INDEX_FILE": "/none",
    "GIT_WORK_TREE": "/none",
    "GNUMAKEFLAGS": "-n",
    "IVERILOG_DUMPER": "none",
    "LD_PRELOAD": "/none.so",
    "LIBRARY_PATH": "/none",
    "MAKEFILES": "/none",
    "OBJCACHE": "false",
    "OPT": "-Wno-such",
    "PERL5OPT": "-Mnone",
    "PIP_TARGET": "/none",
    "POSIXLY_CORRECT": "1",
    "PYTEST_ADDOPTS": "--collect-only",
    "PYTEST_PLUGINS": "none",
    "PYTHONOPTIMIZE": "2",
    "PYTHONPATH": "/none",
    "PYTHONWARNINGS": "error",
    "SETUPTOOLS_USE_DISTUTILS": "none",
    "RUFF_CONFIG": "/none",
    "SIM_CMD_PREFIX": "false",
    "SOURCE_DATE_EPOCH": "none",
    "UV_PYTHON": "none",
    "VERILATOR_ROOT": "/none",
    "VM_USER_CFLAGS": "-Wno-such",
    "VIRTUAL_ENV": "/none",
}
DESCRING = str(Path(sys.executable).with_name("descring"))
ODD = "it's a b, #1 %d: \u00e4 (x)"


@pytest.mark.parametrize("name", EXPORTED)
def test_a_variable_meant_for_others_reaches_no_tool(name: str) -> None:
    """Nor does its like; what states where packages come from does."""
    assert name not in environment.tools({name: EXPORTED[name], "HOME": "/tmp"})
    kept = {"PIP_INDEX_URL": "a", "CCACHE_DIR": "/tmp/c", "HOME": "/tmp", "PATH": "b"}
    assert kept.items() <= environment.tools(kept).items()


def test_recipes_of_make_get_none_of_them(tmp_path: Path) -> None:
    """Whatever the target; the variables of the Makefile itself and the locale reach them."""
    root = paths.checkout_root()
    assert root is not None
    extra = tmp_path / "show.mk"
    extra.write_text(f"include {root}/Makefile\nshow:\n\t@cd / && env\n")
    actual = subprocess.run(
        ["make", "-s", "-C", str(root), "-f", str(extra), "show", "SEED=7"],
        env={"PATH": os.environ["PATH"], "HOME": "/tmp", "BASH_FUNC_cd%%": "() { false; }"}
        | {name: value for name, value in EXPORTED.items() if name not in _OF_LOADER},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert actual.returncode == 0, actual.stderr
    got = dict(line.partition("=")[::2] for line in actual.stdout.splitlines())
    assert not [name for name in got if name in EXPORTED or name.startswith("BASH_FUNC")]
    assert (got["SEED"], got["LC_ALL"], got["HOME"]) == ("7", "C.UTF-8", "/tmp")


_OF_LOADER = ("LD_PRELOAD", "MAKEFILES", "GNUMAKEFLAGS")
"""These act on make itself, before it reads a Makefile."""


def test_what_is_set_and_cannot_be_used_is_replaced(tmp_path: Path) -> None:
    """A home, a folder for temporary files and caches are there, or the tool's own default is."""
    file = tmp_path / "file"
    file.touch()
    broken = {"HOME": str(file), "TMPDIR": "/none", "CCACHE_DIR": str(file / "x")}
    got = environment.tools({**broken, "XDG_CACHE_HOME": str(file), "LC_ALL": "de_DE"})
    assert os.access(got["HOME"], os.W_OK) and os.access(got["TMPDIR"], os.W_OK)
    assert "CCACHE_DIR" not in got and "XDG_CACHE_HOME" not in got
    assert got["LC_ALL"] == "C.UTF-8"
    assert os.access(environment.tools({})["HOME"], os.W_OK)


def test_reports_name_this_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also from a hook of another one, which names its own in the environment."""
    root = paths.checkout_root()
    assert root is not None
    before = provenance.commit_of(root)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, env=environment.git())
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert before is not None and provenance.commit_of(root) == before
    assert provenance.commit_of(tmp_path) is None


def test_a_folder_for_builds_that_cannot_be_written_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By name; and a checkout of someone else is built in the user's cache."""
    monkeypatch.setenv(paths.BUILD_DIR_VARIABLE, "/dev/null/x")
    with pytest.raises(SimulationError, match=r"DESCRING_BUILD_DIR.*got /dev/null/x"):
        paths.build_dir()
    monkeypatch.delenv(paths.BUILD_DIR_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    root = paths.checkout_root()
    assert root is not None and paths.build_dir() == root / "build"
    monkeypatch.setattr(paths, "writable", lambda folder: root not in folder.parents)
    assert paths.build_dir() == tmp_path / "descring"
    monkeypatch.setattr(paths, "writable", lambda _folder: False)
    with pytest.raises(SimulationError, match="cannot be written; set DESCRING_BUILD_DIR"):
        paths.build_dir()


def test_an_odd_name_gets_a_plain_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leads to the same folder, is always the same, and is created again once removed."""
    folder = tmp_path / ODD
    folder.mkdir()
    link = plain_paths.plain(folder)
    assert link.samefile(folder) and plain_paths.plain(folder) == link
    assert plain_paths.plain(link) == link and plain_paths.plain(tmp_path) == tmp_path
    link.unlink()
    link.symlink_to("/none")
    assert plain_paths.plain(folder).samefile(folder)
    header = "CFG_CXXFLAGS_PCH_I=-include"
    assert plain_paths.make_flags(link, "-j2") == f"-j2 -- CURDIR={link} {header}"
    assert plain_paths.make_flags(tmp_path, "-j2") == f"-j2 -- {header}"
    assert link.parent.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(plain_paths, "_PLACES", ())
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(folder))
    with pytest.raises(SimulationError, match="set TMPDIR"):
        plain_paths.plain(folder)


@pytest.mark.parametrize("simulator", simulators.SIMULATORS)
def test_a_build_and_a_run_in_a_folder_with_an_odd_name(
    simulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sources, builds, testbenches and logs all lie there, in an environment that is against it."""
    odd = tmp_path / (f"$HOME {ODD}" if simulator == "icarus" else ODD)
    odd.mkdir()
    for name, value in EXPORTED.items():
        if name not in _OF_LOADER:
            monkeypatch.setenv(name, value)
    result = write_toy(odd).run("test_good", simulator)
    assert result.ok, result.failure_text()


def test_verilator_is_not_given_a_path_that_it_replaces(tmp_path: Path) -> None:
    """It reports it, and the other simulator does it."""
    odd = tmp_path / "$HOME"
    odd.mkdir()
    with pytest.raises(SimulationError, match=r"without '\$' in its path.*use icarus"):
        write_toy(odd).run("test_good", "verilator")


@pytest.mark.parametrize("name", [ODD, "$HOME", '`false` "\\"'])
def test_the_command_starts_in_an_environment_of_any_name(name: str, tmp_path: Path) -> None:
    """Although the scripts that pip writes do not."""
    folder = tmp_path / name / "bin"
    folder.mkdir(parents=True)
    prefix = Path(sys.executable).parents[1]
    (folder.parent / "pyvenv.cfg").write_bytes((prefix / "pyvenv.cfg").read_bytes())
    (folder.parent / "lib").symlink_to(prefix / "lib")
    (folder / "python").symlink_to(Path(sys.executable).resolve())
    (folder / "descring-main").write_bytes(Path(f"{DESCRING}-main").read_bytes())
    (folder / "descring").write_bytes(Path(DESCRING).read_bytes())
    for program in ("descring", "descring-main"):
        (folder / program).chmod(0o755)
    actual = subprocess.run(
        [folder / "descring", "--version"], capture_output=True, text=True, timeout=60
    )
    assert (actual.returncode, actual.stderr) == (0, "")
    assert actual.stdout.startswith("descring, version ")


@pytest.mark.parametrize("waves", [False, True])
def test_an_environment_that_verilators_makefile_cannot_name_is_refused(
    waves: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the build, with what to do, and with waves too, where the main program is ours."""
    odd = tmp_path / ODD / "cocotb_tools" / "__init__.py"
    found = importlib.machinery.ModuleSpec("cocotb_tools", None, origin=str(odd))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    (tmp_path / "top.sv").write_text("module top; endmodule\n")
    with pytest.raises(SimulationError, match=r"expected cocotb in a folder.*; move the Python"):
        build.build(
            simulators.Simulator("verilator", "5.049"),
            top="top",
            parameters={},
            rtl_dir=tmp_path,
            build_root=tmp_path / "build",
            waves=waves,
        )


def test_sources_may_hold_any_bytes(tmp_path: Path) -> None:
    """A comment in Latin-1 is no error; neither simulator minds."""
    (tmp_path / "top.sv").write_bytes(b"// caf\xe9\nmodule top; endmodule\n")
    product = build.build(
        simulators.find("icarus"),
        top="top",
        parameters={},
        rtl_dir=tmp_path,
        build_root=tmp_path / "build",
        waves=False,
    )
    assert product.fresh
