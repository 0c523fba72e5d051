# SPDX-License-Identifier: Apache-2.0
"""The engine's rules as prose: up to attention; see :mod:`.sampling_rules` for the rest.

``docs/engine-contract.md`` is generated from this module, :mod:`.sampling_rules` and
:mod:`.contract`. Ids are permanent, and the text is normative, as in :mod:`descring_model.rules`.
"""

from __future__ import annotations

from descring_model.engine.sampling_rules import SAMPLING_RULES
from descring_model.rules import MODEL, Rule

SECTIONS: dict[int, tuple[str, str]] = {
    1: (
        "Numbers",
        "fp32 and fp16 are IEEE 754 binary32 and binary16 with round to nearest, ties to even, "
        "and with subnormal numbers (no flush to zero). `fl(...)` is one fp32 operation, rounded "
        "once; an operation without `fl` is exact. A sum is never contracted with a product "
        "unless a rule states it. `a[i]` counts from 0, mod is that of non-negative numbers, and "
        "`>>` shifts an unsigned number.",
    ),
    2: (
        "Embedding, state, projections",
        "The model `fixed128`: one head of 128 dims. Weights are formulas, so there is no file to "
        "load. Every weight and embedding is a multiple of a power of two that fp16 holds "
        "exactly, apart from `W_in`, which is rounded to fp16.",
    ),
    3: (
        "Attention",
        "One query over the keys and values of the n tokens of a rollout, read through its block "
        "map (KV-001). Every sum over tokens is a binary tree over the bits of the token's "
        "position, so that neither length, split, tile nor batch changes a bit.",
    ),
    4: (
        "Sampling",
        "From the logits on, only T's division and one multiplication are floats; everything else "
        "is integers, so that any parallel order gives the same token.",
    ),
    5: (
        "Record",
        "A rollout's data in an arena, and what an engine does with it. Offsets are bytes from "
        "the arena's first byte. A device without an engine never reads any of it.",
    ),
}

_RULES: tuple[Rule, ...] = (
    Rule(
        "NUM-001",
        1,
        "A product of two fp16 values is exact in fp32; where both operands of all products of a "
        "sum are fp16, a fused multiply-add gives the same bits as two operations.",
        (MODEL,),
    ),
    Rule(
        "NUM-002",
        1,
        "A dot of 128 terms `a[i] b[i]`: each product rounded to fp32; 16 chunks, chunk c being "
        "the terms 8 c to 8 c + 7, added in sequence from the first: `s := product 8c`, then `s "
        ":= fl(s + product)`; then chunks i and i + 8 are added, `s[i] := fl(s[i] + s[i+8])` for "
        "i < 8, then i and i + 4 for i < 4, i and i + 2 for i < 2, and 0 and 1.",
        (MODEL,),
    ),
    Rule(
        "NUM-003",
        1,
        "A tree over a set of bits of an index, in a stated order of the bits: for each bit in "
        "turn, the two partial results whose indices differ in that bit alone are added, the one "
        "with bit 0 first. An absent leaf is +0. A final result that is -0 becomes +0 (by adding "
        "+0), so that it does not matter whether absent leaves are added or left out.",
        (MODEL,),
    ),
    Rule(
        "NUM-004",
        1,
        "Scores are in log2 units, and what weights are relative to is an integer (ATT-002): "
        "every later rescale is a multiplication with `pow2(e)`, e <= 0, which is `2^e` from -126 "
        "on and +0 below.",
        (MODEL,),
    ),
    Rule(
        "NUM-005",
        1,
        "`exp2(x)` for x <= 0: +0 if x < EXP2_LOW; else n := x rounded to an integer, ties to "
        "even; f := x - n (exact); p := C6, then for C5 to C0 in turn p := fl(fl(p f) + C); the "
        "result is `p 2^n`. It is within 2 ulp of the exact value.",
        (MODEL,),
    ),
    Rule(
        "NUM-006",
        1,
        "Where an operand is fp32 and not fp16 (a weight of the softmax, the state), product and "
        "sum are two rounded operations. Division is IEEE: rounded once. `silu(a)`: t := "
        "exp2(fl(-|a| LOG2_E)); for a >= 0 `fl(a / fl(1 + t))`, else `fl(fl(a t) / fl(1 + t))`.",
        (MODEL,),
    ),
    Rule(
        "NUM-007",
        1,
        "A value that is NaN, infinite or of magnitude 2^24 and more is refused where it appears: "
        "an element of the new state (BAD_STATE), of the query before it is rounded to fp16 or a "
        "magnitude that fp16 rounds to infinity (BAD_QUERY), a score (BAD_SCORE), an element of "
        "the output (BAD_OUTPUT; also where fp16 rounds it to infinity), a logit (BAD_LOGIT). A "
        "NaN or infinity in a key or value reaches a score or an output and is so found. The "
        "statuses are looked for in the order in which a step computes: query, scores, output, "
        "logits, then state.",
        (MODEL,),
    ),
    Rule(
        "NUM-008",
        1,
        "The bits of a rollout (tokens, keys, values, state) are a function of its given tokens "
        "and the members `seed`, `group`, `sample`, `prompt_tokens`, `temperature`, `top_p`, "
        "`top_k`, `eos` of its record and of the vocabulary: not of which blocks it has, what "
        "runs beside it, in how many calls it is advanced, what is shared, or how work is split.",
        (MODEL,),
    ),
    Rule(
        "STATE-001",
        2,
        "`mix(h)` in 32 bits: h := h XOR (h >> 16); h := h 0x7FEB352D; h := h XOR (h >> 15); h := "
        "h 0x846CA68B; h := h XOR (h >> 16). The hash of a plane's element is `mix(mix(row + "
        "plane 0x9E3779B9) + column 0x9E3779B9)`, all mod 2^32, and its value `(2 (hash >> (32 - "
        "bits)) - 2^bits + 1) / 2^scale` with bits and scale of the table: an odd number over a "
        "power of two, exact in fp16.",
        (MODEL,),
    ),
    Rule(
        "STATE-002",
        2,
        "Token t at position p has the input `x[d] = EMBEDDING[t][d] + POSITION[p][d]`, exact in "
        "fp16. The vocabulary has V tokens, 0 to V - 1, 1 <= V <= 131072; 1024 unless stated "
        "otherwise.",
        (MODEL,),
    ),
    Rule(
        "STATE-003",
        2,
        "`W_in`, `W_res`, `W_q` by remainder, element [r][c]: `(((r + row) (c + column)) mod "
        "modulus - middle) / divisor`, rounded to fp16. `bias[d] = (((d + 5) 7) mod 19 - 9) / "
        "64`. A product of a vector v with a matrix W is, for each column d, the dot (NUM-002) of "
        "`v[k]` and `W[k][d]` over k.",
        (MODEL,),
    ),
    Rule(
        "STATE-004",
        2,
        "The state h is 128 fp32, at first +0. With a token's input x: `a[d] := fl(bias[d] + (x "
        "W_in)[d])`, `r := h W_res` (h is fp32: NUM-006), and the next state is `fl(fl(fl(fl(0.5 "
        "h[d]) + fl(0.125 r[d])) + fl(0.25 x[d])) + fl(0.125 silu(a[d])))`.",
        (MODEL,),
    ),
    Rule(
        "STATE-005",
        2,
        "The query of a state is `q := h W_q` (h is fp32: NUM-006), rounded to fp16.",
        (MODEL,),
    ),
    Rule(
        "STATE-006",
        2,
        "Key and value of a token are `x W_K` and `x W_V`, rounded to fp16. They depend on the "
        "token and its position alone, so that a prompt is ingested in any order.",
        (MODEL,),
    ),
    Rule(
        "STATE-007",
        2,
        "The logit of token t is the dot (NUM-002) of the output o, rounded to fp16, and "
        "`UNEMBEDDING[t]`.",
        (MODEL,),
    ),
    Rule(
        "STATE-008",
        2,
        "A step at position n, which has n >= 1 tokens before it: query of the state after n "
        "tokens, attention over the n keys and values, logits, token n by SAMP-001; then that "
        "token is ingested: its key, its value and the next state. A given token is ingested "
        "without the first part. The state after a prefix is a function of the prefix and can be "
        "copied to everyone who shares it.",
        (MODEL,),
    ),
    Rule(
        "ATT-001",
        3,
        "The score of token p is `fl(fl(d SCORE_SCALE) + b(p))`, with d the dot (NUM-002) of "
        "query and key and the slot bias `b(p) = ((p 0x9E3779B1 mod 2^32) >> 24) / 128`. The bias "
        "makes a score depend on where the key is in the map, so that two blocks in the wrong "
        "order change the result. Attention without it (b = 0) is the plain softmax of the "
        "reference.",
        (MODEL,),
    ),
    Rule(
        "ATT-002",
        3,
        "A block's reference m is the greatest `ceil(score)` of the tokens that it has, an "
        "integer below 2^25 in magnitude. The weight of token p is `w(p) = exp2(fl(score - m))`, "
        "+0 for a token that is absent.",
        (MODEL,),
    ),
    Rule(
        "ATT-003",
        3,
        "The sum of weights l of a block is the tree (NUM-003) of w(p) over the bits 0, 1, 2, 3, "
        "4 of p, in this order: neighbours first.",
        (MODEL,),
    ),
    Rule(
        "ATT-004",
        3,
        "The weighted values of a block: for each dim d, `A[d]` is the tree (NUM-003) of "
        "`fl(w(p) V(p)[d])` over the bits 1, 2, 3, 4, 0 of p, in this order: the even tokens, the "
        "odd ones, then the two sums.",
        (MODEL,),
    ),
    Rule(
        "ATT-005",
        3,
        "Joining two partial results, first the one of the lower positions: m := the greater of "
        "m1 and m2, f := pow2(m1 - m), g := pow2(m2 - m), l := fl(fl(l1 f) + fl(l2 g)), and each "
        "`A[d]` likewise. With one that has no token the other is the result.",
        (MODEL,),
    ),
    Rule(
        "ATT-006",
        3,
        "Blocks join (ATT-005) over the bits 5, 6, 7 and so on of p, in this order. So positions "
        "2^j i to 2^j (i + 1) - 1, j >= 5, always form one partial result, whoever computes it.",
        (MODEL,),
    ),
    Rule(
        "ATT-007",
        3,
        "The output is `o[d] := fl(fl(A[d] + 0) / l)`.",
        (MODEL,),
    ),
)

RULES: tuple[Rule, ...] = (*_RULES, *SAMPLING_RULES)


def all_rules() -> tuple[Rule, ...]:
    """Every rule in the order of its section; ``ValueError`` if two have one id."""
    ids = [rule.rule for rule in RULES]
    if len(set(ids)) != len(ids):
        raise ValueError("a rule id is given twice")
    return tuple(sorted(RULES, key=lambda rule: rule.section))
