# SPDX-License-Identifier: Apache-2.0
"""Line, branch and toggle coverage of the RTL by its testbenches, as Verilator counts it.

Run as ``descring dev coverage``: runs the testbenches on Verilator with counters,
adds the counts up, and judges them. A hole is named and justified in ``sim/coverage.toml``; an
entry there that covers no hole is an error, so that none outlives its reason. Exit codes: 0 of
every kind the wanted share of all points is covered, justified holes counted as holes, and every
hole has its reason; 1 that is not so; 2 an error.
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

from descring_model.program import run_program
from gcovr.data_model.version import FORMAT_VERSION

from descring_sim.cosim import runner, simulators
from descring_sim.cosim.block import suites_of
from descring_sim.support import environment, paths, provenance, suggest
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import write_files

SEED = 1
KINDS = ("line", "branch", "toggle")
WANTED = 0.95

_POINT = re.compile(r"^C '(.*)' (\d+)$")
_BIT = re.compile(r"(?P<name>[^:\[]+)(\[(?P<bit>\d+)\])?")


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
    """Holes with a reason: of ``kind`` in files like ``file``, by name or by source line.

    What runs at elaboration only is no point of the simulation, and counts as none.
    """

    file: str
    kind: str
    pattern: re.Pattern[str]
    reason: str
    elaboration: bool = False
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
            # A line point stands for each line of its block, "S" names which.
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
        elaboration = entry.pop("elaboration", False)
        wrong = {"file", "kind", "match", "reason"} ^ entry.keys()
        if wrong or entry["kind"] not in KINDS or not entry["reason"].strip():
            raise SimulationError(
                f"{path}: hole {number}: expected file, kind ({', '.join(KINDS)}), match, "
                f"reason and perhaps elaboration, got {entry}"
            )
        pattern = re.compile(entry["match"])
        waivers.append(Waiver(entry["file"], entry["kind"], pattern, entry["reason"], elaboration))
    return waivers


@dataclass
class Judged:
    """The outcome: points of each kind as (covered, waived, all), and the open holes."""

    totals: dict[str, tuple[int, int, int]]
    holes: list[Point]
    stale: list[Waiver]

    def share(self, kind: str) -> float:
        """The share of the points of a kind that are covered; a hole with a reason is a hole."""
        covered, _, every = self.totals[kind]
        return covered / every if every else 1.0

    @property
    def ok(self) -> bool:
        """Whether every kind is at the wanted share, each hole has a reason, each reason a hole."""
        wanted = all(self.share(kind) >= WANTED for kind in KINDS)
        return wanted and not self.stale and not self.holes


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
            if any(waiver.elaboration for waiver in fitting):
                continue
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
        subprocess.run(command, env=environment.tools(), check=True, capture_output=True)
        pages.append(page)
    return pages


def report(judged: Judged, waivers: list[Waiver]) -> Iterator[str]:
    """The outcome as lines of Markdown."""
    yield "| kind | points | covered | share | holes with a reason | holes without |"
    yield "|---|---|---|---|---|---|"
    for kind in KINDS:
        covered, waived, every = judged.totals[kind]
        yield (
            f"| {kind} | {every} | {covered} | {100 * judged.share(kind):.2f} % | {waived} | "
            f"{every - covered - waived} |"
        )
    yield ""
    for waiver in waivers:
        if waiver.used:
            yield (
                f"- {waiver.file}, {waiver.kind}, `{waiver.pattern.pattern}`: "
                f"{len(waiver.used)} points. {waiver.reason}"
            )
            yield f"  - {_named(waiver.used)}"
    for waiver in judged.stale:
        yield f"- STALE: {waiver.file}, {waiver.kind}, `{waiver.pattern.pattern}` covers no hole"
    if judged.holes:
        yield ""
        yield "Holes without a reason:"
        yield ""
        yield from (f"- {hole.file}:{hole.line} {hole.kind} {hole.what}" for hole in judged.holes)


def _named(points: Iterable[Point]) -> str:
    """The points by file: signals with the bits that stand, or lines."""
    bits: dict[tuple[str, str], set[int]] = {}
    for point in points:
        signal = _BIT.match(point.what) if point.kind == "toggle" else None
        name = signal["name"] if signal else f"line {point.line}"
        place = bits.setdefault((point.file, name), set())
        if signal and signal["bit"]:
            place.add(int(signal["bit"]))
    files: dict[str, list[str]] = {}
    for (file, name), numbers in bits.items():
        files.setdefault(file, []).append(name + (f"[{_runs(numbers)}]" if numbers else ""))
    return "; ".join(f"{file}: {', '.join(names)}" for file, names in files.items())


def _runs(numbers: Iterable[int]) -> str:
    """Numbers as runs, the highest first: ``63:40,3``."""
    runs: list[list[int]] = []
    for number in sorted(numbers, reverse=True):
        if runs and runs[-1][-1] == number + 1:
            runs[-1][-1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{high}:{low}" if high != low else str(high) for high, low in runs)


_PAGE = """\
# Coverage of the RTL

`descring dev coverage --write`, {today}, commit {commit}, {version}{kept}.

Every testbench in all its configurations, full tier. A point counts once, whatever instance or
parameter covers it. A toggle is one bit's change in one direction.

"""


def page(judged: Judged, waivers: list[Waiver], *, kept: bool) -> str:
    """The page of results; ``kept``: the counts are those of an earlier run."""
    return _PAGE.format(
        today=provenance.today(),
        commit=provenance.commit("rtl", "cocotb_tests", "sim"),
        version=f"Verilator {simulators.find('verilator').version}",
        kept=", over the counts of an earlier run (`--keep`)" if kept else "",
    ) + "\n".join([*report(judged, waivers), ""])


def run_testbenches(folder: Path, configs: Iterable[str], arguments: list[str]) -> None:
    """Run the testbenches on Verilator with counters; their own failures end it."""
    shutil.rmtree(folder / "sim" / "runs", ignore_errors=True)
    command = [sys.executable, "-m", "pytest", "--import-mode=importlib", "-q"]
    command += ["--sim", "verilator", "--coverage", "--seed", str(SEED)]
    command += ["--build-dir", str(folder / "sim")]
    for narrow in [["--config", config] for config in configs] or [[]]:
        whole = [*command, *narrow, *arguments, str(paths.cocotb_tests_dir())]
        if subprocess.run(whole, env=environment.tools()).returncode:
            raise SimulationError("a testbench failed, so that its coverage means nothing")


def main(arguments: list[str] | None = None) -> int:
    """Run, judge, and return the exit code."""
    parser = argparse.ArgumentParser("descring dev coverage", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="judge the counts of the last run")
    parser.add_argument("--jobs", default="auto", help="testbenches at a time; default: one a core")
    parser.add_argument(
        "--config",
        action="append",
        help="this named configuration of each block, may be repeated; default: all",
    )
    parser.add_argument(
        "--tier",
        choices=runner.TIERS,
        default=runner.DEFAULT_TIER,
        help="quick: what make sim runs on Verilator, at its length and in its configurations",
    )
    parser.add_argument("--case", help="cases whose block.name matches this expression alone")
    parser.add_argument("--write", action="store_true", help="write docs/results/coverage.md too")
    options = parser.parse_args(arguments)
    quick = options.tier == "quick"
    if options.write and (options.case or options.config or quick):
        parser.error("--write wants all cases in full; leave --case, --config and --tier out")
    configs = tuple(options.config or ())
    known = [suite.config for suite in suites_of(paths.cocotb_tests_dir())]
    for config in configs:
        if config not in known:
            near = ", ".join(suggest.near(config, known))
            parser.error(
                f"--config: expected a configuration of a block, got {config!r}; near: {near}"
            )
    folder = paths.build_dir() / ("coverage-quick" if quick else "coverage")
    rtl_dir = paths.rtl_dir().resolve()
    root = paths.checkout_root()
    try:
        if root is None:
            raise SimulationError("coverage needs a checkout")
        waivers = read_waivers(root / "sim" / "coverage.toml")
        if not options.keep:
            narrow = ["-n", options.jobs, "--tier", options.tier]
            narrow += ["--case", options.case] if options.case else []
            run_testbenches(folder, configs, narrow)
        counts = read_counts(sorted(folder.glob("sim/runs/verilator/*/coverage.dat")), rtl_dir)
        judged = judge(counts, waivers, rtl_dir)
        pages = write_html(counts, rtl_dir, folder / "html")
    except (SimulationError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = "\n".join(report(judged, waivers)) + "\n"
    write_files({folder / "coverage.md": text})
    print(text, end="")
    for path in (*pages, folder / "coverage.md"):
        print(path)
    if options.write:
        target = root / "docs" / "results" / "coverage.md"
        text = page(judged, waivers, kept=options.keep)
        write_files({target: text})
    return 0 if judged.ok else 1


if __name__ == "__main__":
    run_program("descring dev coverage", main)
