# SPDX-License-Identifier: Apache-2.0
"""Bootstrap intervals, the format of results, and the plotter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from descring_sim.bench import chart, results, statistics
from descring_sim.support.files import FileError


def test_the_interval_of_a_median_covers_it_as_often_as_its_level() -> None:
    """95 % of 200 samples of 41 draws: between 90 and 99 %."""
    random = np.random.default_rng(3)
    found = [statistics.median(random.exponential(size=41), draws=300) for _ in range(200)]
    covered = sum(item.low <= np.log(2) <= item.high for item in found)
    assert 180 <= covered <= 198
    assert all(item.low <= item.value <= item.high for item in found)


def test_pairs_remove_what_both_samples_share() -> None:
    """The machine's speed changes from one repetition to the next, the ratio does not."""
    random = np.random.default_rng(5)
    speed = random.uniform(1, 10, 60)
    above, below = 2 * speed * random.uniform(0.99, 1.01, 60), speed
    paired = statistics.ratio(above, below, paired=True)
    apart = statistics.ratio(above, below)
    assert 1.9 < paired.low <= paired.value <= paired.high < 2.1
    assert apart.high - apart.low > 5 * (paired.high - paired.low)


def test_the_same_samples_give_the_same_interval() -> None:
    """A verdict is a function of its samples."""
    assert statistics.ratio([1, 2, 4], [1, 3]) == statistics.ratio([1, 2, 4], [1, 3])


@pytest.mark.parametrize(
    ("above", "below", "paired"),
    [
        ([], [1.0], False),
        ([1.0], [0.0], False),
        ([float("nan")], [1.0], False),
        ([1.0], [-1.0], False),
        ([1.0, 2.0], [1.0], True),
    ],
)
def test_samples_without_a_ratio_are_refused(
    above: list[float], below: list[float], paired: bool
) -> None:
    """None, not a number, a divisor of 0, pairs that are not."""
    with pytest.raises(ValueError, match="expected"):
        statistics.ratio(above, below, paired=paired)


def _results() -> results.Results:
    figures = results.figures_of({"one": [1.0, 2.0], "two": [3.0]}, "ns", "lower")
    return results.Results("program", figures, results.origin("bench"), {"seed": 1})


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Figures with raw samples, origin and details."""
    written = _results()
    results.write(tmp_path / "a.json", written)
    assert results.read(tmp_path / "a.json") == written
    assert {"date", "commit", "contract", "processor", "cpus", "load"} <= set(written.origin)
    assert written.figure("two").samples == (3.0,)
    with pytest.raises(KeyError):
        written.figure("three")


def _damaged(change: str) -> Any:
    content = json.loads(_results().text())
    figure = content["figures"][0]
    if change == "format":
        content["format"] = "other"
    elif change == "no figures":
        content["figures"] = []
    elif change == "twice":
        content["figures"].append(figure)
    elif change == "better":
        figure["better"] = "higer"
    elif change == "no samples":
        figure["samples"] = []
    elif change == "zero":
        figure["samples"] = [1.0, 0]
    elif change == "boolean":
        figure["samples"] = [True]
    elif change == "field":
        del figure["unit"]
    elif change == "name":
        figure["name"] = 3
    elif change == "details":
        content["details"] = []
    elif change == "program":
        content["program"] = None
    elif change == "list":
        content = [content]
    return content


@pytest.mark.parametrize(
    "change",
    [
        *("format", "no figures", "twice", "better", "no samples", "zero", "boolean", "field"),
        *("name", "details", "program", "list"),
    ],
)
def test_a_file_of_another_form_is_refused(change: str, tmp_path: Path) -> None:
    """The text names the file and what was expected."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(_damaged(change)))
    with pytest.raises(results.ResultsError, match=r"a\.json.*expected"):
        results.read(path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": NaN'])
def test_what_is_no_json_is_refused(text: str, tmp_path: Path) -> None:
    """Cut off, empty, nested without end."""
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(results.ResultsError, match="expected JSON"):
        results.read(path)
    with pytest.raises(FileError):
        results.read(tmp_path / "none.json")


def test_a_picture_has_each_sample_median_and_prediction() -> None:
    """Well-formed, and at the place where the axis has it."""
    rows = [("a <b>", [1.0, 2.0, 4.0], None), ("c", [8.0], 16.0)]
    drawn = ElementTree.fromstring(chart.dots("title & more", "note", "ns", rows))
    space = "{http://www.w3.org/2000/svg}"
    circles = list(drawn.iter(f"{space}circle"))
    samples = [float(item.get("cx", "")) for item in circles if item.get("class") == "sample"]
    assert len(samples) == 4
    steps = np.diff(samples)
    assert np.allclose(steps, steps[0], atol=0.2), "doublings are equally far apart"
    (mark,) = [item for item in drawn.iter(f"{space}line") if item.get("class") == "mark"]
    assert float(mark.get("x1", "")) == pytest.approx(samples[-1] + steps[0], abs=0.2)
    with pytest.raises(ValueError, match="above 0"):
        chart.dots("title", "note", "ns", [("a", [0.0], None)])
