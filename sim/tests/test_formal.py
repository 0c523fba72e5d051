# SPDX-License-Identifier: Apache-2.0
"""The prover tells apart what holds, what does not, what is vacuous and what is not inductive."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.formal import __main__ as command
from descring_sim.formal import linear, proofs, session, tasks
from descring_sim.formal.proofs import Outcome
from descring_sim.formal.tasks import Task
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError

COUNTER = """\
`default_nettype none
`include "hw_macros.svh"
module counter_props (
    input wire logic clk_i,
    input wire logic rst_ni,
    input wire logic step_i
);
  logic started_q = 1'b0;
  logic [3:0] count_q;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!rst_ni || count_q == 4'd9) begin
      count_q <= '0;
    end else begin
      count_q <= count_q + 4'(step_i);
    end
  end
  // the first cycle is one of reset
  `HW_ASSUME(StartsInReset_M, started_q || !rst_ni)
  // [RING-002] the count stays below ten
  `HW_ASSERT_IF(Bounded_A, rst_ni, count_q < 4'd10)
  // it counts
  `HW_COVER(Counts_C, count_q == 4'd2)
endmodule
`default_nettype wire
"""

SBY = """\
[tasks]
all_prove prove
all_cover cover
[options]
prove: mode prove
cover: mode cover
depth 5
[engines]
smtbmc bitwuzla
[script]
read_slang -j 1 -USYNTHESIS -DFORMAL --top counter_props *.sv
setattr -set keep 1 t:$check
prep -top counter_props
[files]
hw_macros.svh
counter_props.sv
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the proof of a small counter, which passes."""
    made = tmp_path / "formal"
    made.mkdir()
    shutil.copy(paths.rtl_dir() / "hw_macros.svh", made)
    (made / "counter_props.sv").write_text(COUNTER)
    (made / "counter.sby").write_text(SBY)
    return made


def _task(folder: Path, kind: str) -> Task:
    return next(task for task in tasks.load(folder) if task.kind == kind)


def _change(folder: Path, old: str, new: str) -> None:
    file = folder / "counter_props.sv"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def _run(folder: Path, kind: str = "prove") -> Outcome:
    return proofs.run(_task(folder, kind), folder.parent / "out")


def test_what_holds_is_proven_once_and_again_when_its_files_change(folder: Path) -> None:
    """An outcome is kept by the hash of all that goes in."""
    task, out = _task(folder, "prove"), folder.parent / "out"
    first = proofs.prove(task, out)
    assert (first.status, first.induction, first.cached) == ("pass", 1, False)
    assert proofs.prove(task, out).cached
    assert not proofs.prove(task, out, fresh=True).cached
    _change(folder, "it counts", "it really counts")
    assert not proofs.prove(task, out).cached


def test_what_does_not_hold_comes_with_a_waveform(folder: Path) -> None:
    """A counterexample names the property, and is not kept as a success."""
    _change(folder, "count_q < 4'd10", "count_q < 4'd2")
    task, out = _task(folder, "prove"), folder.parent / "out"
    for _ in range(2):
        outcome = proofs.prove(task, out)
        assert (outcome.status, outcome.failed, outcome.cached) == ("fail", ("Bounded_A",), False)
    assert outcome.trace is not None and Path(outcome.trace).is_file()
    complaint = session.failure_text(task, outcome)
    assert "Bounded_A: the count stays below ten" in complaint
    assert outcome.trace in complaint and "counter/all_prove" in complaint


def test_what_only_looks_true_is_not_proven(folder: Path) -> None:
    """True for the first steps, false later: induction does not go through."""
    _change(folder, "count_q < 4'd10", "count_q < 4'd9")
    outcome = _run(folder)
    assert (outcome.status, outcome.failed) == ("unknown", ("Bounded_A",))
    assert outcome.trace is not None and outcome.trace.endswith("trace_induct.vcd")


def test_failed_step_is_followed_by_a_longer_look_from_reset(folder: Path) -> None:
    """A task of the kind trace turns ``unknown`` into a counterexample, where there is one."""
    sby = folder / "counter.sby"
    text = sby.read_text().replace("all_cover cover\n", "all_cover cover\nall_trace trace\n")
    text = text.replace("cover: mode cover\n", "cover: mode cover\ntrace: mode bmc\n")
    sby.write_text(text.replace("depth 5\n", "prove: depth 5\ncover: depth 5\ntrace: depth 12\n"))
    _change(folder, "count_q < 4'd10", "count_q < 4'd9")
    outcome = _run(folder)
    assert (outcome.status, outcome.failed) == ("fail", ("Bounded_A",))
    assert outcome.trace is not None and Path(outcome.trace).name == "trace.vcd"
    assert outcome.task == "counter/all_prove"
    # True from reset, and beyond the induction step: the longer look finds nothing against it.
    _change(folder, "count_q < 4'd9", "count_q != 4'd11")
    assert _run(folder).status == "unknown"
    assert [task.kind for task in session.chosen(tasks.load(folder), (), quick=False)] == [
        "prove",
        "cover",
    ]


def test_property_whose_case_never_comes_is_vacuous(folder: Path) -> None:
    """The cover of the condition is what fails; the proof itself would pass."""
    _change(folder, "Bounded_A, rst_ni,", "Bounded_A, count_q == 4'd12,")
    outcome = _run(folder, "cover")
    assert (outcome.status, outcome.failed) == ("fail", ("Bounded_A_reached",))


def test_property_that_is_not_in_the_model_is_an_error(folder: Path) -> None:
    """A checker that no one instantiates would pass without looking."""
    (folder / "lost.sv").write_text(
        COUNTER.replace("counter_props", "lost").replace("Bounded_A", "BoundedLost_A")
    )
    sby = folder / "counter.sby"
    sby.write_text(sby.read_text() + "lost.sv\n")
    outcome = _run(folder)
    assert outcome.status == "error"
    assert "the model lacks BoundedLost_A" in outcome.message


def test_source_that_does_not_compile_is_an_error_with_its_log(folder: Path) -> None:
    """Nothing was learned of the design."""
    _change(folder, "count_q == 4'd9", "no_such_signal")
    outcome = _run(folder)
    assert outcome.status == "error"
    assert "no_such_signal" in outcome.message


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  // [RING-002] the count stays below ten\n", "\n", "expected its sentence"),
        ("[RING-002]", "[RING-999]", "has no rule RING-999"),
        ("Bounded_A", "Bounded", "ends in _A"),
    ],
)
def test_property_is_written_as_it_should_be(
    folder: Path, old: str, new: str, complaint: str
) -> None:
    """A sentence above it, rules that exist, a name that states its kind."""
    _change(folder, old, new)
    with pytest.raises(SimulationError, match=complaint):
        _task(folder, "prove").properties()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("all_prove prove", "all_prove", "expected one tag"),
        ("all_prove prove", "all prove", "as the end of the name"),
        ("counter_props.sv\n", "other.sv\n", "there is no .*other.sv"),
        ("all_prove prove\nall_cover cover\n", "", "no tasks"),
    ],
)
def test_task_is_written_as_it_should_be(folder: Path, old: str, new: str, complaint: str) -> None:
    """Kind, name and files of a task are checked before anything runs."""
    sby = folder / "counter.sby"
    text = sby.read_text()
    at = text.rindex(old)
    sby.write_text(text[:at] + new + text[at + len(old) :])
    with pytest.raises(SimulationError, match=complaint):
        tasks.load(folder)


def test_command_names_what_it_knows() -> None:
    """A misspelt block is an error that lists the blocks."""
    result = CliRunner().invoke(command.main, ["desc_rong"])
    assert result.exit_code == 2
    assert "there is no proof 'desc_rong'" in result.output
    assert "completion_ring" in result.output


def _netlist(path: Path, cells: dict[str, dict[str, object]]) -> Path:
    ports = {
        "a": {"direction": "input", "bits": [2, 3]},
        "y": {"direction": "output", "bits": [9]},
    }
    path.write_text(json.dumps({"modules": {"top": {"ports": ports, "cells": cells}}}))
    return path


def _network(path: Path, cells: dict[str, tuple[str, dict[str, int | str]]]) -> Path:
    return _netlist(
        path,
        {
            name: {
                "type": kind,
                "connections": {pin: [wire] for pin, wire in pins.items()},
            }
            for name, (kind, pins) in cells.items()
        },
    )


def test_affine_form_of_a_network(tmp_path: Path) -> None:
    """y = !(a0 ^ a1) ^ a1 is 1 + a0, whatever way it is written; the zero input tells it from 0."""
    cells: dict[str, tuple[str, dict[str, int | str]]] = {
        "x": ("$_XOR_", {"A": 2, "B": 3, "Y": 5}),
        "n": ("$_NOT_", {"A": 5, "Y": 6}),
        "z": ("$_XOR_", {"A": 6, "B": 3, "Y": 9}),
    }
    forms = linear.forms(_network(tmp_path / "network.json", cells))
    assert forms == {"y": [0b011]}
    assert linear.counterexample(0b011) == 0
    assert linear.counterexample(0b100) == 0b10
    assert linear.counterexample(0) is None


def _table(
    path: Path, entries: str | list[str | int], index: list[int | str], signed: int = 0
) -> Path:
    look_up: dict[str, object] = {
        "type": "$shiftx",
        "parameters": {"B_SIGNED": str(signed)},
        "connections": {"A": list(entries), "B": index, "Y": [9]},
    }
    return _netlist(path, {"t": look_up})


@pytest.mark.parametrize(
    ("entries", "index", "expected"),
    [
        ("0110", [2, 3], 0b110),
        ("1001", [2, 3], 0b111),
        ("0011", [2, 3], 0b100),
        ("0", ["0"], 0),
        ("10111101", ["0", 2, "0"], 0b001),
        ("11001111", ["0", 2, "0"], 0b011),
    ],
)
def test_affine_form_of_a_table(
    tmp_path: Path, entries: str, index: list[int | str], expected: int
) -> None:
    """Entry n is the value at index n; an index may have bits that are constant."""
    path = _table(tmp_path / "network.json", entries, index)
    assert linear.forms(path) == {"y": [expected]}


@pytest.mark.parametrize(
    ("entries", "index", "signed", "complaint"),
    [
        ("0001", [2, 3], 0, "a table that is not linear"),
        ("0111", [2, 3], 0, "a table that is not linear"),
        ("011x", [2, 3], 0, "no look-up in a table of constants"),
        (["0", 3, "1", "0"], [2, 3], 0, "no look-up in a table of constants"),
        ("011", [2, 3], 0, "no look-up in a table of constants"),
        ("0110", [2, "x"], 0, "expected 0, 1 or a driver"),
        ("0110", [2, 3], 1, "no look-up in a table of constants"),
    ],
)
def test_table_that_is_not_affine_is_refused(
    tmp_path: Path,
    entries: str | list[str | int],
    index: list[int | str],
    signed: int,
    complaint: str,
) -> None:
    """Neither a table that solves something else nor one that leaves an index open is believed."""
    wanted = linear.NotLinearError if "not linear" in complaint else SimulationError
    with pytest.raises(wanted, match=complaint):
        linear.forms(_table(tmp_path / "network.json", entries, index, signed))


@pytest.mark.parametrize(
    ("kind", "pins", "complaint"),
    [
        ("$_AND_", {"A": 2, "B": 3, "Y": 9}, "which is not linear"),
        ("$_XOR_", {"A": 2, "B": 7, "Y": 9}, "wire 7 has no driver"),
        ("$_XOR_", {"A": 2, "B": "x", "Y": 9}, "expected 0, 1 or a driver"),
        ("$_XOR_", {"A": 2, "B": 9, "Y": 9}, "combinational loop"),
    ],
)
def test_network_that_is_not_affine_is_refused(
    tmp_path: Path, kind: str, pins: dict[str, int | str], complaint: str
) -> None:
    """The argument holds for networks of XOR and NOT only."""
    wanted = linear.NotLinearError if "not linear" in complaint else SimulationError
    with pytest.raises(wanted, match=complaint):
        linear.forms(_network(tmp_path / "network.json", {"c": (kind, pins)}))


def test_a_network_that_is_not_affine_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The property is named, as of any proof that does not pass: no error of the tools."""
    (task,) = tasks.read(tasks.formal_dir() / "crc32c.sby")
    monkeypatch.setattr(proofs, "_status", lambda folder: "pass")
    cells: dict[str, tuple[str, dict[str, int | str]]] = {}
    cells["c"] = ("$_AND_", {"A": 2, "B": 3, "Y": 9})
    _network(tmp_path / proofs._NETWORK, cells)
    outcome = proofs._evaluate_linear(task, tmp_path, tmp_path / "log", 0.0)
    assert outcome.status == "unknown"
    assert "which is not linear" in outcome.message
    assert proofs.objection(task, outcome) == (
        "refused, no affine network: Checksum_A (crc32c/all_linear)"
    )


def test_an_outcome_is_kept_by_its_inputs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error is not kept; a failure is, until a source changes."""
    statuses: list[proofs.Status] = ["error", "fail", "pass"]
    runs: list[proofs.Status] = []

    def run(task: Task, out: Path) -> Outcome:
        runs.append(statuses[len(runs)])
        return Outcome(str(task), runs[-1], 1.5, str(out), failed=("Bounded_A",), trace="a.vcd")

    monkeypatch.setattr(proofs, "run", run)

    def outcome() -> Outcome:
        return proofs.run_once(_task(folder, "prove"), tmp_path / "out", tmp_path / "kept")

    assert outcome().status == "error"
    first, second = outcome(), outcome()
    assert (first.status, first.cached, first.trace) == ("fail", False, "a.vcd")
    assert (second.status, second.cached, second.trace) == ("fail", True, None)
    assert (second.failed, second.seconds) == (("Bounded_A",), 1.5)
    assert runs == ["error", "fail"]
    source = folder / "counter_props.sv"
    source.write_text(source.read_text().replace("4'd10", "4'd11"))
    assert outcome().status == "pass"
    assert runs == ["error", "fail", "pass"]
