# SPDX-License-Identifier: Apache-2.0
"""Litmus tests as C: a function for each thread, compiled once, its order of accesses checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from descring_model.program import DescringError
from descring_sim.support import build_cache, files, paths

from labkit.driver import undisturbed_output
from labkit.litmus.program import Fence, Load, Op, Outcome, Store, Test
from labkit.native import BENCH, HERE, HOST, Loop, build, check_loops

SLOTS = 64
"""Of a round: few enough to stay in the caches of both CPUs."""
_SLOTS_SHARED_CPU = 4096
"""Where threads share a CPU, a round ends with a change of thread, and must be worth it."""
_SLOTS_MEMBARRIER = 16


def symbol(test: Test, thread: int) -> str:
    """The name of the function of a thread."""
    return f"t{thread}_" + re.sub(r"\W+", "_", test.name.lower())


def _statement(op: Op, test: Test) -> str:
    if isinstance(op, Fence):
        return {
            "seq_cst": "atomic_thread_fence(memory_order_seq_cst);",
            "acquire": "atomic_thread_fence(memory_order_acquire);",
            "release": "atomic_thread_fence(memory_order_release);",
            "light": "atomic_signal_fence(memory_order_seq_cst);",
            "all": "hw_fence_all();",
        }[op.kind]
    place = f"&slot->at[{test.locations().index(op.location)}].value"
    if isinstance(op, Store):
        return f"atomic_store_explicit({place}, {op.value}u, memory_order_{op.order});"
    return f"const uint32_t {op.register} = atomic_load_explicit({place}, memory_order_{op.order});"


def _function(test: Test, thread: int) -> str:
    loads = [op.register for op in test.threads[thread] if isinstance(op, Load)]
    lines = [_statement(op, test) for op in test.threads[thread]]
    # Behind all accesses: what is stored of them must not stand between two.
    lines += [f"read->value[{test.registers().index(name)}] = (uint8_t){name};" for name in loads]
    body = "\n".join(f"  {line}" for line in lines)
    name = symbol(test, thread)
    parameters = "litmus_slot_t *slot, litmus_read_t *read"
    return (
        f"void {name}({parameters});\n"
        f"__attribute__((noinline)) void {name}({parameters}) {{\n"
        f"  (void)read;\n{body}\n}}\n"
    )


def _entry(test: Test, cpus: int) -> str:
    owner = {
        op.register: number
        for number, thread in enumerate(test.threads)
        for op in thread
        if isinstance(op, Load)
    }
    owners = ", ".join(str(owner[name]) for name in test.registers()) or "0"
    finals = ", ".join(str(test.locations().index(name)) for name in test.final) or "0"
    functions = ", ".join(symbol(test, number) for number in range(len(test.threads)))
    everywhere = any(op == Fence("all") for thread in test.threads for op in thread)
    slots = _SLOTS_SHARED_CPU if len(test.threads) > cpus else SLOTS
    slots = _SLOTS_MEMBARRIER if everywhere else slots
    return (
        f'  {{"{key(test)}", {len(test.threads)}, {{{functions}}}, {len(test.registers())}, '
        f"{{{owners}}}, {len(test.final)}, {{{finals}}}, {slots}}},"
    )


def key(test: Test) -> str:
    """The test's name as an argument of the program."""
    return re.sub(r"\W+", "-", test.name)


def source(tests: Sequence[Test], cpus: int) -> str:
    """The C file of all tests."""
    functions = [_function(test, number) for test in tests for number in range(len(test.threads))]
    entries = "\n".join(_entry(test, cpus) for test in tests)
    return (
        '// Generated from litmus tests.\n#include "litmus.h"\n\n'
        + "\n".join(functions)
        + f"\nstatic const litmus_test_t tests[] = {{\n{entries}\n}};\n\n"
        "int main(int count, char **arguments) {\n"
        "  return litmus_main(count, arguments, tests, sizeof tests / sizeof *tests);\n}\n"
    )


def compiled(tests: Sequence[Test], cpus: int) -> Path:
    """Write and build the program of all tests."""
    text = source(tests, cpus)
    folder = paths.build_dir() / "labs" / "litmus-source"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"tests-{build_cache.key(text)}.c"
    files.write_files({file: text})
    others = [HERE / "litmus.c", HERE / "lab.c", BENCH / "bench.c", HOST / "sync.c"]
    return build("litmus", [file, *others])


def _instruction(op: Op) -> str:
    """An access or fence as objdump prints it: a pattern."""
    if isinstance(op, Fence):
        return {
            "seq_cst": r"^(mfence|lock or[lq])",
            "all": r"^call.*<hw_fence_all",
        }.get(op.kind, "")
    if isinstance(op, Store):
        return r"^xchg.*\(%r" if op.order == "seq_cst" else rf"^movl\s+\$0x{op.value:x},"
    return r"^mov\s+(-?0x[0-9a-f]+)?\(%r\w+(,%r\w+(,\d)?)?\),%[er]\w+"


def check(program: Path, tests: Sequence[Test]) -> None:
    """Each thread has its accesses and fences in the order of the test, and no other fence.

    Raises:
        LabError: the compiler has moved one, or a fence stands where there must be none.
    """
    loops = []
    for test in tests:
        for number, thread in enumerate(test.threads):
            needs = tuple(text for op in thread if (text := _instruction(op)))
            ordered = any(isinstance(op, Fence) and op.kind in ("seq_cst", "all") for op in thread)
            lacks = () if ordered else (r"^mfence", r"^lock", r"^xchg", r"^call")
            loops.append(Loop(symbol(test, number), needs, lacks, whole=True))
    check_loops(program, loops)


def run(
    program: Path, tests: Sequence[Test], turns: int, timeout_s: float
) -> dict[str, dict[Outcome, int]]:
    """Run each test for so many turns; how often each outcome was seen, by name of the test."""
    by_key = {key(test): test for test in tests}
    found: dict[str, dict[Outcome, int]] = {test.name: {} for test in tests}
    out = undisturbed_output([str(program), str(turns), *by_key], timeout_s)
    for line in out.splitlines():
        name, digits, count = line.split()
        test = by_key[name]
        if len(digits) != len(test.names()):
            raise DescringError(f"litmus: expected {len(test.names())} digits, got {line!r}")
        pairs = zip(test.names(), map(int, digits), strict=True)
        found[test.name][tuple(pairs)] = int(count)
    return found
