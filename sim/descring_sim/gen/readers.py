# SPDX-License-Identifier: Apache-2.0
"""Three independent readers of the generated files: pyslang, gcc and NVRTC.

Each is a real front end of the language that the file is written in, and reports where *it* finds
every field of a line and what *it* takes every number to be. What they read is compared with the
contract's data. Every function returns the differences, one line each; none means agreement.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from descring_model import contract

from descring_sim.gen import nvrtc
from descring_sim.gen.constants import C_PREFIX, Constant, by_name, c_by_name
from descring_sim.hdl.slang import ElaborationError, elaborate
from descring_sim.support import environment
from descring_sim.support.errors import SimulationError

DESC = "hw_desc_t"
RING = "hw_ring_t"
NVRTC_ARCH = "sm_90"
_TIMEOUT_S = 60.0
_HELPER_MACROS = frozenset({"HW_DESC_H"})


@dataclass(frozen=True)
class Member:
    """One member of a struct: offset and width in bits, and its type as the reader names it."""

    offset: int
    bits: int
    kind: str


@dataclass(frozen=True)
class Struct:
    """A struct: total width and alignment in bits (0 in SystemVerilog), members by name."""

    bits: int
    alignment: int
    members: Mapping[str, Member]


@dataclass(frozen=True)
class Reading:
    """What a reader found: structs by name, and each constant's value and type by name."""

    structs: Mapping[str, Struct]
    constants: Mapping[str, tuple[int, str]]


def _expected(
    named: Mapping[str, Constant],
    *,
    field_kind: Callable[[int], str],
    constant_kind: Callable[[Constant], str],
    alignment: int,
) -> Reading:
    """The contract, in the type names of one language."""
    desc = Struct(
        contract.DESC_BITS,
        alignment,
        {
            item.name: Member(8 * item.offset, item.bits, field_kind(item.bits))
            for item in contract.FIELDS
        },
    )
    constants = {name: (item.value, constant_kind(item)) for name, item in named.items()}
    return Reading({DESC: desc}, constants)


def _expected_c() -> Reading:
    line = 8 * contract.CACHE_LINE_BYTES
    expected = _expected(
        c_by_name(),
        field_kind=lambda bits: f"u{bits}",
        constant_kind=lambda item: "int" if item.bits is None else "u32",
        alignment=line,
    )
    ring = Struct(
        8 * contract.RING_SLOTS_OFFSET,
        line,
        {
            "head": Member(8 * contract.RING_HEAD_OFFSET, 32, "u32"),
            "tail": Member(8 * contract.RING_TAIL_OFFSET, 32, "u32"),
        },
    )
    return Reading({**expected.structs, RING: ring}, expected.constants)


def compare(
    what: str, expected: Mapping[str, object], actual: Mapping[str, object]
) -> Iterator[str]:
    """A line for each name under which ``actual`` is not as ``expected``."""
    for name in [*expected, *(name for name in actual if name not in expected)]:
        if name not in actual:
            yield f"{what} {name}: expected {expected[name]}, found nothing of that name"
        elif name not in expected:
            yield f"{what} {name}: found {actual[name]}, the contract has nothing of that name"
        elif expected[name] != actual[name]:
            yield f"{what} {name}: expected {expected[name]}, found {actual[name]}"


def _differences(expected: Reading, actual: Reading) -> list[str]:
    found = list(compare("constant", expected.constants, actual.constants))
    for name, struct in expected.structs.items():
        if name not in actual.structs:
            found.append(f"struct {name}: not found")
            continue
        other = actual.structs[name]
        found += compare(f"field {name}", struct.members, other.members)
        sizes = {"bits": struct.bits, "alignment": struct.alignment}
        found += compare(name, sizes, {"bits": other.bits, "alignment": other.alignment})
    return found


def systemverilog_problems(package: Path) -> list[str]:
    """How the package that pyslang elaborates from ``package`` differs from the contract.

    Raises:
        SimulationError: pyslang is missing.
    """
    try:
        compilation, _ = elaborate([package])
    except ElaborationError as error:
        return [str(error)]
    import pyslang
    from pyslang import ast

    symbol = compilation.getPackage("hw_desc_pkg")
    if symbol is None:
        return ["package hw_desc_pkg: not found"]

    structs: dict[str, Struct] = {}
    constants: dict[str, tuple[int, str]] = {}
    for member in symbol:
        if isinstance(member, ast.ParameterSymbol):
            value = member.value.value
            if not isinstance(value, pyslang.SVInt) or value.hasUnknown:
                return [f"constant {member.name}: expected a known integer, found {value}"]
            constants[member.name] = (int(value), str(member.type))
        elif isinstance(member, ast.TypeAliasType):
            struct = member.canonicalType
            if isinstance(struct, ast.PackedStructType):
                structs[member.name] = Struct(
                    struct.bitWidth,
                    0,
                    {
                        field.name: Member(field.bitOffset, field.type.bitWidth, str(field.type))
                        for field in struct
                        if isinstance(field, ast.FieldSymbol)
                    },
                )
    expected = _expected(
        by_name(),
        field_kind=lambda bits: f"logic[{bits - 1}:0]",
        constant_kind=lambda item: "int" if item.bits is None else f"logic[{item.bits - 1}:0]",
        alignment=0,
    )
    return _differences(expected, Reading(structs, constants))


_C_PROBE = """\
#include <stddef.h>
#include <stdio.h>
#include "hw_desc.h"
#define KIND(x) _Generic((x), unsigned char: "u8", unsigned short: "u16", unsigned int: "u32", \\
  unsigned long: sizeof(long) == 8 ? "u64" : "u32", unsigned long long: "u64", int: "int", \\
  default: "another type")
#define STRUCT(s) printf("struct %s %zu %zu\\n", #s, 8 * sizeof(s), 8 * _Alignof(s))
#define MEMBER(s, f) printf("member %s %s %zu %zu %s\\n", #s, #f, 8 * offsetof(s, f), \\
  8 * sizeof(((s *)0)->f), KIND(((s *)0)->f))
#define CONSTANT(c) printf("constant %s %lld %s\\n", #c, (long long)(c), KIND(c))
int main(void) {
"""


def _run(command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment.tools(),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def _refusals(text: str) -> list[str]:
    return [line for line in text.splitlines() if "error:" in line] or [text]


def c_problems(header: Path) -> list[str]:
    """How the header that gcc compiles as C11 differs from the contract.

    Raises:
        SimulationError: gcc is missing.
    """
    gcc = shutil.which("gcc")
    if gcc is None:
        raise SimulationError("gcc is missing; install it with: sudo apt-get install -y gcc")
    flags = [
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        f"-I{header.parent.resolve()}",
    ]
    expected = _expected_c()
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.c"
        probe.write_text('#include "hw_desc.h"\n', encoding="utf-8")
        macros = _run([gcc, *flags, "-dM", "-E", str(probe)], folder)
        if macros.returncode != 0:
            return _refusals(macros.stderr)
        # Only object-like macros are numbers; the preprocessor's own list shows additional ones.
        defined = [
            name
            for name in re.findall(rf"^#define ({C_PREFIX}\w+) ", macros.stdout, re.MULTILINE)
            if name not in _HELPER_MACROS
        ]
        statements = [f"CONSTANT({name});" for name in sorted(defined)]
        for name, struct in expected.structs.items():
            statements.append(f"STRUCT({name});")
            statements += [f"MEMBER({name}, {member});" for member in struct.members]
        probe.write_text(_C_PROBE + "\n".join(statements) + "\n}\n", encoding="utf-8")
        built = _run([gcc, *flags, str(probe), "-o", "probe"], folder)
        if built.returncode != 0:
            return _refusals(built.stderr)
        ran = _run(["./probe"], folder)
        if ran.returncode != 0:
            return [f"the compiled program ended with {ran.returncode}: {ran.stderr}"]
    return _differences(expected, _parse_c(ran.stdout))


def _parse_c(text: str) -> Reading:
    sizes: dict[str, tuple[int, int]] = {}
    members: dict[str, dict[str, Member]] = {}
    constants: dict[str, tuple[int, str]] = {}
    for line in text.splitlines():
        what, name, rest = line.split(" ", 2)
        if what == "struct":
            bits, alignment = rest.split()
            sizes[name] = int(bits), int(alignment)
        elif what == "member":
            member, offset, bits, kind = rest.split(" ", 3)
            members.setdefault(name, {})[member] = Member(int(offset), int(bits), kind)
        else:
            value, kind = rest.split(" ", 1)
            constants[name.removeprefix(C_PREFIX)] = int(value), kind
    structs = {name: Struct(*size, members.get(name, {})) for name, size in sizes.items()}
    return Reading(structs, constants)


def nvrtc_assertions() -> list[tuple[str, str]]:
    """Every fact that NVRTC must agree to: a condition in CUDA C++, and its text."""
    types = {"u16": "unsigned short", "u32": "unsigned int", "u64": "unsigned long long"}
    expected = _expected_c()
    facts: list[tuple[str, str]] = []
    for name, struct in expected.structs.items():
        facts.append((f"8 * sizeof({name}) == {struct.bits}", f"{name} bits"))
        facts.append((f"8 * alignof({name}) == {struct.alignment}", f"{name} alignment"))
        for field, member in struct.members.items():
            what = f"field {name} {field}"
            facts.append((f"8 * OFFSET({name}, {field}) == {member.offset}", f"{what}: offset"))
            facts.append((f"8 * sizeof({name}::{field}) == {member.bits}", f"{what}: width"))
            same = f"same<decltype({name}::{field}), {types[member.kind]}>::value"
            facts.append((same, f"{what}: type"))
    for name, (value, kind) in expected.constants.items():
        macro = f"{C_PREFIX}{name}"
        facts.append((f"{macro} == {value}ll", f"constant {name}: value"))
        same = f"same<decltype({macro}), {types.get(kind, kind)}>::value"
        facts.append((same, f"constant {name}: type"))
    return facts


def nvrtc_problems(header: Path) -> list[str]:
    """How the header that NVRTC compiles for ``sm_90`` differs from the contract.

    Raises:
        SimulationError: NVRTC is not installed, or fails for a reason other than the header.
    """
    asserts = "\n".join(
        f'static_assert({condition}, "{text}");' for condition, text in nvrtc_assertions()
    )
    source = (
        '#include "hw_desc.h"\n'
        # NVRTC has no offsetof; this is what the macro is made of in its front end, EDG's.
        "#define OFFSET(s, f) __INTADDR__(&((s *)0)->f)\n"
        "template <class A, class B> struct same { static constexpr bool value = false; };\n"
        "template <class A> struct same<A, A> { static constexpr bool value = true; };\n"
        f"{asserts}\n"
        f'extern "C" __global__ void probe(const {DESC} *in, {DESC} *out) {{ *out = *in; }}\n'
    )
    text = header.read_text(encoding="utf-8")
    result = nvrtc.compile_program(source, {"hw_desc.h": text}, arch=NVRTC_ARCH)
    return [] if result.cubin else _refusals(result.log)
