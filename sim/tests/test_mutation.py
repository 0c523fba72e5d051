# SPDX-License-Identifier: Apache-2.0
"""Drawn mutants: what a campaign makes of them, and how it continues."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.mutation.sampled import campaign, command, judgements, report
from descring_sim.mutation.sampled.c_changes import changes as c_changes
from descring_sim.mutation.sampled.campaign import (
    Found,
    Judge,
    Progress,
    Result,
    Sampled,
    Stage,
    one_stage,
)
from descring_sim.mutation.sampled.judgements import Judgement
from descring_sim.mutation.sampled.suites import Area, SuiteJudge, tiers
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError

LINE = "full = head == tail;"


def _sampled(name: str, bit: int | None = 3) -> Sampled:
    return Sampled(name, "ring", "ring.sv:4", LINE, "$eq A inv", bit, f"{name} in ring")


def _judgement(**other: object) -> Judgement:
    given: dict[str, object] = {"where": "rtl.toml: entry 1", "module": "ring", "source": LINE}
    given |= {"change": "$eq A inv", "reason": "the bit is always 0"}
    return Judgement(**(given | other))  # type: ignore[arg-type]


SURVIVED = Found("survived", "proof", "2 runs pass")
KILLED = Found("killed", "testbench", "ring.test_full")


def test_a_campaign_that_was_stopped_tries_only_what_is_left(tmp_path: Path) -> None:
    """Each result is on disk before the next try; an invalid one is tried again."""
    journal = tmp_path / "rtl.jsonl"
    mutants = [_sampled(name) for name in ("a", "b", "c")]
    tried: list[str] = []

    def judge(mutant: Sampled) -> Found:
        tried.append(mutant.name)
        if mutant.name == "c" and len(tried) == 3:
            raise SimulationError("stopped here")
        return Found("invalid", "none", "does not build") if mutant.name == "a" else KILLED

    with pytest.raises(SimulationError, match="stopped here"):
        campaign.run(mutants, one_stage(judge), (), Progress(journal, "sources"), 1)
    results = campaign.run(mutants, one_stage(judge), (), Progress(journal, "sources"), 1)
    assert tried == ["a", "b", "c", "a", "c"]
    assert [result.status for result in results] == ["invalid", "killed", "killed"]
    # Other sources are other mutants.
    campaign.run(mutants, one_stage(judge), (), Progress(journal, "others"), 1)
    assert tried[5:] == ["a", "b", "c"]


def test_modules_take_turns(tmp_path: Path) -> None:
    """One mutant of each before a second of any; the results stay in the order of the sample."""
    mutants = [
        replace(_sampled(name), module=name[:-1]) for name in ("a1", "a2", "a3", "b1", "c1", "c2")
    ]
    tried: list[str] = []

    def judge(mutant: Sampled) -> Found:
        tried.append(mutant.name)
        return KILLED

    results = campaign.run(
        mutants, one_stage(judge), (), Progress(tmp_path / "rtl.jsonl", "sources"), 1
    )
    assert tried == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert [result.mutant for result in results] == mutants


def test_modules_without_an_answer_do_not_keep_the_others_from_theirs(tmp_path: Path) -> None:
    """All are named in the end, and a module that has failed is not tried again."""
    mutants = [replace(_sampled(name), module=name[:-1]) for name in ("a1", "a2", "b1", "c1", "c2")]
    tried: list[str] = []

    def judge(mutant: Sampled) -> Found:
        tried.append(mutant.name)
        if mutant.module in "ab":
            raise SimulationError(f"no build of {mutant.module}")
        return KILLED

    progress = Progress(tmp_path / "rtl.jsonl", "sources")
    with pytest.raises(SimulationError, match=r"^a: no build of a\nb: no build of b$"):
        campaign.run(mutants, one_stage(judge), (), progress, 1)
    assert tried == ["a1", "b1", "c1", "c2"]
    assert [Progress(tmp_path / "rtl.jsonl", "sources").of(m) is None for m in mutants] == [
        *(True, True, True, False, False)
    ]


def test_the_survivors_of_a_stage_meet_the_next_one_together(tmp_path: Path) -> None:
    """Once all have met the first; what is known of either stage is not tried there again."""
    journal = tmp_path / "rtl.jsonl"
    mutants = [_sampled(name) for name in ("a", "b", "c", "d")]
    tried: list[str] = []
    given: list[list[str]] = []
    soon = Found("survived", "SAT", "1 run passes")

    def first(mutant: Sampled) -> Found:
        tried.append(f"first {mutant.name}")
        return KILLED if mutant.name == "b" else soon

    def second(left: Sequence[Sampled]) -> Judge:
        given.append([mutant.name for mutant in left])

        def judge(mutant: Sampled) -> Found:
            tried.append(f"second {mutant.name}")
            if mutant.name == "c" and "second d" not in tried:
                raise SimulationError("stopped here")
            return SURVIVED if mutant.name == "d" else KILLED

        return judge

    stages = (
        Stage(lambda left: first),
        Stage(second, lambda found: found.status != "survived" or found.tier == "proof"),
    )
    with pytest.raises(SimulationError, match="stopped here"):
        campaign.run(mutants[:3], stages, (), Progress(journal, "sources"), 1)
    assert tried == ["first a", "first b", "first c", "second a", "second c"]
    progress = Progress(journal, "sources")
    assert progress.all_of(mutants, stages) == mutants[:2]
    del tried[:]
    results = campaign.run([mutants[3], *mutants[:3]], stages, (), progress, 1)
    assert tried == ["first d", "second d", "second c"]
    assert given == [["a", "c"], ["d", "c"]]
    assert [result.status for result in results] == ["survived", "killed", "killed", "killed"]
    assert progress.all_of(mutants, stages) == mutants


def test_a_campaign_continues_from_the_written_one(tmp_path: Path) -> None:
    """So a fresh checkout begins where another has stopped; its own journal is newer."""
    found = {"a": SURVIVED, "b": KILLED, "c": KILLED, "d": Found("invalid", "none", "no build")}
    mutants = [_sampled("a"), *(replace(_sampled(name), source="x") for name in "bcd")]
    judged = [_judgement()]
    first = Progress(tmp_path / "there.jsonl", "sources")
    results = campaign.run(mutants, one_stage(lambda m: found[m.name]), judged, first, 1)
    assert [result.status for result in results] == ["judged", "killed", "killed", "invalid"]
    _write(tmp_path, "rtl", results)
    assert "    - the bit is always 0\n" in (tmp_path / "mutation.md").read_text()
    written = report.written(tmp_path, "rtl")
    assert report.written(tmp_path, "c") == []
    journal = tmp_path / "here.jsonl"
    other = one_stage(lambda m: Found("killed", "device", "ring.test_more"))
    campaign.run(mutants[1:2], other, (), Progress(journal, "sources"), 1)
    here = Progress(journal, "sources", written=written)
    known = [here.of(mutant) for mutant in mutants]
    assert [result and result.found for result in known] == [
        *(SURVIVED, Found("killed", "device", "ring.test_more"), KILLED, None)
    ]
    # Of other sources, what has killed a mutant is all that is taken.
    changed = Progress(journal, "others", written=written)
    assert all(changed.of(mutant) is None for mutant in mutants)
    assert set(changed.killers) == {"b", "c"}


def test_a_survivor_of_fewer_tiers_is_tried_again(tmp_path: Path) -> None:
    """What it survived is in the journal."""
    journal = tmp_path / "rtl.jsonl"
    campaign.run(
        [_sampled("a")], one_stage(lambda _: SURVIVED), (), Progress(journal, "sources"), 1
    )
    assert Progress(journal, "sources").of(_sampled("a")) is not None
    deeper = Progress(journal, "sources", lambda found: found.status != "survived")
    assert deeper.of(_sampled("a")) is None


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        json.dumps({"contents": "x"}),
        json.dumps(
            {
                "contents": "x",
                "name": "a",
                "status": "dead",
                "tier": "SAT",
                "by": "-",
                "seconds": "1",
            }
        ),
    ],
)
def test_a_damaged_journal_is_an_error_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """Exit code 2, nothing tried, and the file as it was."""
    monkeypatch.setenv(paths.BUILD_DIR_VARIABLE, str(tmp_path))
    journal = tmp_path / "mutation" / "c.jsonl"
    journal.parent.mkdir()
    journal.write_text(f"{line}\n")
    done = CliRunner().invoke(command.main, ["c", "--sample", "1"])
    assert done.exit_code == 2
    assert f"{journal}:1: expected the result of a mutant" in done.output
    assert journal.read_text() == f"{line}\n"


def test_a_survivor_is_judged_by_line_change_and_bit() -> None:
    """Nothing else of the mutant counts, so that edits elsewhere leave a judgement alone."""
    judgement = _judgement(first=2, last=5)
    assert judgement.matches("ring", f"  {LINE}", "$eq A inv", 5)
    assert not judgement.matches("ring", LINE, "$eq A inv", 6)
    assert not judgement.matches("ring", LINE, "$eq A const0", 5)
    assert not judgement.matches("ring", "full = 0;", "$eq A inv", 5)
    assert not judgement.matches("fifo", LINE, "$eq A inv", 5)
    assert not judgement.matches("ring", LINE, "$eq A inv", None)
    assert _judgement().matches("ring", LINE, "$eq A inv", None)


def test_a_judgement_of_a_killed_mutant_is_wrong(tmp_path: Path) -> None:
    """It excuses a survivor; a kill contradicts it."""
    judged = [_judgement()]
    progress = Progress(tmp_path / "rtl.jsonl", "sources")
    found = {"a": SURVIVED, "b": KILLED}
    mutants = [_sampled("a"), _sampled("b")]
    results = campaign.run(mutants, one_stage(lambda m: found[m.name]), judged, progress, 1)
    assert [result.status for result in results] == ["judged", "killed"]
    (text,) = campaign.contradicted(results, judged)
    assert "rtl.toml: entry 1" in text and "ring.test_full" in text


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ('source = "gone"\nchange = "x"\nreason = "r"', "expected the line 'gone' in ring.sv"),
        (f'source = "{LINE}"\nchange = "x"', "expected .*reason"),
        (f'source = "{LINE}"\nchange = "x"\nreason = " "', "expected reason to be a text"),
        (f'source = "{LINE}"\nchange = "x"\nreason = "r"\nbits = "5-4"', "expected bits as"),
        (f'source = "{LINE}"\nchange = "x"\nreason = "r"\nwhy = "r"', "expected .*got .*why"),
    ],
)
def test_a_wrong_judgement_is_an_error(tmp_path: Path, entry: str, problem: str) -> None:
    """Also one whose line was edited since."""
    (tmp_path / "ring.sv").write_text(f"  {LINE}\n")
    file = tmp_path / "rtl.toml"
    file.write_text(f'[[equivalent]]\nmodule = "ring"\n{entry}\n')
    with pytest.raises(SimulationError, match=problem):
        judgements.load(file, lambda module: tmp_path / f"{module}.sv")


def test_the_projects_judgements_fit_its_sources() -> None:
    """Each names a line that is there."""
    root = paths.checkout_root()
    assert root is not None
    lists = root / "sim" / "mutants" / "sampled"
    assert sorted(path.stem for path in lists.glob("*.toml")) == ["c", "python", "rtl"]
    judgements.load(lists / "rtl.toml", lambda module: root / "rtl" / f"{module}.sv")
    judgements.load(lists / "c.toml", lambda name: root / name)


C = """\
// a < b
#define LIMIT (a + 1)
static int next(uint32_t *at, int a) {
  puts("a < b");
  *at = a + 0x10u;
  count++;
  if (a <= 3 && !at) {
    return atomic_load_explicit(at, memory_order_acquire);
  }
  return -1;
}
"""


def test_changes_of_c_are_those_of_its_code() -> None:
    """No comment, string, directive, sign or pointer; each change once, of the text it names."""
    found = {(change.kind, C[change.start : change.end], change.new) for change in c_changes(C)}
    assert found == {
        ("arithmetic", "+", "-"),
        ("arithmetic", "++", "--"),
        ("relational", "<=", "<"),
        ("relational", "<=", ">"),
        ("logical", "&&", "||"),
        ("logical", "!", ""),
        ("constant", "0x10u", "17u"),
        ("constant", "0x10u", "0u"),
        ("constant", "3", "4"),
        ("constant", "3", "0"),
        ("constant", "1", "2"),
        ("constant", "1", "0"),
        ("memory order", "memory_order_acquire", "memory_order_relaxed"),
        ("statement deleted", 'puts("a < b");', ";"),
        ("statement deleted", "*at = a + 0x10u;", ";"),
        ("statement deleted", "count++;", ";"),
    }


def _toy(folder: Path) -> Area:
    """A package with a suite that knows one of its two functions."""
    home = folder / "toy"
    (home / "tests").mkdir(parents=True)
    (home / "calc.c").write_text("int more(int a) {\n  return a + 5;\n}\n")
    (home / "tests" / "test_calc.py").write_text(
        "from pathlib import Path\n"
        "def test_sum():\n"
        "    '''calc.c'''\n"
        "    text = (Path(__file__).parents[1] / 'calc.c').read_text()\n"
        "    assert 'a + ' in text\n"
    )
    (home / "tests" / "test_other.py").write_text("def test_nothing_of_it():\n    assert 1\n")
    return Area(home, "toy", ("calc.c",), None)


def test_a_toy_survivor_survives_and_a_toy_kill_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The suite sees the operator, and not the constant; both meet every test file."""
    area = _toy(tmp_path)
    assert tiers(area, "calc.c") == (["calc"], ["other"])
    judge = SuiteJudge((area,), c_changes, tmp_path / "out", seed=1)
    monkeypatch.setattr(judge._runner(area), "prepare", lambda home, source: None)
    drawn = judge.draw(judge.files(), 3)
    assert len(drawn) == 3
    found = {mutant.change: judge.judge(mutant) for mutant in drawn}
    assert found["arithmetic: + -> -"].status == "killed"
    assert found["arithmetic: + -> -"].tier == "near tests"
    assert "test_calc.test_sum" in found["arithmetic: + -> -"].by
    assert found["constant: 5 -> 6"] == Found("survived", "none", "2 test files pass")
    assert list((tmp_path / "out" / "toy").iterdir()) == []


def test_a_sample_is_the_seeds_alone() -> None:
    """The same seed draws the same mutants, another one others; each area has its share."""
    root = paths.checkout_root()
    assert root is not None
    areas = (command.native_core(root),)

    def names(seed: int) -> list[str]:
        judge = SuiteJudge(areas, c_changes, Path("unused"), seed)
        return [mutant.name for mutant in judge.draw(judge.files(), 40)]

    assert len(set(names(1))) == 40
    assert names(1) == names(1) != names(2)
    kinds = {name.partition(":")[0] for name in _kinds(areas)}
    assert {"memory order", "statement deleted", "relational", "arithmetic", "constant"} <= kinds


def _kinds(areas: tuple[Area, ...]) -> list[str]:
    judge = SuiteJudge(areas, c_changes, Path("unused"), 1)
    return [mutant.change for mutant in judge.draw(judge.files(), 40)]


def _write(folder: Path, kind: str, results: Sequence[Result]) -> None:
    found = report.entry(results, contents="sources", sample=3, seed=9, seconds=7)
    report.write(folder, kind, found)


def test_the_page_has_counts_survivors_and_how_to_try_them_again(tmp_path: Path) -> None:
    """One kind does not replace another."""
    progress = Progress(tmp_path / "rtl.jsonl", "sources")
    found = {"a": SURVIVED, "b": KILLED, "c": Found("equivalent", "SAT", "equal")}
    mutants = [_sampled(name) for name in found]
    results = campaign.run(mutants, one_stage(lambda m: found[m.name]), (), progress, 1)
    for kind in ("rtl", "c"):
        _write(tmp_path, kind, results)
    data = json.loads((tmp_path / "mutation.json").read_text())
    assert [data[kind]["sample"] for kind in ("rtl", "c")] == [3, 3]
    page = (tmp_path / "mutation.md").read_text()
    assert "| ring | 3 | 1 | 1 | 0 | 1 | 0 |" in page
    # The equivalent one does not count, and no command runs what is not drawn.
    assert "| `make sim` | 50.0 % of 2 | — | — |" in page
    assert "| `make test` | 50.0 % of 2 | — | 0.0 % of 2 |" in page
    assert "`descring dev mutation rtl --sample 3 --seed 9 --only a`" in page
    (tmp_path / "mutation.json").write_text("{")
    with pytest.raises(SimulationError, match="expected JSON"):
        report.write(tmp_path, "c", {})
