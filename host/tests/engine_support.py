# SPDX-License-Identifier: Apache-2.0
"""What the native engine's tests share: its parts as NumPy functions, and known results."""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import descring_model
import numpy as np
import numpy.typing as npt
from descring_host.engine import NativeEngine, ffi, lib
from descring_model.engine import contract
from descring_model.engine.batch import Batch
from descring_model.engine.interface import Engine

F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

DIMS = contract.DIMS
VOCABULARIES = (1, 2, 15, 16, 17, 37, 1024)
"""Around a tile of 16 columns."""
# Not beside this file: a copy of host/ alone has no docs.
VECTORS = Path(descring_model.__file__).resolve().parents[2] / "docs" / "engine-vectors.json"


def has_avx2() -> bool:
    """Whether this processor runs the kernels for AVX2."""
    try:
        NativeEngine(1, kernels="avx2").close()
    except ValueError:
        return False
    return True


KERNELS = ("scalar", "avx2") if has_avx2() else ("scalar",)
"""Which kernels there are to compare here."""


@functools.cache
def engine_of(
    kernels: str, vocabulary: int = contract.VOCABULARY, threads: int = 1
) -> NativeEngine:
    """An engine; one of each kind is enough."""
    return NativeEngine(vocabulary, threads=threads, kernels=kernels)


@functools.cache
def known(name: str) -> list[Any]:
    """The cases of one kind of docs/engine-vectors.json."""
    cases: list[Any] = json.loads(VECTORS.read_text())[name]
    assert cases
    return cases


def digest(values: npt.NDArray[Any]) -> str:
    """As in the file of known results: 16 digits of SHA-256 over the little-endian bytes."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


def from_words(words: list[str], dtype: str) -> npt.NDArray[Any]:
    """Encodings in hexadecimal as an array."""
    size = np.dtype(dtype).itemsize
    return np.array([int(word, 16) for word in words], dtype=f"<u{size}").view(dtype)


def words_of(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The encodings, so that a comparison sees the sign of 0."""
    return np.ascontiguousarray(values).view(f"<u{values.dtype.itemsize}")


def assert_bits(found: npt.NDArray[Any], expected: npt.NDArray[Any], what: str = "") -> None:
    """Fails unless shapes, types and all bits are equal."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), what
    differ = np.flatnonzero(words_of(found).ravel() != words_of(expected).ravel())
    assert not len(differ), (
        f"{what}: {len(differ)} of {found.size} differ, the first at {differ[0]}: expected "
        f"{expected.ravel()[differ[0]]!r}, got {found.ravel()[differ[0]]!r}"
    )


def pointer(array: npt.NDArray[Any], kind: str) -> Any:
    """Where an array begins, for a call; the caller keeps it."""
    assert array.flags.c_contiguous
    return ffi.cast(kind, array.ctypes.data)


def elementwise(function: str, values: F32) -> F32:
    """``he_exp2`` or ``he_silu``."""
    out = np.empty_like(values)
    getattr(lib, function)(pointer(values, "float *"), len(values), pointer(out, "float *"))
    return out


def to_half(values: F32, kernels: str | None) -> tuple[F16, bool]:
    """Rounded to fp16, in integers or by an engine's kernels; whether an element is not finite."""
    out = np.empty(len(values), dtype=np.uint16)
    handle = engine_of(kernels).handle if kernels else ffi.NULL
    refused = lib.he_to_half(
        handle, pointer(values, "float *"), len(values), pointer(out, "uint16_t *")
    )
    return out.view(np.float16), bool(refused)


def from_half(values: F16) -> F32:
    """Exact, in integers."""
    out = np.empty(len(values), dtype=np.float32)
    lib.he_from_half(pointer(values, "uint16_t *"), len(values), pointer(out, "float *"))
    return out


def next_state(engine: NativeEngine, state: F32, x: F32) -> tuple[F32, bool]:
    """The next state [STATE-004], and whether it is refused."""
    out = np.empty(DIMS, dtype=np.float32)
    refused = lib.he_next_state(
        engine.handle, pointer(state, "float *"), pointer(x, "float *"), pointer(out, "float *")
    )
    return out, bool(refused)


def query(engine: NativeEngine, state: F32) -> F32:
    """The query before it is rounded [STATE-005]."""
    out = np.empty(DIMS, dtype=np.float32)
    lib.he_query(engine.handle, pointer(state, "float *"), pointer(out, "float *"))
    return out


def token_input(engine: NativeEngine, token: int, position: int) -> F32:
    """x of STATE-002."""
    out = np.empty(DIMS, dtype=np.float32)
    lib.he_input(engine.handle, token, position, pointer(out, "float *"))
    return out


def key_value(engine: NativeEngine, x: F32) -> tuple[F16, F16]:
    """Key and value [STATE-006]."""
    key, value = np.empty(DIMS, dtype=np.uint16), np.empty(DIMS, dtype=np.uint16)
    lib.he_key_value(
        engine.handle,
        pointer(x, "float *"),
        pointer(key, "uint16_t *"),
        pointer(value, "uint16_t *"),
    )
    return key.view(np.float16), value.view(np.float16)


def logits(engine: NativeEngine, output: F16) -> F32:
    """``(vocabulary,)`` [STATE-007]."""
    out = np.empty(engine.vocabulary, dtype=np.float32)
    lib.he_logits(engine.handle, pointer(output, "uint16_t *"), pointer(out, "float *"))
    return out


def masses(engine: NativeEngine, scores: F32, temperature: float) -> U64:
    """``(vocabulary,)`` [SAMP-003]."""
    out = np.empty(engine.vocabulary, dtype=np.uint64)
    lib.he_masses(
        engine.handle, pointer(scores, "float *"), temperature, pointer(out, "uint64_t *")
    )
    return out


def sample(
    engine: NativeEngine, scores: F32, temperature: float, top_k: int, top_p: float, random: int
) -> int:
    """The token of one random number [SAMP-001..SAMP-005]."""
    token = ffi.new("uint32_t *")
    start = pointer(scores, "float *")
    assert lib.he_sample(engine.handle, start, temperature, top_k, top_p, random, token) == 0
    return int(token[0])


def plane(number: int, row: int) -> F32:
    """A row of a plane of hashed values [STATE-001]."""
    out = np.empty(DIMS, dtype=np.float32)
    assert lib.he_plane(number, row, pointer(out, "float *")) == 0
    return out


def ramp(number: int) -> F16:
    """A weight by remainder, ``(128, 128)`` [STATE-003]."""
    out = np.empty((DIMS, DIMS), dtype=np.uint16)
    assert lib.he_ramp(number, pointer(out, "uint16_t *")) == 0
    return out.view(np.float16)


def batch_like(engine: Engine, other: Batch) -> Batch:
    """The same arena for another engine; ``other`` stays as it is."""
    copy = Batch.__new__(Batch)
    copy.__dict__.update(other.__dict__)
    copy.engine = engine
    copy.arena = engine.new_arena(len(other.arena))
    copy.arena[:] = other.arena
    return copy
