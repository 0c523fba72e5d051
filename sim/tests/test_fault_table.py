# SPDX-License-Identifier: Apache-2.0
"""The fault table: it detects a device that errs, and keeps what was done."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_model import GoldenDevice, contract
from descring_sim.faults import __main__, report
from descring_sim.faults.kinds import KINDS, run_seed
from descring_sim.faults.lockstep_host import FaultError, Setting
from descring_sim.faults.report import Chunk
from descring_sim.support.errors import SimulationError

_OFFSET = contract.OFFSET


class Perfect(GoldenDevice):
    """A device that is right, and takes no time."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting.memory_bytes, first_index=setting.first_index)

    def step(self, cycles: int) -> None:
        """Nothing is in flight."""


class LosesDoorbells(Perfect):
    """Counts every doorbell as a repetition."""

    def write32(self, offset: int, value: int) -> None:
        """As the golden device, but for one register."""
        if offset != _OFFSET["DOORBELL"]:
            super().write32(offset, value)


class OneByteOff(Perfect):
    """Shows a byte in memory that no one has written, once a completion is there."""

    def write32(self, offset: int, value: int) -> None:
        """As the golden device, and then a byte of slot 0's page."""
        super().write32(offset, value)
        if self.read32(_OFFSET["CNT_DESCRIPTORS"]):
            self.memory[0] = 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_that_is_right_passes_every_kind(kind: str) -> None:
    """[DB-001] [RING-006] Faults are made, and counted."""
    counts: Counter[str] = Counter()
    for number in range(10):
        run_seed(kind, 1, number, lambda setting, seed: Perfect(setting), counts)
    assert counts["seeds"] == 10 and counts["faults"] > 0 and counts["lines"] > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("device", [LosesDoorbells, OneByteOff])
def test_a_device_that_errs_is_refused(
    kind: str, device: type[Perfect], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names which seed it was."""
    monkeypatch.setattr("descring_sim.faults.lockstep_host._PATIENCE", 20)
    with pytest.raises(FaultError, match=f"{kind}, seed 1, number [0-9]"):
        for number in range(10):
            run_seed(kind, 1, number, lambda setting, seed: device(setting), Counter())


def test_torn_lines_are_counted_by_their_cut() -> None:
    """[DESC-020] 63 seeds have every cut from 1 to 63 once; each part adds up to the whole."""
    counts: Counter[str] = Counter()
    for number in range(63):
        run_seed("torn_lines", 1, number, lambda setting, seed: Perfect(setting), counts)
    assert [counts[f"{cut}:seeds"] for cut in range(1, 64)] == [1] * 63
    for name in ("faults", "refused"):
        assert sum(counts[f"{cut}:{name}"] for cut in range(1, 64)) == counts[name] > 0
    page = report.parts({("torn_lines", "verilator"): counts}, "torn_lines", "k")
    assert page.count("\n") == 2 + 63 + 1


def test_what_was_done_is_kept_for_its_commit(tmp_path: Path) -> None:
    """A line that is none is an error, and names the file."""
    journal = tmp_path / "new" / "done.jsonl"
    assert report.read_journal(journal, "abc") == {}
    chunk, counts = Chunk("icarus", "resets", 1, 50, 25), Counter(seeds=25)
    report.note(journal, "abc", chunk, counts)
    report.note(journal, "other", chunk._replace(first=0), counts)
    assert report.read_journal(journal, "abc") == {chunk: counts}
    journal.write_text(journal.read_text() + '{"commit": "abc"}\n')
    with pytest.raises(SimulationError, match=r"done.jsonl:3: expected what a run has noted"):
        report.read_journal(journal, "abc")


def test_a_run_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --resume nothing is done twice; of another commit nothing counts."""
    monkeypatch.setenv("DESCRING_BUILD_DIR", str(tmp_path))
    monkeypatch.setattr("descring_sim.support.provenance.commit", lambda *folders: "abc")
    journal = tmp_path / "faults" / "done.jsonl"
    report.note(journal, "abc", Chunk("verilator", "resets", 1, 0, 7), Counter(seeds=7))
    arguments = ["--simulator", "verilator", "--kind", "resets", "--seeds", "7", "--resume"]
    done = CliRunner().invoke(__main__.main, [*arguments, "--jobs", "1"])
    assert done.exit_code == 0, done.output
    assert "| resets | verilator | 7 |" in done.output
    monkeypatch.setattr(
        "descring_sim.support.provenance.commit", lambda *folders: "abc with changes"
    )
    assert CliRunner().invoke(__main__.main, arguments).exit_code == 2


@pytest.mark.parametrize("narrow", [["--kind", "resets"], ["--seeds", "3"], ["--first", "1"]])
def test_a_page_wants_the_whole_table(narrow: list[str]) -> None:
    """Nothing runs."""
    done = CliRunner().invoke(__main__.main, ["--write", *narrow])
    assert done.exit_code == 2 and "--write wants" in done.output
