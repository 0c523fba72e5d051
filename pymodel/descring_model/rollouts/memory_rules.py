# SPDX-License-Identifier: Apache-2.0
"""The rules of KV memory, prefixes, rewards and the event log."""

from __future__ import annotations

from descring_model.rules import HOST, MODEL, Rule

MEMORY_RULES: tuple[Rule, ...] = (
    Rule(
        "KV-001",
        5,
        "A block is 16384 bytes and holds 32 tokens: K(t) at `256 t`, V(t) at `8192 + 256 t`, each "
        "128 fp16. Block b begins at `16384 b`, in 64 bits. Token p of a sequence is slot `p mod "
        "32` of its block `floor(p / 32)`.",
        (MODEL, HOST),
    ),
    Rule(
        "KV-002",
        5,
        "Allocation returns the lowest free block. Without a free one it is OUT_OF_BLOCKS and "
        "changes nothing.",
        (MODEL, HOST),
    ),
    Rule(
        "KV-003",
        5,
        "A block's handle is `generation * 2^32 + block`; the generation is 1 at first and rises "
        "with each free, as in ROLL-001. Freeing is checked as in ROLL-005: BAD_BLOCK beyond the "
        "arena; FREED, REUSED or STALE where generations differ; STALE for the present "
        "generation of a block that is free. An error changes nothing.",
        (MODEL, HOST),
    ),
    Rule(
        "KV-004",
        5,
        "A reservation is a claim on a number of blocks, not on particular ones. `available` is "
        "the free blocks less all reservations. Reserving more than that, or allocating a node's "
        "blocks beyond it, is OUT_OF_BLOCKS; an allocation out of a reservation lowers it by 1 "
        "and cannot fail.",
        (MODEL, HOST),
    ),
    Rule(
        "KV-005",
        5,
        "`in use` is the blocks that are allocated; after the last release and sweep it and the "
        "reservations are 0, and every block is free exactly once.",
        (MODEL, HOST),
    ),
    Rule(
        "KV-006",
        5,
        "Admission reserves the blocks of the whole rollout less the shared part, so an admitted "
        "rollout always finishes, without preemption.",
        (MODEL, HOST),
    ),
    Rule(
        "KV-007",
        5,
        "Each slot of a block has a 64-bit content tag, also beside an engine's keys and values: "
        "`2^63 + group * 2^32 + p` of a prompt's token p and `request * 2^32 + p` of any "
        "other, written when the completion of its PREFILL or DECODE line is consumed.",
        (MODEL, HOST),
    ),
    Rule(
        "KV-008",
        5,
        "The digest of a sequence is the sum over its tokens p of `tag(p) * (2 p + 1)` mod 2^64, "
        "with the tags read through the block map before the branch is released.",
        (MODEL, HOST),
    ),
    Rule(
        "COW-001",
        6,
        "`node(parent, tokens)` makes the lowest unused id, from 1; parent 0 is none (0 tokens). "
        "`tokens` is the length of the whole prefix, above the parent's. It owns the blocks from "
        "`floor(parent tokens / 32)` to `ceil(tokens / 32)`, allocated at once in ascending "
        "position, each the lowest free; a parent's partial last block is copied into the first. "
        "Errors, checked in this order: BAD_NODE, BAD_LENGTH, OUT_OF_NODES, OUT_OF_BLOCKS.",
        (MODEL, HOST),
    ),
    Rule(
        "COW-002",
        6,
        "The count of a node is its child nodes plus its live branches, and 0 at first. At 0 it "
        "is idle: it keeps its blocks until the next sweep, and a fork or a child before then "
        "uses it again.",
        (MODEL, HOST),
    ),
    Rule(
        "COW-003",
        6,
        "`fork(node, max_tokens)` makes a branch of the node's length (the lowest unused id, from "
        "0) and reserves its need: 0 if `max_tokens` is the node's length, else `ceil(max_tokens "
        "/ 32) - floor(tokens / 32)`. Its time depends on no length. Errors, checked in this "
        "order: BAD_NODE, BAD_LENGTH (`max_tokens` below the node's), OUT_OF_BRANCHES, "
        "OUT_OF_BLOCKS.",
        (MODEL, HOST),
    ),
    Rule(
        "COW-004",
        6,
        "`release(branch)` frees the branch's own blocks, gives back the rest of its reservation, "
        "and lowers the node's count by 1; its time does not depend on the node's length. A second "
        "release is BAD_BRANCH.",
        (MODEL, HOST),
    ),
    Rule(
        "COW-005",
        6,
        "`sweep()` frees the idle nodes with their blocks, always the one of the lowest id next, "
        "which lowers its parent's count and may make that idle; NODE_FREE is logged for each.",
        (MODEL, HOST),
    ),
    Rule(
        "COW-006",
        6,
        "Full blocks of a prefix are shared and never copied. A branch's first block is a copy of "
        "the prefix's partial last block (`tokens mod 32` slots, COPY) if that is not 0, made when "
        "the first token is to be written. It is the only copy. Every other own block is "
        "allocated, without a copy, when its first token is to be written.",
        (MODEL, HOST),
    ),
    Rule(
        "COW-007",
        6,
        "A branch writes only at its length and only to its own blocks. A write at any other "
        "position that a node holds is SHARED_BLOCK, one beyond `max_tokens` BAD_LENGTH.",
        (MODEL, HOST),
    ),
    Rule(
        "COW-008",
        6,
        "A failed fork or node takes nothing: counts, reservations, ids and blocks are as before.",
        (MODEL, HOST),
    ),
    Rule(
        "COW-009",
        6,
        "After the last release and a sweep, every block and every id is free.",
        (MODEL,),
    ),
    Rule(
        "COW-010",
        6,
        "Tokens with sharing on and off are identical: lengths, scores and digests of all "
        "trajectories are equal.",
        (MODEL, HOST),
    ),
    Rule(
        "COW-011",
        6,
        "n branches of a prefix of P tokens up to M tokens use `ceil(P / 32) + n (ceil(M / 32) - "
        "floor(P / 32))` blocks for M > P, where n copies use `n ceil(M / 32)`: 10 000 branches "
        "of 2 blocks over a prefix of 4 save 66.7 %.",
        (MODEL, HOST),
    ),
    Rule(
        "RWD-001",
        7,
        "`scorer` names who scores: 0 a REWARD line of the device (OP-010), 1 the token rule, 2 "
        "the token rule with the group's advantage as reward, 16 and up the caller's. A score is a "
        "32-bit word: float32 bits for scorer 0 and for 16 and up, a two's complement integer for "
        "1 and 2. 3 to 15 are BAD_CONFIG.",
        (MODEL, HOST),
    ),
    Rule(
        "RWD-002",
        7,
        "One score a rollout and boundary, delivered in order per rollout. A score that is "
        "delivered is used: it is logged, counted and part of the trajectory.",
        (MODEL, HOST),
    ),
    Rule(
        "RWD-003",
        7,
        "The requests of a tick are one batch. A batch that raises, dies, takes longer than its "
        "time limit or returns another number of scores fails: at the tick at which it is due, "
        "SCORER_FAILED is logged for each of its rollouts in order, and each ends as failed (or "
        "as cancelled where marked). Other rollouts continue; the run then ends with an error that "
        "names the failed ones.",
        (MODEL, HOST),
    ),
    Rule(
        "RWD-004",
        7,
        "The advantage of sample i of a group is `(n r_i - S) / n` over its n delivered samples "
        "with final scores r and their sum S: numerator exact, one rounding to float64, ties to "
        "even. A group without a delivered sample has none.",
        (MODEL, HOST),
    ),
    Rule(
        "RWD-005",
        7,
        "The token rule counts the tokens p, `prompt_tokens <= p < seq_len`, whose token mod 4 is "
        "0. Without an engine, token p of (group g, sample s) is `x mod 1024` with, "
        "in 64 bits: x := g 0x9E3779B97F4A7C15 + s 0xC2B2AE3D27D4EB4F + p 0x165667B19E3779F9; "
        "x := x XOR (x >> 29); x := x 0xBF58476D1CE4E5B9; x := x XOR (x >> 32).",
        (MODEL,),
    ),
    Rule(
        "LOG-001",
        8,
        "A log is a header of 32 bytes and records of 32 bytes each, in the order of their events; "
        "layouts as in the tables, little-endian, no padding.",
        (MODEL, HOST),
    ),
    Rule(
        "LOG-002",
        8,
        "An event is logged when it happens, in the order of the phases and of the rules. `tick` "
        "never falls. Members that an event does not name are 0.",
        (MODEL, HOST),
    ),
    Rule("LOG-003", 8, "Events and what a, b, c, d mean: see the table.", (MODEL, HOST)),
    Rule(
        "LOG-004",
        8,
        "Wall time, addresses, thread numbers, CHECKED, and which backend ran are in no record.",
        (MODEL, HOST),
    ),
    Rule(
        "LOG-005",
        8,
        "`inputs` is the first 8 bytes, as a little-endian number, of SHA-256 over the "
        "configuration record and all request records.",
        (MODEL, HOST),
    ),
    Rule(
        "LOG-006",
        8,
        "A free-running mode, which takes completions and scores as they arrive, is compared a "
        "rollout at a time: outcome, length, scores in order and digest are those of the log.",
        (MODEL,),
    ),
)
