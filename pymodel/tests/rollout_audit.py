# SPDX-License-Identifier: Apache-2.0
"""Reads an event log and checks every record against the rules, without the golden model's parts.

All that a rollout, a block or a queue does is followed from the records alone: what each line must
return, which blocks are free, who is next. An implementation that writes an impossible record, or
leaves one out, fails an assertion that names the record.
"""

from __future__ import annotations

import struct
from typing import Any

from descring_model.rollouts import contract
from descring_model.rollouts.records import Records, describe_record
from rollout_audit_lines import DECODE, PREFILL, REWARD, AuditLines
from rollout_audit_state import Live, Node, S, ceil
from rollout_support import token

EVENT = {item.value: item.name for item in contract.EVENTS}
NEEDS_REWARD, DONE = 1, 2
FLAGS = {"delivered": 0, "cancelled": 1, "failed": 2}


def audit(config: Records, requests: Records, records: Records) -> None:
    """Check the log of a whole run."""
    Audit(config, requests).run(records)


class Audit(AuditLines):
    """One method for each event; ``expect`` holds what the next records must be."""

    def __init__(self, config: Records, requests: Records) -> None:
        super().__init__(config, requests)
        self.ended = False
        self.delivered_now = 0
        self.ending: tuple[Live, str] | None = None

    def run(self, records: Records) -> None:
        """Check all records of a whole run."""
        for record in records:
            try:
                self.one(record)
            except (AssertionError, KeyError, IndexError, ValueError, StopIteration) as error:
                raise AssertionError(f"{describe_record(record)}: {error!r}") from error
        assert self.ended, "expected END as the last record"

    def one(self, record: Any) -> None:
        """Check one record and follow it."""
        assert not self.ended, "a record behind END"
        while self.tick < record["tick"]:
            self.next_tick()
        assert record["tick"] == self.tick, "a tick fell"
        v = {name: int(record[name]) for name in ("slot", "rollout", "a", "b", "c", "d")}
        name = EVENT[int(record["code"])]
        self.expected = bool(self.expect)
        if self.expect:
            expected, members = self.expect.popleft()
            assert name == expected, f"expected {expected}"
            assert members.items() <= v.items(), f"expected {members}"
        if v["rollout"] in self.live and name != "NODE":
            assert v["slot"] == self.live[v["rollout"]].slot
        getattr(self, f"on_{name.lower()}")(v)

    def next_tick(self) -> None:
        """Check that the tick did all it had to, and start the next."""
        if self.tick >= 0:
            self.enter("Deliver")
            self.leave_deliver()
        assert not self.expect, f"missing: {self.expect}"
        self.tick += 1
        self.phase = self.part = self.delivered_now = 0

    def leave_complete(self) -> None:
        """Everything that was due has been consumed."""
        assert self.tick not in self.windows, "completions that were due are missing"
        assert self.tick not in self.batches, "scores that were due are missing"

    def leave_cancel(self) -> None:
        """No cancellation that is due is left."""
        assert not self.due_cancellations()

    def leave_recycle(self) -> None:
        """Every ended slot is free; then requests arrive."""
        assert not self.done, "a slot was not recycled"
        self.arrivals()

    def leave_admit(self) -> None:
        """The next request cannot be admitted."""
        number = self.queue["waiting"].next()
        assert number is None or not self.admissible(number), f"{number} was not admitted"

    def leave_sweep(self) -> None:
        """No idle node is left."""
        assert all(node.branches for node in self.nodes.values()), "an idle node was left"

    def leave_schedule(self) -> None:
        """The window is as full as it can be."""
        assert not self.lines, "a window was not closed"
        now = self.windows.get(self.tick + self.config["depth"], ())
        full = len(now) == self.room()
        needs_line = self.config["scorer"] == 0
        if self.fifo["reward"]:
            assert not self.has_credit("reward") or (needs_line and full), "a score was left"
        assert self.pass_prefill(full) is None, "a prompt was left"
        assert full or not self.queue["decode"].entries, "a leg was left"

    def leave_deliver(self) -> None:
        """As many trajectories as possible were delivered."""
        if not self.delivered_now:
            assert not self.can_promote(), "a trajectory was left"
        if self.fifo["trajectory"] and self.delivered_now < self.config["deliver"]:
            assert self.state[self.live[self.fifo["trajectory"][0]].slot] == 3

    def due_cancellations(self) -> list[int]:
        """What is to be cancelled now, in order."""
        due = [
            (int(request["cancel"]), number)
            for number, request in enumerate(self.requests)
            if request["cancel"] <= self.tick and number not in self.outcome
        ]
        return [n for _, n in sorted(due) if n not in self.live or not self.live[n].marked]

    def will_end(self, item: Live, outcome: str) -> None:
        """Expect the records of the one transition into DONE."""
        state = {"rollout": item.request, "b": S["DONE"], "c": FLAGS[outcome]}
        self.expect.append(("STATE", state))
        self.ending = (item, outcome)

    def on_completion(self, v: dict[str, int]) -> None:
        """The oldest line of the window that is due, with the device's result."""
        self.enter("Complete")
        line = self.windows[self.tick].popleft()
        if not self.windows[self.tick]:
            del self.windows[self.tick]
        item = self.live[line.request]
        assert (v["rollout"], v["slot"], v["a"]) == (line.request, line.slot, line.window)
        assert v["b"] == line.index << 16 | line.opcode
        item.place = ""
        if line.opcode == DECODE:
            boundary = (line.length // 32 + 1) * 32
            length = min(line.end, boundary) if line.length < line.end else line.length
            assert v["d"] == length
            assert v["c"] == (DONE if length == line.end else NEEDS_REWARD)
        else:
            assert v["c"] == DONE
        if line.opcode == REWARD:
            word = struct.unpack("<I", struct.pack("<f", (line.length & 255) / 255))[0]
            assert v["d"] == line.length | word << 32
            score = {"rollout": item.request, "b": int(item.final), "d": word}
            self.expect.append(("SCORE", score))
        elif line.opcode == PREFILL:
            assert v["d"] == line.end
            self.nodes[item.node].state = "READY"
            if not item.marked:
                self.to_decode(item)
        if item.marked and line.opcode != REWARD:
            self.will_end(item, "cancelled")
        elif line.opcode == DECODE:
            self.decoded_leg(item, length, done=v["c"] == DONE)

    def decoded_leg(self, item: Live, length: int, *, done: bool) -> None:
        """Where a rollout goes after a leg."""
        self.decoded += length - item.length
        item.length = length
        item.final = done
        if done and not self.option("FINAL_REWARD"):
            self.will_end(item, "delivered")
        elif done or self.option("BOUNDARY_REWARD"):
            self.to(item, "reward")
        else:
            self.to_decode(item)

    def scored(self, v: dict[str, int]) -> Live:
        """The rollout whose score is next."""
        self.enter("Complete")
        item = self.live[v["rollout"]]
        if self.config["scorer"]:
            assert self.tick not in self.windows, "a score before the window's completions"
            assert self.batches[self.tick].popleft() == item.request
            if not self.batches[self.tick]:
                del self.batches[self.tick]
        assert (v["a"], v["b"], v["c"]) == (self.config["scorer"], item.final, item.length)
        item.place = ""
        return item

    def on_score(self, v: dict[str, int]) -> None:
        """A score that is used, or that ends what was marked."""
        assert self.expected == (self.config["scorer"] == 0)
        item = self.scored(v)
        if self.config["scorer"] in (1, 2):
            r = self.requests[item.request]
            span = range(int(r["prompt_tokens"]), item.length)
            tokens = [token(int(r["group"]), int(r["sample"]), p) for p in span]
            assert v["d"] == sum(1 for t in tokens if t % 4 == 0)
        if item.marked:
            self.will_end(item, "cancelled")
        elif item.final:
            item.word = v["d"]
            self.to(item, "trajectory")
        else:
            self.expect.append(("STATE", {"rollout": item.request, "a": 3, "b": 2}))

    def on_scorer_failed(self, v: dict[str, int]) -> None:
        """The rollout ends, also where it was marked."""
        item = self.scored(v)
        self.will_end(item, "cancelled" if item.marked else "failed")

    def on_cancel(self, v: dict[str, int]) -> None:
        """The next cancellation that is due."""
        self.enter("Cancel")
        number = self.due_cancellations()[0]
        assert v["rollout"] == number
        if number not in self.live:
            assert (v["a"], v["b"], v["slot"]) == (0, 0, 0)
            self.outcome[number] = "cancelled"
            if number in self.arrived:
                self.queue["waiting"].leave(number)
            return
        item = self.live[number]
        served = item.place == "service"
        assert (v["a"], v["b"]) == (self.state[item.slot], served)
        if served:
            item.marked = True
            return
        if item.place == "decode":
            self.queue["decode"].leave(number)
        else:
            self.fifo[item.place].remove(number)
        self.will_end(item, "cancelled")

    def on_state(self, v: dict[str, int]) -> None:
        """A transition, by the state that it leads to."""
        if v["b"] == S["FREE"]:
            self.enter("Recycle")
            assert (v["a"], v["c"]) == (S["DONE"], 0)
            assert self.done.popleft() == (v["slot"], v["rollout"])
            self.state[v["slot"]] = S["FREE"]
            self.generation[v["slot"]] += 1
            self.free.append(v["slot"])
            return
        item = self.live[v["rollout"]]
        if v["b"] == S["DONE"]:
            self.on_done(item, v)
            return
        assert v["c"] == 0
        if v["b"] == S["TRAJECTORY_READY"]:
            self.enter("Deliver")
            assert not self.delivered_now
        elif not self.expected:
            self.enter("Schedule")
            if v["b"] == S["DECODING"]:
                self.start_decode()
        self.follow(item, v["a"], v["b"])
        if v["b"] == S["REWARD_PENDING"]:
            assert self.part == 0
            assert self.fifo["reward"].pop(0) == item.request
            event = "SCORE_REQUEST" if self.config["scorer"] else "LINE"
            self.expect.append((event, {"rollout": item.request}))
        elif v["b"] == S["TRAJECTORY_READY"]:
            before = self.fifo["trajectory"][: self.fifo["trajectory"].index(item.request)]
            assert all(self.state[self.live[n].slot] == S["TRAJECTORY_READY"] for n in before)
        elif self.expected:
            self.to_decode(item)
        else:
            assert self.queue["decode"].next() == item.request
            event = "COPY" if self.copies(item) else "LINE"
            self.expect.append((event, {"rollout": item.request}))

    def on_done(self, item: Live, v: dict[str, int]) -> None:
        """The transition into DONE; one that no other record asked for is a delivery."""
        assert self.state[item.slot] == v["a"]
        if not self.expected:
            self.enter("Deliver")
            assert v["c"] == 0
            assert v["a"] == S["TRAJECTORY_READY"]
            if not self.delivered_now:
                assert not self.can_promote()
            assert self.fifo["trajectory"].pop(0) == item.request
            self.delivered_now += 1
            assert self.delivered_now <= self.config["deliver"]
            self.ending = (item, "delivered")
        self.state[item.slot] = S["DONE"]
        self.expect.append(("RELEASE", {"rollout": item.request}))
        if not v["c"]:
            self.expect.append(("TRAJECTORY", {"rollout": item.request}))

    def on_release(self, v: dict[str, int]) -> None:
        """All that the rollout held."""
        assert self.ending is not None
        item, outcome = self.ending
        assert (v["a"], v["b"]) == (len(item.blocks), item.reserved)
        self.free_blocks |= set(item.blocks)
        assert v["c"] == self.config["kv_blocks"] - len(self.free_blocks)
        assert v["d"] == self.holders("decode") | self.holders("reward") << 32
        self.nodes[item.node].branches -= 1
        del self.live[item.request]
        self.outcome[item.request] = outcome
        self.done.append((item.slot, item.request))
        if outcome != "delivered":
            self.taken[item.step] -= 1

    def on_trajectory(self, v: dict[str, int]) -> None:
        """Length, score, version and the digest of what must be in the blocks."""
        assert self.ending is not None
        item, _ = self.ending
        assert (v["a"], v["b"], v["c"]) == (item.length, item.word, item.version)
        request = self.requests[item.request]
        prompt, group = int(request["prompt_tokens"]), int(request["group"])
        tags = [
            (1 << 63 | group << 32 if p < prompt else item.request << 32) + p
            for p in range(item.length)
        ]
        digest = sum(tag * (2 * p + 1) for p, tag in enumerate(tags)) % (1 << 64)
        assert v["d"] == (digest if self.option("CHECK_KV") else 0)
        self.delivered[item.step] += 1
        version = self.version
        while self.delivered[version] == self.config["seats"]:
            version += 1
            self.expect.append(("VERSION", {"a": version}))

    def on_version(self, v: dict[str, int]) -> None:
        """Only behind the delivery that completes a step."""
        assert self.expected
        self.version = v["a"]

    def on_node(self, v: dict[str, int]) -> None:
        """The lowest id, the lowest blocks, right before its leader's ADMIT."""
        self.enter("Admit")
        number = self.queue["waiting"].next()
        assert number is not None
        assert self.admissible(number)
        assert v["a"] == min(set(range(1, len(self.nodes) + 2)) - set(self.nodes))
        assert v["b"] == ceil(int(self.requests["prompt_tokens"][number]))
        assert v["d"] == self.requests["group"][number]
        blocks = self.take_blocks(v["b"])
        assert v["c"] == blocks[0]
        assert all(node.prefix != self.prefix(number) for node in self.nodes.values())
        self.nodes[v["a"]] = Node(self.prefix(number), blocks)
        self.expect.append(("ADMIT", {"rollout": number, "b": v["a"]}))

    def on_admit(self, v: dict[str, int]) -> None:
        """The policy's next, with all that it needs, in the slot at the head of free."""
        self.enter("Admit")
        number, slot = v["rollout"], v["slot"]
        node = self.nodes[v["b"]]
        assert self.queue["waiting"].next() == number
        assert node.prefix == self.prefix(number)
        fresh = ceil(int(self.requests["prompt_tokens"][number])) if self.expected else 0
        assert self.admissible(number) or fresh
        assert self.own(number) <= self.available()
        self.queue["waiting"].leave(number)
        assert self.free.popleft() == slot
        assert (v["a"], v["c"]) == (self.generation[slot], self.own(number))
        step = self.seat()
        assert step is not None
        assert v["d"] == self.version | step << 32
        assert step - self.version <= self.config["staleness"]
        self.taken[step] += 1
        prompt = int(self.requests["prompt_tokens"][number])
        item = Live(number, slot, v["b"], prompt, v["c"], self.version, step)
        self.live[number] = item
        node.branches += 1
        self.state[slot] = S["PREFILL_READY"]
        assert self.has_credit("decode") or self.holders("decode") == self.config["decode_credits"]
        if node.state == "READY":
            self.to_decode(item)
        else:
            self.to(item, "prefill")

    def on_node_free(self, v: dict[str, int]) -> None:
        """The lowest idle node."""
        self.enter("Sweep")
        assert v["a"] == min(n for n, node in self.nodes.items() if not node.branches)
        node = self.nodes.pop(v["a"])
        assert v["b"] == len(node.blocks)
        self.free_blocks |= set(node.blocks)

    def on_end(self, v: dict[str, int]) -> None:
        """Nothing is left, and the counts are those of the outcomes."""
        self.enter("Deliver")
        self.leave_deliver()
        assert not (self.live or self.nodes or self.windows or self.batches or self.done)
        assert set(self.outcome) == set(range(len(self.requests)))
        assert len(self.free_blocks) == self.config["kv_blocks"]
        outcomes = list(self.outcome.values())
        for member, name in zip("abc", FLAGS, strict=True):
            assert v[member] == outcomes.count(name)
        assert v["d"] == self.decoded
        self.ended = True
