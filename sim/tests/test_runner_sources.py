# SPDX-License-Identifier: Apache-2.0
"""Which sources a top needs, which cases a name selects, and each module elaborated alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from descring_sim.cosim import simulators
from descring_sim.cosim.testcases import Selection
from descring_sim.hdl import filelist
from descring_sim.signoff import lint
from descring_sim.support.errors import SimulationError


def test_only_files_in_reach_of_the_top_are_built(tmp_path: Path) -> None:
    """Packages come first; a mention in a comment is no dependency."""
    for name, text in {
        "a_top.sv": "module a_top; z_leaf u_leaf (); endmodule // other",
        "z_leaf.sv": "module z_leaf import y_pkg::*; (); endmodule",
        "y_pkg.sv": "package y_pkg; endpackage",
        "other.sv": "module other; endmodule",
    }.items():
        (tmp_path / name).write_text(text)
    names = [path.name for path in filelist.collect(tmp_path, "a_top").sources]
    assert names == ["y_pkg.sv", "z_leaf.sv", "a_top.sv"]
    assert filelist.modules(tmp_path) == ["a_top", "other", "z_leaf"]
    with pytest.raises(SimulationError, match=r"no module 'nix'.*a_top, other, z_leaf"):
        filelist.collect(tmp_path, "nix")
    (tmp_path / "twin.sv").write_text("module other; endmodule")
    with pytest.raises(SimulationError, match="other is defined in both"):
        filelist.collect(tmp_path, "a_top")


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("test_wraps", ["test_wraps"]),
        ("ring.test_wraps", ["test_wraps"]),
        ("ring.test_wraps/depth=2", ["test_wraps"]),
        ("wraps", ["test_wraps", "test_wraps_twice"]),
        ("^ring", ["test_wraps", "test_wraps_twice", "test_other"]),
        ("^test", []),
    ],
)
def test_the_exact_name_of_a_case_selects_it_alone(text: str, selected: list[str]) -> None:
    """A rerun line means one case, also where its name begins another's."""
    names = ["test_wraps", "test_wraps_twice", "test_other"]
    assert Selection(text).matching("ring", names) == selected


def test_a_warning_of_one_module_alone_fails_the_elaboration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each module is a top once; what hides below another top is still examined."""
    (tmp_path / "good.sv").write_text("module good (output wire o); assign o = 1'b0; endmodule\n")
    assert lint.main([str(tmp_path)]) == 0
    (tmp_path / "bad.sv").write_text("module bad (input wire idle_i); endmodule\n")
    assert lint.main([str(tmp_path)]) == 1
    assert "UNUSED" in capsys.readouterr().err


def test_builds_find_python_where_the_system_has_no_command_of_that_name() -> None:
    """Verilator's makefiles call ``python``; a bare Debian has ``python3`` alone."""
    first_on_path = Path(simulators.environment()["PATH"].split(os.pathsep)[0])
    program = "import sys; print(sys.executable)"
    ran = subprocess.run(
        [first_on_path / "python", "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == sys.executable
