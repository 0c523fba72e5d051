# SPDX-License-Identifier: Apache-2.0
"""Draws the way of one descriptor through the device, from waves that it records itself.

Run as ``descring dev timing-diagram -o docs/timing.svg``: a host program submits one
DECODE to the RTL in Icarus, and what its waves show is rendered as a timing diagram (SVG).
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_host import CommandQueue, HostError
from descring_model import contract
from descring_model.program import run_program

from descring_sim.cosim.device import SimulatorDevice
from descring_sim.cosim.device_process import TOP
from descring_sim.support.files import outputs

TOKENS = 5
LATENCY = 6
_CLOCK_NS = 10
_LEAD, _TAIL = 2, 3
"""Cycles shown before the doorbell and after the interrupt."""


@dataclass(frozen=True)
class Row:
    """One line of the diagram.

    Attributes:
        signal: below the top; ``bus`` shows its value whenever ``valid`` (a signal) is high, or
            always where that is None; else it is drawn as a bit.
    """

    label: str
    signal: str
    bus: Callable[[int], str] | None = None
    valid: str | None = None


_WORKER = "u_core.u_desc_pipeline.u_worker_pool.gen_worker[0].u_worker"
_STATES = {0: "idle", 1: "decode", 2: "done"}


def _field(name: str, label: str) -> Callable[[int], str]:
    field = contract.FIELD[name]
    mask = (1 << 8 * field.size) - 1
    return lambda line: f"{label} {line >> 8 * field.offset & mask}"


ROWS: dict[str, list[Row]] = {
    "registers": [
        Row("AWVALID", "s_axil_awvalid"),
        Row("WDATA", "s_axil_wdata", lambda value: f"tail {value}", "s_axil_wvalid"),
        Row("cmd_tail", "cmd_tail", str),
    ],
    "fetch": [
        Row("ARVALID", "m_axi_arvalid"),
        Row("ARADDR", "m_axi_araddr", "{:#x}".format, "m_axi_arvalid"),
        Row("RVALID", "m_axi_rvalid"),
        Row("RDATA", "m_axi_rdata", _field("seq_len", "seq"), "m_axi_rvalid"),
    ],
    "decode": [
        Row("fetched", "u_core.fetch_valid"),
        Row("worker 0", f"{_WORKER}.state_q", lambda value: _STATES.get(value, str(value))),
        Row("retired", "u_core.pipe_valid"),
    ],
    "completion": [
        Row("AWVALID", "m_axi_awvalid"),
        Row("WVALID", "m_axi_wvalid"),
        Row("WDATA", "m_axi_wdata", _field("seq_len", "seq"), "m_axi_wvalid"),
        Row("BVALID", "m_axi_bvalid"),
        Row("done_tail", "done_tail", str),
        Row("irq", "irq_o"),
    ],
}


def record() -> Path:
    """Run a host program that decodes one line; the waves (FST)."""
    registers = contract.REGISTER
    with (
        SimulatorDevice(
            "icarus", 1 << 14, seed=1, latency=LATENCY, waves=True, workers=8
        ) as device,
        CommandQueue(device, cmd_slots=4, timeout_s=600.0) as queue,
    ):
        device.write32(registers["IRQ_MASK"].offset, 1)
        queue.submit_decode(1, 0, 0, 0, seq_len=0, max_tokens=TOKENS)
        queue.drain()
    assert device.waves is not None
    return Path(device.waves)


class Samples:
    """The waves, read once a clock cycle, just before its end."""

    def __init__(self, file: Path) -> None:
        import pywellen  # type: ignore[import-untyped]  # nothing else needs it

        self._variables = {var.full_name: var for var in pywellen.Waveform(str(file)).all_vars()}
        self._signals: dict[str, Any] = {}

    def __call__(self, name: str, cycle: int) -> int:
        """The value of a signal in a cycle; X counts as 0."""
        if name not in self._signals:
            path = f"{TOP}.{name}"
            if path not in self._variables:
                raise HostError(f"the waves have no signal {path}; correct timing_diagram.ROWS")
            self._signals[name] = self._variables[path].signal
        # The clock rises in the middle of a period; the waves count picoseconds.
        value = self._signals[name].value_at((cycle * _CLOCK_NS + _CLOCK_NS // 2 - 1) * 1000)
        return value if isinstance(value, int) else int(value, 2) if str(value).isdigit() else 0


def _first(samples: Samples, name: str, start: int, value: int = 1) -> int:
    for cycle in range(start, start + 2000):
        if samples(name, cycle) == value:
            return cycle
    raise HostError(f"{name} never became {value}")


def _row(row: Row, samples: Samples, cycles: range) -> dict[str, Any]:
    wave, data, last = "", [], None
    for cycle in cycles:
        now: object = samples(row.signal, cycle)
        if row.bus is not None:
            shown = row.valid is None or samples(row.valid, cycle)
            now = row.bus(samples(row.signal, cycle)) if shown else "x"
        if now == last:
            wave += "."
        elif row.bus is None or now == "x":
            wave += str(now)
        else:
            wave += "="
            data.append(now)
        last = now
    return {"name": row.label, "wave": wave, "data": data}


MARKS = {
    "a": ("AWVALID", "s_axil_awvalid", "doorbell"),
    "b": ("ARVALID", "m_axi_arvalid", "fetch"),
    "c": ("RVALID", "m_axi_rvalid", "line"),
    "d": ("retired", "u_core.pipe_valid", "decode"),
    "e": ("WVALID", "m_axi_wvalid", "write"),
    "f": ("BVALID", "m_axi_bvalid", "response"),
    "g": ("irq", "irq_o", "posted"),
}
"""Nodes of the diagram: row, signal whose first high cycle they stand at, and the arrow to them."""


def diagram(file: Path) -> dict[str, Any]:
    """The waves as WaveJSON."""
    samples = Samples(file)
    doorbell = _first(samples, "cmd_tail", 0) - 1
    while not samples("s_axil_awvalid", doorbell):
        doorbell -= 1
    cycles = range(doorbell - _LEAD, _first(samples, "irq_o", doorbell) + _TAIL)
    groups: list[Any] = [{"name": "clk", "wave": "p" + "." * (len(cycles) - 1)}]
    placed: set[str] = set()
    for title, rows in ROWS.items():
        group: list[Any] = [title]
        for row in rows:
            drawn = _row(row, samples, cycles)
            for node, (label, signal, _) in MARKS.items():
                if label == row.label and signal == row.signal and node not in placed:
                    at = _first(samples, signal, doorbell) - cycles.start
                    drawn["node"] = "." * at + node
                    placed.add(node)
            group.append(drawn)
        groups.append(group)
    nodes = list(MARKS)
    edges = [f"{one}~>{other} {MARKS[other][2]}" for one, other in itertools.pairwise(nodes)]
    return {
        "signal": groups,
        "edge": edges,
        "head": {
            "text": f"One DECODE of {TOKENS} tokens, memory latency {LATENCY} cycles",
            "tick": 0,
        },
        "config": {"hscale": 1},
    }


def main(arguments: list[str] | None = None) -> int:
    """Record, draw, and return the exit code."""
    parser = argparse.ArgumentParser("descring dev timing-diagram", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the SVG to write")
    output: Path = parser.parse_args(arguments).output
    import wavedrom  # type: ignore[import-untyped]  # likewise

    with outputs(output) as files:
        try:
            waves = record()
            drawing = wavedrom.WaveDrom().render_waveform(0, diagram(waves))
        except HostError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        files.commit([[f"{drawing.tostring()}\n".encode()]])
    shutil.rmtree(waves.parent)
    print(f"{output}: drawn from {TOP} in Icarus")
    return 0


if __name__ == "__main__":
    run_program("descring dev timing-diagram", main)
