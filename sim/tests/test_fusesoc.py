# SPDX-License-Identifier: Apache-2.0
"""The FuseSoC core: each target is set up by FuseSoC, and those whose tool is here are run.

The core is in a folder with nothing but the files that it lists, so that none is missing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from descring_sim.cosim import simulators
from descring_sim.gen import fusesoc_core, ports_doc
from descring_sim.hdl import filelist
from descring_sim.support import paths, plain_paths

CORE = "descring.core"
TOPS = {
    "lint": "rl_runtime_axi",
    "lint_mmio": "rl_runtime_mmio",
    "sim": "device_tb",
    "sim_verilator": "device_tb",
    "synth": "rl_runtime_axi",
}
PASSED = "device_tb: 4 descriptors completed by the contract\n"


def _root() -> Path:
    root = paths.checkout_root()
    assert root is not None
    return root


def _names(core: dict[str, Any]) -> list[str]:
    listed = [item for fileset in core["filesets"].values() for item in fileset["files"]]
    return [item if isinstance(item, str) else next(iter(item)) for item in listed]


@pytest.fixture
def core(tmp_path: Path) -> Path:
    """A folder with the core and the files that it lists."""
    folder = tmp_path / "core"
    for name in [CORE, *_names(yaml.safe_load((_root() / CORE).read_text()))]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_root() / name, folder / name)
    return folder


def _fusesoc(core: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**simulators.environment(), "XDG_CONFIG_HOME": str(core), "XDG_DATA_HOME": str(core)}
    env["MAKEFLAGS"] = plain_paths.make_flags(core)
    tool = Path(sys.executable).parent / "fusesoc"
    return subprocess.run(
        [tool, "--cores-root", core, "run", "--build-root", core.parent / "build", *arguments],
        cwd=core,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _set_up(core: Path, target: str, *parameters: str) -> dict[str, Any]:
    """What FuseSoC hands to the tool: files, parameters, top, options."""
    done = _fusesoc(core, "--setup", "--target", target, "descring", *parameters)
    assert done.returncode == 0, done.stderr
    (described,) = (core.parent / "build").glob(f"*/{target}/*.eda.yml")
    described_text = described.read_text()
    return dict(yaml.safe_load(described_text))


def test_the_core_lists_every_source_of_either_device() -> None:
    """Nothing in rtl/ is left out: sources, the header of macros, the register description."""
    names = set(_names(yaml.safe_load(fusesoc_core.render(_root()))))
    present = {
        f"rtl/{path.name}"
        for pattern in ("*.sv", "*.svh", "*.rdl")
        for path in (_root() / "rtl").glob(pattern)
    }
    assert present <= names


@pytest.mark.parametrize("target", TOPS)
def test_fusesoc_sets_a_target_up(core: Path, target: str) -> None:
    """Top and parameters are those of the RTL; a file comes behind those that it needs."""
    eda = _set_up(core, target)
    top = TOPS[target]
    assert eda["toplevel"] == top
    passed = {name: item["default"] for name, item in eda["parameters"].items()}
    if top == "device_tb":
        assert passed == {"WorkerCount": 8}
        top = "rl_runtime_axi"
    else:
        declared = ports_doc.parameters(_root() / "rtl", top)
        assert passed == {name: default for name, (default, _) in declared.items()}

    sources = [item for item in eda["files"] if item["file_type"] == "systemVerilogSource"]
    order = [Path(item["name"]).name for item in sources if not item.get("is_include_file")]
    headers = [Path(item["name"]).name for item in sources if item.get("is_include_file")]
    assert headers == ["hw_macros.svh"]
    for module in filelist.modules(_root() / "rtl"):
        *needed, last = [path.name for path in filelist.collect(_root() / "rtl", module).sources]
        behind = order.index(last)
        assert [name for name in needed if order.index(name) > behind] == []


def test_a_parameter_of_the_command_reaches_the_tool(core: Path) -> None:
    """Vivado is told the number of workers."""
    _set_up(core, "synth", "--WorkerCount", "3")
    (script,) = (core.parent / "build").glob("*/synth/descring_rtl_descring_*[0-9].tcl")
    assert "WorkerCount=3 " in script.read_text()


def test_a_core_that_breaks_the_schema_is_refused(core: Path) -> None:
    """FuseSoC validates what it reads, so the tests above can fail."""
    text = (core / CORE).read_text()
    (core / CORE).write_text(text.replace("toplevel: device_tb", "top_level: device_tb"))
    done = _fusesoc(core, "--setup", "--target", "sim", "descring")
    assert done.returncode != 0
    assert "top_level" in done.stdout + done.stderr


@pytest.mark.parametrize("target", ["lint", "lint_mmio"])
def test_the_lint_targets_pass(core: Path, target: str) -> None:
    """Verilator has no warning."""
    done = _fusesoc(core, "--target", target, "descring")
    assert done.returncode == 0, done.stderr
    assert "%Warning" not in done.stdout + done.stderr


@pytest.mark.parametrize("workers", [1, 8])
def test_the_first_run_passes_in_icarus(core: Path, workers: int) -> None:
    """The testbench without Python sees the lines, interrupt and counters of the contract."""
    done = _fusesoc(core, "--target", "sim", "descring", "--WorkerCount", str(workers))
    assert done.returncode == 0, done.stderr
    assert PASSED in done.stdout + done.stderr


@pytest.mark.nightly
def test_the_first_run_passes_in_verilator(core: Path) -> None:
    """The same testbench, compiled; a minute for what Icarus shows already."""
    done = _fusesoc(core, "--target", "sim_verilator", "descring", "--WorkerCount", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSED in done.stdout + done.stderr


# In the package, whose text does not change with the modules; the testbench has the numbers typed.
FAULTS = {
    "another reward interval": (r"(REWARD_INTERVAL =) 32'd32", r"\1 32'd16"),
    "another bit of the interrupt": (r"(IRQ_STATUS_COMPLETION_BIT =) 0", r"\1 1"),
    "another bit of the reset": (r"(CTRL_RESET_BIT =) 1", r"\1 3"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_run_fails_on_a_broken_device(core: Path, fault: str) -> None:
    """One fault in the RTL, and FuseSoC reports a failure."""
    pattern, replacement = FAULTS[fault]
    package = core / "rtl" / "hw_desc_pkg.sv"
    text, count = re.subn(pattern, replacement, package.read_text())
    assert count == 1
    package.write_text(text)
    done = _fusesoc(core, "--target", "sim", "descring")
    assert done.returncode != 0
    assert PASSED not in done.stdout + done.stderr
