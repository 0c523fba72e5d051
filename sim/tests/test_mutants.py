# SPDX-License-Identifier: Apache-2.0
"""The list of mutants fits the RTL, and a mutant that no one kills is red."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.mutation import rtl, session
from descring_sim.mutation.rtl import Job, MutantRunner, jobs_of
from descring_sim.mutation.session import Status, Verdict
from descring_sim.support import paths
from descring_sim.support.mutant import Mutant, MutantError, Run, load

WANTED = 45
FILE = "completion_ring.sv"
ONE_CASE = Run("completion_ring", "depth2", "test_reset_at_any_fill")
COMMENT = ("// Completion ring on chip:", "// A ring on chip:")
FAULT = ("tail_q <= tail_q + 32'd1;", "tail_q <= tail_q;")


def _all() -> list[Mutant]:
    root = paths.checkout_root()
    assert root is not None
    return load(root / "sim" / "mutants")


def _mutant(search: str, replace: str, equivalent: str | None = None) -> Mutant:
    return Mutant("injected", FILE, "a test", search, replace, (ONE_CASE,), equivalent)


def test_every_mutant_changes_the_present_rtl_once() -> None:
    """A mutant that no longer fits would silently test nothing."""
    listed = _all()
    assert len(listed) >= WANTED
    for mutant in listed:
        text = (paths.rtl_dir() / mutant.file).read_text(encoding="utf-8")
        changed = mutant.mutate(text)
        assert changed != text
        # What goes in stands where the other text stood, and nowhere else was touched.
        at = text.index(mutant.search)
        assert changed[:at] == text[:at]
        assert changed[at + len(mutant.replace) :] == text[at + len(mutant.search) :]


def test_every_rtl_source_has_mutants() -> None:
    """No module stays unmeasured."""
    assert {mutant.file for mutant in _all()} == {
        path.name for path in paths.rtl_dir().glob("*.sv")
    }


def test_every_run_names_cases_that_exist() -> None:
    """A run without cases could notice nothing."""
    runs = {run for mutant in _all() for run in mutant.runs} | set(rtl.LAST_RUNS)
    assert all(jobs_of(run) for run in runs)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (Run("no_block", "default"), "expected tests of a block in .*no_block, found none"),
        (Run("worker_pool", "workers99"), "CONFIG='workers99'; near: workers"),
        (
            Run("worker_pool", "workers2", "no_such_case"),
            "no case is selected by TEST='no_such_case'",
        ),
    ],
)
def test_run_that_selects_nothing_is_refused(run: Run, message: str) -> None:
    """A wrong name in the list is an error, not a run that passes."""
    with pytest.raises(MutantError, match=message):
        jobs_of(run)


def test_run_keeps_to_the_configurations_of_each_test() -> None:
    """Cases that a block does not run in a configuration are not run there for a mutant."""
    tiny = {job.suite.cases for job in jobs_of(Run("rl_runtime_mmio", "tiny"))}
    default = {job.suite.cases for job in jobs_of(Run("rl_runtime_mmio", "default"))}
    assert default - tiny == {"rl_runtime_mmio.throughput_cases"}


ENTRY = '[[mutant]]\nid = "a"\nbreaks = "b"\nsearch = "c"\nreplace = "d"\n'
HEAD = 'file = "crc32c.sv"\nruns = ["crc32c@default"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the keys"),
        ("file = ", "Invalid value"),
        (HEAD + ENTRY.replace("search", "find"), "expected .*breaks.* got .*find"),
        (HEAD.replace("@", " ") + ENTRY, "expected a run as block@configuration"),
        (HEAD.replace('["crc32c@default"]', "[]") + ENTRY, "expected runs to be a list"),
        (HEAD + ENTRY.replace('"c"', '""'), "expected search to be a text"),
        (HEAD + ENTRY + 'refuted = "e"\n', "expected refuted only beside equivalent"),
        (HEAD + ENTRY + ENTRY, "with one id: a"),
    ],
)
def test_wrong_list_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong is named, with the file it is in."""
    (tmp_path / "list.toml").write_text(text, encoding="utf-8")
    with pytest.raises(MutantError, match=message):
        load(tmp_path)


def test_empty_list_is_refused(tmp_path: Path) -> None:
    """No mutants at all is no success."""
    with pytest.raises(MutantError, match="found none"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("search", "replace", "message"),
    [("absent", "x", "found it 0 times"), ("twice", "x", "2 times"), ("once", "once", "same")],
)
def test_mutant_that_does_not_fit_is_refused(search: str, replace: str, message: str) -> None:
    """The search text must are in the file exactly once, and something must change."""
    with pytest.raises(MutantError, match=message):
        _mutant(search, replace).mutate("once twice twice")


@pytest.mark.parametrize("name", ["completion-taken-twice", "seal-tag-and-crc-swapped"])
def test_real_mutant_is_killed(tmp_path: Path, name: str) -> None:
    """From the list to the case that fails, through the simulator."""
    (mutant,) = [mutant for mutant in _all() if mutant.name == name]
    verdict = MutantRunner(root=tmp_path).try_mutant(mutant)
    assert (verdict.status, verdict.good) == ("killed", True), verdict.by
    assert verdict.by.startswith(f"{mutant.runs[0].block}.test_")


@pytest.mark.parametrize(
    ("equivalent", "status", "good"),
    [(None, "survived", False), ("a comment has no effect", "equivalent", True)],
)
def test_harmless_change_survives(
    tmp_path: Path, equivalent: str | None, status: str, good: bool
) -> None:
    """A change that no case can kill is a survivor, unless the list states why it is none."""
    mutant = _mutant(*COMMENT, equivalent)
    verdict = MutantRunner(root=tmp_path, last_runs=()).try_mutant(mutant)
    assert (verdict.status, verdict.good) == (status, good), verdict.by


def test_equivalent_that_is_killed_is_red(tmp_path: Path) -> None:
    """The list may not call equivalent what a case tells apart."""
    mutant = _mutant(*FAULT, "wrongly listed")
    verdict = MutantRunner(root=tmp_path, last_runs=()).try_mutant(mutant)
    assert (verdict.status, verdict.good) == ("killed", False), verdict.by


def test_mutant_that_does_not_build_is_invalid(tmp_path: Path) -> None:
    """A failing build states nothing about the testbenches."""
    mutant = _mutant("endmodule", "end module")
    verdict = MutantRunner(root=tmp_path, last_runs=()).try_mutant(mutant)
    assert (verdict.status, verdict.good) == ("invalid", False)
    assert "did not build" in verdict.by


def test_case_that_fails_anyway_notices_nothing(tmp_path: Path) -> None:
    """A case counts only if it passes without the mutant."""
    broken = tmp_path / "broken"
    shutil.copytree(paths.rtl_dir(), broken)
    source = broken / FILE
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace(*FAULT), encoding="utf-8")
    mutant_runner = MutantRunner(rtl_dir=broken, root=tmp_path / "work", last_runs=())
    verdict = mutant_runner.try_mutant(_mutant(*COMMENT))
    assert verdict.status == "invalid"
    assert "fails on the unchanged RTL too" in verdict.by


@pytest.mark.parametrize(
    ("log", "by"),
    [
        (
            "running b.b_cases.test_x/a=1 (1/9)\nFATAL: x.sv:1: top.Full_A: too many\n",
            "b.test_x/a=1: Full_A: too many",
        ),
        ("running b.b_cases.test_x (1/9)\nSegmentation fault\n", None),
        ("FATAL: x.sv:1: top.Depth_A: before any case\n", None),
    ],
)
def test_simulation_without_results(log: str, by: str | None) -> None:
    """The RTL's own assertion counts as a case's failure; a crash does not."""
    assert rtl.assertion_in(log) == by


def _command(monkeypatch: pytest.MonkeyPatch, status: Status, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(
        MutantRunner, "try_mutant", lambda _self, mutant: Verdict(mutant, status, "because", 0.0)
    )
    result = CliRunner().invoke(rtl.main, arguments)
    return result.exit_code, result.output


@pytest.mark.parametrize(("status", "code"), [("killed", 0), ("survived", 1), ("invalid", 1)])
def test_exit_code_follows_the_verdicts(
    monkeypatch: pytest.MonkeyPatch, status: Status, code: int
) -> None:
    """One survivor makes the command fail, and is named with the way to see it again."""
    exit_code, output = _command(monkeypatch, status, "--only", "seal-every-line")
    assert exit_code == code
    assert ("again with --only seal-every-line" in output) == bool(code)


def test_too_short_a_list_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of mutants proves little."""
    monkeypatch.setattr(session, "load", lambda _folder: _all()[: rtl.FEWEST - 1])
    assert _command(monkeypatch, "killed")[0] == 1


@pytest.mark.parametrize("arguments", [("--only", "seal-every-lime"), ("--jobs", "0")])
def test_wrong_arguments_are_refused(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """What was asked for and cannot be done ends with code 2."""
    exit_code, output = _command(monkeypatch, "killed", *arguments)
    assert exit_code == 2
    assert "seal-every-line" in output or "--jobs" in output


def test_verdicts_are_kept_for_the_same_sources(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With --resume a mutant is tried once; an invalid one again, and each after a change."""
    monkeypatch.setenv("DESCRING_BUILD_DIR", str(tmp_path))
    monkeypatch.setattr("descring_sim.support.provenance.contents", lambda *_folders: "these")
    arguments = ("--only", "seal-every-line", "--resume")
    assert _command(monkeypatch, "invalid", *arguments)[0] == 1
    assert _command(monkeypatch, "killed", *arguments)[0] == 0
    assert _command(monkeypatch, "survived", *arguments)[0] == 0
    monkeypatch.setattr("descring_sim.support.provenance.contents", lambda *_folders: "others")
    assert _command(monkeypatch, "survived", *arguments)[0] == 1
    monkeypatch.setattr("descring_sim.support.provenance.contents", lambda *_folders: None)
    assert _command(monkeypatch, "killed", *arguments)[0] == 2
    (tmp_path / "mutants" / "verdicts-full-1.jsonl").write_text("nonsense\n")
    monkeypatch.setattr("descring_sim.support.provenance.contents", lambda *_folders: "these")
    assert "verdicts-full-1.jsonl:1: expected" in _command(monkeypatch, "killed", *arguments)[1]


def test_job_runs_are_told_apart_by_their_cases() -> None:
    """What was learned about the unchanged RTL is kept for exactly what was run."""
    some, all_cases = Run.parse("crc32c@default/check"), Run.parse("crc32c@default")
    jobs: list[Job] = [*jobs_of(some), *jobs_of(all_cases)]
    assert len(set(jobs)) == 2
