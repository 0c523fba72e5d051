# SPDX-License-Identifier: Apache-2.0
"""The host runtime's mutants fit its sources, and one that no one kills is red."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.mutation import host, model
from descring_sim.mutation.host import HostMutantRunner, host_dir
from descring_sim.mutation.session import Status, Verdict
from descring_sim.support import paths
from descring_sim.support.mutant import Mutant, Run, load

FILE = "descring_host/completion.py"
ONE_TEST = Run("host", "queue_take", "one_by_one and model")
COMMENT = ("# SPDX-License-Identifier: Apache-2.0\n", "# SPDX-License-Identifier: Apache-2.0\n\n")
FAULT = ("code = self.flags >> contract.ERROR_CODE_SHIFT", "code = self.flags")


def _all() -> list[Mutant]:
    root = paths.checkout_root()
    assert root is not None
    return load(root / "sim" / "mutants" / "host")


def _mutant(search: str, replace: str, file: str = FILE, equivalent: str | None = None) -> Mutant:
    return Mutant("injected", file, "a test", search, replace, (ONE_TEST,), equivalent)


def test_every_mutant_of_the_model_fits_its_sources_and_suite() -> None:
    """As the two tests below, for the golden model of the rollout runtime."""
    root = paths.checkout_root()
    assert root is not None
    mutants = load(root / "sim" / "mutants" / "model")
    assert len(mutants) >= model.FEWEST
    for mutant in mutants:
        text = (model.model_dir() / mutant.file).read_text(encoding="utf-8")
        assert mutant.mutate(text) != text
        for run in mutant.runs:
            assert run.block == "model"
            assert (model.model_dir() / "tests" / f"test_{run.config}.py").is_file(), run


def test_a_mutant_of_the_model_is_killed_and_one_without_effect_is_not(tmp_path: Path) -> None:
    """One run of the golden model's suite over a copy of it."""
    run = Run("model", "rollout_kv", "offsets")
    file = "descring_model/rollouts/kv.py"
    plane = ("contract.VALUE_PLANE", "contract.BLOCK_BYTES")
    for search, replace, status in ((*plane, "killed"), (*COMMENT, "survived")):
        injected = Mutant("injected", file, "a test", search, replace, (run,))
        verdict = model.ModelMutantRunner(root=tmp_path).try_mutant(injected)
        assert verdict.status == status, verdict.by


def test_every_mutant_changes_the_present_sources_once() -> None:
    """A mutant that no longer fits would silently test nothing."""
    for mutant in _all():
        text = (host_dir() / mutant.file).read_text(encoding="utf-8")
        assert mutant.mutate(text) != text


def test_every_run_names_a_file_of_the_suite() -> None:
    """A run without tests could notice nothing."""
    for run in {run for mutant in _all() for run in mutant.runs}:
        assert (run.block, (host_dir() / "tests" / f"test_{run.config}.py").is_file()) == (
            "host",
            True,
        ), run


@pytest.mark.parametrize(
    ("mutant", "status", "good", "by"),
    [
        (_mutant(*FAULT), "killed", True, "test_queue_take.test_completions_one_by_one[model]"),
        (_mutant(*FAULT, equivalent="wrongly listed"), "killed", False, "one_by_one"),
        (_mutant(*COMMENT), "survived", False, "nothing"),
        (_mutant(*COMMENT, equivalent="a line without text"), "equivalent", True, "a line"),
        (_mutant("hw_now(void) {", "hw_now(void)", "native/sync.c"), "invalid", False, "build"),
        (_mutant("absent", "x"), "invalid", False, "found it 0 times"),
        (_mutant(*COMMENT, file="descring_host/no.py"), "invalid", False, "there is no"),
    ],
)
def test_verdict(tmp_path: Path, mutant: Mutant, status: Status, good: bool, by: str) -> None:
    """Killed, survived, or nothing learned."""
    verdict = HostMutantRunner(root=tmp_path).try_mutant(mutant)
    assert (verdict.status, verdict.good) == (status, good), verdict.by
    assert by in verdict.by
    assert not (tmp_path / "injected").exists()


def test_a_test_that_fails_anyway_notices_nothing(tmp_path: Path) -> None:
    """A test counts only if it passes without the mutant."""
    broken = tmp_path / "broken"
    shutil.copytree(host_dir(), broken)
    source = broken / FILE
    source.write_text(source.read_text(encoding="utf-8").replace(*FAULT), encoding="utf-8")
    verdict = HostMutantRunner(source=broken, root=tmp_path / "work").try_mutant(_mutant(*COMMENT))
    assert verdict.status == "invalid"
    assert "fails on the unchanged sources too" in verdict.by


@pytest.mark.parametrize(("status", "code"), [("killed", 0), ("survived", 1), ("invalid", 1)])
def test_exit_code_follows_the_verdicts(
    monkeypatch: pytest.MonkeyPatch, status: Status, code: int
) -> None:
    """One survivor makes the command fail, and is named with the way to see it again."""
    monkeypatch.setattr(
        HostMutantRunner,
        "try_mutant",
        lambda _self, mutant: Verdict(mutant, status, "because", 0.0),
    )
    result = CliRunner().invoke(host.main, ["--only", "queue-c-no-doorbell"])
    assert result.exit_code == code
    assert ("again with --only queue-c-no-doorbell" in result.output) == bool(code)
