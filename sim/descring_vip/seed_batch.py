# SPDX-License-Identifier: Apache-2.0
"""A cocotb module that runs the cases of another one for several seeds in one simulation.

Starting a simulator with Python in it costs as much as many short cases. Each case here draws what
it would draw in a run of its own with that seed: the seed of a case derives from the base seed and
the name of the case, by cocotb's own rule. What differs is where a run begins: the design is left
as the case before has left it, as between the cases of one seed.

``DESCRING_SEED_BATCH`` holds the module, the filter on its cases (None for all), and the seeds, as
JSON. A case is called ``name@seed``.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.regression import Test, TestGenerator

BATCH_ENV = "DESCRING_SEED_BATCH"
SEED_ENV = "COCOTB_RANDOM_SEED"
"""Where cocotb takes the base seed from, and testbenches too."""


def case_seed(base: int, fullname: str) -> int:
    """Return the seed that cocotb derives for a case from the base seed."""
    return base + int(hashlib.sha1(fullname.encode()).hexdigest(), 16)


def _tests(module: str, test_filter: str | None) -> list[Test]:
    found: list[Test] = []
    for item in vars(import_module(module)).values():
        if isinstance(item, Test):
            found.append(item)
        elif isinstance(item, TestGenerator):
            found += item.generate_tests()
    if test_filter is None:
        return [test for test in found if not test.skip]
    return [test for test in found if re.search(test_filter, test.fullname)]


def _with_seed(test: Test, seed: int) -> Test:
    async def seeded(dut: HierarchyObject, *args: Any, **kwargs: Any) -> None:
        os.environ[SEED_ENV] = str(seed)
        cocotb.RANDOM_SEED = case_seed(seed, test.fullname)
        random.seed(cocotb.RANDOM_SEED)
        await test.func(dut, *args, **kwargs)

    return Test(
        func=seeded,
        args=test.args,
        kwargs=test.kwargs,
        name=f"{test.name}@{seed}",
        module=test.module,
        doc=test.doc,
        timeout=test.timeout,
        expect_fail=test.expect_fail,
        expect_error=test.expect_error,
        skip=False,
        stage=test.stage,
    )


class _Batch(TestGenerator):
    """The cases of a module, seed by seed."""

    def __init__(self) -> None:
        """Nothing of a generator's own is needed: its cases are another's."""

    def generate_tests(self) -> Iterator[Test]:
        batch = json.loads(os.environ[BATCH_ENV])
        tests = _tests(batch["module"], batch["filter"])
        for seed in batch["seeds"]:
            yield from (_with_seed(test, seed) for test in tests)


batch = _Batch()
