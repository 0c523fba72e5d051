# SPDX-License-Identifier: Apache-2.0
"""What the native engine refuses: records, arenas, numbers, and the arithmetic of a thread."""

import ctypes
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from descring_host.engine import NativeEngine, ffi, lib
from descring_host.errors import ArithmeticRefused
from descring_model.engine import contract
from descring_model.engine.batch import Batch
from descring_model.engine.model import ModelEngine
from engine_support import KERNELS, batch_like, engine_of

VOCABULARY = 64
END = 40
MODEL = ModelEngine(VOCABULARY)
NAMES = {value: name for name, value in contract.STATUS.items()}


def member(name: str, value: Any) -> Callable[[Batch], None]:
    """Set a member of the record."""

    def change(batch: Batch) -> None:
        batch.record(0)[name] = value

    return change


def token(place: int, value: int) -> Callable[[Batch], None]:
    """Set a given token."""

    def change(batch: Batch) -> None:
        batch.tokens(0)[place] = value

    return change


def block(place: int, value: int) -> Callable[[Batch], None]:
    """Set an entry of the block map."""

    def change(batch: Batch) -> None:
        batch.blocks(0)[place] = value

    return change


def state(value: float) -> Callable[[Batch], None]:
    """Set one element of the state behind the first 20 tokens."""

    def change(batch: Batch) -> None:
        batch.advance(20)
        batch.state(0)[77] = value

    return change


def slot(place: int, value: float, *, part: int) -> Callable[[Batch], None]:
    """Set one element of a key (part 0) or value (1) of the first 20 tokens."""

    def change(batch: Batch) -> None:
        batch.advance(20)
        whole = batch.arena[: 2 * contract.BLOCK_BYTES].view(np.float16)
        whole.reshape(2, 2, 32, 128)[batch.blocks(0)[0], part, place, 99] = value

    return change


def move(name: str, by: int) -> Callable[[Batch], None]:
    """Move what a member points to."""

    def change(batch: Batch) -> None:
        batch.record(0)[name] += np.uint64(by)

    return change


def both(*changes: Callable[[Batch], None]) -> Callable[[Batch], None]:
    """Several changes."""

    def change(batch: Batch) -> None:
        for one_change in changes:
            one_change(batch)

    return change


CASES: dict[str, tuple[Callable[[Batch], None], str]] = {
    "no prompt": (member("prompt_tokens", 0), "BAD_RECORD"),
    "temperature below the least": (member("temperature", 2.0**-11), "BAD_RECORD"),
    "temperature beyond the greatest": (member("temperature", 1025.0), "BAD_RECORD"),
    "negative temperature": (member("temperature", -1.0), "BAD_RECORD"),
    "temperature NaN": (member("temperature", np.nan), "BAD_RECORD"),
    "temperature infinite": (member("temperature", np.inf), "BAD_RECORD"),
    "temperature -0": (member("temperature", -0.0), "OK"),
    "temperature greatest": (member("temperature", 1024.0), "OK"),
    "temperature least": (member("temperature", 2.0**-10), "OK"),
    "top_p 0": (member("top_p", 0.0), "BAD_RECORD"),
    "top_p below the least": (member("top_p", 2.0**-21), "BAD_RECORD"),
    "top_p least": (member("top_p", 2.0**-20), "OK"),
    "top_p above 1": (member("top_p", np.nextafter(np.float32(1), np.float32(2))), "BAD_RECORD"),
    "top_p NaN": (member("top_p", np.nan), "BAD_RECORD"),
    "tokens misaligned": (move("tokens", 4), "BAD_RECORD"),
    "blocks misaligned": (move("blocks", 32), "BAD_RECORD"),
    "state misaligned": (move("state", 32), "BAD_RECORD"),
    "tokens beyond the arena": (member("tokens", (1 << 64) - 64), "BAD_RECORD"),
    "blocks beyond the arena": (member("blocks", 1 << 40), "BAD_RECORD"),
    "state beyond the arena": (member("state", 1 << 63), "BAD_RECORD"),
    "block beyond the arena": (block(1, 1 << 31), "BAD_BLOCK"),
    "first block that does not fit": (block(1, 2), "BAD_BLOCK"),
    "given token": (token(5, VOCABULARY), "BAD_TOKEN"),
    "first given token": (token(0, contract.NONE), "BAD_TOKEN"),
    "last given token": (token(19, VOCABULARY), "BAD_TOKEN"),
    "state NaN": (state(np.nan), "BAD_QUERY"),
    "state too great for a query": (state(1e6), "BAD_QUERY"),
    "key NaN": (slot(7, np.nan, part=0), "BAD_SCORE"),
    "key infinite": (slot(19, np.inf, part=0), "BAD_SCORE"),
    "value NaN": (slot(0, np.nan, part=1), "BAD_OUTPUT"),
    "value infinite": (slot(11, -np.inf, part=1), "BAD_OUTPUT"),
    "key NaN behind the length": (slot(25, np.nan, part=0), "OK"),
    "value NaN behind the length": (slot(25, np.nan, part=1), "OK"),
    "key and value": (
        both(slot(3, np.nan, part=1), slot(4, np.nan, part=0)),
        "BAD_SCORE",
    ),
}


def one(engine: Any, prompt: int = 20) -> Batch:
    """A rollout of two blocks."""
    return Batch(engine, [list(range(prompt))], END, [{"seed": 5}])


def advance(batch: Batch, end: int = END, record: int | None = None) -> str:
    """The name of the status."""
    records = batch.offsets if record is None else np.array([record], dtype=np.uint64)
    (status,) = batch.engine.advance(batch.arena, records, np.array([end], dtype=np.uint32))
    return NAMES[int(status)]


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("case", CASES)
def test_status_and_arena_are_the_golden_models(case: str, kernels: str) -> None:
    """[REC-004] [NUM-007] [SAMP-001] A refusal changes nothing of its position, nor ahead."""
    change, expected = CASES[case]
    batch = one(engine_of(kernels, VOCABULARY))
    change(batch)
    model = batch_like(MODEL, batch)
    before = bytes(batch.arena)
    found = advance(batch)
    assert (found, advance(model)) == (expected, expected)
    assert bytes(batch.arena) == bytes(model.arena)
    if expected in ("BAD_RECORD", "BAD_BLOCK", "BAD_TOKEN"):
        assert bytes(batch.arena) == before


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_refused_position_keeps_what_is_before_it(kernels: str) -> None:
    """[REC-004] [NUM-007] Given tokens need no query, so only their state can be refused."""
    for value in (3.5e7, -3.5e7, np.inf, np.nan):
        batch = one(engine_of(kernels, VOCABULARY))
        batch.advance(5)
        batch.state(0)[3] = value
        model, before = batch_like(MODEL, batch), bytes(batch.arena)
        assert (advance(batch), advance(model)) == ("BAD_STATE", "BAD_STATE")
        assert bytes(batch.arena) == bytes(model.arena) == before
        assert batch.record(0)["length"] == 5


def test_records_and_ends_out_of_range_are_refused() -> None:
    """[REC-001] [REC-003] [REC-004] At the last byte and beyond, misaligned; great ends."""
    batch = one(engine_of(KERNELS[-1], VOCABULARY))
    size = len(batch.arena)
    for record in (size, size - 32, (1 << 64) - 64, int(batch.offsets[0]) + 8):
        assert advance(batch, record=record) == "BAD_RECORD", record
    assert advance(batch, 1 << 31) == "BAD_RECORD"
    assert advance(batch, (1 << 32) - 1) == "BAD_RECORD"
    assert advance(batch, contract.LENGTH_MAX) == "BAD_RECORD"  # its tokens do not fit
    assert not batch.record(0)["length"]
    batch.advance(END)
    batch.record(0)["top_p"] = np.nan
    batch.record(0)["tokens"] = 1
    assert advance(batch, END) == "OK", "nothing to do, so nothing more is read"
    assert advance(batch, 0) == "OK"


def test_an_end_at_the_arenas_last_byte_is_reached() -> None:
    """[REC-004] Tokens, map and state may end where the arena does."""
    for last in ("tokens", "blocks", "state"):
        batch = one(engine_of(KERNELS[-1], VOCABULARY), prompt=3)
        size = {"tokens": 4 * END, "blocks": 8, "state": 512}[last]
        old = int(batch.record(0)[last])
        start = len(batch.arena) + 64
        bigger = batch.engine.new_arena(start + size)
        bigger[: len(batch.arena)] = batch.arena
        bigger[start : start + size] = batch.arena[old : old + size]
        batch.arena = bigger
        batch.record(0)[last] = start
        assert advance(batch) == "OK", last
        batch.arena = batch.engine.new_arena(start + size - 1)
        batch.arena[:] = bigger[:-1]
        batch.record(0)["length"] = 0
        assert advance(batch) == "BAD_RECORD", last


def test_one_refused_record_does_not_touch_the_others() -> None:
    """[REC-003] Statuses come in the order of the records."""
    for threads in (1, 3):
        engine = engine_of(KERNELS[-1], VOCABULARY, threads)
        prompts = [list(range(number, number + 9)) for number in range(5)]
        batch, apart = Batch(engine, prompts, END), Batch(engine, prompts, END)
        batch.record(1)["top_p"] = 7.0
        ends = np.full(5, END, dtype=np.uint32)
        assert engine.advance(batch.arena, batch.offsets, ends).tolist() == [0, 1, 0, 0, 0]
        apart.advance(END)
        for place in (0, 2, 3, 4):
            assert batch.tokens(place).tolist() == apart.tokens(place).tolist()


def test_arguments_that_do_not_fit_are_refused_by_name() -> None:
    """Each text has what was expected and what was given."""
    for options, text in (
        ({"vocabulary": 0}, "vocabulary: expected 1 to 131072, got 0"),
        ({"vocabulary": 131073}, "vocabulary: expected 1 to 131072, got 131073"),
        ({"threads": 0}, "threads: expected 1 to 64, got 0"),
        ({"threads": 65}, "threads: expected 1 to 64, got 65"),
        ({"kernels": "sse"}, "kernels: expected best, scalar, avx2, got 'sse'"),
    ):
        with pytest.raises(ValueError, match=text):
            NativeEngine(**options)
    engine = engine_of(KERNELS[-1], VOCABULARY)
    batch = one(engine)
    ends = np.array([END], dtype=np.uint32)
    with pytest.raises(ValueError, match=r"each offset once"):
        engine.advance(batch.arena, batch.offsets.repeat(2), ends.repeat(2))
    with pytest.raises(ValueError, match=r"ends: expected \(1,\) uint32"):
        engine.advance(batch.arena, batch.offsets, ends.astype(np.int64))
    with pytest.raises(ValueError, match="multiple of 64 in memory"):
        engine.advance(engine.new_arena(1000)[4:], batch.offsets, ends)
    read_only = batch.arena.view()
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        engine.advance(read_only, batch.offsets, ends)
    query, blocks = np.zeros(128, np.float16), np.zeros(2, np.uint32)
    for arguments, text in (
        ((blocks, 0, query), "blocks: expected at least 1"),
        ((blocks, 65, query), "blocks: expected at least 3 uint32 for 65 tokens"),
        ((blocks.astype(np.int32), 3, query), "got shape .* of int32"),
        ((blocks, 3, query[:5]), r"query: expected \(128,\) float16"),
    ):
        with pytest.raises(ValueError, match=text):
            engine.attend(batch.arena, *arguments)
    with pytest.raises(ValueError, match="split: expected 0 to 26, got 27"):
        engine.attend(batch.arena, blocks, 3, query, split=27)
    with pytest.raises(ValueError, match="multiple of 64"):
        engine.attend(engine.new_arena(1 << 16)[4:], blocks, 3, query)


MXCSR_BITS = {
    0x8000: "subnormal results become 0",
    0x0040: "subnormal operands count as 0",
    0x2000: "rounding mode",
    0x4000: "rounding mode",
    0x6000: "rounding mode",
}


@contextmanager
def mxcsr(change: Callable[[int], int]) -> Iterator[None]:
    """Change the control register of this thread: a word of glibc's fenv_t on x86-64."""
    libm = ctypes.CDLL("libm.so.6")
    old, new = (ctypes.c_uint32 * 8)(), (ctypes.c_uint32 * 8)()
    libm.fegetenv(old)
    libm.fegetenv(new)
    new[7] = change(old[7])
    libm.fesetenv(new)
    try:
        yield
    finally:
        libm.fesetenv(old)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the register is x86's")
@pytest.mark.parametrize("bit", MXCSR_BITS)
def test_arithmetic_that_is_not_the_default_is_refused_by_name(bit: int) -> None:
    """[NUM-007] Flushing, zeroed operands and each other rounding mode; nothing is advanced."""
    batch = one(engine_of(KERNELS[-1], VOCABULARY))
    query, blocks = np.zeros(128, np.float16), np.zeros(2, np.uint32)
    arguments = batch.arena, batch.offsets, np.array([END], dtype=np.uint32)
    errors: list[BaseException] = []

    def call() -> None:
        with mxcsr(lambda word: word | bit):
            for function, given in (
                (batch.engine.advance, arguments),
                (engine_of(KERNELS[-1], VOCABULARY).attend, (batch.arena, blocks, 3, query)),
            ):
                try:
                    function(*given)
                except ArithmeticRefused as error:
                    errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join()
    assert [MXCSR_BITS[bit] in str(error) for error in errors] == [True, True], errors
    assert not batch.record(0)["length"]
    assert advance(batch) == "OK"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the register is x86's")
def test_unmasked_exceptions_are_refused_by_name() -> None:
    """Any of the six: a NaN on the way would be a signal."""
    found = set()
    for bit in range(7, 13):

        def unmask(word: int, bit: int = bit) -> int:
            return word & ~(1 << bit)

        with mxcsr(unmask):
            reason = lib.he_environment()
        found.add(ffi.string(reason).decode() if reason != ffi.NULL else None)
    assert found == {"floating-point exceptions are unmasked (MXCSR bits 12:7)"}
    assert lib.he_environment() == ffi.NULL
