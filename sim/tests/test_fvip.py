# SPDX-License-Identifier: Apache-2.0
"""The translation of concurrent assertions: each form that it knows, and an error for each other.

The checker here is a made-up one, in the style of those that are translated.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from descring_sim.formal import toolchain
from descring_sim.signoff import fvip
from descring_sim.support import processes
from descring_sim.support.errors import SimulationError

RULES = """\
package tiny_rules;
  let odd(number) = number[0];
  property held(v, r, d);  v && !r |-> ##1 $stable(d); endproperty : held
  property kept(v, r);  (v && !r |-> ##1 v);  endproperty
  property soon(v, r, n);  v & !r |-> ##[1:n] r;  endproperty
  property known(v, d);  v |-> !$isunknown(d);  endproperty
  property even(v, d);  v |-> not odd(d);  endproperty
  property quiet(rst, v);  (!rst || $rose(rst)) |-> !v;  endproperty
  /* property commented_out(v); v; endproperty */
endpackage
"""
FRAME = """\
`default_nettype none
module tiny (input wire clk, rst, v, r, input wire [3:0] d);
  import tiny_rules::*;
  default clocking main @(posedge clk); endclocking
  let small = d < 4'd9;
  generate if (1) begin : only
PROPERTIES
  end endgenerate
endmodule
"""
PROPERTIES = {
    "held": "disable iff (!rst) held(v, r, d)",
    "kept": "disable iff(!rst) kept(v, r)",
    "soon": "disable iff (!rst) soon(v, r, 3)",
    "even": "disable iff (!rst) even(v, d)",
    "quiet": "quiet(rst, v)",
    "now": "disable iff (!rst) v |-> d inside {4'd0, 4'd2, 4'd9}",
    "from_start": "v |-> small",
    "always_so": "d != 4'd15",
}
REFERENCE = """\
module reference_NAME (input wire clk, rst, v, r, input wire [3:0] d);
  reg begun = 0, stalled = 0, was_reset = 0, one = 0, two = 0, three = 0;
  reg [3:0] former;
  always @(posedge clk) begin
    begun <= 1; former <= d; was_reset <= !rst;
    stalled <= rst && v && !r;
    one <= rst && v && !r; two <= rst && one && !r; three <= rst && two && !r;
  end
  wire held = !(rst && stalled) || former == d;
  wire kept = !(rst && stalled) || v;
  wire soon = !(rst && three) || r;
  wire even = !(rst && v) || !d[0];
  wire quiet = !was_reset || !v;
  wire now = !(rst && v) || d == 0 || d == 2 || d == 9;
  wire from_start = !(begun && v) || d < 9;
  wire always_so = d != 15;
  always @* CHECK (NAME);
endmodule
"""
"""The same properties, as one would write them by hand: what they mean."""


def _checker(kind: str, properties: dict[str, str]) -> str:
    lines = (
        f'{name}: {kind} property({text}) else $error("Violation: (a); b // c");'
        for name, text in properties.items()
    )
    return FRAME.replace("PROPERTIES", "\n".join(lines))


def _translate(text: str) -> str:
    return fvip.translate(_checker("assert", {"name": text}), [RULES]).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PROPERTIES["held"], "holds: assert (fvip_past_q == (d));"),
        (PROPERTIES["kept"], "if ((!(!rst)) && fvip_armed_q) begin holds: assert (v);"),
        (PROPERTIES["soon"], "holds: assert (fvip_waited_q < 32'(3) || (r));"),
        (PROPERTIES["even"], "if ((!(!rst)) && (v)) begin holds: assert (!((d[0])));"),
        (PROPERTIES["quiet"], "if (fvip_reset_q) begin holds: assert (!v);"),
        (PROPERTIES["from_start"], "if (fvip_started_q && (v)) begin holds: assert (d < 4'd9);"),
        (PROPERTIES["always_so"], "if ((1'b1) && (1'b1)) begin holds: assert (d != 4'd15);"),
        ("held(v, r, {d[1], v})", "fvip_past_q == (({d[1], v}))"),
    ],
)
def test_each_form_becomes_an_immediate_assertion(text: str, expected: str) -> None:
    """With the name of the property around it, by which a report knows it."""
    result = _translate(text)
    assert "begin : name" in result
    assert expected in " ".join(result.split())
    assert not re.search(r"property|clocking|##|\$stable|tiny_rules|Violation", result)


@pytest.mark.parametrize(
    "text",
    [
        "v |=> r",
        "v ##1 r",
        "v |-> ##2 r",
        "v |-> ##[2:3] r",
        "v |-> ##1 r ##1 v",
        "v |-> ##1 $stable(d) && $stable(r)",
        "v |-> $past(r)",
        "v |-> s_eventually r",
        "$rose(v) |-> r",
        "(!rst || $rose(v)) |-> !v",
        "disable iff (!rst) quiet(rst, v)",
        "v |-> r |-> v",
        "v until r",
        "v[*2] |-> r",
        "@(negedge clk) v |-> r",
        "v |-> unheard_of(r)",
        "unheard_of(v, r)",
        "v |-> (!$isunknown(d) && r)",
        "v |-> !$isunknown(d) && $past(r)",
        "v |->",
    ],
)
def test_an_unknown_form_is_an_error(text: str) -> None:
    """Left out it would pass for proven."""
    with pytest.raises(SimulationError, match="name: a property of an unknown form"):
        _translate(text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("default clocking main @(posedge clk); endclocking", "", "expected a default clock"),
        ("name: assert", "assert", "expected no further SVA"),
        ("  let small", "  default disable iff (!rst);\n  let small", "expected no further SVA"),
        ("name: assert property", "name: restrict property", "expected no further SVA"),
        ("kept(v, r)", "kept(v)", "name: expected 2 arguments, got 1"),
        ("kept(v, r)", "kept(v, r", "a bracket is not closed"),
        ("let small = d < 4'd9", "let v = !v", "expected declarations less than 8 deep"),
    ],
)
def test_what_cannot_be_read_is_an_error(old: str, new: str, message: str) -> None:
    """Each with the reason."""
    text = _checker("assert", {"name": "kept(v, r)"})
    assert old in text
    with pytest.raises(SimulationError, match=message):
        fvip.translate(text.replace(old, new), [RULES])


def test_checks_for_x_and_covers_are_counted() -> None:
    """They are the only ones that are left out."""
    properties = {"a": "kept(v, r)", "b": "disable iff (!rst) known(v, d)", "c": "known(r, v)"}
    text = _checker("assert", properties)
    cover = 'w: cover property (v ##1 r) $info("x);");'
    text = text.replace("  let", f"  {cover}\n  let").replace("c: assert", "c: assume")
    result = fvip.translate(text + "// d: assert property (v);", [RULES])
    assert (result.asserts, result.assumes, result.x_checks, result.covers) == (1, 0, 2, 1)
    assert len(re.findall(r"holds:", result.text)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["assume", "assert"])
def test_it_means_what_one_would_write_by_hand(kind: str, tmp_path: Path) -> None:
    """Both ways, for all inputs of 8 cycles: the one is assumed and the other then holds."""
    other = "assert" if kind == "assume" else "assume"
    # Inputs of its own for each, so that none is constrained by what is assumed of another.
    tiny, references, instances = [], [], []
    for place, (name, text) in enumerate(PROPERTIES.items()):
        checker = fvip.translate(_checker(kind, {name: text}), [RULES]).text
        tiny.append(checker.replace("module tiny", f"module tiny_{name}"))
        references.append(REFERENCE.replace("CHECK", other).replace("NAME", name))
        ports = f"(clk, rst[{place}], v[{place}], r[{place}], d[{place}])"
        instances += [f"tiny_{name} u_{name} {ports};", f"reference_{name} w_{name} {ports};"]
    inputs = "input wire clk, input wire [7:0] rst, v, r, input wire [7:0][3:0] d"
    both = f"module both ({inputs});\n" + "\n".join(instances) + "\nendmodule\n"
    (tmp_path / "tiny.sv").write_text("\n".join(tiny))
    (tmp_path / "both.sv").write_text("\n".join([*references, both]))
    sby = tmp_path / "both.sby"
    sby.write_text(
        "[tasks]\nbmc\n[options]\nmode bmc\ndepth 8\n[engines]\nsmtbmc bitwuzla\n[script]\n"
        "read_slang -j 1 --top both tiny.sv both.sv\nprep -flatten -top both\n"
        "[files]\ntiny.sv\nboth.sv\n"
    )
    log = tmp_path / "log"
    command = toolchain.sby("bmc", sby, tmp_path / "out")
    env = toolchain.environment()
    assert processes.run(command, cwd=tmp_path, log=log, timeout_s=120.0, env=env) == 0, (
        processes.log_tail(log)
    )
    assert "DONE (PASS" in log.read_text()
