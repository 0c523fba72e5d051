# SPDX-License-Identifier: Apache-2.0
"""The lint for hand-written part-selects of a descriptor."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.cli.gen import lint_rtl
from descring_sim.gen import systemverilog
from descring_sim.hdl.part_selects import lint_rtl_selects
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError

MODULE = """\
module injected
  import hw_desc_pkg::*;
(
    input wire logic clk_i,
    input wire logic [511:0] data_i,
    input wire logic [1023:0] two_i,
    output logic [63:0] out_o
);
  hw_desc_t desc;
  logic [15:0][31:0] words;
  logic [511:0] mem[4];
  logic [1:0][511:0] lanes;
  assign desc = data_i;
  assign words = data_i;
  assign lanes = two_i;
  always_ff @(posedge clk_i) mem[0] <= data_i;
  %s
endmodule
"""

OFFENCES = [
    "assign out_o = data_i[63:0];",
    "assign out_o = data_i[8*40+:64];",
    "assign out_o = 64'(data_i[17]);",
    "assign out_o = 64'(desc[31:16]);",
    "assign out_o = 64'(words[3]);",
    "assign out_o = mem[1][63:0];",
    "assign out_o = lanes[1][63:0];",
    "assign out_o = two_i[575:512];",
    "localparam int Off = 448; assign out_o = data_i[Off+:64];",
    "logic [511:0] o; always_comb begin o = data_i; o[31:0] = 32'd0; end",
    "for (genvar k = 0; k < 2; k++) begin : gen_k assign out_o[k] = data_i[k]; end",
    "if (DESC_BYTES == 1) begin : gen_never assign out_o = data_i[63:0]; end",
    "always_ff @(posedge clk_i) if (data_i[5]) out_o <= '0;",
    "function automatic logic f(input logic [511:0] l); f = l[9]; endfunction",
]

LAWFUL = [
    "assign out_o = desc.checksum_or_cookie;",
    "assign out_o = 64'(desc.checksum_or_cookie[63:32]);",
    "logic [511:0] o; assign o = mem[1]; assign out_o = 64'(o == lanes[0]);",
    "logic [511:0] o; assign o = two_i[512+:512];",
    "logic [511:0] o; assign o = data_i[511:0];",
]


def _injected(folder: Path, statement: str) -> list[Path]:
    package, module = folder / "hw_desc_pkg.sv", folder / "injected.sv"
    package.write_text(systemverilog.render())
    module.write_text(MODULE % statement)
    return [package, module]


@pytest.mark.parametrize("statement", OFFENCES)
def test_injected_select_is_found_with_its_place(tmp_path: Path, statement: str) -> None:
    """Every way to take bits out of a line by hand is one finding on the line it stands on."""
    result = lint_rtl_selects(_injected(tmp_path, statement))
    line = MODULE[: MODULE.index("%s")].count("\n") + 1
    assert [(Path(item.file).name, item.line) for item in result.findings] == [
        ("injected.sv", line)
    ]
    assert result.findings[0].text in statement


@pytest.mark.parametrize("statement", LAWFUL)
def test_fields_and_whole_lines_are_lawful(tmp_path: Path, statement: str) -> None:
    """Fields of the struct, parts of a field and whole lines are no findings."""
    result = lint_rtl_selects(_injected(tmp_path, statement))
    assert (result.findings, result.files) == ((), 1)


def test_macro_is_found_where_it_is_used(tmp_path: Path) -> None:
    """A select that hides in a macro is reported at its use."""
    files = _injected(tmp_path, "assign out_o = `LOW;")
    files[1].write_text("`define LOW data_i[63:0]\n" + files[1].read_text())
    findings = lint_rtl_selects(files).findings
    assert [item.line for item in findings] == [MODULE[: MODULE.index("%s")].count("\n") + 2]


def test_the_rtl_takes_no_line_apart_by_hand() -> None:
    """The project's own RTL is looked through, and is clean."""
    result = lint_rtl_selects([paths.rtl_dir()])
    assert result.findings == ()
    assert result.files >= 8


def test_sources_that_do_not_elaborate_are_an_error(tmp_path: Path) -> None:
    """RTL that slang refuses is not passed as clean."""
    with pytest.raises(SimulationError, match=r"injected\.sv:\d+: error: .*must elaborate"):
        lint_rtl_selects(_injected(tmp_path, "assign out_o = unknown_name;"))


def test_nothing_to_look_at_is_an_error(tmp_path: Path) -> None:
    """An empty folder, or one of exempt files only, is not passed as clean."""
    with pytest.raises(SimulationError, match="found none"):
        lint_rtl_selects([tmp_path])
    (tmp_path / "hw_desc_pkg.sv").write_text(systemverilog.render())
    with pytest.raises(SimulationError, match="found none"):
        lint_rtl_selects([tmp_path])


@pytest.mark.parametrize(
    ("statement", "code", "text"),
    [
        ("assign out_o = desc.user_data;", 0, "no part-select of a descriptor in 1 files"),
        ("assign out_o = data_i[63:0];", 1, "part-select of a descriptor: data_i[63:0]"),
        ("assign out_o = ;", 2, "must elaborate"),
    ],
)
def test_command_exits_by_its_findings(
    tmp_path: Path, statement: str, code: int, text: str
) -> None:
    """The command exits 0, 1 or 2: clean, findings, or nothing could be reported."""
    files = _injected(tmp_path, statement)
    result = CliRunner().invoke(lint_rtl, [str(file) for file in files])
    assert result.exit_code == code
    assert text in result.output
