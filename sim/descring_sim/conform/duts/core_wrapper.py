# SPDX-License-Identifier: Apache-2.0
"""The wrapper of a foreign core: generated SystemVerilog with the kit's ports on the outside."""

from __future__ import annotations

from dataclasses import dataclass

from descring_sim.conform.duts.rtl_source import RtlSource, instance, wrapper

WRAPPER = "descring_dut_wrapper"
LINE, INDEX = 512, 32


@dataclass(frozen=True)
class Port:
    """One port that a core can have: as the kit knows it."""

    direction: str
    width: int
    needed: bool
    meaning: str


PORTS: dict[str, Port] = {
    "line_valid": Port("input", 1, True, "a line is pending"),
    "line_ready": Port("output", 1, True, "the line is taken at this edge, if it is pending"),
    "line_data": Port("input", LINE, True, "the line, byte k at bits 8k+7:8k [DESC-015]"),
    "done_valid": Port("output", 1, True, "a completion is pending"),
    "done_ready": Port("input", 1, True, "the completion is taken at this edge"),
    "done_data": Port("output", LINE, True, "the completion"),
    "reward_valid": Port("output", 1, False, "likewise, of the reward ring [RING-008]"),
    "reward_ready": Port("input", 1, False, "likewise"),
    "reward_data": Port("output", LINE, False, "likewise"),
    "cmd_tail": Port("input", INDEX, False, "the published tail [DB-001]"),
    "first_index": Port("input", INDEX, False, "value of every index in reset [RING-012]"),
    "enable": Port("input", 1, False, "level: accept descriptors [LIFE-007]"),
    "resume": Port("input", 1, False, "pulse: leave HALTED [LIFE-003]"),
    "require_checked": Port("input", 1, False, "level: the mode [DESC-025]"),
    "split_reward": Port("input", 1, False, "level: the mode [RING-008]"),
    "halted": Port("output", 1, False, "level: HALTED [LIFE-003]"),
}
"""What a port map can name; a core has at least those that are needed."""


def _suffixed(name: str) -> str:
    return name + ("_i" if PORTS[name].direction == "input" else "_o")


def _declaration(name: str) -> str:
    port = PORTS[name]
    width = f"[{port.width - 1}:0] " if port.width > 1 else ""
    wire = "input wire logic" if port.direction == "input" else "output logic"
    return f"    {wire} {width}{_suffixed(name)}"


def render(core: RtlSource) -> str:
    """The wrapper's source: outputs of the core that no line of its map names are left open."""
    declared = ["    input wire logic clk_i", "    input wire logic rst_ni"]
    declared += [_declaration(name) for name in PORTS]
    connected, inverted, open_outputs = [], [], []
    for name, port in PORTS.items():
        foreign = core.ports.get(name)
        if foreign is None:
            if port.direction == "output":
                open_outputs.append(f"  assign {_suffixed(name)} = '0;")
            continue
        plain = foreign.removeprefix("!")
        if port.direction == "output" and plain != foreign:
            inverted.append(f"  logic {name}_n;\n  assign {_suffixed(name)} = !{name}_n;")
            connected.append(f"      .{plain} ({name}_n)")
        else:
            sign = "!" if plain != foreign else ""
            connected.append(f"      .{plain} ({sign}{_suffixed(name)})")
    return wrapper(WRAPPER, declared, [*inverted, *open_outputs], instance(core, connected))
