# SPDX-License-Identifier: Apache-2.0
"""``python -m descring_host.serve``: the worker process of ``CpuDevice(process=True)``."""

from descring_model.startup import end_at_once

NAME = "descring serve"


def main(arguments: list[str] | None = None) -> int:
    """Run the worker process and return its exit code: 0, or 2 with a ``refused`` line."""
    import argparse

    from descring_host.cpu import WORKERS_MAX
    from descring_host.server import run

    parser = argparse.ArgumentParser(prog=NAME, description="Be the worker process of a device.")
    parser.add_argument("name", help="of the POSIX shared memory")
    parser.add_argument("--memory", type=int, default=16 << 20, help="bytes of the window")
    parser.add_argument("--workers", type=int, default=1, help=f"threads, 1 to {WORKERS_MAX}")
    parser.add_argument("--first-index", type=int, default=0, help="test only: indices at reset")
    parser.add_argument("--huge-pages", action="store_true", help="ask for pages of 2 MiB")
    parser.add_argument("--numa-node", type=int, help="bind the memory to this node")
    parser.add_argument("--restart", action="store_true", help="carry on in existing memory")
    parser.add_argument("--exit-with-host", action="store_true", help="end when the host is gone")
    parser.add_argument("--parent", type=int, help="end when this parent dies without a host")
    options = parser.parse_args(arguments)
    return run(**vars(options))


if __name__ == "__main__":
    end_at_once(NAME)
    raise SystemExit(main())
