# SPDX-License-Identifier: Apache-2.0
"""The records of the phase Schedule: lines, copies, windows and score requests."""

from __future__ import annotations

from collections import deque

from descring_model.rollouts.records import Records
from rollout_audit_state import NONE, AuditState, Line, Live, S

PREFILL, DECODE, REWARD = 3, 1, 2
PHASES = ("Complete", "Cancel", "Recycle", "Admit", "Sweep", "Schedule", "Deliver")


class AuditLines(AuditState):
    """Checks what a tick submits; ``expect`` holds what the next records must be."""

    def __init__(self, config: Records, requests: Records) -> None:
        super().__init__(config, requests)
        self.phase = 0
        self.part = 0
        self.expect: deque[tuple[str, dict[str, int]]] = deque()
        self.expected = False

    def enter(self, phase: str) -> None:
        """Advance to ``phase`` of this tick, and check what each one before it had to do."""
        place = PHASES.index(phase)
        assert self.phase <= place, f"a record of {phase} after {PHASES[self.phase]}"
        while self.phase < place:
            getattr(self, f"leave_{PHASES[self.phase].lower()}")()
            self.phase += 1

    def start_decode(self) -> None:
        """Only decode lines follow in this window."""
        assert self.pass_prefill(len(self.lines) == self.room()) is None, "a prompt was left"
        self.part = 2

    def copies(self, item: Live) -> bool:
        """Whether the next line of the rollout needs a copy of the prompt's last block."""
        request = self.requests[item.request]
        writes = item.length < int(request["max_tokens"])
        return bool(request["prompt_tokens"] % 32) and not item.blocks and writes

    def on_copy(self, v: dict[str, int]) -> None:
        """The prompt's partial last block, once a rollout."""
        self.enter("Schedule")
        item = self.live[v["rollout"]]
        assert self.expected
        (block,) = self.take_blocks(1)
        prompt = int(self.requests["prompt_tokens"][item.request])
        assert (v["a"], v["b"]) == (self.nodes[item.node].blocks[-1], block)
        assert v["c"] == prompt % 32
        item.blocks.append(block)
        item.reserved -= 1
        self.expect.append(("LINE", {"rollout": item.request}))

    def on_line(self, v: dict[str, int]) -> None:
        """The next place of the window, in the order reward, prefill, decode."""
        self.enter("Schedule")
        assert len(self.lines) < self.room(), "more lines than there is room for"
        item = self.live[v["rollout"]]
        request = self.requests[item.request]
        prompt, end = int(request["prompt_tokens"]), int(request["max_tokens"])
        opcode = v["b"] & 0xFFFF
        assert (v["a"], v["b"] >> 16) == (self.number, len(self.lines))
        length = item.length
        if opcode == PREFILL:
            assert self.part <= 1
            self.part = 1
            assert self.pass_prefill(False) == item.request
            self.fifo["prefill"].remove(item.request)
            self.nodes[item.node].state = "FILLING"
            length, end = 0, prompt
        elif opcode == DECODE:
            self.start_decode()
            assert self.queue["decode"].next() == item.request
            self.queue["decode"].leave(item.request)
            assert self.state[item.slot] == S["DECODING"]
            self.decode_block(item, v["c"], prompt, end)
        else:
            assert opcode == REWARD
            assert self.part == 0
            assert self.expected
        assert opcode == DECODE or v["c"] == NONE
        assert v["d"] == length | end << 32
        index = len(self.lines)
        self.lines.append(Line(item.request, item.slot, self.number, index, opcode, length, end))
        item.place = "service"

    def decode_block(self, item: Live, block: int, prompt: int, end: int) -> None:
        """The block that the leg writes: its own, the next lowest, or none."""
        if item.length >= end:
            assert block == NONE
            return
        place = item.length // 32 - prompt // 32
        if place == len(item.blocks):
            assert not self.copies(item), "a copy is missing"
            item.blocks += self.take_blocks(1)
            item.reserved -= 1
        assert block == item.blocks[place]

    def on_window(self, v: dict[str, int]) -> None:
        """Behind its lines, which are all that are in flight besides the earlier ones."""
        self.enter("Schedule")
        assert (v["a"], v["b"]) == (self.number, len(self.lines))
        assert v["b"] > 0
        assert v["c"] == self.in_flight() + v["b"] <= self.config["ring_slots"]
        self.windows[self.tick + self.config["depth"]] = deque(self.lines)
        self.lines = []
        self.number += 1

    def on_score_request(self, v: dict[str, int]) -> None:
        """One more of this tick's batch."""
        self.enter("Schedule")
        assert self.expected
        item = self.live[v["rollout"]]
        assert (v["a"], v["b"], v["c"]) == (self.config["scorer"], item.final, item.length)
        self.batches.setdefault(self.tick + self.config["score_ticks"], deque()).append(
            item.request
        )
        item.place = "service"
