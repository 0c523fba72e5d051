# SPDX-License-Identifier: Apache-2.0
"""Small wave files (FST) of every layout that the format has, written without a simulator."""

from __future__ import annotations

from pathlib import Path

from pylibfst import lib

SIGNALS = (("clk_i", 1), ("rst_ni", 1), ("line_data_i", 512), ("head_q", 32), ("state_q", 2))
TIMES = 300

LAYOUTS = {
    "lz4": (lib.FST_WR_PT_LZ4, 1, 0),
    "zlib": (lib.FST_WR_PT_ZLIB, 0, 0),
    "fastlz": (lib.FST_WR_PT_FASTLZ, 1, 0),
    "packed": (lib.FST_WR_PT_LZ4, 1, 1),
}
"""Packing of values, whether the names are packed, whether the whole file is packed once more."""


def write(file: Path, layout: str, instances: int = 3) -> Path:
    """Write a file with the signals of a device, ``instances`` times, and return its path."""
    values, names, whole = LAYOUTS[layout]
    writer = lib.fstWriterCreate(str(file).encode(), names)
    lib.fstWriterSetPackType(writer, values)
    lib.fstWriterSetRepackOnClose(writer, whole)
    lib.fstWriterSetTimescale(writer, -12)
    lib.fstWriterSetScope(writer, lib.FST_ST_VCD_MODULE, b"rl_runtime_mmio", b"")
    handles = []
    for number in range(instances):
        for name, bits in SIGNALS:
            text = f"{name} [{bits - 1}:0]" if bits > 1 else name
            kind, direction = lib.FST_VT_SV_LOGIC, lib.FST_VD_IMPLICIT
            handles.append(
                (lib.fstWriterCreateVar(writer, kind, direction, bits, text.encode(), 0), bits)
            )
        scope = f"u_worker_{number}".encode()
        lib.fstWriterSetScope(writer, lib.FST_ST_VCD_MODULE, scope, b"rollout_worker_fsm")
    for _ in range(instances + 1):
        lib.fstWriterSetUpscope(writer)
    for time in range(TIMES):
        lib.fstWriterEmitTimeChange(writer, time * 5000)
        for handle, bits in handles:
            value = format((time * 0x9E3779B1) % (1 << min(bits, 64)), f"0{bits}b")
            lib.fstWriterEmitValueChange(writer, handle, value.encode())
    lib.fstWriterClose(writer)
    return file
