# SPDX-License-Identifier: Apache-2.0
"""The kit's suite: whole, reproducible, and right about right implementations."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conform_support import named, rules_with_tests, run_rules
from descring_model import contract
from descring_model.rules import all_rules
from descring_sim.conform.capabilities import Capabilities
from descring_sim.conform.duts import dut_file
from descring_sim.conform.duts.backends import BackendDut
from descring_sim.conform.duts.model import CAPABILITIES, ModelDut
from descring_sim.conform.errors import ConformError
from descring_sim.conform.execute import rng_of, run_test
from descring_sim.conform.proof.accepted import VARIANTS, Variant, accept
from descring_sim.conform.status import Status
from descring_sim.conform.suite.catalogue import all_tests, select
from descring_sim.conform.suite.declare import NOT_APPLICABLE
from descring_sim.conform.suite.vector import Draw, Vector

SLOW = (
    *("verilated-16-workers", "verilated-slow-memory", "acme-slow"),
    *("nimbus-icarus", "nimbus-slow-memory"),
)
"""To build or to run; ``descring dev conform-proof`` tries all of them."""


def test_every_rule_has_a_test_or_a_reason() -> None:
    """No rule of the contract is forgotten, and none has both."""
    rules = {rule.rule for rule in all_rules()}
    assert rules_with_tests() | NOT_APPLICABLE.keys() == rules
    assert not rules_with_tests() & NOT_APPLICABLE.keys()


def test_every_rule_is_in_the_quick_run_or_needs_more() -> None:
    """The quick run has a test of every rule that has one."""
    assert {test.rule for test in select((), smoke=True)} == rules_with_tests()


@pytest.mark.parametrize(("seed", "smoke"), [(1, False), (2, True), (3, True)])
def test_the_model_passes(seed: int, smoke: bool) -> None:
    """The golden model passes everything that it claims, and every test compares something."""
    results = run_rules(ModelDut(), seed=seed, smoke=smoke)
    assert [r for r in results if r.status is not Status.PASSED] == []
    assert all(result.compared > 0 for result in results)


@pytest.mark.parametrize("smoke", [True, pytest.param(False, marks=pytest.mark.nightly)])
def test_the_native_worker_passes(smoke: bool) -> None:
    """The native worker, in threads that take their time, passes everything that it claims."""
    results = run_rules(BackendDut("cpu"), seed=4, smoke=smoke)
    assert [r for r in results if r.status is not Status.PASSED] == []


@pytest.mark.parametrize("workers", [1, 16])
def test_variant_workers_pass(workers: int) -> None:
    """Any number of workers and the smallest rings are right."""
    dut = BackendDut("cpu", workers=workers, ring_slots=2)
    results = run_rules(dut, ["RING-005", "RING-006", "RING-007", "RING-008", "DESC-023"])
    assert named(results) == set()


@pytest.mark.parametrize(
    "variant",
    [item for item in VARIANTS if item.name not in SLOW],
    ids=lambda item: item.name,
)
def test_legal_variants_pass(variant: Variant, tmp_path: Path) -> None:
    """A slow memory, a slow core, tiny rings, another reset: no test of the quick run fails."""
    accepted = accept(variant, tmp_path, 2, smoke=True)
    assert len(accepted.results) > 60
    assert [(r.test, r.failure) for r in accepted.rejections] == []


def test_a_seed_draws_the_same_lines() -> None:
    """The same seed gives the same bytes, alone or among others, and another seed gives others."""
    for test in all_tests():
        if test.stream is None or "random" not in test.name:
            continue
        drawn = [
            np.concatenate(
                [vector.lines for vector in test.vectors(Draw(rng_of(test, seed), CAPABILITIES))]
            )
            for seed in (5, 5, 6)
        ]
        assert np.array_equal(drawn[0], drawn[1])
        assert not np.array_equal(drawn[0], drawn[2])


_DIGESTS = """
import hashlib
from descring_sim.conform.duts.model import CAPABILITIES
from descring_sim.conform.execute import rng_of
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.conform.suite.vector import Draw

for test in all_tests():
    if test.level == "stream" and not test.id.startswith("OP-ERR/every-opcode"):
        digest = hashlib.sha256()
        for vector in test.vectors(Draw(rng_of(test, 5), CAPABILITIES)):
            digest.update(vector.lines.tobytes())
        print(test.id, digest.hexdigest())
"""


def test_the_seed_decides_in_every_process() -> None:
    """Not the order of a set, which is another one in every process."""
    found = [
        subprocess.run(
            [sys.executable, "-c", _DIGESTS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]
    assert len(found[0]) > 80
    assert found[0] == found[1]


def test_vectors_stay_within_the_claims() -> None:
    """No vector has an opcode, a CHECKED line or a mode that was not claimed."""
    claims = Capabilities(
        opcodes=frozenset({"DECODE", "NOP"}),
        checked=False,
        require_checked=False,
        split_reward=False,
        halt=False,
        first_index=False,
    )
    seen = 0
    for test in all_tests():
        if test.stream is None or test.missing(claims):
            continue
        for vector in test.vectors(Draw(rng_of(test, 1), claims)):
            assert not set(vector.lines["opcode"].tolist()) & {2, 3, 4, 255}, test.id
            assert not (vector.lines["flags"] & 0x20).any(), test.id
            in_force = {mode for mode, value in vector.modes.items() if value}
            modes = {"require_checked", "split_reward", "halt", "first_index"}
            assert not in_force & modes, test.id
        seen += 1
    assert seen > 40


def test_selecting() -> None:
    """Rules, tests and patterns select; what names nothing is refused with what is near."""
    assert [test.id for test in select(["RING-007/long-and-short"])] == ["RING-007/long-and-short"]
    assert {test.rule for test in select(["ring-00*"])} == {f"RING-00{k}" for k in range(1, 10)}
    with pytest.raises(ConformError, match=r"--only RING-099: .*near: RING-001"):
        select(["RING-099"])
    with pytest.raises(ConformError, match="DESC-024: this rule has no test; it binds the host"):
        select(["DESC-024"])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"opcode": []}, "has no 'opcode'"),
        ({"opcodes": ["JUMP"]}, "'JUMP' is none of"),
        ({"checked": 1}, "expected true or false, got 1"),
        ({"levels": []}, "expected at least one"),
        ({"ring_slots": [3, 8]}, "expected powers of two"),
        ({"workers": [0, 4]}, "from 1 to 16"),
        ({"rings": "disk"}, "expected one of memory, chip"),
        ({"not_claimed": ["RING-999"]}, "'RING-999' is none of"),
        ({"contract_version": 3}, "contract_version: expected 1 to 2, got 3"),
        ({"contract_version": True}, "contract_version: expected 1 to 2, got True"),
        ({"contract_version": 1, "opcodes": ["NOP", "ROLLOUT"]}, "ROLLOUT is of version 2"),
    ],
)
def test_wrong_capabilities_are_refused(table: dict[str, object], message: str) -> None:
    """A wrong key or value is one clear error."""
    with pytest.raises(ConformError, match=message):
        Capabilities.parse(table, "x.toml")


def test_an_earlier_version_is_claimed_with_its_opcodes() -> None:
    """By default all that it has, and no test that needs a later one."""
    claims = Capabilities.parse({"contract_version": 1}, "x.toml")
    assert claims.opcodes == frozenset(contract.OPCODE) - {"ROLLOUT"}
    rollout = [test for test in all_tests() if "opcode:ROLLOUT" in test.needs]
    assert rollout
    assert all(test.missing(claims) for test in rollout)
    assert Capabilities.parse({}, "x.toml").opcodes == frozenset(contract.OPCODE)


def test_comparing_nothing_is_a_failure() -> None:
    """A vector without lines does not pass."""
    test = replace(select(["OP-000/nop"])[0], stream=lambda draw: Vector(draw.lines(0), ()))
    dut = ModelDut()
    result = run_test(dut, dut.describe(), test, 1, timeout_s=9.0, waves=False)
    assert result.status is Status.FAILED
    assert result.failure is not None
    assert result.failure.text == "the vector compares nothing"


@pytest.mark.parametrize(("old", "new"), [("rtl", "core"), ("shell", "axi-device")])
def test_old_kinds_are_accepted_with_a_notice(tmp_path: Path, old: str, new: str) -> None:
    """Kind and table, subtables too; a file of today has no notice."""
    text = (
        '[dut]\nname = "a"\nversion = "1"\nkind = "KIND"\n'
        '[KIND]\ntop = "t"\n[KIND.ports]\nx = "y"\n'
    )
    files = []
    for kind in (old, new):
        path = tmp_path / f"{kind}.toml"
        path.write_text(text.replace("KIND", kind))
        files.append(dut_file.read_file(path))
    assert [file.kind for file in files] == [new, new]
    assert files[0].table == files[1].table == {"top": "t", "ports": {"x": "y"}}
    text_of_notice = dut_file.notice(files[0].path)
    assert text_of_notice is not None
    assert f'"{old}" is now "{new}"' in text_of_notice
    assert dut_file.notice(files[1].path) is None
    assert dut_file.notice(tmp_path / "none.toml") is None
