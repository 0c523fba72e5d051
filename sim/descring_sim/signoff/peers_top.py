# SPDX-License-Identifier: Apache-2.0
"""A top with the ports of ``rl_runtime_axi`` that has another project's AXI cores between.

The cores are alexforencich/verilog-axi's: registers, FIFOs, crossbars, interconnects, converters of
width and of clock. The testbench of ``rl_runtime_axi`` runs on that top as on the device.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from descring_sim.hdl import slang
from descring_sim.support.errors import SimulationError

TOP = "peers_top"
DEVICE = "rl_runtime_axi"

_MEMORY = {
    "aw": "id addr:64 len:8 size:3 burst:2 lock cache:4 prot:3 valid ready",
    "w": "data strb last valid ready",
    "b": "id resp:2 valid ready",
    "ar": "id addr:64 len:8 size:3 burst:2 lock cache:4 prot:3 valid ready",
    "r": "id data resp:2 last valid ready",
}
"""Channels of ``m_axi`` and their signals, with widths above one; id, data and strb vary."""

_REGISTERS = {
    "aw": "addr:12 prot:3 valid ready",
    "w": "data strb valid ready",
    "b": "resp:2 valid ready",
    "ar": "addr:12 prot:3 valid ready",
    "r": "data resp:2 valid ready",
}
"""Channels of ``s_axil``."""

_FROM_MASTER = ("aw", "w", "ar")
_PORT = re.compile(r"^\s*(input|output)\s+wire\s+(?:\[[^\]]*\]\s*)?(\w+)\s*,?\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Core:
    """A core of verilog-axi in a chain.

    Attributes:
        name: its module.
        parameters: what it is told beside the widths.
        data_width: of its side that is away from the device, None for that of the device's side.
    """

    name: str
    parameters: Mapping[str, str]
    data_width: int | None = None


@dataclass(frozen=True)
class Chain:
    """What is between the device and the testbench.

    Attributes:
        name: for people and file names.
        device: parameters of the device, defaults for the others.
        memory: cores from the device's ``m_axi`` to the memory.
        registers: cores from the host to the device's ``s_axil``.
    """

    name: str
    device: Mapping[str, int]
    memory: tuple[Core, ...]
    registers: tuple[Core, ...]


_ALL_ADDRESSES = {"S_COUNT": "1", "M_COUNT": "1", "M_REGIONS": "1", "M_BASE_ADDR": "0"}
_REGISTER = Core("axi_register", {})
_FIFO = Core(
    "axi_fifo",
    {
        **{"WRITE_FIFO_DEPTH": "32", "READ_FIFO_DEPTH": "32"},
        **{"WRITE_FIFO_DELAY": "1", "READ_FIFO_DELAY": "1"},
    },
)
_CROSSBAR = Core("axi_crossbar", {**_ALL_ADDRESSES, "M_ADDR_WIDTH": "64"})
_INTERCONNECT = Core("axi_interconnect", {**_ALL_ADDRESSES, "M_ADDR_WIDTH": "64"})
_LITE_REGISTER = Core("axil_register", {})
_LITE_CROSSBAR = Core("axil_crossbar", {**_ALL_ADDRESSES, "M_ADDR_WIDTH": "12"})
_LITE_CLOCKS = Core("axil_cdc", {})


def _adapter(width: int) -> Core:
    return Core("axi_adapter", {"FORWARD_ID": "1"}, width)


CHAINS = (
    Chain("crossbar", {}, (_REGISTER, _CROSSBAR), (_LITE_CROSSBAR, _LITE_REGISTER)),
    Chain("fifo", {"DataWidth": 256}, (_FIFO, _INTERCONNECT), (_LITE_CLOCKS,)),
    Chain("narrower", {"WorkerCount": 4}, (_REGISTER, _adapter(128)), (_LITE_REGISTER,)),
    Chain("wider", {"DataWidth": 128}, (_adapter(512), _FIFO), (_LITE_CLOCKS, _LITE_CROSSBAR)),
)
"""Every kind of core, and every data width of the device."""


def _signals(channels: Mapping[str, str], data_width: int, id_width: int) -> Iterator[_Signal]:
    widths = {"id": id_width, "data": data_width, "strb": data_width // 8}
    for channel, fields in channels.items():
        for field in fields.split():
            name, _, width = field.partition(":")
            forward = (channel in _FROM_MASTER) != (name == "ready")
            yield _Signal(f"{channel}{name}", int(width or widths.get(name, 1)), forward)


@dataclass(frozen=True)
class _Signal:
    name: str
    width: int
    forward: bool
    """From the master."""

    def declared(self, kind: str, prefix: str) -> str:
        span = f"[{self.width - 1}:0] " * (self.width > 1)
        return f"{kind} {span}{prefix}{self.name}"


def _interface(core: Core, cores_dir: Path) -> tuple[dict[str, str], set[str]]:
    """Return the ports of a core's module with their directions, and its parameters.

    Raises:
        SimulationError: there is no such module in ``cores_dir``, or its ports cannot be read.
    """
    file = cores_dir / f"{core.name}.v"
    if not file.is_file():
        raise SimulationError(f"expected {core.name}.v in {cores_dir}, found none")
    text = file.read_text("utf-8", errors="replace")
    header = text.partition(");")[0]
    ports = {name: direction for direction, name in _PORT.findall(header)}
    if not {"s_axi_awvalid", "s_axil_awvalid"} & set(ports):
        raise SimulationError(f"{file}: expected a core with s_axi or s_axil, got ports {ports}")
    return ports, set(re.findall(r"^\s*parameter\s+(\w+)", text, re.MULTILINE))


def _instance(core: Core, number: int, cores_dir: Path, before: str, after: str,
              nets: Iterable[str], widths: Mapping[str, int]) -> str:  # fmt: skip
    """One core between the nets ``before`` (towards the master) and ``after``."""
    lite = core.name.startswith("axil_")
    known = set(nets)
    ports, parameters = _interface(core, cores_dir)
    wired = []
    for port, direction in ports.items():
        side, _, name = re.sub("_axil?_", "_", port).partition("_")
        if name == "clk" or port == "clk":
            net = "clk_i"
        elif name == "rst" or port == "rst":
            net = "rst"
        elif name in known:
            net = (before if side == "s" else after) + name
        else:  # QoS, region, user
            net = "'0" if direction == "input" else ""
        wired.append(f"    .{port}({net})")
    wanted = {**{name: str(value) for name, value in widths.items()}, **core.parameters}
    values = ", ".join(f".{name}({value})" for name, value in wanted.items() if name in parameters)
    kind = "registers" if lite else "memory"
    return f"  {core.name} #({values}) u_{kind}_{number} (\n" + ",\n".join(wired) + "\n  );"


def text(chain: Chain, rtl_dir: Path, cores_dir: Path) -> str:
    """Return the source of :data:`TOP` with ``chain`` in it.

    Raises:
        SimulationError: a core is missing in ``cores_dir``.
    """
    own = dict(slang.parameters(slang.module(rtl_dir, DEVICE))) | dict(chain.device)
    id_width, width = int(own["IdWidth"]), int(own["DataWidth"])
    body: list[str] = []

    def stage(number: int, width: int) -> str:
        body.extend(
            f"  {signal.declared('wire', f'm{number}_')};"
            for signal in _signals(_MEMORY, width, id_width)
        )
        return f"m{number}_"

    here = stage(0, width)
    body.append(_device(own, here, f"r{len(chain.registers)}_", width, id_width))
    for number, core in enumerate(chain.memory, start=1):
        after_width = core.data_width or width
        there = stage(number, after_width)
        widths = {"DATA_WIDTH": width, "S_DATA_WIDTH": width, "M_DATA_WIDTH": after_width}
        widths |= {"ADDR_WIDTH": 64, "ID_WIDTH": id_width, "S_ID_WIDTH": id_width}
        nets = [signal.name for signal in _signals(_MEMORY, width, id_width)]
        body.append(_instance(core, number, cores_dir, here, there, nets, widths))
        here, width = there, after_width
    outer = list(_signals(_MEMORY, width, id_width))
    body += [_joined("m_axi_", here, signal, outwards=True) for signal in outer]

    lite = list(_signals(_REGISTERS, 32, 1))
    for number in range(len(chain.registers) + 1):
        body += [f"  {signal.declared('wire', f'r{number}_')};" for signal in lite]
    body += [_joined("s_axil_", "r0_", signal, outwards=False) for signal in lite]
    for number, core in enumerate(chain.registers, start=1):
        nets = [signal.name for signal in lite]
        widths = {"DATA_WIDTH": 32, "ADDR_WIDTH": 12}
        before, after = f"r{number - 1}_", f"r{number}_"
        body.append(_instance(core, number, cores_dir, before, after, nets, widths))
    ports = [
        *("input wire clk_i", "input wire rst_ni"),
        *("input wire [31:0] first_index_i", "input wire [63:0] window_last_i"),
        *("output wire irq_o",),
        *(s.declared("output wire" if s.forward else "input wire", "m_axi_") for s in outer),
        *(s.declared("input wire" if s.forward else "output wire", "s_axil_") for s in lite),
    ]
    values = own | {"DataWidth": width}
    parameters = ",\n".join(f"  parameter int {name} = {value}" for name, value in values.items())
    head = f"module {TOP} #(\n{parameters}\n) (\n  " + ",\n  ".join(ports) + "\n);\n"
    return head + "  wire rst = !rst_ni;\n" + "\n".join(body) + "\nendmodule\n"


def _joined(port: str, net: str, signal: _Signal, *, outwards: bool) -> str:
    """The assignment between a port of the top and the net beside it."""
    if signal.forward == outwards:
        return f"  assign {port}{signal.name} = {net}{signal.name};"
    return f"  assign {net}{signal.name} = {port}{signal.name};"


def _device(
    parameters: Mapping[str, int | str], memory: str, registers: str, width: int, id_width: int
) -> str:
    values = ", ".join(f".{name}({value})" for name, value in parameters.items())
    wired = [f".{name}({name})" for name in ("clk_i", "rst_ni", "irq_o")]
    wired += [f".{name}({name})" for name in ("first_index_i", "window_last_i")]
    wired += [f".m_axi_{s.name}({memory}{s.name})" for s in _signals(_MEMORY, width, id_width)]
    wired += [f".s_axil_{s.name}({registers}{s.name})" for s in _signals(_REGISTERS, 32, 1)]
    return f"  {DEVICE} #({values}) u_device (\n    " + ",\n    ".join(wired) + "\n  );"
