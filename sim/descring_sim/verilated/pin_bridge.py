# SPDX-License-Identifier: Apache-2.0
"""The interactive bridge: the RTL a clock cycle at a time, every port within reach.

with Bridge() as bridge:
    bridge.reset()
    bridge.submit_decode(rollout_id=1, seq_len=0, max_tokens=3)
    bridge.set_completion_ready(True)
    bridge.tick(10)
    completion = bridge.poll_completion()

It is for looking, at some thousand cycles a second; streams go through
:mod:`descring_sim.verilated.core`. The device is the one with its rings on chip.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from descring_host.completion import LINE_STRUCT, Completion
from descring_host.ports import decode_line
from descring_model import DESC_DTYPE, Lines, as_lines, contract, seal
from descring_model.lines import INDEX_MODULUS, check_index

from descring_sim.cosim import simulators
from descring_sim.hdl import filelist
from descring_sim.support import build_cache, paths, plain_paths, processes
from descring_sim.support.errors import SimulationError
from descring_sim.verilated.build import Say

TOP = "rl_runtime_mmio"
RESET_CYCLES = 2
PATIENCE = 4096
"""Cycles that a call which waits for the device waits at most."""
_HALF_PERIOD_PS = 5_000
_BUILD_TIMEOUT_S = 900.0
_REG = contract.OFFSET
_CTRL = contract.MASK["CTRL"]
_RINGS = ("done", "reward")


class BridgeError(SimulationError):
    """The RTL failed, or a port or value that does not exist was asked for."""


class Bridge:
    """One device under the hand of one thread.

    ``poll_completion`` gives each completion once, whatever ``ready`` does:

    * While ready is high, a completion leaves the device with the clock edge that takes it and
      waits here, in order, until it is polled; none is lost.
    * While ready is low, the pending completion can be polled, once; it stays in the device, whose
      ring keeps filling behind it, and leaves unseen once ready is high.
    """

    def __init__(self, *, workers: int = 8, depth: int = 16, say: Say = lambda _text: None) -> None:
        """Build the model if need be, and reset the device.

        Args:
            workers: 1 to 16.
            depth: slots of each ring, a power of two.
            say: is told that a build begins.

        Raises:
            SimulationError: the model can't be built.
        """
        # Imported late: it takes a second, and nothing else here needs it.
        from pyverilator import PyVerilator  # type: ignore[import-untyped]

        library = str(_build(workers, depth, say))
        loaded = ctypes.CDLL(library)
        loaded.descring_bridge_restart()
        ctypes.c_double.in_dll(loaded, "main_time").value = 0.0  # pyverilator's own clock
        self._sim: Any = PyVerilator(library, auto_eval=False)
        fault = self._sim.lib.descring_bridge_fault
        fault.restype = ctypes.c_char_p
        self._fault = fault
        self._inputs = {name: width for name, width in self._sim.inputs if name != "clk_i"}
        self._ports = self._inputs | dict(self._sim.outputs)
        self.cycles = 0
        """Rising edges since the bridge was made."""
        self._tracing = False
        self._taken: deque[tuple[str, Completion]] = deque()
        self._shown: set[str] = set()  # rings whose pending completion was polled already
        self._ready = False
        self._depth = depth
        self.reset()

    # ------------------------------------------------------------------ time

    def reset(
        self,
        *,
        first_index: int = 0,
        require_checked: bool = False,
        split_reward: bool = False,
        enable: bool = True,
    ) -> None:
        """Reset the device, and enable it in these modes unless told not to.

        Completions that were not polled are forgotten; ready is low afterwards.
        """
        self._first_index = check_index(first_index, "first_index")
        for name in self._inputs:
            self._sim[name] = 0
        self.poke("first_index_i", first_index)
        self._ready = False
        self._taken.clear()
        self._shown.clear()
        self.tick(RESET_CYCLES)
        self.poke("rst_ni", 1)
        self.tick()
        self.next_index = first_index
        """The ring index of the next line to be submitted."""
        if enable:
            modes = _CTRL["REQUIRE_CHECKED"] * require_checked
            self.write32(
                _REG["CTRL"], _CTRL["ENABLE"] | modes | _CTRL["SPLIT_REWARD"] * split_reward
            )

    def tick(self, cycles: int = 1) -> None:
        """Let so many clock cycles pass; completions that the device hands over are kept."""
        for _ in range(cycles):
            self._collect()
            self._edge(0)
            self._edge(1)
            self.cycles += 1

    def _edge(self, clock: int) -> None:
        sim = self._sim
        sim["clk_i"] = clock
        sim.lib.descring_bridge_advance()
        sim.eval()
        if self._tracing:
            sim.curr_time += _HALF_PERIOD_PS
            sim.lib.add_to_vcd_trace(ctypes.c_void_p(sim.vcd_trace), ctypes.c_int(sim.curr_time))
        text = self._fault()
        if text:
            raise BridgeError(f"{text.decode()}; cycle {self.cycles}; make a new bridge")

    def _collect(self) -> None:
        """Keep what the coming edge takes from the device."""
        for ring in _RINGS:
            if self._sim[f"{ring}_ready_i"] and self._sim[f"{ring}_valid_o"]:
                if ring in self._shown:
                    self._shown.remove(ring)
                else:
                    self._taken.append((ring, self._offered(ring)))

    # ------------------------------------------------------------------ lines

    def submit(self, line: Lines) -> bool:
        """Write one line at :attr:`next_index` and ring the doorbell; False where there is no room.

        Args:
            line: ``(1,)`` of DESC_DTYPE or ``(1, 64)`` uint8.
        """
        lines = as_lines(line)
        if len(lines) != 1:
            raise ValueError(f"expected one line, got {len(lines)}")
        answered = self.read32(_REG["CMD_HEAD"])
        in_ring = (self.next_index - answered) % INDEX_MODULUS
        if in_ring >= self._depth or not self._sim["line_ready_o"]:
            return False
        self._sim["line_data_i"] = int.from_bytes(lines.tobytes(), "little")
        self._sim["line_valid_i"] = 1
        self.next_index = (self.next_index + 1) % INDEX_MODULUS
        self.write32(_REG["DOORBELL"], self.next_index)
        return True

    def submit_decode(
        self,
        rollout_id: int = 0,
        kv_offset: int = 0,
        delta_offset: int = 0,
        prefix_id: int = 0,
        seq_len: int = 0,
        max_tokens: int = 1,
        *,
        user_data: int | None = None,
        checked: bool = False,
    ) -> bool:
        """Submit a DECODE line as the host writes it [DESC-024]; False where there is no room."""
        data = rollout_id if user_data is None else user_data
        words = (rollout_id, kv_offset, delta_offset, prefix_id, seq_len, max_tokens, data, 0, 0)
        for name, value in zip(_DECODE_FIELDS, words[:7], strict=True):
            bits = contract.FIELD[name].bits
            if not 0 <= value < 1 << bits:
                raise ValueError(f"{name}: expected 0 to 2^{bits} - 1, got {value}")
        line = decode_line(*words)
        return self.submit(seal(line, self.next_index, set_flag=True) if checked else line)

    def submit_stop(self, user_data: int = 0) -> bool:
        """Submit a STOP; False where there is no room."""
        line = np.zeros(1, dtype=DESC_DTYPE)
        line["opcode"] = contract.OPCODE["STOP"]
        line["user_data"] = user_data
        return self.submit(line)

    def resume(self) -> None:
        """Leave HALTED after a STOP [LIFE-003]."""
        self.write32(_REG["CTRL"], self.read32(_REG["CTRL"]) | _CTRL["RESUME"])

    def set_completion_ready(self, ready: bool) -> None:
        """Let the device hand completions over, or hold them in its rings."""
        self._ready = bool(ready)
        for ring in _RINGS:
            self._sim[f"{ring}_ready_i"] = int(ready)

    def poll_completion(self, ring: str | None = None) -> Completion | None:
        """The oldest completion that was not polled yet, of one ring or of both; None for none.

        Raises:
            ValueError: a ring that is neither ``"done"`` nor ``"reward"``.
        """
        if ring not in (None, *_RINGS):
            raise ValueError(f"expected done or reward, got {ring!r}")
        for item in self._taken:
            if ring in (None, item[0]):
                self._taken.remove(item)
                return item[1]
        for name in _RINGS:
            if ring in (None, name) and self._sim[f"{name}_valid_o"] and name not in self._shown:
                self._shown.add(name)
                return self._offered(name)
        return None

    def _offered(self, ring: str) -> Completion:
        data: int = self._sim[f"{ring}_data_o"]
        return Completion(*LINE_STRUCT.unpack(data.to_bytes(contract.DESC_BYTES, "little")))

    # ------------------------------------------------------------------ registers and ports

    def read32(self, offset: int) -> int:
        """Read a register; one clock cycle."""
        self._access(offset, 0, 0)
        if not self._sim["reg_rvalid_o"]:
            raise BridgeError(f"the read of register 0x{offset:02x} got no response")
        return int(self._sim["reg_rdata_o"])

    def write32(self, offset: int, value: int) -> None:
        """Write a register; one clock cycle."""
        self._access(offset, 1, value)

    def _access(self, offset: int, write: int, value: int) -> None:
        self.poke("reg_addr_i", offset)
        self.poke("reg_wdata_i", value)
        self._sim["reg_write_i"] = write
        self._sim["reg_valid_i"] = 1
        self.tick()
        self._sim["reg_valid_i"] = 0
        self._sim["line_valid_i"] = 0

    @property
    def ports(self) -> dict[str, int]:
        """Every port with its width in bits, without the clock."""
        return dict(self._ports)

    def peek(self, port: str) -> int:
        """The value of a port now."""
        self._known(port, self._ports)
        return int(self._sim[port])

    def poke(self, port: str, value: int) -> None:
        """Set an input; it counts from the next clock edge on."""
        width = self._known(port, self._inputs)
        if not 0 <= value < 1 << width:
            raise BridgeError(f"{port}: expected 0 to 2^{width} - 1, got {value}")
        self._sim[port] = value

    @staticmethod
    def _known(port: str, ports: dict[str, int]) -> int:
        if port not in ports:
            raise BridgeError(f"expected a port out of {', '.join(sorted(ports))}, got {port!r}")
        return ports[port]

    # ------------------------------------------------------------------ waves

    def waves_on(self, path: Path) -> None:
        """Record all cycles from now on into ``path`` (FST)."""
        self.waves_off()
        self._sim.start_vcd_trace(str(path), auto_tracing=False)
        self._tracing = True

    def waves_off(self) -> None:
        """End the recording, if there is one; the file is whole then."""
        if self._tracing:
            self._tracing = False
            self._sim.stop_vcd_trace()

    def close(self) -> None:
        """End a recording; the model goes with the object."""
        self.waves_off()

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_DECODE_FIELDS = (
    "rollout_id",
    "kv_offset",
    "delta_offset",
    "prefix_id",
    "seq_len",
    "max_tokens",
    "user_data",
)


def _build(workers: int, depth: int, say: Say) -> Path:
    """The model as pyverilator loads it, kept by the hash of its inputs."""
    files = filelist.collect(paths.rtl_dir().resolve(), TOP)
    fault = paths.verilated_dir() / "bridge_model.cpp"
    rings = dict.fromkeys(("RingDepth", "DoneDepth", "RewardDepth"), depth)
    parameters = rings | {"WorkerCount": workers}
    # With a step of 1 ns the assertions of the RTL, off at time 0, are on from the first cycle.
    options = ["--top-module", TOP, "--prefix", f"V{TOP}", "--timescale-override", "1ns/1ns"]
    options += ["--output-split", "0", "--x-initial", "unique", f"-I{files.sources[0].parent}"]
    options += [f"-G{name}={value}" for name, value in sorted(parameters.items())]
    version = simulators.find("verilator").version
    key = build_cache.key([version, *options], (*files.sources, *files.headers, fault))
    folder = plain_paths.plain(paths.build_dir()) / "verilated" / f"bridge-{key}"
    library = folder / f"V{TOP}"
    with build_cache.product(folder) as there:
        if there:
            return library
        say("compiling the RTL for the bridge, about half a minute")
        arguments = {
            "top_verilog_file": str(files.sources[-1]),
            "preceding_files": str(files.sources[-2]),
            "build_dir": str(folder),
            "args": [*options, str(fault), *map(str, files.sources[:-2])],
            "cargs": "--std=gnu++20 -O1 -fno-gnu-unique -DVL_USER_STOP -DVL_USER_FATAL",
            "dump_fst": True,
            "gen_only": False,
            "quiet": False,
        }
        log = folder / "build.log"
        # pyverilator prints the output of the compilers: in a process of its own, that is a log.
        code = (
            "import json, sys; from pyverilator import PyVerilator; "
            "PyVerilator.build(**json.load(sys.stdin))"
        )
        with log.open("wb") as output:
            result = subprocess.run(
                [plain_paths.python(), "-c", code],
                input=json.dumps(arguments).encode(),
                stdout=output,
                stderr=subprocess.STDOUT,
                env=simulators.environment()
                | {"MAKEFLAGS": plain_paths.make_flags(folder, f"-j{os.cpu_count() or 1}")},
                timeout=_BUILD_TIMEOUT_S,
            )
        if result.returncode != 0 or not library.is_file():
            raise SimulationError(
                f"the RTL did not build for the bridge: exit code {result.returncode}\n"
                f"{processes.log_tail(log)}\n  log: {log}"
            )
    return library
