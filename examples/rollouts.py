# SPDX-License-Identifier: Apache-2.0
"""Decode a few rollouts to their end, across every reward boundary, on any backend.

Run: python examples/rollouts.py [model|cpu]
"""

import sys

from descring_host import CommandQueue, open_device
from descring_model import describe


def main(backend: str) -> None:
    """Submit eight rollouts of different lengths and print how each ended."""
    with open_device(backend) as device, CommandQueue(device, checked=True) as queue:
        for rollout in range(8):
            queue.submit_decode(rollout, 4096 * rollout, 0, 0, seq_len=0, max_tokens=25 * rollout)
        first_legs = queue.drain()
        for line in queue.resume(first_legs):
            print(describe(line))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cpu")
