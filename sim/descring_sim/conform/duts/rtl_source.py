# SPDX-License-Identifier: Apache-2.0
"""Foreign sources in SystemVerilog: what a file declares, and building a wrapped design."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from descring_sim.conform.dut import Description
from descring_sim.conform.duts.dut_file import DutFile
from descring_sim.conform.errors import ConformError, DutError
from descring_sim.cosim import build as builds
from descring_sim.cosim import simulators
from descring_sim.support.build_cache import locked
from descring_sim.support.errors import SimulationError

KEYS = (
    *("sources", "includes", "top", "simulator", "parameters", "defines", "clock", "reset", "tie"),
    "ports",
)
"""What the tables of both kinds have."""
DEFAULT_RESET_CYCLES = 4

# Foreign sources are not ours to change: a warning of Verilator in them is no error here.
_QUIET = "".join(
    f"/* verilator lint_off {code} */"
    for code in (
        *("WIDTHEXPAND", "WIDTHTRUNC", "UNUSEDSIGNAL", "UNUSEDPARAM", "CASEINCOMPLETE", "CASEX"),
        *("UNOPTFLAT", "BLKSEQ", "SYNCASYNCNET", "DECLFILENAME", "TIMESCALEMOD", "PINMISSING"),
        *("PINCONNECTEMPTY", "IMPLICIT", "MULTIDRIVEN", "LATCH", "INITIALDLY", "COMBDLY"),
        *("SELRANGE", "CMPCONST", "UNSIGNED", "GENUNNAMED", "MULTITOP", "UNDRIVEN"),
    )
)
_VERILOG = '`begin_keywords "1364-2005"'
_INCLUDE = re.compile(r'(`include\s*)"([^"\n]+)"')
_PORT = re.compile(r"!?[A-Za-z_][\w$]*")
_MACRO = re.compile(r"[A-Za-z_]\w*")


class RtlSource:
    """The sources of a foreign design, its clock, reset, parameters and tied inputs.

    Attributes:
        file: where this stands.
        top: name of the top module.
        simulator: ``icarus`` or ``verilator``.
        clock: name of the clock. ``reset`` is that of the reset.
        reset_high: the reset is active high.
        reset_cycles: how long the design is held in it.
        ports: ours to theirs, as in the table ``ports``, with ``!`` for the opposite sense.
        tie: their other inputs, with an expression for each.
        parameters: of the top module.
    """

    def __init__(self, file: DutFile, ports: tuple[str, ...]) -> None:
        """Read what is common to both kinds of port maps; ``ports`` are those that can be named.

        Raises:
            ConformError: something is missing or wrong; the text names the place.
        """
        self.file = file
        self._sources = self._files("sources")
        if not self._sources:
            raise file.complain("sources", "at least one file or pattern", [])
        self._headers = self._files("includes") if "includes" in file.table else []
        self._check_headers()
        self.simulator = file.text("simulator", "verilator")
        if self.simulator not in simulators.SIMULATORS:
            raise file.complain("simulator", "icarus or verilator", self.simulator)
        self.top = file.text("top")
        self.clock = file.text("clock", "clk")
        reset = self.table("reset", ("port", "active", "cycles"))
        self.reset = str(reset.get("port", "rst_n"))
        active = reset.get("active", "low")
        if active not in ("low", "high"):
            raise file.complain("reset.active", "low or high", active)
        self.reset_high = active == "high"
        self.reset_cycles = self.number(
            "reset.cycles", reset.get("cycles", DEFAULT_RESET_CYCLES), 1, 1_000_000
        )
        self.ports: Mapping[str, str] = self.table("ports", ports)
        for name, foreign in self.ports.items():
            self.check_port(f"ports.{name}", foreign)
        self.tie: Mapping[str, str] = self.table("tie")
        for name, value in self.tie.items():
            if not isinstance(value, str):
                raise file.complain(f"tie.{name}", "an expression as a text", value)
        self.parameters: Mapping[str, int | str] = self.table("parameters")
        for name, given in self.parameters.items():
            if not isinstance(given, int | str):
                raise file.complain(f"parameters.{name}", "a number or a text", given)
        self._defines = self._read_defines()
        self.home = Path()

    def check_port(self, key: str, foreign: object) -> None:
        """Refuse what can be no port's name."""
        if not isinstance(foreign, str) or not _PORT.fullmatch(foreign):
            raise self.file.complain(key, "the name of a port", foreign)

    def table(self, key: str, known: tuple[str, ...] | None = None) -> Mapping[str, Any]:
        """A table of the kind's table; empty if it is not there."""
        table = self.file.table.get(key, {})
        if not isinstance(table, dict):
            raise self.file.complain(key, "a table", table)
        for name in table:
            if known is not None and name not in known:
                raise ConformError(
                    f"{self.file.path}: [{self.file.kind}.{key}] has no {name!r}; it has "
                    f"{', '.join(known)}"
                )
        return table

    def number(self, key: str, value: object, low: int, high: int) -> int:
        """``value``, if it is a number in these limits."""
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.file.complain(key, f"a number from {low} to {high}", value)
        return value

    def _files(self, key: str) -> list[Path]:
        found: dict[Path, None] = {}
        for pattern in self.file.words(key):
            matches = sorted(self.file.folder.glob(pattern))
            if not matches:
                raise ConformError(
                    f"{self.file.path}: {self.file.kind}.{key}: nothing matches {pattern!r}"
                )
            found |= {match: None for match in matches if match.is_file()}
        return list(found)

    def _read_defines(self) -> str:
        """The macros as directives, for the head of every source."""
        text = ""
        for name, value in self.table("defines").items():
            if not _MACRO.fullmatch(name) or not isinstance(value, int | str):
                raise self.file.complain(f"defines.{name}", "a number, a text or true", value)
            if value is not False:
                shown = "" if value is True else value
                text += f"`undef {name}\n`define {name} {shown}\n"
        return text

    def describe(self) -> Description:
        """What the file declares of the implementation, and its compiler.

        Raises:
            ConformError: this machine lacks the simulator.
        """
        try:
            found = simulators.find(self.simulator)
        except SimulationError as error:
            raise ConformError(str(error)) from error
        given = self.file.description
        return replace(
            given,
            details=f"{given.details}, {self.top} in {found.name} {found.version}",
            waves=True,
            tools=((found.name, found.version),),
        )

    def made_of(self) -> list[Path]:
        """The files of the design."""
        return [*self._sources, *self._headers]

    @property
    def include_dirs(self) -> list[Path]:
        """The folders of the headers."""
        return sorted({path.parent for path in self._headers})

    def texts(self) -> dict[str, str]:
        """The sources by the names that they are compiled under, macros at the head of each.

        Raises:
            ConformError: two sources have one name.
        """
        # Lines keep their numbers, which messages of the simulator name. On a line of its own: an
        # include that stands behind a comment is none to Icarus.
        head = _QUIET + "\n" + self._defines
        texts: dict[str, str] = {}
        for path in self._sources:
            name = path.stem + ".sv" if path.suffix in (".sv", ".v") else path.name
            if name in texts:
                raise ConformError(f"{self.file.path}: two sources are called {name}")
            source = self._plain_includes(path.read_text(encoding="utf-8", errors="replace"))
            line = f'`line 1 "{name}" 0\n'
            if path.suffix == ".v":
                # Verilog: what is a keyword in SystemVerilog only is a name there.
                texts[name] = f"{head}{_VERILOG}\n{line}{source}\n`end_keywords\n"
            else:
                texts[name] = head + line + source
        return texts

    def _plain_includes(self, source: str) -> str:
        """The text with headers called as their copies are, which lie in one folder."""
        known = {path.name for path in self._headers}

        def plain(found: re.Match[str]) -> str:
            name = found[2].rpartition("/")[2]
            return f'{found[1]}"{name}"' if name in known else found[0]

        return _INCLUDE.sub(plain, source)

    def _check_headers(self) -> None:
        first: dict[str, Path] = {}
        for path in self._headers:
            if path.name in first:
                raise ConformError(
                    f"{self.file.path}: {self.file.kind}.includes: expected headers of different "
                    f"names, got {first[path.name]} and {path}; name one of them, or rename one"
                )
            first[path.name] = path

    def copy(self, folder: Path, wrapper: str, text: str) -> None:
        """Copy the sources, and a module ``wrapper`` of this ``text``, to where they are built.

        Raises:
            ConformError: two sources have one name.
        """
        texts = self.texts()
        if f"{wrapper}.sv" in texts:
            raise ConformError(f"{self.file.path}: no source can be called {wrapper}")
        texts[f"{wrapper}.sv"] = _QUIET + "\n" + text
        for path in self._headers:
            text = path.read_text(encoding="utf-8", errors="replace")
            texts[path.name] = self._plain_includes(text)
        digest = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:12]
        self.home = folder / f"{self.file.kind}-{digest}"
        with locked(folder / f"{self.home.name}.lock"):
            if not self.rtl_dir.is_dir():
                part = self.home / f"sources.{os.getpid()}"
                part.mkdir(parents=True)
                for name, content in texts.items():
                    (part / name).write_text(content, encoding="utf-8")
                part.rename(self.rtl_dir)

    @property
    def rtl_dir(self) -> Path:
        """The folder of the copies."""
        return (self.home / "sources").absolute()

    @property
    def build_root(self) -> Path:
        """Where builds of them go."""
        return (self.home / "sim").absolute()

    def build(self, wrapper: str) -> None:
        """Compile what :meth:`copy` has put there.

        Raises:
            DutError: the simulator refuses it; the text has its message.
        """
        try:
            builds.build(
                simulators.find(self.simulator),
                top=wrapper,
                parameters={},
                rtl_dir=self.rtl_dir,
                build_root=self.build_root,
                waves=False,
            )
        except SimulationError as error:
            raise DutError(" ".join(str(error).split())) from error


def wrapper(name: str, ports: list[str], body: list[str], inside: list[str]) -> str:
    """The module ``name`` around a foreign top, as text."""
    head = "// Generated by descring conform from a port map; do not edit."
    opening = [head, f"module {name} (", ",\n".join(ports), ");"]
    return "\n".join([*opening, *body, *inside, "endmodule", ""])


def instance(source: RtlSource, connected: list[str]) -> list[str]:
    """The lines that instantiate a foreign top with these connections, clock and reset besides."""
    ties = [f"      .{name} ({value})" for name, value in source.tie.items()]
    ports = [
        f"      .{source.clock} (clk_i)",
        f"      .{source.reset} ({'!' if source.reset_high else ''}rst_ni)",
        *connected,
        *ties,
    ]
    parameters = ",\n".join(
        f"      .{name} ({_literal(value)})" for name, value in source.parameters.items()
    )
    given = f" #(\n{parameters}\n  )" if parameters else ""
    return [f"  {source.top}{given} u_dut (", ",\n".join(ports), "  );"]


def _literal(value: int | str) -> str:
    if isinstance(value, int) or re.fullmatch(r"[\w']+", value):
        return str(int(value) if isinstance(value, bool) else value)
    return '"' + value.replace('"', "") + '"'
