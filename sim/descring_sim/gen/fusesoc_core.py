# SPDX-License-Identifier: Apache-2.0
"""Writes ``descring.core``: the RTL as a core of FuseSoC (CAPI2), read from the sources.

Files are in compile order, and parameters have the defaults that slang elaborates, so that what is
added to the RTL, a module or a parameter, is in the core too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from descring_sim.gen import ports_doc
from descring_sim.hdl import filelist

VENDOR_LIBRARY_NAME = "descring:rtl:descring"
MEMORY_TOP, CHIP_TOP = "rl_runtime_axi", "rl_runtime_mmio"
TESTBENCH = "examples/integrate/device_tb.sv"
CONSTRAINTS = "examples/integrate/descring.xdc"

_TEXT = """\
CAPI=2:
# SPDX-License-Identifier: Apache-2.0
#
# Generated from rtl/ and pyproject.toml; do not edit, run `make gen`.

name: {name}:{version}
description: Descriptor rings in memory or on chip, in-order completion, AXI4 and AXI4-Lite
license: Apache-2.0

filesets:
  rtl:
    file_type: systemVerilogSource
    files:
{sources}
  registers:
    files:
      - rtl/descring_regs.rdl: {{file_type: systemRDL}}
      - host/include/hw_desc.h: {{file_type: user}}
  testbench:
    file_type: systemVerilogSource
    files:
      - {testbench}
  constraints:
    files:
      - {constraints}: {{file_type: xdc}}

parameters:
{parameters}
targets:
  # For a core that depends on this one: the sources alone.
  default:
    filesets: [rtl]

  lint: &lint
    description: Verilator's lint of the device with its rings in memory, no warning accepted
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall, --assert, --timescale 1ns/1ps]
    filesets: [rtl]
    toplevel: {memory_top}
    parameters: [{memory_parameters}]

  lint_mmio:
    <<: *lint
    description: The same of the device with its rings on chip
    toplevel: {chip_top}
    parameters: [{chip_parameters}]

  sim: &sim
    description: A first run of the device in Icarus
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: [-g2012]
      timescale: 1ns/1ps
    filesets: [rtl, testbench]
    toplevel: device_tb
    parameters: [WorkerCount]

  sim_verilator:
    <<: *sim
    description: The same in Verilator
    flow_options:
      tool: verilator
      mode: binary
      verilator_options: [--timing, --assert, --timescale 1ns/1ps, -CFLAGS -std=gnu++20]

  synth:
    description: Synthesis out of context by Vivado; --part names another device
    flow: vivado
    flow_options:
      part: xcku5p-ffvb676-2-e
      synth: vivado
      pnr: none
    filesets: [rtl, constraints]
    toplevel: {memory_top}
    parameters: [{memory_parameters}]
"""


def render(root: Path) -> str:
    """The text of the core for a checkout.

    Raises:
        SimulationError: a device in ``rtl/`` does not elaborate.
    """
    rtl = root / "rtl"
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    memory, chip = (ports_doc.parameters(rtl, top) for top in (MEMORY_TOP, CHIP_TOP))
    return _TEXT.format(
        name=VENDOR_LIBRARY_NAME,
        version=project["version"],
        sources="\n".join(_sources(rtl)),
        testbench=TESTBENCH,
        constraints=CONSTRAINTS,
        parameters="\n".join(_parameters({**memory, **chip, **memory})),
        memory_top=MEMORY_TOP,
        chip_top=CHIP_TOP,
        memory_parameters=", ".join(memory),
        chip_parameters=", ".join(chip),
    )


def _sources(rtl: Path) -> Iterator[str]:
    """Headers, then what either device needs, in compile order."""
    needed = [filelist.collect(rtl, top) for top in (MEMORY_TOP, CHIP_TOP)]
    for header in dict.fromkeys(path for item in needed for path in item.headers):
        yield f"      - rtl/{header.name}: {{is_include_file: true}}"
    for source in dict.fromkeys(path for item in needed for path in item.sources):
        yield f"      - rtl/{source.name}"


def _parameters(found: dict[str, tuple[int, str]]) -> Iterator[str]:
    for name, (default, meaning) in found.items():
        yield f"  {name}:"
        yield "    datatype: int"
        yield "    paramtype: vlogparam"
        yield f"    default: {default}"
        if meaning:
            yield f'    description: "{meaning}"'
    yield ""
