# SPDX-License-Identifier: Apache-2.0
"""The timing diagram: drawn from waves, in the order that the contract asks for."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from descring_sim.gen import timing_diagram


def test_the_diagram_shows_each_step_in_its_order(tmp_path: Path) -> None:
    """Doorbell, fetch, line, decode, write, response, interrupt: each later than the one before."""
    waves = timing_diagram.record()
    drawn = timing_diagram.diagram(waves)
    shutil.rmtree(waves.parent)
    rows = [row for group in drawn["signal"][1:] for row in group[1:]]
    at = {row["node"][-1]: len(row["node"]) for row in rows if "node" in row}
    assert list(at) == list(timing_diagram.MARKS)
    cycles = list(at.values())
    assert cycles == sorted(set(cycles))
    assert at["c"] - at["b"] == timing_diagram.LATENCY
    values = [value for row in rows for value in row["data"]]
    assert "tail 1" in values
    assert values.index("seq 0") < values.index(f"seq {timing_diagram.TOKENS}")


def test_the_diagram_is_an_svg_with_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is written when a signal is missing."""
    target = tmp_path / "timing.svg"
    assert timing_diagram.main(["-o", str(target)]) == 0
    texts = "".join(ElementTree.parse(target).getroot().itertext())
    for rows in timing_diagram.ROWS.values():
        assert all(row.label in texts for row in rows)
    target.unlink()
    monkeypatch.setitem(timing_diagram.ROWS, "decode", [timing_diagram.Row("x", "no_such_signal")])
    assert timing_diagram.main(["-o", str(target)]) == 2
    assert not target.exists()
