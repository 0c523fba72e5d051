# SPDX-License-Identifier: Apache-2.0
"""``descring dev bench``: lists, runs, compares and draws."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from descring_sim.bench import compare, results
from descring_sim.bench.main import programs
from descring_sim.support import paths

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def write(path: Path, figures: dict[str, list[float]], program: str = "p") -> Path:
    """A file of results; names that end in _rate are better when higher."""
    found = tuple(
        results.Figure(name, "ns", "higher" if name.endswith("_rate") else "lower", tuple(values))
        for name, values in figures.items()
    )
    results.write(path, results.Results(program, found, {"processor": "one", "date": "today"}))
    return path


def noisy(centre: float, seed: int) -> list[float]:
    """30 samples within 4 % of ``centre``."""
    return list(centre * np.random.default_rng(seed).uniform(0.96, 1.04, 30))


def test_the_list_has_every_program_and_lab_with_its_first_line(descring: Command) -> None:
    """Read from the files, so that none is forgotten."""
    done = descring("dev", "bench")
    assert done.returncode == 0, done.stderr
    root = paths.checkout_root()
    assert root is not None
    listed = [line.split()[0] for line in done.stdout.splitlines()]
    assert listed == list(programs(root))
    assert {"host_bench", "kv_bench", "rollouts_bench", "false_sharing", "doorbell"} <= set(listed)
    assert all(len(line.split()) > 3 for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("old", "new", "name", "verdict"),
    [
        (100, 100, "time", ""),
        (100, 105, "time", ""),
        (100, 130, "time", "REGRESSION"),
        (100, 75, "time", "IMPROVEMENT"),
        (100, 75, "the_rate", "REGRESSION"),
        (100, 130, "the_rate", "IMPROVEMENT"),
    ],
)
def test_a_change_beyond_the_threshold_is_told(
    old: float, new: float, name: str, verdict: str, descring: Command, tmp_path: Path
) -> None:
    """Exit code 1 for a regression alone; which direction is worse is the figure's."""
    before = write(tmp_path / "old.json", {name: noisy(old, 1)})
    after = write(tmp_path / "new.json", {name: noisy(new, 2)})
    done = descring("dev", "bench", "--compare", str(before), str(after))
    assert done.returncode == (verdict == "REGRESSION"), done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"{name} ")]
    better = "higher" if name.endswith("_rate") else "lower"
    assert line.endswith(f"; {better} is better){'  ' + verdict if verdict else ''}")
    assert f"{new / old:.1f}"[:2] in line


def test_noise_alone_is_no_regression(descring: Command, tmp_path: Path) -> None:
    """The median is worse by a half, the interval reaches to no change."""
    random = np.random.default_rng(4)
    before = write(tmp_path / "old.json", {"time": list(random.uniform(1, 100, 12))})
    after = write(tmp_path / "new.json", {"time": list(1.3 * random.uniform(1, 100, 12))})
    rows = compare.compare(results.read(before), results.read(after), 0.1)
    assert rows[0].ratio.value > 1.1 > rows[0].ratio.low
    assert descring("dev", "bench", "--compare", str(before), str(after)).returncode == 0


def test_the_threshold_is_the_users(descring: Command, tmp_path: Path) -> None:
    """30 % worse passes at 50 %."""
    before = write(tmp_path / "old.json", {"time": noisy(100, 1)})
    after = write(tmp_path / "new.json", {"time": noisy(130, 2)})
    both = ("--compare", str(before), str(after))
    assert descring("dev", "bench", "--threshold", "0.5", *both).returncode == 0
    assert descring("dev", "bench", "--threshold", "0.2", *both).returncode == 1


def test_figures_of_one_file_alone_are_named(descring: Command, tmp_path: Path) -> None:
    """Whichever file has them."""
    before = write(tmp_path / "old.json", {"time": [1.0], "gone": [2.0]})
    after = write(tmp_path / "new.json", {"time": [1.0], "fresh": [2.0]})
    done = descring("dev", "bench", "--compare", str(before), str(after))
    assert done.returncode == 0
    assert "gone: only in the old file" in done.stdout
    assert "fresh: only in the new file" in done.stdout


def test_what_cannot_be_compared_is_refused(descring: Command, tmp_path: Path) -> None:
    """Another program, another unit, nothing in common, a missing file, another format: code 2."""
    one = write(tmp_path / "one.json", {"time": [1.0]})
    other_unit = tmp_path / "unit.json"
    other_unit.write_text(one.read_text().replace('"ns"', '"us"'))
    (tmp_path / "format.json").write_text("{}")
    for other in (
        write(tmp_path / "program.json", {"time": [1.0]}, program="q"),
        write(tmp_path / "nothing.json", {"room": [1.0]}),
        other_unit,
        tmp_path / "none.json",
        tmp_path / "format.json",
    ):
        done = descring("dev", "bench", "--compare", str(one), str(other))
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr


def test_rows_of_rounds_become_figures() -> None:
    """One sample a round; quantities of one name are told apart."""
    rows = [
        {"what": "a", "batch": 1, "ns": 2.0, "text": "x"},
        {"what": "a", "batch": 1, "ns": 3.0, "per_s": 5},
        {"what": "b", "ns": 4.0},
    ]
    quantities: dict[str, tuple[str, results.Better]] = {
        "ns": ("ns", "lower"),
        "per_s": ("lines/s", "higher"),
    }
    found = results.figures_of_rows(rows, quantities, ("what", "batch"))
    assert [(item.name, item.better, item.samples) for item in found] == [
        ("a, 1, ns", "lower", (2.0, 3.0)),
        ("a, 1, per_s", "higher", (5.0,)),
        ("b", "lower", (4.0,)),
    ]


def test_numbers_with_a_unit_become_figures() -> None:
    """Lists and medians give all their samples, a mapping a figure for each key."""
    rows = [
        {"what": "a", "size": 4, "took_us": results.Measured([3.0, 1.0, 2.0]), "words": 7},
        {"what": "b", "seconds": [0.5, 0.25], "million_tokens_per_s": 9, "note_us": None},
        {"what": "b", "seconds": [0.75], "rollout_ms": {"p50": 1.5, "p99": 2.5}, "ok_us": True},
    ]
    found = results.figures_of_numbers(rows, ("what", "size"))
    assert {figure.name: (figure.unit, figure.better, figure.samples) for figure in found} == {
        "a, size 4, took_us": ("us", "lower", (3.0, 1.0, 2.0)),
        "b, seconds": ("s", "lower", (0.5, 0.25, 0.75)),
        "b, million_tokens_per_s": ("million tokens a second", "higher", (9.0,)),
        "b, rollout_ms p50": ("ms", "lower", (1.5,)),
        "b, rollout_ms p99": ("ms", "lower", (2.5,)),
    }
    assert rows[0]["took_us"] == 2.0


BENCHMARKS = {
    *("cuda_bench", "engine_bench", "engine_cuda", "engine_host_load", "engine_resident"),
    *("engine_staging", "gather_variants", "host_bench", "host_table", "kv_bench"),
    *("rollouts_bench", "rollouts_gpus", "shell_throughput", "verilated_bench"),
}


def test_every_recorded_benchmark_has_the_one_format() -> None:
    """Each compares with itself, so none of them is of an older format."""
    root = paths.checkout_root()
    assert root is not None
    folder = root / "docs" / "results"
    found = {}
    for path in sorted(folder.glob("*.json")):
        if '"figures"' in path.read_text("utf-8"):
            read = results.read(path)
            found[read.program] = read
    assert set(found) == BENCHMARKS
    for program, read in found.items():
        assert {"date", "commit"} <= set(read.origin), program
        assert all(row.verdict == "" for row in compare.compare(read, read, 0.1)), program


def test_a_program_is_run_with_its_arguments_and_exit_code(descring: Command) -> None:
    """A name that is wrong is told with those that are like it."""
    assert descring("dev", "bench", "kv_bench", "--help").returncode == 0
    assert descring("dev", "bench", "kv_bench", "--rounds", "0").returncode == 2
    done = descring("dev", "bench", "kv_bnech")
    assert (done.returncode, "kv_bench" in done.stderr) == (2, True)


def test_results_are_drawn(descring: Command, tmp_path: Path) -> None:
    """Whole or not at all, as every output."""
    one = write(tmp_path / "one.json", {"time": [1.0, 2.0]})
    picture = tmp_path / "one.svg"
    assert descring("dev", "bench", "--plot", str(one), str(picture)).returncode == 0
    assert picture.read_text().startswith("<svg ")
    assert (
        descring("dev", "bench", "--plot", str(one), str(tmp_path / "no" / "a.svg")).returncode == 2
    )
