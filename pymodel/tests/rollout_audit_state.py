# SPDX-License-Identifier: Apache-2.0
"""What follows from the records of a log so far; :mod:`rollout_audit` checks the next one."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

from descring_model.rollouts import contract
from descring_model.rollouts.records import Records

S = contract.STATE
NONE = contract.NONE
EDGES = {(S[start], S[end]) for start, end in contract.EDGES}
HOLDERS = {"decode": (1, 2, 3, 4), "reward": (3,), "trajectory": (4,)}


def ceil(tokens: int) -> int:
    """Blocks of so many tokens."""
    return -(-tokens // 32)


@dataclass
class Entry:
    """An entry of a searched queue, with the overtakes that it has suffered."""

    key: int
    rank: int
    overtakes: int = 0


class SearchedQueue:
    """SCHED-002 to SCHED-004 by searching the whole list."""

    def __init__(self, policy: int, overtake: int) -> None:
        self.policy = policy
        self.overtake = overtake
        self.entries: list[Entry] = []
        self.leaders: dict[int, int] = {}
        self.pushed = 0

    def push(self, key: int, group: int, remaining: int, rank: int) -> None:
        """Fix the entry's rank."""
        self.leaders.setdefault(group, self.pushed)
        ranks = (0, remaining, -remaining, self.leaders[group], rank)
        self.entries.append(Entry(key, ranks[self.policy]))
        self.pushed += 1

    def next(self) -> int | None:
        """The key that leaves next."""
        if not self.entries:
            return None
        if self.overtake != NONE and self.entries[0].overtakes >= self.overtake:
            return self.entries[0].key
        return min(self.entries, key=lambda entry: entry.rank).key

    def leave(self, key: int) -> None:
        """Count a departure against all older entries."""
        place = next(n for n, entry in enumerate(self.entries) if entry.key == key)
        for older in self.entries[:place]:
            older.overtakes += 1
        del self.entries[place]


@dataclass(frozen=True)
class Line:
    """A line in flight."""

    request: int
    slot: int
    window: int
    index: int
    opcode: int
    length: int
    end: int


@dataclass
class Node:
    """A prefix that the log made."""

    prefix: int
    blocks: list[int]
    state: str = "EMPTY"
    branches: int = 0


@dataclass
class Live:
    """A rollout between ADMIT and DONE."""

    request: int
    slot: int
    node: int
    length: int
    reserved: int
    version: int
    step: int
    blocks: list[int] = field(default_factory=list)
    place: str = "prefill"
    final: bool = False
    marked: bool = False
    word: int = 0


class AuditState:
    """Slots, blocks, nodes, queues and seats, as the records so far leave them."""

    def __init__(self, config: Records, requests: Records) -> None:
        self.config = {name: int(config[name][0]) for name in config.dtype.names or ()}
        self.requests = requests
        slots = self.config["slots"]
        self.free = deque(range(slots))
        self.generation = [1] * slots
        self.state = [S["FREE"]] * slots
        self.free_blocks = set(range(self.config["kv_blocks"]))
        self.nodes: dict[int, Node] = {}
        self.live: dict[int, Live] = {}
        self.lines: list[Line] = []
        self.windows: dict[int, deque[Line]] = {}
        self.batches: dict[int, deque[int]] = {}
        self.number = 0
        self.queue = {
            name: SearchedQueue(self.config["policy"], self.config["overtake"])
            for name in ("waiting", "decode")
        }
        self.fifo: dict[str, list[int]] = {"prefill": [], "reward": [], "trajectory": []}
        self.done: deque[tuple[int, int]] = deque()
        self.outcome: dict[int, str] = {}
        self.arrived: set[int] = set()
        self.version = 0
        self.taken: defaultdict[int, int] = defaultdict(int)
        self.delivered: defaultdict[int, int] = defaultdict(int)
        self.decoded = 0
        self.tick = -1

    def option(self, name: str) -> bool:
        """Whether the run has the option."""
        return bool(self.config["options"] & contract.OPTION[name])

    def arrivals(self) -> None:
        """Put what has arrived into the waiting queue."""
        due = [
            (int(request["arrival"]), number)
            for number, request in enumerate(self.requests)
            if request["arrival"] <= self.tick and number not in self.arrived
        ]
        for _, number in sorted(due):
            self.arrived.add(number)
            if number not in self.outcome:
                request = self.requests[number]
                remaining = int(request["max_tokens"]) - int(request["prompt_tokens"])
                self.queue["waiting"].push(
                    number, int(request["group"]), remaining, int(request["rank"])
                )

    def prefix(self, number: int) -> int:
        """What names the prefix of a request."""
        return int(self.requests["group"][number]) if self.option("SHARE") else number

    def own(self, number: int) -> int:
        """Blocks that the rollout may need beyond the shared ones."""
        prompt, end = (int(self.requests[n][number]) for n in ("prompt_tokens", "max_tokens"))
        return ceil(end) - prompt // 32 if end > prompt else 0

    def holders(self, stage: str) -> int:
        """Rollouts whose state holds a credit of the stage."""
        return sum(1 for state in self.state if state in HOLDERS[stage])

    def has_credit(self, stage: str) -> bool:
        """Whether the stage takes one more."""
        limit = self.config[f"{stage}_credits"]
        return limit == NONE or self.holders(stage) < limit

    def seat(self) -> int | None:
        """The step that the next admission gets."""
        if self.config["seats"] == NONE:
            return 0
        steps = range(self.version, self.version + self.config["staleness"] + 1)
        return next((step for step in steps if self.taken[step] < self.config["seats"]), None)

    def available(self) -> int:
        """Free blocks without a claim."""
        return len(self.free_blocks) - sum(item.reserved for item in self.live.values())

    def admissible(self, number: int) -> bool:
        """Whether every resource of PIPE-009 is there."""
        need = self.own(number)
        if all(node.prefix != self.prefix(number) for node in self.nodes.values()):
            need += ceil(int(self.requests["prompt_tokens"][number]))
        return (
            bool(self.free)
            and self.has_credit("decode")
            and self.seat() is not None
            and need <= self.available()
        )

    def take_blocks(self, count: int) -> list[int]:
        """The lowest free blocks."""
        blocks = sorted(self.free_blocks)[:count]
        assert len(blocks) == count
        self.free_blocks -= set(blocks)
        return blocks

    def to(self, item: Live, queue: str) -> None:
        """Put a rollout into a queue."""
        item.place = queue
        self.fifo[queue].append(item.request)

    def to_decode(self, item: Live) -> None:
        """Put a rollout into decode."""
        item.place = "decode"
        request = self.requests[item.request]
        remaining = int(request["max_tokens"]) - item.length
        self.queue["decode"].push(
            item.request, int(request["group"]), remaining, int(request["rank"])
        )

    def follow(self, item: Live, start: int, end: int) -> None:
        """A transition of a live rollout, and the credits that go with it."""
        assert self.state[item.slot] == start
        assert (start, end) in EDGES
        self.state[item.slot] = end
        for stage in HOLDERS:
            limit = self.config[f"{stage}_credits"]
            assert limit == NONE or self.holders(stage) <= limit, f"too many holders of {stage}"

    def in_flight(self) -> int:
        """Lines of the windows that earlier ticks submitted and nothing has consumed."""
        now = self.tick + self.config["depth"]
        return sum(len(lines) for due, lines in self.windows.items() if due != now)

    def room(self) -> int:
        """Lines that this tick's window may have."""
        return min(self.config["window"], self.config["ring_slots"] - self.in_flight())

    def pass_prefill(self, full: bool) -> int | None:
        """Move what is READY to decode; the first EMPTY entry, or None if the window is full."""
        for number in list(self.fifo["prefill"]):
            item = self.live[number]
            node = self.nodes[item.node]
            if node.state == "READY":
                self.fifo["prefill"].remove(number)
                self.to_decode(item)
            elif node.state == "EMPTY":
                return None if full else number
        return None

    def can_promote(self) -> bool:
        """Whether a scored rollout could become TRAJECTORY_READY."""
        waits = [n for n in self.fifo["trajectory"] if self.state[self.live[n].slot] == 3]
        return bool(waits) and self.has_credit("trajectory")
