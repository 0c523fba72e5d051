# SPDX-License-Identifier: Apache-2.0
"""Translates the AXI4 properties of YosysHQ's SVA-AXI4-FVIP for a reader that knows no SVA.

FVIP is written in concurrent assertions, which yosys-slang refuses. So each ``assert property`` and
``assume property`` of a file becomes an immediate one, with registers for what it states about
several cycles. What a named property means is read where FVIP declares it, not known here; what is
known is the forms that those declarations have (``_FORMS``). A form that is not among them is an
error, for a property that is left out would be taken for proven.

Left out, and counted, are covers, and checks that a signal is not X, as nothing is X in a proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from descring_sim.support.errors import SimulationError

FOLDER = "AXI4/src"
PACKAGE = f"{FOLDER}/amba_axi4_protocol_checker_pkg.sv"
"""Its types and constants, which are used as they are."""
DECLARATIONS = tuple(
    f"{FOLDER}/axi4_spec/amba_axi4_{name}.sv"
    for name in (
        "atomic_accesses",
        "definition_of_axi4_lite",
        "single_interface_requirements",
        "transaction_attributes",
        "transaction_structure",
    )
)
"""Packages of properties, which checkers name."""

_DEPTH = 8
"""Declarations that name each other, at most so deep."""

_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_PROPERTY = re.compile(
    r"\bproperty\s+(\w+)\s*(?:\(([^)]*)\))?\s*;(.*?)\bendproperty\b(?:\s*:\s*\w+)?", re.DOTALL
)
_LET = re.compile(r"\blet\s+(\w+)\s*(?:\(([^)]*)\))?\s*=([^;]*);")
_PACKAGE_NAME = re.compile(r"\bpackage\s+(\w+)\s*;")
_IMPORT = re.compile(r"\bimport\s+(\w+)::[\w*]+\s*;")
_SEQUENCE = re.compile(r"\bsequence\b.*?\bendsequence\b(?:\s*:\s*\w+)?", re.DOTALL)
_CLOCK = re.compile(
    r"\bdefault\s+clocking\s+\w+\s+@\(\s*posedge\s+(\w+)\s*\)\s*;\s*endclocking\b(?:\s*:\s*\w+)?"
)
_STATEMENT = re.compile(r"(\w+)\s*:\s*(assert|assume|cover)\s+property\s*(?=\()")
_GUARD = re.compile(r"disable\s+iff\s*(?=\()")
_FROM_RESET = re.compile(r"!\s*(\w+)\s*\|\|\s*\$rose\s*\(\s*(\w+)\s*\)")
_NO_SVA = re.compile(r"\b(property|sequence|clocking|expect|restrict|disable|let)\b")
_WORD = re.compile(r"(?<![\w$.'])(?<!::)([A-Za-z_]\w*)\b(?!::)")
_CALL = re.compile(r"(?<![\w$'])([A-Za-z_]\w*)\s*\(")
_TEMPORAL = re.compile(
    r"##|\|->|\|=>|#-#|#=#|@|\[\s*(?:\*|->|=)|\$(?!clog2\b|bits\b)|"
    r"\b(?:not|and|or|if|else|case|until\w*|throughout|within|intersect|first_match|implies|"
    r"always|s_\w+|eventually|nexttime|strong|weak|iff|accept_on|reject_on)\b"
)

# Each template is the inside of a generate block that is named as the property was, so that this
# name is in the report of a proof. Registers that look back are off in the first cycle, which has
# no cycle before it.
_LOOKS_BACK = """\
  logic fvip_armed_q = 1'b0;
  always_ff @(posedge {clock}) fvip_armed_q <= ({guard}) && ({when});
"""
_STABLE = (
    _LOOKS_BACK
    + """\
  logic [$bits({then})-1:0] fvip_past_q;
  always_ff @(posedge {clock}) fvip_past_q <= {then};
  always_comb if (({guard}) && fvip_armed_q) begin holds: {kind} (fvip_past_q == ({then})); end
"""
)
_NEXT = (
    _LOOKS_BACK
    + """\
  always_comb if (({guard}) && fvip_armed_q) begin holds: {kind} ({then}); end
"""
)
# Cycles since the oldest `when` that no `then` has followed.
_WITHIN = """\
  logic [31:0] fvip_waited_q = '0;
  always_ff @(posedge {clock}) begin
    if (!({guard})) fvip_waited_q <= '0;
    else if (fvip_waited_q != '0 && !({then})) fvip_waited_q <= fvip_waited_q + 1'b1;
    else fvip_waited_q <= 32'(({when}) ? 1 : 0);
  end
  always_comb if ({guard}) begin
    holds: {kind} (fvip_waited_q < 32'({count}) || ({then}));
  end
"""
_NEVER = """\
  always_comb if (({guard}) && ({when})) begin holds: {kind} (!({then})); end
"""
_NOW = """\
  always_comb if (({guard}) && ({when})) begin holds: {kind} ({then}); end
"""
# A synchronous reset acts at the end of its first cycle, so that cycle is left out.
_IN_RESET = """\
  logic fvip_reset_q = 1'b0;
  always_ff @(posedge {clock}) fvip_reset_q <= !({when});
  always_comb if (fvip_reset_q) begin holds: {kind} ({then}); end
"""
# Without `disable iff` it applies in reset too, but not before the first clock edge: a register has
# no value there, and what an X implies is not checked.
_FROM_START = """\
  logic fvip_started_q = 1'b0;
  always_ff @(posedge {clock}) fvip_started_q <= 1'b1;
  always_comb if (fvip_started_q && ({when})) begin holds: {kind} ({then}); end
"""

_X_CHECK = re.compile(r"!\s*\$isunknown\s*\((?P<then>.*)\)")
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"##\s*1\s+\$stable\s*\((?P<then>.*)\)"), _STABLE),
    (re.compile(r"##\s*1\s+(?P<then>.*)"), _NEXT),
    (re.compile(r"##\s*\[\s*1\s*:(?P<count>[^\]]*)\]\s*(?P<then>.*)"), _WITHIN),
    (re.compile(r"not\s+(?P<then>.*)"), _NEVER),
    (re.compile(r"(?P<then>.*)"), _NOW),
)
"""What follows an implication's arrow, and what becomes of it; the first that matches applies."""


@dataclass(frozen=True)
class Declaration:
    """A named expression or property: what stands for its arguments, and its text."""

    arguments: tuple[str, ...]
    body: str


@dataclass(frozen=True)
class Translation:
    """A file without concurrent assertions.

    Attributes:
        asserts: assertions that became immediate ones.
        assumes: assumptions that did.
        x_checks: checks for X that were left out.
        covers: covers that were left out.
    """

    text: str
    asserts: int
    assumes: int
    x_checks: int
    covers: int


def strip_comments(text: str) -> str:
    """``text`` without its comments; strings stay as they are."""
    return _COMMENT.sub(lambda match: match.group(1) or " ", text)


def _end(text: str, start: int) -> int:
    """Where the bracket at ``start`` is closed, strings apart.

    Raises:
        SimulationError: nowhere.
    """
    depth, quoted = 0, False
    for place in range(start, len(text)):
        letter = text[place]
        if letter == '"' and text[place - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (letter in "([{") - (letter in ")]}")
            if depth == 0:
                return place
    raise SimulationError(f"a bracket is not closed: {text[start : start + 60]}")


def split_arguments(text: str) -> tuple[str, ...]:
    """The arguments in ``text``, which commas outside brackets part."""
    found, depth, first = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            found.append(text[first:place].strip())
            first = place + 1
    last = text[first:].strip()
    return (*found, last) if found or last else ()


def declarations(text: str) -> dict[str, Declaration]:
    """The properties and ``let`` expressions that ``text``, without comments, declares."""
    return {
        match.group(1): Declaration(
            split_arguments(match.group(2) or ""), " ".join(match.group(3).split()).rstrip("; ")
        )
        for pattern in (_PROPERTY, _LET)
        for match in pattern.finditer(text)
    }


def _bare(text: str) -> str:
    """``text`` without brackets around all of it."""
    text = text.strip()
    while text.startswith("(") and _end(text, 0) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _filled(declaration: Declaration, values: tuple[str, ...], where: str) -> str:
    if len(values) != len(declaration.arguments):
        wanted = len(declaration.arguments)
        raise SimulationError(f"{where}: expected {wanted} arguments, got {len(values)}")
    # A name stays bare: it may be indexed, which an expression in brackets may not.
    meant = {
        name: value if re.fullmatch(r"[\w.]+", value) else f"({value})"
        for name, value in zip(declaration.arguments, values, strict=True)
    }
    return _WORD.sub(lambda match: meant.get(match.group(1), match.group(1)), declaration.body)


def expand(text: str, known: Mapping[str, Declaration], where: str) -> str:
    """``text`` with every declared name replaced by what it stands for.

    Raises:
        SimulationError: a name has another number of arguments than its declaration, or is declared
            by itself.
    """
    text = _bare(text)
    for _ in range(_DEPTH):
        found = next((match for match in _WORD.finditer(text) if match.group(1) in known), None)
        if found is None:
            return text
        rest = text[found.end() :]
        values: tuple[str, ...] = ()
        end = found.end()
        if rest.lstrip().startswith("("):
            start = end + len(rest) - len(rest.lstrip())
            end = _end(text, start) + 1
            values = split_arguments(text[start + 1 : end - 1])
        body = _filled(known[found.group(1)], values, where)
        # Brackets around a whole property are none of an expression, and are taken away.
        text = _bare(f"{text[: found.start()]}({body}){text[end:]}")
    raise SimulationError(f"{where}: expected declarations less than {_DEPTH} deep, got {text}")


def _implication(text: str) -> tuple[str, str]:
    """Both sides of the arrow outside brackets; where there is none, 1 is what implies."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and text.startswith("|->", place):
            return text[:place].strip(), _bare(text[place + 3 :])
    return "1'b1", text


def _is_boolean(text: str) -> bool:
    """Whether ``text`` is an expression of one cycle, whole, that calls nothing unknown."""
    depth = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if depth < 0:
            return False
    calls = set(_CALL.findall(text)) - {"inside"}
    return bool(text.strip()) and depth == 0 and not _TEMPORAL.search(text) and not calls


def immediate(
    label: str, kind: str, statement: str, known: Mapping[str, Declaration], clock: str
) -> str | None:
    """The immediate form of one property, None for a check for X.

    Args:
        label: its name.
        kind: ``assert`` or ``assume``.
        statement: what is in the brackets behind ``property``.
        known: the declarations that it may name.
        clock: what its cycles are those of.

    Raises:
        SimulationError: it has none of the forms that are known here.
    """
    guard = None
    if match := _GUARD.match(statement):
        end = _end(statement, match.end())
        guard = f"!{statement[match.end() : end + 1]}"
        statement = statement[end + 1 :]
    text = expand(" ".join(statement.split()), known, label)
    when, then = _implication(text)
    values = {"when": when, "then": then, "count": "1", "guard": guard or "1'b1"}
    reset = _FROM_RESET.fullmatch(_bare(when))
    if found := _X_CHECK.fullmatch(then):
        template = None
        values |= found.groupdict()
    elif reset and reset.group(1) == reset.group(2) and guard is None:
        template = _IN_RESET
        values["when"] = reset.group(1)
    else:
        matches = ((pattern.fullmatch(then), inside) for pattern, inside in _FORMS)
        found, template = next((match, inside) for match, inside in matches if match)
        values |= found.groupdict()
        if template is _NOW and guard is None and when != "1'b1":
            template = _FROM_START
    wrong = [value for value in values.values() if not _is_boolean(value)]
    if wrong:
        raise SimulationError(f"{label}: a property of an unknown form: {text}")
    if template is None:
        return None
    inside = template.format(kind=kind, clock=clock, **values)
    return f"if (1) begin : {label}\n{inside}end\n"


def _action_end(text: str, start: int) -> int:
    """The end of the statement whose property ends before ``start``, its action included."""
    place = start
    while text[place] != ";":
        place = _end(text, place) if text[place] == "(" else place
        place += 1
        if place >= len(text):
            raise SimulationError(f"a statement is not ended: {text[start : start + 60]}")
    return place + 1


def translate(text: str, packages: Iterable[str]) -> Translation:
    """A checker of FVIP with immediate assertions.

    Args:
        text: the file.
        packages: the files of the packages of properties that it imports.

    Raises:
        SimulationError: it has a property of an unknown form, no default clock, or something else
            of SVA that is not known here.
    """
    known: dict[str, Declaration] = {}
    dropped = set()
    for package in map(strip_comments, packages):
        known |= declarations(package)
        dropped |= set(_PACKAGE_NAME.findall(package))
    text = strip_comments(text)
    known |= declarations(text)
    clock = _CLOCK.search(text)
    if clock is None:
        raise SimulationError("expected a default clock for the properties, found none")
    for pattern in (_PROPERTY, _LET, _SEQUENCE, _CLOCK):
        text = pattern.sub("", text)
    text = _IMPORT.sub(lambda match: "" if match.group(1) in dropped else match.group(), text)
    count = {"assert": 0, "assume": 0, "x": 0, "cover": 0}
    parts, done = [], 0
    for match in _STATEMENT.finditer(text):
        label, kind = match.groups()
        end = _end(text, match.end())
        body = text[match.end() + 1 : end]
        new = None if kind == "cover" else immediate(label, kind, body, known, clock.group(1))
        count[kind if new or kind == "cover" else "x"] += 1
        parts += [text[done : match.start()], new or "if (1) begin end\n"]
        done = _action_end(text, end + 1)
    result = "".join((*parts, text[done:]))
    if left := _NO_SVA.search(re.sub(r'"(?:\\.|[^"\\])*"', "", result)):
        at = " ".join(result[left.start() : left.start() + 60].split())
        raise SimulationError(f"expected no further SVA than labelled properties, got: {at}")
    return Translation(result, count["assert"], count["assume"], count["x"], count["cover"])
