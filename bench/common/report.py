# SPDX-License-Identifier: Apache-2.0
"""Rows of a benchmark, printed as they are measured, and the file of results that they become."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from descring_sim.bench import results

Row = dict[str, Any]


def rounded(value: Any) -> Any:
    """A value for people: five significant digits of each number."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


class Report:
    """The rows of one run.

    Args:
        program: the name of the file of results.
        output: that file, written again after each row, so that a run that ends early has measured
            something all the same; None for none.
        labels: fields of a row that name its figures.
        origin: where this runs.
        details: further content of the file.
    """

    def __init__(
        self,
        program: str,
        output: Path | None,
        labels: Sequence[str],
        origin: Mapping[str, Any],
        **details: Any,
    ) -> None:
        self.program, self.output, self.labels = program, output, labels
        self.origin, self.details = origin, details
        self.rows: list[Row] = []

    def row(self, **values: Any) -> None:
        """Keep and print one result: numbers, lists of samples, or ``results.Measured``."""
        self.rows.append(values)
        print(json.dumps(rounded(values)), flush=True)
        self.save()

    def save(self) -> None:
        """Write the file of results."""
        if self.output is None:
            return
        figures = results.figures_of_numbers(self.rows, self.labels)
        details = {**self.details, "rows": rounded(self.rows)}
        if figures:
            results.write(self.output, results.Results(self.program, figures, self.origin, details))


def add_output(parser: Any) -> None:
    """The option of the file of results."""
    parser.add_argument("-o", "--json", dest="output", type=Path, help="write the results there")
