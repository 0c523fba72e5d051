# SPDX-License-Identifier: Apache-2.0
"""The level ``engine`` of the kit: ours conform, and wrong engines are rejected by name."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
from descring_model.engine import attention, numbers, random_numbers, sampling, weights
from descring_model.engine.interface import Statuses
from descring_model.engine.model import ModelEngine
from descring_model.engine.records import kv_blocks
from descring_model.engine.rules import all_rules
from descring_sim.cli.main import run
from descring_sim.conform.engine.cases import CASES
from descring_sim.conform.engine.find import find_engine
from descring_sim.conform.engine.run import Result, judge_engine, run_case, select
from descring_sim.conform.errors import ConformError
from descring_sim.conform.status import Status

MODEL = "descring_model.engine"
F32 = npt.NDArray[np.float32]
INCLUDE = Path(__file__).parents[2] / "host" / "include"


class Wrong(ModelEngine):
    """The golden model with some of its functions replaced while it works."""

    patches: ClassVar[dict[str, Any]] = {}

    def advance(self, arena: Any, records: Any, ends: Any) -> Statuses:
        """As the model, with the functions replaced."""
        with ExitStack() as stack:
            for target, value in self.patches.items():
                stack.enter_context(mock.patch(f"{MODEL}.{target}", value))
            return super().advance(arena, records, ends)


def library_exp2(x: F32) -> F32:
    """What NumPy makes of it."""
    found: F32 = np.where(x < -100, np.float32(0), np.exp2(x)).astype(np.float32)
    return found


def library_product(vectors: F32, weights: F32) -> F32:
    """The order of a BLAS."""
    found: F32 = (vectors @ weights.reshape(128, -1)).astype(np.float32)
    return found


def wide_product(vectors: F32, weights: F32) -> F32:
    """Rounded once, at the end."""
    return (vectors.astype(np.float64) @ weights.reshape(128, -1)).astype(np.float32)


def neighbours(chunks: F32) -> F32:
    """Chunks 0 and 1 are added first, instead of 0 and 8."""
    while chunks.shape[1] > 1:
        chunks = chunks[:, 0::2] + chunks[:, 1::2]
    return chunks[:, 0]


BLOCK, KEPT = attention._block, sampling.kept


def neighbours_first(leaves: F32, bits: int) -> F32:
    """Values are joined over bit 0 first: the even and the odd ones are mixed again."""
    if leaves.ndim == 3:
        half = leaves.shape[1] // 2
        leaves = np.stack([leaves[:, :half], leaves[:, half:]], axis=2).reshape(leaves.shape)
    return numbers.tree(leaves, bits)


def everything_present(scores: F32, present: Any, values: F32) -> Any:
    """Slots behind the last token take part."""
    return BLOCK(scores, np.ones_like(present), values)


def one_after_the_other(part: attention.Partial) -> F32:
    """Blocks are joined from the first to the last, as an online softmax does."""
    outputs = []
    for rollout in np.unique(part.rollout):
        mine = np.flatnonzero(part.rollout == rollout)
        reference, weight, values = (
            int(part.reference[mine[0]]), part.weight[mine[0]], part.values[mine[0]],
        )  # fmt: skip
        for place in mine[1:]:
            top = max(reference, int(part.reference[place]))
            f, g = (
                numbers.pow2(np.array([one - top]))[0]
                for one in (reference, int(part.reference[place]))
            )
            weight = weight * f + part.weight[place] * g
            values = values * f + part.values[place] * g
            reference = top
        outputs.append((values + np.float32(0)) / weight)
    return np.stack(outputs)


def fused_product(vectors: F32, weights: F32) -> F32:
    """Each product and sum are rounded once, together."""
    parts = vectors.astype(np.float64).reshape(len(vectors), 16, 8, 1)
    chunks = (parts[:, :, 0] * weights[:, 0]).astype(np.float32)
    for place in range(1, 8):
        chunks = (chunks + parts[:, :, place] * weights[:, place]).astype(np.float32)
    return numbers.add_chunks(chunks)


def library_silu(a: F32) -> F32:
    """The formula with exp."""
    found: F32 = (a / (1 + np.exp(-a))).astype(np.float32)
    return found


def late_inputs(tokens: Any, positions: Any) -> F32:
    """Positions that count from 1."""
    found: F32 = weights.inputs(tokens, positions + 1)
    return found


def float_draw(mass: Any, keep: Any, random: Any) -> Any:
    """Running sums in float32."""
    share = np.cumsum(np.where(keep, mass, 0).astype(np.float32), axis=1, dtype=np.float32)
    point = (random.astype(np.float64) / 2.0**64 * share[:, -1]).astype(np.float32)
    return (share > point[:, np.newaxis]).argmax(axis=1).astype(np.uint32)


def drawn_again(seed: Any, group: Any, sample: Any, position: Any) -> Any:
    """A generator without the position: each token of a rollout draws the same number."""
    return random_numbers.draws(seed, group, sample, position * 0)


def highest_ids_first(logits: F32, mass: Any, top_k: Any, top_p: Any) -> Any:
    """Among equal logits the highest id is the first."""
    return KEPT(logits[:, ::-1], mass[:, ::-1], top_k, top_p)[:, ::-1]


COARSE_ONLY = np.full(256, 1 << 31, dtype=np.uint64)


class _WritesBehind(ModelEngine):
    """Clears the rest of a token's block, where others may read."""

    def advance(self, arena: Any, records: Any, ends: Any) -> Statuses:
        """As the model, and then some."""
        statuses = super().advance(arena, records, ends)
        kv_blocks(arena)[:, :, 31] = 0
        return statuses


class _ForgetsStatus(ModelEngine):
    """Everything went well."""

    def advance(self, arena: Any, records: Any, ends: Any) -> Statuses:
        """As the model, without its statuses."""
        return super().advance(arena, records, ends) * np.uint32(0)


class _DependsOnTheBatch(ModelEngine):
    """The first of several is advanced to where the last one is."""

    def advance(self, arena: Any, records: Any, ends: Any) -> Statuses:
        """As the model, to other ends."""
        if len(records) > 1:
            ends = np.where(np.arange(len(ends)) == 0, ends[-1], ends).astype(np.uint32)
        return super().advance(arena, records, ends)


def wrong(**patches: Any) -> Callable[[int], ModelEngine]:
    """An engine with functions replaced; ``__`` stands for a dot."""
    made = {name.replace("__", "."): value for name, value in patches.items()}
    return type("_Patched", (Wrong,), {"patches": made})


WRONG: dict[str, tuple[Callable[[int], Any], str]] = {
    "exp2 of a library": (wrong(attention__exp2=library_exp2), "NUM-005"),
    "scores add neighbouring chunks": (wrong(attention__add_chunks=neighbours), "NUM-005"),
    "queries of a library": (
        wrong(model__query=lambda h, w: library_product(h, w.w_q)), "STATE-005",
    ),
    "queries in float64": (wrong(model__query=lambda h, w: wide_product(h, w.w_q)), "STATE-005"),
    "states of a library": (wrong(state__product=library_product), "STATE-004"),
    "logits in float64": (
        wrong(model__logits=lambda o, w: wide_product(o.astype(np.float32), w.unembedding)),
        "STATE-007",
    ),
    "silu with exp": (wrong(state__silu=library_silu), "STATE-004"),
    "states are fused": (wrong(state__product=fused_product), "NUM-006"),
    "positions count from 1": (wrong(model__inputs=late_inputs), "STATE-006"),
    "no slot bias": (
        wrong(attention__slot_bias=lambda p: np.zeros(p.shape, dtype=np.float32)), "ATT-001",
    ),
    "absent slots weigh": (wrong(attention___block=everything_present), "ATT-002"),
    "values join neighbours first": (wrong(attention__tree=neighbours_first), "ATT-004"),
    "blocks one after the other": (wrong(attention___finish=one_after_the_other), "ATT-006"),
    "top_p does nothing": (
        wrong(sampling__kept=lambda x, m, k, p: KEPT(x, m, k, np.ones_like(p))), "SAMP-004",
    ),
    "top_k keeps the highest ids": (wrong(sampling__kept=highest_ids_first), "SAMP-002"),
    "masses without the fine table": (wrong(sampling___FINE=COARSE_ONLY), "SAMP-003"),
    "draws of floats": (wrong(sampling__draw=float_draw), "SAMP-005"),
    "the position is not in the number": (wrong(model__draws=drawn_again), "SAMP-006"),
    "eos is a token like others": (wrong(records__Rollout__ended=False), "SAMP-007"),
    "parameters unchecked": (wrong(records___parameters_fit=lambda record: True), "REC-004"),
    "NaN passes": (wrong(model__usable=lambda v: np.ones(len(v), dtype=bool)), "NUM-007"),
    "clears slots behind": (_WritesBehind, "STATE-006"),
    "every status is OK": (_ForgetsStatus, "REC-004"),
    "depends on the batch": (_DependsOnTheBatch, "REC-003"),
}  # fmt: skip


def failures(open_engine: Callable[[int], Any], cases: list[Any]) -> list[Result]:
    """The bad results of cases, run in this process."""
    found = [run_case(open_engine, case, 1) for case in cases]
    return [result for result in found if result.status.bad]


@pytest.mark.slow
def test_ours_conform() -> None:
    """Every case passes and compares something, in a process of its own.

    It takes seconds, which are the golden model's: the only test in which every case runs.
    """
    results = judge_engine("native", select(()), seed=3, timeout_s=300)
    assert [r.case for r in results if r.status is not Status.PASSED or not r.compared] == []
    assert len(results) == len(CASES)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_engine_is_rejected(name: str) -> None:
    """Under the rule that it breaks, by that rule's own case or another one."""
    open_engine, rule = WRONG[name]
    own = [case for case in CASES.values() if case.rule == rule]
    found = failures(open_engine, own)
    if rule not in {result.rule for result in found}:
        found = failures(open_engine, list(CASES.values()))
    assert rule in {result.rule for result in found}, found
    assert all(result.text for result in found)


ENGINES = """
import os, time
from descring_model.engine.model import ModelEngine
class Dies(ModelEngine):
    def advance(self, *arguments): os._exit(7)
class Hangs(ModelEngine):
    def advance(self, *arguments): time.sleep(100)
class Raises(ModelEngine):
    def advance(self, *arguments): raise ValueError("no")
"""


@pytest.mark.slow
def test_engine_that_dies_or_hangs_is_a_result(tmp_path: Path) -> None:
    """The case ends, the next one runs in a new process."""
    (tmp_path / "engines.py").write_text(ENGINES)
    for name, status, text, limit in (
        ("Dies", Status.ERROR, "ended with 7", 100),
        ("Hangs", Status.HUNG, "not finished after 0.5", 0.5),
        ("Raises", Status.ERROR, "ValueError: no", 100),
    ):
        cases = select(("STATE-006", "REC-003"))
        results = judge_engine(f"{tmp_path / 'engines.py'}:{name}", cases, seed=1, timeout_s=limit)
        assert [result.status for result in results] == [status] * 2
        assert text in results[0].text


C_ENGINE = """
#include "descring_engine.h"
#include "hw_engine_data.h"
uint32_t descring_engine_abi(void) { return DESCRING_ENGINE_ABI; }
void *descring_engine_open(uint32_t vocabulary) { return vocabulary ? "x" : 0; }
int descring_engine_advance(void *engine, void *arena, uint64_t bytes, const uint64_t *records,
                            const uint32_t *ends, uint32_t *statuses, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    hwe_rollout_t *rollout = (hwe_rollout_t *)((char *)arena + records[i]);
    statuses[i] = rollout->prompt_tokens ? HWE_STATUS_OK : HWE_STATUS_BAD_RECORD;
    if (rollout->length < ends[i]) rollout->length = ends[i];
  }
  return bytes == 0 || !engine;
}
void descring_engine_close(void *engine) { (void)engine; }
"""


def test_shared_library_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that only counts is rejected under the rule of keys and values; files that are none."""
    source, library, report = (tmp_path / name for name in ("e.c", "e.so", "report.json"))
    source.write_text(C_ENGINE)
    command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{INCLUDE}", "-shared", "-fPIC"]
    subprocess.run([*command, str(source), "-o", str(library)], check=True)
    options = ["--only", "STATE-006", "--json", str(report)]
    assert run(["conform-engine", str(library), *options]) == 1
    output = capsys.readouterr().out
    assert "STATE-006: failed in STATE-006/keys-and-values: rollout 0: key or value" in output
    assert "does not conform" in output
    (row,) = json.loads(report.read_text())["results"]
    assert (row["rule"], row["status"]) == ("STATE-006", "failed")
    source.write_text("int x;")
    bare = tmp_path / "bare.so"
    subprocess.run([*command, str(source), "-o", str(bare)], check=True)
    with pytest.raises(ConformError, match="expected a function descring_engine_abi, got none"):
        find_engine(str(bare))
    with pytest.raises(ConformError, match="cannot be loaded"):
        find_engine(str(source) + ".so")


def test_command_lists_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    """Cases with what they show; unknown engines and rules; ours conforms."""
    assert run(["conform-engine", "native", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(case.id in listed and case.what in listed for case in CASES.values())
    assert run(["conform-engine", "other"]) == 2
    assert "expected an engine out of model, native" in capsys.readouterr().err
    assert run(["conform-engine", "native", "--only", "SAMP-999"]) == 2
    assert "--only SAMP-999: expected a rule or case out of" in capsys.readouterr().err
    assert run(["conform-engine", "native", "--only", "STATE-006"]) == 0
    assert "native: 1 of 1 cases passed" in capsys.readouterr().out


def test_every_rule_has_a_case_or_a_reason() -> None:
    """What the kit cannot see is named here."""
    covered = {case.rule for case in CASES.values()}
    not_seen = {
        "NUM-001", "NUM-002", "NUM-003", "NUM-004",  # parts of the sums that cases compare
        "STATE-001", "STATE-003",  # weights: a wrong one fails STATE-004 to STATE-007
        "ATT-003", "ATT-007",  # an ulp of the output at most
        "SAMP-008",  # no record selects it
        "REC-001", "REC-005", "REC-006", "REC-007",  # of whoever writes records and lines
    }  # fmt: skip
    assert {rule.rule for rule in all_rules()} == covered | not_seen
    assert not covered & not_seen
