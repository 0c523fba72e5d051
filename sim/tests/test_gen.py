# SPDX-License-Identifier: Apache-2.0
"""The generators: names and numbers, files written whole, stale files found, simulators content."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_model import contract, rules
from descring_sim.cli.gen import gen, gen_check
from descring_sim.gen import c_header, constants, contract_doc, outputs, systemverilog
from tool_support import run_tool

GENERATED = (
    "rtl/hw_desc_pkg.sv",
    "host/include/hw_desc.h",
    "docs/contract.md",
    "docs/requirements.md",
    "rtl/descring_regs.rdl",
)
GENERATED_SOURCES = tuple(path for path in GENERATED if not path.endswith(".md"))

# Typed by hand from the contract's prose, against a fault that data and generator share.
LAW = {
    "DESC_BITS": (512, None),
    "REWARD_INTERVAL": (32, 32),
    "RING_LOG2_MAX": (16, 8),
    "RING_SLOTS_OFFSET": (128, None),
    "CRC32C_POLY_REFLECTED": (0x82F63B78, 32),
    "CRC_BITS": (480, None),
    "TAG_LSB": (448, None),
    "CRC_LSB": (480, None),
    "DESC_SEQ_LEN_LSB": (256, None),
    "DESC_CHECKSUM_OR_COOKIE_LSB": (448, None),
    "OPCODE_PREFILL": (3, 16),
    "OPCODE_STOP": (255, 16),
    "FLAG_DONE": (2, 16),
    "FLAG_CHECKED": (0x20, 16),
    "FLAG_CHECKED_BIT": (5, None),
    "FLAG_ERROR_CODE": (0xFF00, 16),
    "FLAG_ERROR_CODE_LSB": (8, None),
    "FLAG_ERROR_CODE_WIDTH": (8, None),
    "DEVICE_OWNED_FLAGS": (0xFF1B, 16),
    "ERROR_CODE_BAD_TAG": (3, 8),
    "ERROR_CODE_SHIFT": (8, None),
    "STATUS_STOPPED": (0xFF, 8),
    "REG_DOORBELL": (0x10, 12),
    "REG_CONTRACT_HASH": (0x7C, 12),
    "CTRL_REQUIRE_CHECKED_BIT": (4, None),
    "CTRL_PUBLISH_TAILS_BIT": (5, None),
    "STATUS_BUS_ERROR_BIT": (10, None),
    "RING_LOG2_REWARD_LSB": (16, None),
    "RING_LOG2_REWARD_WIDTH": (8, None),
    "IRQ_STATUS_ERROR_BIT": (2, None),
    "DEVICE_ID": (0x474E5244, 32),
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without tests in which everything has been generated."""
    (tmp_path / "pymodel").mkdir()
    outputs.write(tmp_path, outputs.render_all(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", LAW)
def test_constant_has_the_number_and_width_of_the_contract(name: str) -> None:
    """The flat list gives the contract's numbers the names that RTL and C use."""
    item = constants.by_name()[name]
    assert (item.value, item.bits) == LAW[name]


def test_two_constants_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two opcodes of one name would make a package that no compiler takes."""
    monkeypatch.setattr(contract, "OPCODES", (*contract.OPCODES, contract.OPCODES[1]))
    with pytest.raises(ValueError, match="two constants of the contract are called OPCODE_DECODE"):
        constants.groups()


def test_number_wider_than_its_field_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An opcode that does not fit in 16 bits is refused and not cut off."""
    wide = replace(contract.OPCODES[1], value=0x1_0000)
    monkeypatch.setattr(contract, "OPCODES", (wide,))
    with pytest.raises(ValueError, match=r"OPCODE_DECODE = 65536 does not fit in 16 bits"):
        constants.groups()


def test_contract_page_states_every_rule_once() -> None:
    """Each rule stands on the page as a row or as a paragraph, with its whole text."""
    page = contract_doc.render()
    for rule in rules.all_rules():
        starts = len(re.findall(rf"^(?:\| {rule.rule} \||- \*\*{rule.rule}\*\* )", page, re.M))
        assert starts == 1, f"{rule.rule} stands {starts} times on the page"
    for rule in rules.RULES:
        assert f"- **{rule.rule}** {rule.text}\n" in page


def test_contract_page_has_every_register_bit() -> None:
    """Each bit field of a register is a row of the register's table."""
    page = contract_doc.render()
    for register in contract.REGISTERS:
        if register.bits:
            rows = page.split(f"Bits of {register.name} ({register.rule}):\n\n")[1].split("\n\n")[0]
            named = [row.split(" | ")[1] for row in rows.splitlines()[2:]]
            assert named == [item.name for item in register.bits]


def test_rendering_depends_on_nothing_but_the_contract(checkout: Path) -> None:
    """Another process with another hash seed generates the same bytes."""
    program = (
        "import sys; from pathlib import Path; from descring_sim.gen import outputs;"
        "sys.stdout.write(''.join(outputs.render_all(Path(sys.argv[1])).values()))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program, str(checkout)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {"".join(outputs.render_all(checkout).values()).encode()}


def test_gen_prints_only_what_changed(checkout: Path) -> None:
    """Nothing to do: no output, and the files keep their times. Else: the changed files alone."""
    times = [(checkout / path).stat().st_mtime_ns for path in GENERATED]
    quiet = CliRunner().invoke(gen, ["--root", str(checkout)])
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert [(checkout / path).stat().st_mtime_ns for path in GENERATED] == times

    (checkout / GENERATED[0]).write_text("spoilt")
    (checkout / GENERATED[2]).unlink()
    result = CliRunner().invoke(gen, ["--root", str(checkout)])
    assert result.output == f"wrote {GENERATED[0]}\nwrote {GENERATED[2]}\n"
    assert outputs.stale(checkout, outputs.render_all(checkout)) == []


@pytest.mark.parametrize("path", GENERATED)
@pytest.mark.parametrize("damage", ["changed", "missing", "newline", "binary"])
def test_gen_check_names_a_stale_file(checkout: Path, path: str, damage: str) -> None:
    """Each generated file alone, damaged in each way: exit 1, its name, a diff, and the cure."""
    file = checkout / path
    good = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        spoilt = {
            "changed": good.replace(b"32", b"33"),
            "newline": good.replace(b"\n", b"\r\n"),
            "binary": good + b"\xff\xfe",
        }[damage]
        file.write_bytes(spoilt)
    result = CliRunner().invoke(gen_check, ["--root", str(checkout)])
    assert result.exit_code == 1
    assert f"{path} is stale; `make gen` updates it" in result.output
    assert [other for other in GENERATED if f"{other} is stale" in result.output] == [path]
    assert damage != "changed" or re.search(r"^-.*33.*\n(?:-.*\n)*\+.*32", result.output, re.M)
    assert len(result.output.splitlines()) < 30

    assert CliRunner().invoke(gen, ["--root", str(checkout)]).output == f"wrote {path}\n"
    assert file.read_bytes() == good


def test_gen_check_passes_what_gen_wrote(checkout: Path) -> None:
    """All eleven files are examined, and are up to date."""
    result = CliRunner().invoke(gen_check, ["--root", str(checkout)])
    assert (result.exit_code, result.output) == (0, "11 generated files are up to date\n")


def test_interrupted_writing_leaves_the_old_file(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure before the last step leaves the old bytes and no temporary file."""
    file = checkout / GENERATED[0]
    file.write_text("old")
    present = sorted(file.parent.iterdir())

    def fail(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    result = CliRunner().invoke(gen, ["--root", str(checkout)])
    assert (result.exit_code, file.read_text()) == (2, "old")
    assert "no space left" in result.output
    assert sorted(file.parent.iterdir()) == present


def test_broken_test_file_is_an_error_before_anything_is_written(checkout: Path) -> None:
    """The requirements page cannot be made: exit 2, the place, and no file is touched."""
    (checkout / GENERATED[0]).write_text("old")
    broken = checkout / "pymodel" / "tests" / "test_broken.py"
    broken.parent.mkdir()
    broken.write_text("def test_x(:\n")
    for command in (gen, gen_check):
        result = CliRunner().invoke(command, ["--root", str(checkout)])
        assert result.exit_code == 2
        assert "test_broken.py:1:" in result.output
    assert (checkout / GENERATED[0]).read_text() == "old"


@pytest.mark.parametrize("command", [gen, gen_check])
def test_folder_that_is_no_checkout_is_refused(tmp_path: Path, command: object) -> None:
    """Nothing is generated into a foreign folder."""
    result = CliRunner().invoke(command, ["--root", str(tmp_path)])  # type: ignore[arg-type]
    assert result.exit_code == 2
    assert "expected a checkout of descring" in result.output
    assert list(tmp_path.iterdir()) == []


# All 64 bytes differ, so that a field read from a wrong place reads a wrong number.
LINE = bytes(range(1, 65))

IMPORTER = """\
`default_nettype none
module importer
  import hw_desc_pkg::*;
(
    input  wire logic [DESC_BITS-1:0] data_i,
    output logic      [DESC_BITS-1:0] data_o
);
  hw_desc_t desc;
  assign desc = data_i;
  assign data_o = {%s};
endmodule
`default_nettype wire
"""

PRINTER = """\
module printer;
  import hw_desc_pkg::*;
  hw_desc_t desc;
  initial begin
    desc = 512'h%s;
    %s
    $finish;
  end
endmodule
"""


def _sources(tmp_path: Path, name: str, text: str) -> list[str]:
    package, module = tmp_path / "hw_desc_pkg.sv", tmp_path / f"{name}.sv"
    package.write_text(systemverilog.render())
    module.write_text(text)
    return [str(package), str(module)]


def _quiet(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    result = run_tool(command, folder)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result


@pytest.mark.parametrize(
    "command",
    [
        ["verilator", "--lint-only", "-Wall", "--quiet", "--top-module", "importer"],
        ["iverilog", "-g2012", "-Wall", "-s", "importer", "-o", "out.vvp"],
    ],
    ids=["verilator", "icarus"],
)
def test_package_compiles_without_a_warning(tmp_path: Path, command: list[str]) -> None:
    """A design that uses a part of the package draws no warning about the rest of it."""
    fields = ", ".join(f"desc.{item.name}" for item in reversed(contract.FIELDS))
    _quiet([*command, *_sources(tmp_path, "importer", IMPORTER % fields)], tmp_path)


def test_simulator_finds_every_field_at_its_bytes(tmp_path: Path) -> None:
    """[DESC-001..DESC-013] [DESC-015] Icarus reads from a line what its bytes report."""
    prints = "\n    ".join(
        f'$display("{item.name} %0d", desc.{item.name});' for item in contract.FIELDS
    )
    text = PRINTER % (LINE[::-1].hex(), prints)
    build = ["iverilog", "-g2012", "-s", "printer", "-o", "out.vvp"]
    _quiet([*build, *_sources(tmp_path, "printer", text)], tmp_path)
    printed = _quiet(["vvp", "-n", "out.vvp"], tmp_path).stdout
    expected = {
        item.name: int.from_bytes(LINE[item.offset : item.offset + item.size], "little")
        for item in contract.FIELDS
    }
    found = {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", printed, re.M)}
    assert found == expected


@pytest.mark.parametrize(
    "command",
    [["gcc", "-std=c11", "-x", "c"], ["g++", "-std=c++11", "-x", "c++"]],
    ids=["c11", "c++11"],
)
def test_header_compiles_without_a_warning(tmp_path: Path, command: list[str]) -> None:
    """The header stands alone, may be included twice, and draws no warning in C and in C++."""
    (tmp_path / "hw_desc.h").write_text(c_header.render())
    (tmp_path / "user").write_text('#include "hw_desc.h"\n' * 2 + "int main(void) { return 0; }\n")
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Wundef", "-Werror", "-fsyntax-only", "user"]
    _quiet([*command, *strict], tmp_path)


FIELD_USER = """\
#include <stdio.h>
#include "hw_desc.h"
int main(void) {
  hw_u32 sizes = HW_FIELD_PREP(HW_RING_LOG2_CMD_MASK, 16) |
      HW_FIELD_PREP(HW_RING_LOG2_DONE_MASK, 5) | HW_FIELD_PREP(HW_RING_LOG2_REWARD_MASK, 0x1FFu);
  printf("%08X %u %u %u %u\\n", sizes, HW_FIELD_GET(HW_RING_LOG2_DONE_MASK, sizes),
      HW_FIELD_GET(HW_RING_LOG2_REWARD_MASK, sizes),
      HW_FIELD_GET(HW_STATUS_BUS_ERROR_MASK, ~0u), HW_FIELD_GET(HW_STATUS_BUS_ERROR_MASK, 0x3FFu));
  return 0;
}
"""


@pytest.mark.parametrize(
    "command",
    [["gcc", "-std=c11", "-x", "c"], ["g++", "-std=c++11", "-x", "c++"]],
    ids=["c11", "c++11"],
)
def test_field_macros_place_and_take_a_bit_field(tmp_path: Path, command: list[str]) -> None:
    """[REG-02C] [REG-00C] A value too wide for its field is cut off; the other fields stay."""
    (tmp_path / "hw_desc.h").write_text(c_header.render())
    (tmp_path / "user").write_text(FIELD_USER)
    _quiet([*command, "-Wall", "-Wextra", "-Werror", "user", "-o", "program"], tmp_path)
    assert _quiet(["./program"], tmp_path).stdout == "00FF0510 5 255 1 0\n"


@pytest.mark.parametrize("path", GENERATED_SOURCES)
def test_generated_sources_keep_the_line_length(checkout: Path, path: str) -> None:
    """Generated sources obey the limit of 100 columns like all others."""
    lines = (checkout / path).read_text().splitlines()
    assert [line for line in lines if len(line) > 100] == []
    assert [line for line in lines if line != line.rstrip()] == []
