# SPDX-License-Identifier: Apache-2.0
"""Line, branch and toggle coverage of the RTL by its testbenches, as Verilator counts it.

Run as ``python -m descring_sim.coverage``: runs the testbenches on Verilator with counters, adds
the counts up, and judges them. A hole is named and justified in ``sim/coverage.toml``; an entry
there that covers no hole is an error, so that none outlives its reason. Exit codes: 0 every kind is
at the wanted share or above, 1 one is not or an entry is stale, 2 an error.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from gcovr.data_model.version import FORMAT_VERSION

from descring_sim import paths
from descring_sim.errors import SimulationError

KINDS = ("line", "branch", "toggle")
WANTED = 0.95

_POINT = re.compile(r"^C '(.*)' (\d+)$")


@dataclass(frozen=True, order=True)
class Point:
    """One thing to cover: a line, a branch, or a signal bit's change in one direction.

    ``what`` names the branch or the bit; points of all instances and parameters are one.
    """

    file: str
    line: int
    kind: str
    what: str


@dataclass
class Waiver:
    """Holes with a reason: of ``kind`` in files like ``file``, by name or by source line."""

    file: str
    kind: str
    pattern: re.Pattern[str]
    reason: str
    used: list[Point] = field(default_factory=list)


def _kind(page: str) -> str | None:
    return {"v_line": "line", "v_branch": "branch", "v_toggle": "toggle"}.get(page.split("/")[0])


def read_counts(files: Iterable[Path], rtl_dir: Path) -> dict[Point, int]:
    """Add up the counts of Verilator's coverage files.

    Raises:
        SimulationError: a file is not what Verilator writes, or there are no counts at all.
    """
    counts: dict[Point, int] = {}
    for path in files:
        for number, text in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if text.startswith("#"):
                continue
            match = _POINT.match(text)
            if match is None:
                raise SimulationError(
                    f"{path}:{number}: expected a coverage point, got {text[:80]!r}"
                )
            keys = dict(part.split("\x02", 1) for part in match[1].split("\x01") if part)
            source = Path(keys["f"])
            kind = _kind(keys["page"])
            if kind is None or source.parent != rtl_dir:
                continue
            # A line point stands for each line of its block, "S" says which.
            lines = _lines(keys.get("S", keys["l"])) if kind == "line" else [int(keys["l"])]
            what = (
                ""
                if kind == "line"
                else f"{keys['o']}" + (f" at column {keys['n']}") * (kind == "branch")
            )
            for line in lines:
                point = Point(source.name, line, kind, what)
                counts[point] = counts.get(point, 0) + int(match[2])
    if not counts:
        raise SimulationError("expected coverage points of the RTL, found none")
    return counts


def _lines(text: str) -> Iterator[int]:
    """The lines in a list as ``12-14,20``."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def read_waivers(path: Path) -> list[Waiver]:
    """The waivers in a file.

    Raises:
        SimulationError: an entry lacks something.
    """
    waivers = []
    for number, entry in enumerate(tomllib.loads(path.read_text("utf-8")).get("hole", []), start=1):
        wrong = {"file", "kind", "match", "reason"} ^ entry.keys()
        if wrong or entry["kind"] not in KINDS or not entry["reason"].strip():
            raise SimulationError(
                f"{path}: hole {number}: expected file, kind ({', '.join(KINDS)}), match and "
                f"reason, got {entry}"
            )
        waivers.append(
            Waiver(entry["file"], entry["kind"], re.compile(entry["match"]), entry["reason"])
        )
    return waivers


@dataclass
class Judged:
    """What came of it: points of each kind as (covered, waived, all), and the open holes."""

    totals: dict[str, tuple[int, int, int]]
    holes: list[Point]
    stale: list[Waiver]

    def share(self, kind: str) -> float:
        """The share of the points of a kind that are covered, waived ones left out."""
        covered, waived, every = self.totals[kind]
        return covered / (every - waived) if every > waived else 1.0

    @property
    def ok(self) -> bool:
        """Whether every kind is at the wanted share, and no waiver is stale."""
        return not self.stale and all(self.share(kind) >= WANTED for kind in KINDS)


def judge(counts: dict[Point, int], waivers: list[Waiver], rtl_dir: Path) -> Judged:
    """Match holes with waivers."""
    sources = {
        name: (rtl_dir / name).read_text("utf-8").splitlines()
        for name in {point.file for point in counts}
    }
    totals = dict.fromkeys(KINDS, (0, 0, 0))
    holes = []
    for point, count in sorted(counts.items()):
        covered, waived, every = totals[point.kind]
        if count:
            covered += 1
        else:
            text = point.what if point.kind == "toggle" else sources[point.file][point.line - 1]
            fitting = [
                waiver
                for waiver in waivers
                if fnmatch(point.file, waiver.file)
                and waiver.kind == point.kind
                and waiver.pattern.search(text)
            ]
            for waiver in fitting:
                waiver.used.append(point)
            if fitting:
                waived += 1
            else:
                holes.append(point)
        totals[point.kind] = (covered, waived, every + 1)
    return Judged(totals, holes, [waiver for waiver in waivers if not waiver.used])


def tracefile(counts: dict[Point, int], rtl_dir: Path, kinds: Iterable[str]) -> dict[str, object]:
    """Counts in gcovr's JSON format: lines as lines, branches and toggles as branches of them."""
    files: dict[str, dict[int, dict[str, object]]] = {}
    for point, count in sorted(counts.items()):
        if point.kind not in kinds:
            continue
        line = files.setdefault(point.file, {}).setdefault(
            point.line, {"line_number": point.line, "count": 0, "branches": []}
        )
        branches = line["branches"]
        assert isinstance(branches, list)
        if point.kind != "line":
            number = len(branches)
            branches.append(
                {
                    "count": count,
                    "fallthrough": False,
                    "throw": False,
                    "source_block_id": number,
                    "destination_block_id": number + 1,
                }
            )
        line["count"] = max(int(str(line["count"])), count)
    return {
        "gcovr/format_version": FORMAT_VERSION,
        "files": [
            {"file": f"{rtl_dir.name}/{name}", "lines": list(lines.values()), "functions": []}
            for name, lines in files.items()
        ],
    }


def write_html(counts: dict[Point, int], rtl_dir: Path, folder: Path) -> list[Path]:
    """Write the HTML reports; their first pages."""
    pages = []
    for name, kinds in (("lines-and-branches", ("line", "branch")), ("toggles", ("toggle",))):
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        data = target / "gcovr.json"
        data.write_text(json.dumps(tracefile(counts, rtl_dir, kinds)), encoding="utf-8")
        page = target / "index.html"
        command = [sys.executable, "-m", "gcovr", "--root", str(rtl_dir.parent)]
        command += ["--json-add-tracefile", str(data), "--html-details", str(page)]
        command += ["--html-title", f"descring RTL: {name.replace('-', ' ')}"]
        subprocess.run(command, check=True, capture_output=True)
        pages.append(page)
    return pages


def report(judged: Judged, waivers: list[Waiver]) -> Iterator[str]:
    """The outcome as lines of Markdown."""
    yield "| kind | points | covered | waived | share of the others |"
    yield "|---|---|---|---|---|"
    for kind in KINDS:
        covered, waived, every = judged.totals[kind]
        yield f"| {kind} | {every} | {covered} | {waived} | {100 * judged.share(kind):.2f} % |"
    yield ""
    for waiver in waivers:
        yield (
            f"- {waiver.file}, {waiver.kind}, `{waiver.pattern.pattern}`: "
            f"{len(waiver.used)} points. {waiver.reason}"
        )
    for waiver in judged.stale:
        yield f"- STALE: {waiver.file}, {waiver.kind}, `{waiver.pattern.pattern}` covers no hole"
    if judged.holes:
        yield ""
        yield "Holes without a waiver:"
        yield ""
        yield from (f"- {hole.file}:{hole.line} {hole.kind} {hole.what}" for hole in judged.holes)


def run_testbenches(folder: Path, arguments: list[str]) -> None:
    """Run the testbenches on Verilator with counters; their own failures end it."""
    shutil.rmtree(folder / "sim" / "runs", ignore_errors=True)
    command = [sys.executable, "-m", "pytest", "--import-mode=importlib", "-q"]
    command += ["--sim", "verilator", "--coverage", "--build-dir", str(folder / "sim")]
    if subprocess.run([*command, *arguments, str(paths.cocotb_tests_dir())]).returncode:
        raise SimulationError("a testbench failed, so that its coverage means nothing")


def main(arguments: list[str] | None = None) -> int:
    """Run, judge, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="judge the counts of the last run")
    parser.add_argument("--jobs", default="auto", help="testbenches at a time; default: one a core")
    parser.add_argument("--config", help="this named configuration of each block alone")
    parser.add_argument("--case", help="cases whose block.name matches this expression alone")
    options = parser.parse_args(arguments)
    folder = paths.build_dir() / "coverage"
    rtl_dir = paths.rtl_dir().resolve()
    root = paths.checkout_root()
    try:
        if root is None:
            raise SimulationError("coverage needs a checkout")
        waivers = read_waivers(root / "sim" / "coverage.toml")
        if not options.keep:
            narrow = ["-n", options.jobs]
            narrow += ["--config", options.config] if options.config else []
            narrow += ["--case", options.case] if options.case else []
            run_testbenches(folder, narrow)
        counts = read_counts(sorted(folder.glob("sim/runs/verilator/*/coverage.dat")), rtl_dir)
        judged = judge(counts, waivers, rtl_dir)
        pages = write_html(counts, rtl_dir, folder / "html")
    except (SimulationError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = "\n".join(report(judged, waivers)) + "\n"
    (folder / "coverage.md").write_text(text, encoding="utf-8")
    print(text, end="")
    for page in (*pages, folder / "coverage.md"):
        print(page)
    return 0 if judged.ok else 1


if __name__ == "__main__":
    sys.exit(main())
