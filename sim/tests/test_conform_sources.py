# SPDX-License-Identifier: Apache-2.0
"""Foreign sources as they are compiled: Verilog as Verilog, includes wherever they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from descring_model import contract
from descring_sim.conform.duts.core_wrapper import PORTS
from descring_sim.conform.duts.dut_file import read_file
from descring_sim.conform.duts.port_check import read_ports
from descring_sim.conform.duts.rtl_source import RtlSource
from descring_sim.conform.errors import ConformError

FILE = """
[dut]
name = "x"
version = "1"
kind = "core"
[core]
sources = ["*.v", "*.sv"]
includes = ["**/*.vh"]
top = "top"
"""
VERILOG = "module top(input wire bit, output wire final); assign final = bit; endmodule\n"


def source(folder: Path, **files: str) -> RtlSource:
    """A design of these files; ``__`` in a name stands for a slash, ``_v`` for a dot before v."""
    for name, text in {"empty_vh": "", "empty_sv": "", **files}.items():
        stem, _, ending = name.rpartition("_")
        path = folder / f"{stem.replace('__', '/')}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "x.toml").write_text(FILE)
    return RtlSource(read_file(folder / "x.toml"), tuple(PORTS))


def test_verilog_has_the_keywords_of_verilog(tmp_path: Path) -> None:
    """`bit` and `final` are names in a `.v` file, and its ports are found."""
    design = source(tmp_path, top_v=VERILOG)
    ports = read_ports(design)
    assert ports["bit"].direction == "input"
    assert ports["final"].direction == "output"
    text = design.texts()["top.sv"]
    assert '`begin_keywords "1364-2005"\n`line 1 "top.sv" 0\nmodule top' in text
    assert "`begin_keywords" not in design.texts()["empty.sv"]


def test_an_include_stands_at_the_start_of_a_line(tmp_path: Path) -> None:
    """Icarus knows no include behind a comment; lines keep their numbers."""
    design = source(tmp_path, top_v='`include "poly.vh"\n' + VERILOG, poly_vh="`define P 1\n")
    lines = design.texts()["top.sv"].splitlines()
    at = lines.index('`include "poly.vh"')
    assert lines[at - 1] == '`line 1 "top.sv" 0'


def test_headers_of_folders_are_found_by_their_names(tmp_path: Path) -> None:
    """Copies lie in one folder: an include with a path is one without."""
    text = '`include "inc/poly.vh"\n' + VERILOG
    design = source(tmp_path, top_v=text, inc__poly_vh="`define P 1\n")
    assert '`include "poly.vh"' in design.texts()["top.sv"]


def test_two_headers_of_one_name_are_refused(tmp_path: Path) -> None:
    """Which of them counts would be a guess."""
    with pytest.raises(ConformError, match=r"expected headers of different names, got .*a/p\.vh"):
        source(tmp_path, top_v=VERILOG, a__p_vh="", b__p_vh="")


PRINTS = r"""
#include <stdio.h>
#include "descring_dut.h"
#include "hw_desc.h"
int main(void) { return printf("%u %x", DESCRING_CONTRACT_VERSION, DESCRING_CONTRACT_HASH) < 3; }
"""


@pytest.mark.parametrize("claimed", ["", "contract_version = 1"])
def test_a_build_gets_headers_of_the_version_that_is_claimed(claimed: str, tmp_path: Path) -> None:
    """[REG-07C] Registers that are read from the header belong together."""
    (tmp_path / "prints.c").write_text(PRINTS)
    path = tmp_path / "x.toml"
    build = r"cc -Werror -I\"$DESCRING_INCLUDE\" prints.c -o prints && ./prints > out"
    path.write_text(
        '[dut]\nname = "x"\nversion = "1"\nkind = "library"\n'
        f'[library]\npath = "x.so"\nbuild = ["sh", "-c", "{build}"]\n'
        f'[capabilities]\nlevels = ["stream"]\n{claimed}\n'
    )
    read_file(path).run_build(tmp_path / "folder")
    version = 1 if claimed else contract.VERSION
    digest = contract.EARLIER_HASHES.get(version, contract.CONTRACT_HASH)
    assert (tmp_path / "out").read_text() == f"{version} {digest:x}"
