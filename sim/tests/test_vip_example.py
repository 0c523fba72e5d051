# SPDX-License-Identifier: Apache-2.0
"""docs/vip.md: its example passes, finds faults in the design, and is what the page shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from descring_sim.support import paths


def _root() -> Path:
    root = paths.checkout_root()
    assert root is not None
    return root


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example in a folder of its own, as its user has it."""
    return Path(shutil.copytree(_root() / "examples" / "vip", tmp_path / "vip"))


def run(example: Path, *options: str) -> tuple[int, str]:
    """Exit code and output of the command on the page."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--import-mode=importlib", "-q"),
            *("-p", "no:cacheprovider", "--sim", "icarus", "--seed", "1", *options, "."),
        ],
        cwd=example,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_example_passes(example: Path) -> None:
    """With the counts that the page shows."""
    code, output = run(example)
    assert code == 0, output
    page = (_root() / "docs" / "vip.md").read_text()
    assert re.search(r"^icarus 11\.0: 16 tests in 1 runs, matched \d+ lines$", page, re.MULTILINE)
    assert "16 tests in 1 runs, matched 8944 lines" in output


@pytest.mark.parametrize(
    ("correct", "wrong", "case", "finding"),
    [
        (
            "m_axi_araddr  = src_q;",
            "m_axi_araddr  = m_axi_arready ? src_q : '0;",
            "test_copies/idle=NONE/ready=RANDOM",
            "axi m_axi: AXI4_ERRM_ARADDR_STABLE (A3.2.1: ",
        ),
        (
            "dst_q + 32'd16",
            "dst_q + 32'd32",
            "test_copies/idle=NONE/ready=ALWAYS",
            "beats: memory at 0x810 differs: expected",
        ),
        (
            "m_axi_rresp == 2'b00 ? StWrite : StIdle",
            "StWrite",
            "test_stops_at_an_error",
            "beats: error_o differs: expected 0x00000001 (1), actual 0x00000000 (0)",
        ),
    ],
    ids=["bus", "data", "error"],
)
def test_the_example_finds_a_fault(
    example: Path, correct: str, wrong: str, case: str, finding: str
) -> None:
    """On the bus, in the data, and in the reaction to an error; with seed and rerun command."""
    design = example / "axi_copy" / "rtl" / "axi_copy.sv"
    text = design.read_text()
    assert text.count(correct) == 1
    design.write_text(text.replace(correct, wrong))
    code, output = run(example, "--wave-cycles", "0", "--case", case)
    assert code == 1, output
    assert finding in output
    assert "rerun:" in output and "seed:  1" in output


def test_the_page_shows_the_example() -> None:
    """Every block of Python on the page is part of a file of the example."""
    page = (_root() / "docs" / "vip.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 4
    files = [path.read_text() for path in (_root() / "examples" / "vip").rglob("*.py")]
    for block in blocks:
        assert any(block in text for text in files), block
