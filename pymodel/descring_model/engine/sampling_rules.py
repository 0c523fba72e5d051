# SPDX-License-Identifier: Apache-2.0
"""The engine's rules of sampling, and of the record in an arena."""

from __future__ import annotations

from descring_model.rules import HOST, MODEL, Rule

SAMPLING_RULES: tuple[Rule, ...] = (
    Rule(
        "SAMP-001",
        4,
        "`temperature` T is 0 or 2^-10 to 2^10, `top_p` 2^-20 to 1, `top_k` any number (0 and V "
        "or more keep all). With T = 0 the token is the one of greatest logit, among equals the "
        "lowest id; `top_k` and `top_p` are not used and no random number is drawn.",
        (MODEL,),
    ),
    Rule(
        "SAMP-002",
        4,
        "The total order: logit descending, among equal logits (-0 equals +0) id ascending. "
        "`top_k` = k keeps the first k of it.",
        (MODEL,),
    ),
    Rule(
        "SAMP-003",
        4,
        "Masses, u64: `s[t] := fl(logit[t] / T)`, `u[t] := fl(fl(max s - s[t]) LOG2_E)` >= 0, "
        "with the maximum over all tokens. For u >= 41 the mass is 0. Else, in integers: Q := "
        "floor(u 2^32), n := ceil(Q / 2^32), F := n 2^32 - Q; y := (COARSE[F >> 24] FINE[(F >> "
        "16) mod 256]) >> 31; y := y + ((y ((LN2 (F mod 2^16)) >> 16)) >> 47); mass := (y << 9) "
        ">> n. COARSE[i] = round(2^(i/256) 2^31), FINE[i] = round(2^(i/65536) 2^31), LN2 = "
        "round(ln 2 2^31) = 0x58B90BFC. Every product is below 2^64, and the greatest mass is "
        "2^40.",
        (MODEL,),
    ),
    Rule(
        "SAMP-004",
        4,
        "`top_p` after `top_k`: with P := floor(top_p 2^32) and M the mass of what is kept so "
        "far, the shortest prefix of the total order whose mass is at least ceil(P M / 2^32) is "
        "kept, computed exactly (P M needs 89 bits). With top_p = 1 nothing more is dropped. "
        "Tokens of mass 0 are never drawn, kept or not.",
        (MODEL,),
    ),
    Rule(
        "SAMP-005",
        4,
        "The draw: with the random u64 r and M the mass of what is kept, z := floor(r M / 2^64); "
        "the token is the first one in the order of ids, among those kept, at which the running "
        "mass exceeds z.",
        (MODEL,),
    ),
    Rule(
        "SAMP-006",
        4,
        "Random numbers: Philox4x32-10 (Salmon et al. 2011; multipliers 0xD2511F53, 0xCD9E8D57, "
        "Weyl steps 0x9E3779B9, 0xBB67AE85). Key = (`seed` mod 2^32, `seed` >> 32), counter = "
        "(position of the token, `sample`, `group`, 0), first word first; r = word 0 of the "
        "result + 2^32 word 1. A round maps (c0, c1, c2, c3) to (hi(M1 c2) XOR c1 XOR k0, lo(M1 "
        "c2), hi(M0 c0) XOR c3 XOR k1, lo(M0 c0)); before each round but the first the key is "
        "increased by the Weyl steps. There is no state: a pause, a batch, a restart change "
        "nothing.",
        (MODEL,),
    ),
    Rule(
        "SAMP-007",
        4,
        "`eos`: once a rollout has made it (a given token does not count), every later token is "
        "`eos` again, without attention and without a random number, and is ingested as any "
        "other. How many tokens a line stands for and when is the device's decision (DEC-001 to "
        "DEC-004, OP-004) and does not depend on a token; the run ends the rollout (REC-007).",
        (MODEL,),
    ),
    Rule(
        "SAMP-008",
        4,
        "The compatibility stream is xoshiro256** (Blackman and Vigna) with s0 := seed, s1 := "
        "seed XOR 0x9E3779B97F4A7C15, s2 := rotl(seed, 17) XOR 0x3C6EF372FE94F82A, s3 := NOT "
        "seed. It can take the place of r in SAMP-005, one output a token; no record selects it.",
        (MODEL,),
    ),
    Rule(
        "REC-001",
        5,
        "A rollout's record is 64 bytes as in the table, little-endian, without padding, at an "
        "offset that is a multiple of 64. It points to tokens, block map and state, each at a "
        "multiple of 64; token p is a u32 at `tokens + 4 p`, the block of tokens 32 j to 32 j + "
        "31 a u32 at `blocks + 4 j`, the state 128 float32. Block b is at `16384 b` (KV-001). What "
        "one rollout writes overlaps nothing that another one reads or writes in the same call; an "
        "engine need not check it.",
        (MODEL,),
    ),
    Rule(
        "REC-002",
        5,
        "`state` is the state after `length` tokens; keys and values of the positions below "
        "`length` are in their blocks. A fresh rollout has `length` 0 and a state of +0, or, "
        "where a prefix is shared, the prefix's length, tokens, block map and a copy of its "
        "state.",
        (MODEL,),
    ),
    Rule(
        "REC-003",
        5,
        "`advance(record, end)` ingests or makes the tokens p from `length` to `end` - 1, one "
        "after the other: for p < `prompt_tokens` token p is given and is ingested, any other is "
        "made, written to `tokens` and ingested (STATE-008). `length` becomes p + 1 with each, "
        "and nothing else in the record changes. Positions below `length` are never written. "
        "`end` is at most 2^31 - 1.",
        (MODEL,),
    ),
    Rule(
        "REC-004",
        5,
        "Checked before the first token, in this order, and nothing is changed then. BAD_RECORD: "
        "the record is misaligned or beyond the arena. With `end` <= `length` nothing more is "
        "read, and the status is OK. BAD_RECORD: an offset is not a multiple of 64; "
        "`prompt_tokens` is 0; `temperature`, `top_p` are out of range or NaN; `end` is above "
        "2^31 - 1; tokens up to `end`, block map up to `end`, or state are not within the arena. "
        "BAD_BLOCK: an entry of the map up to `end` whose block is not within the arena. "
        "BAD_TOKEN: a given token from `length` to the lesser of `end` and `prompt_tokens` that "
        "is not below V. A status of NUM-007 is found at a position p: what is before p stays, "
        "and of p nothing is written (token, key, value, state, `length`).",
        (MODEL,),
    ),
    Rule(
        "REC-005",
        5,
        "`kv_offset` of a line with an engine is the offset of the rollout's record, in place of "
        "WIN-004's, and `end` is `seq_len` of its completion, for PREFILL, DECODE and ROLLOUT; "
        "other opcodes advance nothing. Lines and completions have the same bytes otherwise, and "
        "the same bytes with and without an engine behind the device.",
        (MODEL, HOST),
    ),
    Rule(
        "REC-006",
        5,
        "The digest of a rollout's keys and values: with w_i the 64 words (u64, little-endian) of "
        "a token's key and then its value, its content is the sum of `w_i (2 i + 1)`, and the "
        "digest is KV-008's sum over these contents in place of tags, both mod 2^64.",
        (MODEL,),
    ),
    Rule(
        "REC-007",
        5,
        "A run with an engine ends a rollout at its `eos`. Where `eos` is among the tokens that "
        "the completion of a DECODE line stands for, first at position e, the runtime takes the "
        "completion for one with DONE and `seq_len` e + 1, before WIN-005 is checked and "
        "COMPLETION is logged (PIPE-006); the record's `length` becomes e + 1, and the tokens "
        "behind it belong to nothing. A line in flight is never shortened: the rollout ends with "
        "the line that made `eos`, at the same tick with every device, which knows nothing of it "
        "(SAMP-007).",
        (HOST,),
    ),
)
