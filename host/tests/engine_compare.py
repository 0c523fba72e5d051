# SPDX-License-Identifier: Apache-2.0
"""Compare the native engine with the golden model on many random rollouts, byte by byte.

Every batch has a vocabulary, prompts, parameters and a block order of its own. The golden model
advances it in one call; the native engine, with each set of kernels and up to three threads, in
pieces. Exit code 0: the arenas are equal; 1: a difference, with the command that makes it again.

Run: python host/tests/engine_compare.py --tokens 1000000
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from descring_model.engine.model import ModelEngine
from engine_support import KERNELS, batch_like, engine_of
from test_engine_rollouts import draw_batch

VOCABULARIES = (1024, 1024, 1, 50, 333, 4099)
REPORT_S = 20.0


def compare(seed: int, number: int) -> tuple[int, int]:
    """Run one batch; tokens that were made and ingested, in that order.

    Raises:
        AssertionError: an arena differs.
    """
    rng = np.random.default_rng([seed, number])
    vocabulary = VOCABULARIES[number % len(VOCABULARIES)]
    room, count = int(rng.integers(2, 200)), int(rng.integers(32, 129))
    model = ModelEngine(vocabulary)
    batch = draw_batch(rng, model, room, count)
    others = [batch_like(engine_of(kernels, vocabulary, 3), batch) for kernels in KERNELS]
    batch.advance(room)
    for other in others:
        for end in sorted({*rng.integers(0, room, 2).tolist(), room}):
            other.advance(end)
        differ = np.flatnonzero(other.arena != batch.arena)
        assert not len(differ), f"batch {number}: byte {differ[0]} of {len(differ)} that differ"
    given = sum(int(batch.record(place)["prompt_tokens"]) for place in range(count))
    return count * room - given, count * room


def main() -> int:
    """Run batches until so many tokens are made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=1_000_000, help="to make, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first batch")
    options = parser.parse_args()
    if options.tokens < 1 or options.seed < 0 or options.first < 0:
        parser.error("expected --tokens of 1 or more, --seed and --first of 0 or more")
    made = ingested = 0
    number, start = options.first, time.monotonic()
    shown = start
    while made < options.tokens:
        try:
            more = compare(options.seed, number)
        except AssertionError as error:
            print(
                f"{error}\nrerun: python {sys.argv[0]} --tokens 1 --seed {options.seed} "
                f"--first {number}",
                file=sys.stderr,
            )
            return 1
        made, ingested, number = made + more[0], ingested + more[1], number + 1
        if time.monotonic() - shown > REPORT_S:
            shown = time.monotonic()
            print(f"{made} of {options.tokens} tokens made", file=sys.stderr)
    took = time.monotonic() - start
    print(
        f"{made} tokens made and {ingested} ingested in {number - options.first} batches by "
        f"{', '.join(KERNELS)} and the golden model: every byte equal, {took:.0f} s, "
        f"seed {options.seed}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
