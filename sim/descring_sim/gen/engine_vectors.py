# SPDX-License-Identifier: Apache-2.0
"""Writes ``docs/engine-vectors.json``: known results of the engine, from the golden model."""

from __future__ import annotations

import hashlib
import itertools
import json
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model.engine import contract
from descring_model.engine.attention import attend
from descring_model.engine.batch import Batch
from descring_model.engine.model import ModelEngine
from descring_model.engine.numbers import F32, exp2, silu
from descring_model.engine.random_numbers import philox, xoshiro
from descring_model.engine.sampling import masses, sample
from descring_model.engine.state import next_state, query
from descring_model.engine.weights import plane, ramp, weights

_LENGTHS = (1, 2, 31, 32, 33, 255, 256, 257, 1000, 2049)
_GROUND = 0x9E3779B1

_ROLLOUTS: tuple[dict[str, Any], ...] = (
    {"vocabulary": 1024, "prompt": 5, "end": 40},
    {"vocabulary": 1024, "prompt": 1, "end": 70, "temperature": 0.0},
    {"vocabulary": 1024, "prompt": 40, "end": 100, "temperature": 0.75, "top_k": 50, "top_p": 0.9,
     "seed": 0x0123456789ABCDEF, "group": 3, "sample": 7},
    {"vocabulary": 1024, "prompt": 245, "end": 265, "temperature": 2.0, "top_p": 0.5, "seed": 42},
    {"vocabulary": 16, "prompt": 3, "end": 64, "temperature": 4.0, "eos": 3, "seed": 1},
    {"vocabulary": 4099, "prompt": 2, "end": 12, "top_k": 4000, "seed": 99},
)  # fmt: skip


def bits_of(values: npt.NDArray[Any]) -> list[str]:
    """The encodings of float32 or integers as hexadecimal words."""
    flat = np.ascontiguousarray(values).reshape(-1)
    digits = 2 * flat.itemsize
    return [f"{word:0{digits}x}" for word in flat.view(f"u{flat.itemsize}").tolist()]


def digest(values: npt.NDArray[Any]) -> str:
    """The first 16 hexadecimal digits of SHA-256 over the little-endian bytes."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


def _functions() -> dict[str, list[Any]]:
    points = np.array(
        [
            -0.0,
            -1e-30,
            -0.1,
            -0.5,
            -0.50000006,
            -1,
            -1.5,
            -2.5,
            -7.25,
            -31.999,
            -99.5,
            -100,
            -100.5,
        ],
        dtype=np.float32,
    )
    sigmoid = np.array([0.0, -0.0, 1e-3, -1e-3, 0.7, -0.7, 3, -3, 50, -50, -80], dtype=np.float32)
    counter = np.array([[0] * 4, [contract.NONE] * 4, [7, 1, 2, 0]], dtype=np.uint32)
    key = np.array([[0, 0], [contract.NONE] * 2, [42, 0]], dtype=np.uint32)
    return {
        "exp2": list(zip(bits_of(points), bits_of(exp2(points)), strict=True)),
        "silu": list(zip(bits_of(sigmoid), bits_of(silu(sigmoid)), strict=True)),
        "philox4x32_10": [
            {"counter": bits_of(c), "key": bits_of(k), "output": bits_of(out)}
            for c, k, out in zip(counter, key, philox(counter, key), strict=True)
        ],
        "xoshiro256**": [
            {
                "seed": seed,
                "outputs": [f"{word:016x}" for word in itertools.islice(xoshiro(seed), 4)],
            }
            for seed in (0, 42)
        ],
    }


def _tables() -> list[dict[str, Any]]:
    rows = np.arange(contract.DIMS)
    found = [
        {"name": item.name, "rows": contract.DIMS, "row_0": bits_of(plane(item.name, rows)[0, :4]),
         "float32": digest(plane(item.name, rows))}
        for item in contract.PLANES
    ]  # fmt: skip
    found += [
        {"name": item.name, "rows": contract.DIMS, "row_0": bits_of(ramp(item.name)[0, :4]),
         "float16": digest(ramp(item.name))}
        for item in contract.RAMPS
    ]  # fmt: skip
    return found


def reference_inputs(seq_id: int, step: int) -> F32:
    """The reference's input of its state block, ``(1, 128)`` float32."""
    whole = (seq_id + 1) * (np.arange(contract.DIMS) + 11) + 13 * step
    return ((np.fmod(whole, 43) - 21) / 16).astype(np.float32)[np.newaxis]


def _state() -> list[dict[str, Any]]:
    found = []
    state = np.zeros((1, contract.DIMS), dtype=np.float32)
    for step in range(3):
        state = next_state(state, reference_inputs(1, step), weights(contract.VOCABULARY))
        made = query(state, weights(contract.VOCABULARY))
        found.append(
            {"seq_id": 1, "step": step, "state": digest(state), "state_0_3": bits_of(state[0, :4]),
             "query": digest(made), "query_0_3": bits_of(made[0, :4])}
        )  # fmt: skip
    return found


def _attention() -> list[dict[str, Any]]:
    most = max(_LENGTHS)
    count = -(-most // contract.BLOCK_TOKENS)
    slots = np.arange(count * contract.BLOCK_TOKENS)
    key, value = plane("EMBEDDING", slots), plane("EMBEDDING", slots + 10000)
    shape = (count, 1, contract.BLOCK_TOKENS, contract.DIMS)
    kv = np.concatenate([key.reshape(shape), value.reshape(shape)], axis=1).astype(np.float16)
    found = []
    for biased in (True, False):
        queries = plane("EMBEDDING", np.arange(len(_LENGTHS)) + 20000).astype(np.float16)
        made, _ = attend(
            queries, kv, [np.arange(count)] * len(_LENGTHS), np.array(_LENGTHS), biased=biased
        )
        found += [
            {"tokens": length, "query": f"EMBEDDING row {20000 + place}", "bias": biased,
             "output": digest(row), "output_0_3": bits_of(row[:4])}
            for place, (length, row) in enumerate(zip(_LENGTHS, made, strict=True))
        ]  # fmt: skip
    return found


def _sampling() -> list[dict[str, Any]]:
    found = []
    for case, (count, temperature, top_k, top_p) in enumerate(
        itertools.product((2, 37, 1024), (0.5, 1.0, 3.0), (0, 3), (1.0, 0.5, 0.1))
    ):
        ids = np.arange(count, dtype=np.uint32) * np.uint32(_GROUND)
        logits = ((ids >> np.uint32(24)).astype(np.float32) / np.float32(16) - np.float32(8))[
            np.newaxis
        ]
        heat = np.array([temperature], dtype=np.float32)
        random = np.array([case * 0x9E3779B97F4A7C15 % (1 << 64)], dtype=np.uint64)
        token = sample(
            logits, heat, np.array([top_k], np.uint32), np.array([top_p], np.float32), random
        )
        found.append(
            {"vocabulary": count, "temperature": temperature, "top_k": top_k, "top_p": top_p,
             "random": bits_of(random)[0], "masses": digest(masses(logits, heat)),
             "token": int(token[0])}
        )  # fmt: skip
    return found


def _rollouts() -> list[dict[str, Any]]:
    found = []
    for vocabulary, cases in itertools.groupby(_ROLLOUTS, lambda case: case["vocabulary"]):
        listed = list(cases)
        prompts = [
            [(37 * place + case["prompt"]) % vocabulary for place in range(case["prompt"])]
            for case in listed
        ]
        members = [
            {name: value for name, value in case.items()
             if name not in ("vocabulary", "prompt", "end")}
            for case in listed
        ]  # fmt: skip
        batch = Batch(
            ModelEngine(vocabulary), prompts, max(case["end"] for case in listed), members
        )
        batch.advance([case["end"] for case in listed])
        for place, case in enumerate(listed):
            found.append(
                {**case, "tokens": batch.tokens(place)[case["prompt"] : case["end"]].tolist(),
                 "keys_values": digest(batch.keys_values(place)),
                 "state": digest(batch.state(place))}
            )  # fmt: skip
    return found


def vectors() -> dict[str, list[Any]]:
    """Known results by what they are of."""
    return {
        **_functions(),
        "tables": _tables(),
        "state": _state(),
        "attention": _attention(),
        "sampling": _sampling(),
        "rollouts": _rollouts(),
    }


_NOTES = [
    "Known results of the engine; generated by `make gen` from the golden model.",
    "Words are encodings in hexadecimal; a digest is the first 16 digits of SHA-256 over "
    "little-endian bytes.",
    "state: inputs are trunc_mod((seq_id + 1) (d + 11) + 13 step, 43) - 21 over 16, the first "
    "state is 0; query before its rounding to fp16.",
    "attention: K(p) is EMBEDDING row p, V(p) row 10000 + p, in block p / 32.",
    "sampling: logit[t] = ((t 0x9E3779B1 mod 2^32) >> 24) / 16 - 8; masses are u64 by id.",
    "rollouts: the prompt's token p is (37 p + prompt) mod vocabulary; tokens are those behind "
    "it; keys_values is K(p), V(p) of every token in order as fp16, state as fp32. Members that "
    "are not given: seed, group, sample, top_k 0, temperature and top_p 1, no eos.",
]


@lru_cache(maxsize=1)
def render() -> str:
    """The text of the file: one case a line. It takes a second, so once in a process."""
    parts = [f'  "notes": {json.dumps(_NOTES)}']
    for name, cases in vectors().items():
        lines = ",\n    ".join(json.dumps(case) for case in cases)
        parts.append(f'  "{name}": [\n    {lines}\n  ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"
