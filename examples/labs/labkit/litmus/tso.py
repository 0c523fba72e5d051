# SPDX-License-Identifier: Apache-2.0
"""What x86-TSO allows of a litmus test: every run of its abstract machine.

The machine of Sewell, Sarkar, Owens, Zappa Nardelli and Myreen, "x86-TSO" (CACM 53(7), 2010): a
FIFO store buffer for each thread, in front of one memory. A load takes the newest store to its
location from its own buffer, else memory; MFENCE waits until its buffer is empty; a buffer's oldest
store reaches memory at any time. C11's orders compile to it so: a store of order seq_cst has MFENCE
behind it, a fence of order seq_cst is MFENCE, everything else is a plain access. ``all`` waits for
every buffer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from labkit.litmus.program import Fence, Op, Outcome, Store, Test


class _State(NamedTuple):
    places: tuple[int, ...]
    buffers: tuple[tuple[tuple[str, int], ...], ...]
    memory: tuple[tuple[str, int], ...]
    registers: tuple[tuple[str, int], ...]


def _compiled(test: Test) -> tuple[tuple[Op, ...], ...]:
    """The threads as x86 instructions: accesses, and fences that wait for a buffer or for all."""
    threads = []
    for thread in test.threads:
        ops: list[Op] = []
        for op in thread:
            if isinstance(op, Fence):
                ops += [op] if op.kind in ("seq_cst", "all") else []
            else:
                ops.append(op)
                if isinstance(op, Store) and op.order == "seq_cst":
                    ops.append(Fence())
        threads.append(tuple(ops))
    return tuple(threads)


def _put(pairs: tuple[tuple[str, int], ...], name: str, value: int) -> tuple[tuple[str, int], ...]:
    return tuple(sorted({**dict(pairs), name: value}.items()))


def _steps(
    state: _State, threads: tuple[tuple[Op, ...], ...], *, buffered: bool
) -> Iterator[_State]:
    for thread, (place, buffer) in enumerate(zip(state.places, state.buffers, strict=True)):

        def with_buffer(
            new: tuple[tuple[str, int], ...], thread: int = thread
        ) -> tuple[tuple[tuple[str, int], ...], ...]:
            return (*state.buffers[:thread], new, *state.buffers[thread + 1 :])

        if buffer:
            location, value = buffer[0]
            memory = _put(state.memory, location, value)
            yield state._replace(buffers=with_buffer(buffer[1:]), memory=memory)
        if place == len(threads[thread]):
            continue
        op = threads[thread][place]
        moved = (*state.places[:thread], place + 1, *state.places[thread + 1 :])
        if isinstance(op, Fence):
            waits_for = state.buffers if op.kind == "all" else (buffer,)
            if not any(waits_for):
                yield state._replace(places=moved)
        elif isinstance(op, Store):
            if buffered:
                new = with_buffer((*buffer, (op.location, op.value)))
                yield state._replace(places=moved, buffers=new)
            else:
                yield state._replace(places=moved, memory=_put(state.memory, op.location, op.value))
        else:
            own = [value for location, value in buffer if location == op.location]
            value = own[-1] if own else dict(state.memory)[op.location]
            registers = _put(state.registers, op.register, value)
            yield state._replace(places=moved, registers=registers)


def outcomes(test: Test, *, buffered: bool = True) -> frozenset[Outcome]:
    """All outcomes that x86-TSO allows; without buffers, those of sequential consistency."""
    threads = _compiled(test)
    first = _State(
        (0,) * len(threads),
        ((),) * len(threads),
        tuple((name, 0) for name in test.locations()),
        (),
    )
    seen, open_states, found = {first}, [first], set()
    while open_states:
        state = open_states.pop()
        following = list(_steps(state, threads, buffered=buffered))
        if not following:
            values = {**dict(state.registers)}
            values |= {f"[{name}]": dict(state.memory)[name] for name in test.final}
            found.add(tuple((name, values[name]) for name in test.names()))
        for new in following:
            if new not in seen:
                seen.add(new)
                open_states.append(new)
    return frozenset(found)
