# SPDX-License-Identifier: Apache-2.0
"""The reference pages that are read from the sources: commands, make targets, ports."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.cli import reference
from descring_sim.gen import make_doc, ports_doc
from descring_sim.hdl import filelist
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError

SMALL = """\
// SPDX-License-Identifier: Apache-2.0
//
// Adds one.
//
// A second paragraph.
module {name} #(
    // Bits.
    parameter int Width = 8
) (
    // Clock; what
    // enters.
    input wire logic clk_i,
    input wire logic [Width-1:0] data_i,
    // What leaves.
    output logic [Width-1:0] data_o
);
  always_ff @(posedge clk_i) data_o <= data_i + 1'b1;
endmodule
"""


def _root() -> Path:
    root = paths.checkout_root()
    assert root is not None
    return root


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout with two small modules, named as the devices."""
    (tmp_path / "rtl").mkdir()
    for name in filelist.TOPS:
        (tmp_path / "rtl" / f"{name}.sv").write_text(SMALL.format(name=name))
    return tmp_path


def test_ports_have_width_direction_and_meaning(small: Path) -> None:
    """Read from the sources: a comment holds until the next one, and is shown once."""
    page = ports_doc.render(small)
    assert "\n## `rl_runtime_mmio`\n\nAdds one.\n\n" in page
    for row in (
        "| `Width` | 8 | Bits. |",
        "| `clk_i` | in | 1 | Clock; what enters. |",
        "| `data_i` | in | 7:0 |  |",
        "| `data_o` | out | 7:0 | What leaves. |",
    ):
        assert row in page


def test_a_port_without_a_comment_is_an_error(small: Path) -> None:
    """The page would be silent about it."""
    source = small / "rtl" / "rl_runtime_axi.sv"
    text = source.read_text().replace("    // Clock; what\n    // enters.\n", "")
    source.write_text(text)
    with pytest.raises(SimulationError, match=r"rl_runtime_axi.sv: expected clk_i on a line"):
        ports_doc.render(small)


def test_every_module_is_on_the_page() -> None:
    """Each once, the devices first."""
    page = (_root() / "docs" / "reference" / "ports.md").read_text()
    headings = re.findall(r"^## `(\w+)`$", page, re.MULTILINE)
    assert tuple(headings[:2]) == filelist.TOPS
    assert sorted(headings) == filelist.modules(_root() / "rtl")


def test_every_described_target_is_on_the_page(tmp_path: Path) -> None:
    """With its text; a Makefile without one is an error."""
    (tmp_path / "Makefile").write_text("sim: setup  ## run a|b\n\trun\nquiet:\n\trun\n")
    assert "| `make sim` | run a\\|b |" in make_doc.render(tmp_path)
    assert "quiet" not in make_doc.render(tmp_path)
    (tmp_path / "Makefile").write_text("sim:\n")
    with pytest.raises(SimulationError):
        make_doc.render(tmp_path)


def test_the_page_of_commands_depends_on_no_machine() -> None:
    """The same bytes with other cores, and with a narrow terminal."""
    program = (
        "import os; os.cpu_count = lambda: 61; from descring_sim.cli import NAME;"
        "from descring_sim.cli.main import cli; from descring_sim.gen import cli_doc;"
        "print(cli_doc.render(cli, NAME), end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "COLUMNS": "40"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (_root() / "docs" / "reference" / "cli.md").read_text()


def test_a_stale_page_fails_the_check(monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    """Exit code 1 and the name of the page, until it is written."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(_root() / name, small)
    monkeypatch.setattr("descring_sim.support.paths.checkout_root", lambda: small)
    missing = CliRunner().invoke(reference.reference, ["--check"])
    assert missing.exit_code == 1
    assert "docs/reference/ports.md is stale; `make gen` updates it" in missing.output
    written = CliRunner().invoke(reference.reference)
    assert written.output.splitlines() == [
        *(f"wrote docs/reference/{name}.md" for name in ("cli", "make", "ports")),
        "wrote descring.core",
    ]
    current = CliRunner().invoke(reference.reference, ["--check"])
    assert (current.exit_code, current.output) == (
        0,
        "4 reference pages and cores are up to date\n",
    )
