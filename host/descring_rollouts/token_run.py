# SPDX-License-Identifier: Apache-2.0
"""The tokens of a run: an engine driven by the event log, whatever the core and the device.

A tick's log states which lines completed, which blocks they wrote and which rollouts ended, in
order. So the engine advances a rollout when its completion has been consumed, and every backend
gives the same tokens [REC-005]. Only where a token can end a rollout it looks at the completions
before the core does [REC-007].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model import Lines
from descring_model.engine import contract
from descring_model.engine.batch import padded
from descring_model.engine.interface import STATUS_NAMES, Engine, EngineError
from descring_model.engine.numbers import F32
from descring_model.engine.records import ROLLOUT_DTYPE, kv_blocks, kv_digest, words
from descring_model.rollouts import contract as rollouts
from descring_model.rollouts.records import Records
from descring_model.rollouts.windows import DECODE, DONE, NEEDS_REWARD, OWNED, PREFILL

from descring_rollouts.block_maps import BlockMaps
from descring_rollouts.engines import Sampling
from descring_rollouts.prompts import Tokens

_EVENT = rollouts.EVENT
_FOLLOWED = ("NODE", "ADMIT", "STATE", "COPY", "LINE", "COMPLETION", "RELEASE", "NODE_FREE")
_CODES = np.array([_EVENT[name] for name in _FOLLOWED], dtype=np.uint16)
_DONE = rollouts.STATE["DONE"]
_BLOCK_TOKENS = contract.BLOCK_TOKENS
_LOW = rollouts.NONE
_RESULTS = (DONE, NEEDS_REWARD)
_SLOT = next(item for item in rollouts.USER_DATA if item.name == "SLOT")


class Layout:
    """Where a run's blocks, records, states, tokens and maps are in its arena.

    Attributes:
        first: offset of the first record, behind the blocks.
        stride: bytes from a slot's record to the next one's.
        places: of each part, the offset from its record.
        size: bytes of the arena.
    """

    def __init__(self, config: Records, requests: Records) -> None:
        """Lay out a run of ``requests``."""
        longest = int(requests["max_tokens"].max(initial=1))
        needed = -(-requests["max_tokens"].astype(np.int64) // _BLOCK_TOKENS)
        needed += -(-requests["prompt_tokens"].astype(np.int64) // _BLOCK_TOKENS)
        self.first = min(int(config["kv_blocks"][0]), int(needed.sum())) * contract.BLOCK_BYTES
        sizes = {
            "record": contract.RECORD_BYTES,
            "state": contract.STATE_BYTES,
            "tokens": 4 * longest,
            "blocks": 4 * -(-longest // _BLOCK_TOKENS),
        }
        self.places: dict[str, int] = {}
        self.stride = 0
        for name, size in sizes.items():
            self.places[name] = self.stride
            self.stride += padded(size)
        self.size = self.first + min(int(config["slots"][0]), len(requests)) * self.stride


@dataclass
class _Rollout:
    """A live rollout: its record's offset, and its map as it grows."""

    offset: int
    node: int
    blocks: list[int]
    delivered: bool = False


class TokenRun:
    """One run's arena, records and tokens.

    Attributes:
        tokens: of each rollout that was delivered, by its request: prompt and decoded tokens.
        digests: of each of those, the digest of its keys and values [REC-006].
    """

    def __init__(
        self,
        engine: Engine,
        config: Records,
        requests: Records,
        prompts: Sequence[Tokens] | Mapping[int, Tokens],
        sampling: Sampling,
        arena: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        """Lay out an arena.

        Args:
            engine: makes the tokens.
            config: ``(1,)`` of CONFIG_DTYPE.
            requests: ``(n,)`` of REQUEST_DTYPE.
            prompts: the tokens of each group, by its number.
            sampling: of every rollout.
            arena: of the engine, ``Layout.size`` bytes or more, with any content; None: a new one.
        """
        self._engine, self._requests, self._prompts = engine, requests, prompts
        self._members = sampling.members()
        self._eos = sampling.eos
        layout = Layout(config, requests)
        self._places, self._stride, self._first = layout.places, layout.stride, layout.first
        self._arena = engine.new_arena(layout.size) if arena is None else arena
        self._kv = kv_blocks(self._arena[: self._first])
        self._maps = BlockMaps()
        self._rollouts: dict[int, _Rollout] = {}
        self._states: dict[int, F32] = {}
        self._waiting: dict[int, list[int]] = {}
        self._pending: dict[int, tuple[int, int]] = {}
        self._ended: list[tuple[int, int]] = []
        self._handlers: dict[int, Callable[[int, Any], None]] = {
            _EVENT[name]: getattr(self, f"_{name.lower()}") for name in _FOLLOWED
        }
        self.tokens: dict[int, Tokens] = {}
        self.digests: dict[int, int] = {}

    def address(self, lines: Lines) -> Lines:
        """A copy of a window in which each line names its rollout's record [REC-005]."""
        found = lines.copy()
        slots = found["user_data"] >> np.uint64(_SLOT.lsb) & np.uint64((1 << _SLOT.width) - 1)
        found["kv_offset"] = slots * np.uint64(self._stride) + np.uint64(self._first)
        found["checksum_or_cookie"] = (
            found["kv_offset"]
            ^ found["delta_offset"]
            ^ found["rollout_id"].astype(np.uint64) << np.uint64(32)
        )
        return found

    def end_at_eos(self, lines: Lines) -> Lines:
        """A window's completions, where a rollout that made its ``eos`` is DONE [REC-007].

        Args:
            lines: as the device returned them. What cannot be right is left for the core to refuse.

        Raises:
            EngineError: the engine refused a rollout.
        """
        if self._eos is None:
            return lines
        found = lines.copy()
        places: dict[int, int] = {}
        ends: dict[int, int] = {}
        columns = ("opcode", "flags", "rollout_id", "seq_len")
        for place, (opcode, flags, request, end) in enumerate(found[list(columns)].tolist()):
            if flags & OWNED in _RESULTS and self._can_reach(opcode, request, end):
                places[request], ends[request] = place, end
        before = {request: self._length(request) for request in ends}
        self._run_engine(ends)
        for request, end in ends.items():
            first = max(before[request], int(self._requests["prompt_tokens"][request]))
            made = self._words(self._rollouts[request].offset, "tokens", end)[first:]
            hits = np.flatnonzero(made == self._eos)
            if len(hits):
                length = first + int(hits[0]) + 1
                self._record(self._rollouts[request].offset)["length"] = length
                line = found[places[request] : places[request] + 1]
                line["flags"] = line["flags"] & ~np.uint16(OWNED) | np.uint16(DONE)
                line["seq_len"] = length
        return found

    def _can_reach(self, opcode: int, request: int, end: int) -> bool:
        """Whether a completion with this length is one that the rollout's line can have."""
        if request not in self._rollouts:
            return False
        if opcode == PREFILL:
            return end == int(self._requests["prompt_tokens"][request])
        start, limit = self._length(request), int(self._requests["max_tokens"][request])
        return opcode == DECODE and start <= end <= min(
            limit, (start // _BLOCK_TOKENS + 1) * _BLOCK_TOKENS
        )

    def _length(self, request: int) -> int:
        return int(self._record(self._rollouts[request].offset)["length"])

    def process(self, records: Records) -> None:
        """Do what further records of the log ask for.

        Args:
            records: of whole ticks, each given once.

        Raises:
            EngineError: the engine refused a rollout.
        """
        for record in records[np.isin(records["code"], _CODES)]:
            self._handlers[int(record["code"])](int(record["rollout"]), record)
        self._settle()

    def tokens_so_far(self, request: int, length: int) -> Tokens:
        """The first ``length`` tokens of a live rollout, a copy."""
        found: Tokens = self._words(self._rollouts[request].offset, "tokens", length).copy()
        return found

    def _words(self, offset: int, name: str, count: int) -> Tokens:
        return words(self._arena, offset + self._places[name], count)

    def _record(self, offset: int) -> Any:
        return self._arena[offset : offset + contract.RECORD_BYTES].view(ROLLOUT_DTYPE)[0]

    def _node(self, request: int, record: Any) -> None:
        self._settle()
        self._maps.node(int(record["a"]), int(record["b"]), int(record["c"]))
        self._waiting[int(record["a"])] = []

    def _admit(self, request: int, record: Any) -> None:
        self._settle()
        node, asked = int(record["b"]), self._requests[request]
        offset = self._first + int(record["slot"]) * self._stride
        made = _Rollout(offset, node, self._maps.admit(request, node))
        self._rollouts[request] = made
        prompt = self._prompts[int(asked["group"])]
        fresh = self._record(offset)
        members = {
            **self._members,
            **{name: offset + self._places[name] for name in ("tokens", "blocks", "state")},
            "prompt_tokens": len(prompt),
            "group": int(asked["group"]),
            "sample": int(asked["sample"]),
            "length": 0,
        }
        for name, value in members.items():
            fresh[name] = value
        self._words(offset, "tokens", len(prompt))[:] = prompt
        self._show_map(made)
        if node in self._states:
            self._share_state(request)
        else:
            self._words(offset, "state", contract.DIMS)[:] = 0
            self._waiting[node].append(request)
        self._wrote(offset, self._stride)

    def _copy(self, request: int, record: Any) -> None:
        self._settle()
        made = self._rollouts[request]
        source, block, count = int(record["a"]), int(record["b"]), int(record["c"])
        self._maps.write(request, made.blocks.index(source), block)
        self._copy_block(source, block, count)
        self._show_map(made)

    def _line(self, request: int, record: Any) -> None:
        self._settle()
        if int(record["c"]) != rollouts.NONE:
            place = (int(record["d"]) & _LOW) // _BLOCK_TOKENS
            self._maps.write(request, place, int(record["c"]))
            self._show_map(self._rollouts[request])

    def _completion(self, request: int, record: Any) -> None:
        opcode = int(record["b"]) & 0xFFFF
        if opcode in (PREFILL, DECODE):
            self._pending[request] = opcode, int(record["d"]) & _LOW

    def _state(self, request: int, record: Any) -> None:
        if int(record["b"]) != _DONE:
            return
        self._rollouts[request].delivered = int(record["c"]) == 0
        if int(record["c"]) and self._pending.get(request, (PREFILL,))[0] != PREFILL:
            del self._pending[request]  # what a cancelled rollout decoded is not written [PIPE-006]

    def _release(self, request: int, record: Any) -> None:
        self._ended.append((request, int(record["a"])))

    def _node_free(self, request: int, record: Any) -> None:
        self._settle()
        node = int(record["a"])
        self._maps.node_free(node, int(record["b"]))
        self._states.pop(node, None)
        del self._waiting[node]

    def _show_map(self, made: _Rollout) -> None:
        self._words(made.offset, "blocks", len(made.blocks))[:] = made.blocks
        self._wrote(made.offset + self._places["blocks"], 4 * len(made.blocks))

    def _share_state(self, request: int) -> None:
        """Begin behind the prompt, whose keys and values are in the node's blocks [REC-002]."""
        made = self._rollouts[request]
        state = self._words(made.offset, "state", contract.DIMS).view(np.float32)
        state[:] = self._states[made.node]
        record = self._record(made.offset)
        record["length"] = record["prompt_tokens"]
        self._wrote(made.offset, contract.RECORD_BYTES)
        self._wrote(made.offset + self._places["state"], contract.STATE_BYTES)

    def _wrote(self, offset: int, size: int) -> None:
        """Bytes of the arena have changed: of use where the engine has an arena elsewhere."""

    def _copy_block(self, source: int, block: int, count: int) -> None:
        """Copy the keys and values of the first ``count`` tokens of a block."""
        self._kv[block, :, :count] = self._kv[source, :, :count]

    def _digest(self, blocks: Sequence[int], length: int) -> int:
        """Of the keys and values of a rollout with these blocks [REC-006]."""
        return kv_digest(self._kv, np.array(blocks), length)

    def _settle(self) -> None:
        """Advance what has completed, then let go of what has ended."""
        if self._pending:
            self._advance(dict(self._pending))
            self._pending.clear()
        for request, count in self._ended:
            self._finish(request, count)
        self._ended.clear()

    def _run_engine(self, ends: Mapping[int, int]) -> None:
        """Advance rollouts to these lengths."""
        if not ends:
            return
        offsets = [self._rollouts[request].offset for request in ends]
        statuses = self._engine.advance(
            self._arena,
            np.array(offsets, dtype=np.uint64),
            np.array(list(ends.values()), dtype=np.uint32),
        )
        for request, status in zip(ends, statuses.tolist(), strict=True):
            if status:
                asked = self._requests[request]
                raise EngineError(
                    STATUS_NAMES[status],
                    f"group {asked['group']} sample {asked['sample']}: expected tokens to "
                    f"{ends[request]}, stopped at position {self._length(request)}",
                )

    def _advance(self, pending: dict[int, tuple[int, int]]) -> None:
        ends = {request: end for request, (_, end) in pending.items()}
        self._run_engine({name: end for name, end in ends.items() if self._length(name) < end})
        for request, (opcode, _) in pending.items():
            if opcode == PREFILL:
                made = self._rollouts[request]
                state = self._words(made.offset, "state", contract.DIMS).view(np.float32)
                self._states[made.node] = state.copy()
                for waiting in self._waiting[made.node]:
                    if waiting in self._rollouts and waiting != request:
                        self._share_state(waiting)
                self._waiting[made.node].clear()

    def _finish(self, request: int, count: int) -> None:
        made = self._rollouts.pop(request)
        if made.delivered:
            length = int(self._record(made.offset)["length"])
            self.tokens[request] = self._words(made.offset, "tokens", length).copy()
            self.digests[request] = self._digest(made.blocks, length)
        self._maps.release(request, count)
