# SPDX-License-Identifier: Apache-2.0
"""Mutants of the kernels; a short run on the CPU must kill each.

Run by ``make mutants-cuda``.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from descring_cuda.kernels import folders

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from emulated import build, mailbox_faults

# file, text, what it becomes, shape that it concerns
MUTANTS = [
    ("round.cuh", "round->stop[word]) + 1u", "round->stop[word]) + 2u", "throughput"),
    ("round.cuh", "return to - from <= done_room ?", "return 1 ?", "latency"),
    ("round.cuh", "reward_tail + rewards : done_tail", "reward_tail : done_tail", "throughput"),
    ("round.cuh", "first + at, (int)rings", "first, (int)rings", "throughput"),
    ("crc.cuh", "(before >> 8) ^", "(before >> 7) ^", "throughput"),
    ("latency.cuh", "now->errors += step.error != 0;", "", "latency"),
    (
        "latency.cuh",
        "= to_reward ? now->reward_tail : now->done_tail;",
        "= now->done_tail;",
        "latency",
    ),
    ("latency.cuh", "self->runs = !now->halted;", "", "latency"),
    ("latency.cuh", "? hw_reward_room(self) : hw_done_room(self)", "? 1u : 1u", "latency"),
    ("throughput.cuh", "turn->done_tail += part.to - from", "turn->done_tail += 0", "throughput"),
    ("throughput.cuh", "if (!turn->halted) {", "{", "throughput"),
    (
        "throughput.cuh",
        "now.stalls += finished.word[2];\n  if (packed",
        "if (0 * packed",
        "throughput",
    ),
    ("throughput.cuh", "base = now;\n", "", "throughput"),
    ("throughput.cuh", "(hw_u32)(tokens >> 32)", "0u", "throughput"),
    ("throughput.cuh", ">> HW_FINISHED_TOKENS_LSB) << 32", "& 0u) << 32", "throughput"),
    ("port.cuh", "const { *sum += value; }", "const { *sum = (hw_u32)(*sum + value); }", "latency"),
    ("throughput.cuh", "part.whole = part.to == until", "part.whole = 1", "throughput"),
    ("latency.cuh", "crc ^ hw_crc_change", "0 * crc ^ hw_crc_change", "latency"),
    ("latency.cuh", "|| self->rings.require_checked;", ";", "latency"),
    ("crc.cuh", "crc = (crc >> 8) ^ hw_crc_table", "crc = (crc >> 7) ^ hw_crc_table", "latency"),
    ("crc.cuh", "? HW_CRC32C_INIT & 0xFFFFu : 0u", "? 0u : 0u", "latency"),
    # A mail torn, one taken twice or never, one overwritten in hand, a last word lost or misheard.
    ("mailbox.cuh", "to[turn * Lanes + team.lane] = ", "to[turn & ~1u] = ", "mailbox"),
    ("mailbox.cuh", "box->place[number % 2], team", "box->place[0], team", "mailbox"),
    ("mailbox.cuh", "mail.place = box->place[number % 2]", "mail.place = box->place[0]", "mailbox"),
    ("mailbox.cuh", "hw_meet(&box->meeting, team);\n  hw_mail", "hw_mail", "mailbox"),
    ("mailbox.cuh", "box->ends[number % 2] = 1", "box->ends[number % 2] = 0", "mailbox"),
    ("mailbox.cuh", "ends[number % 2]", "ends[0]", "mailbox"),
    ("mailbox.cuh", "poll = next;\n    next.load(address, team);", "poll = next;", "mailbox"),
    ("rings.cuh", "mode >> HW_CTRL_REQUIRE_CHECKED_BIT & 1u", "0", "throughput"),
    ("rings.cuh", "now.halted = chunk[1]", "now.halted = 0 * chunk[1]", "latency"),
]
PROBE = Path(__file__).parent / "probe.py"


def survives(library: Path, shape: str) -> bool:
    """Whether a short run finds nothing wrong with these kernels."""
    command = [sys.executable, str(PROBE), str(library), shape]
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@pytest.mark.parametrize("shape", ["latency", "throughput"])
def test_the_unbroken_kernels_pass_the_probe(tmp_path: Path, shape: str) -> None:
    """Else every mutant would seem to be killed."""
    assert survives(build(tmp_path), shape)


@pytest.mark.parametrize(
    ("file", "text", "becomes", "shape"),
    MUTANTS,
    ids=[f"{m[0]}-{n}" for n, m in enumerate(MUTANTS)],
)
def test_a_mutant_is_killed(tmp_path: Path, file: str, text: str, becomes: str, shape: str) -> None:
    """Streams, tiny rings, STOPs and registers find it."""
    kernels = tmp_path / "kernels"
    shutil.copytree(folders()[0], kernels)
    whole = (kernels / file).read_text()
    assert text in whole, "the mutant no longer applies; fix the list"
    (kernels / file).write_text(whole.replace(text, becomes))
    if shape == "mailbox":
        assert mailbox_faults(tmp_path, kernels, "-Wno-error")
    else:
        assert not survives(build(tmp_path, kernels, "-Wno-error"), shape)
