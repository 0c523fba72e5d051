# SPDX-License-Identifier: Apache-2.0
"""Drawn mutants of the RTL, and the tiers that each meets until one kills it.

The quick cases of the module's own testbench; the comparison with the original by SAT, where an
equivalent one ends; the quick cases of the whole device; the proof of the module. A module without
a testbench of its own is mutated in the smallest one that has it. One build of a configuration has
the mutants of all its modules, and a plusarg selects one of them; that of the whole device has only
what the modules' own testbenches and SAT have left.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from descring_sim.cosim import block as blocks
from descring_sim.cosim import runner
from descring_sim.cosim.block import Block
from descring_sim.cosim.runner import RunResult
from descring_sim.hdl import filelist
from descring_sim.mutation.sampled import equivalence, lasting, netlist, proof
from descring_sim.mutation.sampled.campaign import Found, Judge, Sampled, Stage, require
from descring_sim.mutation.sampled.netlist import PLUSARG, Mutation, Target
from descring_sim.mutation.session import Once
from descring_sim.support.errors import SimulationError

SIMULATOR = "verilator"
"""Icarus takes 2.7 times as long for a netlist as for its source; docs/how-to/draw-mutants.md."""

LAST = ("rl_runtime_mmio", "rl_runtime_axi")
"""The tops that what survives its own testbench meets: the whole device."""

TIERS = ("testbench", "SAT", "device", "proof")

LEAST_S = 120.0
PATIENCE = 10.0
"""A run that takes this many times as long as without a mutant, and :data:`LEAST_S`, has no end."""


@dataclass(frozen=True)
class Bench:
    """A block in one configuration of the quick tier."""

    block: Block = field(hash=False, compare=False, repr=False)
    cases: tuple[str, ...]
    config: str

    @property
    def label(self) -> str:
        """What people know it by."""
        return f"{self.cases[0].partition('.')[0]}@{self.config}"


def benches(tests_dir: Path, simulator: str) -> list[Bench]:
    """Return what the quick tier has on ``simulator`` for the project's own RTL."""
    return [
        Bench(block, block.cases, config)
        for file in sorted(tests_dir.glob("*/test_*.py"))
        for block in blocks.blocks_of(file)
        if block.rtl_dir is None
        for config in block.configs
        if block.in_quick(simulator, config)
    ]


@dataclass
class RtlJudge:
    """Draws mutants of the modules in ``rtl_dir`` and judges them.

    Attributes:
        rtl_dir: the sources.
        tests_dir: the testbenches.
        out: where netlists, builds and logs go.
        seed: of the sample and of every simulation.
        formal_dir: the proofs.
        until: the last of :data:`TIERS` that is tried.
        simulator: that the cases run on.
        last: tops of the second tier.
    """

    rtl_dir: Path
    tests_dir: Path
    out: Path
    seed: int
    formal_dir: Path
    until: str = "proof"
    simulator: str = SIMULATOR
    last: Sequence[str] = LAST
    _mutations: dict[str, Mutation] = field(default_factory=dict)
    _of_top: dict[str, list[Mutation]] = field(default_factory=dict)
    _once: Once[tuple[str, Bench], float] = field(default_factory=Once)
    _netlists: Once[tuple[Target, tuple[str, ...]], tuple[Path, set[str]]] = field(
        default_factory=Once
    )
    # Each look reads sources, and there are thousands.
    _tops: dict[str, str | None] = field(default_factory=dict)
    _contained: dict[tuple[str, str], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the testbenches."""
        self.benches = benches(self.tests_dir, self.simulator)
        self._suite = lasting.suite_key(self.tests_dir, self.formal_dir)

    def modules(self) -> list[str]:
        """Return the modules that a testbench has."""
        return [name for name in filelist.modules(self.rtl_dir) if self.top_of(name) is not None]

    def top_of(self, module: str) -> str | None:
        """Return the top in whose testbench ``module`` is mutated, None where none has it."""
        if module not in self._tops:
            self._tops[module] = self._find_top(module)
        return self._tops[module]

    def _find_top(self, module: str) -> str | None:
        tops = dict.fromkeys(bench.block.top for bench in self.benches)
        if module in tops:
            return module
        sizes = {
            top: len(filelist.collect(self.rtl_dir, top).sources)
            for top in tops
            if self._contains(top, module)
        }
        return min(sizes, key=lambda top: sizes[top]) if sizes else None

    def _contains(self, top: str, module: str) -> bool:
        if (top, module) not in self._contained:
            self._contained[top, module] = Target(self.rtl_dir, top, ()).contains(module)
        return self._contained[top, module]

    def _target(self, bench: Bench) -> Target:
        return Target.of(self.rtl_dir, bench.block.top, bench.block.configs[bench.config])

    def _benches_of(self, top: str) -> list[Bench]:
        return [bench for bench in self.benches if bench.block.top == top]

    def draw(self, modules: Sequence[str], sample: int) -> list[Sampled]:
        """Return ``sample`` mutants, as many of each module as of every other, or all it has."""
        drawn = []
        for number, module in enumerate(modules):
            count = sample // len(modules) + (number < sample % len(modules))
            top = self.top_of(module)
            if top is None or not count:
                continue
            target = self._target(self._benches_of(top)[0])
            lines = (self.rtl_dir / f"{module}.sv").read_text(encoding="utf-8").splitlines()
            for mutation in netlist.draw(target, module, count, self.seed, self.out):
                self._mutations[mutation.name] = mutation
                drawn.append(
                    Sampled(
                        mutation.name,
                        module,
                        f"{module}.sv:{mutation.line}",
                        mutation.source(lines),
                        mutation.change,
                        mutation.bit,
                        str(mutation),
                    )
                )
        return drawn

    def stages(self) -> tuple[Stage, ...]:
        """Return how the mutants are tried: each in its own testbench, then what is left.

        A build of the whole device with all mutants takes minutes; one with the survivors does not.
        """
        own = Stage(
            lambda left: self.in_own_testbench, self._met(min(self.until, "SAT", key=TIERS.index))
        )
        if self.until in TIERS[:2]:
            return (own,)
        return own, Stage(self.in_the_device, self._met(self.until))

    @staticmethod
    def _met(tier: str) -> Callable[[Found], bool]:
        """Return whether a result is no survivor of fewer tiers than up to ``tier``."""
        return lambda found: (
            found.status != "survived" or TIERS.index(found.tier) >= TIERS.index(tier)
        )

    def in_own_testbench(self, mutant: Sampled) -> Found:
        """Try ``mutant``, which :meth:`draw` has returned, by the first tiers.

        Raises:
            SimulationError: a testbench fails on the unchanged netlist too.
        """
        mutation = self._mutations[mutant.name]
        top = self._own_top(mutation)
        own = self._benches_of(top)
        by = self._killer(mutation, own, self._all_of(top))
        if by is not None:
            return Found("killed", "testbench", by)
        if self.until == "testbench":
            return self._survived("testbench", f"{len(own)} runs pass")
        if all(self._equal(mutation, bench) for bench in self._configurations(own, mutation)):
            return Found("equivalent", "SAT", "equal outputs and next state for all inputs")
        return self._survived("SAT", f"{len(own)} runs pass, not proven equivalent")

    def in_the_device(self, left: Sequence[Sampled]) -> Judge:
        """Return what tries the mutants ``left`` by the last tiers."""
        every = [self._mutations[mutant.name] for mutant in left]

        def judge(mutant: Sampled) -> Found:
            mutation = self._mutations[mutant.name]
            own = self._own_top(mutation)
            runs = len(self._benches_of(own))
            for top in self.last:
                if top == own or not self._contains(top, mutation.module):
                    continue
                in_top = [m for m in every if self._own_top(m) != top]
                in_top = [m for m in in_top if self._contains(top, m.module)]
                by = self._killer(mutation, self._benches_of(top), in_top)
                if by is not None:
                    return Found("killed", "device", by)
                runs += len(self._benches_of(top))
            if self.until == "proof":
                by = proof.killer(mutation, self.formal_dir, self.rtl_dir, self.out)
                if by is not None:
                    return Found("killed", "proof", by)
            return self._survived(self.until, f"{runs} runs pass")

        return judge

    def _own_top(self, mutation: Mutation) -> str:
        top = self.top_of(mutation.module)
        require(top is not None, f"no testbench has {mutation.module}")
        return str(top)

    def _survived(self, tier: str, text: str) -> Found:
        return Found("survived", tier, lasting.survived(text, self._suite))

    def _configurations(self, own: Sequence[Bench], mutation: Mutation) -> Iterator[Bench]:
        """One bench of each configuration that has the mutation."""
        seen = set()
        for bench in own:
            target = self._target(bench)
            if target not in seen and netlist.resolve(netlist.design(target, self.out), mutation):
                seen.add(target)
                yield bench

    def _equal(self, mutation: Mutation, bench: Bench) -> bool:
        return equivalence.proven(self._target(bench), mutation, self.out)

    def _all_of(self, top: str) -> list[Mutation]:
        """All drawn mutations whose own testbench is that of ``top``, in their order."""
        if top not in self._of_top:
            self._of_top[top] = [
                mutation
                for mutation in self._mutations.values()
                if self.top_of(mutation.module) == top
            ]
        return self._of_top[top]

    def _killer(
        self, mutation: Mutation, own: Iterable[Bench], mutations: Sequence[Mutation]
    ) -> str | None:
        """Return which of ``own`` kills ``mutation`` in a build that has all ``mutations``."""
        number = mutations.index(mutation) + 1
        for bench in own:
            target = self._target(bench)
            rtl_dir, there = self._netlists.get(
                (target, tuple(mutation.name for mutation in mutations)),
                functools.partial(netlist.write, target, mutations, self.out),
            )
            if mutation.name not in there:
                continue
            unchanged_s = self._once.get(
                (str(rtl_dir), bench),
                lambda b=bench, r=rtl_dir: self._unchanged(b, r),  # type: ignore[misc]
            )
            limit_s = max(LEAST_S, PATIENCE * unchanged_s)
            result = self._run(bench, rtl_dir, number, limit_s)
            if not result.ok:
                return f"{bench.label}: {_why(result)}"
        return None

    def _unchanged(self, bench: Bench, rtl_dir: Path) -> float:
        """Run ``bench`` without a mutant: it must pass, or nothing means anything."""
        started = time.monotonic()
        result = self._run(bench, rtl_dir, 0, bench.block.timeout_s)
        if not result.ok:
            raise SimulationError(
                f"{bench.label} fails on the netlist without a mutant: {result.failure_text()}"
            )
        return time.monotonic() - started

    def _run(self, bench: Bench, rtl_dir: Path, number: int, limit_s: float) -> RunResult:
        own = {"simulator": self.simulator, "seed": self.seed % 2**31, "tier": "quick"}
        own |= {"tests_dir": self.tests_dir, "build_root": self.out / "builds"}
        own |= {"run_dir": self.out / "runs" / bench.label / f"{number}", "timeout_s": limit_s}
        own |= {"plusargs": [f"+{PLUSARG}={number}"]}
        own |= {"extra_env": {**bench.block.extra_env, "COCOTB_MAX_FAILURES": "1"}}
        return runner.run(**bench.block.arguments(bench.config, rtl_dir) | own)


def _why(result: RunResult) -> str:
    failed = result.outcome.first_failed
    if failed is None:
        return "; ".join(result.outcome.problems)
    lines = [line.strip() for line in failed.message.splitlines() if line.strip()]
    return f"{failed.label}: {(lines or ['failed'])[-1][:100]}"
