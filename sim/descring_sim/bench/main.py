# SPDX-License-Identifier: Apache-2.0
"""``descring dev bench``: list and run the programs of bench/, compare and draw their results."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from descring_sim.bench import chart, compare, results
from descring_sim.support import files, paths
from descring_sim.support.click_program import run_module
from descring_sim.support.errors import SimulationError
from descring_sim.support.suggest import near

FOLDERS = ("bench", "examples/labs")
_NO_PROGRAM = ("cuda_plot", "all")
"""Draw or start others."""


def programs(root: Path) -> dict[str, Path]:
    """The programs of bench/ and the labs, by the name of their file."""
    found = [path for folder in FOLDERS for path in sorted((root / folder).glob("*.py"))]
    return {
        path.stem: path
        for path in found
        if path.stem not in _NO_PROGRAM and 'if __name__ == "__main__"' in path.read_text("utf-8")
    }


def summary(path: Path) -> str:
    """The first line of a program's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]


def _root() -> Path:
    root = paths.checkout_root()
    if root is None:
        raise SimulationError("expected a checkout: the wheel has no benchmarks")
    return root


def _list() -> None:
    known = programs(_root())
    width = max(map(len, known))
    for name, path in known.items():
        click.echo(f"{name:{width}}  {summary(path)}")


def _run(name: str, arguments: Sequence[str]) -> int:
    known = programs(_root())
    if name not in known:
        hint = ", ".join(near(name, known))
        raise click.UsageError(f"expected a program such as {hint}, got {name!r}")
    return subprocess.run([sys.executable, str(known[name]), *arguments], check=False).returncode


def _compare(old_path: Path, new_path: Path, threshold: float) -> int:
    old, new = results.read(old_path), results.read(new_path)
    rows = compare.compare(old, new, threshold)
    click.echo(f"{new.program}: {new_path} over {old_path}")
    for item, path in ((old, old_path), (new, new_path)):
        origin = item.origin
        named = ", ".join(
            str(origin[key]) for key in ("date", "commit", "processor") if key in origin
        )
        click.echo(f"  {path.name}: {named or 'no origin'}")
    if old.origin.get("processor") != new.origin.get("processor"):
        click.echo("  of different machines: a ratio of such figures compares the machines too")
    click.echo(compare.text(rows))
    for names, which in zip(compare.missing(old, new), ("old", "new"), strict=True):
        for name in names:
            click.echo(f"{name}: only in the {which} file")
    worse = [row.figure.name for row in rows if row.verdict == "regression"]
    click.echo(
        f"{len(worse)} of {len(rows)} figures are worse by more than {100 * threshold:g} %"
        if worse
        else f"no figure is worse by more than {100 * threshold:g} %"
    )
    return 1 if worse else 0


def _plot(source: Path, target: Path) -> None:
    found = results.read(source)
    note = ", ".join(str(found.origin[key]) for key in ("processor", "date") if key in found.origin)
    units = sorted({figure.unit for figure in found.figures})
    unit = units[0] if len(units) == 1 else "; ".join(units)
    rows = [(figure.name, figure.samples, None) for figure in found.figures]
    files.write_files({target: chart.dots(found.program, note, unit, rows)})


@click.command(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    }
)
@click.argument("program", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--compare",
    "both",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="OLD NEW",
    help="Compare two files of results; exit code 1 if a figure is worse.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 10),
    default=0.1,
    show_default=True,
    help="Of --compare: a change up to this part is none.",
)
@click.option(
    "--plot",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="FILE SVG",
    help="Draw the samples, medians and intervals of a file of results.",
)
def main(
    program: str | None,
    arguments: tuple[str, ...],
    both: tuple[Path, Path] | None,
    threshold: float,
    plot: tuple[Path, Path] | None,
) -> None:
    """List the benchmarks and labs, or run PROGRAM with its own ARGUMENTS.

    Results of all programs have one format: origin, and figures with their raw samples. A figure is
    a regression when the whole 95 % bootstrap interval of new over old lies beyond the threshold.
    """
    asked = [program is not None, both is not None, plot is not None]
    if sum(asked) > 1:
        raise click.UsageError("expected one of PROGRAM, --compare and --plot, got several")
    if both is not None:
        sys.exit(_compare(*both, threshold))
    if plot is not None:
        _plot(*plot)
    elif program is not None:
        sys.exit(_run(program, arguments))
    else:
        _list()


if __name__ == "__main__":
    run_module("descring_sim.bench.main", main)
