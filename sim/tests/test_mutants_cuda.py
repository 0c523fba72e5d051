# SPDX-License-Identifier: Apache-2.0
"""The kernels' mutants fit their sources, and one that no run kills is red."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_cuda.kernels import folders
from descring_sim.mutation import cuda
from descring_sim.mutation.cuda import KernelMutantRunner
from descring_sim.mutation.session import Once, Status, Verdict
from descring_sim.support import paths
from descring_sim.support.mutant import Mutant, Run, load

RUNS = ("latency", "throughput", "mailbox", "engine", "resident", "scaled", "trace")
FAULT = ("now->errors += step.error != 0;", "")


def _mutant(search: str, replace: str, run: str = "latency") -> Mutant:
    return Mutant("injected", "latency.cuh", "a test", search, replace, (Run("cuda", run),))


def test_every_mutant_changes_the_present_kernels_once() -> None:
    """A mutant that no longer fits would silently test nothing; its runs exist."""
    root = paths.checkout_root()
    assert root is not None
    listed = load(root / "sim" / "mutants" / "cuda")
    assert len(listed) >= cuda.FEWEST
    for mutant in listed:
        text = (folders()[0] / mutant.file).read_text(encoding="utf-8")
        assert mutant.mutate(text) != text
        assert {(run.block, run.config in RUNS) for run in mutant.runs} == {("cuda", True)}


def test_a_mutant_that_does_not_build_is_invalid(tmp_path: Path) -> None:
    """A failing build states nothing about the runs."""
    verdict = KernelMutantRunner(tmp_path).try_mutant(_mutant(FAULT[0], "no such thing;"))
    assert (verdict.status, verdict.good) == ("invalid", False)
    assert "do not build" in verdict.by
    assert not (tmp_path / "injected").exists()


def test_a_run_that_fails_anyway_kills_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run counts only if it passes on the kernels as they are."""
    asked: list[Path] = []

    def probe(kernels: Path, _run: Run) -> str | None:
        asked.append(kernels)
        return "always"

    monkeypatch.setattr(cuda, "probe", probe)
    verdict = KernelMutantRunner(tmp_path).try_mutant(_mutant(*FAULT))
    assert verdict.status == "invalid" and "unchanged kernels too: always" in verdict.by
    assert asked == [tmp_path / "injected" / "kernels", folders()[0]]


@pytest.mark.parametrize(
    ("problem", "status", "by"), [("it", "killed", "latency: it"), (None, "survived", "nothing")]
)
def test_the_copy_is_what_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str | None, status: Status, by: str
) -> None:
    """The fault is in the copy, and the tree's kernels stay as they are."""

    def probe(kernels: Path, _run: Run) -> str | None:
        broken = FAULT[0] not in (kernels / "latency.cuh").read_text()
        assert broken == (kernels != folders()[0])
        return problem if broken else None

    monkeypatch.setattr(cuda, "probe", probe)
    verdict = KernelMutantRunner(tmp_path).try_mutant(_mutant(*FAULT))
    assert (verdict.status, verdict.by) == (status, by)


@pytest.mark.parametrize(("status", "code"), [("killed", 0), ("survived", 1), ("invalid", 1)])
def test_exit_code_follows_the_verdicts(
    monkeypatch: pytest.MonkeyPatch, status: Status, code: int
) -> None:
    """One survivor makes the command fail."""
    monkeypatch.setattr(
        KernelMutantRunner, "try_mutant", lambda _self, mutant: Verdict(mutant, status, "b", 0.0)
    )
    assert CliRunner().invoke(cuda.main, ["--only", "crc-init"]).exit_code == code


def test_a_value_is_found_once_a_key() -> None:
    """However often it is asked for."""
    known: Once[str, int] = Once()
    found = iter(range(9))
    assert [known.get(key, lambda: next(found)) for key in ("a", "a", "b", "a")] == [0, 0, 1, 0]


def test_a_change_in_several_places_is_one_mutant(tmp_path: Path) -> None:
    """Each pair of ``also`` must fit once, as the first does."""
    shutil.copytree(folders()[0], tmp_path / "kernels")
    (tmp_path / "list.toml").write_text(
        'file = "latency.cuh"\nruns = ["cuda@latency"]\n[[mutant]]\nid = "a"\nbreaks = "b"\n'
        f'search = "{FAULT[0]}"\nreplace = ""\nalso = [["self->runs = !now->halted;", ""]]\n'
    )
    (mutant,) = load(tmp_path)
    text = mutant.apply(tmp_path / "kernels").read_text()
    assert FAULT[0] not in text and "self->runs = !now->halted;" not in text
