# SPDX-License-Identifier: Apache-2.0
"""Litmus tests on a GPU, as far as there is none: model with scopes, kernels, verdict."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from descring_sim.gen import nvrtc
from descring_sim.support import paths

ROOT = paths.checkout_root()
assert ROOT is not None
LABS = ROOT / "examples" / "labs"
sys.path.insert(0, str(LABS))

import memory_ordering_gpu as lab  # noqa: E402
from labkit.lab import Verdict  # noqa: E402
from labkit.litmus import gpu, ptx, release_acquire, tso  # noqa: E402
from labkit.litmus.gpu import Placed  # noqa: E402
from labkit.litmus.program import (  # noqa: E402
    SHAPES,
    Fence,
    Load,
    Op,
    Store,
    Test,
    forms,
    protocols,
)
from labkit.native import LabError  # noqa: E402
from memory_ordering import Seen  # noqa: E402

FORMS = {form.name: form for shape in SHAPES for form in forms(shape)}


@pytest.mark.parametrize("name", FORMS)
def test_a_scope_that_includes_all_threads_gives_what_c11_allows(name: str) -> None:
    """The paper proves that C11's atomics can be compiled so; without the scope all is allowed."""
    test = FORMS[name]
    assert ptx.outcomes(test, inclusive=True) == release_acquire.outcomes(test)
    narrow = ptx.outcomes(test, inclusive=False)
    assert test.weak in narrow and ptx.outcomes(test, inclusive=True) <= narrow


def test_every_weakened_fence_of_the_ring_is_allowed_to_show() -> None:
    """And none of the intact protocols."""
    for ring in protocols()[:3]:
        assert ring.intact.weak not in ptx.outcomes(ring.intact, inclusive=True)
        for test in ring.weakened.values():
            assert test.weak in ptx.outcomes(test, inclusive=True), test.name


def _random_test(random: np.random.Generator) -> Test:
    threads: list[tuple[Op, ...]] = []
    for thread in range(int(random.integers(2, 4))):
        ops: list[Op] = []
        for place in range(int(random.integers(1, 4))):
            location, strict = "xy"[random.integers(2)], bool(random.integers(2))
            kind = random.integers(5)
            if kind < 2:
                order = "release" if strict else "relaxed"
                ops.append(Store(location, int(random.integers(1, 4)), order))  # type: ignore[arg-type]
            elif kind < 4:
                order = "acquire" if strict else "relaxed"
                ops.append(Load(f"r{thread}{place}", location, order))  # type: ignore[arg-type]
            else:
                ops.append(Fence("seq_cst"))
        threads.append(tuple(ops))
    used = {op.location for thread in threads for op in thread if not isinstance(op, Fence)}
    return Test("random", tuple(threads), (), final=tuple(sorted(used)))


@pytest.mark.parametrize("seed", range(60))
def test_ptx_allows_what_x86_does_and_a_narrow_scope_more(seed: int) -> None:
    """On random programs of two or three threads."""
    test = _random_test(np.random.default_rng(seed))
    wide = ptx.outcomes(test, inclusive=True)
    assert tso.outcomes(test) <= wide <= ptx.outcomes(test, inclusive=False)


def test_a_threads_own_stores_stay_in_order_in_every_scope() -> None:
    """A load takes the newest of them; the location ends with it."""
    own = (Store("x", 1), Store("x", 2), Load("r0", "x"))
    test = Test("own", (own,), (), final=("x",))
    assert ptx.outcomes(test, inclusive=False) == {(("r0", 2), ("[x]", 2))}


def test_stores_of_blocks_without_a_common_scope_are_in_no_order() -> None:
    """Two readers see them in different orders: coherence needs the scope."""
    readers = tuple((Load(f"r{k}", "x"), Load(f"r{k + 1}", "x")) for k in (0, 2))
    test = Test("coherence", ((Store("x", 1),), (Store("x", 2),), *readers), ())
    crossed = (("r0", 1), ("r1", 2), ("r2", 2), ("r3", 1))
    assert crossed not in ptx.outcomes(test, inclusive=True)
    assert crossed in ptx.outcomes(test, inclusive=False)


def _programs() -> list[tuple[Test, gpu.Scope]]:
    return sorted(
        {(test.test, test.scope) for test in lab.all_tests()},
        key=lambda item: gpu.symbol(*item),
    )


@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_the_kernels_compile_without_a_warning(arch: str) -> None:
    """One of each number of threads, and one that observes locations at the end."""
    wanted = {"litmus_mp_release_acquire_system", "litmus_iriw_fenced_device"}
    wanted |= {"litmus_2_2w_relaxed_block", "litmus_ring_sleep_waker_light_device"}
    some = [item for item in _programs() if gpu.symbol(*item) in wanted]
    assert len(some) == len(wanted)
    result = nvrtc.compile_program(gpu.source(some), {}, arch=arch)
    assert (result.log, bool(result.cubin)) == ("", True)


LISTING = """
.text.litmus_mp_release_acquire_device:
        /*0000*/                   LD.E.STRONG.GPU R1, desc[UR4][R2.64] ;
$litmus_mp_release_acquire_device$_ZN9_INTERNAL_35litmus_mp_release_acquire_device_t0EPjS0_:
        /*1550*/                   MEMBAR.ALL.GPU ;
        /*1560*/                   ERRBAR ;
        /*1570*/                   ST.E.STRONG.GPU desc[UR4][R10.64], R23 ;
        /*1580*/                   MEMBAR.ALL.GPU ;
        /*1590*/                   ST.E.STRONG.GPU desc[UR4][R12.64], R23 ;
$litmus_mp_release_acquire_device$_ZN9_INTERNAL_35litmus_mp_release_acquire_device_t1EPjS0_:
        /*1610*/                   LD.E.STRONG.GPU R12, desc[UR4][R12.64] ;
        /*1620*/                   CCTL.IVALL ;
        /*1630*/              @!P0 LD.E.STRONG.GPU R13, desc[UR4][R10.64] ;
        /*1640*/                   CCTL.IVALL ;
        /*1650*/                   RET.REL.NODEC R20 `(litmus_mp_release_acquire_device) ;
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("ST.E.STRONG.GPU desc[UR4][R10.64], R23 ;", "NOP ;"),
        ("MEMBAR.ALL.GPU ;\n        /*1560*/", "NOP ;\n        /*1560*/"),
        ("CCTL.IVALL ;\n        /*1630", "MEMBAR.SC.GPU ;\n        /*1630"),
        ("@!P0 LD.E.STRONG.GPU R13", "LD.E.STRONG.SM R13"),
        ("_device_t1E", "_device_t2E"),
    ],
)
def test_machine_code_that_is_not_the_test_is_refused(old: str, new: str) -> None:
    """An access, a fence, another scope, a function that is missing."""
    listing = LISTING.replace(old, new) if old else LISTING
    assert bool(old) == (listing != LISTING)
    tests: list[tuple[Test, gpu.Scope]] = [(FORMS["MP release-acquire"], "device")]
    if old:
        with pytest.raises(LabError, match="MP release-acquire, device scope, thread"):
            gpu.check(listing, tests)
    else:
        gpu.check(listing, tests)


def _seen(tests: list[Placed], weak: dict[str, int]) -> Seen:
    """Each test ran 10 times, its weak outcome seen as often as stated, else once or never."""
    seen = Seen()
    must = lab.claimed()
    for test in tests:
        shows = weak.get(test.name, int(test.name in must or " swapped" in test.name))
        first = next(
            outcome
            for outcome in sorted(ptx.outcomes(test.test, inclusive=True))
            if outcome != test.weak
        )
        seen.add(test, {first: 10 - shows, **({test.weak: shows} if shows else {})}, 1.0)
    return seen


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [
        ("CoRR relaxed, block scope, blocks apart", 0, Verdict.SEEN),
        ("MP relaxed, device scope, blocks apart", 0, Verdict.NOT_SEEN),
        ("ring publish, tail relaxed, device scope, blocks apart", 0, Verdict.NOT_SEEN),
        ("MP release-acquire, block scope, blocks apart", 0, Verdict.NOT_SEEN),
        ("MP release-acquire, device scope, blocks apart", 1, Verdict.NOT_SEEN),
        ("ring publish, system scope, blocks apart, host memory", 1, Verdict.NOT_SEEN),
        ("LB swapped, device scope, blocks apart", 0, Verdict.NOT_OBSERVABLE),
    ],
)
def test_the_verdict_needs_each_claim_and_each_control(
    name: str, count: int, expected: Verdict
) -> None:
    """And not a single forbidden outcome."""
    tests = lab.all_tests()
    assert name in {test.name for test in tests}
    allowed = {test.name: ptx.outcomes(test.test, inclusive=test.inclusive) for test in tests}
    seen = _seen(tests, {name: count})
    outcome = lab.judge(tests, allowed, seen)
    assert outcome.verdict is expected, outcome.reason
    assert lab.draw(tests, allowed, seen, "note").startswith("<svg ")


def test_without_a_gpu_it_is_not_observable() -> None:
    """Exit code 3 with the reason."""
    code = "import sys; sys.modules['cupy'] = None; import runpy; sys.argv = ['lab']; "
    code += f"sys.path.insert(0, {str(LABS)!r}); "
    code += f"runpy.run_path({str(LABS / 'memory_ordering_gpu.py')!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (Verdict.NOT_OBSERVABLE, "")
    assert done.stdout.startswith(
        "memory-ordering-gpu: NOT OBSERVABLE HERE: expected cupy and a GPU"
    )
