# SPDX-License-Identifier: Apache-2.0
"""Recording waves from a moment of the simulation on, which cocotb itself does not offer.

Both simulators are told the moment by a plusarg, in steps of the simulation's precision, so that
one build serves every moment. Until then a simulation runs as fast as it can.
"""

from __future__ import annotations

from pathlib import Path

import cocotb_tools.config

from descring_sim.support.errors import SimulationError

CYCLE_NS = 10
"""The clock's period in every testbench (``CLOCK_PERIOD_NS`` there)."""

STEPS_PER_NS = 1000
"""Of the precision in :data:`descring_sim.cosim.simulators.TIMESCALE`."""

ICARUS_MODULE = "descring_waves"

_PLUSARG = "descring_waves_from"

# The time in a delay is in the module's own unit, which is the precision here.
_ICARUS = """`timescale 1ps/1ps
module {module};
  string file;
  reg [63:0] from;
  initial if ($value$plusargs("dumpfile_path=%s", file)) begin
    if (!$value$plusargs("{plusarg}=%d", from)) from = 0;
    $dumpfile(file);
    #(from) $dumpvars(0, {top});
  end
endmodule
"""

_VERILATOR = {
    "    Verilated::commandArgs(argc, argv);\n": """\
    Verilated::commandArgs(argc, argv);
    const std::string waves_arg = Verilated::commandArgsPlusMatch("{plusarg}=");
    const vluint64_t waves_from =
        waves_arg.empty() ? 0 : std::stoull(waves_arg.substr(waves_arg.find('=') + 1));
""",
    "        if (tfp) {\n            tfp->dump(main_time);\n": """\
        if (tfp && main_time >= waves_from) {
            tfp->dump(main_time);
""",
}
"""What is replaced in cocotb's main program of a verilated model, and by what."""


def plusarg(start_ns: float) -> str:
    """The run option that begins the recording ``start_ns`` after the simulation's begin."""
    return f"+{_PLUSARG}={round(start_ns * STEPS_PER_NS)}"


def recorder(simulator: str, top: str) -> tuple[Path, str]:
    """The source that records: where it goes in the build's folder, and its text.

    For Icarus a second top module; for Verilator the main program, below the folder that replaces
    for cocotb's ``share``.

    Raises:
        SimulationError: cocotb's main program is another than the one that is known here.
    """
    if simulator == "icarus":
        text = _ICARUS.format(module=ICARUS_MODULE, plusarg=_PLUSARG, top=top)
        return Path(f"{ICARUS_MODULE}.sv"), text
    main = Path("lib", "verilator", "verilator.cpp")
    source = cocotb_tools.config.share_dir / main
    text = source.read_text(encoding="utf-8", errors="replace")
    for old, new in _VERILATOR.items():
        if text.count(old) != 1:
            raise SimulationError(f"{source}: expected once, to record waves: {old.strip()!r}")
        text = text.replace(old, new.replace("{plusarg}", _PLUSARG))
    return main, text
