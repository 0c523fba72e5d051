# SPDX-License-Identifier: Apache-2.0
"""Coverage: counts are added up, holes need a reason, and a reason needs a hole."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from descring_sim.signoff import coverage
from descring_sim.signoff.coverage import Point, Waiver
from descring_sim.support.errors import SimulationError


def point(rtl: Path, page: str, line: int, comment: str, count: int, **more: str) -> str:
    """A line of Verilator's file."""
    keys = {"f": str(rtl / "toy.sv"), "l": str(line), "n": "3", "page": f"{page}/toy", "o": comment}
    text = "".join(f"\x01{key}\x02{value}" for key, value in (keys | more).items())
    return f"C '{text}' {count}"


@pytest.fixture
def rtl(tmp_path: Path) -> Path:
    """A folder with one source of five lines."""
    folder = tmp_path / "rtl"
    folder.mkdir()
    (folder / "toy.sv").write_text("one\ntwo\nthree\nfour\nfive\n")
    return folder


@pytest.fixture
def counts(rtl: Path) -> dict[Point, int]:
    """Two runs: line 4 was never reached, q[1] never fell."""
    runs = []
    for number, reached in enumerate((0, 2)):
        lines = [
            "# SystemC::Coverage-3",
            point(rtl, "v_line", 1, "block", reached, S="1-2"),
            point(rtl, "v_line", 4, "block", 0, S="4"),
            point(rtl, "v_branch", 2, "if", 1),
            point(rtl, "v_branch", 2, "else", reached),
            point(rtl, "v_toggle", 3, "q[1]:0->1", 1),
            point(rtl, "v_toggle", 3, "q[1]:1->0", 0),
            point(rtl.parent, "v_line", 1, "elsewhere", 0),
        ]
        runs.append(rtl.parent / f"{number}.dat")
        runs[-1].write_text("\n".join(lines) + "\n")
    return coverage.read_counts(runs, rtl)


def waiver(kind: str, match: str) -> Waiver:
    """A waiver of the toy."""
    return Waiver("toy.sv", kind, re.compile(match), "because")


def test_runs_are_added_up_and_only_the_rtl_counts(counts: dict[Point, int], rtl: Path) -> None:
    """A block's lines are lines each."""
    judged = coverage.judge(counts, [], rtl)
    assert judged.totals == {"line": (2, 0, 3), "branch": (2, 0, 2), "toggle": (1, 0, 2)}
    assert [(hole.line, hole.kind) for hole in judged.holes] == [(3, "toggle"), (4, "line")]
    assert not judged.ok


def test_each_hole_needs_a_reason_and_each_reason_a_hole(
    counts: dict[Point, int], rtl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By bit and by source line; a reason makes no hole covered."""
    good = [waiver("line", "^four$"), waiver("toggle", r"^q\[1\]:1->0$")]
    judged = coverage.judge(counts, good, rtl)
    assert not judged.holes
    assert judged.share("toggle") == 0.5
    assert not judged.ok
    monkeypatch.setattr(coverage, "WANTED", 0.5)
    assert judged.ok
    assert not coverage.judge(counts, good[:1], rtl).ok
    assert "  - toy.sv: q[1]" in list(coverage.report(judged, good))
    stale = waiver("line", "^one$")
    judged = coverage.judge(counts, [*good, stale], rtl)
    assert judged.stale == [stale]
    assert not judged.ok
    assert any("STALE" in line for line in coverage.report(judged, [*good, stale]))


def test_what_runs_at_elaboration_is_no_point(
    counts: dict[Point, int], rtl: Path, tmp_path: Path
) -> None:
    """A share is of what a simulation can reach; all the same such lines are listed."""
    path = tmp_path / "coverage.toml"
    entry = '[[hole]]\nfile = "toy.sv"\nkind = "line"\nmatch = "^four$"\nreason = "y"\n'
    path.write_text(f"{entry}elaboration = true\n")
    waivers = coverage.read_waivers(path)
    judged = coverage.judge(counts, waivers, rtl)
    assert judged.totals["line"] == (2, 0, 2)
    assert not judged.stale
    assert any("toy.sv: line 4" in line for line in coverage.report(judged, waivers))


def test_holes_are_named_by_their_bits(rtl: Path) -> None:
    """Bits that stand next to each other are one range; both directions are one bit."""
    bits = [63, 62, 61, 5, 0, 0]
    points = [Point("toy.sv", 3, "toggle", f"q[{bit}]:0->1") for bit in bits]
    points += [Point("toy.sv", 4, "toggle", "ready:1->0"), Point("toy.sv", 5, "line", "")]
    used = waiver("toggle", ".")
    used.used.extend(points)
    judged = coverage.judge({points[0]: 1}, [], rtl)
    lines = list(coverage.report(judged, [used]))
    assert "  - toy.sv: q[63:61,5,0], ready, line 5" in lines


def test_a_page_wants_all_cases() -> None:
    """Nothing runs."""
    with pytest.raises(SystemExit, match="2"):
        coverage.main(["--write", "--case", "crc"])


def test_the_report_is_html_with_the_sources(counts: dict[Point, int], rtl: Path) -> None:
    """Through gcovr, whose format the counts are put into."""
    pages = coverage.write_html(counts, rtl, rtl.parent / "html")
    assert len(pages) == 2
    for page in pages:
        assert "toy.sv" in page.read_text()
        data = json.loads((page.parent / "gcovr.json").read_text())
        assert data["files"][0]["file"] == "rtl/toy.sv"


@pytest.mark.parametrize("text", ["", "C 'x\n", "nonsense\n"])
def test_files_without_counts_are_refused(text: str, rtl: Path) -> None:
    """No counts are no coverage."""
    path = rtl.parent / "x.dat"
    path.write_text(text)
    with pytest.raises(SimulationError, match="expected"):
        coverage.read_counts([path], rtl)


@pytest.mark.parametrize(
    "entry",
    [
        'file = "toy.sv"\nkind = "line"\nmatch = "x"',
        'file = "toy.sv"\nkind = "words"\nmatch = "x"\nreason = "y"',
        'file = "toy.sv"\nkind = "line"\nmatch = "x"\nreason = " "',
    ],
)
def test_a_waiver_without_a_reason_is_refused(entry: str, tmp_path: Path) -> None:
    """Each needs file, kind, match and reason."""
    path = tmp_path / "coverage.toml"
    path.write_text(f"[[hole]]\n{entry}\n")
    with pytest.raises(SimulationError, match="hole 1"):
        coverage.read_waivers(path)


def test_a_configuration_of_no_block_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything runs, with names that look like it."""
    with pytest.raises(SystemExit) as ended:
        coverage.main(["--config", "defualt", "--keep"])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert re.search(r"expected a configuration of a block, got 'defualt'; near: default", message)


@pytest.mark.parametrize(
    "narrow", [["--config", "default"], ["--case", "crc32c"], ["--tier", "quick"]]
)
def test_the_page_of_results_is_of_everything(
    narrow: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A part would be read as the whole."""
    with pytest.raises(SystemExit) as ended:
        coverage.main(["--write", "--keep", *narrow])
    assert ended.value.code == 2
    assert "--write wants all cases in full" in capsys.readouterr().err
