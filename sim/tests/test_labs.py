# SPDX-License-Identifier: Apache-2.0
"""The labs: verdicts from samples, the check of the timed loops, each lab without its effect."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from descring_sim.bench import results
from descring_sim.support import paths

ROOT = paths.checkout_root()
assert ROOT is not None
LABS = ROOT / "examples" / "labs"
sys.path.insert(0, str(LABS))

from labkit.driver import interleaved  # noqa: E402
from labkit.lab import Claim, Control, Verdict, judge_claim, judge_control, verdict  # noqa: E402
from labkit.native import LabError, Loop, build, check_loops, loop_of  # noqa: E402

TIMEOUT_S = 300.0


def lab(name: str, folder: Path, *arguments: str, cpus: int = 2) -> tuple[int, str, str]:
    """Run a lab as its user does: exit code, stdout, stderr."""
    command = [sys.executable, str(LABS / f"{name}.py"), "--repetitions", "8", "--seed", "1"]
    allowed = sorted(os.sched_getaffinity(0))[:cpus]
    done = subprocess.run(
        [*command, "--out", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    return done.returncode, done.stdout, done.stderr


def judged(samples: Mapping[str, list[float]], claim: Claim, control: Control) -> Verdict:
    """The verdict of one claim and one control."""
    return verdict([judge_claim(claim, samples)], [judge_control(control, samples)])[0]


CLAIM = Claim("slow is slow", "slow", "fast", 2.0, predict=lambda m: m["constant"])
CONTROL = Control("negative", "the same is the same", "again", "fast", 0.8, 1.25)
GOOD = {"slow": [30.0, 31.0, 29.0], "fast": [10.0, 10.5, 9.5], "again": [10.0] * 3}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Verdict.SEEN),
        ({"slow": [10.0, 10.0, 10.0]}, Verdict.NOT_SEEN),
        ({"slow": [30.0, 10.0, 30.0]}, Verdict.NOT_SEEN),  # the interval reaches below
        ({"constant": [30.0] * 3}, Verdict.NOT_SEEN),  # the prediction is another
        ({"again": [20.0] * 3}, Verdict.NOT_OBSERVABLE),
    ],
)
def test_a_verdict_needs_bounds_prediction_and_controls(
    change: dict[str, list[float]], expected: Verdict
) -> None:
    """Each alone changes it."""
    assert judged({**GOOD, "constant": [3.0] * 3, **change}, CLAIM, CONTROL) is expected


def test_exit_codes_are_those_of_the_page() -> None:
    """2 is an error, as everywhere."""
    assert [int(item) for item in Verdict] == [0, 1, 3]


def test_runs_are_interleaved_at_random_and_replaced_where_asked() -> None:
    """Each repetition has each variant once, in orders that differ; a seed gives the same again."""
    orders: list[list[str]] = []

    def sample(order: object) -> dict[str, float]:
        assert isinstance(order, list)
        orders.append(order)
        return {name: float(ord(name)) for name in order}

    found = interleaved(sample, ("a", "b", "c"), 12, 7, {"a": "c"})
    whole = [order for order in orders if len(order) == 3]
    assert len(whole) == 12 and all(sorted(order) == ["a", "b", "c"] for order in whole)
    assert len({tuple(order) for order in whole}) > 3
    assert found["a"] == found["c"] == [99.0] * 12
    again: list[list[str]] = [*orders]
    orders.clear()
    interleaved(sample, ("a", "b", "c"), 12, 7, {"a": "c"})
    assert orders == again


LISTING = """
0000000000001180 <f>:
    1180:\txor    %eax,%eax
    1182:\tnopw   0x0(%rax)
    1188:\tmov    %rax,(%rdi)
    118b:\tlock addq $0x1,(%rsi)
    1190:\tcmp    %rax,%rdx
    1193:\tjne    1188 <f+0x8>
    1195:\txchg   %rax,(%rdi)
    1198:\tjmp    1180 <f>
"""


def test_the_innermost_loop_is_found() -> None:
    """What is before, behind and around it does not count."""
    assert [text.split()[0] for text in loop_of(LISTING)] == ["mov", "lock", "cmp", "jne"]
    assert loop_of("    1180:\tret\n") == []


@pytest.mark.slow
def test_a_loop_without_its_instruction_is_an_error(tmp_path: Path) -> None:
    """Missing, forbidden, in another order, no loop at all, and a compiler that refuses."""
    source = tmp_path / "loops.c"
    source.write_text(
        "#include <stdatomic.h>\n_Atomic long a;\nvoid f(long n);\nvoid f(long n) {\n"
        "  while (n--) atomic_fetch_add(&a, 1);\n}\nint main(void) { f(9); return 0; }\n"
    )
    program = build("loops", [source], "-fno-inline")
    assert check_loops(program, [Loop("f", (r"^lock",))])
    for loop in (
        Loop("f", (r"^xchg",)),
        Loop("f", (r"^j", r"^lock")),
        Loop("f", (), (r"^lock",)),
        Loop("main", (r"^lock",)),
        Loop("none", (r"^lock",)),
    ):
        with pytest.raises(LabError, match=loop.function):
            check_loops(program, [loop])
    source.write_text("int main(void) { return }\n")
    with pytest.raises(LabError, match="the compiler refuses"):
        build("loops", [source])


FEWER = {
    "memory_ordering": ["--only", "SB", "--only", "ring sleep"],
    "doorbell": ["--without", "rtl", "--without", "gpu"],
}
"""What a lab leaves out here, to be quick."""
TRIES = 3
"""How often a lab may be wrong, as other work takes its time from one variant or another."""
REMOVED = (
    ("false_sharing", "locked, shared line=locked, padded", Verdict.NOT_SEEN),
    ("false_sharing", "store, shared line=locked, shared line", Verdict.NOT_SEEN),
    ("false_sharing", "locked, same word=locked, padded", Verdict.NOT_OBSERVABLE),
    ("huge_pages", "10240 pages, small=10240 pages, huge", Verdict.NOT_SEEN),
    ("huge_pages", "6144 lines of as many pages=6144 lines side by side", Verdict.NOT_OBSERVABLE),
    ("spsc_ring", "an index a batch of 256=an index a line", Verdict.NOT_SEEN),
    ("spsc_ring", "cached indices=a word there and back", Verdict.NOT_SEEN),
    ("spsc_ring", "a word there and back=an index a batch of 256", Verdict.NOT_OBSERVABLE),
    ("doorbell", "cpu, 1=cpu, 64", Verdict.NOT_SEEN),
    ("doorbell", "model, 1=model, 64", Verdict.NOT_SEEN),
    ("wake_up", "futex, CPU awake=poll", Verdict.NOT_SEEN),
    ("wake_up", "poll each 4 us=poll", Verdict.NOT_OBSERVABLE),
    ("memory_ordering", "SB relaxed=SB fenced", Verdict.NOT_SEEN),
    ("memory_ordering", "SB fenced=SB relaxed", Verdict.NOT_SEEN),
    ("memory_ordering", "SB swapped=SB fenced", Verdict.NOT_OBSERVABLE),
    ("memory_ordering", "ring sleep, waker light=ring sleep", Verdict.NOT_SEEN),
    ("memory_ordering", "ring sleep=ring sleep, sleeper light", Verdict.NOT_SEEN),
)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "replace", "expected"), REMOVED)
def test_a_lab_without_its_effect_is_not_seen(
    name: str, replace: str, expected: Verdict, tmp_path: Path
) -> None:
    """One variant is measured in the place of the one that has the effect, or of a control."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("expected 2 CPUs")
    for _ in range(TRIES):
        code, out, errors = lab(name, tmp_path, "--replace", replace, *FEWER.get(name, ()))
        if code == expected:
            break
    assert code == expected, out + errors
    assert out.splitlines()[-1].startswith(f"{name.replace('_', '-')}: {expected}: ")
    measured = results.read(tmp_path / f"{name.replace('_', '-')}.json")
    assert measured.details["verdict"] == str(expected)
    assert all(len(figure.samples) == 8 for figure in measured.figures)
    assert (tmp_path / f"{name.replace('_', '-')}.svg").read_text().startswith("<svg ")


@pytest.mark.nightly
def test_a_repeated_doorbell_is_the_positive_control_of_the_rtl(tmp_path: Path) -> None:
    """Builds the RTL; in cycles, so that each repetition gives the same."""
    wanted = ["--without", "model", "--without", "cpu", "--without", "gpu"]
    replace = "rtl, 1, each doorbell twice=rtl, 1"
    assert lab("doorbell", tmp_path, *wanted)[0] == Verdict.SEEN
    code, out, errors = lab("doorbell", tmp_path, "--replace", replace, *wanted)
    assert code == Verdict.NOT_OBSERVABLE, out + errors
    measured = results.read(tmp_path / "doorbell.json")
    assert {len({*figure.samples}) for figure in measured.figures} == {1}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["false_sharing", "wake_up", "memory_ordering"])
def test_one_cpu_cannot_show_it(name: str, tmp_path: Path) -> None:
    """Exit code 3 with the reason, and no file."""
    code, out, _ = lab(name, tmp_path, cpus=1)
    assert code == Verdict.NOT_OBSERVABLE
    assert "expected 2 CPUs, this process may use 1" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [["--replace", "a=b"], ["--replace", "a"], ["--repetitions", "2"], ["--seed", "-1"]],
)
def test_bad_arguments_are_refused(arguments: list[str], tmp_path: Path) -> None:
    """Exit code 2 and what was expected."""
    code, _, errors = lab("false_sharing", tmp_path, *arguments)
    assert (code, "expected" in errors) == (2, True)
