# SPDX-License-Identifier: Apache-2.0
"""The port map of a foreign device behind AXI4-Lite and AXI4, and the wrapper that follows from it.

Outside, the wrapper has the ports of ``rl_runtime_axi``, so that the testbench of our own device
serves it; inside, it has the foreign top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from descring_sim.conform.duts.port_check import INPUT, OUTPUT, TopPort
from descring_sim.conform.duts.rtl_source import RtlSource, instance, wrapper
from descring_sim.conform.errors import ConformError

WRAPPER = "descring_shell_wrapper"
BEAT_LOG2 = 6
"""The rings' port moves a line of 2^6 bytes a beat."""


@dataclass(frozen=True)
class Signal:
    """A signal of an AXI interface, as the device sees it.

    ``width`` is 0 where any will do. ``outer`` is the width outside of the wrapper. A signal that
    a device can lack has in ``absent`` the value that stands for it, or "" for an input.
    """

    direction: str
    width: int
    outer: int
    absent: str | None = None


def _channel(
    name: str, payload: dict[str, Signal], *, from_device: bool
) -> Iterator[tuple[str, Signal]]:
    there, back = (OUTPUT, INPUT) if from_device else (INPUT, OUTPUT)
    yield from ((name + part, signal) for part, signal in payload.items())
    yield f"{name}valid", Signal(there, 1, 1)
    yield f"{name}ready", Signal(back, 1, 1)


def _lite() -> dict[str, Signal]:
    address = {"addr": Signal(INPUT, 0, 12), "prot": Signal(INPUT, 3, 3, "")}
    data = {"data": Signal(INPUT, 32, 32), "strb": Signal(INPUT, 4, 4, "")}
    response = Signal(OUTPUT, 2, 2, "2'd0")
    return dict(
        [
            *_channel("aw", address, from_device=False),
            *_channel("w", data, from_device=False),
            *_channel("b", {"resp": response}, from_device=True),
            *_channel("ar", address, from_device=False),
            *_channel("r", {"data": Signal(OUTPUT, 32, 32), "resp": response}, from_device=True),
        ]
    )


def _full() -> dict[str, Signal]:
    address = {
        "id": Signal(OUTPUT, 0, 0, "'0"),
        "addr": Signal(OUTPUT, 0, 64),
        "len": Signal(OUTPUT, 0, 8, "8'd0"),
        "size": Signal(OUTPUT, 3, 3, f"3'd{BEAT_LOG2}"),
        "burst": Signal(OUTPUT, 2, 2, "2'b01"),
        "lock": Signal(OUTPUT, 0, 1, "1'b0"),
        "cache": Signal(OUTPUT, 4, 4, "4'd0"),
        "prot": Signal(OUTPUT, 3, 3, "3'd0"),
    }
    data = {
        "data": Signal(OUTPUT, 512, 512),
        "strb": Signal(OUTPUT, 64, 64, "'1"),
        "last": Signal(OUTPUT, 1, 1, "1'b1"),
    }
    answer = {"id": Signal(INPUT, 0, 0, ""), "resp": Signal(INPUT, 2, 2, "")}
    line = {"data": Signal(INPUT, 512, 512), "last": Signal(INPUT, 1, 1, "")}
    return dict(
        [
            *_channel("aw", address, from_device=True),
            *_channel("w", data, from_device=True),
            *_channel("b", answer, from_device=False),
            *_channel("ar", address, from_device=True),
            *_channel("r", answer | line, from_device=False),
        ]
    )


INTERFACES = {"registers": ("s_axil", _lite()), "memory": ("m_axi", _full())}
"""The tables of the port map: what the interface is called outside, and its signals."""
PORTS = {
    "first_index": Signal(INPUT, 32, 32, ""),
    "window_last": Signal(INPUT, 0, 64, ""),
    "irq": Signal(OUTPUT, 1, 1, "1'b0"),
}
"""What the table ``ports`` can name."""
_KEYS = ("prefix", "suffixes", "upper", "absent", "signals")


class ShellMap:
    """How a foreign top's ports are called.

    Attributes:
        absent: the signals that it lacks, for each table of :data:`INTERFACES`.
    """

    def __init__(self, source: RtlSource) -> None:
        """Read the tables of :data:`INTERFACES` and ``ports``.

        Raises:
            ConformError: something is missing or wrong; the text names the place.
        """
        self._source = source
        self.absent: dict[str, tuple[str, ...]] = {}
        # Key in the file, name outside, signal, foreign name with "!" for the opposite sense.
        self._mapped: list[tuple[str, str, Signal, str]] = []
        self._unmapped: list[tuple[str, Signal]] = []
        self._patterns: dict[str, str] = {}
        for table in INTERFACES:
            self._read(table)
        for name, signal in PORTS.items():
            outer = f"{name}_{'i' if signal.direction == INPUT else 'o'}"
            if name in source.ports:
                key = f"{source.file.kind}.ports.{name}"
                self._mapped.append((key, outer, signal, source.ports[name]))
            else:
                self._unmapped.append((outer, signal))
        registers = source.table("registers")
        self._offset = source.number("registers.offset", registers.get("offset", 0), 0, 2**63)

    def _read(self, table: str) -> None:
        source = self._source
        known = (*_KEYS, "offset") if table == "registers" else _KEYS
        entries = source.table(table, known)
        complain = source.file.complain
        if not entries:
            raise ConformError(
                f"{source.file.path}: expected a table [axi-device.{table}] with names of the "
                f"signals of the {'AXI4-Lite slave' if table == 'registers' else 'AXI4 master'}"
            )
        prefix = entries.get("prefix", "")
        if not isinstance(prefix, str):
            raise complain(f"{table}.prefix", "a text", prefix)
        upper = entries.get("upper", False)
        if not isinstance(upper, bool):
            raise complain(f"{table}.upper", "true or false", upper)
        suffixes = entries.get("suffixes", ["", ""])
        if not (
            isinstance(suffixes, list)
            and len(suffixes) == 2
            and all(isinstance(suffix, str) for suffix in suffixes)
        ):
            raise complain(f"{table}.suffixes", "two texts, of inputs and outputs", suffixes)
        outside, signals = INTERFACES[table]
        given = entries.get("signals", {})
        if not isinstance(given, dict):
            raise complain(f"{table}.signals", "a table", given)
        absent = entries.get("absent", [])
        if not isinstance(absent, list):
            raise complain(f"{table}.absent", "a list of signals", absent)
        for name in (*given, *absent):
            if name not in signals:
                raise complain(f"{table}", f"signals out of {', '.join(signals)}", name)
        for name in absent:
            if name in given:
                raise complain(f"{table}.absent", f"no signal that {table}.signals names", name)
            if signals[name].absent is None:
                raise complain(f"{table}.absent", "no signal that a device must have", name)
        if "wlast" in absent and "awlen" not in absent:
            raise complain(f"{table}.absent", "wlast only together with awlen", "wlast")
        self.absent[table] = tuple(absent)
        for name, signal in signals.items():
            suffix = suffixes[0 if signal.direction == INPUT else 1]
            foreign = prefix + (name.upper() if upper else name) + suffix
            if name in absent:
                self._unmapped.append((f"{outside}_{name}", signal))
                self._patterns[f"{source.file.kind}.{table}.absent: {name}"] = foreign
                continue
            key = f"{source.file.kind}.{table}.{name}"
            foreign = given.get(name, foreign)
            source.check_port(f"{table}.signals.{name}", foreign)
            self._mapped.append((key, f"{outside}_{name}", signal, foreign))

    def wanted(self, ports: Mapping[str, TopPort]) -> list[tuple[str, str, str, int]]:
        """What :func:`descring_sim.conform.duts.port_check.check_map` is to look for.

        Raises:
            ConformError: the top has a port that the map calls absent.
        """
        for key, foreign in self._patterns.items():
            if foreign in ports:
                raise ConformError(
                    f"{self._source.file.path}: {key}: {self._source.top} has a port {foreign!r}"
                )
        return [
            (key, foreign.removeprefix("!"), signal.direction, signal.width)
            for key, _, signal, foreign in self._mapped
        ]

    def render(self, ports: Mapping[str, TopPort]) -> str:
        """The wrapper's source for a top with these ``ports``."""
        declared = ["    input wire logic clk_i", "    input wire logic rst_ni"]
        body, connected = [], []
        for _, outer, signal, foreign in self._mapped:
            name = foreign.removeprefix("!")
            sense = "" if name == foreign else "~"
            width = ports[name].width
            declared.append(_declaration(outer, signal, width))
            if signal.direction == INPUT:
                value = f"{sense}{outer}"
                if outer in ("s_axil_awaddr", "s_axil_araddr"):
                    value = f"{width}'(64'd{self._offset} + 64'({outer}))"
                connected.append(f"      .{name} ({value})")
            else:
                # A net of the port's own width, so that no upper bit is left undriven.
                body.append(f"  logic [{width - 1}:0] net_{outer};")
                body.append(f"  assign {outer} = {sense}net_{outer};")
                connected.append(f"      .{name} (net_{outer})")
        for outer, signal in self._unmapped:
            declared.append(_declaration(outer, signal, 1))
            if signal.direction == OUTPUT:
                body.append(f"  assign {outer} = {signal.absent};")
        for channel in ("aw", "ar"):
            body += [
                "  always @(posedge clk_i)",
                f"    if (rst_ni && m_axi_{channel}valid && m_axi_{channel}size != 3'd{BEAT_LOG2})",
                f"      $fatal(1, \"{channel}size %0d on the rings' port, expected {BEAT_LOG2}: "
                f'beats of a whole line", m_axi_{channel}size);',
            ]
        return wrapper(WRAPPER, declared, body, instance(self._source, connected))


def _declaration(outer: str, signal: Signal, width: int) -> str:
    wire = "input wire logic" if signal.direction == INPUT else "output logic"
    bits = signal.outer or width
    return f"    {wire} {f'[{bits - 1}:0] ' if bits > 1 else ''}{outer}"
