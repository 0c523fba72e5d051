# SPDX-License-Identifier: Apache-2.0
"""The port to memory by properties of others: without them the way to get them, else a verdict.

The properties themselves are not part of this repository; here checkers of the same ports replace
them, each with one rule: what is valid stays so until it is taken.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.formal import tasks
from descring_sim.formal.proofs import Outcome, Report
from descring_sim.formal.tasks import Task
from descring_sim.signoff import fvip, fvip_proofs
from descring_sim.signoff.formal_axi import main
from descring_sim.signoff.fvip_proofs import PORTS, Port, Verdict
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError

TYPES = """\
package amba_axi4_protocol_checker_pkg;
  typedef enum logic [1:0] {SOURCE, DESTINATION} agent_t;
  typedef enum logic {AXI4LITE, AXI4FULL} protocol_t;
  typedef struct packed {
    int unsigned ID_WIDTH, ADDRESS_WIDTH, DATA_WIDTH;
    int unsigned AWUSER_WIDTH, WUSER_WIDTH, BUSER_WIDTH, ARUSER_WIDTH, RUSER_WIDTH;
    int unsigned MAX_WR_BURSTS, MAX_RD_BURSTS, MAX_WR_LENGTH, MAX_RD_LENGTH, MAXWAIT;
    agent_t VERIFY_AGENT_TYPE;
    protocol_t PROTOCOL_TYPE;
    bit INTERFACE_REQS, CHECK_PARAMETERS, OPTIONAL_RESET, EXCLUSIVE_ACCESS, ARM_RECOMMENDED;
  } axi4_checker_params_t;
endpackage
"""
RULES = """\
package single_interface_requirements;
  property stays(v, r, d);  v && !r |-> ##1 v && d;  endproperty
endpackage
"""
CHECKER = """\
module amba_axi4_CHANNEL_channel import amba_axi4_protocol_checker_pkg::*;
  #(parameter axi4_checker_params_t cfg = '{default: 0})
  (input wire ACLK, ARESETn, PORTS input wire P_VALID, P_READY);
  import single_interface_requirements::*;
  default clocking main @(posedge ACLK); endclocking
  rule: KIND property(disable iff (!ARESETn) stays(P_VALID, P_READY, 1'b1));
endmodule
"""
REQUEST = (
    "input wire [3:0] P_ID, P_CACHE, P_QOS, P_REGION, input wire [63:0] P_ADDR, "
    "input wire [7:0] P_LEN, input wire [2:0] P_SIZE, P_PROT, input wire [1:0] P_BURST, "
    "input wire P_LOCK, P_USER,"
)
WORDS = "input wire P_LAST, P_USER, input wire [cfg.DATA_WIDTH-1:0] P_DATA,"
ANSWER = "input wire [3:0] P_ID, input wire [1:0] P_RESP,"
CHANNELS = {
    "read_address": ("AR", "assert", REQUEST),
    "read_data": ("R", "assume", f"{ANSWER} {WORDS}"),
    "write_address": ("AW", "assert", REQUEST),
    "write_data": ("W", "assert", f"{WORDS} input wire [cfg.DATA_WIDTH/8-1:0] P_STRB,"),
    "write_response": ("B", "assume", f"{ANSWER} input wire P_USER,"),
}
OWN = "  own: assert property(P_READY |-> P_READY);\nendmodule"


def _root() -> Path:
    root = paths.checkout_root()
    assert root is not None
    return root


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder with checkers of the names and ports of FVIP."""
    folder = tmp_path / "foreign"
    texts = {fvip.PACKAGE: TYPES}
    for name in fvip.DECLARATIONS:
        texts[name] = RULES if "single" in name else "package empty;\nendpackage\n"
    for channel, (prefix, kind, ports) in CHANNELS.items():
        text = CHECKER.replace("CHANNEL", channel).replace("PORTS", ports).replace("KIND", kind)
        # A channel that the memory drives has an assertion too, so that its checker is seen.
        text = text if kind == "assert" else text.replace("endmodule", OWN)
        texts[f"{fvip.FOLDER}/amba_axi4_{channel}_channel.sv"] = re.sub(
            r"P_(?=[A-Z])", prefix, text
        )
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def _collect(port: Port, foreign: Path, folder: Path, rtl: Path | None = None) -> Path:
    checkers = fvip_proofs.translated(foreign)
    return fvip_proofs.collect(port, checkers, foreign, _root(), rtl or paths.rtl_dir(), folder)


@pytest.mark.parametrize("arguments", [[], ["--fvip", "/no/such/folder"]])
def test_without_the_sources_it_tells_how_to_get_them(arguments: list[str]) -> None:
    """Exit code 2: nothing is fetched, and nothing is taken for proven."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "YosysHQ-GmbH/SVA-AXI4-FVIP" in result.output
    assert "make formal-axi FVIP=" in result.output
    assert "holds" not in result.output


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (fvip.DECLARATIONS[0], "endpackage", "", "expected a whole module or package"),
        (f"{fvip.FOLDER}/amba_axi4_write_data_channel.sv", "endmodule", "// endmodule", "a whole"),
        (fvip.DECLARATIONS[2], "##1", "##2", "read_address_channel.sv: rule: a property of an unk"),
    ],
)
def test_what_cannot_be_read_is_refused(
    foreign: Path, name: str, old: str, new: str, message: str
) -> None:
    """Exit code 2: a fetch that broke off, or another version of the properties."""
    file = foreign / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    result = CliRunner().invoke(main, ["--fvip", str(foreign)])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("missing", [fvip.PACKAGE, *fvip.DECLARATIONS])
def test_a_file_that_is_missing_is_named(foreign: Path, missing: str, tmp_path: Path) -> None:
    """With the way to get it."""
    (foreign / missing).unlink()
    with pytest.raises(SimulationError, match=rf"expected {missing} in .*make formal-axi FVIP="):
        _collect(PORTS[0], foreign, tmp_path / "run")


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.block)
def test_the_harness_has_every_file_that_it_names(
    port: Port, foreign: Path, tmp_path: Path
) -> None:
    """The proof is the project's own, and its tasks, with the checkers added."""
    sby = _collect(port, foreign, tmp_path / "run")
    listed = re.split(r"\[files\]\n", sby.read_text())[1].split()
    assert {path.name for path in sby.parent.iterdir()} == {*listed, sby.name}
    own = tasks.read(_root() / "formal" / sby.name)
    assert [task.name for task in tasks.read(sby)] == [task.name for task in own]
    harness = (sby.parent / f"{port.block}_props.sv").read_text()
    assert harness.count(f'`include "{port.fragment}"\n\nendmodule') == 1
    fragment = (sby.parent / port.fragment).read_text()
    assert re.findall(r"\) (u_\w+) \(", fragment) == list(port.checkers)


WHOLE = frozenset({"Own_A", "u_dut.Own_A", "u_fvip_ar.genblk1.ap_X.holds", "u_fvip_r.ap_Y.holds"})


@pytest.mark.parametrize(
    ("outcome", "assertions", "expected"),
    [
        (("pass", ()), WHOLE, "holds, 41 s, 2 assertions"),
        (("unknown", ()), WHOLE, "is NOT PROVEN, 41 s, 2 assertions"),
        (
            ("fail", ("Own_A", "u_fvip_ar.genblk1.ap_X.holds")),
            WHOLE,
            "FAILS, 41 s, 2 assertions; failed: ap_X, Own_A of descring",
        ),
        (("pass", ()), WHOLE - {"u_fvip_r.ap_Y.holds"}, None),
        (("pass", ()), frozenset({"Own_A"}), None),
        (("error", ()), WHOLE, None),
    ],
)
def test_only_a_proof_of_their_assertions_is_taken_for_one(
    outcome: tuple[str, tuple[str, ...]],
    assertions: frozenset[str],
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A model without the assertions of a checker is an error, whatever it proves."""
    status, failed = outcome
    task = Task(tmp_path / "desc_fetch.sby", "small_prove", "prove", frozenset(), 2, ())
    result = Outcome(str(task), status, 41.0, "f", failed=failed)  # type: ignore[arg-type]
    monkeypatch.setattr("descring_sim.formal.proofs.run", lambda *_: result)
    report = Report(assertions, frozenset(), failed)
    monkeypatch.setattr("descring_sim.formal.proofs.report", lambda _: report)
    if expected is None:
        with pytest.raises(SimulationError, match="desc_fetch/small_prove: "):
            fvip_proofs.verdict(PORTS[0], task, tmp_path)
    else:
        verdict = fvip_proofs.verdict(PORTS[0], task, tmp_path)
        assert str(verdict) == f"FVIP, desc_fetch small_prove: {expected}"
        assert verdict.holds is (status == "pass")


@pytest.mark.parametrize(("status", "code"), [("pass", 0), ("fail", 1), ("unknown", 1)])
def test_the_exit_code_is_that_of_the_worst(
    status: str, code: int, foreign: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """1 if one of the tasks fails or is not proven, with the folder of its log."""

    def verdict(port: Port, task: Task, out: Path) -> Verdict:
        bad = task.name == "narrow_prove"
        outcome = Outcome(str(task), status if bad else "pass", 1.0, "/f")  # type: ignore[arg-type]
        return Verdict(task, outcome, 3, ())

    monkeypatch.setenv(paths.BUILD_DIR_VARIABLE, str(tmp_path / "build"))
    monkeypatch.setattr("descring_sim.signoff.fvip_proofs.verdict", verdict)
    result = CliRunner().invoke(main, ["--fvip", str(foreign)])
    assert result.exit_code == code
    lines = result.output.splitlines()
    assert lines[0].startswith(
        "FVIP: 5 assertions and 2 assumptions are translated; left out are 0"
    )
    assert "FVIP, desc_fetch small_prove: holds, 1 s, 3 assertions" in lines
    assert len([line for line in lines[1:9] if line.startswith("FVIP, ")]) == 8
    assert ("log and trace: /f" in lines) is (code == 1)


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "status"),
    [("", "", "pass"), ("!aw_valid_q || m_axi_awready) begin", "1'b1) begin", "fail")],
)
def test_a_valid_that_is_withdrawn_is_a_failure(
    old: str, new: str, status: str, foreign: Path, tmp_path: Path
) -> None:
    """AWVALID stays until AWREADY in the RTL, and not in a mutant; the rule that fails is named."""
    rtl = shutil.copytree(paths.rtl_dir(), tmp_path / "rtl")
    source = rtl / "axi_write_engine.sv"
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))
    (port,) = (port for port in PORTS if port.block == "axi_write_engine")
    sby = _collect(port, foreign, tmp_path / "run", rtl)
    (task,) = (task for task in tasks.read(sby) if task.name == "small_prove")
    verdict = fvip_proofs.verdict(port, task, tmp_path / "out")
    assert verdict.outcome.status == status
    assert verdict.count == 3
    assert ("rule" in verdict.failed) is (status == "fail")
