# SPDX-License-Identifier: Apache-2.0
"""Runs of rollouts with an engine in a bundle: requests, prompts, and what a backend made of them.

What is recorded of a run on a backend is its event log and, of each rollout, its tokens and the
digest of its keys and values. All three are the same bytes on every backend with every engine
[LOG-004] [COW-010] [NUM-008].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_host import open_device
from descring_model.engine.contract import VOCABULARY_MAX
from descring_model.rollouts.contract import POLICY
from descring_model.rollouts.records import RECORD_DTYPE, REQUEST_DTYPE, Records
from descring_rollouts import Runtime, Sampling, make_requests, open_engine

from descring_sim.replay.stream_file import StreamError

MAX_ROLLOUTS = 1 << 12
MAX_TOKENS = 1 << 12
"""Of a rollout."""
MAX_TICK = 1 << 12
"""By which every rollout has arrived: a run steps through the ticks one by one."""
MAX_RECORDS = 1 << 18
"""Of the log of a run."""

Array = npt.NDArray[np.generic]

_GROUPS, _SAMPLES = 3, 3
_PROMPT, _NEW = 70, 40
"""Most tokens of a prompt, and to make: over the edges of blocks."""
_SLOTS, _KV_BLOCKS = 5, 40

_DEVICES: dict[str, tuple[str, dict[str, Any]]] = {
    "cuda": ("cuda", {"shape": "throughput"}),
    "cuda-latency": ("cuda", {"shape": "latency"}),
}
"""Arguments of ``open_device`` where a backend's name is not one of its names."""


@dataclass(frozen=True)
class RunCase:
    """How rollouts are run: everything but their lengths and prompts.

    Attributes:
        name: of the run.
        vocabulary: tokens that there are.
        seed: of the generator, and of lengths and prompts when they are recorded.
        temperature: as ``Sampling`` has it, and so on.
        policy: as :class:`Runtime` has it, and so on.
    """

    name: str
    vocabulary: int = 64
    seed: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    eos: int | None = None
    policy: str = "FIFO"
    share: bool = True
    boundary_rewards: bool = False
    checked: bool = False
    split_reward: bool = True

    @classmethod
    def of(cls, values: dict[str, Any]) -> RunCase:
        """From what a manifest states.

        Raises:
            TypeError, ValueError: a value of another type, or one out of range.
        """
        case = cls(**values)
        for name, value in values.items():
            kind = type(getattr(cls, name, ""))
            number = kind is float and type(value) is int
            if type(value) is not kind and not number and not (name == "eos" and _is_token(value)):
                raise ValueError(f"{name}: expected {kind.__name__}, got {value!r}")
        case.sampling()
        if case.policy not in POLICY:
            raise ValueError(f"policy: expected {', '.join(POLICY)}, got {case.policy!r}")
        if not 1 <= case.vocabulary <= VOCABULARY_MAX:
            raise ValueError(f"vocabulary: expected 1 to {VOCABULARY_MAX}, got {case.vocabulary}")
        return case

    def sampling(self) -> Sampling:
        """How its tokens are drawn."""
        return Sampling(self.seed, self.temperature, self.top_p, self.top_k, self.eos)


def _is_token(value: object) -> bool:
    return value is None or type(value) is int


def run_cases(seed: int) -> tuple[RunCase, ...]:
    """What is recorded: draws and greedy, shared and not, both rings and one, an early end."""
    return (
        RunCase("drawn", seed=seed, temperature=0.9, top_p=0.95, top_k=40, eos=11),
        RunCase(
            "scored", 1000, seed + 1, temperature=2.0, policy="PREFIX", boundary_rewards=True,
            split_reward=False,
        ),
        RunCase("greedy", 64, seed + 2, temperature=0.0, share=False, checked=True),
    )  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """What a run is given.

    Attributes:
        requests: ``(n,)`` of REQUEST_DTYPE.
        prompts: of each group its tokens.
    """

    requests: Records
    prompts: tuple[npt.NDArray[np.uint32], ...]

    @classmethod
    def draw(cls, case: RunCase) -> Inputs:
        """Lengths, some cancellations and prompts from the seed of ``case``."""
        rng = np.random.default_rng([case.seed, 2])
        lengths = rng.integers(1, _PROMPT, _GROUPS, endpoint=True)
        prompts = tuple(
            rng.integers(0, case.vocabulary, length).astype(np.uint32) for length in lengths
        )
        new = rng.integers(0, _NEW, (_GROUPS, _SAMPLES), endpoint=True)
        arrival = rng.integers(0, 6, (_GROUPS, _SAMPLES))
        asked = make_requests(prompts, samples=_SAMPLES, new_tokens=new, arrival=arrival)
        asked["cancel"][rng.integers(len(asked))] = 9
        return cls(asked, prompts)

    def arrays(self) -> dict[str, Array]:
        """By their names in a bundle: bytes of the records, and the prompts one behind another."""
        return {
            "requests": self.requests.view(np.uint8).reshape(len(self.requests), -1),
            "prompts": np.concatenate(self.prompts),
        }

    @classmethod
    def read(cls, array: Callable[[str, int], Array]) -> Inputs:
        """From a bundle.

        Args:
            array: the array with a name, of so many bytes at most.

        Raises:
            ValueError: they do not fit together.
        """
        size = REQUEST_DTYPE.itemsize
        requests = _table(array("requests", MAX_ROLLOUTS * size), size).view(REQUEST_DTYPE)[:, 0]
        tokens = array("prompts", 4 * MAX_ROLLOUTS * MAX_TOKENS)
        if tokens.dtype != np.uint32 or tokens.ndim != 1:
            raise ValueError(f"prompts: expected tokens, got {tokens.dtype} of {tokens.shape}")
        groups, first = np.unique(requests["group"], return_index=True)
        lengths = requests["prompt_tokens"][first].astype(np.int64)
        if not np.array_equal(groups, np.arange(len(groups))) or lengths.sum() != len(tokens):
            raise ValueError(f"prompts: expected those of {len(groups)} groups in turn")
        if int(requests["max_tokens"].max(initial=0)) > MAX_TOKENS:
            raise ValueError(f"expected at most {MAX_TOKENS} tokens a rollout")
        if int(requests["arrival"].max(initial=0)) > MAX_TICK:
            raise ValueError(f"expected arrivals by tick {MAX_TICK}")
        return cls(requests.copy(), tuple(np.split(tokens, np.cumsum(lengths)[:-1])))


def _table(array: Array, width: int) -> npt.NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim != 2 or array.shape[1] != width:
        raise ValueError(f"expected records of {width} bytes, got {array.dtype} of {array.shape}")
    return np.ascontiguousarray(array).view(np.uint8)


def outcome(backend: str, engine: str, case: RunCase, inputs: Inputs) -> dict[str, Array]:
    """What a backend and an engine make of a run: arrays by name.

    Args:
        backend: a name of the registry.
        engine: a name of ``open_engine``.
        case: how it is run.
        inputs: what it is given.

    Returns:
        ``log`` (n, 32) uint8, ``tokens`` (rollouts, most) uint32, ``digests`` (rollouts,) uint64.

    Raises:
        StreamError: inputs that cannot be run.
        HostError, EngineError, RolloutError: the device or the engine failed.
    """
    name, options = _DEVICES.get(backend, (backend, {}))
    maker = open_engine(engine, case.vocabulary)
    try:
        with open_device(name, **options) as device:
            runtime = Runtime(
                device,
                engine=maker,
                sampling=case.sampling(),
                policy=case.policy,
                share=case.share,
                boundary_rewards=case.boundary_rewards,
                checked=case.checked,
                split_reward=case.split_reward,
                slots=_SLOTS,
                kv_blocks=_KV_BLOCKS,
            )
            try:
                groups = runtime.run_requests(inputs.requests, inputs.prompts)
            except ValueError as error:
                raise StreamError(f"run {case.name}: {error}; record the bundle again") from error
            for _ in groups:
                pass
    finally:
        maker.close()
    found = runtime.trajectories
    assert found.tokens is not None and found.kv_digest is not None
    log = runtime.log()
    return {
        "log": log.view(np.uint8).reshape(len(log), -1),
        "tokens": found.tokens,
        "digests": found.kv_digest,
    }


LIMITS = {
    "log": MAX_RECORDS * RECORD_DTYPE.itemsize,
    "tokens": 4 * MAX_ROLLOUTS * MAX_TOKENS,
    "digests": 8 * MAX_ROLLOUTS,
}
"""Bytes that the arrays of an outcome have at most."""


def difference(expected: dict[str, Array], got: dict[str, Array]) -> str | None:
    """The first difference of two outcomes, as a line for people; None: they are equal."""
    rows: dict[str, Callable[[Sequence[Any]], str]] = {
        "log": lambda row: str(np.array(row, dtype=np.uint8).view(RECORD_DTYPE)[0]),
        "tokens": lambda row: str(list(row)),
        "digests": lambda row: f"0x{int(row):016x}",  # type: ignore[call-overload]
    }
    for name, show in rows.items():
        mine, others = got[name], expected[name]
        if others.dtype != mine.dtype or others.shape[1:] != mine.shape[1:]:
            return f"{name}: expected {others.dtype} of {others.shape}, got {mine.shape}"
        for place, (wanted, row) in enumerate(zip(others.tolist(), mine.tolist(), strict=False)):
            if wanted != row:
                what = "record" if name == "log" else "rollout"
                return f"{name}, {what} {place}: expected {show(wanted)}, got {show(row)}"
        if len(others) != len(mine):
            return f"{name}: expected {len(others)} rows, got {len(mine)}"
    return None
