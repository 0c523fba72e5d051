# SPDX-License-Identifier: Apache-2.0
"""``descring top``: what a running session of rollouts holds and does, live or once."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from descring_model.program import importing
from descring_model.rollouts import contract, seeing

from descring_sim.support.errors import SimulationError

_RATES = {
    "ticks": "ticks",
    "windows": "windows",
    "completions": "lines",
    "legs": "legs",
    "tokens": "tokens",
    "delivered": "rollouts",
}
"""Counters that are shown as rates, with their unit."""
_BAR = 24
_STYLES = ("dim", "cyan", "green", "yellow", "magenta", "dim")
"""Of the states, in their order."""


@click.command()
@click.option("--pid", type=click.IntRange(1), metavar="N", help="Of this process alone.")
@click.option("--once", is_flag=True, help="Print what is there now, for scripts too, and end.")
@click.option("--json", "as_json", is_flag=True, help="As --once, one JSON object a session.")
@click.option(
    "--interval",
    type=click.FloatRange(0.05, 60),
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks.",
)
def top(pid: int | None, once: bool, as_json: bool, interval: float) -> None:
    """Watch a running session of rollouts: states, queues, KV memory, credits, rates.

    Sessions are found through their live pages; a look costs them nothing. The view ends with its
    session, and with Ctrl-C. Exit code 2: no session is running.
    """
    with importing():
        from descring_rollouts import live
    pages = live.find()
    if pid is not None:
        pages = [path for path in pages if live.process_of(path) == pid]
    if not pages:
        whose = "" if pid is None else f" of process {pid}"
        raise SimulationError(
            f"expected a running session{whose}, found none; start one with: descring rollouts"
        )
    if not once and not as_json:
        _watch(pages[-1], interval)
        return
    for path in pages:
        try:
            shown = live.snapshot(live.open_page(path))
        except FileNotFoundError:
            continue  # it has just ended
        except ValueError as error:
            raise SimulationError(f"{path}: {error}") from error
        click.echo(_json(shown) if as_json else _text(shown))


def _watch(path: Path, interval: float) -> None:
    """Show one session until it ends."""
    from descring_rollouts import live
    from rich.console import Console
    from rich.live import Live

    console = Console()
    try:
        page = live.open_page(path)
    except FileNotFoundError:
        click.echo("the session has just ended")
        return
    before = live.snapshot(page)
    with Live(_view(before, before), console=console, auto_refresh=False) as view:
        while True:
            time.sleep(interval)
            held = path in live.find()
            now = live.snapshot(page)
            view.update(_view(now, before if held else None), refresh=True)
            if not held:
                break
            before = now
    if not console.is_terminal:
        console.line()  # which the view leaves out there
    if now.state == seeing.LIVE_STATE["RUNNING"]:
        raise SimulationError(f"process {now.pid} has died in the middle of its session")
    word = {item.value: item.name.lower() for item in seeing.LIVE_STATES}[now.state]
    click.echo(f"the session has {word}")


def _rates(now: Any, before: Any) -> dict[str, float]:
    """Counts a second since ``before``, since the first tick where that is None or the same."""
    since, counted = (before.at, before.counters) if before else (now.started, {})
    if now.at - since < 1e-3:
        since, counted = now.started, {}
    span = max(now.at - since, 1e-9)
    return {name: (now.counters[name] - counted.get(name, 0)) / span for name in _RATES}


def _limit(value: int) -> str:
    return "no limit" if value == contract.NONE else f"{value:,}"


def _numbers(shown: Any, before: Any) -> list[tuple[str, list[tuple[str, int, int]]]]:
    """Sections of what is held: of each item its name, the value, and what is the whole."""
    config, held = shown.config[0], shown.gauges
    slots = int(config["slots"])
    return [
        ("states", [
            (item.name, held[f"state_{item.name.lower()}"], slots) for item in contract.STATES
        ]),
        ("queues", [
            ("waiting", held["waiting"], shown.requests),
            *((item.name, held[f"queue_{item.name}"], slots) for item in contract.QUEUES),
        ]),
        ("KV blocks", [
            ("in use", held["blocks"], int(config["kv_blocks"])),
            ("reserved", held["reserved"], int(config["kv_blocks"])),
        ]),
        ("credits", [
            (name, held[f"{name}_credits"], int(config[f"{name}_credits"]))
            for name in ("decode", "reward", "trajectory")
        ]),
        ("lines", [("in flight", held["in_flight"], int(config["ring_slots"]))]),
    ]  # fmt: skip


def _title(shown: Any) -> str:
    seconds = shown.at - shown.started
    return (
        f"{shown.name}, process {shown.pid}, {seconds:.1f} s: "
        f"{shown.ended} of {shown.requests} rollouts ended"
    )


def _text(shown: Any) -> str:
    """A session as lines of ``name value``."""
    lines = [_title(shown)]
    for section, items in _numbers(shown, None):
        lines.append(f"{section}:")
        lines += [f"  {name:<18}{value:>12,} of {_limit(whole)}" for name, value, whole in items]
    lines.append("a second:")
    lines += [f"  {_RATES[name]:<18}{rate:>12,.1f}" for name, rate in _rates(shown, None).items()]
    lines.append("counters:")
    lines += [f"  {name:<18}{value:>12,}" for name, value in shown.counters.items()]
    return "\n".join(lines)


def _json(shown: Any) -> str:
    row = asdict(shown)
    row["config"] = {name: int(shown.config[name][0]) for name in shown.config.dtype.names}
    return json.dumps(row)


def _bar(value: int, whole: int, style: str) -> Any:
    from rich.text import Text

    if whole == contract.NONE:
        return Text("no limit", "dim")
    share = min(1.0, value / max(1, whole))
    filled = round(share * _BAR)
    return Text.assemble(("█" * filled, style), ("·" * (_BAR - filled), "dim"))


def _view(shown: Any, before: Any) -> Any:
    """The session as a panel of tables."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.panel import Panel
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    tables = []
    for section, items in _numbers(shown, before):
        table = Table(title=section, title_justify="left", box=None, show_header=False)
        for place, (name, value, whole) in enumerate(items):
            style = _STYLES[place] if section == "states" else "blue"
            table.add_row(name, f"{value:,}", _bar(value, whole, style))
        tables.append(table)
    rates = Table(title="a second", title_justify="left", box=None, show_header=False)
    for name, rate in _rates(shown, before).items():
        rates.add_row(_RATES[name], f"{rate:,.0f}")
    waits = Table(title="waits", title_justify="left", box=None, show_header=False)
    for name, value in shown.counters.items():
        if name.startswith("waits_"):
            waits.add_row(name.removeprefix("waits_"), f"{value:,}")
    return Panel(
        Group(
            ProgressBar(total=max(1, shown.requests), completed=shown.ended),
            "",
            Columns([*tables, rates, waits], padding=(1, 3)),
        ),
        title=_title(shown),
        title_align="left",
    )
