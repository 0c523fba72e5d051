# SPDX-License-Identifier: Apache-2.0
"""The one format of measured results: a JSON file with origin, figures and their raw samples.

{"format": "descring-bench-1", "program": NAME, "origin": {date, commit, contract, processor, cpus,
kernel, load}, "figures": [{"name", "unit", "better", "samples"}], "details": {...}}

``details`` is the program's own: rows for its page, options. Everything that is compared between
two files is a figure.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from descring_model import contract
from descring_model.program import DescringError

from descring_sim.support import files, paths, provenance
from descring_sim.support.errors import SimulationError

FORMAT = "descring-bench-1"
_LIMIT = 256 << 20
Better = Literal["lower", "higher"]


class ResultsError(DescringError):
    """A file that is not of this format; the text names file, place and what was expected."""


@dataclass(frozen=True)
class Figure:
    """One measured quantity: raw samples in ``unit``, and whether less or more of it is better."""

    name: str
    unit: str
    better: Better
    samples: tuple[float, ...]


@dataclass(frozen=True)
class Results:
    """What one run of a program measured."""

    program: str
    figures: tuple[Figure, ...]
    origin: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def figure(self, name: str) -> Figure:
        """The figure of that name; ``KeyError`` if there is none."""
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)

    def text(self) -> str:
        """The file's content."""
        content = {
            "format": FORMAT,
            "program": self.program,
            "origin": dict(self.origin),
            "figures": [asdict(figure) for figure in self.figures],
            "details": dict(self.details),
        }
        return json.dumps(content, indent=1, allow_nan=False) + "\n"


def origin(*folders: str) -> dict[str, Any]:
    """Date in UTC, commit of the checkout, contract, machine, and the load as it is now.

    The commit is marked where one of ``folders`` differs from it, and unknown outside of git. Where
    the tree was copied without its history, the environment variable ``DESCRING_COMMIT`` states it.
    """
    commit = os.environ.get("DESCRING_COMMIT", "")
    if not commit:
        try:
            commit = provenance.commit(*folders) if paths.checkout_root() else "unknown"
        except SimulationError:
            commit = "unknown"
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "commit": commit,
        "contract": f"{contract.CONTRACT_HASH:08x}",
        "processor": processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load": round(os.getloadavg()[0], 2),
    }


def processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def write(path: Path, results: Results) -> None:
    """Write ``results``, whole or not at all; raises ``FileError``."""
    files.write_files({path: results.text()})


def _figure(path: Path, number: int, item: Any) -> Figure:
    place = f"{path}: figure {number}"
    if not isinstance(item, dict) or set(item) != {"name", "unit", "better", "samples"}:
        raise ResultsError(f"{place}: expected name, unit, better and samples, got {item!r:.80}")
    name, unit, better, samples = item["name"], item["unit"], item["better"], item["samples"]
    if not isinstance(name, str) or not isinstance(unit, str) or not name:
        raise ResultsError(f"{place}: expected name and unit as texts, got {name!r}, {unit!r}")
    if better not in get_args(Better):
        raise ResultsError(f"{place}, {name}: expected better as lower or higher, got {better!r}")
    good = isinstance(samples, list) and bool(samples)
    for sample in samples if good else ():
        number_like = isinstance(sample, int | float) and not isinstance(sample, bool)
        good = good and number_like and math.isfinite(sample) and sample > 0
    if not good:
        raise ResultsError(f"{place}, {name}: expected finite samples above 0, got {samples!r:.80}")
    return Figure(name, unit, cast("Better", better), tuple(float(value) for value in samples))


def read(path: Path) -> Results:
    """Read what :func:`write` wrote.

    Raises:
        FileError: it cannot be read.
        ResultsError: it is not of this format.
    """
    text = files.read_text(path, _LIMIT)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path}: expected JSON, got {text[:40]!r}: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        got = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ResultsError(
            f"{path}: expected the format {FORMAT}, got {got!r}; measure again with "
            "`descring dev bench PROGRAM --json FILE`"
        )
    program, items = content.get("program"), content.get("figures")
    if not isinstance(program, str) or not isinstance(items, list) or not items:
        raise ResultsError(f"{path}: expected a program and one or more figures")
    found = tuple(_figure(path, number, item) for number, item in enumerate(items))
    if len({figure.name for figure in found}) != len(found):
        raise ResultsError(f"{path}: expected each figure once, got a name twice")
    parts: list[Mapping[str, Any]] = []
    for name in ("origin", "details"):
        part = content.get(name, {})
        if not isinstance(part, dict):
            raise ResultsError(f"{path}: expected {name} as an object, got {part!r:.40}")
        parts.append(part)
    return Results(program, found, parts[0], parts[1])


def figures_of_rows(
    rows: Sequence[Mapping[str, Any]],
    quantities: Mapping[str, tuple[str, Better]],
    labels: Sequence[str] = ("what", "case"),
) -> tuple[Figure, ...]:
    """Figures of raw rows, one for each row of a round: rows with the same labels are its samples.

    Args:
        rows: each with its labels, and values above 0 by the name of a quantity.
        quantities: unit and direction of each quantity; what else a row has is left out.
        labels: what names a figure; a row may lack some.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        name = ", ".join(str(row[label]) for label in labels if label in row)
        for quantity in quantities:
            if quantity in row:
                found.setdefault((name, quantity), []).append(float(row[quantity]))
    several = {name for name, _ in found if sum(other == name for other, _ in found) > 1}
    return tuple(
        Figure(
            f"{name}, {quantity}" if name in several else name,
            *quantities[quantity],
            tuple(values),
        )
        for (name, quantity), values in found.items()
    )


_ENDINGS: tuple[tuple[str, str, Better], ...] = (
    ("_us", "us", "lower"),
    ("_ns", "ns", "lower"),
    ("_ms", "ms", "lower"),
    ("seconds", "s", "lower"),
    ("_per_s", "{} a second", "higher"),
    ("lines_a_cycle", "lines a cycle", "higher"),
)
"""What a number is by the end of its name."""


class Measured(float):
    """A median that keeps the samples which it is of."""

    samples: tuple[float, ...]

    def __new__(cls, samples: Sequence[float]) -> Measured:
        """The median of one sample or more."""
        number = super().__new__(cls, np.median(samples))
        number.samples = tuple(map(float, samples))
        return number


def _numbers(name: str, value: Any) -> Iterator[tuple[str, tuple[float, ...]]]:
    """The quantities within a value of a row, by name, with their samples."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            for inner, samples in _numbers(name, item):
                yield f"{inner} {key}", samples
    elif isinstance(value, Measured):
        yield name, value.samples
    elif isinstance(value, list | tuple):
        if value and all(isinstance(item, int | float) for item in value):
            yield name, tuple(map(float, value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, (float(value),)


def figures_of_numbers(
    rows: Sequence[Mapping[str, Any]], labels: Sequence[str]
) -> tuple[Figure, ...]:
    """Figures of every number of raw rows whose name ends in a unit, such as ``sweep_us``.

    Args:
        rows: each with its labels; a number may be one sample, a list of them or a
            :class:`Measured`, and a mapping has one for each of its keys. Rows with the same labels
            are samples of the same figures.
        labels: what names a figure; a row may lack some.
    """
    found: dict[str, tuple[str, Better, list[float]]] = {}
    for row in rows:
        named = ", ".join(
            row[label] if isinstance(row[label], str) else f"{label} {row[label]}"
            for label in labels
            if label in row
        )
        for key, value in row.items():
            ending = next((item for item in _ENDINGS if f"_{key}".endswith(item[0])), None)
            if ending is None or key in labels:
                continue
            _, unit, better = ending
            unit = unit.format(key.removesuffix("_per_s").replace("_", " "))
            for inner, samples in _numbers(key, value):
                known = found.setdefault(f"{named}, {inner}", (unit, better, []))
                known[2].extend(sample for sample in samples if sample > 0)
    return tuple(
        Figure(name, unit, better, tuple(samples))
        for name, (unit, better, samples) in found.items()
        if samples
    )


def figures_of(
    samples: Mapping[str, Sequence[float]], unit: str, better: Better
) -> tuple[Figure, ...]:
    """Figures of one unit, by name."""
    return tuple(
        Figure(name, unit, better, tuple(float(value) for value in values))
        for name, values in samples.items()
    )
