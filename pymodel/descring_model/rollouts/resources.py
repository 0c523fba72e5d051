# SPDX-License-Identifier: Apache-2.0
"""What rollouts hold: slots, queues, credits, seats and KV, taken and released in one place each.

:meth:`Resources.move` is the only function that changes a state, and :meth:`Resources.end` the only
one that releases a rollout [PIPE-004] [PIPE-012].
"""

from __future__ import annotations

from collections import Counter

from descring_model.rollouts import contract
from descring_model.rollouts.kv import Arena
from descring_model.rollouts.policies import Candidate, PolicyQueue
from descring_model.rollouts.prefixes import PrefixTree
from descring_model.rollouts.queues import Credits, SlotQueue
from descring_model.rollouts.records import (
    Records,
    blocks_of,
    check_config,
    check_requests,
    own_blocks,
)
from descring_model.rollouts.slab import Slab
from descring_model.rollouts.state import EventLog, Rollout, Seats

_STATE = contract.STATE
_NAMES = {item.value: item.name for item in contract.STATES}
_HELD: dict[str, frozenset[str]] = {
    "FREE": frozenset(),
    "PREFILL_READY": frozenset({"decode"}),
    "DECODING": frozenset({"decode"}),
    "REWARD_PENDING": frozenset({"decode", "reward"}),
    "TRAJECTORY_READY": frozenset({"decode", "trajectory"}),
    "DONE": frozenset(),
}
"""Credits of each state [PIPE-004]."""


class Resources:
    """Slab, queues, credits, seats and KV of one run, and the moves of a rollout among them.

    Attributes:
        config: the configuration, one record.
        requests: ``(n,)`` of REQUEST_DTYPE.
        rollouts: the live ones and those in done, by slot.
        by_request: the live ones, by request.
        ended: outcome of each request that has ended.
        ready: nodes whose prompt is written.
        filling: nodes whose PREFILL line has been submitted.
        decoded: tokens of the DECODE completions used.
        counts: what :mod:`.counting` cannot take from the log.
        log: the events.
    """

    def __init__(self, config: Records, requests: Records) -> None:
        check_config(config)
        check_requests(config, requests)
        self.config = config[0].copy()
        self.requests = requests.copy()
        self.scorer = int(self.config["scorer"])
        slots = int(self.config["slots"])
        policy, overtake = int(self.config["policy"]), int(self.config["overtake"])
        self.slab = Slab(slots)
        self.free = SlotQueue("free", slots)
        for slot in range(slots):
            self.free.push(slot)
        self.prefill = SlotQueue("prefill", slots)
        self.decode = PolicyQueue(policy, overtake)
        self.reward = SlotQueue("reward", slots)
        self.trajectory = SlotQueue("trajectory", slots)
        self.done = SlotQueue("done", slots)
        self.waiting = PolicyQueue(policy, overtake)
        self.decode_credits = Credits("decode", int(self.config["decode_credits"]))
        self.reward_credits = Credits("reward", int(self.config["reward_credits"]))
        self.trajectory_credits = Credits("trajectory", int(self.config["trajectory_credits"]))
        self._credits = {
            "decode": self.decode_credits,
            "reward": self.reward_credits,
            "trajectory": self.trajectory_credits,
        }
        self.seats = Seats(int(self.config["seats"]), int(self.config["staleness"]))
        self.arena = Arena(int(self.config["kv_blocks"]))
        self.tree = PrefixTree(self.arena, nodes=2 * slots, branches=slots)
        self.ready: set[int] = set()
        self.filling: set[int] = set()
        self._node_of: dict[int, int] = {}
        self._prefix_of: dict[int, int] = {}
        self.rollouts: dict[int, Rollout] = {}
        self.by_request: dict[int, Rollout] = {}
        self.ended: dict[int, str] = {}
        self.decoded = 0
        self.counts: Counter[str] = Counter()
        self.log = EventLog()

    def option(self, name: str) -> bool:
        """Whether an option of the configuration is set."""
        return bool(int(self.config["options"]) & contract.OPTION[name])

    def arrive(self, number: int) -> None:
        """Put a request into the waiting queue."""
        self.counts["arrived"] += 1
        request = self.requests[number]
        remaining = int(request["max_tokens"]) - int(request["prompt_tokens"])
        self.waiting.push(number, Candidate(int(request["group"]), remaining, int(request["rank"])))

    def lacks(self, number: int) -> str | None:
        """What the request lacks to be admitted now, first of all; None: nothing [MET-002]."""
        if not len(self.free):
            return "slot"
        if not self.decode_credits.free:
            return "credit"
        if self.seats.find() is None:
            return "seat"
        return "blocks" if self._blocks_for(number) > self.arena.available else None

    def admit(self, number: int) -> Rollout:
        """Admit a request that :meth:`lacks` nothing and is no longer in the waiting queue."""
        request = self.requests[number]
        group, longest = int(request["group"]), int(request["max_tokens"])
        prompt = int(request["prompt_tokens"])
        prefix = self._prefix(number)
        if prefix not in self._node_of:
            node = self.tree.node(0, prompt)
            self._node_of[prefix] = node
            self._prefix_of[node] = prefix
            blocks = self.tree.nodes[node].blocks
            self.log.add("NODE", a=node, b=len(blocks), c=blocks[0] & contract.NONE, d=group)
        node = self._node_of[prefix]
        branch = self.tree.fork(node, longest)
        slot = self.free.pop()
        handle = self.slab.admit(slot)
        step = self.seats.find()
        assert step is not None, "lacks() has found a seat"
        self.seats.take(step)
        rollout = Rollout(
            number,
            group,
            int(request["sample"]),
            prompt,
            longest,
            int(request["rank"]),
            slot,
            handle,
            node,
            branch,
            self.seats.version,
            step,
            prompt,
        )
        self._take("PREFILL_READY", "FREE")
        self.rollouts[slot] = rollout
        self.by_request[number] = rollout
        self.log.add(
            "ADMIT",
            rollout,
            a=handle >> 32,
            b=node,
            c=self.tree.branches[branch].reserved,
            d=rollout.version | step << 32,
        )
        return rollout

    def to_decode(self, rollout: Rollout) -> None:
        """Put a rollout into decode."""
        self.decode.push(rollout.slot, Candidate(rollout.group, rollout.remaining, rollout.rank))

    def leave_queue(self, rollout: Rollout) -> None:
        """Take a rollout that is not in service out of the queue that it is in."""
        for queue in (self.prefill, self.decode, self.reward, self.trajectory):
            if rollout.slot in queue:
                queue.remove(rollout.slot)
                return
        raise KeyError(f"request {rollout.request} is in no queue")

    def move(self, rollout: Rollout, state: str) -> None:
        """Change a rollout's state, and with it the credits that it holds [PIPE-004]."""
        start = self.slab.state(rollout.handle)
        self._take(state, _NAMES[start])
        self.slab.move(rollout.handle, start, _STATE[state])
        self._changed(rollout, start)

    def end(self, rollout: Rollout, outcome: str) -> None:
        """Move a rollout to DONE and release all that it holds [PIPE-012].

        Args:
            rollout: a live one, in no queue but perhaps done.
            outcome: ``delivered``, ``cancelled`` or ``failed``.
        """
        start = self.slab.state(rollout.handle)
        if outcome == "delivered":
            self.slab.move(rollout.handle, start, _STATE["DONE"])
        elif outcome == "cancelled":
            self.slab.cancel(rollout.handle)
        else:
            self.slab.fail(rollout.handle)
        self._changed(rollout, start)
        self._give_back("DONE", _NAMES[start])
        released = self.tree.release(rollout.branch)
        if outcome != "delivered":
            self.seats.give_back(rollout.step)
        self.log.add(
            "RELEASE",
            rollout,
            a=released.blocks,
            b=released.reserved,
            c=self.arena.in_use,
            d=self.decode_credits.used | self.reward_credits.used << 32,
        )
        self.counts[outcome] += 1
        self.ended[rollout.request] = outcome
        del self.by_request[rollout.request]
        self.done.push(rollout.slot)

    def recycle(self, slot: int) -> None:
        """Move an ended rollout to FREE and its slot to the tail of free."""
        rollout = self.rollouts.pop(slot)
        self.slab.move(rollout.handle, _STATE["DONE"], _STATE["FREE"])
        self._changed(rollout, _STATE["DONE"])
        self.free.push(slot)

    def forget(self, node: int) -> None:
        """Note that a node has been freed."""
        del self._node_of[self._prefix_of.pop(node)]
        self.ready.discard(node)
        self.filling.discard(node)

    def _changed(self, rollout: Rollout, start: int) -> None:
        word = self.slab.words[rollout.slot]
        self.log.add("STATE", rollout, a=start, b=word & 0xFF, c=self.slab.flags(rollout.slot))

    def _take(self, state: str, start: str) -> None:
        """Take the credits that ``state`` adds to those of ``start``, give back the others."""
        for stage in sorted(_HELD[state] - _HELD[start]):
            self._credits[stage].take()
        self._give_back(state, start)

    def _give_back(self, state: str, start: str) -> None:
        for stage in sorted(_HELD[start] - _HELD[state]):
            self._credits[stage].give_back()

    def _prefix(self, number: int) -> int:
        """What names the prefix of a request: its group with SHARE, else itself."""
        return int(self.requests["group"][number]) if self.option("SHARE") else number

    def _blocks_for(self, number: int) -> int:
        request = self.requests[number]
        prompt, longest = int(request["prompt_tokens"]), int(request["max_tokens"])
        own = own_blocks(prompt, longest)
        return own if self._prefix(number) in self._node_of else own + blocks_of(prompt)
