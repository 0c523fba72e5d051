# SPDX-License-Identifier: Apache-2.0
"""slang and verible over the RTL: our own is clean, a finding fails, and so does an idle waiver."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.signoff import more_lint
from descring_sim.signoff.more_lint import Waiver, Warned, main
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError

BLOCK = """\
module block (
    input wire logic clk_i,
    input wire logic [7:0] data_i,
    output logic [7:0] data_o
);
  localparam int Step = 1;
{body}
endmodule
"""
CLEAN = "  always_ff @(posedge clk_i) data_o <= data_i + 8'(Step);"
BAD = {
    "truncation": "  always_ff @(posedge clk_i) data_o <= {data_i, data_i + 8'(Step)};",
    "a name of no use": f"{CLEAN}\n  logic spare;",
}


def _root() -> Path:
    root = paths.checkout_root()
    assert root is not None
    return root


def _rtl(folder: Path, body: str) -> Path:
    (folder / "block.sv").write_text(BLOCK.format(body=body))
    return folder


def test_our_rtl_passes() -> None:
    """Every warning has a waiver with a reason, and every waiver a warning."""
    result = CliRunner().invoke(main, [])
    assert (result.exit_code, result.output.count("\n")) == (0, 1), result.output
    assert "each waived with a reason; verible: none" in result.output


@pytest.mark.parametrize("fault", BAD)
def test_slang_warns_of_what_others_may_pass(tmp_path: Path, fault: str) -> None:
    """With its place and its name; the sound module has no such warning."""
    sound = {item.name for item in more_lint.slang_warnings(_rtl(tmp_path, CLEAN))}
    found = more_lint.slang_warnings(_rtl(tmp_path, BAD[fault]))
    new = [item for item in found if item.name not in sound]
    assert new and all(item.file.endswith("block.sv") and item.line in (7, 8) for item in new)


def test_what_does_not_elaborate_is_an_error(tmp_path: Path) -> None:
    """Its place, and the command that shows more."""
    with pytest.raises(SimulationError, match=r"block\.sv:7: error: .*descring dev elaborate"):
        more_lint.slang_warnings(_rtl(tmp_path, "  assign data_o = missing;"))


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("  localparam int wrong_name = 1;", "parameter-name-style"),
        ("  logic " + ", ".join(f"a_name_{number}" for number in range(12)) + ";", "line-length"),
        ("  always @* data_o = data_i;", "always-comb"),
    ],
)
def test_verible_names_the_rule(tmp_path: Path, line: str, rule: str) -> None:
    """Names, length of lines, constructs; the sound module has no finding."""
    rules = _root() / "rtl" / more_lint.RULES
    (tmp_path / "block.sv").write_text(BLOCK.format(body=CLEAN))
    assert more_lint.verible_findings(tmp_path, rules) == []
    (tmp_path / "block.sv").write_text(BLOCK.format(body=f"{CLEAN}\n{line}"))
    (found,) = more_lint.verible_findings(tmp_path, rules)
    assert "block.sv:8:" in found and f"[{rule}]" in found


def test_a_warning_needs_a_waiver_and_a_waiver_a_warning() -> None:
    """In the files that the waiver names, if it names any."""
    found = [Warned("rtl/a.sv", 3, "sign-compare", "text")]
    waivers = [Waiver("sign-compare", "why"), Waiver("useless-cast", "why")]
    assert more_lint.judge(found, waivers[:1]) == []
    assert more_lint.judge(found, []) == ["rtl/a.sv:3: text [-Wsign-compare]"]
    (idle,) = more_lint.judge(found, waivers)
    assert "the waiver of useless-cast covers nothing" in idle
    elsewhere = [Waiver("sign-compare", "why", ("b.sv",))]
    assert len(more_lint.judge(found, elsewhere)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "waiver = 1",
        "[[waiver]]\nwarning = 'x'",
        "[[waiver]]\nwarning = 'x'\nreason = ' '",
        "[[waiver",
        "",
    ],
)
def test_waivers_without_a_reason_are_refused(tmp_path: Path, text: str) -> None:
    """Expected and given, with the file."""
    file = tmp_path / "slang.toml"
    file.write_text(text)
    with pytest.raises(SimulationError, match=r"slang\.toml: expected"):
        more_lint.read_waivers(file)


def test_the_command_tells_findings_from_errors(tmp_path: Path) -> None:
    """1: a finding; 2: the sources cannot be read."""
    result = CliRunner().invoke(main, [str(_rtl(tmp_path, BAD["truncation"]))])
    assert result.exit_code == 1
    assert "block.sv:7:" in result.output
    result = CliRunner().invoke(main, [str(_rtl(tmp_path, "  assign data_o = missing;"))])
    assert result.exit_code == 2
    assert "error:" in result.output
