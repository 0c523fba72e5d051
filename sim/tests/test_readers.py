# SPDX-License-Identifier: Apache-2.0
"""pyslang, gcc and NVRTC read the generated files back, and each detects every kind of fault."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from descring_model import contract
from descring_sim.gen import c_header, nvrtc, readers, systemverilog
from descring_sim.gen.constants import c_by_name
from descring_sim.support.errors import SimulationError

needs_nvrtc = pytest.mark.skipif(
    nvrtc.library() is None, reason=f"the wheel {nvrtc.WHEEL} is not installed"
)

Reader = Callable[[Path], list[str]]

C_READERS = [
    pytest.param(readers.c_problems, id="gcc"),
    pytest.param(readers.nvrtc_problems, id="nvrtc", marks=needs_nvrtc),
]

C_FAULTS = {
    "swapped fields": (
        r"(  hw_u32 seq_len;.*\n)(  hw_u32 max_tokens;.*\n)",
        r"\2\1",
        ("hw_desc_t seq_len", "hw_desc_t max_tokens"),
    ),
    "wrong width": (r"hw_u32 rollout_id;", "hw_u16 rollout_id;", ("hw_desc_t rollout_id",)),
    "wrong type": (r"hw_u32 seq_len;", "float seq_len;", ("hw_desc_t seq_len",)),
    "signed type": (r"hw_u32 seq_len;", "int seq_len;", ("hw_desc_t seq_len",)),
    "renamed field": (r"\bkv_offset;", "kv_ofset;", ("kv_offset",)),
    "longer line, own check removed": (
        r"(  hw_u64 checksum_or_cookie;.*\n\} hw_desc_t;\n)\nHW_STATIC_ASSERT\(.*\n",
        r"  hw_u64 more;\n\1",
        ("hw_desc_t bits", "hw_desc_t checksum_or_cookie"),
    ),
    "longer line": (r"\} hw_desc_t;", "  hw_u64 more;\n} hw_desc_t;", ("a line is 64 bytes",)),
    "packed line": (
        r"HW_ALIGNED\(HW_CACHE_LINE_BYTES\) (hw_u16 opcode)",
        r"\1",
        ("hw_desc_t alignment",),
    ),
    "wrong opcode": (r"(HW_OPCODE_STOP) 255u", r"\1 254u", ("constant OPCODE_STOP",)),
    "signed constant": (r"(HW_OPCODE_STOP) 255u", r"\1 255", ("constant OPCODE_STOP",)),
    "wrong register": (r"(HW_REG_CTRL) 0x008u", r"\1 0x010u", ("constant REG_CTRL",)),
    "wrong mask": (
        r"(HW_RING_LOG2_DONE_MASK) 0x0000FF00u",
        r"\1 0x0000FE00u",
        ("constant RING_LOG2_DONE_MASK",),
    ),
    "missing mask": (r"#define HW_IRQ_MASK_ERROR_MASK .*\n", "", ("IRQ_MASK_ERROR_MASK",)),
    "wrong hash": (r"(HW_CONTRACT_HASH) 0x.", r"\1 0xA", ("constant CONTRACT_HASH",)),
    "missing constant": (r"#define HW_FLAG_DONE .*\n", "", ("FLAG_DONE",)),
    "ring on one cache line": (
        r"HW_ALIGNED\(HW_CACHE_LINE_BYTES\) (hw_u32 tail)",
        r"\1",
        ("the slots follow head and tail",),
    ),
}

SV_FAULTS = {
    "swapped fields": (
        r"(    logic \[31:0\] max_tokens;.*\n)(    logic \[31:0\] seq_len;.*\n)",
        r"\2\1",
        ("hw_desc_t seq_len", "hw_desc_t max_tokens"),
    ),
    "wrong width": (
        r"logic \[31:0\] rollout_id;",
        "logic [15:0] rollout_id;",
        ("hw_desc_t rollout_id", "hw_desc_t bits"),
    ),
    "wrong type": (r"logic \[31:0\] seq_len;", "bit [31:0] seq_len;", ("hw_desc_t seq_len",)),
    "signed type": (
        r"logic \[31:0\] seq_len;",
        "logic signed [31:0] seq_len;",
        ("hw_desc_t seq_len",),
    ),
    "renamed field": (r"\bkv_offset;", "kv_ofset;", ("hw_desc_t kv_offset", "hw_desc_t kv_ofset")),
    "longer line": (
        r"(struct packed \{\n)",
        r"\1    logic [7:0] more;\n",
        ("hw_desc_t bits", "hw_desc_t more"),
    ),
    "wrong opcode": (r"(OPCODE_STOP =) 16'd255", r"\1 16'd254", ("constant OPCODE_STOP",)),
    "unknown value": (r"(OPCODE_NOP =) 16'd0", r"\1 16'hx", ("constant OPCODE_NOP",)),
    "narrow constant": (
        r"logic \[15:0\] (OPCODE_STOP =) 16",
        r"logic [7:0] \1 8",
        ("constant OPCODE_STOP",),
    ),
    "wrong register": (r"(REG_CTRL =) 12'h008", r"\1 12'h010", ("constant REG_CTRL",)),
    "missing constant": (r".* FLAG_DONE = .*\n", "", ("constant FLAG_DONE",)),
    "additional constant": (
        r"(package hw_desc_pkg;\n)",
        r"\1  localparam int MORE = 1;\n",
        ("constant MORE",),
    ),
    "renamed struct": (r"\} hw_desc_t;", "} hw_line_t;", ("struct hw_desc_t",)),
    "renamed package": (r"package hw_desc_pkg;", "package other_pkg;", ("package hw_desc_pkg",)),
    "no SystemVerilog": (r"endpackage", "", ("error:",)),
}


def _spoilt(text: str, pattern: str, replacement: str) -> str:
    result, count = re.subn(pattern, replacement, text)
    assert count == 1, f"the fault must be made once, {pattern!r} matched {count} times"
    return result


def test_pyslang_agrees_with_the_contract(tmp_path: Path) -> None:
    """[DESC-001..DESC-013] [DESC-015] Package: place, width, type and name of every field."""
    package = tmp_path / "hw_desc_pkg.sv"
    package.write_text(systemverilog.render())
    assert readers.systemverilog_problems(package) == []


@pytest.mark.parametrize("reader", C_READERS)
def test_compiler_agrees_with_the_contract(tmp_path: Path, reader: Reader) -> None:
    """[DESC-001..DESC-013] [RING-004] Header: place, width, type and name of every field."""
    header = tmp_path / "hw_desc.h"
    header.write_text(c_header.render())
    assert reader(header) == []


@pytest.mark.parametrize("fault", SV_FAULTS)
def test_pyslang_notices(tmp_path: Path, fault: str) -> None:
    """One fault in the package, and the reader names what is wrong."""
    pattern, replacement, named = SV_FAULTS[fault]
    package = tmp_path / "hw_desc_pkg.sv"
    package.write_text(_spoilt(systemverilog.render(), pattern, replacement))
    problems = "\n".join(readers.systemverilog_problems(package))
    assert [text for text in named if text not in problems] == [], problems


@pytest.mark.parametrize("fault", C_FAULTS)
@pytest.mark.parametrize("reader", C_READERS)
def test_compiler_notices(tmp_path: Path, reader: Reader, fault: str) -> None:
    """One fault in the header, and the reader names what is wrong."""
    pattern, replacement, named = C_FAULTS[fault]
    header = tmp_path / "hw_desc.h"
    header.write_text(_spoilt(c_header.render(), pattern, replacement))
    problems = "\n".join(reader(header))
    assert [text for text in named if text not in problems] == [], problems


def test_gcc_notices_an_additional_constant(tmp_path: Path) -> None:
    """The preprocessor's own list of macros shows a number that the contract does not have."""
    header = tmp_path / "hw_desc.h"
    header.write_text(
        _spoilt(c_header.render(), r"(#define HW_FLAG_DONE )", r"#define HW_MORE 1\n\1")
    )
    assert readers.c_problems(header) == [
        "constant MORE: found (1, 'int'), the contract has nothing of that name"
    ]


@needs_nvrtc
def test_nvrtc_refuses_standard_headers(tmp_path: Path) -> None:
    """A header that includes <stdint.h> for NVRTC too does not pass."""
    header = tmp_path / "hw_desc.h"
    header.write_text(
        _spoilt(c_header.render(), r"typedef unsigned short hw_u16;", "#include <stdint.h>")
    )
    assert "stdint.h" in "\n".join(readers.nvrtc_problems(header))


def test_nvrtc_is_asked_about_everything() -> None:
    """Three facts a field, two a struct and two a constant are asserted, none twice."""
    texts = [text for _, text in readers.nvrtc_assertions()]
    fields = len(contract.FIELDS) + len(("head", "tail"))
    assert len(texts) == 3 * fields + 2 * 2 + 2 * len(c_by_name())
    assert len(set(texts)) == len(texts)


@needs_nvrtc
def test_nvrtc_failure_of_our_own_is_an_error() -> None:
    """An architecture that NVRTC does not know is an error, not a refused program."""
    with pytest.raises(SimulationError, match="nvrtcCompileProgram"):
        nvrtc.compile_program("", {}, arch="sm_1")


def test_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel the reader states what to install."""
    monkeypatch.setattr(nvrtc, "WHEEL", "no-such-wheel")
    nvrtc._load.cache_clear()
    try:
        assert nvrtc.library() is None
        with pytest.raises(SimulationError, match="pip install no-such-wheel"):
            nvrtc.compile_program("", {}, arch="sm_90")
    finally:
        nvrtc._load.cache_clear()


def test_missing_gcc_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without gcc the reader states what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SimulationError, match="apt-get install -y gcc"):
        readers.c_problems(tmp_path / "hw_desc.h")
