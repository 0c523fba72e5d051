# SPDX-License-Identifier: Apache-2.0
"""``docs/results/mutation.json`` and ``mutation.md``: the last written campaign of each kind."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from descring_sim.mutation.sampled.campaign import Result, Status
from descring_sim.support import provenance
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import write_files
from descring_sim.support.markdown import table

NAME = "mutation.json"
KINDS = {"rtl": "RTL", "python": "Python", "c": "C"}

_HEAD = """\
# Drawn mutants

Mutants that no author chose: a tool draws them with a seed from all that it can change.
`make mutation SAMPLE=n SEED=s` runs the campaigns, and the same command continues what was
stopped. How each works: [Drawn mutants](../how-to/draw-mutants.md).

"""


_COMMANDS: dict[str, dict[str, tuple[str, ...]]] = {
    "make sim": {"rtl": ("testbench", "device")},
    "make test": {
        "rtl": ("testbench", "device"),
        "python": ("covering tests", "near tests"),
        "c": ("covering tests", "other tests"),
    },
    "make nightly": {
        "rtl": ("testbench", "device", "proof"),
        "python": ("covering tests", "near tests"),
        "c": ("covering tests", "other tests"),
    },
}
"""The tiers of each kind that a command runs."""


def _rate(mutants: Sequence[Mapping[str, Any]], tiers: Sequence[str]) -> str:
    """What part of those that are not equivalent ``tiers`` kill, in per cent."""
    live = [m for m in mutants if m["status"] in ("killed", "survived")]
    killed = sum(m["status"] == "killed" and m["tier"] in tiers for m in live)
    return f"{100 * killed / len(live):.1f} % of {len(live)}" if live else "—"


def _rates(data: Mapping[str, Any]) -> str:
    """The table of what each command kills."""
    head = ["command", *KINDS.values()]
    rows = [
        [f"`{command}`"]
        + [
            _rate(data[kind]["mutants"], tiers[kind]) if kind in data and kind in tiers else "—"
            for kind in KINDS
        ]
        for command, tiers in _COMMANDS.items()
    ]
    text = (
        "Killed, of those that are not equivalent; [Tiers](tiers.md) has the time of each command:"
    )
    return f"{text}\n\n{table(head, rows)}\n"


def rerun(kind: str, name: str, sample: int, seed: int) -> str:
    """Return the command that tries one mutant again."""
    return f"descring dev mutation {kind} --sample {sample} --seed {seed} --only {name}"


def entry(
    results: Sequence[Result], *, contents: str, sample: int, seed: int, seconds: float
) -> dict[str, Any]:
    """Return what the JSON file has of a campaign of the sources named ``contents``."""
    return {
        "contents": contents,
        "sample": sample,
        "seed": seed,
        "seconds": round(seconds),
        "date": str(provenance.today()),
        "commit": provenance.commit("rtl", "host", "pymodel", "sim", "cocotb_tests", "formal"),
        "machine": provenance.machine(),
        "mutants": [
            asdict(result.mutant)
            | {"status": result.status, "tier": result.tier, "by": result.by}
            | {"seconds": round(result.seconds, 1)}
            | ({"reason": result.reason} if result.reason else {})
            for result in results
        ],
    }


def _counts(mutants: Sequence[Mapping[str, Any]]) -> str:
    """The table of one campaign by module."""
    tiers = [*dict.fromkeys(m["tier"] for m in mutants if m["status"] == "killed")]
    statuses = [s for s in get_args(Status) if s != "killed"]
    of: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in mutants:
        what = f"by {mutant['tier']}" if mutant["status"] == "killed" else mutant["status"]
        for row in (mutant["module"], "all"):
            of[row].update({"drawn": 1, what: 1})
            of[row]["seconds"] += round(mutant["seconds"])
    columns = ["drawn", *(f"by {tier}" for tier in tiers), *statuses, "seconds"]
    head = ["module", *(f"killed {c}" if c.startswith("by ") else c for c in columns)]
    rows = [*sorted(row for row in of if row != "all"), "all"]
    return table(head, ([row, *(str(of[row][c]) for c in columns)] for row in rows))


def _section(kind: str, found: Mapping[str, Any]) -> str:
    mutants = found["mutants"]
    lines = [
        f"## {KINDS[kind]}",
        "",
        f"{len(mutants)} of {found['sample']} mutants, seed {found['seed']}, {found['date']}, "
        f"commit {found['commit']}, {found['machine']}; {found['seconds']} s.",
        "",
        _counts(mutants).rstrip("\n"),
        "",
    ]
    for status, title in (
        ("survived", "Survivors"),
        ("judged", "Judged equivalent"),
        ("equivalent", "Proven equivalent"),
    ):
        rows = [m for m in mutants if m["status"] == status]
        if not rows:
            continue
        lines += [f"### {title} ({KINDS[kind]})", ""]
        for mutant in rows:
            lines.append(
                f"- `{mutant['name']}`, {mutant['place']}: `{mutant['source']}`; {mutant['text']}"
            )
            if status == "survived":
                command = rerun(kind, mutant["name"], found["sample"], found["seed"])
                lines.append(f"    - again: `{command}`")
            elif status == "judged":
                lines.append(f"    - {mutant['reason']}")
        lines.append("")
    return "\n".join(lines)


def page(data: Mapping[str, Any]) -> str:
    """Return the page of the campaigns in ``data``."""
    return (
        _HEAD
        + _rates(data)
        + "\n".join(_section(kind, data[kind]) for kind in KINDS if kind in data)
    )


def _read(folder: Path) -> dict[str, Any]:
    """``mutation.json`` in ``folder``, empty where there is none.

    Raises:
        SimulationError: the present file is none of ours.
    """
    file = folder / NAME
    if not file.is_file():
        return {}
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except ValueError as error:
        raise SimulationError(f"{file}: expected JSON ({error}); remove the file") from error


def written(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Return what the last written campaign of ``kind`` found, as entries of a journal.

    Raises:
        SimulationError: the present file is none of ours.
    """
    found = _read(folder).get(kind, {})
    return [
        {**mutant, "contents": found.get("contents")}
        | ({"status": "survived"} if mutant["status"] == "judged" else {})
        for mutant in found.get("mutants", ())
        if mutant["status"] != "invalid"
    ]


def write(folder: Path, kind: str, found: Mapping[str, Any]) -> None:
    """Put a campaign into ``mutation.json`` in ``folder``, and write the page again.

    Raises:
        SimulationError: the present file is none of ours.
    """
    data = {**_read(folder), kind: found}
    text = json.dumps(data, indent=1) + "\n"
    write_files({folder / NAME: text, folder / "mutation.md": page(data)})
